/* fit: learn over epochs, with rows held out. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <stdlib.h>
#include <string.h>

#include "charts.h"

/* Lines of a file: room for its records. */
static size_t count_lines(const char *path)
{
    FILE *f = fopen(path, "rb");
    char block[65536];
    size_t lines = 1, got;
    while (f != NULL && (got = fread(block, 1, sizeof block, f)) > 0)
        for (size_t i = 0; i < got; i++)
            lines += block[i] == '\n';
    if (f != NULL)
        fclose(f);
    return lines;
}

static int one_of(const arguments *a, const char *name, const char *const *choices, uint32_t *out)
{
    const char *value = argument(a, name, choices[0]);
    for (uint32_t i = 0; choices[i] != NULL; i++)
        if (strcmp(value, choices[i]) == 0) {
            *out = i;
            return 0;
        }
    char all[100] = "";
    for (uint32_t i = 0; choices[i] != NULL; i++) {
        const size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i == 0 ? "" : choices[i + 1] != NULL ? ", " : " or ", choices[i]);
    }
    return usage_error("fit", "--%s is \"%s\"; it must be %s", name, value, all);
}

static int read_options(const arguments *a, const ecrec_schema *schema, ecrec_fit_options *o)
{
    static const char *const optimisers[] = { "adagrad", "ftrl", "adam", NULL }, *const schedules[] = { "constant", "linear", "cosine", NULL };
    double epochs = 0, batch = 0, patience = 0, seed = 0;
    const struct { const char *name; double most, *to; } numbers[] = {
        { "epochs", 10000, &epochs }, { "batch", 65536, &batch }, { "patience", 10000, &patience }, { "seed", 1e15, &seed }, { "holdout", 0.9, &o->holdout },
        { "rate", 100, &o->rate }, { "embedding-rate", 100, &o->embedding_rate }, { "network-rate", 100, &o->network_rate }, { "decay", 1e6, &o->decay },
        { "embedding-decay", 1e6, &o->embedding_decay }, { "network-decay", 1e6, &o->network_decay }, { "l1", 1e6, &o->l1 }, { "clip", 1e6, &o->clip },
        { "dropout", 0.9, &o->dropout }, { "warmup", 0.9, &o->warmup } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const int code = argument_number(a, numbers[i].name, 0, 0, numbers[i].most, numbers[i].to);
        if (code != 0)
            return code;
    }
    o->epochs = (uint32_t)epochs;
    o->batch_rows = (uint32_t)batch;
    o->patience = (uint32_t)patience;
    o->seed = (uint64_t)seed;
    const char *by = argument(a, "holdout-by", "time");
    if (strcmp(by, "random") == 0) {
        o->holdout_by = ECREC_HOLDOUT_RANDOM;
    } else if (strcmp(by, "time") != 0) {
        o->holdout_field = ecrec_schema_find_field(schema, by);
        const int32_t kind = o->holdout_field != UINT32_MAX ? ecrec_schema_field_kind(schema, o->holdout_field) : 0;
        o->holdout_by = kind == ECREC_FIELD_TIME || kind == ECREC_FIELD_NUMBER ? ECREC_HOLDOUT_TIME : ECREC_HOLDOUT_KEY;
        if (kind == 0)
            return usage_error("fit", "--holdout-by must be time, random or a field (of keys or of times); %s is none", by);
    }
    o->checkpoint = argument(a, "checkpoint", NULL);
    o->resume = argument(a, "resume", NULL);
    const int code = one_of(a, "optimiser", optimisers, &o->hashed_optimiser);
    return code != 0 ? code : one_of(a, "schedule", schedules, &o->schedule);
}

/* Losses, then how each binary label is calibrated. */
static int draw(const char *path, const ecrec_schema *schema, const ecrec_report *report)
{
    int panels = 1;
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++)
        panels += ecrec_schema_label_kind(schema, l, NULL) == ECREC_LABEL_BINARY;
    FILE *f = charts_open(path, panels, 1);
    if (f == NULL)
        return EXIT_FAILED;
    chart_losses(f, 0, 0, report);
    panels = 1;
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++) {
        char prefix[300], title[300];
        if (ecrec_schema_label_kind(schema, l, NULL) != ECREC_LABEL_BINARY)
            continue;
        snprintf(prefix, sizeof prefix, "labels.%s", ecrec_schema_label_name(schema, l));
        for (char *c = prefix + 7; *c != 0; c++)
            *c = *c == '.' ? '_' : *c;
        snprintf(prefix + strlen(prefix), 2, ".");
        snprintf(title, sizeof title, "%s: calibration", ecrec_schema_label_name(schema, l));
        chart_reliability(f, panels++, 0, title, report, prefix);
    }
    return charts_close(f, path);
}

