/* Versions of a chunked table: forks of forks, written and given up in any order, each beside a plain copy of what it should hold. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model/tensor.h"
#include "support.h"

enum { ROWS = 1000, MOST = 12, STEPS = 6000, MOST_COLUMNS = 256 };

typedef struct table {
    tensor *t;
    float first[ROWS]; /* what each row's first and last number should be */
} table;

static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void holds(const table *x, uint64_t columns)
{
    for (uint64_t row = 0; row < ROWS; row++) {
        const float *w = tensor_row(x->t, row);
        assert_true((w != NULL ? w[0] : 0) == x->first[row]);
        assert_true((w != NULL ? w[columns - 1] : 0) == x->first[row]);
    }
}

static void write_some(table *x, uint64_t columns, uint64_t *random, float value)
{
    enum { ROWS_AT_ONCE = 7 };
    uint64_t rows[ROWS_AT_ONCE];
    float *to[ROWS_AT_ONCE];
    for (int k = 0; k < ROWS_AT_ONCE; k++)
        rows[k] = next(random) % ROWS;
    if (next(random) % 2 != 0) {
        assert_int_equal(tensor_float_rows(x->t, rows, ROWS_AT_ONCE, to), ECREC_OK);
    } else {
        for (int k = 0; k < ROWS_AT_ONCE; k++)
            assert_non_null(to[k] = tensor_row_edit(x->t, rows[k]));
    }
    for (int k = 0; k < ROWS_AT_ONCE; k++) {
        to[k][0] = to[k][columns - 1] = x->first[rows[k]] = value;
        assert_ptr_equal(to[k], tensor_row(x->t, rows[k]));
    }
}

/* Columns: where chunks are cells of a slab, and where they are blocks of their own, so that a leak or a use after the release shows. */
static void versions(uint64_t columns, uint64_t seed)
{
    memory m;
    uint64_t random = seed, chunks = 0;
    size_t n = 1;
    table *all = calloc(MOST, sizeof *all);
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_chunked(&m, TYPE_F32, ROWS, columns, 4, &all[0].t), ECREC_OK);
    for (int step = 0; step < STEPS; step++) {
        const size_t i = next(&random) % n;
        switch (next(&random) % 4) {
        case 0:
            if (n == MOST)
                break;
            all[n] = all[i];
            assert_int_equal(tensor_fork(all[i].t, &all[n].t), ECREC_OK);
            n++;
            break;
        case 1:
            if (n == 1)
                break;
            tensor_release(all[i].t);
            all[i] = all[--n];
            break;
        default:
            write_some(&all[i], columns, &random, (float)step + 1);
        }
        if (step % 16 == 0)
            for (size_t k = 0; k < n; k++)
                holds(&all[k], columns);
    }
    for (; n > 1; n--)
        tensor_release(all[n - 1].t);
    holds(&all[0], columns);
    for (uint64_t row = 0; row < ROWS; row += 4)
        chunks += tensor_row(all[0].t, row) != NULL;
    assert_true(m.live < chunks * 16 * columns + (1u << 17) || columns < MOST_COLUMNS); /* what only others had is gone */
    tensor_release(all[0].t);
    assert_int_equal(m.live, 0);
    free(all);
}

static void versions_hold(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        versions(16, seed);
        versions(MOST_COLUMNS, seed);
    }
}

/* A long line of forks, each written to and the one before given up: as large at the end as it was near its beginning. */
static void memory_does_not_grow(void **unused)
{
    memory m;
    tensor *t = NULL, *fork = NULL;
    uint64_t random = 9, early = 0;
    (void)unused;
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_chunked(&m, TYPE_F32, 1 << 16, 16, 4, &t), ECREC_OK);
    for (int step = 0; step < 2000; step++) {
        assert_int_equal(tensor_fork(t, &fork), ECREC_OK);
        for (int k = 0; k < 200; k++)
            ((float *)tensor_row_edit(fork, next(&random) % (1 << 16)))[0] = 1;
        tensor_release(t);
        t = fork;
        early = step == 1000 ? m.live : early;
    }
    assert_true(m.live <= early + early / 16);
    assert_true(m.live < tensor_own_bytes(t, NULL) * 3 / 2);
    tensor_release(t);
    assert_int_equal(m.live, 0);
}

/* Two who share a table's chunks write their own forks while others are given up. */
static void *fork_on(void *argument)
{
    tensor *t = NULL, *fork = NULL;
    uint64_t random = (uint64_t)(uintptr_t)argument;
    if (tensor_fork(argument, &t) != ECREC_OK)
        return argument;
    for (int step = 0; step < 300; step++) {
        if (tensor_fork(t, &fork) != ECREC_OK)
            break;
        for (int k = 0; k < 50; k++) {
            float *w = tensor_row_edit(fork, next(&random) % ROWS);
            if (w != NULL)
                w[0] += 1;
        }
        tensor_release(t);
        t = fork;
    }
    tensor_release(t);
    return NULL;
}

static void threads_share(void **unused)
{
    memory m;
    tensor *t = NULL;
    pthread_t threads[3];
    void *failed = NULL;
    (void)unused;
    memory_init(&m, NULL, 0);
    assert_int_equal(tensor_chunked(&m, TYPE_F32, ROWS, 16, 4, &t), ECREC_OK);
    for (uint64_t row = 0; row < ROWS; row += 2)
        ((float *)tensor_row_edit(t, row))[0] = (float)row;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fork_on, t), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (uint64_t row = 0; row < ROWS; row += 2)
        assert_true(((const float *)tensor_row(t, row))[0] == (float)row);
    tensor_release(t);
    assert_int_equal(m.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(versions_hold), cmocka_unit_test(memory_does_not_grow), cmocka_unit_test(threads_share) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
