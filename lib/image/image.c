#include "image/image.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/filter.h"

/* One picture's way to its planes. */
typedef struct plan {
    const picture_settings *s;
    uint32_t height, width;    /* after resizing */
    int64_t top, left;         /* target row y is resized row y + top; outside of it: zeros */
    uint32_t first_row, end_row, first_column, end_column; /* of the target that show the picture */
    size_t most_across, most_down; /* weights of a pixel */
    float (*values)[256];      /* of an 8 bit value, by channel */
    double *work;
    stretch *columns;          /* by target column, from first_column on */
    int32_t *across, *down;    /* weights: most_across a column; of the row at hand */
    int down_first;
    uint32_t from, to;         /* source columns that the target's show */
    int32_t *sums;             /* of the row at hand */
    uint8_t *rows;             /* across first: source row y, resized, at slot y % most_down; down first: one row as wide as the source */
    uint8_t *line;             /* a finished target row */
} plan;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int32_t edge(const char *name, uint32_t value, ecrec_error *err)
{
    if (value >= 1 && value <= PICTURE_MOST_TARGET)
        return ECREC_OK;
    return error_set(err, ECREC_ERR_INVALID, "image setting \"%s\" is %u; it must be 1..%d", name, value, PICTURE_MOST_TARGET);
}

int32_t picture_check(const picture_settings *s, ecrec_error *err)
{
    int32_t status;
    if (s->resize > PICTURE_RESIZE_SHORTEST || s->filter >= PICTURE_FILTERS)
        return error_set(err, ECREC_ERR_INVALID, "image setting \"resize\" or \"filter\" is unknown");
    if ((status = edge("out_height", s->out_height, err)) != ECREC_OK || (status = edge("out_width", s->out_width, err)) != ECREC_OK)
        return status;
    if (s->resize != PICTURE_RESIZE_NONE && ((status = edge("height", s->height, err)) != ECREC_OK || (status = edge("width", s->width, err)) != ECREC_OK))
        return status;
    if (s->crop && ((status = edge("crop_height", s->crop_height, err)) != ECREC_OK || (status = edge("crop_width", s->crop_width, err)) != ECREC_OK))
        return status;
    if (s->crop ? s->crop_height != s->out_height || s->crop_width != s->out_width
                : s->resize == PICTURE_RESIZE_EXACT && (s->height != s->out_height || s->width != s->out_width))
        return error_set(err, ECREC_ERR_INVALID, "pictures become %u x %u, but the encoder takes %u x %u", s->crop ? s->crop_height : s->height,
                         s->crop ? s->crop_width : s->width, s->out_height, s->out_width);
    for (int c = 0; c < PICTURE_CHANNELS; c++)
        if (!isfinite(s->mean[c]) || !isfinite(s->std[c]) || !(s->std[c] > 0) || !isfinite(s->rescale))
            return error_set(err, ECREC_ERR_INVALID, "image settings: rescale %g, mean %g, std %g of channel %d; they must be finite, std above 0",
                             s->rescale, (double)s->mean[c], (double)s->std[c], c);
    return ECREC_OK;
}

/* Carve the scratch of a plan whose most_across, most_down and number of columns are set; `wide` is of the source. */
static size_t plan_take(plan *p, void *base, size_t columns, size_t wide)
{
    scratch s = { base, 0, SIZE_MAX };
    p->values = scratch_take(&s, PICTURE_CHANNELS * sizeof *p->values);
    p->work = scratch_take(&s, larger(p->most_across, p->most_down) * sizeof *p->work);
    p->columns = scratch_take(&s, columns * sizeof *p->columns);
    p->across = scratch_take(&s, columns * p->most_across * sizeof *p->across);
    p->down = scratch_take(&s, p->most_down * sizeof *p->down);
    p->sums = scratch_take(&s, larger(columns, wide) * PICTURE_CHANNELS * sizeof *p->sums);
    p->rows = scratch_take(&s, larger(p->most_down * columns, wide) * PICTURE_CHANNELS);
    p->line = scratch_take(&s, columns * PICTURE_CHANNELS);
    return s.used;
}

size_t picture_scratch(const picture_settings *s)
{
    plan p = { .s = s, .most_across = 1, .most_down = 1 };
    if (s->resize != PICTURE_RESIZE_NONE) { /* a longer edge is reduced no more than the shorter one's target says */
        p.most_across = filter_most(s->filter, PICTURE_MOST_EDGE, s->resize == PICTURE_RESIZE_EXACT ? s->width : s->height);
        p.most_down = filter_most(s->filter, PICTURE_MOST_EDGE, s->height);
    }
    return plan_take(&p, NULL, s->out_width, s->resize != PICTURE_RESIZE_NONE ? PICTURE_MOST_EDGE : 0);
}

