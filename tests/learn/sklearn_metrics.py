"""Every figure of an evaluation against scikit-learn (and NumPy where it has none): weights, ties, groups, classes, values.

usage: sklearn_metrics.py LIBRARY PYTHON_MODULE_FOLDER
"""
import math
import os
import sys
import warnings

try:
    import numpy as np
    from sklearn import metrics as sk
except ImportError as error:
    print(f"skipped: {error} (tests/peers.sh test)")
    sys.exit(77)

os.environ["ECREC_LIBRARY"] = sys.argv[1]
sys.path.insert(0, sys.argv[2])
import ecrec  # noqa: E402

warnings.simplefilter("ignore")
checked = 0


def near(what, own, reference, tolerance=2e-6):
    global checked
    checked += 1
    own = math.nan if own is None else own
    if not (math.isnan(own) and math.isnan(reference)) and not abs(own - reference) <= tolerance * (1 + abs(reference)):
        sys.exit(f"{what}: {own!r}, scikit-learn has {reference!r}")


def classification(told, y, said, classes, w):
    for average in ("macro", "weighted"):
        reference = sk.precision_recall_fscore_support(y, said, labels=range(classes), average=average, sample_weight=w, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), reference):
            near(f"{average}.{name}", told[average][name], value)
    each = sk.precision_recall_fscore_support(y, said, labels=range(classes), sample_weight=w, zero_division=0)
    for k in range(classes):
        for name, value in zip(("precision", "recall", "f1", "support"), each):
            near(f"class {k} {name}", told[f"class_{k}"][name], value[k])
    near("confusion", np.abs(np.array(told["confusion"]) - sk.confusion_matrix(y, said, labels=range(classes), sample_weight=w)).max(), 0)


def binary(context, random, n, steps, weighted, threshold):
    p = (random.integers(0, steps + 1, n) / steps).astype(np.float32)
    y = (random.random(n) < 0.1 + 0.7 * p).astype(np.float32)
    w = random.integers(0, 5, n).astype(np.float32) if weighted else None
    told = ecrec.evaluate(context, p, y, w, threshold=threshold, curve_points=400)
    near("auc", told["auc"], sk.roc_auc_score(y, p, sample_weight=w))
    near("pr_auc", told["pr_auc"], sk.average_precision_score(y, p, sample_weight=w))
    kept = np.clip(p.astype(float), 1e-7, 1 - 1e-7)
    loss = sk.log_loss(y, kept, sample_weight=w)
    near("log_loss", told["log_loss"], loss)
    mean = np.average(y, weights=w)
    near("normalised_entropy", told["normalised_entropy"], loss / sk.log_loss(y, np.full(n, mean), sample_weight=w))
    near("calibration", told["calibration"]["ratio"], np.average(p, weights=w) / mean)
    near("accuracy", told["accuracy"], sk.accuracy_score(y, p >= threshold, sample_weight=w))
    classification(told, y, (p >= threshold).astype(int), 2, w)
    precision, recall, _ = sk.precision_recall_curve(y, p, sample_weight=w)
    near("best F1", told["best_f1"]["f1"], np.nanmax(2 * precision * recall / (precision + recall)))
    near("its threshold", sk.f1_score(y, p >= told["best_f1"]["threshold"], sample_weight=w), told["best_f1"]["f1"])
    ones = np.ones(n) if w is None else w
    bins = np.minimum((p.astype(float) * 15).astype(int), 14)
    ece = 0.0
    for b, row in enumerate(told["reliability"]):
        own = ones * (bins == b)
        near("bin weight", row["weight"], own.sum())
        near("bin score", row["mean_score"], (own * p).sum() / own.sum() if own.sum() else math.nan)
        near("bin label", row["mean_label"], (own * y).sum() / own.sum() if own.sum() else math.nan)
        ece += abs((own * (p - y)).sum())
    near("ece", told["ece"], ece / ones.sum())
    fpr, tpr, _ = sk.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    reference = set(zip(np.round(fpr, 6), np.round(tpr, 6)))
    for point in told["roc"]:
        if (round(point["false_positive_rate"], 6), round(point["true_positive_rate"], 6)) not in reference:
            sys.exit(f"ROC: {point} is no point of scikit-learn's curve")
    if steps <= 100:  # the curve has every threshold: its area is the AUC
        near("ROC area", np.trapezoid([q["true_positive_rate"] for q in told["roc"]], [q["false_positive_rate"] for q in told["roc"]]), told["auc"])


