/* Every allocation of every public call fails, once and for ever from there on: NOMEM, nothing leaks, the objects still work. */
#include "operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The n-th allocation is refused; 0 when the operation needed fewer. */
static int refuse(world *w, const operation *o, uint64_t n, int for_ever)
{
    const int64_t blocks = w->f.live_blocks, bytes = w->f.live_bytes;
    const char *how = for_ever ? " for ever" : "";
    w->f.count = 0;
    w->f.fail_at = n;
    w->f.for_ever = for_ever;
    w->err.message[0] = 0;
    const int32_t status = o->run(w);
    w->f.fail_at = 0;
    if (w->f.live_blocks != blocks || w->f.live_bytes != bytes)
        fail_msg("%s: allocation %llu refused%s: %lld blocks, %lld bytes leaked", o->name, (unsigned long long)n, how,
                 (long long)(w->f.live_blocks - blocks), (long long)(w->f.live_bytes - bytes));
    if (w->f.count < n) {
        assert_int_equal(status, ECREC_OK);
        return 0;
    }
    if (!o->allocates)
        fail_msg("%s: it must not allocate, and did", o->name);
    if (status != ECREC_ERR_NOMEM)
        fail_msg("%s: allocation %llu refused%s: it returned %s (%s)", o->name, (unsigned long long)n, how, ecrec_status_name(status), w->err.message);
    assert_true(w->err.message[0] != 0 && w->err.code == ECREC_ERR_NOMEM);
    return 1;
}

static void sweep(void **state)
{
    const operation *o = *state;
    world w;
    float scores[ROWS], again[ROWS];
    uint64_t tries[2] = { 0, 0 };
    world_open(&w);
    if (o->run(&w) != ECREC_OK)
        fail_msg("%s: without a refusal: %s", o->name, w.err.message);
    assert_int_equal(ecrec_score(w.ranker, w.ranking, w.batch, NULL, scores, ROWS, &w.err), ECREC_OK);
    for (int for_ever = 0; for_ever < 2; for_ever++)
        while (refuse(&w, o, tries[for_ever] + 1, for_ever))
            tries[for_ever]++;
    if (o->allocates)
        assert_true(tries[0] > 0 && tries[1] > 0);
    print_message("%s: %llu allocations\n", o->name, (unsigned long long)tries[0]);
    /* everything still works, to the bit */
    assert_int_equal(ecrec_score(w.ranker, w.ranking, w.batch, NULL, again, ROWS, &w.err), ECREC_OK);
    assert_memory_equal(scores, again, sizeof scores);
    assert_int_equal(o->run(&w), ECREC_OK);
    world_close(&w);
}

static int swept(const char *symbol)
{
    const size_t n = strlen(symbol);
    for (size_t i = 0; i < operation_count; i++)
        for (const char *at = operations[i].symbols; (at = strstr(at, symbol)) != NULL; at += n)
            if ((at == operations[i].symbols || at[-1] == ' ') && (at[n] == 0 || at[n] == ' '))
                return 1;
    return 0;
}

static void every_symbol_is_swept(void **unused)
{
    size_t missing = 0, seen = 0;
    char *map = read_file(MAP_FILE, NULL);
    (void)unused;
    for (char *line = strtok(map, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *begin = line + strspn(line, " \t"), *end = strchr(begin, ';');
        if (strncmp(begin, "ecrec_", 6) != 0 || end == NULL)
            continue;
        *end = 0;
        seen++;
        if (!swept(begin)) {
            print_message("%s is in lib/ecrec.map and in no operation of tests/faults/operations.c\n", begin);
            missing++;
        }
    }
    free(map);
    assert_true(seen > 70);
    assert_int_equal(missing, 0);
}

int main(void)
{
    struct CMUnitTest tests[128];
    if (operation_count >= sizeof tests / sizeof *tests)
        return 1;
    for (size_t i = 0; i < operation_count; i++)
        tests[i] = (struct CMUnitTest){ operations[i].name, sweep, NULL, NULL, (void *)(uintptr_t)&operations[i] };
    tests[operation_count] = (struct CMUnitTest)cmocka_unit_test(every_symbol_is_swept);
    return _cmocka_run_group_tests("allocations", tests, operation_count + 1, NULL, NULL);
}
