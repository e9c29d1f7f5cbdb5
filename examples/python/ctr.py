"""Clicks, as a notebook would: describe the records, fit with rows held out, read the report, look at why, compare two networks.

    python ctr.py [ROWS.tsv]     a header line, then the label (0 or 1) and the categories of each row, in the order of time; without: made-up rows
"""
import csv
import sys

import numpy as np

import ecrec


def made_up(n=8000, seed=1):
    """A user clicks on items of a kind, less at a high price."""
    draw = np.random.default_rng(seed)
    user, item, price = draw.integers(0, 40, n), draw.integers(0, 30, n), draw.uniform(1, 20, n)
    chance = np.where(user % 5 == item % 5, 0.8, 0.1) * (1.2 - price / 20)
    return {"user": [f"u{v}" for v in user], "item": [f"i{v}" for v in item], "price": price}, (draw.random(n) < chance).astype(np.float32)


def read(path):
    with open(path, encoding="utf-8") as f:
        header, *rows = csv.reader(f, delimiter="\t")
    return {name: [r[k] for r in rows] for k, name in enumerate(header) if k > 0}, np.array([float(r[0]) for r in rows], np.float32)


columns, click = read(sys.argv[1]) if len(sys.argv) > 1 else made_up()
fields = [{"name": name, "kind": "number" if isinstance(values, np.ndarray) else "category"} for name, values in columns.items()]
cut = int(0.8 * len(click))
part = lambda a, b: {name: values[a:b] for name, values in columns.items()}
networks = {"first order": None, "all pairs": {"pairs": "all", "unmet": True}, "pairs and a perceptron": {"pairs": "all", "unmet": True, "width": 8, "hidden": [32]}}

told = {}
with ecrec.Context(threads=2) as context:
    for name, network in networks.items():
        schema = {"fields": fields, "labels": ["click"], **({"network": network} if network else {})}
        with ecrec.Model.ranker(context, schema) as model, ecrec.Batch(model, part(0, cut), {"click": click[:cut]}) as learn, ecrec.Batch(model, part(cut, None)) as ask:
            fitted = model.fit(learn, epochs=20, patience=2, holdout=0.2, hashed_optimiser=1, decay=2.0, seed=1)  # 1: FTRL
            scores, parts = model.score(ask, contributions=True)
            told[name] = report = ecrec.evaluate(context, scores.ravel(), click[cut:], slices=columns[next(iter(columns))][cut:])
            print(f"{name}: epoch {fitted['best_epoch']} of {fitted['epochs']}, AUC {report['auc']:.4f}, log loss {report['log_loss']:.4f}, calibration {report['calibration']['ratio']:.3f}")
            if network and "hidden" in network:
                names = [f["name"] for f in fields] + ["bias"]
                best = int(scores.argmax())
                print("the highest score:", {k: v[cut + best] for k, v in columns.items()}, f"{scores[best, 0]:.3f}")
                print("  its first parts:", {n: round(float(p), 3) for n, p in zip(names, parts[best, 0])})
                print("  said and came true:", [(round(b["mean_score"], 2), round(b["mean_label"], 2)) for b in report["reliability"] if b["weight"] > 20])
                worst = max((s for s in report["slices"] if s["rows"] >= 20), key=lambda s: s["log_loss"])
                print(f"  the hardest of {len(report['slices'])} {fields[0]['name']}s: {worst['name']}, log loss {worst['log_loss']:.3f} on {worst['rows']} rows")
                model.save("ctr.ecrec")
    with ecrec.Model.load(context, "ctr.ecrec") as again, ecrec.Batch(again, part(cut, None)) as ask:
        assert np.array_equal(again.score(ask), scores), "a saved ranker scores the same bits"
if len(sys.argv) == 1:
    assert told["all pairs"]["auc"] > told["first order"]["auc"] + 0.1 and abs(told["pairs and a perceptron"]["calibration"]["ratio"] - 1) < 0.15
