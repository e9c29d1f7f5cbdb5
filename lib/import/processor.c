#include "import/processor.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "import/config.h"

/* What a processor does where its file says nothing. */
typedef struct processor {
    const char *type; /* the beginning of image_processor_type or feature_extractor_type */
    uint64_t size, crop; /* crop 0: none */
    int shortest;        /* a size that is one number is the shorter edge's, else both edges' */
    const char *filter;
    double mean[3], std[3];
} processor;

#define CLIP_MEAN { 0.48145466, 0.4578275, 0.40821073 }
#define CLIP_STD { 0.26862954, 0.26130258, 0.27577711 }
#define LEAST_STD 1e-6 /* what is divided by it stays finite */
#define HALF { 0.5, 0.5, 0.5 }

static const processor processors[] = {
    { "CLIP", 224, 224, 1, "bicubic", CLIP_MEAN, CLIP_STD }, { "ViT", 224, 0, 0, "bilinear", HALF, HALF },    { "DeiT", 256, 224, 0, "bicubic", HALF, HALF },
    { "Siglip", 224, 0, 0, "bicubic", HALF, HALF },          { "Bit", 224, 224, 1, "bicubic", CLIP_MEAN, CLIP_STD },
};

typedef struct reading {
    folder *f;
    const json *config;
    const char *file;
    const processor *kind;
    ecrec_error *err;
} reading;

static int32_t find_kind(reading *r)
{
    const char *type = NULL;
    int32_t status = json_get_string(r->config, r->file, "feature_extractor_type", NULL, &type, r->err);
    if (status == ECREC_OK)
        status = json_get_string(r->config, r->file, "image_processor_type", type, &type, r->err);
    if (status != ECREC_OK)
        return status;
    if (type == NULL) /* very old folders */
        type = strcmp(r->f->model_type, "vit") == 0 ? "ViT" : "CLIP";
    for (size_t i = 0; i < sizeof processors / sizeof *processors; i++) {
        const size_t n = strlen(processors[i].type);
        if (strncmp(type, processors[i].type, n) != 0)
            continue;
        static const char *const tails[] = { "", "ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor" };
        for (size_t k = 0; k < sizeof tails / sizeof *tails; k++)
            if (strcmp(type + n, tails[k]) == 0) {
                r->kind = &processors[i];
                return ECREC_OK;
            }
    }
    return error_set(r->err, ECREC_ERR_UNSUPPORTED, "%s: image_processor_type \"%s\" is not supported (supported: CLIP, ViT, DeiT, Siglip, Bit)", r->file, type);
}

/* A size: a number, [height, width], or an object of height and width or of shortest_edge. */
static int32_t read_size(const reading *r, const char *key, uint64_t missing, int *shortest, uint64_t *height, uint64_t *width)
{
    const json *v = json_get(r->config, key);
    const json *one = json_get(v, "shortest_edge"), *h = json_get(v, "height"), *w = json_get(v, "width");
    if (json_is(v, JSON_ARRAY) && v->length == 2) {
        h = json_at(v, 0);
        w = json_at(v, 1);
    }
    *height = *width = missing;
    int good = v == NULL || json_is(v, JSON_NULL);
    if (json_is(v, JSON_NUMBER)) {
        good = json_u64(v, height);
        *width = *height;
    } else if (shortest != NULL && one != NULL && v->length == 1) {
        good = json_u64(one, height);
        *width = *height;
        *shortest = 1;
    } else if (h != NULL && w != NULL && v->length == 2) {
        good = json_u64(h, height) && json_u64(w, width);
        if (shortest != NULL)
            *shortest = 0;
    }
    if (!good || *height == 0 || *width == 0 || *height > 4096 || *width > 4096)
        return error_at(r->err, good ? ECREC_ERR_FORMAT : ECREC_ERR_UNSUPPORTED, v != NULL ? v->position : UINT64_MAX,
                        "%s: \"%s\" is none that is supported (supported: a number, [height, width], {\"height\", \"width\"}%s; 1 .. 4096 pixels)", r->file, key,
                        shortest != NULL ? ", {\"shortest_edge\"}" : "");
    return ECREC_OK;
}

static int32_t read_resize(const reading *r)
{
    static const char *const filters[] = { NULL, "lanczos", "bilinear", "bicubic", "box", "hamming" }; /* Pillow's numbers */
    folder *f = r->f;
    uint64_t height = 0, width = 0, filter = UINT64_MAX;
    int on = 1, shortest = r->kind->shortest;
    int32_t status = json_get_bool(r->config, r->file, "do_resize", 1, &on, r->err);
    if (status == ECREC_OK && on)
        status = read_size(r, "size", r->kind->size, &shortest, &height, &width);
    if (status == ECREC_OK)
        status = json_get_u64(r->config, r->file, "resample", UINT64_MAX, &filter, r->err);
    if (status != ECREC_OK)
        return status;
    if (filter != UINT64_MAX && (filter > 5 || filters[filter] == NULL))
        return error_set(r->err, ECREC_ERR_UNSUPPORTED, "%s: resample %llu is not supported (supported: 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming)", r->file,
                         (unsigned long long)filter);
    if ((status = set_string(f, "image.resize", !on ? "none" : shortest ? "shortest" : "exact", r->err)) != ECREC_OK ||
        (status = set_string(f, "image.filter", filter != UINT64_MAX ? filters[filter] : r->kind->filter, r->err)) != ECREC_OK || !on)
        return status;
    if ((status = set_u64(f, "image.height", height, r->err)) != ECREC_OK)
        return status;
    return set_u64(f, "image.width", width, r->err);
}

