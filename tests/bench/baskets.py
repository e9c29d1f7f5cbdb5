"""Next week's basket of a household, ranked over all products sold before: Complete Journey (groceries) and Online Retail (by invoice time).

    baskets.py [--set completejourney|online-retail] [--quick] [--json FILE]

The cut in time: the last four whole weeks are told, each from all that was sold before it; the eight weeks before those are learned from, each again from
what was before it alone. A case is a household that bought in that week and had bought before; what it bought is relevant (of products never sold before
nothing is asked). Every product sold before is ranked: first the candidates (all that the household has bought, the 200 that sold most in the eight weeks
before, the 100 nearest by who bought what), by score, then the others by how often they sold. To learn: of each case all bought candidates, all of the
household's own products, and 40 others drawn evenly, which count for as many as they stand for. HR@10 and NDCG@10 are means over cases; the interval is of
a paired bootstrap over households. The household's own frequency is a count of its weeks, equal counts by how often the product sold.
"""
import argparse
import csv
import datetime
import gzip
import json
import os
import time

import numpy as np
import scipy.sparse as sparse

import ecrec

FOLDER = os.environ.get("ECREC_DATA", "") + "/behaviour/"
TESTED, LEARNED, POPULAR, NEAR, DRAWN, RECENT = 4, 8, 200, 100, 40, 8


def numbered(values):
    seen = {}
    return np.array([seen.setdefault(v, len(seen)) for v in values]), list(seen)


def completejourney():
    with gzip.open(FOLDER + "completejourney/products.tsv.gz", "rt") as f:
        kind = {r["product_id"]: r["product_type"] or r["department"] for r in csv.DictReader(f, delimiter="\t")}
    with gzip.open(FOLDER + "completejourney/transactions_sample.tsv.gz", "rt") as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t") if float(r["quantity"]) > 0]
    return [r["household_id"] for r in rows], [r["product_id"] for r in rows], [int(r["week"]) for r in rows], kind


