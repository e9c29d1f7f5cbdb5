/* new, score, update */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SCORE_ROWS = 1024 };

static char *whole_file(const char *path, size_t *length)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t room = 0, n = 0, got = 1;
    char *text = NULL;
    while (f != NULL && got > 0) {
        if (room - n < 1024) {
            char *more = realloc(text, room = 2 * room + 65536);
            if (more == NULL)
                break;
            text = more;
        }
        n += got = fread(text + n, 1, room - n, f);
    }
    if (f == NULL || got > 0 || ferror(f)) {
        (void)failed("%s: %s", path, got > 0 && f != NULL ? "there is no memory for it" : strerror(errno));
        free(text);
        text = NULL;
    }
    if (f != NULL && f != stdin)
        fclose(f);
    *length = n;
    return text;
}

int command_new(int argc, char **argv)
{
    static const char *const known[] = { "schema=", "output=", "json", "threads=", NULL };
    arguments a;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *base = NULL, *ranker = NULL;
    ecrec_schema *schema = NULL;
    ecrec_report *report = NULL;
    size_t length = 0;
    int code = arguments_parse(&a, argc, argv, known, 0, 1);
    if (code != 0)
        return code;
    const char *path = argument(&a, "schema", NULL), *to = argument(&a, "output", NULL);
    if (path == NULL || to == NULL)
        return usage_error("new", "%s is missing", path == NULL ? "--schema SCHEMA.json" : "-o RANKER.ecrec");
    char *text = whole_file(path, &length);
    ecrec_context *context = text != NULL ? open_context(&a) : NULL;
    code = EXIT_FAILED;
    if (context == NULL)
        goto done;
    if (ecrec_schema_parse(context, text, length, &schema, &err) != ECREC_OK) {
        size_t line = 1;
        for (size_t i = 0; i < length && i < err.position && err.position != UINT64_MAX; i++)
            line += text[i] == '\n';
        (void)failed("%s:%zu: %s", path, line, err.message);
        goto done;
    }
    if (a.positionals == 1 && (base = open_model(context, a.positional[0])) == NULL)
        goto done;
    int32_t status = ecrec_ranker_create(context, base, schema, &ranker, &err);
    if (status == ECREC_OK)
        status = ecrec_model_save(ranker, to, &err);
    if (status == ECREC_OK)
        status = ecrec_model_info(ranker, &report, &err);
    code = status == ECREC_OK ? print_report(&a, report) : failed_with(&err);
done:
    free(text);
    ecrec_schema_release(schema);
    ecrec_model_release(base);
    ecrec_model_release(ranker);
    ecrec_context_release(context);
    return code;
}

/* What score, update and eval begin with. */
typedef struct job {
    arguments a;
    ecrec_context *context;
    ecrec_model *model;
    const ecrec_schema *schema;
    ecrec_session *session;
    ecrec_batch *batch;
    records *rows;
} job;

static void job_close(job *j)
{
    records_close(j->rows);
    ecrec_batch_release(j->batch);
    ecrec_session_release(j->session);
    ecrec_model_release(j->model);
    ecrec_context_release(j->context);
}

static int job_model(job *j)
{
    if (j->context == NULL)
        j->context = open_context(&j->a);
    if (j->context != NULL && j->model == NULL)
        j->model = open_model(j->context, j->a.positional[0]);
    return j->model != NULL ? 0 : EXIT_FAILED;
}

static int job_open(job *j, int need_labels)
{
    ecrec_error err = ECREC_ERROR_INIT;
    if (job_model(j) != 0)
        return EXIT_FAILED;
    j->schema = ecrec_model_schema(j->model);
    if (j->schema == NULL)
        return failed("%s: it is not a ranker (make one with ecrec new)", j->a.positional[0]);
    if (ecrec_session_create(j->model, NULL, &j->session, &err) != ECREC_OK || ecrec_batch_create(j->schema, &j->batch, &err) != ECREC_OK)
        return failed_with(&err);
    j->rows = records_open(j->model, &j->a, need_labels);
    return j->rows != NULL ? 0 : EXIT_FAILED;
}

static void print_names(const job *j, FILE *f)
{
    const uint32_t labels = ecrec_schema_labels(j->schema);
    for (uint32_t l = 0; l < labels; l++)
        fprintf(f, "%s%s", ecrec_schema_label_name(j->schema, l), l + 1 < labels ? "\t" : "\n");
}

