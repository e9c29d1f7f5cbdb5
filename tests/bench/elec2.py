"""elec2 (45,312 half hours, in time order): right before it learns, with updates of 1, 10 and 100 rows, beside online learners on the same rows.

    elec2.py [--quick] [--json FILE]

The label of the row before is a field for everybody. With updates of n rows learning is late: that label is known when the row is scored, but is learned
from with its update; "late labels" are of the last row of the update before. The peers learn one row at a time. Rate and rows a step are chosen for each size
of an update on the first 10,000 rows alone; "behind" is the accuracy on the rows after those, that nothing was chosen on. The layers, and Vowpal Wabbit's -l (all three
are told), were chosen on all rows. ECREC_LIBRARY names the library, ECREC_DATA the data, PYTHONPATH has examples/python.
"""
import argparse
import csv
import gzip
import json
import os
import time

import numpy as np

import ecrec

DATA = os.environ.get("ECREC_DATA", "")
NUMBERS = ["period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"]
PARTS = [("first order", None), ("perceptron", {"width": 8, "embedding_bits": 10, "hidden": [32]})]
CHOSEN_ON, RATES = 10000, (0.05, 0.1, 0.2, 0.5, 1, 2, 4)


def ours(rows, network, rate, size, step, late=False):
    schema = {"fields": [{"name": c, "kind": "number"} for c in NUMBERS] + [{"name": "last", "kind": "category"}], "labels": ["up"], "hash_bits": 10}
    if network:
        schema["network"] = network
    columns = {c: np.array([float(r[c]) for r in rows]) for c in NUMBERS}
    labels, right, spent = np.array([float(r["class"]) for r in rows]), np.zeros(len(rows), bool), 0.0
    with ecrec.Context(threads=1) as context, ecrec.Model.ranker(context, schema) as model:
        for first in range(0, len(rows), size):
            at = slice(first, min(first + size, len(rows)))
            known = [first - 1 if late else i - 1 for i in range(at.start, at.stop)]
            last = [rows[k]["class"] if k >= 0 else None for k in known]
            with ecrec.Batch(model, {**{c: v[at] for c, v in columns.items()}, "last": last}, {"up": labels[at]}) as batch:
                right[at] = (model.score(batch).ravel() >= 0.5) == labels[at]  # as served: no label of this update has been learned from
                started = time.perf_counter()
                model.update(batch, learning_rate=rate, step_rows=step, max_loss_growth=100)
                spent += time.perf_counter() - started
    return right.mean(), spent, right[CHOSEN_ON:].mean() if len(rows) > CHOSEN_ON else None


def choose(rows, network, size, late=False):
    """Rate and rows a step by the accuracy on the first rows."""
    steps = (1,) if size == 1 else (1, 10) if size == 10 else (1, 16, 64)
    return max(((rate, step) for rate in RATES for step in steps), key=lambda c: ours(rows[:CHOSEN_ON], network, c[0], size, c[1], late)[0])


def vw(rows, options):
    import vowpalwabbit
    model = vowpalwabbit.Workspace(f"--loss_function logistic --quiet {options}")
    right, last, started = 0, "", time.perf_counter()
    for r in rows:
        label = "1" if r["class"] == "1" else "-1"
        example = model.example(f"{label} | last={last} " + " ".join(f"{c}:{r[c]}" for c in NUMBERS))
        model.learn(example)  # its prediction is from before
        right += (example.get_simplelabel_prediction() > 0) == (r["class"] == "1")
        model.finish_example(example)
        last = r["class"]
    model.finish()
    return right / len(rows), time.perf_counter() - started


def river(rows):
    from river import linear_model, preprocessing
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    right, last, started = 0, 0.0, time.perf_counter()
    for r in rows:
        x = {c: float(r[c]) for c in NUMBERS} | {"last": last}
        right += model.predict_one(x) == (r["class"] == "1")
        model.learn_one(x, r["class"] == "1")
        last = float(r["class"])
    return right / len(rows), time.perf_counter() - started


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json")
    options = options.parse_args()
    told = {}
    with gzip.open(f"{DATA}/stream/elec2.csv.gz", "rt") as f:
        rows = list(csv.DictReader(f))
    if options.quick:
        rows = rows[:5000]
    print(f"{'':44} accuracy   rows/s")

    def tell(name, accuracy, seconds, behind=None, note=""):
        told[name] = {"accuracy": accuracy, "behind": behind, "rows_per_second": len(rows) / seconds if seconds else None}
        print(f"{name:44} {accuracy:.4f}  {len(rows) / seconds if seconds else 0:8.0f}" + (f"  behind {behind:.4f}" if behind else "") + note if seconds else f"{name:44} {accuracy:.4f}", flush=True)

    tell("repeating the last label", sum(a["class"] == b["class"] for a, b in zip(rows[1:], rows)) / len(rows), 0)
    for name, network in PARTS:
        for size in (1, 10, 100):
            for late in (False, True)[:1 + (size > 1)]:
                rate, step = choose(rows, network, size, late)
                what = f"{size} rows, late labels" if late else f"{size} row{'s' if size > 1 else ''} an update"
                tell(f"ecrec, {name}, {what}", *ours(rows, network, rate, size, step, late), f"  rate {rate}, {step} rows a step")
    for how in ("", "--coin -q ::", "--nn 10", "--nn 10 -l 1", "--nn 10 -l 2"):
        tell(f"Vowpal Wabbit {how}", *vw(rows, how))
    tell("river, scaled logistic regression", *river(rows))
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


main()
