/* Exact search: what is found is what comparing everything finds, of every type and similarity, at every CPU level, in any batch and
 * on any number of threads to the bit; ties, numbers that are not numbers, and fewer vectors than results. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "support.h"

static ecrec_error err = ECREC_ERROR_INIT;
static uint32_t state_ = 7;

static uint32_t draw(void)
{
    state_ = state_ * 1664525u + 1013904223u;
    return state_ >> 8;
}

static float number(void)
{
    return (float)((int32_t)(draw() % 2001) - 1000) / 1000.0f;
}

enum { MOST = 700, STRIDE = 75, QUERIES = 101, K = 12 };
static float numbers[MOST * STRIDE], scales[MOST], queries[QUERIES * STRIDE];
static uint16_t halves[MOST * STRIDE];
static int8_t bytes[MOST * STRIDE];

/* Values that all types hold: so every similarity has one exact value, whatever stores it. */
static void fill(void)
{
    for (size_t i = 0; i < MOST * STRIDE; i++) {
        const int small = (int)(draw() % 15) - 7;
        numbers[i] = (float)small;
        bytes[i] = (int8_t)small;
    }
    for (size_t i = 0; i < MOST; i++)
        scales[i] = 0.25f + (float)(draw() % 100) / 64.0f;
    for (size_t i = 0; i < QUERIES * STRIDE; i++)
        queries[i] = number();
}

static uint16_t half_of(int v) /* |v| <= 7 */
{
    static const uint16_t table[] = { 0, 0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700 };
    return (uint16_t)(table[abs(v)] | (v < 0 ? 0x8000 : 0));
}

static const void *stored(uint32_t type)
{
    if (type == ECREC_TYPE_S8)
        return bytes;
    for (size_t i = 0; type != ECREC_TYPE_F32 && i < MOST * STRIDE; i++) {
        uint32_t wide;
        memcpy(&wide, &numbers[i], 4);
        halves[i] = type == ECREC_TYPE_F16 ? half_of((int)numbers[i]) : (uint16_t)(wide >> 16);
    }
    return type == ECREC_TYPE_F32 ? (const void *)numbers : halves;
}

static double exact(uint32_t type, int cosine, size_t row, const float *query, size_t n)
{
    double sum = 0, own = 0, other = 0, scale = 1, step = 1;
    if (type == ECREC_TYPE_S8) { /* the query's bytes */
        float largest = 0;
        for (size_t i = 0; i < n; i++)
            largest = fabsf(query[i]) > largest ? fabsf(query[i]) : largest;
        step = (double)largest / 127;
        scale = scales[row];
    }
    for (size_t i = 0; i < n; i++) {
        const double v = numbers[row * STRIDE + i];
        const double q = type == ECREC_TYPE_S8 ? (step > 0 ? copysign(floor(fabs((double)query[i] / step) + 0.5), (double)query[i]) : 0) : (double)query[i];
        sum += v * q;
        own += v * v;
        other += q * q;
    }
    if (!cosine)
        return sum * scale * step;
    return own > 0 && other > 0 ? sum / sqrt(own) / sqrt(other) : 0;
}

typedef struct answers { uint64_t indices[QUERIES * K]; float scores[QUERIES * K]; } answers;

static void ask(ecrec_index *index, size_t n, size_t k, size_t at_once, answers *a)
{
    ecrec_searcher *searcher = NULL;
    const uint32_t dimension = ecrec_index_dimension(index);
    CALL(ecrec_searcher_create(index, K, &searcher, &err));
    for (size_t q = 0; q < n; q += at_once) {
        const size_t now = n - q < at_once ? n - q : at_once;
        CALL(ecrec_search(searcher, queries + q * dimension, now, dimension, k, a->indices + q * k, a->scores + q * k, now * k, &err));
    }
    ecrec_searcher_release(searcher);
}

