"""A replica that follows a trainer by deltas, as a notebook would: one model learns, others serve what it has learned, byte for byte.

    python replica.py     trainer and replicas in one process; the deltas could travel as files or messages
"""
import numpy as np

import ecrec

SCHEMA = {"fields": [{"name": "user", "kind": "category"}, {"name": "item", "kind": "category"}], "labels": ["click"], "hash_bits": 18}
draw = np.random.default_rng(5)


def events(n):
    user, item = draw.integers(0, 500, n), draw.integers(0, 300, n)
    return {"user": [str(v) for v in user], "item": [str(v) for v in item]}, (draw.random(n) < np.where(item % 3 == 0, 0.7, 0.2)).astype(np.float32)


with ecrec.Context() as context, ecrec.Model.ranker(context, SCHEMA) as trainer:
    trainer.save("trainer.ecrec")
    replicas = [ecrec.Model.load(context, "trainer.ecrec") for _ in range(3)]
    asked, _ = events(50)
    sent = []
    for round_number in range(10):
        columns, clicks = events(200)
        before = trainer.snapshot
        with ecrec.Batch(trainer, columns, {"click": clicks}) as batch:
            trainer.update(batch, max_loss_growth=1.0)
        delta = trainer.delta_export(before)
        sent.append(len(delta))
        for replica in replicas:
            replica.delta_apply(delta)
            replica.delta_apply(delta)  # twice is once
    with ecrec.Batch(trainer, asked) as batch:
        wanted = trainer.score(batch)
    for replica in replicas:
        with ecrec.Batch(replica, asked) as batch:
            assert replica.state == trainer.state and np.array_equal(replica.score(batch), wanted)
    print(f"{len(replicas)} replicas are at the trainer's bits after {len(sent)} deltas of {min(sent)} to {max(sent)} bytes")

    # one that missed a delta is told so, and catches up
    late = replicas[0]
    with ecrec.Batch(trainer, *(lambda c, y: (c, {"click": y}))(*events(200))) as batch:
        trainer.update(batch, max_loss_growth=1.0)
    missed = trainer.snapshot
    with ecrec.Batch(trainer, *(lambda c, y: (c, {"click": y}))(*events(200))) as batch:
        trainer.update(batch, max_loss_growth=1.0)
    try:
        late.delta_apply(trainer.delta_export(missed))
        raise SystemExit("a delta of another base was taken")
    except ecrec.Error as error:
        print("refused:", error)
    late.delta_apply(trainer.delta_export(missed - 1))  # from the last that it has to now, in one
    assert late.state == trainer.state
    print("caught up with one delta over both")
    for replica in replicas:
        replica.close()
