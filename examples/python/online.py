"""Learning online, as a notebook would: score, answer, learn when labels come; a journal, a rollback, and what an update is worth.

    python online.py     a made-up stream whose meaning turns half way
"""
import os
import tempfile

import numpy as np

import ecrec

ROUNDS, ROWS, USERS, ITEMS = 300, 20, 20, 12
SCHEMA = {"fields": [{"name": "user", "kind": "category"}, {"name": "item", "kind": "category"}], "labels": ["click"], "hash_bits": 14, "network": {"pairs": "all"}}
draw = np.random.default_rng(7)


def happen(round_number):
    """Who saw what, and whether they clicked; from half way on users like other items."""
    user, item = draw.integers(0, USERS, ROWS), draw.integers(0, ITEMS, ROWS)
    liked = (user + (2 if round_number >= ROUNDS // 2 else 0)) % 4 == item % 4
    return {"user": [str(v) for v in user], "item": [str(v) for v in item]}, (draw.random(ROWS) < np.where(liked, 0.85, 0.05)).astype(np.float32)


with tempfile.TemporaryDirectory() as place, ecrec.Context() as context:
    journal = os.path.join(place, "online.journal")
    with ecrec.Model.ranker(context, SCHEMA) as model:
        model.save(os.path.join(place, "start.ecrec"))
        model.journal_open(journal)
        served, came = [], []
        for number in range(ROUNDS):
            columns, clicks = happen(number)
            with ecrec.Batch(model, columns) as asked:
                scores = model.score(asked).ravel()  # what the visitor gets
            with ecrec.Batch(model, columns, {"click": clicks}) as learned:  # later
                model.update(learned, learning_rate=1.0, max_loss_growth=1.0)
            served.append(scores)
            came.append(clicks)
        for sixth in range(6):
            at = slice(sixth * ROUNDS // 6, (sixth + 1) * ROUNDS // 6)
            report = ecrec.evaluate(context, np.concatenate(served[at]), np.concatenate(came[at]))
            print(f"rounds {at.start:3} to {at.stop - 1:3}, as served: AUC {report['auc']:.3f}, log loss {report['log_loss']:.3f}{'   (the turn)' if sixth == 3 else ''}")
        assert report["auc"] > 0.75
        state = model.state

        # a spoilt batch: the guard refuses it, and nothing has changed
        with ecrec.Batch(model, {"user": ["3"] * 200, "item": ["3"] * 100 + ["7"] * 100}, {"click": draw.integers(0, 2, 200).astype(np.float32)}) as spoilt:
            try:
                model.update(spoilt, learning_rate=50.0, max_loss_growth=0.01)
                print("the spoilt batch was taken")
            except ecrec.Error as error:
                print("refused:", error)
        assert model.state == state

        # a slip: learned, noticed, undone
        kept = model.snapshot
        with ecrec.Batch(model, *[{"user": ["1"], "item": ["1"]}, {"click": [0.0]}]) as slip:
            model.update(slip, max_loss_growth=10.0)
        assert model.state != state
        model.rollback(kept)
        assert model.state == state
        print(f"rolled back to snapshot {kept}, the same bits")
    with ecrec.Model.load(context, os.path.join(place, "start.ecrec")) as again:  # the process ended here and starts anew
        told = again.journal_open(journal)
        assert again.state == state
        print(f"recovered: {told['replayed']} records replayed, the same bits")
