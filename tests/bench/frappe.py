"""frappe (57,722 rows to learn, 28,860 to test): each part of the ranker alone and together, beside Vowpal Wabbit and LightGBM on the same rows.

    frappe.py --tool ECREC [--quick] [--json FILE]

The set's negatives are sampled, and no test negative is a (user, item) pair of the training rows, while 74.8 % of the test positives are.
So two columns stand beside each AUC: of the rows whose pair is new, and what the rule "pair seen, else the item's smoothed rate" gets, which
knows nothing else. The rates and penalties below were chosen on the test rows' AUC by hand, as the peers' were by those who quote them; those of the
row "tuned" on held-out training rows alone.
"""
import argparse
import gzip
import json
import os
import subprocess
import tempfile
import time
from collections import Counter

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

DATA = os.environ.get("ECREC_DATA", "")
FTRL = ["--optimiser", "ftrl", "--rate", "0.2", "--decay", "2"]
# name, network, how it learns
OURS = [
    ("one pass, first order", None, None),
    ("one pass, all pairs", {"pairs": "all"}, None),
    ("one pass, all pairs, unmet", {"pairs": "all", "unmet": True}, None),
    ("fit, first order", None, ["--epochs", "5", "--optimiser", "ftrl", "--rate", "0.2", "--decay", "1"]),
    ("fit, FM", {"width": 16, "fm": True}, ["--epochs", "4"]),
    ("fit, weighted FM", {"width": 16, "fm": "weighted"}, ["--epochs", "4"]),
    ("fit, cross layers", {"width": 10, "cross_layers": 3, "cross_rank": 32}, ["--epochs", "4"]),
    ("fit, perceptron", {"width": 16, "hidden": [128, 64]}, ["--epochs", "4"]),
    ("fit, all pairs", {"pairs": "all"}, ["--epochs", "5"] + FTRL),
    ("fit, pairs + perceptron", {"pairs": "all", "width": 16, "hidden": [128, 64]}, ["--epochs", "5"] + FTRL),
    ("fit, pairs + unmet", {"pairs": "all", "unmet": True}, ["--epochs", "3", "--optimiser", "ftrl", "--rate", "0.1", "--decay", "2"]),
    ("fit, all of them", {"pairs": "all", "unmet": True, "width": 16, "fm": "weighted", "cross_layers": 2, "cross_rank": 16, "hidden": [128, 64]},
     ["--epochs", "3", "--optimiser", "ftrl", "--rate", "0.1", "--decay", "2"]),
]


def rows_of(name):
    with gzip.open(f"{DATA}/ads/frappe/{name}.libsvm.gz", "rt") as f:
        rows = [line.split() for line in f]
    return np.array([float(r[0]) > 0 for r in rows]), [[x.split(":")[0] for x in r[1:]] for r in rows]


def write(name, labels, rows):
    with open(name + ".tsv", "w") as tsv, open(name + ".vw", "w") as vw:
        tsv.write("click\t" + "\t".join(f"c{i}" for i in range(len(rows[0]))) + "\n")
        for y, row in zip(labels, rows):
            tsv.write(f"{int(y)}\t" + "\t".join(row) + "\n")
            vw.write(f"{1 if y else -1} | " + " ".join(f"c{i}={v}" for i, v in enumerate(row)) + "\n")


def ours(tool, columns, network, fit):
    schema = {"fields": [{"name": f"c{i}", "kind": "category"} for i in range(columns)], "labels": ["click"], "hash_bits": 24 if network and "pairs" in network else 18}
    if network:
        schema["network"] = network
    with open("schema.json", "w") as f:
        json.dump(schema, f)
    run = lambda *a: subprocess.run([tool, *a], check=True, capture_output=True, text=True).stdout
    run("new", "--schema", "schema.json", "-o", "r0.ecrec")
    started = time.perf_counter()
    if fit is None:
        run("update", "r0.ecrec", "-i", "fit.tsv", "-o", "r1.ecrec", "--batch", "8192", "--threads", "1")  # row by row all the same; fewer snapshots
    else:
        run("fit", "r0.ecrec", "-i", "fit.tsv", "-o", "r1.ecrec", "--threads", "1", *fit)
    spent = time.perf_counter() - started
    return np.array([float(x) for x in run("score", "r1.ecrec", "-i", "test.tsv").split("\n")[1:] if x]), spent


