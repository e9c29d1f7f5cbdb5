#include "faulty.h"

#include <errno.h>

static int refuse(faulty *f)
{
    const uint64_t n = ++f->count;
    if (f->fail_at == 0 || (f->for_ever ? n < f->fail_at : n != f->fail_at))
        return 0;
    errno = f->number;
    return 1;
}

static int f_open(void *o, const char *path, int fresh) { return refuse(o) ? -1 : journal_files.open(NULL, path, fresh); }
static int64_t f_size(void *o, int file) { return refuse(o) ? -1 : journal_files.size(NULL, file); }
static int64_t f_read(void *o, int file, void *b, size_t n, uint64_t at) { return refuse(o) ? -1 : journal_files.read(NULL, file, b, n, at); }
static int64_t f_write(void *o, int file, const void *b, size_t n, uint64_t at)
{
    faulty *f = o;
    if (!refuse(f))
        return journal_files.write(NULL, file, b, f->shorten && n > 100 ? n / 3 : n, at); /* in pieces */
    if (f->shorten)
        (void)journal_files.write(NULL, file, b, n / 2, at);
    return -1;
}
static int f_truncate(void *o, int file, uint64_t n) { return refuse(o) ? -1 : journal_files.truncate(NULL, file, n); }
static int f_sync(void *o, int file) { return refuse(o) ? -1 : journal_files.sync(NULL, file); }
static int f_lock(void *o, int file) { return refuse(o) ? -1 : journal_files.lock(NULL, file); }
static int f_rename(void *o, const char *a, const char *b) { return refuse(o) ? -1 : journal_files.rename(NULL, a, b); }
static int f_folder(void *o, const char *path, char *work) { return refuse(o) ? 0 : journal_files.sync_folder(NULL, path, work); }
static int32_t f_save(void *o, const struct parts *p, const char *path, ecrec_error *err)
{
    return refuse(o) ? ECREC_ERR_IO : journal_files.save(NULL, p, path, err);
}
static void f_close(void *o, int file) { (void)o; journal_files.close(NULL, file); }

journal_io faulty_io(faulty *f)
{
    return (journal_io){ f, f_open, f_size, f_read, f_write, f_truncate, f_sync, f_lock, f_rename, f_folder, f_save, f_close };
}
