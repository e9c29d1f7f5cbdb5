/* Bytes are the file of an impression log, read from memory. When the first byte is 'c', all checksums that can be found are put right first.
 * What opens can be added to, taken from and opened again, to the same rows. */
#include "fuzz.h"
#include "stream/impressions.h"
#include "memory_file.h"
#include "support.h"

static ecrec_schema *schema_of(ecrec_context *context)
{
    static const char json[] = "{\"fields\":[{\"name\":\"u\",\"kind\":\"user\"},{\"name\":\"n\",\"kind\":\"number\"},{\"name\":\"t\",\"kind\":\"multi\"},{\"name\":\"v\",\"kind\":\"vector\","
                               "\"dimension\":2}],\"labels\":[\"y\",\"z\"],\"hash_bits\":10}";
    ecrec_schema *schema = NULL;
    PROMISE(ecrec_schema_parse(context, json, sizeof json - 1, &schema, NULL) == ECREC_OK);
    return schema;
}

static ecrec_batch *rows(const ecrec_schema *s, uint64_t first)
{
    static const uint64_t users[2] = { 1, 2 };
    static const double numbers[2] = { 0.5, 4 };
    static const float vectors[4] = { 1, 0, 0.5f, 2 };
    static const char *const tags[3] = { "a", "bc", "a" };
    static const size_t items[3] = { 0, 2, 3 }, lengths[3] = { 1, 2, 1 };
    const uint64_t events[2] = { first, first + 1 };
    ecrec_batch *b = NULL;
    PROMISE(ecrec_batch_create(s, &b, NULL) == ECREC_OK && ecrec_batch_reset(b, 2, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_category_u64(b, 0, users, NULL, NULL) == ECREC_OK && ecrec_batch_set_number(b, 1, numbers, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_multi(b, 2, items, tags, lengths, NULL, NULL, NULL) == ECREC_OK && ecrec_batch_set_vector(b, 3, vectors, 0, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_event(b, events, NULL, NULL) == ECREC_OK);
    return b;
}

static int32_t add(ecrec_impressions *log, uint64_t first, int64_t now)
{
    static const float scores[4] = { 0.25f, 0.5f, 0.75f, 1 };
    ecrec_batch *b = rows(log->schema, first);
    const int32_t status = ecrec_impressions_add(log, b, scores, 1, now, NULL);
    ecrec_batch_release(b);
    return status;
}

/* Everything that can be asked of a log; what a row's bytes hold may be refused. */
static void use(ecrec_impressions *log)
{
    static const uint64_t events[2] = { 1, 5000 };
    static const float values[2] = { 1, 0 };
    ecrec_batch *b = NULL;
    const float *served = NULL;
    (void)add(log, 5000, 100);
    PROMISE(ecrec_impressions_label(log, 1, events, values, 2, 200, NULL, NULL) == ECREC_OK);
    if (ecrec_impressions_take(log, INT64_MAX, 0, &b, &served, NULL, NULL) == ECREC_OK && b != NULL)
        PROMISE(served != NULL && ecrec_impressions_done(log, NULL) == ECREC_OK);
    ecrec_batch_release(b);
    b = NULL;
    (void)ecrec_impressions_rows(log, 0, INT64_MAX, &b, NULL, NULL, NULL);
    ecrec_batch_release(b);
    (void)ecrec_impressions_forget(log, 0, "1", 1, NULL, NULL);
}

static void put64(unsigned char *at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t v = 0;
    for (size_t i = 8; i-- > 0;)
        v = v << 8 | at[i];
    return v;
}

static void seal(unsigned char *bytes, size_t length)
{
    if (length < IMPRESSIONS_HEADER)
        return;
    put64(bytes + IMPRESSIONS_HEADER - 8, hash64(bytes, IMPRESSIONS_HEADER - 8, 0));
    uint64_t chain = hash64(bytes, IMPRESSIONS_HEADER, 0);
    for (size_t at = IMPRESSIONS_HEADER; length - at >= IMPRESSION_HEADER;) {
        const uint64_t n = get64(bytes + at + 8);
        if (n > length - at - IMPRESSION_HEADER)
            return;
        put64(bytes + at + 16, chain);
        chain = hash64(bytes + at + IMPRESSION_HEADER, (size_t)n, hash64(bytes + at, 24, 0));
        put64(bytes + at + 24, chain);
        at += IMPRESSION_HEADER + (size_t)n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_context_options limits = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_impressions *log = NULL;
    ecrec_impressions_options o = ECREC_IMPRESSIONS_OPTIONS_INIT;
    file f = { NULL, 0 };
    const journal_io io = in_memory(&f);
    uint64_t cut = 0, live = 0;
    if (size == 0)
        return 0;
    limits.memory_limit = 64 << 20;
    o.timeout = 50;
    o.window = 500;
    o.correction = data[0] & 1;
    o.repair = data[0] >> 1 & 1;
    PROMISE(ecrec_context_create(&limits, &context, NULL) == ECREC_OK);
    ecrec_schema *schema = schema_of(context);
    f.bytes = malloc(size);
    PROMISE(f.bytes != NULL);
    f.length = size - 1;
    memcpy(f.bytes, data + 1, size - 1);
    if (data[0] == 'c')
        seal(f.bytes, f.length);
    if (impressions_open(context, schema, "file", &o, &io, &log, &cut, NULL) == ECREC_OK) {
        use(log);
        const size_t count = log->count;
        ecrec_impressions_release(log);
        log = NULL;
        PROMISE(impressions_open(context, schema, "file", &o, &io, &log, &cut, NULL) == ECREC_OK && cut == 0 && log->count == count);
        ecrec_impressions_release(log);
    }
    ecrec_schema_release(schema);
    ecrec_context_memory(context, &live, NULL, NULL);
    PROMISE(live < 64 << 10);
    ecrec_context_release(context);
    free(f.bytes);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    ecrec_context *context = NULL;
    ecrec_impressions *log = NULL;
    ecrec_impressions_options o = ECREC_IMPRESSIONS_OPTIONS_INIT;
    file f = { NULL, 0 };
    const journal_io io = in_memory(&f);
    uint64_t cut = 0;
    o.timeout = 50;
    o.window = 500;
    PROMISE(ecrec_context_create(NULL, &context, NULL) == ECREC_OK);
    ecrec_schema *schema = schema_of(context);
    PROMISE(impressions_open(context, schema, "file", &o, &io, &log, &cut, NULL) == ECREC_OK);
    for (uint64_t k = 0; k < 4; k++) {
        const uint64_t event = 2 * k + 1;
        const float value = (float)(k & 1);
        ecrec_batch *b = NULL;
        PROMISE(add(log, 2 * k, (int64_t)k) == ECREC_OK);
        PROMISE(ecrec_impressions_label(log, (uint32_t)k & 1, &event, &value, 1, 10 + (int64_t)k, NULL, NULL) == ECREC_OK);
        PROMISE(ecrec_impressions_take(log, 20, 0, &b, NULL, NULL, NULL) == ECREC_OK && b != NULL);
        ecrec_batch_release(b);
        PROMISE(ecrec_impressions_done(log, NULL) == ECREC_OK);
        unsigned char *seed = malloc(f.length + 1);
        PROMISE(seed != NULL);
        seed[0] = k < 3 ? 'c' : 2;
        memcpy(seed + 1, f.bytes, f.length);
        emit(opaque, seed, f.length + 1);
        free(seed);
        if (k == 2)
            PROMISE(ecrec_impressions_compact(log, NULL) == ECREC_OK);
    }
    ecrec_impressions_release(log);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    free(f.bytes);
}
