/* ecrec_encode_batch: layouts, types, per-token vectors, cut dimensions, several layers, windows of long texts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

#include "ecrec/ecrec.h"
#include "kernels/kernels.h"

enum { ROWS = 5, D = TINY_HIDDEN };
static const char *const texts[ROWS] = { "red shoes", "", "blue running shoes", "the red shirt", "a" };
static const size_t lengths[ROWS] = { 9, 0, 18, 13, 1 };

typedef struct world {
    ecrec_context *context;
    ecrec_model *model;
    ecrec_session *session;
    ecrec_error err;
} world;

static void world_open(world *w, uint32_t threads)
{
    memset(w, 0, sizeof *w);
    ecrec_error err = ECREC_ERROR_INIT;
    w->err = err;
    w->context = context_with(threads, 0);
    CALL(ecrec_model_import(w->context, tiny_folder(), NULL, &w->model, NULL, &err));
    CALL(ecrec_session_create(w->model, NULL, &w->session, &err));
    assert_int_equal(ecrec_model_hidden_size(w->model), D);
    assert_int_equal(ecrec_model_hidden_size(NULL), 0);
}

static void world_close(world *w)
{
    ecrec_session_release(w->session);
    ecrec_model_release(w->model);
    ecrec_context_release(w->context);
}

static ecrec_encode_input of_texts(void)
{
    ecrec_encode_input in = ECREC_ENCODE_INPUT_INIT;
    in.kind = ECREC_INPUT_TEXTS;
    in.count = ROWS;
    in.texts = texts;
    in.lengths = lengths;
    return in;
}

static ecrec_encode_output to_floats(float *vectors, size_t capacity)
{
    ecrec_encode_output out = ECREC_ENCODE_OUTPUT_INIT;
    out.dimension = D;
    out.vectors = vectors;
    out.capacity = capacity;
    return out;
}

static void batch(world *w, const ecrec_encode_input *in, const ecrec_encode_options *o, const ecrec_encode_output *out)
{
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_encode_batch(w->model, w->session, in, o, out, &err));
}

static void layouts(void **state)
{
    world w;
    (void)state;
    world_open(&w, 2);
    float plain[ROWS * D], other[ROWS * D];
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_encode(w.model, w.session, texts, lengths, ROWS, NULL, plain, D, &err));
    ecrec_encode_input in = of_texts();
    const ecrec_encode_output out = to_floats(other, ROWS);
    batch(&w, &in, NULL, &out);
    assert_memory_equal(plain, other, sizeof plain);

    char buffer[64] = "??";
    int32_t offsets32[ROWS + 1] = { 2 };
    int64_t offsets64[ROWS + 1] = { 2 };
    for (int i = 0; i < ROWS; i++) {
        memcpy(buffer + offsets32[i], texts[i], lengths[i]);
        offsets64[i + 1] = offsets32[i + 1] = offsets32[i] + (int32_t)lengths[i];
    }
    in.kind = ECREC_INPUT_UTF8;
    in.buffer = buffer;
    in.buffer_length = (size_t)offsets32[ROWS];
    in.offsets32 = offsets32;
    memset(other, 0, sizeof other);
    batch(&w, &in, NULL, &out);
    assert_memory_equal(plain, other, sizeof plain);
    in.kind = ECREC_INPUT_LARGE_UTF8;
    in.offsets64 = offsets64;
    memset(other, 0, sizeof other);
    batch(&w, &in, NULL, &out);
    assert_memory_equal(plain, other, sizeof plain);

    uint32_t ids[128];
    uint64_t starts[ROWS + 1] = { 0 };
    for (int i = 0; i < ROWS; i++) {
        size_t n = 0;
        CALL(ecrec_tokenize(w.model, w.session, texts[i], lengths[i], NULL, ids + starts[i], NULL, NULL, 24, &n, &err));
        starts[i + 1] = starts[i] + n;
    }
    in.kind = ECREC_INPUT_IDS;
    in.ids = ids;
    in.starts = starts;
    memset(other, 0, sizeof other);
    batch(&w, &in, NULL, &out);
    assert_memory_equal(plain, other, sizeof plain);

    /* a wider stride leaves what lies between alone */
    float wide[ROWS * (D + 3)];
    for (size_t i = 0; i < ROWS * (D + 3); i++)
        wide[i] = 7;
    ecrec_encode_output strided = to_floats(wide, ROWS);
    strided.stride = D + 3;
    batch(&w, &in, NULL, &strided);
    for (int i = 0; i < ROWS; i++) {
        assert_memory_equal(wide + i * (D + 3), plain + i * D, D * sizeof(float));
        assert_true(wide[i * (D + 3) + D] == 7 && wide[i * (D + 3) + D + 2] == 7);
    }
    /* rows without a token are zeros */
    const uint64_t none[3] = { 0, 0, 0 };
    in.count = 2;
    in.starts = none;
    batch(&w, &in, NULL, &out);
    for (int i = 0; i < 2 * D; i++)
        assert_true(other[i] == 0);
    world_close(&w);
}

