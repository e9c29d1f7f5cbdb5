/* The model room: properties, tensors, snapshots, and files that newer versions wrote. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../faults/compose.h"
#include "model/model.h"
#include "model/properties.h"
#include "model/tensor.h"
#include "support.h"
#include "tiny.h"

static void properties_hold(void **unused)
{
    memory m;
    buffer b;
    properties *p = NULL, *copy = NULL, *again = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    char name[32];
    (void)unused;
    memory_init(&m, NULL, 0);
    buffer_init(&b, &m);
    CALL(properties_create(&m, &p));
    for (int i = 99; i >= 0; i--) {
        snprintf(name, sizeof name, "layer.%d", i);
        CALL(properties_set_u64(p, name, (uint64_t)i * 3));
    }
    CALL(properties_set_f64(p, "eps", 1e-12));
    CALL(properties_set_string(p, "kind", "bert", 4));
    CALL(properties_set_string(p, "empty", "", 0));
    CALL(properties_set_u64(p, "layer.7", 1)); /* replaced */
    CALL(properties_set_string(p, "layer.8", "x", 1)); /* by another kind */
    assert_int_equal(properties_count(p), 103);
    for (size_t i = 1; i < properties_count(p); i++) {
        int32_t kind;
        uint64_t u;
        double f;
        const char *s, *before = properties_at(p, i - 1, &kind, &u, &f, &s);
        assert_true(strcmp(before, properties_at(p, i, &kind, &u, &f, &s)) < 0); /* sorted */
    }
    CALL(properties_copy(p, &copy));
    properties_remove(p, "layer.9");
    assert_int_equal(properties_u64(p, "layer.9", 5), 5);
    assert_int_equal(properties_u64(copy, "layer.9", 5), 27);
    CALL(properties_write(copy, &b));
    CALL(properties_read(&m, b.data, b.length, &again, &err));
    assert_int_equal(properties_count(again), 103);
    assert_int_equal(properties_u64(again, "layer.7", 0), 1);
    assert_int_equal(properties_u64(again, "layer.8", 4), 4); /* it is a string now */
    assert_string_equal(properties_string(again, "kind", ""), "bert");
    assert_string_equal(properties_string(again, "empty", "?"), "");
    assert_true(properties_f64(again, "eps", 0) == 1e-12);
    for (size_t n = 0; n < b.length; n++) { /* every truncation */
        properties *cut = NULL;
        REFUSED(ECREC_ERR_FORMAT, properties_read(&m, b.data, n, &cut, &err));
        assert_null(cut);
    }
    properties_release(p);
    properties_release(copy);
    properties_release(again);
    buffer_release(&b);
    assert_int_equal(m.live, 0);
}

static void dense_tensors(void **unused)
{
    static const uint64_t shape[2] = { 3, 5 }, huge[2] = { UINT64_MAX, 3 };
    memory m;
    tensor *t = NULL, *never = NULL;
    (void)unused;
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_bytes(TYPE_F32, LAYOUT_ROWS, 2, shape), 60);
    assert_int_equal(tensor_bytes(TYPE_S8, LAYOUT_ROWS_S8, 2, shape), 3 * 64 + 3 * 4);
    assert_true(tensor_bytes(TYPE_F32, LAYOUT_ROWS, 2, huge) == SIZE_MAX);
    assert_true(tensor_bytes(TYPE_S8, LAYOUT_ROWS_S8, 2, huge) == SIZE_MAX);
    assert_true(tensor_bytes(99, LAYOUT_ROWS, 2, shape) == SIZE_MAX && tensor_bytes(TYPE_F32, 99, 2, shape) == SIZE_MAX);
    assert_true(tensor_bytes(TYPE_F32, LAYOUT_ROWS, 5, shape) == SIZE_MAX);
    assert_int_equal(tensor_create(&m, TYPE_F32, LAYOUT_ROWS, 2, huge, &never), ECREC_ERR_NOMEM);
    assert_int_equal(tensor_create(&m, TYPE_F32, LAYOUT_ROWS, 2, shape, &t), ECREC_OK);
    assert_int_equal((uintptr_t)tensor_edit(t) % 64, 0);
    assert_ptr_equal(tensor_reference(t), t);
    tensor_release(t);
    tensor_release(t);
    assert_int_equal(m.live, 0);
}

