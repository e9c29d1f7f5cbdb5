#include "import/convert.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "import/config.h"

enum { MOST_NAME = 256, MOST_NAMED = 4096 /* labels that get a name of ours */ };

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
static const safetensor *look_for(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, char full[MOST_NAME])
{
    char other[MOST_NAME];
    const safetensor *t = look(c, names, number, suffix, outside, full);
    if (t == NULL)
        t = look(c, names, number, strcmp(suffix, ".weight") == 0 ? ".gamma" : ".beta", outside, other);
    if (t == NULL && strcmp(suffix, ".weight") == 0)
        t = look(c, names, number, "", outside, other);
    return t;
}

static void shape_text(const safetensor *t, char out[96])
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

static int32_t need(const converter *c, const safetensor *t, const char *name, uint64_t rows, uint64_t columns, int flat)
{
    char found[96];
    const source_file *file = NULL;
    if (t == NULL)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" is missing", c->s->files[0].name, name);
    (void)source_find(c->s, t->name, &file);
    shape_text(t, found);
    if (!fits(t, rows, columns, flat) && columns == 0)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" has shape %s, but config.json says %llu", file->name, t->name, found, (unsigned long long)rows);
    if (!fits(t, rows, columns, flat))
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" has shape %s, but config.json says %llu x %llu", file->name, t->name, found,
                         (unsigned long long)rows, (unsigned long long)columns);
    source_use(c->s, t);
    return ECREC_OK;
}

static int32_t find(const converter *c, const char *names, uint64_t number, const char *suffix, int outside, uint64_t rows, uint64_t columns,
                    const safetensor **out)
{
    char full[MOST_NAME];
    *out = look_for(c, names, number, suffix, outside, full);
    return need(c, *out, full, rows, columns, 0);
}

/* ---- making ---- */

static int32_t advance(converter *c, const safetensor *t)
{
    c->done += t->bytes;
    if (c->progress != NULL && c->progress(c->progress_opaque, c->done, c->s->bytes) != 0)
        return error_set(c->err, ECREC_ERR_CANCELLED, "import was cancelled");
    return ECREC_OK;
}

/* A dense float32 tensor under `name`, to be filled. *out is borrowed from the parts. columns 0: a vector. */
static int32_t make(converter *c, const char *name, int32_t layout, uint64_t rows, uint64_t columns, float **out)
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
static int32_t copy_rows(converter *c, const char *name, const safetensor *t, uint64_t rows, uint64_t columns)
{
    float *out = NULL;
    int32_t status;
    if (c->check_only)
        return ECREC_OK;
    if ((status = make(c, name, LAYOUT_ROWS, rows, columns, &out)) != ECREC_OK ||
        (status = safetensors_floats(t, 0, (size_t)(rows * (columns != 0 ? columns : 1)), out, c->err)) != ECREC_OK)
        return status;
    return advance(c, t);
}

static int32_t table(converter *c, const char *name, const char *from, uint64_t rows, uint64_t columns)
{
    const safetensor *t = NULL;
    const int32_t status = find(c, from, 0, ".weight", 0, rows, columns, &t);
    return status == ECREC_OK ? copy_rows(c, name, t, rows, columns) : status;
}

/* A matrix that is made of others, one below the other, of which each has k inputs. */
typedef struct piece {
    const char *from; /* NULL: no piece */
    uint64_t rows;
} piece;
enum { MOST_PIECES = 3 };

typedef struct linear {
    const char *name; /* of the encoder's matrix */
    piece pieces[MOST_PIECES];
    uint64_t k, number;
    int bias, outside, flat;
    uint64_t groups, each, size; /* rows put together group by group: `each` units of piece 0, one of 1, one of 2; units of `size` rows. 0: as they lie */
} linear;

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
        t = look_for(c, l->pieces[i].from, l->number, suffix, l->outside, full);
        const int matrix = strcmp(suffix, ".weight") == 0;
        if ((status = need(c, t, full, transposed ? k : n, !matrix ? 0 : transposed ? n : k, l->flat)) != ECREC_OK || c->check_only)
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
            status = advance(c, t);
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
        status = make(c, name, matrix ? LAYOUT_PANELS : LAYOUT_ROWS, rows, matrix ? k : 0, &to);
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

