/* Pictures through the API: what is prepared is what is encoded, in any batch; what a folder says of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tiny.h"

#include "ecrec/ecrec.h"

enum { N = 9, D = TINY_HIDDEN, EDGE = TINY_IMAGE, PLANES = 3 * EDGE * EDGE };

static ecrec_model *open(ecrec_context *context, const char *processor, ecrec_session **session)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *model = NULL;
    CALL(ecrec_model_import(context, tiny_image_folder(processor), NULL, &model, NULL, &err));
    CALL(ecrec_session_create(model, NULL, session, &err));
    return model;
}

static void close_all(ecrec_context *context, ecrec_model *model, ecrec_session *session)
{
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
}

static void batches(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(2, 0);
    ecrec_session *session = NULL;
    ecrec_model *model = open(context, "{\"image_processor_type\":\"CLIPImageProcessor\",\"size\":14,\"crop_size\":12,\"resample\":3}", &session);
    uint8_t *pixels[N];
    uint32_t heights[N], widths[N];
    size_t strides[N];
    float planes[N * PLANES], vectors[N * D], again[N * D];
    unsigned random = 5;
    for (uint32_t i = 0; i < N; i++) {
        heights[i] = 5 + 17 * i;
        widths[i] = 90 - 9 * i;
        strides[i] = widths[i] * 3 + i;
        pixels[i] = malloc(heights[i] * strides[i]);
        for (size_t k = 0; k < heights[i] * strides[i]; k++)
            pixels[i][k] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
    }
    const uint8_t *const *in = (const uint8_t *const *)pixels;
    CALL(ecrec_prepare_images(model, session, in, heights, widths, strides, N, planes, N * PLANES, &err));
    CALL(ecrec_encode_images(model, session, in, heights, widths, strides, N, NULL, vectors, D, &err));
    ecrec_encode_input input = ECREC_ENCODE_INPUT_INIT;
    ecrec_encode_output output = ECREC_ENCODE_OUTPUT_INIT;
    input.kind = ECREC_INPUT_PIXELS;
    input.count = N;
    input.pixels = planes;
    ecrec_model_image(model, &input.channels, &input.height, &input.width, NULL);
    assert_true(input.channels == 3 && input.height == EDGE && input.width == EDGE);
    output.dimension = D;
    output.vectors = again;
    output.capacity = N;
    CALL(ecrec_encode_batch(model, session, &input, NULL, &output, &err));
    assert_memory_equal(vectors, again, sizeof vectors);
    for (size_t i = 0; i < N; i++) {
        CALL(ecrec_encode_images(model, session, in + i, heights + i, widths + i, strides + i, 1, NULL, again, D, &err));
        assert_memory_equal(again, vectors + i * D, D * sizeof(float));
    }
    /* a vector a token */
    uint64_t starts[N + 1];
    input.kind = ECREC_INPUT_PICTURES;
    input.pictures = in;
    input.picture_heights = heights;
    input.picture_widths = widths;
    input.picture_strides = strides;
    output.per_token = 1;
    output.starts = starts;
    output.vectors = NULL;
    output.capacity = 0;
    CALL(ecrec_encode_batch(model, session, &input, NULL, &output, &err));
    assert_int_equal(starts[N], N * (1 + (EDGE / TINY_PATCH) * (EDGE / TINY_PATCH)));
    /* the settings are in the file */
    ecrec_model *loaded = NULL;
    ecrec_session *other = NULL;
    CALL(ecrec_model_save(model, temporary("pictures.ecrec"), &err));
    CALL(ecrec_model_load(context, temporary("pictures.ecrec"), NULL, &loaded, &err));
    CALL(ecrec_session_create(loaded, NULL, &other, &err));
    CALL(ecrec_encode_images(loaded, other, in, heights, widths, strides, N, NULL, again, D, &err));
    assert_memory_equal(vectors, again, sizeof vectors);
    ecrec_session_release(other);
    ecrec_model_release(loaded);
    for (size_t i = 0; i < N; i++)
        free(pixels[i]);
    close_all(context, model, session);
}

