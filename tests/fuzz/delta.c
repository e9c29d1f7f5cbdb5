/* Bytes are a delta for a small ranker. When the first byte is 'c', magic, lengths, the base's fingerprint and checksums are put right
 * first, so that the body is reached. What applies can be scored with and learned from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "model/delta.h"
#include "model/model.h"
#include "model/section.h"
#include "support.h"

static void put64(unsigned char *at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static void seal(unsigned char *delta, size_t length, ecrec_model *m)
{
    const hash128 model = model_identity(m), base = model_state(m, atomic_load(&m->current));
    memcpy(delta, DELTA_MAGIC, 8);
    put64(delta + 32, model.low);
    put64(delta + 40, model.high);
    put64(delta + 48, base.low);
    put64(delta + 56, base.high);
    put64(delta + 96, length - DELTA_HEADER);
    if (delta[12] == 0)
        put64(delta + 88, length - DELTA_HEADER);
    put64(delta + 104, hash64(delta + DELTA_HEADER, length - DELTA_HEADER, 0));
    put64(delta + DELTA_HEADER - 8, hash64(delta, DELTA_HEADER - 8, 0));
}

static ecrec_model *ranker(ecrec_context *context)
{
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10,"
                               "\"network\":{\"width\":2,\"embedding_bits\":10,\"hidden\":[2]}}";
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    PROMISE(ecrec_schema_parse(context, json, sizeof json - 1, &schema, NULL) == ECREC_OK);
    PROMISE(ecrec_ranker_create(context, NULL, schema, &m, NULL) == ECREC_OK);
    ecrec_schema_release(schema);
    return m;
}

static ecrec_batch *rows(const ecrec_model *m)
{
    static const uint64_t values[2] = { 1, 2 };
    static const double numbers[2] = { 0.5, 4 };
    static const float labels[2] = { 1, 0 };
    ecrec_batch *b = NULL;
    PROMISE(ecrec_batch_create(ecrec_model_schema(m), &b, NULL) == ECREC_OK && ecrec_batch_reset(b, 2, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_category_u64(b, 0, values, NULL, NULL) == ECREC_OK && ecrec_batch_set_number(b, 1, numbers, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_label(b, 0, labels, NULL, NULL) == ECREC_OK);
    return b;
}

static void use(ecrec_model *m)
{
    ecrec_batch *b = rows(m);
    ecrec_session *s = NULL;
    float scores[2];
    PROMISE(ecrec_session_create(m, NULL, &s, NULL) == ECREC_OK);
    PROMISE(ecrec_score(m, s, b, NULL, scores, 2, NULL) == ECREC_OK);
    (void)ecrec_update(m, b, NULL, NULL, NULL); /* the guard may refuse */
    ecrec_session_release(s);
    ecrec_batch_release(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    delta_head head;
    unsigned char *delta = malloc(size + 1);
    PROMISE(delta != NULL);
    memcpy(delta, data, size);
    options.memory_limit = 2 * ((uint64_t)(64u << 20) + 64 * (uint64_t)size) + (8u << 20);
    PROMISE(ecrec_context_create(&options, &context, NULL) == ECREC_OK);
    ecrec_model *m = ranker(context);
    if (size >= DELTA_HEADER && delta[0] == 'c')
        seal(delta, size, m);
    const int32_t status = ecrec_delta_apply(m, delta, size, NULL, &err);
    PROMISE(status != ECREC_ERR_NOMEM && status != ECREC_ERR_INTERNAL && (status == ECREC_OK || err.message[0] != 0));
    /* behind the fingerprint of the result, which mutations rarely meet */
    if (status != ECREC_OK && delta_read_head(delta, size, &head, &err) == ECREC_OK) {
        tensor_set *next = NULL;
        (void)delta_apply(&context->m, &head, delta, size, atomic_load(&m->current)->tensors, &next, &err);
        tensor_set_release(next);
    }
    if (status == ECREC_OK)
        use(m);
    ecrec_model_release(m);
    uint64_t live = 0;
    ecrec_context_memory(context, &live, NULL, NULL);
    PROMISE(live < 64 << 10);
    ecrec_context_release(context);
    free(delta);
    return 0;
}

typedef struct saved { fuzz_emit emit; void *opaque; } saved;

static int32_t emit_both(void *opaque, const void *bytes, size_t length)
{
    const saved *s = opaque;
    unsigned char *copy = malloc(length);
    PROMISE(copy != NULL);
    memcpy(copy, bytes, length);
    s->emit(s->opaque, copy, length);
    copy[0] = 'c';
    s->emit(s->opaque, copy, length);
    free(copy);
    return 0;
}

/* The same delta with its body as it is, so that mutations reach it. */
static void emit_plain(ecrec_context *context, const tensor_set *from, const tensor_set *to, saved *s)
{
    buffer b;
    delta_head head = { .from = 1, .to = 2 };
    buffer_init(&b, &context->m);
    PROMISE(delta_write(&context->m, &head, from, to, &b, NULL) == ECREC_OK);
    unsigned char *raw = malloc(DELTA_HEADER + (size_t)head.raw);
    PROMISE(raw != NULL);
    memcpy(raw, b.data, DELTA_HEADER);
    PROMISE(unpack_bytes(&context->m, b.data + DELTA_HEADER, (size_t)head.stored, raw + DELTA_HEADER, (size_t)head.raw) == ECREC_OK);
    raw[12] = 0; /* not packed */
    raw[0] = 'c';
    s->emit(s->opaque, raw, DELTA_HEADER + (size_t)head.raw);
    free(raw);
    buffer_release(&b);
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    ecrec_context *context = NULL;
    PROMISE(ecrec_context_create(NULL, &context, NULL) == ECREC_OK);
    ecrec_model *m = ranker(context);
    ecrec_batch *b = rows(m);
    saved s = { emit, opaque };
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &s, emit_both };
    PROMISE(ecrec_update(m, b, NULL, NULL, NULL) == ECREC_OK && ecrec_delta_export(m, 1, 2, &sink, NULL) == ECREC_OK);
    emit_plain(context, m->kept[0]->tensors, m->kept[1]->tensors, &s);
    ecrec_batch_release(b);
    ecrec_model_release(m);
    ecrec_context_release(context);
}
