"""STS-B test Spearman of all-MiniLM-L6-v2 at every CPU level of this machine, float32, bfloat16, 8 bits and 4 bits: they agree to
four decimals of float32; and the sizes of the files. Exit 1 when two levels differ by more; of bfloat16 weights those that multiply in bf16 round
more and are told apart.

levels.py ECREC_TOOL MODEL_FOLDER STSB_TEST_CSV [--pairs N] [--types f32,bf16] [--json FILE]"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import ecrec

LEVELS = {"portable": 1, "sse2": 16, "avx2": 2, "avxvnni": 32, "avx512": 4, "avx512vnni": 8, "avx512bf16": 64, "neon": 256, "neon_dotprod": 512, "neon_i8mm": 1024, "neon_bf16": 2048}


def ranks(x):
    in_order = np.sort(x)
    return (np.searchsorted(in_order, x, "left") + np.searchsorted(in_order, x, "right") - 1) / 2  # ties get their mean


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("tool")
    parser.add_argument("model")
    parser.add_argument("pairs_file")
    parser.add_argument("--pairs", type=int, default=0, help="the first N alone")
    parser.add_argument("--types", default="f32,bf16,s8,s4")
    parser.add_argument("--json")
    o = parser.parse_args()
    with open(o.pairs_file, encoding="utf-8") as f:
        pairs = [(a, b, float(s)) for a, b, s in csv.reader(f)][:o.pairs or None]
    texts = sorted({t for a, b, _ in pairs for t in (a, b)})
    place = {t: i for i, t in enumerate(texts)}
    left, right, human = ([place[p[0]] for p in pairs], [place[p[1]] for p in pairs], np.array([p[2] for p in pairs]))
    rows, worst = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: os.path.join(folder, kind + ".ecrec") for kind in ("f32", "bf16", "s8", "s4")}
        subprocess.run([o.tool, "import", o.model, "-o", files["f32"]], check=True, capture_output=True)
        files = {kind: path for kind, path in files.items() if kind == "f32" or kind in o.types.split(",")}
        for kind in [k for k in files if k != "f32"]:
            subprocess.run([o.tool, "quantize", files["f32"], "--type", kind, "-o", files[kind]], check=True, capture_output=True)
        for kind, path in files.items():
            found = {}
            for name, level in LEVELS.items():
                with ecrec.Context(cpu_mask=level) as context:
                    if ecrec._lib.ecrec_context_cpu(context._h) != level: # not of this machine
                        continue
                    with ecrec.Model.load(context, path) as model:
                        begin = time.process_time()
                        v = model.encode(texts)
                        seconds = time.process_time() - begin
                cosines = (v[left].astype(np.float64) * v[right]).sum(axis=1)
                found[name] = float(np.corrcoef(ranks(cosines), ranks(human))[0, 1])
                rows.append({"type": kind, "level": name, "spearman": found[name], "seconds": seconds, "bytes": os.path.getsize(path)})
                print(f"{kind:4} {name:14} Spearman {found[name]:.4f}  {len(texts) / seconds:7.0f} texts/s  {os.path.getsize(path):>10} bytes", flush=True)
            rounding = {name: found.pop(name) for name in list(found) if kind == "bf16" and name.endswith("bf16")}
            spread = max(found.values()) - min(found.values())
            same = len({f"{v:.4f}" for v in found.values()}) == 1
            print(f"{kind:4} over {len(found)} levels: {'the same to four decimals' if same else f'they differ by {spread:.6f}'}" + "".join(f"; {name}, which rounds inputs too: {v - max(found.values()):+.6f}" for name, v in rounding.items()))
            worst = max(worst, spread)
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({"bench": "levels", "pairs": len(pairs), "rows": rows}, f, indent=1)
    return 1 if worst > 5e-5 else 0


if __name__ == "__main__":
    sys.exit(main())