/* The column of an output: the label's name, and its class where the label has several scores. */
static void output_name(const ecrec_schema *schema, uint32_t output, char *name, size_t size)
{
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++) {
        uint32_t classes = 0;
        const uint32_t n = ecrec_schema_label_kind(schema, l, &classes) == ECREC_LABEL_CLASSES ? classes : 1;
        if (output < n) {
            if (n == 1)
                snprintf(name, size, "%s", ecrec_schema_label_name(schema, l));
            else
                snprintf(name, size, "%s_%u", ecrec_schema_label_name(schema, l), output);
            return;
        }
        output -= n;
    }
}

static void print_scores(const job *j, FILE *f, const float *scores, const float *parts, size_t rows, int jsonl)
{
    const uint32_t outputs = ecrec_schema_outputs(j->schema), given = ecrec_schema_parts(j->schema);
    char name[300];
    for (size_t i = 0; i < rows; i++) {
        if (jsonl)
            fputc('{', f);
        for (uint32_t o = 0; o < outputs; o++) {
            if (!jsonl) {
                fprintf(f, "%s%.7g", o != 0 ? "\t" : "", (double)scores[i * outputs + o]);
                continue;
            }
            output_name(j->schema, o, name, sizeof name);
            if (o != 0)
                fputc(',', f);
            print_json_string(f, name, strlen(name));
            if (isnan(scores[i * outputs + o])) /* a skipped row */
                fputs(":null", f);
            else
                fprintf(f, ":%.7g", (double)scores[i * outputs + o]);
        }
        for (uint32_t o = 0; parts != NULL && o < outputs && !isnan(scores[i * outputs]); o++) {
            output_name(j->schema, o, name, sizeof name);
            fputs(o == 0 ? ",\"why\":{" : ",", f);
            print_json_string(f, name, strlen(name));
            for (uint32_t k = 0; k < given; k++) {
                const char *part = ecrec_schema_part_name(j->schema, k);
                fputc(k == 0 ? ':' : ',', f);
                if (k == 0)
                    fputc('{', f);
                print_json_string(f, part, strlen(part));
                fprintf(f, ":%.7g", (double)parts[(i * outputs + o) * given + k]);
            }
            fputs(o + 1 == outputs ? "}}" : "}", f);
        }
        fputs(jsonl ? "}\n" : "\n", f);
    }
}

int command_score(int argc, char **argv)
{
    static const char *const known[] = { RECORD_OPTIONS, "output=", "format=", "explain", "logits", "ids=", "pixels=", "images=", "max-length=", "threads=", NULL };
    job j = { .context = NULL };
    progress p;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_score_options options = ECREC_SCORE_OPTIONS_INIT;
    float *scores = NULL, *parts = NULL;
    FILE *f = NULL;
    long n = 0;
    int code = arguments_parse(&j.a, argc, argv, known, 1, 1);
    if (code != 0)
        return code;
    const int explain = has(&j.a, "explain");
    const char *format = argument(&j.a, "format", explain ? "jsonl" : "tsv"), *to = argument(&j.a, "output", NULL);
    const int jsonl = strcmp(format, "jsonl") == 0;
    if ((!jsonl && strcmp(format, "tsv") != 0) || (explain && !jsonl))
        return usage_error("score", "--format must be tsv or jsonl%s", explain ? " (jsonl with --explain)" : "");
    code = EXIT_FAILED;
    if (job_model(&j) != 0)
        goto done;
    if (ecrec_model_schema(j.model) == NULL && ecrec_model_labels(j.model) != 0) {
        code = explain ? usage_error("score", "--explain is for rankers") : classify(&j.a, j.context, j.model);
        goto done;
    }
    if (has(&j.a, "ids") || has(&j.a, "pixels") || has(&j.a, "images") || has(&j.a, "max-length")) {
        code = usage_error("score", "--ids, --pixels, --images and --max-length are for classifiers");
        goto done;
    }
    if (job_open(&j, 0) != 0 || (f = output_open(to)) == NULL)
        goto done;
    const uint32_t outputs = ecrec_schema_outputs(j.schema), given = ecrec_schema_parts(j.schema);
    scores = malloc(SCORE_ROWS * outputs * sizeof *scores);
    parts = explain ? malloc(SCORE_ROWS * outputs * given * sizeof *parts) : NULL;
    if (scores == NULL || (explain && parts == NULL)) {
        (void)failed("no memory for the scores");
        goto done;
    }
    options.logits = (uint32_t)has(&j.a, "logits");
    options.bad_rows = has(&j.a, "skip-bad-rows") ? ECREC_BAD_ROWS_SKIP : ECREC_BAD_ROWS_REFUSE;
    options.contributions = parts;
    options.contributions_capacity = explain ? SCORE_ROWS * outputs * given : 0;
    int header = !jsonl;
    double done = 0;
    progress_begin(&p, "score", "rows", 1);
    if (f == stdout && isatty(STDOUT_FILENO)) /* the scores themselves are seen */
        p.what = NULL;
    while ((n = records_next(j.rows, j.batch, SCORE_ROWS)) > 0) {
        if (ecrec_score(j.model, j.session, j.batch, &options, scores, SCORE_ROWS * outputs, &err) != ECREC_OK) {
            (void)records_failed(j.rows, &err);
            n = -1;
            break;
        }
        if (header)
            print_names(&j, f);
        header = 0;
        print_scores(&j, f, scores, parts, (size_t)n, jsonl);
        progress_rows(&p, done += (double)n, records_share(j.rows), "");
    }
    progress_end(&p);
    if (n == 0 && header)
        print_names(&j, f);
    if (n == 0)
        code = output_close(f, to);
    else if (f != stdout)
        fclose(f);
done:
    free(scores);
    free(parts);
    job_close(&j);
    return code;
}

