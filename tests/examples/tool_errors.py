"""Every command of the tool with what is wrong in turn: exit 2 for wrong usage, 1 for what failed, one sentence on stderr that names the thing.

usage: tool_errors.py TOOL
"""
import json
import os
import re
import subprocess
import sys
import tempfile

TOOL = os.path.abspath(sys.argv[1])
failures, checks = [], 0
OUT = {"update", "fit", "tune", "calibrate", "prune", "quantize", "import"}  # take -o
ROWS = {"score", "update", "fit", "tune", "eval", "calibrate"}
FILES = {"encode --ids", "encode --images", "encode --pixels", "score --ids", "score --images", "score --pixels", "new --schema", "new --json", "delta --journal", "update --journal",
         "fit --checkpoint", "fit --resume", "fit --svg", "fit --tensorboard", "calibrate --svg", "eval --svg", "tune --tensorboard", "encode --prompt", "tune --space", "tune --log"}


def run(*arguments, stdin=b""):
    done = subprocess.run([TOOL, *arguments], input=stdin, capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(good, *what):
    global checks
    checks += 1
    if not good:
        failures.append(what)
        print("FAIL", *what)


def refused(code, names, *arguments, stdin=b""):
    """One sentence that says `names`, nothing on stdout."""
    got, out, err = run(*arguments, stdin=stdin)
    said = [line for line in err.splitlines() if ": warning: " not in line]
    check(got == code and len(said) == 1 and said[0].startswith("ecrec") and names in said[0] and out == "", arguments, "gave", got, repr(err[:300]), repr(out[:80]))


def command_line(command):
    line = {"new": ["new", "--schema", "schema.json", "-o", "o.ecrec"], "delta": ["delta", "export", "r.ecrec", "--journal", "j", "-o", "d"]}.get(command, [command, "r.ecrec"])
    return line + (["-i", "rows.jsonl"] if command in ROWS else []) + (["-o", "o.ecrec"] if command in OUT else [])


def usage(commands):
    for command in commands:
        text = run("help", command)[1]
        line = command_line(command)
        refused(2, "--bogus", *line, "--bogus")
        refused(2, "-z", *line, "-z")
        refused(2, "one argument too many" if command != "delta" else "missing", *line[:1], *([] if command == "delta" else [f"more{i}" for i in range(1100)]))
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)) | {"--threads"}):
            if f"{command} {option}" in FILES or option in ("--output", "--input"):
                continue
            # a value that none takes; after one that takes none it is an argument too many, or a model that is not there
            code, out, err = run(*line, option, "bad¤")
            check(code == 2 and len(err.splitlines()) == 1 and ("bad¤" in err or option in err or " takes " in err), command, option, "bad¤ gave", code, repr(err[:300]))
    refused(2, "frob", "frob")
    refused(2, "frob", "delta", "frob")
    refused(2, "missing", "delta", "export")
    refused(2, "DELTA", "delta", "info")


def files(commands):
    for command in commands:
        for name in ("nofile", ".", "text", "/dev/null", "rows.jsonl"):
            if command in ("new", "delta", "import"):
                continue
            line = [name if a == "r.ecrec" else a for a in command_line(command)]
            refused(1, name, *line, *(["--heads", "1"] if command == "prune" else []))
    refused(1, "nofile", "new", "nofile", "--schema", "schema.json", "-o", "o.ecrec")
    refused(1, "nofile", "new", "--schema", "nofile", "-o", "o.ecrec")
    refused(1, "nofile", "import", "nofile", "-o", "o.ecrec")
    for what in ("info", "apply", "merge"):
        for name in ("nofile", "text", "/dev/null"):
            refused(1, name, "delta", what, *([] if what == "info" else ["r.ecrec"]), name, *([] if what == "info" else ["-o", "o"]))
    for command in sorted(ROWS):
        refused(1, "nofile", *[("nofile" if a == "rows.jsonl" else a) for a in command_line(command)])
    for command in sorted(OUT - {"import", "prune", "quantize"}):
        refused(1, "/nowhere/o", *[("/nowhere/o" if a == "o.ecrec" else a) for a in command_line(command)])
    refused(1, "/nowhere/o", "score", "r.ecrec", "-i", "rows.jsonl", "-o", "/nowhere/o")
    # a ranker where an encoder is needed
    for line, name in ((["encode"], "encoder"), (["tokenize"], "tokenizer"), (["quantize", "-o", "o"], "encoder"), (["prune", "--heads", "1", "-o", "o"], "encoder"), (["bench"], "encoder")):
        refused(1, name, line[0], "r.ecrec", *line[1:], stdin=b"a text\n")


