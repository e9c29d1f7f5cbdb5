/* What ecrec_model_info tells of a model. */
#include <math.h>
#include <string.h>

#include "base/format.h"
#include "base/report.h"
#include "session.h"

static const char *layout_name(int32_t layout)
{
    switch (layout) {
    case LAYOUT_ROWS: return "rows";
    case LAYOUT_PANELS: return "panels";
    case LAYOUT_ROWS_S8: return "rows with a scale each";
    case LAYOUT_CHUNKS: return "chunks";
    default: return "?";
    }
}

static void describe_setting(ecrec_report *r, const properties *settings, size_t index)
{
    int32_t kind = 0;
    uint64_t u = 0;
    double f = 0;
    const char *text = NULL;
    const char *name = properties_at(settings, index, &kind, &u, &f, &text);
    /* "encoder.layers" is a count in the file and a list in a report */
    if (strcmp(name, "encoder.layers") == 0)
        name = "encoder.layer_count";
    if (kind == PROPERTY_STRING)
        report_string(r, name, text, strlen(text));
    else
        report_number(r, name, kind == PROPERTY_U64 ? (double)u : f);
}

static int starts_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Every setting whose name has the prefix, but for the layers' own, which are told in the order of the layers. */
static void describe_settings(ecrec_report *r, const properties *settings, const char *prefix, int with_prefix)
{
    for (size_t i = 0; i < properties_count(settings); i++) {
        int32_t kind = 0;
        uint64_t u = 0;
        double f = 0;
        const char *text = NULL;
        const char *name = properties_at(settings, i, &kind, &u, &f, &text);
        if (starts_with(name, prefix) == with_prefix && !starts_with(name, "encoder.layers.") &&
            (with_prefix || (!starts_with(name, "licence.") && !starts_with(name, "label.") && !starts_with(name, "classifier."))))
            describe_setting(r, settings, i);
    }
}

static void describe_layers(ecrec_report *r, const properties *settings)
{
    static const char *const what[] = { "heads", "groups", "feed_forward", "window", "rotary", "attention_norm", "weights" };
    uint64_t layers = properties_u64(settings, "encoder.layers", 0);
    char name[64];
    for (uint64_t l = 0; l < layers; l++)
        for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
            format_text(name, sizeof name, "encoder.layers.%llu.%s", (unsigned long long)l, what[i]);
            const uint64_t value = properties_u64(settings, name, UINT64_MAX);
            if (value != UINT64_MAX) /* the usual ones are not written */
                report_number(r, name, (double)value);
        }
}

/* The labels in the order of their scores, which is not that of their settings' names. */
static void describe_classifier(ecrec_report *r, const properties *settings)
{
    const uint64_t labels = properties_u64(settings, "encoder.labels", 0);
    const char *activation = properties_string(settings, "classifier.activation", labels == 1 ? "sigmoid" : "softmax");
    char key[32], name[40];
    if (labels != 0)
        report_string(r, "classifier.activation", activation, strlen(activation));
    for (uint64_t i = 0; i < labels; i++) {
        format_text(key, sizeof key, "label.%llu", (unsigned long long)i);
        const char *label = properties_string(settings, key, NULL);
        if (label == NULL)
            break; /* too many to have names */
        format_text(name, sizeof name, "classifier.labels.%llu", (unsigned long long)i);
        report_string(r, name, label, strlen(label));
    }
}

static void describe_tensor(ecrec_report *r, size_t index, const char *name, const tensor *t)
{
    char key[64], value[256];
    size_t n = 0;
    uint64_t bytes = t->layout == LAYOUT_CHUNKS ? tensor_own_bytes(t, NULL) : t->bytes;
    format_text(key, sizeof key, "tensors.%zu.name", index);
    report_string(r, key, name, strlen(name));
    for (int32_t d = 0; d < t->rank; d++)
        n += format_text(value + n, sizeof value - n, d == 0 ? "%llu" : " x %llu", (unsigned long long)t->shape[d]);
    format_text(key, sizeof key, "tensors.%zu.shape", index);
    report_string(r, key, value, n);
    n = format_text(value, sizeof value, "%s %s", type_name(t->type), layout_name(t->layout));
    format_text(key, sizeof key, "tensors.%zu.type", index);
    report_string(r, key, value, n);
    report_numberf(r, (double)bytes, "tensors.%zu.bytes", index);
}

static void describe_tensors(ecrec_report *r, const tensor_set *set)
{
    double total = 0;
    size_t count = tensor_set_count(set);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(set, i, &name);
        total += (double)(t->layout == LAYOUT_CHUNKS ? tensor_own_bytes(t, NULL) : t->bytes);
    }
    report_number(r, "size.tensors", (double)count);
    report_number(r, "size.tensor_bytes", total);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const tensor *t = tensor_set_at(set, i, &name);
        describe_tensor(r, i, name, t);
    }
}

