#include "import/family.h"

#include <stddef.h>
#include <string.h>

/* Tensors that BERT and those that grew out of it share. */
#define BERT_NAMES                                                                                                              \
    .token = "embeddings.word_embeddings", .position = "embeddings.position_embeddings", .embedding_norm = "embeddings.LayerNorm", \
    .query = "encoder.layer.#.attention.self.query", .key = "encoder.layer.#.attention.self.key",                              \
    .value = "encoder.layer.#.attention.self.value", .output = "encoder.layer.#.attention.output.dense",                       \
    .attention_norm = "encoder.layer.#.attention.output.LayerNorm", .in = "encoder.layer.#.intermediate.dense",               \
    .out = "encoder.layer.#.output.dense", .feed_forward_norm = "encoder.layer.#.output.LayerNorm"
#define DECODER_NAMES                                                                                                           \
    .token = "embed_tokens", .query = "layers.#.self_attn.q_proj", .key = "layers.#.self_attn.k_proj",                        \
    .value = "layers.#.self_attn.v_proj", .output = "layers.#.self_attn.o_proj", .attention_norm = "layers.#.input_layernorm", \
    .in = "layers.#.mlp.up_proj", .gate = "layers.#.mlp.gate_proj", .out = "layers.#.mlp.down_proj",                          \
    .feed_forward_norm = "layers.#.post_attention_layernorm", .final_norm = "norm", .classifier = "score", .head_pooling = "last"
#define CLIP_NAMES                                                                                                              \
    .position = "embeddings.position_embedding", .query = "encoder.layers.#.self_attn.q_proj",                                  \
    .key = "encoder.layers.#.self_attn.k_proj", .value = "encoder.layers.#.self_attn.v_proj",                                  \
    .output = "encoder.layers.#.self_attn.out_proj", .attention_norm = "encoder.layers.#.layer_norm1",                         \
    .in = "encoder.layers.#.mlp.fc1", .out = "encoder.layers.#.mlp.fc2", .feed_forward_norm = "encoder.layers.#.layer_norm2"
enum { DECODER = FAMILY_PRE_NORM | FAMILY_RMS | FAMILY_CAUSAL | FAMILY_ROTARY | FAMILY_GATED | FAMILY_UNIT | FAMILY_NO_TYPES };

