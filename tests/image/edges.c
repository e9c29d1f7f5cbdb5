/* Pictures that Pillow is not needed for: what is refused, one colour, borders, strides, nothing written outside. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#include "image/image.h"

static const picture_settings usual = { .resize = PICTURE_RESIZE_SHORTEST, .filter = PICTURE_BICUBIC, .height = 8, .width = 8, .crop = 1, .crop_height = 8, .crop_width = 8,
                                      .out_height = 8, .out_width = 8, .rescale = 1, .std = { 1, 1, 1 } };

static int32_t prepare(const picture_settings *s, const picture *p, float *out, ecrec_error *err)
{
    const size_t need = picture_scratch(s);
    unsigned char *scratch = NULL;
    assert_int_equal(posix_memalign((void **)&scratch, 64, need + 64), 0);
    memset(scratch, 0xEE, need + 64);
    const int32_t status = picture_prepare(s, scratch, p, out, err);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(scratch[need + i], 0xEE);
    free(scratch);
    return status;
}

static void refused(void **state)
{
    uint8_t pixels[12 * 12 * 3] = { 0 };
    float out[3 * 8 * 8];
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    picture p = { pixels, 12, 12, 36 };
    assert_int_equal(prepare(&usual, &p, out, &err), ECREC_OK);
    p.height = 0;
    REFUSED(ECREC_ERR_INVALID, prepare(&usual, &p, out, &err));
    p.height = PICTURE_MOST_EDGE + 1;
    REFUSED(ECREC_ERR_LIMIT, prepare(&usual, &p, out, &err));
    p.height = 12;
    p.width = UINT32_MAX;
    REFUSED(ECREC_ERR_LIMIT, prepare(&usual, &p, out, &err));
    p.width = 12;
    p.stride = 35;
    REFUSED(ECREC_ERR_INVALID, prepare(&usual, &p, out, &err));
    p.stride = SIZE_MAX / 2;
    REFUSED(ECREC_ERR_INVALID, prepare(&usual, &p, out, &err));
    p.stride = 36;
    p.pixels = NULL;
    REFUSED(ECREC_ERR_INVALID, prepare(&usual, &p, out, &err));
    p.pixels = pixels;
    picture_settings s = usual;
    s.crop = 0; /* 12 x 10 becomes 9 x 8, and the encoder wants 8 x 8 */
    p.width = 10;
    REFUSED(ECREC_ERR_MISMATCH, prepare(&s, &p, out, &err));

    static const struct { size_t offset; uint32_t value; } wrong[] = {
        { offsetof(picture_settings, resize), 3 }, { offsetof(picture_settings, filter), PICTURE_FILTERS }, { offsetof(picture_settings, height), 0 },
        { offsetof(picture_settings, width), PICTURE_MOST_TARGET + 1 }, { offsetof(picture_settings, crop_height), 0 }, { offsetof(picture_settings, crop_width), 9 },
        { offsetof(picture_settings, out_height), 0 }, { offsetof(picture_settings, out_width), 7 },
    };
    assert_int_equal(picture_check(&usual, &err), ECREC_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s = usual;
        memcpy((char *)&s + wrong[i].offset, &wrong[i].value, sizeof wrong[i].value);
        REFUSED(ECREC_ERR_INVALID, picture_check(&s, &err));
    }
    s = usual;
    s.std[1] = 0;
    REFUSED(ECREC_ERR_INVALID, picture_check(&s, &err));
    s.std[1] = 1;
    s.mean[2] = NAN;
    REFUSED(ECREC_ERR_INVALID, picture_check(&s, &err));
    s.mean[2] = 0;
    s.rescale = INFINITY;
    REFUSED(ECREC_ERR_INVALID, picture_check(&s, &err));
}

/* One colour stays that colour through every filter, size and order of passes; what a crop adds around is zero. */
static void one_colour(void **state)
{
    static const uint32_t sizes[][2] = { { 1, 1 }, { 12, 12 }, { 3, 200 }, { 200, 3 }, { 16384, 2 }, { 2, 16384 }, { 7, 8 } };
    static uint8_t pixels[16384 * 3 * 2 + 200 * 7];
    ecrec_error err = ECREC_ERROR_INIT;
    (void)state;
    for (uint32_t filter = 0; filter < PICTURE_FILTERS; filter++)
        for (uint32_t resize = 0; resize < 3; resize++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                picture_settings s = usual;
                s.filter = filter;
                s.resize = resize;
                s.out_height = s.crop_height = 10;
                s.out_width = s.crop_width = 11;
                const picture p = { pixels, sizes[i][0], sizes[i][1], sizes[i][1] * 3 + (sizes[i][0] < 1000 ? 7 : 0) };
                memset(pixels, 1, sizeof pixels); /* not of the picture */
                for (size_t y = 0; y < p.height; y++)
                    for (size_t x = 0; x < p.width; x++)
                        memcpy(pixels + y * p.stride + x * 3, "\xC8\x64\xFF", 3);
                float out[3 * 10 * 11];
                CALL(prepare(&s, &p, out, &err));
                const uint32_t shorter = p.height < p.width ? p.height : p.width;
                const size_t h = resize == 0 ? p.height : resize == 1 ? 8 : 8 * p.height / shorter, w = resize == 0 ? p.width : resize == 1 ? 8 : 8 * p.width / shorter;
                size_t shown = 0;
                for (size_t k = 0; k < 110; k++) {
                    const int there = out[k] == 200 && out[110 + k] == 100 && out[220 + k] == 255;
                    assert_true(there || (out[k] == 0 && out[110 + k] == 0 && out[220 + k] == 0));
                    shown += (size_t)there;
                }
                assert_int_equal(shown, (h < 10 ? h : 10) * (w < 11 ? w : 11));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(refused), cmocka_unit_test(one_colour) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