static void compare(const char *what, uint32_t type, int cosine, size_t count, size_t dimension, size_t n, const answers *a)
{
    for (size_t q = 0; q < n; q++) {
        const float *query = queries + q * dimension;
        char found[MOST] = { 0 };
        double worst = INFINITY;
        for (size_t i = 0; i < K; i++) {
            const uint64_t row = a->indices[q * K + i];
            const float score = a->scores[q * K + i];
            if (i >= count) {
                assert_true(row == UINT64_MAX && score == -INFINITY);
                continue;
            }
            assert_true(row < count && !found[row]);
            found[row] = 1;
            const double want = exact(type, cosine, row, query, dimension);
            if (!(fabs((double)score - want) <= 2e-5 * (1 + fabs(want))))
                fail_msg("%s, type %u: query %zu, row %u has %.9g, exactly %.9g", what, type, q, (unsigned)row, (double)score, want);
            if (i > 0 && !(score < a->scores[q * K + i - 1] || (score == a->scores[q * K + i - 1] && row > a->indices[q * K + i - 1])))
                fail_msg("%s, type %u: query %zu, results %zu and %zu are in the wrong order", what, type, q, i - 1, i);
            worst = score;
        }
        for (size_t row = 0; count > K && row < count; row++)
            if (!found[row] && exact(type, cosine, row, query, dimension) > worst + 4e-5 * (1 + fabs(worst)))
                fail_msg("%s, type %u: query %zu, row %zu is missing", what, type, q, row);
    }
}

static void everything(void **unused)
{
    static const uint32_t types[] = { ECREC_TYPE_F32, ECREC_TYPE_F16, ECREC_TYPE_BF16, ECREC_TYPE_S8 };
    static answers first, again;
    (void)unused;
    fill();
    for (uint32_t level = 1; level <= ECREC_CPU_NEON_BF16; level <<= 1) {
        if (!(cpu_levels() & level))
            continue;
        for (int round = 0; round < 16; round++) {
            const uint32_t type = types[round % 4];
            const size_t counts[] = { MOST, 65, 129, 5 }, dimensions[] = { 75, 64, 33, 75 }, count = counts[round / 4], dimension = dimensions[round / 4];
            const int cosine = round % 8 >= 4;
            for (int way = 0; way < 4; way++) { /* threads, alone or together, copied or borrowed */
                ecrec_context *context = context_with(way == 1 ? 3 : 1, level);
                ecrec_index_options o = ECREC_INDEX_OPTIONS_INIT;
                ecrec_index *index = NULL;
                o.type = type;
                o.similarity = cosine ? ECREC_SIMILARITY_COSINE : ECREC_SIMILARITY_DOT;
                o.dimension = (uint32_t)dimension;
                o.vectors = stored(type);
                o.count = count;
                o.stride = STRIDE;
                o.scales = scales;
                o.borrow = way % 2;
                CALL(ecrec_index_create(context, &o, &index, &err));
                assert_int_equal(ecrec_index_count(index), count);
                ask(index, QUERIES, K, way == 2 ? 1 : way == 3 ? 5 : QUERIES, way == 0 ? &first : &again);
                if (way == 0)
                    compare(ecrec_context_cpu_text(context), type, cosine, count, dimension, QUERIES, &first);
                else if (memcmp(&first, &again, sizeof first) != 0)
                    fail_msg("%s, type %u, %zu vectors: other bits in way %d", ecrec_context_cpu_text(context), type, count, way);
                ecrec_index_release(index);
                ecrec_context_release(context);
            }
        }
    }
}

/* Rows enough for every thread to get some, all of one score: the first ones are found, in order. NaN is not, infinity is. */
static void ties(void **unused)
{
    enum { N = 40000, D = 16 };
    static float rows[N * D], query[D];
    uint64_t indices[K];
    float scores[K];
    (void)unused;
    for (size_t i = 0; i < N * D; i++)
        rows[i] = 1;
    for (size_t i = 0; i < D; i++)
        query[i] = 1;
    rows[0] = NAN;
    rows[30001 * D] = INFINITY;
    rows[39999 * D + 3] = NAN;
    for (uint32_t threads = 1; threads <= 4; threads++)
        for (int cosine = 0; cosine < 2; cosine++) {
            ecrec_context *context = context_with(threads, 0);
            ecrec_index_options o = ECREC_INDEX_OPTIONS_INIT;
            ecrec_index *index = NULL;
            ecrec_searcher *searcher = NULL;
            o.vectors = rows;
            o.count = N;
            o.dimension = D;
            o.similarity = cosine ? ECREC_SIMILARITY_COSINE : 0;
            CALL(ecrec_index_create(context, &o, &index, &err));
            CALL(ecrec_searcher_create(index, 10 * (size_t)K, &searcher, &err));
            ecrec_index_release(index); /* the searcher keeps it */
            CALL(ecrec_search(searcher, query, 1, D, K, indices, scores, K, &err));
            const size_t ahead = !cosine; /* infinity; its cosine is not a number */
            if (ahead)
                assert_true(indices[0] == 30001 && isinf(scores[0]));
            for (size_t i = ahead; i < K; i++)
                assert_true(indices[i] == i + 1 - ahead && scores[i] == scores[K - 1]);
            ecrec_searcher_release(searcher);
            ecrec_context_release(context);
        }
}

