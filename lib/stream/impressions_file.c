/* The file of an impression log. What is written is a whole record; what a crash left of one is cut. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "stream/impressions.h"
#include "model/file.h"

#define MAGIC "ECIMPRS\n"
#define RECORD_MARK 0x50494345u
enum { VERSION = 1, MOST_FILE_PATH = 1 << 16, SCAN = 1 << 20, LEAST_COMPACT = 1 << 20 };

static int32_t failed(const ecrec_impressions *log, const char *what, ecrec_error *err)
{
    return error_set(err, ECREC_ERR_IO, "%s: the impression log could not be %s: %s", log->path, what, io_reason(errno));
}

static void put32(unsigned char *at, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static void put64(unsigned char *at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(v >> 8 * i);
}

static int32_t write_all(const ecrec_impressions *log, int file, const unsigned char *bytes, size_t n, uint64_t at, ecrec_error *err)
{
    while (n > 0) {
        const int64_t done = log->io->write(log->io->opaque, file, bytes, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return failed(log, "written", err);
        }
        bytes += done;
        n -= (size_t)done;
        at += (uint64_t)done;
    }
    return ECREC_OK;
}

static int32_t read_all(const ecrec_impressions *log, unsigned char *bytes, size_t n, uint64_t at, size_t *got, ecrec_error *err)
{
    *got = 0;
    while (*got < n) {
        const int64_t done = log->io->read(log->io->opaque, log->file, bytes + *got, n - *got, at + *got);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed(log, "read", err);
        if (done == 0)
            break;
        *got += (size_t)done;
    }
    return ECREC_OK;
}

/* Names and kinds of the first fields and labels: what a log of them stays readable by. */
static uint64_t names_hash(const ecrec_schema *s, uint32_t fields, uint32_t labels)
{
    uint64_t h = hash64(&fields, 0, 7);
    for (uint32_t i = 0; i < fields; i++)
        h = hash64(s->fields[i].name, strlen(s->fields[i].name), h + (uint64_t)s->fields[i].kind);
    for (uint32_t i = 0; i < labels; i++)
        h = hash64(s->labels[i].name, strlen(s->labels[i].name), h + (uint64_t)s->labels[i].kind * 8192 + s->labels[i].classes);
    return h;
}

static void make_header(const ecrec_impressions *log, unsigned char bytes[IMPRESSIONS_HEADER])
{
    const ecrec_schema *s = log->schema;
    memset(bytes, 0, IMPRESSIONS_HEADER);
    memcpy(bytes, MAGIC, 8);
    put32(bytes + 8, VERSION);
    put32(bytes + 12, s->field_count);
    put32(bytes + 16, s->label_count);
    put64(bytes + 24, names_hash(s, s->field_count, s->label_count));
    put64(bytes + IMPRESSIONS_HEADER - 8, hash64(bytes, IMPRESSIONS_HEADER - 8, 0));
}

static uint64_t seal(unsigned char *bytes, size_t length, uint32_t kind, uint64_t chain)
{
    put32(bytes, RECORD_MARK);
    put32(bytes + 4, kind);
    put64(bytes + 8, length - IMPRESSION_HEADER);
    put64(bytes + 16, chain);
    const uint64_t own = hash64(bytes + IMPRESSION_HEADER, length - IMPRESSION_HEADER, hash64(bytes, 24, 0));
    put64(bytes + 24, own);
    return own;
}

/* ---- writing ---- */

static int32_t check_broken(const ecrec_impressions *log, ecrec_error *err)
{
    return !log->broken ? ECREC_OK : error_set(err, ECREC_ERR_IO, "%s: the impression log has failed before; nothing is logged until it is compacted or opened anew", log->path);
}

static void take_back(ecrec_impressions *log)
{
    const int reason = errno;
    if (log->io->truncate(log->io->opaque, log->file, log->end) != 0)
        log->broken = 1;
    errno = reason;
}

int32_t impressions_file_append(ecrec_impressions *log, uint32_t kind, buffer *record, ecrec_error *err)
{
    if (log->file < 0)
        return ECREC_OK;
    int32_t status = check_broken(log, err);
    if (status != ECREC_OK)
        return status;
    const uint64_t own = seal(record->data, record->length, kind, log->chain);
    if ((status = write_all(log, log->file, record->data, record->length, log->end, err)) != ECREC_OK)
        take_back(log);
    const int due = log->o.sync == ECREC_SYNC_EACH || (log->o.sync == ECREC_SYNC_GROUP && log->unsynced + 1 >= log->o.group);
    if (status == ECREC_OK && due && log->io->sync(log->io->opaque, log->file) != 0) {
        status = failed(log, "synced", err);
        log->broken = 1; /* what reached the disk is not known any more */
        take_back(log);
    }
    if (status != ECREC_OK)
        return status;
    log->end += record->length;
    log->chain = own;
    log->unsynced = due ? 0 : log->unsynced + 1;
    return ECREC_OK;
}

