/* A journal's or log's file in memory, for targets whose bytes are one. */
#ifndef ECREC_TESTS_FUZZ_MEMORY_FILE_H
#define ECREC_TESTS_FUZZ_MEMORY_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "model/journal.h"

/* A file in memory that takes every write. */
typedef struct file { unsigned char *bytes; size_t length; } file;

static int m_open(void *o, const char *path, int fresh)
{
    file *f = o;
    (void)path;
    if (fresh)
        f->length = 0;
    return 3;
}
static int64_t m_size(void *o, int n) { (void)n; return (int64_t)((file *)o)->length; }
static int64_t m_read(void *o, int n, void *b, size_t size, uint64_t at)
{
    const file *f = o;
    (void)n;
    if (at >= f->length)
        return 0;
    const size_t got = f->length - at < size ? (size_t)(f->length - at) : size;
    memcpy(b, f->bytes + at, got);
    return (int64_t)got;
}
static int64_t m_write(void *o, int n, const void *b, size_t size, uint64_t at)
{
    file *f = o;
    (void)n;
    if (at + size > f->length) {
        f->bytes = realloc(f->bytes, (size_t)at + size);
        PROMISE(f->bytes != NULL);
        f->length = (size_t)at + size;
    }
    memcpy(f->bytes + at, b, size);
    return (int64_t)size;
}
static int m_truncate(void *o, int n, uint64_t length) { (void)n; ((file *)o)->length = (size_t)length; return 0; }
static int m_sync(void *o, int n) { (void)o; (void)n; return 0; }
static int m_rename(void *o, const char *a, const char *b) { (void)o; (void)a; (void)b; return 0; }
static int m_folder(void *o, const char *p, char *w) { (void)o; (void)p; (void)w; return 1; }
static int32_t m_save(void *o, const parts *p, const char *path, ecrec_error *err) { (void)o; (void)p; (void)path; (void)err; return ECREC_OK; }
static void m_close(void *o, int n) { (void)o; (void)n; }

static journal_io in_memory(file *f)
{
    return (journal_io){ f, m_open, m_size, m_read, m_write, m_truncate, m_sync, m_sync, m_rename, m_folder, m_save, m_close };
}

#endif
