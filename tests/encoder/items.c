/* A sequence encoder's items: scores against their formula, histories that are too long, what is refused; 8 bit tables. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

#include "ecrec/ecrec.h"

enum { N = 3, D = TINY_HIDDEN, ITEMS = TINY_ITEMS };
static const uint32_t ids[] = { 5, 6, 7, 8, 1, 2, 399, 9 };
static const uint64_t starts[N + 1] = { 0, 4, 5, 8 };

static void scores_of(ecrec_context *context, ecrec_model *model, float *scores)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    float vectors[N * D], alone[ITEMS];
    (void)context;
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_encode_ids(model, session, ids, NULL, starts, N, NULL, vectors, D, &err));
    CALL(ecrec_score_items(model, session, vectors, N, D, scores, N * ITEMS, &err));
    for (int i = 0; i < N; i++) {
        CALL(ecrec_score_items(model, session, vectors + i * D, 1, D, alone, ITEMS, &err));
        assert_memory_equal(alone, scores + i * ITEMS, sizeof alone);
    }
    ecrec_session_release(session);
}

static void formula(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(2, 0);
    ecrec_model *model = NULL, *small = NULL;
    ecrec_session *session = NULL;
    CALL(ecrec_model_import(context, tiny_sequence_folder(), NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    assert_int_equal(ecrec_model_items(model), ITEMS);
    float vectors[N * D], scores[N * ITEMS], packed[N * ITEMS];
    CALL(ecrec_encode_ids(model, session, ids, NULL, starts, N, NULL, vectors, D, &err));
    scores_of(context, model, scores);
    /* the table lies at the front of the weights' data */
    size_t length = 0;
    char path[600];
    snprintf(path, sizeof path, "%s/model.safetensors", tiny_sequence_folder());
    char *file = read_file(path, &length);
    uint64_t header = 0;
    memcpy(&header, file, 8);
    const float *table = (const float *)(void *)(file + 8 + header);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < ITEMS; j++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < D; k++) {
                float v;
                memcpy(&v, (const char *)table + (j * D + k) * 4, 4);
                sum += (double)v * (double)vectors[i * D + k];
                size += fabs((double)v * (double)vectors[i * D + k]);
            }
            assert_true(fabs(sum - (double)scores[i * ITEMS + j]) <= 1e-6 * (1 + size));
        }
    free(file);
    CALL(ecrec_quantize(model, NULL, &small, NULL, &err));
    scores_of(context, small, packed);
    double worst = 0;
    for (size_t i = 0; i < N * ITEMS; i++)
        worst = fmax(worst, fabs((double)packed[i] - (double)scores[i]));
    assert_true(worst > 0 && worst < 0.5);
    /* of a long history the newest items are taken */
    uint32_t many[100];
    float long_one[D], cut[D];
    const uint64_t whole[2] = { 0, 100 }, newest[2] = { 0, TINY_POSITIONS };
    for (uint32_t i = 0; i < 100; i++)
        many[i] = 1 + i * 3;
    CALL(ecrec_encode_ids(model, session, many, NULL, whole, 1, NULL, long_one, D, &err));
    CALL(ecrec_encode_ids(model, session, many + 100 - TINY_POSITIONS, NULL, newest, 1, NULL, cut, D, &err));
    assert_memory_equal(long_one, cut, sizeof cut);

    REFUSED(ECREC_ERR_TOO_SMALL, ecrec_score_items(model, session, vectors, N, D, scores, N * ITEMS - 1, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_score_items(model, session, vectors, N, D - 1, scores, N * ITEMS, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_score_items(model, session, NULL, N, D, scores, N * ITEMS, &err));
    CALL(ecrec_score_items(model, session, NULL, 0, D, NULL, 0, &err));
    ecrec_model *text = NULL;
    ecrec_session *other = NULL;
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &text, NULL, &err));
    CALL(ecrec_session_create(text, NULL, &other, &err));
    assert_int_equal(ecrec_model_items(text), 0);
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_score_items(text, other, vectors, N, D, scores, N * ITEMS, &err));
    REFUSED(ECREC_ERR_MISMATCH, ecrec_score_items(text, session, vectors, N, D, scores, N * ITEMS, &err));
    ecrec_session_release(other);
    ecrec_model_release(text);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_model_release(small);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(formula) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
