"""Amazon-Google product pairs (is it the same product?): F1 on the test pairs, at 0.5 and at the threshold that is best on the validation pairs.

    pairs.py --model all-MiniLM-L6-v2.ecrec [--json FILE]

Three ranks of fields over the frozen encoder: the cosine of the two titles with what the columns say at a glance; with similarities of the strings and of
single words as numbers; with the product and the absolute difference of the two vectors in a perceptron. One pair in ten is a match, so that a calibrated
probability passes 0.5 late: the threshold is a choice of its own, made on rows that were not learned from. Peers on the same fields: LightGBM, logistic
regression. Published, encoders fine-tuned on the pairs: DeepMatcher .693, Ditto .756. ECREC_LIBRARY, ECREC_DATA and PYTHONPATH as elsewhere.
"""
import argparse
import collections
import json
import math
import os
import re

import numpy as np

import ecrec

FOLDER = os.environ.get("ECREC_DATA", "") + "/text/matching/Amazon-Google/"


def sides(name):
    for line in open(f"{FOLDER}{name}.txt", encoding="utf-8"):
        a, b, label = line.rstrip("\n").split("\t")
        told = []
        for side in (a, b):
            own = {}
            for part in side.split("COL ")[1:]:
                key, _, value = part.partition(" VAL")
                own[key.strip()] = value.strip()
            told.append(own)
        yield *told, int(label)


words = lambda text: re.findall(r"[a-z0-9]+(?:\.[0-9]+)*", text.lower())
grams = lambda text: {text[i:i + 3] for i in range(len(text) - 2)}
share = lambda a, b: len(a & b) / max(1, len(a | b))
within = lambda a, b: len(a & b) / max(1, min(len(a), len(b)))


def price_of(side):
    try:
        return float(side.get("price", ""))
    except ValueError:
        return math.nan


def features(rows, rarity, vectors, word_vectors):
    out = collections.defaultdict(list)
    for a, b, label in rows:
        ta, tb = a.get("title", ""), b.get("title", "")
        wa, wb = words(ta), words(tb)
        sa, sb = set(wa), set(wb)
        digits = [{w for w in s if any(c.isdigit() for c in w)} for s in (sa, sb)]
        prices = price_of(a), price_of(b)
        known = [v for v in (a.get("manufacturer", ""), b.get("manufacturer", "")) if v]
        maker = set(words(known[0])) if known else set()
        weight = lambda s: sum(rarity(w) for w in s)
        va, vb = vectors[ta], vectors[tb]
        best = lambda x, y: np.mean([max(float(word_vectors[w] @ word_vectors[v]) for v in y) * rarity(w) for w in x]) / (np.mean([rarity(w) for w in x]) or 1) if x and y else 0
        out["label"].append(label)
        out["a"].append(va)
        out["b"].append(vb)
        out["product"].append(va * vb * math.sqrt(len(va)))
        out["difference"].append(np.abs(va - vb) * math.sqrt(len(va)))
        out["maker"].append(a.get("manufacturer") or None)
        out["numbers"].append("same" if digits[0] == digits[1] else "some" if digits[0] & digits[1] else "none")
        out["price"].append(abs(math.log((prices[0] + 1) / (prices[1] + 1))) if all(p == p for p in prices) else math.nan)
        out["overlap"].append(share(sa, sb))
        out["cosine"].append(float(va @ vb))
        out["rare_share"].append(weight(sa & sb) / max(1e-9, weight(sa | sb)))
        out["rare_within"].append(weight(sa & sb) / max(1e-9, min(weight(sa), weight(sb))))
        out["within"].append(within(sa, sb))
        out["trigrams"].append(share(grams(ta), grams(tb)))
        out["trigrams_within"].append(within(grams(ta), grams(tb)))
        out["digits_share"].append(share(*digits) if digits[0] | digits[1] else math.nan)
        out["digits_differ"].append(float(len(digits[0] ^ digits[1])))
        out["rarest_left"].append(max([rarity(w) for w in sa - sb] or [0]))
        out["rarest_right"].append(max([rarity(w) for w in sb - sa] or [0]))
        out["maker_in_other"].append(within(maker, sa | sb) if maker else math.nan)
        out["words_left"].append(best(wa, wb))
        out["words_right"].append(best(wb, wa))
        out["length"].append(math.log((len(wa) + 1) / (len(wb) + 1)))
        out["first_words"].append(float(wa[:2] == wb[:2]) + float(wa[:1] == wb[:1]))
    return {k: np.array(v, np.float32) if k not in ("maker", "numbers") else v for k, v in out.items()}


GLANCE = ["price", "overlap"]
STRINGS = ["cosine", "rare_share", "rare_within", "within", "trigrams", "trigrams_within", "digits_share", "digits_differ", "rarest_left", "rarest_right", "maker_in_other", "words_left",
           "words_right", "length", "first_words"]
