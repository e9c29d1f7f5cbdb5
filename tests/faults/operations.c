#include "operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[ROWS] = { "red shoes", "blue running shoes", "a", "", "the red shirt", "running" };
static const size_t lengths[ROWS] = { 9, 18, 1, 0, 13, 7 };

enum { LONG_BYTES = 20000 }; /* of a text that a session is made for */

/* ---- the world ---- */

static int32_t fill(ecrec_batch *b, ecrec_error *err)
{
    static const double numbers[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const uint8_t valid[ROWS] = { 1, 1, 0, 1, 1, 1 };
    static const float labels[ROWS] = { 1, 0, 1, 0, 1, 0 }, vectors[ROWS * 3] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    static const uint64_t shops[ROWS] = { 1, 2, 3, 1, 2, 3 };
    int32_t s = ecrec_batch_reset(b, ROWS, err);
    s = s ? s : ecrec_batch_set_text(b, 0, texts, lengths, err);
    s = s ? s : ecrec_batch_set_text(b, 1, texts, lengths, err);
    s = s ? s : ecrec_batch_set_category_u64(b, 2, shops, valid, err);
    s = s ? s : ecrec_batch_set_number(b, 3, numbers, valid, err);
    s = s ? s : ecrec_batch_set_vector(b, 4, vectors, 0, valid, err);
    s = s ? s : ecrec_batch_set_label(b, 0, labels, NULL, err);
    return s ? s : ecrec_batch_set_weight(b, labels, err);
}

static int32_t make_schema(ecrec_context *context, ecrec_schema **out, ecrec_error *err)
{
    static const char text[] = "{\"fields\":[{\"name\":\"title\",\"kind\":\"text\",\"word_ngrams\":2},{\"name\":\"query\",\"kind\":\"text\",\"compare\":\"title\","
                               "\"compare_only\":true},{\"name\":\"shop\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
                               "{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":3}],\"labels\":[\"click\"],\"hash_bits\":10}";
    return ecrec_schema_parse(context, text, strlen(text), out, err);
}

static const char *image_folder(void)
{
    static char folder[512];
    if (folder[0] == 0)
        snprintf(folder, sizeof folder, "%s", tiny_image_folder("{\"image_processor_type\":\"ViTImageProcessor\",\"size\":{\"height\":12,\"width\":12}}"));
    return folder;
}

void world_open(world *w)
{
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *small = NULL;
    memset(w, 0, sizeof *w);
    ecrec_error_init(&w->err);
    const ecrec_allocator hooks = fault_hooks(&w->f);
    options.allocator = &hooks;
    CALL(ecrec_context_create(&options, &w->context, &err));
    CALL(ecrec_model_import(w->context, tiny_folder(), NULL, &w->base, NULL, &err));
    CALL(ecrec_session_create(w->base, NULL, &w->session, &err));
    ecrec_session_options long_texts = ECREC_SESSION_OPTIONS_INIT;
    long_texts.max_text_bytes = LONG_BYTES;
    CALL(ecrec_session_create(w->base, &long_texts, &w->reading, &err));
    CALL(make_schema(w->context, &w->schema, &err));
    CALL(ecrec_ranker_create(w->context, w->base, w->schema, &w->ranker, &err));
    CALL(ecrec_session_create(w->ranker, NULL, &w->ranking, &err));
    CALL(ecrec_batch_create(w->schema, &w->batch, &err));
    CALL(fill(w->batch, &err));
    CALL(ecrec_update(w->ranker, w->batch, NULL, NULL, &err));
    CALL(ecrec_model_save(w->ranker, temporary("ranker.ecrec"), &err));
    CALL(ecrec_quantize(w->ranker, NULL, &small, NULL, &err));
    CALL(ecrec_model_save(small, temporary("small.ecrec"), &err));
    ecrec_model_release(small);
    static char classifier[512];
    if (classifier[0] == 0)
        snprintf(classifier, sizeof classifier, "%s", tiny_classifier_folder(3, "\"architectures\":[\"BertForSequenceClassification\"],"));
    CALL(ecrec_model_import(w->context, classifier, NULL, &w->classifier, NULL, &err));
    CALL(ecrec_session_create(w->classifier, NULL, &w->classifying, &err));
    CALL(ecrec_model_import(w->context, image_folder(), NULL, &w->seer, NULL, &err));
    CALL(ecrec_session_create(w->seer, NULL, &w->seeing, &err));
    CALL(ecrec_model_import(w->context, tiny_sequence_folder(), NULL, &w->shop, NULL, &err));
    CALL(ecrec_session_create(w->shop, NULL, &w->shopping, &err));
}

void world_close(world *w)
{
    ecrec_session_release(w->session);
    ecrec_session_release(w->reading);
    ecrec_session_release(w->ranking);
    ecrec_session_release(w->classifying);
    ecrec_model_release(w->classifier);
    ecrec_session_release(w->seeing);
    ecrec_model_release(w->seer);
    ecrec_session_release(w->shopping);
    ecrec_model_release(w->shop);
    ecrec_batch_release(w->batch);
    ecrec_schema_release(w->schema);
    ecrec_model_release(w->base);
    ecrec_model_release(w->ranker);
    ecrec_context_release(w->context);
    assert_int_equal(w->f.live_blocks, 0);
    assert_int_equal(w->f.live_bytes, 0);
    assert_int_equal(w->f.wrong, 0);
}

/* ---- operations ---- */

static int32_t context(world *w)
{
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *made = NULL;
    const ecrec_allocator hooks = fault_hooks(&w->f);
    options.allocator = &hooks;
    options.threads = 2;
    const int32_t s = ecrec_context_create(&options, &made, &w->err);
    ecrec_context_release(made);
    return s;
}

static int32_t import_from(world *w, const char *folder)
{
    ecrec_model *m = NULL;
    ecrec_report *r = NULL;
    const int32_t s = ecrec_model_import(w->context, folder, NULL, &m, &r, &w->err);
    assert_true((s == ECREC_OK) == (m != NULL) && (s == ECREC_OK) == (r != NULL));
    ecrec_report_release(r);
    ecrec_model_release(m);
    return s;
}

static int32_t import(world *w) { return import_from(w, tiny_folder()); }
static int32_t import_vocabulary(world *w) { return import_from(w, tiny_vocabulary_folder()); }

static int32_t load(world *w)
{
    ecrec_model *m = NULL;
    const int32_t s = ecrec_model_load(w->context, temporary("ranker.ecrec"), NULL, &m, &w->err);
    ecrec_model_release(m);
    return s;
}

