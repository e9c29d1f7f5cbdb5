/* Truncated, flipped and hand-made hostile model files: an error with a sentence, never a crash, a hang or memory above the
 * bound; and what loads can be used. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compose.h"
#include "support.h"
#include "tiny.h"

enum { FLIPS = 10000, TRUNCATIONS = 2000 };
/* lib/model/file.h: what the frames declare, and the tables made of them; and a little for the lists */
#define BOUND(length) (2 * ((uint64_t)(64u << 20) + 64 * (uint64_t)(length)) + (8u << 20))

static unsigned long long state = 1;
static size_t pick(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % n);
}

/* Sanitizers run a fifth of the random cases: each takes several times as long. */
static int scaled(int n)
{
    return getenv("ECREC_SANITIZED") != NULL ? n / 5 : n;
}

static void score_and_learn(ecrec_model *model, ecrec_session *session)
{
    const ecrec_schema *schema = ecrec_model_schema(model);
    ecrec_batch *batch = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    float scores[64];
    const float labels[2] = { 1, 0 };
    if (schema == NULL || ecrec_schema_labels(schema) > 32 || ecrec_batch_create(schema, &batch, &err) != ECREC_OK)
        return;
    if (ecrec_batch_reset(batch, 2, &err) == ECREC_OK && ecrec_batch_set_label(batch, 0, labels, NULL, &err) == ECREC_OK) {
        for (uint32_t i = 0; i < ecrec_schema_fields(schema); i++) {
            const char *texts[2] = { "red shoes", "new" };
            const size_t lengths[2] = { 9, 3 };
            if (ecrec_schema_field_kind(schema, i) == ECREC_FIELD_TEXT)
                (void)ecrec_batch_set_text(batch, i, texts, lengths, &err);
        }
        (void)ecrec_score(model, session, batch, NULL, scores, 64, &err);
        (void)ecrec_update(model, batch, NULL, NULL, &err);
        (void)ecrec_score(model, session, batch, NULL, scores, 64, &err);
    }
    ecrec_batch_release(batch);
}

static int32_t forget(void *opaque, const void *bytes, size_t length)
{
    (void)opaque;
    (void)bytes;
    (void)length;
    return 0;
}

/* Status of loading; everything is tried with a model that loads. */
static int32_t try_model(const unsigned char *bytes, size_t length, char message[488])
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    ecrec_report *report = NULL;
    options.memory_limit = BOUND(length);
    CALL(ecrec_context_create(&options, &context, &err));
    const int32_t status = ecrec_model_load_memory(context, bytes, length, NULL, NULL, NULL, &model, &err);
    if (status == ECREC_ERR_NOMEM)
        fail_msg("loading needs more than its bound: %s", err.message);
    if (status != ECREC_OK)
        assert_true(err.message[0] != 0 && err.code == status && model == NULL);
    if (message != NULL)
        memcpy(message, err.message, sizeof err.message);
    if (status == ECREC_OK && ecrec_session_create(model, NULL, &session, &err) == ECREC_OK) {
        const char *text = "red running shoes";
        const size_t n = strlen(text);
        const ecrec_sink sink = { (uint32_t)sizeof sink, 0, NULL, forget };
        float vector[1024];
        if (ecrec_model_dimension(model) != 0 && ecrec_model_dimension(model) <= 1024)
            (void)ecrec_encode(model, session, &text, &n, 1, NULL, vector, ecrec_model_dimension(model), &err);
        score_and_learn(model, session);
        (void)ecrec_model_info(model, &report, &err);
        (void)ecrec_model_save_sink(model, &sink, &err);
    }
    ecrec_report_release(report);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return status;
}

