#include "stream/drift.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { CLOCK = 32, LEAST_SIDE = 5, LEAST_WINDOW = 10 };
#define RECENT 50.0

/* state: values, their sum, variance sum of the window, values ever; then for each level: how many buckets, then (sum, variance sum) of each, oldest
 * first. */
enum { COUNT, SUM, SPREAD, EVER, LEVELS, LEVEL_SIZE = 1 + 2 * (ADWIN_BUCKETS + 1) };

static double *level_of(double *state, size_t level)
{
    return state + LEVELS + level * LEVEL_SIZE;
}

static size_t buckets_of(const double *level)
{
    return (size_t)level[0];
}

static double size_of(size_t level)
{
    return ldexp(1, (int)level);
}

/* Variance sums of two stretches joined. */
static double joined(double n0, double sum0, double spread0, double n1, double sum1, double spread1)
{
    const double d = sum0 / n0 - sum1 / n1;
    return spread0 + spread1 + d * d * n0 * n1 / (n0 + n1);
}

/* 1: the largest buckets are one too many. */
static int insert(double *state, double x)
{
    double *level = level_of(state, 0), *bucket = level + 1 + 2 * buckets_of(level);
    bucket[0] = x;
    bucket[1] = 0;
    level[0] += 1;
    if (state[COUNT] > 0)
        state[SPREAD] = joined(state[COUNT], state[SUM], state[SPREAD], 1, x, 0);
    state[COUNT] += 1;
    state[SUM] += x;
    state[EVER] += 1;
    for (size_t k = 0; k + 1 < ADWIN_LEVELS && buckets_of(level_of(state, k)) > ADWIN_BUCKETS; k++) {
        double *from = level_of(state, k), *to = level_of(state, k + 1), *made = to + 1 + 2 * buckets_of(to);
        made[0] = from[1] + from[3];
        made[1] = joined(size_of(k), from[1], from[2], size_of(k), from[3], from[4]);
        to[0] += 1;
        from[0] -= 2;
        memmove(from + 1, from + 5, 2 * buckets_of(from) * sizeof *from);
    }
    const double *last = level_of(state, ADWIN_LEVELS - 1);
    return buckets_of(last) > ADWIN_BUCKETS;
}

static void drop_oldest(double *state)
{
    for (size_t k = ADWIN_LEVELS; k-- > 0;) {
        double *level = level_of(state, k);
        if (buckets_of(level) == 0)
            continue;
        const double n = size_of(k), left = state[COUNT] - n;
        const double sum = level[1], spread = level[2];
        level[0] -= 1;
        memmove(level + 1, level + 3, 2 * buckets_of(level) * sizeof *level);
        state[COUNT] = fmax(left, 0);
        state[SUM] -= sum;
        if (left > 0) {
            const double d = sum / n - state[SUM] / left;
            state[SPREAD] = fmax(0, state[SPREAD] - spread - d * d * n * left / (n + left));
        } else {
            state[SUM] = state[SPREAD] = 0;
        }
        return;
    }
}

/* Whether some cut of the window parts it into two that differ. *rise: of the newer side's mean. */
static int must_cut(const double *state, double delta, double *rise)
{
    const double n = state[COUNT], variance = state[SPREAD] / n, bound = log(2 * log(n) / delta);
    double n0 = 0, sum0 = 0;
    for (size_t k = ADWIN_LEVELS; k-- > 0;) {
        const double *level = state + LEVELS + k * LEVEL_SIZE;
        for (size_t b = 0; b < buckets_of(level); b++) {
            n0 += size_of(k);
            sum0 += level[1 + 2 * b];
            const double n1 = n - n0;
            if (n1 < LEAST_SIDE)
                return 0;
            if (n0 < LEAST_SIDE)
                continue;
            const double m = 1 / (1 / n0 + 1 / n1), cut = sqrt(2 / m * variance * bound) + 2 / (3 * m) * bound;
            const double difference = (state[SUM] - sum0) / n1 - sum0 / n0;
            if (fabs(difference) > cut) {
                *rise = difference;
                return 1;
            }
        }
    }
    return 0;
}

double adwin_mean(const double state[ADWIN_SIZE])
{
    return state[COUNT] > 0 ? state[SUM] / state[COUNT] : 0;
}

int adwin_add(double state[ADWIN_SIZE], double x, double delta, drift_found *found)
{
    int rose = 0;
    if (insert(state, x))
        drop_oldest(state);
    if ((uint64_t)state[EVER] % CLOCK != 0 || state[COUNT] <= LEAST_WINDOW)
        return 0;
    const double before = adwin_mean(state);
    double rise = 0;
    while (state[COUNT] > LEAST_WINDOW && must_cut(state, delta, &rise)) {
        rose |= rise > 0;
        drop_oldest(state);
    }
    if (rose)
        *found = (drift_found){ before, adwin_mean(state), state[COUNT] };
    return rose;
}

/* state: values, mean, sum, least sum, mean of the last ones. */
int page_hinkley_add(double state[PAGE_HINKLEY_SIZE], double x, double tolerance, double threshold, drift_found *found)
{
    state[0] += 1;
    state[1] += (x - state[1]) / state[0];
    state[4] += (x - state[4]) / (state[0] < RECENT ? state[0] : RECENT);
    state[2] += x - state[1] - tolerance;
    state[3] = state[2] < state[3] ? state[2] : state[3];
    if (state[2] - state[3] <= threshold)
        return 0;
    *found = (drift_found){ state[1], state[4], state[0] };
    memset(state, 0, PAGE_HINKLEY_SIZE * sizeof *state);
    return 1;
}

int adwin_sound(const double state[ADWIN_SIZE])
{
    for (size_t i = 0; i < ADWIN_SIZE; i++)
        if (!isfinite(state[i]))
            return 0;
    double n = 0;
    for (size_t k = 0; k < ADWIN_LEVELS; k++) {
        const double b = state[LEVELS + k * LEVEL_SIZE];
        if (!(b >= 0 && b <= ADWIN_BUCKETS && b == floor(b)))
            return 0;
        n += b * size_of(k);
    }
    return n == state[COUNT] && state[SPREAD] >= 0 && state[EVER] >= state[COUNT] && state[EVER] < 0x1p53;
}

int page_hinkley_sound(const double state[PAGE_HINKLEY_SIZE])
{
    for (size_t i = 0; i < PAGE_HINKLEY_SIZE; i++)
        if (!isfinite(state[i]))
            return 0;
    return state[0] >= 0;
}
