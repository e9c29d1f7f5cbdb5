/* ecrec/evaluate.h: how good scores are: discrimination, calibration, classes, ranking. */
#ifndef ECREC_EVALUATE_H
#define ECREC_EVALUATE_H

#include "ecrec/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Metrics of scored rows for one binary label: AUC (ties count half), log loss, accuracy at 0.5, ECE (15 bins), PR-AUC
 * (average precision), normalised entropy (log loss over that of the mean label) and a
 * classification report (precision, recall, f1, support per class; macro and weighted). weights may be NULL.
 * The same as ecrec_evaluate_rows with these arrays alone. Errors: INVALID (row named), NOMEM. */
ECREC_API int32_t ecrec_evaluate(ecrec_context *context, const float *probabilities, const float *labels,
                                 const float *weights, size_t n, ecrec_report **report, ecrec_error *err);

/* What is to be measured: scores as ecrec_score gives them beside what came true. */
typedef struct ecrec_evaluation {
    uint32_t size;
    int32_t kind;           /* ECREC_LABEL_*; 0: binary */
    uint32_t classes;       /* CLASSES and ORDINAL: 2..4096 */
    uint32_t bins;          /* rows of the reliability table, equal parts of 0 .. 1; 0: 15; at most 200 */
    uint32_t curve_points;  /* binary: points of "roc" and "pr" in the report, 2..2000; 0: no curves */
    uint32_t slice_count;   /* of slice_names; 0: no table by slice */
    double threshold;       /* binary: a row whose score is at least this is said to be 1; 0: 0.5 */
    size_t rows;
    const float *scores;    /* rows x 1, CLASSES: rows x classes. Probabilities; VALUE: values; ORDINAL: expected classes */
    const float *labels;    /* one a row; NaN: not known, the row is left out */
    const float *weights;   /* NULL, or how much a row counts: finite, >= 0. A group of the ranking counts once */
    const uint64_t *groups; /* NULL, or a key a row: a user, an impression. Adds "grouped" and "ranking" */
    const uint32_t *slices; /* NULL, or a number below slice_count a row (UINT32_MAX: none). Adds "slices" */
    const char *const *slice_names; /* slice_count names, NUL-terminated */
    const uint32_t *at;     /* NULL, or the at_count (at most 16) k of hit rate and NDCG, 1..1000000; NULL: 1, 5, 10, 20 */
    uint32_t at_count;
    uint32_t reserved;
} ecrec_evaluation;
#define ECREC_EVALUATION_INIT { (uint32_t)sizeof(ecrec_evaluation), 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 }
ECREC_API void ecrec_evaluation_init(ecrec_evaluation *evaluation);

/* Measure. In the report:
 *   rows, and of a binary label auc (ties count half), log_loss (nats), accuracy, ece, pr_auc (average precision), normalised_entropy,
 *   calibration.{mean_score, mean_label, ratio} (in the large: the first over the second), class_0.*, class_1.*, macro.*, weighted.*
 *   (precision, recall, f1, support), confusion.A.B (weight of rows that are A and were said to be B),
 *   best_f1.{f1, threshold} (the highest F1 of class 1 and where), reliability.N.{from, to, weight, mean_score, mean_label}, and with
 *   curve_points roc.N.{false_positive_rate, true_positive_rate} and pr.N.{recall, precision};
 *   of classes log_loss, accuracy, ece (of the class with the highest score), class_N.*, macro.*, weighted.*, and up to 32 classes confusion;
 *   of values and ordinal labels mean_squared_error, mean_absolute_error, r2, calibration.*; ordinal also the accuracy of the nearest class.
 * With groups: grouped.auc (binary: the mean of the AUC of groups that have both classes, by weight), grouped.groups and, of groups with a
 *   label above 0, ranking.{groups, mrr, hit_rate_at_K, ndcg_at_K}: all the group's rows ranked by score (of classes: not). Equal scores
 *   count as the mean over their orders. NDCG's gain is the label (negative ones 0), its discount 1 / log2(1 + rank).
 * With slices: slices.N.{name, rows, mean_label, mean_score, ...}, the 100 with most rows, most first; slices_left_out.
 * A figure that these rows do not define (an AUC of one class) is NaN, null in JSON. One thread; the same rows give the same bits.
 * Errors: INVALID (what; err->row), NOMEM. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_evaluate_rows(ecrec_context *context, const ecrec_evaluation *evaluation, ecrec_report **report, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
