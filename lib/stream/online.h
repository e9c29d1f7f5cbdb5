/* What a ranker remembers of the rows that it learned from: which events it has seen, rows for the guard (reserve) and for replay
 * (reservoir), how well it did lately, and its drift detectors. All of it is tensors of the snapshot, so it is saved, journalled, rolled
 * back and sent along in deltas as weights are, to the same bits.
 *
 * "learn.online" u64 {1, ONLINE_WORDS}: settings and counters (doubles as their bits); "learn.events", "learn.seen": events.h;
 * "learn.cells": cells.h; "learn.reserve", "learn.reservoir" u64 {rows, 1}: first cell + 1 of each row, 0: none; "learn.drift" f64 {labels,
 * ADWIN_SIZE + PAGE_HINKLEY_SIZE}; "learn.window" f64 {labels, WINDOW_COLUMNS}. */
#ifndef ECREC_LIB_STREAM_ONLINE_H
#define ECREC_LIB_STREAM_ONLINE_H

#include "ecrec/online.h"
#include "stream/cells.h"
#include "stream/drift.h"
#include "stream/events.h"
#include "rank/rows.h"

enum {
    ONLINE_VERSION, ONLINE_EVENTS, ONLINE_RESERVE, ONLINE_RESERVE_EVERY, ONLINE_RESERVOIR, ONLINE_CELLS, ONLINE_SEED, ONLINE_DRIFT, ONLINE_WINDOW,
    ONLINE_CONFIDENCE, ONLINE_TOLERANCE, ONLINE_THRESHOLD, ONLINE_BOOST, ONLINE_BOOST_ROWS, /* settings */
    ONLINE_EVENT_COUNT = 32, ONLINE_ROWS /* that were offered for keeping */, ONLINE_RESERVE_COUNT /* that ever came into the reserve */,
    ONLINE_RESERVOIR_COUNT /* that were offered to the reservoir */, ONLINE_FREE, ONLINE_FRESH, ONLINE_LIVE, ONLINE_BOOST_LEFT, ONLINE_REPLAYS,
    ONLINE_DRIFTS, ONLINE_REPEATS,
    ONLINE_WORDS = 64
};
/* Of a label: rows, loss, prediction and label summed; since the beginning, in the window that fills, in the last full one. */
enum { WINDOW_ROWS, WINDOW_LOSS, WINDOW_PREDICTION, WINDOW_LABEL, WINDOW_COLUMNS = 12 };

typedef struct online {
    memory *m;
    uint64_t *words; /* NULL: the ranker remembers nothing */
    tensor *state, *drift, *window; /* NULL: not there */
    events seen;
    cells cells;
    tensor *reserve, *reservoir;
} online;

/* The memory of a state, only to be read: FORMAT where it is none that this library makes. */
int32_t online_view(online *o, const tensor_set *set, const ecrec_schema *schema, ecrec_error *err);
/* The same to be written: copies and forks take the places in `set`, which nobody else has yet. NOMEM, FORMAT. */
int32_t online_open(online *o, memory *m, tensor_set *set, const ecrec_schema *schema, ecrec_error *err);
/* Put a memory of these settings into a set: what keeps its size keeps what it holds. INVALID, NOMEM. */
int32_t online_configure(memory *m, tensor_set *set, const ecrec_schema *schema, const ecrec_online_options *options, ecrec_error *err);

static inline double online_double(const online *o, int word)
{
    union { uint64_t bits; double value; } u = { .bits = o->words[word] };
    return u.value;
}

/* Keep a labelled row, or not: in the reserve, or offered to the reservoir (algorithm R: Vitter, ACM TOMS 11, 1985). work: scratch. */
int32_t online_keep(online *o, const ecrec_batch *batch, size_t row, buffer *work, ecrec_error *err);
/* For a merge: whether a place of a store has a row; its bytes, appended (none: nothing). A row of the reservoir goes; one comes, or, where memory does
 * not do, none (`lived`: cells that were in use before rows went to make room); the reserve's newest. NOMEM, FORMAT. */
int online_has(const tensor *store, uint64_t at);
int32_t online_bytes(const online *o, const tensor *store, uint64_t at, buffer *out, ecrec_error *err);
int32_t online_clear(online *o, uint64_t at, ecrec_error *err);
int32_t online_put(online *o, uint64_t at, const buffer *bytes, uint64_t lived, ecrec_error *err);
int32_t online_put_reserve(online *o, const buffer *bytes, ecrec_error *err);
/* The rows of a store (entries[0 .. n) of it) as a batch; *out NULL: there are none. NOMEM, FORMAT. */
int32_t online_rows(const online *o, const ecrec_schema *schema, const tensor *store, const uint64_t *entries, size_t n, ecrec_batch **out, ecrec_error *err);
/* Rows of the reserve, oldest first, at most `most` evenly spread. */
int32_t online_reserve(const online *o, const ecrec_schema *schema, size_t most, ecrec_batch **out, ecrec_error *err);
/* A seeded sample of the reservoir; counts as one replay. */
int32_t online_replay(online *o, const ecrec_schema *schema, size_t n, ecrec_batch **out, ecrec_error *err);
/* Drop the rows for which `whose` is not 0. *dropped is added to. */
typedef int (*online_whose)(void *opaque, const ecrec_batch *batch, size_t row);
int32_t online_forget(online *o, const ecrec_schema *schema, online_whose whose, void *opaque, double *dropped, ecrec_error *err);

int32_t online_tell(const online *o, ecrec_context *context, const ecrec_schema *schema, ecrec_report **out, ecrec_error *err);

#endif