static void refusals(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = context_with(1, 0);
    ecrec_session *session = NULL, *blind_session = NULL, *text_session = NULL;
    ecrec_model *model = open(context, "{\"feature_extractor_type\":\"ViTFeatureExtractor\",\"size\":12}", &session), *blind = open(context, NULL, &blind_session), *text = NULL;
    CALL(ecrec_model_import(context, tiny_folder(), NULL, &text, NULL, &err));
    CALL(ecrec_session_create(text, NULL, &text_session, &err));
    static const uint8_t colours[30 * 3 * 2];
    const uint8_t *pixels[2] = { colours, colours };
    uint32_t heights[2] = { 2, 2 }, widths[2] = { 30, 30 };
    size_t strides[2] = { 90, 90 };
    float vectors[2 * D], planes[2 * PLANES];
    const uint8_t *const *in = pixels;
#define ENCODE(m, s) ecrec_encode_images(m, s, in, heights, widths, strides, 2, NULL, vectors, D, &err)
    CALL(ENCODE(model, session));
    REFUSED(ECREC_ERR_UNSUPPORTED, ENCODE(blind, blind_session));
    REFUSED(ECREC_ERR_UNSUPPORTED, ENCODE(text, text_session));
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_prepare_images(text, text_session, in, heights, widths, strides, 2, planes, 2 * PLANES, &err));
    REFUSED(ECREC_ERR_TOO_SMALL, ecrec_prepare_images(model, session, in, heights, widths, strides, 2, planes, 2 * PLANES - 1, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_encode_images(model, session, NULL, heights, widths, strides, 2, NULL, vectors, D, &err));
    REFUSED(ECREC_ERR_INVALID, ecrec_encode_images(model, session, in, NULL, widths, strides, 2, NULL, vectors, D, &err));
    strides[1] = 89;
    REFUSED(ECREC_ERR_INVALID, ENCODE(model, session));
    assert_int_equal(err.row, 1);
    strides[1] = 90;
    heights[1] = 0;
    REFUSED(ECREC_ERR_INVALID, ENCODE(model, session));
    heights[1] = 16385;
    REFUSED(ECREC_ERR_LIMIT, ENCODE(model, session));
    heights[1] = 2;
    pixels[0] = NULL;
    REFUSED(ECREC_ERR_INVALID, ENCODE(model, session));
    assert_int_equal(err.row, 0);
    static const char text_row[] = "a";
    const char *texts[] = { text_row };
    const size_t lengths[] = { 1 };
    REFUSED(ECREC_ERR_UNSUPPORTED, ecrec_encode(model, session, texts, lengths, 1, NULL, vectors, D, &err));
    ecrec_session_release(blind_session);
    ecrec_model_release(blind);
    ecrec_session_release(text_session);
    ecrec_model_release(text);
    close_all(context, model, session);
}

/* Files that are refused, by what they say. */
static void processors(void **state)
{
    static const struct { int32_t code; const char *file, *says; } cases[] = {
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"PoolFormerImageProcessor\"}", "PoolFormer" },
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":12,\"resample\":0}", "resample 0" },
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":{\"longest_edge\":12}}", "\"size\"" },
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":{\"shortest_edge\":12,\"longest_edge\":24}}", "\"size\"" },
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":\"12\"}", "\"size\"" },
        { ECREC_ERR_FORMAT, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":0}", "\"size\"" },
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":-3}", "\"size\"" },
        { ECREC_ERR_MISMATCH, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":24}", "24 x 24" },
        { ECREC_ERR_MISMATCH, "{\"image_processor_type\":\"CLIPImageProcessor\",\"size\":12,\"crop_size\":{\"height\":12,\"width\":13}}", "12 x 13" },
        { ECREC_ERR_FORMAT, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":12,\"image_std\":[1,0,1]}", "image_std" },
        { ECREC_ERR_FORMAT, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":12,\"image_mean\":[1,2]}", "image_mean" },
        { ECREC_ERR_UNSUPPORTED, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":12,\"do_pad\":true}", "do_pad" },
        { ECREC_ERR_FORMAT, "{\"image_processor_type\":\"ViTImageProcessor\",\"size\":12,\"do_resize\":1}", "do_resize" },
        { ECREC_ERR_FORMAT, "{\"image_processor_type\":7}", "image_processor_type" },
        { ECREC_ERR_FORMAT, "[]", "preprocessor_config.json" },
    };
    (void)state;
    ecrec_context *context = context_with(1, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecrec_error err = ECREC_ERROR_INIT;
        ecrec_model *model = NULL;
        const int32_t status = ecrec_model_import(context, tiny_image_folder(cases[i].file), NULL, &model, NULL, &err);
        if (status != cases[i].code || strstr(err.message, cases[i].says) == NULL)
            fail_msg("%s: %s, %s", cases[i].file, ecrec_status_name(status), err.message);
    }
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(batches), cmocka_unit_test(refusals), cmocka_unit_test(processors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
