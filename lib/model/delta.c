#include "model/delta.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "model/section.h"

/* body: u32 count, then for each tensor: name, u8 change, and unless it is gone: i32 type, layout, rank, u64 shape[rank];
 * dense: its bytes; chunked: u64 rows_per_chunk, u64 changed rows, u64 length of the list of them (LEB128 steps), the list, the rows. */
enum { GONE = 0, NEW = 1, CHANGED = 2 };
enum { MOST_NAME = 255, MOST_TENSORS = 4096 };

int learned_tensor(const char *name)
{
    return strncmp(name, "rank.", 5) == 0 || strncmp(name, "learn.", 6) == 0;
}

double state_rows(const tensor_set *s)
{
    const tensor *t = tensor_set_get(s, "learn.progress");
    return t != NULL && t->layout == LAYOUT_ROWS && t->type == TYPE_F64 && t->bytes >= sizeof(double) ? *(const double *)t->data : 0;
}

/* ---- fingerprints ---- */

static void sum(hash128 *state, hash128 h, int add)
{
    state->low += add ? h.low : 0 - h.low;
    state->high += add ? h.high : 0 - h.high;
}

static int all_zero(const unsigned char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

/* A chunk of zeros is as if it was not there. */
static void sum_chunk(hash128 *state, const tensor *t, uint64_t seed, uint64_t index, const void *c, int add)
{
    const size_t size = (size_t)(t->rows_per_chunk * t->row_bytes);
    if (c != NULL && !all_zero(c, size))
        sum(state, hash_128(c, size, seed ^ ((index + 1) * 0x9E3779B97F4A7C15u)), add);
}

static const table_node *block_at(const tensor *t, uint64_t i)
{
    return t != NULL && i < t->block_count ? tensor_block(t, i) : NULL;
}

static int same_table(const tensor *a, const tensor *b)
{
    return a != NULL && b != NULL && a->layout == b->layout && a->type == b->type && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0 && a->rows_per_chunk == b->rows_per_chunk;
}

/* What `t` adds to a state, without the chunks that it shares with `other` (NULL: none). */
static void sum_tensor(hash128 *state, const char *name, const tensor *t, const tensor *other, int add)
{
    const uint64_t seed = hash64(name, strlen(name), (uint64_t)t->type);
    hash128 shape = hash_128(t->shape, (size_t)t->rank * sizeof *t->shape, seed);
    sum(state, shape, add);
    if (t->layout != LAYOUT_CHUNKS) {
        sum(state, hash_128(t->data, t->bytes, seed), add);
        return;
    }
    for (uint64_t i = 0; i < t->block_count; i++) {
        const table_node *b = tensor_block(t, i), *o = block_at(other, i);
        if (b == NULL || b == o)
            continue;
        for (uint64_t c = 0; c < CHUNK_BLOCK; c++)
            if (o == NULL || b->at[c] != o->at[c])
                sum_chunk(state, t, seed, i * CHUNK_BLOCK + c, b->at[c], add);
    }
}

void state_hash(const tensor_set *from, const tensor_set *to, hash128 *state)
{
    const tensor_set *const sets[2] = { from, to };
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; sets[i] != NULL && k < tensor_set_count(sets[i]); k++) {
            const char *name = NULL;
            const tensor *t = tensor_set_at(sets[i], k, &name), *other = sets[1 - i] != NULL ? tensor_set_get(sets[1 - i], name) : NULL;
            if (learned_tensor(name) && t != other)
                sum_tensor(state, name, t, same_table(t, other) ? other : NULL, i);
        }
}

/* ---- writing ---- */

static int32_t write_varint(buffer *b, uint64_t v)
{
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
    } while ((v >>= 7) != 0);
    return buffer_append(b, bytes, n);
}

static void combine(unsigned char *to, const unsigned char *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] ^= with[i];
}

/* Appends a ^ b; NULL is zeros. */
static int32_t write_combined(buffer *out, const unsigned char *a, const unsigned char *b, size_t n)
{
    const size_t at = out->length;
    const int32_t status = a != NULL ? buffer_append(out, a, n) : buffer_zeros(out, n);
    if (status == ECREC_OK && b != NULL)
        combine(out->data + at, b, n);
    return status;
}

typedef struct rows_writer {
    buffer list, rows;
    uint64_t count, next; /* next: one past the last row listed */
} rows_writer;