/* an 8-bit ranker, with what is needed to score with it */
static int32_t load_quantized(world *w)
{
    ecrec_model *m = NULL;
    ecrec_session *one = NULL;
    float scores[ROWS];
    int32_t s = ecrec_model_load(w->context, temporary("small.ecrec"), NULL, &m, &w->err);
    s = s ? s : ecrec_session_create(m, NULL, &one, &w->err);
    s = s ? s : ecrec_score(m, one, w->batch, NULL, scores, ROWS, &w->err);
    s = s ? s : ecrec_update(m, w->batch, NULL, NULL, &w->err);
    ecrec_session_release(one);
    ecrec_model_release(m);
    return s;
}

static int32_t load_memory(world *w)
{
    size_t n = 0;
    char *bytes = read_file(temporary("ranker.ecrec"), &n);
    ecrec_model *m = NULL;
    const int32_t s = ecrec_model_load_memory(w->context, bytes, n, free, bytes, NULL, &m, &w->err);
    ecrec_model_release(m);
    return s;
}

static int32_t copy_bytes(void *opaque, uint64_t offset, void *bytes, size_t length)
{
    memcpy(bytes, (const char *)opaque + offset, length);
    return 0;
}

static int32_t load_source(world *w)
{
    size_t n = 0;
    char *bytes = read_file(temporary("ranker.ecrec"), &n);
    ecrec_model *m = NULL;
    const ecrec_source source = { (uint32_t)sizeof source, 0, bytes, n, copy_bytes };
    const int32_t s = ecrec_model_load_source(w->context, &source, NULL, &m, &w->err);
    ecrec_model_release(m);
    free(bytes);
    return s;
}

static int32_t save(world *w) { return ecrec_model_save(w->ranker, temporary("again.ecrec"), &w->err); }

static int32_t count_bytes(void *opaque, const void *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)opaque += length;
    return 0;
}

static int32_t save_sink(world *w)
{
    size_t written = 0;
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &written, count_bytes };
    return ecrec_model_save_sink(w->ranker, &sink, &w->err);
}

static int32_t info(world *w)
{
    ecrec_report *r = NULL;
    double number = 0;
    const char *text = NULL;
    const int32_t s = ecrec_model_info(w->ranker, &r, &w->err);
    if (s == ECREC_OK) {
        assert_true(ecrec_report_count(r) > 5 && ecrec_report_name(r, 0) != NULL);
        assert_true(ecrec_report_json(r)[0] == '{' && ecrec_report_text(r)[0] != 0);
        assert_int_equal(ecrec_report_number(r, "no such number", &number, NULL), ECREC_ERR_NOT_FOUND);
        assert_int_equal(ecrec_report_string(r, "no such text", &text, NULL), ECREC_ERR_NOT_FOUND);
    }
    ecrec_report_release(r);
    return s;
}

static int32_t session(world *w)
{
    ecrec_session *one = NULL;
    ecrec_session_options o = ECREC_SESSION_OPTIONS_INIT;
    int32_t s = ecrec_session_create(w->ranker, NULL, &one, &w->err);
    ecrec_session_release(one);
    one = NULL;
    o.max_text_bytes = 100;
    s = s ? s : ecrec_session_create(w->ranker, &o, &one, &w->err);
    ecrec_session_release(one);
    one = NULL;
    o.size = (uint32_t)offsetof(ecrec_session_options, max_text_bytes); /* as a program has it that was built before */
    o.max_text_bytes = UINT64_MAX;
    s = s ? s : ecrec_session_create(w->base, &o, &one, &w->err);
    ecrec_session_release(one);
    o.size = (uint32_t)sizeof o;
    if (s == ECREC_OK)
        assert_int_equal(ecrec_session_create(w->base, &o, &one, NULL), ECREC_ERR_LIMIT);
    return s;
}

static int32_t schema(world *w)
{
    ecrec_schema *one = NULL;
    const int32_t s = make_schema(w->context, &one, &w->err);
    ecrec_schema_release(one);
    return s;
}

static int32_t schema_built(world *w)
{
    ecrec_schema *one = NULL;
    ecrec_field_options o = ECREC_FIELD_OPTIONS_INIT;
    uint32_t index = 0;
    char name[24];
    int32_t s = ecrec_schema_create(w->context, &one, &w->err);
    s = s ? s : ecrec_schema_set_hash_bits(one, 12, &w->err);
    for (int i = 0; i < 20 && s == ECREC_OK; i++) { /* enough to make its lists grow */
        snprintf(name, sizeof name, "field %d", i);
        o.dimension = 4;
        o.compare = i > 0 ? "field 0" : NULL;
        o.space = "00112233445566778899aabbccddeeff";
        s = ecrec_schema_add_field(one, name, ECREC_FIELD_VECTOR, &o, &index, &w->err);
        snprintf(name, sizeof name, "label %d", i);
        s = s ? s : ecrec_schema_add_label(one, name, &index, &w->err);
        assert_true(s != ECREC_OK || (ecrec_schema_find_label(one, name) == index && ecrec_schema_labels(one) == index + 1));
        /* one that failed has added nothing */
        assert_true(one == NULL || ecrec_schema_fields(one) <= (uint32_t)i + 1);
    }
    ecrec_schema_release(one);
    return s;
}

static int32_t batch(world *w)
{
    ecrec_batch *b = NULL;
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : fill(b, &w->err);
    ecrec_batch_release(b);
    return s;
}

/* A setter that fails leaves the column as it was. */
static int32_t batch_regrown(world *w)
{
    static const char *const longer[ROWS] = { "a much longer text than any before", "shoes, shoes and shoes again", "red", "blue", "green", "warm shirt and cold shoes" };
    static const char *const shops[ROWS] = { "a shop whose name is longer than a number", "b", "c", "d", "e", "f" };
    size_t n[ROWS], m[ROWS];
    float before[ROWS], after[ROWS];
    ecrec_batch *b = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        n[i] = strlen(longer[i]);
        m[i] = strlen(shops[i]);
    }
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : fill(b, &w->err);
    if (s == ECREC_OK) {
        assert_int_equal(ecrec_score(w->ranker, w->ranking, b, NULL, before, ROWS, NULL), ECREC_OK);
        s = ecrec_batch_set_text(b, 0, longer, n, &w->err);
        s = s ? s : ecrec_batch_set_category(b, 2, shops, m, &w->err);
        assert_int_equal(ecrec_score(w->ranker, w->ranking, b, NULL, after, ROWS, NULL), ECREC_OK);
        if (s == ECREC_OK)
            assert_memory_not_equal(before, after, sizeof before);
    }
    ecrec_batch_release(b);
    return s;
}

