"""Texts to vectors: ecrec beside ONNX Runtime, on all-MiniLM-L6-v2, float32 and 8 bits, with equal threads; each gate of speed and what this machine
would allow.

    encode.py --tool ECREC --library LIBECREC.SO --peaks BENCH_PEAKS [--threads 1,2] [--older FOLDER] [--rounds N] [--quick] [--json FILE]

Both sides get the same token ids and live in processes of their own that take turns within a run, so that what else the machine does meets both;
medians are compared; one thread is timed by its processor time, several by the clock. ONNX Runtime is at its best: graph optimisation ALL over its transformer optimiser's fused graph, and of its two 8-bit models
the one that is faster in each case. Before anything is timed the float32 vectors of both are compared: it is the same work.

The floor of a case is the time that its multiply-adds would take at the processor's peak, which is measured in turn with the cases: products at the
type's own peak, attention at that of float32. No code can be faster, so ONNX Runtime's time over the floor is the highest ratio there can be; where
a gate asks for more, it says "beneath the floor". --older is a folder with the version of ONNX Runtime that the gates were set against.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SORTED_BATCH = 8  # rows of a length-sorted batch: what sentence-transformers does with short lists, at a size that suits 64 rows
# (case, type): ratio to ONNX Runtime on AMD, on Intel; share of the peak on AMD
GATES = {("1 x 16", "f32"): (2.0, 1.8, 0.65), ("1 x 16", "s8"): (3.0, 2.4, 0.60), ("64 x 32", "f32"): (1.45, 1.25, 0.88), ("64 x 32", "s8"): (2.3, 2.0, 0.70),
         ("mixed, padded", "s8"): (4.5, 6.0, None), ("mixed, sorted", "s8"): (2.2, 2.0, None)}


class Side:
    def __init__(self, name, *arguments):
        self.name = name
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "worker.py"), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.about = self.answer()["about"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"encode.py: the process of {self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def seconds(self, case, repeat, wall=False):
        return self.ask(run=case, repeat=repeat, wall=wall)["seconds"]

    def vectors(self, case):
        path = self.ask(vectors=case)["path"]
        try:
            return np.load(path)
        finally:
            os.unlink(path)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peaks:
    """10^9 operations a second of one thread, as often as it is asked."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cases():
    """Token ids drawn from the vocabulary's words with a fixed seed: what they spell does not change the work, their number does."""
    draw = random.Random(1)
    def row(length):
        return [101] + [draw.randrange(1996, 30000) for _ in range(length - 2)] + [102]
    one, block = [row(16)], [row(32) for _ in range(64)]
    mixed = [row(draw.randint(5, 128)) for _ in range(64)]
    order = sorted(range(64), key=lambda i: len(mixed[i]))
    whole = [list(range(64))]
    return [{"name": "1 x 16", "rows": one, "batches": [[0]]},
            {"name": "64 x 32", "rows": block, "batches": whole},
            {"name": "mixed, padded", "rows": mixed, "batches": whole},
            {"name": "mixed, sorted", "rows": mixed, "batches": [order[i:i + SORTED_BATCH] for i in range(0, 64, SORTED_BATCH)]}]


