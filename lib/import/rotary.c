#include "import/rotary.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

#define PI 3.14159265358979323846

static int32_t number(const json *parameters, const char *key, double missing, double least, double *out, ecrec_error *err)
{
    int32_t status = json_get_double(parameters, "config.json", key, missing, out, err);
    if (status == ECREC_OK && !(*out >= least && *out <= 1e12))
        return error_set(err, ECREC_ERR_FORMAT, "config.json: %s of the rotary positions is %g", key, *out);
    return status;
}

/* How much attention grows sharper with the stretch (YaRN, arXiv 2309.00071, section 3.4). */
static double sharpness(double factor, double scale)
{
    return factor <= 1 ? 1.0 : 0.1 * scale * log(factor) + 1.0;
}

static int32_t read_yarn(const json *v, rotary *r, ecrec_error *err)
{
    double scale = 0, all = 0, attention = 0;
    int truncate = 1;
    int32_t status;
    if ((status = number(v, "beta_fast", 32, 0.001, &r->fast, err)) || (status = number(v, "beta_slow", 1, 0.001, &r->slow, err)) ||
        (status = number(v, "mscale", 0, 0, &scale, err)) || (status = number(v, "mscale_all_dim", 0, 0, &all, err)) ||
        (status = number(v, "attention_factor", 0, 0, &attention, err)) ||
        (status = json_get_bool(v, "config.json", "truncate", 1, &truncate, err)))
        return status;
    r->truncate = truncate;
    r->attention = attention > 0 ? attention : scale > 0 && all > 0 ? sharpness(r->factor, scale) / sharpness(r->factor, all) : sharpness(r->factor, 1);
    return ECREC_OK;
}

int32_t rotary_read(const json *v, const char *key, double positions, rotary *r, ecrec_error *err)
{
    const char *type = NULL, *older = NULL;
    int32_t status;
    r->scaling = ROTARY_DEFAULT;
    r->attention = 1;
    r->factor = 1;
    if (v == NULL || json_is(v, JSON_NULL))
        return ECREC_OK;
    if (!json_is(v, JSON_OBJECT))
        return error_at(err, ECREC_ERR_FORMAT, v->position, "config.json: \"%s\" is not an object", key);
    if ((status = json_get_string(v, "config.json", "type", "default", &older, err)) ||
        (status = json_get_string(v, "config.json", "rope_type", older, &type, err)) ||
        (status = number(v, "rope_theta", r->theta, 1, &r->theta, err)))
        return status;
    if (strcmp(type, "default") == 0)
        return ECREC_OK;
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0 && strcmp(type, "yarn") != 0)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "config.json: %s: rope_type \"%s\" is not supported (supported: default, linear, llama3, yarn)",
                         key, type);
    if ((status = number(v, "factor", 0, 1, &r->factor, err)) ||
        (status = number(v, "original_max_position_embeddings", positions, 1, &r->original, err)))
        return status;
    if (strcmp(type, "linear") == 0) {
        r->scaling = ROTARY_LINEAR;
        return ECREC_OK;
    }
    if (strcmp(type, "yarn") == 0) {
        r->scaling = ROTARY_YARN;
        return read_yarn(v, r, err);
    }
    r->scaling = ROTARY_LLAMA3;
    if ((status = number(v, "low_freq_factor", 1, 0.001, &r->low, err)) || (status = number(v, "high_freq_factor", 4, 0.001, &r->high, err)))
        return status;
    if (r->high <= r->low)
        return error_set(err, ECREC_ERR_FORMAT, "config.json: %s: high_freq_factor %g is not above low_freq_factor %g", key, r->high, r->low);
    return ECREC_OK;
}

/* Llama 3.1: slow frequencies are stretched, fast ones kept, those between mixed. */
static float llama3_frequency(const rotary *r, float frequency)
{
    const double wave = 2 * PI / frequency;
    if (wave > r->original / r->low)
        return (float)(frequency / r->factor);
    if (wave < r->original / r->high)
        return frequency;
    const double smooth = (r->original / wave - r->low) / (r->high - r->low);
    return (float)((1 - smooth) * frequency / r->factor + smooth * frequency);
}

/* The dimension that turns so often over the original length. */
static double yarn_dimension(const rotary *r, double turns, double size)
{
    return size * log(r->original / (turns * 2 * PI)) / (2 * log(r->theta));
}

static float yarn_frequency(const rotary *r, float frequency, size_t index, size_t size)
{
    double low = yarn_dimension(r, r->fast, (double)size), high = yarn_dimension(r, r->slow, (double)size);
    if (r->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = low > 0 ? low : 0;
    high = high < (double)size - 1 ? high : (double)size - 1;
    if (low == high)
        high += 0.001;
    double ramp = ((double)index - low) / (high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    return (float)(frequency / r->factor * ramp + frequency * (1 - ramp));
}

void rotary_fill(const rotary *r, size_t positions, size_t size, float *out)
{
    const size_t half = size / 2;
    for (size_t i = 0; i < half; i++) {
        const float exponent = (float)(2 * i) / (float)size;
        float frequency = 1.0f / (float)pow(r->theta, (double)exponent);
        if (r->scaling == ROTARY_LINEAR)
            frequency = (float)(frequency / r->factor);
        else if (r->scaling == ROTARY_LLAMA3)
            frequency = llama3_frequency(r, frequency);
        else if (r->scaling == ROTARY_YARN)
            frequency = yarn_frequency(r, frequency, i, size);
        for (size_t p = 0; p < positions; p++) {
            const double angle = (double)((float)p * frequency);
            out[p * size + i] = (float)(cos(angle) * r->attention);
            out[p * size + half + i] = (float)(sin(angle) * r->attention);
        }
    }
}
