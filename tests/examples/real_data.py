"""The tool on real data: what the README and doc pages quote is printed here, and held to a bound.

usage: real_data.py TOOL CASE        (ECREC_DATA, ECREC_MODELS)
"""
import csv
import gzip
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time

TOOL, CASE = sys.argv[1:3]
EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples")
DATA = os.environ.get("ECREC_DATA", "")
MODELS = os.environ.get("ECREC_MODELS") or os.path.expanduser("~/.cache/ecrec-models")
SKIP = 77
THREADS = str(min(2, os.cpu_count() or 1))  # vectors are the same bits on any number of threads
WHOLE = "100000"  # rows an update: all of a set, so that its texts are encoded once for all passes
failures = []


def need(path):
    if not os.path.exists(path):
        print(f"skipped: {path} is not there")
        sys.exit(SKIP)
    return path


def tool(*args, text=None):
    run = subprocess.run([TOOL, *args], input=text, capture_output=True, text=True, encoding="utf-8")
    if run.returncode != 0:
        sys.exit(f"ecrec {' '.join(args)}: exit {run.returncode}: {run.stderr}")
    return run.stdout


def expect(what, value, least, most=math.inf):
    good = least <= value <= most
    print(f"{'ok  ' if good else 'FAIL'} {what}: {value:.5f} ({'>=' if most == math.inf else 'from'} {least}{'' if most == math.inf else f' to {most}'})")
    if not good:
        failures.append(what)


def write(name, lines):
    with open(name, "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))
    return name


def vectors(path):
    raw = open(path, "rb").read()
    assert raw[:6] == b"\x93NUMPY"
    n, d = (int(v) for v in raw[10:128].decode().split("(")[1].split(")")[0].split(","))
    values = struct.unpack(f"<{n * d}f", raw[128:])
    return [values[i * d:(i + 1) * d] for i in range(n)]


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    i = 0
    while i < len(order):
        j = i
        while j < len(order) and values[order[j]] == values[order[i]]:
            j += 1
        for k in range(i, j):
            out[order[k]] = (i + j - 1) / 2
        i = j
    return out


def correlation(a, b):
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    top = sum((x - ma) * (y - mb) for x, y in zip(a, b))
    return top / math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))


def sts(name):
    with open(need(f"{DATA}/text/sts-b-en/stsb-en-{name}.csv"), encoding="utf-8") as f:
        return [(a.replace("\n", " "), b.replace("\n", " "), float(s)) for a, b, s in csv.reader(f)]


def spearman(model, pairs):
    write("pairs.txt", [t for a, b, _ in pairs for t in (a, b)])
    started = time.time()
    tool("encode", model, "-i", "pairs.txt", "-o", "pairs.npy", "--threads", THREADS)
    spent = time.time() - started
    v = vectors("pairs.npy")
    cosines = [sum(x * y for x, y in zip(v[2 * i], v[2 * i + 1])) for i in range(len(pairs))]
    return correlation(ranks(cosines), ranks([s for _, _, s in pairs])), spent, v


def minilm():
    folder = need(f"{MODELS}/all-MiniLM-L6-v2")
    tool("import", folder, "-o", "minilm.ecrec")
    return "minilm.ecrec"


def case_similarity():
    pairs, model = sts("test"), minilm()
    f32, seconds, reference = spearman(model, pairs)
    expect("STS-B test Spearman, MiniLM f32", f32, 0.8200, 0.8206)
    print(f"     {2 * len(pairs)} texts in {seconds:.2f} s, process and load included")
    write("sample.txt", [a for a, _, _ in sts("train")[:400]])

    told = json.loads(tool("quantize", model, "--type", "s8", "-i", "sample.txt", "-o", "s8.ecrec", "--json"))
    s8, _, own = spearman("s8.ecrec", pairs)
    expect("s8 file / f32 file", os.path.getsize("s8.ecrec") / os.path.getsize(model), 0, 0.266)
    cosines = [sum(x * y for x, y in zip(a, b)) for a, b in zip(reference, own)]
    expect("s8 mean cosine to f32 on STS-B texts", sum(cosines) / len(cosines), 0.999)
    print(f"     worst {min(cosines):.4f}; the report's own on 400 texts {told['agreement']['mean_cosine']:.4f}")
    expect("STS-B test Spearman, s8", s8, 0.8190)

    told = json.loads(tool("prune", model, "--ffn", "0.25", "-i", "sample.txt", "-o", "pruned.ecrec", "--json"))
    pruned, _, _ = spearman("pruned.ecrec", pairs)
    expect("STS-B test Spearman, a quarter of the channels removed by Taylor", pruned, 0.80)
    expect("its FLOPs a token", told["flops_per_token"]["ratio"], 0.80, 0.86)


def ranker(schema, fit, test, *update, model=None):
    write("schema.json", [json.dumps(schema)])
    tool("new", *([model] if model else []), "--schema", "schema.json", "-o", "r0.ecrec")
    told = json.loads(tool("update", "r0.ecrec", "-i", fit, "-o", "r1.ecrec", "--json", "--threads", THREADS, *update))
    return told, json.loads(tool("eval", "r1.ecrec", "-i", test, "--json", "--threads", THREADS)) if test else None