static int32_t matrix(converter *c, const linear *l)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < MOST_PIECES && l->pieces[i].from != NULL; i++)
        rows += l->pieces[i].rows;
    const int32_t status = matrix_part(c, l, ".weight", rows, l->k);
    return status != ECREC_OK || !l->bias ? status : matrix_part(c, l, ".bias", rows, 1);
}

static int32_t norm(converter *c, const char *name, const char *from, uint64_t number, int with_bias, int outside, uint64_t n)
{
    static const char *const suffixes[] = { ".weight", ".bias" };
    int32_t status = ECREC_OK;
    for (int i = 0; i < 1 + (with_bias != 0) && status == ECREC_OK; i++) {
        char full[MOST_NAME];
        const safetensor *t = NULL;
        format_text(full, sizeof full, "%s%s", name, suffixes[i]);
        if ((status = find(c, from, number, suffixes[i], outside, n, 0, &t)) == ECREC_OK)
            status = copy_rows(c, full, t, n, 0);
    }
    return status;
}

/* Is there a tensor of that name? */
static int there(const converter *c, const char *names, const char *suffix, int outside)
{
    char full[MOST_NAME];
    return names != NULL && look_for(c, names, 0, suffix, outside, full) != NULL;
}

/* ---- what an encoder is made of ---- */

static int32_t convert_tables(converter *c)
{
    const folder *f = c->f;
    const family *m = f->family;
    const int with_norm_bias = (f->biases & BIAS_NORM) != 0 && (m->flags & FAMILY_RMS) == 0;
    int32_t status = ECREC_OK;
    if ((m->flags & FAMILY_IMAGE) != 0) {
        const linear patch = { .name = "embeddings.patch", .pieces = { { m->token, f->hidden } }, .k = f->patch * f->patch * f->channels,
                               .bias = there(c, m->token, ".bias", 0), .flat = 1 };
        const safetensor *t = NULL;
        if ((status = matrix(c, &patch)) == ECREC_OK && (status = find(c, m->class_token, 0, ".weight", 0, f->hidden, 0, &t)) == ECREC_OK)
            status = copy_rows(c, "embeddings.class", t, f->hidden, 0);
    } else if ((m->flags & FAMILY_STATIC) == 0) {
        status = table(c, "embeddings.token", m->token, f->vocabulary, f->embedding);
    }
    if (status == ECREC_OK && m->position != NULL)
        status = table(c, "embeddings.position", m->position, f->rows, f->embedding);
    if (status == ECREC_OK && m->type != NULL && f->types != 0)
        status = table(c, "embeddings.type", m->type, f->types, f->embedding);
    if (status == ECREC_OK && m->embedding_norm != NULL)
        status = norm(c, "embeddings.norm", m->embedding_norm, 0, with_norm_bias, 0, f->embedding);
    if (status == ECREC_OK && m->embedding_projection != NULL && (f->embedding != f->hidden || there(c, m->embedding_projection, ".weight", 0))) {
        const linear projection = { .name = "embeddings.projection", .pieces = { { m->embedding_projection, f->hidden } }, .k = f->embedding, .bias = 1 };
        if ((status = set_u64(c->f, "encoder.embedding_projection", 1, c->err)) == ECREC_OK)
            status = matrix(c, &projection);
    }
    if (status == ECREC_OK && m->final_norm != NULL)
        status = norm(c, "final_norm", m->final_norm, 0, with_norm_bias, 0, f->hidden);
    return status;
}

static int32_t convert_positions(converter *c)
{
    const folder *f = c->f;
    const safetensor *t = NULL;
    char name[32];
    int32_t status = ECREC_OK;
    for (uint64_t i = 0; i < f->rotaries && status == ECREC_OK && !c->check_only; i++) {
        float *to = NULL;
        format_text(name, sizeof name, "rotary.%llu", (unsigned long long)i);
        if ((status = make(c, name, LAYOUT_ROWS, f->max_length, f->rotary_size, &to)) == ECREC_OK)
            rotary_fill(&f->rotary[i], (size_t)f->max_length, (size_t)f->rotary_size, to);
    }
    if (status != ECREC_OK || f->family->relative == NULL || f->layers == 0)
        return status;
    if ((status = find(c, f->family->relative, 0, ".weight", 0, f->bucket_rows, f->heads, &t)) == ECREC_OK)
        status = copy_rows(c, "relative", t, f->buckets, f->heads);
    return status;
}

