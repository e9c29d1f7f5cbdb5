/* eval: how good a ranker's scores of labelled records are. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "charts.h"

enum { SCORE_ROWS = 1024, MOST_AT = 16, CURVE_POINTS = 400 };

/* Values of a field and their numbers, in the order in which they were met. */
typedef struct values {
    char **names;
    uint32_t *slots; /* number + 1, 0: free */
    size_t count, room, slot_count;
} values;

static uint64_t hash_of(const char *text, size_t n)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    return h;
}

static int values_grow(values *v)
{
    const size_t room = v->room != 0 ? 2 * v->room : 256, slot_count = 4 * room;
    char **names = realloc(v->names, room * sizeof *names);
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    v->names = names != NULL ? names : v->names;
    if (names == NULL || slots == NULL) {
        free(slots);
        return failed("no memory for the values of a field");
    }
    for (size_t i = 0; i < v->count; i++) {
        size_t s = hash_of(names[i], strlen(names[i])) % slot_count;
        while (slots[s] != 0)
            s = (s + 1) % slot_count;
        slots[s] = (uint32_t)i + 1;
    }
    free(v->slots);
    v->slots = slots;
    v->slot_count = slot_count;
    v->room = room;
    return 0;
}

/* The number of a value, which gets one when it has none; 0 or told. */
static int values_number(values *v, const char *text, size_t n, uint32_t *number)
{
    if (v->count == v->room && values_grow(v) != 0)
        return EXIT_FAILED;
    size_t s = hash_of(text, n) % v->slot_count;
    for (; v->slots[s] != 0; s = (s + 1) % v->slot_count)
        if (strlen(v->names[v->slots[s] - 1]) == n && memcmp(v->names[v->slots[s] - 1], text, n) == 0) {
            *number = v->slots[s] - 1;
            return 0;
        }
    char *copy = malloc(n + 1);
    if (copy == NULL)
        return failed("no memory for the values of a field");
    memcpy(copy, text, n);
    copy[n] = 0;
    v->names[v->count] = copy;
    v->slots[s] = (uint32_t)++v->count;
    *number = (uint32_t)v->count - 1;
    return 0;
}

static void values_free(values *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->names[i]);
    free(v->names);
    free(v->slots);
}

typedef struct evaluated {
    arguments a;
    ecrec_context *context;
    ecrec_model *model;
    const ecrec_schema *schema;
    uint32_t outputs, group, by; /* fields, or UINT32_MAX */
    uint32_t at[MOST_AT], at_count;
    double threshold, bins;
    int grouped; /* a row had a key */
    float *scores, *weights, **labels; /* rows x outputs; rows; of each label, rows */
    uint64_t *groups;
    uint32_t *slices;
    size_t rows, room;
    values keys, names;
} evaluated;

static int read_at(evaluated *e)
{
    const char *text = argument(&e->a, "at", NULL);
    for (char *end; text != NULL && *text != 0; text = *end == ',' ? end + 1 : end) {
        const double k = strtod(text, &end);
        if (end == text || (*end != 0 && *end != ',') || !(k >= 1 && k <= 1e6) || k != floor(k) || e->at_count == MOST_AT)
            return usage_error("eval", "--at is \"%s\"; it must be at most %d whole numbers, 1 .. 1000000, between commas", argument(&e->a, "at", NULL), MOST_AT);
        e->at[e->at_count++] = (uint32_t)k;
    }
    return 0;
}

static int category(const evaluated *e, const char *option, uint32_t *field)
{
    const char *name = argument(&e->a, option, NULL);
    int32_t kind = 0;
    *field = name != NULL ? ecrec_schema_find_field(e->schema, name) : UINT32_MAX;
    if (name != NULL && *field != UINT32_MAX)
        kind = ecrec_schema_field_kind(e->schema, *field);
    if (name != NULL && kind != ECREC_FIELD_CATEGORY && kind != ECREC_FIELD_USER && kind != ECREC_FIELD_ITEM)
        return usage_error("eval", "--%s must be a category, user or item field; %s is none", option, name);
    return 0;
}

