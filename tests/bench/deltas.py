"""frappe, first order, learned by 8 workers on a shard each and merged by their deltas: in one round, and in 50 rounds; beside one worker.

    deltas.py [--shards 8] [--rounds 50]

ECREC_LIBRARY names the library, ECREC_DATA the data, PYTHONPATH has examples/python.
"""
import argparse
import gzip
import os

import numpy as np
from sklearn.metrics import roc_auc_score

import ecrec

DATA = os.environ.get("ECREC_DATA", "")


def rows_of(name):
    with gzip.open(f"{DATA}/ads/frappe/{name}.libsvm.gz", "rt") as file:
        rows = [line.split() for line in file]
    return np.array([float(r[0]) > 0 for r in rows], np.float32), np.array([[x.split(":")[0] for x in r[1:]] for r in rows])


def batch(model, labels, rows, at):
    return ecrec.Batch(model, {f"c{i}": list(rows[at, i]) for i in range(rows.shape[1])}, {"click": labels[at]})


def auc(model, test):
    with batch(model, *test, np.arange(len(test[0]))) as b:
        return roc_auc_score(test[0], model.score(b).ravel())


def alone(context, schema, fit, test, parts):
    model = ecrec.Model.ranker(context, schema)
    for at in parts:
        with batch(model, *fit, at) as b:
            model.update(b, max_loss_growth=100)
    return auc(model, test)


def together(context, schema, fit, test, shards, rounds):
    """A round: each worker learns its part of the round's rows from the common state, the deltas are merged, all take the result."""
    workers = [ecrec.Model.ranker(context, schema) for _ in range(shards)]
    sent = 0
    for at in np.array_split(np.arange(len(fit[0])), rounds):
        base, deltas = [w.snapshot for w in workers], []
        for k, w in enumerate(workers):
            with batch(w, *fit, at[k::shards]) as b:
                w.update(b, max_loss_growth=100)
            deltas.append(w.delta_export(base[k]))
        merged = workers[0].delta_merge(deltas)
        sent += sum(map(len, deltas)) + len(merged)
        for w, number in zip(workers, base):
            w.rollback(number)
            w.delta_apply(merged)
    assert len({w.state for w in workers}) == 1
    return auc(workers[0], test), sent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=50)
    a = parser.parse_args()
    fit, test = rows_of("fit"), rows_of("test")
    with ecrec.Context() as context:
        schema = ecrec.Schema(context, {"fields": [{"name": f"c{i}", "kind": "category"} for i in range(fit[1].shape[1])], "labels": ["click"], "hash_bits": 18})
        one = alone(context, schema, fit, test, np.array_split(np.arange(len(fit[0])), a.rounds))
        print(f"one worker, {a.rounds} updates: AUC {one:.4f}")
        for rounds in (1, a.rounds):
            score, sent = together(context, schema, fit, test, a.shards, rounds)
            print(f"{a.shards} workers, {rounds} rounds: AUC {score:.4f} ({score - one:+.4f}), {sent / 1e6:.1f} MB sent")


if __name__ == "__main__":
    main()
