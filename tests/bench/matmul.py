"""Large float32 products beside BLIS in each of its configurations, oneDNN and MKL: one thread, one row a shape.

matmul.py BENCH_MATMUL [--json FILE] [NAME=LIBRARY ...]     (what is not given is looked for)

BLIS's configuration is a number that it reads when it is loaded, so there is a run a configuration; each run has its own figures of ours."""
import argparse
import ctypes.util
import glob
import json
import os
import subprocess
import sys

BLIS = {"as packaged": None, "skx": "0", "haswell": "3"}  # arch_t of BLIS 0.9: what an AVX-512 or AVX2 processor can run
parser = argparse.ArgumentParser()
parser.add_argument("bench")
parser.add_argument("--json")
parser.add_argument("--level", action="append", help="of ours (default: the best, and avx2)")
parser.add_argument("peers", nargs="*")
options = parser.parse_args()
peers = dict(p.split("=", 1) for p in options.peers)
found = {"blis": ctypes.util.find_library("blis"), "onednn": ctypes.util.find_library("dnnl"),
         "mkl": next(iter(glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*"))), None)}
for name, path in found.items():
    if path and name not in peers:
        peers[name] = path
flags = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""
one_thread = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", BLIS_NUM_THREADS="1")


def run(level, arguments, architecture=None):
    environment = dict(one_thread, **({"BLIS_ARCH_TYPE": architecture} if architecture else {}))
    out = subprocess.run([options.bench, *(["--level", level] if level else []), *arguments], env=environment, capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(out.stderr)
    return [json.loads(line) for line in out.stdout.splitlines()]


rows = []
for level in options.level or [None, "avx2"]:
    for name, architecture in BLIS.items() if "blis" in peers else [("", None)]:
        if name == "skx" and "avx512f" not in flags or name == "haswell" and "avx2" not in flags:
            continue
        with_others = [f"{p}={peers[p]}" for p in ("onednn", "mkl") if p in peers] if architecture is None and level is None else []
        for row in run(level, ([f"blis={peers['blis']}"] if "blis" in peers else []) + with_others, architecture):
            rows.append({**row, "blis_as": name})
print(f"{'ours':11} {'m x n x k':>17} {'GFLOP/s':>8} {'of peak':>8}   ours over")
for r in rows:
    ratios = [f"BLIS {r['blis_as']} {r['over_blis']:.2f}x" if "over_blis" in r else ""] + [f"{n} {r['over_' + k]:.2f}x" for k, n in (("onednn", "oneDNN"), ("mkl", "MKL")) if "over_" + k in r]
    print(f"{r['level']:11} {r['m']:>5} x {r['n']} x {r['k']:<5} {r['gflops']:8.1f} {100 * r['share']:7.1f}%   " + "  ".join(ratios))
if options.json:
    json.dump(rows, open(options.json, "w"), indent=1)
