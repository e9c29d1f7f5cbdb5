/* Where a model's bytes come from: a mapped file, the host's memory, callbacks. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/context.h"
#include "base/error.h"
#include "model/file.h"

enum { MAPPED = 1, BORROWED = 2, OWNED = 3 };

const char *io_reason(int number)
{
    switch (number) {
    case ENOENT: return "no such file or folder";
    case EACCES: case EPERM: return "permission denied";
    case EISDIR: case ENOTEMPTY: case EBUSY: return "it is a folder";
    case ENOTDIR: return "a part of the path is not a folder";
    case ENOSPC: return "the disk is full";
    case EDQUOT: return "the disk quota is used up";
    case EROFS: return "the file system is read-only";
    case EMFILE: case ENFILE: return "too many open files";
    case ENAMETOOLONG: return "the name is too long";
    case ENOMEM: return "no memory";
    case EFBIG: return "the file would be too large";
    case EIO: return "the device failed";
    default: return "the system refused";
    }
}

static int32_t mapping_make(ecrec_context *context, int32_t kind, mapping **out, ecrec_error *err)
{
    mapping *map = memory_zero(&context->m, sizeof *map);
    if (map == NULL)
        return error_nomem(err, "a mapping", sizeof *map);
    atomic_init(&map->references, 1);
    map->m = &context->m;
    map->context = context;
    map->kind = kind;
    context_reference(context);
    *out = map;
    return ECREC_OK;
}

mapping *mapping_reference(mapping *map)
{
    if (map != NULL)
        atomic_fetch_add_explicit(&map->references, 1, memory_order_relaxed);
    return map;
}

void mapping_release(mapping *map)
{
    if (map == NULL || atomic_fetch_sub_explicit(&map->references, 1, memory_order_acq_rel) != 1)
        return;
    ecrec_context *context = map->context;
    void *bytes = (void *)(uintptr_t)map->data;
    if (map->kind == MAPPED && bytes != NULL)
        munmap(bytes, map->length);
    else if (map->kind == OWNED)
        memory_release(map->m, bytes, map->length);
    if (map->release != NULL)
        map->release(map->opaque);
    memory_release(map->m, map, sizeof *map);
    context_release(context);
}

int32_t mapping_open(ecrec_context *context, const char *path, mapping **out, ecrec_error *err)
{
    struct stat info;
    mapping *map = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(errno));
    int32_t status = ECREC_OK;
    if (fstat(file, &info) != 0)
        status = error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(errno));
    else if (!S_ISREG(info.st_mode))
        status = error_set(err, ECREC_ERR_IO, "%s: %s", path, S_ISDIR(info.st_mode) ? io_reason(EISDIR) : "it is not a regular file");
    else if ((uint64_t)info.st_size > SIZE_MAX)
        status = error_set(err, ECREC_ERR_LIMIT, "%s: too large for this machine", path);
    if (status == ECREC_OK)
        status = mapping_make(context, MAPPED, &map, err);
    if (status == ECREC_OK && info.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, file, 0);
        if (bytes == MAP_FAILED) {
            status = error_set(err, ECREC_ERR_IO, "%s: cannot be mapped: %s", path, io_reason(errno));
        } else {
            map->data = bytes;
            map->length = (size_t)info.st_size;
            (void)posix_madvise(bytes, map->length, POSIX_MADV_WILLNEED);
        }
    }
    close(file);
    if (status != ECREC_OK)
        mapping_release(map);
    else
        *out = map;
    return status;
}

int32_t mapping_memory(ecrec_context *context, const void *bytes, size_t length, void (*release)(void *), void *opaque,
                       mapping **out, ecrec_error *err)
{
    int aligned = ((uintptr_t)bytes & (MEMORY_ALIGNMENT - 1)) == 0;
    mapping *map = NULL;
    int32_t status = mapping_make(context, aligned ? BORROWED : OWNED, &map, err);
    if (status != ECREC_OK) {
        if (release != NULL)
            release(opaque);
        return status;
    }
    map->release = release;
    map->opaque = opaque;
    if (aligned) {
        map->data = bytes;
        map->length = length;
    } else if (length > 0) {
        void *copy = memory_allocate(map->m, length);
        if (copy == NULL) {
            mapping_release(map);
            return error_nomem(err, "a copy of the model", length);
        }
        memcpy(copy, bytes, length);
        map->data = copy;
        map->length = length;
    }
    *out = map;
    return ECREC_OK;
}

int32_t mapping_source(ecrec_context *context, const ecrec_source *source, mapping **out, ecrec_error *err)
{
    const size_t step = (size_t)1 << 22;
    mapping *map = NULL;
    if (source->length > SIZE_MAX / 2)
        return error_set(err, ECREC_ERR_LIMIT, "the source is too large for this machine");
    int32_t status = mapping_make(context, OWNED, &map, err);
    if (status != ECREC_OK)
        return status;
    size_t length = (size_t)source->length;
    unsigned char *bytes = length > 0 ? memory_allocate(map->m, length) : NULL;
    if (length > 0 && bytes == NULL) {
        mapping_release(map);
        return error_nomem(err, "the model", length);
    }
    map->data = bytes;
    map->length = length;
    for (size_t at = 0; at < length; at += step) {
        size_t n = length - at < step ? length - at : step;
        if (source->read(source->opaque, at, bytes + at, n) != 0) {
            mapping_release(map);
            return error_at(err, ECREC_ERR_IO, at, "the source could not be read at byte %zu", at);
        }
    }
    *out = map;
    return ECREC_OK;
}
