/* What the files of a Hugging Face folder say. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_FOLDER_H
#define ECREC_LIB_IMPORT_FOLDER_H

#include "base/context.h"
#include "base/json.h"
#include "model/file.h"
#include "model/properties.h"

typedef struct folder {
    ecrec_context *context;
    const char *path;
    arena a;
    const json *config; /* config.json */
    properties *settings;
    uint64_t layers, hidden, heads, feed_forward, vocabulary, positions, types, max_length;
    int has_tokenizer;
} folder;

/* A file of the folder, mapped. NOT_FOUND when there is none (err untouched). */
int32_t folder_file(const folder *f, const char *name, mapping **out, ecrec_error *err);
int32_t folder_json(folder *f, const char *name, const json **out, ecrec_error *err);
/* config.json and the sentence-transformers files into settings. */
int32_t folder_settings(folder *f, uint32_t max_length, ecrec_error *err);
/* tokenizer.json or vocab.txt into the blob "tokenizer"; the licence into "licence". */
int32_t folder_tokenizer(folder *f, parts *p, ecrec_error *err);
int32_t folder_licence(folder *f, parts *p, ecrec_error *err);

#endif
