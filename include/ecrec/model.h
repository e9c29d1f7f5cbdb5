/* ecrec/model.h: models and sessions: import, load, save, look at.
 *
 * A model is a tokenizer, an encoder and, when a ranker was made of it, a schema and learned weights. It is one file
 * (.ecrec), mapped into memory, and one handle. It is read by any number of threads while one thread updates it.
 */
#ifndef ECREC_MODEL_H
#define ECREC_MODEL_H

#include "ecrec/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_model ecrec_model;
typedef struct ecrec_session ecrec_session;

typedef struct ecrec_import_options {
    uint32_t size;
    uint32_t max_length; /* tokens a text is cut to, special tokens included; 0: what the folder says; at most what the model takes */
    uint32_t check_only; /* 1: only say what would happen; *model stays untouched and may be NULL */
    uint32_t heads;      /* attention heads of a sequence encoder whose files do not say; 0: what the files say, else 2 */
    ecrec_progress_fn progress; /* bytes of weights done, of all */
    void *progress_opaque;
    uint32_t tower;      /* ECREC_TOWER_*: which encoder of a folder that has two (CLIP) */
    uint32_t reserved;
} ecrec_import_options;
enum { ECREC_TOWER_TEXT = 0, ECREC_TOWER_IMAGE = 1 };
#define ECREC_IMPORT_OPTIONS_INIT { (uint32_t)sizeof(ecrec_import_options), 0, 0, 0, NULL, NULL, 0, 0 }
ECREC_API void ecrec_import_options_init(ecrec_import_options *options);

/* Make a model from a Hugging Face folder (config.json, model.safetensors, tokenizer.json or vocab.txt, and the
 * sentence-transformers files when there). `report` (may be NULL) says what was found and what was not used.
 * Errors: IO, FORMAT, UNSUPPORTED (the message names file, key, value and what is supported), NOMEM, CANCELLED;
 * INVALID for an option
 * that means nothing for this folder (an image tower, heads, a longer max_length); UNSUPPORTED too when the library was built without import. Since 0.1. */
ECREC_API int32_t ecrec_model_import(ecrec_context *context, const char *folder, const ecrec_import_options *options,
                                     ecrec_model **model, ecrec_report **report, ecrec_error *err);

/* Callbacks to read a model from somewhere else (an Android asset, an archive, an encrypted store). `read` fills
 * `length` bytes at `offset` and returns 0, or non-zero on failure. Called during load only, on the caller's thread. */
typedef struct ecrec_source {
    uint32_t size;
    uint32_t reserved;
    void *opaque;
    uint64_t length; /* bytes in all */
    int32_t (*read)(void *opaque, uint64_t offset, void *bytes, size_t length);
} ecrec_source;
/* `write` appends bytes and returns 0, or non-zero on failure. */
typedef struct ecrec_sink {
    uint32_t size;
    uint32_t reserved;
    void *opaque;
    int32_t (*write)(void *opaque, const void *bytes, size_t length);
} ecrec_sink;

typedef struct ecrec_load_options {
    uint32_t size;
    uint32_t skip_checksums; /* 1: do not verify the weights' checksums (structure is always checked) */
    uint32_t snapshots;      /* how many snapshots are kept for rollback, the current one included; 0: 8; at most 64 */
    uint32_t reserved;
} ecrec_load_options;
#define ECREC_LOAD_OPTIONS_INIT { (uint32_t)sizeof(ecrec_load_options), 0, 0, 0 }
ECREC_API void ecrec_load_options_init(ecrec_load_options *options);

/* Load a model file: mapped, checked, not copied. The file may be replaced (renamed over) while it is mapped, but
 * must not be written into. Errors: IO, FORMAT (truncated, damaged: says what and where), UNSUPPORTED (a newer
 * required section, by name), NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_model_load(ecrec_context *context, const char *path, const ecrec_load_options *options,
                                   ecrec_model **model, ecrec_error *err);
/* From memory: the bytes must stay valid and unchanged until the last reference to the model (and to every model made of it) is released;
 * `release` (may be NULL) is called then, and also when loading fails. 64-byte aligned bytes are used in place,
 * others are copied. */
ECREC_API int32_t ecrec_model_load_memory(ecrec_context *context, const void *bytes, size_t length,
                                          void (*release)(void *opaque), void *opaque,
                                          const ecrec_load_options *options, ecrec_model **model, ecrec_error *err);
ECREC_API int32_t ecrec_model_load_source(ecrec_context *context, const ecrec_source *source,
                                          const ecrec_load_options *options, ecrec_model **model, ecrec_error *err);

/* Save the current snapshot: written beside, synced, renamed; a crash leaves the old file or the new one. Readers
 * and the updater go on meanwhile. Errors: IO, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_model_save(ecrec_model *model, const char *path, ecrec_error *err);
ECREC_API int32_t ecrec_model_save_sink(ecrec_model *model, const ecrec_sink *sink, ecrec_error *err);

ECREC_API ecrec_model *ecrec_model_reference(ecrec_model *model);
ECREC_API void ecrec_model_release(ecrec_model *model);

/* What the model is: shapes, types, sizes, fingerprints, provenance, licence, snapshot, schema. Names are listed in
 * doc/model-file.md. The caller releases the report. Errors: NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_model_info(ecrec_model *model, ecrec_report **report, ecrec_error *err);
/* Length of a text's vector; 0 when the model has no encoder. */
ECREC_API uint32_t ecrec_model_dimension(const ecrec_model *model);
/* Most tokens of a text, special tokens included; 0 when the model has no encoder. */
ECREC_API uint32_t ecrec_model_max_length(const ecrec_model *model);
/* The two parts of the fingerprint as lower-case hexadecimal (32 digits each), valid as long as the model; "" when
 * there is no encoder. Vectors of different spaces never mix; variants of one space may. */
ECREC_API const char *ecrec_model_space(const ecrec_model *model);
ECREC_API const char *ecrec_model_variant(const ecrec_model *model);

typedef struct ecrec_session_options {
    uint32_t size;
    uint32_t threads;    /* tasks in parallel at most; 0: as many as the context has */
    uint32_t max_tokens; /* packed tokens that a task works on at a time; 0: chosen (at least the model's max length) */
    uint32_t reserved;
    /* Bytes, less than 4 GiB: texts of up to so many, their prompt included, are tokenised, encoded and scored without an allocation, whatever
     * is in them. The worst text counts (compatibility forms make 33 bytes of 3), so that each task's memory is some hundred times this.
     * 0: room for texts of 16 KiB that normalising does not lengthen (and any that a BERT pipeline reads without offsets). A longer text
     * is read all the same: it makes the session grow, once. */
    uint64_t max_text_bytes;
} ecrec_session_options;
#define ECREC_SESSION_OPTIONS_INIT { (uint32_t)sizeof(ecrec_session_options), 0, 0, 0, 0 }
ECREC_API void ecrec_session_options_init(ecrec_session_options *options);

/* Scratch memory for one caller: used by one thread at a time. All that encode and score will need is allocated
 * here (of texts longer than options foresee: when they come). Keeps its model alive.
 * Errors: INVALID (a NULL, options of unknown size), LIMIT (max_text_bytes of 4 GiB or more), NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_session_create(ecrec_model *model, const ecrec_session_options *options,
                                       ecrec_session **session, ecrec_error *err);
ECREC_API void ecrec_session_release(ecrec_session *session);

#ifdef __cplusplus
}
#endif
#endif
