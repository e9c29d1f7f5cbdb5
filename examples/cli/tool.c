#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int usage_error(const char *command, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "ecrec %s: ", command);
    vfprintf(stderr, format, list);
    fprintf(stderr, " (see: ecrec help %s)\n", command);
    va_end(list);
    return EXIT_USAGE;
}

int failed(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs(isatty(STDERR_FILENO) ? "\r\033[Kecrec: " : "ecrec: ", stderr); /* a progress bar may stand on the line */
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return EXIT_FAILED;
}

int failed_with(const ecrec_error *err)
{
    return failed("%s", err->message);
}

static const char *long_name(const char *option)
{
    static const char *const shorts[][2] = { { "-i", "input" }, { "-o", "output" }, { "-n", "threads" } };
    if (strncmp(option, "--", 2) == 0)
        return option + 2;
    for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++)
        if (strcmp(option, shorts[i][0]) == 0)
            return shorts[i][1];
    return NULL;
}

int arguments_parse(arguments *a, int argc, char **argv, const char *const *known, int least, int most)
{
    memset(a, 0, sizeof *a);
    a->command = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i][0] == '-' && argv[i][1] != 0 ? long_name(argv[i]) : NULL;
        if (name == NULL && argv[i][0] == '-' && argv[i][1] != 0)
            return usage_error(a->command, "the option %s is not known", argv[i]);
        if (name == NULL) {
            if (a->positionals == most)
                return usage_error(a->command, "\"%s\" is one argument too many", argv[i]);
            a->positional[a->positionals++] = argv[i];
            continue;
        }
        const char *equals = strchr(name, '=');
        const size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
        int found = 0;
        for (const char *const *k = known; *k != NULL && !found; k++) {
            const size_t length = strlen(*k), takes = (*k)[length - 1] == '=';
            if (length - takes != n || strncmp(*k, name, n) != 0)
                continue;
            found = 1;
            if (a->count == 32)
                return usage_error(a->command, "too many options");
            a->names[a->count] = *k;
            if (takes && equals == NULL && (++i == argc || strncmp(argv[i], "--", 2) == 0))
                return usage_error(a->command, "%s needs a value", argv[i - 1]);
            a->values[a->count++] = !takes ? "" : equals != NULL ? equals + 1 : argv[i];
        }
        if (!found)
            return usage_error(a->command, "the option %s is not known", argv[i]);
    }
    double threads;
    static const char *const formats[] = { "auto", "jsonl", "tsv", "csv", "libsvm" };
    size_t format = 0;
    while (format < 5 && strcmp(argument(a, "input-format", "auto"), formats[format]) != 0)
        format++;
    if (format == 5)
        return usage_error(a->command, "--input-format is \"%s\"; it must be auto, jsonl, tsv, csv or libsvm", argument(a, "input-format", ""));
    if (a->positionals < least)
        return usage_error(a->command, strcmp(a->command, "import") == 0 ? "the folder of the model is missing" : "the model file is missing");
    return argument_count(a, "threads", 1, 1, 256, &threads); /* every command takes it: told here, with the rest of the usage */
}

const char *argument(const arguments *a, const char *name, const char *missing)
{
    const size_t n = strlen(name);
    for (int i = a->count - 1; i >= 0; i--)
        if (strncmp(a->names[i], name, n) == 0 && (a->names[i][n] == 0 || a->names[i][n] == '='))
            return a->values[i];
    return missing;
}

int has(const arguments *a, const char *name)
{
    return argument(a, name, NULL) != NULL;
}

int argument_number(const arguments *a, const char *name, double missing, double least, double most, double *out)
{
    const char *text = argument(a, name, NULL);
    char *end = NULL;
    *out = missing;
    if (text == NULL)
        return 0;
    *out = strtod(text, &end);
    if (*text == 0 || *end != 0 || !(*out >= least && *out <= most))
        return usage_error(a->command, "--%s is \"%s\"; it must be a number from %g to %g", name, text, least, most);
    return 0;
}

int argument_count(const arguments *a, const char *name, double missing, double least, double most, double *out)
{
    const int code = argument_number(a, name, missing, least, most, out);
    if (code == 0 && *out != floor(*out))
        return usage_error(a->command, "--%s is \"%s\"; it must be a whole number", name, argument(a, name, ""));
    return code;
}