/* The file of a small ranker that has learned, made once; `quantized`: its encoder in 8 bits (1), in 4 bits (2), in bfloat16 (3). */
static const unsigned char *ranker_file(int quantized, size_t *length)
{
    static const char json[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"text\",\"word_ngrams\":1},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    static const char *const texts[2] = { "red shoes", "blue" };
    static const size_t lengths[2] = { 9, 4 };
    static const float labels[2] = { 1, 0 };
    static unsigned char *files[4];
    static size_t sizes[4];
    if (files[quantized] == NULL) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(1, 0);
        ecrec_model *base = NULL, *ranker = NULL, *small = NULL;
        ecrec_schema *schema = NULL;
        ecrec_batch *batch = NULL;
        CALL(ecrec_model_import(context, tiny_folder(), NULL, &base, NULL, &err));
        CALL(ecrec_schema_parse(context, json, strlen(json), &schema, &err));
        CALL(ecrec_ranker_create(context, base, schema, &ranker, &err));
        CALL(ecrec_batch_create(schema, &batch, &err));
        CALL(ecrec_batch_reset(batch, 2, &err));
        CALL(ecrec_batch_set_text(batch, 0, texts, lengths, &err));
        CALL(ecrec_batch_set_label(batch, 0, labels, NULL, &err));
        CALL(ecrec_update(ranker, batch, NULL, NULL, &err));
        ecrec_quantize_options options = ECREC_QUANTIZE_OPTIONS_INIT;
        options.type = quantized == 3 ? ECREC_TYPE_BF16 : quantized == 2 ? ECREC_TYPE_S4 : ECREC_TYPE_S8;
        CALL(ecrec_quantize(ranker, &options, &small, NULL, &err));
        CALL(ecrec_model_save(quantized ? small : ranker, temporary("whole.ecrec"), &err));
        ecrec_batch_release(batch);
        ecrec_schema_release(schema);
        ecrec_model_release(base);
        ecrec_model_release(small);
        ecrec_model_release(ranker);
        ecrec_context_release(context);
        char *raw = read_file(temporary("whole.ecrec"), &sizes[quantized]);
        files[quantized] = aligned_alloc(64, (sizes[quantized] + 127) / 64 * 64);
        memcpy(files[quantized], raw, sizes[quantized]);
        free(raw);
    }
    *length = sizes[quantized];
    return files[quantized];
}

static void must_refuse(const unsigned char *bytes, size_t length, size_t at)
{
    if (try_model(bytes, at, NULL) != ECREC_ERR_FORMAT)
        fail_msg("cut to %zu of %zu bytes it is not refused as damaged", at, length);
}

static void truncated(void **unused)
{
    size_t length = 0;
    (void)unused;
    const unsigned char *bytes = ranker_file(0, &length);
    composition c;
    assert_int_equal(try_model(bytes, length, NULL), ECREC_OK);
    compose_read(&c, bytes, length);
    for (size_t i = 0; i < c.count; i++) { /* at, before and behind each boundary */
        const uint64_t ends[2] = { c.pieces[i].s.offset, c.pieces[i].s.offset + c.pieces[i].s.stored };
        for (int e = 0; e < 2; e++)
            for (int d = -1; d <= 1; d++)
                if (ends[e] + (uint64_t)d < length)
                    must_refuse(bytes, length, (size_t)(ends[e] + (uint64_t)d));
    }
    for (size_t at = 0; at <= FILE_HEADER; at++)
        must_refuse(bytes, length, at);
    for (int i = 0; i < scaled(TRUNCATIONS); i++)
        must_refuse(bytes, length, pick(length));
    compose_free(&c);
}

static void flipped(void **unused)
{
    size_t length = 0;
    int loaded = 0;
    (void)unused;
    const unsigned char *bytes = ranker_file(0, &length);
    unsigned char *copy = aligned_alloc(64, (length + 127) / 64 * 64);
    memcpy(copy, bytes, length);
    for (int i = 0; i < scaled(FLIPS); i++) {
        const size_t at = pick(length);
        const unsigned char bit = (unsigned char)(1u << pick(8));
        copy[at] ^= bit;
        const int32_t status = try_model(copy, length, NULL);
        copy[at] ^= bit;
        loaded += status == ECREC_OK;
        if (status == ECREC_OK) { /* only padding between sections may be flipped unseen */
            composition c;
            compose_read(&c, bytes, length);
            for (size_t k = 0; k < c.count; k++)
                assert_false(at >= c.pieces[k].s.offset && at < c.pieces[k].s.offset + c.pieces[k].s.stored);
            compose_free(&c);
        }
    }
    print_message("%d of %d flips were in padding\n", loaded, scaled(FLIPS));
    free(copy);
}

