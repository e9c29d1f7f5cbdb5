/* Bytes are settings and a picture: it is prepared or refused with a sentence; nothing is read outside of the picture, nothing
 * written outside of scratch and planes, every value is one that 8 bits can become. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/image.h"

enum { HEAD = 24, MOST_BYTES = 1 << 18 };

static uint32_t number(const uint8_t *data, int at)
{
    return data[2 * at] | (uint32_t)data[2 * at + 1] << 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    if (size < HEAD)
        return 0;
    picture_settings s = { .resize = data[0] % 4, .filter = data[1] % 6, .crop = data[2] % 2, .height = number(data, 2), .width = number(data, 3),
                         .crop_height = number(data, 4), .crop_width = number(data, 5), .rescale = data[3] % 3 == 0 ? 1 : 1 / 255.0,
                         .mean = { 0.5f, 0.25f, 0 }, .std = { 1, 0.5f, 0.25f } };
    picture p = { .height = number(data, 6), .width = number(data, 7), .stride = number(data, 8) };
    s.out_height = s.crop ? s.crop_height : number(data, 9);
    s.out_width = s.crop ? s.crop_width : number(data, 10);
    if (picture_check(&s, &err) != ECREC_OK) {
        PROMISE(err.message[0] != 0);
        return 0;
    }
    const size_t row = (size_t)p.width * 3, n = (size_t)3 * s.out_height * s.out_width;
    p.stride += data[22] % 2 ? row : 0; /* both wide enough ones and any */
    const size_t bytes = p.height != 0 && p.stride >= row ? (p.height - 1) * p.stride + row : 1;
    if (bytes > MOST_BYTES || n > MOST_BYTES)
        return 0;
    uint8_t *pixels = malloc(bytes);
    const size_t need = picture_scratch(&s);
    unsigned char *scratch = aligned_alloc(64, (need + 127) / 64 * 64);
    float *out = malloc(n * sizeof *out);
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = data[HEAD - 1 + i % (size - HEAD + 1)];
    memset(scratch + need, 0x5A, 64);
    p.pixels = pixels;
    for (size_t i = 0; i < n; i++)
        out[i] = NAN;
    const int32_t status = picture_prepare(&s, scratch, &p, out, &err);
    PROMISE(status == ECREC_OK || err.message[0] != 0);
    for (size_t i = 0; i < n && status == ECREC_OK; i++) {
        const size_t c = i / ((size_t)s.out_height * s.out_width);
        const float v = (out[i] * s.std[c] + s.mean[c]) / (float)s.rescale;
        PROMISE(v > -0.01f && v < 255.01f && fabsf(v - rintf(v)) < 0.01f);
    }
    for (size_t i = 0; i < 64; i++)
        PROMISE(scratch[need + i] == 0x5A);
    free(pixels);
    free(scratch);
    free(out);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const uint16_t seeds[][9] = { /* height, width, crop, crop, picture, stride past the row, out */
        { 24, 24, 20, 20, 30, 50, 0, 24, 24 }, { 8, 8, 30, 31, 20, 9, 5, 8, 8 },   { 3, 5, 1, 1, 400, 2, 0, 3, 5 },
        { 16, 16, 16, 16, 1, 16384, 0, 16, 16 }, { 16, 16, 16, 16, 16384, 1, 0, 16, 16 }, { 40, 40, 7, 64, 40, 40, 1, 40, 40 },
    };
    for (unsigned i = 0; i < sizeof seeds / sizeof *seeds; i++)
        for (unsigned kind = 0; kind < 30; kind++) {
            uint8_t bytes[HEAD + 64] = { (uint8_t)(kind % 3), (uint8_t)(kind / 6), (uint8_t)(kind % 2), (uint8_t)kind };
            for (unsigned k = 0; k < 9; k++) {
                bytes[4 + 2 * k] = (uint8_t)seeds[i][k];
                bytes[5 + 2 * k] = (uint8_t)(seeds[i][k] >> 8);
            }
            bytes[22] = 1;
            for (unsigned k = HEAD; k < sizeof bytes; k++)
                bytes[k] = (uint8_t)(k * 37 * (i + 1));
            emit(opaque, bytes, sizeof bytes);
        }
}