/* A fork shares everything until it is written to; neither sees the other's writes. */
static void chunked_tensors(void **unused)
{
    enum { ROWS = 100000, COLUMNS = 3, CHUNK = 16, WRITES = 500 };
    memory m;
    tensor *t = NULL, *fork = NULL;
    (void)unused;
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_chunked(&m, TYPE_F32, ROWS, COLUMNS, CHUNK, &t), ECREC_OK);
    assert_null(tensor_row(t, 0));
    assert_null(tensor_row(t, ROWS - 1));
    for (uint64_t i = 0; i < WRITES; i++)
        ((float *)tensor_row_edit(t, i * 199 % ROWS))[1] = (float)i;
    const uint64_t live = m.live;
    assert_int_equal(tensor_fork(t, &fork), ECREC_OK);
    assert_true(m.live - live < live / 2); /* pointers, not rows */
    assert_int_equal(tensor_own_bytes(fork, t), 0);
    ((float *)tensor_row_edit(fork, 199))[1] = -1;
    assert_true(tensor_own_bytes(fork, t) > 0 && tensor_own_bytes(fork, t) < 1000);
    assert_true(((const float *)tensor_row(t, 199))[1] == 1.0f);
    assert_true(((const float *)tensor_row(fork, 199))[1] == -1.0f);
    assert_ptr_equal(tensor_row(t, 2 * 199), tensor_row(fork, 2 * 199));
    ((float *)tensor_row_edit(t, 5 * 199))[1] = 77;
    assert_true(((const float *)tensor_row(fork, 5 * 199))[1] == 5.0f);
    tensor_release(t);
    for (uint64_t i = 2; i < WRITES; i++)
        assert_true(((const float *)tensor_row(fork, i * 199 % ROWS))[1] == (float)i);
    tensor_release(fork);
    assert_int_equal(m.live, 0);
}

static void tensor_sets(void **unused)
{
    static const uint64_t shape[1] = { 4 };
    memory m;
    tensor_set *s = NULL, *copy = NULL;
    tensor *t[3];
    (void)unused;
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_set_create(&m, &s), ECREC_OK);
    static const char *const names[3] = { "b", "c", "a" };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tensor_create(&m, TYPE_F32, LAYOUT_ROWS, 1, shape, &t[i]), ECREC_OK);
        assert_int_equal(tensor_set_put(s, names[i], t[i]), ECREC_OK);
    }
    assert_int_equal(tensor_set_copy(s, &copy), ECREC_OK);
    assert_int_equal(tensor_set_put(copy, "b", t[2]), ECREC_OK); /* replaces, in the copy alone */
    assert_ptr_equal(tensor_set_get(s, "b"), t[0]);
    assert_ptr_equal(tensor_set_get(copy, "b"), t[2]);
    assert_null(tensor_set_get(s, "d"));
    const char *name = NULL;
    assert_ptr_equal(tensor_set_at(s, 0, &name), t[2]);
    assert_string_equal(name, "a");
    assert_int_equal(tensor_set_remove(copy, "c"), ECREC_OK);
    assert_int_equal(tensor_set_remove(copy, "c"), ECREC_ERR_NOT_FOUND);
    assert_int_equal(tensor_set_count(s), 3);
    assert_int_equal(tensor_set_count(copy), 2);
    for (int i = 0; i < 3; i++)
        tensor_release(t[i]);
    tensor_set_release(s);
    tensor_set_release(copy);
    assert_int_equal(m.live, 0);
}

/* ---- files ---- */

static ecrec_model *tiny_model(ecrec_context *context)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &model, NULL, &err));
    return model;
}

