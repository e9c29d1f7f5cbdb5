"""Run what README and the pages of doc/ say: every command and snippet, in order, page by page, against the built library.

usage: run.py BUILD PAGE.md ...

Each page gets an empty folder of its own, in which `examples` is the checkout's, with `ecrec`, `cc` and `pkg-config --libs ecrec` ready.
Fenced blocks by language:
  sh       run with `set -e`; must succeed
  c        with a main(): compiled and linked, warnings are errors; else compiled inside a function where the usual handles are declared
  python   run; `import ecrec` is the module of examples/python
  go       run inside a module that has examples/go; without Go on the machine: skipped, told
  json     must parse
  text     shown only
A comment in the line before a block says more:
  <!-- file: NAME -->     the block is that file; a C file is compiled only by the page's own commands
  <!-- prints -->         the block is what the block before it printed; a line "..." stands for any number of lines
  <!-- fails -->          the sh block must end with a non-zero exit
  <!-- not run: WHY -->   nothing is done; a reason must be given
Relative links must lead to files, and what `code` names under tests/, lib/, examples/, doc/, include/ and subprojects/ must be there.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(sys.argv[1])
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = os.environ.get("ECREC_MODELS") or os.path.expanduser("~/.cache/ecrec-models")
DIRECTIVE = re.compile(r"<!-- (file|prints|fails|not run)(?:: (.*?))? -->$")
INSIDE = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ecrec/ecrec.h>
#define ROWS 8
#define FIELDS 3
struct everything { ecrec_context *context; ecrec_model *model, *ranker, *smaller; ecrec_session *session; ecrec_schema *schema; ecrec_batch *batch, *labelled;
                    ecrec_report *report; const char *texts[ROWS]; size_t lengths[ROWS]; float *vectors; uint32_t dimension; float scores[ROWS]; };
int32_t snippet(struct everything *e, void *opaque);
int32_t snippet(struct everything *e, void *opaque)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = e->context; ecrec_model *model = e->model, *ranker = e->ranker, *smaller = e->smaller; ecrec_session *session = e->session;
    ecrec_schema *schema = e->schema; ecrec_batch *batch = e->batch, *labelled = e->labelled; ecrec_report *report = e->report;
    const char *const *texts = e->texts; const size_t *lengths = e->lengths; float *vectors = e->vectors, *scores = e->scores;
    uint32_t dimension = e->dimension; int32_t status = ECREC_OK; const size_t n = ROWS;
    (void)context; (void)model; (void)ranker; (void)smaller; (void)session; (void)schema; (void)batch; (void)labelled; (void)report; (void)texts;
    (void)lengths; (void)vectors; (void)scores; (void)dimension; (void)n; (void)opaque;
"""
counts = {"passed": 0, "failed": 0, "skipped": 0}


def blocks(path):
    """(line, language, directive, argument, text) of each fenced block."""
    found, lines = [], open(path, encoding="utf-8").read().split("\n")
    i = 0
    while i < len(lines):
        opening = re.match(r"```(\w*)$", lines[i])
        if opening:
            end = lines.index("```", i + 1)
            before = DIRECTIVE.match(lines[i - 1]) if i else None
            found.append((i + 1, opening[1], before[1] if before else "", (before[2] or "") if before else "", "\n".join(lines[i + 1:end]) + "\n"))
            i = end
        elif lines[i].startswith("```"):
            raise SystemExit(f"{path}:{i + 1}: a fence without a language that is known")
        i += 1
    return found


