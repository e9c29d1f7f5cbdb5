/* fit: learn over epochs, with rows held out. */
#define _POSIX_C_SOURCE 200809L
#include "fit.h"

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

const char *const fit_optimisers[4] = { "adagrad", "ftrl", "adam", NULL }, *const fit_schedules[4] = { "constant", "linear", "cosine", NULL };

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
    return usage_error(a->command, "--%s is \"%s\"; it must be %s", name, value, all);
}

static int read_options(const arguments *a, const ecrec_schema *schema, ecrec_fit_options *o)
{
    double epochs = 0, batch = 0, patience = 0, seed = 0;
    const struct { const char *name; double most, *to; } numbers[] = {
        { "epochs", 10000, &epochs }, { "batch", 65536, &batch }, { "patience", 10000, &patience }, { "seed", 1e15, &seed }, { "holdout", 0.9, &o->holdout },
        { "rate", 100, &o->rate }, { "embedding-rate", 100, &o->embedding_rate }, { "network-rate", 100, &o->network_rate }, { "decay", 1e6, &o->decay },
        { "embedding-decay", 1e6, &o->embedding_decay }, { "network-decay", 1e6, &o->network_decay }, { "l1", 1e6, &o->l1 }, { "clip", 1e6, &o->clip },
        { "dropout", 0.9, &o->dropout }, { "modality-dropout", 0.9, &o->modality_dropout }, { "warmup", 0.9, &o->warmup } };
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
            return usage_error(a->command, "--holdout-by must be time, random or a field (of keys or of times); %s is none", by);
    }
    if (argument(a, "calibrate", NULL) != NULL) {
        static const char *const methods[] = { "platt", "temperature", "isotonic", "none", NULL };
        const int code = one_of(a, "calibrate", methods, &o->calibrate);
        if (code != 0)
            return code;
        o->calibrate = o->calibrate == 3 ? ECREC_CALIBRATION_DROP : o->calibrate + 1;
    }
    o->checkpoint = argument(a, "checkpoint", NULL);
    o->resume = argument(a, "resume", NULL);
    const int code = one_of(a, "optimiser", fit_optimisers, &o->hashed_optimiser);
    return code != 0 ? code : one_of(a, "schedule", fit_schedules, &o->schedule);
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

/* "1,5" or "1,2,4": what rows of each outcome count, for every label that has so many; the others' count 1. */
int outcome_weights_open(const arguments *a, const ecrec_schema *schema, float **out, uint32_t *count)
{
    enum { MOST = 4096 };
    const char *text = argument(a, "class-weights", NULL);
    static float given[MOST];
    uint32_t n = 0, all = 0, fitting = 0;
    *out = NULL;
    if (text == NULL)
        return has(a, "correct-weights") ? usage_error(a->command, "--correct-weights is for --class-weights") : 0;
    for (const char *at = text; n < MOST; at++) {
        char *end = NULL;
        given[n++] = strtof(at, &end);
        if (end == at || (*end != ',' && *end != 0))
            return usage_error(a->command, "--class-weights is \"%s\"; it must be numbers, W0,W1,...: what a row with 0 counts, one with 1, ...", text);
        at = end;
        if (*at == 0)
            break;
    }
    for (int fill = 0; fill < 2; fill++) {
        all = 0;
        for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++) {
            uint32_t outcomes = 0;
            const int32_t kind = ecrec_schema_label_kind(schema, l, &outcomes);
            outcomes = kind == ECREC_LABEL_BINARY ? 2 : kind == ECREC_LABEL_VALUE ? 0 : outcomes;
            for (uint32_t k = 0; k < outcomes && fill; k++)
                (*out)[all + k] = outcomes == n ? given[k] : 1;
            fitting += outcomes == n;
            all += outcomes;
        }
        if (!fill && (*out = malloc((all + 1) * sizeof **out)) == NULL)
            return failed("no memory");
    }
    *count = all;
    return fitting != 0 ? 0 : usage_error(a->command, "--class-weights has %u numbers, and no label has so many outcomes", n);
}

int fit_open(fit_job *j, int argc, char **argv, const char *const *known)
{
    ecrec_error err = ECREC_ERROR_INIT;
    memset(j, 0, sizeof *j);
    ecrec_fit_options_init(&j->options);
    int code = arguments_parse(&j->a, argc, argv, known, 1, 1);
    if (code != 0)
        return code;
    const char *from = argument(&j->a, "input", NULL), *to = argument(&j->a, "output", NULL);
    if (from == NULL || to == NULL || strcmp(from, "-") == 0)
        return usage_error(j->a.command, "%s is missing", to == NULL ? "-o RANKER2.ecrec" : "-i FILE");
    if ((j->context = open_context(&j->a)) == NULL || (j->model = open_model(j->context, j->a.positional[0])) == NULL)
        return EXIT_FAILED;
    if ((j->schema = ecrec_model_schema(j->model)) == NULL)
        return failed("%s: it is not a ranker (make one with ecrec new)", j->a.positional[0]);
    if ((code = read_options(&j->a, j->schema, &j->options)) != 0 || (code = outcome_weights_open(&j->a, j->schema, &j->outcome_weights, &j->options.outcome_count)) != 0)
        return code;
    j->options.outcome_weights = j->outcome_weights;
    j->options.outcome_corrected = has(&j->a, "correct-weights") ? 1 : 0;
    j->options.bad_rows = has(&j->a, "skip-bad-rows") ? ECREC_BAD_ROWS_SKIP : ECREC_BAD_ROWS_REFUSE;
    if (ecrec_batch_create(j->schema, &j->batch, &err) != ECREC_OK)
        return failed_with(&err);
    if ((j->rows = records_open(j->model, &j->a, 1)) == NULL || records_next(j->rows, j->batch, count_lines(from)) < 0)
        return EXIT_FAILED;
    return ecrec_batch_rows(j->batch) != 0 ? 0 : failed("%s: it has no row to learn from", from);
}

void fit_close(fit_job *j)
{
    free(j->outcome_weights);
    records_close(j->rows);
    ecrec_batch_release(j->batch);
    ecrec_model_release(j->model);
    ecrec_context_release(j->context);
}

/* What --svg and --tensorboard ask for. */
static int write_charts(const fit_job *j, const ecrec_report *report)
{
    const char *svg = argument(&j->a, "svg", NULL), *folder = argument(&j->a, "tensorboard", NULL);
    events e;
    if (svg != NULL && draw(svg, j->schema, report) != 0)
        return EXIT_FAILED;
    if (folder == NULL)
        return 0;
    if (events_open(&e, folder) != 0)
        return EXIT_FAILED;
    events_history(&e, report);
    return events_close(&e);
}

int command_fit(int argc, char **argv)
{
    static const char *const known[] = { FIT_OPTIONS, "checkpoint=", "resume=", "svg=", "tensorboard=", NULL };
    fit_job j;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    progress p;
    int code = fit_open(&j, argc, argv, known);
    if (code == 0) {
        progress_begin(&p, "fit", "rows", 1);
        j.options.progress = progress_step;
        j.options.progress_opaque = &p;
        int32_t status = ecrec_fit(j.model, j.batch, &j.options, &report, &err);
        progress_end(&p);
        if (status == ECREC_OK)
            status = ecrec_model_save(j.model, argument(&j.a, "output", NULL), &err);
        code = status != ECREC_OK ? failed_with(&err) : write_charts(&j, report);
        if (code == 0)
            code = print_report(&j.a, report);
        else
            ecrec_report_release(report);
    }
    fit_close(&j);
    return code;
}