static int32_t ranker(world *w)
{
    ecrec_model *m = NULL;
    const int32_t s = ecrec_ranker_create(w->context, w->base, w->schema, &m, &w->err);
    ecrec_model_release(m);
    return s;
}

static int32_t update(world *w)
{
    ecrec_report *r = NULL;
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    o.passes = 2;
    const uint64_t before = ecrec_model_snapshot(w->ranker);
    const int32_t s = ecrec_update(w->ranker, w->batch, &o, &r, &w->err);
    assert_int_equal(ecrec_model_snapshot(w->ranker) == before, s != ECREC_OK);
    assert_true((s == ECREC_OK) == (r != NULL));
    if (s == ECREC_OK) /* each try starts from the same state */
        assert_int_equal(ecrec_rollback(w->ranker, before, NULL), ECREC_OK);
    ecrec_report_release(r);
    return s;
}

static int32_t evaluate(world *w)
{
    static const float p[4] = { 0.1f, 0.4f, 0.35f, 0.8f }, y[4] = { 0, 0, 1, 1 };
    ecrec_report *r = NULL;
    const int32_t s = ecrec_evaluate(w->context, p, y, NULL, 4, &r, &w->err);
    ecrec_report_release(r);
    return s;
}

static int32_t evaluate_rows(world *w)
{
    static const float p[4] = { 0.1f, 0.4f, 0.35f, 0.8f }, y[4] = { 0, 1, 1, 0 }, classes[8] = { 0.2f, 0.8f, 0.6f, 0.4f, 0.5f, 0.5f, 1, 0 };
    static const uint64_t groups[4] = { 7, 7, 1, 1 };
    static const uint32_t slices[4] = { 0, 1, UINT32_MAX, 1 };
    static const char *const names[2] = { "a", "b" };
    ecrec_evaluation e;
    ecrec_evaluation_init(&e);
    e.rows = 4;
    e.scores = p;
    e.labels = y;
    e.groups = groups;
    e.slices = slices;
    e.slice_names = names;
    e.slice_count = 2;
    e.curve_points = 5;
    ecrec_report *r = NULL;
    int32_t s = ecrec_evaluate_rows(w->context, &e, &r, &w->err);
    ecrec_report_release(r);
    if (s != ECREC_OK)
        return s;
    e.kind = ECREC_LABEL_CLASSES;
    e.classes = 2;
    e.scores = classes;
    r = NULL;
    s = ecrec_evaluate_rows(w->context, &e, &r, &w->err);
    ecrec_report_release(r);
    return s;
}

static int32_t prune_by(world *w, int32_t importance)
{
    ecrec_prune_options o = ECREC_PRUNE_OPTIONS_INIT;
    ecrec_model *m = NULL;
    ecrec_report *r = NULL;
    o.importance = importance;
    o.heads = 0.5;
    o.feed_forward = 0.25;
    o.layers = 1;
    o.texts = texts;
    o.lengths = lengths;
    o.count = ROWS;
    const int32_t s = ecrec_prune(w->ranker, &o, &m, &r, &w->err);
    ecrec_model_release(m);
    ecrec_report_release(r);
    return s;
}

static int32_t prune(world *w) { return prune_by(w, ECREC_IMPORTANCE_TAYLOR); }
static int32_t prune_activation(world *w) { return prune_by(w, ECREC_IMPORTANCE_ACTIVATION); }

static int32_t quantize(world *w)
{
    ecrec_quantize_options o = ECREC_QUANTIZE_OPTIONS_INIT;
    ecrec_model *m = NULL;
    ecrec_report *r = NULL;
    o.texts = texts;
    o.lengths = lengths;
    o.count = ROWS;
    int32_t s = ecrec_quantize(w->ranker, &o, &m, &r, &w->err);
    ecrec_model_release(m);
    ecrec_report_release(r);
    m = NULL;
    r = NULL;
    o.type = ECREC_TYPE_S4;
    s = s ? s : ecrec_quantize(w->ranker, &o, &m, &r, &w->err);
    ecrec_model_release(m);
    ecrec_report_release(r);
    m = NULL;
    r = NULL;
    o.type = ECREC_TYPE_BF16;
    s = s ? s : ecrec_quantize(w->ranker, &o, &m, &r, &w->err);
    ecrec_model_release(m);
    ecrec_report_release(r);
    return s;
}

/* ---- what must not allocate ---- */

static int32_t encode(world *w)
{
    static const uint32_t ids[] = { 2, 5, 8, 3, 2, 6, 3 };
    static const uint64_t starts[] = { 0, 4, 7 };
    float vectors[ROWS * TINY_HIDDEN], states[(TINY_LAYERS + 1) * 4 * TINY_HIDDEN];
    int32_t s = ecrec_encode(w->base, w->session, texts, lengths, ROWS, NULL, vectors, TINY_HIDDEN, &w->err);
    s = s ? s : ecrec_encode_ids(w->base, w->session, ids, NULL, starts, 2, NULL, vectors, TINY_HIDDEN, &w->err);
    ecrec_encode_input input = ECREC_ENCODE_INPUT_INIT;
    ecrec_encode_output output = ECREC_ENCODE_OUTPUT_INIT;
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    static const char long_text[] = "red blue running shoes the a red red shirt shoes shoes a a a red blue running shoes the a red red shirt shoes shoes a a a";
    static const int32_t offsets[] = { 0, sizeof long_text - 1 };
    input.kind = ECREC_INPUT_UTF8;
    input.count = 1;
    input.buffer = long_text;
    input.buffer_length = sizeof long_text;
    input.offsets32 = offsets;
    output.dimension = TINY_HIDDEN;
    output.vectors = vectors;
    output.capacity = ROWS;
    o.windows = 1;
    o.last_layers = 2;
    s = s ? s : ecrec_encode_batch(w->base, w->session, &input, &o, &output, &w->err);
    return s ? s : ecrec_hidden_states(w->base, w->session, ids, NULL, 4, states, sizeof states / sizeof *states, &w->err);
}

static int32_t classify(world *w)
{
    float scores[3 * ROWS];
    ecrec_encode_input input = ECREC_ENCODE_INPUT_INIT;
    input.kind = ECREC_INPUT_TEXTS;
    input.count = ROWS;
    input.texts = texts;
    input.lengths = lengths;
    assert_true(ecrec_model_labels(w->classifier) == 3 && ecrec_model_label(w->classifier, 2) != NULL && ecrec_model_label(w->classifier, 3) == NULL);
    return ecrec_classify(w->classifier, w->classifying, &input, &input, NULL, scores, 3 * ROWS, &w->err);
}

