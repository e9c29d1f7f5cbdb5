/* score, of an imported classifier or cross-encoder */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static void print_scores(FILE *f, const ecrec_model *model, const float *scores, size_t rows, uint32_t labels, int jsonl)
{
    char name[32];
    for (size_t i = 0; i < rows + (jsonl ? 0 : 1); i++) { /* a table begins with the labels */
        for (uint32_t l = 0; l < labels; l++) {
            const char *label = ecrec_model_label(model, l);
            if (label == NULL) {
                snprintf(name, sizeof name, "LABEL_%u", l);
                label = name;
            }
            if (!jsonl && i == 0) {
                fprintf(f, "%s%s", l != 0 ? "\t" : "", label);
            } else if (!jsonl) {
                fprintf(f, "%s%.9g", l != 0 ? "\t" : "", (double)scores[(i - 1) * labels + l]);
            } else {
                fputc(l != 0 ? ',' : '{', f);
                print_json_string(f, label, strlen(label));
                fprintf(f, ":%.9g", (double)scores[i * labels + l]);
            }
        }
        fputs(jsonl ? "}\n" : "\n", f);
    }
}

int classify(const arguments *a, ecrec_context *context, ecrec_model *model)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_classify_options options = ECREC_CLASSIFY_OPTIONS_INIT;
    ecrec_session *session = NULL;
    progress p;
    rows r;
    double length = 0;
    const int jsonl = strcmp(argument(a, "format", "tsv"), "jsonl") == 0;
    const char *to = argument(a, "output", NULL);
    const uint32_t labels = ecrec_model_labels(model);
    float *scores = NULL;
    (void)context;
    rows_open(&r);
    int code = argument_count(a, "max-length", 0, 1, 1 << 20, &length);
    if (code != 0)
        return code;
    if (has(a, "ids") + has(a, "input") + has(a, "pixels") + has(a, "images") > 1)
        return usage_error("score", "--input, --ids, --pixels and --images do not go together");
    code = EXIT_FAILED;
    options.activation = has(a, "logits") ? ECREC_ACTIVATION_NONE : ECREC_ACTIVATION_DEFAULT;
    options.max_length = (uint32_t)length;
    options.progress = progress_step;
    options.progress_opaque = &p;
    if ((has(a, "ids")    ? rows_ids(&r, argument(a, "ids", NULL)) :
         has(a, "pixels") ? rows_pixels(&r, argument(a, "pixels", NULL)) :
         has(a, "images") ? rows_pictures(&r, argument(a, "images", NULL)) :
                            rows_pairs(&r, argument(a, "input", NULL))) != 0)
        goto done;
    if ((scores = malloc((r.input.count * labels + 1) * sizeof *scores)) == NULL) {
        (void)failed("no memory for the scores of %zu rows", r.input.count);
        goto done;
    }
    int32_t status = ecrec_session_create(model, NULL, &session, &err);
    progress_begin(&p, "score", "rows", 1);
    if (status == ECREC_OK)
        status = ecrec_classify(model, session, &r.input, r.paired ? &r.pairs : NULL, &options, scores, r.input.count * labels, &err);
    progress_end(&p);
    if (status != ECREC_OK) {
        if (err.row != UINT64_MAX)
            (void)failed("%s:%llu: %s", r.name, rows_line(&r, err.row), err.message);
        else
            (void)failed_with(&err);
        goto done;
    }
    FILE *f = output_open(to);
    if (f != NULL) {
        print_scores(f, model, scores, r.input.count, labels, jsonl);
        code = output_close(f, to);
    }
done:
    free(scores);
    rows_free(&r);
    ecrec_session_release(session);
    return code;
}