static const family families[] = {
    { .types = "bert", .biases = BIAS_ALL, .activation = "gelu", .pooling = "mean", .eps = 1e-12, BERT_NAMES,
      .type = "embeddings.token_type_embeddings", .pooler = "pooler.dense", .classifier = "classifier" },
    { .types = "roberta|xlm-roberta|camembert", .flags = FAMILY_OFFSET, .biases = BIAS_ALL, .activation = "gelu", .pooling = "mean",
      .eps = 1e-12, BERT_NAMES, .type = "embeddings.token_type_embeddings", .pooler = "pooler.dense",
      .head_dense = "classifier.dense", .classifier = "classifier.out_proj", .head_activation = "tanh" },
    { .types = "electra", .biases = BIAS_ALL, .activation = "gelu", .pooling = "mean", .eps = 1e-12, BERT_NAMES,
      .type = "embeddings.token_type_embeddings", .embedding_projection = "embeddings_project",
      .head_dense = "classifier.dense", .classifier = "classifier.out_proj", .head_activation = "gelu" },
    { .types = "distilbert", .flags = FAMILY_NO_TYPES, .biases = BIAS_ALL, .activation = "gelu", .pooling = "mean", .eps = 1e-12,
      .token = "embeddings.word_embeddings", .position = "embeddings.position_embeddings", .embedding_norm = "embeddings.LayerNorm",
      .query = "transformer.layer.#.attention.q_lin", .key = "transformer.layer.#.attention.k_lin",
      .value = "transformer.layer.#.attention.v_lin", .output = "transformer.layer.#.attention.out_lin",
      .attention_norm = "transformer.layer.#.sa_layer_norm", .in = "transformer.layer.#.ffn.lin1",
      .out = "transformer.layer.#.ffn.lin2", .feed_forward_norm = "transformer.layer.#.output_layer_norm",
      .head_dense = "pre_classifier", .classifier = "classifier", .head_activation = "relu" },
    { .types = "mpnet", .flags = FAMILY_OFFSET | FAMILY_RELATIVE | FAMILY_NO_TYPES, .biases = BIAS_ALL, .activation = "gelu",
      .pooling = "mean", .eps = 1e-12, .token = "embeddings.word_embeddings", .position = "embeddings.position_embeddings",
      .embedding_norm = "embeddings.LayerNorm", .relative = "encoder.relative_attention_bias",
      .query = "encoder.layer.#.attention.attn.q", .key = "encoder.layer.#.attention.attn.k",
      .value = "encoder.layer.#.attention.attn.v", .output = "encoder.layer.#.attention.attn.o",
      .attention_norm = "encoder.layer.#.attention.LayerNorm", .in = "encoder.layer.#.intermediate.dense",
      .out = "encoder.layer.#.output.dense", .feed_forward_norm = "encoder.layer.#.output.LayerNorm", .pooler = "pooler.dense",
      .head_dense = "classifier.dense", .classifier = "classifier.out_proj", .head_activation = "tanh" },
#define ALBERT "encoder.albert_layer_groups.#.albert_layers.0."
    { .types = "albert", .flags = FAMILY_SHARED, .biases = BIAS_ALL, .activation = "gelu_new", .pooling = "mean", .eps = 1e-12,
      .token = "embeddings.word_embeddings", .position = "embeddings.position_embeddings",
      .type = "embeddings.token_type_embeddings", .embedding_norm = "embeddings.LayerNorm",
      .embedding_projection = "encoder.embedding_hidden_mapping_in", .query = ALBERT "attention.query",
      .key = ALBERT "attention.key", .value = ALBERT "attention.value", .output = ALBERT "attention.dense",
      .attention_norm = ALBERT "attention.LayerNorm", .in = ALBERT "ffn", .out = ALBERT "ffn_output",
      .feed_forward_norm = ALBERT "full_layer_layer_norm", .pooler = "pooler", .classifier = "classifier" },
    { .types = "modernbert", .flags = FAMILY_PRE_NORM | FAMILY_ROTARY | FAMILY_GATED | FAMILY_NO_TYPES, .activation = "gelu",
      .pooling = "mean", .eps = 1e-5, .theta = 160000, .token = "embeddings.tok_embeddings", .embedding_norm = "embeddings.norm",
      .fused = "layers.#.attn.Wqkv", .output = "layers.#.attn.Wo", .attention_norm = "layers.#.attn_norm", .in = "layers.#.mlp.Wi",
      .out = "layers.#.mlp.Wo", .feed_forward_norm = "layers.#.mlp_norm", .final_norm = "final_norm", .head_dense = "head.dense",
      .head_norm = "head.norm", .classifier = "classifier", .head_activation = "gelu" },
    { .types = "nomic_bert", .flags = FAMILY_ROTARY | FAMILY_GATED, .biases = BIAS_NORM, .activation = "silu", .pooling = "mean",
      .eps = 1e-12, .theta = 1000, .token = "embeddings.word_embeddings", .type = "embeddings.token_type_embeddings",
      .embedding_norm = "emb_ln", .fused = "encoder.layers.#.attn.Wqkv", .output = "encoder.layers.#.attn.out_proj",
      .attention_norm = "encoder.layers.#.norm1", .in = "encoder.layers.#.mlp.fc11", .gate = "encoder.layers.#.mlp.fc12",
      .out = "encoder.layers.#.mlp.fc2", .feed_forward_norm = "encoder.layers.#.norm2" },
    { .types = "gpt2", .flags = FAMILY_PRE_NORM | FAMILY_CAUSAL | FAMILY_TRANSPOSED | FAMILY_NO_TYPES, .biases = BIAS_ALL,
      .activation = "gelu_new", .pooling = "last", .eps = 1e-5, .token = "wte", .position = "wpe", .fused = "h.#.attn.c_attn",
      .output = "h.#.attn.c_proj", .attention_norm = "h.#.ln_1", .in = "h.#.mlp.c_fc", .out = "h.#.mlp.c_proj",
      .feed_forward_norm = "h.#.ln_2", .final_norm = "ln_f", .classifier = "score", .head_pooling = "last" },
    { .types = "llama|mistral", .flags = DECODER, .activation = "silu", .pooling = "last", .eps = 1e-6, .theta = 10000, DECODER_NAMES },
    { .types = "qwen2", .flags = DECODER, .biases = BIAS_QKV, .activation = "silu", .pooling = "last", .eps = 1e-6, .theta = 10000,
      DECODER_NAMES },
    { .types = "qwen3", .flags = DECODER, .activation = "silu", .pooling = "last", .eps = 1e-6, .theta = 10000, DECODER_NAMES,
      .query_norm = "layers.#.self_attn.q_norm", .key_norm = "layers.#.self_attn.k_norm" },
    { .types = "t5|mt5", .flags = FAMILY_PRE_NORM | FAMILY_RMS | FAMILY_UNSCALED | FAMILY_RELATIVE | FAMILY_NO_TYPES, .activation = "relu",
      .pooling = "mean", .eps = 1e-6, .token = "shared|encoder.embed_tokens",
      .relative = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
      .query = "encoder.block.#.layer.0.SelfAttention.q", .key = "encoder.block.#.layer.0.SelfAttention.k",
      .value = "encoder.block.#.layer.0.SelfAttention.v", .output = "encoder.block.#.layer.0.SelfAttention.o",
      .attention_norm = "encoder.block.#.layer.0.layer_norm", .gate = "encoder.block.#.layer.1.DenseReluDense.wi_0",
      .in = "encoder.block.#.layer.1.DenseReluDense.wi|encoder.block.#.layer.1.DenseReluDense.wi_1",
      .out = "encoder.block.#.layer.1.DenseReluDense.wo", .feed_forward_norm = "encoder.block.#.layer.1.layer_norm",
      .final_norm = "encoder.final_layer_norm" },
    { .types = "clip_text_model", .flags = FAMILY_PRE_NORM | FAMILY_CAUSAL | FAMILY_NO_TYPES, .biases = BIAS_ALL,
      .activation = "quick_gelu", .pooling = "end", .eps = 1e-5, .token = "embeddings.token_embedding", CLIP_NAMES,
      .final_norm = "final_layer_norm", .projection = "text_projection" },
    { .types = "clip_vision_model", .flags = FAMILY_PRE_NORM | FAMILY_IMAGE | FAMILY_NO_TYPES, .biases = BIAS_ALL,
      .activation = "quick_gelu", .pooling = "cls", .eps = 1e-5, .token = "embeddings.patch_embedding",
      .class_token = "embeddings.class_embedding", CLIP_NAMES, .embedding_norm = "pre_layrnorm", .projection = "visual_projection",
      .projection_norm = "post_layernorm" },
    { .types = "vit", .flags = FAMILY_PRE_NORM | FAMILY_IMAGE | FAMILY_NO_TYPES, .biases = BIAS_ALL, .activation = "gelu",
      .pooling = "pooler", .eps = 1e-12, .token = "embeddings.patch_embeddings.projection", .class_token = "embeddings.cls_token",
      .position = "embeddings.position_embeddings", .query = "encoder.layer.#.attention.attention.query",
      .key = "encoder.layer.#.attention.attention.key", .value = "encoder.layer.#.attention.attention.value",
      .output = "encoder.layer.#.attention.output.dense", .attention_norm = "encoder.layer.#.layernorm_before",
      .in = "encoder.layer.#.intermediate.dense", .out = "encoder.layer.#.output.dense",
      .feed_forward_norm = "encoder.layer.#.layernorm_after", .final_norm = "layernorm", .pooler = "pooler.dense",
      .classifier = "classifier" },
    { .types = "model2vec", .flags = FAMILY_STATIC | FAMILY_NO_TYPES, .pooling = "mean", .token = "embeddings|embedding" },
    { .types = "sasrec", .flags = FAMILY_ITEMS | FAMILY_CAUSAL | FAMILY_NO_TYPES, .biases = BIAS_ALL, .activation = "gelu",
      .pooling = "last", .eps = 1e-12, .token = "item_embeddings", .position = "position_embeddings", .embedding_norm = "LayerNorm",
      .query = "item_encoder.layer.#.attention.query", .key = "item_encoder.layer.#.attention.key",
      .value = "item_encoder.layer.#.attention.value", .output = "item_encoder.layer.#.attention.dense",
      .attention_norm = "item_encoder.layer.#.attention.LayerNorm", .in = "item_encoder.layer.#.intermediate.dense_1",
      .out = "item_encoder.layer.#.intermediate.dense_2", .feed_forward_norm = "item_encoder.layer.#.intermediate.LayerNorm" },
};
enum { FAMILIES = sizeof families / sizeof *families };

const family *family_find(const char *model_type)
{
    const size_t n = strlen(model_type);
    for (size_t i = 0; i < FAMILIES && n != 0; i++)
        for (const char *at = families[i].types; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL)
            if (strncmp(at, model_type, n) == 0 && (at[n] == 0 || at[n] == '|'))
                return &families[i];
    return NULL;
}

const family *family_at(unsigned index)
{
    return index < FAMILIES ? &families[index] : NULL;
}

const char *family_list(void)
{
    return "bert, roberta, xlm-roberta, camembert, electra, distilbert, mpnet, albert, modernbert, nomic_bert, gpt2, llama, mistral, "
           "qwen2, qwen3, t5, mt5, clip, clip_text_model, clip_vision_model, vit, model2vec, sasrec";
}