static int32_t write_changed_rows(rows_writer *w, const tensor *t, uint64_t index, const void *old, const void *new)
{
    const size_t n = (size_t)t->row_bytes;
    const unsigned char *a = new != NULL ? (const unsigned char *)new : NULL, *b = old != NULL ? (const unsigned char *)old : NULL;
    const uint64_t first = index << t->chunk_shift;
    int32_t status = ECREC_OK;
    for (uint64_t r = 0; r < t->rows_per_chunk && first + r < t->shape[0] && status == ECREC_OK; r++) {
        const unsigned char *x = a != NULL ? a + r * n : NULL, *y = b != NULL ? b + r * n : NULL;
        if (x != NULL && y != NULL ? memcmp(x, y, n) == 0 : all_zero(x != NULL ? x : y, n))
            continue;
        status = write_varint(&w->list, first + r - w->next);
        if (status == ECREC_OK)
            status = write_combined(&w->rows, x, y, n);
        w->next = first + r + 1;
        w->count++;
    }
    return status;
}

static int32_t write_table(buffer *out, const tensor *old, const tensor *t)
{
    rows_writer w = { .count = 0, .next = 0 };
    int32_t status = ECREC_OK;
    buffer_init(&w.list, out->m);
    buffer_init(&w.rows, out->m);
    for (uint64_t i = 0; i < t->block_count && status == ECREC_OK; i++) {
        const table_node *b = tensor_block(t, i), *o = block_at(old, i);
        for (uint64_t c = 0; b != o && c < CHUNK_BLOCK && status == ECREC_OK; c++) {
            const void *new_chunk = b != NULL ? b->at[c] : NULL, *old_chunk = o != NULL ? o->at[c] : NULL;
            if (new_chunk != old_chunk)
                status = write_changed_rows(&w, t, i * CHUNK_BLOCK + c, old_chunk, new_chunk);
        }
    }
    const uint64_t head[3] = { t->rows_per_chunk, w.count, w.list.length };
    for (size_t i = 0; i < 3 && status == ECREC_OK; i++)
        status = write_u64(out, head[i]);
    if (status == ECREC_OK)
        status = buffer_append(out, w.list.data, w.list.length);
    if (status == ECREC_OK)
        status = buffer_append(out, w.rows.data, w.rows.length);
    buffer_release(&w.list);
    buffer_release(&w.rows);
    return status;
}

static int32_t write_tensor(buffer *out, const char *name, const tensor *old, const tensor *t)
{
    const int changed = same_table(old, t);
    const uint32_t words[3] = { (uint32_t)t->type, (uint32_t)t->layout, (uint32_t)t->rank };
    int32_t status = write_string(out, name, strlen(name));
    if (status == ECREC_OK)
        status = write_u8(out, changed ? CHANGED : NEW);
    for (size_t i = 0; i < 3 && status == ECREC_OK; i++)
        status = write_u32(out, words[i]);
    for (int32_t d = 0; d < t->rank && status == ECREC_OK; d++)
        status = write_u64(out, t->shape[d]);
    if (status != ECREC_OK)
        return status;
    if (t->layout == LAYOUT_CHUNKS)
        return write_table(out, changed ? old : NULL, t);
    return write_combined(out, t->data, changed ? old->data : NULL, t->bytes);
}

static int32_t write_body(const tensor_set *from, const tensor_set *to, buffer *out)
{
    uint32_t count = 0;
    const size_t at = out->length;
    int32_t status = write_u32(out, 0);
    for (size_t i = 0; i < tensor_set_count(to) && status == ECREC_OK; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(to, i, &name), *old = tensor_set_get(from, name);
        if (!learned_tensor(name) || t == old)
            continue;
        count++;
        status = write_tensor(out, name, old, t);
    }
    for (size_t i = 0; i < tensor_set_count(from) && status == ECREC_OK; i++) {
        const char *name = NULL;
        (void)tensor_set_at(from, i, &name);
        if (!learned_tensor(name) || tensor_set_get(to, name) != NULL)
            continue;
        count++;
        status = write_string(out, name, strlen(name));
        if (status == ECREC_OK)
            status = write_u8(out, GONE);
    }
    for (size_t i = 0; i < 4 && status == ECREC_OK; i++)
        out->data[at + i] = (unsigned char)(count >> (8 * i));
    return status;
}

static int32_t write_hash(buffer *b, hash128 h)
{
    const int32_t status = write_u64(b, h.low);
    return status == ECREC_OK ? write_u64(b, h.high) : status;
}

