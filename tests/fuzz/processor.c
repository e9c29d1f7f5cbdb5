/* Bytes are a preprocessor_config.json, the first says what the encoder takes: settings are refused with a sentence, or are such that the model
 * that holds them opens and prepares pictures to finite values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/pictures.h"
#include "fuzz.h"
#include "import/config.h"
#include "import/processor.h"

enum { MOST_EDGE = 64 /* of what is prepared */ };

static void prepare(const picture_settings *s)
{
    static uint8_t pixels[3 * 9 * 7];
    const picture p = { pixels, 9, 7, 3 * 7 };
    ecrec_error err = ECREC_ERROR_INIT;
    const size_t n = (size_t)3 * s->out_height * s->out_width, need = picture_scratch(s);
    if (s->out_height > MOST_EDGE || s->out_width > MOST_EDGE || s->height > 4 * MOST_EDGE || s->width > 4 * MOST_EDGE)
        return;
    unsigned char *scratch = aligned_alloc(64, (need + 63) / 64 * 64);
    float *out = malloc(n * sizeof *out);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    const int32_t status = picture_prepare(s, scratch, &p, out, &err);
    PROMISE(status == ECREC_OK || err.message[0] != 0);
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        PROMISE(isfinite(out[i]));
    free(scratch);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t edges[][2] = { { 224, 224 }, { 30, 30 }, { 12, 20 }, { 1, 1 } };
    memory m;
    ecrec_error err = ECREC_ERROR_INIT;
    picture_settings s = { 0 };
    const json *config = NULL;
    folder f = { .path = ".", .model_type = size > 0 && data[0] & 4 ? "vit" : "clip", .patch = 1, .channels = 3 };
    if (size == 0)
        return 0;
    f.image_height = edges[data[0] % 4][0];
    f.image_width = edges[data[0] % 4][1];
    memory_init(&m, NULL, (uint64_t)(1u << 20) + 96 * (uint64_t)size);
    arena_init(&f.a, &m);
    PROMISE(properties_create(&m, &f.settings) == ECREC_OK);
    const char *text = arena_copy(&f.a, (const char *)data + 1, size - 1);
    int32_t status = json_parse(&f.a, "fuzz.json", text, size - 1, &config, &err);
    if (status == ECREC_OK && json_is(config, JSON_OBJECT)) {
        status = processor_take(&f, "fuzz.json", config, &err);
        PROMISE(status != ECREC_ERR_NOMEM && status != ECREC_ERR_INTERNAL && (status == ECREC_OK || strstr(err.message, "fuzz.json") != NULL));
        if (status == ECREC_OK && set_u64(&f, "encoder.image_height", f.image_height, &err) == ECREC_OK && set_u64(&f, "encoder.image_width", f.image_width, &err) == ECREC_OK &&
            set_u64(&f, "encoder.image_channels", f.channels, &err) == ECREC_OK) {
            PROMISE(pictures_read(f.settings, &s, &err) == ECREC_OK);
            prepare(&s);
        }
    }
    properties_release(f.settings);
    arena_release(&f.a);
    PROMISE(atomic_load(&m.live) == 0);
    return 0;
}

/* Keys with values that are good or nearly so, each combination its own. */
static void compose(fuzz_emit emit, void *opaque)
{
    static const struct { const char *key, *values[8]; } keys[] = {
        { "image_processor_type", { "\"CLIP\"", "\"ViTImageProcessor\"", "\"DeiTImageProcessorFast\"", "\"SiglipImageProcessorPil\"", "\"BitFeatureExtractor\"", "null", "\"CLIPs\"", "1" } },
        { "size", { "{\"height\":12,\"width\":20}", "{\"shortest_edge\":30}", "30", "[12,20]", "1", "{\"height\":30,\"width\":30}", "{\"shortest_edge\":30,\"longest_edge\":9}", "4097" } },
        { "crop_size", { "30", "{\"height\":12,\"width\":20}", "[12,20]", "1", "30", "null", "{}", "0" } },
        { "do_resize", { "true", "false", "null", "true", "true", "true", "true", "1" } },
        { "do_center_crop", { "true", "false", "true", "true", "true", "null", "false", "\"a\"" } },
        { "do_rescale", { "true", "false", "true", "null", "true", "true", "true", "[]" } },
        { "do_normalize", { "true", "false", "true", "null", "true", "true", "true", "{}" } },
        { "resample", { "1", "2", "3", "4", "5", "0", "null", "-1" } },
        { "rescale_factor", { "0.00392156862745098", "-2", "0", "1e-300", "1", "999999", "1e300", "1e6" } },
        { "image_mean", { "0.5", "[0.5,0.25,1]", "-999999", "[1e-46,1,1]", "null", "0", "[1,2]", "1e300" } },
        { "image_std", { "0.5", "[0.5,0.25,1]", "1e-30", "1e-50", "[1e-46,1,1]", "null", "0", "[1,\"a\",2]" } },
    };
    unsigned long long seed = 5;
    char text[1024];
    for (int i = 0; i < 480; i++) {
        size_t n = (size_t)snprintf(text, sizeof text, "%c{\"do_pad\":null", 'a' + i % 4);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            if (seed >> 62 == 0)
                continue;
            n += (size_t)snprintf(text + n, sizeof text - n, ",\"%s\":%s", keys[k].key, keys[k].values[(seed >> 40) % (seed >> 59 & 1 ? 8 : 5)]);
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "}");
        emit(opaque, text, n);
    }
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char *const seeds[] = {
        "\x01{\"image_processor_type\":\"CLIPImageProcessor\",\"do_resize\":true,\"size\":{\"shortest_edge\":30},\"resample\":3,\"do_center_crop\":true,"
        "\"crop_size\":{\"height\":30,\"width\":30},\"do_rescale\":true,\"rescale_factor\":0.00392156862745098,\"do_normalize\":true,"
        "\"image_mean\":[0.48145466,0.4578275,0.40821073],\"image_std\":[0.26862954,0.26130258,0.27577711]}",
        "\x02{\"image_processor_type\":\"ViTImageProcessor\",\"size\":{\"height\":12,\"width\":20},\"resample\":2,\"image_mean\":0.5,\"image_std\":0.5}",
        "\x02{\"image_processor_type\":\"SiglipImageProcessorFast\",\"size\":[12,20],\"do_center_crop\":null,\"image_std\":[1,2,0.5]}",
        "\x04{\"feature_extractor_type\":\"ViTFeatureExtractor\",\"size\":224,\"do_pad\":false}",
        "\x01{\"image_processor_type\":\"BitImageProcessor\",\"do_resize\":false,\"do_center_crop\":true,\"crop_size\":30,\"do_normalize\":false,\"do_rescale\":false}",
        "\x03{\"image_processor_type\":\"DeiTImageProcessor\",\"size\":1,\"crop_size\":1,\"resample\":5,\"rescale_factor\":-2}",
        "\x04{}",
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        emit(opaque, seeds[i], strlen(seeds[i]));
    compose(emit, opaque);
}
