/* Bytes are a tokenizer.json, or a vocab.txt when the first is '\n': what compiles opens, and tokenises any text within bounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/compile.h"
#include "tokenized.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const wordpiece_settings settings = { 1, -1, 1, NULL, NULL, NULL, NULL, NULL };
    memory m;
    buffer image;
    ecrec_error err = ECREC_ERROR_INIT;
    memory_init(&m, NULL, (uint64_t)(64u << 20) + 256 * (uint64_t)size);
    buffer_init(&image, &m);
    const int vocabulary = size > 0 && data[0] == '\n';
    const int32_t status = vocabulary ? tokenizer_compile_vocab(&m, (const char *)data + 1, size - 1, &settings, &image, &err)
                                      : tokenizer_compile_json(&m, (const char *)data, size, &image, &err);
    PROMISE(status != ECREC_ERR_NOMEM && status != ECREC_ERR_INTERNAL && (status == ECREC_OK || err.message[0] != 0));
    if (status == ECREC_OK)
        tokenized(&m, &image);
    buffer_release(&image);
    PROMISE(atomic_load(&m.live) == 0);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char wordpiece[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]\",\"special\":true,\"normalized\":false}],"
        "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
        "\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"red\":3,\"##s\":4,\"shoe\":5,\"a\":6,\"##b\":7}}}";
    static const char template[] =
        "{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"TemplateProcessing\","
        "\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
        "\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
        "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[1],\"tokens\":[\"[CLS]\"]}}},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"r\":2,\"##e\":3,\"##d\":4}}}";
    static const char bpe[] =
        "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Lowercase\"}]},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
        "\"unk_token\":null,\"vocab\":{\"r\":0,\"e\":1,\"d\":2,\"re\":3,\"red\":4},\"merges\":[\"r e\",\"re d\"]}}";
    static const char unigram[] =
        "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\","
        "\"add_prefix_space\":true},\"post_processor\":null,\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],[\"\xE2\x96\x81\",-2.5],[\"red\",-3.0]]}}";
    static const char vocabulary[] =
        "\n[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\n##s\nshoe\na\n##b\n\xE9\x9E\x8B\n";
    static const char *const seeds[] = { wordpiece, template, bpe, unigram, vocabulary };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        emit(opaque, seeds[i], strlen(seeds[i]));
}
