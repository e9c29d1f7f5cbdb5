"""A pyarrow table is learned from and scored in a line; its numbers are those of the same rows given as columns, its memory goes back.
usage: arrow_table.py LIBRARY FOLDER_OF_MODULE"""
import datetime
import decimal
import gc
import os
import sys

try:
    import numpy as np
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing.name} is not there")
    sys.exit(77)
os.environ["ECREC_LIBRARY"] = sys.argv[1]
sys.path.insert(0, sys.argv[2])
sys.dont_write_bytecode = True
import ecrec  # noqa: E402

ROWS = 1000
rng = np.random.default_rng(0)
price, vectors, click = rng.normal(size=ROWS), rng.normal(size=(ROWS, 4)).astype(np.float32), None
shops = [None if i % 7 == 0 else f"s{i % 5}" for i in range(ROWS)]
click = (price + np.array([0.0 if s is None else int(s[1]) - 2 for s in shops]) > 0).astype(np.float32)
SCHEMA = {"fields": [{"name": "shop", "kind": "category"}, {"name": "price", "kind": "number"}, {"name": "v", "kind": "vector", "dimension": 4},
                     {"name": "tags", "kind": "multi"}, {"name": "when", "kind": "time"}], "labels": ["click"], "hash_bits": 12}
tags = [["a", "b"] if i % 3 == 0 else [] if i % 3 == 1 else None for i in range(ROWS)]
when = [datetime.datetime(2024, 1, 1, i % 24, tzinfo=datetime.timezone.utc) for i in range(ROWS)]
KINDS = {"shop": pa.string(), "price": pa.float64(), "v": pa.list_(pa.float32(), 4), "tags": pa.list_(pa.string()), "when": pa.timestamp("us", "UTC"), "click": pa.float32()}
OTHER = {"shop": pa.large_string(), "price": pa.float64(), "v": pa.large_list(pa.float64()), "tags": pa.large_list(pa.large_string()), "when": pa.timestamp("ms", "UTC"),
         "click": pa.bool_()}


def table(kinds, **changed):
    columns = {"shop": shops, "price": price, "v": vectors.tolist(), "tags": tags, "when": when, "click": [bool(x) if kinds["click"] == pa.bool_() else x for x in click]}
    return pa.table({name: pa.array(values, kinds[name]) for name, values in {**columns, **changed}.items()})


with ecrec.Context() as context, ecrec.Model.ranker(context, SCHEMA) as ranker:
    first = table(KINDS)
    report = ranker.update(first, passes=3)                            # a line
    scores = pa.record_batch(ranker.score_arrow(first)).column("click")  # another
    assert report["rows"] == ROWS and len(scores) == ROWS and scores.null_count == 0
    plain = ranker.score(first)
    assert np.array_equal(plain[:, 0], scores.to_numpy())
    assert ecrec.evaluate(context, plain[:, 0], click)["auc"] > 0.95
    encoded = table(KINDS).set_column(0, "shop", pa.array(shops).dictionary_encode())
    # as a database and Polars give them: views of texts, decimals, days
    views = {**KINDS, "shop": pa.string_view(), "tags": pa.large_list(pa.string_view()), "click": pa.bool_()}
    days = table({**KINDS, "when": pa.date32()}, when=[datetime.date(2024, 1, 1 + i % 28) for i in range(ROWS)])
    for kind in (pa.date64(), pa.timestamp("s"), pa.timestamp("ns")):
        assert np.array_equal(ranker.score(days.set_column(4, "when", days["when"].cast(kind))), ranker.score(days))
    cents = np.round(price, 2)
    exact = [decimal.Decimal(f"{p:.2f}") for p in cents]
    for kind in (pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(76, 2)):
        assert np.array_equal(ranker.score(table({**KINDS, "price": kind}, price=exact)), ranker.score(table(KINDS, price=cents))), kind
    for same in (table(views), table(OTHER), encoded, pa.concat_tables([first.slice(0, 300), first.slice(300)])):
        assert np.array_equal(ranker.score(same), plain)
    assert np.array_equal(ranker.score(first.slice(123, 400)), plain[123:523])
    chunks = pa.concat_tables([first.slice(0, 300), first.slice(300)])
    assert np.array_equal(np.concatenate([ranker.score(batch) for batch in ecrec.arrow_batches(ranker, chunks)]), plain)
    reader = pa.RecordBatchReader.from_batches(first.schema, chunks.to_batches())
    try:
        ranker.score(reader)
        raise AssertionError("a stream of two record batches was one")
    except ValueError as e:
        assert "arrow_batches" in str(e)
    del reader, same, encoded, scores
    # wrong values are told with their row, and nothing of the table stays behind
    gc.collect()
    before = pa.total_allocated_bytes()
    for change, says in (({"price": np.where(np.arange(ROWS) == 17, np.nan, price)}, 'row 17, field "price": nan is not a number'), ({"click": click + 1}, "is neither 0 nor 1"),
                         ({"v": [[1.0] * 4] * 5 + [[1.0, float("nan"), 0.0, 0.0]] * (ROWS - 5)}, 'row 5, field "v"')):
        try:
            ranker.update(table(KINDS, **change))
            raise AssertionError(f"{says!r} was expected")
        except ecrec.Error as e:
            assert says in str(e), str(e)
            assert e.row is not None
    try:
        ranker.score(first.rename_columns(["x" + n for n in first.column_names]))
        raise AssertionError("names")
    except ecrec.Error as e:
        assert "no column has the name" in str(e)
    gc.collect()
    assert pa.total_allocated_bytes() <= before, (pa.total_allocated_bytes(), before)
    live = context.memory()["live"]
    for _ in range(50):
        ranker.score(first)
        exported = ranker.score_arrow(first)  # never taken: nobody's
        taken = ranker.score_arrow(first).__arrow_c_array__()  # taken, and dropped
    del exported, taken
    gc.collect()
    assert context.memory()["live"] <= live + 65536, (context.memory(), live)
print("ok")
