/* Numbers and text without the C library's locale. */
#ifndef ECREC_LIB_BASE_FORMAT_H
#define ECREC_LIB_BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* A small snprintf: %s (NULL prints "(null)"), %.*s (int length, all of it), %.Ns (at most N bytes), %c, %d (int), %u (unsigned), %lld, %llu, %zu,
 * %x (unsigned), %llx, %016llx, %g (shortest double that reads back, at most 17 digits), %.Nf (N 0..9), %%.
 * Control characters and invalid UTF-8 in %s and %.*s arguments are written as \xNN, so that a hostile name
 * cannot break a terminal. Always NUL-terminates when capacity > 0; returns the length written (truncated at a
 * character boundary). */
size_t format_text(char *out, size_t capacity, const char *format, ...);
size_t format_text_v(char *out, size_t capacity, const char *format, va_list arguments);

/* The shortest decimal that reads back as the same double ("0.1", "1e-12", "nan", "inf"); needs 32 bytes. */
size_t format_double(char out[32], double value);
size_t format_float(char out[32], float value); /* the same for float32 */

/* Parse a whole JSON-style decimal ([-]digits[.digits][e[+-]digits]), correctly rounded, locale-free.
 * Returns 1 and *value, or 0 when text[0..length) is not exactly one number. Overflow gives +-infinity. */
int parse_double(const char *text, size_t length, double *value);
int parse_u64(const char *text, size_t length, uint64_t *value);

#endif
