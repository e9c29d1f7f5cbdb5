#include "base/format.h"

#include <math.h>
#include <string.h>

#include "base/decimal.h"

typedef struct output {
    char *data;
    size_t capacity, length; /* length never passes capacity - 1 */
    int full;                /* something did not fit: nothing after it is written either */
} output;

static void put(output *o, const char *bytes, size_t n)
{
    size_t room = o->capacity > 0 ? o->capacity - 1 - o->length : 0;
    if (o->full || n > room) {
        o->full = 1;
        return;
    }
    memcpy(o->data + o->length, bytes, n);
    o->length += n;
}

/* Length of the well-formed UTF-8 character at s (n bytes left), 0 when ill-formed. */
static size_t character(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t length = s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : s[0] >= 0xE0 && s[0] <= 0xEF ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

static void put_text(output *o, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n && !o->full;) {
        size_t length = character(s + i, n - i);
        if (length == 0 || s[i] < 0x20 || s[i] == 0x7F) {
            char escape[4] = { '\\', 'x', hex[s[i] >> 4], hex[s[i] & 15] };
            put(o, escape, 4);
            i++;
        } else {
            put(o, text + i, length);
            i += length;
        }
    }
}

static void put_unsigned(output *o, uint64_t v, unsigned base, size_t width)
{
    char reversed[24], text[24];
    size_t n = 0;
    do {
        reversed[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v > 0);
    while (n < width && n < sizeof reversed)
        reversed[n++] = '0';
    for (size_t i = 0; i < n; i++)
        text[i] = reversed[n - 1 - i];
    put(o, text, n);
}

static void put_signed(output *o, int64_t v)
{
    if (v < 0)
        put(o, "-", 1);
    put_unsigned(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, 0);
}

static int put_special(output *o, double v)
{
    if (isnan(v))
        put(o, "nan", 3);
    else if (isinf(v))
        put(o, v < 0 ? "-inf" : "inf", v < 0 ? 4 : 3);
    else
        return 0;
    return 1;
}

static void put_fixed(output *o, double v, int decimals)
{
    decimal d;
    char text[352];
    size_t n = 0;
    if (put_special(o, v))
        return;
    decimal_from_double(&d, fabs(v));
    decimal_round(&d, d.point + decimals);
    if (signbit(v) && d.count > 0)
        text[n++] = '-';
    if (d.point <= 0)
        text[n++] = '0';
    for (int i = 0; i < d.point; i++)
        text[n++] = (char)('0' + (i < d.count ? d.digit[i] : 0));
    if (decimals > 0)
        text[n++] = '.';
    for (int i = 0; i < decimals; i++) {
        int at = d.point + i;
        text[n++] = (char)('0' + (at >= 0 && at < d.count ? d.digit[at] : 0));
    }
    put(o, text, n);
}

/* The digits of d as people write them: plain for 1e-5 .. 1e16, else with an exponent. */
static size_t spell(char out[32], const decimal *d, int negative)
{
    size_t n = 0;
    if (negative)
        out[n++] = '-';
    if (d->count == 0) {
        out[n++] = '0';
    } else if (d->point > -5 && d->point <= 17) {
        if (d->point <= 0) {
            out[n++] = '0';
            out[n++] = '.';
            for (int i = d->point; i < 0; i++)
                out[n++] = '0';
        }
        for (int i = 0; i < d->count || i < d->point; i++) {
            if (i == d->point && i > 0)
                out[n++] = '.';
            out[n++] = (char)('0' + (i < d->count ? d->digit[i] : 0));
        }
    } else {
        int e = d->point - 1;
        for (int i = 0; i < d->count; i++) {
            if (i == 1)
                out[n++] = '.';
            out[n++] = (char)('0' + d->digit[i]);
        }
        out[n++] = 'e';
        if (e < 0)
            out[n++] = '-';
        e = e < 0 ? -e : e;
        if (e >= 100)
            out[n++] = (char)('0' + e / 100);
        if (e >= 10)
            out[n++] = (char)('0' + e / 10 % 10);
        out[n++] = (char)('0' + e % 10);
    }
    out[n] = 0;
    return n;
}

static size_t shortest(char out[32], double value, int most, int is_float)
{
    output o = { out, 32, 0, 0 };
    decimal exact, d, trial;
    if (put_special(&o, value)) {
        out[o.length] = 0;
        return o.length;
    }
    decimal_from_double(&exact, fabs(value));
    for (int digits = 1; digits <= most; digits++) {
        d = exact;
        decimal_round(&d, digits);
        trial = d;
        double back = decimal_to_double(&trial);
        if (is_float ? (float)back == (float)fabs(value) : back == fabs(value))
            break;
    }
    return spell(out, &d, signbit(value) && d.count > 0);
}

size_t format_double(char out[32], double value)
{
    return shortest(out, value, 17, 0);
}

size_t format_float(char out[32], float value)
{
    return shortest(out, value, 9, 1);
}

static uint64_t next_unsigned(const char *conversion, va_list *a)
{
    if (conversion[0] == 'l' && conversion[1] == 'l')
        return va_arg(*a, unsigned long long);
    if (conversion[0] == 'z')
        return va_arg(*a, size_t);
    return va_arg(*a, unsigned);
}

/* "%.*s" has all bytes that its length says (NUL among them is told), "%.40s" at most so many of a string. */
static size_t text_length(const char *s, int precision, int exact)
{
    if (precision < 0)
        return strlen(s);
    const char *end = exact ? NULL : memchr(s, 0, (size_t)precision);
    return end != NULL ? (size_t)(end - s) : (size_t)precision;
}

/* One conversion, `f` behind the '%'; returns what follows it. */
static const char *convert(output *o, const char *f, va_list *a)
{
    int precision = -1, width = 0, exact = 0;
    if (*f == '0')
        for (f++; *f >= '0' && *f <= '9'; f++)
            width = width * 10 + (*f - '0');
    if (*f == '.') {
        f++;
        if (*f == '*') {
            precision = va_arg(*a, int);
            exact = 1;
            f++;
        } else {
            for (precision = 0; *f >= '0' && *f <= '9'; f++)
                precision = precision * 10 + (*f - '0');
        }
    }
    const char *length = f;
    while (*f == 'l' || *f == 'z')
        f++;
    switch (*f) {
    case 's': {
        const char *s = va_arg(*a, const char *);
        if (s == NULL)
            put(o, "(null)", 6);
        else
            put_text(o, s, text_length(s, precision, exact));
        break;
    }
    case 'c': {
        char c = (char)va_arg(*a, int);
        put_text(o, &c, 1);
        break;
    }
    case 'd':
        put_signed(o, length[0] == 'l' ? va_arg(*a, long long) : va_arg(*a, int));
        break;
    case 'u':
        put_unsigned(o, next_unsigned(length, a), 10, (size_t)width);
        break;
    case 'x':
        put_unsigned(o, next_unsigned(length, a), 16, (size_t)width);
        break;
    case 'g': {
        char text[32];
        size_t n = format_double(text, va_arg(*a, double));
        put(o, text, n);
        break;
    }
    case 'f':
        put_fixed(o, va_arg(*a, double), precision < 0 ? 6 : precision > 9 ? 9 : precision);
        break;
    default:
        put(o, "%", 1);
        return *f == '%' ? f + 1 : f;
    }
    return f + 1;
}

size_t format_text_v(char *out, size_t capacity, const char *format, va_list arguments)
{
    output o = { out, capacity, 0, 0 };
    va_list a;
    va_copy(a, arguments);
    while (*format != 0 && !o.full) {
        const char *percent = strchr(format, '%');
        size_t n = percent != NULL ? (size_t)(percent - format) : strlen(format);
        put(&o, format, n);
        if (o.full && n > 0 && o.capacity > o.length + 1) { /* the part that fits */
            size_t room = o.capacity - 1 - o.length;
            while (room > 0 && ((unsigned char)format[room] & 0xC0) == 0x80)
                room--;
            memcpy(o.data + o.length, format, room);
            o.length += room;
        }
        format += n;
        if (percent != NULL)
            format = convert(&o, format + 1, &a);
    }
    va_end(a);
    if (capacity > 0)
        out[o.length] = 0;
    return o.length;
}

size_t format_text(char *out, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t n = format_text_v(out, capacity, format, arguments);
    va_end(arguments);
    return n;
}

/* ---- parsing ---- */

/* Digits of text[*at ..) into d; `scale` counts how many stand before the point. */
static size_t digits(decimal *d, const char *text, size_t length, size_t *at, int before_point)
{
    size_t seen = 0;
    for (; *at < length && text[*at] >= '0' && text[*at] <= '9'; (*at)++, seen++) {
        unsigned char digit = (unsigned char)(text[*at] - '0');
        if (d->count == 0 && digit == 0) {
            if (!before_point && d->point > -100000)
                d->point--;
            continue;
        }
        if (d->count < DECIMAL_DIGITS)
            d->digit[d->count++] = digit;
        else
            d->truncated |= digit != 0;
        if (before_point && d->point < 100000)
            d->point++;
    }
    return seen;
}

static double small_power(int n) /* 10^n, 0 <= n <= 22: exact */
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    return powers[n];
}

