"""Exact top-10 of many vectors beside usearch and faiss at the same precision, one query and many, in one alternating run; medians.

The share is of the bytes a second that this processor reads from memory in order, measured between the searches."""
import argparse
import ctypes
import json
import os
import statistics
import sys
import threading
import time

import faiss
import numpy as np
import usearch
from usearch.index import MetricKind, search as usearch_search

import ecrec

K = 10


def bandwidth(peak, data, threads, level):
    """10^9 bytes a second, every thread reading its part."""
    pieces, rates = np.array_split(data.reshape(-1).view(np.uint8), threads), [0.0] * threads

    def read(i):
        rates[i] = peak.peak_read(ctypes.c_void_p(pieces[i].ctypes.data), ctypes.c_size_t(pieces[i].nbytes), ctypes.c_uint32(level))

    workers = [threading.Thread(target=read, args=(i,)) for i in range(threads)]
    [w.start() for w in workers]
    [w.join() for w in workers]
    return sum(rates)


class Faiss:
    """Flat for float32; scalar quantizers, which decode as they compare, for the others."""

    def __init__(self, data, kind):
        self.data, self.index = data, None
        if kind != "f32":
            q = faiss.ScalarQuantizer
            self.index = faiss.IndexScalarQuantizer(data.shape[1], {"f16": q.QT_fp16, "s8": q.QT_8bit_direct_signed}[kind], faiss.METRIC_INNER_PRODUCT)
            for i in range(0, len(data), 50000):
                self.index.add(data[i:i + 50000].astype(np.float32))

    def search(self, queries):
        if self.index is None:
            return faiss.knn(queries, self.data, K, faiss.METRIC_INNER_PRODUCT)[1]
        return self.index.search(queries, K)[1]


def make(kind, count, dimension):
    """Rows as they are stored, and queries that 8 bits hold exactly: so all compare the same numbers."""
    random = np.random.default_rng(1)
    data = np.empty((count, dimension), {"f32": np.float32, "f16": np.float16, "s8": np.int8}[kind])
    for i in range(0, count, 50000):
        part = random.standard_normal((min(50000, count - i), dimension), np.float32)
        part /= np.abs(part).max(axis=1, keepdims=True) if kind == "s8" else np.linalg.norm(part, axis=1, keepdims=True)
        data[i:i + 50000] = np.rint(part * 127) if kind == "s8" else part
    queries = random.standard_normal((64, dimension), np.float32)
    queries = np.rint(queries / np.abs(queries).max(axis=1, keepdims=True) * 127).astype(np.float32)
    return data, queries


def seconds(call, threads):
    """Processor time where one thread works: other programs do not count. It is what the bandwidth is measured in too."""
    clock = time.process_time if threads == 1 else time.perf_counter
    begin = clock()
    call()
    return clock() - begin


def compare(peak, kind, data, queries, threads, rounds, flat):
    rows = []
    with ecrec.Context(threads=threads) as context, ecrec.Index(context, data) as index:
        level = ecrec._lib.ecrec_context_cpu(context._h)
        faiss.omp_set_num_threads(threads)
        for n in (1, len(queries)):
            asked = queries[:n]
            typed = asked.astype(data.dtype)
            sides = {"ecrec": lambda: index.search(asked, K)[0], "faiss": lambda: flat.search(asked),
                     "usearch": lambda: np.atleast_2d(usearch_search(data, typed, K, MetricKind.IP, exact=True, threads=threads).keys)}
            found = {side: call().astype(np.uint64) for side, call in sides.items()}
            same = {side: np.mean([len(set(a) & set(b)) / K for a, b in zip(found["ecrec"], f)]) for side, f in found.items()}
            if not same["faiss"] > 0.97:
                sys.exit(f"search.py: {kind}: faiss finds other vectors ({same['faiss']:.3f} are the same): not the same work")
            times, rates = {side: [] for side in sides}, []
            for turn in range(rounds):
                for side in list(sides)[::1 if turn % 2 == 0 else -1]:
                    times[side].append(seconds(sides[side], threads))
                rates.append(bandwidth(peak, data, threads, level))
            median = {side: statistics.median(t) for side, t in times.items()}
            rows.append({"type": kind, "vectors": len(data), "dimension": data.shape[1], "threads": threads, "queries": n, "cpu": context.cpu,
                         "ecrec_ms": median["ecrec"] * 1e3, "usearch_ms": median["usearch"] * 1e3, "faiss_ms": median["faiss"] * 1e3,
                         "gb_per_second": data.nbytes / median["ecrec"] * 1e-9, "read_gb_per_second": statistics.median(rates),
                         "gops": 2 * n * data.size / median["ecrec"] * 1e-9, "same_as_usearch": float(same["usearch"]), "same_as_faiss": float(same["faiss"])})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peak", required=True, help="the library of tests/bench/peak.c")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--types", default="s8,f16,f32")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json")
    o = parser.parse_args()
    peak, rows = ctypes.CDLL(os.path.abspath(o.peak)), []
    peak.peak_read.restype = ctypes.c_double
    print(f"exact top-{K} of {o.count} x {o.dimension}, inner product, one run, medians; usearch {usearch.__version__}, faiss {faiss.__version__}")
    print(f"{'':4} {'threads':>7} {'queries':>7} {'ecrec':>11} {'usearch':>11} {'faiss':>11} {'over':>7} {'over':>7} {'read':>10} {'of memory':>9} {'GOP/s':>7}  the same found")
    for kind in o.types.split(","):
        data, queries = make(kind, o.count, o.dimension)
        flat = Faiss(data, kind)
        for threads in o.threads.split(","):
            for r in compare(peak, kind, data, queries, int(threads), 3 if o.quick else o.rounds, flat):
                rows.append(r)
                print(f"{kind:4} {r['threads']:7} {r['queries']:7} {r['ecrec_ms']:8.2f} ms {r['usearch_ms']:8.2f} ms {r['faiss_ms']:8.2f} ms {r['usearch_ms'] / r['ecrec_ms']:6.2f}x "
                      f"{r['faiss_ms'] / r['ecrec_ms']:6.2f}x {r['gb_per_second']:5.1f} GB/s {100 * r['gb_per_second'] / r['read_gb_per_second']:8.1f}% {r['gops']:7.0f}  "
                      f"{r['same_as_usearch']:.3f}, {r['same_as_faiss']:.3f}", flush=True)
        del flat, data
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({"bench": "search", "peers": f"usearch {usearch.__version__}, faiss {faiss.__version__}", "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
