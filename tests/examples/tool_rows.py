"""The tool's rows: the same scores from JSONL, CSV, TSV and LIBSVM; quotes, times, histories; what is wrong is told with file, line and
field, or skipped. usage: tool_rows.py TOOL"""
import json
import os
import subprocess
import sys
import tempfile

TOOL = os.path.abspath(sys.argv[1])
failures = checks = 0


def run(*arguments, stdin=b"", code=0):
    global failures, checks
    result = subprocess.run([TOOL, *map(str, arguments)], input=stdin, capture_output=True)
    checks += 1
    if result.returncode != code:
        failures += 1
        print("FAIL", arguments, "gave", result.returncode, result.stderr)
    return result.stdout.decode(), result.stderr.decode()


def same(what, a, b):
    global failures, checks
    checks += 1
    if a != b:
        failures += 1
        print("FAIL", what, repr(a)[:300], "is not", repr(b)[:300])


def says(what, text, *parts):
    global failures, checks
    for part in parts:
        checks += 1
        if part not in text:
            failures += 1
            print("FAIL", what, repr(text), "does not say", repr(part))


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)

    def write(name, text):
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return name

    write("schema.json", json.dumps({"fields": [
        {"name": "title", "kind": "text", "no_encoding": True, "word_ngrams": 2}, {"name": "shop", "kind": "category"}, {"name": "price", "kind": "number"},
        {"name": "when", "kind": "time"}, {"name": "tags", "kind": "multi"}], "labels": ["click"], "hash_bits": 12}))
    run("new", "--schema", "schema.json", "-o", "new.ecrec")
    rows = [{"title": ["red, \"very\" red shoes", "blue\that", "", "two\nlines"][i % 4], "shop": ["north", None, "17"][i % 3], "price": i / 4, "click": i % 2,
             "when": f"2024-02-{i % 28 + 1:02}T{i % 24:02}:30:00+02:00", "tags": [["a", "b"], [], ["c"]][i % 3]} for i in range(60)]
    write("rows.jsonl", "".join(json.dumps(r) + "\n" for r in rows))

    def quoted(text, separator):
        return '"' + text.replace('"', '""') + '"' if separator == "," or '"' not in text else text

    def table(separator, rows):
        lines = [separator.join(["shop", "price", "ignored", "title", "when", "tags", "click"])]
        for r in rows:
            lines.append(separator.join([r["shop"] or "", repr(r["price"]), "x", quoted(r["title"], separator), r["when"], "|".join(r["tags"]), str(r["click"])]))
        return "\n".join(lines) + "\n"

    write("rows.csv", table(",", rows).replace("\n", "\r\n").replace("two\r\n", "two\n"))
    run("update", "new.ecrec", "-i", "rows.jsonl", "-o", "learned.ecrec")
    wanted, _ = run("score", "learned.ecrec", "-i", "rows.jsonl")
    # an empty list is no list in a cell; the empty title is there when it is quoted
    plain = [{**r, "tags": r["tags"] or None, "title": r["title"].replace("\t", " ").replace("\n", " ")} for r in rows]
    write("plain.jsonl", "".join(json.dumps(r) + "\n" for r in plain))
    wanted, _ = run("score", "learned.ecrec", "-i", "plain.jsonl")
    for r in plain:
        r["tags"] = r["tags"] or []
    write("plain.csv", "\ufeff" + table(",", plain).replace("\n", "\r\n"))
    write("plain.tsv", table("\t", plain))
    same("CSV", run("score", "learned.ecrec", "-i", "plain.csv")[0], wanted)
    same("CSV from stdin, told by its header", run("score", "learned.ecrec", stdin=open("plain.csv", "rb").read())[0], wanted)
    same("TSV", run("score", "learned.ecrec", "-i", "plain.tsv")[0], wanted)
    multi, _ = run("score", "learned.ecrec", "-i", "rows.csv")
    only = [{**r, "tags": r["tags"] or None} for r in rows]
    write("only.jsonl", "".join(json.dumps(r) + "\n" for r in only))
    same("CSV with tabs and lines in quotes", multi, run("score", "learned.ecrec", "-i", "only.jsonl")[0])

    # LIBSVM: number fields by their index, the rest in the field of several values
    write("svm.json", json.dumps({"fields": [{"name": "3", "kind": "number"}, {"name": "rest", "kind": "multi"}], "labels": ["y"], "hash_bits": 12}))
    run("new", "--schema", "svm.json", "-o", "svm.ecrec")
    write("rows.svm", "# a comment\n+1 3:0.5 7:2 qid:4\n-1 7:1 9:-1e-1 # more\n0 3:2\n")
    write("svm.jsonl", '{"y":1,"3":0.5,"rest":{"7":2}}\n{"y":0,"rest":{"7":1,"9":-0.1}}\n{"y":0,"3":2,"rest":{}}\n')
    bad, err = run("update", "svm.ecrec", "-i", "rows.svm", "-o", "a.ecrec", code=1)
    says("a comment is no row", err, "rows.svm:1:", "does not begin with a label")
    write("rows.svm", "+1 3:0.5 7:2 qid:4\n-1 7:1 9:-1e-1 # more\n0 3:2\n")
    run("update", "svm.ecrec", "-i", "rows.svm", "-o", "a.ecrec")
    run("update", "svm.ecrec", "-i", "svm.jsonl", "-o", "b.ecrec")
    same("LIBSVM", run("score", "a.ecrec", "-i", "svm.jsonl")[0], run("score", "b.ecrec", "-i", "rows.svm")[0])
    _, err = run("score", "a.ecrec", "--input-format", "libsvm", stdin=b"1 3:0.5\n1 3:x\n", code=1)
    says("LIBSVM", err, "stdin:2:", '"3:x" is no index:number')

    # histories
    write("history.json", json.dumps({"fields": [{"name": "item", "kind": "item"}, {"name": "past", "kind": "history", "dimension": 5, "event_types": 3, "compare": "item"}], "labels": ["y"],
                                      "network": {"width": 4, "fm": True}, "hash_bits": 12}))
    _, err = run("new", "--schema", "history.json", "-o", "history.ecrec")
    write("past.jsonl", '{"item":"a","past":["x","y"],"y":1}\n{"item":"b","past":[{"item":"x","type":2,"time":"2024-01-01"},{"item":7,"time":1704070000000000}],"y":0}\n')
    run("update", "history.ecrec", "-i", "past.jsonl", "-o", "h.ecrec", "--batch", "1")
    _, err = run("score", "history.ecrec", stdin=b'{"item":"a","past":[{"item":"x","time":5},{"item":"y"}]}\n', code=1)
    says("histories", err, 'stdin:1: field "past"', "all events of a history have a time, or none")

    # wrong rows: told, or skipped and told
    table_ = "title,shop,price,when,click\nfine,north,1,2024-01-01,1\nodd,north,abc,2024-01-01,0\nodd,north,1,2024-02-30,0\nodd,north,1,2024-01-01,3\nlong,a,1,2024-01-01,0,x,y\n\"q\"uote,a,1,,0\nfine,south,2,,0\n"
    write("wrong.csv", table_)
    for command in (["score", "learned.ecrec"], ["update", "learned.ecrec", "-o", "x.ecrec"], ["eval", "learned.ecrec"], ["fit", "learned.ecrec", "-o", "x.ecrec"]):
        _, err = run(*command, "-i", "wrong.csv", code=1)
        says(command, err, 'wrong.csv:3: field "price": "abc" is not a number')
    out, err = run("score", "learned.ecrec", "-i", "wrong.csv", "--skip-bad-rows")
    says("skipped", err, 'wrong.csv:3: field "price": "abc" is not a number; the row is skipped', 'wrong.csv:4: field "when": "2024-02-30" is no time',
         'wrong.csv:5: field "click"', "wrong.csv:6: the row has 7 cells, the header line has 5", 'wrong.csv:7: behind the closing quote of cell 1 stands "uote')
    same("a line a row", [line == "nan" for line in out.split("\n")[1:8]], [False, True, True, True, True, True, False])
    out, err = run("score", "learned.ecrec", "-i", "wrong.csv", "--skip-bad-rows", "--format", "jsonl", "--explain")
    same("null in JSON", [json.loads(line)["click"] is None for line in out.split("\n")[:7]], [False, True, True, True, True, True, False])
    out, _ = run("update", "learned.ecrec", "-i", "wrong.csv", "--skip-bad-rows", "-o", "skipped.ecrec", "--json")
    same("update counts the rows that it learned from", json.loads(out)["rows"], 2)
    write("good.csv", "title,shop,price,when,click\nfine,north,1,2024-01-01,1\nfine,south,2,,0\n")
    run("update", "learned.ecrec", "-i", "good.csv", "-o", "good.ecrec")
    same("nothing of a skipped row is learned", run("score", "skipped.ecrec", "-i", "good.csv")[0], run("score", "good.ecrec", "-i", "good.csv")[0])
    out, err = run("fit", "learned.ecrec", "-i", "wrong.csv", "--skip-bad-rows", "-o", "x.ecrec", "--holdout", "0", "--json")
    same("fit tells", json.loads(out)["skipped"]["rows"], 5)
    out, _ = run("eval", "learned.ecrec", "-i", "wrong.csv", "--skip-bad-rows", "--json")
    says("eval", out, '"rows": 2')
    # what no row explains ends the command in any case
    _, err = run("score", "learned.ecrec", "--input-format", "csv", "--skip-bad-rows", stdin=b'title,price\n"never closed,1\nx,2\n', code=1)
    says("an open quote", err, "a quote is open since line 2")
    _, err = run("score", "learned.ecrec", stdin=b"title,title,price\na,b,1\n", code=1)
    says("a name twice", err, 'the header line has "title" twice')
    _, err = run("score", "learned.ecrec", "--skip-bad-rows", stdin=b"a,b,c\n1,2,3\n", code=1)
    says("another file", err, "stdin:1: the header line names none of the schema's fields")
    _, err = run("score", "learned.ecrec", "--input-format", "xml", code=2)
    says("format", err, "--input-format is \"xml\"; it must be auto, jsonl, tsv, csv or libsvm")
print(f"{checks} checks, {failures} failed")
sys.exit(1 if failures else 0)
