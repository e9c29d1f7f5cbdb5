#include "learn/optimiser.h"

#include <math.h>

#define BETA_1 0.9f
#define BETA_2 0.999f
#define EPSILON 1e-8f

void adagrad_step(const kernels *table, size_t n, float *w, float *sum, const float *g, double rate, double decay, float start)
{
    table->step_adagrad(n, w, sum, g, (float)rate, (float)(1 - rate * decay), start);
}

void ftrl_step(size_t n, float *w, float *sum, float *z, const float *g, double rate, double decay, double l1, float start)
{
    for (size_t i = 0; i < n; i++) {
        const double before = sqrt((double)start + sum[i]), after = sqrt((double)start + sum[i] + (double)g[i] * g[i]);
        double zi = z[i];
        if (zi == 0 && w[i] != 0)
            zi = -w[i] * (before / rate + decay) - (w[i] > 0 ? l1 : -l1);
        zi += g[i] - (after - before) / rate * w[i];
        sum[i] += g[i] * g[i];
        z[i] = (float)zi;
        w[i] = fabs(zi) <= l1 ? 0 : (float)(-(zi - (zi > 0 ? l1 : -l1)) / (after / rate + decay));
    }
}

void adam_step(const kernels *table, size_t n, float *w, float *m, float *v, const float *g, double rate, double decay, double step)
{
    const double first = 1 - pow(BETA_1, step), second = 1 - pow(BETA_2, step);
    const adam_factors f = { (float)(rate / first), (float)(1 / sqrt(second)), (float)(1 - rate * decay), 1 - BETA_1, 1 - BETA_2, EPSILON };
    table->step_adam(n, w, m, v, g, &f);
}
