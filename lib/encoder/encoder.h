/* The encoder: one engine driven by a description, over packed sequences (no padding is ever computed).
 *
 * A sequence is a row of token ids, or an image cut into patches. Its first vectors are a sum of tables (or projected patches),
 * then come the layers, then one vector is pooled and may pass through a dense layer or two. What differs between
 * architectures is said by properties and by which tensors there are.
 *
 * Properties (all "encoder.*"; u64 unless said; in brackets what holds when there is none):
 *   kind ("transformer" or "bert", which mean the same; string), layers, hidden_size, head_size, vocabulary, dimension (of a
 *   pooled vector) [hidden_size], max_length;
 *   per layer "encoder.layers.N.": heads, groups (of keys and values; a divisor of heads) [heads], feed_forward, window (0: sees
 *   all, else |i - j| <= window) [0], rotary (which table) [0], attention_norm (0: none) [1], weights (whose tensors it uses) [N];
 *   norm ("layer" | "rms"), norm_place ("post" | "pre"), norm_eps (f64), activation ("gelu" | "gelu_tanh" | "gelu_quick" | "relu" |
 *   "silu" | "tanh" | "none"), gated (0|1) [0], causal (0|1) [0], attention_scale (f64; 0: 1/sqrt(head_size)) [0],
 *   query_key_norm (0|1: RMS norm of each head's query and key) [0], embedding_norm (0|1) [1], final_norm (0|1) [0];
 *   embedding_size [hidden_size], embedding_projection (0|1) [0], token_types [0];
 *   position ("absolute" | "rotary" | "none"), positions, position_offset [0], position_padding (an id that counts as no position,
 *   as RoBERTa counts; it gets position_offset - 1) [none], position_end (0|1: the last token has the last position, whatever the
 *   length) [0], rotary_tables, rotary_size [head_size];
 *   relative_buckets (0: none) [0], relative_distance (buckets grow up to it; T5, arXiv 1910.10683) [128];
 *   image_height, image_width, image_channels, patch_size (an image encoder: vocabulary is 0), class_token (0|1) [1];
 *   pooling ("mean" | "cls" | "last" | "max" | "end" | "pooler"), normalize (0|1), end_token (of pooling "end") [the highest id of
 *   the sequence], projection (0|1) [0], projection_norm (0|1) [0], projection_activation [none],
 *   pooler (0|1: a dense layer after pooler_pooling) [0], pooler_pooling ("cls" | "mean" | "last" | "end") [cls], pooler_activation
 *   [tanh], pooler_norm (0|1) [0], labels (of a classifier on top of that; 0: none) [0]; special_tokens (0: texts get none) [1],
 *   skip_token (an id that is dropped from texts) [none].
 * prompts: "prompt.NAME" (string), "prompt_default" (string). Names of labels: "label.N" (string).
 *
 * Tensors: embeddings.token (rows), .position, .type, .class (a vector), .norm.weight, .norm.bias, .patch.weight (n = hidden,
 * k = channels * patch * patch, panels), .patch.bias, .projection.weight (n = hidden, k = embedding_size), .bias;
 * rotary.N (rows: position x rotary_size, cosines then sines); relative (rows: buckets x heads);
 * layers.N.attention.qkv.weight (panels, k = hidden; group by group: the queries of the group's heads, its key, its value) and .bias;
 * layers.N.attention.query_norm.weight, .key_norm.weight (head_size); layers.N.attention.output.weight (n = hidden,
 * k = heads * head_size), .bias; layers.N.attention.norm.weight, .bias; layers.N.feed_forward.in.weight (n = feed_forward; gated:
 * 2 * feed_forward, first the rows that are activated, then those that they are multiplied with), .bias;
 * layers.N.feed_forward.out.weight (n = hidden), .bias; layers.N.feed_forward.norm.weight, .bias; final_norm.weight, .bias;
 * projection.weight (n = dimension), .bias, projection.norm.weight, .bias; pooler.weight (n = hidden), .bias, pooler.norm.weight,
 * .bias; classifier.weight (n = labels), .bias.
 * Token and position tables are LAYOUT_ROWS f32 or bf16 or LAYOUT_ROWS_S8; matrices PANELS f32, bf16, s8 or s4; the rest f32. A bias that is
 * not there is zero. Where the weights are s8, layers.N.attention.qkv and layers.N.feed_forward.in may have a .smooth (hidden): inputs
 * are multiplied with it before they are quantised (doc/quantisation.md). A layer may have 0 heads or 0
 * channels after pruning: that block then adds its output bias only.
 */
#ifndef ECREC_LIB_ENCODER_ENCODER_H
#define ECREC_LIB_ENCODER_ENCODER_H

#include "base/memory.h"
#include "ecrec/base.h"
#include "kernels/kernels.h"
#include "model/properties.h"
#include "model/tensor.h"

enum { POSITION_NONE, POSITION_ABSOLUTE, POSITION_ROTARY };
enum { NORM_LAYER, NORM_RMS };
#define NO_TOKEN UINT32_MAX /* an id that no token has */
enum { MOST_ROTARY_TABLES = 2 };

