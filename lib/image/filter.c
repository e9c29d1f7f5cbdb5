#include "image/filter.h"

#include <math.h>

#include "image/image.h"

static double sinc(double x)
{
    const double pi = 3.14159265358979323846;
    return x == 0 ? 1 : sin(x * pi) / (x * pi);
}

/* Half the width of each, in source pixels where nothing is reduced. */
static const double supports[PICTURE_FILTERS] = {
    [PICTURE_BOX] = 0.5, [PICTURE_BILINEAR] = 1, [PICTURE_HAMMING] = 1, [PICTURE_BICUBIC] = 2, [PICTURE_LANCZOS] = 3
};

static double filter_at(uint32_t filter, double x)
{
    const double a = -0.5; /* cubic convolution, Keys 1981 */
    if (filter == PICTURE_BOX)
        return x > -0.5 && x <= 0.5 ? 1 : 0;
    x = fabs(x);
    if (x >= supports[filter])
        return 0;
    switch (filter) {
    case PICTURE_BILINEAR: return 1 - x;
    case PICTURE_HAMMING: return sinc(x) * (0.54 + 0.46 * cos(3.14159265358979323846 * x));
    case PICTURE_BICUBIC: return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * a;
    default: return sinc(x) * sinc(x / 3);
    }
}

size_t filter_most(uint32_t filter, uint32_t source, uint32_t target)
{
    const double scale = (double)source / target;
    return 2 * (size_t)ceil(supports[filter] * (scale > 1 ? scale : 1)) + 1;
}

stretch filter_weights(uint32_t filter, uint32_t source, uint32_t target, uint32_t index, double *work, int32_t *weights)
{
    const double step = (double)source / target, scale = step > 1 ? step : 1;
    const double reach = supports[filter] * scale, center = (index + 0.5) * step;
    const double from = center - reach + 0.5, to = center + reach + 0.5;
    const uint32_t first = from > 0 ? (uint32_t)from : 0, end = to < source ? (uint32_t)to : source;
    double sum = 0;
    for (uint32_t i = first; i < end; i++) {
        work[i - first] = filter_at(filter, (i - center + 0.5) * (1 / scale));
        sum += work[i - first];
    }
    for (uint32_t i = first; i < end; i++) {
        const double w = (sum != 0 ? work[i - first] / sum : work[i - first]) * (1 << WEIGHT_BITS);
        weights[i - first] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    return (stretch){ first, end - first };
}