number = lambda names: [{"name": n, "kind": "number"} for n in names]
FIRST = [{"name": "a", "kind": "vector", "dimension": 384}, {"name": "b", "kind": "vector", "dimension": 384, "compare": "a", "compare_only": True}, {"name": "maker", "kind": "category"},
         {"name": "numbers", "kind": "category"}]
RANKS = {
    "cosine, columns at a glance": (FIRST + number(GLANCE), None, {"epochs": 4, "batch_rows": 256}),
    "+ similarities": (FIRST[2:] + number(GLANCE + STRINGS), {"width": 4, "embedding_bits": 12, "hidden": [64, 32]}, {"epochs": 40, "network_rate": 2e-3, "dropout": 0.2, "network_decay": 0.05}),
    "+ product and difference": (FIRST[2:] + number(GLANCE + STRINGS) + [{"name": n, "kind": "vector", "dimension": 384} for n in ("product", "difference")],
                                 {"width": 16, "embedding_bits": 12, "hidden": [64, 32]}, {"epochs": 40, "network_rate": 1e-3, "rate": 0.02, "dropout": 0.3, "network_decay": 0.05}),
}


def best_threshold(context, scores, labels):
    return ecrec.evaluate(context, scores, labels)["best_f1"]["threshold"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--model", required=True)
    options.add_argument("--json")
    options = options.parse_args()
    told = {}
    with ecrec.Context(threads=2) as context, ecrec.Model.load(context, options.model) as encoder:
        sets = {name: list(sides(name)) for name in ("train", "valid", "test")}
        titles = sorted({s.get("title", "") for rows in sets.values() for r in rows for s in r[:2]})
        vectors = dict(zip(titles, encoder.encode(titles)))
        found = collections.Counter(w for t in titles for w in set(words(t)))
        word_vectors = dict(zip(found, encoder.encode(list(found))))
        data = {name: features(rows, lambda w: math.log(len(titles) / found[w]), vectors, word_vectors) for name, rows in sets.items()}
        y = {name: d["label"] for name, d in data.items()}
        print(f"{len(y['train'])} pairs to learn, {len(y['valid'])} to choose by, {len(y['test'])} to tell, {y['test'].mean():.3f} of them matches")
        print(f"{'':34} F1 at 0.5   at the best of validation (precision, recall)   AUC")

        def tell(name, valid, test):
            at = best_threshold(context, valid, y["valid"])
            half, chosen = (ecrec.evaluate(context, test, y["test"], threshold=t) for t in (0.5, at))
            one = chosen["class_1"]
            told[name] = {"f1_at_half": half["class_1"]["f1"], "f1": one["f1"], "precision": one["precision"], "recall": one["recall"], "threshold": at, "auc": half["auc"]}
            print(f"{name:34} {half['class_1']['f1']:.3f}       {one['f1']:.3f} at {at:.3f} ({one['precision']:.3f}, {one['recall']:.3f})               {half['auc']:.4f}", flush=True)

        mean = collections.defaultdict(lambda: 0)
        for name, (fields, network, how) in RANKS.items():
            schema = {"fields": fields, "labels": ["same"], "hash_bits": 14, **({"network": network} if network else {})}
            scores = {"valid": 0, "test": 0}
            seeds = 5 if network else 1  # the mean of five fits, as the perceptrons differ by their order of rows
            for seed in range(seeds):
                with ecrec.Model.ranker(context, schema) as model:
                    batch = lambda which: ecrec.Batch(model, {f["name"]: data[which][f["name"]] for f in fields}, {"same": y[which]})
                    with batch("train") as b:
                        model.fit(b, **{"batch_rows": 64, "holdout": 0.15 if network else 0, "holdout_by": 2, "patience": 6, "seed": seed, **how})
                    for which in scores:
                        with batch(which) as b:
                            scores[which] = scores[which] + model.score(b).ravel() / seeds
            scores = {k: np.clip(v, 0, 1) for k, v in scores.items()}
            tell(name, scores["valid"], scores["test"])
            if network:
                for which in scores:
                    mean[which] = mean[which] + scores[which] / 2
        tell("mean of the last two", mean["valid"], mean["test"])
        import lightgbm
        from sklearn.linear_model import LogisticRegression
        matrix = lambda which, extra: np.nan_to_num(np.column_stack([data[which][n] for n in GLANCE + STRINGS] + extra(which)), nan=-1)
        for name, model, extra in (("LightGBM, similarities", lightgbm.LGBMClassifier(n_estimators=200, learning_rate=0.05, n_jobs=1, verbose=-1), lambda which: []),
                                   ("LightGBM, + product, difference", lightgbm.LGBMClassifier(n_estimators=200, learning_rate=0.05, n_jobs=1, verbose=-1), lambda which: [data[which]["product"], data[which]["difference"]]),
                                   ("logistic regression, similarities", LogisticRegression(max_iter=2000), lambda which: [])):
            model.fit(matrix("train", extra), y["train"])
            tell(name, *(model.predict_proba(matrix(which, extra))[:, 1].astype(np.float32) for which in ("valid", "test")))
    if options.json:
        with open(options.json, "w") as f:
            json.dump(told, f, indent=1)


main()
