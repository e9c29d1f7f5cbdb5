/* Prepares pictures for pillow.py. stdin: a line "resize filter height width crop crop_height crop_width out_height out_width
 * rescale mean*3 std*3 picture_height picture_width stride", then stride * height bytes; again and again. stdout: float32. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

int main(void)
{
    picture_settings s;
    picture p;
    ecrec_error err = ECREC_ERROR_INIT;
    while (scanf("%u %u %u %u %u %u %u %u %u %lf %f %f %f %f %f %f %u %u %zu", &s.resize, &s.filter, &s.height, &s.width, &s.crop, &s.crop_height, &s.crop_width,
                 &s.out_height, &s.out_width, &s.rescale, &s.mean[0], &s.mean[1], &s.mean[2], &s.std[0], &s.std[1], &s.std[2], &p.height, &p.width, &p.stride) == 19) {
        (void)getchar();
        const size_t bytes = p.stride * p.height, n = (size_t)3 * s.out_height * s.out_width;
        uint8_t *pixels = malloc(bytes);
        void *scratch = NULL;
        float *out = malloc(n * sizeof *out);
        p.pixels = pixels;
        if (picture_check(&s, &err) != ECREC_OK || posix_memalign(&scratch, 64, picture_scratch(&s)) != 0 || fread(pixels, 1, bytes, stdin) != bytes) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        memset(scratch, 0xA5, picture_scratch(&s));
        if (picture_prepare(&s, scratch, &p, out, &err) != ECREC_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        fwrite(out, sizeof *out, n, stdout);
        free(pixels);
        free(scratch);
        free(out);
    }
    return 0;
}