static int32_t write_head(buffer *out, const delta_head *h)
{
    const size_t at = out->length;
    int32_t status = buffer_reserve(out, DELTA_HEADER);
    if (status != ECREC_OK)
        return status;
    buffer_append(out, DELTA_MAGIC, 8);
    write_u32(out, DELTA_MAJOR);
    write_u32(out, h->packed);
    write_u64(out, h->from);
    write_u64(out, h->to);
    write_hash(out, h->model);
    write_hash(out, h->base);
    write_hash(out, h->result);
    write_f64(out, h->rows);
    write_u64(out, h->raw);
    write_u64(out, h->stored);
    write_u64(out, h->checksum);
    write_u64(out, 0);
    return write_u64(out, hash64(out->data + at, DELTA_HEADER - 8, 0));
}

static uint64_t dense_bytes(const tensor_set *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < tensor_set_count(s); i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(s, i, &name);
        bytes += learned_tensor(name) && t->layout != LAYOUT_CHUNKS ? t->bytes : 0;
    }
    return bytes;
}

/* What a packed body of `stored` bytes may unpack to. */
static uint64_t most_raw(uint64_t stored, const tensor_set *from)
{
    return ((uint64_t)64 << 20) + 64 * stored + dense_bytes(from);
}

int32_t delta_write(memory *m, delta_head *head, const tensor_set *from, const tensor_set *to, buffer *out, ecrec_error *err)
{
    buffer body;
    unsigned char *packed = NULL;
    size_t stored = 0, capacity = 0;
    buffer_init(&body, m);
    int32_t status = write_body(from, to, &body);
    if (status == ECREC_OK)
        status = pack_bytes(m, body.data, body.length, &packed, &stored, &capacity);
    if (status == ECREC_OK) {
        head->packed = body.length <= most_raw(stored, from);
        head->rows = state_rows(to) - state_rows(from);
        head->raw = body.length;
        head->stored = head->packed ? stored : body.length;
        const unsigned char *bytes = head->packed ? packed : body.data;
        head->checksum = hash64(bytes, (size_t)head->stored, 0);
        status = write_head(out, head);
        if (status == ECREC_OK)
            status = buffer_append(out, bytes, (size_t)head->stored);
    }
    memory_release(m, packed, capacity);
    buffer_release(&body);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "a delta", 0);
}

/* ---- reading ---- */

static int32_t bad(ecrec_error *err, uint64_t position, const char *what)
{
    return error_at(err, ECREC_ERR_FORMAT, position, "not a delta that can be used: %s (at byte %llu)", what, (unsigned long long)position);
}

static hash128 read_hash(reader *r)
{
    hash128 h;
    h.low = read_u64(r);
    h.high = read_u64(r);
    return h;
}

int32_t delta_read_head(const void *bytes, size_t length, delta_head *head, ecrec_error *err)
{
    reader r;
    if (length < DELTA_HEADER)
        return bad(err, length, "it is shorter than its header");
    reader_init(&r, bytes, DELTA_HEADER);
    if (memcmp(read_bytes(&r, 8), DELTA_MAGIC, 8) != 0)
        return bad(err, 0, "it does not begin like one");
    const uint32_t major = read_u32(&r);
    head->packed = read_u32(&r);
    head->from = read_u64(&r);
    head->to = read_u64(&r);
    head->model = read_hash(&r);
    head->base = read_hash(&r);
    head->result = read_hash(&r);
    head->rows = read_f64(&r);
    head->raw = read_u64(&r);
    head->stored = read_u64(&r);
    head->checksum = read_u64(&r);
    (void)read_u64(&r);
    if (read_u64(&r) != hash64(bytes, DELTA_HEADER - 8, 0))
        return bad(err, DELTA_HEADER - 8, "the header's checksum is wrong");
    if (major != DELTA_MAJOR || head->packed > 1)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the delta has version %u, this library reads version %d", major, DELTA_MAJOR);
    if (head->stored != length - DELTA_HEADER)
        return error_at(err, ECREC_ERR_FORMAT, length, "the delta has %zu bytes, its header says %llu: it is %s", length,
                        (unsigned long long)(head->stored + DELTA_HEADER), length - DELTA_HEADER < head->stored ? "cut off" : "longer than it was written");
    if (hash64((const unsigned char *)bytes + DELTA_HEADER, (size_t)head->stored, 0) != head->checksum)
        return bad(err, DELTA_HEADER, "the body's checksum is wrong");
    if (head->from == 0 || head->to == 0 || (!head->packed && head->raw != head->stored))
        return bad(err, 16, "its numbers are impossible");
    return ECREC_OK;
}

typedef struct applier {
    memory *m;
    reader r;
    const tensor_set *from;
    tensor_set *next;
    uint64_t new_bytes; /* that tensors not in `from` may still take */
    ecrec_error *err;
} applier;

