/* Eight readers at full speed while all that writes goes on beside them. Three rankers:
 *
 *   trainer   updates (events, reserve, replay, drift), calibration, a change of what is remembered, rollback, named snapshots
 *   replica   follows the trainer by deltas, forwards and back
 *   keeper    updates with a journal that is compacted, users forgotten, kept-up calibration
 *
 * Readers score the current snapshot, and a named one twice: the same bits while it is kept, whatever is published in between. In the end the
 * replica has the trainer's bits, and the keeper those that its journal gives back.
 *
 * ECREC_SECONDS: how long (2); tests/long.sh threads: 60 s under ThreadSanitizer. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../journal/shop.h"

enum { READERS = 8, TRAINER = 0, REPLICA = 1, KEEPER = 2, RANKERS = 3 };

typedef struct soak {
    ecrec_context *context;
    ecrec_model *rankers[RANKERS];
    _Atomic int stop;
    _Atomic uint64_t scored, compared, gone;
    _Atomic(const char *) trouble; /* of a reader: the first one */
} soak;
typedef struct reader { soak *s; int ranker; } reader;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The named snapshot "best" twice, what is current in between. Its name may have moved, or gone with a rollback. */
static const char *compare(soak *s, ecrec_model *m, ecrec_session *session, const ecrec_batch *b)
{
    float first[SHOP_ROWS], second[SHOP_ROWS], now[SHOP_ROWS];
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_score_options named = ECREC_SCORE_OPTIONS_INIT;
    int32_t status = ecrec_snapshot_find(m, "best", &named.snapshot, &err);
    if (status == ECREC_OK)
        status = ecrec_score(m, session, b, &named, first, SHOP_ROWS, &err);
    if (ecrec_score(m, session, b, NULL, now, SHOP_ROWS, &err) != ECREC_OK)
        return "the current snapshot could not be scored";
    for (int i = 0; i < SHOP_ROWS; i++)
        if (!(now[i] >= 0 && now[i] <= 1))
            return "a score is no probability";
    if (status == ECREC_OK)
        status = ecrec_score(m, session, b, &named, second, SHOP_ROWS, &err);
    if (status == ECREC_ERR_NOT_FOUND) {
        atomic_fetch_add_explicit(&s->gone, 1, memory_order_relaxed);
        return NULL;
    }
    if (status != ECREC_OK)
        return "a named snapshot could not be scored";
    atomic_fetch_add_explicit(&s->compared, 1, memory_order_relaxed);
    return memcmp(first, second, sizeof first) == 0 ? NULL : "a snapshot was scored twice, and the scores differ";
}

static void *read_scores(void *argument)
{
    const reader *r = argument;
    ecrec_model *m = r->s->rankers[r->ranker];
    ecrec_session *session = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    const char *trouble = ecrec_session_create(m, NULL, &session, &err) == ECREC_OK ? NULL : "no session";
    ecrec_batch *b = shop_batch(m, 5);
    while (trouble == NULL && !atomic_load_explicit(&r->s->stop, memory_order_relaxed)) {
        trouble = compare(r->s, m, session, b);
        atomic_fetch_add_explicit(&r->s->scored, 1, memory_order_relaxed);
    }
    const char *none = NULL;
    if (trouble != NULL)
        atomic_compare_exchange_strong(&r->s->trouble, &none, trouble);
    ecrec_session_release(session);
    ecrec_batch_release(b);
    return NULL;
}

static int busy_or_ok(int32_t status)
{
    return status == ECREC_OK || status == ECREC_ERR_BUSY;
}