/* What checksums cannot stop: the writer is hostile and makes them right. */
static void flipped_under_checksums(void **state_)
{
    const int quantized = *(const int *)*state_;
    size_t length = 0, statuses[16] = { 0 };
    composition original;
    const unsigned char *file = ranker_file(quantized, &length);
    const int flips = quantized == 3 ? scaled(FLIPS) / 5 : scaled(FLIPS); /* bfloat16 has little that can be wrong */
    compose_read(&original, file, length);
    for (int i = 0; i < flips; i++) {
        composition c;
        compose_copy(&c, &original);
        piece *p = &c.pieces[pick(c.count)];
        size_t made = 0;
        if (pick(3) == 0) { /* the directory: any field of an entry */
            unsigned char *s = (unsigned char *)&p->s;
            unsigned char *whole = compose_write(&c, &made, NULL);
            free(whole);
            p->fixed = 1;
            const size_t from = offsetof(section, kind), span = sizeof p->s - from;
            for (size_t k = 1 + pick(2); k > 0; k--)
                s[from + pick(span)] ^= (unsigned char)(1u << pick(8));
        } else if (p->length > 0) {
            p->bytes[pick(p->length < 400 || pick(2) ? p->length : 400)] ^= (unsigned char)(1u << pick(8));
            free(p->stored);
            p->stored = NULL;
        }
        unsigned char *bytes = compose_write(&c, &made, NULL);
        const int32_t status = try_model(bytes, made, NULL);
        statuses[status < 0 || status > 15 ? 15 : status]++;
        free(bytes);
        compose_free(&c);
    }
    print_message("%d flips under right checksums: %zu load, %zu damaged, %zu unsupported, %zu other\n", flips, statuses[ECREC_OK],
                  statuses[ECREC_ERR_FORMAT], statuses[ECREC_ERR_UNSUPPORTED],
                  (size_t)flips - statuses[ECREC_OK] - statuses[ECREC_ERR_FORMAT] - statuses[ECREC_ERR_UNSUPPORTED]);
    assert_int_equal(statuses[ECREC_ERR_INTERNAL] + statuses[15], 0);
    compose_free(&original);
}

/* ---- made by hand ---- */

static composition fresh(void)
{
    size_t length = 0;
    composition c;
    const unsigned char *file = ranker_file(0, &length);
    compose_read(&c, file, length);
    unsigned char *again = compose_write(&c, &length, NULL); /* fills in where everything lies */
    assert_int_equal(try_model(again, length, NULL), ECREC_OK);
    free(again);
    return c;
}

static void refused(composition *c, int32_t status, const char *says)
{
    size_t length = 0;
    char message[488];
    unsigned char *bytes = compose_write(c, &length, NULL);
    const int32_t got = try_model(bytes, length, message);
    if (got != status || strstr(message, says) == NULL)
        fail_msg("expected %s and \"%s\", got %s: %s", ecrec_status_name(status), says, ecrec_status_name(got), message);
    free(bytes);
    compose_free(c);
}

static piece *fix(composition *c, const char *name)
{
    piece *p = compose_find(c, name);
    p->fixed = 1;
    return p;
}

static const char *a_matrix(composition *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->pieces[i].s.kind == SECTION_TENSOR && c->pieces[i].s.layout == LAYOUT_PANELS)
            return c->pieces[i].s.name;
    fail_msg("no matrix");
    return NULL;
}