/* What the log holds, after a header: records of some thousand impressions each. */
static int32_t write_state(ecrec_impressions *log, int file, uint64_t *end, uint64_t *chain, ecrec_error *err)
{
    enum { A_RECORD = 4096 };
    unsigned char header[IMPRESSIONS_HEADER];
    buffer b;
    make_header(log, header);
    *end = IMPRESSIONS_HEADER;
    *chain = hash64(header, IMPRESSIONS_HEADER, 0);
    int32_t status = write_all(log, file, header, IMPRESSIONS_HEADER, 0, err);
    buffer_init(&b, log->m);
    for (size_t i = 0, last = 0; status == ECREC_OK && !last;) {
        const size_t n = log->count - i < A_RECORD ? log->count - i : A_RECORD;
        last = i == log->count; /* the counts come last: adding counts, too */
        b.length = 0;
        int whole = buffer_zeros(&b, IMPRESSION_HEADER) == ECREC_OK;
        if (!last)
            whole = whole && write_u32(&b, (uint32_t)n) == ECREC_OK;
        for (size_t k = 0; k < n && whole; k++)
            whole = impression_write(impression_at(log, i + k), &b) == ECREC_OK;
        for (size_t k = 0; k < COUNT_SIZE && whole && last; k++)
            whole = write_u64(&b, log->counts[k]) == ECREC_OK;
        if (!whole) {
            status = error_nomem(err, "a record", b.capacity);
            break;
        }
        *chain = seal(b.data, b.length, last ? RECORD_COUNTS : RECORD_ADD, *chain);
        status = write_all(log, file, b.data, b.length, *end, err);
        *end += b.length;
        i += n;
    }
    buffer_release(&b);
    return status;
}

/* A new file beside takes the place of the old one; or nothing has changed. */
int32_t impressions_file_compact(ecrec_impressions *log, ecrec_error *err)
{
    const journal_io *io = log->io;
    uint64_t end = 0, chain = 0;
    const int made = io->open(io->opaque, log->beside, 1);
    if (made < 0)
        return failed(log, "made", err);
    int32_t status = io->lock(io->opaque, made) == 0 ? ECREC_OK : failed(log, "locked", err);
    if (status == ECREC_OK)
        status = write_state(log, made, &end, &chain, err);
    if (status == ECREC_OK && io->sync(io->opaque, made) != 0)
        status = failed(log, "synced", err);
    if (status == ECREC_OK && io->rename(io->opaque, log->beside, log->path) != 0)
        status = failed(log, "renamed", err);
    if (status != ECREC_OK) {
        io->close(io->opaque, made);
        return status;
    }
    if (log->file >= 0)
        io->close(io->opaque, log->file);
    log->file = made;
    log->end = end;
    log->chain = chain;
    log->unsynced = 0;
    log->broken = 0;
    if (!io->sync_folder(io->opaque, log->path, log->work)) {
        log->broken = 1; /* a power cut could bring the old one back */
        return error_set(err, ECREC_ERR_IO, "%s: the impression log is written, but its folder could not be synced", log->path);
    }
    return ECREC_OK;
}

/* ---- reading ---- */

typedef struct reading {
    ecrec_impressions *log;
    unsigned char *payload;
    size_t capacity;
    uint64_t at, chain, size;
    ecrec_error *err;
} reading;

static int32_t damaged(const reading *r, const char *what)
{
    return error_at(r->err, ECREC_ERR_FORMAT, r->at, "%s: the impression log is damaged: %s (at byte %llu)", r->log->path, what, (unsigned long long)r->at);
}

typedef struct record { uint32_t kind; uint64_t length, chain, own; } record;

static int read_head(const unsigned char bytes[IMPRESSION_HEADER], record *h)
{
    reader r;
    reader_init(&r, bytes, IMPRESSION_HEADER);
    const uint32_t mark = read_u32(&r);
    h->kind = read_u32(&r);
    h->length = read_u64(&r);
    h->chain = read_u64(&r);
    h->own = read_u64(&r);
    return mark == RECORD_MARK;
}

