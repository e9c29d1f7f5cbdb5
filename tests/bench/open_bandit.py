"""Open Bandit, men: a click model from logged impressions with their propensities, and what the policy it leads to would have earned.

    open_bandit.py [--json FILE]

The model learns from the log of one policy (Bernoulli Thompson sampling: 10,000 impressions, 69 clicks), each impression counted 1 / its propensity (at most
ten times the mean, and scaled to a mean of 1), so that what the logging policy showed often does not count more. The policy takes item a with probability
0.1 / 34 + 0.9 softmax(logit of a). Its value is told on the other log (uniform over the 34 items), which nothing was learned from:
  SNIPS          sum of w r over sum of w, w = pi(a) / propensity (Swaminathan and Joachims, NeurIPS 2015)
  doubly robust  mean of sum_a pi(a) q(a) + w (r - q(a)), q the click model (Dudik, Langford, Li, ICML 2011)
Intervals are of a bootstrap over impressions. There are 46 clicks in the telling log: this shows that the pieces fit, it is no ranking of methods.
"""
import argparse
import csv
import gzip
import json
import os
import time

import numpy as np
from sklearn.metrics import roc_auc_score

import ecrec

FOLDER = os.environ.get("ECREC_DATA", "") + "/ads/open-bandit-men/"
USER = [f"user_feature_{i}" for i in range(4)]
ITEMS = 34


def log_of(name):
    with gzip.open(f"{FOLDER}{name}/men.csv.gz", "rt") as f:
        rows = list(csv.DictReader(f))
    return rows, np.array([int(r["click"]) for r in rows], np.float32), np.array([float(r["propensity_score"]) for r in rows])


def features_of(name):
    with open(f"{FOLDER}{name}/item_context.csv") as f:
        return {r["item_id"]: float(r["item_feature_0"]) for r in csv.DictReader(f)}


def columns(rows, items, price):
    """Fields of each row when `items` are shown; the hashes of item features are of each log alone, so that only the number is used."""
    return {"item": items, "position": [r["position"] for r in rows], "price": np.array([price[i] for i in items]),
            "affinity": np.array([float(r[f"user-item_affinity_{i}"]) for r, i in zip(rows, items)]), **{u: [r[u] for r in rows] for u in USER}}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--json")
    options = options.parse_args()
    rows, clicks, propensity = log_of("bts")
    asked, earned, chance = log_of("random")
    price = features_of("bts"), features_of("random")
    fields = [{"name": n, "kind": "category"} for n in ("position", *USER)] + [{"name": "item", "kind": "item"}, {"name": "price", "kind": "number"}, {"name": "affinity", "kind": "number"}]
    weights = np.minimum(1 / propensity, 10 * (1 / propensity).mean()).astype(np.float32)
    with ecrec.Context(threads=1) as context, ecrec.Model.ranker(context, {"fields": fields, "labels": ["click"], "hash_bits": 14}) as model:
        with ecrec.Batch(model, columns(rows, [r["item_id"] for r in rows], price[0]), {"click": clicks}, weights / weights.mean()) as batch:
            started = time.perf_counter()
            model.fit(batch, epochs=3, rate=0.02, decay=1e-4, batch_rows=64, seed=1)
            spent = time.perf_counter() - started
        logits = np.empty((len(asked), ITEMS))
        for item in range(ITEMS):
            with ecrec.Batch(model, columns(asked, [str(item)] * len(asked), price[1])) as batch:
                logits[:, item] = model.score(batch, logits=True).ravel()
    shown = np.array([int(r["item_id"]) for r in asked])
    at = np.arange(len(asked)), shown
    q = 1 / (1 + np.exp(-logits))
    policy = np.exp(logits - logits.max(1, keepdims=True))
    policy = 0.1 / ITEMS + 0.9 * policy / policy.sum(1, keepdims=True)
    w = policy[at] / chance
    robust = (policy * q).sum(1) + w * (earned - q[at])
    random, draws = np.random.default_rng(1), {"logged": [], "snips": [], "dr": []}
    for _ in range(2000):
        k = random.integers(0, len(asked), len(asked))
        draws["logged"].append(earned[k].mean())
        draws["snips"].append((w[k] * earned[k]).sum() / w[k].sum())
        draws["dr"].append(robust[k].mean())
    told = {"logged": earned.mean(), "snips": (w * earned).sum() / w.sum(), "dr": robust.mean()}
    interval = {name: np.quantile(values, [0.025, 0.975]) for name, values in draws.items()}
    size = w.sum() ** 2 / (w * w).sum()
    print(f"learned from {len(rows)} impressions, {int(clicks.sum())} clicks (rate {clicks.mean():.5f}), {3 * len(rows) / spent:.0f} rows/s; told on {len(asked)}, {int(earned.sum())} clicks")
    print(f"click model on the other log: AUC {roc_auc_score(earned, q[at]):.3f}, mean of its probabilities {q[at].mean():.5f}")
    for name, title in (("logged", "uniform policy, as logged"), ("snips", "learned policy, SNIPS"), ("dr", "learned policy, doubly robust")):
        print(f"{title:32} {told[name]:.5f}  (95 %: {interval[name][0]:.5f} to {interval[name][1]:.5f})")
    print(f"effective impressions of the learned policy: {size:.0f}")
    difference = np.array(draws["dr"]) - np.array(draws["logged"])
    print(f"doubly robust less logged: {told['dr'] - told['logged']:+.5f} (95 %: {np.quantile(difference, 0.025):+.5f} to {np.quantile(difference, 0.975):+.5f})")
    if options.json:
        with open(options.json, "w") as f:
            json.dump({name: [float(told[name]), *map(float, interval[name])] for name in told}, f, indent=1)


main()