static void describe_schema(ecrec_report *r, const ecrec_schema *s)
{
    char key[64];
    report_number(r, "schema.hash_bits", s->hash_bits);
    for (uint32_t i = 0; i < s->field_count; i++) {
        const schema_field *f = &s->fields[i];
        const char *kind = field_kind_name(f->kind);
        format_text(key, sizeof key, "schema.fields.%u.name", i);
        report_string(r, key, f->name, strlen(f->name));
        format_text(key, sizeof key, "schema.fields.%u.kind", i);
        report_string(r, key, kind, strlen(kind));
        if (f->dimension != 0)
            report_numberf(r, f->dimension, "schema.fields.%u.dimension", i);
        if (f->compare != UINT32_MAX) {
            format_text(key, sizeof key, "schema.fields.%u.compare", i);
            report_string(r, key, s->fields[f->compare].name, strlen(s->fields[f->compare].name));
        }
    }
    for (uint32_t i = 0; i < s->label_count; i++) {
        format_text(key, sizeof key, "schema.labels.%u.name", i);
        report_string(r, key, s->labels[i].name, strlen(s->labels[i].name));
    }
}

/* How full a hashed table is, of its first 2^bits rows. How many values have met in a row nobody has counted: it is estimated from the
 * rows that are used, as Whang, Vander-Zanden and Taylor count ("A linear-time probabilistic counting algorithm", ACM TODS 1990). */
static void describe_table(ecrec_report *r, const char *name, const tensor *sums, uint64_t rows)
{
    double used = 0;
    for (uint64_t row = 0; sums != NULL && row < rows; row++) {
        const float *s = tensor_row(sums, row);
        uint64_t k = 0;
        if (s == NULL) {
            row |= sums->rows_per_chunk - 1; /* a chunk of zeros */
            continue;
        }
        while (k < sums->shape[1] && s[k] == 0)
            k++;
        used += k < sums->shape[1];
    }
    if (sums == NULL)
        return;
    report_numberf(r, (double)rows, "hashing.%s.rows", name);
    report_numberf(r, used, "hashing.%s.used", name);
    if (used < (double)rows) {
        const double values = -(double)rows * log1p(-used / (double)rows);
        report_numberf(r, values, "hashing.%s.values", name);
        report_numberf(r, values - used, "hashing.%s.collisions", name);
    }
}

static void describe_hashing(ecrec_report *r, const ecrec_schema *s, const tensor_set *set)
{
    describe_table(r, "weights", tensor_set_get(set, "learn.hashed"), (uint64_t)1 << s->hash_bits);
    describe_table(r, "embeddings", tensor_set_get(set, "learn.embeddings"), (uint64_t)1 << s->network.embedding_bits);
}

int32_t model_describe(ecrec_model *model, ecrec_report **report, ecrec_error *err)
{
    parts *now = NULL;
    ecrec_report *r = NULL;
    encoder *e = NULL;
    int32_t status = model_parts(model, &now, err);
    if (status != ECREC_OK)
        return status;
    if ((status = report_create(model->context, "model", &r, err)) != ECREC_OK)
        goto done;
    describe_settings(r, now->settings, "encoder.", 0);
    describe_settings(r, now->settings, "encoder.", 1);
    describe_layers(r, now->settings);
    describe_classifier(r, now->settings);
    if (properties_string(now->settings, "encoder.kind", NULL) != NULL) {
        if ((status = encoder_create(&model->context->m, now->settings, now->tensors, &e, err)) != ECREC_OK)
            goto done;
        report_number(r, "size.encoder_parameters", (double)encoder_parameters(e));
        report_number(r, "size.flops_per_token", encoder_flops(e, 64));
        const char *type = e->four ? "s4" : e->brain ? "bf16" : e->quantized ? "s8" : "f32";
        report_string(r, "size.encoder_type", type, strlen(type));
    }
    if (model->tokenizer != NULL) {
        const blob *image = parts_blob(now, "tokenizer");
        report_number(r, "tokenizer.pieces", tokenizer_size(model->tokenizer));
        report_number(r, "tokenizer.bytes", (double)image->length);
    }
    report_number(r, "snapshot", (double)now->sequence);
    if (model->schema != NULL)
        describe_schema(r, model->schema);
    if (model->schema != NULL)
        describe_hashing(r, model->schema, now->tensors);
    describe_tensors(r, now->tensors);
    const blob *licence = parts_blob(now, "licence");
    describe_settings(r, now->settings, "licence.", 1);
    if (licence != NULL)
        report_string(r, "licence.text", licence->data, licence->length);
    status = report_finish(r, err);
done:
    encoder_release(e);
    parts_release(now);
    if (status == ECREC_OK)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}
