/* Bytes are changes to a tokenizer image: the first says which, then four bytes of place and one of value each. What is still taken
 * for an image tokenises and decodes without leaving its memory, whatever it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/compile.h"
#include "text/decode.h"
#include "text/tokenizer.h"

#define ADDED "\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true,\"normalized\":false},{\"id\":9,\"content\":\"Mask\",\"lstrip\":true,\"normalized\":true,\"single_word\":true}],"
static const char *const sources[] = {
    "{" ADDED "\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"red\":1,\"##s\":2,\"shoe\":3}}}",
    "{" ADDED "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},{\"type\":\"Lowercase\"},"
    "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},"
    "{\"type\":\"UnicodeScripts\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}]},\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"r\",1],\"cls\":[\"e\",2],"
    "\"trim_offsets\":true,\"add_prefix_space\":true},\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"r\":1,\"e\":2,\"d\":3,\"re\":4,\"red\":5,\"\xC4\xA0\":6},\"merges\":[\"r e\",\"re d\"]}}",
    "{" ADDED "\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"CAAAAAAAAAAAAAAAYQA=\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\","
    "\"prepend_scheme\":\"first\"},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}]},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0.0],[\"\xE2\x96\x81\",-2.5],"
    "[\"red\",-3.0],[\"<0x41>\",-4.0],[\"re\",-1.5],[\"d\",-1.0]]}}",
    "{" ADDED "\"normalizer\":{\"type\":\"NFKD\"},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s)|[^\\\\r\\\\n\\\\p{L}]?\\\\p{L}+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\",\"invert\":false},\"decoder\":{\"type\":\"CTC\",\"pad_token\":\"<pad>\",\"word_delimiter_token\":\"|\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\" red\":1,\"red\":2}}}",
};
enum { SOURCES = sizeof sources / sizeof *sources };

static void use(memory *m, const tokenizer *t)
{
    static const char text[] = "Red shoes \xC3\xA9t\xC3\xA9 \xEF\xB7\xBA 12 \xE9\x9E\x8B Mask e\xCC\x81\xCC\x96 \xFF's  red\t<unk> \xED\x95\x9C A";
    enum { CAPACITY = 512 };
    uint32_t ids[CAPACITY], offsets[2 * CAPACITY];
    uint8_t types[CAPACITY];
    token_work *work = NULL;
    const char *decoded = NULL;
    size_t length = 0;
    if (token_work_create(m, t, &work, NULL) != ECREC_OK)
        return;
    for (int round = 0; round < 4; round++) {
        const tokenize_call call = { .text = text, .length = sizeof text - 1, .pair = round & 1 ? text : NULL, .pair_length = round & 1 ? 7 : 0, .special = 1,
                                     .max_length = round & 2 ? 9 : 0 };
        token_output out = { ids, round == 0 ? NULL : offsets, types, CAPACITY, 0 };
        if (tokenizer_run(t, work, &call, &out, NULL) != ECREC_OK)
            continue;
        const size_t n = out.count < CAPACITY ? out.count : CAPACITY;
        for (size_t i = 0; i < n; i++)
            PROMISE(ids[i] < tokenizer_size(t) || ids[i] == UINT32_MAX);
        (void)tokenizer_decode(t, work, ids, n, round & 1, &decoded, &length, NULL);
    }
    token_work_destroy(work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static buffer images[SOURCES];
    static memory m;
    ecrec_error err = ECREC_ERROR_INIT;
    tokenizer t;
    if (size == 0)
        return 0;
    if (images[0].data == NULL) {
        memory_init(&m, NULL, 0);
        for (size_t i = 0; i < SOURCES; i++) {
            buffer_init(&images[i], &m);
            if (tokenizer_compile_json(&m, sources[i], strlen(sources[i]), &images[i], &err) != ECREC_OK) {
                fprintf(stderr, "%zu: %s\n", i, err.message);
                abort();
            }
        }
    }
    const buffer *own = &images[data[0] % SOURCES];
    memory scratch;
    memory_init(&scratch, NULL, 256u << 20);
    unsigned char *copy = memory_allocate(&scratch, own->length);
    PROMISE(copy != NULL);
    memcpy(copy, own->data, own->length);
    for (size_t i = 1; i + 5 <= size; i += 5) {
        /* half of the changes are to the parts in front: sizes, settings, operations */
        const size_t place = data[i] | (size_t)data[i + 1] << 8 | (size_t)data[i + 2] << 16 | (size_t)data[i + 3] << 24;
        copy[place % (data[i + 3] & 1 ? own->length : own->length < 4096 ? own->length : 4096)] = data[i + 4];
    }
    if (tokenizer_open(&t, copy, own->length, &err) == ECREC_OK)
        use(&scratch, &t);
    else
        PROMISE(err.message[0] != 0);
    memory_release(&scratch, copy, own->length);
    PROMISE(atomic_load(&scratch.live) == 0);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    unsigned char bytes[1 + 5 * 8];
    uint32_t state = 1;
    for (size_t i = 0; i < 256; i++) {
        for (size_t j = 0; j < sizeof bytes; j++) {
            state = state * 1664525u + 1013904223u;
            bytes[j] = (unsigned char)(state >> 24);
        }
        bytes[0] = (unsigned char)i;
        emit(opaque, bytes, 1 + 5 * (1 + i / 4 % 8));
    }
}