def case_categories():
    columns = 0
    for name in ("fit", "test"):
        with gzip.open(need(f"{DATA}/ads/frappe/{name}.libsvm.gz"), "rt") as f:
            rows = [line.split() for line in f]
        columns = len(rows[0]) - 1
        write(name + ".tsv", ["click\t" + "\t".join(f"c{i}" for i in range(columns))] +
              [("1" if float(r[0]) > 0 else "0") + "\t" + "\t".join(x.split(":")[0] for x in r[1:]) for r in rows])
    schema = {"fields": [{"name": f"c{i}", "kind": "category"} for i in range(columns)], "labels": ["click"], "hash_bits": 18}
    told, one = ranker(schema, "fit.tsv", "test.tsv")
    expect("frappe test AUC, one pass", one["click"]["auc"], 0.9225)
    print(f"     log loss {one['click']['log_loss']:.4f} nats, {told['rows'] / told['seconds']:.0f} rows/s (Vowpal Wabbit, one pass: .9225 / .358)")
    _, more = ranker(schema, "fit.tsv", "test.tsv", "--passes", "4")
    expect("frappe test AUC, four passes", more["click"]["auc"], 0.9277)


def case_spam():
    rows = [line.rstrip("\n").split("\t", 1) for line in open(need(f"{DATA}/text/sms_spam.tsv"), encoding="utf-8")]
    fit, test = rows[:4574], rows[4574:]
    learned = {t for _, t in fit}
    for name, part in (("fit", fit), ("test", test)):
        write(name + ".jsonl", [json.dumps({"text": t, "spam": int(k == "spam")}) for k, t in part])
    model = minilm()
    frozen = {"fields": [{"name": "text", "kind": "text"}], "labels": ["spam"]}
    grams = {"fields": [{"name": "text", "kind": "text", "word_ngrams": 2, "char_ngrams": 5}], "labels": ["spam"]}
    for what, schema, passes, bound in (("frozen MiniLM, one pass", frozen, "1", 0.970), ("frozen MiniLM, four passes", frozen, "4", 0.978),
                                        ("with n-grams, one pass", grams, "1", 0.990)):
        told, _ = ranker(schema, "fit.jsonl", None, "--passes", passes, *(["--batch", WHOLE] if passes != "1" else []), model=model)
        scores = [float(line) for line in tool("score", "r1.ecrec", "-i", "test.jsonl", "--threads", THREADS).splitlines()[1:]]
        right = [(s >= 0.5) == (k == "spam") for s, (k, _) in zip(scores, test, strict=True)]
        new = [good for good, (_, t) in zip(right, test) if t not in learned]
        expect(f"SMS spam accuracy, {what}", sum(right) / len(right), bound)
        print(f"     without the rows that repeat a learned one ({len(new)} left): {sum(new) / len(new):.4f}; learned in {told['seconds']:.1f} s")


def case_stream():
    columns = ["period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"]
    with gzip.open(need(f"{DATA}/stream/elec2.csv.gz"), "rt") as f:
        rows = list(csv.DictReader(f))
    lines, last, repeats = ["\t".join(columns) + "\tlast\tup"], "", 0
    for r in rows:
        lines.append("\t".join(r[c] for c in columns) + f"\t{last}\t{r['class']}")
        repeats += last == r["class"]
        last = r["class"]
    write("elec.tsv", lines)
    schema = {"fields": [{"name": c, "kind": "number"} for c in columns] + [{"name": "last", "kind": "category"}], "labels": ["up"], "hash_bits": 10}
    told, _ = ranker(schema, "elec.tsv", None, "--batch", "1")
    expect("elec2 progressive accuracy, one row an update", told["labels"]["up"]["accuracy"], 0.865)
    print(f"     repeating the last label: {repeats / len(rows):.4f}; {told['updates'] / told['seconds']:.0f} updates/s")


def case_network():
    columns = 0
    for name in ("fit", "test"):
        with gzip.open(need(f"{DATA}/ads/frappe/{name}.libsvm.gz"), "rt") as f:
            rows = [line.split() for line in f]
        columns = len(rows[0]) - 1
        write(name + ".tsv", ["click\t" + "\t".join(f"c{i}" for i in range(columns))] +
              [("1" if float(r[0]) > 0 else "0") + "\t" + "\t".join(x.split(":")[0] for x in r[1:]) for r in rows])
    schema = {"fields": [{"name": f"c{i}", "kind": "category"} for i in range(columns)], "labels": ["click"], "hash_bits": 24, "network": {"pairs": "all"}}
    _, one = ranker(schema, "fit.tsv", "test.tsv")
    expect("frappe test AUC, all pairs, one pass", one["click"]["auc"], 0.9367)
    schema["network"] = {"pairs": "all", "unmet": True, "width": 16, "hidden": [64]}
    write("schema.json", [json.dumps(schema)])
    tool("new", "--schema", "schema.json", "-o", "r0.ecrec")
    tool("fit", "r0.ecrec", "-i", "fit.tsv", "-o", "r1.ecrec", "--epochs", "3", "--optimiser", "ftrl", "--rate", "0.1", "--decay", "2")
    fitted = json.loads(tool("eval", "r1.ecrec", "-i", "test.tsv", "--json"))["click"]
    expect("frappe test AUC, fitted", fitted["auc"], 0.9520)
    expect("its log loss", fitted["log_loss"], 0, 0.2232)


