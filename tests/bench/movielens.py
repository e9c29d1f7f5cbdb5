"""MovieLens-small by time: the first 80 % of the ratings are learned from, the last 20 % are told apart (4 and more, or less); three ranks of fields.

    movielens.py [--quick] [--json FILE] [--model all-MiniLM-L6-v2.ecrec]

behaviour  the film, and what was known before the row's moment: means and counts of the user's and the film's earlier ratings, and the user's last
           20 films, liked or not, with attention of the film over them (a rating's label is known to later rows of its user, as it is to a shop);
           not the user's id: of 147 test users 124 have no earlier row
+ text     the film's title, genres and earlier tags encoded by MiniLM, and as numbers its cosine to the mean of what the user liked and of what not,
           what the user gave to films like it (by cosine) beside the user's mean, and the same by genres
+ visual   the film's seven visual features, and the same three numbers from them (features minus their mean over films)

AUC over all test rows, over films that no learned row has, and within users (grouped by user); intervals are of a paired bootstrap over users. The
peer has the same numbers, genres and visual features as columns, the film as a category. ECREC_LIBRARY, ECREC_DATA, PYTHONPATH as elsewhere.
"""
import argparse
import collections
import csv
import json
import os
import time

import numpy as np
from sklearn.metrics import roc_auc_score

import ecrec

FOLDER = os.environ.get("ECREC_DATA", "") + "/behaviour/movielens-small/"
KEPT = 20


def read(name):
    with open(FOLDER + name, encoding="utf-8") as f:
        return list(csv.DictReader(f))


def film_vectors(context, model, cut):
    films = {r["movieId"]: (r["title"], r["genres"]) for r in read("movies.csv")}
    tags = collections.defaultdict(list)
    for r in read("tags.csv"):
        if int(r["timestamp"]) < cut:  # a tag of later is not known yet
            tags[r["movieId"]].append(r["tag"])
    names = list(films)
    texts = [f"{t} {g.replace('|', ', ')} {' '.join(tags[m][:8])}" for m, (t, g) in films.items()]
    with ecrec.Model.load(context, model) as encoder:
        text = dict(zip(names, encoder.encode(texts)))
    seen = {r["ML_Id"]: np.array([float(r[f"f{i}"]) for i in range(1, 8)]) for r in read("LLVisualFeatures13K_Log.csv") if r["ML_Id"] in films}
    every = np.array(list(seen.values()))
    visual = {m: ((v - every.mean(0)) / every.std(0)).astype(np.float32) for m, v in seen.items()}
    return text, visual, {m: g.split("|") for m, (_, g) in films.items()}


class Taste:
    """What a user gave to films that have vectors: sums of the liked and of the others, and all of them."""

    def __init__(self):
        self.sides, self.vectors, self.gave = [0.0, 0.0], [], []

    def tell(self, v):
        if v is None or not self.vectors:
            return [np.nan, np.nan, np.nan]
        unit = v / (np.linalg.norm(v) + 1e-9)
        near = np.exp(10 * (np.array(self.vectors) @ unit))
        return [float(unit @ s / (np.linalg.norm(s) + 1e-9)) if np.ndim(s) else np.nan for s in self.sides] + [float(near @ np.array(self.gave) / (near.sum() + near.mean()))]

    def learn(self, v, stars, mean):
        if v is not None:
            unit = v / (np.linalg.norm(v) + 1e-9)
            self.sides[stars < 4] = self.sides[stars < 4] + unit
            self.vectors.append(unit)
            self.gave.append(stars - mean)


def records(ratings, text, visual, genres):
    """Each row's fields from earlier rows alone, in the order of time."""
    users, films = collections.defaultdict(lambda: [0.0, 0, [], Taste(), Taste(), collections.defaultdict(lambda: [0.0, 0])]), collections.defaultdict(lambda: [0.0, 0])
    out = collections.defaultdict(list)
    total, count = 3.5 * 20, 20
    for r in ratings:
        u, i, stars, film = users[r["userId"]], films[r["movieId"]], float(r["rating"]), r["movieId"]
        mean = total / count
        user_mean = (u[0] + 5 * mean) / (u[1] + 5)
        own = {"user": r["userId"], "film": film, "user_mean": user_mean, "user_count": np.log1p(u[1]), "film_mean": (i[0] + 5 * mean) / (i[1] + 5), "film_count": np.log1p(i[1]),
               "past": ([f for f, _ in u[2][-KEPT:]], [good for _, good in u[2][-KEPT:]]), "text": text[film], "visual": visual.get(film, np.full(7, np.nan, np.float32)), "label": stars >= 4,
               "genre_gave": np.mean([u[5][g][0] / (u[5][g][1] + 3) for g in genres[film]]), "genres": genres[film]}
        for name, taste, v in (("text", u[3], text[film]), ("visual", u[4], visual.get(film))):
            own.update(zip((f"{name}_liked", f"{name}_not", f"{name}_gave"), taste.tell(v)))
            taste.learn(v, stars, user_mean)
        for name, value in own.items():
            out[name].append(value)
        for g in genres[film]:
            u[5][g][0] += stars - user_mean
            u[5][g][1] += 1
        u[0] += stars
        u[1] += 1
        u[2].append((film, int(stars >= 4)))
        i[0] += stars
        i[1] += 1
        total += stars
        count += 1
    return out


NUMBERS = {"behaviour": ["user_mean", "user_count", "film_mean", "film_count"], "text": ["text_liked", "text_not", "text_gave", "genre_gave"],
           "visual": ["visual_liked", "visual_not", "visual_gave"]}
numbers = lambda which: [{"name": n, "kind": "number"} for n in NUMBERS[which]]
BEHAVIOUR = [{"name": "user", "kind": "user", "no_encoding": True}, {"name": "film", "kind": "item"}, *numbers("behaviour"),
             {"name": "past", "kind": "history", "dimension": KEPT, "compare": "film", "event_types": 2}]
