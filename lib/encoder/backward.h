/* Gradients of the encoder (f32 only), by recomputation of each layer's inside from its saved input. */
#ifndef ECREC_LIB_ENCODER_BACKWARD_H
#define ECREC_LIB_ENCODER_BACKWARD_H

#include "encoder/encoder.h"

/* What the caller wants to know; any pointer may be NULL. Parameter gradients are row-major (n x k), in the tensors' own
 * order (qkv head by head), added to what is there. Gates: d loss / d g where g (= 1) multiplies the output of a head (before the output
 * projection), or of a feed-forward channel (after the activation), or a layer's whole contribution; one value a sequence,
 * so that importance can square before summing. */
typedef struct encoder_gradients {
    float **head_gates;         /* [layer] -> sequences x heads */
    float **feed_forward_gates; /* [layer] -> sequences x feed_forward */
    float **head_activation;    /* [layer] -> heads: sum over tokens of squared norm of the head's output (forward statistic) */
    float **feed_forward_activation; /* [layer] -> feed_forward: sum over tokens of squared activation */
    float **feed_forward_mean;  /* [layer] -> feed_forward: sum over tokens of the activation */
    float **head_mean;          /* [layer] -> heads * head_size: sum over tokens of the head's output */
    struct encoder_layer_gradients *layers; /* [layer], or NULL */
    float *token, *position, *type, *embedding_norm_weight, *embedding_norm_bias;
    float *embedding_projection, *embedding_projection_bias, *final_norm_weight, *final_norm_bias, *relative;
} encoder_gradients;
typedef struct encoder_layer_gradients {
    float *qkv, *qkv_bias, *output, *output_bias, *attention_norm_weight, *attention_norm_bias;
    float *in, *in_bias, *out, *out_bias, *feed_forward_norm_weight, *feed_forward_norm_bias, *query_norm, *key_norm;
} encoder_layer_gradients;

/* What the backward pass cannot do with this encoder, as a sentence's end ("images", "8-bit weights"); NULL: it can. Layers that share
 * tensors have gradients of their own each: their sum is the tensors'. */
const char *encoder_backward_lacks(const encoder *e);
size_t encoder_backward_workspace(const encoder *e, const kernels *table, size_t max_tokens);
/* Forward and backward over one packed batch. `hidden` (tokens x hidden) receives the final states; then `loss` is called to turn them
 * into d loss / d hidden (same shape, zeroed before); then the gradients are accumulated. */
typedef void (*hidden_gradient)(void *opaque, const float *hidden, float *gradient, size_t tokens);
void encoder_backward(const encoder *e, const kernels *table, void *workspace, const packed *p, float *hidden,
                      hidden_gradient loss, void *opaque, encoder_gradients *gradients);
/* d pooled / d hidden applied: from gradients of the vectors (before or after normalisation, as pooled) to gradients of the states.
 * For encoders without a projection; pooling POOLER is none of those. */
void encoder_pool_backward(const encoder *e, const packed *p, const float *hidden, uint32_t pooling, int32_t normalize,
                           const float *vector_gradients, size_t stride, float *hidden_gradients);

#endif
