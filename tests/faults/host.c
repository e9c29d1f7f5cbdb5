/* The host's process is sacred: the whole path runs with a host allocator while the C library's refuses every request (only a
 * thread that the host asked for may need it); nothing is printed, and floating-point modes, signals, environment, folder,
 * open files and threads are as they were. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"
#include "tiny.h"

/* ---- the C library's allocator, which can be told to refuse ---- */

static _Atomic int refusing, refused;

#ifdef INTERPOSE
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
static int no(void)
{
    if (!refusing)
        return 0;
    refused++;
    errno = ENOMEM;
    return 1;
}
void *malloc(size_t n) { return no() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return no() ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return no() ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return no() ? NULL : __libc_memalign(a, n); }
void *memalign(size_t a, size_t n) { return no() ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **out, size_t a, size_t n)
{
    if (no())
        return ENOMEM;
    *out = __libc_memalign(a, n);
    return *out != NULL ? 0 : ENOMEM;
}
#endif

/* ---- a host's allocator over pages of its own; it never gives back ---- */

enum { ARENA = 256 << 20 };
typedef struct host { unsigned char *base; size_t used; } host;

static void *host_allocate(void *opaque, size_t size, size_t alignment)
{
    host *h = opaque;
    const size_t at = (h->used + alignment - 1) / alignment * alignment;
    if (size > ARENA - at)
        return NULL;
    h->used = at + size;
    return h->base + at;
}

static void host_release(void *opaque, void *block, size_t size, size_t alignment)
{
    (void)opaque;
    (void)block;
    (void)size;
    (void)alignment;
}

/* ---- the whole path ---- */

enum { ROWS = 4 };
static const char *const texts[ROWS] = { "red shoes running", "blue shirt", "warm old", "" };
static const size_t lengths[ROWS] = { 17, 10, 8, 0 };