def ranked(context, random, groups, steps):
    g = np.repeat(np.arange(groups), random.integers(1, 40, groups))
    n = len(g)
    order = random.permutation(n)
    g, p = g[order], (random.integers(0, steps + 1, n) / steps).astype(np.float32)
    y, w = (random.random(n) < 0.15).astype(np.float32), random.integers(1, 4, n).astype(np.float32)
    told = ecrec.evaluate(context, p, y, w, groups=[f"user {v}" for v in g], at=[1, 3, 10])
    aucs, weights, ndcg, hits, reciprocal = [], [], {1: [], 3: [], 10: []}, {1: [], 3: [], 10: []}, []
    for k in range(groups):
        own = g == k
        if 0 < y[own].sum() < own.sum():
            aucs.append(sk.roc_auc_score(y[own], p[own], sample_weight=w[own]))
            weights.append(w[own].sum())
        if y[own].sum() == 0:
            continue
        for at in ndcg:
            ndcg[at].append(sk.ndcg_score([y[own]], [p[own]], k=at) if own.sum() > 1 else 1.0)
        draws = []  # equal scores: the mean over orders, here over random ones (or the one order there is)
        for _ in range(1 if len(set(p[own])) == own.sum() else 2000):
            places = np.lexsort((random.random(own.sum()), -p[own]))
            draws.append(np.flatnonzero(y[own][places])[0] + 1)
        draws = np.array(draws)
        reciprocal.append((1 / draws).mean())
        for at in hits:
            hits[at].append((draws <= at).mean())
    near("grouped AUC", told["grouped"]["auc"], np.average(aucs, weights=weights))
    near("groups with both", told["grouped"]["groups_with_both"], len(aucs))
    drawn = 1e-6 if steps > 1000000 else 5e-3
    near("MRR", told["ranking"]["mrr"], np.mean(reciprocal), drawn)
    for at in ndcg:
        near(f"NDCG@{at}", told["ranking"][f"ndcg_at_{at}"], np.mean(ndcg[at]))
        near(f"HR@{at}", told["ranking"][f"hit_rate_at_{at}"], np.mean(hits[at]), drawn)


def others(context, random):
    n, classes = 3000, 5
    p = random.dirichlet(np.ones(classes) * 0.7, n).astype(np.float32)
    y, w = np.array([random.choice(classes, p=q / q.sum()) for q in p.astype(float)]), random.random(n).astype(np.float32)
    told = ecrec.evaluate(context, p, y, w, kind="classes")
    kept = np.clip(p.astype(float), 1e-7, 1)
    near("classes log loss", told["log_loss"], -np.average(np.log(kept[np.arange(n), y]), weights=w))
    near("classes accuracy", told["accuracy"], sk.accuracy_score(y, p.argmax(1), sample_weight=w))
    classification(told, y, p.argmax(1), classes, w)
    v = random.normal(3, 2, n).astype(np.float32)
    s = (v + random.normal(0, 1, n)).astype(np.float32)
    told = ecrec.evaluate(context, s, v, w, kind="value")
    near("squared error", told["mean_squared_error"], sk.mean_squared_error(v, s, sample_weight=w))
    near("absolute error", told["mean_absolute_error"], sk.mean_absolute_error(v, s, sample_weight=w))
    near("r2", told["r2"], sk.r2_score(v, s, sample_weight=w))
    grades = random.integers(0, 5, n)
    expected = np.clip(grades + random.normal(0, 0.7, n), 0, 4).astype(np.float32)
    g = random.integers(0, 300, n)
    told = ecrec.evaluate(context, expected, grades, kind=("ordinal", 5), groups=g, at=[5])
    near("ordinal accuracy", told["accuracy"], sk.accuracy_score(grades, np.floor(expected + 0.5)))
    reference = [sk.ndcg_score([grades[g == k]], [expected[g == k]], k=5) for k in range(300) if (g == k).sum() > 1 and grades[g == k].max() > 0]
    single = sum((g == k).sum() == 1 and grades[g == k].max() > 0 for k in range(300))
    near("graded NDCG@5", told["ranking"]["ndcg_at_5"], (sum(reference) + single) / (len(reference) + single))


def slices(context, random):
    n = 5000
    p, shop = random.random(n).astype(np.float32), random.choice(["b.c", "a", "Ünïcode \\"], n, p=[0.5, 0.3, 0.2])
    y = (random.random(n) < p).astype(np.float32)
    y[:7] = np.nan
    told = ecrec.evaluate(context, p, y, slices=[None if i % 10 == 9 else v for i, v in enumerate(shop)])["slices"]
    if [row["name"] for row in told] != ["b.c", "a", "Ünïcode \\"]:
        sys.exit(f"slices: {told}")
    for row in told:
        own = (shop == row["name"]) & (np.arange(n) % 10 != 9) & ~np.isnan(y)
        near("slice rows", row["rows"], own.sum())
        near("slice AUC", row["auc"], sk.roc_auc_score(y[own], p[own]))
        near("slice log loss", row["log_loss"], sk.log_loss(y[own], p[own].astype(float)))
        near("slice mean", row["mean_label"], y[own].mean())


def refusals(context):
    for what, arguments in (("row 1: the probability 1.5", ([0.5, 1.5], [0, 1])), ("row 0: the label 0.5", ([0.5, 1], [0.5, 1])),
                            ("row 1: the weight -1", ([0.5, 1], [0, 1], [1, -1])), ("row 1: the label 2 is no class", ([[0.5, 0.5]] * 2, [0, 2], None, "classes"))):
        try:
            ecrec.evaluate(context, *arguments)
        except ecrec.Error as error:
            if what in str(error):
                continue
            sys.exit(f"wanted '{what}', got '{error}'")
        sys.exit(f"nothing refused: {what}")


with ecrec.Context(threads=1) as own:
    source = np.random.default_rng(5)
    for steps in (3, 20, 10 ** 7):
        for weighted in (False, True):
            binary(own, source, 2500, steps, weighted, 0.5 if weighted else 0.3)
        ranked(own, source, 40, steps)
    others(own, source)
    slices(own, source)
    refusals(own)
print(f"{checked} figures are scikit-learn's")