static double from_half(uint16_t h)
{
    const int exponent = h >> 10 & 31;
    const double fraction = h & 1023, v = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return h & 0x8000 ? -v : v;
}

static void halves(void **state)
{
    (void)state;
    /* to nearest, ties to even, at the edges */
    static const struct { float value; uint16_t half; } known[] = {
        { 0.0f, 0 }, { -0.0f, 0x8000 }, { 1.0f, 0x3C00 }, { -2.0f, 0xC000 }, { 65504.0f, 0x7BFF }, { 65519.0f, 0x7BFF }, { 65520.0f, 0x7C00 }, { 1e30f, 0x7C00 },
        { 0x1p-24f, 1 }, { 0x1p-25f, 0 }, { 0x1.8p-25f, 1 }, { 0x1.8p-24f, 2 }, { 0x1p-14f, 0x400 }, { 0x1.ff8p-15f, 0x3FF }, { 0x1.ffcp-15f, 0x400 },
        { 1.0f + 0x1p-11f, 0x3C00 }, { 1.0f + 0x1.8p-10f, 0x3C02 }, { 1.0f + 0x1.004p-11f, 0x3C01 }, { INFINITY, 0x7C00 },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(half_from_float(known[i].value), known[i].half);
    assert_true((half_from_float(NAN) & 0x7FFF) > 0x7C00);
    for (uint32_t h = 0; h < 0x7C00; h++)
        assert_int_equal(half_from_float((float)from_half((uint16_t)h)), h);
}

static void types(void **state)
{
    world w;
    (void)state;
    world_open(&w, 1);
    float plain[ROWS * D], scales[ROWS];
    uint16_t half[ROWS * D];
    int8_t small[ROWS * D];
    const ecrec_encode_input in = of_texts();
    ecrec_encode_output out = to_floats(plain, ROWS);
    batch(&w, &in, NULL, &out);
    out.type = ECREC_TYPE_F16;
    out.vectors = half;
    batch(&w, &in, NULL, &out);
    out.type = ECREC_TYPE_S8;
    out.vectors = small;
    assert_int_equal(ecrec_encode_batch(w.model, w.session, &in, NULL, &out, &w.err), ECREC_ERR_INVALID); /* no scales */
    out.scales = scales;
    batch(&w, &in, NULL, &out);
    for (int i = 0; i < ROWS; i++) {
        int largest = 0;
        for (int j = 0; j < D; j++) {
            const int at = i * D + j;
            assert_true(fabs(from_half(half[at]) - (double)plain[at]) <= 0x1p-11 * fabs((double)plain[at]) + 0x1p-25);
            assert_true(fabs((double)small[at] * scales[i] - (double)plain[at]) <= 0.5001 * (double)scales[i]);
            largest = abs(small[at]) > largest ? abs(small[at]) : largest;
        }
        assert_int_equal(largest, 127);
    }
    world_close(&w);
}

static void per_token(void **state)
{
    world w;
    (void)state;
    world_open(&w, 2);
    float vectors[64 * D], states[(TINY_LAYERS + 1) * 24 * D];
    uint64_t starts[ROWS + 1];
    ecrec_error err = ECREC_ERROR_INIT;
    const ecrec_encode_input in = of_texts();
    ecrec_encode_output out = to_floats(NULL, 0);
    out.per_token = 1;
    assert_int_equal(ecrec_encode_batch(w.model, w.session, &in, NULL, &out, &w.err), ECREC_ERR_INVALID); /* no starts */
    out.starts = starts;
    batch(&w, &in, NULL, &out); /* how many */
    const uint64_t total = starts[ROWS];
    assert_true(total > 2 * ROWS && total <= 64);
    out.vectors = vectors;
    out.capacity = (size_t)total - 1;
    memset(starts, 0, sizeof starts);
    assert_int_equal(ecrec_encode_batch(w.model, w.session, &in, NULL, &out, &w.err), ECREC_ERR_TOO_SMALL);
    assert_true(starts[ROWS] == total);
    out.capacity = (size_t)total;
    batch(&w, &in, NULL, &out);
    for (int i = 0; i < ROWS; i++) {
        uint32_t ids[24];
        size_t n = 0;
        CALL(ecrec_tokenize(w.model, w.session, texts[i], lengths[i], NULL, ids, NULL, NULL, 24, &n, &err));
        assert_int_equal(starts[i + 1] - starts[i], n);
        CALL(ecrec_hidden_states(w.model, w.session, ids, NULL, n, states, (TINY_LAYERS + 1) * n * D, &err));
        assert_memory_equal(vectors + starts[i] * D, states + TINY_LAYERS * n * D, n * D * sizeof(float));
    }
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    o.normalize = 1;
    o.dimensions = 5;
    out.dimension = 5;
    batch(&w, &in, &o, &out);
    for (uint64_t t = 0; t < total; t++) {
        double squares = 0;
        for (int j = 0; j < 5; j++)
            squares += (double)vectors[t * 5 + (uint64_t)j] * vectors[t * 5 + (uint64_t)j];
        assert_true(fabs(squares - 1) < 1e-6);
    }
    o.windows = 1;
    assert_int_equal(ecrec_encode_batch(w.model, w.session, &in, &o, &out, &w.err), ECREC_ERR_INVALID);
    world_close(&w);
}

static void cut_and_layers(void **state)
{
    world w;
    (void)state;
    world_open(&w, 2);
    float raw[ROWS * D], cut[ROWS * D], states[(TINY_LAYERS + 1) * 24 * D];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    o.normalize = 2;
    CALL(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, raw, D, &err));
    o.normalize = 0;
    o.dimensions = 6;
    assert_int_equal(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, cut, D, &w.err), ECREC_ERR_INVALID);
    CALL(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, cut, 6, &err));
    for (int i = 0; i < ROWS; i++) {
        double squares = 0;
        for (int j = 0; j < 6; j++)
            squares += (double)raw[i * D + j] * raw[i * D + j];
        for (int j = 0; j < 6; j++)
            assert_true(fabs((double)cut[i * 6 + j] - (double)raw[i * D + j] / sqrt(squares)) < 1e-6);
    }
    o.dimensions = D + 1;
    assert_int_equal(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, cut, D + 1, &w.err), ECREC_ERR_INVALID);
    /* the mean over the last two layers' means */
    o.dimensions = 0;
    o.normalize = 2;
    o.last_layers = 2;
    CALL(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, cut, D, &err));
    for (int i = 0; i < ROWS; i++) {
        uint32_t ids[24];
        size_t n = 0;
        CALL(ecrec_tokenize(w.model, w.session, texts[i], lengths[i], NULL, ids, NULL, NULL, 24, &n, &err));
        CALL(ecrec_hidden_states(w.model, w.session, ids, NULL, n, states, (TINY_LAYERS + 1) * n * D, &err));
        for (size_t j = 0; j < D; j++) {
            double sum = 0;
            for (size_t t = 0; t < 2 * n; t++)
                sum += (double)states[((TINY_LAYERS - 1) * n + t) * D + j];
            assert_true(fabs((double)cut[(size_t)i * D + j] - sum / (2.0 * (double)n)) < 1e-5);
        }
    }
    o.last_layers = TINY_LAYERS + 1;
    assert_int_equal(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, cut, D, &w.err), ECREC_ERR_INVALID);
    world_close(&w);
}