static int more_room(evaluated *e, size_t rows)
{
    if (e->rows + rows <= e->room)
        return 0;
    const size_t room = 2 * (e->rows + rows) + 4096;
    float *scores = realloc(e->scores, room * e->outputs * sizeof *scores);
    e->scores = scores != NULL ? scores : e->scores;
    float *weights = realloc(e->weights, room * sizeof *weights);
    e->weights = weights != NULL ? weights : e->weights;
    uint64_t *groups = realloc(e->groups, room * sizeof *groups);
    e->groups = groups != NULL ? groups : e->groups;
    uint32_t *slices = realloc(e->slices, room * sizeof *slices);
    e->slices = slices != NULL ? slices : e->slices;
    int good = scores != NULL && weights != NULL && groups != NULL && slices != NULL;
    for (uint32_t l = 0; l < ecrec_schema_labels(e->schema); l++) {
        float *labels = realloc(e->labels[l], room * sizeof *labels);
        e->labels[l] = labels != NULL ? labels : e->labels[l];
        good = good && labels != NULL;
    }
    e->room = good ? room : e->room;
    return good ? 0 : failed("no memory for %zu rows", room);
}

/* What a row has in a category field, or in the column "group"; a row without one is a group of its own, and in no slice. */
static int take_keys(evaluated *e, const records *r, size_t row)
{
    const size_t at = e->rows + row;
    uint32_t number = 0;
    size_t n = 0;
    const char *text = e->group != UINT32_MAX ? records_text(r, e->group, row, &n) : records_group(r, row, &n);
    if (text != NULL && values_number(&e->keys, text, n, &number) != 0)
        return EXIT_FAILED;
    e->grouped |= text != NULL;
    e->groups[at] = text != NULL ? number : UINT64_MAX - at;
    number = UINT32_MAX;
    text = e->by != UINT32_MAX ? records_text(r, e->by, row, &n) : NULL;
    if (text != NULL && values_number(&e->names, text, n, &number) != 0)
        return EXIT_FAILED;
    e->slices[at] = number;
    return 0;
}

static int score_all(evaluated *e, records *r)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    ecrec_batch *batch = NULL;
    ecrec_score_options options = ECREC_SCORE_OPTIONS_INIT;
    progress p;
    long n = -1;
    if (ecrec_session_create(e->model, NULL, &session, &err) != ECREC_OK || ecrec_batch_create(e->schema, &batch, &err) != ECREC_OK) {
        (void)failed_with(&err);
        goto done;
    }
    progress_begin(&p, "eval", "rows", 1);
    while ((n = records_next(r, batch, SCORE_ROWS)) > 0) {
        const size_t rows = (size_t)n;
        n = -1;
        if (more_room(e, rows) != 0)
            break;
        options.bad_rows = has(&e->a, "skip-bad-rows") ? ECREC_BAD_ROWS_SKIP : ECREC_BAD_ROWS_REFUSE;
        if (ecrec_score(e->model, session, batch, &options, e->scores + e->rows * e->outputs, rows * e->outputs, &err) != ECREC_OK) {
            (void)records_failed(r, &err);
            break;
        }
        for (size_t i = 0; i < rows * e->outputs; i++)
            if (isnan(e->scores[e->rows * e->outputs + i])) /* a skipped row, which has no label either */
                e->scores[e->rows * e->outputs + i] = 0;
        memcpy(e->weights + e->rows, records_weights(r), rows * sizeof(float));
        for (uint32_t l = 0; l < ecrec_schema_labels(e->schema); l++)
            memcpy(e->labels[l] + e->rows, records_label(r, l), rows * sizeof(float));
        size_t taken = 0;
        while (taken < rows && take_keys(e, r, taken) == 0)
            taken++;
        if (taken < rows)
            break;
        e->rows += rows;
        progress_rows(&p, (double)e->rows, records_share(r), "");
    }
    progress_end(&p);