int parse_double(const char *text, size_t length, double *value)
{
    decimal d = { .count = 0 };
    size_t at = 0;
    int negative = length > 0 && text[0] == '-';
    at += (size_t)negative;
    size_t start = at;
    if (digits(&d, text, length, &at, 1) == 0 || (text[start] == '0' && at - start > 1))
        return 0;
    if (at < length && text[at] == '.') {
        at++;
        if (digits(&d, text, length, &at, 0) == 0)
            return 0;
    }
    if (at < length && (text[at] == 'e' || text[at] == 'E')) {
        int exponent = 0, minus = 0;
        at++;
        if (at < length && (text[at] == '+' || text[at] == '-'))
            minus = text[at++] == '-';
        size_t first = at;
        for (; at < length && text[at] >= '0' && text[at] <= '9'; at++)
            exponent = exponent < 100000 ? exponent * 10 + (text[at] - '0') : exponent;
        if (at == first)
            return 0;
        d.point += minus ? -exponent : exponent;
    }
    if (at != length)
        return 0;
    while (d.count > 0 && d.digit[d.count - 1] == 0)
        d.count--;
    double v;
    int scale = d.point - d.count;
    if (d.count == 0) {
        v = 0;
    } else if (d.count <= 15 && scale >= -22 && scale <= 22 && !d.truncated) {
        uint64_t n = 0; /* both factors are exact, so one rounding gives the nearest double (Clinger 1990) */
        for (int i = 0; i < d.count; i++)
            n = n * 10 + d.digit[i];
        v = scale < 0 ? (double)n / small_power(-scale) : (double)n * small_power(scale);
    } else {
        v = decimal_to_double(&d);
    }
    *value = negative ? -v : v;
    return 1;
}

int parse_u64(const char *text, size_t length, uint64_t *value)
{
    uint64_t v = 0;
    if (length == 0 || length > 20)
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return 0;
        v = v * 10 + digit;
    }
    *value = v;
    return 1;
}