/* ---- update ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sums over the chunks of what each update told of its rows before it learned from them: a label has those of its kind. */
static const struct { const char *key, *title, *unit; } judged[] = {
    { "log_loss", "log loss", " nats" }, { "accuracy", "accuracy", "" },
    { "mean_squared_error", "squared error", "" }, { "mean_absolute_error", "absolute error", "" } };
enum { JUDGED = sizeof judged / sizeof *judged };
typedef struct told { double rows, sum[JUDGED]; int has[JUDGED]; } told;

static void add_report(told *sums, const ecrec_schema *schema, const ecrec_report *report)
{
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++) {
        char name[400], label[256];
        double rows = 0, value = 0;
        snprintf(label, sizeof label, "%s", ecrec_schema_label_name(schema, l));
        for (char *c = label; *c != 0; c++)
            *c = *c == '.' ? '_' : *c;
        snprintf(name, sizeof name, "labels.%s.rows", label);
        if (ecrec_report_number(report, name, &rows, NULL) != ECREC_OK || !(rows > 0))
            continue;
        sums[l].rows += rows;
        for (int k = 0; k < JUDGED; k++) {
            snprintf(name, sizeof name, "labels.%s.%s", label, judged[k].key);
            if (ecrec_report_number(report, name, &value, NULL) != ECREC_OK || !isfinite(value))
                continue;
            sums[l].has[k] = 1;
            sums[l].sum[k] += rows * value;
        }
    }
}

static void print_label(const char *name, const told *t, int json)
{
    if (json) {
        print_json_string(stdout, name, strlen(name));
        printf(":{\"rows\":%.0f", t->rows);
    } else {
        printf("%s, each row scored before it was learned from\n  %-16s%.0f\n", name, "rows", t->rows);
    }
    for (int k = 0; k < JUDGED; k++)
        if (t->has[k] && json)
            printf(",\"%s\":%.6f", judged[k].key, t->sum[k] / t->rows);
        else if (t->has[k])
            printf("  %-16s%.4f%s\n", judged[k].title, t->sum[k] / t->rows, judged[k].unit);
    if (json)
        putchar('}');
}

static int print_update(const job *j, const told *sums, double rows, double updates, double spent)
{
    const int json = has(&j->a, "json");
    printf(json ? "{\"rows\":%.0f,\"updates\":%.0f,\"snapshot\":%llu,\"seconds\":%.3f,\"labels\":{" :
                  "update\n  rows            %.0f\n  updates         %.0f\n  snapshot        %llu\n  seconds         %.3f\n",
           rows, updates, (unsigned long long)ecrec_model_snapshot(j->model), spent);
    for (uint32_t l = 0; l < ecrec_schema_labels(j->schema); l++) {
        if (json && l != 0)
            putchar(',');
        print_label(ecrec_schema_label_name(j->schema, l), &sums[l], json);
    }
    if (json)
        puts("}}");
    return output_close(stdout, NULL);
}