static void same_bytes(const char *a, const char *b)
{
    size_t n = 0, k = 0;
    char *x = read_file(a, &n), *y = read_file(b, &k);
    assert_int_equal(n, k);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static int32_t read_bytes_of(void *opaque, uint64_t offset, void *bytes, size_t length)
{
    memcpy(bytes, (const char *)opaque + offset, length);
    return 0;
}

static void count_release(void *opaque) { ++*(int *)opaque; }

/* Written, read in each of the ways, written again: the same bytes. */
static void round_trips(void **unused)
{
    char first[512], second[512];
    size_t n = 0;
    int released = 0;
    ecrec_error err = ECREC_ERROR_INIT;
    (void)unused;
    snprintf(first, sizeof first, "%s", temporary("first.ecrec"));
    snprintf(second, sizeof second, "%s", temporary("second.ecrec"));
    ecrec_context *context = context_with(1, 0);
    ecrec_model *model = tiny_model(context), *again = NULL;
    CALL(ecrec_model_save(model, first, &err));
    char *bytes = read_file(first, &n), *odd = malloc(n + 1);
    memcpy(odd + 1, bytes, n); /* not aligned: it is copied */
    const ecrec_source source = { (uint32_t)sizeof source, 0, bytes, n, read_bytes_of };
    for (int way = 0; way < 3; way++) {
        again = NULL;
        if (way == 0)
            CALL(ecrec_model_load(context, first, NULL, &again, &err));
        else if (way == 1)
            CALL(ecrec_model_load_source(context, &source, NULL, &again, &err));
        else
            CALL(ecrec_model_load_memory(context, odd + 1, n, count_release, &released, NULL, &again, &err));
        assert_string_equal(ecrec_model_space(again), ecrec_model_space(model));
        CALL(ecrec_model_save(again, second, &err));
        same_bytes(first, second);
        ecrec_model_release(again);
    }
    assert_int_equal(released, 1);
    REFUSED(ECREC_ERR_FORMAT, ecrec_model_load_memory(context, odd + 1, n - 1, count_release, &released, NULL, &again, &err));
    assert_int_equal(released, 2); /* handed back on failure too */
    REFUSED(ECREC_ERR_IO, ecrec_model_load(context, temporary("not there"), NULL, &again, &err));
    REFUSED(ECREC_ERR_IO, ecrec_model_load(context, "/", NULL, &again, &err));
    ecrec_model_release(model);
    ecrec_context_release(context);
    free(bytes);
    free(odd);
}

/* What a newer version added: optional sections are carried along, a required one is refused by its name. */
static void newer_files(void **unused)
{
    char path[512];
    size_t n = 0;
    composition c;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    (void)unused;
    snprintf(path, sizeof path, "%s", temporary("newer.ecrec"));
    ecrec_context *context = context_with(1, 0);
    ecrec_model *base = tiny_model(context);
    CALL(ecrec_model_save(base, path, &err));
    char *bytes = read_file(path, &n);
    compose_read(&c, (unsigned char *)bytes, n);
    free(bytes);
    static const char note[] = "what a later version wrote, long enough to be packed packed packed packed packed";
    compose_add(&c, "future.kind", 23, note, sizeof note);
    compose_add(&c, "future.blob", SECTION_BLOB, note, sizeof note)->s.codec = CODEC_ZSTD;
    unsigned char *made = compose_write(&c, &n, NULL);
    CALL(ecrec_model_load_memory(context, made, n, NULL, NULL, NULL, &model, &err));
    CALL(ecrec_model_save(model, path, &err));
    ecrec_model_release(model);
    free(made);
    compose_free(&c);
    bytes = read_file(path, &n);
    compose_read(&c, (unsigned char *)bytes, n);
    free(bytes);
    const piece *kind = compose_find(&c, "future.kind"), *blob_of = compose_find(&c, "future.blob");
    assert_int_equal(kind->s.kind, 23);
    assert_int_equal(kind->length, sizeof note);
    assert_memory_equal(kind->bytes, note, sizeof note);
    assert_int_equal(blob_of->s.kind, SECTION_BLOB);
    assert_memory_equal(blob_of->bytes, note, sizeof note);
    compose_find(&c, "future.kind")->s.flags = SECTION_REQUIRED;
    made = compose_write(&c, &n, NULL);
    model = NULL;
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_model_load_memory(context, made, n, NULL, NULL, NULL, &model, &err));
    assert_non_null(strstr(err.message, "future.kind"));
    free(made);
    compose_free(&c);
    ecrec_model_release(base);
    ecrec_context_release(context);
}

