/* Learning online as a service does it: score, answer, learn when the label comes, keep each update in a journal, hear of drift.
 *
 *   online [JOURNAL]     a made-up stream whose meaning turns half way; the journal is begun anew (default: online.journal) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ecrec/ecrec.h>

enum { SIXTHS = 6, ROUNDS = 300, ROWS = 20, USERS = 20, ITEMS = 12 }; /* a round: some requests, then their labels */
#define TRY(call) do { if ((call) != ECREC_OK) { fprintf(stderr, "online: %s\n", err.message); return 1; } } while (0)

static unsigned next_random(unsigned most)
{
    static unsigned state = 7;
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % most;
}

/* Who sees what; whether they click is told later. From half way on users like other items than before. */
typedef struct round_of { uint64_t users[ROWS], items[ROWS]; float clicks[ROWS]; } round_of;

static void happen(round_of *r, int round)
{
    for (int i = 0; i < ROWS; i++) {
        r->users[i] = next_random(USERS);
        r->items[i] = next_random(ITEMS);
        const int liked = (r->users[i] + (round < ROUNDS / 2 ? 0u : 2u)) % 4 == r->items[i] % 4;
        r->clicks[i] = next_random(100) < (liked ? 85u : 5u);
    }
}

static int32_t fill(ecrec_batch *batch, const round_of *r, const float *labels, ecrec_error *err)
{
    int32_t status = ecrec_batch_reset(batch, ROWS, err);
    if (status == ECREC_OK)
        status = ecrec_batch_set_category_u64(batch, 0, r->users, NULL, err);
    if (status == ECREC_OK)
        status = ecrec_batch_set_category_u64(batch, 1, r->items, NULL, err);
    return status == ECREC_OK && labels != NULL ? ecrec_batch_set_label(batch, 0, labels, NULL, err) : status;
}

typedef struct heard { int round, drifts; } heard;

/* On the thread of the update; it must not call into the model. */
static void drifted(void *opaque, uint32_t label, uint32_t detector, uint64_t row, double before, double after)
{
    heard *h = opaque;
    (void)label;
    (void)row; /* of the update's batch */
    h->drifts++;
    printf("round %d: %s hears a drift, the error went from %.3f to %.3f\n", h->round, detector == ECREC_DRIFT_ADWIN ? "ADWIN" : "Page-Hinkley", before, after);
}

int main(int argc, char **argv)
{
    static const char schema_text[] = "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"},{\"name\":\"item\",\"kind\":\"category\"}],\"labels\":[\"click\"],"
                                      "\"hash_bits\":14,\"network\":{\"pairs\":\"all\"}}";
    const char *path = argc > 1 ? argv[1] : "online.journal";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL, *again = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *batch = NULL;
    ecrec_report *report = NULL;
    heard h = { 0 };
    double right[SIXTHS] = { 0 }; /* of the rounds */
    char state[33], recovered[33];
    TRY(ecrec_context_create(NULL, &context, &err));
    TRY(ecrec_schema_parse(context, schema_text, strlen(schema_text), &schema, &err));
    TRY(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    TRY(ecrec_ranker_create(context, NULL, schema, &again, &err)); /* what a restart would load */
    TRY(ecrec_batch_create(schema, &batch, &err));
    (void)remove(path);
    ecrec_journal_options journal = ECREC_JOURNAL_OPTIONS_INIT;
    journal.sync = ECREC_SYNC_GROUP; /* EACH: an update that returned survives a power cut too */
    TRY(ecrec_journal_open(ranker, path, &journal, NULL, &err));
    ecrec_online_options online = ECREC_ONLINE_OPTIONS_INIT;
    online.reserve = 400; /* recent rows by which each update is judged before it is published */
    online.drift = ECREC_DRIFT_ADWIN | ECREC_DRIFT_PAGE_HINKLEY;
    online.boost = 3; /* learn faster for a while behind a drift */
    TRY(ecrec_online_configure(ranker, &online, &err));
    TRY(ecrec_session_create(ranker, NULL, &session, &err));

    for (int round = 0; round < ROUNDS; round++) {
        round_of r;
        float served[ROWS];
        h.round = round;
        happen(&r, round);
        TRY(fill(batch, &r, NULL, &err));
        TRY(ecrec_score(ranker, session, batch, NULL, served, ROWS, &err)); /* other threads may do so while updates run */
        for (int i = 0; i < ROWS; i++)
            right[round * SIXTHS / ROUNDS] += (served[i] >= 0.5f) == (r.clicks[i] > 0);

        ecrec_update_options update = ECREC_UPDATE_OPTIONS_INIT;
        update.served = served; /* judged by what was said, not by what would be said now */
        update.drift = drifted;
        update.drift_opaque = &h;
        update.max_loss_growth = 1;
        TRY(fill(batch, &r, r.clicks, &err));
        const int32_t status = ecrec_update(ranker, batch, &update, &report, &err);
        if (status == ECREC_ERR_REJECTED)
            printf("round %d: %s\n", round, err.message); /* nothing has changed; the next round may be better */
        else if (status != ECREC_OK)
            TRY(status);
        ecrec_report_release(report);
        report = NULL;
    }
    const double rows = ROUNDS / SIXTHS * ROWS;
    printf("right before they were learned from, by sixths (all turns behind the third):");
    for (int i = 0; i < SIXTHS; i++)
        printf(" %.3f", right[i] / rows);
    printf("\n");

    TRY(ecrec_model_state(ranker, 0, state, &err));
    TRY(ecrec_journal_close(ranker, &err));
    TRY(ecrec_journal_open(again, path, NULL, &report, &err));
    TRY(ecrec_model_state(again, 0, recovered, &err));
    double replayed = 0;
    TRY(ecrec_report_number(report, "replayed", &replayed, &err));
    printf("a fresh model and the journal: %.0f updates replayed, %s\n", replayed, strcmp(state, recovered) == 0 ? "the same bits" : "OTHER BITS");
    const int good = strcmp(state, recovered) == 0 && right[2] > 0.75 * rows && right[5] > 0.75 * rows && h.drifts > 0;

    ecrec_report_release(report);
    ecrec_session_release(session);
    ecrec_batch_release(batch);
    ecrec_model_release(ranker);
    ecrec_model_release(again);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    (void)remove(path);
    return good ? 0 : 1;
}