static int32_t images(world *w)
{
    static const uint8_t colours[20 * 30 * 3] = { 1, 2, 3 };
    static const uint8_t *const pixels[] = { colours, colours };
    static const uint32_t heights[] = { 20, 10 }, widths[] = { 30, 11 };
    float vectors[2 * TINY_HIDDEN], planes[2 * 3 * TINY_IMAGE * TINY_IMAGE];
    const int32_t s = ecrec_encode_images(w->seer, w->seeing, pixels, heights, widths, NULL, 2, NULL, vectors, TINY_HIDDEN, &w->err);
    return s ? s : ecrec_prepare_images(w->seer, w->seeing, pixels, heights, widths, NULL, 2, planes, sizeof planes / sizeof *planes, &w->err);
}

static int32_t items(world *w)
{
    static const uint32_t ids[] = { 7, 8, 9, 300 };
    static const uint64_t starts[] = { 0, 1, 4 };
    float vectors[2 * TINY_HIDDEN], scores[2 * TINY_ITEMS];
    assert_int_equal(ecrec_model_items(w->shop), TINY_ITEMS);
    const int32_t s = ecrec_encode_ids(w->shop, w->shopping, ids, NULL, starts, 2, NULL, vectors, TINY_HIDDEN, &w->err);
    return s ? s : ecrec_score_items(w->shop, w->shopping, vectors, 2, TINY_HIDDEN, scores, 2 * TINY_ITEMS, &w->err);
}

static int32_t search(world *w)
{
    static const float vectors[4 * 3] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 0, 0 };
    static const int8_t bytes[4 * 3] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 0, 0 };
    static const float scales[4] = { 1, 2, 3, 4 };
    for (int i = 0; i < 3; i++) {
        ecrec_index_options o = ECREC_INDEX_OPTIONS_INIT;
        ecrec_index *index = NULL;
        ecrec_searcher *searcher = NULL;
        uint64_t indices[6];
        float scores[6];
        o.type = i == 1 ? ECREC_TYPE_S8 : ECREC_TYPE_F32;
        o.vectors = i == 1 ? (const void *)bytes : vectors;
        o.scales = scales;
        o.similarity = i == 2 ? ECREC_SIMILARITY_COSINE : ECREC_SIMILARITY_DOT;
        o.dimension = 3;
        o.count = 4;
        int32_t s = ecrec_index_create(w->context, &o, &index, &w->err);
        s = s ? s : ecrec_searcher_create(index, 3, &searcher, &w->err);
        s = s ? s : ecrec_search(searcher, vectors, 2, 3, 3, indices, scores, 6, &w->err);
        if (s == ECREC_OK) {
            ecrec_index_release(ecrec_index_reference(index));
            assert_int_equal(indices[0], i == 1 ? 2 : i == 2 ? 0 : 2);
            assert_int_equal(ecrec_index_count(index), 4);
            assert_int_equal(ecrec_index_dimension(index), 3);
        }
        ecrec_searcher_release(searcher);
        ecrec_index_release(index);
        if (s != ECREC_OK)
            return s;
    }
    return ECREC_OK;
}

static int32_t import_images(world *w)
{
    ecrec_model *m = NULL;
    const int32_t s = ecrec_model_import(w->context, image_folder(), NULL, &m, NULL, &w->err);
    ecrec_model_release(m);
    return s;
}

static int32_t tokenize(world *w)
{
    uint32_t ids[64], offsets[128];
    uint8_t types[64];
    size_t count = 0, length = 0;
    const int32_t s = ecrec_tokenize(w->base, w->session, "red shoes running", 17, NULL, ids, offsets, types, 64, &count, &w->err);
    assert_true(count > 4 && ecrec_token_text(w->base, ids[1], &length) != NULL && length == 3 && ecrec_vocabulary_size(w->base) > ids[1]);
    return s;
}

static int32_t tokenize_windows(world *w)
{
    static const char text[] = "red shoes running red shoes running red shoes running red shoes running";
    uint32_t ids[256], offsets[512];
    uint64_t starts[33];
    size_t count = 0, windows = 0;
    ecrec_tokenize_options o = ECREC_TOKENIZE_OPTIONS_INIT;
    o.max_length = 6;
    o.stride = 2;
    const int32_t s = ecrec_tokenize_windows(w->base, w->session, text, sizeof text - 1, &o, ids, offsets, NULL, 256, starts, 32, &windows, &count, &w->err);
    assert_true(s != ECREC_OK || (windows > 3 && starts[windows] == count && ids[1 + 2] == ids[starts[1] + 1]));
    return s;
}

static int32_t detokenize(world *w)
{
    uint32_t ids[64];
    char text[64];
    size_t count = 0, length = 0;
    int32_t s = ecrec_tokenize(w->base, w->session, "red shoes", 9, NULL, ids, NULL, NULL, 64, &count, &w->err);
    if (s == ECREC_OK)
        s = ecrec_detokenize(w->base, w->session, ids, count, 1, text, sizeof text, &length, &w->err);
    assert_true(s != ECREC_OK || (length == 9 && memcmp(text, "red shoes", 9) == 0));
    return s;
}

static int32_t score(world *w)
{
    float scores[ROWS], parts[ROWS * 6];
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    o.contributions = parts;
    o.contributions_capacity = ROWS * 6;
    return ecrec_score(w->ranker, w->ranking, w->batch, &o, scores, ROWS, &w->err);
}

static int32_t snapshots(world *w)
{
    uint64_t kept[8];
    size_t count = 0;
    const int32_t s = ecrec_model_snapshots(w->ranker, kept, 8, &count, &w->err);
    return s ? s : ecrec_rollback(w->ranker, kept[count - 1], &w->err);
}

