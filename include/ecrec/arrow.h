/* ecrec/arrow.h: records from Arrow, scores to Arrow.
 *
 * The three structs are the Arrow C data interface and C stream interface, an ABI that does not change
 * (arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html): what a producer exports (pyarrow's __arrow_c_stream__,
 * DuckDB, Polars, arrow-go) is read where it lies. */
#ifndef ECREC_ARROW_H
#define ECREC_ARROW_H

#include "ecrec/batch.h"
#include "ecrec/rank.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

/* Make a record batch (a struct array, "+s") the rows of a batch: its columns are found by the names of the schema's fields and labels,
 * and "weight", "position", "propensity", "event", "group"; columns with other names are passed over, fields that it lacks are missing.
 *   text, category, user, item: utf8, large_utf8, utf8_view, binary, large_binary, binary_view, fixed-size binary, or a dictionary of them; a category also
 *     integers (by their decimal spelling) and booleans ("true", "false");
 *   number, labels, weight, propensity, position: integers, float16/32/64, decimals of 32 to 256 bits, booleans;
 *   vector, image: fixed-size lists, lists or large lists of numbers;
 *   multi: lists or large lists of what a category takes, or of structs or maps of it and a number, the weight;
 *   history: lists of items (as a category's), or of structs of "item" and, if they are there, "type" (a number) and "time" (as a time);
 *   time: timestamps of any unit, dates, or integers (microseconds); event, group: integers, or text by its hash.
 * Nulls are missing values. float64 numbers, int64 times in microseconds, float32 labels and vectors in fixed-size lists and the bytes of
 * texts are not copied: the batch reads them in the producer's memory. Values are checked as the setters check them, and lengths,
 * offsets and dictionary indices before they are used; that the buffers are as long as they say nobody can check.
 * On success the array is the batch's (array->release is NULL afterwards), which releases it when it is reset, set again from Arrow
 * or released, on that thread; the schema stays the caller's. On failure the array stays the caller's and the batch is as it was.
 * Errors: INVALID (what is wrong with which column or row), LIMIT, NOMEM. One thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_batch_take_arrow(ecrec_batch *batch, const struct ArrowSchema *schema, struct ArrowArray *array, ecrec_error *err);

/* The next record batch of a stream, as above: *rows is how many rows the batch has now. At the end *more is 0 and the batch has none
 * (a record batch may be empty: more is 1 then). The stream stays the caller's to release, also on failure; what was read of it is gone.
 * Errors: as above, IO (the producer's own: its message). One thread. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_batch_next_arrow(ecrec_batch *batch, struct ArrowArrayStream *stream, size_t *rows, int32_t *more,
                                         ecrec_error *err);

/* ecrec_score into a new record batch: a float32 column for each output, named as its label ("label.0", "label.1", ... with classes);
 * a row that was skipped is null. Both structs are filled on success only and are the caller's to release; they may outlive model
 * and session. Errors: as ecrec_score, NOMEM. One thread a session. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_score_arrow(ecrec_model *model, ecrec_session *session, const ecrec_batch *batch,
                                    const ecrec_score_options *options, struct ArrowSchema *schema, struct ArrowArray *array,
                                    ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
