/* Reading a model file: nothing in it is believed before it is checked. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/sort.h"
#include "model/section.h"

typedef struct extent {
    uint64_t begin, end;
    size_t index;
} extent;

typedef struct file {
    mapping *map;
    memory *m;
    ecrec_error *err;
    section *sections;
    size_t count;
    uint64_t sequence, directory_end;
    int verify;
    uint64_t unpacked, unpacked_most; /* bytes that frames declare, against the bound */
    uint64_t tables;                  /* bytes of chunked tables, against the same bound again */
    parts *p;
} file;

static int32_t bad(file *f, uint64_t position, const char *what)
{
    return error_at(f->err, ECREC_ERR_FORMAT, position, "not a model file that can be used: %s (at byte %llu)", what,
                    (unsigned long long)position);
}

static int32_t bad_section(file *f, const section *s, const char *what)
{
    return error_at(f->err, ECREC_ERR_FORMAT, s->offset, "model file: section \"%s\" %s (at byte %llu)", s->name, what,
                    (unsigned long long)s->offset);
}

/* ---- header and directory ---- */

static int32_t read_header(file *f, uint64_t *offset, uint64_t *length)
{
    reader r;
    if (f->map->length < FILE_HEADER)
        return bad(f, f->map->length, f->map->length == 0 ? "it is empty" : "it is shorter than its header");
    reader_init(&r, f->map->data, FILE_HEADER);
    if (memcmp(read_bytes(&r, 8), FILE_MAGIC, 8) != 0)
        return bad(f, 0, "it does not begin like one");
    uint16_t major = read_u16(&r), minor = read_u16(&r);
    uint32_t header = read_u32(&r);
    uint64_t whole = read_u64(&r);
    *offset = read_u64(&r);
    *length = read_u64(&r);
    uint64_t checksum = read_u64(&r);
    f->sequence = read_u64(&r);
    (void)minor;
    if (read_u64(&r) != hash64(f->map->data, FILE_HEADER - 8, 0))
        return bad(f, FILE_HEADER - 8, "the header's checksum is wrong");
    if (major != FILE_MAJOR)
        return error_set(f->err, ECREC_ERR_UNSUPPORTED, "the model file has version %u, this library reads version %d", major, FILE_MAJOR);
    if (header != FILE_HEADER)
        return bad(f, 12, "the header's size is wrong");
    if (whole != f->map->length)
        return error_at(f->err, ECREC_ERR_FORMAT, f->map->length, "the model file has %zu bytes, its header says %llu: it is %s",
                        f->map->length, (unsigned long long)whole, f->map->length < whole ? "cut off" : "longer than it was written");
    if (*offset < FILE_HEADER || *offset > whole || *length > whole - *offset)
        return bad(f, 24, "the directory lies outside the file");
    if (hash64(f->map->data + *offset, (size_t)*length, 0) != checksum)
        return bad(f, *offset, "the directory's checksum is wrong");
    f->directory_end = *offset + *length;
    return ECREC_OK;
}

static int32_t check_section(file *f, const section *s)
{
    if (s->codec != CODEC_RAW && s->codec != CODEC_ZSTD)
        return error_at(f->err, ECREC_ERR_UNSUPPORTED, s->offset, "model file: section \"%s\" has the unknown codec %u", s->name, s->codec);
    if (s->offset % FILE_ALIGNMENT != 0)
        return bad_section(f, s, "is not aligned");
    if (s->offset < FILE_HEADER || s->offset > f->map->length || s->stored > f->map->length - s->offset)
        return bad_section(f, s, "lies outside the file");
    if (s->codec == CODEC_RAW && s->raw != s->stored)
        return bad_section(f, s, "has two lengths");
    if (s->codec == CODEC_ZSTD) {
        if (s->raw > f->unpacked_most - f->unpacked)
            return bad_section(f, s, "would unpack to more than its file may");
        f->unpacked += s->raw;
    }
    if (s->rank < 0 || s->rank > TENSOR_MAX_RANK)
        return bad_section(f, s, "has an impossible rank");
    return ECREC_OK;
}

