/* Writing a model file: everything is laid out first, then written from front to back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdio.h> /* rename */

#include "base/error.h"
#include "base/format.h"
#include "base/sort.h"
#include "model/section.h"

typedef struct piece {
    section s;
    const void *bytes;      /* as they go into the file */
    unsigned char *owned;   /* to release */
    size_t owned_size;
} piece;

typedef struct layout {
    memory *m;
    ecrec_error *err;
    piece *pieces;
    size_t count, capacity;
} layout;

static int32_t add(layout *l, piece p, const char *name)
{
    if (strlen(name) > MOST_SECTION_NAME)
        return error_set(l->err, ECREC_ERR_LIMIT, "the name \"%s\" is too long for a model file", name);
    if (l->count == l->capacity) {
        size_t capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
        piece *grown = memory_grow(l->m, l->pieces, l->capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return error_nomem(l->err, "the layout of a model file", capacity * sizeof *grown);
        l->pieces = grown;
        l->capacity = capacity;
    }
    memcpy(p.s.name, name, strlen(name) + 1);
    l->pieces[l->count++] = p;
    return ECREC_OK;
}

static int32_t add_raw(layout *l, const char *name, section s, const void *bytes, size_t length)
{
    s.codec = CODEC_RAW;
    s.stored = s.raw = length;
    return add(l, (piece){ .s = s, .bytes = bytes }, name);
}

static int32_t add_packed(layout *l, const char *name, section s, const void *bytes, size_t length)
{
    piece p = { .s = s };
    size_t stored = 0;
    if (pack_bytes(l->m, bytes, length, &p.owned, &stored, &p.owned_size) != ECREC_OK)
        return error_nomem(l->err, name, length);
    p.bytes = p.owned;
    p.s.codec = CODEC_ZSTD;
    p.s.stored = stored;
    p.s.raw = length;
    int32_t status = add(l, p, name);
    if (status != ECREC_OK)
        memory_release(l->m, p.owned, p.owned_size);
    return status;
}

static int all_zero(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return 0;
    return 1;
}

/* The chunks that are not all zeros, each behind its index. */
static int32_t add_chunks(layout *l, const char *name, section s, const tensor *t)
{
    buffer b;
    buffer_init(&b, l->m);
    uint64_t count = 0;
    size_t size = (size_t)(t->rows_per_chunk * t->row_bytes);
    int32_t status = write_u64(&b, 0);
    for (uint64_t i = 0; i < t->chunk_count && status == ECREC_OK; i++) {
        const void *rows = tensor_row(t, i << t->chunk_shift);
        if (rows == NULL) {
            if (t->blocks[i / CHUNK_BLOCK] == NULL)
                i |= CHUNK_BLOCK - 1;
            continue;
        }
        if (all_zero(rows, size))
            continue;
        count++;
        status = write_u64(&b, i);
        if (status == ECREC_OK)
            status = buffer_append(&b, rows, size);
    }
    if (status == ECREC_OK) {
        for (size_t i = 0; i < 8; i++)
            b.data[i] = (unsigned char)(count >> (8 * i));
        s.rows_per_chunk = t->rows_per_chunk;
        status = add_packed(l, name, s, b.data, b.length);
    } else {
        status = error_nomem(l->err, name, 0);
    }
    buffer_release(&b);
    return status;
}

static int32_t add_tensor(layout *l, const char *name, const tensor *t)
{
    section s = { .kind = SECTION_TENSOR, .flags = SECTION_REQUIRED, .type = t->type, .layout = t->layout, .rank = t->rank };
    for (int32_t d = 0; d < t->rank; d++)
        s.shape[d] = t->shape[d];
    return t->layout == LAYOUT_CHUNKS ? add_chunks(l, name, s, t) : add_raw(l, name, s, t->data, t->bytes);
}

static int32_t lay_out(layout *l, const parts *p)
{
    buffer settings;
    buffer_init(&settings, l->m);
    int32_t status = properties_write(p->settings, &settings) == ECREC_OK ? ECREC_OK : error_nomem(l->err, "the settings", 0);
    if (status == ECREC_OK)
        status = add_packed(l, "settings", (section){ .kind = SECTION_SETTINGS, .flags = SECTION_REQUIRED }, settings.data, settings.length);
    buffer_release(&settings);
    for (size_t i = 0; i < p->blob_count && status == ECREC_OK; i++) {
        const blob *b = &p->blobs[i];
        section s = { .kind = b->kind != 0 ? b->kind : SECTION_BLOB, .flags = b->required ? SECTION_REQUIRED : 0 };
        status = b->raw ? add_raw(l, b->name, s, b->data, b->length) : add_packed(l, b->name, s, b->data, b->length);
    }
    for (size_t i = 0; i < tensor_set_count(p->tensors) && status == ECREC_OK; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(p->tensors, i, &name);
        status = add_tensor(l, name, t);
    }
    return status;
}

static int by_name(const void *a, const void *b, void *opaque)
{
    (void)opaque;
    return strcmp(((const piece *)a)->s.name, ((const piece *)b)->s.name);
}

static uint64_t aligned(uint64_t n)
{
    return (n + FILE_ALIGNMENT - 1) / FILE_ALIGNMENT * FILE_ALIGNMENT;
}

/* Offsets, checksums and the directory's bytes; the directory follows the header. */
static int32_t make_directory(layout *l, buffer *directory, uint64_t *whole)
{
    uint64_t length = 4;
    sort_items(l->pieces, l->count, sizeof *l->pieces, by_name, NULL);
    for (size_t i = 0; i < l->count; i++)
        length += 4 + strlen(l->pieces[i].s.name) + 6 * 4 + 9 * 8;
    uint64_t at = aligned(FILE_HEADER + length);
    for (size_t i = 0; i < l->count; i++) {
        piece *p = &l->pieces[i];
        p->s.offset = at;
        p->s.checksum = hash64(p->bytes, (size_t)p->s.stored, 0);
        at = aligned(at + p->s.stored);
    }
    *whole = at;
    int32_t status = write_u32(directory, (uint32_t)l->count);
    for (size_t i = 0; i < l->count && status == ECREC_OK; i++)
        status = section_write(directory, &l->pieces[i].s);
    return status == ECREC_OK ? ECREC_OK : error_nomem(l->err, "the directory", (size_t)length);
}

static int32_t make_header(const parts *p, const buffer *directory, uint64_t whole, buffer *header, ecrec_error *err)
{
    int32_t status = buffer_append(header, FILE_MAGIC, 8);
    if (status == ECREC_OK)
        status = buffer_reserve(header, FILE_HEADER);
    if (status != ECREC_OK)
        return error_nomem(err, "the header", FILE_HEADER);
    write_u16(header, FILE_MAJOR);
    write_u16(header, FILE_MINOR);
    write_u32(header, FILE_HEADER);
    write_u64(header, whole);
    write_u64(header, FILE_HEADER);
    write_u64(header, directory->length);
    write_u64(header, hash64(directory->data, directory->length, 0));
    write_u64(header, p->sequence);
    write_u64(header, hash64(header->data, header->length, 0));
    return ECREC_OK;
}

typedef struct output {
    const ecrec_sink *sink;
    uint64_t at;
    int failed;
} output;

static void put(output *o, const void *bytes, size_t n)
{
    if (n > 0 && !o->failed)
        o->failed = o->sink->write(o->sink->opaque, bytes, n) != 0;
    o->at += n;
}

static void pad(output *o)
{
    static const unsigned char zeros[FILE_ALIGNMENT] = { 0 };
    put(o, zeros, (size_t)(aligned(o->at) - o->at));
}

int32_t file_write(const parts *p, const ecrec_sink *sink, ecrec_error *err)
{
    layout l = { .m = p->m, .err = err };
    buffer directory, header;
    uint64_t whole = 0;
    buffer_init(&directory, p->m);
    buffer_init(&header, p->m);
    int32_t status = lay_out(&l, p);
    if (status == ECREC_OK)
        status = make_directory(&l, &directory, &whole);
    if (status == ECREC_OK)
        status = make_header(p, &directory, whole, &header, err);
    if (status == ECREC_OK) {
        output o = { sink, 0, 0 };
        put(&o, header.data, header.length);
        put(&o, directory.data, directory.length);
        for (size_t i = 0; i < l.count; i++) {
            pad(&o);
            put(&o, l.pieces[i].bytes, (size_t)l.pieces[i].s.stored);
        }
        pad(&o);
        if (o.failed)
            status = error_set(err, ECREC_ERR_IO, "the model could not be written");
    }
    for (size_t i = 0; i < l.count; i++)
        memory_release(l.m, l.pieces[i].owned, l.pieces[i].owned_size);
    memory_release(l.m, l.pieces, l.capacity * sizeof *l.pieces);
    buffer_release(&directory);
    buffer_release(&header);
    return status;
}

/* ---- saving to a path ---- */

typedef struct target {
    int file, error;
} target;

static int32_t write_file(void *opaque, const void *bytes, size_t length)
{
    target *t = opaque;
    const unsigned char *p = bytes;
    while (length > 0) {
        ssize_t n = write(t->file, p, length < ((size_t)1 << 30) ? length : (size_t)1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->error = n < 0 ? errno : EIO;
            return 1;
        }
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

/* A new file beside `path`; its name goes to `temporary`. */
static int open_beside(const char *path, char *temporary, size_t capacity)
{
    for (unsigned attempt = 0; attempt < 10000; attempt++) {
        size_t length = strlen(path); /* the path's bytes as they are: format_text would escape some */
        memcpy(temporary, path, length);
        format_text(temporary + length, capacity - length, ".part-%lld-%u", (long long)getpid(), attempt);
        int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* The rename itself must reach the disk too. */
int file_sync_folder(const char *path, char *work)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash != NULL ? (size_t)(slash - path) : 0;
    memcpy(work, slash == NULL ? "." : path, n > 0 ? n : 1);
    work[n > 0 ? n : 1] = 0;
    int folder = open(work, O_RDONLY | O_CLOEXEC);
    if (folder < 0)
        return 0; /* a folder that may be written but not read: nothing more can be done */
    int ok = fsync(folder) == 0 || errno == EINVAL;
    close(folder);
    return ok;
}

int32_t file_save(const parts *p, const char *path, ecrec_error *err)
{
    size_t capacity = strlen(path) + 64;
    char *temporary = memory_allocate(p->m, capacity);
    if (temporary == NULL)
        return error_nomem(err, "a file name", capacity);
    target t = { open_beside(path, temporary, capacity), 0 };
    int32_t status = ECREC_OK;
    if (t.file < 0) {
        status = error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(errno));
        memory_release(p->m, temporary, capacity);
        return status;
    }
    const ecrec_sink sink = { sizeof sink, 0, &t, write_file };
    status = file_write(p, &sink, err);
    if (status == ECREC_ERR_IO)
        error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(t.error));
    if (status == ECREC_OK && fsync(t.file) != 0)
        status = error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(errno));
    if (close(t.file) != 0 && status == ECREC_OK)
        status = error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(errno));
    if (status == ECREC_OK && rename(temporary, path) != 0)
        status = error_set(err, ECREC_ERR_IO, "%s: %s", path, io_reason(errno));
    if (status != ECREC_OK)
        (void)unlink(temporary);
    else if (!file_sync_folder(path, temporary))
        status = error_set(err, ECREC_ERR_IO, "%s is written, but its folder could not be synced", path);
    memory_release(p->m, temporary, capacity);
    return status;
}