def online_retail():
    with gzip.open(FOLDER + "online-retail/online_retail_2010_2011.tsv.gz", "rt", encoding="utf-8", errors="replace") as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t") if r["CustomerID"] not in ("", "0") and float(r["Quantity"]) > 0 and r["StockCode"][:1].isdigit()]
    first = datetime.date(2010, 12, 1)
    week = [(datetime.date.fromisoformat(r["InvoiceDate"][:10]) - first).days // 7 for r in rows]
    words = {r["StockCode"]: (r["Description"].split() or ["?"])[-1] for r in rows}
    return [r["CustomerID"] for r in rows], [r["StockCode"] for r in rows], week, words


class Sales:
    def __init__(self, households, products, weeks, kind):
        self.h, self.households = numbered(households)
        self.p, self.products = numbered(products)
        self.kind, self.kinds = numbered([kind.get(p, "?") for p in self.products])
        self.w = np.array(weeks)
        whole = self.w < self.w.max()  # the last week is cut off
        self.h, self.p, self.w = self.h[whole], self.p[whole], self.w[whole]

    def before(self, week):
        """What is known when a week begins."""
        return Known(self, week)

    def cases(self, week, known):
        at = self.w == week
        for h in np.unique(self.h[at]):
            bought = np.unique(self.p[at & (self.h == h)])
            bought = bought[known.sold[bought] > 0]
            if len(bought) and known.own.indptr[h] < known.own.indptr[h + 1]:
                yield h, bought


class Known:
    def __init__(self, s, week):
        shape = (len(s.households), len(s.products))
        past = s.w < week
        lines = np.unique(np.stack([s.h[past], s.p[past], s.w[past]]), axis=1)  # a product counts once a week
        h, p, w = lines
        self.week, self.sales = week, s
        self.own = sparse.csr_matrix((np.ones(len(h)), (h, p)), shape)
        self.last = {}
        for a, b, c in zip(h.tolist(), p.tolist(), w.tolist()):
            self.last[a, b] = max(c, self.last.get((a, b), -1))
        self.sold = np.bincount(p, minlength=shape[1]).astype(float)
        self.recent = np.bincount(p[w >= week - RECENT], minlength=shape[1]).astype(float)
        self.newest = np.bincount(p[w >= week - 2], minlength=shape[1]).astype(float)
        buyers = np.maximum(1, np.bincount(self.own.nonzero()[1], minlength=shape[1]))
        self.again = (self.sold - np.bincount(self.own.nonzero()[1], minlength=shape[1])) / buyers  # weeks beyond the first, a buyer
        kinds = sparse.csr_matrix((np.ones(shape[1]), (np.arange(shape[1]), s.kind)))
        self.own_kinds = (self.own @ kinds).tocsr()
        active = np.unique(np.stack([h, w]), axis=1)[0]
        self.weeks = np.bincount(active, minlength=shape[0])
        last_seen = np.zeros(shape[0], int)
        np.maximum.at(last_seen, h, w)
        self.seen = last_seen
        once = self.own.copy()
        once.data[:] = 1
        scaled = once @ sparse.diags(1 / np.sqrt(buyers))
        self.near = (scaled.T @ scaled).tocsr()  # cosine of two products by who bought them
        self.near.setdiag(0)
        self.once = once
        self.popular = np.argsort(-self.recent, kind="stable")[:POPULAR]

    def candidates(self, h):
        own = self.own.indices[self.own.indptr[h]:self.own.indptr[h + 1]]
        near = np.asarray((self.once[h] @ self.near).todense()).ravel()
        nearest = np.argpartition(-near, NEAR)[:NEAR]
        return np.unique(np.concatenate([own, self.popular, nearest[near[nearest] > 0]])), near

    def features(self, h, c, near):
        own = np.asarray(self.own[h, c].todense()).ravel()
        kinds = np.asarray(self.own_kinds[h, self.sales.kind[c]].todense()).ravel()
        since = np.array([self.week - self.last.get((h, int(p)), -200) for p in c], float)
        weeks = self.weeks[h]
        return {"own": np.log1p(own), "share": own / weeks, "since": np.where(own > 0, np.log(since), 0), "since_any": np.full(len(c), np.log(self.week - self.seen[h])),
                "weeks": np.full(len(c), np.log(weeks)), "kind_others": np.log1p(kinds - own), "recent": np.log1p(self.recent[c]), "newest": np.log1p(self.newest[c]),
                "sold": np.log1p(self.sold[c]), "again": np.log1p(self.again[c]), "near": np.log1p(near[c]), "trend": np.log1p(self.newest[c] / 2) - np.log1p(self.recent[c] / RECENT)}


BINS = {"own": [0.1, 0.8, 1.2, 1.5, 1.8, 2.2, 3], "since": [0.1, 0.8, 1.2, 1.6, 2.2, 2.8, 3.4], "share": [0.01, 0.05, 0.1, 0.2, 0.4, 0.7], "recent": [0.8, 1.5, 2.2, 3, 4, 5, 6], "kind_others": [0.1, 0.8, 1.5, 2.2]}
NUMBERS = ["own", "share", "since", "since_any", "weeks", "kind_others", "recent", "newest", "sold", "again", "near", "trend"]
CATEGORIES = ["product", "kind"] + [f"{n}_bin" for n in BINS]


def schema():
    fields = [{"name": n, "kind": "number"} for n in NUMBERS] + [{"name": n, "kind": "category"} for n in CATEGORIES]
    pairs = [["own_bin", "since_bin"], ["share_bin", "since_bin"], ["kind_others_bin", "recent_bin"], ["kind", "own_bin"], ["own_bin", "recent_bin"], ["product", "own_bin"]]
    return {"fields": fields, "labels": ["bought"], "hash_bits": 20, "network": {"pairs": pairs, "width": 8, "embedding_bits": 16, "hidden": [64, 32]}}


def columns_of(s, rows):
    p = np.concatenate([r[0] for r in rows])
    out = {n: np.concatenate([r[1][n] for r in rows]) for n in NUMBERS}
    products, kinds = np.array(s.products, object), np.array(s.kinds, object)
    out["product"], out["kind"] = products[p].tolist(), kinds[s.kind[p]].tolist()
    for n, edges in BINS.items():
        out[f"{n}_bin"] = np.array([str(i) for i in range(len(edges) + 1)], object)[np.digitize(out[n], edges)].tolist()
    return out


def measure(order, bought):
    """HR@10 and NDCG@10 of a ranked list."""
    hits = np.isin(order[:10], bought)
    discount = 1 / np.log2(np.arange(2, 12))
    return float(hits.any()), float((hits * discount[:len(hits)]).sum() / discount[:min(10, len(bought))].sum())


def ranked(known, c, scores):
    """All products sold before: the candidates by score, then the others by sales; ten are enough."""
    best = c[np.lexsort((-known.sold[c], -scores))]
    if len(best) >= 10:
        return best[:10]
    rest = np.argsort(-known.sold, kind="stable")
    return np.concatenate([best, rest[~np.isin(rest, c)]])[:10]


def run(name, load, quick):
    s = Sales(*load())
    last = s.w.max()
    random, rows, labels, weights = np.random.default_rng(1), [], [], []
    started = time.perf_counter()
    for week in range(last - TESTED - (2 if quick else LEARNED) + 1, last - TESTED + 1):
        known = s.before(week)
        for h, bought in s.cases(week, known):
            c, near = known.candidates(h)
            y = np.isin(c, bought)
            sure = y | (np.asarray(known.own[h, c].todense()).ravel() > 0)
            others = np.flatnonzero(~sure)
            drawn = random.choice(others, min(DRAWN, len(others)), replace=False)
            at = np.concatenate([np.flatnonzero(sure), drawn])
            rows.append((c[at], known.features(h, c[at], near)))
            labels.append(y[at])
            weights.append(np.concatenate([np.ones(sure.sum()), np.full(len(drawn), len(others) / max(1, len(drawn)))]))
    y, w = np.concatenate(labels).astype(np.float32), np.concatenate(weights).astype(np.float32)
    learned = columns_of(s, rows)
    print(f"{name}: {len(s.households)} households, {len(s.products)} products; {len(rows)} cases and {len(y)} rows to learn ({int(y.sum())} bought), features in {time.perf_counter() - started:.0f} s")
    figures, cases, spent = {}, [], 0.0
    with ecrec.Context(threads=1) as context, ecrec.Model.ranker(context, schema()) as model:
        with ecrec.Batch(model, learned, {"bought": y}, w / w.mean()) as batch:
            started = time.perf_counter()
            told = model.fit(batch, epochs=6, patience=1, holdout=0.1, batch_rows=512, rate=0.05, embedding_rate=0.02, network_rate=1e-3, dropout=0.1, seed=1)
            spent = time.perf_counter() - started
        peer = lightgbm(learned, y, w)
        asked = 0
        for week in range(last - TESTED + 1, last + 1):
            known = s.before(week)
            popular = np.argsort(-known.recent, kind="stable")[:10]
            of_week = [(h, bought, *known.candidates(h)) for h, bought in s.cases(week, known)]
            if quick:
                of_week = of_week[:50]
            features = [(c, known.features(h, c, near)) for h, _, c, near in of_week]
            columns = columns_of(s, features)
            with ecrec.Batch(model, columns) as batch:
                scores, other = model.score(batch).ravel(), peer(columns)
            first = 0
            for (h, bought, c, near), (_, f) in zip(of_week, features):
                at = slice(first, first + len(c))
                first += len(c)
                for who, order in (("popularity, 8 weeks", popular), ("household's own frequency", ranked(known, c, f["own"])), ("nearest by who bought what", ranked(known, c, near[c])),
                                   ("LightGBM, 200 trees", ranked(known, c, other[at])), ("ecrec", ranked(known, c, scores[at]))):
                    figures.setdefault(who, []).append(measure(order, bought))
                cases.append(h)
            asked += first
    cases = np.array(cases)
    groups = [np.flatnonzero(cases == h) for h in np.unique(cases)]
    out = {"cases": len(cases), "epochs": told["epochs"], "rows_per_second": told["rows"] * told["epochs"] / spent}
    print(f"{len(cases)} cases to tell, {asked} candidates scored; fit {told['epochs']} epochs, {out['rows_per_second']:.0f} rows/s")
    print(f"{'':28} HR@10   NDCG@10")
    for who, values in figures.items():
        out[who] = dict(zip(("hr", "ndcg"), np.mean(values, axis=0).tolist()))
        print(f"{who:28} {out[who]['hr']:.4f}  {out[who]['ndcg']:.4f}")
    for who in ("household's own frequency", "LightGBM, 200 trees"):
        difference = np.array(figures["ecrec"])[:, 1] - np.array(figures[who])[:, 1]
        draws = [difference[np.concatenate([groups[k] for k in random.integers(0, len(groups), len(groups))])].mean() for _ in range(500)]
        low, high = np.quantile(draws, [0.025, 0.975])
        out[f"ndcg over {who}"] = [low, high]
        print(f"ecrec over {who}, NDCG@10: {difference.mean():+.4f} (95 %: {low:+.4f} to {high:+.4f})", flush=True)
    return out


def lightgbm(columns, y, w):
    import lightgbm as peer
    kinds = {}
    matrix = lambda c: np.column_stack([c[n] for n in NUMBERS] + [[kinds.setdefault(k, len(kinds)) for k in c["kind"]]])
    model = peer.LGBMClassifier(n_estimators=200, learning_rate=0.05, min_child_samples=50, n_jobs=1, verbose=-1).fit(matrix(columns), y, sample_weight=w)
    return lambda c: model.predict_proba(matrix(c))[:, 1]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--set", choices=["completejourney", "online-retail"])
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json")
    options = options.parse_args()
    told = {name: run(name, load, options.quick) for name, load in (("completejourney", completejourney), ("online-retail", online_retail)) if options.set in (None, name)}
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


main()