static int32_t convert_layer(converter *c, uint64_t layer, uint64_t number)
{
    const folder *f = c->f;
    const family *m = f->family;
    const uint64_t width = f->heads * f->head_size, keys = f->groups * f->head_size, h = f->hidden, ff = f->feed_forward;
    const int with_norm_bias = (f->biases & BIAS_NORM) != 0 && (m->flags & FAMILY_RMS) == 0;
    char names[8][64];
    static const char *const parts[] = { "attention.qkv", "attention.output", "attention.norm", "feed_forward.in", "feed_forward.out",
                                         "feed_forward.norm", "attention.query_norm", "attention.key_norm" };
    for (size_t i = 0; i < 8; i++)
        format_text(names[i], sizeof names[i], "layers.%llu.%s", (unsigned long long)layer, parts[i]);
    linear qkv = { .name = names[0], .pieces = { { m->query, width }, { m->key, keys }, { m->value, keys } }, .k = h, .number = number,
                   .bias = (f->biases & BIAS_QKV) != 0, .groups = f->groups, .each = f->heads / f->groups, .size = f->head_size };
    if (m->fused != NULL) {
        qkv.pieces[0] = (piece){ m->fused, width + 2 * keys };
        qkv.pieces[1].from = NULL;
    }
    const linear output = { .name = names[1], .pieces = { { m->output, h } }, .k = width, .number = number, .bias = (f->biases & BIAS_OUTPUT) != 0 };
    linear in = { .name = names[3], .pieces = { { m->in, ff } }, .k = h, .number = number, .bias = (f->biases & BIAS_IN) != 0 };
    if (f->gated && m->gate != NULL) {
        in.pieces[0].from = m->gate;
        in.pieces[1] = (piece){ m->in, ff };
    } else if (f->gated) {
        in.pieces[0].rows = 2 * ff;
    }
    const linear out = { .name = names[4], .pieces = { { m->out, h } }, .k = ff, .number = number, .bias = (f->biases & BIAS_OUT) != 0 };
    const int unnormed = layer == 0 && strcmp(f->model_type, "modernbert") == 0;
    int32_t status;
    if ((status = matrix(c, &qkv)) || (status = matrix(c, &output)) ||
        (!unnormed && (status = norm(c, names[2], m->attention_norm, number, with_norm_bias, 0, h))) || (status = matrix(c, &in)) ||
        (status = matrix(c, &out)) || (status = norm(c, names[5], m->feed_forward_norm, number, with_norm_bias, 0, h)))
        return status;
    if (m->query_norm == NULL)
        return ECREC_OK;
    status = norm(c, names[6], m->query_norm, number, 0, 0, f->head_size);
    return status != ECREC_OK ? status : norm(c, names[7], m->key_norm, number, 0, 0, f->head_size);
}

/* ---- heads ---- */

/* Rows of a matrix whose height the configuration does not say. */
static int32_t height(const converter *c, const char *names, uint64_t *rows)
{
    char full[MOST_NAME];
    const safetensor *t = look_for(c, names, 0, ".weight", 1, full);
    if (t == NULL || t->rank != 2 || t->shape[0] == 0 || t->shape[0] > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" is missing or no matrix of 1 .. 65536 rows", c->s->files[0].name, full);
    *rows = t->shape[0];
    return ECREC_OK;
}

static int32_t dense(converter *c, const char *name, const char *from, uint64_t n, uint64_t k)
{
    const linear l = { .name = name, .pieces = { { from, n } }, .k = k, .bias = there(c, from, ".bias", 1), .outside = 1 };
    return matrix(c, &l);
}

