"""Labels that come late, as a notebook would: log what was served, join what came, learn from it as it was served.

    python impressions.py     a made-up shop: an order comes up to three days after the click; whoever waits less counts orders as none
"""
import datetime
import os
import tempfile

import numpy as np

import ecrec

SCHEMA = {"fields": [{"name": "user", "kind": "user"}, {"name": "item", "kind": "item"}], "labels": ["order"], "hash_bits": 12}
DAYS, SHOWN, ITEMS, USERS = 60, 400, 8, 50
START, HOUR = datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(hours=1)
draw = np.random.default_rng(11)
rate = np.linspace(0.02, 0.30, ITEMS)  # of each item: how many of those who see it order it


def run(context, path, **options):
    """Two months: each day clicks are served and logged, the orders of the days before come, and what is ripe is learned. The ranker."""
    draw.bit_generator.state = np.random.default_rng(11).bit_generator.state
    model = ecrec.Model.ranker(context, SCHEMA)
    model.online(events=65536)  # an event that comes again, after a crash say, counts once
    with ecrec.Impressions(context, model, path, **options) as log:
        coming = []
        for day in range(DAYS):
            now = START + 24 * day * HOUR
            items = draw.integers(0, ITEMS, SHOWN)
            ids = [f"{day}/{i}" for i in range(SHOWN)]
            columns = {"user": [f"u{v}" for v in draw.integers(0, USERS, SHOWN)], "item": [f"i{v}" for v in items]}
            with ecrec.Batch(model, columns, events=ids) as shown:
                log.add(shown, model.score(shown), model.snapshot, now)
            late = draw.exponential(30, SHOWN)  # hours
            coming += [(now + hours * HOUR, event) for event, hours, order in zip(ids, late, draw.random(SHOWN) < rate[items]) if order and hours < 72]
            tonight = now + 23 * HOUR
            came, coming = [v for v in coming if v[0] <= tonight], [v for v in coming if v[0] > tonight]
            for when, event in sorted(came):
                log.label("order", [event], [1], when)
            ripe = log.take(tonight)
            if ripe is not None:
                batch, served, _ = ripe
                with batch:
                    model.update(batch, served=served, max_loss_growth=10.0, learning_rate=0.05)
                log.done()
        told = log.info()
    return model, told


def said(model):
    """Of each item, over all users."""
    with ecrec.Batch(model, {"user": [f"u{v}" for v in range(USERS)] * ITEMS, "item": [f"i{v}" for v in range(ITEMS) for _ in range(USERS)]}) as rows:
        return model.score(rows).reshape(ITEMS, USERS).mean(axis=1)


with tempfile.TemporaryDirectory() as place, ecrec.Context() as context:
    day = datetime.timedelta(days=1)
    within = rate * (1 - np.exp(-72 / 30))  # orders that come within the window of three days: what is asked for
    for name, options in (("three days' patience", dict(window=3 * day)), ("six hours, as it comes", dict(window=3 * day, timeout=6 * HOUR)),
                          ("six hours, corrected", dict(window=3 * day, timeout=6 * HOUR, correction=1))):
        model, told = run(context, os.path.join(place, name.replace(" ", "_")), **options)
        with model:
            print(f"{name}: joined {told['joined']}, too late {told['too_late']}; orders a 100 shown, said / true: "
                  f"{100 * said(model).mean():.1f} / {100 * within.mean():.1f}")
            last = said(model)  # who is patient learns no "none" in the first three days, which is why that one says a little more
    assert abs(last.mean() - within.mean()) < 0.01 and last[-1] - last[0] > 0.15

    # the file outlives the process: it is all there, and can be learned from anew, as of any day
    path = os.path.join(place, "six_hours,_corrected")
    with ecrec.Model.ranker(context, SCHEMA) as anew, ecrec.Impressions(context, anew, path, window=3 * day) as log:
        batch, served, snapshots = log.rows(as_of=START + 55 * day)
        with batch:
            anew.fit(batch, epochs=5)
            print(f"read again: {log.opened['impressions']} impressions; {batch.rows} of them were ripe on day 55, served by {len(set(snapshots))} snapshots")
        gone = log.forget("user", "u7")
        print(f"forgotten: {gone} impressions of u7")
        assert gone > 0 and log.info()["impressions"] == log.opened["impressions"] - gone