ecrec_context *open_context(const arguments *a)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    double threads = 0;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    (void)argument_count(a, "threads", cores > 0 && cores < 256 ? (double)cores : 1, 1, 256, &threads);
    options.threads = (uint32_t)threads;
    if (ecrec_context_create(&options, &context, &err) != ECREC_OK)
        (void)failed_with(&err);
    return context;
}

ecrec_model *open_model(ecrec_context *context, const char *path)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    if (ecrec_model_load(context, path, NULL, &model, &err) != ECREC_OK)
        (void)failed("%s%s%s%s", strncmp(err.message, path, strlen(path)) == 0 ? "" : path, strncmp(err.message, path, strlen(path)) == 0 ? "" : ": ", err.message,
                     err.code == ECREC_ERR_FORMAT && err.position == 0 ? " (ecrec import makes a model file)" : "");
    return model;
}

int print_report(const arguments *a, ecrec_report *report)
{
    const char *text = has(a, "json") ? ecrec_report_json(report) : ecrec_report_text(report);
    const size_t n = strlen(text);
    fputs(text, stdout);
    if (n == 0 || text[n - 1] != '\n')
        putchar('\n');
    ecrec_report_release(report);
    return output_close(stdout, NULL);
}

/* ---- progress ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_begin(progress *p, const char *what, const char *unit, double scale)
{
    *p = (progress){ what, unit, seconds(), 0, scale, 0 };
    if (!isatty(STDERR_FILENO))
        p->what = NULL;
}

static int progress_due(progress *p)
{
    const double now = seconds();
    if (p->what == NULL || now - p->shown < 0.1)
        return 0;
    p->shown = now;
    return 1;
}

/* The bar, or without a share (below 0) the amount; then rate, time left or spent, and a note. */
static void draw(progress *p, double amount, double share, const char *note)
{
    enum { WIDTH = 30 };
    const double spent = seconds() - p->started, rate = spent > 0 ? amount / spent : 0;
    char bar[WIDTH + 1], time_text[32];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = (double)i < share * WIDTH ? '#' : '.';
    bar[WIDTH] = 0;
    if (share > 0 && share < 1)
        snprintf(time_text, sizeof time_text, "%.0f s left", spent * (1 - share) / share);
    else
        snprintf(time_text, sizeof time_text, "%.1f s", spent);
    if (share >= 0)
        fprintf(stderr, "\r%s [%s] %3.0f %%  %.0f %s/s  %s%s    ", p->what, bar, 100 * share, rate, p->unit, time_text, note);
    else
        fprintf(stderr, "\r%s %.0f %s  %.0f %s/s  %s%s    ", p->what, amount, p->unit, rate, p->unit, time_text, note);
}

int32_t progress_step(void *opaque, uint64_t done, uint64_t total)
{
    progress *p = opaque;
    if (progress_due(p) || (p->what != NULL && done == total))
        draw(p, (double)done * p->scale, total != 0 ? (double)done / (double)total : 0, "");
    return 0;
}

void progress_rows(progress *p, double rows, double share, const char *note)
{
    if (progress_due(p))
        draw(p, rows, share, note);
}

void progress_end(progress *p)
{
    if (p->what != NULL && p->shown != 0)
        fputc('\n', stderr);
}

/* ---- output ---- */

FILE *output_open(const char *path)
{
    if (path == NULL || strcmp(path, "-") == 0)
        return stdout;
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        (void)failed("%s: %s", path, strerror(errno));
    return f;
}

int output_close(FILE *f, const char *path)
{
    const int bad = fflush(f) != 0 || ferror(f), closed = f != stdout ? fclose(f) : 0;
    return bad || closed != 0 ? failed("%s: %s", path != NULL ? path : "stdout", strerror(errno)) : EXIT_DONE;
}

void print_json_string(FILE *f, const char *text, size_t length)
{
    fputc('"', f);
    for (size_t i = 0; i < length;) {
        const unsigned char c = (unsigned char)text[i];
        const size_t n = utf8_length(text + i, length - i);
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20)
            fprintf(f, "\\u%04x", c);
        else if (n == 0)
            fputs("\\ufffd", f); /* a piece that is half a character: JSON must stay UTF-8 */
        else
            fwrite(text + i, 1, n, f);
        i += n != 0 ? n : 1;
    }
    fputc('"', f);
}
