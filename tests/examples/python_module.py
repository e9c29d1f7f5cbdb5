"""The Python module: numbers, errors, `with`. usage: python_module.py LIBRARY FOLDER_OF_MODULE MODEL_FOLDER"""
import os
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not there")
    sys.exit(77)
library, module, folder = sys.argv[1:4]
os.environ["ECREC_LIBRARY"] = library
sys.path.insert(0, module)
sys.dont_write_bytecode = True
import ecrec  # noqa: E402


def refused(name, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except ecrec.Error as e:
        assert e.name == name and str(e), (e.name, str(e))
        return str(e)
    raise AssertionError(f"{name} was expected")


assert ecrec.version() >= (0, 1, 0)
with ecrec.Context(threads=2) as context, tempfile.TemporaryDirectory() as work:
    assert context.memory()["live"] > 0 and context.cpu
    print(refused("ECREC_ERR_IO", ecrec.Model.load, context, "/nowhere/model.ecrec"))
    rows = 64
    schema = {"fields": [{"name": "shop", "kind": "category"}, {"name": "price", "kind": "number", "required": True}, {"name": "v", "kind": "vector", "dimension": 4}],
              "labels": ["click", "buy"], "hash_bits": 12}
    rng = np.random.default_rng(0)
    columns = {"shop": [None if i % 7 == 0 else f"s{i % 3}" for i in range(rows)], "price": rng.normal(size=rows), "v": rng.normal(size=(rows, 4))}
    click = (columns["price"] > 0).astype(np.float32)
    buy = np.where(np.arange(rows) % 2 == 0, click, np.nan)
    with ecrec.Model.ranker(context, schema) as ranker, ecrec.Batch(ranker, columns, {"click": click, "buy": buy}) as batch:
        assert np.all(ranker.score(batch) == 0.5)
        report = ranker.update(batch, passes=3)
        assert report["rows"] == rows and report["labels"]["buy"]["rows"] == rows / 2
        after, parts = ranker.score(batch, contributions=True)
        logits = ranker.score(batch, logits=True)
        assert np.allclose(parts.sum(axis=2), logits, atol=1e-5)
        assert ecrec.evaluate(context, after[:, 0], click)["auc"] > 0.95
        ranker.save(f"{work}/r.ecrec")
        assert ranker.snapshots() == [1, 2] and ranker.snapshot == 2
        cut = ecrec.Model.ranker(context, {"fields": [{"name": "x", "kind": "number", "bins": 4}], "labels": ["y"]})
        with ecrec.Batch(cut, {"x": np.arange(100.0)}) as b:
            told = cut.rebin("x", b)["fields"]["x"]
        assert told["bins"] == 4 and told["bins_before"] == 1 and told["values"] == 100, told
        cut.close()
        ids = ecrec.Model.ranker(context, {"fields": [{"name": "u", "kind": "user", "expire_after": 1}], "labels": ["y"]})
        with ecrec.Batch(ids, {"u": ["a", "b"]}, {"y": np.array([1, 0])}) as b:
            ids.update(b)
        assert ids.expire()["kept"]["weights"] == 2 and ids.expire()["expired"]["weights"] == 2
        ids.close()
        ranker.rollback(1)
        assert np.all(ranker.score(batch) == 0.5)
        print(refused("ECREC_ERR_NOT_FOUND", ranker.rollback, 9))
        print(refused("ECREC_ERR_UNSUPPORTED", ranker.encode, ["x"]))
        ranker.name_snapshot(1, "first")
        assert ranker.find_snapshot("first") == 1
        now = 1_700_000_000_000_000
        ids = [f"e{i}" for i in range(rows)]
        with ecrec.Impressions(context, ranker, f"{work}/shown", window=10_000_000) as log, \
                ecrec.Batch(ranker, columns, events=ids, groups=list(range(rows)), positions=[1 + i % 9 for i in range(rows)], propensities=[0.5] * rows) as shown:
            told = ranker.score(shown)
            log.add(shown, told, 1, now)
            assert log.take(now + 1) is None
            assert log.label("click", ids[:5] + ["nobody"], [1, 0, 1, 0, 1, 1], now + 5) == 5 and log.info()["unknown"] == 1
            taken, served, snapshots = log.take(now + 6)
            with taken:
                assert taken.rows == 5 and np.array_equal(served, told[:5]) and np.all(snapshots == 1)
                assert ranker.update(taken, served=served, max_loss_growth=10)["rows"] == 5
            log.done()
            assert log.take(now + 6) is None and log.rows(now + 6)[0].rows == 5
            print(refused("ECREC_ERR_INVALID", log.add, shown, told, 1, now + 7))  # these events are there
        with ecrec.Impressions(context, ranker, f"{work}/shown") as log:
            assert log.opened["impressions"] == rows
        ranker.rollback(1)
        with ecrec.Model.load(context, f"{work}/r.ecrec") as again:
            with ecrec.Batch(again, columns) as b:
                assert np.array_equal(again.score(b), after)
            gone = np.where(np.arange(rows)[:, None] == 3, np.nan, columns["v"])
            with ecrec.Batch(again, {**columns, "v": gone}) as b:  # a row of NaN is missing, which is not zero
                without = again.score(b)
                assert without[3, 0] != after[3, 0] and np.array_equal(np.delete(without, 3, 0), np.delete(after, 3, 0))
            gone[4, 0] = np.nan
            assert "row 4" in refused("ECREC_ERR_INVALID", ecrec.Batch, again, {**columns, "v": gone})
            holes = ecrec.Batch(again, {**columns, "price": np.where(np.arange(rows) == 5, np.nan, columns["price"])})
            message = refused("ECREC_ERR_INVALID", again.score, holes)
            assert "row 5" in message and "price" in message, message
    lists = {"fields": [{"name": "item", "kind": "item"}, {"name": "tags", "kind": "multi"}, {"name": "when", "kind": "time"},
                        {"name": "past", "kind": "history", "compare": "item", "dimension": 3, "event_types": 2}], "labels": ["y"], "network": {"width": 4}}
    with ecrec.Model.ranker(context, lists) as ranker:
        source, n, day = np.random.default_rng(3), 400, 86400 * 10 ** 6
        item, hour = source.integers(0, 20, n), source.integers(0, 24, n)
        past = [[str(v) for v in source.integers(0, 20, source.integers(0, 5))] for _ in range(n)]
        columns = {"item": [str(v) for v in item], "tags": [["new", "red"] if h < 12 else None if h > 20 else [] for h in hour], "when": 20000 * day + hour * (day // 24),
                   "past": {"items": past, "types": [[1] * len(p) for p in past], "times": [list(range(len(p))) for p in past], "now": np.full(n, 9)}}
        y = np.array([h < 12 for h in hour], float)
        with ecrec.Batch(ranker, columns, {"y": y}) as b:
            ranker.update(b, passes=3, max_loss_growth=100)
            scores = ranker.score(b).ravel()
            assert ecrec.evaluate(context, scores, y)["auc"] > 0.95
        with ecrec.Batch(ranker, {**columns, "past": [p[:1] for p in past]}) as b:  # another history, other scores
            assert not np.array_equal(ranker.score(b).ravel(), scores)
        try:
            ecrec.Batch(ranker, {**columns, "past": {"items": past, "types": [[]] * n}})
            raise AssertionError("lists of other lengths were taken")
        except ValueError as error:
            assert "past" in str(error)
    if os.path.isdir(folder):
        with ecrec.Model.import_folder(context, folder) as model:
            v = model.encode(["a red shirt", "a crimson top", "tax law"])
            assert v.shape == (3, model.dimension) and np.allclose((v * v).sum(axis=1), 1, atol=1e-5)
            assert v[0] @ v[1] > v[0] @ v[2]
            tokens = model.tokenize("Red shirts!")
            assert tokens["tokens"][0] == "[CLS]" and tokens["offsets"][1].tolist() == [0, 3]
            small, told = model.quantize()
            assert told["bytes"]["ratio"] < 0.3 and (small.encode(["a red shirt"])[0] @ v[0]) > 0.98
            small.close()
            small, told = model.quantize(type="bf16")
            assert told["type"] == "bf16" and 0.45 < told["bytes"]["ratio"] < 0.55 and (small.encode(["a red shirt"])[0] @ v[0]) > 0.9999
            small.close()
    elif os.environ.get("ECREC_REQUIRE_DATA") == "1":
        sys.exit(77)
print("ok")
