"""libecrec from Python: ctypes over NumPy buffers, nothing compiled.

    import ecrec
    with ecrec.Context(threads=2) as context, ecrec.Model.load(context, "minilm.ecrec") as model:
        vectors = model.encode(["red shoes", "blue shirt"])        # numpy float32, 2 x 384, unit length

Every failure raises ecrec.Error with the library's sentence, its code and, where there is one, the row. Objects free what
they hold at the end of a `with` block, by close(), or when they are collected. A Model may be used by several threads, each of which gets a
session of its own.

The library is found as libecrec.so.0 by the system, or at the path in the environment variable ECREC_LIBRARY.
"""

import ctypes as c
import datetime
import json
import os
import threading

import numpy as np

__all__ = ["Context", "Index", "Model", "Schema", "Batch", "Impressions", "Profiles", "Error", "evaluate", "version"]

_lib = c.CDLL(os.environ.get("ECREC_LIBRARY", "libecrec.so.0"))
_NONE = 2 ** 64 - 1
TEXT, VECTOR, CATEGORY, NUMBER, MULTI, HISTORY, TIME, USER, ITEM, IMAGE = range(1, 11)
_POOLING = {None: 0, "mean": 1, "cls": 2, "last": 3, "max": 4}


class _Error(c.Structure):
    _fields_ = [("size", c.c_uint32), ("code", c.c_int32), ("position", c.c_uint64), ("row", c.c_uint64), ("message", c.c_char * 488)]


_PROGRESS = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_uint64, c.c_uint64)


def _options(name, *fields):
    """An option struct: `size` first, as the headers have it."""
    return type(name, (c.Structure,), {"_fields_": [("size", c.c_uint32), *fields]})


_u32, _u64, _f64, _p, _s = c.c_uint32, c.c_uint64, c.c_double, c.c_void_p, c.c_char_p
_ContextOptions = _options("_ContextOptions", ("threads", _u32), ("allocator", _p), ("executor", _p), ("log", _p), ("log_opaque", _p),
                           ("memory_limit", _u64), ("cpu_mask", _u32), ("reserved", _u32))
_EncodeOptions = _options("_EncodeOptions", ("pooling", _u32), ("normalize", _u32), ("max_length", _u32), ("prompt", _s), ("progress", _PROGRESS),
                          ("progress_opaque", _p))
_IndexOptions = _options("_IndexOptions", ("type", _u32), ("similarity", _u32), ("dimension", _u32), ("vectors", _p), ("count", c.c_size_t),
                         ("stride", c.c_size_t), ("scales", _p), ("borrow", _u32), ("reserved", _u32), ("release", _p), ("opaque", _p))
_TokenizeOptions = _options("_TokenizeOptions", ("max_length", _u32), ("no_special", _u32), ("stride", _u32), ("pair", _s), ("pair_length", c.c_size_t))
_ScoreOptions = _options("_ScoreOptions", ("logits", _u32), ("snapshot", _u64), ("contributions", _p), ("contributions_capacity", c.c_size_t))
_UpdateOptions = _options("_UpdateOptions", ("passes", _u32), ("learning_rate", _f64), ("decay", _f64), ("max_loss_growth", _f64), ("seed", _u64),
                          ("progress", _PROGRESS), ("progress_opaque", _p), ("force", _u32), ("window", _u32), ("max_calibration_growth", _f64), ("max_score_move", _f64),
                          ("replay", _f64), ("served", _p), ("drift", _p), ("drift_opaque", _p), ("bad_rows", _u32), ("step_rows", _u32), ("outcome_weights", _p), ("outcome_count", _u32), ("outcome_corrected", _u32))
_OnlineOptions = _options("_OnlineOptions", ("events", _u32), ("reserve", _u32), ("reserve_every", _u32), ("reservoir", _u32), ("drift", _u32), ("window", _u32),
                          ("boost_rows", _u32), ("row_bytes", _u64), ("seed", _u64), ("boost", _f64), ("drift_confidence", _f64), ("drift_tolerance", _f64),
                          ("drift_threshold", _f64))
_FitOptions = _options("_FitOptions", ("epochs", _u32), ("batch_rows", _u32), ("patience", _u32), ("holdout_by", _u32), ("holdout_field", _u32),
                       ("hashed_optimiser", _u32), ("schedule", _u32), ("holdout", _f64), ("rate", _f64), ("embedding_rate", _f64), ("network_rate", _f64),
                       ("decay", _f64), ("embedding_decay", _f64), ("network_decay", _f64), ("l1", _f64), ("clip", _f64), ("dropout", _f64), ("warmup", _f64),
                       ("class_weights", _p), ("seed", _u64), ("checkpoint", _s), ("resume", _s), ("progress", _PROGRESS), ("progress_opaque", _p),
                       ("modality_dropout", _f64), ("bad_rows", _u32), ("reserved", _u32), ("outcome_weights", _p), ("outcome_count", _u32), ("outcome_corrected", _u32), ("calibrate", _u32), ("reserved2", _u32))
_CalibrateOptions = _options("_CalibrateOptions", ("method", c.c_int32), ("frozen", _u32), ("reserved", _u32), ("half_life", _f64))
_ImpressionsOptions = _options("_ImpressionsOptions", ("sync", _u32), ("group", _u32), ("repair", _u32), ("most", _u64), ("most_bytes", _u64), ("most_age", c.c_int64),
                               ("window", c.c_int64), ("timeout", c.c_int64), ("timeout_label", _u32), ("correction", _u32), ("late_share", _f64))
_ProfilesOptions = _options("_ProfilesOptions", ("dimension", _u32), ("events", _u32), ("traits", _u32), ("event_types", _u32), ("reserved", _u32), ("most", _u64),
                            ("most_bytes", _u64), ("half_life", c.c_int64), ("type_weights", _p), ("space", _s))
_ProfileEvent = _options("_ProfileEvent", ("type", _u32), ("user", _s), ("user_length", c.c_size_t), ("item", _s), ("item_length", c.c_size_t), ("time", c.c_int64),
                         ("vector", _p), ("traits", _p), ("trait_lengths", _p), ("trait_count", c.c_size_t), ("weight", c.c_float), ("reserved", _u32))
