"""Learning at its defaults on ordinary rows of every awkward kind: nothing is refused, the progressive loss stays at or below that of
the label's base rate, and what can be learned is learned.

usage: learn_robust.py LIBRARY FOLDER_OF_MODULE [WORD IN A CASE'S NAME]
"""
import math
import os
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not there")
    sys.exit(77)
library, module = sys.argv[1:3]
os.environ["ECREC_LIBRARY"] = library
sys.path.insert(0, module)
sys.dont_write_bytecode = True
import ecrec  # noqa: E402

failures = []


def logistic(z):
    return 1 / (1 + np.exp(-z))


def entropy(y):
    p = float(np.mean(y))
    return 0.0 if p in (0, 1) else -p * math.log(p) - (1 - p) * math.log(1 - p)


def auc(p, y):
    order = np.argsort(p, kind="stable")
    values, ranks = np.asarray(p)[order], np.empty(len(p))
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    ends = np.r_[starts[1:], len(p)]
    for a, b in zip(starts, ends):
        ranks[order[a:b]] = (a + b - 1) / 2
    positive = y > 0.5
    n, m = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - n * (n - 1) / 2) / (n * m) if n and m else math.nan


def number(*names):
    return [{"name": n, "kind": "number"} for n in names]


def category(*names):
    return [{"name": n, "kind": "category"} for n in names]


WORDS = "red blue green old new warm cold soft large small shirt shoe hat coat scarf glove sock belt ring watch".split()


def texts(rng, n):
    return [" ".join(rng.choice(WORDS, 4)) for _ in range(n)]


def has(values, word):
    return np.array([word in v.split() for v in values])


GRAMS = {"name": "text", "kind": "text", "no_encoding": True, "word_ngrams": 1, "char_ngrams": 3}
cases = []


def case(name, fields, rows, batches, gap=None, slack=0.0, order=None, loss=True):
    """rows: how many to learn from; gap: by how much the AUC on new rows may be below that of the true probabilities (None: not asked);
    slack: nats above the base rate's entropy that the progressive loss may be; loss: whether it is asked at all."""
    def add(make):
        cases.append((name, fields, rows, batches, gap, slack, order, loss, make))
        return make
    return add


@case("normal number", number("x"), 2000, (1, 100, 2000), 0.01)
def _(rng, n):
    x = rng.normal(size=n)
    return {"x": x}, logistic(2 * x)


@case("number of a large offset", number("x"), 2000, (1, 100, 2000), 0.01)
def _(rng, n):
    x = rng.normal(size=n)
    return {"x": 1e6 + x}, logistic(2 * x)


@case("timestamps as numbers", number("t"), 2000, (1, 100, 2000), 0.01)
def _(rng, n):
    x = rng.uniform(-1, 1, n)
    return {"t": 1.7e15 + np.round(x * 4.3e12)}, logistic(4 * x)


@case("timestamps that only grow", number("t") + category("c"), 2000, (1, 100, 2000), 0.03)
def _(rng, n):
    c = rng.integers(0, 5, n)
    return {"t": 1.7e15 + np.cumsum(rng.exponential(6e7, n)), "c": [f"c{v}" for v in c]}, logistic(2.0 * (c - 2))


@case("prices from 1e-3 to 1e6", number("x"), 3000, (1, 100, 3000), 0.03)
def _(rng, n):
    x = rng.uniform(-3, 6, n)
    return {"x": 10.0 ** x}, logistic(1.5 * (x - 1.5))


@case("heavy tails", number("x"), 3000, (1, 100, 3000), 0.03)
def _(rng, n):
    x = rng.standard_t(1, n)
    return {"x": x}, logistic(2 * np.clip(x, -2, 2))


@case("heavy tails beside noise of heavy tails", number("x", "y", "z"), 3000, (1, 100), 0.05)
def _(rng, n):
    x = rng.normal(size=n)
    return {"x": x, "y": rng.standard_t(1, n), "z": np.exp(4 * rng.normal(size=n))}, logistic(2 * x)


