/* Optimisers: one step on n weights of one row of a table or one stretch of a network. Decay is decoupled from the gradient
 * (Loshchilov and Hutter, ICLR 2019): theta <- theta - eta * step - eta * lambda * theta. */
#ifndef ECREC_LIB_LEARN_OPTIMISER_H
#define ECREC_LIB_LEARN_OPTIMISER_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* What the sums of squares begin with: it keeps the first steps of a coordinate from being of full size eta. */
#define SUM_START 0.05f

/* AdaGrad (Duchi, Hazan and Singer, JMLR 12, 2011): step = g / sqrt(start + sum of g^2). */
void adagrad_step(const kernels *table, size_t n, float *w, float *sum, const float *g, double rate, double decay, float start);
/* The same on one weight; keep = 1 - rate * decay. */
static inline void adagrad_one(float *w, float *sum, float g, float rate, float keep, float start)
{
    *sum += g * g;
    *w = *w * keep - rate * g / sqrtf(start + *sum);
}
/* FTRL-Proximal (McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, algorithm 1) with beta = sqrt(start):
 * exact zeros by l1. z is 0 at first for a weight of 0; for one that was learned otherwise it is set so that nothing changes. */
void ftrl_step(size_t n, float *w, float *sum, float *z, const float *g, double rate, double decay, double l1, float start);
/* Adam (Kingma and Ba, ICLR 2015), betas .9 and .999, epsilon 1e-8; `step` counts from 1. On rows of tables it is the lazy form: only
 * rows that the mini-batch has are touched. */
void adam_step(const kernels *table, size_t n, float *w, float *m, float *v, const float *g, double rate, double decay, double step);

#endif
