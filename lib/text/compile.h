/* Making a tokenizer image from what is on disk: used at import only. */
#ifndef ECREC_LIB_TEXT_COMPILE_H
#define ECREC_LIB_TEXT_COMPILE_H

#include "base/json.h"
#include "base/memory.h"

/* From the text of a tokenizer.json. Truncation and padding in the file are ignored (the model's max length is decided by the
 * importer). Parts that are not supported are refused by name (UNSUPPORTED: "tokenizer.json: pre_tokenizer type "X" is not supported (supported: ...)"). */
int32_t tokenizer_compile_json(memory *m, const char *text, size_t length, buffer *image, ecrec_error *err);
/* From a BERT vocab.txt (one piece a line) and the settings of tokenizer_config.json. */
typedef struct wordpiece_settings {
    int lower_case, strip_accents /* -1: as lower_case */, chinese_characters;
    const char *unknown, *cls, *sep, *pad, *mask; /* NULL: BERT's */
} wordpiece_settings;
int32_t tokenizer_compile_vocab(memory *m, const char *text, size_t length, const wordpiece_settings *settings, buffer *image,
                                ecrec_error *err);

#endif