/* What others ask of a ranker while it learns: reports, states, what it remembers. */
static void *look_on(void *argument)
{
    soak *s = argument;
    ecrec_error err = ECREC_ERROR_INIT;
    for (unsigned turn = 0; !atomic_load_explicit(&s->stop, memory_order_relaxed); turn++) {
        ecrec_model *m = s->rankers[turn % RANKERS];
        ecrec_report *r = NULL;
        char state[33];
        uint64_t kept[64];
        size_t n = 0;
        bytes to = { NULL, 0 };
        const ecrec_sink sink = bytes_sink(&to);
        int good = ecrec_online_info(m, &r, &err) == ECREC_OK && ecrec_model_state(m, 0, state, &err) == ECREC_OK &&
                   ecrec_model_snapshots(m, kept, 64, &n, &err) == ECREC_OK;
        if (good && n > 2) { /* snapshots may be gone by now */
            const int32_t status = ecrec_delta_export(m, kept[n / 2], 0, &sink, &err);
            good = status == ECREC_OK || status == ECREC_ERR_NOT_FOUND;
        }
        if (turn % 3 == TRAINER && good) { /* beside its updates: one of the two is told that the other runs */
            ecrec_batch *b = shop_batch(m, turn % 7);
            good = busy_or_ok(ecrec_calibrate(m, b, NULL, NULL, &err));
            ecrec_batch_release(b);
        }
        if (!good)
            atomic_store(&s->trouble, "who looked on was refused");
        free(to.data);
        ecrec_report_release(r);
    }
    return NULL;
}

/* Again while another writer is at it. */
#define WRITE(expression) do { int32_t code_; while ((code_ = (expression)) == ECREC_ERR_BUSY) nanosleep(&(struct timespec){ 0, 20000 }, NULL); \
    if (code_ != ECREC_OK) fail_msg("%s: %s: %s", #expression, ecrec_status_name(code_), err.message); } while (0)

/* The name moves to this snapshot; 0: it is not kept any more. */
static int name_it(ecrec_model *m, const char *name, uint64_t number)
{
    ecrec_error err = ECREC_ERROR_INIT;
    uint64_t old = 0;
    if (ecrec_snapshot_find(m, name, &old, &err) == ECREC_OK)
        WRITE(ecrec_snapshot_name(m, old, NULL, &err));
    const int32_t status = ecrec_snapshot_name(m, number, name, &err);
    assert_true(status == ECREC_OK || status == ECREC_ERR_NOT_FOUND);
    return status == ECREC_OK;
}

/* The current one, or the one in the middle, which then stays kept under a name while others publish. */
static uint64_t hold(ecrec_model *m, const char *name, int middle)
{
    ecrec_error err = ECREC_ERROR_INIT;
    uint64_t number = 0;
    do {
        uint64_t kept[64];
        size_t n = 0;
        CALL(ecrec_model_snapshots(m, kept, 64, &n, &err));
        number = middle ? kept[n / 2] : kept[n - 1];
    } while (!name_it(m, name, number));
    return number;
}

/* The replica comes to where the trainer is at snapshot `to`, which has the name "next"; where the replica is has the name "sent". */
static void follow(soak *s, uint64_t *at, uint64_t to)
{
    ecrec_error err = ECREC_ERROR_INIT;
    bytes delta;
    const ecrec_sink sink = bytes_sink(&delta);
    if (*at != to) {
        CALL(ecrec_delta_export(s->rankers[TRAINER], *at, to, &sink, &err));
        WRITE(ecrec_delta_apply(s->rankers[REPLICA], delta.data, delta.length, NULL, &err));
        free(delta.data);
    }
    *at = to;
    CALL(ecrec_snapshot_name(s->rankers[TRAINER], to, NULL, &err)); /* one has one name */
    assert_true(name_it(s->rankers[TRAINER], "sent", to));
}

static void train(soak *s, uint32_t turn, uint64_t *at)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *m = s->rankers[TRAINER];
    WRITE(shop_learn(m, turn, &err));
    if (turn % 3 == 0)
        follow(s, at, hold(m, "next", 0));
    if (turn % 29 == 7) { /* less is remembered, then as much as before */
        WRITE(ecrec_online_configure(m, NULL, &err));
        WRITE(shop_remember(m, &err));
    }
    if (turn % 5 == 4 && turn % 3 != 0) { /* not the one that is "sent" */
        (void)hold(m, "best", 0);
        (void)hold(s->rankers[REPLICA], "best", 0);
    }
    if (turn % 11 == 10) { /* back: the replica first, since later snapshots go */
        follow(s, at, hold(m, "next", 1));
        WRITE(ecrec_rollback(m, *at, &err));
    }
}