done:
    ecrec_batch_release(batch);
    ecrec_session_release(session);
    return n == 0 ? 0 : EXIT_FAILED;
}

/* The report of one label; NULL: told. */
static ecrec_report *measure(const evaluated *e, uint32_t label, uint32_t first, int curves, const char *name)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_evaluation v = ECREC_EVALUATION_INIT;
    ecrec_report *report = NULL;
    v.kind = ecrec_schema_label_kind(e->schema, label, &v.classes);
    const uint32_t own = v.kind == ECREC_LABEL_CLASSES ? v.classes : 1;
    float *scores = malloc((e->rows * own + 1) * sizeof *scores);
    size_t known = 0;
    if (scores == NULL) {
        (void)failed("no memory for %zu rows", e->rows);
        return NULL;
    }
    for (size_t i = 0; i < e->rows; i++) {
        known += !isnan(e->labels[label][i]);
        memcpy(scores + i * own, e->scores + i * e->outputs + first, own * sizeof *scores);
    }
    v.rows = e->rows;
    v.scores = scores;
    v.labels = e->labels[label];
    v.weights = e->weights;
    v.groups = e->group != UINT32_MAX || e->grouped ? e->groups : NULL;
    v.slices = e->by != UINT32_MAX && e->names.count != 0 ? e->slices : NULL;
    v.slice_names = (const char *const *)e->names.names;
    v.slice_count = (uint32_t)e->names.count;
    v.at = e->at_count != 0 ? e->at : NULL;
    v.at_count = e->at_count;
    v.threshold = e->threshold;
    v.bins = (uint32_t)e->bins;
    v.curve_points = curves ? CURVE_POINTS : 0;
    if (known == 0)
        (void)failed("%s: no row has the label \"%s\": there is nothing to evaluate", name, ecrec_schema_label_name(e->schema, label));
    else if (ecrec_evaluate_rows(e->context, &v, &report, &err) != ECREC_OK)
        (void)failed_with(&err);
    free(scores);
    return report;
}

static int draw(const evaluated *e, const char *path, const char *name)
{
    int panels = 0;
    for (uint32_t l = 0; l < ecrec_schema_labels(e->schema); l++)
        panels += ecrec_schema_label_kind(e->schema, l, NULL) == ECREC_LABEL_BINARY && !ecrec_schema_label_dropped(e->schema, l);
    if (panels == 0)
        return failed("--svg draws binary labels; the schema has none");
    FILE *f = charts_open(path, 3, panels);
    panels = 0;
    for (uint32_t l = 0, first = 0, classes = 0; f != NULL && l < ecrec_schema_labels(e->schema); l++) {
        const int32_t kind = ecrec_schema_label_kind(e->schema, l, &classes);
        const int drawn = kind == ECREC_LABEL_BINARY && !ecrec_schema_label_dropped(e->schema, l);
        ecrec_report *report = drawn ? measure(e, l, first, 1, name) : NULL;
        first += kind == ECREC_LABEL_CLASSES ? classes : 1;
        if (!drawn)
            continue;
        if (report == NULL) {
            (void)charts_close(f, path);
            return EXIT_FAILED;
        }
        char title[300];
        snprintf(title, sizeof title, "%s: calibration", ecrec_schema_label_name(e->schema, l));
        chart_reliability(f, 0, panels, title, report, "");
        chart_curve(f, 1, panels, "ROC", report, "", 0);
        chart_curve(f, 2, panels++, "precision and recall", report, "", 1);
        ecrec_report_release(report);
    }
    return f != NULL ? charts_close(f, path) : EXIT_FAILED;
}

