/* The impression log: what was shown, in the order it came, found by event ids; and its file.
 *
 * file: header (64 bytes: magic, u32 version, u32 fields, u32 labels, u32 0, u64 hash of their names and kinds, zeros, checksum), then records
 * (32 bytes: u32 magic, u32 kind, u64 length, u64 checksum of the record before, u64 checksum of these and the payload; then the payload):
 *   ADD: u32 n, n times an impression (impression_write); LABELS: i64 now, u32 label, u32 n, n times u64 event, f32 value;
 *   DONE: u32 n, u32 labels, n times u64 event, u8 deliveries, u8 flags of each label; COUNTS: u64 COUNT_SIZE times. */
#ifndef ECREC_LIB_STREAM_IMPRESSIONS_H
#define ECREC_LIB_STREAM_IMPRESSIONS_H

#include "base/bytes.h"
#include "ecrec/impressions.h"
#include "model/journal.h"
#include "rank/rows.h"

enum { LABEL_CAME = 1, LABEL_TAKEN = 2, LABEL_TIMED_OUT = 4 /* taken as 0, because none came */ };
typedef struct impression_label { int64_t time; float value; uint8_t flags; } impression_label;

typedef struct impression {
    uint64_t event, snapshot;
    int64_t time;
    uint32_t length, heads, label_count, deliveries;
    /* then label_count labels, heads scores, length bytes of the row */
} impression;

enum { COUNT_ADDED, COUNT_DROPPED, COUNT_JOINED, COUNT_UNKNOWN, COUNT_TOO_LATE, COUNT_REPEATED, COUNT_EARLY, COUNT_LATE, COUNT_SIZE };
enum { RECORD_ADD = 1, RECORD_LABELS = 2, RECORD_DONE = 3, RECORD_COUNTS = 4 };

struct ecrec_impressions {
    ecrec_context *context; /* referenced */
    memory *m;
    ecrec_schema *schema;   /* referenced */
    ecrec_impressions_options o; /* defaults filled in */
    uint32_t heads;
    impression **items;     /* a ring: items[(first + i) % capacity] */
    size_t first, count, capacity;
    size_t *index;          /* place in the ring + 1; 2 x capacity slots */
    int64_t *due;           /* a tree over the places, see impressions_due; 2 x capacity */
    uint64_t bytes;         /* of impressions */
    uint64_t counts[COUNT_SIZE];
    /* the last take */
    uint64_t *taken_events;
    unsigned char *taken_flags; /* taken x labels */
    size_t taken, taken_capacity;
    float *served;
    uint64_t *snapshots;
    size_t served_capacity; /* rows */
    /* the file */
    const journal_io *io;
    int file, broken;       /* file -1: none */
    uint64_t end, chain;
    uint32_t unsynced;
    char *path, *beside, *work;
    size_t path_bytes;
};

static inline size_t impression_size(const impression *p)
{
    return sizeof *p + p->label_count * sizeof(impression_label) + p->heads * sizeof(float) + p->length;
}
static inline impression_label *impression_labels(const impression *p)
{
    return (impression_label *)(uintptr_t)(p + 1);
}
static inline float *impression_scores(const impression *p)
{
    return (float *)(void *)(impression_labels(p) + p->label_count);
}
static inline unsigned char *impression_row(const impression *p)
{
    return (unsigned char *)(impression_scores(p) + p->heads);
}
static inline impression *impression_at(const ecrec_impressions *log, size_t i)
{
    return log->items[(log->first + i) % log->capacity];
}
impression *impressions_find(const ecrec_impressions *log, uint64_t event); /* NULL: not there */
/* The first of the impressions from the i-th on that has something to be taken at `now`, or may have; log->count: none. By a tree over the ring
 * whose leaves are DUE_NOW (a label came that was not taken), the impression's time (no label of the timeout's yet) or DUE_NEVER, and whose other
 * nodes are the less of two: in steps as the logarithm of what the log holds. */
#define DUE_NOW INT64_MIN
#define DUE_NEVER INT64_MAX
size_t impressions_due(const ecrec_impressions *log, size_t i, int64_t now);
void impressions_touch(ecrec_impressions *log, const impression *p); /* its labels' flags have changed */
static inline int impression_over(int64_t time, int64_t now, int64_t after)
{
    return now > time && (uint64_t)now - (uint64_t)time > (uint64_t)after;
}
/* Of a label that came and was not taken. A 0 that came after it was called 0 says nothing new. */
static inline int impression_news(const impression_label *y)
{
    return (y->flags & (LABEL_CAME | LABEL_TAKEN)) == LABEL_CAME && !(y->flags & LABEL_TIMED_OUT && y->value < 0.5f);
}

/* Changes in memory, as the calls and the records of a file make them. Without a sentence: NOMEM, FORMAT. */
int32_t impressions_reserve(ecrec_impressions *log, size_t more); /* then so many can be put without fail */
void impressions_put(ecrec_impressions *log, impression *p);      /* takes it over; newer than the others; not there yet */
void impressions_bound(ecrec_impressions *log, int64_t now);      /* what is too old or too many goes */
void impressions_join(ecrec_impressions *log, uint32_t label, uint64_t event, float value, int64_t now);
int32_t impressions_mark(ecrec_impressions *log, reader *done); /* the payload of DONE: FORMAT */

/* An impression as bytes; back: NULL and *status NOMEM or FORMAT. */
int32_t impression_write(const impression *p, buffer *out);
impression *impression_read(ecrec_impressions *log, reader *r, int32_t *status);
int label_can_be(const schema_label *l, float value);

/* The file. open: reads it into the log. append: the payload of one record. A log without one: OK. */
int32_t impressions_file_open(ecrec_impressions *log, const char *path, const journal_io *io, uint64_t *cut, ecrec_error *err);
int32_t impressions_file_append(ecrec_impressions *log, uint32_t kind, buffer *record /* begins with IMPRESSION_HEADER bytes of room */, ecrec_error *err);
int32_t impressions_file_compact(ecrec_impressions *log, ecrec_error *err);
int32_t impressions_file_tidy(ecrec_impressions *log, ecrec_error *err);
void impressions_file_close(ecrec_impressions *log);
enum { IMPRESSION_HEADER = 32, IMPRESSIONS_HEADER = 64 };

/* The calls; arguments are checked. */
int32_t impressions_open(ecrec_context *context, const ecrec_schema *schema, const char *path, const ecrec_impressions_options *options,
                         const journal_io *io, ecrec_impressions **out, uint64_t *cut, ecrec_error *err);
void impressions_close(ecrec_impressions *log);
int32_t impressions_add(ecrec_impressions *log, const ecrec_batch *batch, const float *scores, uint64_t snapshot, int64_t now, ecrec_error *err);
int32_t impressions_label(ecrec_impressions *log, uint32_t label, const uint64_t *events, const float *values, size_t n, int64_t now, size_t *joined,
                          ecrec_error *err);
int32_t impressions_take(ecrec_impressions *log, int64_t now, size_t most, ecrec_batch **batch, ecrec_error *err);
int32_t impressions_done(ecrec_impressions *log, ecrec_error *err);
int32_t impressions_rows(ecrec_impressions *log, int64_t from, int64_t as_of, ecrec_batch **batch, ecrec_error *err);
int32_t impressions_forget(ecrec_impressions *log, uint32_t field, const char *value, size_t length, uint64_t *dropped, ecrec_error *err);

#endif