/* A long text by hand: its tokens without special ones, cut into windows, each between [CLS] (2) and [SEP] (3). */
static void by_hand(world *w, const char *text, size_t length, const char *prompt, size_t prompt_length, size_t width, size_t overlap, double *mean)
{
    enum { MOST = 4096 };
    static uint32_t ids[MOST];
    uint32_t row[64] = { 2 };
    float v[D];
    size_t n = 0, front = 1, weight = 0;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_tokenize_options plain = ECREC_TOKENIZE_OPTIONS_INIT;
    plain.no_special = 1;
    if (prompt != NULL) {
        CALL(ecrec_tokenize(w->model, w->session, prompt, prompt_length, &plain, row + 1, NULL, NULL, 32, &n, &err));
        front += n;
        width -= n;
    }
    CALL(ecrec_tokenize(w->model, w->session, text, length, &plain, ids, NULL, NULL, MOST, &n, &err));
    for (int j = 0; j < D; j++)
        mean[j] = 0;
    for (size_t at = 0;; at += width - overlap) {
        const size_t take = n - at < width ? n - at : width;
        memcpy(row + front, ids + at, take * sizeof *ids);
        row[front + take] = 3;
        const uint64_t starts[2] = { 0, front + take + 1 };
        CALL(ecrec_encode_ids(w->model, w->session, row, NULL, starts, 1, NULL, v, D, &err));
        for (int j = 0; j < D; j++)
            mean[j] += (double)take * (double)v[j];
        weight += take;
        if (at + take == n)
            break;
    }
    double squares = 0;
    for (int j = 0; j < D; j++)
        squares += mean[j] * mean[j];
    for (int j = 0; j < D; j++)
        mean[j] /= sqrt(squares);
    assert_true(weight >= n);
}

