/* What a process that serves a model costs: time to load, private memory, pages shared with others, allocations. Linux' /proc/self/smaps tells. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

enum { PROCESSES = 10, LOADS = 15, TEXTS = 48 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sums over /proc/self/smaps in bytes, of the mapping of a file (name in its path) or of everything else. */
typedef struct pages { double resident, proportional, dirty, private_bytes; } pages;

static pages pages_of(const char *file, int others)
{
    pages p = { 0, 0, 0, 0 };
    char line[4400];
    int counted = 0;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long first, last;
        double kib = 0;
        char what[64];
        if (sscanf(line, "%lx-%lx ", &first, &last) == 2 && strchr(line, '-') < strchr(line, ' '))
            counted = (strstr(line, file) != NULL) != others;
        else if (counted && sscanf(line, "%63[^:]: %lf kB", what, &kib) == 2) {
            p.resident += strcmp(what, "Rss") == 0 ? 1024 * kib : 0;
            p.proportional += strcmp(what, "Pss") == 0 ? 1024 * kib : 0;
            p.dirty += strcmp(what, "Private_Dirty") == 0 ? 1024 * kib : 0;
            p.private_bytes += strncmp(what, "Private_", 8) == 0 ? 1024 * kib : 0;
        }
    }
    fclose(f);
    return p;
}

static const char *model_file(void)
{
    static char path[600];
    ecrec_error err = ECREC_ERROR_INIT;
    if (path[0] != 0)
        return path;
    ecrec_context *context = context_with(1, 0);
    ecrec_model *model = imported(context, "all-MiniLM-L6-v2");
    snprintf(path, sizeof path, "%s", temporary("served.ecrec"));
    CALL(ecrec_model_save(model, path, &err));
    ecrec_model_release(model);
    ecrec_context_release(context);
    return path;
}

/* Texts of 1 to 200 words, their lengths mixed. */
static void make_texts(char **texts, size_t *lengths)
{
    static const char *const words[] = { "red ", "shoes ", "for ", "running ", "in ", "the ", "unexpected ", "rain " };
    for (size_t i = 0; i < TEXTS; i++) {
        const size_t n = 1 + i * 31 % 200;
        texts[i] = calloc(n + 1, 16);
        for (size_t w = 0; w < n; w++)
            strcat(texts[i], words[(i + w * w) % 8]);
        lengths[i] = strlen(texts[i]);
    }
}

static void free_texts(char **texts)
{
    for (size_t i = 0; i < TEXTS; i++)
        free(texts[i]);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Checksums verified, page cache warm. The quarter that is fastest counts: others use the machine too. */
static void loads_quickly(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    double times[LOADS];
    (void)state;
    NEED(model_path("all-MiniLM-L6-v2"), "all-MiniLM-L6-v2");
    const char *path = model_file();
    for (int i = 0; i < LOADS; i++) {
        ecrec_model *model = NULL;
        ecrec_context *context = context_with(1, 0);
        const double started = seconds();
        CALL(ecrec_model_load(context, path, NULL, &model, &err));
        times[i] = seconds() - started;
        ecrec_model_release(model);
        ecrec_context_release(context);
    }
    qsort(times, LOADS, sizeof *times, by_value);
    print_message("loaded with its checksums verified: %.1f ms (median %.1f ms of %d)\n", 1e3 * times[LOADS / 4], 1e3 * times[LOADS / 2], LOADS);
    if (getenv("ECREC_SANITIZED") == NULL)
        assert_true(times[LOADS / 4] <= 0.050);
}

/* In a process of its own: load, encode, then wait until all others have; tells of its memory through the pipe. */
static void serve(const char *path, int ready, int go, int leave, int result)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    char *texts[TEXTS], byte = 1;
    size_t lengths[TEXTS];
    const double before = pages_of("served.ecrec", 1).dirty;
    make_texts(texts, lengths);
    if (ecrec_context_create(NULL, &context, &err) != ECREC_OK || ecrec_model_load(context, path, NULL, &model, &err) != ECREC_OK ||
        ecrec_session_create(model, NULL, &session, &err) != ECREC_OK)
        _exit(2);
    float *vectors = malloc(TEXTS * ecrec_model_dimension(model) * sizeof *vectors);
    if (ecrec_encode(model, session, (const char *const *)texts, lengths, TEXTS, NULL, vectors, ecrec_model_dimension(model), &err) != ECREC_OK)
        _exit(3);
    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
        _exit(4);
    pages p[2] = { pages_of("served.ecrec", 0), pages_of("served.ecrec", 1) };
    p[1].dirty -= before;
    if (write(result, p, sizeof p) != sizeof p || read(leave, &byte, 1) != 1)
        _exit(5);
    _exit(0);
}

