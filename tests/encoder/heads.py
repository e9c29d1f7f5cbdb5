"""The tool on heads and sequences: `ecrec score` of a cross-encoder and a classifier, `ecrec eval` of a sequence encoder.

    heads.py ECREC classifier|sequences
    ECREC_DATA: reference/tiny/*cross-encoder (the reference's logits), behaviour/beauty (published result). Exit 77: not there.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

tool, what = sys.argv[1:3]
data = os.environ.get("ECREC_DATA", "")


def need(*names):
    path = os.path.join(data, *names)
    if not os.path.exists(path):
        print(f"skipped: {path} is not there")
        sys.exit(77)
    return path


def run(*arguments, text=None, code=0):
    r = subprocess.run([tool, *arguments], input=text, capture_output=True, encoding="utf-8")
    assert r.returncode == code, (arguments, r.returncode, r.stderr)
    return r.stdout if code == 0 else r.stderr


def classifier(folder):
    worst = 0.0
    for name in ("bert-cross-encoder", "xlm-roberta-cross-encoder"):
        path = need("reference", "tiny", name)
        with open(os.path.join(path, "io.json"), encoding="utf-8") as f:
            io = json.load(f)
        model, ids = os.path.join(folder, name + ".ecrec"), os.path.join(folder, "ids.jsonl")
        run("import", path, "-o", model)
        with open(ids, "w", encoding="utf-8") as f:
            for case in io["cases"]:
                f.write(json.dumps({k: case[k] for k in ("input_ids", "token_type_ids") if k in case}) + "\n")
        wanted = [case["logits"]["data"][0] for case in io["cases"]]
        tolerance = max(2e-5, 2 * io["float32_vs_float64"])
        logits = run("score", model, "--ids", ids, "--logits").splitlines()
        assert logits[0] == "LABEL_0" and len(logits) == len(wanted) + 1, logits
        for got, want in zip(map(float, logits[1:]), wanted):
            worst = max(worst, abs(got - want) / (1 + abs(want)))
            assert abs(got - want) / (1 + abs(want)) <= tolerance, (name, got, want)
        rows = [json.loads(line)["LABEL_0"] for line in run("score", model, "--ids", ids, "--format", "jsonl").splitlines()]
        for got, want in zip(rows, wanted):  # one label: the sigmoid
            assert abs(got - 1 / (1 + math.exp(-want))) <= tolerance, (name, got, want)
        assert "no tokenizer" in run("score", model, text="a\tb\n", code=1)
    print(f"two cross-encoders, worst difference {worst:.2g}")


def sequences(folder):
    path = need("behaviour", "beauty")
    model, few = os.path.join(folder, "beauty.ecrec"), os.path.join(folder, "few.txt")
    run("import", path, "-o", model)
    histories = os.path.join(path, "sequences.txt")
    table = run("eval", model, "-i", histories, "--threads", "1")
    published = {"users": "22363", "HR@5": "0.0500", "NDCG@5": "0.0326", "HR@10": "0.0744", "NDCG@10": "0.0403", "HR@20": "0.1058", "NDCG@20": "0.0483"}
    got = dict(line.split() for line in table.splitlines()[1:])
    assert {k: got[k] for k in published} == published, got
    # the same numbers as JSON, on two threads, for the first users
    with open(histories, encoding="utf-8") as f, open(few, "w", encoding="utf-8") as out:
        out.writelines(line for line, _ in zip(f, range(500)))
    one, two = (json.loads(run("eval", model, "-i", few, "--json", "--threads", n)) for n in "12")
    assert one == two and one["users"] == 500, (one, two)
    assert "below 12103" in run("eval", model, text="1 5 99999\n", code=1)
    assert "at least two items" in run("eval", model, text="1 5\n", code=1)
    print(table, end="")


with tempfile.TemporaryDirectory() as folder:
    {"classifier": classifier, "sequences": sequences}[what](folder)
