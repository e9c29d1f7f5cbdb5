/* What the files of a Hugging Face folder say. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_FOLDER_H
#define ECREC_LIB_IMPORT_FOLDER_H

#include "base/context.h"
#include "base/json.h"
#include "model/file.h"
#include "import/family.h"
#include "import/rotary.h"
#include "model/properties.h"

typedef struct folder {
    ecrec_context *context;
    const char *path, *file; /* file: the one safetensors file of it that is to be read, or NULL */
    arena a;
    const json *config; /* config.json, or the part of it that describes the tower; NULL: there is none */
    properties *settings;
    const char *model_type;
    const family *family;
    uint64_t layers, hidden, heads, groups, head_size, feed_forward, vocabulary, types, embedding, dimension;
    uint64_t rows, positions; /* of the table of positions; most tokens of a sequence */
    uint64_t max_length, layer_groups /* groups of layers that share tensors; UINT64_MAX: none */;
    uint64_t rotaries, rotary_size, bucket_rows, buckets;
    uint64_t patch, image_height, image_width, channels;
    rotary rotary[2];
    uint32_t biases; /* BIAS_* */
    int gated, classifies, vision /* take the image tower of two */, has_tokenizer;
    const char *dense; /* folder of a dense module after pooling, or NULL */
} folder;

/* A file of the folder, mapped. NOT_FOUND when there is none (err untouched). */
int32_t folder_file(const folder *f, const char *name, mapping **out, ecrec_error *err);
int32_t folder_json(folder *f, const char *name, const json **out, ecrec_error *err);
/* The same, but *out is NULL when there is none. */
int32_t folder_optional_json(folder *f, const char *name, const json **out, ecrec_error *err);
/* config.json and the sentence-transformers files into settings. NOT_FOUND (err untouched): there is no config.json. */
int32_t folder_settings(folder *f, ecrec_error *err);
/* How long texts may get: f->max_length. After the sizes are known. */
int32_t folder_lengths(folder *f, uint32_t wanted, ecrec_error *err);
/* The layer whose tensors a layer uses. */
static inline uint64_t folder_layer_of(const folder *f, uint64_t layer)
{
    if (f->layer_groups == UINT64_MAX)
        return layer;
    const uint64_t group = layer * f->layer_groups / f->layers; /* as even as it goes */
    return (group * f->layers + f->layer_groups - 1) / f->layer_groups;
}
/* tokenizer.json, or vocab.txt, vocab.json with merges.txt, or a SentencePiece model, into the blob "tokenizer". */
int32_t folder_tokenizer(folder *f, parts *p, ecrec_error *err);
/* The licence into "licence". */
int32_t folder_licence(folder *f, parts *p, ecrec_error *err);

#endif