def rows():
    bad = {
        "number.jsonl": (b'{"shop":"a","price":1,"click":1}\n{"shop":"a","price":"dear","click":0}\n', "number.jsonl:2: ", "price"),
        "number.csv": (b"shop,price,click\na,1,1\na,dear,0\n", "number.csv:3: ", "price"),
        "number.tsv": (b"shop\tprice\tclick\na\t1\t1\na\tdear\t0\n", "number.tsv:3: ", "price"),
        "index.svm": (b"1 price:2\n0 17:x\n", "index.svm:2: ", "17"),
        "label.jsonl": (b'{"shop":"a","price":1,"click":1}\n{"shop":"a","price":1,"click":7}\n', "label.jsonl:2: ", "click"),
        "cut.jsonl": (b'{"shop":"a","price":1,"click":1}\n{"shop":"a","pri', "cut.jsonl:2: ", "JSON"),
        "zeros.jsonl": (b'{"shop":"a","price":1,"click":1}\n' + bytes(40) + b"\n", "zeros.jsonl:2: ", "byte 0"),
        "zero.csv": (b"shop,price,click\na,1,1\nb\0c,2,0\n", "zero.csv:3: ", "byte 0"),
        "zero2.csv": (b'shop,price,click\na,1,1\n"b\nd\0c",2,0\n', "zero2.csv:", "byte 0"),
        "quote.csv": (b'shop,price,click\na,1,1\n"b,2,0\n', "quote.csv:", "quote"),
        "cells.csv": (b"shop,price,click\na,1,1\nb,2,0,4,5\n", "cells.csv:3: ", "cell"),
        "infinite.jsonl": (b'{"shop":"a","price":1e999,"click":1}\n', "infinite.jsonl:1: ", ""),
    }
    for name, (content, place, names) in bad.items():
        with open(name, "wb") as f:
            f.write(content)
        for command in sorted(ROWS):
            line = [name if a == "rows.jsonl" else a for a in command_line(command)]
            refused(1, place, *line)
            check(names in run(*line)[2], command, name, "does not say", names)
    # what is blank is no row; of what is skipped each is told
    with open("blank.jsonl", "wb") as f:
        f.write(b'\n{"shop":"a","price":1,"click":1}\n  \t\n\r\n{"shop":"b","price":1,"click":0}\n\n')
    code, out, err = run("score", "r.ecrec", "-i", "blank.jsonl")
    check(code == 0 and len(out.splitlines()) == 3 and err == "", "blank lines", code, out, err)
    code, out, err = run("score", "r.ecrec", "-i", "zeros.jsonl", "--skip-bad-rows")
    check(code == 0 and len(out.splitlines()) == 3 and "zeros.jsonl:2: " in err and "skipped" in err, "zeros skipped", code, out, err)


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    with open("schema.json", "w", encoding="utf-8") as f:
        json.dump({"fields": [{"name": "shop", "kind": "category"}, {"name": "price", "kind": "number"}], "labels": ["click"], "hash_bits": 12}, f)
    with open("rows.jsonl", "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"shop": str(i % 3), "price": i, "click": i % 2}) + "\n" for i in range(50))
    with open("text", "w", encoding="utf-8") as f:
        f.write("hello " * 40)
    check(run("new", "--schema", "schema.json", "-o", "r.ecrec")[0] == 0, "new")
    commands = [name for name in re.findall(r"^  (\w+) ", run()[1], re.M) if name != "help"]
    check(len(commands) >= 13, commands)
    usage(commands)
    files(commands)
    rows()
print(f"{checks} checks, {len(failures)} failed")
sys.exit(bool(failures))
