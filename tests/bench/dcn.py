"""An epoch and scoring of the DCN-V2-shaped network (10 fields x 10, 3 full cross layers, 400-400-400), beside PyTorch on the same rows, one thread each.

    dcn.py [--rounds 5] [--quick] [--json FILE] [--torch PYTHON]

PyTorch is that of the interpreter --torch names (default: /usr/bin/python3 with Debian's python3-torch, which takes its BLAS from the system's
libblas.so.3; when PyPI's mkl is installed beside this interpreter, MKL is put in its place). Both have mini-batches of 512, Adam, embeddings and first-order
weights for the values, and rows ready in memory: PyTorch integers, ecrec the strings as a host sets them. Seconds are of the process's processor, so that
other programs on the machine count less; medians of alternating rounds. Frappe's training rows. ECREC_LIBRARY, ECREC_DATA and PYTHONPATH as elsewhere.
"""
import argparse
import glob
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import ecrec

DATA = os.environ.get("ECREC_DATA", "")
BATCH = 512
PEER = """
import sys, time
import numpy as np, torch
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(1)
x, y = torch.from_numpy(np.load("x.npy")), torch.from_numpy(np.load("y.npy"))
values, width = int(x.max()) + 1, 10 * x.shape[1]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.table = nn.Embedding(values, 1), nn.Embedding(values, 10)
        nn.init.normal_(self.table.weight, std=0.01)
        self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        sizes = [width, 400, 400, 400]
        self.deep = nn.Sequential(*[m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.ReLU())])
        self.out = nn.Linear(width + 400, 1)
    def forward(self, x):
        z = x0 = self.table(x).flatten(1)
        for c in self.cross:
            z = x0 * c(z) + z
        return (self.out(torch.cat([z, self.deep(x0)], 1)) + self.first(x).sum(1)).squeeze(1)
net = Net()
optimiser, loss = torch.optim.Adam(net.parameters(), 1e-3), nn.BCEWithLogitsLoss()
for line in sys.stdin:
    started = time.process_time()
    order = torch.randperm(len(x))
    for i in range(0, len(x), 512):
        at = order[i:i + 512]
        optimiser.zero_grad()
        loss(net(x[at]), y[at]).backward()
        optimiser.step()
    learned = time.process_time() - started
    started = time.process_time()
    with torch.no_grad():
        for i in range(0, len(x), 1024):
            torch.sigmoid(net(x[i:i + 1024]))
    print(learned, time.process_time() - started, torch.__version__, flush=True)
"""


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json")
    options.add_argument("--torch", default="/usr/bin/python3")
    options = options.parse_args()
    if subprocess.run([options.torch, "-c", "import torch"], capture_output=True).returncode != 0:
        sys.exit(f"{options.torch} has no PyTorch (apt-get install python3-torch, or name another with --torch)")
    with gzip.open(f"{DATA}/ads/frappe/fit.libsvm.gz", "rt") as f:
        rows = [line.split() for line in f][:6000 if options.quick else None]
    y = np.array([float(r[0]) > 0 for r in rows], np.float32)
    texts = [[x.split(":")[0] for x in r[1:]] for r in rows]
    columns = {f"c{i}": [t[i] for t in texts] for i in range(10)}
    place = tempfile.TemporaryDirectory()
    codes = {}
    np.save(f"{place.name}/x.npy", np.array([[codes.setdefault((i, v), len(codes)) for i, v in enumerate(t)] for t in texts], np.int64))
    np.save(f"{place.name}/y.npy", y)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    mkl = sorted(glob.glob(f"{sys.prefix}/lib/libmkl_rt.so*"))
    if mkl:
        os.symlink(mkl[-1], f"{place.name}/libblas.so.3")
        environment["LD_LIBRARY_PATH"] = f"{place.name}:{sys.prefix}/lib"
    environment.pop("PYTHONPATH", None)
    peer = subprocess.Popen([options.torch, "-c", PEER], cwd=place.name, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    own, other, version = [], [], ""
    schema = {"fields": [{"name": n, "kind": "category"} for n in columns], "labels": ["click"], "hash_bits": 18,
              "network": {"width": 10, "embedding_bits": 16, "cross_layers": 3, "hidden": [400, 400, 400]}}
    with ecrec.Context(threads=1) as context, ecrec.Model.ranker(context, schema) as model, ecrec.Batch(model, columns, {"click": y}) as batch:
        for _ in range(2 if options.quick else options.rounds):
            started = time.process_time()
            model.fit(batch, epochs=1, batch_rows=BATCH)
            learned = time.process_time() - started
            started = time.process_time()
            model.score(batch)
            own.append((learned, time.process_time() - started))
            peer.stdin.write("go\n")
            peer.stdin.flush()
            *seconds, version = peer.stdout.readline().split()
            other.append(tuple(map(float, seconds)))
    peer.stdin.close()
    peer.wait()
    told = {"rows": len(y), "torch": version, "blas": "MKL" if mkl else "the system's"}
    print(f"{len(y)} rows, PyTorch {version} with {told['blas']} BLAS; rows/s of one thread, medians of {len(own)} rounds")
    for i, what in enumerate(("an epoch", "scoring")):
        a, b = (len(y) / statistics.median(r[i] for r in side) for side in (own, other))
        told[what] = {"ecrec": a, "torch": b, "ratio": a / b}
        print(f"{what:10} ecrec {a:9.0f}   PyTorch {b:9.0f}   {a / b:.2f}x")
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


main()