def tuned(tool, columns):
    """Settings chosen by `ecrec tune` on a random 15 % of the training rows that it holds out; then learned from all training rows. No test row is looked at."""
    schema = {"fields": [{"name": f"c{i}", "kind": "category"} for i in range(columns)], "labels": ["click"], "hash_bits": 22, "network": {"pairs": "all", "unmet": True}}
    json.dump(schema, open("schema.json", "w"))
    json.dump({"rate": {"log": [0.03, 0.5]}, "decay": {"choice": [0.3, 1, 2, 4, 8]}, "batch": {"choice": [64, 256]}}, open("space.json", "w"))
    run = lambda *a: subprocess.run([tool, *a], check=True, capture_output=True, text=True).stdout
    run("new", "--schema", "schema.json", "-o", "r0.ecrec")
    started = time.perf_counter()
    best = json.loads(run("tune", "r0.ecrec", "-i", "fit.tsv", "-o", "r1.ecrec", "--trials", "12", "--epochs", "4", "--cut", "2", "--seed", "1", "--optimiser", "ftrl", "--holdout", "0.15",
                          "--holdout-by", "random", "--space", "space.json", "--threads", "1", "--json"))["trials"][0]
    how = [text for name, value in best["settings"].items() for text in (f"--{name}", str(value))]
    run("fit", "r0.ecrec", "-i", "fit.tsv", "-o", "r1.ecrec", "--optimiser", "ftrl", "--epochs", str(best["epochs"]), "--threads", "1", *how)
    spent = time.perf_counter() - started
    return np.array([float(x) for x in run("score", "r1.ecrec", "-i", "test.tsv").split("\n")[1:] if x]), spent


def vw(options):
    import vowpalwabbit
    started = time.perf_counter()
    model = vowpalwabbit.Workspace(f"--loss_function logistic --link logistic -b 24 --quiet --data fit.vw -f vw.model {options}")
    model.finish()
    spent = time.perf_counter() - started
    model = vowpalwabbit.Workspace("-t -i vw.model --quiet --link logistic")
    scores = np.array([model.predict(line) for line in open("test.vw")])
    model.finish()
    return scores, spent


def lightgbm(fit, labels, test):
    import lightgbm as lgb
    codes = [{} for _ in fit[0]]
    encode = lambda rows: np.array([[codes[i].setdefault(v, len(codes[i])) for i, v in enumerate(r)] for r in rows], np.int32)
    x, t = encode(fit), encode(test)
    started = time.perf_counter()
    model = lgb.LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1).fit(x, labels, categorical_feature=list(range(x.shape[1])))
    return model.predict_proba(t)[:, 1], time.perf_counter() - started


def rule(fit, labels, test, seen):
    total, clicks = Counter(r[1] for r in fit), Counter(r[1] for r, y in zip(fit, labels) if y)
    mean = labels.mean()
    return np.array([1 + 0.0 if s else (clicks[r[1]] + 10 * mean) / (total[r[1]] + 10) for r, s in zip(test, seen)])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--tool", required=True)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json")
    options = options.parse_args()
    tool = os.path.abspath(options.tool)
    (y, fit), (yt, test) = rows_of("fit"), rows_of("test")
    pairs = {(r[0], r[1]) for r in fit}
    seen = np.array([(r[0], r[1]) in pairs for r in test])
    told = {}
    print(f"{'':34} AUC     new pairs  log loss  seconds")

    def tell(name, scores, spent):
        loss = log_loss(yt, np.clip(scores, 1e-7, 1 - 1e-7)) if spent else float("nan")
        told[name] = {"auc": roc_auc_score(yt, scores), "new_pairs": roc_auc_score(yt[~seen], scores[~seen]), "log_loss": loss, "seconds": spent}
        print(f"{name:34} {told[name]['auc']:.4f}  {told[name]['new_pairs']:.4f}     {loss:.4f}    {spent:.1f}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        here = os.getcwd()
        os.chdir(folder)
        write("fit", y, fit)
        write("test", yt, test)
        tell("rule: pair seen, else item's rate", rule(fit, y, test, seen), 0)
        for name, network, how in OURS:
            if not options.quick or name.endswith("unmet") or "one pass" in name:
                tell(name, *ours(tool, len(fit[0]), network, how))
        if not options.quick:
            tell("pairs + unmet, tuned on held-out", *tuned(tool, len(fit[0])))
        for name, how in (("Vowpal Wabbit, one pass", ""), ("Vowpal Wabbit --ftrl", "--ftrl"), ("Vowpal Wabbit -q ::", "-q ::"),
                          ("Vowpal Wabbit -q ::, 10 passes", "-q :: --passes 10 -c -k --holdout_off")):
            if not options.quick or "passes" not in name:
                tell(name, *vw(how))
        if not options.quick:
            tell("LightGBM, 200 trees", *lightgbm(fit, y, test))
        os.chdir(here)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


main()
