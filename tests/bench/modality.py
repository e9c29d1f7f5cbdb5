"""Modality dropout on MovieLens-small by time: what a missing text or picture costs a ranker that learned with all of them, and one that
learned with each taken for missing now and then.

    modality.py [--quick] [--json FILE] [--model all-MiniLM-L6-v2.ecrec]

Rows, split and fields as movielens.py has them, the film's text and visual vectors without the numbers derived from them; gated embeddings, towers,
attention over the user's last films and a perceptron. Each ranker is the mean score of fits with three seeds. Scored with all fields, without the visual
vector, without the text's, without both; AUC over the test rows, and the difference in each case by a paired bootstrap over users.
"""
import argparse
import json

import numpy as np
from sklearn.metrics import roc_auc_score

import ecrec
import movielens

FIELDS = [*movielens.BEHAVIOUR, {"name": "genres", "kind": "multi"}, {"name": "text", "kind": "vector", "dimension": 384}, {"name": "visual", "kind": "vector", "dimension": 7}]
NETWORK = {"width": 8, "embedding_bits": 16, "hidden": [64, 32], "gates": True, "towers": True}
CASES = (("all there", ()), ("no picture", ("visual",)), ("no text", ("text",)), ("neither", ("text", "visual")))
RATE = 0.3


def scores(context, data, fit, test, rate, seeds):
    total = [0.0] * len(CASES)
    for seed in range(1, seeds + 1):
        with ecrec.Model.ranker(context, {"fields": FIELDS, "labels": ["like"], "hash_bits": 18, "network": NETWORK}) as model:
            with movielens.batch_of(model, FIELDS, data, fit) as rows:
                model.fit(rows, **{**movielens.HOW, "seed": seed, "modality_dropout": rate})
            for k, (_, gone) in enumerate(CASES):
                with movielens.batch_of(model, [f for f in FIELDS if f["name"] not in gone], data, test) as rows:
                    total[k] = total[k] + model.score(rows).ravel() / seeds
    return total


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json")
    options.add_argument("--model", required=True)
    options = options.parse_args()
    ratings = sorted(movielens.read("ratings.csv"), key=lambda r: (int(r["timestamp"]), int(r["userId"]), int(r["movieId"])))
    if options.quick:
        ratings = ratings[:20000]
    cut = int(0.8 * len(ratings))
    with ecrec.Context(threads=1) as context:
        text, visual, genres = movielens.film_vectors(context, options.model, int(ratings[cut]["timestamp"]))
        data = movielens.records(ratings, text, visual, genres)
        fit, test = np.arange(cut), np.arange(cut, len(ratings))
        plain, dropped = (scores(context, data, fit, test, rate, 1 if options.quick else 3) for rate in (0, RATE))
    y, users = np.array(data["label"])[test], np.array(data["user"])[test]
    groups = list({u: None for u in users})
    rows_of = {u: np.flatnonzero(users == u) for u in groups}
    random = np.random.default_rng(1)
    draws = [np.concatenate([rows_of[groups[k]] for k in random.integers(0, len(groups), len(groups))]) for _ in range(100 if options.quick else 1000)]
    told = {}
    print(f"{len(fit)} rows to learn, {len(test)} to test of {len(groups)} users; AUC without and with modality dropout {RATE}, and the difference (95 %)")
    for k, (name, _) in enumerate(CASES):
        a, b = roc_auc_score(y, plain[k]), roc_auc_score(y, dropped[k])
        differences = [roc_auc_score(y[at], dropped[k][at]) - roc_auc_score(y[at], plain[k][at]) for at in draws]
        low, high = np.quantile(differences, [0.025, 0.975])
        told[name] = {"without": a, "with": b, "low": low, "high": high}
        print(f"{name:12} {a:.4f}  {b:.4f}  {b - a:+.4f} ({low:+.4f} to {high:+.4f})", flush=True)
    lost = [[roc_auc_score(y[at], s[0][at]) - roc_auc_score(y[at], s[3][at]) for at in draws] for s in (plain, dropped)]
    saved = np.subtract(*lost)
    print(f"lost where both are missing: {np.mean(lost[0]):.4f} without, {np.mean(lost[1]):.4f} with; saved {np.mean(saved):+.4f} ({np.quantile(saved, 0.025):+.4f} to {np.quantile(saved, 0.975):+.4f})")
    told["saved"] = {"mean": np.mean(saved), "low": np.quantile(saved, 0.025), "high": np.quantile(saved, 0.975)}
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


if __name__ == "__main__":
    main()