static int32_t getters(world *w)
{
    uint64_t live = 0;
    const ecrec_schema *s = ecrec_model_schema(w->ranker);
    ecrec_model_release(ecrec_model_reference(w->ranker));
    ecrec_context_release(ecrec_context_reference(w->context));
    ecrec_context_memory(w->context, &live, NULL, NULL);
    assert_true(live > 0 && ecrec_context_cpu(w->context) != 0 && ecrec_context_cpu_text(w->context)[0] != 0);
    assert_int_equal(ecrec_context_threads(w->context), 1);
    assert_int_equal(ecrec_schema_field_kind(s, 0), ECREC_FIELD_TEXT);
    assert_string_equal(ecrec_schema_field_name(s, ecrec_schema_find_field(s, "price")), "price");
    assert_string_equal(ecrec_schema_label_name(s, 0), "click");
    assert_int_equal(ecrec_batch_rows(w->batch), ROWS);
    assert_int_equal(ecrec_model_dimension(w->base), TINY_HIDDEN);
    uint32_t height = 1;
    ecrec_model_image(w->base, NULL, &height, NULL, NULL);
    assert_int_equal(height, 0);
    assert_true(ecrec_model_max_length(w->base) > 0 && ecrec_model_space(w->base)[0] != 0 && ecrec_model_variant(w->base)[0] != 0);
    assert_string_equal(ecrec_status_name(ECREC_ERR_NOMEM), "ECREC_ERR_NOMEM");
    assert_true(ecrec_version() != 0);
    assert_true(ecrec_id_hash("a", 1) != ecrec_id_hash("b", 1));
    return ECREC_OK;
}

static int32_t options(world *w)
{
    union {
        ecrec_context_options context; ecrec_import_options import; ecrec_load_options load; ecrec_session_options session;
        ecrec_tokenize_options tokenize; ecrec_encode_options encode; ecrec_field_options field; ecrec_score_options score;
        ecrec_label_options label; ecrec_network_options network; ecrec_fit_options fit; ecrec_update_options update; ecrec_prune_options prune; ecrec_quantize_options quantize; ecrec_index_options index;
    } o;
    (void)w;
#define INIT(kind)                                           \
    do {                                                     \
        ecrec_##kind##_options_init(&o.kind);                \
        assert_int_equal(o.kind.size, sizeof o.kind);        \
    } while (0)
    INIT(context); INIT(import); INIT(load); INIT(session); INIT(tokenize); INIT(encode);
    INIT(field); INIT(label); INIT(network); INIT(fit); INIT(score); INIT(update); INIT(prune); INIT(quantize); INIT(index);
#undef INIT
    ecrec_classify_options classifying;
    ecrec_classify_options_init(&classifying);
    assert_int_equal(classifying.size, sizeof classifying);
    ecrec_encode_input input;
    ecrec_encode_output output;
    ecrec_encode_input_init(&input);
    ecrec_encode_output_init(&output);
    assert_true(input.size == sizeof input && output.size == sizeof output);
    return ECREC_OK;
}

/* A ranker with every part, made, learned from and scored. */
static int32_t network(world *w)
{
    ecrec_schema *schema = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *rows = NULL, *user = NULL;
    ecrec_report *report = NULL;
    ecrec_label_options kinds = ECREC_LABEL_OPTIONS_INIT;
    ecrec_network_options parts = ECREC_NETWORK_OPTIONS_INIT;
    static const uint64_t values[ROWS] = { 1, 2, 3, 1, 2, 3 };
    static const float labels[ROWS] = { 1, 0, 1, 0, 1, 0 };
    static const size_t items[ROWS + 1] = { 0, 2, 2, 3, 6, 6, 6 };
    float scores[ROWS * 4];
    uint32_t classes = 0;
    parts.width = 4;
    parts.embedding_bits = 10;
    parts.fm = 2;
    parts.cross_layers = 2;
    parts.cross_rank = 2;
    parts.hidden[0] = 16;
    parts.experts = 2;
    parts.unmet = 1;
    kinds.kind = ECREC_LABEL_CLASSES;
    kinds.classes = 2;
    int32_t s = ecrec_schema_create(w->context, &schema, &w->err);
    s = s ? s : ecrec_schema_add_field(schema, "a", ECREC_FIELD_CATEGORY, NULL, NULL, &w->err);
    s = s ? s : ecrec_schema_add_field(schema, "b", ECREC_FIELD_CATEGORY, NULL, NULL, &w->err);
    s = s ? s : ecrec_schema_add_field(schema, "tags", ECREC_FIELD_MULTI, NULL, NULL, &w->err);
    ecrec_field_options past = ECREC_FIELD_OPTIONS_INIT;
    past.compare = "b";
    past.dimension = 2;
    past.event_types = 2;
    s = s ? s : ecrec_schema_add_field(schema, "past", ECREC_FIELD_HISTORY, &past, NULL, &w->err);
    s = s ? s : ecrec_schema_add_label(schema, "click", NULL, &w->err);
    s = s ? s : ecrec_schema_add_label_of(schema, "which", &kinds, NULL, &w->err);
    kinds.kind = ECREC_LABEL_VALUE;
    kinds.classes = 0;
    kinds.target = ECREC_TARGET_LOG;
    s = s ? s : ecrec_schema_add_label_of(schema, "price", &kinds, NULL, &w->err);
    s = s ? s : ecrec_schema_add_pair(schema, "a", "b", &w->err);
    s = s ? s : ecrec_schema_set_network(schema, &parts, &w->err);
    s = s ? s : ecrec_schema_set_hash_bits(schema, 10, &w->err);
    s = s ? s : ecrec_ranker_create(w->context, NULL, schema, &model, &w->err);
    s = s ? s : ecrec_session_create(model, NULL, &session, &w->err);
    s = s ? s : ecrec_batch_create(schema, &rows, &w->err);
    s = s ? s : ecrec_batch_reset(rows, ROWS, &w->err);
    s = s ? s : ecrec_batch_set_category_u64(rows, 0, values, NULL, &w->err);
    s = s ? s : ecrec_batch_set_multi(rows, 2, items, texts, lengths, labels, NULL, &w->err);
    ecrec_history history;
    ecrec_history_init(&history);
    history.events = items;
    history.items = texts;
    history.lengths = lengths;
    s = s ? s : ecrec_batch_set_history(rows, 3, &history, &w->err);
    s = s ? s : ecrec_batch_set_label(rows, 0, labels, NULL, &w->err);
    s = s ? s : ecrec_batch_set_label(rows, 1, labels, NULL, &w->err);
    s = s ? s : ecrec_batch_set_label(rows, 2, labels, NULL, &w->err);
    ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
    static const float counts[] = { 1, 2, 1, 3 };
    loose.max_loss_growth = 10;
    loose.outcome_weights = counts;
    loose.outcome_count = 4;
    loose.outcome_corrected = 1;
    s = s ? s : ecrec_update(model, rows, &loose, &report, &w->err);
    const uint64_t before = w->f.count;
    s = s ? s : ecrec_score(model, session, rows, NULL, scores, ROWS * ecrec_schema_outputs(schema), &w->err);
    assert_int_equal(w->f.count, before); /* scoring allocates nothing */
    s = s ? s : ecrec_batch_create(schema, &user, &w->err);
    s = s ? s : ecrec_batch_reset(user, 1, &w->err);
    s = s ? s : ecrec_batch_set_category_u64(user, 1, values, NULL, &w->err);
    const uint64_t then = w->f.count;
    s = s ? s : ecrec_score_candidates(model, session, user, rows, NULL, scores, ROWS * ecrec_schema_outputs(schema), &w->err);
    assert_true(s != ECREC_OK || w->f.count == then);
    ecrec_batch_release(user);
    ecrec_report_release(report);
    report = NULL;
    float given[ROWS * 4 * 5];
    s = s ? s : ecrec_attribute(model, session, rows, given, sizeof given / sizeof *given, NULL, &w->err);
    ecrec_calibrate_options calibrate;
    ecrec_calibrate_options_init(&calibrate);
    s = s ? s : ecrec_calibrate(model, rows, &calibrate, &report, &w->err);
    ecrec_report_release(report);
    report = NULL;
    s = s ? s : ecrec_update(model, rows, &loose, NULL, &w->err);
    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    fit.epochs = 2;
    fit.hashed_optimiser = ECREC_HASHED_ADAM;
    fit.holdout = 0.4;
    fit.calibrate = ECREC_CALIBRATION_USUAL;
    fit.checkpoint = temporary("fit.ecrec");
    s = s ? s : ecrec_fit(model, rows, &fit, &report, &w->err);
    if (s == ECREC_OK) {
        assert_int_equal(ecrec_schema_parts(schema), 10);
        assert_string_equal(ecrec_schema_part_name(schema, 8), "hidden");
        assert_int_equal(ecrec_schema_label_kind(schema, 1, &classes), ECREC_LABEL_CLASSES);
        assert_int_equal(classes, 2);
    }
    ecrec_report_release(report);
    ecrec_batch_release(rows);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_schema_release(schema);
    return s;
}