static int32_t convert_projection(converter *c)
{
    folder *f = c->f;
    const family *m = f->family;
    int32_t status = ECREC_OK;
    if (m->projection_norm != NULL) {
        if ((status = norm(c, "projection.norm", m->projection_norm, 0, 1, 0, f->hidden)) == ECREC_OK)
            status = set_u64(f, "encoder.projection_norm", 1, c->err);
    }
    if (status != ECREC_OK || !there(c, m->projection, ".weight", 1))
        return status;
    if ((status = height(c, m->projection, &f->dimension)) != ECREC_OK || (status = set_u64(f, "encoder.projection", 1, c->err)) != ECREC_OK)
        return status;
    return dense(c, "projection", m->projection, f->dimension, f->hidden);
}

static int32_t convert_pooler(converter *c, const char *from, const char *activation)
{
    int32_t status = set_u64(c->f, "encoder.pooler", 1, c->err);
    if (status == ECREC_OK)
        status = set_string(c->f, "encoder.pooler_activation", activation, c->err);
    return status == ECREC_OK ? dense(c, "pooler", from, c->f->hidden, c->f->hidden) : status;
}

/* Labels that the configuration gives no names are called as its tools call them. */
static int32_t name_labels(converter *c, uint64_t labels)
{
    int32_t status = ECREC_OK;
    for (uint64_t i = 0; i < labels && labels <= MOST_NAMED && status == ECREC_OK; i++) {
        char key[32], name[32];
        format_text(key, sizeof key, "label.%llu", (unsigned long long)i);
        format_text(name, sizeof name, "LABEL_%llu", (unsigned long long)i);
        if (properties_string(c->f->settings, key, NULL) == NULL)
            status = set_string(c->f, key, name, c->err);
    }
    return status;
}

/* What stands on the pooled state: BERT's pooler, and the classifier with what it has of its own before it. */
static int32_t convert_heads(converter *c)
{
    folder *f = c->f;
    const family *m = f->family;
    const char *pooling = properties_string(f->settings, "encoder.pooling", "");
    uint64_t labels = 0;
    int32_t status = ECREC_OK;
    const int classifies = f->classifies && m->classifier != NULL;
    if (classifies && m->head_dense != NULL) {
        if ((status = convert_pooler(c, m->head_dense, m->head_activation)) != ECREC_OK)
            return status;
    } else if (there(c, m->pooler, ".weight", 0) && (!classifies || (m->flags & FAMILY_IMAGE) == 0)) {
        if ((status = convert_pooler(c, m->pooler, "tanh")) != ECREC_OK)
            return status;
    } else if (strcmp(pooling, "pooler") == 0 && (status = set_string(f, "encoder.pooling", "cls", c->err)) != ECREC_OK) {
        return status;
    }
    if (!classifies)
        return ECREC_OK;
    if (m->head_norm != NULL) {
        if ((status = norm(c, "pooler.norm", m->head_norm, 0, (f->biases & BIAS_NORM) != 0, 1, f->hidden)) != ECREC_OK ||
            (status = set_u64(f, "encoder.pooler_norm", 1, c->err)) != ECREC_OK)
            return status;
    }
    const char *where = m->head_pooling != NULL ? m->head_pooling : "cls";
    if (strcmp(f->model_type, "modernbert") == 0 && (status = json_get_string(f->config, "config.json", "classifier_pooling", "cls", &where, c->err)))
        return status;
    if (strcmp(where, "cls") != 0 && strcmp(where, "mean") != 0 && strcmp(where, "last") != 0)
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "config.json: classifier_pooling \"%s\" is not supported (supported: cls, mean)", where);
    if ((status = height(c, m->classifier, &labels)) != ECREC_OK || (status = set_string(f, "encoder.pooler_pooling", where, c->err)) != ECREC_OK ||
        (status = set_u64(f, "encoder.labels", labels, c->err)) != ECREC_OK || (status = name_labels(c, labels)) != ECREC_OK)
        return status;
    return dense(c, "classifier", m->classifier, labels, f->hidden);
}

/* ---- families whose tensors tell their sizes ---- */

