"""Learning from labelled rows: ecrec beside Vowpal Wabbit, on frappe's app-usage rows (categories alone), one thread each.

    learn.py --tool ECREC [--rounds N] [--quick] [--json FILE]

Both read the training rows once from a text file of their own format and learn from each in turn; then the test rows are scored. The time is from the
opened file to the last row learned from (ecrec's holds the saving of the model too). ecrec updates 256 rows at a time, each update a published
snapshot that can be rolled back; Vowpal Wabbit updates in place.
"""
import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import vowpalwabbit
from sklearn.metrics import log_loss, roc_auc_score

DATA = os.environ.get("ECREC_DATA", "")


def rows_of(name):
    with gzip.open(f"{DATA}/ads/frappe/{name}.libsvm.gz", "rt") as f:
        for line in f:
            label, *features = line.split()
            yield float(label) > 0, [x.split(":")[0] for x in features]


def write_inputs():
    columns = 0
    for name in ("fit", "test"):
        with open(name + ".tsv", "w") as tsv, open(name + ".vw", "w") as vw:
            for label, values in rows_of(name):
                if columns == 0:
                    columns = len(values)
                if tsv.tell() == 0:
                    tsv.write("click\t" + "\t".join(f"c{i}" for i in range(columns)) + "\n")
                tsv.write(f"{int(label)}\t" + "\t".join(values) + "\n")
                vw.write(("1" if label else "-1") + " | " + " ".join(f"c{i}={v}" for i, v in enumerate(values)) + "\n")
    fields = [{"name": f"c{i}", "kind": "category"} for i in range(columns)]
    with open("schema.json", "w") as f:
        json.dump({"fields": fields, "labels": ["click"], "hash_bits": 18}, f)


def ecrec(tool):
    subprocess.run([tool, "new", "--schema", "schema.json", "-o", "r0.ecrec"], check=True, capture_output=True)
    told = subprocess.run([tool, "update", "r0.ecrec", "-i", "fit.tsv", "-o", "r1.ecrec", "--json"], check=True, capture_output=True, text=True).stdout
    told = json.loads(told)
    return told["seconds"], told["rows"]


def vw():
    options = "--loss_function logistic -b 18 --quiet --data fit.vw -f model.vw"
    started = time.perf_counter()
    model = vowpalwabbit.Workspace(options)
    model.finish()  # runs the driver over the data
    return time.perf_counter() - started


def vw_quality():
    model = vowpalwabbit.Workspace("--loss_function logistic --link logistic -t -i model.vw --quiet")
    with open("test.vw") as f:
        lines = f.read().splitlines()
    probabilities = [model.predict(line) for line in lines]
    labels = [line.startswith("1") for line in lines]
    model.finish()
    return roc_auc_score(labels, probabilities), log_loss(labels, np.clip(probabilities, 1e-7, 1 - 1e-7))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tool", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that the bench works")
    parser.add_argument("--json", help="write the figures to this file too")
    o = parser.parse_args()
    tool, out = os.path.abspath(o.tool), os.path.abspath(o.json) if o.json else None
    if not os.path.exists(f"{DATA}/ads/frappe/fit.libsvm.gz"):
        sys.exit("learn.py: ads/frappe is not under ECREC_DATA")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_inputs()
        own, peer, rows = [], [], 0
        for turn in range(2 if o.quick else o.rounds):
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                if side == 0:
                    seconds, rows = ecrec(tool)
                    own.append(seconds)
                else:
                    peer.append(vw())
        told = json.loads(subprocess.run([tool, "eval", "r1.ecrec", "-i", "test.tsv", "--json"], check=True, capture_output=True, text=True).stdout)["click"]
        auc, loss = vw_quality()
        os.chdir("/")
    a, b = rows / statistics.median(own), rows / statistics.median(peer)
    print(f"frappe, {rows} rows once, medians of {len(own)} turns; Vowpal Wabbit {vowpalwabbit.__version__}")
    print(f"{'':14} {'rows/s':>9} {'test AUC':>9} {'log loss':>9}")
    print(f"{'ecrec':14} {a:9.0f} {told['auc']:9.4f} {told['log_loss']:9.4f}")
    print(f"{'Vowpal Wabbit':14} {b:9.0f} {auc:9.4f} {loss:9.4f}")
    print(f"ratio          {a / b:8.2f}x")
    if out:
        with open(out, "w", encoding="utf-8") as f:
            json.dump({"bench": "learn", "rows": rows, "ecrec": {"rows_per_second": a, "auc": told["auc"], "log_loss": told["log_loss"]},
                       "vowpal_wabbit": {"version": vowpalwabbit.__version__, "rows_per_second": b, "auc": auc, "log_loss": loss}, "ratio": a / b}, f, indent=1)


if __name__ == "__main__":
    main()
