#include "model/journal.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "model/delta.h"
#include "model/file.h"

enum { DEFAULT_GROUP = 16, SCAN_BYTES = 1 << 20, MOST_PATH = 1 << 16 };

typedef struct journal {
    ecrec_model *model; /* which owns it */
    memory *m;
    const journal_io *io;
    int file, broken;
    uint64_t end, chain; /* where the next record goes, and the header's checksum of the last one */
    uint32_t sync, group, unsynced;
    char *path, *beside, *work; /* three paths in one block */
    size_t path_bytes;
} journal;

typedef struct record_head {
    uint32_t kind;
    uint64_t length, number, checksum, chain, own;
} record_head;

/* ---- bytes ---- */

static int32_t failed(const journal *j, const char *what, ecrec_error *err)
{
    return error_set(err, ECREC_ERR_IO, "%s: the journal could not be %s: %s", j->path, what, io_reason(errno));
}

static int32_t write_all(const journal *j, int file, const unsigned char *bytes, size_t n, uint64_t at, ecrec_error *err)
{
    while (n > 0) {
        const int64_t done = j->io->write(j->io->opaque, file, bytes, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return failed(j, "written", err);
        }
        bytes += done;
        n -= (size_t)done;
        at += (uint64_t)done;
    }
    return ECREC_OK;
}

