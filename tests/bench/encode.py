"""Texts to vectors: ecrec beside ONNX Runtime, on all-MiniLM-L6-v2, float32 and 8 bits, with equal threads.

    encode.py --tool ECREC --library LIBECREC.SO [--threads 1,2] [--rounds N] [--quick] [--json FILE]

Both sides get the same token ids and live in processes of their own that take turns within a run, so that what else the machine does meets both;
medians are compared. ONNX Runtime is at its best: graph optimisation ALL over its transformer optimiser's fused graph, and of its two 8-bit models
the one that is faster in each case. Before anything is timed the float32 vectors of both are compared: it is the same work.
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

    def seconds(self, case, repeat):
        return self.ask(run=case, repeat=repeat)["seconds"]

    def vectors(self, case):
        path = self.ask(vectors=case)["path"]
        try:
            return np.load(path)
        finally:
            os.unlink(path)

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
    return [{"name": "1 text x 16 tokens", "rows": one, "batches": [[0]]},
            {"name": "64 texts x 32 tokens", "rows": block, "batches": whole},
            {"name": "64 texts of 5..128 tokens, peer padded", "rows": mixed, "batches": whole},
            {"name": "64 texts of 5..128 tokens, peer length-sorted", "rows": mixed, "batches": [order[i:i + SORTED_BATCH] for i in range(0, 64, SORTED_BATCH)]}]


def agreement(a, b):
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def compare(kind, own, peers, every, rounds):
    """One row a case: the sides take turns, in an order that changes."""
    out = []
    for case in every:
        name = case["name"]
        for side in (own, *peers):
            side.ask(prepare=case)
        warm = {side: min(side.seconds(name, 3)) for side in (own, *peers)}
        vectors = own.vectors(name)
        worst = min(agreement(vectors, peer.vectors(name)) for peer in peers)
        if kind == "f32" and not worst > 0.9999:
            sys.exit(f"encode.py: {name}: the float32 vectors differ (cosine {worst}): not the same work")
        times = {side: [] for side in (own, *peers)}
        for turn in range(rounds):
            for side in (own, *peers) if turn % 2 == 0 else (*peers, own):
                times[side] += side.seconds(name, max(1, min(50, int(0.05 / max(warm[side], 1e-6)))))
        median = {side: statistics.median(t) for side, t in times.items()}
        best = min(peers, key=median.get)
        tokens = sum(map(len, case["rows"]))
        out.append({"type": kind, "case": name, "ecrec_ms": median[own] * 1e3, "ecrec_p99_ms": float(np.quantile(times[own], 0.99)) * 1e3,
                    "onnxruntime_ms": median[best] * 1e3, "onnxruntime_p99_ms": float(np.quantile(times[best], 0.99)) * 1e3,
                    "onnxruntime_model": best.name, "ratio": median[best] / median[own], "ecrec_tokens_per_second": tokens / median[own],
                    "onnxruntime_tokens_per_second": tokens / median[best], "worst_cosine": worst})
    return out


def show(rows):
    print(f"{'':4} {'threads':>7} {'case':46} {'ecrec':>10} {'p99':>9} {'ONNX Runtime':>13} {'p99':>9} {'ratio':>6}  {'tokens/s':>9}  peer's model, worst cosine")
    for r in rows:
        print(f"{r['type']:4} {r['threads']:7} {r['case']:46} {r['ecrec_ms']:7.3f} ms {r['ecrec_p99_ms']:9.3f} {r['onnxruntime_ms']:10.3f} ms "
              f"{r['onnxruntime_p99_ms']:9.3f} {r['ratio']:5.2f}x  {r['ecrec_tokens_per_second']:9.0f}  {r['onnxruntime_model']}, {r['worst_cosine']:.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tool", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--model", default=os.path.join(os.environ.get("ECREC_MODELS") or os.path.expanduser("~/.cache/ecrec-models"), "all-MiniLM-L6-v2"))
    parser.add_argument("--threads", default="1", help="numbers of threads, with commas")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that the bench works")
    parser.add_argument("--json", help="write the rows to this file too")
    o = parser.parse_args()
    cache = os.path.join(os.environ.get("ECREC_PEERS") or os.path.expanduser("~/.cache/ecrec-peers"), "onnx", os.path.basename(o.model.rstrip("/")))
    subprocess.run([sys.executable, os.path.join(HERE, "onnx_bert.py"), o.model, cache], check=True)
    rows, about = [], {}
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: os.path.join(folder, kind + ".ecrec") for kind in ("f32", "s8")}
        subprocess.run([o.tool, "import", o.model, "-o", files["f32"]], check=True, capture_output=True)
        subprocess.run([o.tool, "quantize", files["f32"], "--type", "s8", "-o", files["s8"]], check=True, capture_output=True)
        for threads in o.threads.split(","):
            for kind in ("f32", "s8"):
                own = Side("ecrec", "ecrec", os.path.abspath(o.library), files[kind], threads)
                peers = [Side(name, "onnxruntime", os.path.join(cache, name + ".onnx"), threads) for name in (kind, kind + "-fused")]
                about = {"ecrec": own.about, "peer": peers[0].about}
                rows += [{**r, "threads": int(threads)} for r in compare(kind, own, peers, cases(), 3 if o.quick else o.rounds)]
                for side in (own, *peers):
                    side.close()
    print(f"{os.path.basename(o.model.rstrip('/'))}, one run, medians; {about['peer']} with all graph optimisations; ecrec: {about['ecrec']}")
    show(rows)
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({"bench": "encode", **about, "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
