/* Clicks: fit a ranker with pairs and a small network to impressions, and say how well it does on the last of them.
 *
 *   ctr ROWS.tsv     a header line, then the label (0 or 1) and the categories of each row, between tabs, in the order of time
 *   ctr              made-up rows */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ecrec/ecrec.h>

enum { MOST_FIELDS = 64 };
#define TRY(call) do { if ((call) != ECREC_OK) { fprintf(stderr, "ctr: %s\n", err.message); return 1; } } while (0)

typedef struct table {
    size_t rows, room;
    uint32_t fields;
    char names[MOST_FIELDS][64];
    char **values; /* rows x fields */
    float *labels;
} table;

static int add_row(table *t, char *line)
{
    if (t->rows == t->room) {
        t->room = t->room != 0 ? 2 * t->room : 4096;
        t->values = realloc(t->values, t->room * t->fields * sizeof *t->values);
        t->labels = realloc(t->labels, t->room * sizeof *t->labels);
        if (t->values == NULL || t->labels == NULL)
            return 0;
    }
    char *cell = strtok(line, "\t\n");
    t->labels[t->rows] = cell != NULL && strcmp(cell, "1") == 0;
    for (uint32_t f = 0; f < t->fields; f++) {
        if ((cell = strtok(NULL, "\t\n")) == NULL || (t->values[t->rows * t->fields + f] = malloc(strlen(cell) + 1)) == NULL)
            return 0;
        strcpy(t->values[t->rows * t->fields + f], cell);
    }
    t->rows++;
    return 1;
}

static int read_table(table *t, const char *path)
{
    char line[8192];
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL || strtok(line, "\t\n") == NULL)
        return 0;
    for (char *name; t->fields < MOST_FIELDS && (name = strtok(NULL, "\t\n")) != NULL; t->fields++)
        snprintf(t->names[t->fields], sizeof t->names[0], "%s", name);
    while (fgets(line, sizeof line, f) != NULL)
        if (!add_row(t, line))
            return 0;
    fclose(f);
    return t->rows > 0;
}

/* A user clicks on items of a kind. */
static int make_table(table *t)
{
    unsigned random = 1;
    t->fields = 2;
    strcpy(t->names[0], "user");
    strcpy(t->names[1], "item");
    for (int i = 0; i < 6000; i++) {
        char line[64];
        unsigned draw[3];
        for (int k = 0; k < 3; k++)
            draw[k] = (random = random * 1103515245u + 12345u) >> 16;
        const unsigned user = draw[0] % 40, item = draw[1] % 30;
        snprintf(line, sizeof line, "%d\tu%u\ti%u", draw[2] % 100 < (user % 5 == item % 5 ? 80u : 10u), user, item);
        if (!add_row(t, line))
            return 0;
    }
    return 1;
}

static int32_t fill(ecrec_batch *batch, const table *t, ecrec_error *err)
{
    const char **column = malloc(t->rows * sizeof *column);
    size_t *lengths = malloc(t->rows * sizeof *lengths);
    int32_t status = column != NULL && lengths != NULL ? ecrec_batch_reset(batch, t->rows, err) : ECREC_ERR_NOMEM;
    for (uint32_t f = 0; f < t->fields && status == ECREC_OK; f++) {
        for (size_t i = 0; i < t->rows; i++) {
            column[i] = t->values[i * t->fields + f];
            lengths[i] = strlen(column[i]);
        }
        status = ecrec_batch_set_category(batch, f, column, lengths, err);
    }
    free((void *)column);
    free(lengths);
    return status == ECREC_OK ? ecrec_batch_set_label(batch, 0, t->labels, NULL, err) : status;
}

int main(int argc, char **argv)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL;
    ecrec_batch *batch = NULL;
    ecrec_report *report = NULL;
    table t = { 0 };
    if (!(argc > 1 ? read_table(&t, argv[1]) : make_table(&t))) {
        fprintf(stderr, "ctr: the rows cannot be read\n");
        return 1;
    }
    TRY(ecrec_context_create(NULL, &context, &err));
    TRY(ecrec_schema_create(context, &schema, &err));
    for (uint32_t f = 0; f < t.fields; f++)
        TRY(ecrec_schema_add_field(schema, t.names[f], ECREC_FIELD_CATEGORY, NULL, NULL, &err));
    TRY(ecrec_schema_add_label(schema, "click", NULL, &err));
    ecrec_network_options parts = ECREC_NETWORK_OPTIONS_INIT;
    parts.all_pairs = 1; /* what goes together, if it was seen */
    parts.unmet = 1;     /* and if not */
    parts.width = 8;
    parts.hidden[0] = 32;
    TRY(ecrec_schema_set_network(schema, &parts, &err));
    TRY(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    TRY(ecrec_batch_create(schema, &batch, &err));
    TRY(fill(batch, &t, &err));

    ecrec_fit_options fit = ECREC_FIT_OPTIONS_INIT;
    fit.holdout = 0.2; /* the last fifth */
    fit.hashed_optimiser = ECREC_HASHED_FTRL;
    fit.decay = 2;
    TRY(ecrec_fit(ranker, batch, &fit, &report, &err));
    double auc = 0, loss = 0, epoch = 0;
    TRY(ecrec_report_number(report, "labels.click.auc", &auc, &err));
    TRY(ecrec_report_number(report, "labels.click.log_loss", &loss, &err));
    TRY(ecrec_report_number(report, "best_epoch", &epoch, &err));
    printf("on the last fifth of %zu rows, after %.0f epochs: AUC %.3f, log loss %.3f nats\n", t.rows, epoch, auc, loss);
    const int good = argc > 1 || auc > 0.75; /* the clicks were drawn so that .81 can be had */

    ecrec_report_release(report);
    ecrec_batch_release(batch);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    for (size_t i = 0; i < t.rows * t.fields; i++)
        free(t.values[i]);
    free(t.values);
    free(t.labels);
    return good ? 0 : 1;
}