static int by_begin(const void *a, const void *b, void *opaque)
{
    const extent *x = a, *y = b;
    (void)opaque;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int32_t check_overlap(file *f, uint64_t directory, uint64_t directory_length)
{
    size_t n = f->count + 1, bytes = n * sizeof(extent);
    extent *e = memory_allocate(f->m, bytes);
    int32_t status = ECREC_OK;
    if (e == NULL)
        return error_nomem(f->err, "the directory", bytes);
    for (size_t i = 0; i < f->count; i++)
        e[i] = (extent){ f->sections[i].offset, f->sections[i].offset + f->sections[i].stored, i };
    e[f->count] = (extent){ directory, directory + directory_length, f->count };
    sort_items(e, n, sizeof *e, by_begin, NULL);
    for (size_t i = 1; i < n && status == ECREC_OK; i++)
        if (e[i].begin < e[i - 1].end)
            status = bad(f, e[i].begin, "two of its sections overlap");
    memory_release(f->m, e, bytes);
    return status;
}

static int32_t read_directory(file *f)
{
    uint64_t offset = 0, length = 0;
    int32_t status = read_header(f, &offset, &length);
    if (status != ECREC_OK)
        return status;
    reader r;
    reader_init(&r, f->map->data + offset, (size_t)length);
    uint32_t count = read_u32(&r);
    /* an entry takes more than 100 bytes: a count that the directory cannot hold is refused before memory is asked for */
    if (r.failed || count > MOST_SECTIONS || count > length / 100)
        return bad(f, offset, "the directory's count is impossible");
    size_t bytes = count * sizeof *f->sections;
    if (count > 0 && (f->sections = memory_allocate(f->m, bytes)) == NULL)
        return error_nomem(f->err, "the directory", bytes);
    f->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!section_read(&r, &f->sections[i]))
            return bad(f, offset + r.position, "an entry of the directory is damaged");
        if (i > 0 && strcmp(f->sections[i - 1].name, f->sections[i].name) >= 0)
            return bad_section(f, &f->sections[i], "stands twice or out of order");
        if ((status = check_section(f, &f->sections[i])) != ECREC_OK)
            return status;
    }
    if (r.position != length)
        return bad(f, offset + r.position, "the directory is longer than its entries");
    return check_overlap(f, offset, length);
}

/* ---- sections ---- */

static int32_t unpack(file *f, const section *s, void **out)
{
    *out = NULL;
    if (s->raw == 0)
        return s->stored == 0 ? ECREC_OK : bad_section(f, s, "is damaged");
    void *bytes = memory_allocate(f->m, (size_t)s->raw);
    if (bytes == NULL)
        return error_nomem(f->err, s->name, (size_t)s->raw);
    int32_t status = ECREC_OK;
    if (s->codec == CODEC_RAW)
        memcpy(bytes, f->map->data + s->offset, (size_t)s->raw);
    else
        status = unpack_bytes(f->m, f->map->data + s->offset, (size_t)s->stored, bytes, (size_t)s->raw);
    if (status != ECREC_OK) {
        memory_release(f->m, bytes, (size_t)s->raw);
        return status == ECREC_ERR_NOMEM ? error_nomem(f->err, s->name, 0) : bad_section(f, s, "cannot be unpacked");
    }
    *out = bytes;
    return ECREC_OK;
}

static int32_t read_settings(file *f, const section *s)
{
    void *bytes = NULL;
    properties *settings = NULL;
    int32_t status = unpack(f, s, &bytes);
    if (status != ECREC_OK)
        return status;
    status = properties_read(f->m, bytes, (size_t)s->raw, &settings, f->err);
    memory_release(f->m, bytes, (size_t)s->raw);
    if (status != ECREC_OK)
        return status;
    properties_release(f->p->settings);
    f->p->settings = settings;
    return ECREC_OK;
}