static void keep(soak *s, uint32_t turn, const char *model_file)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *m = s->rankers[KEEPER];
    char user[16];
    WRITE(shop_learn(m, turn * 3, &err));
    if (turn % 4 == 1)
        (void)hold(m, "best", 0);
    if (turn % 7 == 6) {
        const int n = snprintf(user, sizeof user, "%u", turn % 50);
        WRITE(ecrec_forget(m, 0, user, (size_t)n, NULL, &err));
    }
    if (turn % 13 == 12)
        WRITE(ecrec_journal_compact(m, model_file, &err));
}

static void readers_beside_all_that_writes(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    soak s;
    reader readers[READERS];
    pthread_t threads[READERS], other;
    char model_file[512], journal_file[512], was[33];
    const double span = getenv("ECREC_SECONDS") != NULL ? atof(getenv("ECREC_SECONDS")) : 2;
    (void)unused;
    memset(&s, 0, sizeof s);
    s.context = context_with(2, 0);
    snprintf(model_file, sizeof model_file, "%s", temporary("soak.ecrec"));
    snprintf(journal_file, sizeof journal_file, "%s", temporary("soak.journal"));
    s.rankers[TRAINER] = shop_ranker(s.context);
    CALL(shop_remember(s.rankers[TRAINER], &err));
    CALL(ecrec_model_save(s.rankers[TRAINER], model_file, &err));
    s.rankers[REPLICA] = shop_load(s.context, model_file);
    s.rankers[KEEPER] = shop_load(s.context, model_file);
    CALL(ecrec_journal_open(s.rankers[KEEPER], journal_file, &(ecrec_journal_options){ (uint32_t)sizeof(ecrec_journal_options), ECREC_SYNC_GROUP, 0, 0 }, NULL, &err));
    uint64_t at = hold(s.rankers[TRAINER], "sent", 0);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){ &s, i < 4 ? TRAINER : i < 6 ? REPLICA : KEEPER };
        assert_int_equal(pthread_create(&threads[i], NULL, read_scores, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&other, NULL, look_on, &s), 0);
    const double started = seconds();
    uint32_t turn = 1;
    for (; (seconds() - started < span || turn < 20) && atomic_load(&s.trouble) == NULL; turn++) {
        train(&s, turn, &at);
        keep(&s, turn, model_file);
    }
    atomic_store(&s.stop, 1);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(other, NULL);
    if (atomic_load(&s.trouble) != NULL)
        fail_msg("%s", atomic_load(&s.trouble));
    follow(&s, &at, hold(s.rankers[TRAINER], "next", 0));
    assert_string_equal(shop_state(s.rankers[TRAINER]), shop_state(s.rankers[REPLICA]));
    memcpy(was, shop_state(s.rankers[KEEPER]), 33);
    ecrec_model_release(s.rankers[KEEPER]);
    s.rankers[KEEPER] = shop_load(s.context, model_file);
    CALL(ecrec_journal_open(s.rankers[KEEPER], journal_file, NULL, NULL, &err));
    assert_string_equal(shop_state(s.rankers[KEEPER]), was);
    print_message("%.0f s: %u turns of the writers, %llu scorings, %llu of a named snapshot alike, %llu times it was gone\n", seconds() - started, turn,
                  (unsigned long long)s.scored, (unsigned long long)s.compared, (unsigned long long)s.gone);
    assert_true(s.scored > 100 && s.compared > 10);
    for (int i = 0; i < RANKERS; i++)
        ecrec_model_release(s.rankers[i]);
    ecrec_context_release(s.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(readers_beside_all_that_writes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
