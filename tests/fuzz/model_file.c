/* Bytes are a model file. When the file's second byte (of its magic) is 'c', checksums and the file's length are put right
 * first, so that what lies behind them is reached. What loads can be used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "model/section.h"
#include "support.h"
#include "tiny.h"

static void put64(unsigned char *at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static void seal(unsigned char *file, size_t length)
{
    reader r;
    memcpy(file, FILE_MAGIC, 8);
    put64(file + 16, length);
    reader_init(&r, file + 24, 16);
    const uint64_t offset = read_u64(&r), bytes = read_u64(&r);
    if (offset <= length && bytes <= length - offset) {
        reader_init(&r, file + offset, (size_t)bytes);
        for (uint32_t count = read_u32(&r); count > 0; count--) {
            section s;
            if (!section_read(&r, &s))
                break;
            if (s.offset <= length && s.stored <= length - s.offset)
                put64(file + offset + r.position - 8, hash64(file + s.offset, (size_t)s.stored, 0));
        }
        put64(file + 40, hash64(file + offset, (size_t)bytes, 0));
    }
    put64(file + FILE_HEADER - 8, hash64(file, FILE_HEADER - 8, 0));
}

static void use(ecrec_model *model)
{
    ecrec_session *session = NULL;
    const char *text = "red shoes";
    const size_t n = 9;
    float vector[1024], score[16];
    if (ecrec_session_create(model, NULL, &session, NULL) == ECREC_OK) {
        if (ecrec_model_dimension(model) != 0 && ecrec_model_dimension(model) <= 1024)
            (void)ecrec_encode(model, session, &text, &n, 1, NULL, vector, ecrec_model_dimension(model), NULL);
        ecrec_batch *batch = NULL;
        if (ecrec_model_schema(model) != NULL && ecrec_batch_create(ecrec_model_schema(model), &batch, NULL) == ECREC_OK) {
            if (ecrec_batch_reset(batch, 1, NULL) == ECREC_OK)
                (void)ecrec_score(model, session, batch, NULL, score, 16, NULL);
            ecrec_batch_release(batch);
        }
    }
    ecrec_session_release(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    unsigned char *file = aligned_alloc(64, (size + 127) / 64 * 64);
    PROMISE(file != NULL);
    memcpy(file, data, size);
    if (size >= FILE_HEADER && file[1] == 'c')
        seal(file, size);
    options.memory_limit = 2 * ((uint64_t)(64u << 20) + 64 * (uint64_t)size) + (8u << 20);
    PROMISE(ecrec_context_create(&options, &context, &err) == ECREC_OK);
    const int32_t status = ecrec_model_load_memory(context, file, size, NULL, NULL, NULL, &model, &err);
    PROMISE(status != ECREC_ERR_NOMEM && status != ECREC_ERR_INTERNAL && (status == ECREC_OK || err.message[0] != 0));
    if (status == ECREC_OK)
        use(model);
    ecrec_model_release(model);
    uint64_t live = 0;
    ecrec_context_memory(context, &live, NULL, NULL);
    PROMISE(live < 64 << 10); /* the context itself */
    ecrec_context_release(context);
    free(file);
    return 0;
}

typedef struct saved { unsigned char *bytes; size_t length; } saved;

static int32_t append(void *opaque, const void *bytes, size_t length)
{
    saved *s = opaque;
    s->bytes = realloc(s->bytes, s->length + length + 1);
    PROMISE(s->bytes != NULL);
    memcpy(s->bytes + s->length, bytes, length);
    s->length += length;
    return 0;
}

static void seed(fuzz_emit emit, void *opaque, ecrec_model *model)
{
    saved s = { NULL, 0 };
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &s, append };
    PROMISE(ecrec_model_save_sink(model, &sink, NULL) == ECREC_OK);
    emit(opaque, s.bytes, s.length);
    s.bytes[1] = 'c';
    emit(opaque, s.bytes, s.length);
    free(s.bytes);
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char json[] = "{\"fields\":[{\"name\":\"c\",\"kind\":\"category\"},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_context *context = NULL;
    ecrec_model *base = NULL, *small = NULL, *ranker = NULL, *categories = NULL;
    ecrec_schema *schema = NULL;
    PROMISE(ecrec_context_create(NULL, &context, NULL) == ECREC_OK);
    PROMISE(ecrec_model_import(context, tiny_folder(), NULL, &base, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_quantize(base, NULL, &small, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_schema_parse(context, json, strlen(json), &schema, NULL) == ECREC_OK);
    PROMISE(ecrec_ranker_create(context, small, schema, &ranker, NULL) == ECREC_OK);
    PROMISE(ecrec_ranker_create(context, NULL, schema, &categories, NULL) == ECREC_OK);
    seed(emit, opaque, base);
    seed(emit, opaque, ranker);
    seed(emit, opaque, categories);
    ecrec_schema_release(schema);
    ecrec_model_release(categories);
    ecrec_model_release(ranker);
    ecrec_model_release(small);
    ecrec_model_release(base);
    ecrec_context_release(context);
}
