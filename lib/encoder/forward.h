/* The forward pass in pieces, for the backward pass and for pooling too. Inside the encoder room only. */
#ifndef ECREC_LIB_ENCODER_FORWARD_H
#define ECREC_LIB_ENCODER_FORWARD_H

#include "encoder/encoder.h"

enum { FEED_ROWS = 128 /* rows that go through a feed-forward block at a time: what lies between stays small */ };

/* Scratch of one pass, carved from its workspace. */
typedef struct pass {
    const encoder *e;
    const kernels *table;
    size_t tokens;
    float *wide;      /* the widest thing that all tokens, or FEED_ROWS of them, have between two products */
    float *normed;    /* tokens x hidden, where norms stand before the blocks */
    float *distances; /* of one head: a bias for each distance of two tokens */
    uint32_t *buckets; /* of each distance, -(length - 1) .. length - 1 */
    size_t length;
    float *attention; /* scratch of one head */
    uint8_t *q;       /* quantised rows, where the matrices are s8 */
    float *scale;
    int32_t *zero;
    linear_observer observe; /* or NULL */
    void *observe_opaque;
} pass;

/* p->length is for how many tokens of a sequence there is room; buckets are not filled. */
size_t pass_take(pass *p, const encoder *e, const kernels *table, size_t max_tokens, void *workspace); /* bytes */
/* out (rows x n) = activation(x W^T + bias) + residual; a block without a matrix gives its bias + residual. */
void pass_linear(const pass *p, const encoder_linear *linear, size_t n, size_t k, size_t rows, const float *x,
                 size_t x_stride, const float *residual, float *out, size_t out_stride, int32_t epilogue);
/* rows of n, in place or not; no norm: a copy */
void pass_norm(const pass *p, const encoder_norm *norm, size_t rows, size_t n, const float *x, float *out);
/* token + type + position (rows of e->embedding values), before the norm; of images: patches, class and positions */
void pass_embed_sum(const pass *pass, const packed *p, float *sum);
/* the position of each token: calls that need it walk one sequence from its begin */
static inline size_t pass_position(const encoder *e, const packed *p, size_t sequence, size_t token, size_t *counted)
{
    const size_t i = p->starts[sequence] + token, n = p->starts[sequence + 1] - p->starts[sequence];
    if (e->position_end)
        return e->positions - n + token;
    if (e->position_padding == NO_TOKEN || p->ids == NULL)
        return token + e->position_offset;
    return p->ids[i] == e->position_padding ? e->position_offset - 1 : e->position_offset + (*counted)++;
}
/* the first states, from the sum on: norm and projection */
void pass_embed(const pass *pass, const packed *p, float *hidden);
/* normed queries and keys turned by their positions: what pass_attend reads, in place of the product's rows */
void pass_turn(const pass *pass, const encoder_layer *layer, const packed *p, float *qkv);
/* what passes over this batch need before the first pass_attend */
void pass_begin(pass *pass, const packed *p);
/* heads' outputs (tokens x heads * head_size) from the packed qkv rows */
void pass_attend(const pass *pass, const encoder_layer *layer, const packed *p, const float *qkv, float *out);
/* A layer in two halves. Its heads' outputs (tokens x heads * head_size) by way of qkv (tokens x encoder_qkv_width); then, row by
 * row, the states after the layer, in place: output product, norms, feed-forward. context lies past the qkv in pass->wide or elsewhere. */
void pass_heads(const pass *pass, const encoder_layer *layer, const packed *p, const float *hidden, float *qkv, float *context);
void pass_rows(const pass *pass, const encoder_layer *layer, const float *context, float *hidden);
/* between the two products of a feed-forward block, in place: rows x (feed_forward << gated) */
void pass_activate(const pass *pass, const encoder_layer *layer, size_t rows, float *inner);

#endif