/* Marks out of order are what BERT's own pass leaves to the one that grows; each text as long as the session was made for. */
static int32_t long_texts(world *w)
{
    static const char *const units[3] = { "a\xCC\x81\xCC\x96", "\xEF\xB7\xBA", "\xE4\xB8\xAD" };
    static char text[LONG_BYTES];
    static uint32_t ids[4 * LONG_BYTES], offsets[8 * LONG_BYTES];
    const char *one = text;
    const size_t length = sizeof text;
    float vectors[256];
    int32_t s = ECREC_OK;
    for (size_t u = 0; u < 3 && s == ECREC_OK; u++) {
        size_t count = 0;
        const size_t n = strlen(units[u]);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = units[u][i % n];
        s = ecrec_tokenize(w->base, w->reading, text, sizeof text, NULL, ids, offsets, NULL, 4 * LONG_BYTES, &count, &w->err);
        s = s ? s : ecrec_encode(w->base, w->reading, &one, &length, 1, NULL, vectors, ecrec_model_dimension(w->base), &w->err);
    }
    return s;
}

static int32_t keep_bytes(void *opaque, const void *bytes, size_t length)
{
    char **to = opaque; /* [0]: block, [1]: its end */
    to[0] = malloc(length);
    to[1] = to[0] != NULL ? to[0] + length : NULL;
    if (to[0] != NULL)
        memcpy(to[0], bytes, length);
    return to[0] == NULL;
}

static int32_t deltas(world *w)
{
    char *kept[2] = { NULL, NULL }, state[33], again[33];
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, kept, keep_bytes };
    ecrec_model *replica = NULL;
    ecrec_report *r = NULL;
    uint64_t number = 0;
    int32_t s = ecrec_delta_export(w->ranker, 1, 2, &sink, &w->err);
    s = s ? s : ecrec_delta_info(w->context, kept[0], (size_t)(kept[1] - kept[0]), &r, &w->err);
    s = s ? s : ecrec_ranker_create(w->context, w->base, w->schema, &replica, &w->err);
    if (s == ECREC_OK) {
        s = ecrec_delta_apply(replica, kept[0], (size_t)(kept[1] - kept[0]), &number, &w->err);
        assert_int_equal(ecrec_model_snapshot(replica), s == ECREC_OK ? 2 : 1);
        assert_int_equal(ecrec_model_state(replica, 0, state, NULL), ECREC_OK);
        assert_int_equal(ecrec_model_state(w->ranker, s == ECREC_OK ? 2 : 1, again, NULL), ECREC_OK);
        assert_string_equal(state, again);
    }
    if (s == ECREC_OK) {
        char *merged[2] = { NULL, NULL };
        const ecrec_sink merging = { (uint32_t)sizeof merging, 0, merged, keep_bytes };
        const void *both[2] = { kept[0], kept[0] };
        const size_t sizes[2] = { (size_t)(kept[1] - kept[0]), (size_t)(kept[1] - kept[0]) };
        s = ecrec_delta_merge(w->ranker, both, sizes, 2, &merging, &w->err);
        free(merged[0]);
    }
    ecrec_report_release(r);
    ecrec_model_release(replica);
    free(kept[0]);
    return s;
}

static int32_t journal(world *w)
{
    ecrec_model *m = NULL, *again = NULL;
    ecrec_report *r = NULL;
    ecrec_journal_options o;
    char path[512];
    ecrec_journal_options_init(&o);
    o.sync = ECREC_SYNC_NONE;
    snprintf(path, sizeof path, "%s", temporary("ranker.journal"));
    remove(path);
    int32_t s = ecrec_model_load(w->context, temporary("ranker.ecrec"), NULL, &m, &w->err);
    s = s ? s : ecrec_journal_open(m, path, &o, NULL, &w->err);
    s = s ? s : ecrec_update(m, w->batch, NULL, NULL, &w->err);
    s = s ? s : ecrec_rollback(m, 2, &w->err);
    s = s ? s : ecrec_journal_sync(m, &w->err);
    s = s ? s : ecrec_journal_close(m, &w->err);
    s = s ? s : ecrec_model_load(w->context, temporary("ranker.ecrec"), NULL, &again, &w->err);
    s = s ? s : ecrec_journal_open(again, path, &o, &r, &w->err);
    s = s ? s : ecrec_journal_compact(again, temporary("compacted.ecrec"), &w->err);
    ecrec_report_release(r);
    ecrec_model_release(again);
    ecrec_model_release(m);
    return s;
}

