#define _GNU_SOURCE
#include "support.h"

#include <locale.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A host with a locale of its own, for runs under one that writes 0,5: numbers must be read and printed the same. */
__attribute__((constructor)) static void take_locale(void)
{
    const char *name = getenv("ECREC_LOCALE");
    if (name != NULL && (setlocale(LC_ALL, name) == NULL || strcmp(localeconv()->decimal_point, ",") != 0)) {
        fprintf(stderr, "the locale %s is not there or has no decimal comma\n", name);
        abort();
    }
}

static const char *existing(const char *base, const char *relative)
{
    static char paths[4][4096];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    struct stat info;
    snprintf(path, sizeof paths[0], "%s/%s", base, relative);
    return stat(path, &info) == 0 ? path : NULL;
}

int data_required(void)
{
    const char *value = getenv("ECREC_REQUIRE_DATA");
    return value != NULL && strcmp(value, "1") == 0;
}

const char *data_path(const char *relative)
{
    const char *base = getenv("ECREC_DATA");
    return base != NULL ? existing(base, relative) : NULL;
}

const char *model_path(const char *folder)
{
    const char *base = getenv("ECREC_MODELS"), *home = getenv("HOME");
    char usual[2048];
    snprintf(usual, sizeof usual, "%s/.cache/ecrec-models", home != NULL ? home : "");
    return existing(base != NULL ? base : usual, folder);
}

char *read_file(const char *path, size_t *length)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    if (f == NULL)
        fail_msg("%s cannot be read", path);
    for (;;) {
        const size_t got = fread(text + n, 1, capacity - n - 1, f);
        n += got;
        if (got == 0)
            break;
        if (capacity - n < 2)
            text = realloc(text, capacity *= 2);
    }
    fclose(f);
    text[n] = 0;
    if (length != NULL)
        *length = n;
    return text;
}

float *read_npy(const char *path, size_t shape[4], int *rank)
{
    size_t n = 0, count = 1;
    unsigned char *bytes = (unsigned char *)read_file(path, &n);
    const size_t header = 10 + bytes[8] + 256u * bytes[9];
    char *text = strstr((char *)bytes + 10, "'shape': (");
    assert_non_null(strstr((char *)bytes + 10, "<f4"));
    assert_non_null(text);
    *rank = 0;
    for (text += 10; *text != ')';) {
        shape[*rank] = strtoul(text, &text, 10);
        count *= shape[(*rank)++];
        while (*text == ',' || *text == ' ')
            text++;
    }
    assert_int_equal(n, header + count * sizeof(float));
    float *out = malloc(count * sizeof(float));
    memcpy(out, bytes + header, count * sizeof(float));
    free(bytes);
    return out;
}

ecrec_context *context_with(uint32_t threads, uint32_t cpu_mask)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    options.threads = threads;
    options.cpu_mask = cpu_mask;
    CALL(ecrec_context_create(&options, &context, &err));
    return context;
}

ecrec_model *imported(ecrec_context *context, const char *folder)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    const char *path = model_path(folder);
    if (path == NULL)
        return NULL;
    CALL(ecrec_model_import(context, path, NULL, &model, NULL, &err));
    return model;
}

static char folder[256];

static void remove_folder(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", folder);
}

const char *temporary(const char *name)
{
    static char paths[8][512];
    static unsigned turn;
    if (folder[0] == 0) {
        const char *base = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%.200s/ecrec-test-XXXXXX", base != NULL ? base : "/tmp");
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
    }
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Each block knows its size, to check what is given back. */
static void *fault_allocate(void *opaque, size_t size, size_t alignment)
{
    fault_allocator *f = opaque;
    const uint64_t number = __atomic_add_fetch(&f->count, 1, __ATOMIC_RELAXED);
    if (f->fail_at != 0 && (number == f->fail_at || (f->for_ever && number > f->fail_at)))
        return NULL;
    if (alignment > 64 || (alignment & (alignment - 1)) != 0)
        f->wrong = 1;
    unsigned char *block = NULL;
    if (size > SIZE_MAX - 128 || posix_memalign((void **)&block, 64, size + 64) != 0)
        return NULL;
    memcpy(block, &size, sizeof size);
    memset(block + 64, 0xA5, size < 4096 ? size : 4096);
    __atomic_add_fetch(&f->live_blocks, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&f->live_bytes, (int64_t)size, __ATOMIC_RELAXED);
    return block + 64;
}

static void fault_release(void *opaque, void *pointer, size_t size, size_t alignment)
{
    fault_allocator *f = opaque;
    size_t own = 0;
    (void)alignment;
    memcpy(&own, (unsigned char *)pointer - 64, sizeof own);
    if (own != size)
        f->wrong = 1;
    __atomic_sub_fetch(&f->live_blocks, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&f->live_bytes, (int64_t)own, __ATOMIC_RELAXED);
    free((unsigned char *)pointer - 64);
}

ecrec_allocator fault_hooks(fault_allocator *f)
{
    ecrec_allocator a = { (uint32_t)sizeof a, 0, f, fault_allocate, NULL, fault_release };
    return a;
}