static void offsets_and_counts(void **unused)
{
    composition c;
    (void)unused;
    c = fresh(), fix(&c, a_matrix(&c))->s.offset = compose_find(&c, "rank.dense")->s.offset;
    refused(&c, ECREC_ERR_FORMAT, "overlap");
    c = fresh(), fix(&c, a_matrix(&c))->s.offset = 64; /* the directory */
    refused(&c, ECREC_ERR_FORMAT, "overlap");
    c = fresh(), fix(&c, a_matrix(&c))->s.offset = UINT64_MAX - 63;
    refused(&c, ECREC_ERR_FORMAT, "outside");
    c = fresh(), fix(&c, a_matrix(&c))->s.offset = 0;
    refused(&c, ECREC_ERR_FORMAT, "outside");
    c = fresh(), fix(&c, a_matrix(&c))->s.offset += 4;
    refused(&c, ECREC_ERR_FORMAT, "not aligned");
    c = fresh(), fix(&c, a_matrix(&c))->s.stored = UINT64_MAX;
    refused(&c, ECREC_ERR_FORMAT, "outside");
    c = fresh(), fix(&c, a_matrix(&c))->s.raw = (uint64_t)1 << 60;
    refused(&c, ECREC_ERR_FORMAT, "two lengths");
    c = fresh(), c.count_told = UINT32_MAX;
    refused(&c, ECREC_ERR_FORMAT, "count");
    c = fresh(), c.count_told = (uint32_t)c.count - 1;
    refused(&c, ECREC_ERR_FORMAT, "longer than its entries");
    c = fresh(), c.sequence = 0;
    refused(&c, ECREC_ERR_FORMAT, "number");
}

static void shapes_and_types(void **unused)
{
    static const uint64_t shapes[][2] = { { UINT64_MAX, UINT64_MAX }, { (uint64_t)1 << 32, (uint64_t)1 << 32 }, { 0, 0 }, { 1, UINT64_MAX }, { 16, 17 } };
    composition c;
    piece *p;
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        c = fresh(), p = fix(&c, a_matrix(&c));
        memcpy(p->s.shape, shapes[i], sizeof shapes[i]);
        refused(&c, ECREC_ERR_FORMAT, "shape");
    }
    c = fresh(), fix(&c, a_matrix(&c))->s.rank = 5;
    refused(&c, ECREC_ERR_FORMAT, "rank");
    c = fresh(), fix(&c, a_matrix(&c))->s.rank = -1;
    refused(&c, ECREC_ERR_FORMAT, "rank");
    c = fresh(), fix(&c, a_matrix(&c))->s.type = TYPE_F64;
    refused(&c, ECREC_ERR_FORMAT, "shape");
    c = fresh(), fix(&c, a_matrix(&c))->s.type = 99;
    refused(&c, ECREC_ERR_FORMAT, "shape");
    c = fresh(), fix(&c, a_matrix(&c))->s.layout = 99;
    refused(&c, ECREC_ERR_FORMAT, "shape");
    c = fresh(), fix(&c, a_matrix(&c))->s.codec = 7;
    refused(&c, ECREC_ERR_UNSUPPORTED, "codec");
    /* a table of 2^34 rows whose frame holds nothing: small in the file, 256 MiB of pointers each */
    c = fresh();
    for (int i = 0; i < 20; i++) {
        static const unsigned char none[8];
        char name[32];
        snprintf(name, sizeof name, "zz.table.%02d", i);
        p = compose_add(&c, name, SECTION_TENSOR, none, sizeof none);
        p->s.codec = CODEC_ZSTD;
        p->s.type = TYPE_F32;
        p->s.layout = LAYOUT_CHUNKS;
        p->s.rank = 2;
        p->s.shape[0] = (uint64_t)1 << 34;
        p->s.shape[1] = 1;
        p->s.rows_per_chunk = 16;
    }
    refused(&c, ECREC_ERR_FORMAT, "more memory");
    /* chunks as far apart as possible: 72 bytes of zeros each in the frame, 400 bytes with their pointers in memory */
    c = fresh();
    enum { FAR = 400000 };
    unsigned char *frame = calloc(FAR + 1, 72);
    const uint64_t far = FAR;
    memcpy(frame, &far, 8);
    for (uint64_t i = 0; i < FAR; i++) {
        const uint64_t index = i * CHUNK_BLOCK;
        memcpy(frame + 8 + i * 72, &index, 8);
    }
    p = compose_add(&c, "zz.table", SECTION_TENSOR, frame, 8 + FAR * 72);
    free(frame);
    p->s.codec = CODEC_ZSTD;
    p->s.type = TYPE_F32;
    p->s.layout = LAYOUT_CHUNKS;
    p->s.rank = 2;
    p->s.shape[0] = (uint64_t)16 * CHUNK_BLOCK * FAR;
    p->s.shape[1] = 1;
    p->s.rows_per_chunk = 16;
    refused(&c, ECREC_ERR_FORMAT, "more memory");
}

