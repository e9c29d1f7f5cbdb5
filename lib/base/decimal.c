#include "base/decimal.h"

#include <math.h>
#include <stdint.h>

#define MOST_SHIFT 28 /* bits at a time: 10 * 2^28 fits 32 bits many times over in the 64-bit carry */

static void trim(decimal *d)
{
    while (d->count > 0 && d->digit[d->count - 1] == 0)
        d->count--;
    if (d->count == 0)
        d->point = 0;
}

/* d = d * 2^bits, bits in 1 .. MOST_SHIFT */
static void shift_left(decimal *d, int bits)
{
    unsigned char out[DECIMAL_DIGITS + 16];
    uint64_t carry = 0;
    int n = 0;
    for (int i = d->count - 1; i >= 0; i--) {
        carry += (uint64_t)d->digit[i] << bits;
        out[n++] = (unsigned char)(carry % 10);
        carry /= 10;
    }
    while (carry > 0) {
        out[n++] = (unsigned char)(carry % 10);
        carry /= 10;
        d->point++;
    }
    int keep = n < DECIMAL_DIGITS ? n : DECIMAL_DIGITS;
    for (int i = 0; i < keep; i++)
        d->digit[i] = out[n - 1 - i];
    for (int i = keep; i < n; i++)
        d->truncated |= out[n - 1 - i] != 0;
    d->count = keep;
    trim(d);
}

/* d = d / 2^bits */
static void shift_right(decimal *d, int bits)
{
    uint64_t n = 0, mask = ((uint64_t)1 << bits) - 1;
    int read = 0, written = 0;
    while (read < d->count && (n >> bits) == 0)
        n = n * 10 + d->digit[read++];
    if (n == 0) {
        d->count = 0;
        d->point = 0;
        return;
    }
    while ((n >> bits) == 0) {
        n *= 10;
        read++;
    }
    d->point -= read - 1;
    for (; read < d->count; read++) {
        d->digit[written++] = (unsigned char)(n >> bits);
        n = (n & mask) * 10 + d->digit[read];
    }
    while (n > 0) {
        unsigned char digit = (unsigned char)(n >> bits);
        if (written < DECIMAL_DIGITS)
            d->digit[written++] = digit;
        else
            d->truncated |= digit != 0;
        n = (n & mask) * 10;
    }
    d->count = written;
    trim(d);
}

static void shift(decimal *d, int bits)
{
    while (bits > 0 && d->count > 0) {
        int step = bits < MOST_SHIFT ? bits : MOST_SHIFT;
        shift_left(d, step);
        bits -= step;
    }
    while (bits < 0 && d->count > 0) {
        int step = -bits < MOST_SHIFT ? -bits : MOST_SHIFT;
        shift_right(d, step);
        bits += step;
    }
}

/* Whether cutting at `digits` rounds up: half to even on the exact value. */
static int rounds_up(const decimal *d, int digits)
{
    if (digits < 0 || digits >= d->count)
        return 0;
    if (d->digit[digits] == 5 && digits + 1 == d->count && !d->truncated)
        return digits > 0 && (d->digit[digits - 1] & 1);
    return d->digit[digits] >= 5;
}

void decimal_round(decimal *d, int digits)
{
    if (digits >= d->count)
        return;
    if (!rounds_up(d, digits)) {
        d->count = digits > 0 ? digits : 0;
        trim(d);
        return;
    }
    for (int i = digits - 1; i >= 0; i--) {
        if (d->digit[i] < 9) {
            d->digit[i]++;
            d->count = i + 1;
            return;
        }
    }
    d->digit[0] = 1;
    d->count = 1;
    d->point++;
}

static uint64_t rounded_integer(const decimal *d)
{
    uint64_t n = 0;
    if (d->point > 20)
        return UINT64_MAX;
    for (int i = 0; i < d->point; i++)
        n = n * 10 + (i < d->count ? d->digit[i] : 0);
    return n + (uint64_t)rounds_up(d, d->point);
}

void decimal_from_double(decimal *d, double value)
{
    int exponent = 0;
    d->count = 0;
    d->point = 0;
    d->truncated = 0;
    if (!(value > 0))
        return;
    uint64_t mantissa = (uint64_t)ldexp(frexp(value, &exponent), 53);
    unsigned char reversed[20];
    int n = 0;
    for (; mantissa > 0; mantissa /= 10)
        reversed[n++] = (unsigned char)(mantissa % 10);
    for (int i = 0; i < n; i++)
        d->digit[i] = reversed[n - 1 - i];
    d->count = n;
    d->point = n;
    trim(d);
    shift(d, exponent - 53);
}

double decimal_to_double(decimal *d)
{
    /* bits that move the point by at most that many decimal places */
    static const unsigned char bits_of[] = { 0, 3, 6, 9, 13, 16, 19, 23, 26 };
    int exponent = 0;
    if (d->count == 0 || d->point < -330)
        return 0;
    if (d->point > 310)
        return INFINITY;
    /* into [0.5, 1) */
    while (d->point > 0) {
        int bits = d->point < 9 ? bits_of[d->point] : 27;
        shift(d, -bits);
        exponent += bits;
    }
    while (d->point < 0 || (d->point == 0 && d->digit[0] < 5)) {
        int bits = d->point == 0 ? 1 : -d->point < 9 ? bits_of[-d->point] : 27;
        shift(d, bits);
        exponent -= bits;
    }
    /* now in [1/2, 1): value = d * 2^exponent; subnormals keep fewer bits */
    int precision = 53;
    if (exponent < -1021)
        precision = 53 - (-1021 - exponent);
    if (precision < 0)
        return 0;
    shift(d, precision);
    uint64_t mantissa = rounded_integer(d);
    return ldexp((double)mantissa, exponent - precision);
}