/* *got: bytes that there were, at most n. */
static int32_t read_all(const journal *j, unsigned char *bytes, size_t n, uint64_t at, size_t *got, ecrec_error *err)
{
    *got = 0;
    while (*got < n) {
        const int64_t done = j->io->read(j->io->opaque, j->file, bytes + *got, n - *got, at + *got);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed(j, "read", err);
        if (done == 0)
            break;
        *got += (size_t)done;
    }
    return ECREC_OK;
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

static void make_header(unsigned char bytes[JOURNAL_HEADER], uint64_t number, hash128 model, hash128 base)
{
    const uint64_t words[5] = { number, model.low, model.high, base.low, base.high };
    memset(bytes, 0, JOURNAL_HEADER);
    memcpy(bytes, JOURNAL_MAGIC, 8);
    put32(bytes + 8, JOURNAL_MAJOR);
    for (size_t i = 0; i < 5; i++)
        put64(bytes + 16 + 8 * i, words[i]);
    put64(bytes + JOURNAL_HEADER - 8, hash64(bytes, JOURNAL_HEADER - 8, 0));
}

static void make_record(unsigned char bytes[RECORD_HEADER], record_head *h)
{
    put32(bytes, RECORD_MAGIC);
    put32(bytes + 4, h->kind);
    put64(bytes + 8, h->length);
    put64(bytes + 16, h->number);
    put64(bytes + 24, h->checksum);
    put64(bytes + 32, h->chain);
    h->own = hash64(bytes, RECORD_HEADER - 8, 0);
    put64(bytes + 40, h->own);
}

static int read_record(const unsigned char bytes[RECORD_HEADER], record_head *h)
{
    reader r;
    reader_init(&r, bytes, RECORD_HEADER);
    const uint32_t magic = read_u32(&r);
    h->kind = read_u32(&r);
    h->length = read_u64(&r);
    h->number = read_u64(&r);
    h->checksum = read_u64(&r);
    h->chain = read_u64(&r);
    h->own = read_u64(&r);
    return magic == RECORD_MAGIC && h->own == hash64(bytes, RECORD_HEADER - 8, 0);
}

/* ---- making a file ---- */

/* A new, empty journal of this state beside the path: locked, synced, not yet renamed. */
static int32_t make_beside(const journal *j, const snapshot *base, int *file, unsigned char header[JOURNAL_HEADER], ecrec_error *err)
{
    make_header(header, base->number, model_identity(j->model), model_state(j->model, base));
    const int made = j->io->open(j->io->opaque, j->beside, 1);
    if (made < 0)
        return failed(j, "made", err);
    int32_t status = j->io->lock(j->io->opaque, made) == 0 ? ECREC_OK : failed(j, "locked", err);
    if (status == ECREC_OK)
        status = write_all(j, made, header, JOURNAL_HEADER, 0, err);
    if (status == ECREC_OK && j->io->sync(j->io->opaque, made) != 0)
        status = failed(j, "synced", err);
    if (status != ECREC_OK)
        j->io->close(j->io->opaque, made);
    else
        *file = made;
    return status;
}

/* The file beside takes the journal's place, and from then on is what is written to. */
static int32_t switch_to(journal *j, int file, const unsigned char header[JOURNAL_HEADER], ecrec_error *err)
{
    if (j->io->rename(j->io->opaque, j->beside, j->path) != 0) {
        const int32_t status = failed(j, "renamed", err);
        j->io->close(j->io->opaque, file);
        return status;
    }
    if (j->file >= 0)
        j->io->close(j->io->opaque, j->file);
    j->file = file;
    j->end = JOURNAL_HEADER;
    j->chain = hash64(header, JOURNAL_HEADER, 0);
    j->unsynced = 0;
    j->broken = 0;
    if (!j->io->sync_folder(j->io->opaque, j->path, j->work)) {
        j->broken = 1; /* a power cut could bring the old one back */
        return error_set(err, ECREC_ERR_IO, "%s: the journal is written, but its folder could not be synced", j->path);
    }
    return ECREC_OK;
}

/* ---- recovery ---- */

typedef struct replay {
    journal *j;
    unsigned char *payload;
    size_t capacity;
    uint64_t at, chain, size; /* the next record; of the file */
    hash128 state;            /* behind the last record */
    uint64_t applied;
    ecrec_error *err;
} replay;

enum { RECORD_WHOLE, RECORD_NONE, RECORD_TORN };

/* The next record: its payload in r->payload. *what: NONE at the end, TORN where it is not whole. */
static int32_t next_record(replay *r, record_head *h, int *what)
{
    unsigned char bytes[RECORD_HEADER];
    size_t got = 0;
    int32_t status = read_all(r->j, bytes, sizeof bytes, r->at, &got, r->err);
    if (status != ECREC_OK)
        return status;
    *what = got == 0 ? RECORD_NONE : RECORD_TORN;
    if (got < sizeof bytes || !read_record(bytes, h) || h->chain != r->chain || h->length < DELTA_HEADER || h->length > r->size - r->at - RECORD_HEADER)
        return ECREC_OK;
    if (h->length > r->capacity) {
        unsigned char *grown = memory_allocate(r->j->m, (size_t)h->length);
        if (grown == NULL)
            return error_nomem(r->err, "a record of the journal", (size_t)h->length);
        memory_release(r->j->m, r->payload, r->capacity);
        r->payload = grown;
        r->capacity = (size_t)h->length;
    }
    if ((status = read_all(r->j, r->payload, (size_t)h->length, r->at + RECORD_HEADER, &got, r->err)) != ECREC_OK)
        return status;
    if (got == h->length && hash64(r->payload, got, 0) == h->checksum)
        *what = RECORD_WHOLE;
    return ECREC_OK;
}

static int same_hash(hash128 a, hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

static int32_t damaged(const replay *r, const char *what)
{
    return error_at(r->err, ECREC_ERR_FORMAT, r->at, "%s: the journal is damaged: %s (at byte %llu)", r->j->path, what, (unsigned long long)r->at);
}

/* Whole headers behind a record that is not whole: then it is no tail that was being written. */
static int32_t look_behind(const replay *r, int *found)
{
    const size_t most = SCAN_BYTES;
    unsigned char *bytes = memory_allocate(r->j->m, most);
    int32_t status = bytes != NULL ? ECREC_OK : error_nomem(r->err, "a look at the journal", most);
    *found = 0;
    for (uint64_t at = r->at + 1; at < r->size && status == ECREC_OK && !*found; at += most - RECORD_HEADER + 1) {
        size_t got = 0;
        record_head h;
        status = read_all(r->j, bytes, most, at, &got, r->err);
        for (size_t i = 0; i + RECORD_HEADER <= got && !*found; i++)
            *found = bytes[i] == (RECORD_MAGIC & 255) && read_record(bytes + i, &h);
        if (got < most)
            break;
    }
    memory_release(r->j->m, bytes, most);
    return status;
}

/* Up to the record behind which the model stands: *at its state. Any state that the journal went through will do. */
static int32_t walk(replay *r, hash128 stands, int *found, uint64_t *at, uint64_t *chain)
{
    for (;;) {
        record_head h;
        delta_head d;
        int what = RECORD_NONE;
        if (!*found && same_hash(r->state, stands)) {
            *found = 1;
            *at = r->at;
            *chain = r->chain;
        }
        int32_t status = next_record(r, &h, &what);
        if (status != ECREC_OK || what != RECORD_WHOLE)
            return status;
        if ((h.kind != RECORD_UPDATE && h.kind != RECORD_ROLLBACK) || delta_read_head(r->payload, (size_t)h.length, &d, r->err) != ECREC_OK)
            return damaged(r, "a record is none that this library writes");
        if (!same_hash(d.base, r->state))
            return damaged(r, "a record does not begin where the one before ended");
        r->state = d.result;
        r->at += RECORD_HEADER + h.length;
        r->chain = h.own;
    }
}

static int32_t apply_record(replay *r, const record_head *h)
{
    ecrec_model *model = r->j->model;
    const snapshot *now = atomic_load(&model->current);
    tensor_set *next = NULL;
    delta_head d;
    uint64_t number = 0;
    int32_t status = delta_read_head(r->payload, (size_t)h->length, &d, r->err);
    if (status == ECREC_OK)
        status = delta_apply(r->j->m, &d, r->payload, (size_t)h->length, now->tensors, &next, r->err);
    if (status == ECREC_OK)
        status = h->kind == RECORD_UPDATE ? model_publish_as(model, next, h->number, &number, r->err) : model_restore(model, next, h->number, r->err);
    if (status != ECREC_OK)
        tensor_set_release(next);
    return status;
}

static int32_t apply_from(replay *r, uint64_t end)
{
    while (r->at < end) {
        record_head h;
        int what = RECORD_NONE;
        int32_t status = next_record(r, &h, &what);
        if (status != ECREC_OK)
            return status;
        if (what != RECORD_WHOLE)
            return damaged(r, "it changed while it was read");
        if ((status = apply_record(r, &h)) != ECREC_OK)
            return status;
        r->at += RECORD_HEADER + h.length;
        r->chain = h.own;
        r->applied++;
    }
    return ECREC_OK;
}

static int32_t read_header(replay *r, uint64_t *number)
{
    unsigned char bytes[JOURNAL_HEADER];
    size_t got = 0;
    const int32_t status = read_all(r->j, bytes, sizeof bytes, 0, &got, r->err);
    if (status != ECREC_OK)
        return status;
    reader in;
    reader_init(&in, bytes, sizeof bytes);
    if (got < sizeof bytes || memcmp(read_bytes(&in, 8), JOURNAL_MAGIC, 8) != 0)
        return error_set(r->err, ECREC_ERR_FORMAT, "%s: it is no journal", r->j->path);
    const uint32_t major = read_u32(&in);
    (void)read_u32(&in);
    *number = read_u64(&in);
    hash128 model, base;
    model.low = read_u64(&in);
    model.high = read_u64(&in);
    base.low = read_u64(&in);
    base.high = read_u64(&in);
    if (read_u64(&in) != hash64(bytes, JOURNAL_HEADER - 8, 0))
        return error_set(r->err, ECREC_ERR_FORMAT, "%s: the journal's header is damaged", r->j->path);
    if (major != JOURNAL_MAJOR)
        return error_set(r->err, ECREC_ERR_UNSUPPORTED, "%s: the journal has version %u, this library reads version %d", r->j->path, major, JOURNAL_MAJOR);
    if (!same_hash(model, model_identity(r->j->model)))
        return error_set(r->err, ECREC_ERR_MISMATCH, "%s: the journal is of a model with another schema or encoder", r->j->path);
    r->state = base;
    r->at = JOURNAL_HEADER;
    r->chain = hash64(bytes, JOURNAL_HEADER, 0);
    return ECREC_OK;
}

/* Reads the file, brings the model to the state behind its last whole record, cuts what is behind that. *cut: bytes. */
static int32_t recover(replay *r, const ecrec_journal_options *options, uint64_t *cut)
{
    journal *j = r->j;
    const snapshot *now = atomic_load(&j->model->current);
    uint64_t number = 0, start = 0, chain = 0;
    int found = 0, behind = 0;
    int32_t status = read_header(r, &number);
    if (status != ECREC_OK || (status = walk(r, model_state(j->model, now), &found, &start, &chain)) != ECREC_OK)
        return status;
    if (r->at < r->size && (status = look_behind(r, &behind)) != ECREC_OK)
        return status;
    if (behind && (options == NULL || !options->repair))
        return damaged(r, "a record is not whole, but others follow; with the option repair it is cut there, and they are lost");
    if (!found)
        return error_set(r->err, ECREC_ERR_MISMATCH, "%s: the journal begins at snapshot %llu and never comes to the state that the model is in (snapshot %llu): "
                         "load the model file that belongs to it", j->path, (unsigned long long)number, (unsigned long long)now->number);
    const uint64_t end = r->at;
    j->chain = r->chain;
    r->at = start;
    r->chain = chain;
    if ((status = apply_from(r, end)) != ECREC_OK)
        return status;
    *cut = r->size - end;
    j->end = end;
    if (*cut > 0 && j->io->truncate(j->io->opaque, j->file, end) != 0)
        return failed(j, "cut", r->err);
    /* what a process before left to the system must not be lost now that it is built upon */
    return j->io->sync(j->io->opaque, j->file) == 0 ? ECREC_OK : failed(j, "synced", r->err);
}

/* ---- the handle ---- */

static void journal_free(journal *j)
{
    if (j->file >= 0)
        j->io->close(j->io->opaque, j->file);
    memory_release(j->m, j->path, 3 * j->path_bytes);
    memory_release(j->m, j, sizeof *j);
}

static int32_t journal_make(ecrec_model *model, const char *path, const ecrec_journal_options *options, const journal_io *io, journal **out, ecrec_error *err)
{
    static const ecrec_journal_options defaults = ECREC_JOURNAL_OPTIONS_INIT;
    memory *m = &model->context->m;
    const size_t n = strlen(path);
    const ecrec_journal_options *o = options != NULL ? options : &defaults;
    if (n == 0 || n > MOST_PATH)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_journal_open: the path has %zu bytes", n);
    journal *j = memory_zero(m, sizeof *j);
    if (j == NULL)
        return error_nomem(err, "a journal", sizeof *j);
    *j = (journal){ .model = model, .m = m, .io = io, .file = -1, .sync = o->sync, .group = o->group != 0 ? o->group : DEFAULT_GROUP, .path_bytes = n + 8 };
    if ((j->path = memory_zero(m, 3 * j->path_bytes)) == NULL) {
        memory_release(m, j, sizeof *j);
        return error_nomem(err, "a journal", 3 * (n + 8));
    }
    j->beside = j->path + j->path_bytes;
    j->work = j->beside + j->path_bytes;
    memcpy(j->path, path, n);
    memcpy(j->beside, path, n);
    memcpy(j->beside + n, ".new", 5);
    *out = j;
    return ECREC_OK;
}

static int32_t open_file(journal *j, const ecrec_journal_options *options, replay *r, uint64_t *cut, ecrec_error *err)
{
    j->file = j->io->open(j->io->opaque, j->path, 0);
    if (j->file < 0 && errno != ENOENT)
        return failed(j, "opened", err);
    int64_t size = 0;
    if (j->file >= 0 && j->io->lock(j->io->opaque, j->file) != 0)
        return errno == EACCES || errno == EAGAIN ? error_set(err, ECREC_ERR_BUSY, "%s: another process writes this journal", j->path) : failed(j, "locked", err);
    if (j->file >= 0 && (size = j->io->size(j->io->opaque, j->file)) < 0)
        return failed(j, "read", err);
    if (size > 0) {
        r->size = (uint64_t)size;
        return recover(r, options, cut);
    }
    unsigned char header[JOURNAL_HEADER];
    int file = -1;
    const int32_t status = make_beside(j, atomic_load(&j->model->current), &file, header, err);
    return status == ECREC_OK ? switch_to(j, file, header, err) : status;
}

static int32_t tell(const replay *r, uint64_t cut, ecrec_report **out)
{
    ecrec_report *told = NULL;
    int32_t status = report_create(r->j->model->context, "journal", &told, r->err);
    if (status != ECREC_OK)
        return status;
    report_number(told, "replayed", (double)r->applied);
    report_number(told, "cut_bytes", (double)cut);
    report_number(told, "snapshot", (double)atomic_load(&r->j->model->current)->number);
    if ((status = report_finish(told, r->err)) == ECREC_OK)
        *out = told;
    else
        ecrec_report_release(told);
    return status;
}

int32_t journal_open(ecrec_model *model, const char *path, const ecrec_journal_options *options, const journal_io *io, ecrec_report **report,
                     ecrec_error *err)
{
    journal *j = NULL;
    uint64_t cut = 0;
    if (model->journal != NULL)
        return error_set(err, ECREC_ERR_INVALID, "the model has a journal already: %s", model->journal->path);
    int32_t status = journal_make(model, path, options, io, &j, err);
    if (status != ECREC_OK)
        return status;
    replay r = { .j = j, .err = err };
    status = open_file(j, options, &r, &cut, err);
    memory_release(j->m, r.payload, r.capacity);
    if (status == ECREC_OK && report != NULL)
        status = tell(&r, cut, report);
    if (status != ECREC_OK) {
        journal_free(j);
        return status;
    }
    model->journal = j;
    return ECREC_OK;
}

/* What a write that failed has left must not stand before the next record. */
static void take_back(journal *j)
{
    const int reason = errno;
    if (j->io->truncate(j->io->opaque, j->file, j->end) != 0)
        j->broken = 1;
    errno = reason;
}

static int32_t check_broken(const journal *j, ecrec_error *err)
{
    return !j->broken ? ECREC_OK : error_set(err, ECREC_ERR_IO, "%s: the journal has failed before; nothing is learned until it is compacted or opened anew", j->path);
}

int32_t journal_append(ecrec_model *model, uint32_t kind, const snapshot *before, const snapshot *after, ecrec_error *err)
{
    journal *j = model->journal;
    buffer b;
    record_head h = { .kind = kind, .number = after->number, .chain = j->chain };
    delta_head d = { .from = before->number, .to = after->number, .model = model_identity(model) };
    int32_t status = check_broken(j, err);
    if (status != ECREC_OK)
        return status;
    d.base = model_state(model, before);
    d.result = model_state(model, after);
    buffer_init(&b, j->m);
    status = buffer_zeros(&b, RECORD_HEADER) == ECREC_OK ? delta_write(j->m, &d, before->tensors, after->tensors, &b, err) : error_nomem(err, "a record", 0);
    if (status == ECREC_OK) {
        h.length = b.length - RECORD_HEADER;
        h.checksum = hash64(b.data + RECORD_HEADER, (size_t)h.length, 0);
        make_record(b.data, &h);
        if ((status = write_all(j, j->file, b.data, b.length, j->end, err)) != ECREC_OK)
            take_back(j);
    }
    const int due = j->sync == ECREC_SYNC_EACH || (j->sync == ECREC_SYNC_GROUP && j->unsynced + 1 >= j->group);
    if (status == ECREC_OK && due && j->io->sync(j->io->opaque, j->file) != 0) {
        status = failed(j, "synced", err);
        j->broken = 1; /* what reached the disk is not known any more */
        take_back(j);
    }
    if (status == ECREC_OK) {
        j->end += b.length;
        j->chain = h.own;
        j->unsynced = due ? 0 : j->unsynced + 1;
    }
    buffer_release(&b);
    return status;
}

static int32_t check_attached(const ecrec_model *model, ecrec_error *err)
{
    return model->journal != NULL ? ECREC_OK : error_set(err, ECREC_ERR_INVALID, "the model has no journal (see ecrec_journal_open)");
}

int32_t journal_sync(ecrec_model *model, ecrec_error *err)
{
    journal *j = model->journal;
    int32_t status = check_attached(model, err);
    if (status != ECREC_OK || (status = check_broken(j, err)) != ECREC_OK)
        return status;
    if (j->io->sync(j->io->opaque, j->file) != 0) {
        j->broken = 1;
        return failed(j, "synced", err);
    }
    j->unsynced = 0;
    return ECREC_OK;
}

int32_t journal_compact(ecrec_model *model, const char *model_path, ecrec_error *err)
{
    journal *j = model->journal;
    unsigned char header[JOURNAL_HEADER];
    parts *p = NULL;
    int file = -1;
    int32_t status = check_attached(model, err);
    if (status != ECREC_OK)
        return status;
    /* the old journal leads to the state that is saved, so the new model file goes with either */
    if ((status = model_parts(model, &p, err)) == ECREC_OK)
        status = make_beside(j, atomic_load(&model->current), &file, header, err);
    if (status == ECREC_OK) {
        if ((status = j->io->save(j->io->opaque, p, model_path, err)) == ECREC_OK)
            status = switch_to(j, file, header, err);
        else
            j->io->close(j->io->opaque, file);
    }
    parts_release(p);
    return status;
}

int32_t journal_close(ecrec_model *model, ecrec_error *err)
{
    journal *j = model->journal;
    int32_t status = ECREC_OK;
    if (j == NULL)
        return ECREC_OK;
    if (j->sync != ECREC_SYNC_NONE && j->unsynced > 0 && j->io->sync(j->io->opaque, j->file) != 0)
        status = failed(j, "synced", err);
    model->journal = NULL;
    journal_free(j);
    return status;
}
