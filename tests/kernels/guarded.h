/* Memory that ends at a page nobody may touch: reading or writing one byte past it is a fault. */
#ifndef ECREC_TESTS_KERNELS_GUARDED_H
#define ECREC_TESTS_KERNELS_GUARDED_H

#include <stddef.h>
#include <stdint.h>

/* `bytes` bytes filled with 0xFF (NaN as floats); aligned as their number allows. */
void *guarded(size_t bytes);
/* Gives back everything that guarded() has given out. */
void guarded_release(void);

/* A stream of numbers from a seed. */
uint32_t draw(void);
void draw_seed(uint32_t seed);
size_t draw_size(size_t least, size_t most);
float draw_float(void); /* -2 .. 2 */
float *draw_floats(size_t n);
int same_bits(const void *a, const void *b, size_t bytes);

#endif
