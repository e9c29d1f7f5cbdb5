/* tune: a search over how a ranker is fitted, by successive halving (Jamieson and Talwalkar, AISTATS 2016): many settings for a few
 * epochs, the better part of them for more, until few have all epochs. */
#define _POSIX_C_SOURCE 200809L
#include "fit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>

enum { MOST_TRIALS = 1000, MOST_CHOICES = 16 };

/* What can be searched: where it is in the options, and the range when nobody says otherwise. */
typedef struct setting {
    const char *name;
    int whole;                       /* a uint32_t, else a double */
    size_t at;
    const char *const *words;        /* of a uint32_t that has names */
    enum { NOT_SEARCHED, LOG, UNIFORM, CHOICE } how;
    double range[2], choices[MOST_CHOICES];
    size_t choice_count;
} setting;

#define AT(member) offsetof(ecrec_fit_options, member)
static const setting all_settings[] = {
    { "rate", 0, AT(rate), NULL, LOG, { 0.01, 0.5 }, { 0 }, 0 },
    { "embedding-rate", 0, AT(embedding_rate), NULL, LOG, { 0.005, 0.2 }, { 0 }, 0 },
    { "network-rate", 0, AT(network_rate), NULL, LOG, { 3e-4, 1e-2 }, { 0 }, 0 },
    { "optimiser", 1, AT(hashed_optimiser), fit_optimisers, CHOICE, { 0, 0 }, { ECREC_HASHED_ADAGRAD, ECREC_HASHED_FTRL }, 2 },
    { "decay", 0, AT(decay), NULL, CHOICE, { 0, 0 }, { 0, 1e-6, 1e-5, 1e-4, 1e-3 }, 5 },
    { "embedding-decay", 0, AT(embedding_decay), NULL, CHOICE, { 0, 0 }, { 0, 1e-5, 1e-4, 1e-3 }, 4 },
    { "network-decay", 0, AT(network_decay), NULL, CHOICE, { 0, 0 }, { 0, 1e-3, 1e-2, 1e-1 }, 4 },
    { "batch", 1, AT(batch_rows), NULL, CHOICE, { 0, 0 }, { 64, 256, 1024 }, 3 },
    { "dropout", 0, AT(dropout), NULL, CHOICE, { 0, 0 }, { 0, 0.1, 0.2, 0.3 }, 4 },
    { "schedule", 1, AT(schedule), fit_schedules, CHOICE, { 0, 0 }, { ECREC_SCHEDULE_CONSTANT, ECREC_SCHEDULE_LINEAR, ECREC_SCHEDULE_COSINE }, 3 },
    { "warmup", 0, AT(warmup), NULL, NOT_SEARCHED, { 0, 0 }, { 0 }, 0 },
    { "clip", 0, AT(clip), NULL, NOT_SEARCHED, { 0, 0 }, { 0 }, 0 },
    { "l1", 0, AT(l1), NULL, NOT_SEARCHED, { 0, 0 }, { 0 }, 0 },
};
enum { SETTINGS = sizeof all_settings / sizeof *all_settings };

typedef struct trial {
    unsigned number;
    double values[SETTINGS];
    uint32_t epochs;  /* that it had last */
    double score;     /* lower is better; infinite: it failed */
    double auc, seconds;
    char why[200];    /* it failed */
} trial;

typedef struct search {
    fit_job j;
    setting settings[SETTINGS];
    trial *trials;
    unsigned count, rungs, cut; /* cut: one of so many goes on */
    uint32_t epochs;
    double best;                /* of those with all epochs */
    uint64_t random, before;    /* before: the snapshot that each trial begins from */
    const char *metric, *folder, *to;
    int larger_is_better;
    FILE *log;
    const char *log_path;
    progress p;
    double done, total; /* rows */
    double offset;      /* of the trial that runs: rows done before it */
} search;

