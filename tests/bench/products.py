"""The layers' products alone beside oneDNN's matmul primitive and MKL (weights as they lie, and packed), one thread: a row a shape.

products.py BENCH_PRODUCTS [--level NAME] [--onednn LIBRARY] [--mkl LIBRARY] [--quick] [--json FILE]     (libraries are looked for)

Widths 384, 512, 768 and 1024; the peer of a row is the fastest of all that were found. The gate: not slower than it from 16 rows on, and
on AMD processors 85 % of the processor's peak from 32 rows on (8 bits without a dot product, level avx2: 75 %)."""
import argparse
import glob
import json
import os
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("bench")
parser.add_argument("--level")
parser.add_argument("--onednn", default=next(iter(glob.glob(os.path.join(sys.prefix, "lib", "libdnnl.so.3"))), None))
parser.add_argument("--mkl", default=next(iter(glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*"))), None))
parser.add_argument("--quick", action="store_true", help="width 384 only, 16 and 128 rows")
parser.add_argument("--json")
options = parser.parse_args()
libraries = [f"{name}={path}" for name, path in (("onednn", options.onednn), ("mkl", options.mkl)) if path]
one_thread = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MKL_THREADING_LAYER="SEQUENTIAL")
with open("/proc/cpuinfo", encoding="utf-8") as f:
    amd = "AuthenticAMD" in f.read()
with_bf16 = {"avx512vnni": "avx512bf16", "neon_i8mm": "neon_bf16"}
peaks = json.loads(subprocess.run([os.path.join(os.path.dirname(options.bench), "bench_peaks")], input="\n", capture_output=True, text=True, check=True).stdout)
# the same kernels and those of bf16, which a context takes where they are faster: here they are measured whether or not
level = options.level or (with_bf16.get(peaks["level"], peaks["level"]) if peaks["bf16"] else peaks["level"])
out = subprocess.run([options.bench, *(["--few"] if options.quick else []), level, *libraries], env=one_thread, capture_output=True, text=True)
if out.returncode != 0:
    sys.exit(out.stderr)
rows = [json.loads(line) for line in out.stdout.splitlines()]
print(f"{level}; GFLOP/s (GOP/s) of one thread; peers: {', '.join(libraries) or 'none found'}")
print(f"{'':4} {'m x n x k':>17} {'ecrec':>7} {'of peak':>8}  {'best peer':>22} {'ratio':>6}")
below, least, short = 0, {}, 0
for r in rows:
    theirs = {name: r[name] for name in ("oneDNN", "MKL", "MKL packed") if name in r}
    best = max(theirs, key=theirs.get, default=None)
    r["ratio"] = r["gops"] / theirs[best] if best else None
    notes = []
    if r["m"] >= 16 and best:
        least[r["type"]] = min(least.get(r["type"], 9.9), r["ratio"])
        if r["ratio"] < 1:
            below += 1
            notes.append("slower")
    asked = 0.75 if (level, r["type"]) == ("avx2", "s8") else 0.85
    if amd and r["m"] >= 32 and r["share"] < asked:
        short += 1
        notes.append(f"under {100 * asked:.0f} %")
    ratio = f"{r['ratio']:5.2f}x" if best else "     -"
    peer = f"{best} {theirs[best]:.0f}" if best else "-"
    print(f"{r['type']:4} {r['m']:>5} x {r['n']} x {r['k']:<5} {r['gops']:7.0f} {100 * r['share']:7.1f}%  {peer:>22} {ratio}  {', '.join(notes)}")
counted = sum(r["m"] >= 16 for r in rows)
print(f"of {counted} products with 16 rows or more {below} are slower than the best peer" + "".join(f"; least ratio {t} {v:.2f}x" for t, v in least.items())
      + (f"; of {sum(r['m'] >= 32 for r in rows)} with 32 rows or more {short} are under their share of the peak" if amd else ""))
if options.json:
    with open(options.json, "w", encoding="utf-8") as f:
        json.dump({"bench": "products", "level": level, "rows": rows}, f, indent=1)
