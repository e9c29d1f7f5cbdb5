/* ecrec/impressions.h: what was shown, and the labels that come later.
 *
 * An impression is a row as it was scored: its features, position, propensity and group, its scores and the snapshot that gave them. Labels that
 * come late find it by its event id; it is then learned from as it was served, and judged by the probability that was served. The log is a
 * handle of its own with a file of its own: a rollback of the model does not touch it. Time is the host's: int64 microseconds since 1970 UTC.
 * See doc/learn-online.md.
 */
#ifndef ECREC_IMPRESSIONS_H
#define ECREC_IMPRESSIONS_H

#include "ecrec/delta.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_impressions ecrec_impressions;

enum { ECREC_CORRECTION_NONE = 0, ECREC_CORRECTION_DELAY = 1 };
typedef struct ecrec_impressions_options {
    uint32_t size;
    uint32_t sync;          /* ECREC_SYNC_*, of the file, as for a journal */
    uint32_t group;         /* 0: 16 */
    uint32_t repair;        /* 1: cut the file where it is damaged, even if whole records follow there (they are lost) */
    uint64_t most;          /* impressions kept, the newest; 0: 1,000,000 */
    uint64_t most_bytes;    /* memory for them; 0: 1 GiB */
    int64_t most_age;       /* older ones go; 0: 30 days */
    int64_t window;         /* attribution: a label counts when it comes so soon after the impression; 0: 7 days */
    int64_t timeout;        /* without a label for so long the impression is a 0; 0: the window. A shorter one needs the correction */
    uint32_t timeout_label; /* the binary label that is then 0 */
    uint32_t correction;    /* ECREC_CORRECTION_DELAY: a 0 that was called early counts less, see ecrec_impressions_take */
    double late_share;      /* the correction's: share of the 1s that come after the row was taken as a 0; 0: as the log counts it */
} ecrec_impressions_options;
#define ECREC_IMPRESSIONS_OPTIONS_INIT { (uint32_t)sizeof(ecrec_impressions_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
ECREC_API void ecrec_impressions_options_init(ecrec_impressions_options *options);

/* A log of rows of this schema; with a path it is a file that is made when it is not there, and what it holds is in the log (a tail that was being
 * written in a crash is cut). A log of a schema that has grown since is read. `report` (may be NULL): "impressions", "cut_bytes".
 * Errors: INVALID (options), IO, BUSY (another process has the file), FORMAT (damaged, with whole records behind: see repair), MISMATCH (a log of
 * other fields), UNSUPPORTED (a newer version), NOMEM. One thread at a time uses a log. The caller releases it. Since 0.1. */
ECREC_API int32_t ecrec_impressions_open(ecrec_context *context, const ecrec_schema *schema, const char *path,
                                         const ecrec_impressions_options *options, ecrec_impressions **log, ecrec_report **report,
                                         ecrec_error *err);
ECREC_API void ecrec_impressions_release(ecrec_impressions *log);

/* Log the rows of a batch as they were served: scores are rows x outputs as ecrec_score gave them, snapshot is the one that did. Each row has an
 * event id (ecrec_batch_set_event) that the log does not hold yet; labels in the batch are not looked at. All or nothing.
 * Errors: INVALID (row named: no event id, or one that is there; a score is no number), MISMATCH (another schema), IO, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_add(ecrec_impressions *log, const ecrec_batch *batch, const float *scores, uint64_t snapshot,
                                        int64_t now, ecrec_error *err);

/* Labels that came: values[i] of `label` for event events[i], at `now`. The first one within the attribution window counts; *joined (may be
 * NULL) how many did; the others (unknown or too late or a second time) are counted in ecrec_impressions_info. All or nothing.
 * Errors: INVALID (label, row: a value that the label cannot have), IO, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_label(ecrec_impressions *log, uint32_t label, const uint64_t *events, const float *values, size_t n,
                                          int64_t now, size_t *joined, ecrec_error *err);

/* What can be learned from at `now` and was not yet (ecrec_impressions_done): a batch of at most `most` rows (0: all), oldest first, the
 * caller's; *batch is NULL when there are none. It takes time by what is new, not by what the log holds. A row has the labels that came since it
 * was last taken, or 0 where the timeout is over. Its event id is the impression's the first time, another one (always the same) when it comes
 * again with more labels.
 * *served (rows x outputs) and *snapshots (rows), each may be NULL: what was served, for ecrec_update_options.served; valid until the next call.
 * With ECREC_CORRECTION_DELAY a 0 that the timeout made weighs (1 - p) / (1 - p + s p) times its weight, p the probability served and s the share of
 * the 1s that come later (those are learned from as well when they come): importance weights as of Ktena et al., "Addressing delayed feedback
 * for continuous training with neural networks in CTR prediction", RecSys 2019 (fake negative weighted, there s = 1), for a waiting time as in Yang
 * et al., "Capturing delayed feedback in conversion rate prediction via elapsed-time sampling", AAAI 2021; what a model learns of p is then unbiased.
 * Errors: INVALID, FORMAT, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_take(ecrec_impressions *log, int64_t now, size_t most, ecrec_batch **batch, const float **served,
                                         const uint64_t **snapshots, ecrec_error *err);
/* The rows of the last take are learned from: they are not taken again. After a crash between the update and this call they are taken once more,
 * with the same event ids, so that a ranker that remembers events (ecrec_online_configure) counts them once. Errors: INVALID (no take
 * before), IO, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_done(ecrec_impressions *log, ecrec_error *err);

/* The rows shown from `from` on (0: all) as they could be learned from at `as_of`: with labels that had come by then, 0 where the attribution window
 * was over, without those that were still open; each once, weights as they were. To train a model anew as of any time. Not one: *batch is
 * NULL. served, snapshots: as above. Errors: INVALID, FORMAT, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_rows(ecrec_impressions *log, int64_t from, int64_t as_of, ecrec_batch **batch, const float **served,
                                         const uint64_t **snapshots, ecrec_error *err);

/* Impressions whose USER, ITEM or CATEGORY field has this value go, and the file is written anew without them. *dropped may be NULL.
 * Errors: INVALID (field), IO (they are gone from memory, not from the file), FORMAT, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_forget(ecrec_impressions *log, uint32_t field, const char *value, size_t length, uint64_t *dropped,
                                           ecrec_error *err);
/* Write the file anew with what the log holds; also done by itself when it has grown to twice that. Also what brings a log whose file failed back to
 * work. Errors: INVALID (no file), IO (the old file is as it was), NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_compact(ecrec_impressions *log, ecrec_error *err);

/* "impressions", "bytes", "file_bytes", "added", "dropped" (too old or too many), "joined", "unknown", "too_late", "repeated", "early" and "late" 1s
 * (before and after the row was taken as a 0). Errors: INVALID, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_impressions_info(ecrec_impressions *log, ecrec_report **report, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
