/* A writer is killed at a random moment: the file is the old one or the new one, and it loads. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"
#include "tiny.h"

enum { KILLS = 200, MOST_WAIT = 4000 /* microseconds */ };

static unsigned random_below(unsigned n)
{
    static unsigned state = 12345;
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

/* Saves the two models in turn until it is killed. */
static pid_t start_writer(ecrec_model *const models[2], const char *path)
{
    const pid_t child = fork();
    if (child == 0)
        for (int k = 0;; k++)
            if (ecrec_model_save(models[k % 2], path, NULL) != ECREC_OK)
                _exit(1);
    assert_true(child > 0);
    return child;
}

static void killed_writer(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    char path[1024], *whole[2];
    size_t lengths[2], changed = 0;
    uint32_t most = MOST_WAIT;
    (void)unused;
    snprintf(path, sizeof path, "%s", temporary("atomic.ecrec"));
    ecrec_context *context = context_with(1, 0);
    ecrec_model *models[2] = { NULL, NULL };
    ecrec_prune_options smaller = ECREC_PRUNE_OPTIONS_INIT;
    smaller.feed_forward = 0.5;
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &models[0], NULL, &err));
    CALL(ecrec_prune(models[0], &smaller, &models[1], NULL, &err));
    for (int i = 0; i < 2; i++) {
        CALL(ecrec_model_save(models[i], path, &err));
        whole[i] = read_file(path, &lengths[i]);
    }
    for (int i = 0; i < KILLS; i++) {
        int status = 0;
        size_t n = 0;
        ecrec_model *again = NULL;
        const pid_t child = start_writer(models, path);
        usleep(random_below(most));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it did not end by itself: no save has failed */
        char *now = read_file(path, &n);
        const int which = n == lengths[0] && memcmp(now, whole[0], n) == 0 ? 0 : 1;
        assert_int_equal(n, lengths[which]);
        assert_memory_equal(now, whole[which], n);
        free(now);
        CALL(ecrec_model_load(context, path, NULL, &again, &err));
        ecrec_model_release(again);
        changed += which == 0;
        if (i % 20 == 19 && (changed == 0 || changed == (size_t)i + 1) && most < 400000)
            most *= 2; /* a busy machine: a save takes longer than the longest wait */
    }
    print_message("killed %d times: %zu times the one file, %zu times the other\n", KILLS, changed, KILLS - changed);
    assert_true(changed > 0 && changed < KILLS); /* else the moments were all alike */
    for (int i = 0; i < 2; i++) {
        free(whole[i]);
        ecrec_model_release(models[i]);
    }
    ecrec_context_release(context);
}

/* A save that fails leaves the old file and nothing beside it. */
static void failed_save(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    (void)unused;
    ecrec_context *context = context_with(1, 0);
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &model, NULL, &err));
    REFUSED(ECREC_ERR_IO, ecrec_model_save(model, temporary("no/such/folder.ecrec"), &err));
    REFUSED(ECREC_ERR_IO, ecrec_model_save(model, "/dev/full/x", &err));
    REFUSED(ECREC_ERR_IO, ecrec_model_save(model, temporary(""), &err)); /* a folder */
    ecrec_model_release(model);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(killed_writer), cmocka_unit_test(failed_save) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
