/* calibrate: what a ranker says of labelled records, and what came true. */
#define _POSIX_C_SOURCE 200809L
#include "fit.h"

#include <math.h>
#include <string.h>

#include "charts.h"

static const char *const methods[] = { "platt", "temperature", "isotonic" };
static const char *const whens[] = { "before", "after" };

/* "labels.NAME.before." */
static void prefix_of(const ecrec_schema *schema, uint32_t label, int when, char *out, size_t room)
{
    snprintf(out, room, "labels.%s", ecrec_schema_label_name(schema, label));
    for (char *c = out + 7; *c != 0; c++)
        *c = *c == '.' ? '_' : *c;
    snprintf(out + strlen(out), room - strlen(out), ".%s.", whens[when]);
}

static int draw(const char *path, const ecrec_schema *schema, const ecrec_report *report)
{
    int labels = 0;
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++)
        labels += ecrec_schema_label_kind(schema, l, NULL) == ECREC_LABEL_BINARY || ecrec_schema_label_kind(schema, l, NULL) == ECREC_LABEL_CLASSES;
    FILE *f = charts_open(path, 2, labels);
    if (f == NULL)
        return EXIT_FAILED;
    labels = 0;
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++) {
        const int32_t kind = ecrec_schema_label_kind(schema, l, NULL);
        for (int when = 0; when < 2 && (kind == ECREC_LABEL_BINARY || kind == ECREC_LABEL_CLASSES); when++) {
            char prefix[320], title[320];
            prefix_of(schema, l, when, prefix, sizeof prefix);
            snprintf(title, sizeof title, "%s, %s", ecrec_schema_label_name(schema, l), whens[when]);
            chart_reliability(f, when, labels, title, report, prefix);
        }
        labels += kind == ECREC_LABEL_BINARY || kind == ECREC_LABEL_CLASSES;
    }
    return charts_close(f, path);
}

static void print_table(const ecrec_schema *schema, const ecrec_report *report)
{
    static const char *const figures[] = { "mean_score", "mean_label", "ece", "log_loss" };
    printf("%-24s%-8s%12s%12s%12s%12s\n", "label", "", "mean score", "mean label", "ECE", "log loss");
    for (uint32_t l = 0; l < ecrec_schema_labels(schema); l++)
        for (int when = 0; when < 2; when++) {
            char prefix[320], name[360];
            double values[4];
            int found = 0;
            prefix_of(schema, l, when, prefix, sizeof prefix);
            for (int k = 0; k < 4; k++) {
                snprintf(name, sizeof name, "%s%s", prefix, figures[k]);
                found += ecrec_report_number(report, name, &values[k], NULL) == ECREC_OK;
            }
            if (found == 4)
                printf("%-24s%-8s%12.4f%12.4f%12.4f%12.4f\n", when == 0 ? ecrec_schema_label_name(schema, l) : "", whens[when], values[0], values[1], values[2], values[3]);
        }
}

int command_calibrate(int argc, char **argv)
{
    static const char *const known[] = { RECORD_OPTIONS, "output=", "method=", "half-life=", "frozen", "svg=", "json", "threads=", NULL };
    fit_job j;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    ecrec_calibrate_options o = ECREC_CALIBRATE_OPTIONS_INIT;
    int code = fit_open(&j, argc, argv, known);
    const char *method = code == 0 ? argument(&j.a, "method", NULL) : NULL, *svg = code == 0 ? argument(&j.a, "svg", NULL) : NULL;
    for (int i = 0; i < 3 && method != NULL; i++)
        if (strcmp(method, methods[i]) == 0)
            o.method = i + 1;
    if (method != NULL && o.method == 0)
        code = usage_error(j.a.command, "--method is \"%s\"; it must be platt, temperature or isotonic", method);
    if (code == 0)
        code = argument_number(&j.a, "half-life", 0, 0, 1e15, &o.half_life);
    if (code == 0) {
        o.frozen = has(&j.a, "frozen") ? 1 : 0;
        int32_t status = ecrec_calibrate(j.model, j.batch, &o, &report, &err);
        if (status == ECREC_OK)
            status = ecrec_model_save(j.model, argument(&j.a, "output", NULL), &err);
        code = status != ECREC_OK ? failed_with(&err) : svg != NULL ? draw(svg, j.schema, report) : 0;
        if (code == 0 && has(&j.a, "json")) {
            code = print_report(&j.a, report);
            report = NULL;
        } else if (code == 0) {
            print_table(j.schema, report);
            code = output_close(stdout, NULL);
        }
        ecrec_report_release(report);
    }
    fit_close(&j);
    return code;
}
