/* The encoder: one engine driven by a description, over packed sequences (no padding is ever computed).
 *
 * Properties (all "encoder.*"; u64 unless said): kind ("bert"; string), layers, hidden_size, vocabulary, positions,
 * token_types, head_size, norm ("layer" | "rms"; string), norm_place ("post" | "pre"; string), norm_eps (f64),
 * activation ("gelu" | "gelu_tanh" | "gelu_quick" | "relu" | "silu"; string), gated (0|1), position ("absolute" | "none" |
 * "rotary" | "relative"; string), position_offset, causal (0|1), pooling ("mean" | "cls" | "last" | "max"; string), normalize (0|1),
 * max_length, dimension; and per layer "encoder.layers.N.heads", "encoder.layers.N.feed_forward".
 * prompts: "prompt.NAME" (string), "prompt_default" (string).
 *
 * Tensors: embeddings.token (rows), embeddings.position, embeddings.type, embeddings.norm.weight, .bias;
 * layers.N.attention.qkv.weight (panels, n = heads * 3 * head_size, k = hidden; ordered head by head: q of head 0, k of
 * head 0, v of head 0, q of head 1, ...) and .bias; layers.N.attention.output.weight (n = hidden, k = heads * head_size),
 * .bias; layers.N.attention.norm.weight, .bias; layers.N.feed_forward.in.weight (n = feed_forward), .bias;
 * layers.N.feed_forward.out.weight (n = hidden), .bias; layers.N.feed_forward.norm.weight, .bias.
 * Token and position tables are LAYOUT_ROWS f32 or LAYOUT_ROWS_S8; matrices PANELS f32 or s8; the rest f32.
 * A layer may have 0 heads or 0 channels after pruning: that block then adds its output bias only.
 */
#ifndef ECREC_LIB_ENCODER_ENCODER_H
#define ECREC_LIB_ENCODER_ENCODER_H

#include "base/memory.h"
#include "ecrec/base.h"
#include "kernels/kernels.h"
#include "model/properties.h"
#include "model/tensor.h"

enum { POSITION_NONE, POSITION_ABSOLUTE, POSITION_ROTARY, POSITION_RELATIVE };
enum { NORM_LAYER, NORM_RMS };

typedef struct encoder_norm { const float *weight, *bias; } encoder_norm;
typedef struct encoder_linear { weights w; const float *bias; } encoder_linear;
typedef struct encoder_layer {
    uint32_t heads, feed_forward;
    encoder_linear qkv, output, in, out;
    encoder_norm attention_norm, feed_forward_norm;
} encoder_layer;

typedef struct encoder {
    _Atomic uint32_t references;
    memory *m;
    tensor_set *tensors; /* keeps what the views below point to alive */
    uint32_t layers, hidden, head_size, vocabulary, positions, token_types, position_offset;
    uint32_t norm, pre_norm, activation /* EPILOGUE_* */, gated, position, causal, pooling /* ECREC_POOL_* */, normalize;
    uint32_t max_length, dimension;
    float norm_eps;
    uint32_t largest_heads, largest_feed_forward; /* over the layers */
    int32_t quantized;                            /* 1: matrices are s8 */
    const tensor *token, *position_table, *type_table;
    encoder_norm embedding_norm;
    encoder_layer layer[]; /* layers */
} encoder;

/* Check properties and tensors against each other (every shape, type and layout; scales finite) and bind. Errors: FORMAT with the name
 * of what is wrong, UNSUPPORTED, NOMEM. */
int32_t encoder_create(memory *m, const properties *settings, const tensor_set *tensors, encoder **out, ecrec_error *err);
encoder *encoder_reference(encoder *e);
void encoder_release(encoder *e);

/* Sequences end to end: sequence i is ids[starts[i] .. starts[i+1]). */
typedef struct packed {
    const uint32_t *ids; /* all below vocabulary: checked by the caller (encoder_check_ids) */
    const uint8_t *types; /* or NULL */
    const uint32_t *starts;
    size_t sequences;
} packed;
int32_t encoder_check(const encoder *e, const packed *p, ecrec_error *err); /* ids, types and lengths in range, row named */

/* Bytes that a forward pass over at most max_tokens packed tokens (each sequence at most max_length) needs. */
size_t encoder_workspace(const encoder *e, size_t max_tokens);
/* hidden: tokens x hidden floats out (caller's). `layer_out` (may be NULL) is called with the states after the embeddings
 * (0) and after each layer (1 ..). */
typedef void (*layer_callback)(void *opaque, uint32_t layer, const float *states, size_t tokens);
void encoder_forward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden,
                     layer_callback layer_out, void *opaque);
/* One vector a sequence: pooling ECREC_POOL_* (not DEFAULT); an empty sequence gives zeros. */
void encoder_pool(const encoder *e, const kernels *table, const packed *p, const float *hidden, uint32_t pooling,
                  int32_t normalize, float *vectors, size_t stride);

/* Rough work: floating-point operations of one token in a sequence of `length` tokens (multiply and add count as 2). */
double encoder_flops(const encoder *e, size_t length);
uint64_t encoder_parameters(const encoder *e);

#endif