static int32_t read_dense(file *f, const section *s, tensor **out)
{
    size_t bytes = tensor_bytes(s->type, s->layout, s->rank, s->shape);
    if (bytes == SIZE_MAX || bytes != s->raw)
        return bad_section(f, s, "has a shape that does not fit its bytes");
    if (s->codec == CODEC_RAW)
        return tensor_view(f->m, f->map, f->map->data + s->offset, s->type, s->layout, s->rank, s->shape, out) == ECREC_OK
                   ? ECREC_OK : error_nomem(f->err, s->name, sizeof **out);
    if (tensor_create(f->m, s->type, s->layout, s->rank, s->shape, out) != ECREC_OK)
        return error_nomem(f->err, s->name, bytes);
    if (bytes == 0)
        return ECREC_OK;
    int32_t status = unpack_bytes(f->m, f->map->data + s->offset, (size_t)s->stored, tensor_edit(*out), bytes);
    if (status == ECREC_OK)
        return ECREC_OK;
    tensor_release(*out);
    *out = NULL;
    return status == ECREC_ERR_NOMEM ? error_nomem(f->err, s->name, 0) : bad_section(f, s, "cannot be unpacked");
}

/* A table of chunks may be huge and nearly empty: what it will take is counted before it is asked for. */
static int charge(file *f, uint64_t bytes)
{
    if (bytes > f->unpacked_most - f->tables)
        return 0;
    f->tables += bytes;
    return 1;
}

static int32_t read_chunks(file *f, const section *s, tensor **out)
{
    static const char too_large[] = "would take more memory than its file may";
    void *bytes = NULL;
    tensor *t = NULL;
    if (s->rank != 2 || (s->type != TYPE_F32 && s->type != TYPE_F64 && s->type != TYPE_U32 && s->type != TYPE_U64))
        return bad_section(f, s, "is no table of chunks");
    /* the pointer table must stay in proportion to what is stored: 2^34 rows at most */
    if (s->shape[0] == 0 || s->shape[0] > (uint64_t)1 << 34 || s->shape[1] == 0 || s->shape[1] > 65536 || s->rows_per_chunk < LEAST_CHUNK ||
        s->rows_per_chunk > (1u << 20) || (s->rows_per_chunk & (s->rows_per_chunk - 1)) != 0)
        return bad_section(f, s, "has an impossible shape");
    if (!charge(f, (s->shape[0] / s->rows_per_chunk / CHUNK_BLOCK + 1) * sizeof(void *)))
        return bad_section(f, s, too_large);
    int32_t status = unpack(f, s, &bytes);
    if (status != ECREC_OK)
        return status;
    if (tensor_chunked(f->m, s->type, s->shape[0], s->shape[1], s->rows_per_chunk, &t) != ECREC_OK) {
        memory_release(f->m, bytes, (size_t)s->raw);
        return error_nomem(f->err, s->name, 0);
    }
    reader r;
    reader_init(&r, bytes, (size_t)s->raw);
    uint64_t count = read_u64(&r), last = 0;
    size_t size = (size_t)(t->rows_per_chunk * t->row_bytes);
    if (r.failed || count > t->chunk_count || count != (s->raw - 8) / (8 + size) || (s->raw - 8) % (8 + size) != 0)
        status = bad_section(f, s, "has an impossible count of chunks");
    for (uint64_t i = 0; i < count && status == ECREC_OK; i++) {
        uint64_t index = read_u64(&r);
        const void *rows = read_bytes(&r, size);
        if (rows == NULL || index >= t->chunk_count || (i > 0 && index <= last)) {
            status = bad_section(f, s, "has a chunk out of place");
            break;
        }
        const int new_block = i == 0 || index / CHUNK_BLOCK != last / CHUNK_BLOCK;
        if (!charge(f, size + (new_block ? sizeof(table_node) + CHUNK_BLOCK * sizeof(void *) : 0))) {
            status = bad_section(f, s, too_large);
            break;
        }
        void *to = tensor_row_edit(t, index << t->chunk_shift);
        if (to == NULL)
            status = error_nomem(f->err, s->name, size);
        else
            memcpy(to, rows, size);
        last = index;
    }
    memory_release(f->m, bytes, (size_t)s->raw);
    if (status != ECREC_OK)
        tensor_release(t);
    else
        *out = t;
    return status;
}

