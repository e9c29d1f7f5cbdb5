/* One user and many candidates: the same bits as rows of their own, on one thread and several, whatever side a field is on; and no
 * allocation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecrec/ecrec.h"
#include "support.h"
#include "tiny.h"

enum { CANDIDATES = 150 };

static const char schema_text[] =
    "{\"fields\":[{\"name\":\"query\",\"kind\":\"text\",\"word_ngrams\":1},{\"name\":\"title\",\"kind\":\"text\",\"compare\":\"query\"},"
    "{\"name\":\"user\",\"kind\":\"user\"},{\"name\":\"item\",\"kind\":\"item\"},{\"name\":\"shop\",\"kind\":\"category\"},{\"name\":\"city\",\"kind\":\"category\"},"
    "{\"name\":\"age\",\"kind\":\"number\"},{\"name\":\"price\",\"kind\":\"number\"},{\"name\":\"tags\",\"kind\":\"multi\"},"
    "{\"name\":\"taste\",\"kind\":\"vector\",\"dimension\":3},{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":3,\"compare\":\"taste\"},"
    "{\"name\":\"past\",\"kind\":\"history\",\"compare\":\"item\",\"dimension\":8}],"
    "\"labels\":[\"click\",{\"name\":\"stars\",\"kind\":\"classes\",\"classes\":3}],\"hash_bits\":12,"
    "\"network\":{\"width\":6,\"embedding_bits\":12,\"pairs\":\"all\",\"unmet\":true,\"fm\":\"weighted\",\"gates\":true,\"towers\":true,\"cross_layers\":1,\"hidden\":[16],\"experts\":2}}";

/* Columns of rows 0 .. n; whose: 0 all of them, 1 the user's, 2 the candidates'. Sides say which fields are the user's. */
static void fill(ecrec_batch *b, size_t n, int whose, unsigned sides)
{
    ecrec_error err = ECREC_ERROR_INIT;
    static const char *const words[] = { "red shoes", "blue", "green shirt", "old" };
    static const char *const tags[] = { "a", "b", "c" };
    static const size_t tag_lengths[] = { 1, 1, 1 };
    static const uint64_t clicked[] = { 3, 9, 40, 9 };
    static const int64_t times[] = { 0, 7200000000, 7200000000, 90000000000 };
    const char *texts[CANDIDATES];
    size_t lengths[CANDIDATES], starts[CANDIDATES + 1], events[CANDIDATES + 1];
    const char *tag_list[3 * CANDIDATES];
    size_t tag_list_lengths[3 * CANDIDATES];
    uint64_t ids[CANDIDATES], items[4 * CANDIDATES];
    int64_t when[4 * CANDIDATES];
    double numbers[CANDIDATES];
    float vectors[3 * CANDIDATES], labels[CANDIDATES];
    CALL(ecrec_batch_reset(b, n, &err));
    for (uint32_t f = 0; f < 12; f++) {
        const int user = (sides >> f & 1) != 0;
        if (whose != 0 && (whose == 1) != user)
            continue;
        for (size_t i = 0; i < n; i++) {
            const size_t row = user ? 5 : i; /* the user's value is the same in all rows */
            texts[i] = row % 7 == 3 ? NULL : words[(row + f) % 4];
            lengths[i] = texts[i] != NULL ? strlen(texts[i]) : 0;
            ids[i] = (row * 13 + f) % 50;
            numbers[i] = (double)(row * 31 % 17) - 4;
            for (size_t k = 0; k < 3; k++) {
                vectors[3 * i + k] = (float)((row * 7 + k * 3 + f) % 11) - 5;
                tag_list[3 * i + k] = tags[(row + k) % 3];
                tag_list_lengths[3 * i + k] = tag_lengths[0];
            }
            starts[i] = 3 * i;
            events[i] = 4 * i;
            memcpy(items + 4 * i, clicked, sizeof clicked);
            items[4 * i] += row % 5;
            memcpy(when + 4 * i, times, sizeof times);
        }
        starts[n] = 3 * n;
        events[n] = 4 * n;
        const ecrec_history history = { .size = sizeof history, .events = events, .items_u64 = items, .times = when };
        if (f < 2)
            CALL(ecrec_batch_set_text(b, f, texts, lengths, &err));
        else if (f < 6)
            CALL(ecrec_batch_set_category_u64(b, f, ids, NULL, &err));
        else if (f < 8)
            CALL(ecrec_batch_set_number(b, f, numbers, NULL, &err));
        else if (f == 8)
            CALL(ecrec_batch_set_multi(b, f, starts, tag_list, tag_list_lengths, NULL, NULL, &err));
        else if (f < 11)
            CALL(ecrec_batch_set_vector(b, f, vectors, 0, NULL, &err));
        else
            CALL(ecrec_batch_set_history(b, f, &history, &err));
    }
    for (size_t i = 0; i < n; i++)
        labels[i] = (float)(i % 3 == 0);
    CALL(ecrec_batch_set_label(b, 0, labels, NULL, &err));
    CALL(ecrec_batch_set_label(b, 1, labels, NULL, &err));
}