def operations(folder, rows):
    """Of the products and of attention; a multiply and an add are two."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    h, ff, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    lengths = [len(r) for r in rows]
    return 2.0 * layers * sum(lengths) * (4 * h * h + 2 * h * ff), 4.0 * layers * h * sum(n * n for n in lengths)


def agreement(a, b):
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def take_turns(own, peers, name, rounds, peaks):
    """Seconds of each side, in an order that changes, and the peaks measured between."""
    sides, found = (own, *peers), []
    warm = {side: min(side.seconds(name, 3)) for side in sides}
    times = {side: [] for side in sides}
    for turn in range(rounds):
        found.append(peaks.measure())
        for side in sides if turn % 2 == 0 else sides[::-1]:
            times[side] += side.seconds(name, max(1, min(50, int(0.05 / max(warm[side], 1e-6)))))
    peak = {what: statistics.median(p[what] for p in found) for what in ("f32", "s8", "bf16")}
    if "bf16" not in found[0]["level"]: # the timed tile has chosen float32 products
        peak["bf16"] = peak["f32"]
    return times, peak


def judge(kind, name, threads, ratio, bound):
    gate = GATES.get((name, kind))
    if gate is None or threads != 1:
        return None, ""
    asked = gate[0 if amd() else 1]
    if ratio >= asked:
        return asked, "met"
    return asked, f"missed by {100 * (1 - ratio / asked):.0f} %" + (", beneath the floor" if bound < asked else "")


def amd():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return "GenuineIntel" not in f.read()


def compare(kind, threads, own, peers, folder, rounds, peaks):
    """One row a case. peers: {version: sides}."""
    out, sides = [], [side for group in peers.values() for side in group]
    for case in cases():
        name = case["name"]
        for side in (own, *sides):
            side.ask(prepare=case)
        own.seconds(name, 1)
        for side in sides:
            side.seconds(name, 1)
        vectors = own.vectors(name)
        worst = min(agreement(vectors, side.vectors(name)) for side in sides)
        if kind == "f32" and not worst > 0.9999:
            sys.exit(f"encode.py: {name}: the float32 vectors differ (cosine {worst}): not the same work")
        times, peak = take_turns(own, sides, name, rounds, peaks)
        median = {side: statistics.median(t) for side, t in times.items()}
        products, attention = operations(folder, case["rows"])
        floor = (products / peak[kind] + attention / peak["f32"]) * 1e-9 / threads if peak[kind] and peak["f32"] else 0
        row = {"type": kind, "threads": threads, "case": name, "ecrec_ms": median[own] * 1e3, "ecrec_p99_ms": float(np.quantile(times[own], 0.99)) * 1e3,
               "ecrec_tokens_per_second": sum(map(len, case["rows"])) / median[own], "peak": peak, "floor_ms": floor * 1e3, "share_of_floor": floor / median[own],
               "share_of_peak": (products + attention) * 1e-9 / median[own] / threads / peak[kind] if peak[kind] else 0,
               "gflops": (products + attention) * 1e-9 / median[own], "worst_cosine": worst, "peers": []}
        for version, group in peers.items():
            best = min(group, key=median.get)
            ratio, bound = median[best] / median[own], median[best] / floor if floor else float("inf")
            gate, said = judge(kind, name, threads, ratio, bound)
            row["peers"].append({"version": version, "model": best.name, "ms": median[best] * 1e3, "p99_ms": float(np.quantile(times[best], 0.99)) * 1e3,
                                 "ratio": ratio, "highest_ratio": bound, "gate": gate, "verdict": said})
        out.append(row)
    return out


def show(rows):
    print(f"{'':4} {'thr.':>4} {'case':14} {'ecrec ms':>9} {'p99':>8} {'tokens/s':>9} {'GFLOP/s':>8} {'of peak':>8} | {'floor ms':>8} {'reached':>8} |"
          f" {'ONNX Runtime':>12} {'ms':>9} {'p99':>8} {'ratio':>6} {'at most':>8} {'gate':>5}")
    for r in rows:
        head = (f"{r['type']:4} {r['threads']:4} {r['case']:14} {r['ecrec_ms']:9.3f} {r['ecrec_p99_ms']:8.3f} {r['ecrec_tokens_per_second']:9.0f} {r['gflops']:8.0f} "
                f"{100 * r['share_of_peak']:7.1f}% | {r['floor_ms']:8.3f} {100 * r['share_of_floor']:7.1f}% |")
        for i, p in enumerate(r["peers"]):
            print(f"{head if i == 0 else ' ' * (len(head) - 1) + '|'} {p['version']:>12} {p['ms']:9.3f} {p['p99_ms']:8.3f} {p['ratio']:5.2f}x {p['highest_ratio']:7.2f}x "
                  f"{p['gate'] if p['gate'] else '':>5} {p['verdict']}")


def spread(files, library, many, rounds):
    """How many times as fast `many` threads are as one, taking turns: batches, and one text, which is split inside its layers."""
    out = []
    text = {"name": "1 x 64", "rows": [[101] + [2000 + i for i in range(62)] + [102]], "batches": [[0]]}
    for kind, path in files.items():
        sides = [Side(f"{t} threads", "ecrec", library, path, t) for t in (1, many)]
        for case in (cases()[1], cases()[2], text):
            times = {side: [] for side in sides}
            for side in sides:
                side.ask(prepare=case)
                side.seconds(case["name"], 3, wall=True)
            repeat = max(1, min(50, int(0.05 / min(sides[0].seconds(case["name"], 3, wall=True)))))
            for turn in range(rounds):
                for side in sides if turn % 2 == 0 else sides[::-1]:
                    times[side] += side.seconds(case["name"], repeat, wall=True)
            one, more = (statistics.median(times[side]) for side in sides)
            out.append({"type": kind, "case": case["name"].replace(", padded", ""), "threads": many, "one_ms": one * 1e3, "many_ms": more * 1e3, "ratio": one / more,
                        "gate": (1.5 if case is text else 1.8) if many == 2 else None})
        for side in sides:
            side.close()
    print(f"\n{'':4} {'case':14} {'1 thread':>9} {str(many) + ' threads':>10} {'ratio':>6}  gate")
    for r in out:
        print(f"{r['type']:4} {r['case']:14} {r['one_ms']:6.3f} ms {r['many_ms']:7.3f} ms {r['ratio']:5.2f}x  {r['gate'] or ''} {'' if not r['gate'] else 'met' if r['ratio'] >= r['gate'] else 'missed'}")
    return out


def first_runs(files, library, repeat):
    """The first encode after loading beside a later one."""
    out = []
    for kind, path in files.items():
        side = Side("ecrec", "ecrec", library, path, 1)
        for case in cases()[:2]:
            side.ask(prepare=case)
            pairs = side.ask(first=case["name"], repeat=repeat)["seconds"]
            first, later = (statistics.median(p[i] for p in pairs) for i in (0, 1))
            out.append({"type": kind, "case": case["name"], "first_ms": first * 1e3, "later_ms": later * 1e3, "ratio": first / later, "gate": 1.5})
        side.close()
    print(f"\n{'':4} {'case':14} {'first':>9} {'later':>10} {'ratio':>6}  gate (at most)")
    for r in out:
        print(f"{r['type']:4} {r['case']:14} {r['first_ms']:6.3f} ms {r['later_ms']:7.3f} ms {r['ratio']:5.2f}x  {r['gate']} {'met' if r['ratio'] <= r['gate'] else 'missed'}")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tool", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--peaks", required=True)
    parser.add_argument("--older", help="a folder with another version of ONNX Runtime")
    parser.add_argument("--model", default=os.path.join(os.environ.get("ECREC_MODELS") or os.path.expanduser("~/.cache/ecrec-models"), "all-MiniLM-L6-v2"))
    parser.add_argument("--threads", default="1", help="numbers of threads, with commas")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that the bench works")
    parser.add_argument("--json", help="write the rows to this file too")
    o = parser.parse_args()
    rounds, library = 3 if o.quick else o.rounds, os.path.abspath(o.library)
    cache = os.path.join(os.environ.get("ECREC_PEERS") or os.path.expanduser("~/.cache/ecrec-peers"), "onnx", os.path.basename(o.model.rstrip("/")))
    subprocess.run([sys.executable, os.path.join(HERE, "onnx_bert.py"), o.model, cache], check=True)
    rows, about, peaks = [], "", Peaks(o.peaks)
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: os.path.join(folder, kind + ".ecrec") for kind in ("f32", "bf16", "s8")}
        subprocess.run([o.tool, "import", o.model, "-o", files["f32"]], check=True, capture_output=True)
        for kind in ("bf16", "s8"):
            subprocess.run([o.tool, "quantize", files["f32"], "--type", kind, "-o", files[kind]], check=True, capture_output=True)
        if not peaks.measure()["bf16"]:
            del files["bf16"]
        for threads in map(int, o.threads.split(",")):
            for kind in files:
                theirs = "f32" if kind == "bf16" else kind  # ONNX Runtime has no bf16 products on CPUs: its float32
                own = Side("ecrec", "ecrec", library, files[kind], threads)
                peers = {}
                for path in ("", *([o.older] if o.older else [])):
                    sides = [Side(name, "onnxruntime", os.path.join(cache, name + ".onnx"), path, threads) for name in (theirs, theirs + "-fused")]
                    peers[sides[0].about] = sides
                about = own.about
                rows += compare(kind, threads, own, peers, o.model, rounds, peaks)
                for side in (own, *(side for group in peers.values() for side in group)):
                    side.close()
        print(f"{os.path.basename(o.model.rstrip('/'))}, one run, medians; ONNX Runtime with all graph optimisations; ecrec: {about}")
        show(rows)
        scaling = [r for many in map(int, o.threads.split(",")) if many > 1 for r in spread(files, library, many, rounds)]
        first = first_runs(files, library, 5 if o.quick else 21)
    peaks.close()
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({"bench": "encode", "ecrec": about, "rows": rows, "threads": scaling, "first": first}, f, indent=1)


if __name__ == "__main__":
    main()