static int32_t read_tensor(file *f, const section *s)
{
    tensor *t = NULL;
    int32_t status = s->layout == LAYOUT_CHUNKS ? read_chunks(f, s, &t) : read_dense(f, s, &t);
    if (status == ECREC_OK && tensor_set_put(f->p->tensors, s->name, t) != ECREC_OK)
        status = error_nomem(f->err, s->name, 0);
    tensor_release(t);
    return status;
}

static int known_blob(const char *name)
{
    static const char *const known[] = { "licence", "profiles", "schema", "tokenizer" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0)
            return 1;
    return 0;
}

static int32_t read_blob(file *f, const section *s)
{
    int required = (s->flags & SECTION_REQUIRED) != 0, raw = s->codec == CODEC_RAW;
    if (required && !known_blob(s->name))
        return error_at(f->err, ECREC_ERR_UNSUPPORTED, s->offset,
                        "the model file needs \"%s\", which this version of the library does not know", s->name);
    int32_t status;
    if (raw) {
        status = parts_map_blob(f->p, s->name, f->map->data + s->offset, (size_t)s->stored, f->map, 1, required);
        return status == ECREC_OK ? ECREC_OK : error_nomem(f->err, s->name, 0);
    }
    void *bytes = NULL;
    if ((status = unpack(f, s, &bytes)) != ECREC_OK)
        return status;
    status = parts_set_blob(f->p, s->name, bytes, (size_t)s->raw, 0, required);
    memory_release(f->m, bytes, (size_t)s->raw);
    return status == ECREC_OK ? ECREC_OK : error_nomem(f->err, s->name, (size_t)s->raw);
}

static int32_t read_section(file *f, const section *s)
{
    if (f->verify && hash64(f->map->data + s->offset, (size_t)s->stored, 0) != s->checksum)
        return bad_section(f, s, "is damaged: its checksum is wrong");
    switch (s->kind) {
    case SECTION_SETTINGS:
        return strcmp(s->name, "settings") == 0 ? read_settings(f, s) : bad_section(f, s, "is a second list of settings");
    case SECTION_TENSOR:
        return read_tensor(f, s);
    case SECTION_BLOB:
        return read_blob(f, s);
    default: {
        if (s->flags & SECTION_REQUIRED)
            return error_at(f->err, ECREC_ERR_UNSUPPORTED, s->offset,
                            "the model file needs \"%s\" of kind %u, which this version of the library does not know", s->name, s->kind);
        int32_t status = read_blob(f, s);
        if (status == ECREC_OK) /* the one just added */
            f->p->blobs[f->p->blob_count - 1].kind = s->kind;
        return status;
    }
    }
}

int32_t file_read(mapping *map, const ecrec_load_options *options, parts **out, ecrec_error *err)
{
    file f = { .map = map, .m = map->m, .err = err, .verify = options == NULL || !options->skip_checksums };
    f.unpacked_most = ((uint64_t)64 << 20) + 64 * (uint64_t)map->length;
    int32_t status = read_directory(&f);
    if (status == ECREC_OK && parts_create(f.m, &f.p) != ECREC_OK)
        status = error_nomem(err, "the model", 0);
    int settings = 0;
    for (size_t i = 0; i < f.count && status == ECREC_OK; i++) {
        settings |= f.sections[i].kind == SECTION_SETTINGS;
        status = read_section(&f, &f.sections[i]);
    }
    if (status == ECREC_OK && !settings)
        status = bad(&f, f.directory_end, "it has no settings");
    if (status == ECREC_OK && f.sequence == 0)
        status = bad(&f, 48, "its snapshot has no number");
    memory_release(f.m, f.sections, f.count * sizeof *f.sections);
    if (status != ECREC_OK) {
        parts_release(f.p);
        return status;
    }
    f.p->sequence = f.sequence;
    *out = f.p;
    return ECREC_OK;
}
