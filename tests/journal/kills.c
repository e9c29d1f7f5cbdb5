/* A learner with a journal, what it remembers of its rows, and an impression log whose labels come late, killed at random moments: nothing that
 * it said was done is lost, nothing is seen by half, and what is there afterwards are the bits of a learner that nobody killed.
 *
 * ECREC_KILLS: how often (30); 1,000 are tests/long.sh kills. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stream/impressions.h"
#include "shop.h"

#define HOUR ((int64_t)3600 * 1000000)
enum { SHOW, CLICK, LEARN, TIDY, KINDS };

static char model_file[512], journal_file[512], log_file[512];

typedef struct shop {
    ecrec_model *m;
    ecrec_impressions *log;
} shop;

/* ---- the learner: operation k of an endless list ---- */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 31) * 0x7FB5D329728EA185u;
    return x ^ x >> 29;
}

/* A quarter of the rows shown at an hour are clicked, then or up to four hours later. */
static size_t clicks_of(uint64_t hour, uint64_t events[5 * SHOP_ROWS], float values[5 * SHOP_ROWS])
{
    size_t n = 0;
    for (uint64_t back = 0; back < 5 && back <= hour; back++)
        for (uint64_t i = 0; i < SHOP_ROWS; i++) {
            const uint64_t event = (hour - back) * 1000 + i, chance = mixed(event + 1);
            if (chance % 4 == 0 && chance / 4 % 5 == back) {
                events[n] = event;
                values[n++] = 1;
            }
        }
    return n;
}

static int32_t show(shop *s, uint64_t hour, ecrec_error *err)
{
    float scores[SHOP_ROWS];
    uint64_t events[SHOP_ROWS];
    ecrec_batch *b = shop_batch(s->m, (uint32_t)hour);
    for (uint64_t i = 0; i < SHOP_ROWS; i++) {
        events[i] = hour * 1000 + i;
        scores[i] = 0.02f * (float)(i + 1);
    }
    int32_t status = ecrec_batch_set_event(b, events, NULL, err);
    if (status == ECREC_OK)
        status = ecrec_impressions_add(s->log, b, scores, hour, (int64_t)hour * HOUR, err);
    ecrec_batch_release(b);
    return status;
}

static int32_t learn(shop *s, uint64_t hour, ecrec_error *err)
{
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_batch *ready = NULL;
    o.max_loss_growth = 100;
    o.replay = 0.5;
    int32_t status = ecrec_impressions_take(s->log, (int64_t)hour * HOUR, 0, &ready, &o.served, NULL, err);
    if (status != ECREC_OK || ready == NULL)
        return status;
    if ((status = ecrec_update(s->m, ready, &o, NULL, err)) == ECREC_OK)
        status = ecrec_impressions_done(s->log, err);
    ecrec_batch_release(ready);
    return status;
}

static int32_t operate(shop *s, uint64_t k, int files, ecrec_error *err)
{
    uint64_t events[5 * SHOP_ROWS];
    float values[5 * SHOP_ROWS];
    const uint64_t hour = k / KINDS;
    int32_t status = ECREC_OK;
    switch (k % KINDS) {
    case SHOW: return show(s, hour, err);
    case CLICK: return ecrec_impressions_label(s->log, 0, events, values, clicks_of(hour, events, values), (int64_t)hour * HOUR, NULL, err);
    case LEARN: return learn(s, hour, err);
    default:
        if (files && hour % 3 == 0)
            status = ecrec_impressions_compact(s->log, err);
        return files && hour % 5 == 0 && status == ECREC_OK ? ecrec_journal_compact(s->m, model_file, err) : status;
    }
}

static int32_t opened(ecrec_context *context, uint32_t sync, int files, shop *s, ecrec_error *err)
{
    ecrec_journal_options j = ECREC_JOURNAL_OPTIONS_INIT;
    ecrec_impressions_options o = ECREC_IMPRESSIONS_OPTIONS_INIT;
    o.window = 3 * HOUR; /* some clicks come too late */
    o.timeout = 1 * HOUR;
    o.correction = ECREC_CORRECTION_DELAY;
    o.most = 300;
    j.sync = o.sync = sync;
    *s = (shop){ NULL, NULL };
    int32_t status = ecrec_model_load(context, model_file, NULL, &s->m, err);
    if (status == ECREC_OK && files)
        status = ecrec_journal_open(s->m, journal_file, &j, NULL, err);
    if (status == ECREC_OK)
        status = ecrec_impressions_open(context, ecrec_model_schema(s->m), files ? log_file : NULL, &o, &s->log, NULL, err);
    return status;
}

static void closed(shop *s)
{
    ecrec_impressions_release(s->log);
    ecrec_model_release(s->m);
}

static void work(int pipe_to, ecrec_context *context, uint32_t sync, uint64_t from)
{
    ecrec_error err = ECREC_ERROR_INIT;
    shop s;
    if (opened(context, sync, 1, &s, &err) != ECREC_OK)
        _exit(1);
    for (uint64_t done = from;;) {
        if (operate(&s, done, 1, &err) != ECREC_OK)
            _exit(2);
        done++;
        if (write(pipe_to, &done, sizeof done) != (ssize_t)sizeof done)
            _exit(3);
    }
}

