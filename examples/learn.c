/* Learning from events while serving, and going back: updates make snapshots, a rollback returns to one bit for bit.
 *
 *   learn      one user's clicks, one update each; then everything is undone */
#include <stdio.h>
#include <string.h>

#include <ecrec/ecrec.h>

enum { ITEMS = 4 };
#define TRY(call) do { if ((call) != ECREC_OK) { fprintf(stderr, "learn: %s\n", err.message); return 1; } } while (0)

static const char *const items[ITEMS] = { "tea", "coffee", "juice", "water" };
static size_t lengths[ITEMS];

/* The items as rows of the one category field. */
static int32_t fill(ecrec_batch *batch, const float *clicks, ecrec_error *err)
{
    int32_t status = ecrec_batch_reset(batch, ITEMS, err);
    if (status == ECREC_OK)
        status = ecrec_batch_set_category(batch, 0, items, lengths, err);
    if (status == ECREC_OK && clicks != NULL)
        status = ecrec_batch_set_label(batch, 0, clicks, NULL, err);
    return status;
}

int main(void)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *batch = NULL;
    float scores[ITEMS], first[ITEMS];
    for (int i = 0; i < ITEMS; i++)
        lengths[i] = strlen(items[i]);
    TRY(ecrec_context_create(NULL, &context, &err));
    TRY(ecrec_schema_create(context, &schema, &err));
    TRY(ecrec_schema_add_field(schema, "item", ECREC_FIELD_CATEGORY, NULL, NULL, &err));
    TRY(ecrec_schema_add_label(schema, "click", NULL, &err));
    TRY(ecrec_schema_set_hash_bits(schema, 10, &err));
    TRY(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    TRY(ecrec_session_create(ranker, NULL, &session, &err));
    TRY(ecrec_batch_create(schema, &batch, &err));
    TRY(fill(batch, NULL, &err));
    TRY(ecrec_score(ranker, session, batch, NULL, first, ITEMS, &err));
    const uint64_t made = ecrec_model_snapshot(ranker);

    for (int event = 0; event < 5; event++) {
        const float clicks[ITEMS] = { 0, 1, 0, (float)(event % 2) }; /* coffee each time, water now and then */
        ecrec_report *report = NULL;
        double loss = 0;
        TRY(fill(batch, clicks, &err));
        TRY(ecrec_update(ranker, batch, NULL, &report, &err));
        TRY(ecrec_report_number(report, "labels.click.log_loss", &loss, &err));
        ecrec_report_release(report);
        TRY(ecrec_score(ranker, session, batch, NULL, scores, ITEMS, &err));
        printf("snapshot %llu: log loss before learning %.3f; now", (unsigned long long)ecrec_model_snapshot(ranker), loss);
        for (int i = 0; i < ITEMS; i++)
            printf("  %s %.2f", items[i], (double)scores[i]);
        puts("");
    }

    TRY(ecrec_rollback(ranker, made, &err));
    TRY(ecrec_score(ranker, session, batch, NULL, scores, ITEMS, &err));
    printf("rolled back to snapshot %llu: %s\n", (unsigned long long)made, memcmp(scores, first, sizeof scores) == 0 ? "the same bits as at first" : "DIFFERENT");
    const int same = memcmp(scores, first, sizeof scores) == 0;
    ecrec_batch_release(batch);
    ecrec_session_release(session);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    return same ? 0 : 1;
}