int command_update(int argc, char **argv)
{
    static const char *const known[] = { RECORD_OPTIONS, "output=", "batch=", "passes=", "rate=", "decay=", "max-loss-growth=", "class-weights=", "correct-weights", "json", "threads=", "journal=", ONLINE_OPTIONS, NULL };
    job j = { .context = NULL };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
    double size = 0, passes = 0, rows = 0, updates = 0;
    long n = 0;
    int code = arguments_parse(&j.a, argc, argv, known, 1, 1);
    if (code != 0 || (code = argument_count(&j.a, "batch", 256, 1, 1e7, &size)) != 0 || (code = argument_count(&j.a, "passes", 1, 1, 1000, &passes)) != 0 ||
        (code = argument_number(&j.a, "rate", 0, 0, 100, &options.learning_rate)) != 0 || (code = argument_number(&j.a, "decay", 0, 0, 10, &options.decay)) != 0 ||
        (code = argument_number(&j.a, "max-loss-growth", 0, 0, 1e9, &options.max_loss_growth)) != 0)
        return code;
    options.bad_rows = has(&j.a, "skip-bad-rows") ? ECREC_BAD_ROWS_SKIP : ECREC_BAD_ROWS_REFUSE;
    const char *to = argument(&j.a, "output", NULL), *from = argument(&j.a, "input", NULL), *journal = argument(&j.a, "journal", NULL);
    if (to == NULL && journal == NULL)
        return usage_error("update", "-o RANKER2.ecrec is missing");
    if (passes > 1 && (from == NULL || strcmp(from, "-") == 0))
        return usage_error("update", "--passes needs -i FILE: stdin can be read once only");
    code = EXIT_FAILED;
    told *sums = NULL;
    float *outcomes = NULL;
    if (job_open(&j, 1) != 0 || (sums = calloc(ecrec_schema_labels(j.schema), sizeof *sums)) == NULL)
        goto done;
    if (journal != NULL && ecrec_journal_open(j.model, journal, NULL, NULL, &err) != ECREC_OK) {
        (void)failed_with(&err);
        goto done;
    }
    if ((code = outcome_weights_open(&j.a, j.schema, &outcomes, &options.outcome_count)) != 0 || (code = online_begin(&j.a, j.model, &options)) != 0)
        goto done;
    options.outcome_weights = outcomes;
    options.outcome_corrected = has(&j.a, "correct-weights") ? 1 : 0;
    code = EXIT_FAILED;
    const double started = seconds();
    progress p;
    progress_begin(&p, "update", "rows", 1);
    int read_whole = 0; /* all rows are in one batch: the library makes the passes, and texts are encoded once */
    for (int pass = 0; pass < (int)passes && n >= 0 && !read_whole; pass++) {
        if (pass > 0) {
            records_close(j.rows);
            if ((j.rows = records_open(j.model, &j.a, 1)) == NULL)
                goto done;
        }
        while ((n = records_next(j.rows, j.batch, (size_t)size)) > 0) {
            ecrec_report *report = NULL;
            read_whole = rows == 0 && (size_t)n < (size_t)size;
            options.passes = read_whole ? (uint32_t)passes : 1;
            if (ecrec_update(j.model, j.batch, &options, pass == 0 ? &report : NULL, &err) != ECREC_OK) {
                if (err.row < (uint64_t)n)
                    (void)records_failed(j.rows, &err);
                else
                    (void)failed("%s:%llu-%llu: %s", records_name(j.rows), (unsigned long long)records_line(j.rows, 0),
                                 (unsigned long long)records_line(j.rows, (size_t)n - 1), err.message);
                n = -1;
                break;
            }
            if (report != NULL)
                add_report(sums, j.schema, report);
            ecrec_report_release(report);
            rows += ((double)n - (double)ecrec_batch_bad_rows(j.batch)) * options.passes;
            updates++;
            char note[48];
            const double share = records_share(j.rows);
            int shown = 0;
            while (shown + 1 < JUDGED && !sums[0].has[shown])
                shown++;
            snprintf(note, sizeof note, "  %s %.4f", judged[shown].title, sums[0].sum[shown] / (sums[0].rows > 0 ? sums[0].rows : 1));
            progress_rows(&p, rows, share < 0 || read_whole ? share : (pass + share) / passes, note);
        }
    }
    progress_end(&p);
    if (n < 0)
        goto done;
    /* with a journal and without -o what was learned is in the journal */
    if ((journal != NULL ? to != NULL && ecrec_journal_compact(j.model, to, &err) != ECREC_OK : ecrec_model_save(j.model, to, &err) != ECREC_OK))
        (void)failed_with(&err);
    else
        code = print_update(&j, sums, rows, updates, seconds() - started);
done:
    free(outcomes);
    free(sums);
    job_close(&j);
    return code;
}
