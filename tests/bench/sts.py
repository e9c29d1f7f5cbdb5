#!/usr/bin/env python3
"""STS-B test (1,379 pairs of sentences): Spearman's rank correlation of the cosine with people's scores, for each real model that is
there, in float32, bfloat16 and 8 bits, beside what the reference's own numbers gave.

    sts.py --tool ECREC [--models NAME,NAME] [--json FILE]

Needs NumPy, ECREC_DATA and ECREC_MODELS. Ends with 1 when a float32 figure is not the recorded one to 4 decimals."""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
data = os.environ.get("ECREC_DATA", os.path.join(top, "..", "shared", "data"))
models = os.environ.get("ECREC_MODELS", os.path.expanduser("~/.cache/ecrec-models"))


def ranks(x):
    """Of equal values: the mean of their ranks."""
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(a, b):
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def run(tool, *arguments):
    subprocess.run([tool, *arguments], check=True, stdout=subprocess.DEVNULL)


def measure(tool, model, left, right, prefix, folder):
    vectors = []
    for side in (left, right):
        with open(folder + "/texts", "w", encoding="utf-8", newline="\n") as f:
            f.writelines(prefix + text + "\n" for text in side)
        run(tool, "encode", model, "-i", folder + "/texts", "--format", "npy", "-o", folder + "/v.npy")
        v = np.load(folder + "/v.npy").astype(np.float64)
        vectors.append(v / np.linalg.norm(v, axis=1, keepdims=True))
    return (vectors[0] * vectors[1]).sum(1)


def table(tool, only):
    """[{model, prefix, recorded, f32, bf16, s8}]"""
    with open(os.path.join(data, "text/sts-b-en/stsb-en-test.csv"), encoding="utf-8", newline="") as f:
        left, right, scores = zip(*csv.reader(f))
    scores = np.array(scores, float)
    out = []
    for name in sorted(os.listdir(os.path.join(data, "reference/models"))):
        source = os.path.join(models, name)
        if not os.path.isdir(source) or (only and name not in only):
            continue
        with open(os.path.join(data, "reference/models", name, "scores.json"), encoding="utf-8") as f:
            recorded = json.load(f)
        with tempfile.TemporaryDirectory() as t:
            run(tool, "import", source, "-o", t + "/f32.ecrec")
            for kind in ("bf16", "s8"):
                run(tool, "quantize", t + "/f32.ecrec", "--type", kind, "-o", f"{t}/{kind}.ecrec")
            for key in ("sts_b_test", "sts_b_test_prefix_query"):
                if key in recorded or key == "sts_b_test":
                    known = recorded.get(key, dict(prefix="", spearman=None))
                    prefix = known["prefix"]
                    out.append(dict(model=name, prefix=prefix, pairs=len(scores), recorded=known["spearman"],
                                    **{kind: spearman(measure(tool, f"{t}/{kind}.ecrec", left, right, prefix, t), scores) for kind in ("f32", "bf16", "s8")}))
    return out


def lines(rows):
    text = ["| model, STS-B test | reference | ecrec, f32 | ecrec, bf16 | ecrec, 8 bits | 8 bits cost |", "|---|---|---|---|---|---|"]
    for r in rows:
        name = r["model"] + (f' with "{r["prefix"]}"' if r["prefix"] else "")
        text.append(f"| {name} | {'none' if r['recorded'] is None else format(r['recorded'], '.4f')} | {r['f32']:.4f} | {r['bf16']:.4f} | {r['s8']:.4f} | {r['s8'] - r['f32']:+.4f} |")
    return text


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tool", required=True)
    p.add_argument("--models")
    p.add_argument("--json")
    a = p.parse_args()
    rows = table(a.tool, a.models.split(",") if a.models else None)
    print("\n".join(lines(rows)))
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)
    off = [r["model"] for r in rows if r["recorded"] is not None and abs(r["f32"] - r["recorded"]) >= 5e-5]
    if off:
        print("not as recorded: " + ", ".join(off))
    sys.exit(1 if off or not rows else 0)


if __name__ == "__main__":
    main()