/* The step that failed, or NULL. No cmocka in here: it allocates. */
static const char *path(host *h, const char *folder, const char *file, ecrec_error *err)
{
    static const char json[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"text\",\"word_ngrams\":1},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    static const float labels[ROWS] = { 1, 0, 1, 0 };
    const ecrec_allocator hooks = { (uint32_t)sizeof hooks, 0, h, host_allocate, NULL, host_release };
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_prune_options smaller = ECREC_PRUNE_OPTIONS_INIT;
    ecrec_quantize_options small = ECREC_QUANTIZE_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_model *base = NULL, *pruned = NULL, *quantized = NULL, *ranker = NULL, *again = NULL;
    ecrec_session *session = NULL, *ranking = NULL;
    ecrec_schema *schema = NULL;
    ecrec_batch *batch = NULL;
    ecrec_report *report = NULL;
    float vectors[ROWS * TINY_HIDDEN], scores[ROWS];
    options.allocator = &hooks;
    smaller.heads = 0.5;
    smaller.texts = small.texts = texts;
    smaller.lengths = small.lengths = lengths;
    smaller.count = small.count = ROWS;
#define STEP(call) do { if ((call) != ECREC_OK) return #call; } while (0)
    STEP(ecrec_context_create(&options, &context, err));
    STEP(ecrec_model_import(context, folder, NULL, &base, &report, err));
    STEP(ecrec_session_create(base, NULL, &session, err));
    STEP(ecrec_encode(base, session, texts, lengths, ROWS, NULL, vectors, TINY_HIDDEN, err));
    STEP(ecrec_prune(base, &smaller, &pruned, NULL, err));
    STEP(ecrec_quantize(base, &small, &quantized, NULL, err));
    STEP(ecrec_schema_parse(context, json, sizeof json - 1, &schema, err));
    STEP(ecrec_ranker_create(context, quantized, schema, &ranker, err));
    STEP(ecrec_batch_create(schema, &batch, err));
    STEP(ecrec_batch_reset(batch, ROWS, err));
    STEP(ecrec_batch_set_text(batch, 0, texts, lengths, err));
    STEP(ecrec_batch_set_label(batch, 0, labels, NULL, err));
    STEP(ecrec_update(ranker, batch, NULL, NULL, err));
    STEP(ecrec_model_save(ranker, file, err));
    STEP(ecrec_model_load(context, file, NULL, &again, err));
    STEP(ecrec_session_create(again, NULL, &ranking, err));
    STEP(ecrec_score(again, ranking, batch, NULL, scores, ROWS, err));
#undef STEP
    ecrec_report_release(report);
    ecrec_session_release(session);
    ecrec_session_release(ranking);
    ecrec_batch_release(batch);
    ecrec_schema_release(schema);
    ecrec_model_release(again);
    ecrec_model_release(ranker);
    ecrec_model_release(quantized);
    ecrec_model_release(pruned);
    ecrec_model_release(base);
    ecrec_context_release(context);
    return NULL;
}

/* ---- what must stay ---- */

extern char **environ;

typedef struct process {
    int rounding, files, threads;
    unsigned control; /* MXCSR without its sticky flags */
    mode_t mask;
    uint64_t environment;
    char folder[4096];
    struct sigaction actions[32];
    sigset_t blocked;
} process;

static int entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

static unsigned control_word(void)
{
#if defined(__x86_64__)
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value & ~63u;
#else
    return 0;
#endif
}

static void look(process *p)
{
    memset(p, 0, sizeof *p);
    p->rounding = fegetround();
    p->control = control_word();
    p->files = entries("/proc/self/fd");
    p->threads = entries("/proc/self/task");
    p->mask = umask(0);
    (void)umask(p->mask);
    p->environment = 1469598103934665603u;
    for (char **e = environ; *e != NULL; e++)
        for (const char *c = *e; *c != 0; c++)
            p->environment = (p->environment ^ (unsigned char)*c) * 1099511628211u;
    assert_non_null(getcwd(p->folder, sizeof p->folder));
    for (int s = 1; s < 32; s++)
        (void)sigaction(s, NULL, &p->actions[s]);
    (void)sigprocmask(SIG_SETMASK, NULL, &p->blocked);
}

static void compare(const process *a, const process *b)
{
    assert_int_equal(a->rounding, b->rounding);
    assert_int_equal(a->control, b->control);
    assert_int_equal(a->files, b->files);
    assert_int_equal(a->threads, b->threads);
    assert_int_equal(a->mask, b->mask);
    assert_true(a->environment == b->environment);
    assert_string_equal(a->folder, b->folder);
    for (int s = 1; s < 32; s++)
        assert_true(a->actions[s].sa_handler == b->actions[s].sa_handler && a->actions[s].sa_flags == b->actions[s].sa_flags);
    assert_memory_equal(&a->blocked, &b->blocked, sizeof a->blocked);
}

static void nothing_but_the_hosts_memory(void **unused)
{
    host h = { mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0 };
    ecrec_error err = ECREC_ERROR_INIT;
    char folder[512], file[512];
    (void)unused;
    assert_true(h.base != MAP_FAILED);
    snprintf(folder, sizeof folder, "%s", tiny_folder());
    snprintf(file, sizeof file, "%s", temporary("host.ecrec"));
    refusing = 1;
    const char *failed = path(&h, folder, file, &err);
    refusing = 0;
    if (failed != NULL)
        fail_msg("%s: %s", failed, err.message);
    assert_in_range(refused, 0, 1); /* 1: whether malloc has room for BLIS, where BLIS knows the processor; it had not, and nothing more was asked */
    assert_true(h.used > 0);
    munmap(h.base, ARENA);
}

static void the_process_is_as_it_was(void **unused)
{
    static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    static process before, after;
    char output[512];
    (void)unused;
    snprintf(output, sizeof output, "%s", temporary("output"));
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        host h = { mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0 };
        ecrec_error err = ECREC_ERROR_INIT;
        struct stat written;
        fflush(NULL);
        const int sink = open(output, O_CREAT | O_TRUNC | O_WRONLY, 0600), out = dup(1), error = dup(2);
        assert_true(h.base != MAP_FAILED && sink >= 0 && out >= 0 && error >= 0);
        dup2(sink, 1);
        dup2(sink, 2);
        assert_int_equal(fesetround(modes[i]), 0);
        look(&before);
        const char *failed = path(&h, tiny_folder(), temporary("host.ecrec"), &err);
        look(&after);
        assert_int_equal(fesetround(FE_TONEAREST), 0);
        fflush(NULL);
        assert_int_equal(fstat(sink, &written), 0);
        dup2(out, 1);
        dup2(error, 2);
        close(sink);
        close(out);
        close(error);
        munmap(h.base, ARENA);
        if (failed != NULL)
            fail_msg("%s: %s", failed, err.message);
        assert_int_equal(written.st_size, 0);
        compare(&before, &after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef INTERPOSE
        cmocka_unit_test(nothing_but_the_hosts_memory), /* first: a library that initialises itself once does so here */
#endif
        cmocka_unit_test(the_process_is_as_it_was),
    };
    (void)nothing_but_the_hosts_memory;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