/* The tasks of a call, the last first; how many there were at most. */
static void run_backwards(void *opaque, void (*task)(void *argument, uint32_t index), void *argument, uint32_t count)
{
    uint32_t *most = opaque;
    *most = count > *most ? count : *most;
    for (uint32_t i = count; i-- > 0;)
        task(argument, i);
}

/* One long text's windows are as many tasks as there are threads, and the same bits. */
static void windows_of_one_text(const char *text, size_t length, const ecrec_encode_options *o, const float *want)
{
    uint32_t tasks = 0;
    const ecrec_executor executor = { (uint32_t)sizeof executor, 3, &tasks, run_backwards };
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    float got[D];
    options.executor = &executor;
    CALL(ecrec_context_create(&options, &context, &err));
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    tasks = 0;
    CALL(ecrec_encode(model, session, &text, &length, 1, o, got, D, &err));
    assert_int_equal(tasks, 3);
    assert_memory_equal(got, want, sizeof got);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

static void windows(void **state)
{
    static const char *const words[] = { "red ", "blue ", "shoes ", "running ", "a ", "shirt ", "the " };
    static const size_t sizes[] = { 1, 21, 22, 23, 44, 45, 300, 383, 384, 385, 2000 };
    enum { MOST = 2000 * 8, TEXTS = sizeof sizes / sizeof *sizes };
    static char buffer[TEXTS][MOST];
    const char *at[TEXTS];
    size_t bytes[TEXTS];
    uint32_t random = 1;
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        bytes[i] = 0;
        for (size_t k = 0; k < sizes[i]; k++) {
            random = random * 1664525u + 1013904223u;
            const char *word = words[(random >> 16) % 7];
            memcpy(buffer[i] + bytes[i], word, strlen(word));
            bytes[i] += strlen(word);
        }
        at[i] = buffer[i];
    }
    world w, many;
    world_open(&w, 1);
    world_open(&many, 2);
    float all[TEXTS * D], alone[D], cut[TEXTS * D];
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_encode(w.model, w.session, at, bytes, TEXTS, NULL, cut, D, &err));
    for (int round = 0; round < 4; round++) {
        ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
        o.windows = 1;
        o.window_overlap = round == 1 ? 7 : round == 2 ? 20 : 0;
        o.prompt = round == 3 ? "query" : NULL;
        CALL(ecrec_encode(many.model, many.session, at, bytes, TEXTS, &o, all, D, &err));
        for (size_t i = 0; i < TEXTS; i++) {
            CALL(ecrec_encode(w.model, w.session, at + i, bytes + i, 1, &o, alone, D, &err));
            assert_memory_equal(alone, all + i * D, sizeof alone); /* bit for bit: alone, in a batch, on other threads */
            double mean[D];
            by_hand(&w, at[i], bytes[i], round == 3 ? "new " : NULL, 4, 22, o.window_overlap, mean);
            for (size_t j = 0; j < D; j++)
                assert_true(fabs(mean[j] - (double)alone[j]) < 2e-6);
            if (sizes[i] > 300)
                windows_of_one_text(at[i], bytes[i], &o, alone);
            if (i == 0 && round != 3)
                assert_memory_equal(alone, cut + i * D, sizeof alone); /* short texts are as ever */
        }
    }
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    o.windows = 1;
    o.window_overlap = 22;
    assert_int_equal(ecrec_encode(w.model, w.session, at, bytes, 1, &o, alone, D, &w.err), ECREC_ERR_INVALID);
    o.window_overlap = 0;
    o.max_length = 2;
    assert_int_equal(ecrec_encode(w.model, w.session, at, bytes, 1, &o, alone, D, &w.err), ECREC_ERR_INVALID);
    o.max_length = 3; /* one token of the text a window */
    CALL(ecrec_encode(w.model, w.session, at + 4, bytes + 4, 1, &o, alone, D, &err));
    world_close(&w);
    world_close(&many);
}