static int32_t export_and_merge(world *w, uint64_t from)
{
    char *kept[2] = { NULL, NULL }, *merged[2] = { NULL, NULL };
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, kept, keep_bytes }, merging = { (uint32_t)sizeof merging, 0, merged, keep_bytes };
    int32_t s = ecrec_delta_export(w->ranker, from, 0, &sink, &w->err);
    const void *both[2] = { kept[0], kept[0] };
    const size_t length = s == ECREC_OK ? (size_t)(kept[1] - kept[0]) : 0, lengths[2] = { length, length };
    s = s ? s : ecrec_delta_merge(w->ranker, both, lengths, 2, &merging, &w->err);
    free(kept[0]);
    free(merged[0]);
    return s;
}

static int32_t online(world *w)
{
    static const uint64_t ids[ROWS] = { 1, 2, 3, 4, 5, 5 };
    static const uint8_t one[ROWS] = { 1 };
    ecrec_online_options o;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    ecrec_batch *b = NULL;
    const uint64_t before = ecrec_model_snapshot(w->ranker);
    ecrec_online_options_init(&o);
    o.events = 4;
    o.reserve = o.reservoir = 2;
    o.reserve_every = 2;
    o.drift = ECREC_DRIFT_ADWIN | ECREC_DRIFT_PAGE_HINKLEY;
    u.replay = 0.5;
    u.window = 2;
    u.max_loss_growth = 100;
    u.max_calibration_growth = 1;
    u.max_score_move = 0.01;
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : fill(b, &w->err);
    s = s ? s : ecrec_batch_set_event(b, ids, NULL, &w->err);
    s = s ? s : ecrec_online_configure(w->ranker, &o, &w->err);
    const uint64_t configured = ecrec_model_snapshot(w->ranker);
    s = s ? s : ecrec_update(w->ranker, b, NULL, NULL, &w->err);
    s = s ? s : ecrec_batch_set_event(b, ids, one, &w->err);
    s = s ? s : ecrec_update(w->ranker, b, &u, &r, &w->err);
    ecrec_report_release(r);
    r = NULL;
    s = s ? s : ecrec_online_info(w->ranker, &r, &w->err);
    ecrec_report_release(r);
    ecrec_batch_release(b);
    if (s == ECREC_OK) /* as if two workers had learned it */
        s = export_and_merge(w, configured);
    assert_int_equal(ecrec_rollback(w->ranker, before, NULL), ECREC_OK);
    return s;
}

static int32_t impressions_with(world *w, const char *path)
{
    static const uint64_t ids[ROWS] = { 11, 12, 13, 14, 15, 16 }, came[2] = { 12, 99 };
    static const float scores[ROWS] = { 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f }, clicks[2] = { 1, 1 };
    ecrec_impressions_options o;
    ecrec_impressions *log = NULL;
    ecrec_report *r = NULL;
    ecrec_batch *b = NULL;
    const float *served = NULL;
    const uint64_t *snapshots = NULL;
    uint64_t dropped = 0;
    size_t joined = 0;
    ecrec_impressions_options_init(&o);
    o.sync = ECREC_SYNC_NONE;
    int32_t s = ecrec_batch_create(w->schema, &b, &w->err);
    s = s ? s : fill(b, &w->err);
    s = s ? s : ecrec_batch_set_event(b, ids, NULL, &w->err);
    s = s ? s : ecrec_impressions_open(w->context, w->schema, path, &o, &log, &r, &w->err);
    ecrec_report_release(r);
    r = NULL;
    s = s ? s : ecrec_impressions_add(log, b, scores, 3, 1000, &w->err);
    ecrec_batch_release(b);
    b = NULL;
    s = s ? s : ecrec_impressions_label(log, 0, came, clicks, 2, 2000, &joined, &w->err);
    s = s ? s : ecrec_impressions_take(log, 3000, 0, &b, &served, &snapshots, &w->err);
    s = s ? s : ecrec_impressions_done(log, &w->err);
    ecrec_batch_release(b);
    b = NULL;
    s = s ? s : ecrec_impressions_rows(log, 0, INT64_MAX, &b, &served, &snapshots, &w->err);
    ecrec_batch_release(b);
    s = s ? s : ecrec_impressions_forget(log, 2, "1", 1, &dropped, &w->err);
    s = s ? s : ecrec_impressions_info(log, &r, &w->err);
    if (s == ECREC_OK && path != NULL)
        s = ecrec_impressions_compact(log, &w->err);
    ecrec_report_release(r);
    r = NULL;
    ecrec_impressions_release(log);
    log = NULL;
    if (s == ECREC_OK && path != NULL)
        s = ecrec_impressions_open(w->context, w->schema, path, &o, &log, &r, &w->err);
    ecrec_report_release(r);
    ecrec_impressions_release(log);
    return s;
}

static int32_t impressions(world *w)
{
    char path[512];
    snprintf(path, sizeof path, "%s", temporary("swept.impressions"));
    remove(path);
    const int32_t s = impressions_with(w, NULL);
    return s ? s : impressions_with(w, path);
}

/* On a handle of its own: what is forgotten does not come back. */
static int32_t forget(world *w)
{
    ecrec_model *m = NULL;
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_report *r = NULL;
    uint64_t number = 0;
    o.reserve = o.reservoir = 3;
    o.reserve_every = 2;
    int32_t s = ecrec_model_load(w->context, temporary("ranker.ecrec"), NULL, &m, &w->err);
    s = s ? s : ecrec_online_configure(m, &o, &w->err);
    s = s ? s : ecrec_update(m, w->batch, NULL, NULL, &w->err);
    s = s ? s : ecrec_snapshot_name(m, ecrec_model_snapshot(m), "before", &w->err);
    s = s ? s : ecrec_snapshot_find(m, "before", &number, &w->err);
    s = s ? s : ecrec_forget(m, 2, "1", 1, &r, &w->err);
    assert_int_equal(s == ECREC_OK, r != NULL);
    ecrec_report_release(r);
    ecrec_model_release(m);
    return s;
}

