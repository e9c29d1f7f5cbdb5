/* Bytes are a journal of a small ranker, read from memory. When the first byte is 'c', all checksums that can be found are put right
 * first. What opens can be written to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "memory_file.h"
#include "model/delta.h"
#include "model/journal.h"
#include "support.h"

static ecrec_model *ranker(ecrec_context *context)
{
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    PROMISE(ecrec_schema_parse(context, json, sizeof json - 1, &schema, NULL) == ECREC_OK);
    PROMISE(ecrec_ranker_create(context, NULL, schema, &m, NULL) == ECREC_OK);
    ecrec_schema_release(schema);
    return m;
}

static int32_t learn(ecrec_model *m, uint64_t value)
{
    static const float label = 1;
    ecrec_batch *b = NULL;
    PROMISE(ecrec_batch_create(ecrec_model_schema(m), &b, NULL) == ECREC_OK && ecrec_batch_reset(b, 1, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_category_u64(b, 0, &value, NULL, NULL) == ECREC_OK && ecrec_batch_set_label(b, 0, &label, NULL, NULL) == ECREC_OK);
    const int32_t status = ecrec_update(m, b, NULL, NULL, NULL);
    ecrec_batch_release(b);
    return status;
}

static void put64(unsigned char *at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get64(const unsigned char *at)
{
    reader r;
    reader_init(&r, at, 8);
    return read_u64(&r);
}

static void seal(unsigned char *bytes, size_t length)
{
    memcpy(bytes, JOURNAL_MAGIC, 8);
    put64(bytes + JOURNAL_HEADER - 8, hash64(bytes, JOURNAL_HEADER - 8, 0));
    uint64_t chain = hash64(bytes, JOURNAL_HEADER, 0);
    for (size_t at = JOURNAL_HEADER; length - at >= RECORD_HEADER;) {
        const uint64_t n = get64(bytes + at + 8);
        unsigned char *delta = bytes + at + RECORD_HEADER;
        if (n > length - at - RECORD_HEADER)
            break;
        if (n >= DELTA_HEADER) {
            put64(delta + 104, hash64(delta + DELTA_HEADER, (size_t)n - DELTA_HEADER, 0));
            put64(delta + DELTA_HEADER - 8, hash64(delta, DELTA_HEADER - 8, 0));
        }
        put64(bytes + at + 24, hash64(delta, (size_t)n, 0));
        put64(bytes + at + 32, chain);
        chain = hash64(bytes + at, RECORD_HEADER - 8, 0);
        put64(bytes + at + 40, chain);
        at += RECORD_HEADER + (size_t)n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_journal_options how = ECREC_JOURNAL_OPTIONS_INIT;
    ecrec_context *context = NULL;
    file f = { malloc(size + 1), size };
    PROMISE(f.bytes != NULL);
    memcpy(f.bytes, data, size);
    if (size >= JOURNAL_HEADER && f.bytes[0] == 'c')
        seal(f.bytes, size);
    how.repair = size % 2;
    options.memory_limit = 2 * ((uint64_t)(64u << 20) + 64 * (uint64_t)size) + (8u << 20);
    PROMISE(ecrec_context_create(&options, &context, NULL) == ECREC_OK);
    ecrec_model *m = ranker(context);
    const journal_io io = in_memory(&f);
    const int32_t status = journal_open(m, "a journal", &how, &io, NULL, &err);
    PROMISE(status != ECREC_ERR_NOMEM && status != ECREC_ERR_INTERNAL && (status == ECREC_OK || err.message[0] != 0));
    if (status == ECREC_OK)
        (void)learn(m, 7);
    ecrec_model_release(m);
    uint64_t live = 0;
    ecrec_context_memory(context, &live, NULL, NULL);
    PROMISE(live < 64 << 10);
    ecrec_context_release(context);
    free(f.bytes);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    ecrec_context *context = NULL;
    file f = { NULL, 0 };
    const journal_io io = in_memory(&f);
    PROMISE(ecrec_context_create(NULL, &context, NULL) == ECREC_OK);
    ecrec_model *m = ranker(context);
    PROMISE(journal_open(m, "a journal", NULL, &io, NULL, NULL) == ECREC_OK);
    for (uint64_t k = 0; k < 3; k++)
        PROMISE(learn(m, k) == ECREC_OK);
    PROMISE(ecrec_rollback(m, 2, NULL) == ECREC_OK && learn(m, 9) == ECREC_OK);
    emit(opaque, f.bytes, f.length);
    f.bytes[0] = 'c';
    emit(opaque, f.bytes, f.length);
    ecrec_model_release(m);
    ecrec_context_release(context);
    free(f.bytes);
}