/* The record at a place, whole and unharmed, with its payload; *whole 0: there is none. */
static int32_t record_at(reading *r, uint64_t at, record *h, int *whole)
{
    unsigned char head[IMPRESSION_HEADER];
    size_t got = 0;
    *whole = 0;
    int32_t status = read_all(r->log, head, sizeof head, at, &got, r->err);
    if (status != ECREC_OK || got < sizeof head || !read_head(head, h) || h->length > r->size - at - sizeof head)
        return status;
    if (h->length > r->capacity || r->payload == NULL) {
        const size_t room = (size_t)h->length + 1;
        unsigned char *grown = memory_allocate(r->log->m, room);
        if (grown == NULL)
            return error_nomem(r->err, "a record of the impression log", room);
        memory_release(r->log->m, r->payload, r->capacity);
        r->payload = grown;
        r->capacity = room;
    }
    if ((status = read_all(r->log, r->payload, (size_t)h->length, at + sizeof head, &got, r->err)) == ECREC_OK)
        *whole = got == h->length && hash64(r->payload, got, hash64(head, 24, 0)) == h->own;
    return status;
}

static int32_t take_added(ecrec_impressions *log, reader *r)
{
    const uint32_t n = read_u32(r);
    int64_t newest = 0;
    int32_t status = ECREC_OK;
    for (uint32_t i = 0; i < n && status == ECREC_OK; i++) {
        impression *p = impression_read(log, r, &status);
        if (p == NULL)
            return status;
        if (impressions_find(log, p->event) != NULL)
            status = ECREC_ERR_FORMAT;
        else
            status = impressions_reserve(log, 1);
        if (status != ECREC_OK) {
            memory_release(log->m, p, impression_size(p));
            return status;
        }
        newest = p->time > newest || i == 0 ? p->time : newest;
        impressions_put(log, p);
    }
    if (n != 0 && status == ECREC_OK)
        impressions_bound(log, newest);
    return status;
}

static int32_t take_labels(ecrec_impressions *log, reader *r)
{
    const int64_t now = read_i64(r);
    const uint32_t label = read_u32(r), n = read_u32(r);
    if (r->failed || label >= log->schema->label_count)
        return ECREC_ERR_FORMAT;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t event = read_u64(r);
        const float value = read_f32(r);
        if (r->failed || !label_can_be(&log->schema->labels[label], value))
            return ECREC_ERR_FORMAT;
        impressions_join(log, label, event, value, now);
    }
    return ECREC_OK;
}

static int32_t take_record(reading *r, const record *h)
{
    ecrec_impressions *log = r->log;
    reader in;
    int32_t status = ECREC_ERR_FORMAT;
    reader_init(&in, r->payload, (size_t)h->length);
    switch (h->kind) {
    case RECORD_ADD: status = take_added(log, &in); break;
    case RECORD_LABELS: status = take_labels(log, &in); break;
    case RECORD_DONE: status = impressions_mark(log, &in); break;
    case RECORD_COUNTS:
        for (size_t i = 0; i < COUNT_SIZE; i++)
            log->counts[i] = read_u64(&in);
        status = ECREC_OK;
        break;
    default: break;
    }
    if (status == ECREC_OK && (in.failed || in.position != in.length))
        status = ECREC_ERR_FORMAT;
    if (status == ECREC_ERR_NOMEM)
        return error_nomem(r->err, "the impressions", 0);
    return status == ECREC_OK ? status : damaged(r, "a record is none that this library writes");
}

/* Whole records behind one that is not: then it is no tail that was being written. */
static int32_t look_behind(reading *r, int *found)
{
    unsigned char *bytes = memory_allocate(r->log->m, SCAN);
    int32_t status = bytes != NULL ? ECREC_OK : error_nomem(r->err, "a look at the impression log", SCAN);
    *found = 0;
    for (uint64_t at = r->at + 1; at < r->size && status == ECREC_OK && !*found; at += SCAN - IMPRESSION_HEADER + 1) {
        size_t got = 0;
        record h;
        status = read_all(r->log, bytes, SCAN, at, &got, r->err);
        for (size_t i = 0; i + IMPRESSION_HEADER <= got && status == ECREC_OK && !*found; i++)
            if (bytes[i] == (RECORD_MARK & 255) && read_head(bytes + i, &h))
                status = record_at(r, at + i, &h, found);
        if (got < SCAN)
            break;
    }
    memory_release(r->log->m, bytes, SCAN);
    return status;
}

