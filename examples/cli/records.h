/* Records being read: what the reader of rows and the filler of batches share. */
#ifndef ECREC_TOOL_RECORDS_H
#define ECREC_TOOL_RECORDS_H

#include "cells.h"
#include "tool.h"

enum { FORMAT_UNKNOWN, FORMAT_JSONL, FORMAT_TSV, FORMAT_CSV, FORMAT_LIBSVM, MOST_REASON = 320 };
enum { COLUMN_WEIGHT = -1, COLUMN_POSITION = -2, COLUMN_PROPENSITY = -3, COLUMN_EVENT = -4, COLUMN_GROUP = -5, ROW_COLUMNS = 5 };

typedef struct column {
    const char *name;
    int32_t kind; /* ECREC_FIELD_* (a user or item: CATEGORY, an image: VECTOR); 0: a label; else a COLUMN_* */
    int32_t label; /* ECREC_LABEL_* of a label; what it may hold is the batch's to check */
    uint32_t index;
    int at; /* CSV, TSV: its cell, or -1 */
    int shadowed;
    size_t *starts, *lengths; /* text, category: into bytes */
    uint8_t *valid;
    double *numbers;
    float *floats;
    uint32_t *positions;
    int64_t *times;
    const char **texts;
    size_t *first_item, *item_starts, *item_lengths, items, item_room; /* multi, history: of each row; of each value */
    float *item_weights;
    uint32_t *event_types; /* history */
    int64_t *event_times;
    int timed;             /* an event with a time was there */
    size_t dimension; /* vector: how many values a row must have */
} column;

struct records {
    lines input;
    column *columns;
    size_t count, most, labels_at, rows;
    uint32_t labels;
    int format;  /* FORMAT_* */
    int skip_bad;
    char *reasons; /* of bad rows, while they are skipped: reason_rows of them, MOST_REASON bytes each */
    size_t *reason_rows, reason_count, reason_room;
    cell *cells;
    char *joined; /* a row of CSV that has several lines */
    size_t joined_room;
    int fatal;    /* the file cannot be read on */
    int need_labels;
    char *bytes;
    size_t used, room;
    uint64_t *line_of; /* of each row: blank lines are skipped */
    size_t header;     /* CSV, TSV: cells of the header */
    int seen;          /* JSONL: a row that names a field */
};

/* The row's value is wrong: told, or kept as the row's reason while bad rows are skipped; EXIT_FAILED. */
int bad(records *r, const column *c, const char *what);
int bad_line(records *r, const char *format, ...); /* the same of a line as a whole */
int broken(records *r, const char *format, ...);   /* of the file: it is never skipped */
int is_text(const column *c);
int put_text(records *r, column *c, size_t row, const char *text, size_t length);
int put_number(records *r, column *c, size_t row, double value);
int put_vector(records *r, column *c, size_t row, const double *values, size_t n);
/* One more value of a multi field (its weight), or event of a history. */
int put_item(records *r, column *c, const char *text, size_t length, double weight);
int put_event(records *r, column *c, const char *text, size_t length, uint32_t type, int timed, int64_t time);

/* record_rows.c: the line that was read last as row `row`. */
int row_header(records *r);
int row_read(records *r, size_t row);

#endif