static void shares_its_pages(void **state)
{
    int ready[2], go[2], leave[2], result[2];
    pid_t children[PROCESSES];
    double proportional = 0, most = 0;
    char bytes[PROCESSES] = { 0 };
    (void)state;
    NEED(model_path("all-MiniLM-L6-v2"), "all-MiniLM-L6-v2");
    const char *path = model_file();
    assert_true(pipe(ready) == 0 && pipe(go) == 0 && pipe(leave) == 0 && pipe(result) == 0);
    for (int i = 0; i < PROCESSES; i++)
        if ((children[i] = fork()) == 0)
            serve(path, ready[1], go[0], leave[0], result[1]);
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(read(ready[0], bytes, 1), 1);
    assert_int_equal(write(go[1], bytes, PROCESSES), PROCESSES);
    for (int i = 0; i < PROCESSES; i++) {
        pages p[2];
        assert_int_equal(read(result[0], p, sizeof p), sizeof p);
        /* no page of the file was copied, and each holds all of it */
        assert_true(p[0].dirty == 0 && p[0].resident > 60e6);
        proportional += p[0].proportional;
        most = p[1].dirty > most ? p[1].dirty : most;
    }
    assert_int_equal(write(leave[1], bytes, PROCESSES), PROCESSES);
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
        close(leave[i]);
        close(result[i]);
    }
    print_message("%d processes: private memory beside the mapping at most %.1f MB each; the mapping takes %.1f MB for all of them\n", PROCESSES, most / 1e6,
                  proportional / 1e6);
    if (getenv("ECREC_SANITIZED") == NULL)
        assert_true(most < 16e6);
    assert_true(proportional < 100e6); /* once, not ten times */
}

/* Any order, any grouping, 1 or 2 threads: the same bits; and nothing is allocated. */
static void same_bits(void **state)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char *texts[TEXTS];
    const char *shuffled[TEXTS];
    size_t lengths[TEXTS], own_lengths[TEXTS], order[TEXTS];
    uint32_t seed = 5;
    (void)state;
    NEED(model_path("all-MiniLM-L6-v2"), "all-MiniLM-L6-v2");
    make_texts(texts, lengths);
    for (size_t i = 0; i < TEXTS; i++)
        order[i] = i;
    float *alone = NULL, *vectors = NULL;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        ecrec_context *context = context_with(threads, 0);
        ecrec_model *model = NULL;
        ecrec_session *session = NULL;
        uint64_t before = 0, after = 0, live = 0, live_after = 0;
        CALL(ecrec_model_load(context, model_file(), NULL, &model, &err));
        CALL(ecrec_session_create(model, NULL, &session, &err));
        const uint32_t d = ecrec_model_dimension(model);
        if (alone == NULL) {
            alone = malloc(TEXTS * d * sizeof *alone);
            vectors = malloc(TEXTS * d * sizeof *vectors);
            for (size_t i = 0; i < TEXTS; i++)
                CALL(ecrec_encode(model, session, (const char *const *)&texts[i], &lengths[i], 1, NULL, alone + i * d, d, &err));
        }
        ecrec_context_memory(context, &live, NULL, &before);
        for (int round = 0; round < 6; round++) {
            for (size_t i = TEXTS; i > 1; i--) {
                seed = seed * 1664525u + 1013904223u;
                const size_t j = (seed >> 8) % i, t = order[i - 1];
                order[i - 1] = order[j];
                order[j] = t;
            }
            for (size_t i = 0; i < TEXTS; i++) {
                shuffled[i] = texts[order[i]];
                own_lengths[i] = lengths[order[i]];
            }
            seed = seed * 1664525u + 1013904223u;
            const size_t cut = 1 + (seed >> 8) % (TEXTS - 1); /* two batches of random sizes */
            CALL(ecrec_encode(model, session, shuffled, own_lengths, cut, NULL, vectors, d, &err));
            CALL(ecrec_encode(model, session, shuffled + cut, own_lengths + cut, TEXTS - cut, NULL, vectors + cut * d, d, &err));
            for (size_t i = 0; i < TEXTS; i++)
                if (memcmp(vectors + i * d, alone + order[i] * d, d * sizeof *alone) != 0)
                    fail_msg("text %zu differs in round %d on %u threads", order[i], round, threads);
        }
        ecrec_context_memory(context, &live_after, NULL, &after);
        assert_true(before == after && live == live_after);
        ecrec_session_release(session);
        ecrec_model_release(model);
        ecrec_context_release(context);
    }
    free(alone);
    free(vectors);
    free_texts(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(loads_quickly), cmocka_unit_test(shares_its_pages), cmocka_unit_test(same_bits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