static double uniform(search *s)
{
    s->random += 0x9E3779B97F4A7C15u; /* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) */
    uint64_t z = s->random;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static double draw(search *s, const setting *k)
{
    const double u = uniform(s);
    if (k->how == LOG)
        return exp(log(k->range[0]) + u * (log(k->range[1]) - log(k->range[0])));
    return k->how == UNIFORM ? k->range[0] + u * (k->range[1] - k->range[0]) : k->choices[(size_t)(u * (double)k->choice_count)];
}

/* ---- the space ---- */

static int choice_value(const setting *k, const json_t *v, double *out)
{
    if (k->words != NULL && json_is_string(v)) {
        for (int i = 0; k->words[i] != NULL; i++)
            if (strcmp(k->words[i], json_string_value(v)) == 0) {
                *out = i;
                return 1;
            }
        return 0;
    }
    *out = json_number_value(v);
    return k->words == NULL && json_is_number(v) && *out >= 0 && (!k->whole || *out == floor(*out));
}

/* {"rate": {"log": [0.01, 1]}, "batch": {"choice": [128, 512]}}: what is not named is not searched. */
static int read_space(search *s, const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *how;
    const char *name;
    int code = 0;
    if (root == NULL && error.line < 1)
        code = failed("%s: it cannot be read", path);
    else if (!json_is_object(root))
        code = failed("%s:%d: %s", path, root != NULL ? 1 : error.line, root != NULL ? "it is not a JSON object" : error.text);
    for (int i = 0; i < SETTINGS; i++)
        s->settings[i].how = NOT_SEARCHED;
    if (code == 0)
        json_object_foreach(root, name, how) {
            setting *k = NULL;
            for (int i = 0; i < SETTINGS; i++)
                if (strcmp(s->settings[i].name, name) == 0)
                    k = &s->settings[i];
            const char *const kinds[] = { "log", "uniform", "choice" };
            const json_t *list = NULL;
            for (int i = 0; k != NULL && i < 3; i++)
                if (json_object_get(how, kinds[i]) != NULL) {
                    list = json_object_get(how, kinds[i]);
                    k->how = LOG + i;
                }
            if (k == NULL) {
                code = failed("%s: \"%s\" is no setting that can be searched", path, name);
                break;
            }
            const size_t n = json_array_size(list);
            int good = json_object_size(how) == 1 && n >= 1 && n <= MOST_CHOICES && (k->how == CHOICE || (n == 2 && !k->whole));
            k->choice_count = n;
            for (size_t i = 0; good && i < n; i++)
                good = choice_value(k, json_array_get(list, i), &k->choices[i]);
            k->range[0] = k->choices[0];
            k->range[1] = k->choices[1];
            good = good && (k->how == CHOICE || (k->range[0] < k->range[1] && (k->how == UNIFORM || k->range[0] > 0)));
            if (!good) {
                code = failed("%s: \"%s\" must be {\"log\": [from, to]}, {\"uniform\": [from, to]} or {\"choice\": [...]} of values that --%s takes", path, name, name);
                break;
            }
        }
    json_decref(root);
    return code;
}

static int make_space(search *s)
{
    const char *path = argument(&s->j.a, "space", NULL);
    const int network = ecrec_schema_parts(s->j.schema) > ecrec_schema_fields(s->j.schema) + 1;
    memcpy(s->settings, all_settings, sizeof all_settings);
    for (int i = 0; i < SETTINGS && !network; i++)
        if (strstr(s->settings[i].name, "network") != NULL || strstr(s->settings[i].name, "embedding") != NULL || strcmp(s->settings[i].name, "dropout") == 0)
            s->settings[i].how = NOT_SEARCHED;
    if (path != NULL && read_space(s, path) != 0)
        return EXIT_FAILED;
    int searched = 0;
    for (int i = 0; i < SETTINGS; i++) {
        if (has(&s->j.a, s->settings[i].name)) /* said on the command line: kept */
            s->settings[i].how = NOT_SEARCHED;
        searched += s->settings[i].how != NOT_SEARCHED;
    }
    return searched > 0 ? 0 : usage_error("tune", "every setting is given: there is nothing to search");
}

/* ---- trials ---- */

static void set(const setting *k, ecrec_fit_options *o, double value)
{
    char *at = (char *)o + k->at;
    const uint32_t whole = (uint32_t)value;
    if (k->whole)
        memcpy(at, &whole, sizeof whole);
    else
        memcpy(at, &value, sizeof value);
}

static void value_text(const setting *k, double value, char *out, size_t size)
{
    if (k->words != NULL)
        snprintf(out, size, "%s", k->words[(int)value]);
    else
        snprintf(out, size, "%.4g", value);
}

static int32_t step(void *opaque, uint64_t done, uint64_t total)
{
    search *s = opaque;
    char note[64] = "";
    (void)total;
    if (isfinite(s->best))
        snprintf(note, sizeof note, "  best %.4f", s->larger_is_better ? -s->best : s->best);
    progress_rows(&s->p, s->offset + (double)done, (s->offset + (double)done) / s->total, note);
    return 0;
}

/* The figure that trials are compared by, lower is better. */
static int figure(const search *s, const ecrec_report *report, double *out, ecrec_error *err)
{
    double best = 0;
    char name[64];
    if (s->metric == NULL) {
        (void)ecrec_report_number(report, "best_epoch", &best, NULL);
        snprintf(name, sizeof name, "history.%.0f.holdout_loss", best);
    }
    if (ecrec_report_number(report, s->metric != NULL ? s->metric : name, out, err) != ECREC_OK)
        return 0;
    *out = s->larger_is_better ? -*out : *out;
    if (!isfinite(*out))
        *out = INFINITY;
    return 1;
}

static void write_log(search *s, unsigned rung, const trial *t)
{
    char value[64];
    fprintf(s->log, "%u\t%u\t%u\t", t->number, rung, t->epochs);
    if (isfinite(t->score))
        fprintf(s->log, "%.6f", s->larger_is_better ? -t->score : t->score);
    fprintf(s->log, isnan(t->auc) ? "\t" : "\t%.6f", t->auc);
    fprintf(s->log, "\t%.2f", t->seconds);
    for (int i = 0; i < SETTINGS; i++)
        if (s->settings[i].how != NOT_SEARCHED) {
            value_text(&s->settings[i], t->values[i], value, sizeof value);
            fprintf(s->log, "\t%s", value);
        }
    fprintf(s->log, "\t%s\n", t->why);
    fflush(s->log);
}

static int write_events(const search *s, const trial *t, const ecrec_report *report)
{
    char folder[4096];
    events e;
    if (s->folder == NULL)
        return 0;
    snprintf(folder, sizeof folder, "%s/trial-%03u-epochs-%u", s->folder, t->number, t->epochs); /* a run of its own */
    if (events_open(&e, folder) != 0)
        return EXIT_FAILED;
    events_history(&e, report);
    for (int i = 0; i < SETTINGS; i++) {
        char tag[64];
        snprintf(tag, sizeof tag, "setting/%s", s->settings[i].name);
        if (s->settings[i].how != NOT_SEARCHED)
            events_scalar(&e, tag, t->epochs, t->values[i]);
    }
    return events_close(&e);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The name of the first label's AUC, when it has one. */
static double auc_of(const search *s, const ecrec_report *report)
{
    char name[400];
    double auc = NAN;
    snprintf(name, sizeof name, "labels.%s", ecrec_schema_label_name(s->j.schema, 0));
    for (char *c = name + 7; *c != 0; c++)
        *c = *c == '.' ? '_' : *c;
    snprintf(name + strlen(name), 5, ".auc");
    (void)ecrec_report_number(report, name, &auc, NULL);
    return auc;
}

static int run_trial(search *s, unsigned rung, trial *t, uint32_t epochs)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_fit_options o = s->j.options;
    ecrec_report *report = NULL;
    int code = 0;
    for (int i = 0; i < SETTINGS; i++)
        if (s->settings[i].how != NOT_SEARCHED)
            set(&s->settings[i], &o, t->values[i]);
    o.epochs = t->epochs = epochs;
    o.progress = step;
    o.progress_opaque = s;
    const double started = now();
    const int32_t status = ecrec_fit(s->j.model, s->j.batch, &o, &report, &err);
    t->seconds = now() - started;
    s->offset += (double)ecrec_batch_rows(s->j.batch) * epochs;
    t->score = INFINITY;
    t->auc = NAN;
    if (status != ECREC_OK && status != ECREC_ERR_REJECTED && status != ECREC_ERR_INVALID)
        return failed_with(&err);
    if (status != ECREC_OK) { /* such settings do not learn: the others may */
        snprintf(t->why, sizeof t->why, "%.190s", err.message);
        write_log(s, rung, t);
        return 0;
    }
    if (!figure(s, report, &t->score, &err)) {
        code = s->metric != NULL ? usage_error("tune", "--metric: %s", err.message) : failed("--metric: %s", err.message);
    } else {
        t->auc = auc_of(s, report);
        write_log(s, rung, t);
        code = write_events(s, t, report);
    }
    if (code == 0 && epochs == s->epochs && t->score < s->best) {
        s->best = t->score;
        code = ecrec_model_save(s->j.model, s->to, &err) == ECREC_OK ? 0 : failed_with(&err);
    }
    ecrec_report_release(report);
    if (ecrec_rollback(s->j.model, s->before, &err) != ECREC_OK)
        return failed_with(&err);
    return code;
}

static int by_score(const void *a, const void *b)
{
    const trial *x = a, *y = b;
    if (x->epochs != y->epochs)
        return x->epochs > y->epochs ? -1 : 1;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static unsigned trials_of(const search *s, unsigned rung)
{
    unsigned n = s->count;
    for (; rung > 0; rung--)
        n = n / s->cut > 1 ? n / s->cut : 1;
    return n;
}

static uint32_t epochs_of(const search *s, unsigned rung)
{
    double epochs = s->epochs;
    for (unsigned r = rung; r + 1 < s->rungs; r++)
        epochs /= s->cut;
    return epochs > 1 ? (uint32_t)epochs : 1;
}

static int run_all(search *s)
{
    const double rows = (double)ecrec_batch_rows(s->j.batch);
    s->total = 0;
    for (unsigned r = 0; r < s->rungs; r++)
        s->total += rows * trials_of(s, r) * epochs_of(s, r);
    for (unsigned i = 0; i < s->count; i++) {
        s->trials[i].number = i + 1;
        for (int k = 0; k < SETTINGS; k++)
            s->trials[i].values[k] = s->settings[k].how != NOT_SEARCHED ? draw(s, &s->settings[k]) : 0;
    }
    fputs("trial\trung\tepochs\tscore\tauc\tseconds", s->log);
    for (int i = 0; i < SETTINGS; i++)
        if (s->settings[i].how != NOT_SEARCHED)
            fprintf(s->log, "\t%s", s->settings[i].name);
    fputs("\tfailed\n", s->log);
    progress_begin(&s->p, "tune", "rows", 1);
    int code = 0;
    for (unsigned r = 0; r < s->rungs && code == 0; r++) {
        for (unsigned i = 0; i < trials_of(s, r) && code == 0; i++)
            code = run_trial(s, r, &s->trials[i], epochs_of(s, r));
        qsort(s->trials, s->count, sizeof *s->trials, by_score);
    }
    progress_end(&s->p);
    return code;
}

/* ---- what was found ---- */

static int print_trials(const search *s)
{
    const int json = has(&s->j.a, "json");
    char value[64];
    fputs(json ? "{\"trials\":[" : "trial  epochs     score       auc   seconds  settings\n", stdout);
    for (unsigned i = 0; i < s->count; i++) {
        const trial *t = &s->trials[i];
        const double score = s->larger_is_better ? -t->score : t->score;
        if (json) {
            printf("%s{\"trial\":%u,\"epochs\":%u,\"score\":", i != 0 ? "," : "", t->number, t->epochs);
            printf(isfinite(t->score) ? "%.6f" : "null", score);
            printf(isnan(t->auc) ? ",\"auc\":null" : ",\"auc\":%.6f", t->auc);
            printf(",\"seconds\":%.3f,\"settings\":{", t->seconds);
        } else if (isfinite(t->score)) {
            printf("%5u  %6u  %8.5f  %8.5f  %8.1f ", t->number, t->epochs, score, t->auc, t->seconds);
        } else {
            printf("%5u  %6u    failed                    ", t->number, t->epochs);
        }
        int first = 1;
        for (int k = 0; k < SETTINGS; k++) {
            if (s->settings[k].how == NOT_SEARCHED)
                continue;
            value_text(&s->settings[k], t->values[k], value, sizeof value);
            printf(json ? s->settings[k].words != NULL ? "%s\"%s\":\"%s\"" : "%s\"%s\":%s" : "%s--%s %s", json ? first ? "" : "," : " ", s->settings[k].name, value);
            first = 0;
        }
        if (json)
            fputs("}}", stdout);
        else
            printf(t->why[0] != 0 ? "  (%s)\n" : "\n", t->why);
    }
    if (json)
        puts("]}");
    return output_close(stdout, NULL);
}

static int read_search(search *s)
{
    const arguments *a = &s->j.a;
    double trials = 0, cut = 0, epochs = 0, seed = 0;
    int code = argument_count(a, "trials", 16, 1, MOST_TRIALS, &trials);
    code = code != 0 ? code : argument_count(a, "cut", 3, 2, 100, &cut);
    code = code != 0 ? code : argument_count(a, "epochs", 9, 1, 10000, &epochs);
    code = code != 0 ? code : argument_count(a, "seed", 0, 0, 1e15, &seed);
    if (code != 0)
        return code;
    s->count = (unsigned)trials;
    s->cut = (unsigned)cut;
    s->epochs = (uint32_t)epochs;
    s->random = (uint64_t)seed ^ 0x74756E65u;
    s->best = INFINITY;
    s->before = ecrec_model_snapshot(s->j.model);
    s->to = argument(a, "output", NULL);
    s->folder = argument(a, "tensorboard", NULL);
    s->log_path = argument(a, "log", NULL);
    s->metric = argument(a, "metric", NULL);
    s->larger_is_better = s->metric != NULL && strstr(s->metric, "loss") == NULL && strstr(s->metric, "error") == NULL && strstr(s->metric, "ece") == NULL &&
                          strstr(s->metric, "entropy") == NULL;
    if (!(s->j.options.holdout > 0))
        s->j.options.holdout = 0.2;
    s->rungs = 1;
    for (unsigned n = s->count; n / s->cut >= 1 && epochs_of(s, 0) > 1; n /= s->cut)
        s->rungs++;
    return make_space(s);
}

int command_tune(int argc, char **argv)
{
    static const char *const known[] = { FIT_OPTIONS, "trials=", "cut=", "space=", "metric=", "log=", "tensorboard=", NULL };
    search *s = calloc(1, sizeof *s);
    if (s == NULL)
        return failed("no memory");
    int code = fit_open(&s->j, argc, argv, known);
    if (code == 0 && (code = read_search(s)) == 0) {
        s->trials = calloc(s->count, sizeof *s->trials);
        s->log = s->log_path != NULL ? output_open(s->log_path) : tmpfile();
        if (s->trials == NULL || s->log == NULL)
            code = s->log_path == NULL || s->trials == NULL ? failed("no memory, or no temporary file") : EXIT_FAILED;
        else if (s->folder != NULL && mkdir(s->folder, 0777) != 0 && errno != EEXIST)
            code = failed("%s: %s", s->folder, strerror(errno));
        if (code == 0 && (code = run_all(s)) == 0)
            code = isfinite(s->best) ? print_trials(s) : failed("no trial learned: see what each says (--log FILE)");
        if (s->log != NULL && s->log_path != NULL && output_close(s->log, s->log_path) != 0)
            code = EXIT_FAILED;
        else if (s->log != NULL && s->log_path == NULL)
            fclose(s->log);
    }
    free(s->trials);
    fit_close(&s->j);
    free(s);
    return code;
}