/* Largest integer <= a / 2, also below 0. */
static int64_t half(int64_t a)
{
    return (a - (a < 0)) / 2;
}

static int32_t plan_size(plan *p, const picture *image, ecrec_error *err)
{
    const picture_settings *s = p->s;
    p->height = image->height;
    p->width = image->width;
    if (s->resize == PICTURE_RESIZE_EXACT) {
        p->height = s->height;
        p->width = s->width;
    } else if (s->resize == PICTURE_RESIZE_SHORTEST) {
        const uint64_t shorter = image->width <= image->height ? image->width : image->height, longer = image->width <= image->height ? image->height : image->width;
        const uint32_t other = (uint32_t)(s->height * longer / shorter); /* at most 4096 * 16384 */
        p->width = image->width <= image->height ? s->height : other;
        p->height = image->width <= image->height ? other : s->height;
    }
    if (!s->crop && (p->height != s->out_height || p->width != s->out_width))
        return error_set(err, ECREC_ERR_MISMATCH, "a picture of %u x %u pixels (height x width) becomes one of %u x %u, but the encoder takes %u x %u",
                         image->height, image->width, p->height, p->width, s->out_height, s->out_width);
    p->top = half((int64_t)p->height - s->out_height);
    p->left = half((int64_t)p->width - s->out_width);
    p->first_row = p->top < 0 ? (uint32_t)-p->top : 0;
    p->first_column = p->left < 0 ? (uint32_t)-p->left : 0;
    p->end_row = p->height - p->top < s->out_height ? (uint32_t)(p->height - p->top) : s->out_height;
    p->end_column = p->width - p->left < s->out_width ? (uint32_t)(p->width - p->left) : s->out_width;
    return ECREC_OK;
}

static int32_t check_picture(const picture *p, ecrec_error *err)
{
    if (p->pixels == NULL || p->height == 0 || p->width == 0)
        return error_set(err, ECREC_ERR_INVALID, "the picture has no pixels (%u x %u)", p->height, p->width);
    if (p->height > PICTURE_MOST_EDGE || p->width > PICTURE_MOST_EDGE)
        return error_set(err, ECREC_ERR_LIMIT, "the picture has %u x %u pixels (height x width), an edge may have %d: make it smaller first", p->height,
                         p->width, PICTURE_MOST_EDGE);
    if (p->stride < (size_t)p->width * PICTURE_CHANNELS)
        return error_set(err, ECREC_ERR_INVALID, "the picture's stride is %zu bytes, a row of %u RGB pixels has %zu", p->stride, p->width,
                         (size_t)p->width * PICTURE_CHANNELS);
    if (p->stride > (SIZE_MAX / 2 - (uintptr_t)p->width * PICTURE_CHANNELS) / p->height)
        return error_set(err, ECREC_ERR_INVALID, "the picture's stride is %zu bytes; %u such rows are more than memory can be", p->stride, p->height);
    return ECREC_OK;
}

/* The same arithmetic as the reference: products in double, the rest in float. */
static void take_values(const plan *p)
{
    for (int c = 0; c < PICTURE_CHANNELS; c++)
        for (int v = 0; v < 256; v++)
            p->values[c][v] = ((float)(v * p->s->rescale) - p->s->mean[c]) / p->s->std[c];
}

static uint8_t clip(int32_t sum)
{
    return sum < 0 ? 0 : sum >> WEIGHT_BITS > 255 ? 255 : (uint8_t)(sum >> WEIGHT_BITS);
}

/* A source row (from its column `from` on), resized across, for the columns that show. */
static void resize_across(const plan *p, const uint8_t *source, uint32_t from, uint8_t *out)
{
    for (uint32_t x = 0; x < p->end_column - p->first_column; x++, out += PICTURE_CHANNELS) {
        const uint8_t *in = source + (size_t)(p->columns[x].first - from) * PICTURE_CHANNELS;
        const int32_t *w = p->across + x * p->most_across;
        int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r;
        for (uint32_t i = 0; i < p->columns[x].count; i++, in += PICTURE_CHANNELS) {
            r += in[0] * w[i];
            g += in[1] * w[i];
            b += in[2] * w[i];
        }
        out[0] = clip(r);
        out[1] = clip(g);
        out[2] = clip(b);
    }
}