_ProfileColumns = _options("_ProfileColumns", ("vector", _u32), ("traits", _u32), ("history", _u32), ("count", _u32), ("age", _u32))
_History = _options("_History", ("reserved", _u32), ("events", _p), ("items", _p), ("lengths", _p), ("items_u64", _p), ("types", _p), ("times", _p), ("now", _p), ("valid", _p))
_Evaluation = _options("_Evaluation", ("kind", c.c_int32), ("classes", _u32), ("bins", _u32), ("curve_points", _u32), ("slice_count", _u32), ("threshold", _f64),
                       ("rows", c.c_size_t), ("scores", _p), ("labels", _p), ("weights", _p), ("groups", _p), ("slices", _p), ("slice_names", _p), ("at", _p),
                       ("at_count", _u32), ("reserved", _u32))
_PruneOptions = _options("_PruneOptions", ("importance", c.c_int32), ("heads", _f64), ("feed_forward", _f64), ("layers", _u32), ("reserved", _u32),
                         ("target_parameters", _f64), ("target_flops", _f64), ("texts", _p), ("lengths", _p), ("count", c.c_size_t), ("seed", _u64),
                         ("progress", _PROGRESS), ("progress_opaque", _p))
_QuantizeOptions = _options("_QuantizeOptions", ("type", c.c_int32), ("texts", _p), ("lengths", _p), ("count", c.c_size_t), ("progress", _PROGRESS),
                            ("progress_opaque", _p))


def _fill(kind, **values):
    options = kind(size=c.sizeof(kind))
    for name, value in values.items():
        if value is not None:
            setattr(options, name, value)
    return options


def _outcomes(options):
    """outcome_weights as a flat list: a number for each outcome of each label."""
    if options.get("outcome_weights") is None:
        return options
    numbers = [float(x) for x in options["outcome_weights"]]
    return {**options, "outcome_weights": c.cast((c.c_float * len(numbers))(*numbers), _p), "outcome_count": len(numbers)}


class Error(RuntimeError):
    """What went wrong: `code` (ECREC_ERR_*), `name` of the code, `row` of the batch or None."""

    def __init__(self, err):
        super().__init__(err.message.decode("utf-8", "replace"))
        self.code = err.code
        self.name = _lib.ecrec_status_name(err.code).decode()
        self.row = None if err.row == _NONE else err.row


def _call(function, *arguments):
    err = _Error(size=c.sizeof(_Error), position=_NONE, row=_NONE)
    if function(*arguments, c.byref(err)) != 0:
        raise Error(err)


for _name, _result in {"ecrec_status_name": _s, "ecrec_version": _u32, "ecrec_model_dimension": _u32, "ecrec_model_max_length": _u32, "ecrec_model_space": _s,
                       "ecrec_model_variant": _s, "ecrec_token_text": _s, "ecrec_model_schema": _p, "ecrec_model_snapshot": _u64, "ecrec_schema_fields": _u32,
                       "ecrec_schema_labels": _u32, "ecrec_schema_outputs": _u32, "ecrec_schema_parts": _u32,
                       "ecrec_schema_field_name": _s, "ecrec_schema_label_name": _s, "ecrec_schema_field_kind": c.c_int32,
                       "ecrec_schema_find_field": _u32, "ecrec_report_json": _s, "ecrec_context_cpu_text": _s, "ecrec_context_threads": _u32,
                       "ecrec_id_hash": _u64, "ecrec_batch_rows": c.c_size_t}.items():
    getattr(_lib, _name).restype = _result
for _name in ("context", "model", "session", "schema", "batch", "report", "index", "searcher", "impressions", "profiles"):
    getattr(_lib, f"ecrec_{_name}_release").restype = None
    getattr(_lib, f"ecrec_{_name}_release").argtypes = [_p]


def version():
    """Of the library that runs: (major, minor, patch)."""
    v = _lib.ecrec_version()
    return v // 1000000, v // 1000 % 1000, v % 1000


# The Arrow C data interface: structs of nine and ten words that are only passed on, in the capsules of its Python protocol.
_SCHEMA_WORDS, _ARRAY_WORDS = 9, 10
_capsule_pointer = c.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = _p, [c.py_object, _s]
_capsule_new = c.pythonapi.PyCapsule_New
_capsule_new.restype, _capsule_new.argtypes = c.py_object, [_p, _s, _p]
_alive = {}


@c.PYFUNCTYPE(None, _p)
def _capsule_gone(capsule):
    words, release = _alive.pop(capsule)
    if words[release]:  # nobody took it
        c.CFUNCTYPE(None, _p)(words[release])(c.addressof(words))


def _capsule(words, name):
    """A capsule that owns the struct: release is its last word but one."""
    capsule = _capsule_new(c.addressof(words), name, c.cast(_capsule_gone, _p))
    _alive[id(capsule)] = words, len(words) - 2
    return capsule


def _report(handle):
    """A report as nested dicts; the handle is released."""
    try:
        return json.loads(_lib.ecrec_report_json(handle).decode("utf-8"))
    finally:
        _lib.ecrec_report_release(handle)


def _strings(texts):
    """char*[] and size_t[] of texts (str, bytes or None), and what keeps them alive."""
    data = [t if t is None or isinstance(t, bytes) else str(t).encode("utf-8", "surrogatepass") for t in texts]
    pointers = (c.c_char_p * max(1, len(data)))(*data)
    lengths = (c.c_size_t * max(1, len(data)))(*[0 if t is None else len(t) for t in data])
    return c.cast(pointers, _p), c.cast(lengths, _p), (data, pointers, lengths)


def _ids(values, rows=None):
    """uint64 of ids: whole numbers as they are, str and bytes as their hash (ecrec_id_hash); and which are there (not None)."""
    given = [b"" if v is None else v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in values]
    if rows is not None and len(given) != rows:
        raise ValueError(f"there are {len(given)} ids for {rows} rows")
    numbers = np.array([_lib.ecrec_id_hash(v, c.c_size_t(len(v))) if isinstance(v, bytes) else int(v) for v in given], np.uint64)
    return numbers, np.array([v is not None for v in values], np.uint8)


