"""What scripts may rely on: options, output formats, exit codes and error lines of the ecrec tool.

usage: tool_contract.py TOOL        (ECREC_MODELS; without MiniLM there the cases that encode are skipped)
"""
import json
import math
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

TOOL = os.path.abspath(sys.argv[1])
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../doc/tool.md")
FOLDER = (os.environ.get("ECREC_MODELS") or os.path.expanduser("~/.cache/ecrec-models")) + "/all-MiniLM-L6-v2"
failures = []
checks = 0


def run(*args, stdin=b"", code=0):
    """(stdout, stderr) as bytes of a call that must end with `code`."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([TOOL, *args], input=stdin, capture_output=True, timeout=300)
    check(f"{' '.join(args)}: exit {code}", done.returncode == code, (done.returncode, done.stderr))
    return done.stdout, done.stderr


def check(what, good, seen=""):
    global checks
    checks += 1
    if not good:
        failures.append(what)
        print(f"FAIL {what}: {seen!r}")


def refused(pattern, *args, stdin=b"", code=1):
    """One sentence on stderr that matches, nothing on stdout."""
    out, err = run(*args, stdin=stdin, code=code)
    lines = err.decode().splitlines()
    check(f"{' '.join(args)}: says {pattern}", len(lines) == 1 and re.search(pattern, lines[0]) and lines[0].startswith("ecrec"), err)
    check(f"{' '.join(args)}: nothing on stdout", out == b"", out)


def write(name, text):
    with open(name, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return name


def usage():
    out, _ = run(code=2)
    for name in "import info bench tokenize encode new score update fit eval prune quantize help".split():
        check(f"the list names {name}", f"  {name} ".encode() in out)
        text, _ = run("help", name, code=0 if name != "help" else 2)
        check(f"help {name} shows its use", name == "help" or f"ecrec {name} ".encode() in text)
        if name != "help":
            check(f"{name} --help is help {name}", run(name, "--help")[0] == text)
            refused(r"--bogus is not known", name, "--bogus", code=2)
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    listed = [name for name in re.findall(r"^  (\w+) ", out.decode(), re.M) if name != "help"]
    check("the help lists commands", len(listed) >= 12, listed)
    for name in listed:
        row = " ".join(re.findall(rf"^\| `{name}\b.*", page, re.M))
        check(f"doc/tool.md has the command {name}", row != "")
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", run("help", name)[0].decode())) - {"--threads"}  # of all: told below the table
        check(f"help {name} names options", len(options) > 0)
        for option in sorted(options):
            check(f"doc/tool.md has {name} {option}", re.search(re.escape(option) + r"(?![\w-])", row))
    check("doc/tool.md has --threads", "`--threads N`" in page)
    check("version", re.fullmatch(rb"ecrec \d+\.\d+\.\d+\n", run("--version")[0]))
    refused(r'"frob" is no command', "frob", code=2)
    refused(r'"frob" is no command', "help", "frob", code=2)
    refused(r"the model file is missing", "info", code=2)
    refused(r"the folder of the model is missing", "import", code=2)
    refused(r"one argument too many", "info", "a", "b", code=2)
    refused(r"-o MODEL.ecrec is missing", "import", "folder", code=2)
    refused(r"--schema SCHEMA.json is missing", "new", "-o", "x", code=2)
    refused(r"-o needs a value", "import", "folder", "-o", code=2)
    refused(r"--threads .*from 1 to 256", "info", "x", "--threads", "0", code=2)
    refused(r"--threads .*whole number", "info", "x", "--threads", "1.5", code=2)
    refused(r"--threads .*from 1 to 256", "info", "x", "--threads=many", code=2)
    refused(r"--passes needs -i FILE", "update", "x", "-o", "y", "--passes", "2", code=2)
    refused(r"--format must be", "score", "x", "--format", "csv", code=2)


def files():
    refused(r"/nowhere: no such file or folder .*Hugging Face", "import", "/nowhere", "-o", "x.ecrec")
    for command in (["info"], ["encode"], ["tokenize"], ["score"], ["eval"]):
        refused(r"nowhere.ecrec: no such file", *command, "nowhere.ecrec")
        refused(r"^ecrec: \.: it is a folder", *command, ".")
    refused(r"^ecrec: none.ecrec: .*it is empty", "info", write("none.ecrec", b""))
    refused(r"^ecrec: text.ecrec: .*does not begin like one", "info", write("text.ecrec", "hello " * 20))
    refused(r"nofile: No such file", "new", "--schema", "nofile", "-o", "x")
    refused(r"Is a directory", "new", "--schema", ".", "-o", "x")
    refused(r"bad.json:3: ", "new", "--schema", write("bad.json", '{"fields": [\n{"name": "a", "kind": "number"}\n], "labels": }'), "-o", "x")
    refused(r'field "a".*kind.*text, vector, category, number', "new", "--schema", write("bad.json", '{"fields":[{"name":"a","kind":"txet"}],"labels":["c"]}'), "-o", "x")


SCHEMA = {"fields": [{"name": "title", "kind": "text", "no_encoding": True, "word_ngrams": 1}, {"name": "shop", "kind": "category"},
                     {"name": "price", "kind": "number", "required": True}, {"name": "look", "kind": "vector", "dimension": 2}],
          "labels": [{"name": "click"}], "hash_bits": 12}


def records():
    write("schema.json", json.dumps(SCHEMA))
    info = json.loads(run("new", "--schema", "schema.json", "-o", "r1.ecrec", "--json")[0])
    check("new --json", info["schema"]["fields"][3] == {"name": "look", "kind": "vector", "dimension": 2}, info)
    titles = ["red shoe", "blue shoe", "red hat", "green hat"]
    rows = [{"title": titles[i * 7 % 4], "shop": f"s{i % 3}", "price": i * 37 % 90 + 0.5, "look": [1, 0] if i % 2 else [0, 1],
             "click": int(i * 37 % 90 < 45)} for i in range(200)]
    write("rows.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
    names = ["click", "price", "title", "unused", "shop", "look"]
    write("rows.tsv", "\t".join(names) + "\n" + "".join("\t".join(" ".join(map(str, r[n])) if n == "look" else str(r.get(n, "-")) for n in names) + "\n" for r in rows))

    told = json.loads(run("update", "r1.ecrec", "-i", "rows.jsonl", "-o", "r2.ecrec", "--batch", "50", "--json")[0])
    check("update --json", (told["rows"], told["updates"], told["snapshot"]) == (200, 4, 5) and 0 < told["labels"]["click"]["log_loss"] < 0.7, told)
    run("update", "r1.ecrec", "-i", "rows.tsv", "-o", "r3.ecrec", "--batch", "50")
    scored = run("score", "r2.ecrec", "-i", "rows.jsonl")[0]
    lines = scored.decode().splitlines()
    check("score prints a header line and a probability a row", lines[0] == "click" and len(lines) == 201 and all(0 < float(v) < 1 for v in lines[1:]))
    check("TSV and JSONL rows are the same", run("score", "r3.ecrec", "-i", "rows.tsv")[0] == scored)
    check("stdin is -i -", run("score", "r2.ecrec", stdin=open("rows.jsonl", "rb").read())[0] == scored == run("score", "r2.ecrec", "-i", "-", stdin=open("rows.tsv", "rb").read())[0])
    check("CRLF is a line's end too", run("score", "r2.ecrec", stdin=open("rows.tsv", "rb").read().replace(b"\n", b"\r\n"))[0] == scored)
    check("a byte order mark is no text", run("score", "r2.ecrec", stdin=b"\xef\xbb\xbf" + open("rows.tsv", "rb").read())[0] == scored)
    run("score", "r2.ecrec", "-i", "rows.jsonl", "-o", "scores.tsv")
    check("-o FILE is stdout", open("scores.tsv", "rb").read() == scored)
    check("threads do not change scores", run("score", "r2.ecrec", "-i", "rows.jsonl", "--threads", "1")[0] == scored == run("score", "r2.ecrec", "-i", "rows.jsonl", "--threads", "2")[0])
    logits = [float(v) for v in run("score", "r2.ecrec", "-i", "rows.jsonl", "--logits")[0].decode().splitlines()[1:]]
    check("--logits", all(abs(1 / (1 + math.exp(-z)) - float(p)) < 1e-5 for z, p in zip(logits, lines[1:])))
    why = [json.loads(line) for line in run("score", "r2.ecrec", "-i", "rows.jsonl", "--explain", "--logits")[0].decode().splitlines()]
    check("--explain: parts add up to the logit", all(abs(sum(w["why"]["click"].values()) - w["click"]) < 1e-4 for w in why))
    check("--explain: a part a field and the bias", list(why[0]["why"]["click"]) == ["title", "shop", "price", "look", "bias"])

    run("fit", "r1.ecrec", "-i", "rows.jsonl", "-o", "f.ecrec", "--epochs", "3", "--batch", "32")
    fitted = json.loads(run("eval", "f.ecrec", "-i", "rows.jsonl", "--json")[0])["click"]
    check("fit learns", fitted["auc"] > 0.9, fitted)

    report = json.loads(run("eval", "r2.ecrec", "-i", "rows.jsonl", "--json", "--plot", "plot.svg")[0])["click"]
    right = sum((float(p) > 0.5) == bool(r["click"]) for p, r in zip(lines[1:], rows)) / 200
    check("eval: accuracy is of the scores", abs(report["accuracy"] - right) < 1e-9, (report, right))
    loss = -sum(math.log(float(p) if r["click"] else 1 - float(p)) for p, r in zip(lines[1:], rows)) / 200
    check("eval: log loss is of the scores", abs(report["log_loss"] - loss) < 1e-4, (report["log_loss"], loss))
    pairs = [(float(a), float(b)) for a, ra in zip(lines[1:], rows) if ra["click"] for b, rb in zip(lines[1:], rows) if not rb["click"]]
    auc = sum(1 if a > b else 0.5 if a == b else 0 for a, b in pairs) / len(pairs)
    check("eval: AUC is of the scores", abs(report["auc"] - auc) < 1e-3, (report["auc"], auc))
    for name in ("class_0", "class_1"):
        check(f"eval: {name} has a report", set(report[name]) == {"precision", "recall", "f1", "support"})
    check("eval: supports add up", report["class_0"]["support"] + report["class_1"]["support"] == 200)
    text = run("eval", "r2.ecrec", "-i", "rows.jsonl")[0].decode()
    check("eval: for people", all(word in text for word in ("auc", "log_loss", "accuracy", "precision", "recall", "f1", "support")))
    check("eval --plot", open("plot.svg").read().startswith("<svg"))
    told = json.loads(run("eval", "r2.ecrec", "-i", "rows.jsonl", "--report", "json", "--svg", "eval.svg", "--group", "shop", "--by", "shop", "--at", "1,3", "--bins", "5", "--threshold", "0.4")[0])["click"]
    check("eval: a report without a table by slice is the same", all(told[k] == report[k] for k in ("auc", "log_loss", "pr_auc", "calibration")))
    check("eval --by: every row is in a slice", sum(s["rows"] for s in told["slices"]) == sum(r.get("shop") is not None for r in rows) and told["slices_left_out"] == 0, told["slices"])
    check("eval --group", 0 < told["grouped"]["auc"] <= 1 and set(told["ranking"]) == {"groups", "mrr", "hit_rate_at_1", "ndcg_at_1", "hit_rate_at_3", "ndcg_at_3"}, told["ranking"])
    with_group = "".join(json.dumps({**r, "group": r["shop"]}) + "\n" if r.get("shop") is not None else json.dumps(r) + "\n" for r in rows)
    by_column = json.loads(run("eval", "r2.ecrec", "--json", "--at", "1,3", stdin=with_group)[0])["click"]
    check("eval: the column group is the default of --group", by_column["ranking"] == told["ranking"] and by_column["grouped"] == told["grouped"] and "grouped" not in report)
    check("eval --threshold", told["class_1"]["recall"] >= report["class_1"]["recall"] and len(told["reliability"]) == 5)
    for file in ("eval.svg", "plot.svg"):
        tree = xml.etree.ElementTree.parse(file).getroot()
        check(f"{file}: three charts with lines", len([e for e in tree if e.tag.endswith("polyline") and len(e.get("points").split()) > 3]) == 3)
    run("fit", "r1.ecrec", "-i", "rows.jsonl", "-o", "f.ecrec", "--epochs", "4", "--holdout", "0.3", "--svg", "fit.svg")
    lines_drawn = [e for e in xml.etree.ElementTree.parse("fit.svg").getroot() if e.tag.endswith("polyline")]
    check("fit --svg: a point an epoch, learned and held out", [len(e.get("points").split()) for e in lines_drawn[:2]] == [4, 4])
    refused("--group must be a category", "eval", "r2.ecrec", "-i", "rows.jsonl", "--group", "price", code=2)
    refused("--at is", "eval", "r2.ecrec", "-i", "rows.jsonl", "--at", "0", code=2)
    half = "".join(json.dumps({**r, "weight": 0 if i % 2 else 1}) + "\n" for i, r in enumerate(rows))
    whole = json.loads(run("eval", "r2.ecrec", "--json", stdin="".join(half.splitlines(True)[::2]))[0])["click"]
    weighted = json.loads(run("eval", "r2.ecrec", "--json", stdin=half)[0])["click"]
    check("eval: rows of weight 0 do not count", abs(weighted["auc"] - whole["auc"]) < 1e-9 and abs(weighted["log_loss"] - whole["log_loss"]) < 1e-9, (weighted, whole))

    good = '{"title": "a", "price": 1}\n'
    refused(r'^ecrec: stdin:1: the required field "price" is missing', "score", "r2.ecrec", stdin='{"title": "a"}\n')
    refused(r'^ecrec: stdin:4: the required field "price" is missing', "score", "r2.ecrec", stdin=good + "\n" + good + '{"title": "a"}\n')
    refused(r'stdin:2: field "price": it must be a number', "score", "r2.ecrec", stdin=good + '{"price": "1"}\n')
    refused(r'stdin:2: field "look": the vector has 3 values, the schema says 2', "score", "r2.ecrec", stdin=good + '{"price": 1, "look": [1, 2, 3]}\n')
    refused(r'stdin:1: field "title": it must be a string', "score", "r2.ecrec", stdin='{"price": 1, "title": 7}\n')
    refused(r"stdin:2: it is not a JSON object", "score", "r2.ecrec", stdin=good + "nonsense\n")
    refused(r"stdin:2: it is not a JSON object", "score", "r2.ecrec", stdin=good + "[1]\n")
    refused(r"stdin:1: the row names none of the schema's fields", "score", "r2.ecrec", stdin='{"pirce": 1}\n')
    refused(r"stdin:1: the header line names none", "score", "r2.ecrec", stdin="pirce\n1\n")
    refused(r"stdin:3: the row has 2 cells, the header line has 1", "score", "r2.ecrec", stdin="price\n1\n2\t3\n")
    refused(r'stdin:2: field "price": "1,5" is not a number', "score", "r2.ecrec", stdin="price\n1,5\n")
    refused(r'stdin:2: field "price": it is not a finite number', "score", "r2.ecrec", stdin="price\nnan\n")
    refused(r'stdin:2: field "click": a label must be 0 or 1', "update", "r2.ecrec", "-o", "x", stdin="price\tclick\n1\t7\n")
    refused(r'stdin:2: field "click": the label is missing', "update", "r2.ecrec", "-o", "x", stdin="price\tclick\n1\n")
    refused(r'the header line lacks the label "click"', "eval", "r2.ecrec", stdin="price\n1\n")
    refused(r"nothing to evaluate", "eval", "r2.ecrec", stdin="")
    refused(r"No such file", "score", "r2.ecrec", "-i", "nofile")
    refused(r"Is a directory", "score", "r2.ecrec", "-i", ".")
    refused(r"No such file", "score", "r2.ecrec", "-i", "rows.tsv", "-o", "/nowhere/out")
    refused(r"/nowhere/out.ecrec: no such file", "update", "r2.ecrec", "-i", "rows.tsv", "-o", "/nowhere/out.ecrec")
    refused(r"no encoder", "encode", "r2.ecrec", stdin="a\n")
    refused(r"^ecrec: r2.ecrec: it has no tokenizer and encoder of texts to time", "bench", "r2.ecrec")
    refused(r'--optimiser is "sgd"; it must be adagrad, ftrl or adam', "fit", "r2.ecrec", "-i", "rows.jsonl", "-o", "x", "--optimiser", "sgd", code=2)
    refused(r"^ecrec: none.ecrec: it has no row to learn from", "fit", "r2.ecrec", "-i", "none.ecrec", "-o", "x")
    refused(r"UTF-16", "score", "r2.ecrec", stdin="price\n1\n".encode("utf-16"))
    check("a failed update leaves no file", not os.path.exists("x"))
    with open("/dev/full", "wb") as full:
        for args in (["info", "r2.ecrec"], ["score", "r2.ecrec", "-i", "rows.tsv"], ["help"]):
            done = subprocess.run([TOOL, *args], stdout=full, stderr=subprocess.PIPE)
            check(f"{args[0]} on a full disk fails", done.returncode == 1 and b"No space left" in done.stderr, done)
    pipe = subprocess.Popen(["sh", "-c", f"yes '{good.strip()}' | head -n 200000 | '{TOOL}' score r2.ecrec | head -n 1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = pipe.communicate(timeout=60)
    check("a reader that leaves ends it quietly", out == b"click\n" and err == b"", (out, err))


def on_terminal(*args):
    """What a person sees on stderr."""
    ours, its = pty.openpty()
    process = subprocess.Popen([TOOL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its)
    os.close(its)
    seen = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        seen += more
    check(f"{args[0]} on a terminal ends well", process.wait() == 0, seen)
    return seen


def long_rows():
    write("long.jsonl", open("rows.jsonl").read() * 600)
    for args in (["update", "r1.ecrec", "-i", "long.jsonl", "-o", "r4.ecrec", "--passes", "2"], ["score", "r2.ecrec", "-i", "long.jsonl", "-o", "scores.tsv"],
                 ["eval", "r2.ecrec", "-i", "long.jsonl"]):
        seen = on_terminal(*args)
        check(f"{args[0]} on a terminal: share, rate, time left", re.search(args[0].encode() + rb" \[#*\.*\] +\d+ %  \d+ rows/s  \d+ s left", seen), seen[:300])


def texts():
    if not os.path.isdir(FOLDER):
        print(f"skipped: {FOLDER} is not there: nothing that encodes was tried")
        return 77
    report = json.loads(run("import", FOLDER, "-o", "m.ecrec", "--json")[0])
    refused(r"--stride goes with --windows", "tokenize", "m.ecrec", "--stride", "3", code=2)
    windows = [json.loads(l) for l in run("tokenize", "m.ecrec", "--windows", "--max-length", "8", "--stride", "2", stdin=b"one\n1 2 3 4 5 6 7 8 9\n")[0].splitlines()]
    told = [(w["row"], w["window"], w["tokens"][1:-1]) for w in windows]
    check("windows of a text", told == [(0, 0, ["one"]), (1, 0, list("123456")), (1, 1, list("56789"))], told)
    refused(r"all-MiniLM-L6-v2: the image tower is asked for", "import", FOLDER, "--tower", "image", "-o", "x")
    refused(r"all-MiniLM-L6-v2: 7 attention heads are asked for.*\(12\)", "import", FOLDER, "--heads", "7", "-o", "x")
    refused(r"all-MiniLM-L6-v2: max_length is 513, the model takes 512", "import", FOLDER, "--max-length", "513", "-o", "x")
    info = json.loads(run("info", "m.ecrec", "--json")[0])
    check("info: where it came from", info["source"]["folder"] == os.path.basename(FOLDER) and info["source"]["model_type"] == "bert", info["source"])
    licence = "Licence of a test\n\nMay be used: \u00fc, \"quoted\".\n" + "a long line of it\n" * 2000
    os.makedirs("licensed")
    for name in os.listdir(FOLDER):
        os.symlink(os.path.join(FOLDER, name), os.path.join("licensed", name))
    if os.path.lexists("licensed/LICENSE"):
        os.remove("licensed/LICENSE")
    write("licensed/LICENSE", licence)
    run("import", "licensed", "-o", "l.ecrec")
    held = json.loads(run("info", "l.ecrec", "--json")[0])
    check("info: the folder's licence, whole", held["licence"]["text"] == licence, held.get("licence"))
    check("info: the licence names itself by the folder's README", held["licence"].get("name") == "apache-2.0", held["licence"].get("name"))
    check("info: no licence's text where there is none", os.path.exists(FOLDER + "/LICENSE") or "text" not in info.get("licence", {}))
    check("import and info agree on the space", len(info["encoder"]) > 0 and isinstance(report, dict))
    timed = [json.loads(line) for line in run("bench", "m.ecrec", "--seconds", "0.4", "--threads", "2", "--json")[0].decode().splitlines()]
    check("bench times four cases", [row["tokens"] for row in timed[:3]] == [16, 64, 2048] and len(timed) == 4)
    check("bench tells the share of the peak and bf16", all(row["peak"] == 0 or row["share"] == round(row["share"], 4) > 0 for row in timed) and [i for i in range(4) if timed[i].get("bf16_ms", 0) > 0] == [0, 2], timed)
    check("bench's times are times", all(0 < row["ms"] <= row["p99_ms"] and row["threads"] == 2 and row["threads_ms"] > 0 for row in timed))
    run("import", FOLDER, "-o", "short.ecrec", "--max-length", "20")
    timed = [json.loads(line)["tokens"] for line in run("bench", "short.ecrec", "--seconds", "0.4", "--json")[0].decode().splitlines()]
    check("bench of a model of short texts", timed[:3] == [16, 20, 1280], timed)
    check("bench advises", b"quantize" in run("bench", "m.ecrec", "--seconds", "0.4")[0])
    check("info --cpu says what was chosen", b"; chosen " in run("info", "--cpu")[0])
    check("--check writes nothing", run("import", FOLDER, "--check")[0] and not os.path.exists("x"))
    write("texts", "A red shirt\nZwei Stühle, \U0001F600!\n\nlast without a newline")
    tokens = [json.loads(line) for line in run("tokenize", "m.ecrec", "-i", "texts")[0].decode().splitlines()]
    check("tokenize: a line a text", len(tokens) == 4 and all(list(t) == ["ids", "tokens", "offsets"] for t in tokens))
    check("tokenize: ids, tokens, offsets", tokens[0] == {"ids": [101, 1037, 2417, 3797, 102], "tokens": ["[CLS]", "a", "red", "shirt", "[SEP]"],
                                                         "offsets": [[0, 0], [0, 1], [2, 5], [6, 11], [0, 0]]}, tokens[0])
    second = "Zwei Stühle, \U0001F600!".encode()
    check("tokenize: offsets are bytes of the text", second[slice(*tokens[1]["offsets"][-3])].decode() in ("\U0001F600",) and second[slice(*tokens[1]["offsets"][-2])] == b"!", tokens[1])
    check("tokenize: an empty text has the special tokens", tokens[2]["ids"] == [101, 102])
    check("tokenize --no-special", json.loads(run("tokenize", "m.ecrec", "--no-special", stdin="red\n")[0])["ids"] == [2417])
    check("tokenize --max-length", len(json.loads(run("tokenize", "m.ecrec", "--max-length", "4", stdin="a b c d e f\n")[0])["ids"]) == 4)
    out, err = run("tokenize", "m.ecrec", stdin=b"caf\xe9\nna\xefve\n")
    check("Latin-1 is told once, with the line", err.count(b"\n") == 1 and b"stdin:1" in err and b"iconv" in err and out.count(b"\n") == 2, err)

    out, err = run("encode", "m.ecrec", "-i", "texts", "--format", "jsonl")
    lines = [json.loads(line) for line in out.decode().splitlines()]
    check("encode jsonl: an array a line of unit length", len(lines) == 4 and all(len(v) == 384 and abs(sum(x * x for x in v) - 1) < 1e-5 for v in lines))
    check("no progress bar where there is no terminal", err == b"", err)
    check("jsonl is the default on stdout", run("encode", "m.ecrec", "-i", "texts")[0] == out)
    run("encode", "m.ecrec", "-i", "texts", "-o", "v.npy")
    run("encode", "m.ecrec", "-i", "texts", "-o", "v.f32", "--format", "f32", "--threads", "2")
    raw = open("v.f32", "rb").read()
    check("encode f32: n x d little-endian floats", raw == struct.pack(f"<{4 * 384}f", *[x for v in lines for x in v]))
    check("encode npy: the same values after 128 bytes", open("v.npy", "rb").read()[128:] == raw)
    try:
        import numpy
        array = numpy.load("v.npy")
        check("NumPy loads it", array.shape == (4, 384) and array.dtype == numpy.float32 and array.tobytes() == raw)
    except ImportError:
        print("skipped: NumPy is not there: encode --format npy was not loaded with it")
        return 77
    run("encode", "m.ecrec", "-o", "none.npy")
    check("no text is a file of 0 vectors", numpy.load("none.npy").shape == (0, 384))
    write("ids.jsonl", "".join(json.dumps({"input_ids": t["ids"]}) + "\n" for t in tokens))
    check("encode --ids gives the vectors of the texts", run("encode", "m.ecrec", "--ids", "ids.jsonl")[0] == out)
    run("encode", "m.ecrec", "-i", "texts", "--per-token", "-o", "tokens.npy")
    check("encode --per-token: a row a token", numpy.load("tokens.npy").shape == (sum(len(t["ids"]) for t in tokens), 384))
    plain = json.loads(run("encode", "m.ecrec", "--no-normalize", "--pooling", "cls", stdin="red\n")[0])
    check("--pooling and --no-normalize", abs(sum(x * x for x in plain) - 1) > 0.1)
    refused(r"no prompt called \"nobody\"", "encode", "m.ecrec", "--prompt", "nobody", stdin="a\n")
    refused(r"stdin:4: row 1: token id 99999 is not below the vocabulary's 30522", "encode", "m.ecrec", "--ids", "-", stdin='\n{"input_ids":[1]}\n\n{"input_ids":[1,99999]}\n')
    none = run("encode", "m.ecrec", "--ids", "-", stdin=b'{"input_ids":[]}\n\n{"input_ids":[101,102]}\n')[0].decode().splitlines()
    check("encode --ids: no tokens are a vector of zeros", len(none) == 2 and not any(json.loads(none[0])) and any(json.loads(none[1])), none)
    each = run("encode", "m.ecrec", "--ids", "-", "--per-token", stdin=b'{"input_ids":[]}\n{"input_ids":[101,102]}\n')[0].splitlines()
    check("encode --ids --per-token: no tokens are no vectors", len(each) == 2, len(each))
    said = run("tokenize", "m.ecrec", "--decode", stdin="[101]\n\n[101,30522]\n", code=1)[1].decode()
    check("tokenize --decode: an id that is none is told with its line", "stdin:3: token 1: token id 30522 is not below the vocabulary's 30522" in said, said)
    refused(r"stdin:1: token 0: token id 99999999999999999999 is not below", "tokenize", "m.ecrec", "--decode", stdin="99999999999999999999\n")
    refused(r"stdin:1: row 0: token id 99999 is not below the vocabulary's 30522", "encode", "m.ecrec", "--ids", "-", stdin='{"input_ids":[1,99999]}\n')
    refused(r"--pooling must be", "encode", "m.ecrec", "--pooling", "sum", code=2)
    refused(r"--format is \"csv\"", "encode", "m.ecrec", "--format", "csv", code=2)
    refused(r"not a ranker", "score", "m.ecrec", stdin="a\n")
    write("many", "a text that is long enough to take a while, said again and again\n" * 600)
    seen = on_terminal("encode", "m.ecrec", "-i", "many", "-o", "many.npy")
    check("a progress bar on a terminal: share, rate, time left", re.search(rb"encode \[#+\.*\] +\d+ %  \d+ \w+/s  \d+ s left", seen) and b"100 %" in seen, seen)

    heads = sum(l["heads"] for l in info["encoder"]["layers"])
    for args, less in ((["--heads", "0.25"], heads / 4), (["--heads", "5"], 5)):
        run("prune", "m.ecrec", *args, "-o", "p.ecrec")
        left = sum(l["heads"] for l in json.loads(run("info", "p.ecrec", "--json")[0])["encoder"]["layers"])
        check(f"prune {' '.join(args)}", left == heads - less, left)
    told = json.loads(run("prune", "m.ecrec", "--ffn", "0.5", "--layers", "1", "-i", "texts", "-o", "p.ecrec", "--json")[0])
    layers = json.loads(run("info", "p.ecrec", "--json")[0])["encoder"]["layers"]
    check("prune --ffn --layers", len(layers) == 5 and sum(l["feed_forward"] for l in layers) == 5 * 1536 / 2 and told["parameters"]["after"] < told["parameters"]["before"], layers)
    check("a pruned model encodes", len(json.loads(run("encode", "p.ecrec", stdin="red\n")[0])) == 384)
    refused(r"say what to remove", "prune", "m.ecrec", "-o", "x", code=2)
    refused(r"nothing would be left", "prune", "m.ecrec", "--layers", "6", "-o", "x")
    refused(r"--heads is 900 and the model has 72 heads", "prune", "m.ecrec", "--heads", "900", "-o", "x")
    refused(r"--heads is 2.5; it must be a share below 1 or a whole number", "prune", "m.ecrec", "--heads", "2.5", "-o", "x", code=2)
    told = json.loads(run("quantize", "m.ecrec", "--type", "s8", "-i", "texts", "-o", "q.ecrec", "--json")[0])
    check("quantize --json", told["type"] == "s8" and told["bytes"]["ratio"] < 0.27, told)
    check("its file is smaller too", os.path.getsize("q.ecrec") < 0.27 * os.path.getsize("m.ecrec"))
    refused(r"quantised already", "quantize", "q.ecrec", "-o", "x")
    refused(r"--type is \"s3\"", "quantize", "m.ecrec", "--type", "s3", "-o", "x", code=2)
    return 0


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    usage()
    files()
    records()
    long_rows()
    status = texts()
print(f"{checks} checks, {len(failures)} failed")
sys.exit(1 if failures else status)