TEXT = [{"name": "genres", "kind": "multi"}, {"name": "text", "kind": "vector", "dimension": 384}, *numbers("text")]
VISUAL = [{"name": "visual", "kind": "vector", "dimension": 7}, *numbers("visual")]
NETWORK = {"width": 8, "embedding_bits": 16, "hidden": [64, 32]}
HOW = {"epochs": 8, "batch_rows": 256, "patience": 1, "holdout": 0.1, "rate": 0.02, "embedding_rate": 0.02, "dropout": 0.1, "network_rate": 1e-3, "network_decay": 0.01, "seed": 1}


def batch_of(model, fields, data, at):
    columns = {}
    for f in fields:
        values = [data[f["name"]][k] for k in at]
        if f["kind"] == "history":
            values = {"items": [v[0] for v in values], "types": [v[1] for v in values]}
        columns[f["name"]] = np.array(values) if f["kind"] in ("number", "vector") else values
    return ecrec.Batch(model, columns, {"like": np.array([data["label"][k] for k in at], np.float32)})


def ours(context, fields, data, fit, test):
    schema = {"fields": fields, "labels": ["like"], "hash_bits": 18, "network": NETWORK}
    with ecrec.Model.ranker(context, schema) as model, batch_of(model, fields, data, fit) as learned, batch_of(model, fields, data, test) as asked:
        started = time.perf_counter()
        told = model.fit(learned, **HOW)
        spent = time.perf_counter() - started
        return model.score(asked).ravel(), spent / told["epochs"]


def lightgbm(data, genres, names, fit, test):
    import lightgbm
    columns = [np.array(data[n]) for what in ["behaviour", *names] for n in NUMBERS[what]]
    kinds = sorted({g for own in genres.values() for g in own})
    for what in names:
        columns += list(np.array(data["visual"]).T) if what == "visual" else list(np.array([[k in genres[m] for k in kinds] for m in data["film"]], float).T)
    codes = {}
    x = np.column_stack([[codes.setdefault(m, len(codes)) for m in data["film"]]] + columns)
    y = np.array(data["label"])
    model = lightgbm.LGBMClassifier(n_estimators=200, num_leaves=31, learning_rate=0.05, min_child_samples=50, cat_smooth=50, n_jobs=1, verbose=-1)
    return model.fit(x[fit], y[fit], categorical_feature=[0]).predict_proba(x[test])[:, 1]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json")
    options.add_argument("--model", required=True)
    options = options.parse_args()
    ratings = sorted(read("ratings.csv"), key=lambda r: (int(r["timestamp"]), int(r["userId"]), int(r["movieId"])))
    if options.quick:
        ratings = ratings[:20000]
    cut = int(0.8 * len(ratings))
    with ecrec.Context(threads=1) as context:
        text, visual, genres = film_vectors(context, options.model, int(ratings[cut]["timestamp"]))
        data = records(ratings, text, visual, genres)
        fit, test = np.arange(cut), np.arange(cut, len(ratings))
        known = set(data["film"][:cut])
        new = np.array([m not in known for m in data["film"][cut:]])
        y, users = np.array(data["label"])[test], np.array(data["user"])[test]
        groups = list({u: None for u in users})
        rows_of = {u: np.flatnonzero(users == u) for u in groups}
        print(f"{len(fit)} rows to learn, {len(test)} to test of {len(groups)} users, {new.sum()} of films unseen in training; {y.mean():.3f} liked")
        print(f"{'':26}  AUC     unseen films  within users  seconds an epoch")
        told, kept = {}, {}

        def tell(name, scores, seconds):
            report = ecrec.evaluate(context, scores, y, groups=users)
            kept[name] = scores
            told[name] = {"auc": report["auc"], "unseen": roc_auc_score(y[new], scores[new]), "grouped": report["grouped"]["auc"], "log_loss": report["log_loss"]}
            print(f"{name:26}  {report['auc']:.4f}  {told[name]['unseen']:.4f}        {report['grouped']['auc']:.4f}        {seconds:.1f}", flush=True)

        means = np.array(data["film_mean"])[test] + np.array(data["user_mean"])[test]
        tell("user's mean + film's mean", (means - means.min()) / (means.max() - means.min()), 0)
        for name, fields in (("behaviour", BEHAVIOUR), ("+ text", BEHAVIOUR + TEXT), ("+ text + visual", BEHAVIOUR + TEXT + VISUAL)):
            tell(name, *ours(context, fields, data, fit, test))
        for name, extra in (("LightGBM, behaviour", []), ("LightGBM, + text", ["text"]), ("LightGBM, + text + visual", ["text", "visual"])):
            tell(name, lightgbm(data, genres, extra, fit, test), 0)
        random = np.random.default_rng(1)
        for a, b in (("+ text", "behaviour"), ("+ text + visual", "+ text"), ("+ text + visual", "LightGBM, + text + visual")):
            for what, chosen in (("all", np.ones(len(y), bool)), ("unseen films", new)):
                draws = []
                for _ in range(50 if options.quick else 500):
                    at = np.concatenate([rows_of[groups[k]] for k in random.integers(0, len(groups), len(groups))])
                    at = at[chosen[at]]
                    draws.append(roc_auc_score(y[at], kept[a][at]) - roc_auc_score(y[at], kept[b][at]))
                low, high = np.quantile(draws, [0.025, 0.975])
                told[f"{a} over {b}, {what}"] = [low, high]
                print(f"{a} over {b}, {what}: {np.mean(draws):+.4f} (95 %: {low:+.4f} to {high:+.4f})")
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


if __name__ == "__main__":
    main()