def _micros(when):
    """Microseconds since 1970 UTC: of a datetime (a naive one is UTC), or a whole number as it is."""
    if isinstance(when, datetime.datetime):
        when = when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)
        return (when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    return int(when)


def _progress(callback):
    """callback(done, total) -> true to cancel; None: a callback that does nothing."""
    return _PROGRESS(0) if callback is None else _PROGRESS(lambda _, done, total: 1 if callback(done, total) else 0)


class _Handle:
    _release = None

    def __init__(self, handle):
        self._handle = handle

    def close(self):
        """Free what this object holds (again is fine)."""
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            type(self)._release(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()

    @property
    def _h(self):
        if not self._handle:
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._handle


_write = c.CFUNCTYPE(c.c_int32, _p, _p, c.c_size_t)


class _Sink(c.Structure):
    _fields_ = [("size", _u32), ("reserved", _u32), ("opaque", _p), ("write", _write)]


def _written(call):
    """What a call writes to a sink."""
    pieces = []

    def keep(_opaque, data, length):
        pieces.append(c.string_at(data, length))
        return 0

    call(c.byref(_Sink(c.sizeof(_Sink), 0, None, _write(keep))))
    return b"".join(pieces)


class Context(_Handle):
    """Where memory comes from and who runs the work. threads: how many work in parallel; memory_limit: bytes, 0 = none; cpu_mask: the
    ECREC_CPU_* levels that may be used, 0 = all."""

    _release = _lib.ecrec_context_release

    def __init__(self, threads=1, memory_limit=0, cpu_mask=0):
        handle = _p()
        _call(_lib.ecrec_context_create, c.byref(_fill(_ContextOptions, threads=threads, memory_limit=memory_limit, cpu_mask=cpu_mask)), c.byref(handle))
        super().__init__(handle)

    @property
    def cpu(self):
        """Which kernels run here, and why."""
        return _lib.ecrec_context_cpu_text(self._h).decode()

    def memory(self):
        """{"live": bytes, "peak": bytes, "allocations": number} of everything made from this context."""
        values = [_u64() for _ in range(3)]
        _lib.ecrec_context_memory(self._h, *[c.byref(v) for v in values])
        return dict(zip(("live", "peak", "allocations"), (v.value for v in values)))


class Index(_Handle):
    """Vectors to search exactly, used where they lie: an n x d array of float32, float16, or int8 with n scales. A numpy.memmap will do."""

    _release = _lib.ecrec_index_release

    def __init__(self, context, vectors, scales=None, cosine=False):
        kind = {"float32": 1, "float16": 2, "int8": 4}.get(str(vectors.dtype))
        if vectors.ndim != 2 or kind is None or vectors.strides[1] != vectors.itemsize or vectors.strides[0] < 0 or vectors.strides[0] % vectors.itemsize:
            raise TypeError("an n x d array of float32, float16 or int8, its rows without gaps, is needed")
        scales = None if scales is None else np.ascontiguousarray(scales, np.float32)
        if scales is not None and scales.shape != (len(vectors),):
            raise ValueError(f"there are {scales.size} scales for {len(vectors)} vectors")
        options, handle = _fill(_IndexOptions, type=kind, similarity=1 + bool(cosine), dimension=vectors.shape[1], vectors=vectors.ctypes.data, count=len(vectors),
                                stride=max(vectors.strides[0] // vectors.itemsize, vectors.shape[1]), scales=None if scales is None else scales.ctypes.data,
                                borrow=1), _p()
        _call(_lib.ecrec_index_create, context._h, c.byref(options), c.byref(handle))
        super().__init__(handle)
        self._borrowed, self._local = (vectors, scales, context), threading.local()

    def close(self):
        """Free the index and this thread's scratch."""
        self.__dict__.pop("_local", None)
        super().close()

    def search(self, queries, k=10):
        """The k best for each query: (n x k uint64 indices, n x k float32 scores), best first; where there are fewer, 2^64 - 1 and -infinity."""
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2:
            raise ValueError("an n x d array of queries is needed")
        if getattr(self._local, "most", 0) < k:
            handle = _p()
            _call(_lib.ecrec_searcher_create, self._h, c.c_size_t(k), c.byref(handle))
            self._local.searcher, self._local.most = type("Searcher", (_Handle,), {"_release": _lib.ecrec_searcher_release})(handle), k
        indices, scores = np.empty((len(queries), k), np.uint64), np.empty((len(queries), k), np.float32)
        _call(_lib.ecrec_search, self._local.searcher._h, _p(queries.ctypes.data), c.c_size_t(len(queries)), _u32(queries.shape[1]), c.c_size_t(k),
              _p(indices.ctypes.data), _p(scores.ctypes.data), c.c_size_t(indices.size))
        return indices, scores


class Schema(_Handle):
    """Fields and labels of records, from a dict (or JSON text) as doc/describe-your-records.md has it."""

    _release = _lib.ecrec_schema_release

    def __init__(self, context, description):
        text = (description if isinstance(description, str) else json.dumps(description)).encode()
        handle = _p()
        _call(_lib.ecrec_schema_parse, context._h, text, c.c_size_t(len(text)), c.byref(handle))
        super().__init__(handle)


class Batch(_Handle):
    """Rows of records: Batch(schema_or_ranker, {"title": [...], "price": array, ...}, labels={"click": [...]}, weights=None), or
    Batch(schema_or_ranker, table) of anything that exports Arrow (a pyarrow table, a Polars or DuckDB frame): its columns are found by name,
    labels, "weight", "position", "propensity", "event" and "group" among them, and read where they lie.

    Texts and categories: sequences of str (None: missing; categories may be integers). Numbers: float arrays (NaN: missing). Vectors: n x d
    float32 (a row of NaN: missing). Times: integers, microseconds. Several values and histories: a list of str a row, or a dict of "items" and more (see _set_lists). Labels: 0, 1 or NaN (not known)."""

    _release = _lib.ecrec_batch_release

    def __init__(self, schema, columns, labels=None, weights=None, events=None, groups=None, positions=None, propensities=None):
        handle, described = _p(), schema._h if isinstance(schema, Schema) else _p(_lib.ecrec_model_schema(schema._h))
        _call(_lib.ecrec_batch_create, described, c.byref(handle))
        super().__init__(handle)
        self.labels = int(_lib.ecrec_schema_labels(described))
        self.fields = [_lib.ecrec_schema_field_name(described, _u32(i)).decode() for i in range(_lib.ecrec_schema_fields(described))]
        names = [_lib.ecrec_schema_label_name(described, _u32(i)).decode() for i in range(self.labels)]
        if columns is None or hasattr(columns, "__arrow_c_stream__"):
            self.rows = 0
            if columns is not None:
                self._all(schema, columns)
            return
        first = next(iter(columns.values())) if columns else ()
        self.rows = len(first["items"] if isinstance(first, dict) else first)
        _call(_lib.ecrec_batch_reset, self._h, c.c_size_t(self.rows))
        for name, values in {**columns, **(labels or {})}.items():
            if len(values["items"] if isinstance(values, dict) else values) != self.rows:
                raise ValueError(f'"{name}" has {len(values)} rows, the first column {self.rows}')
        for name, values in columns.items():
            if name not in self.fields:
                raise KeyError(f'the schema has no field "{name}" (it has {", ".join(self.fields)})')
            index = self.fields.index(name)
            self._set(index, _lib.ecrec_schema_field_kind(described, _u32(index)), values)
        for name, values in (labels or {}).items():
            if name not in names:
                raise KeyError(f'the schema has no label "{name}" (it has {", ".join(names)})')
            values = np.ascontiguousarray(values, np.float32)
            valid = np.ascontiguousarray(~np.isnan(values), np.uint8)
            _call(_lib.ecrec_batch_set_label, self._h, _u32(names.index(name)), _p(values.ctypes.data), _p(valid.ctypes.data))
        if weights is not None:
            weights = np.ascontiguousarray(weights, np.float32)
            if len(weights) != self.rows:
                raise ValueError(f"there are {len(weights)} weights for {self.rows} rows")
            _call(_lib.ecrec_batch_set_weight, self._h, _p(weights.ctypes.data))
        for ids, set_ids in ((events, _lib.ecrec_batch_set_event), (groups, _lib.ecrec_batch_set_group)):
            if ids is not None:
                numbers, valid = _ids(ids, self.rows)
                _call(set_ids, self._h, _p(numbers.ctypes.data), _p(valid.ctypes.data))
        for values, kind, set_values in ((positions, np.uint32, _lib.ecrec_batch_set_position), (propensities, np.float32, _lib.ecrec_batch_set_propensity)):
            if values is not None:
                if len(values) != self.rows:
                    raise ValueError(f"there are {len(values)} positions or propensities for {self.rows} rows")
                given = np.ascontiguousarray(values, kind)
                _call(set_values, self._h, _p(given.ctypes.data), None)

    @classmethod
    def _of(cls, schema, handle):
        """A batch that the library made."""
        batch = object.__new__(cls)
        _Handle.__init__(batch, handle)
        described = schema._h if isinstance(schema, Schema) else _p(_lib.ecrec_model_schema(schema._h))
        batch.labels, batch.rows = int(_lib.ecrec_schema_labels(described)), int(_lib.ecrec_batch_rows(handle))
        batch.fields = [_lib.ecrec_schema_field_name(described, _u32(i)).decode() for i in range(_lib.ecrec_schema_fields(described))]
        return batch

    def _next(self, stream):
        """The stream's next record batch; False at its end."""
        rows, more = c.c_size_t(), c.c_int32()
        _call(_lib.ecrec_batch_next_arrow, self._h, stream, c.byref(rows), c.byref(more))
        self.rows = rows.value
        return bool(more.value)

    def _all(self, schema, table):
        """The one record batch of a table."""
        if hasattr(table, "combine_chunks"):
            table = table.combine_chunks()
        capsule = table.__arrow_c_stream__()  # it owns the stream
        stream = _stream(capsule)
        while self._next(stream) and self.rows == 0:
            pass
        with Batch(schema, None) as rest:
            while self.rows and rest._next(stream):
                if rest.rows:
                    raise ValueError("the stream has several record batches: use arrow_batches")

    def _set(self, index, kind, values):
        field = _u32(index)
        if kind == NUMBER:
            values = np.ascontiguousarray(values, np.float64)
            valid = np.ascontiguousarray(~np.isnan(values), np.uint8)
            _call(_lib.ecrec_batch_set_number, self._h, field, _p(values.ctypes.data), _p(valid.ctypes.data))
        elif kind in (VECTOR, IMAGE):
            values = np.ascontiguousarray(values, np.float32)
            if values.ndim != 2:
                raise ValueError(f'field "{self.fields[index]}": an n x d array is needed')
            valid = np.ascontiguousarray(~np.isnan(values).all(axis=1), np.uint8)
            _call(_lib.ecrec_batch_set_vector, self._h, field, _p(values.ctypes.data), c.c_size_t(values.shape[1]), _p(valid.ctypes.data))
        elif kind == TIME:
            values = np.ascontiguousarray(values, np.int64)
            _call(_lib.ecrec_batch_set_time, self._h, field, _p(values.ctypes.data), None)
        elif kind in (MULTI, HISTORY):
            self._set_lists(field, kind, values if isinstance(values, dict) else {"items": values})
        else:
            set_strings = _lib.ecrec_batch_set_text if kind == TEXT else _lib.ecrec_batch_set_category
            pointers, lengths, _keep = _strings(values)
            _call(set_strings, self._h, field, pointers, lengths)

    def _set_lists(self, field, kind, given):
        """MULTI: "items" (a list of str a row, None: missing) and "weights" (lists alike). HISTORY: "items" and "types", "times" (lists alike), "now" (a time a row)."""
        rows = given["items"]
        starts = np.zeros(self.rows + 1, np.uintp)
        starts[1:] = np.cumsum([len(row) if row is not None else 0 for row in rows])
        valid = np.array([row is not None for row in rows], np.uint8)
        pointers, lengths, _keep = _strings([item for row in rows if row is not None for item in row])
        flat = {name: np.array([v for row, own in zip(rows, given[name]) if row is not None for v in own], kind_of)
                for name, kind_of in (("weights", np.float32), ("types", np.uint32), ("times", np.int64)) if given.get(name) is not None}
        if any(len(v) != starts[-1] for v in flat.values()):
            raise ValueError(f'field "{self.fields[field.value]}": its lists are not of equal lengths')
        at = {name: v.ctypes.data for name, v in flat.items()}
        if kind == MULTI:
            _call(_lib.ecrec_batch_set_multi, self._h, field, _p(starts.ctypes.data), pointers, lengths, _p(at.get("weights")), _p(valid.ctypes.data))
        else:
            now = None if given.get("now") is None else np.ascontiguousarray(given["now"], np.int64)
            history = _fill(_History, events=starts.ctypes.data, items=pointers.value, lengths=lengths.value, types=at.get("types"), times=at.get("times"),
                            now=None if now is None else now.ctypes.data, valid=valid.ctypes.data)
            _call(_lib.ecrec_batch_set_history, self._h, field, c.byref(history))


def _stream(capsule):
    return _p(_capsule_pointer(capsule, b"arrow_array_stream"))


def arrow_batches(schema, source):
    """A Batch for each record batch of a stream of any length (a pyarrow table or reader, anything with __arrow_c_stream__)."""
    capsule = source.__arrow_c_stream__()
    while True:
        batch = Batch(schema, None)
        if not batch._next(_stream(capsule)):
            batch.close()
            return
        yield batch


class _Exported:
    """A record batch for whoever asks (pyarrow.record_batch(it)); once."""

    def __init__(self, schema, array):
        self._capsules = _capsule(schema, b"arrow_schema"), _capsule(array, b"arrow_array")

    def __arrow_c_array__(self, requested_schema=None):
        capsules, self._capsules = self._capsules, None
        if capsules is None:
            raise ValueError("the record batch was taken before")
        return capsules


class Model(_Handle):
    """A tokenizer and an encoder, and when it is a ranker, a schema with learned weights."""

    _release = _lib.ecrec_model_release

    def __init__(self, handle, context):
        super().__init__(handle)
        self._context = context
        self._local = threading.local()

    @classmethod
    def load(cls, context, path):
        """Map a model file."""
        handle = _p()
        _call(_lib.ecrec_model_load, context._h, os.fsencode(path), None, c.byref(handle))
        return cls(handle, context)

    @classmethod
    def import_folder(cls, context, folder):
        """Make a model of a Hugging Face folder."""
        handle = _p()
        _call(_lib.ecrec_model_import, context._h, os.fsencode(folder), None, c.byref(handle), None)
        return cls(handle, context)

    @classmethod
    def ranker(cls, context, schema, base=None):
        """A ranker for the schema; base: the model that encodes its texts."""
        handle = _p()
        if not isinstance(schema, Schema):
            schema = Schema(context, schema)
        _call(_lib.ecrec_ranker_create, context._h, base._h if base else None, schema._h, c.byref(handle))
        return cls(handle, context)

    def close(self):
        """Free the model and this thread's session."""
        self.__dict__.pop("_local", None)
        super().close()

    def _session(self):
        session = getattr(self._local, "session", None)
        if session is None:
            handle = _p()
            _call(_lib.ecrec_session_create, self._h, None, c.byref(handle))
            session = self._local.session = type("Session", (_Handle,), {"_release": _lib.ecrec_session_release})(handle)
        return session._h

    def save(self, path):
        """Write the current snapshot: all of it, or nothing."""
        _call(_lib.ecrec_model_save, self._h, os.fsencode(path))

    def info(self):
        """What the model is, as nested dicts."""
        handle = _p()
        _call(_lib.ecrec_model_info, self._h, c.byref(handle))
        return _report(handle)

    @property
    def dimension(self):
        """Length of a text's vector; 0 without an encoder."""
        return _lib.ecrec_model_dimension(self._h)

    @property
    def max_length(self):
        """Most tokens of a text."""
        return _lib.ecrec_model_max_length(self._h)

    @property
    def space(self):
        """Fingerprint of the space that the vectors live in."""
        return _lib.ecrec_model_space(self._h).decode()

    def encode(self, texts, prompt=None, pooling=None, normalize=None, progress=None):
        """n texts to an n x dimension float32 array. progress(done, total) may return true to cancel."""
        if isinstance(texts, (str, bytes)):
            raise TypeError("encode takes a list of texts")
        pointers, lengths, _keep = _strings(texts)
        out = np.empty((len(texts), self.dimension), np.float32)
        callback = _progress(progress)
        options = _fill(_EncodeOptions, pooling=_POOLING[pooling], normalize={None: 0, True: 1, False: 2}[normalize],
                        prompt=None if prompt is None else prompt.encode(), progress=callback)
        _call(_lib.ecrec_encode, self._h, self._session(), pointers, lengths, c.c_size_t(len(texts)), c.byref(options), _p(out.ctypes.data),
              _u32(out.shape[1]))
        return out

    def tokenize(self, text, pair=None, special=True, max_length=0):
        """{"ids": array, "tokens": list, "offsets": n x 2 array of bytes}."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        other = None if pair is None else pair.encode("utf-8", "surrogatepass")
        options = _fill(_TokenizeOptions, max_length=max_length, no_special=0 if special else 1, pair=other, pair_length=len(other or b""))
        capacity, count = len(data) + len(other or b"") + 8, c.c_size_t()
        while True:
            ids, offsets = np.empty(capacity, np.uint32), np.empty((capacity, 2), np.uint32)
            try:
                _call(_lib.ecrec_tokenize, self._h, self._session(), data, c.c_size_t(len(data)), c.byref(options), _p(ids.ctypes.data),
                      _p(offsets.ctypes.data), None, c.c_size_t(capacity), c.byref(count))
                break
            except Error as e:  # a normalizer can make one character many: the call has told how many tokens there are
                if e.name != "ECREC_ERR_TOO_SMALL" or count.value <= capacity:
                    raise
                capacity = count.value
        ids, offsets = ids[:count.value].copy(), offsets[:count.value].copy()
        return {"ids": ids, "tokens": [_lib.ecrec_token_text(self._h, _u32(int(i)), None).decode() for i in ids], "offsets": offsets}

    def _rows(self, batch):
        return batch if isinstance(batch, Batch) else Batch(self, batch)

    def score_arrow(self, batch):
        """The scores as a record batch: pyarrow.record_batch(ranker.score_arrow(table))."""
        batch, schema, array = self._rows(batch), (_u64 * _SCHEMA_WORDS)(), (_u64 * _ARRAY_WORDS)()
        _call(_lib.ecrec_score_arrow, self._h, self._session(), batch._h, None, c.byref(schema), c.byref(array))
        return _Exported(schema, array)

    def score(self, batch, logits=False, contributions=False, snapshot=0):
        """rows x outputs float32 (one a label, a label of classes one each); with contributions also rows x outputs x parts: what each part
        gave to the logit: the fields, the bias, then the network's. batch: a Batch, or a table (see there)."""
        batch = self._rows(batch)
        schema = _p(_lib.ecrec_model_schema(self._h))
        outputs = int(_lib.ecrec_schema_outputs(schema))
        out = np.empty((batch.rows, outputs), np.float32)
        parts = np.empty((batch.rows, outputs, int(_lib.ecrec_schema_parts(schema))), np.float32) if contributions else None
        options = _fill(_ScoreOptions, logits=int(logits), snapshot=snapshot, contributions=parts.ctypes.data if contributions else None,
                        contributions_capacity=parts.size if contributions else 0)
        _call(_lib.ecrec_score, self._h, self._session(), batch._h, c.byref(options), _p(out.ctypes.data), c.c_size_t(out.size))
        return (out, parts) if contributions else out

    def update(self, batch, passes=1, learning_rate=0.0, decay=0.0, max_loss_growth=0.0, seed=0, progress=None, served=None, **more):
        """Learn from labelled rows (a Batch, or a table); all or nothing. served: the scores that these rows were served with, by which they are judged. more: of ecrec_update_options' members (replay, window ...). The report as nested dicts."""
        batch = self._rows(batch)
        handle, callback = _p(), _progress(progress)
        if served is not None:
            served = np.ascontiguousarray(served, np.float32)
            if len(served) != batch.rows or served.size != batch.rows * int(_lib.ecrec_schema_outputs(_p(_lib.ecrec_model_schema(self._h)))):
                raise ValueError(f"served has {served.size} scores, which is not one an output for each of {batch.rows} rows")
            more["served"] = served.ctypes.data
        more = _outcomes(more)
        options = _fill(_UpdateOptions, passes=passes, learning_rate=learning_rate, decay=decay, max_loss_growth=max_loss_growth, seed=seed, progress=callback, **more)
        try:
            _call(_lib.ecrec_update, self._h, batch._h, c.byref(options), c.byref(handle))
        except Error as e:
            if handle.value:  # a refused update has a report, too
                e.report = _report(handle)
            raise
        return _report(handle)

    def online(self, **options):
        """What the ranker remembers from now on: ecrec_online_options' members (events, reserve, reservoir, drift ...); none: nothing."""
        _call(_lib.ecrec_online_configure, self._h, c.byref(_fill(_OnlineOptions, **options)) if options else None)

    def online_info(self):
        """What the current snapshot remembers, as nested dicts."""
        handle = _p()
        _call(_lib.ecrec_online_info, self._h, c.byref(handle))
        return _report(handle)

    def forget(self, field, value):
        """Take one value of a user, item or category field out of what was learned; the report says what stays."""
        handle, value = _p(), str(value).encode()
        index = _lib.ecrec_schema_find_field(_p(_lib.ecrec_model_schema(self._h)), field.encode())
        _call(_lib.ecrec_forget, self._h, _u32(index), value, c.c_size_t(len(value)), c.byref(handle))
        return _report(handle)

    def name_snapshot(self, snapshot, name):
        """Name a kept snapshot, which then stays; None takes the name away."""
        _call(_lib.ecrec_snapshot_name, self._h, _u64(snapshot), None if name is None else name.encode())

    def find_snapshot(self, name):
        """The number of the snapshot of this name, for score(snapshot=...)."""
        number = _u64()
        _call(_lib.ecrec_snapshot_find, self._h, name.encode(), c.byref(number))
        return number.value

    def rebin(self, field=None, rows=None):
        """Cut one number field with bins anew (None: all of them) by what was seen so far, and by these rows; the weights go along."""
        handle, rows = _p(), self._rows(rows) if rows is not None else None
        _call(_lib.ecrec_rebin, self._h, field.encode() if field is not None else None, rows._h if rows is not None else None, c.byref(handle))
        return _report(handle)

    def expire(self):
        """End a period: values of fields with expire_after that were not seen in so many start anew. The report has how many."""
        handle = _p()
        _call(_lib.ecrec_expire, self._h, c.byref(handle))
        return _report(handle)

    def fit(self, batch, progress=None, **options):
        """Learn over epochs; options are ecrec_fit_options' members (epochs, holdout, seed ...). The report as nested dicts."""
        batch = self._rows(batch)
        handle, callback = _p(), _progress(progress)
        for name in ("checkpoint", "resume"):
            if options.get(name) is not None:
                options[name] = os.fsencode(options[name])
        filled = _fill(_FitOptions, progress=callback, **_outcomes(options))
        _call(_lib.ecrec_fit, self._h, batch._h, c.byref(filled), c.byref(handle))
        return _report(handle)

    @property
    def snapshot(self):
        """Number of the current snapshot."""
        return _lib.ecrec_model_snapshot(self._h)

    def snapshots(self):
        """Numbers of the snapshots that are kept, oldest first."""
        numbers, count = (_u64 * 64)(), c.c_size_t()
        _call(_lib.ecrec_model_snapshots, self._h, numbers, c.c_size_t(64), c.byref(count))
        return list(numbers[:count.value])

    @property
    def state(self):
        """Fingerprint of what the current snapshot has learned."""
        text = c.create_string_buffer(33)
        _call(_lib.ecrec_model_state, self._h, _u64(0), text)
        return text.value.decode()

    def delta_export(self, before, after=0):
        """What changed between two kept snapshots, as bytes."""
        return _written(lambda sink: _call(_lib.ecrec_delta_export, self._h, _u64(before), _u64(after), sink))

    def delta_apply(self, delta):
        """Make a delta's result the current snapshot; its number."""
        number = _u64()
        _call(_lib.ecrec_delta_apply, self._h, delta, c.c_size_t(len(delta)), c.byref(number))
        return number.value

    def delta_merge(self, deltas):
        """One delta of several that begin from the same kept snapshot."""
        pointers, lengths = (c.c_char_p * len(deltas))(*deltas), (c.c_size_t * len(deltas))(*map(len, deltas))
        return _written(lambda sink: _call(_lib.ecrec_delta_merge, self._h, pointers, lengths, c.c_size_t(len(deltas)), sink))

    def journal_open(self, path):
        """Apply what the journal holds, and write each further update to it."""
        handle = _p()
        _call(_lib.ecrec_journal_open, self._h, os.fsencode(path), None, c.byref(handle))
        return _report(handle)

    def journal_compact(self, path):
        """Save the model and begin the journal anew."""
        _call(_lib.ecrec_journal_compact, self._h, os.fsencode(path))

    def rollback(self, snapshot):
        """Make a kept snapshot the current one again, bit for bit."""
        _call(_lib.ecrec_rollback, self._h, _u64(snapshot))

    def _smaller(self, function, kind, texts, progress, **values):
        handle, report, callback = _p(), _p(), _progress(progress)
        pointers, lengths, _keep = _strings(texts or [])
        options = _fill(kind, texts=pointers.value if texts else None, lengths=lengths.value if texts else None, count=len(texts or []), progress=callback, **values)
        _call(function, self._h, c.byref(options), c.byref(handle), c.byref(report))
        return Model(handle, self._context), _report(report)

    def prune(self, heads=0.0, feed_forward=0.0, layers=0, texts=None, progress=None):
        """(a smaller model, its report). Shares to remove; importance is measured on the texts when given."""
        return self._smaller(_lib.ecrec_prune, _PruneOptions, texts, progress, heads=heads, feed_forward=feed_forward, layers=layers)

    def quantize(self, texts=None, progress=None, type="s8"):
        """(the model in 8 bits, or with type "s4" in 4, "bf16" in bfloat16; its report)."""
        return self._smaller(_lib.ecrec_quantize, _QuantizeOptions, texts, progress, type={"bf16": 3, "s8": 4, "s4": 9}[type])


class Impressions(_Handle):
    """What was shown, and the labels that come later: an impression log of a ranker's records, in a file, or with path None in memory.

    Times are datetimes (naive ones are UTC) or microseconds since 1970 UTC; options are ecrec_impressions_options' members (window,
    timeout, correction ...), ids of events whole numbers, str or bytes. One thread at a time."""

    _release = _lib.ecrec_impressions_release

    def __init__(self, context, schema, path=None, **options):
        handle, told, described = _p(), _p(), schema._h if isinstance(schema, Schema) else _p(_lib.ecrec_model_schema(schema._h))
        options = {name: value // datetime.timedelta(microseconds=1) if isinstance(value, datetime.timedelta) else value for name, value in options.items()}
        _call(_lib.ecrec_impressions_open, context._h, described, None if path is None else os.fsencode(path), c.byref(_fill(_ImpressionsOptions, **options)),
              c.byref(handle), c.byref(told))
        super().__init__(handle)
        self.opened = _report(told)  # impressions found in the file, bytes of a torn tail that were cut
        self._schema, self._outputs = schema, int(_lib.ecrec_schema_outputs(described))
        self._labels = [_lib.ecrec_schema_label_name(described, _u32(i)).decode() for i in range(_lib.ecrec_schema_labels(described))]

    def add(self, batch, scores, snapshot, now):
        """Log rows as they were served: a Batch with events, its scores and the snapshot that gave them. All or nothing."""
        scores = np.ascontiguousarray(scores, np.float32)
        if scores.size != batch.rows * self._outputs:
            raise ValueError(f"there are {scores.size} scores for {batch.rows} rows of {self._outputs} outputs")
        _call(_lib.ecrec_impressions_add, self._h, batch._h, _p(scores.ctypes.data), _u64(snapshot), c.c_int64(_micros(now)))

    def label(self, name, events, values, now):
        """Labels that came for these events; how many of them joined an impression and counted."""
        if name not in self._labels:
            raise KeyError(f'the schema has no label "{name}" (it has {", ".join(self._labels)})')
        numbers, _ = _ids(events)
        values, joined = np.ascontiguousarray(values, np.float32), c.c_size_t()
        if values.shape != numbers.shape:
            raise ValueError(f"there are {values.size} values for {numbers.size} events")
        _call(_lib.ecrec_impressions_label, self._h, _u32(self._labels.index(name)), _p(numbers.ctypes.data), _p(values.ctypes.data), c.c_size_t(len(values)),
              c.c_int64(_micros(now)), c.byref(joined))
        return joined.value

    def _rows(self, function, *arguments):
        handle, served, snapshots = _p(), c.POINTER(c.c_float)(), c.POINTER(_u64)()
        _call(function, self._h, *arguments, c.byref(handle), c.byref(served), c.byref(snapshots))
        if not handle.value:
            return None
        batch = Batch._of(self._schema, handle)
        return (batch, np.ctypeslib.as_array(served, (batch.rows, self._outputs)).copy(), np.ctypeslib.as_array(snapshots, (batch.rows,)).copy())

    def take(self, now, most=0):
        """What can be learned from now and was not yet, oldest first: (Batch, scores as served, snapshots that gave them), or None. Then done()."""
        return self._rows(_lib.ecrec_impressions_take, c.c_int64(_micros(now)), c.c_size_t(most))

    def done(self):
        """The rows of the last take are learned from."""
        _call(_lib.ecrec_impressions_done, self._h)

    def rows(self, as_of, start=0):
        """The rows shown from `start` on as they could be learned from at `as_of`, to train anew: as take gives them, or None."""
        return self._rows(_lib.ecrec_impressions_rows, c.c_int64(_micros(start)), c.c_int64(_micros(as_of)))

    def forget(self, field, value):
        """Take the impressions with this value of a user, item or category field out of memory and file; how many went."""
        described = self._schema._h if isinstance(self._schema, Schema) else _p(_lib.ecrec_model_schema(self._schema._h))
        index, value, dropped = _lib.ecrec_schema_find_field(described, field.encode()), str(value).encode(), _u64()
        _call(_lib.ecrec_impressions_forget, self._h, _u32(index), value, c.c_size_t(len(value)), c.byref(dropped))
        return dropped.value

    def compact(self):
        """Write the file anew with what the log holds."""
        _call(_lib.ecrec_impressions_compact, self._h)

    def info(self):
        """What the log holds and has counted, as a dict."""
        handle = _p()
        _call(_lib.ecrec_impressions_info, self._h, c.byref(handle))
        return _report(handle)


class Profiles(_Handle):
    """What is known of each user from what they did; fades. Options are ecrec_profiles_options' members (dimension, events, half_life ...).

    Times are datetimes (naive ones are UTC) or microseconds since 1970 UTC. One thread at a time."""

    _release = _lib.ecrec_profiles_release

    def __init__(self, context, type_weights=None, **options):
        handle = _p()
        if isinstance(options.get("half_life"), datetime.timedelta):
            options["half_life"] //= datetime.timedelta(microseconds=1)
        if options.get("space") is not None:
            options["space"] = options["space"].encode()
        weights = None if type_weights is None else np.ascontiguousarray(type_weights, np.float32)
        if weights is not None and len(weights) != (options.get("event_types") or 1):
            raise ValueError(f"there are {len(weights)} weights for {options.get('event_types') or 1} types of event")
        filled = _fill(_ProfilesOptions, type_weights=None if weights is None else weights.ctypes.data, **options)
        _call(_lib.ecrec_profiles_create, context._h, c.byref(filled), c.byref(handle))
        super().__init__(handle)
        self._dimension = options.get("dimension") or 0

    @classmethod
    def load(cls, context, path):
        """Those of a file that save() wrote, options and all."""
        handle = _p()
        _call(_lib.ecrec_profiles_load, context._h, os.fsencode(path), c.byref(handle))
        profiles = object.__new__(cls)
        _Handle.__init__(profiles, handle)
        profiles._dimension = int(profiles.info()["dimension"])
        return profiles

    def add(self, user, time, item=None, type=0, vector=None, traits=(), weight=0.0):
        """What a user did: with which item, its vector, and traits of it ("brand=acme")."""
        user, item = (v if v is None or isinstance(v, bytes) else str(v).encode() for v in (user, item))
        given = None if vector is None else np.ascontiguousarray(vector, np.float32)
        if given is not None and given.shape != (self._dimension,):
            raise ValueError(f"a vector has {given.size} values, the profiles' dimension is {self._dimension}")
        pointers, lengths, _keep = _strings(traits)
        event = _fill(_ProfileEvent, type=type, user=user, user_length=len(user), item=item, item_length=len(item or b""), time=_micros(time),
                      vector=None if given is None else given.ctypes.data, traits=pointers, trait_lengths=lengths, trait_count=len(traits), weight=weight)
        _call(_lib.ecrec_profiles_add, self._h, c.byref(event), c.c_size_t(1))

    def fill(self, batch, users, now=None, **columns):
        """Set columns of a Batch from the profiles of its rows' users (None: nobody): vector="taste", traits="likes", history=..., count=..., age=..."""
        unknown = [name for name in columns.values() if name not in batch.fields]
        if unknown or len(users) != batch.rows:
            raise ValueError(f"the schema has no field {unknown[0]!r}" if unknown else f"there are {len(users)} users for {batch.rows} rows")
        parts = {**dict.fromkeys(("vector", "traits", "history", "count", "age"), 2 ** 32 - 1), **{part: batch.fields.index(name) for part, name in columns.items()}}
        filled = _fill(_ProfileColumns, **parts)
        times = None if now is None else np.array([_micros(t) for t in now], np.int64)
        if times is not None and len(times) != batch.rows:
            raise ValueError(f"there are {len(times)} times for {batch.rows} rows")
        pointers, lengths, _keep = _strings(users)
        _call(_lib.ecrec_profiles_fill, self._h, batch._h, pointers, lengths, None if times is None else _p(times.ctypes.data), c.byref(filled))

    def vector(self, user):
        """The mean vector of a user's items, of unit length, to search with."""
        user, out = str(user).encode(), np.empty(self._dimension, np.float32)
        _call(_lib.ecrec_profiles_vector, self._h, user, c.c_size_t(len(user)), _p(out.ctypes.data), _u32(self._dimension))
        return out

    def report(self, user, now):
        """A user's profile for people, as nested dicts: traits from the strongest on, history from the newest."""
        user, handle = str(user).encode(), _p()
        _call(_lib.ecrec_profiles_report, self._h, user, c.c_size_t(len(user)), c.c_int64(_micros(now)), c.byref(handle))
        return _report(handle)

    def forget(self, user):
        """A user's profile goes; whether there was one."""
        user, found = str(user).encode(), _u32()
        _call(_lib.ecrec_profiles_forget, self._h, user, c.c_size_t(len(user)), c.byref(found))
        return bool(found.value)

    def info(self):
        handle = _p()
        _call(_lib.ecrec_profiles_info, self._h, c.byref(handle))
        return _report(handle)

    def save(self, path):
        """Write them to a file: all or nothing."""
        _call(_lib.ecrec_profiles_save, self._h, os.fsencode(path))


def evaluate(context, scores, labels, weights=None, kind="binary", groups=None, slices=None, threshold=0.5, bins=15, curve_points=0, at=None):
    """How good scores are, as nested dicts (ecrec/evaluate.h says what is in them).

    scores    probabilities of a binary label, rows x classes of classes, values, or expected classes of an ordinal label
    labels    one a row; NaN: not known. kind: binary, value, classes, or ("ordinal", classes)
    groups    a key a row (anything hashable, or integers): grouped AUC, and ranking with hit rate and NDCG at each of `at`
    slices    a value a row (None: none): a table by value
    """
    p, y = (np.ascontiguousarray(v, np.float32) for v in (scores, labels))
    kind, classes = kind if isinstance(kind, tuple) else (kind, p.shape[1] if kind == "classes" else 0)
    if y.ndim != 1 or p.shape[:1] != y.shape or p.ndim != (2 if kind == "classes" else 1):
        raise ValueError(f"scores {p.shape} and labels {y.shape} do not go together")
    w = None if weights is None else np.ascontiguousarray(weights, np.float32)
    g, s = None, None
    names = (_s * 1)()
    if groups is not None:
        numbers = {}
        g = np.array([numbers.setdefault(v, len(numbers)) for v in (groups.tolist() if isinstance(groups, np.ndarray) else groups)], np.uint64)
    if slices is not None:
        numbers = {}
        s = np.array([_u32(-1).value if v is None else numbers.setdefault(str(v), len(numbers)) for v in slices], np.uint32)
        names = (_s * max(1, len(numbers)))(*[n.encode("utf-8", "surrogatepass") for n in numbers])
    for what, v in (("weights", w), ("groups", g), ("slices", s)):
        if v is not None and v.shape != y.shape:
            raise ValueError(f"{what} {v.shape} and labels {y.shape} do not go together")
    k = None if at is None else np.array(at, np.uint32)
    at_of = lambda v: None if v is None else v.ctypes.data
    told = _fill(_Evaluation, classes=classes, bins=bins, curve_points=curve_points,
                 slice_count=0 if s is None else len(names), threshold=threshold, rows=len(y), scores=at_of(p), labels=at_of(y), weights=at_of(w), groups=at_of(g),
                 slices=at_of(s), slice_names=c.cast(names, _p).value, at=at_of(k), at_count=0 if k is None else len(k))
    told.kind = 1 + ["binary", "value", "classes", "ordinal"].index(kind)
    handle = _p()
    _call(_lib.ecrec_evaluate_rows, context._h, c.byref(told), c.byref(handle))
    return _report(handle)
