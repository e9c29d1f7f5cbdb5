/* The journal on a real file system. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdio.h> /* rename */
#include <sys/stat.h>
#include <unistd.h>

#include "model/file.h"
#include "model/journal.h"

static int open_file(void *opaque, const char *path, int fresh)
{
    struct stat info;
    (void)opaque;
    const int file = open(path, O_RDWR | O_CLOEXEC | (fresh ? O_CREAT | O_TRUNC : 0), 0666);
    if (file >= 0 && fstat(file, &info) == 0 && !S_ISREG(info.st_mode)) {
        close(file);
        errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
    return file;
}

static int64_t size_of(void *opaque, int file)
{
    struct stat info;
    (void)opaque;
    return fstat(file, &info) == 0 ? (int64_t)info.st_size : -1;
}

static int64_t read_at(void *opaque, int file, void *bytes, size_t n, uint64_t at)
{
    (void)opaque;
    return pread(file, bytes, n < (1u << 30) ? n : 1u << 30, (off_t)at);
}

static int64_t write_at(void *opaque, int file, const void *bytes, size_t n, uint64_t at)
{
    (void)opaque;
    return pwrite(file, bytes, n < (1u << 30) ? n : 1u << 30, (off_t)at);
}

static int cut(void *opaque, int file, uint64_t length)
{
    (void)opaque;
    return ftruncate(file, (off_t)length);
}

static int sync_file(void *opaque, int file)
{
    (void)opaque;
    return fsync(file);
}

/* For this process; gone when it closes the file or ends. */
static int lock_file(void *opaque, int file)
{
    struct flock whole;
    (void)opaque;
    memset(&whole, 0, sizeof whole);
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return fcntl(file, F_SETLK, &whole) == -1 ? -1 : 0;
}

static int rename_file(void *opaque, const char *from, const char *to)
{
    (void)opaque;
    return rename(from, to);
}

static int sync_parent(void *opaque, const char *path, char *work)
{
    (void)opaque;
    return file_sync_folder(path, work);
}

static int32_t save(void *opaque, const parts *p, const char *path, ecrec_error *err)
{
    (void)opaque;
    return file_save(p, path, err);
}

static void close_file(void *opaque, int file)
{
    (void)opaque;
    close(file);
}

const journal_io journal_files = { NULL, open_file, size_of, read_at, write_at, cut, sync_file, lock_file, rename_file, sync_parent, save, close_file };