static int32_t read_crop(const reading *r)
{
    uint64_t height = 0, width = 0;
    int on = 0;
    int32_t status = json_get_bool(r->config, r->file, "do_center_crop", r->kind->crop != 0, &on, r->err);
    if (status != ECREC_OK || !on)
        return status;
    if ((status = read_size(r, "crop_size", r->kind->crop != 0 ? r->kind->crop : r->kind->size, NULL, &height, &width)) != ECREC_OK ||
        (status = set_u64(r->f, "image.crop_height", height, r->err)) != ECREC_OK)
        return status;
    return set_u64(r->f, "image.crop_width", width, r->err);
}

/* Three numbers, or one for all. */
static int32_t read_three(const reading *r, const char *key, const double missing[3], const char *setting, double least)
{
    const json *v = json_get(r->config, key);
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < 3 && status == ECREC_OK; i++) {
        const json *at = json_is(v, JSON_ARRAY) && v->length == 3 ? json_at(v, i) : v;
        char name[32];
        const double value = at == NULL || json_is(at, JSON_NULL) ? missing[i] : json_is(at, JSON_NUMBER) ? at->number : NAN;
        if (!(value >= least && value < 1e6))
            return error_at(r->err, ECREC_ERR_FORMAT, at != NULL ? at->position : UINT64_MAX, "%s: \"%s\" must be three numbers of %g to 1000000", r->file, key,
                            least);
        format_text(name, sizeof name, "%s.%zu", setting, i);
        status = set_f64(r->f, name, value, r->err);
    }
    return status;
}

static int32_t read_values(const reading *r)
{
    static const double zeros[3] = { 0, 0, 0 }, ones[3] = { 1, 1, 1 };
    double factor = 1.0 / 255;
    int rescales = 1, normalizes = 1;
    int32_t status;
    if ((status = json_get_bool(r->config, r->file, "do_rescale", 1, &rescales, r->err)) != ECREC_OK ||
        (status = json_get_bool(r->config, r->file, "do_normalize", 1, &normalizes, r->err)) != ECREC_OK ||
        (status = json_get_double(r->config, r->file, "rescale_factor", factor, &factor, r->err)) != ECREC_OK)
        return status;
    if (!(fabs(factor) < 1e6))
        return error_set(r->err, ECREC_ERR_FORMAT, "%s: rescale_factor is %g", r->file, factor);
    if ((status = set_f64(r->f, "image.rescale", rescales ? factor : 1, r->err)) != ECREC_OK)
        return status;
    const reading none = { r->f, NULL, r->file, r->kind, r->err }, *from = normalizes ? r : &none;
    if ((status = read_three(from, "image_mean", normalizes ? r->kind->mean : zeros, "image.mean", -999999)) != ECREC_OK)
        return status;
    return read_three(from, "image_std", normalizes ? r->kind->std : ones, "image.std", LEAST_STD);
}

/* What the encoder takes must be what comes out. */
static int32_t check_sizes(const reading *r)
{
    const properties *p = r->f->settings;
    uint64_t h = properties_u64(p, "image.crop_height", 0), w = properties_u64(p, "image.crop_width", 0);
    if (h == 0 && strcmp(properties_string(p, "image.resize", ""), "exact") == 0) {
        h = properties_u64(p, "image.height", 0);
        w = properties_u64(p, "image.width", 0);
    }
    if (h != 0 && (h != r->f->image_height || w != r->f->image_width))
        return error_set(r->err, ECREC_ERR_MISMATCH, "%s makes pictures of %llu x %llu, but config.json says that the encoder takes %llu x %llu", r->file,
                         (unsigned long long)h, (unsigned long long)w, (unsigned long long)r->f->image_height, (unsigned long long)r->f->image_width);
    return ECREC_OK;
}

int32_t processor_take(folder *f, const char *file, const json *config, ecrec_error *err)
{
    static const char *const others[] = { "do_pad", "crop_pct", "do_flip_channel_order", "offset" }; /* steps that are not known here */
    reading r = { .f = f, .file = file, .config = config, .err = err };
    int32_t status;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const json *v = json_get(config, others[i]);
        if (v != NULL && !json_is(v, JSON_NULL) && !json_is(v, JSON_FALSE))
            return error_at(err, ECREC_ERR_UNSUPPORTED, v->position, "%s: \"%s\" is not supported (supported: resize, center crop, rescale, normalize)", file, others[i]);
    }
    if ((status = find_kind(&r)) != ECREC_OK || (status = read_resize(&r)) != ECREC_OK || (status = read_crop(&r)) != ECREC_OK || (status = read_values(&r)) != ECREC_OK)
        return status;
    return check_sizes(&r);
}

int32_t processor_read(folder *f, ecrec_error *err)
{
    const char *file = "preprocessor_config.json";
    const json *config = NULL;
    if (f->patch == 0 || f->channels != 3)
        return ECREC_OK;
    int32_t status = folder_optional_json(f, file, &config, err);
    if (status == ECREC_OK && config == NULL) {
        file = "processor_config.json";
        if ((status = folder_optional_json(f, file, &config, err)) == ECREC_OK)
            config = json_get(config, "image_processor");
    }
    return status != ECREC_OK || config == NULL ? status : processor_take(f, file, config, err);
}
