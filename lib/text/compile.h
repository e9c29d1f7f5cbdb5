/* Making a tokenizer image from what is on disk: used at import only. */
#ifndef ECREC_LIB_TEXT_COMPILE_H
#define ECREC_LIB_TEXT_COMPILE_H

#include "base/json.h"
#include "base/memory.h"

/* From the text of a tokenizer.json. Padding in the file is ignored; of truncation only which side, which text and what stride are
 * kept (the model's max length is decided by the importer). Parts that are not supported are refused by name (UNSUPPORTED:
 * "tokenizer.json: pre_tokenizer type "X" is not supported (supported: ...)"). */
int32_t tokenizer_compile_json(memory *m, const char *text, size_t length, buffer *image, ecrec_error *err);
/* From a BERT vocab.txt (one piece a line) and the settings of tokenizer_config.json. */
typedef struct wordpiece_settings {
    int lower_case, strip_accents /* -1: as lower_case */, chinese_characters;
    const char *unknown, *cls, *sep, *pad, *mask; /* NULL: BERT's */
} wordpiece_settings;
int32_t tokenizer_compile_vocab(memory *m, const char *text, size_t length, const wordpiece_settings *settings, buffer *image,
                                ecrec_error *err);
/* From vocab.json and merges.txt: byte-level BPE. */
typedef struct bpe_settings {
    int prefix_space;
    int roberta;      /* 1: <s> A </s>, as RoBERTa; 0: nothing is added, as GPT-2 */
    int clip;         /* 1: CLIP's: lower case, </w>, <|startoftext|> A <|endoftext|> */
    const char *unknown, *cls, *sep, *pad, *mask; /* NULL: none, or RoBERTa's */
} bpe_settings;
int32_t tokenizer_compile_merges(memory *m, const char *vocab, size_t vocab_length, const char *merges, size_t merges_length,
                                 const bpe_settings *settings, buffer *image, ecrec_error *err);
/* From a SentencePiece model. What transformers makes of it is decided by the family. */
enum { SENTENCEPIECE_PLAIN, SENTENCEPIECE_T5, SENTENCEPIECE_XLMR, SENTENCEPIECE_CAMEMBERT, SENTENCEPIECE_LLAMA };
typedef struct sentencepiece_settings {
    int family;
    uint32_t extra_ids; /* T5: <extra_id_0> .. behind the vocabulary, in falling order */
} sentencepiece_settings;
int32_t tokenizer_compile_sentencepiece(memory *m, const char *bytes, size_t length, const sentencepiece_settings *settings, buffer *image,
                                        ecrec_error *err);

#endif