def matches(shown, printed):
    """Whether `printed` is the lines of `shown`, of which "..." stands for any."""
    pattern = "".join("(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()) + r"[ \t]*\n" for line in shown.rstrip("\n").split("\n"))
    return re.fullmatch(pattern, printed if printed.endswith("\n") else printed + "\n") is not None


class Page:
    def __init__(self, path, work):
        self.path, self.work, self.printed, self.number = path, work, "", 0
        os.symlink(os.path.join(TOP, "examples"), os.path.join(work, "examples"))
        os.symlink(BUILD, os.path.join(work, "build-quickstart"))
        self.environment = {**os.environ, "PATH": f"{BUILD}/examples:{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "ECREC_MODELS": MODELS,
                            "PKG_CONFIG_PATH": f"{BUILD}/meson-uninstalled", "LD_LIBRARY_PATH": f"{BUILD}/lib", "ECREC_LIBRARY": f"{BUILD}/lib/libecrec.so.0",
                            "PYTHONPATH": f"{TOP}/examples/python", "PYTHONDONTWRITEBYTECODE": "1", "CGO_ENABLED": "1"}

    def call(self, *command, **named):
        done = subprocess.run(command, cwd=self.work, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, **named)
        self.printed = done.stdout
        return done.returncode

    def c(self, text):
        self.number += 1
        name = f"snippet{self.number}.c"
        whole = re.search(r"\bmain\(", text) is not None
        with open(os.path.join(self.work, name), "w") as f:
            f.write(text if whole else INSIDE + "".join("    " + line + "\n" for line in text.splitlines()) + "\n    return status;\n}\n")
        strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable"]
        if not whole:
            return self.call("cc", *strict, "-fsyntax-only", f"-I{TOP}/include", name)
        return self.call("sh", "-c", f"cc {' '.join(strict)} {name} $(pkg-config --cflags --libs ecrec) -o program{self.number} && ./program{self.number}")

    def go(self, text):
        if shutil.which("go") is None:
            return 77
        return self.call("sh", "-c", "mkdir -p goprogram && cat >goprogram/main.go && cd goprogram && rm -f go.mod && go mod init example >/dev/null 2>&1 && "
                         f"go mod edit -require ecrec@v0.0.0 -replace ecrec={TOP}/examples/go && go mod tidy >/dev/null 2>&1; go run .", input=text)

    def run(self, language, directive, argument, text):
        if directive == "not run":
            return 0 if argument else 1
        if directive == "prints":
            good = matches(text, self.printed)
            self.printed = f"expected\n{text}printed\n{self.printed}"
            return 0 if good else 1
        if language == "json":
            json.loads(text)
        if directive == "file":
            with open(os.path.join(self.work, argument), "w", encoding="utf-8") as f:
                f.write(text)
            return 0
        if language == "sh":
            code = self.call("bash", "-c", "set -euo pipefail\n" + text)
            return code if directive != "fails" else 0 if code != 0 else 1
        if language == "c":
            return self.c(text)
        if language == "python":
            return self.call(sys.executable, "-c", text)
        if language == "go":
            return self.go(text)
        if language in ("json", "text"):
            return 0
        raise SystemExit(f"{self.path}: a block of the language \"{language}\"")


def check_names(path):
    """Files and folders of the tree that the text names must be there."""
    text = re.sub(r"```.*?```", "", open(path, encoding="utf-8").read(), flags=re.S)
    for name in re.findall(r"`((?:tests|lib|examples|doc|include|subprojects)/[A-Za-z0-9_./*-]*)", text):
        if not glob.glob(os.path.join(TOP, name)):
            counts["failed"] += 1
            print(f"FAIL {path}: there is no {name}")


def check_links(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", open(path, encoding="utf-8").read()):
        if "://" not in target and not os.path.exists(os.path.join(os.path.dirname(path), target)):
            counts["failed"] += 1
            print(f"FAIL {path}: the link to {target} leads nowhere")


def run_page(path):
    check_links(path)
    check_names(path)
    with tempfile.TemporaryDirectory() as work:
        page = Page(path, work)
        for line, language, directive, argument, text in blocks(path):
            code = page.run(language, directive, argument, text)
            result = {0: "passed", 77: "skipped"}.get(code, "failed")
            counts[result] += 1
            if result != "passed":
                print(f"{result} {os.path.relpath(path, TOP)}:{line} ({language})\n{page.printed}")
            if result == "failed":
                return  # what follows builds on it


if not os.path.isdir(f"{MODELS}/all-MiniLM-L6-v2"):
    print("skipped: MiniLM is not there")
    sys.exit(77)
for page_path in sys.argv[2:]:
    run_page(os.path.abspath(page_path))
print("blocks: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
sys.exit(1 if counts["failed"] else 77 if counts["skipped"] else 0)