/* One of the rows that a target row is made of, times its weight, on the sums. */
static void add_row(int32_t *sums, const uint8_t *row, int32_t weight, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        sums[i] += row[i] * weight;
}

/* The target row that these source rows make, into p->line. `ready`: source rows below are resized, or were not needed. */
static void resize_row(const plan *p, const picture *image, stretch from, uint32_t *ready)
{
    const size_t columns = p->end_column - p->first_column, bytes = (p->down_first ? p->to - p->from : columns) * PICTURE_CHANNELS;
    for (size_t i = 0; i < bytes; i++)
        p->sums[i] = 1 << (WEIGHT_BITS - 1);
    if (p->down_first) {
        for (uint32_t k = 0; k < from.count; k++)
            add_row(p->sums, image->pixels + (from.first + k) * image->stride + (size_t)p->from * PICTURE_CHANNELS, p->down[k], bytes);
        for (size_t i = 0; i < bytes; i++)
            p->rows[i] = clip(p->sums[i]);
        resize_across(p, p->rows, p->from, p->line);
        return;
    }
    for (*ready = *ready > from.first ? *ready : from.first; *ready < from.first + from.count; ++*ready)
        resize_across(p, image->pixels + *ready * image->stride, 0, p->rows + *ready % p->most_down * bytes);
    for (uint32_t k = 0; k < from.count; k++)
        add_row(p->sums, p->rows + (from.first + k) % p->most_down * bytes, p->down[k], bytes);
    for (size_t i = 0; i < bytes; i++)
        p->line[i] = clip(p->sums[i]);
}

static void put_row(const plan *p, uint32_t y, const uint8_t *line, float *out)
{
    const size_t width = p->s->out_width, plane = width * p->s->out_height;
    for (size_t c = 0; c < PICTURE_CHANNELS; c++) {
        float *row = out + c * plane + y * width;
        for (size_t x = 0; x < width; x++)
            row[x] = p->values[c][line != NULL && x >= p->first_column && x < p->end_column ? line[(x - p->first_column) * PICTURE_CHANNELS + c] : 0];
    }
}

int32_t picture_fits(const picture_settings *s, const picture *image, ecrec_error *err)
{
    plan p = { .s = s };
    const int32_t status = check_picture(image, err);
    return status != ECREC_OK ? status : plan_size(&p, image, err);
}

int32_t picture_prepare(const picture_settings *s, void *scratch, const picture *image, float *out, ecrec_error *err)
{
    plan p = { .s = s, .most_across = 1, .most_down = 1 };
    int32_t status = check_picture(image, err);
    if (status != ECREC_OK || (status = plan_size(&p, image, err)) != ECREC_OK)
        return status;
    const uint32_t columns = p.end_column - p.first_column, left = (uint32_t)(p.first_column + p.left), top = (uint32_t)(p.first_row + p.top);
    const int resized = p.height != image->height || p.width != image->width;
    if (resized) {
        p.most_across = filter_most(s->filter, image->width, p.width);
        p.most_down = filter_most(s->filter, image->height, p.height);
    }
    p.down_first = image->height > p.height && (int64_t)image->height - p.height > 2 * ((int64_t)image->width - p.width);
    (void)plan_take(&p, scratch, columns, p.down_first && resized ? image->width : 0);
    take_values(&p);
    for (uint32_t x = 0; x < columns && resized; x++)
        p.columns[x] = filter_weights(s->filter, image->width, p.width, left + x, p.work, p.across + x * p.most_across);
    p.from = resized ? p.columns[0].first : 0;
    p.to = resized ? p.columns[columns - 1].first + p.columns[columns - 1].count : 0;
    uint32_t ready = 0;
    for (uint32_t y = 0; y < s->out_height; y++) {
        if (y < p.first_row || y >= p.end_row) {
            put_row(&p, y, NULL, out);
            continue;
        }
        const uint32_t row = top + (y - p.first_row);
        if (!resized) {
            put_row(&p, y, image->pixels + row * image->stride + (size_t)left * PICTURE_CHANNELS, out);
            continue;
        }
        resize_row(&p, image, filter_weights(s->filter, image->height, p.height, row, p.work, p.down), &ready);
        put_row(&p, y, p.line, out);
    }
    return ECREC_OK;
}
