/* Readers score while one thread updates and rolls back: every score is that of one of the published snapshots. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support.h"

enum { READERS = 4, ROWS = 8, MOST = 1 << 16 };

typedef struct world {
    ecrec_model *model;
    ecrec_schema *schema;
    _Atomic int stop;
    float known[MOST][ROWS]; /* scores of each snapshot number, filled by the updater */
    _Atomic uint64_t scored;
} world;
typedef struct seen { float scores[ROWS]; } seen;
typedef struct reader { world *w; seen *list; size_t count; } reader;

static const char *const words[ROWS] = { "red", "blue", "red shoes", "shirt", "warm shirt", "cold", "new shoes", "old" };

static ecrec_batch *make_batch(const ecrec_schema *schema, unsigned seed, int labels)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    size_t lengths[ROWS];
    double numbers[ROWS];
    float y[ROWS];
    for (int i = 0; i < ROWS; i++) {
        lengths[i] = strlen(words[i]);
        numbers[i] = labels ? (double)((seed * 7 + (unsigned)i * 3) % 11) : i;
        y[i] = (float)((seed + (unsigned)i) % 3 == 0);
    }
    CALL(ecrec_batch_create(schema, &b, &err));
    CALL(ecrec_batch_reset(b, ROWS, &err));
    CALL(ecrec_batch_set_text(b, 0, words, lengths, &err));
    CALL(ecrec_batch_set_category(b, 1, words, lengths, &err));
    CALL(ecrec_batch_set_number(b, 2, numbers, NULL, &err));
    if (labels)
        CALL(ecrec_batch_set_label(b, 0, y, NULL, &err));
    return b;
}

static void *read_scores(void *argument)
{
    reader *r = argument;
    ecrec_session *session = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = make_batch(r->w->schema, 0, 0);
    if (ecrec_session_create(r->w->model, NULL, &session, &err) != ECREC_OK)
        return NULL;
    while (!atomic_load(&r->w->stop)) {
        float scores[ROWS];
        if (ecrec_score(r->w->model, session, b, NULL, scores, ROWS, &err) != ECREC_OK)
            break;
        if (r->count == 0 || memcmp(r->list[r->count - 1].scores, scores, sizeof scores) != 0)
            if (r->count < MOST)
                memcpy(r->list[r->count++].scores, scores, sizeof scores);
        atomic_fetch_add(&r->w->scored, 1);
    }
    ecrec_session_release(session);
    ecrec_batch_release(b);
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void readers_see_whole_snapshots(void **state)
{
    static const char text[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":2},{\"name\":\"c\",\"kind\":\"category\"},"
                               "{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    world *w = calloc(1, sizeof *w);
    reader readers[READERS];
    pthread_t threads[READERS];
    ecrec_session *session = NULL;
    ecrec_context *context = context_with(1, 0);
    CALL(ecrec_schema_parse(context, text, strlen(text), &w->schema, &err));
    CALL(ecrec_ranker_create(context, NULL, w->schema, &w->model, &err));
    CALL(ecrec_session_create(w->model, NULL, &session, &err));
    ecrec_batch *look = make_batch(w->schema, 0, 0);
    CALL(ecrec_score(w->model, session, look, NULL, w->known[1], ROWS, &err));
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){ w, malloc(MOST * sizeof(seen)), 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, read_scores, &readers[i]), 0);
    }
    const double started = seconds(), span = getenv("ECREC_SECONDS") != NULL ? atof(getenv("ECREC_SECONDS")) : 10;
    uint64_t last = 1;
    unsigned updates = 0, rollbacks = 0;
    while (seconds() - started < span && last + 1 < MOST) {
        ecrec_batch *b = make_batch(w->schema, updates, 1);
        CALL(ecrec_update(w->model, b, NULL, NULL, &err));
        ecrec_batch_release(b);
        last = ecrec_model_snapshot(w->model);
        CALL(ecrec_score(w->model, session, look, NULL, w->known[last], ROWS, &err));
        updates++;
        nanosleep(&(struct timespec){ 0, 150000 }, NULL); /* so that the numbers last for the span */
        if (updates % 5 == 0) { /* back to an older one, bit for bit */
            uint64_t kept[64];
            size_t count = 0;
            float scores[ROWS];
            CALL(ecrec_model_snapshots(w->model, kept, 64, &count, &err));
            const uint64_t back = kept[count / 2];
            CALL(ecrec_rollback(w->model, back, &err));
            CALL(ecrec_score(w->model, session, look, NULL, scores, ROWS, &err));
            assert_memory_equal(scores, w->known[back], sizeof scores);
            rollbacks++;
        }
    }
    atomic_store(&w->stop, 1);
    size_t looked = 0;
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        for (size_t k = 0; k < readers[i].count; k++, looked++) {
            int found = 0;
            for (uint64_t s = last + 1; s-- > 1 && !found;)
                found = memcmp(readers[i].list[k].scores, w->known[s], sizeof w->known[s]) == 0;
            if (!found)
                fail_msg("reader %d saw scores of no snapshot", i);
        }
        free(readers[i].list);
    }
    print_message("%u updates, %u rollbacks, %llu scorings, %zu distinct results, all of published snapshots\n", updates, rollbacks,
                  (unsigned long long)atomic_load(&w->scored), looked);
    assert_true(updates > 10 && looked > 10);
    ecrec_batch_release(look);
    ecrec_session_release(session);
    ecrec_schema_release(w->schema);
    ecrec_model_release(w->model);
    ecrec_context_release(context);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(readers_see_whole_snapshots) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
