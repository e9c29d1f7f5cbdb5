/* ecrec/compress.h: smaller models. Each call gives a new model; the original is untouched. */
#ifndef ECREC_COMPRESS_H
#define ECREC_COMPRESS_H

#include "ecrec/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What tells important parts from others. DEFAULT: TAYLOR when texts are given, else MAGNITUDE. */
enum {
    ECREC_IMPORTANCE_DEFAULT = 0,
    ECREC_IMPORTANCE_MAGNITUDE = 1,   /* norms of the weights */
    ECREC_IMPORTANCE_ACTIVATION = 2,  /* norms of the weights times the activations on the texts */
    ECREC_IMPORTANCE_TAYLOR = 3       /* first-order change of the text vectors on the texts */
};

typedef struct ecrec_prune_options {
    uint32_t size;
    int32_t importance;      /* ECREC_IMPORTANCE_* */
    double heads;            /* share of attention heads to remove (0..1) */
    double feed_forward;     /* share of feed-forward channels to remove (0..1) */
    uint32_t layers;         /* whole layers to remove */
    uint32_t reserved;
    double target_parameters; /* > 0: remove heads and channels until at most this many parameters are left; shares must be 0 */
    double target_flops;      /* > 0: the same for floating-point operations a token (in one sequence of 64 tokens) */
    const char *const *texts; /* sample texts: importance and the report's agreement are measured on them; may be NULL */
    const size_t *lengths;
    size_t count;
    uint64_t seed;
    ecrec_progress_fn progress;
    void *progress_opaque;
} ecrec_prune_options;
#define ECREC_PRUNE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_prune_options), 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, NULL, NULL }
ECREC_API void ecrec_prune_options_init(ecrec_prune_options *options);

/* Structured pruning: the shapes are really smaller afterwards. A ranker on top is carried over. `report` (may be
 * NULL): what went, parameters, flops, bytes before and after, and with texts the mean and worst cosine to the original
 * and the overlap of the top-10 neighbours.
 * Errors: INVALID (shares out of range, nothing would be left, TAYLOR without texts), UNSUPPORTED (a quantised
 * model, no encoder), NOMEM, CANCELLED. Since 0.1. */
ECREC_API int32_t ecrec_prune(ecrec_model *model, const ecrec_prune_options *options, ecrec_model **pruned,
                              ecrec_report **report, ecrec_error *err);


typedef struct ecrec_quantize_options {
    uint32_t size;
    int32_t type;             /* ECREC_TYPE_S8 (0: the same), ECREC_TYPE_S4 or ECREC_TYPE_BF16 */
    const char *const *texts; /* sample texts, for the report's agreement and for smoothing the layers' inputs; may be NULL */
    const size_t *lengths;
    size_t count;
    ecrec_progress_fn progress;
    void *progress_opaque;
} ecrec_quantize_options;
#define ECREC_QUANTIZE_OPTIONS_INIT { (uint32_t)sizeof(ecrec_quantize_options), 0, NULL, NULL, 0, NULL, NULL }
ECREC_API void ecrec_quantize_options_init(ecrec_quantize_options *options);

/* BF16: matrices and embeddings to bfloat16, half of the file. At CPU levels with instructions for it (ecrec/base.h) inputs are rounded to
 * bfloat16 too as they come, sums are float32; at all others the weights are widened to float32 as they are used. The two differ in bits:
 * a cpu_mask without ECREC_CPU_AVX512BF16 and ECREC_CPU_NEON_BF16 has the second on every machine.
 * S4: matrices to 4 bits with a float16 scale for each 32 values of a channel, dequantised as they are used (activations stay float32);
 * embeddings as with S8. The smallest file.
 * S8: weights to 8 bits, symmetric, a scale per output channel; embeddings a scale per row; activations are quantised per
 * row as they come, smoothed column by column where that makes the products more exact (measured on some of the texts, or on random
 * tokens without). The definition, exact to the bit, is in doc/quantisation.md. A ranker on top is carried over.
 * Errors: INVALID, UNSUPPORTED (already quantised, no encoder), NOMEM, CANCELLED. Since 0.1. */
ECREC_API int32_t ecrec_quantize(ecrec_model *model, const ecrec_quantize_options *options, ecrec_model **quantized,
                                 ecrec_report **report, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