static int released;
static void on_release(void *opaque)
{
    assert_ptr_equal(opaque, &released);
    released++;
}

static void refusals(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    ecrec_index *index = NULL;
    ecrec_searcher *searcher = NULL;
    float v[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, scores[8];
    const float bad_scales[2] = { 1, NAN };
    uint64_t indices[8];
    (void)unused;
    ecrec_index_options o = ECREC_INDEX_OPTIONS_INIT;
    o.vectors = v;
    o.count = 2;
    o.dimension = 4;
    o.borrow = 1;
    o.release = on_release;
    o.opaque = &released;
#define WRONG(change, words)                                                                   \
    do {                                                                                         \
        ecrec_index_options wrong = o;                                                           \
        const int before = released;                                                             \
        change;                                                                                  \
        assert_int_equal(ecrec_index_create(context, &wrong, &index, &err), ECREC_ERR_INVALID);  \
        assert_non_null(strstr(err.message, words));                                             \
        assert_int_equal(released, before + 1);                                                  \
        assert_null(index);                                                                      \
    } while (0)
    WRONG(wrong.type = 5, "type 5");
    WRONG(wrong.similarity = 3, "similarity 3");
    WRONG(wrong.dimension = 0, "dimension is 0");
    WRONG(wrong.dimension = 65537, "65537");
    WRONG(wrong.stride = 3, "stride is 3");
    WRONG(wrong.vectors = NULL, "NULL");
    WRONG(wrong.vectors = (const char *)v + 1, "aligned");
    WRONG(wrong.count = SIZE_MAX / 8, "more than memory");
    WRONG((wrong.type = ECREC_TYPE_S8, wrong.scales = bad_scales), "vector 1");
    const int before = released;
    CALL(ecrec_index_create(context, &o, &index, &err));
    assert_int_equal(released, before);
    assert_int_equal(ecrec_searcher_create(index, 0, &searcher, &err), ECREC_ERR_INVALID);
    CALL(ecrec_searcher_create(index, 3, &searcher, &err));
    assert_int_equal(ecrec_search(searcher, v, 1, 3, 1, indices, scores, 8, &err), ECREC_ERR_INVALID);
    assert_int_equal(ecrec_search(searcher, v, 1, 4, 4, indices, scores, 8, &err), ECREC_ERR_INVALID);
    assert_int_equal(ecrec_search(searcher, v, 1, 4, 0, indices, scores, 8, &err), ECREC_ERR_INVALID);
    assert_int_equal(ecrec_search(searcher, v, 2, 4, 3, indices, scores, 5, &err), ECREC_ERR_TOO_SMALL);
    CALL(ecrec_search(searcher, v, 0, 4, 3, NULL, NULL, 0, &err));
    v[6] = INFINITY;
    assert_int_equal(ecrec_search(searcher, v, 2, 4, 2, indices, scores, 8, &err), ECREC_ERR_INVALID);
    assert_int_equal(err.row, 1);
    v[6] = 7;
    CALL(ecrec_search(searcher, v, 2, 4, 3, indices, scores, 8, &err));
    assert_true(indices[0] == 1 && scores[0] == 70 && indices[1] == 0 && indices[2] == UINT64_MAX && indices[3] == 1);
    ecrec_index_release(index);
    ecrec_searcher_release(searcher);
    assert_int_equal(released, before + 1);
    o.count = 0;
    o.vectors = NULL;
    index = NULL;
    CALL(ecrec_index_create(context, &o, &index, &err)); /* nothing to find */
    searcher = NULL;
    CALL(ecrec_searcher_create(index, 3, &searcher, &err));
    CALL(ecrec_search(searcher, v, 1, 4, 3, indices, scores, 8, &err));
    assert_true(indices[0] == UINT64_MAX && indices[2] == UINT64_MAX);
    ecrec_searcher_release(searcher);
    ecrec_index_release(index);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(everything), cmocka_unit_test(ties), cmocka_unit_test(refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
