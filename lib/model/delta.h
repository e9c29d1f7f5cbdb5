/* Deltas: what was learned between two states of one model, as bytes (doc/journal-and-deltas.md).
 *
 * Changed rows of chunked tables and changed dense tensors are written as the exclusive or with what they were: little to store, exact
 * to the bit, and both ways alike. A state's fingerprint is a sum over its tensors' blocks, so it follows a change without a look at
 * the rest. Tensors "rank.*" and "learn.*" alone: an encoder never changes within a model. */
#ifndef ECREC_LIB_MODEL_DELTA_H
#define ECREC_LIB_MODEL_DELTA_H

#include "base/bytes.h"
#include "model/tensor.h"

#define DELTA_MAGIC "ECDELTA\n"
enum { DELTA_MAJOR = 1, DELTA_HEADER = 128 };

typedef struct delta_head {
    uint64_t from, to;             /* snapshot numbers */
    hash128 model, base, result;   /* model_identity; fingerprints of the state before and after */
    double rows;                   /* learned from in between */
    uint32_t packed;               /* 1: the body is a zstd frame */
    uint64_t raw, stored, checksum; /* of the body */
} delta_head;

/* *state: of `from`, or zeros when from is NULL (an empty state); becomes that of `to`. */
void state_hash(const tensor_set *from, const tensor_set *to, hash128 *state);
/* Rows learned from so far ("learn.progress"); 0 when not counted. */
double state_rows(const tensor_set *s);
int learned_tensor(const char *name); /* "rank.*" or "learn.*" */

/* Appends to `out`. head: from, to, model, base, result are given, the rest is found out. NOMEM. */
int32_t delta_write(memory *m, delta_head *head, const tensor_set *from, const tensor_set *to, buffer *out, ecrec_error *err);
/* Header and checksums: FORMAT, UNSUPPORTED. The bytes must be one delta and nothing else. */
int32_t delta_read_head(const void *bytes, size_t length, delta_head *head, ecrec_error *err);
/* The state that comes of `from`, whose fingerprint must be head->base (checked by the caller); all that did not change is shared.
 * Nothing is believed: FORMAT where a row, a shape or the fingerprint of the result does not fit. Memory: the body, at most 64 MiB +
 * 64 x the delta's length + the dense tensors of `from`, and the chunks that are touched. NOMEM. */
int32_t delta_apply(memory *m, const delta_head *head, const void *bytes, size_t length, const tensor_set *from, tensor_set **out, ecrec_error *err);

#endif