/* The integers of a tensor of token numbers. */
static int32_t integer_at(const converter *c, const safetensor *t, size_t i, uint64_t below, uint64_t *out)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    if (strcmp(t->dtype, "I64") == 0) {
        memcpy(&wide, t->data + 8 * i, 8);
    } else if (strcmp(t->dtype, "I32") == 0) {
        memcpy(&narrow, t->data + 4 * i, 4);
        wide = narrow;
    } else {
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "tensor \"%s\": type %s is not supported (supported: I64, I32)", t->name, t->dtype);
    }
    if (wide < 0 || (uint64_t)wide >= below)
        return error_set(c->err, ECREC_ERR_FORMAT, "tensor \"%s\": value %zu is not a row of the table of %llu", t->name, i, (unsigned long long)below);
    *out = (uint64_t)wide;
    return ECREC_OK;
}

/* One row a token: the table's, where a mapping says which, times the token's weight. */
static int32_t convert_static(converter *c)
{
    const folder *f = c->f;
    const safetensor *t = NULL, *mapping = source_find(c->s, "mapping", NULL), *weights = source_find(c->s, "weights", NULL);
    const size_t d = (size_t)f->hidden;
    char full[MOST_NAME];
    float *to = NULL;
    t = look_for(c, f->family->token, 0, ".weight", 0, full);
    const uint64_t rows = t->shape[0];
    int32_t status = need(c, t, full, rows, f->hidden, 0);
    if (status == ECREC_OK && mapping != NULL)
        status = need(c, mapping, "mapping", f->vocabulary, 0, 0);
    if (status == ECREC_OK && weights != NULL)
        status = need(c, weights, "weights", f->vocabulary, 0, 0);
    if (status != ECREC_OK || c->check_only || (status = make(c, "embeddings.token", LAYOUT_ROWS, f->vocabulary, d, &to)) != ECREC_OK)
        return status;
    for (size_t i = 0; i < f->vocabulary && status == ECREC_OK; i++, to += d) {
        uint64_t row = i;
        float weight = 1;
        if (mapping != NULL && (status = integer_at(c, mapping, i, rows, &row)) != ECREC_OK)
            break;
        if (weights != NULL && (status = safetensors_floats(weights, i, 1, &weight, c->err)) != ECREC_OK)
            break;
        status = safetensors_floats(t, (size_t)row * d, d, to, c->err);
        for (size_t j = 0; j < d && weights != NULL; j++)
            to[j] *= weight;
    }
    return status == ECREC_OK ? advance(c, t) : status;
}

static int32_t table_shape(const converter *c, const char *names, uint64_t *rows, uint64_t *columns)
{
    char full[MOST_NAME], found[96] = "none";
    const safetensor *t = look_for(c, names, 0, ".weight", 0, full);
    if (t != NULL)
        shape_text(t, found);
    if (t == NULL || t->rank != 2 || t->shape[0] == 0 || t->shape[1] == 0 || t->shape[0] > 1 << 26 || t->shape[1] > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" has shape %s; a table of at most 67108864 x 65536 is needed",
                         c->s->files[0].name, full, found);
    *rows = t->shape[0];
    *columns = t->shape[1];
    return ECREC_OK;
}

static int32_t infer_static(converter *c)
{
    folder *f = c->f;
    int32_t status = table_shape(c, f->family->token, &f->vocabulary, &f->hidden);
    const safetensor *mapping = source_find(c->s, "mapping", NULL);
    int normalize = 0;
    if (status != ECREC_OK)
        return status;
    if (mapping != NULL && mapping->rank == 1 && mapping->shape[0] >= 1 && mapping->shape[0] <= 1 << 26)
        f->vocabulary = mapping->shape[0];
    f->embedding = f->hidden;
    f->positions = 1 << 20;
    f->head_size = f->heads = f->groups = f->feed_forward = 1; /* there are no layers */
    if (f->config != NULL && (status = json_get_bool(f->config, "config.json", "normalize", 0, &normalize, c->err)) != ECREC_OK)
        return status;
    return normalize ? set_u64(f, "encoder.normalize", 1, c->err) : ECREC_OK;
}