static int32_t bad_tensor(const applier *a, const char *name, const char *what)
{
    return error_at(a->err, ECREC_ERR_FORMAT, a->r.position, "delta: tensor \"%s\" %s", name, what);
}

/* Of numbers that a table holds: finite, and sums of squares not below 0. */
static int sound(const tensor *t, const char *name, const unsigned char *row, size_t bytes)
{
    const int positive = strncmp(name, "learn.", 6) == 0;
    for (size_t i = 0; t->type == TYPE_F32 && i < bytes; i += sizeof(float)) {
        float x;
        memcpy(&x, row + i, sizeof x);
        if (!isfinite(x) || (positive && x < 0))
            return 0;
    }
    return 1;
}

/* The next row listed; UINT64_MAX: the list is damaged. */
static uint64_t read_row(reader *list, uint64_t next, uint64_t rows)
{
    uint64_t step = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        const uint8_t byte = read_u8(list);
        step |= (uint64_t)(byte & 127) << shift;
        if (list->failed)
            return UINT64_MAX;
        if (byte < 128)
            return step < rows && next < rows - step ? next + step : UINT64_MAX;
    }
    return UINT64_MAX;
}

static const char too_large[] = "is new and would take more memory than its delta may";

static int charge(applier *a, uint64_t bytes)
{
    if (bytes > a->new_bytes)
        return 0;
    a->new_bytes -= bytes;
    return 1;
}

static int32_t read_table(applier *a, const char *name, tensor *t, int new)
{
    const uint64_t count = read_u64(&a->r), length = read_u64(&a->r);
    const size_t n = (size_t)t->row_bytes;
    if (a->r.failed || length > a->r.length - a->r.position || count > length || count > (a->r.length - a->r.position - length) / n)
        return bad_tensor(a, name, "has an impossible count of rows");
    reader list;
    reader_init(&list, read_bytes(&a->r, (size_t)length), (size_t)length);
    uint64_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t row = read_row(&list, next, t->shape[0]);
        const unsigned char *change = read_bytes(&a->r, n);
        if (row == UINT64_MAX || change == NULL)
            return bad_tensor(a, name, "has a row out of place");
        if (new && tensor_row(t, row) == NULL && !charge(a, t->rows_per_chunk * t->row_bytes))
            return bad_tensor(a, name, too_large);
        unsigned char *to = tensor_row_edit(t, row);
        if (to == NULL)
            return error_nomem(a->err, name, n);
        combine(to, change, n);
        if (!sound(t, name, to, n))
            return bad_tensor(a, name, "would hold what is no number that it may hold");
        next = row + 1;
    }
    return list.position == length ? ECREC_OK : bad_tensor(a, name, "has a longer list than rows");
}

static int32_t make_tensor(applier *a, const char *name, const tensor *old, const tensor *like, tensor **out)
{
    const int chunked = like->layout == LAYOUT_CHUNKS;
    size_t bytes = 0;
    if (chunked) {
        if (like->rank != 2 || (like->type != TYPE_F32 && like->type != TYPE_F64 && like->type != TYPE_U32 && like->type != TYPE_U64) || like->shape[0] == 0 ||
            like->shape[0] > (uint64_t)1 << 34 || like->shape[1] == 0 || like->shape[1] > 65536 || like->rows_per_chunk < LEAST_CHUNK || like->rows_per_chunk > 1u << 20 ||
            (like->rows_per_chunk & (like->rows_per_chunk - 1)) != 0)
            return bad_tensor(a, name, "has an impossible shape");
    } else if (like->layout != LAYOUT_ROWS || (bytes = tensor_bytes(like->type, like->layout, like->rank, like->shape)) > a->r.length - a->r.position) {
        return bad_tensor(a, name, "has a shape that does not fit its bytes");
    }
    /* one that `from` has is as large as its host allowed; of a new one this much now, and what its chunks take when they are made */
    if (old == NULL && chunked && !charge(a, (like->shape[0] / like->rows_per_chunk / CHUNK_BLOCK + 1) * sizeof(void *)))
        return bad_tensor(a, name, too_large);
    const int32_t status = !chunked ? tensor_create(a->m, like->type, like->layout, like->rank, like->shape, out)
                           : old != NULL ? tensor_fork(old, out)
                                         : tensor_chunked(a->m, like->type, like->shape[0], like->shape[1], like->rows_per_chunk, out);
    return status == ECREC_OK ? ECREC_OK : error_nomem(a->err, name, bytes);
}

