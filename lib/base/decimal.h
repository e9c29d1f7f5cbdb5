/* Exact decimals, for reading and printing doubles without the locale: 0.d1 d2 d3 ... x 10^point. */
#ifndef ECREC_LIB_BASE_DECIMAL_H
#define ECREC_LIB_BASE_DECIMAL_H

#include <stddef.h>

enum { DECIMAL_DIGITS = 800 }; /* a double needs at most 767 */

typedef struct decimal {
    int count, point;
    int truncated; /* non-zero digits were dropped after the last */
    unsigned char digit[DECIMAL_DIGITS];
} decimal;

void decimal_from_double(decimal *d, double value); /* value finite and >= 0; exact */
double decimal_to_double(decimal *d);               /* correctly rounded; changes d */
/* Keep `digits` significant digits (at least 0), rounding half to even. */
void decimal_round(decimal *d, int digits);

#endif