typedef struct encoder_norm { const float *weight, *bias; } encoder_norm; /* weight NULL: no norm here */
typedef struct encoder_linear {
    weights w;
    const float *bias;   /* NULL: zeros */
    const float *smooth; /* s8: what each input is multiplied with before it is quantised; NULL: ones */
    const void *next;    /* the panels of the product that comes after this one, or NULL */
} encoder_linear;
typedef struct encoder_layer {
    uint32_t heads, groups, feed_forward, window, rotary;
    encoder_linear qkv, output, in, out;
    encoder_norm attention_norm, feed_forward_norm, query_norm, key_norm;
} encoder_layer;

typedef struct encoder {
    _Atomic uint32_t references;
    memory *m;
    tensor_set *tensors; /* keeps what the views below point to alive */
    uint32_t layers, hidden, head_size, vocabulary, positions, token_types, position_offset, position_padding, position_end;
    uint32_t norm, pre_norm, activation /* EPILOGUE_* */, gated, position, causal, pooling /* ECREC_POOL_* */, normalize;
    uint32_t max_length, dimension, embedding, rotary_size, relative_buckets, relative_distance, end_token;
    uint32_t special_tokens, skip_token;
    float norm_eps, attention_scale;
    uint32_t largest_heads, largest_feed_forward, largest_qkv; /* over the layers */
    int32_t quantized;                                         /* 1: matrices or tables are s8, s4 or bf16 */
    int32_t four, brain;                                       /* 1: matrices are s4; bf16 */
    int32_t shared;                                            /* 1: layers use one another's tensors */
    const tensor *token, *position_table, *type_table;
    const float *class_token, *rotary[MOST_ROTARY_TABLES], *relative;
    encoder_norm embedding_norm, final_norm;
    encoder_linear embedding_projection; /* w.n 0: none */

    uint32_t image_height, image_width, image_channels, patch_size; /* patch_size 0: not an image encoder */
    encoder_linear patch;

    encoder_linear projection, pooler, classifier; /* w.n 0: none */
    encoder_norm projection_norm, pooler_norm;
    uint32_t projection_activation, pooler_activation, pooler_pooling, labels;
    encoder_layer layer[]; /* layers */
} encoder;

/* Check properties and tensors against each other (every shape, type and layout; scales finite) and bind. Errors: FORMAT with the name
 * of what is wrong, UNSUPPORTED, NOMEM. */
int32_t encoder_create(memory *m, const properties *settings, const tensor_set *tensors, encoder **out, ecrec_error *err);
encoder *encoder_reference(encoder *e);
void encoder_release(encoder *e);

/* Sequences end to end: sequence i is ids[starts[i] .. starts[i+1]). */
typedef struct packed {
    const uint32_t *ids;  /* all below vocabulary: checked by the caller (encoder_check) */
    const uint8_t *types; /* or NULL */
    const uint32_t *starts;
    size_t sequences;
    /* an image encoder instead of ids: image s is pixels + (rows ? rows[s] : s) * encoder_image_floats, channel by channel, each
     * height x width; its sequence has encoder_image_tokens tokens */
    const float *pixels;
    const uint64_t *rows;
} packed;
int32_t encoder_check(const encoder *e, const packed *p, ecrec_error *err); /* ids, types and lengths in range, row named */
size_t encoder_image_floats(const encoder *e); /* 0: not an image encoder */
size_t encoder_image_tokens(const encoder *e);
/* Most tokens of a sequence that the tables of positions allow. */
uint32_t encoder_longest(const encoder *e);
/* Rows of a layer's qkv matrix. */
static inline size_t encoder_qkv_width(const encoder *e, const encoder_layer *l)
{
    return ((size_t)l->heads + 2 * (size_t)l->groups) * e->head_size;
}

/* Bytes that a forward pass over at most max_tokens packed tokens (each sequence at most max_length) needs. */
size_t encoder_workspace(const encoder *e, size_t max_tokens);
/* Called with the inputs of each product (rows x k) before it is computed. */
typedef void (*linear_observer)(void *opaque, const encoder_linear *linear, size_t rows, size_t k, const float *x, size_t x_stride);
/* encoder_forward with an observer. */
void encoder_observe(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden, linear_observer observe,
                     void *opaque);
/* hidden: tokens x hidden floats out (caller's), after the final norm where there is one. `layer_out` (may be NULL) is called with
 * the states after the embeddings (0) and after each layer (1 ..); the last of them is `hidden` as it is returned. */
typedef void (*layer_callback)(void *opaque, uint32_t layer, const float *states, size_t tokens);
void encoder_forward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden,
                     layer_callback layer_out, void *opaque);
/* One vector (dimension) a sequence: pooling ECREC_POOL_* (not DEFAULT; POOLER needs pooler.w.n), then the projection where there
 * is one; an empty sequence gives zeros. The workspace is one of its own, of encoder_pool_workspace bytes. */
size_t encoder_pool_workspace(const encoder *e);
void encoder_pool(const encoder *e, const kernels *table, void *workspace, const packed *p, const float *hidden, uint32_t pooling,
                  int32_t normalize, float *vectors, size_t stride);
/* The classifier's logits (labels of them a sequence); an empty sequence gives zeros. */
void encoder_classify(const encoder *e, const kernels *table, void *workspace, const packed *p, const float *hidden, float *logits,
                      size_t stride);

/* Rough work: floating-point operations of one token in a sequence of `length` tokens (multiply and add count as 2). */
double encoder_flops(const encoder *e, size_t length);
uint64_t encoder_parameters(const encoder *e);

#endif