static int32_t read_tensor(applier *a, const char *name)
{
    tensor like = { .layout = 0 }, *t = NULL;
    const tensor *old = tensor_set_get(a->from, name);
    const uint8_t change = read_u8(&a->r);
    if (change == GONE)
        return old != NULL && !a->r.failed ? tensor_set_remove(a->next, name) : bad_tensor(a, name, "goes, but was not there");
    like.type = (int32_t)read_u32(&a->r);
    like.layout = (int32_t)read_u32(&a->r);
    like.rank = (int32_t)read_u32(&a->r);
    if (like.rank < 0 || like.rank > TENSOR_MAX_RANK)
        return bad_tensor(a, name, "has an impossible rank");
    for (int32_t d = 0; d < like.rank; d++)
        like.shape[d] = read_u64(&a->r);
    if (like.layout == LAYOUT_CHUNKS)
        like.rows_per_chunk = read_u64(&a->r);
    if (a->r.failed || (change != NEW && change != CHANGED) || (change == CHANGED) != same_table(old, &like))
        return bad_tensor(a, name, "does not fit the one that it changes");
    int32_t status = make_tensor(a, name, change == CHANGED ? old : NULL, &like, &t);
    if (status == ECREC_OK && t->layout == LAYOUT_CHUNKS) {
        status = read_table(a, name, t, change == NEW);
    } else if (status == ECREC_OK && t->bytes > 0) {
        memcpy(tensor_edit(t), read_bytes(&a->r, t->bytes), t->bytes);
        if (change == CHANGED)
            combine(tensor_edit(t), old->data, t->bytes);
    }
    if (status == ECREC_OK && tensor_set_put(a->next, name, t) != ECREC_OK)
        status = error_nomem(a->err, name, 0);
    tensor_release(t);
    return status;
}

static int32_t read_body(applier *a)
{
    const uint32_t count = read_u32(&a->r);
    char name[MOST_NAME + 1];
    if (a->r.failed || count > MOST_TENSORS)
        return bad(a->err, DELTA_HEADER, "its count of tensors is impossible");
    for (uint32_t i = 0; i < count; i++) {
        size_t length = 0;
        const char *text = read_string(&a->r, MOST_NAME, &length);
        if (text == NULL || length == 0 || memchr(text, 0, length) != NULL)
            return bad(a->err, a->r.position, "a tensor's name is damaged");
        memcpy(name, text, length);
        name[length] = 0;
        if (!learned_tensor(name))
            return bad(a->err, a->r.position, "it changes what learning does not");
        const int32_t status = read_tensor(a, name);
        if (status != ECREC_OK)
            return status;
    }
    return a->r.position == a->r.length ? ECREC_OK : bad(a->err, a->r.position, "it is longer than its tensors");
}

int32_t delta_apply(memory *m, const delta_head *head, const void *bytes, size_t length, const tensor_set *from, tensor_set **out, ecrec_error *err)
{
    applier a = { .m = m, .from = from, .err = err, .new_bytes = ((uint64_t)64 << 20) + 64 * (uint64_t)length };
    const unsigned char *body = (const unsigned char *)bytes + DELTA_HEADER;
    void *unpacked = NULL;
    if (head->raw > SIZE_MAX || (head->packed && head->raw > most_raw(head->stored, from)))
        return bad(err, DELTA_HEADER, "it would unpack to more than it may");
    if (head->packed) {
        if (head->raw == 0 || (unpacked = memory_allocate(m, (size_t)head->raw)) == NULL)
            return head->raw == 0 ? bad(err, DELTA_HEADER, "it is empty") : error_nomem(err, "a delta", (size_t)head->raw);
        const int32_t status = unpack_bytes(m, body, (size_t)head->stored, unpacked, (size_t)head->raw);
        if (status != ECREC_OK) {
            memory_release(m, unpacked, (size_t)head->raw);
            return status == ECREC_ERR_NOMEM ? error_nomem(err, "a delta", 0) : bad(err, DELTA_HEADER, "its body cannot be unpacked");
        }
        body = unpacked;
    }
    reader_init(&a.r, body, (size_t)head->raw);
    int32_t status = tensor_set_copy(from, &a.next) == ECREC_OK ? ECREC_OK : error_nomem(err, "the next snapshot", 0);
    if (status == ECREC_OK)
        status = read_body(&a);
    hash128 state = head->base;
    if (status == ECREC_OK) {
        state_hash(from, a.next, &state);
        if (state.low != head->result.low || state.high != head->result.high)
            status = bad(err, DELTA_HEADER, "what comes of it has another fingerprint than it says");
    }
    if (unpacked != NULL)
        memory_release(m, unpacked, (size_t)head->raw);
    if (status != ECREC_OK)
        tensor_set_release(a.next);
    else
        *out = a.next;
    return status;
}
