/* ecrec_classify: pairs, activations, label names, what is refused. The logits themselves are compared in families.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

#include "ecrec/ecrec.h"

enum { ROWS = 4, LABELS = 3 };
static const char *const texts[ROWS] = { "red shoes", "blue", "the new warm shirt", "" };
static const size_t lengths[ROWS] = { 9, 4, 18, 0 };
static const char *const others[ROWS] = { "running shoes", NULL, "a red red red red red red red red red red red red red red red red red red red red red red red shoe", "old" };
static const size_t other_lengths[ROWS] = { 13, 0, 98, 3 };

static ecrec_encode_input of(const char *const *t, const size_t *n)
{
    ecrec_encode_input in = ECREC_ENCODE_INPUT_INIT;
    in.kind = ECREC_INPUT_TEXTS;
    in.count = ROWS;
    in.texts = t;
    in.lengths = n;
    return in;
}

static ecrec_model *open(ecrec_context *context, int labels, const char *config, ecrec_session **session)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    CALL(ecrec_model_import(context, tiny_classifier_folder(labels, config), NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, session, &err));
    return model;
}

#define CLASSIFIER "\"architectures\":[\"BertForSequenceClassification\"],"

static void pairs(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(2, 0);
    ecrec_session *session = NULL;
    ecrec_model *model = open(context, LABELS, CLASSIFIER "\"id2label\":{\"0\":\"bad\",\"2\":\"good\"},", &session);
    assert_int_equal(ecrec_model_labels(model), LABELS);
    assert_string_equal(ecrec_model_label(model, 0), "bad");
    assert_string_equal(ecrec_model_label(model, 1), "LABEL_1");
    assert_string_equal(ecrec_model_label(model, 2), "good");
    assert_null(ecrec_model_label(model, 3));
    const ecrec_encode_input in = of(texts, lengths), second = of(others, other_lengths);
    ecrec_classify_options o = ECREC_CLASSIFY_OPTIONS_INIT;
    o.activation = ECREC_ACTIVATION_NONE;
    float all[ROWS * LABELS], one[LABELS], soft[ROWS * LABELS], sigmoid[ROWS * LABELS];
    CALL(ecrec_classify(model, session, &in, &second, &o, all, ROWS * LABELS, &err));
    for (int i = 0; i < ROWS; i++) { /* the same as token ids, and bit for bit alone */
        ecrec_tokenize_options t = ECREC_TOKENIZE_OPTIONS_INIT;
        uint32_t ids[64];
        uint8_t types[64];
        size_t n = 0;
        t.pair = others[i];
        t.pair_length = other_lengths[i];
        t.max_length = UINT32_MAX;
        CALL(ecrec_tokenize(model, session, texts[i], lengths[i], &t, ids, NULL, types, 64, &n, &err));
        assert_true(n <= 24);
        const uint64_t starts[2] = { 0, n };
        ecrec_encode_input tokens = ECREC_ENCODE_INPUT_INIT;
        tokens.kind = ECREC_INPUT_IDS;
        tokens.count = 1;
        tokens.ids = ids;
        tokens.types = types;
        tokens.starts = starts;
        CALL(ecrec_classify(model, session, &tokens, NULL, &o, one, LABELS, &err));
        assert_memory_equal(one, all + i * LABELS, sizeof one);
    }
    CALL(ecrec_classify(model, session, &in, &second, NULL, soft, ROWS * LABELS, &err)); /* three labels: softmax */
    o.activation = ECREC_ACTIVATION_SIGMOID;
    CALL(ecrec_classify(model, session, &in, &second, &o, sigmoid, ROWS * LABELS, &err));
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int k = 0; k < LABELS; k++)
            sum += exp((double)all[i * LABELS + k]);
        for (int k = 0; k < LABELS; k++) {
            const double x = (double)all[i * LABELS + k];
            assert_true(fabs(exp(x) / sum - (double)soft[i * LABELS + k]) < 1e-6 && fabs(1 / (1 + exp(-x)) - (double)sigmoid[i * LABELS + k]) < 1e-6);
        }
    }
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

