/* Bytes are a SentencePiece model, or vocab.json and merges.txt with a zero between: the first byte says which and for whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/compile.h"
#include "tokenized.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory m;
    buffer image;
    ecrec_error err = ECREC_ERROR_INIT;
    int32_t status;
    if (size == 0)
        return 0;
    memory_init(&m, NULL, (uint64_t)(64u << 20) + 256 * (uint64_t)size);
    buffer_init(&image, &m);
    const char *bytes = (const char *)data + 1;
    const size_t length = size - 1;
    if (data[0] < 8) {
        const sentencepiece_settings settings = { data[0] % (SENTENCEPIECE_LLAMA + 1), data[0] % (SENTENCEPIECE_LLAMA + 1) == SENTENCEPIECE_T5 ? 3 : 0 };
        status = tokenizer_compile_sentencepiece(&m, bytes, length, &settings, &image, &err);
    } else {
        const bpe_settings settings = { data[0] & 1, (data[0] & 6) == 2, (data[0] & 6) == 4, NULL, NULL, NULL, NULL, NULL };
        const char *zero = length > 0 ? memchr(bytes, 0, length) : NULL;
        const size_t first = zero != NULL ? (size_t)(zero - bytes) : length;
        status = tokenizer_compile_merges(&m, bytes, first, zero != NULL ? zero + 1 : bytes, zero != NULL ? length - first - 1 : 0, &settings, &image, &err);
    }
    PROMISE(status != ECREC_ERR_NOMEM && status != ECREC_ERR_INTERNAL && (status == ECREC_OK || err.message[0] != 0));
    if (status == ECREC_OK)
        tokenized(&m, &image);
    buffer_release(&image);
    PROMISE(atomic_load(&m.live) == 0);
    return 0;
}

/* A SentencePiece model: field 1, once a piece: { 1: text, 2: score (float), 3: kind }. */
static size_t piece(unsigned char *out, const char *text, float score, unsigned kind)
{
    const size_t n = strlen(text);
    size_t at = 0;
    out[at++] = 0x0A;
    out[at++] = (unsigned char)(n + 9);
    out[at++] = 0x0A;
    out[at++] = (unsigned char)n;
    memcpy(out + at, text, n);
    at += n;
    out[at++] = 0x15;
    memcpy(out + at, &score, 4);
    at += 4;
    out[at++] = 0x18;
    out[at++] = (unsigned char)kind;
    return at;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char *const merges[] = {
        "\x08{\"r\":0,\"e\":1,\"d\":2,\"re\":3,\"red\":4,\"\\u0120\":5}|#version: 0.2\nr e\nre d\n",
        "\x0A{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"<mask>\":4,\"r\":5,\"e\":6,\"re\":7}|r e\n",
        "\x0C{\"<|startoftext|>\":0,\"<|endoftext|>\":1,\"r\":2,\"e</w>\":3,\"re</w>\":4}|#version: 0.2\nr e</w>\n",
    };
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        char text[256];
        const size_t n = strlen(merges[i]);
        memcpy(text, merges[i], n + 1);
        *strrchr(text, '|') = 0; /* special tokens hold that sign too */
        emit(opaque, text, n);
    }
    for (unsigned family = 0; family < 5; family++) {
        static const char *const words[] = { "\xE2\x96\x81", "\xE2\x96\x81red", "r", "e", "d", "re", "\xE2\x96\x81sh", "oes" };
        unsigned char model[512];
        size_t n = 0;
        model[n++] = (unsigned char)family;
        n += piece(model + n, "<unk>", 0, 2);
        n += piece(model + n, "<s>", 0, 3);
        n += piece(model + n, "</s>", 0, 3);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            n += piece(model + n, words[i], -1.5f * (float)(i + 1), 1);
        model[n++] = 0x12; /* the trainer's settings: Unigram, or BPE for Llama */
        model[n++] = 2;
        model[n++] = 0x18;
        model[n++] = family == 4 ? 2 : 1;
        emit(opaque, model, n);
    }
}