/* ---- what must be there ---- */

typedef struct known { char model[33]; uint64_t log; } known;

/* All that a log holds, as one number. */
static uint64_t fingerprint(const ecrec_impressions *log)
{
    buffer b;
    uint64_t h = hash64(log->counts, sizeof log->counts, 0);
    buffer_init(&b, log->m);
    for (size_t i = 0; i < log->count; i++) {
        b.length = 0;
        assert_int_equal(impression_write(impression_at(log, i), &b), ECREC_OK);
        h = hash64(b.data, b.length, h);
    }
    buffer_release(&b);
    return h;
}

static known know(const shop *s)
{
    known k;
    memcpy(k.model, shop_state(s->m), 33);
    k.log = fingerprint(s->log);
    return k;
}

static double remembered(ecrec_model *m, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    double value = -1;
    CALL(ecrec_online_info(m, &r, &err));
    CALL(ecrec_report_number(r, name, &value, &err));
    ecrec_report_release(r);
    return value;
}

static unsigned random_below(unsigned n)
{
    static unsigned state = 97;
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

/* The learner from operation `done` on, until it is killed: the last one that it said was done. */
static uint64_t killed_after(ecrec_context *context, uint32_t sync, uint64_t done)
{
    int ends[2], status = 0;
    uint64_t said = 0;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work(ends[1], context, sync, done);
    }
    assert_true(child > 0);
    close(ends[1]);
    /* most often somewhere in its work, else also while it opens what is there */
    if (random_below(4) != 0 && read(ends[0], &said, sizeof said) == (ssize_t)sizeof said)
        done = said;
    usleep(random_below(random_below(4) != 0 ? 6000 : 30000));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the learner ended by itself: %d", WEXITSTATUS(status));
    while (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said)
        done = said;
    close(ends[0]);
    return done;
}

static void killed(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    const char *asked = getenv("ECREC_KILLS");
    const int kills = asked != NULL ? atoi(asked) : 30;
    int between = 0, more = 0;
    uint64_t done = 0, at = 0;
    shop s, never;
    (void)unused;
    snprintf(model_file, sizeof model_file, "%s", temporary("k.ecrec"));
    snprintf(journal_file, sizeof journal_file, "%s", temporary("k.journal"));
    snprintf(log_file, sizeof log_file, "%s", temporary("k.impressions"));
    ecrec_model *m = shop_ranker(context);
    CALL(shop_remember(m, &err));
    CALL(ecrec_model_save(m, model_file, &err));
    ecrec_model_release(m);
    CALL(opened(context, 0, 0, &never, &err));
    known before = know(&never), after;
    for (int i = 0; i < kills; i++) {
        done = killed_after(context, i % 3 == 0 ? ECREC_SYNC_NONE : ECREC_SYNC_EACH, done);
        for (; at < done; at++)
            CALL(operate(&never, at, 0, &err));
        before = know(&never);
        CALL(opened(context, 0, 1, &s, &err));
        const known now = know(&s);
        if (memcmp(now.model, before.model, 33) != 0 || now.log != before.log) {
            /* one operation was under way; whole, it may be there though nobody was told */
            CALL(operate(&never, at++, 0, &err));
            after = know(&never);
            const int model_after = strcmp(now.model, after.model) == 0, log_after = now.log == after.log;
            if (!(model_after || strcmp(now.model, before.model) == 0) || !(log_after || now.log == before.log))
                fail_msg("kill %d: behind operation %llu the %s is none that the learner was in", i, (unsigned long long)done, model_after ? "log" : "ranker");
            /* rows are learned from, then marked: one kill in between, and the same rows come again, whose events are known */
            assert_true(model_after || now.log == before.log);
            between += model_after && !log_after;
            more += log_after;
            done += log_after;
            if (!log_after) { /* finished as the next learner will: the same bits once more */
                CALL(operate(&s, done, 1, &err));
                done++;
                const known finished = know(&s);
                assert_string_equal(finished.model, after.model);
                assert_true(finished.log == after.log);
            }
        }
        closed(&s);
    }
    print_message("%d kills, %llu operations of %d hours; %d times one more than was said, %d times between learning and marking\n", kills,
                  (unsigned long long)done, (int)(done / KINDS), more, between);
    print_message("remembered: %.0f events, %.0f rows to judge by, %.0f to replay, %.0f repeats, %.0f drifts\n", remembered(never.m, "events.known"),
                  remembered(never.m, "reserve.rows"), remembered(never.m, "reservoir.rows"), remembered(never.m, "repeats"), remembered(never.m, "drifts"));
    assert_true(done > (uint64_t)kills);
    assert_true(kills < 10 || (remembered(never.m, "events.known") == 150 && remembered(never.m, "reserve.rows") > 5 && remembered(never.m, "reservoir.rows") > 20));
    closed(&never);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(killed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