static void names_and_kinds(void **unused)
{
    composition c;
    piece *p;
    (void)unused;
    c = fresh(), strcpy(compose_find(&c, "rank.dense")->s.name, "learn.dense");
    refused(&c, ECREC_ERR_FORMAT, "twice");
    c = fresh(), strcpy(c.pieces[0].s.name, "zzz");
    refused(&c, ECREC_ERR_FORMAT, "order");
    c = fresh(), strcpy(c.pieces[0].s.name, "a\x1b[31m");
    refused(&c, ECREC_ERR_FORMAT, "damaged");
    c = fresh(), p = compose_add(&c, "future", SECTION_BLOB, "x", 1), p->s.flags = SECTION_REQUIRED;
    refused(&c, ECREC_ERR_UNSUPPORTED, "\"future\"");
    c = fresh(), p = compose_add(&c, "future", 17, "x", 1), p->s.flags = SECTION_REQUIRED;
    refused(&c, ECREC_ERR_UNSUPPORTED, "\"future\" of kind 17");
    c = fresh(), compose_add(&c, "settings2", SECTION_SETTINGS, "\0\0\0\0", 4);
    refused(&c, ECREC_ERR_FORMAT, "second list");
    c = fresh(), p = compose_find(&c, "settings"), p->s.kind = SECTION_BLOB, p->s.flags = 0;
    refused(&c, ECREC_ERR_FORMAT, "no settings");
    c = fresh(), strcpy(compose_find(&c, "rank.dense")->s.name, "rank.densf");
    refused(&c, ECREC_ERR_FORMAT, "rank.dense");
}

static void frames(void **unused)
{
    composition c;
    piece *p;
    (void)unused;
    /* what a frame declares, against the file's size */
    c = fresh(), fix(&c, "settings")->s.raw = (uint64_t)1 << 40;
    refused(&c, ECREC_ERR_FORMAT, "unpack to more");
    c = fresh(), fix(&c, "settings")->s.raw += 1;
    refused(&c, ECREC_ERR_FORMAT, "cannot be unpacked");
    c = fresh(), fix(&c, "settings")->s.raw = 0;
    refused(&c, ECREC_ERR_FORMAT, "damaged");
    /* 200 MiB of zeros in a few KiB */
    c = fresh();
    const size_t much = (size_t)200 << 20;
    unsigned char *zeros = calloc(much, 1);
    p = compose_add(&c, "bomb", SECTION_BLOB, zeros, much);
    free(zeros);
    p->s.codec = CODEC_ZSTD;
    refused(&c, ECREC_ERR_FORMAT, "unpack to more");
    /* and many that are each within the bound */
    c = fresh();
    zeros = calloc((size_t)16 << 20, 1);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "bomb.%d", i);
        p = compose_add(&c, name, SECTION_BLOB, zeros, (size_t)16 << 20);
        p->s.codec = CODEC_ZSTD;
    }
    free(zeros);
    refused(&c, ECREC_ERR_FORMAT, "unpack to more");
    /* not a frame at all, and one that is cut off */
    c = fresh(), p = compose_find(&c, "settings");
    memset(p->stored, 0x5A, p->stored_length);
    refused(&c, ECREC_ERR_FORMAT, "cannot be unpacked");
    c = fresh(), p = compose_find(&c, "settings");
    p->s.stored = p->stored_length /= 2;
    p->s.checksum = hash64(p->stored, p->stored_length, 0);
    p->fixed = 1;
    refused(&c, ECREC_ERR_FORMAT, "cannot be unpacked");
}

