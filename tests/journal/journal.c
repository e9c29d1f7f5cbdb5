/* The journal: what returned OK is there after a crash, whole; kills at random moments, each call to the system failing in turn. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty.h"
#include "shop.h"

static char model_file[512], journal_file[512];

static void fresh_files(ecrec_context *context)
{
    ecrec_error err = ECREC_ERROR_INIT;
    snprintf(model_file, sizeof model_file, "%s", temporary("m.ecrec"));
    snprintf(journal_file, sizeof journal_file, "%s", temporary("m.journal"));
    ecrec_model *m = shop_ranker(context);
    CALL(ecrec_model_save(m, model_file, &err));
    ecrec_model_release(m);
    unlink(journal_file);
}

static ecrec_model *reopened(ecrec_context *context, double *replayed, double *cut)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *r = NULL;
    ecrec_model *m = shop_load(context, model_file);
    CALL(ecrec_journal_open(m, journal_file, NULL, &r, &err));
    if (replayed != NULL)
        CALL(ecrec_report_number(r, "replayed", replayed, &err));
    if (cut != NULL)
        CALL(ecrec_report_number(r, "cut_bytes", cut, &err));
    ecrec_report_release(r);
    return m;
}

static void nothing_is_lost(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    double replayed = -1, cut = -1;
    char state[33];
    (void)unused;
    fresh_files(context);
    ecrec_model *m = reopened(context, &replayed, &cut);
    assert_true(replayed == 0 && cut == 0);
    for (uint32_t k = 1; k <= 3; k++)
        CALL(shop_learn(m, k, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_journal_open(m, journal_file, NULL, NULL, &err));
    memcpy(state, shop_state(m), 33);
    ecrec_model_release(m);
    m = reopened(context, &replayed, NULL);
    assert_true(replayed == 3 && ecrec_model_snapshot(m) == 4);
    assert_string_equal(state, shop_state(m));
    /* rollback is journalled: also one that goes behind what is kept after a replay */
    CALL(ecrec_rollback(m, 2, &err));
    CALL(shop_learn(m, 9, &err));
    assert_int_equal(ecrec_model_snapshot(m), 5);
    memcpy(state, shop_state(m), 33);
    ecrec_model_release(m);
    m = reopened(context, &replayed, NULL);
    assert_true(replayed == 5 && ecrec_model_snapshot(m) == 5);
    assert_string_equal(state, shop_state(m));
    /* compacted: the same state from the model file alone, and the journal begins anew */
    CALL(ecrec_journal_compact(m, model_file, &err));
    CALL(shop_learn(m, 10, &err));
    memcpy(state, shop_state(m), 33);
    ecrec_model_release(m);
    m = reopened(context, &replayed, NULL);
    assert_true(replayed == 1 && ecrec_model_snapshot(m) == 6);
    assert_string_equal(state, shop_state(m));
    CALL(ecrec_journal_sync(m, &err));
    CALL(ecrec_journal_close(m, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_journal_close(m, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_journal_sync(m, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_journal_compact(m, model_file, &err));
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* A model saved in between stands in the middle of its journal; one of another way does not fit. */
static void model_files_and_journals(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    double replayed = 0;
    (void)unused;
    fresh_files(context);
    ecrec_model *m = reopened(context, NULL, NULL), *stray = shop_ranker(context);
    CALL(shop_learn(m, 1, &err));
    CALL(shop_learn(m, 2, &err));
    CALL(ecrec_model_save(m, model_file, &err));
    CALL(shop_learn(m, 3, &err));
    CALL(ecrec_rollback(m, 1, &err)); /* which the reloaded model will not keep */
    CALL(shop_learn(m, 4, &err));
    char state[33];
    memcpy(state, shop_state(m), 33);
    ecrec_model_release(m);
    m = reopened(context, &replayed, NULL);
    assert_true(replayed == 3);
    assert_string_equal(state, shop_state(m));
    assert_int_equal(ecrec_model_snapshot(m), 5);
    ecrec_model_release(m);
    CALL(shop_learn(stray, 77, &err));
    REFUSED(ECREC_ERR_MISMATCH, ecrec_journal_open(stray, journal_file, NULL, NULL, &err));
    REFUSED(ECREC_ERR_IO, ecrec_journal_open(stray, temporary("no/such/journal"), NULL, NULL, &err));
    REFUSED(ECREC_ERR_IO, ecrec_journal_open(stray, temporary(""), NULL, NULL, &err));
    REFUSED(ECREC_ERR_FORMAT, ecrec_journal_open(stray, model_file, NULL, NULL, &err));
    ecrec_model_release(stray);
    ecrec_context_release(context);
}

static void write_file(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A journal cut off anywhere: whole records count, the rest is cut. A flipped byte: at the end a tail, before that an error. */
static void tails(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    char states[4][33];
    size_t ends[4], length = 0;
    double replayed = 0, cut = 0;
    (void)unused;
    fresh_files(context);
    ecrec_model *m = reopened(context, NULL, NULL);
    for (uint32_t k = 0; k < 4; k++) {
        if (k > 0)
            CALL(shop_learn(m, k, &err));
        memcpy(states[k], shop_state(m), 33);
        free(read_file(journal_file, &ends[k]));
    }
    ecrec_model_release(m);
    char *whole = read_file(journal_file, &length);
    for (size_t n = ends[0]; n < length; n += 61) {
        const int k = n < ends[1] ? 0 : n < ends[2] ? 1 : 2;
        write_file(journal_file, whole, n);
        m = reopened(context, &replayed, &cut);
        assert_true(replayed == k && cut == (double)(n - ends[k]));
        assert_string_equal(shop_state(m), states[k]);
        if (n % 7 == 0) { /* and goes on from there */
            CALL(shop_learn(m, (uint32_t)k + 1, &err));
            assert_string_equal(shop_state(m), states[k + 1]);
        }
        ecrec_model_release(m);
    }
    for (size_t n = 0; n < length; n += n < 300 ? 7 : 83) {
        const int last = n >= ends[2];
        whole[n] ^= 4;
        write_file(journal_file, whole, length);
        m = shop_load(context, model_file);
        const int32_t status = ecrec_journal_open(m, journal_file, NULL, NULL, &err);
        assert_int_equal(status, last ? ECREC_OK : ECREC_ERR_FORMAT);
        ecrec_model_release(m);
        if (n >= ends[0] && !last) { /* cut where it is damaged, when asked to */
            ecrec_journal_options o = ECREC_JOURNAL_OPTIONS_INIT;
            o.repair = 1;
            write_file(journal_file, whole, length);
            m = shop_load(context, model_file);
            CALL(ecrec_journal_open(m, journal_file, &o, NULL, &err));
            assert_string_equal(shop_state(m), states[n < ends[1] ? 0 : 1]);
            ecrec_model_release(m);
        }
        whole[n] ^= 4;
    }
    free(whole);
    ecrec_context_release(context);
}

/* ---- each call to the system fails ---- */

enum { OPS = 7 };
/* 0: the opening; 1: memory for rows and events; 2, 4, 6: an update; 3: a rollback; 5: a compaction. */
static int32_t operate(ecrec_model *m, int op, const journal_io *io, ecrec_error *err)
{
    if (op == 0)
        return journal_open(m, journal_file, NULL, io, NULL, err);
    if (op == 1)
        return shop_remember(m, err);
    if (op == 3)
        return ecrec_rollback(m, 2, err);
    return op == 5 ? ecrec_journal_compact(m, model_file, err) : shop_learn(m, (uint32_t)op, err);
}

static int run_with_faults(ecrec_context *context, faulty f)
{
    const journal_io io = faulty_io(&f);
    ecrec_error err = ECREC_ERROR_INIT;
    char acknowledged[33], attempted[33] = "";
    fresh_files(context);
    ecrec_model *m = shop_load(context, model_file), *reference = shop_load(context, model_file);
    memcpy(acknowledged, shop_state(m), 33);
    for (int op = 0; op < OPS; op++) {
        err.message[0] = 0;
        const int32_t status = operate(m, op, &io, &err);
        if (status != ECREC_OK) {
            assert_string_equal(shop_state(m), acknowledged); /* nothing has changed */
            if (op == 0)
                break;
            if (op != 5 && attempted[0] == 0) { /* a failed sync may have reached the disk: then it is there whole */
                CALL(operate(reference, op, NULL, &err));
                memcpy(attempted, shop_state(reference), 33);
            }
            break;
        }
        if (op != 0 && op != 5)
            CALL(operate(reference, op, NULL, &err));
        memcpy(acknowledged, shop_state(m), 33);
        assert_string_equal(acknowledged, shop_state(reference));
    }
    const int reached = f.count >= f.fail_at;
    ecrec_model_release(m); /* with the journal as it is: as good as a crash, since nothing is held back */
    ecrec_model_release(reference);
    m = reopened(context, NULL, NULL);
    const char *now = shop_state(m);
    if (strcmp(now, acknowledged) != 0)
        assert_string_equal(now, attempted);
    ecrec_model_release(m);
    return reached;
}

static void every_call_fails(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    uint64_t tried = 0;
    (void)unused;
    for (int mode = 0; mode < 4; mode++)
        for (uint64_t n = 1;; n++, tried++) {
            const faulty f = { 0, n, mode & 1, mode & 2 ? ENOSPC : EIO, (mode & 2) != 0 };
            if (!run_with_faults(context, f))
                break;
            assert_true(n < 400);
        }
    print_message("%llu failures\n", (unsigned long long)tried);
    assert_true(tried > 60);
    ecrec_context_release(context);
}

/* After a failed write the journal goes on; after a failed sync it does not, until it is compacted. */
static void going_on(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    faulty f = { 0, 0, 0, ENOSPC, 1 };
    const journal_io io = faulty_io(&f);
    char state[33];
    (void)unused;
    fresh_files(context);
    ecrec_model *m = shop_load(context, model_file);
    CALL(operate(m, 0, &io, &err));
    CALL(shop_learn(m, 1, &err));
    f.fail_at = f.count + 1; /* the write */
    REFUSED(ECREC_ERR_IO, shop_learn(m, 2, &err));
    assert_non_null(strstr(err.message, "the disk is full"));
    CALL(shop_learn(m, 2, &err));
    f.shorten = 0;
    f.fail_at = f.count + 2; /* the sync */
    REFUSED(ECREC_ERR_IO, shop_learn(m, 3, &err));
    REFUSED(ECREC_ERR_IO, shop_learn(m, 3, &err));
    REFUSED(ECREC_ERR_IO, ecrec_rollback(m, 2, &err));
    CALL(ecrec_journal_compact(m, model_file, &err));
    CALL(shop_learn(m, 3, &err));
    memcpy(state, shop_state(m), 33);
    ecrec_model_release(m);
    m = reopened(context, NULL, NULL);
    assert_string_equal(shop_state(m), state);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

/* ---- kills ---- */

static unsigned random_below(unsigned n)
{
    static unsigned state = 4321;
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

/* Learns batch after batch, told by the snapshot's number, and says which is done. */
static void work(int pipe_to, ecrec_context *context, uint32_t sync)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_journal_options o = ECREC_JOURNAL_OPTIONS_INIT;
    ecrec_model *m = NULL;
    o.sync = sync;
    if (ecrec_model_load(context, model_file, NULL, &m, &err) != ECREC_OK || ecrec_journal_open(m, journal_file, &o, NULL, &err) != ECREC_OK)
        _exit(1);
    for (;;) {
        const uint64_t number = ecrec_model_snapshot(m);
        if (shop_learn(m, (uint32_t)number, &err) != ECREC_OK)
            _exit(2);
        if (write(pipe_to, &number, sizeof number) != (ssize_t)sizeof number)
            _exit(3);
        if (number % 5 == 0 && ecrec_journal_compact(m, model_file, &err) != ECREC_OK)
            _exit(4);
    }
}

static void killed(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    const char *asked = getenv("ECREC_KILLS");
    const int kills = asked != NULL ? atoi(asked) : 50;
    uint64_t done = 0, learned = 0;
    int unacknowledged = 0;
    (void)unused;
    fresh_files(context);
    ecrec_model *reference = shop_ranker(context);
    for (int i = 0; i < kills; i++) {
        int ends[2], status = 0;
        uint64_t said = 0, last = 0;
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            work(ends[1], context, i % 3 == 0 ? ECREC_SYNC_NONE : ECREC_SYNC_EACH);
        }
        assert_true(child > 0);
        close(ends[1]);
        if (random_below(4) != 0 && read(ends[0], &said, sizeof said) == (ssize_t)sizeof said) /* in its work most often, not as it opens */
            last = said;
        usleep(random_below(10000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status))
            fail_msg("the learner ended by itself: %d", WEXITSTATUS(status));
        while (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said)
            last = said;
        close(ends[0]);
        if (last > done)
            done = last;
        ecrec_model *m = reopened(context, NULL, NULL);
        const uint64_t now = ecrec_model_snapshot(m) - 1; /* updates */
        assert_true(now >= done && now <= done + 1); /* none that was acknowledged is lost; one may have been under way */
        unacknowledged += now > done;
        for (; learned < now; learned++)
            CALL(shop_learn(reference, (uint32_t)learned + 1, &err));
        assert_string_equal(shop_state(m), shop_state(reference)); /* none is seen by half */
        done = now;
        ecrec_model_release(m);
    }
    print_message("%d kills, %llu updates, %d times one more than was acknowledged\n", kills, (unsigned long long)done, unacknowledged);
    assert_true(done > (uint64_t)kills / 4);
    ecrec_model_release(reference);
    ecrec_context_release(context);
}

/* Two processes cannot write one journal. */
static void locked(void **unused)
{
    ecrec_context *context = context_with(1, 0);
    int status = 0;
    (void)unused;
    fresh_files(context);
    ecrec_model *m = reopened(context, NULL, NULL);
    const pid_t child = fork();
    if (child == 0) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_model *other = NULL;
        if (ecrec_model_load(context, model_file, NULL, &other, &err) != ECREC_OK)
            _exit(100);
        _exit(ecrec_journal_open(other, journal_file, NULL, NULL, &err));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ECREC_ERR_BUSY);
    ecrec_model_release(m);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_is_lost), cmocka_unit_test(model_files_and_journals), cmocka_unit_test(tails),
                                        cmocka_unit_test(every_call_fails), cmocka_unit_test(going_on), cmocka_unit_test(locked), cmocka_unit_test(killed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