const operation operations[] = {
    { "online", online, 1, "ecrec_online_configure ecrec_online_info ecrec_online_options_init ecrec_update" },
    { "impressions", impressions, 1, "ecrec_impressions_options_init ecrec_impressions_open ecrec_impressions_release ecrec_impressions_add ecrec_impressions_label "
                                     "ecrec_impressions_take ecrec_impressions_done ecrec_impressions_rows ecrec_impressions_forget ecrec_impressions_compact ecrec_impressions_info" },
    { "profiles", user_profiles, 1, "ecrec_profiles_options_init ecrec_profiles_create ecrec_profiles_release ecrec_profiles_add ecrec_profiles_fill "
                                    "ecrec_profiles_vector ecrec_profiles_report ecrec_profiles_forget ecrec_profiles_info ecrec_profiles_save ecrec_profiles_load" },
    { "forget", forget, 1, "ecrec_forget ecrec_snapshot_name ecrec_snapshot_find" },
    { "deltas", deltas, 1, "ecrec_delta_export ecrec_delta_info ecrec_delta_apply ecrec_delta_merge ecrec_model_state" },
    { "journal", journal, 1, "ecrec_journal_open ecrec_journal_sync ecrec_journal_close ecrec_journal_compact ecrec_journal_options_init" },
    { "context", context, 1, "ecrec_context_create" },
    { "import", import, 1, "ecrec_model_import" },
    { "import vocab.txt", import_vocabulary, 1, "ecrec_model_import" },
    { "load", load, 1, "ecrec_model_load" },
    { "load quantised", load_quantized, 1, "ecrec_model_load ecrec_session_create ecrec_update" },
    { "load memory", load_memory, 1, "ecrec_model_load_memory" },
    { "load source", load_source, 1, "ecrec_model_load_source" },
    { "save", save, 1, "ecrec_model_save" },
    { "save sink", save_sink, 1, "ecrec_model_save_sink" },
    { "info", info, 1, "ecrec_model_info ecrec_report_count ecrec_report_name ecrec_report_json ecrec_report_text ecrec_report_number "
                       "ecrec_report_string ecrec_report_release" },
    { "session", session, 1, "ecrec_session_create ecrec_session_release" },
    { "schema", schema, 1, "ecrec_schema_parse ecrec_schema_release" },
    { "schema built", schema_built, 1, "ecrec_schema_create ecrec_schema_add_field ecrec_schema_add_label ecrec_schema_set_hash_bits "
                                       "ecrec_schema_find_label ecrec_schema_fields ecrec_schema_labels" },
    { "batch", batch, 1, "ecrec_batch_create ecrec_batch_reset ecrec_batch_set_text ecrec_batch_set_category_u64 ecrec_batch_set_number "
                         "ecrec_batch_set_vector ecrec_batch_set_label ecrec_batch_set_weight ecrec_batch_release" },
    { "arrow", arrow_batches, 1, "ecrec_batch_take_arrow ecrec_batch_next_arrow ecrec_score_arrow" },
    { "extended", extended, 1, "ecrec_schema_extend ecrec_schema_drop_field ecrec_schema_drop_label ecrec_schema_label_dropped ecrec_ranker_extend" },
    { "numbers in bins", bins, 1, "ecrec_rebin ecrec_expire" },
    { "bad rows", bad_rows, 1, "ecrec_batch_set_bad_rows ecrec_batch_mark_bad ecrec_batch_bad_rows ecrec_batch_bad_row" },
    { "batch of kinds", batch_of_kinds, 1, "ecrec_schema_add_values ecrec_batch_set_time ecrec_batch_set_position ecrec_batch_set_propensity ecrec_batch_set_event ecrec_batch_set_event_bytes "
                                           "ecrec_batch_set_group ecrec_batch_set_group_bytes" },
    { "batch regrown", batch_regrown, 1, "ecrec_batch_set_text ecrec_batch_set_category" },
    { "ranker", ranker, 1, "ecrec_ranker_create" },
    { "network", network, 1, "ecrec_batch_set_multi ecrec_batch_set_history ecrec_history_init ecrec_score_candidates ecrec_attribute ecrec_calibrate ecrec_calibrate_options_init ecrec_schema_add_label_of ecrec_schema_add_pair ecrec_schema_set_network ecrec_schema_label_kind ecrec_schema_outputs "
                             "ecrec_schema_parts ecrec_schema_part_name ecrec_update ecrec_fit" },
    { "update", update, 1, "ecrec_update ecrec_model_snapshot ecrec_rollback" },
    { "evaluate", evaluate, 1, "ecrec_evaluate" },
    { "evaluate rows", evaluate_rows, 1, "ecrec_evaluate_rows ecrec_evaluation_init" },
    { "prune", prune, 1, "ecrec_prune" },
    { "prune by activation", prune_activation, 1, "ecrec_prune" },
    { "quantise", quantize, 1, "ecrec_quantize" },
    { "encode", encode, 0, "ecrec_encode ecrec_encode_batch ecrec_encode_ids ecrec_hidden_states" },
    { "classify", classify, 0, "ecrec_classify ecrec_model_labels ecrec_model_label" },
    { "images", images, 0, "ecrec_encode_images ecrec_prepare_images" },
    { "items", items, 0, "ecrec_model_items ecrec_score_items" },
    { "search", search, 1, "ecrec_index_create ecrec_index_reference ecrec_index_release ecrec_index_count ecrec_index_dimension "
                           "ecrec_searcher_create ecrec_searcher_release ecrec_search" },
    { "import images", import_images, 1, "ecrec_model_import" },
    { "windows of tokens", tokenize_windows, 0, "ecrec_tokenize_windows" },
    { "tokenise", tokenize, 0, "ecrec_tokenize ecrec_token_text ecrec_vocabulary_size" },
    { "long texts", long_texts, 0, "ecrec_tokenize ecrec_encode" },
    { "detokenise", detokenize, 0, "ecrec_detokenize" },
    { "score", score, 0, "ecrec_score" },
    { "snapshots", snapshots, 0, "ecrec_model_snapshots ecrec_rollback" },
    { "getters", getters, 0, "ecrec_model_schema ecrec_model_reference ecrec_model_release ecrec_context_reference ecrec_context_release "
                             "ecrec_context_memory ecrec_context_cpu ecrec_context_cpu_text ecrec_context_threads ecrec_schema_field_kind "
                             "ecrec_schema_field_name ecrec_schema_find_field ecrec_schema_label_name ecrec_batch_rows ecrec_model_dimension "
                             "ecrec_model_max_length ecrec_model_hidden_size ecrec_model_image ecrec_model_space ecrec_model_variant ecrec_status_name ecrec_version ecrec_id_hash" },
    { "options", options, 0, "ecrec_context_options_init ecrec_import_options_init ecrec_load_options_init ecrec_session_options_init "
                             "ecrec_tokenize_options_init ecrec_encode_options_init ecrec_encode_input_init ecrec_encode_output_init ecrec_classify_options_init ecrec_field_options_init ecrec_label_options_init ecrec_network_options_init ecrec_score_options_init "
                             "ecrec_update_options_init ecrec_fit_options_init ecrec_prune_options_init ecrec_quantize_options_init ecrec_index_options_init ecrec_error_init" },
};
const size_t operation_count = sizeof operations / sizeof *operations;
