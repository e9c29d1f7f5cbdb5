/* ecrec/delta.h: what was learned, as a value: deltas between snapshots, and the journal that survives a crash.
 *
 * A delta holds what changed from one snapshot to another: the rows of tables, the dense weights, the optimiser's state. It is opaque,
 * compressed and checksummed, and fits exactly the state that it was made from. See doc/journal-and-deltas.md.
 */
#ifndef ECREC_DELTA_H
#define ECREC_DELTA_H

#include "ecrec/learn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fingerprint of what a snapshot (0: the current one) has learned: 32 hexadecimal digits and a NUL into text (33 bytes). The same
 * weights and the same optimiser's state give the same text, whatever the machine. The first call looks at all weights, later ones at what
 * changed. Errors: INVALID, UNSUPPORTED (not a ranker), NOT_FOUND (snapshot). Any thread. Allocates nothing. Since 0.1. */
ECREC_API int32_t ecrec_model_state(ecrec_model *model, uint64_t snapshot, char text[33], ecrec_error *err);

/* Write what changed between two kept snapshots (to 0: the current one; from may be the later one, then the delta leads back). One
 * call of sink->write, on the caller's thread, with the whole delta. Errors: INVALID, UNSUPPORTED (not a ranker), NOT_FOUND (a snapshot is
 * not kept), IO (the sink failed), NOMEM. Any thread, while others read and update. Since 0.1. */
ECREC_API int32_t ecrec_delta_export(ecrec_model *model, uint64_t from, uint64_t to, const ecrec_sink *sink, ecrec_error *err);

/* Make the delta's result the current snapshot, under the trainer's number when that is above all numbers given so far (*snapshot, may be
 * NULL). The bits are the trainer's. One that is applied already changes nothing and is OK. All or nothing; readers never wait.
 * Errors: INVALID, FORMAT (damaged: says what and where), UNSUPPORTED (a newer version; not a ranker), MISMATCH (another schema or
 * encoder, or another base state: says which snapshot it needs), BUSY (an update runs), IO (the journal), NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_delta_apply(ecrec_model *model, const void *bytes, size_t length, uint64_t *snapshot, ecrec_error *err);

/* What a delta is: "from", "to" (snapshots), "base", "result" (states as ecrec_model_state says them), "rows" (learned from), "bytes",
 * "unpacked_bytes". Errors: INVALID, FORMAT, UNSUPPORTED, NOMEM. Any thread. The caller releases the report. Since 0.1. */
ECREC_API int32_t ecrec_delta_info(ecrec_context *context, const void *bytes, size_t length, ecrec_report **report, ecrec_error *err);

/* Make one delta of several workers' that began from the same kept snapshot of the model, and give it to sink->write in one call: what all
 * of them learned. Each row of a table moves by the mean of its moves, weighed by the root of the squared gradients that each worker added, so a
 * row that one worker alone has seen moves as far as there; AdaGrad's sums add up; a network is weighed by steps. What is remembered (ecrec_online_configure) is
 * as of one that had learned all of it: events that one has seen are known; the reservoir is a sample in which each of the rows that any of them was
 * offered has the same chance, told by the seed; the reserve has the newest of each in turn; counts and windows add up; a drift detector is that of
 * the worker with the most rows. An event that two workers learned from counts twice. The model is not changed: apply the result to it, and to the workers after a rollback to the base. At most 1,024 deltas.
 * Errors: INVALID, FORMAT (which delta: its place), UNSUPPORTED (not a ranker), MISMATCH (another model, or a base that is not kept, or two
 * bases), IO (the sink), NOMEM. Any thread. Since 0.1. */
ECREC_API int32_t ecrec_delta_merge(ecrec_model *model, const void *const *deltas, const size_t *lengths, size_t n, const ecrec_sink *sink,
                                    ecrec_error *err);

enum { ECREC_SYNC_EACH = 0, ECREC_SYNC_GROUP = 1, ECREC_SYNC_NONE = 2 };
typedef struct ecrec_journal_options {
    uint32_t size;
    uint32_t sync;   /* EACH: synced before an update returns, which then survives a power cut; GROUP: every `group` updates and on
                        ecrec_journal_sync; NONE: left to the system. In all three an update that returned OK survives the process */
    uint32_t group;  /* 0: 16 */
    uint32_t repair; /* 1: cut the journal where it is damaged, even if whole records follow there (they are lost) */
} ecrec_journal_options;
#define ECREC_JOURNAL_OPTIONS_INIT { (uint32_t)sizeof(ecrec_journal_options), 0, 0, 0 }
ECREC_API void ecrec_journal_options_init(ecrec_journal_options *options);

/* Attach a journal to a ranker that was just loaded: a file that is made when it is not there. First what it holds beyond the model's
 * state is applied, to the same bits (a tail that was being written in a crash is cut); then every update, fit, applied delta and
 * rollback is written to it before it becomes visible and before its call returns OK; if it cannot be written the call fails and nothing has
 * changed. The model closes its journal when it is released. `report` (may be NULL): "replayed" (records), "cut_bytes", "snapshot".
 * Errors: INVALID (it has one), UNSUPPORTED (not a ranker), IO, BUSY (another process has the file, or an update runs), FORMAT (damaged, with
 * whole records behind: see repair), MISMATCH (a journal of another model or state), NOMEM. After an error the model is at a state that the
 * journal went through, without a journal. One thread. Since 0.1. */
ECREC_API int32_t ecrec_journal_open(ecrec_model *model, const char *path, const ecrec_journal_options *options, ecrec_report **report,
                                     ecrec_error *err);
/* What was written is on the disk when this returns OK. Errors: INVALID (no journal), IO, BUSY. Since 0.1. */
ECREC_API int32_t ecrec_journal_sync(ecrec_model *model, ecrec_error *err);
/* Save the model to model_path and begin the journal anew from there. A crash in between leaves a pair that belongs together. Also what
 * brings a journal that failed back to work. Errors: INVALID (no journal), IO, BUSY, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_journal_compact(ecrec_model *model, const char *model_path, ecrec_error *err);
/* Sync and detach; updates are no longer written. Errors: INVALID (no journal), IO (detached all the same), BUSY. Since 0.1. */
ECREC_API int32_t ecrec_journal_close(ecrec_model *model, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
