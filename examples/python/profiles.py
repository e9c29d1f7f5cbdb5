"""User profiles, as a notebook would: from what users do to columns of a ranker, a search, and a page for the user.

    python profiles.py     a made-up shop: two kinds of shoppers, and one who changes
"""
import datetime
import os
import tempfile

import numpy as np

import ecrec

BRANDS, ITEMS, USERS, DAYS = 6, 60, 80, 40
START, DAY = datetime.datetime(2024, 3, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(days=1)
VIEW, BUY = 0, 1
SCHEMA = {"fields": [{"name": "item", "kind": "item"}, {"name": "brand", "kind": "category"}, {"name": "look", "kind": "vector", "dimension": 8},
                     {"name": "taste", "kind": "vector", "dimension": 8, "compare": "look"}, {"name": "likes", "kind": "multi"},
                     {"name": "past", "kind": "history", "dimension": 20, "event_types": 2, "compare": "item"}, {"name": "active", "kind": "number"}],
          "labels": ["buy"], "hash_bits": 14, "network": {"width": 8, "attention": 8, "hidden": [16]}}
draw = np.random.default_rng(3)
looks = draw.normal(size=(ITEMS, 8)).astype(np.float32)
looks += 2 * np.eye(8, dtype=np.float32)[np.arange(ITEMS) % BRANDS]  # items of a brand look alike
looks /= np.linalg.norm(looks, axis=1, keepdims=True)
brand = [f"brand={i % BRANDS}" for i in range(ITEMS)]


def loves(user, day):
    """The brand that a user loves; user 0 turns to another half way."""
    return (user + (3 if user == 0 and day >= DAYS // 2 else 0)) % BRANDS


with tempfile.TemporaryDirectory() as place, ecrec.Context() as context, ecrec.Model.ranker(context, SCHEMA) as model:
    profiles = ecrec.Profiles(context, dimension=8, events=20, event_types=2, type_weights=[1, 4], half_life=7 * DAY)
    said, came = {"with": [], "without": []}, []
    bare = ecrec.Model.ranker(context, {**SCHEMA, "fields": SCHEMA["fields"][:3], "network": {"width": 8, "hidden": [16]}})
    for day in range(DAYS):
        now = START + day * DAY
        users, items = draw.integers(0, USERS, 200), draw.integers(0, ITEMS, 200)
        bought = (draw.random(200) < np.where(items % BRANDS == [loves(u, day) for u in users], 0.6, 0.03)).astype(np.float32)
        item = {"item": [f"i{i}" for i in items], "brand": [brand[i] for i in items], "look": looks[items]}
        with ecrec.Batch(model, item, {"buy": bought}) as rows, ecrec.Batch(bare, item, {"buy": bought}) as plain:
            # first what was known of each user then, and only then what they did: training sees what serving sees
            profiles.fill(rows, [f"u{u}" for u in users], [now] * 200, vector="taste", traits="likes", history="past", count="active")
            if day >= DAYS // 2:
                said["with"].append(model.score(rows).ravel())
                said["without"].append(bare.score(plain).ravel())
                came.append(bought)
            for learner, batch in ((model, rows), (bare, plain)):
                learner.update(batch, passes=3, max_loss_growth=10.0, step_rows=8)
        for u, i, y in zip(users, items, bought):
            profiles.add(f"u{u}", now, f"i{i}", BUY if y else VIEW, looks[i], [brand[i]])
    auc = {name: ecrec.evaluate(context, np.concatenate(scores), np.concatenate(came))["auc"] for name, scores in said.items()}
    print(f"who buys what, days {DAYS // 2} to {DAYS - 1}, each as it was served: AUC {auc['with']:.3f} with profiles, {auc['without']:.3f} without")
    assert auc["with"] > auc["without"] + 0.1

    # what a user may ask to see
    page = profiles.report("u0", START + DAYS * DAY)
    print(f"u0, who turned from brand 0 to brand 3: {page['events']:.0f} events; " + ", ".join(f"{t['name']} {t['affinity']:.2f}" for t in page["traits"][:3]))
    assert page["traits"][0]["name"] == "brand=3"

    # a profile is a vector to search with: candidates for the ranker, exact, in the same process
    with ecrec.Index(context, looks) as index:
        best, _ = index.search(profiles.vector("u7")[None], 5)
    print("nearest to u7's taste:", ", ".join(f"i{i} ({brand[int(i)]})" for i in best[0]))

    path = os.path.join(place, "shop.profiles")
    profiles.save(path)
    assert profiles.forget("u7") and not profiles.forget("u7")
    again = ecrec.Profiles.load(context, path)
    print(f"saved: {again.info()['users']:.0f} users, {os.path.getsize(path) / 1024:.0f} KiB; forgotten: u7 is in the old file still, so save again")