/* What the folder says of the activation. */
static void activations(void **state)
{
    static const struct { int labels; const char *config; int kind; } cases[] = { /* 0: logits, 1: sigmoid, 2: softmax */
        { 1, CLASSIFIER, 1 },
        { 3, CLASSIFIER, 2 },
        { 3, CLASSIFIER "\"problem_type\":\"multi_label_classification\",", 1 },
        { 1, CLASSIFIER "\"problem_type\":\"regression\",", 0 },
        { 1, CLASSIFIER "\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.linear.Identity\"},", 0 },
        { 1, CLASSIFIER "\"sbert_ce_default_activation_function\":\"torch.nn.modules.linear.Identity\",", 0 },
        { 3, CLASSIFIER "\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"},", 1 },
    };
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecrec_session *session = NULL;
        ecrec_model *model = open(context, cases[c].labels, cases[c].config, &session);
        static const uint32_t kinds[] = { ECREC_ACTIVATION_NONE, ECREC_ACTIVATION_SIGMOID, ECREC_ACTIVATION_SOFTMAX };
        const ecrec_encode_input in = of(texts, lengths);
        ecrec_classify_options o = ECREC_CLASSIFY_OPTIONS_INIT;
        float said[ROWS * LABELS], wanted[ROWS * LABELS];
        const size_t n = (size_t)(ROWS * cases[c].labels);
        CALL(ecrec_classify(model, session, &in, NULL, NULL, said, n, &err));
        o.activation = kinds[cases[c].kind];
        CALL(ecrec_classify(model, session, &in, NULL, &o, wanted, n, &err));
        assert_memory_equal(said, wanted, n * sizeof *said);
        ecrec_session_release(session);
        ecrec_model_release(model);
    }
    ecrec_model *model = NULL;
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_model_import(context, tiny_classifier_folder(1, CLASSIFIER "\"sentence_transformers\":{\"activation_fn\":\"torch.nn.Tanhshrink\"},"),
                                                      NULL, &model, NULL, &err));
    ecrec_context_release(context);
}

static void refusals(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_session *session = NULL, *plain_session = NULL;
    ecrec_model *model = open(context, LABELS, CLASSIFIER, &session), *plain = NULL;
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &plain, NULL, &err));
    CALL(ecrec_session_create(plain, NULL, &plain_session, &err));
    assert_int_equal(ecrec_model_labels(plain), 0);
    assert_int_equal(ecrec_model_labels(NULL), 0);
    float scores[ROWS * LABELS];
    ecrec_encode_input in = of(texts, lengths), second = of(others, other_lengths);
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_classify(plain, plain_session, &in, NULL, NULL, scores, ROWS * LABELS, &err));
    REFUSED(ECREC_ERR_TOO_SMALL, ecrec_classify(model, session, &in, NULL, NULL, scores, ROWS * LABELS - 1, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_classify(model, session, &in, NULL, NULL, NULL, ROWS * LABELS, &err));
    second.count = ROWS - 1;
    REFUSED(ECREC_ERR_INVALID, ecrec_classify(model, session, &in, &second, NULL, scores, ROWS * LABELS, &err));
    second.count = ROWS;
    second.kind = ECREC_INPUT_IDS;
    REFUSED(ECREC_ERR_INVALID, ecrec_classify(model, session, &in, &second, NULL, scores, ROWS * LABELS, &err));
    ecrec_classify_options o = ECREC_CLASSIFY_OPTIONS_INIT;
    o.activation = 4;
    REFUSED(ECREC_ERR_INVALID, ecrec_classify(model, session, &in, NULL, &o, scores, ROWS * LABELS, &err));
    in.count = 0;
    CALL(ecrec_classify(model, session, &in, NULL, NULL, NULL, 0, &err));
    ecrec_session_release(session);
    ecrec_session_release(plain_session);
    ecrec_model_release(model);
    ecrec_model_release(plain);
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(pairs), cmocka_unit_test(activations), cmocka_unit_test(refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
