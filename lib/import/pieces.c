#include "import/pieces.h"

#include <string.h>

#include "base/error.h"
#include "base/format.h"

/* ---- finding ---- */

/* One spelling of a name: '#' becomes the number. */
static void spell(char out[MOST_NAME], const char *prefix, size_t prefix_length, const char *name, size_t n, uint64_t number, const char *suffix)
{
    char digits[24], body[MOST_NAME];
    size_t length = 0;
    format_text(digits, sizeof digits, "%llu", (unsigned long long)number);
    for (size_t i = 0; i < n && length + sizeof digits < sizeof body; i++) {
        if (name[i] != '#') {
            body[length++] = name[i];
            continue;
        }
        memcpy(body + length, digits, strlen(digits));
        length += strlen(digits);
    }
    body[length] = 0;
    format_text(out, MOST_NAME, "%.*s%s%s", (int)prefix_length, prefix, body, suffix);
}

/* Under the prefix; with `outside` also under each shorter one: heads lie outside of what they stand on. */
static const safetensor *look(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, char full[MOST_NAME])
{
    const char *prefix = c->s->prefix;
    size_t front = strlen(prefix);
    for (;;) {
        for (const char *at = names; *at != 0;) {
            const char *end = strchr(at, '|');
            const size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
            spell(full, prefix, front, at, n, number, suffix);
            const safetensor *t = source_find(c->s, full, NULL);
            if (t != NULL)
                return t;
            at += n + (end != NULL);
        }
        if (!outside || front == 0)
            break;
        for (front--; front > 0 && prefix[front - 1] != '.'; front--)
            ;
    }
    const char *end = strchr(names, '|');
    spell(full, prefix, strlen(prefix), names, end != NULL ? (size_t)(end - names) : strlen(names), number, suffix);
    return NULL;
}

/* Older files call the weight and bias of a norm gamma and beta; a table may have no ending at all. */
const safetensor *piece_look(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, char full[MOST_NAME])
{
    char other[MOST_NAME];
    const safetensor *t = look(c, names, number, suffix, outside, full);
    if (t == NULL)
        t = look(c, names, number, strcmp(suffix, ".weight") == 0 ? ".gamma" : ".beta", outside, other);
    if (t == NULL && strcmp(suffix, ".weight") == 0)
        t = look(c, names, number, "", outside, other);
    return t;
}

void piece_shape(const safetensor *t, char out[96])
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < t->rank && n + 24 < 96; i++)
        n += format_text(out + n, 96 - n, "%s%llu", i != 0 ? " x " : "", (unsigned long long)t->shape[i]);
}

/* columns 0: a vector of `rows`. Leading ones of a shape do not count; trailing dimensions of a table of patches are one. */
static int fits(const safetensor *t, uint64_t rows, uint64_t columns, int flat)
{
    uint32_t first = 0;
    const uint32_t wanted = columns == 0 ? 1 : 2;
    uint64_t product = 1;
    while (t->rank - first > wanted && t->shape[first] == 1)
        first++;
    if (t->rank - first < wanted || t->shape[first] != rows || (!flat && t->rank - first != wanted))
        return 0;
    for (uint32_t i = first + 1; i < t->rank; i++)
        product *= t->shape[i]; /* the reader checked that all of them together fit */
    return columns == 0 || product == columns;
}

int32_t piece_check(const converter *c, const safetensor *t, const char *name, uint64_t rows, uint64_t columns, int flat)
{
    char found[96];
    const source_file *file = NULL;
    if (t == NULL)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" is missing", c->s->files[0].name, name);
    (void)source_find(c->s, t->name, &file);
    piece_shape(t, found);
    if (!fits(t, rows, columns, flat) && columns == 0)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" has shape %s, but config.json says %llu", file->name, t->name, found, (unsigned long long)rows);
    if (!fits(t, rows, columns, flat))
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" has shape %s, but config.json says %llu x %llu", file->name, t->name, found,
                         (unsigned long long)rows, (unsigned long long)columns);
    source_use(c->s, t);
    return ECREC_OK;
}

int32_t piece_find(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, uint64_t rows, uint64_t columns,
                    const safetensor **out)
{
    char full[MOST_NAME];
    *out = piece_look(c, names, number, suffix, outside, full);
    return piece_check(c, *out, full, rows, columns, 0);
}

/* ---- making ---- */

int32_t piece_done(converter *c, const safetensor *t)
{
    c->done += t->bytes;
    if (c->progress != NULL && c->progress(c->progress_opaque, c->done, c->s->bytes) != 0)
        return error_set(c->err, ECREC_ERR_CANCELLED, "import was cancelled");
    return ECREC_OK;
}