static int print_all(const evaluated *e, int json, const char *from)
{
    const uint32_t labels = ecrec_schema_labels(e->schema);
    int told = 0;
    for (uint32_t l = 0, first = 0, classes = 0; l < labels; l++) {
        const char *name = ecrec_schema_label_name(e->schema, l);
        const uint32_t at = first;
        first += ecrec_schema_label_kind(e->schema, l, &classes) == ECREC_LABEL_CLASSES ? classes : 1;
        if (ecrec_schema_label_dropped(e->schema, l))
            continue;
        ecrec_report *report = measure(e, l, at, 0, from);
        if (report == NULL)
            return EXIT_FAILED;
        if (json) {
            fputs(told++ == 0 ? "{" : ",", stdout);
            print_json_string(stdout, name, strlen(name));
            putchar(':');
            fputs(ecrec_report_json(report), stdout);
        } else {
            printf("%s\n%s", name, ecrec_report_text(report));
        }
        ecrec_report_release(report);
    }
    if (json)
        puts("}");
    return output_close(stdout, NULL);
}

static int read_options(evaluated *e, int *json)
{
    const char *report = argument(&e->a, "report", has(&e->a, "json") ? "json" : "text");
    *json = strcmp(report, "json") == 0;
    if (!*json && strcmp(report, "text") != 0)
        return usage_error("eval", "--report must be text or json");
    if (has(&e->a, "svg") && has(&e->a, "plot"))
        return usage_error("eval", "--plot is the older name of --svg: give one");
    int code = argument_number(&e->a, "threshold", 0, 0, 1, &e->threshold);
    code = code != 0 ? code : argument_count(&e->a, "bins", 0, 1, 200, &e->bins);
    return code != 0 ? code : read_at(e);
}

int command_eval(int argc, char **argv)
{
    static const char *const known[] = { RECORD_OPTIONS, "report=", "json", "svg=", "plot=", "group=", "by=", "at=", "threshold=", "bins=", "threads=", NULL };
    evaluated e = { .group = UINT32_MAX, .by = UINT32_MAX };
    records *r = NULL;
    int json = 0, code = arguments_parse(&e.a, argc, argv, known, 1, 1);
    if (code != 0 || (code = read_options(&e, &json)) != 0)
        return code;
    const char *svg = argument(&e.a, "svg", argument(&e.a, "plot", NULL));
    code = EXIT_FAILED;
    if ((e.context = open_context(&e.a)) == NULL || (e.model = open_model(e.context, e.a.positional[0])) == NULL)
        goto done;
    if ((e.schema = ecrec_model_schema(e.model)) == NULL && ecrec_model_items(e.model) != 0) {
        code = svg != NULL ? usage_error("eval", "--svg is for rankers") : sequences_eval(&e.a, e.context, e.model);
        goto done;
    }
    if (e.schema == NULL) {
        (void)failed("%s: it is not a ranker (make one with ecrec new)", e.a.positional[0]);
        goto done;
    }
    if ((code = category(&e, "group", &e.group)) != 0 || (code = category(&e, "by", &e.by)) != 0)
        goto done;
    code = EXIT_FAILED;
    e.outputs = ecrec_schema_outputs(e.schema);
    if ((e.labels = calloc(ecrec_schema_labels(e.schema), sizeof *e.labels)) == NULL || (r = records_open(e.model, &e.a, 1)) == NULL || score_all(&e, r) != 0)
        goto done;
    code = print_all(&e, json, records_name(r));
    if (code == EXIT_DONE && svg != NULL)
        code = draw(&e, svg, records_name(r));
done:
    for (uint32_t l = 0; e.labels != NULL && l < ecrec_schema_labels(e.schema); l++)
        free(e.labels[l]);
    free(e.labels);
    free(e.scores);
    free(e.weights);
    free(e.groups);
    free(e.slices);
    values_free(&e.keys);
    values_free(&e.names);
    records_close(r);
    ecrec_model_release(e.model);
    ecrec_context_release(e.context);
    return code;
}