def case_shards():
    """examples/shards.sh: eight processes that exchange files learn about as well as one."""
    columns = 0
    for name in ("fit", "test"):
        with gzip.open(need(f"{DATA}/ads/frappe/{name}.libsvm.gz"), "rt") as f:
            rows = [line.split() for line in f]
        columns = len(rows[0]) - 1
        write(name + ".tsv", ["click\t" + "\t".join(f"c{i}" for i in range(columns))] +
              [("1" if float(r[0]) > 0 else "0") + "\t" + "\t".join(x.split(":")[0] for x in r[1:]) for r in rows])
    write("schema.json", [json.dumps({"fields": [{"name": f"c{i}", "kind": "category"} for i in range(columns)], "labels": ["click"], "hash_bits": 18})])
    run = subprocess.run([f"{EXAMPLES}/shards.sh", "schema.json", "fit.tsv", "merged.ecrec", "8", "1"], capture_output=True, text=True,
                         env={**os.environ, "PATH": os.path.dirname(TOOL) + ":" + os.environ["PATH"]})
    if run.returncode != 0:
        sys.exit(f"shards.sh: exit {run.returncode}: {run.stderr}")
    merged = json.loads(tool("eval", "merged.ecrec", "-i", "test.tsv", "--json"))["click"]
    expect("frappe test AUC, first order, 8 processes, one round", merged["auc"], 0.9145)


def case_stream_network():
    columns = ["period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"]
    with gzip.open(need(f"{DATA}/stream/elec2.csv.gz"), "rt") as f:
        rows = list(csv.DictReader(f))
    lines, last = ["\t".join(columns) + "\tlast\tup"], ""
    for r in rows:
        lines.append("\t".join(r[c] for c in columns) + f"\t{last}\t{r['class']}")
        last = r["class"]
    write("elec.tsv", lines)
    schema = {"fields": [{"name": c, "kind": "number"} for c in columns] + [{"name": "last", "kind": "category"}], "labels": ["up"], "hash_bits": 10,
              "network": {"width": 8, "embedding_bits": 10, "hidden": [32]}}
    for rows_an_update, least in (("1", 0.900), ("10", 0.89), ("100", 0.88)):
        told, _ = ranker(schema, "elec.tsv", None, "--batch", rows_an_update, "--rate", "1", "--max-loss-growth", "100")
        expect(f"elec2 progressive accuracy, perceptron, {rows_an_update} rows an update", told["labels"]["up"]["accuracy"], least)


def columns_of(side):
    out = {}
    for part in side.split("COL ")[1:]:
        name, _, value = part.partition(" VAL")
        out[name.strip()] = value.strip()
    return out


def case_matching():
    for name in ("train", "test"):
        lines = []
        for line in open(need(f"{DATA}/text/matching/Amazon-Google/{name}.txt"), encoding="utf-8"):
            a, b, label = line.rstrip("\n").split("\t")
            a, b = columns_of(a), columns_of(b)
            row = {"a": a.get("title", ""), "b": b.get("title", ""), "same": int(label)}
            if a.get("manufacturer"):
                row["maker"] = a["manufacturer"]
            prices = [p.get("price", "") for p in (a, b)]
            if all(prices):
                try:
                    row["price"] = abs(math.log((float(prices[0]) + 1) / (float(prices[1]) + 1)))
                except ValueError:
                    pass
            words = [set(t.split()) for t in (row["a"], row["b"])]
            row["overlap"] = len(words[0] & words[1]) / max(1, len(words[0] | words[1]))
            digits = [{w for w in s if any(c.isdigit() for c in w)} for s in words]
            row["numbers"] = "same" if digits[0] == digits[1] else "some" if digits[0] & digits[1] else "none"
            lines.append(json.dumps(row))
        write(name + ".jsonl", lines)
    schema = {"fields": [{"name": "a", "kind": "text"}, {"name": "b", "kind": "text", "compare": "a", "compare_only": True},
                         {"name": "maker", "kind": "category"}, {"name": "numbers", "kind": "category"},
                         {"name": "price", "kind": "number"}, {"name": "overlap", "kind": "number"}], "labels": ["same"]}
    _, test = ranker(schema, "train.jsonl", "test.jsonl", "--passes", "4", "--batch", WHOLE, model=minilm())
    print(f"     F1 {test['same']['class_1']['f1']:.3f} at 0.5, AUC {test['same']['auc']:.4f} (published F1: DeepMatcher .693, Ditto .756, both fine-tuned on pairs)")
    expect("Amazon-Google AUC, frozen MiniLM by its cosine", test["same"]["auc"], 0.90)


with tempfile.TemporaryDirectory() as folder:
    TOOL = os.path.abspath(TOOL)
    os.chdir(folder)
    globals()["case_" + CASE]()
sys.exit(1 if failures else 0)