static void refusals(void **state)
{
    world w;
    (void)state;
    world_open(&w, 1);
    float vectors[ROWS * D];
    ecrec_encode_input in = of_texts();
    ecrec_encode_output out = to_floats(vectors, ROWS);
#define TURNED_DOWN(code) assert_int_equal(ecrec_encode_batch(w.model, w.session, &in, NULL, &out, &w.err), (code))
    in.kind = 0;
    TURNED_DOWN(ECREC_ERR_INVALID);
    in.kind = 99;
    TURNED_DOWN(ECREC_ERR_INVALID);
    in.kind = ECREC_INPUT_UTF8;
    TURNED_DOWN(ECREC_ERR_INVALID);
    int32_t offsets[3] = { 0, 4, 9 };
    in.count = 2;
    in.offsets32 = offsets;
    in.buffer = "red shoes";
    in.buffer_length = 9;
    TURNED_DOWN(ECREC_OK);
    offsets[2] = 10;
    TURNED_DOWN(ECREC_ERR_INVALID);
    assert_int_equal(w.err.row, 1);
    offsets[2] = 3;
    TURNED_DOWN(ECREC_ERR_INVALID);
    offsets[0] = -1;
    TURNED_DOWN(ECREC_ERR_INVALID);
    in = of_texts();
    out.capacity = ROWS - 1;
    TURNED_DOWN(ECREC_ERR_TOO_SMALL);
    out.capacity = ROWS;
    out.dimension = D - 1;
    TURNED_DOWN(ECREC_ERR_INVALID);
    out.dimension = D;
    out.stride = D - 1;
    TURNED_DOWN(ECREC_ERR_INVALID);
    out.stride = SIZE_MAX / 8;
    TURNED_DOWN(ECREC_ERR_INVALID);
    out.stride = 0;
    out.type = 3;
    TURNED_DOWN(ECREC_ERR_INVALID);
    out.type = 0;
    out.vectors = NULL;
    TURNED_DOWN(ECREC_ERR_INVALID);
    in.count = 0;
    in.texts = NULL;
    TURNED_DOWN(ECREC_OK);
#undef TURNED_DOWN
    /* a caller of the first version: its options end before `dimensions` */
    ecrec_encode_options o = ECREC_ENCODE_OPTIONS_INIT;
    o.dimensions = 3;
    o.size = offsetof(ecrec_encode_options, dimensions);
    assert_int_equal(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, vectors, D, &w.err), ECREC_OK);
    o.size--;
    assert_int_equal(ecrec_encode(w.model, w.session, texts, lengths, ROWS, &o, vectors, D, &w.err), ECREC_ERR_INVALID);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(layouts), cmocka_unit_test(halves), cmocka_unit_test(types), cmocka_unit_test(per_token),
                                        cmocka_unit_test(cut_and_layers), cmocka_unit_test(windows), cmocka_unit_test(refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
