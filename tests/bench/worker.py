"""One side of the encode bench, in a process of its own: `worker.py ecrec LIBRARY FILE.ecrec THREADS` or `worker.py onnxruntime FILE.onnx FOLDER
THREADS` (FOLDER: where that version of the package was installed; "" is the environment's own).

Reads one JSON line a request and answers one: {"prepare": case} takes the token ids of a case; {"run": name, "repeat": n} runs it n times and tells
the seconds of each; {"first": name, "repeat": n} opens the model anew n times and tells the seconds of the first run and of the fifth after each;
{"vectors": name} tells where the vectors of its last run were written (a .npy file).
A case is {"name", "rows": [[ids], ...], "batches": [[row numbers], ...]}: the batches are what a peer that pads is given one after the other.
"""
import ctypes as c
import json
import os
import sys
import tempfile
import time

import numpy as np


class Own:
    """Token ids to unit vectors by ecrec_encode_ids: pooling and normalising are in the time."""

    def __init__(self, library, path, threads):
        os.environ["ECREC_LIBRARY"] = library
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/python"))
        import ecrec
        self.ecrec, self.path = ecrec, path
        self.context = ecrec.Context(threads=threads)
        self.open()
        self.about = self.context.cpu

    def open(self):
        self.model = self.ecrec.Model.load(self.context, self.path)
        self.session = self.model._session()

    def prepare(self, case):
        ids = np.concatenate([np.asarray(r, np.uint32) for r in case["rows"]])
        starts = np.cumsum([0] + [len(r) for r in case["rows"]]).astype(np.uint64)
        out = np.empty((len(case["rows"]), self.model.dimension), np.float32)
        call = (self.model._h, self.session, c.c_void_p(ids.ctypes.data), None, c.c_void_p(starts.ctypes.data), c.c_size_t(len(out)), None,
                c.c_void_p(out.ctypes.data), c.c_uint32(out.shape[1]))
        return call, out, (ids, starts)

    def first(self, case, repeat):
        """Seconds of the first and of a later run after loading; the file is in the page cache, its pages not yet in the process."""
        pairs = []
        for _ in range(repeat):
            self.model.close()
            self.open()
            prepared = self.prepare(case)
            times = [timed(self, prepared) for _ in range(5)]
            pairs.append([times[0], times[-1]])
        return pairs

    def run(self, prepared):
        self.ecrec._call(self.ecrec._lib.ecrec_encode_ids, *prepared[0])

    def vectors(self, prepared):
        return prepared[1]


class OnnxRuntime:
    """Token ids to hidden states; the mean over the tokens is taken outside of the time, in the peer's favour."""

    def __init__(self, path, folder, threads):
        if folder:
            sys.path.insert(0, folder)
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.about = onnxruntime.__version__

    def prepare(self, case):
        feeds = []
        for batch in case["batches"]:
            longest = max(len(case["rows"][i]) for i in batch)
            ids, mask = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), np.int64)
            for at, i in enumerate(batch):
                ids[at, :len(case["rows"][i])] = case["rows"][i]
                mask[at, :len(case["rows"][i])] = 1
            feeds.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
        return {"case": case, "feeds": feeds}

    def run(self, prepared):
        prepared["states"] = [self.session.run(None, feed)[0] for feed in prepared["feeds"]]

    def vectors(self, prepared):
        rows = {}
        for batch, feed, states in zip(prepared["case"]["batches"], prepared["feeds"], prepared["states"]):
            mask = feed["attention_mask"][:, :, None]
            mean = (states * mask).sum(1) / mask.sum(1)
            rows.update(zip(batch, mean / np.linalg.norm(mean, axis=1, keepdims=True)))
        return np.stack([rows[i] for i in range(len(rows))])


clock = time.perf_counter


def timed(side, prepared):
    started = clock()
    side.run(prepared)
    return clock() - started


def main():
    global clock
    kind, *arguments, threads = sys.argv[1:]
    side = {"ecrec": Own, "onnxruntime": OnnxRuntime}[kind](*arguments, int(threads))
    cases, prepared = {}, {}
    print(json.dumps({"about": side.about}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        # one thread by its processor time: what else runs on the machine does not count, for either side
        clock = time.thread_time if threads == "1" and not request.get("wall") else time.perf_counter
        if "prepare" in request:
            cases[request["prepare"]["name"]] = request["prepare"]
            prepared[request["prepare"]["name"]] = side.prepare(request["prepare"])
            answer = {}
        elif "run" in request:
            answer = {"seconds": [timed(side, prepared[request["run"]]) for _ in range(request["repeat"])]}
        elif "first" in request:
            answer = {"seconds": side.first(cases[request["first"]], request["repeat"])}
            prepared = {name: side.prepare(case) for name, case in cases.items()}
        else:
            with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as f:
                np.save(f, side.vectors(prepared[request["vectors"]]))
            answer = {"path": f.name}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
