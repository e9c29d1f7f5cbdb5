/* The host's process: its rounding and denormal modes are used as they are and left as they were; a child after fork makes a
 * context of its own; another user of the library with more threads than cores changes no bit. */
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"
#include "tiny.h"

enum { ROWS = 5 };
static const char *const texts[ROWS] = { "red shoes running", "blue shirt", "warm old red", "", "shoes" };
static const size_t lengths[ROWS] = { 17, 10, 12, 0, 5 };
static ecrec_error err = ECREC_ERROR_INIT;

typedef struct user { ecrec_context *context; ecrec_model *model; float vectors[ROWS * TINY_HIDDEN]; } user;

static void encode(user *u)
{
    ecrec_error mine = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    if (ecrec_session_create(u->model, NULL, &session, &mine) != ECREC_OK ||
        ecrec_encode(u->model, session, texts, lengths, ROWS, NULL, u->vectors, TINY_HIDDEN, &mine) != ECREC_OK)
        memset(u->vectors, 0xFF, sizeof u->vectors);
    ecrec_session_release(session);
}

static void begin(user *u, uint32_t threads)
{
    u->context = context_with(threads, 0);
    u->model = NULL;
    CALL(ecrec_model_import(u->context, tiny_folder(), NULL, &u->model, NULL, &err));
}

static void end(user *u)
{
    ecrec_model_release(u->model);
    ecrec_context_release(u->context);
}

/* FTZ and DAZ on x86, FZ on AArch64. */
static unsigned long flush_mode(int set)
{
#if defined(__x86_64__)
    unsigned int mode;
    __asm__ volatile("stmxcsr %0" : "=m"(mode));
    if (set) {
        mode |= 0x8040;
        __asm__ volatile("ldmxcsr %0" : : "m"(mode));
    }
    return mode & 0xFFC0; /* without the flags of what has happened */
#elif defined(__aarch64__)
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    if (set) {
        mode |= 1ul << 24;
        __asm__ volatile("msr fpcr, %0" : : "r"(mode));
    }
    return mode;
#else
    (void)set;
    return 0;
#endif
}

static void modes(void **state)
{
    (void)state;
    static const int roundings[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    user u;
    fenv_t before;
    float usual[ROWS * TINY_HIDDEN];
    begin(&u, 1);
    encode(&u);
    memcpy(usual, u.vectors, sizeof usual);
    for (int i = 0; i < 8; i++) {
        fegetenv(&before);
        fesetround(roundings[i % 4]);
        const unsigned long mode = flush_mode(i >= 4);
        encode(&u);
        const int rounding = fegetround();
        const unsigned long after = flush_mode(0);
        fesetenv(&before);
        assert_int_equal(rounding, roundings[i % 4]);
        assert_int_equal(after, mode);
        for (size_t j = 0; j < ROWS * TINY_HIDDEN; j++)
            assert_true(fabsf(u.vectors[j] - usual[j]) < 1e-4f);
        if (i == 0)
            assert_memory_equal(u.vectors, usual, sizeof usual);
    }
    end(&u);
}

static void fork_after_creation(void **state)
{
    (void)state;
    user u;
    int code = -1;
    if (getenv("MESON_EXE_WRAPPER") != NULL) {
        print_message("skipped: an emulator cannot fork a process of several threads\n");
        skip();
    }
    begin(&u, 3);
    encode(&u);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* the pool's threads are not here: a new context */
        user mine;
        ecrec_error inner = ECREC_ERROR_INIT;
        ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
        options.threads = 2;
        mine.model = NULL;
        if (ecrec_context_create(&options, &mine.context, &inner) != ECREC_OK ||
            ecrec_model_import(mine.context, tiny_folder(), NULL, &mine.model, NULL, &inner) != ECREC_OK)
            _exit(1);
        encode(&mine);
        const int same = memcmp(mine.vectors, u.vectors, sizeof u.vectors) == 0;
        end(&mine);
        _exit(same ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
    encode(&u); /* the parent goes on */
    end(&u);
}

static void *other_user(void *argument)
{
    for (int i = 0; i < 20; i++)
        encode(argument);
    return NULL;
}

static void oversubscribed(void **state)
{
    (void)state;
    user users[3];
    pthread_t threads[3];
    float usual[ROWS * TINY_HIDDEN];
    for (int i = 0; i < 3; i++)
        begin(&users[i], 8);
    encode(&users[0]);
    memcpy(usual, users[0].vectors, sizeof usual);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, other_user, &users[i]), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(users[i].vectors, usual, sizeof usual);
        end(&users[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(modes), cmocka_unit_test(fork_after_creation), cmocka_unit_test(oversubscribed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