/* ---- snapshots ---- */

static void snapshots_are_kept(void **unused)
{
    static const char json[] = "{\"fields\":[{\"name\":\"n\",\"kind\":\"number\"},{\"name\":\"c\",\"kind\":\"category\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    enum { ROWS = 4, KEPT = 3 };
    static const double numbers[ROWS] = { 1, 2, 3, 4 };
    static const float labels[ROWS] = { 0, 1, 0, 1 };
    static const uint64_t shops[ROWS] = { 1, 2, 1, 2 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_schema *schema = NULL;
    ecrec_model *fresh = NULL, *model = NULL;
    ecrec_batch *batch = NULL;
    ecrec_session *session = NULL;
    ecrec_load_options few = ECREC_LOAD_OPTIONS_INIT;
    float scores[10][ROWS];
    uint64_t kept[8];
    size_t count = 0;
    (void)unused;
    CALL(ecrec_schema_parse(context, json, strlen(json), &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &fresh, &err));
    CALL(ecrec_model_save(fresh, temporary("kept.ecrec"), &err));
    few.snapshots = KEPT;
    CALL(ecrec_model_load(context, temporary("kept.ecrec"), &few, &model, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_batch_create(schema, &batch, &err));
    CALL(ecrec_batch_reset(batch, ROWS, &err));
    CALL(ecrec_batch_set_number(batch, 0, numbers, NULL, &err));
    CALL(ecrec_batch_set_category_u64(batch, 1, shops, NULL, &err));
    CALL(ecrec_batch_set_label(batch, 0, labels, NULL, &err));
    for (uint64_t i = 1; i < 7; i++) {
        assert_int_equal(ecrec_model_snapshot(model), i);
        CALL(ecrec_score(model, session, batch, NULL, scores[i], ROWS, &err));
        CALL(ecrec_update(model, batch, NULL, NULL, &err));
    }
    CALL(ecrec_model_snapshots(model, kept, 8, &count, &err));
    assert_int_equal(count, KEPT);
    assert_true(kept[0] == 5 && kept[1] == 6 && kept[2] == 7);
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_rollback(model, 2, &err));
    CALL(ecrec_rollback(model, 5, &err));
    CALL(ecrec_score(model, session, batch, NULL, scores[0], ROWS, &err));
    assert_memory_equal(scores[0], scores[5], sizeof scores[0]);
    CALL(ecrec_update(model, batch, NULL, NULL, &err));
    assert_int_equal(ecrec_model_snapshot(model), 8); /* numbers are not given twice */
    CALL(ecrec_score(model, session, batch, NULL, scores[0], ROWS, &err));
    assert_memory_equal(scores[0], scores[6], sizeof scores[0]); /* the same rows from the same state */
    REFUSED(ECREC_ERR_NOT_FOUND, ecrec_rollback(model, 6, &err)); /* dropped by going back */
    /* the host may release in any order */
    ecrec_model_release(model);
    ecrec_context_release(context);
    CALL(ecrec_score(model, session, batch, NULL, scores[0], ROWS, &err));
    ecrec_session_release(session);
    ecrec_batch_release(batch);
    ecrec_schema_release(schema);
    ecrec_model_release(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_hold), cmocka_unit_test(dense_tensors), cmocka_unit_test(chunked_tensors), cmocka_unit_test(tensor_sets),
        cmocka_unit_test(round_trips), cmocka_unit_test(newer_files), cmocka_unit_test(snapshots_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