/* "1,5": what rows with 0 and with 1 count, the same for each binary label. */
static int read_class_weights(const arguments *a, const ecrec_schema *schema, float **out)
{
    const char *text = argument(a, "class-weights", NULL);
    float two[2] = { 0, 0 };
    char rest = 0;
    *out = NULL;
    if (text == NULL)
        return 0;
    if (sscanf(text, "%f,%f%c", &two[0], &two[1], &rest) != 2)
        return usage_error("fit", "--class-weights is \"%s\"; it must be two numbers: what a row with 0 counts, and one with 1", text);
    *out = malloc(2 * ecrec_schema_labels(schema) * sizeof **out);
    if (*out == NULL)
        return failed("no memory");
    for (uint32_t i = 0; i < 2 * ecrec_schema_labels(schema); i++)
        (*out)[i] = two[i % 2];
    return 0;
}

int command_fit(int argc, char **argv)
{
    static const char *const known[] = { "input=", "output=", "epochs=", "batch=", "patience=", "seed=", "holdout=", "holdout-by=", "rate=", "embedding-rate=",
        "network-rate=", "decay=", "embedding-decay=", "network-decay=", "l1=", "clip=", "dropout=", "warmup=", "checkpoint=", "resume=", "optimiser=",
        "schedule=", "class-weights=", "svg=", "json", "threads=", NULL };
    arguments a;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_fit_options options = ECREC_FIT_OPTIONS_INIT;
    ecrec_model *model = NULL;
    ecrec_batch *batch = NULL;
    ecrec_report *report = NULL;
    records *rows = NULL;
    float *class_weights = NULL;
    progress p;
    int code = arguments_parse(&a, argc, argv, known, 1, 1);
    if (code != 0)
        return code;
    const char *from = argument(&a, "input", NULL), *to = argument(&a, "output", NULL);
    if (from == NULL || to == NULL || strcmp(from, "-") == 0)
        return usage_error("fit", "%s is missing", to == NULL ? "-o RANKER2.ecrec" : "-i FILE");
    code = EXIT_FAILED;
    ecrec_context *context = open_context(&a);
    model = context != NULL ? open_model(context, a.positional[0]) : NULL;
    const ecrec_schema *schema = model != NULL ? ecrec_model_schema(model) : NULL;
    if (model == NULL)
        goto done;
    if (schema == NULL) {
        (void)failed("%s: it is not a ranker (make one with ecrec new)", a.positional[0]);
        goto done;
    }
    if ((code = read_options(&a, schema, &options)) != 0 || (code = read_class_weights(&a, schema, &class_weights)) != 0)
        goto done;
    options.class_weights = class_weights;
    code = EXIT_FAILED;
    if (ecrec_batch_create(schema, &batch, &err) != ECREC_OK) {
        (void)failed_with(&err);
        goto done;
    }
    if ((rows = records_open(model, from, 1)) == NULL || records_next(rows, batch, count_lines(from)) < 0)
        goto done;
    if (ecrec_batch_rows(batch) == 0) {
        (void)failed("%s: it has no row to learn from", from);
        goto done;
    }
    progress_begin(&p, "fit", "rows", 1);
    options.progress = progress_step;
    options.progress_opaque = &p;
    int32_t status = ecrec_fit(model, batch, &options, &report, &err);
    progress_end(&p);
    if (status == ECREC_OK)
        status = ecrec_model_save(model, to, &err);
    if (status == ECREC_OK && has(&a, "svg") && draw(argument(&a, "svg", NULL), schema, report) != 0)
        ecrec_report_release(report);
    else
        code = status == ECREC_OK ? print_report(&a, report) : failed_with(&err);
    if (status != ECREC_OK)
        ecrec_report_release(report);
done:
    free(class_weights);
    records_close(rows);
    ecrec_batch_release(batch);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return code;
}
