/* delta: what was learned, as a file: exported from a journal, applied elsewhere, merged from several workers */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DELTAS = 60 };

static int32_t put(void *opaque, const void *bytes, size_t length)
{
    return fwrite(bytes, 1, length, opaque) == length ? 0 : 1;
}

/* Runs `make` with a sink into the file of --output. */
static int write_delta(const arguments *a, int32_t (*make)(void *opaque, const ecrec_sink *sink, ecrec_error *err), void *opaque)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const char *to = argument(a, "output", NULL);
    FILE *f = output_open(to);
    if (f == NULL)
        return EXIT_FAILED;
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, f, put };
    const int32_t status = make(opaque, &sink, &err);
    const int closed = output_close(f, to);
    if (status != ECREC_OK)
        return failed_with(&err);
    return closed;
}

typedef struct span { ecrec_model *model; uint64_t from; } span;

static int32_t make_export(void *opaque, const ecrec_sink *sink, ecrec_error *err)
{
    const span *s = opaque;
    return ecrec_delta_export(s->model, s->from, 0, sink, err);
}

/* From the model file, or a snapshot of its journal, to where the journal ends. */
static int export_delta(const arguments *a, ecrec_context *context)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_load_options load = ECREC_LOAD_OPTIONS_INIT;
    ecrec_model *model = NULL;
    double from = 0;
    const char *journal = argument(a, "journal", NULL);
    int code = argument_count(a, "from", 0, 0, 9e15, &from);
    if (code != 0)
        return code;
    if (a->positionals != 2 || journal == NULL)
        return usage_error("delta", "export takes RANKER.ecrec --journal FILE [--from SNAPSHOT] -o DELTA");
    load.snapshots = 64;
    if (ecrec_model_load(context, a->positional[1], &load, &model, &err) != ECREC_OK)
        return failed_with(&err);
    span s = { model, from != 0 ? (uint64_t)from : ecrec_model_snapshot(model) };
    /* by its name the first one stays, however many come behind it */
    int32_t status = ecrec_snapshot_name(model, ecrec_model_snapshot(model), "the file", &err);
    if (status == ECREC_OK)
        status = ecrec_journal_open(model, journal, NULL, NULL, &err);
    code = status == ECREC_OK ? write_delta(a, make_export, &s) : failed_with(&err);
    ecrec_model_release(model);
    return code;
}

typedef struct deltas { ecrec_model *model; void *bytes[MOST_DELTAS]; size_t lengths[MOST_DELTAS]; const char *names[MOST_DELTAS]; size_t n; } deltas;

static int read_deltas(const arguments *a, deltas *d)
{
    for (int i = 2; i < a->positionals; i++) {
        FILE *f = fopen(a->positional[i], "rb");
        size_t room = 0, got = 1;
        char *bytes = NULL;
        for (d->lengths[d->n] = 0; f != NULL && got > 0; d->lengths[d->n] += got) {
            if (room - d->lengths[d->n] < 4096) {
                char *more = realloc(bytes, room = 2 * room + 65536);
                if (more == NULL)
                    break;
                bytes = more;
            }
            got = fread(bytes + d->lengths[d->n], 1, room - d->lengths[d->n], f);
        }
        const int bad = f == NULL || got > 0 || ferror(f);
        if (f != NULL)
            fclose(f);
        d->bytes[d->n] = bytes;
        d->names[d->n] = a->positional[i];
        d->n++;
        if (bad)
            return failed("%s: %s", a->positional[i], f != NULL && got > 0 ? "there is no memory for it" : strerror(errno));
    }
    return 0;
}

static int apply_deltas(const arguments *a, deltas *d)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const char *to = argument(a, "output", NULL);
    if (to == NULL || d->n == 0)
        return usage_error("delta", "apply takes RANKER.ecrec DELTA ... -o RANKER2.ecrec");
    for (size_t i = 0; i < d->n; i++)
        if (ecrec_delta_apply(d->model, d->bytes[i], d->lengths[i], NULL, &err) != ECREC_OK)
            return failed("%s: %s", a->positional[i + 2], err.message);
    if (ecrec_model_save(d->model, to, &err) != ECREC_OK)
        return failed_with(&err);
    printf(has(a, "json") ? "{\"deltas\":%zu,\"snapshot\":%.0f}\n" : "deltas    %zu\nsnapshot  %.0f\n", d->n, (double)ecrec_model_snapshot(d->model));
    return output_close(stdout, NULL);
}

static int32_t make_merge(void *opaque, const ecrec_sink *sink, ecrec_error *err)
{
    const deltas *d = opaque;
    const int32_t status = ecrec_delta_merge(d->model, (const void *const *)d->bytes, d->lengths, d->n, sink, err);
    char said[sizeof err->message];
    memcpy(said, err->message, sizeof said);
    if (status != ECREC_OK && strncmp(said, "delta ", 6) == 0) { /* which one by its file */
        char *end = NULL;
        const unsigned long which = strtoul(said + 6, &end, 10);
        if (end != said + 6 && which < d->n)
            snprintf(err->message, sizeof err->message, "%s%s", d->names[which], end);
    }
    return status;
}

static int tell_deltas(const arguments *a, ecrec_context *context, const deltas *d)
{
    ecrec_error err = ECREC_ERROR_INIT;
    for (size_t i = 0; i < d->n; i++) {
        ecrec_report *report = NULL;
        if (ecrec_delta_info(context, d->bytes[i], d->lengths[i], &report, &err) != ECREC_OK)
            return failed("%s: %s", a->positional[i + 2], err.message);
        puts(has(a, "json") ? ecrec_report_json(report) : ecrec_report_text(report));
        ecrec_report_release(report);
    }
    return output_close(stdout, NULL);
}

int command_delta(int argc, char **argv)
{
    static const char *const known[] = { "output=", "journal=", "from=", "json", "threads=", NULL };
    arguments a;
    ecrec_error err = ECREC_ERROR_INIT;
    int code = arguments_parse(&a, argc, argv, known, 1, MOST_DELTAS + 2);
    if (code != 0)
        return code;
    const char *what = a.positional[0];
    const int merge = strcmp(what, "merge") == 0, apply = strcmp(what, "apply") == 0, info = strcmp(what, "info") == 0;
    if (!merge && !apply && !info && strcmp(what, "export") != 0)
        return usage_error("delta", "\"%s\" is none of export, apply, merge, info", what);
    if (a.positionals < 2)
        return usage_error("delta", info ? "info takes DELTA ..." : "the model file is missing");
    ecrec_context *context = open_context(&a);
    if (context == NULL)
        return EXIT_FAILED;
    deltas d = { .n = 0 };
    if (info) { /* no ranker comes before the deltas */
        for (int i = a.positionals; i > 1; i--)
            a.positional[i] = a.positional[i - 1];
        a.positionals++;
    }
    if (!merge && !apply && !info) {
        code = export_delta(&a, context);
    } else if ((code = read_deltas(&a, &d)) == 0) {
        if (!info && ecrec_model_load(context, a.positional[1], NULL, &d.model, &err) != ECREC_OK)
            code = failed_with(&err);
        else if (merge && d.n == 0)
            code = usage_error("delta", "merge takes RANKER.ecrec DELTA ... -o MERGED");
        else
            code = info ? tell_deltas(&a, context, &d) : apply ? apply_deltas(&a, &d) : write_delta(&a, make_merge, &d);
    }
    for (size_t i = 0; i < d.n; i++)
        free(d.bytes[i]);
    ecrec_model_release(d.model);
    ecrec_context_release(context);
    return code;
}