/* A dense float32 tensor under `name`, to be filled. *out is borrowed from the parts. columns 0: a vector. */
int32_t piece_make(converter *c, const char *name, int32_t layout, uint64_t rows, uint64_t columns, float **out)
{
    const uint64_t shape[2] = { rows, columns };
    tensor *t = NULL;
    int32_t status = tensor_create(c->p->m, TYPE_F32, layout, columns == 0 ? 1 : 2, shape, &t);
    if (status == ECREC_OK) {
        *out = tensor_edit(t); /* the set alone has it: not shared yet */
        status = tensor_set_put(c->p->tensors, name, t);
        tensor_release(t);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(c->err, name, (size_t)(rows * (columns != 0 ? columns : 1) * 4));
}

/* Rows as they are: tables, norms, biases. */
int32_t piece_rows(converter *c, const char *name, const safetensor *t, uint64_t rows, uint64_t columns)
{
    float *out = NULL;
    int32_t status;
    if (c->check_only)
        return ECREC_OK;
    if ((status = piece_make(c, name, LAYOUT_ROWS, rows, columns, &out)) != ECREC_OK ||
        (status = safetensors_floats(t, 0, (size_t)(rows * (columns != 0 ? columns : 1)), out, c->err)) != ECREC_OK)
        return status;
    return piece_done(c, t);
}

int32_t piece_table(converter *c, const char *name, const char *from, uint64_t rows, uint64_t columns)
{
    const safetensor *t = NULL;
    const int32_t status = piece_find(c, from, 0, ".weight", 0, rows, columns, &t);
    return status == ECREC_OK ? piece_rows(c, name, t, rows, columns) : status;
}

/* All pieces row-major, one below the other. columns 1 and a suffix of ".bias": their biases. */
static int32_t gather(converter *c, const linear *l, const char *suffix, uint64_t k, float *out)
{
    const int transposed = (c->f->family->flags & FAMILY_TRANSPOSED) != 0 && !l->outside && strcmp(suffix, ".weight") == 0;
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < MOST_PIECES && l->pieces[i].from != NULL && status == ECREC_OK; i++) {
        const uint64_t n = l->pieces[i].rows;
        const size_t count = (size_t)(n * k);
        const safetensor *t = NULL;
        char full[MOST_NAME];
        t = piece_look(c, l->pieces[i].from, l->number, suffix, l->outside, full);
        const int matrix = strcmp(suffix, ".weight") == 0;
        if ((status = piece_check(c, t, full, transposed ? k : n, !matrix ? 0 : transposed ? n : k, l->flat)) != ECREC_OK || c->check_only)
            continue;
        if (!transposed) {
            status = safetensors_floats(t, 0, count, out, c->err);
        } else {
            float *columns = memory_allocate(c->p->m, count * sizeof(float));
            status = columns == NULL ? error_nomem(c->err, l->name, count * sizeof(float)) : safetensors_floats(t, 0, count, columns, c->err);
            for (uint64_t r = 0; r < n && status == ECREC_OK; r++)
                for (uint64_t j = 0; j < k; j++)
                    out[r * k + j] = columns[j * n + r];
            memory_release(c->p->m, columns, count * sizeof(float));
        }
        out += count;
        if (status == ECREC_OK)
            status = piece_done(c, t);
    }
    return status;
}

/* From queries, keys, values one below the other to group by group. */
static void regroup(const linear *l, uint64_t k, const float *from, float *to)
{
    const size_t unit = (size_t)(l->size * k), heads = (size_t)(l->groups * l->each);
    for (size_t g = 0; g < l->groups; g++) {
        memcpy(to, from + g * l->each * unit, l->each * unit * sizeof(float));
        memcpy(to + l->each * unit, from + (heads + g) * unit, unit * sizeof(float));
        memcpy(to + (l->each + 1) * unit, from + (heads + l->groups + g) * unit, unit * sizeof(float));
        to += (l->each + 2) * unit;
    }
}

static int32_t matrix_part(converter *c, const linear *l, const char *suffix, uint64_t rows, uint64_t k)
{
    const int matrix = strcmp(suffix, ".weight") == 0;
    const size_t bytes = memory_product(memory_product((size_t)rows, (size_t)k), sizeof(float));
    char name[MOST_NAME];
    float *to = NULL, *all = NULL, *grouped = NULL;
    if (c->check_only)
        return gather(c, l, suffix, k, NULL);
    format_text(name, sizeof name, "%s%s", l->name, suffix);
    if ((all = memory_allocate(c->p->m, bytes)) == NULL || (l->groups != 0 && (grouped = memory_allocate(c->p->m, bytes)) == NULL)) {
        memory_release(c->p->m, all, bytes);
        return error_nomem(c->err, name, bytes);
    }
    int32_t status = gather(c, l, suffix, k, all);
    if (status == ECREC_OK)
        status = piece_make(c, name, matrix ? LAYOUT_PANELS : LAYOUT_ROWS, rows, matrix ? k : 0, &to);
    if (status == ECREC_OK && grouped != NULL)
        regroup(l, k, all, grouped);
    const float *ready = grouped != NULL ? grouped : all;
    if (status == ECREC_OK && matrix)
        weights_pack(WEIGHTS_F32, (size_t)rows, (size_t)k, ready, (size_t)k, to);
    else if (status == ECREC_OK)
        memcpy(to, ready, bytes);
    memory_release(c->p->m, all, bytes);
    memory_release(c->p->m, grouped, grouped != NULL ? bytes : 0);
    return status;
}

int32_t piece_matrix(converter *c, const linear *l)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < MOST_PIECES && l->pieces[i].from != NULL; i++)
        rows += l->pieces[i].rows;
    const int32_t status = matrix_part(c, l, ".weight", rows, l->k);
    return status != ECREC_OK || !l->bias ? status : matrix_part(c, l, ".bias", rows, 1);
}

int32_t piece_norm(converter *c, const char *name, const char *from, uint64_t number, int with_bias, int outside, uint64_t n)
{
    static const char *const suffixes[] = { ".weight", ".bias" };
    int32_t status = ECREC_OK;
    for (int i = 0; i < 1 + (with_bias != 0) && status == ECREC_OK; i++) {
        char full[MOST_NAME];
        const safetensor *t = NULL;
        format_text(full, sizeof full, "%s%s", name, suffixes[i]);
        if ((status = piece_find(c, from, number, suffixes[i], outside, n, 0, &t)) == ECREC_OK)
            status = piece_rows(c, full, t, n, 0);
    }
    return status;
}

/* Is there a tensor of that name? */
int piece_there(const converter *c, const char *names, const char *suffix, int outside)
{
    char full[MOST_NAME];
    return names != NULL && piece_look(c, names, 0, suffix, outside, full) != NULL;
}