static void same_bits(void **unused)
{
    (void)unused;
    static const unsigned sides[] = { 0x000, 0xFFF, 0xA65, 0x9A7, 0x25A, 0x802, 0x401 };
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_context *context = context_with(threads, 0);
        ecrec_schema *schema = NULL;
        ecrec_model *base = NULL, *model = NULL;
        ecrec_session *session = NULL;
        ecrec_batch *all = NULL, *user = NULL, *items = NULL;
        CALL(ecrec_model_import(context, tiny_folder(), NULL, &base, NULL, &err));
        CALL(ecrec_schema_parse(context, schema_text, strlen(schema_text), &schema, &err));
        CALL(ecrec_ranker_create(context, base, schema, &model, &err));
        CALL(ecrec_batch_create(schema, &all, &err));
        CALL(ecrec_batch_create(schema, &user, &err));
        CALL(ecrec_batch_create(schema, &items, &err));
        fill(all, CANDIDATES, 0, 0);
        ecrec_update_options loose = ECREC_UPDATE_OPTIONS_INIT;
        loose.max_loss_growth = 100;
        loose.passes = 2;
        CALL(ecrec_update(model, all, &loose, NULL, &err));
        CALL(ecrec_session_create(model, NULL, &session, &err));
        const uint32_t parts = ecrec_schema_parts(schema), outputs = ecrec_schema_outputs(schema);
        const size_t scores = CANDIDATES * (size_t)outputs;
        float *apart = malloc(scores * sizeof *apart), *once = malloc(scores * sizeof *once);
        float *parts_apart = malloc(scores * parts * sizeof *apart), *parts_once = malloc(scores * parts * sizeof *once);
        ecrec_score_options a = ECREC_SCORE_OPTIONS_INIT, b = ECREC_SCORE_OPTIONS_INIT;
        a.logits = b.logits = 1;
        a.contributions = parts_apart;
        b.contributions = parts_once;
        a.contributions_capacity = b.contributions_capacity = scores * parts;
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
            fill(all, CANDIDATES, 0, sides[s]);
            fill(user, 1, 1, sides[s]);
            fill(items, CANDIDATES, 2, sides[s]);
            CALL(ecrec_score(model, session, all, &a, apart, scores, &err));
            CALL(ecrec_score_candidates(model, session, user, items, &b, once, scores, &err));
            assert_memory_equal(apart, once, scores * sizeof *once);
            assert_memory_equal(parts_apart, parts_once, scores * parts * sizeof *once);
        }
        const uint32_t fields = ecrec_schema_fields(schema);
        const size_t wide = 20 * (size_t)outputs * (fields + 1);
        float *given = malloc(wide * sizeof *given);
        double gap = -1;
        fill(all, 20, 0, 0);
        CALL(ecrec_score(model, session, all, &(ecrec_score_options){ .size = sizeof(ecrec_score_options), .logits = 1 }, apart, scores, &err));
        CALL(ecrec_attribute(model, session, all, given, wide, &gap, &err));
        double worst = 0, largest = 0;
        for (size_t i = 0; i < 20 * (size_t)outputs; i++) {
            double sum = 0;
            for (uint32_t f = 0; f <= fields; f++) {
                sum += given[i * (fields + 1) + f];
                largest = fabs((double)given[i * (fields + 1) + f]) > largest && f < fields ? fabs((double)given[i * (fields + 1) + f]) : largest;
            }
            worst = fabs(sum - apart[i]) > worst ? fabs(sum - apart[i]) : worst;
        }
        print_message("attributions: off the logit by %.1e at most, completeness %.1e, the largest %.3f\n", worst, gap, largest);
        assert_true(worst <= 1e-3 && gap <= 1e-3 && gap >= 0 && largest > 0.01);
        assert_int_equal(ecrec_attribute(model, session, all, given, wide - 1, &gap, &err), ECREC_ERR_TOO_SMALL);
        free(given);
        fill(user, 1, 0, 0);
        assert_int_equal(ecrec_score_candidates(model, session, user, items, NULL, once, scores, &err), ECREC_ERR_INVALID);
        assert_non_null(strstr(err.message, "is set for the user and for the candidates"));
        CALL(ecrec_batch_reset(user, 2, &err));
        assert_int_equal(ecrec_score_candidates(model, session, user, items, NULL, once, scores, &err), ECREC_ERR_INVALID);
        assert_non_null(strstr(err.message, "2 rows"));
        free(apart);
        free(once);
        free(parts_apart);
        free(parts_once);
        ecrec_batch_release(all);
        ecrec_batch_release(user);
        ecrec_batch_release(items);
        ecrec_session_release(session);
        ecrec_model_release(model);
        ecrec_model_release(base);
        ecrec_schema_release(schema);
        ecrec_context_release(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(same_bits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