static int32_t infer_items(converter *c, uint32_t heads)
{
    folder *f = c->f;
    const family *m = f->family;
    uint64_t width = 0, given = 2;
    char full[MOST_NAME];
    double eps = m->eps;
    const char *activation = m->activation;
    int32_t status;
    if ((status = table_shape(c, m->token, &f->vocabulary, &f->hidden)) || (status = table_shape(c, m->position, &f->rows, &width)))
        return status;
    for (f->layers = 0; f->layers < 1024 && look_for(c, m->query, f->layers, ".weight", 0, full) != NULL; f->layers++)
        ;
    const safetensor *t = look_for(c, m->in, 0, ".weight", 0, full);
    if (f->layers == 0 || t == NULL || t->rank != 2 || t->shape[0] == 0 || t->shape[0] > 65536)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: the layers' tensors (\"%s\") are missing", c->s->files[0].name, full);
    if ((status = json_get_u64(f->config, "config.json", "num_attention_heads", 2, &given, c->err)) ||
        (status = json_get_string(f->config, "config.json", "hidden_act", activation, &activation, c->err)) ||
        (status = json_get_double(f->config, "config.json", "layer_norm_eps", eps, &eps, c->err)))
        return status;
    given = heads != 0 ? heads : given;
    if (given == 0 || f->hidden % given != 0)
        return error_set(c->err, ECREC_ERR_INVALID, "%llu attention heads do not divide the width of %llu", (unsigned long long)given, (unsigned long long)f->hidden);
    if (strcmp(activation, "gelu") != 0 && strcmp(activation, "relu") != 0 && strcmp(activation, "silu") != 0 && strcmp(activation, "swish") != 0)
        return error_set(c->err, ECREC_ERR_UNSUPPORTED, "config.json: hidden_act \"%s\" is not supported here (supported: gelu, relu, silu, swish)", activation);
    f->feed_forward = t->shape[0];
    f->embedding = f->hidden;
    f->positions = f->rows;
    f->heads = f->groups = given;
    f->head_size = f->hidden / given;
    f->biases = m->biases;
    if (f->rows > 1 << 20 || !(eps > 0 && eps < 1))
        return error_set(c->err, ECREC_ERR_FORMAT, "%llu positions, or layer_norm_eps %g, are out of range", (unsigned long long)f->rows, eps);
    if ((status = set_string(f, "encoder.activation", strcmp(activation, "swish") == 0 ? "silu" : activation, c->err)))
        return status;
    return set_f64(f, "encoder.norm_eps", eps, c->err);
}

int32_t convert_infer(converter *c, uint32_t heads)
{
    static const char *const kinds[] = { "sasrec", "model2vec" };
    folder *f = c->f;
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && f->family == NULL && status == ECREC_OK; i++) {
        const family *m = family_find(kinds[i]);
        if ((status = source_prefix(f, c->s, m->token, c->err)) != ECREC_OK || c->s->prefix == NULL)
            continue;
        f->family = m;
        f->model_type = kinds[i];
        f->layer_groups = UINT64_MAX;
        if (strcmp(kinds[i], "sasrec") == 0)
            status = set_string(f, "encoder.pooling", "last", c->err);
    }
    if (status != ECREC_OK)
        return status;
    if (f->family == NULL)
        return error_set(c->err, ECREC_ERR_IO, "%s/config.json: no such file or folder (a Hugging Face model folder is needed)", f->path);
    if ((status = source_prefix(f, c->s, f->family->token, c->err)) != ECREC_OK)
        return status;
    if (c->s->prefix == NULL)
        return error_set(c->err, ECREC_ERR_FORMAT, "%s: tensor \"%s\" is missing, under any prefix", c->s->files[0].name, f->family->token);
    if ((f->family->flags & FAMILY_STATIC) != 0)
        status = infer_static(c);
    else if ((f->family->flags & FAMILY_ITEMS) != 0)
        status = infer_items(c, heads);
    f->dimension = f->hidden;
    return status;
}

int32_t convert_all(converter *c)
{
    const folder *f = c->f;
    int32_t status = (f->family->flags & FAMILY_STATIC) != 0 ? convert_static(c) : convert_tables(c);
    if (status == ECREC_OK)
        status = convert_positions(c);
    for (uint64_t i = 0, number = 0; i < f->layers && status == ECREC_OK; i++) {
        if (folder_layer_of(f, i) == i)
            status = convert_layer(c, i, f->layer_groups == UINT64_MAX ? i : number++);
    }
    if (status == ECREC_OK)
        status = convert_projection(c);
    return status == ECREC_OK ? convert_heads(c) : status;
}