@case("a binary number", number("x"), 1000, (1, 50, 1000), 0.01)
def _(rng, n):
    x = rng.integers(0, 2, n)
    return {"x": x.astype(float)}, np.where(x == 1, 0.8, 0.2)


@case("a rare binary number", number("x"), 3000, (1, 50, 3000), 0.02)
def _(rng, n):
    x = rng.random(n) < 0.02
    return {"x": x.astype(float)}, np.where(x, 0.9, 0.3)


@case("a constant number", number("x"), 1000, (1, 50, 1000), None, 0.02)
def _(rng, n):
    return {"x": np.full(n, 37.0)}, np.full(n, 0.3)


@case("a constant number, then another", number("x"), 1000, (1, 50, 1000), None, 0.02)
def _(rng, n):
    return {"x": np.where(np.arange(n) < n // 2, 37.0, 41.0)}, np.full(n, 0.3)


@case("ten numbers of noise", number(*"abcdefghij"), 1000, (1, 50, 1000), None, 0.04)
def _(rng, n):
    return {c: rng.normal(size=n) for c in "abcdefghij"}, np.full(n, 0.5)


@case("thirty numbers, three of use", number(*(f"n{i}" for i in range(30))), 3000, (1, 3000), 0.03)
def _(rng, n):
    x = rng.normal(size=(n, 30))
    return {f"n{i}": x[:, i] for i in range(30)}, logistic(x[:, 0] - x[:, 1] + x[:, 2])


@case("a missing number half of the time", number("x"), 2000, (1, 100, 2000), 0.02)
def _(rng, n):
    x, gone = rng.normal(size=n), rng.random(n) < 0.5
    return {"x": np.where(gone, np.nan, x)}, np.where(gone, 0.7, logistic(2 * x))


@case("a sorted number", number("x"), 300, (1, 50, 300), 0.02, 0.3, "x")
def _(rng, n):
    x = rng.uniform(0, 100, n)
    return {"x": x}, logistic((x - 50) / 10)


@case("a sorted number, weak", number("x"), 300, (1, 50, 300), 0.02, 0.05, "x")
def _(rng, n):
    x = rng.uniform(0, 100, n)
    return {"x": x}, logistic((x - 50) / 25)


@case("steps of price and n-grams", number("x") + [GRAMS], 50, (1, 10, 50), None, 0.3, "x")
def _(rng, n):
    t = texts(rng, n)
    x = rng.integers(1, 10, n) * 10.0
    return {"x": x, "text": t}, np.where(has(t, "red") | (x > 60), 0.9, 0.1)


@case("steps of price and n-grams, many", number("x") + [GRAMS], 2000, (1, 50, 2000), 0.05, 0.05, "x")
def _(rng, n):
    t = texts(rng, n)
    x = rng.integers(1, 10, n) * 10.0
    return {"x": x, "text": t}, np.where(has(t, "red") | (x > 60), 0.9, 0.1)


@case("n-grams", [GRAMS], 2000, (1, 100, 2000), 0.03)
def _(rng, n):
    t = texts(rng, n)
    return {"text": t}, np.where(has(t, "red"), 0.9, 0.2)


@case("integers as categories", category("u", "i"), 5000, (1, 100, 5000), 0.06, 0.02)
def _(rng, n):
    u, i = rng.integers(0, 50, n), rng.integers(0, 50, n)
    taste = np.random.default_rng(1).normal(size=(2, 50))
    return {"u": [str(v) for v in u], "i": [str(v) for v in i]}, logistic(1.5 * (taste[0, u] + taste[1, i]))


@case("a category a row", category("id") + number("x"), 2000, (1, 2000), 0.02)
def _(rng, n):
    x = rng.normal(size=n)
    return {"id": [str(v) for v in rng.integers(0, 2**62, n)], "x": x}, logistic(2 * x)


def vector_case(name, d, scale, offset, gap=0.03, rows=3000, strength=2.5, slack=0.0):
    @case(name, [{"name": "v", "kind": "vector", "dimension": d}], rows, (1, 100, rows), gap, slack)
    def _(rng, n):
        v = rng.normal(size=(n, d))
        w = np.random.default_rng(2).normal(size=d)
        return {"v": (v * scale + offset).astype(np.float32)}, logistic(strength * v @ w / np.linalg.norm(w))


vector_case("vectors N(0, 1) of 16", 16, 1, 0)
vector_case("vectors N(0, 5) of 8", 8, 5, 0)
vector_case("vectors N(0, 5) of 64", 64, 5, 0, 0.06)
vector_case("vectors of 2, values in the hundreds", 2, 100, 300, 0.05)
vector_case("vectors of 16, values in the hundreds", 16, 100, 300, 0.05)
vector_case("vectors of one", 1, 3, 0, 0.1)  # at unit length it has its sign alone
vector_case("vectors of 384", 384, 1e-3, 0, 0.15, 4000)
vector_case("thirty vectors of 64", 64, 5, 0, None, 30, slack=0.15)  # more weights than rows


@case("one label in a hundred", number("x") + category("c"), 5000, (1, 100, 5000), 0.05, 0.005)
def _(rng, n):
    x, c = rng.normal(size=n), rng.integers(0, 4, n)
    return {"x": x, "c": [str(v) for v in c]}, logistic(1.5 * x - 6)


@case("one label in a hundred, sorted by it", number("x"), 5000, (100, 5000), 0.05, 0.02, "label")
def _(rng, n):
    x = rng.normal(size=n)
    return {"x": x}, logistic(1.5 * x - 6)


@case("batches of one label", number("x") + category("c"), 2000, (1, 100, 2000), 0.03, 0.1, "blocks")
def _(rng, n):
    x, c = rng.normal(size=n), rng.integers(0, 4, n)
    return {"x": x, "c": [str(v) for v in c]}, logistic(2 * x)


@case("sorted by the label", number("x") + [GRAMS], 200, (10, 200), None, 0.3, "label")
def _(rng, n):
    x, t = rng.normal(size=n), texts(rng, n)
    return {"x": x, "text": t}, logistic(2 * x + 2 * has(t, "red"))


@case("always the same label", number("x") + [GRAMS], 500, (1, 20, 500), None, 0.01)
def _(rng, n):
    return {"x": rng.normal(size=n), "text": texts(rng, n)}, np.ones(n)


@case("every row twenty times", number("x") + category("c"), 2000, (1, 100, 2000), 0.05, 0.05, "repeat")
def _(rng, n):
    x, c = rng.normal(size=n), rng.integers(0, 4, n)
    return {"x": x, "c": [str(v) for v in c]}, logistic(2 * x)


for tiny in (5, 20, 50):
    @case(f"{tiny} rows", number("x", "y") + category("c") + [GRAMS], tiny, (1, 5, tiny), None, loss=False)
    def _(rng, n):
        x, t = rng.lognormal(3, 1, n), texts(rng, n)
        return {"x": x, "y": rng.integers(0, 5, n).astype(float), "c": [str(v) for v in rng.integers(0, 3, n)], "text": t}, logistic(np.log(x) - 3 + 2 * has(t, "red"))


@case("all kinds at once", number("x", "y") + category("c") + [GRAMS, {"name": "v", "kind": "vector", "dimension": 8}], 3000, (1, 100, 3000), 0.04)
def _(rng, n):
    x, c, t, v = rng.normal(size=n), rng.integers(0, 6, n), texts(rng, n), rng.normal(size=(n, 8))
    return ({"x": 100 + 20 * x, "y": rng.lognormal(0, 3, n), "c": [str(k) for k in c], "text": t, "v": (50 * v).astype(np.float32)},
            logistic(x + (c - 2.5) / 2 + 2 * has(t, "red") + v[:, 0]))


@case("a hundred thousand rows", number("x") + category("c"), 100000, (100000,), 0.02)
def _(rng, n):
    x, c = rng.lognormal(0, 1, n), rng.integers(0, 100, n)
    return {"x": x, "c": [str(k) for k in c]}, logistic(np.log(x) + (c % 10 - 4.5) / 3)


def arrange(columns, p, y, order, rng):
    n = len(y)
    if order is None:
        return columns, p, y
    if order == "label":
        at = np.argsort(y, kind="stable")
    elif order == "blocks":  # a hundred of one label, then of the other
        zeros, ones = list(np.flatnonzero(y < 0.5)), list(np.flatnonzero(y > 0.5))
        at = []
        while zeros or ones:
            at += zeros[:100] + ones[:100]
            del zeros[:100], ones[:100]
    elif order == "repeat":
        at = np.repeat(np.arange(n // 20), 20)
    else:
        at = np.argsort(columns[order], kind="stable")
    pick = lambda v: v[at] if isinstance(v, np.ndarray) else [v[i] for i in at]  # noqa: E731
    return {k: pick(v) for k, v in columns.items()}, p[at], y[at]


def part(columns, a, b):
    return {k: v[a:b] for k, v in columns.items()}


def run(context, name, fields, rows, batches, gap, slack, order, ask_loss, make, seed):
    rng = np.random.default_rng(seed)
    columns, p = make(rng, rows)
    y = (rng.random(rows) < p).astype(np.float32)
    columns, p, y = arrange(columns, p, y, order, rng)
    new, q = make(rng, 4000)
    z = (rng.random(4000) < q).astype(np.float32)
    schema = {"fields": fields, "labels": ["label"], "hash_bits": 16}
    for size in batches:
        told = []
        with ecrec.Model.ranker(context, schema) as ranker:
            refused, loss, counted, tenth = None, 0.0, 0, max(1, rows // 10)
            stops = list(range(0, rows, size)) + [rows] if size < rows else [0, tenth, rows]
            for a, b in zip(stops, stops[1:]):
                with ecrec.Batch(ranker, part(columns, a, b), {"label": y[a:b]}) as batch:
                    try:
                        report = ranker.update(batch)
                    except ecrec.Error as e:
                        refused = refused or f"rows {a} to {b}: {e}"
                        continue
                if a >= tenth:
                    loss += report["labels"]["label"]["log_loss"] * (b - a)
                    counted += b - a
            with ecrec.Batch(ranker, new) as batch:
                scores = ranker.score(batch)[:, 0]
                logits = ranker.score(batch, logits=True)[:, 0]
            if refused:
                told.append(f"refused: {refused}")
            if not np.all(np.isfinite(logits)):
                told.append("a logit is not finite")
            loss /= max(1, counted)
            base = entropy(y)
            attainable, own = auc(q, z), auc(logits, z)
            if counted and ask_loss and not loss <= base + slack + 2e-3:
                told.append(f"progressive loss {loss:.4f}, base rate {base:.4f} + {slack}")
            if gap is not None and not own >= attainable - gap:
                told.append(f"AUC {own:.4f}, attainable {attainable:.4f}")
            held = float(np.mean(np.logaddexp(0, logits) - z * logits))
            print(f"{'FAIL' if told else 'ok  '} {name}, seed {seed}, {size} a batch: loss {loss:.3f} (base {base:.3f}), new rows' loss {held:.3f} (true "
                  f"{float(np.mean(-z * np.log(np.clip(q, 1e-12, 1)) - (1 - z) * np.log(np.clip(1 - q, 1e-12, 1)))):.3f}), AUC {own:.3f} (attainable {attainable:.3f}) "
                  + "; ".join(told), flush=True)
            if told:
                failures.append(name)


with ecrec.Context() as context:
    word = sys.argv[3] if len(sys.argv) > 3 else ""
    for entry in cases:
        if word in entry[0]:
            for seed in (1, 2):
                run(context, *entry, seed=seed)
print(f"{len(failures)} of the runs failed")
sys.exit(1 if failures else 0)
