/* ecrec/online.h: what a ranker remembers of the rows that it learned from.
 *
 * Without ecrec_online_configure it remembers nothing, and an update is judged by its own rows. What is remembered belongs to the snapshot: it is
 * saved with the model, journalled, rolled back and sent along in deltas, to the same bits. See doc/learn-online.md.
 */
#ifndef ECREC_ONLINE_H
#define ECREC_ONLINE_H

#include "ecrec/learn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_online_options {
    uint32_t size;
    uint32_t events;          /* ids of the last so many events are remembered, each counts once (ecrec_batch_set_event); at most 2^26; 0: none */
    uint32_t reserve;         /* recent rows by which the guard judges an update, never replayed; at most 2^20; 0: none */
    uint32_t reserve_every;   /* of so many rows one goes there, told by the seed; 0: 8 */
    uint32_t reservoir;       /* rows kept for replay, each row learned from with the same probability; at most 2^24; 0: none */
    uint32_t drift;           /* detectors of a rise of the error: ECREC_DRIFT_ADWIN | ECREC_DRIFT_PAGE_HINKLEY */
    uint32_t window;          /* rows of a window of progressive validation; 0: 1000 */
    uint32_t boost_rows;      /* for so many rows after a drift the learning rate is multiplied by boost; 0: 1000 */
    uint64_t row_bytes;       /* memory for the rows kept, in steps of 64 a row, at most 2^38; 0: 64 MiB. Where it does not do, older rows go */
    uint64_t seed;            /* which rows are kept and replayed */
    double boost;             /* 1 .. 100; 0: 1, none */
    double drift_confidence;  /* ADWIN's delta; 0: 0.002 */
    double drift_tolerance;   /* Page-Hinkley's: a rise of the mean error by this is none; 0: 0.005 */
    double drift_threshold;   /* Page-Hinkley's lambda; 0: 50 */
} ecrec_online_options;
#define ECREC_ONLINE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_online_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
ECREC_API void ecrec_online_options_init(ecrec_online_options *options);

/* Say what the ranker remembers from now on (NULL: nothing, and what it did is gone). Publishes a snapshot. What keeps its size keeps what it
 * holds: events by `events`, rows by reserve, reservoir and row_bytes together, detectors by `drift`.
 * Errors: INVALID (which option), UNSUPPORTED (not a ranker), BUSY (an update runs), FORMAT (the model's memory is damaged), IO (the journal),
 * NOMEM. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_online_configure(ecrec_model *model, const ecrec_online_options *options, ecrec_error *err);

/* What the current snapshot remembers: "events.window", "events.known", "reserve.rows", "reservoir.rows", "reservoir.offered", "bytes",
 * "repeats", "drifts", "boost_rows_left" and for each label "labels.NAME.rows", ".loss", ".calibration" (mean score / mean label) since the
 * beginning and ".window.rows", ".window.loss", ".window.calibration" of the last full window (binary and value labels: calibration; scores as of
 * before each row was learned from). A ranker that remembers nothing: "configured" 0 alone.
 * Errors: INVALID, UNSUPPORTED (not a ranker), FORMAT, NOMEM. Any thread. The caller releases the report. Since 0.1. */
ECREC_API int32_t ecrec_online_info(ecrec_model *model, ecrec_report **report, ecrec_error *err);

/* Forget one value of a USER, ITEM or CATEGORY field, a user most often: rows that have it leave the reserve and the reservoir (their bytes
 * are overwritten), its own hashed weights and its embedding are zeros again, and so are its pairs with the other values of those rows.
 * Publishes a snapshot and drops all older ones. `report` (may be NULL): "rows", "weights", "embeddings" cleared, "snapshots_dropped",
 * "shared_weight" and "shared_embedding" (how likely it is that another value shares the one that was cleared), and "cannot_undo", a list of
 * sentences. Errors: INVALID (field), UNSUPPORTED (not a ranker), BUSY, FORMAT (the model's memory is damaged), IO (the journal), NOMEM.
 * Allocates. Since 0.1. */
ECREC_API int32_t ecrec_forget(ecrec_model *model, uint32_t field, const char *value, size_t length, ecrec_report **report, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