static void not_numbers(void **unused)
{
    static const float hostile[] = { NAN, INFINITY, -INFINITY };
    size_t length = 0;
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        composition c = fresh();
        piece *p = compose_find(&c, "rank.dense");
        memcpy(p->bytes, &hostile[i], 4);
        free(p->stored);
        p->stored = NULL;
        refused(&c, ECREC_ERR_FORMAT, "rank.dense");
        /* a row of the token table */
        int tried = 0;
        const unsigned char *file = ranker_file(1, &length);
        compose_read(&c, file, length);
        for (size_t k = 0; k < c.count; k++) { /* the scales lie last */
            p = &c.pieces[k];
            if (p->s.type != TYPE_S8 || p->s.layout != LAYOUT_ROWS_S8)
                continue;
            memcpy(p->bytes + p->length - 4, &hostile[i], 4);
            free(p->stored);
            p->stored = NULL;
            tried++;
        }
        assert_true(tried > 0);
        refused(&c, ECREC_ERR_FORMAT, "finite");
        /* one of the scales of a 4-bit matrix, as a half */
        static const unsigned char halves[3][2] = { { 0x01, 0x7E }, { 0x00, 0x7C }, { 0x00, 0xFC } };
        file = ranker_file(2, &length);
        compose_read(&c, file, length);
        tried = 0;
        for (size_t k = 0; k < c.count && tried == 0; k++) {
            p = &c.pieces[k];
            if (p->s.type != TYPE_S4)
                continue;
            const size_t padded = ((size_t)p->s.shape[1] + 31) / 32 * 32, channels = ((size_t)p->s.shape[0] + 15) / 16 * 16;
            memcpy(p->bytes + (channels * padded / 2 + 63) / 64 * 64 + channels * padded / 16 - 2, halves[i], 2);
            free(p->stored);
            p->stored = NULL;
            tried++;
        }
        assert_int_equal(tried, 1);
        refused(&c, ECREC_ERR_FORMAT, "finite");
    }
}

static void schema_and_settings(void **unused)
{
    static const unsigned char counts[] = { 0xFF, 0xFF, 0xFF, 0xFF };
    composition c;
    (void)unused;
    c = fresh(), compose_set(compose_find(&c, "settings"), counts, sizeof counts);
    refused(&c, ECREC_ERR_FORMAT, "count");
    c = fresh(), compose_set(compose_find(&c, "schema"), counts, sizeof counts);
    refused(&c, ECREC_ERR_FORMAT, "schema");
    c = fresh(), compose_set(compose_find(&c, "tokenizer"), counts, sizeof counts);
    refused(&c, ECREC_ERR_FORMAT, "tokenizer");
    c = fresh(), compose_set(compose_find(&c, "schema"), "", 0);
    refused(&c, ECREC_ERR_FORMAT, "schema");
}

int main(void)
{
    static const int exact = 0, quantized = 1, rounded = 3;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated), cmocka_unit_test(flipped),
        { "flipped under checksums", flipped_under_checksums, NULL, NULL, (void *)(uintptr_t)&exact },
        { "flipped under checksums, quantised", flipped_under_checksums, NULL, NULL, (void *)(uintptr_t)&quantized },
        { "flipped under checksums, bfloat16", flipped_under_checksums, NULL, NULL, (void *)(uintptr_t)&rounded },
        cmocka_unit_test(offsets_and_counts), cmocka_unit_test(shapes_and_types), cmocka_unit_test(names_and_kinds),
        cmocka_unit_test(frames), cmocka_unit_test(not_numbers), cmocka_unit_test(schema_and_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