static int32_t read_file_header(reading *r)
{
    ecrec_impressions *log = r->log;
    unsigned char bytes[IMPRESSIONS_HEADER];
    size_t got = 0;
    const int32_t status = read_all(log, bytes, sizeof bytes, 0, &got, r->err);
    if (status != ECREC_OK)
        return status;
    reader in;
    reader_init(&in, bytes, sizeof bytes);
    if (got < sizeof bytes || memcmp(read_bytes(&in, 8), MAGIC, 8) != 0)
        return error_set(r->err, ECREC_ERR_FORMAT, "%s: it is no impression log", log->path);
    const uint32_t version = read_u32(&in), fields = read_u32(&in), labels = read_u32(&in);
    (void)read_u32(&in);
    const uint64_t names = read_u64(&in);
    if (hash64(bytes, IMPRESSIONS_HEADER - 8, 0) != (in.position = IMPRESSIONS_HEADER - 8, read_u64(&in)))
        return error_set(r->err, ECREC_ERR_FORMAT, "%s: the impression log's header is damaged", log->path);
    if (version != VERSION)
        return error_set(r->err, ECREC_ERR_UNSUPPORTED, "%s: the impression log has version %u, this library reads version %d", log->path, version, VERSION);
    if (fields > log->schema->field_count || labels > log->schema->label_count || names != names_hash(log->schema, fields, labels))
        return error_set(r->err, ECREC_ERR_MISMATCH, "%s: the impression log is of other fields or labels than the schema", log->path);
    r->at = IMPRESSIONS_HEADER;
    r->chain = hash64(bytes, IMPRESSIONS_HEADER, 0);
    return ECREC_OK;
}

static int32_t recover(reading *r, uint64_t *cut)
{
    ecrec_impressions *log = r->log;
    int whole = 1, behind = 0;
    int32_t status = read_file_header(r);
    while (status == ECREC_OK && whole && r->at < r->size) {
        record h;
        if ((status = record_at(r, r->at, &h, &whole)) != ECREC_OK)
            return status;
        whole = whole && h.chain == r->chain;
        if (!whole)
            break;
        if ((status = take_record(r, &h)) == ECREC_OK) {
            r->at += IMPRESSION_HEADER + h.length;
            r->chain = h.own;
        }
    }
    if (status != ECREC_OK || (r->at < r->size && (status = look_behind(r, &behind)) != ECREC_OK))
        return status;
    if (behind && !log->o.repair)
        return damaged(r, "a record is not whole, but others follow; with the option repair it is cut there, and they are lost");
    *cut = r->size - r->at;
    log->end = r->at;
    log->chain = r->chain;
    if (*cut > 0 && log->io->truncate(log->io->opaque, log->file, log->end) != 0)
        return failed(log, "cut", r->err);
    /* what a process before left to the system must not be lost now that it is built upon */
    return log->io->sync(log->io->opaque, log->file) == 0 ? ECREC_OK : failed(log, "synced", r->err);
}

int32_t impressions_file_open(ecrec_impressions *log, const char *path, const journal_io *io, uint64_t *cut, ecrec_error *err)
{
    const size_t n = strlen(path);
    int64_t size = 0;
    if (n == 0 || n > MOST_FILE_PATH)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_open: the path has %zu bytes", n);
    log->io = io;
    if ((log->path = memory_zero(log->m, 3 * (n + 8))) == NULL)
        return error_nomem(err, "an impression log", 3 * (n + 8));
    log->path_bytes = n + 8;
    log->beside = log->path + log->path_bytes;
    log->work = log->beside + log->path_bytes;
    memcpy(log->path, path, n);
    memcpy(log->beside, path, n);
    memcpy(log->beside + n, ".new", 5);
    log->file = io->open(io->opaque, path, 0);
    if (log->file < 0 && errno != ENOENT)
        return failed(log, "opened", err);
    if (log->file >= 0 && io->lock(io->opaque, log->file) != 0)
        return errno == EACCES || errno == EAGAIN ? error_set(err, ECREC_ERR_BUSY, "%s: another process writes this impression log", path) : failed(log, "locked", err);
    if (log->file >= 0 && (size = io->size(io->opaque, log->file)) < 0)
        return failed(log, "read", err);
    if (size == 0)
        return impressions_file_compact(log, err);
    reading r = { .log = log, .size = (uint64_t)size, .err = err };
    const int32_t status = recover(&r, cut);
    memory_release(log->m, r.payload, r.capacity);
    return status;
}

/* A file that holds twice what the log does is written anew. */
int32_t impressions_file_tidy(ecrec_impressions *log, ecrec_error *err)
{
    if (log->file < 0 || log->broken || log->end < LEAST_COMPACT || log->end / 2 < log->bytes)
        return ECREC_OK;
    return impressions_file_compact(log, err);
}

void impressions_file_close(ecrec_impressions *log)
{
    if (log->file >= 0) {
        if (log->o.sync != ECREC_SYNC_NONE && log->unsynced > 0)
            (void)log->io->sync(log->io->opaque, log->file);
        log->io->close(log->io->opaque, log->file);
    }
    memory_release(log->m, log->path, log->path != NULL ? 3 * log->path_bytes : 0);
    log->path = NULL;
    log->file = -1;
}
