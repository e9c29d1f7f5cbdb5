/* Errors: one way to fail, with a sentence for people. */
#ifndef ECREC_LIB_BASE_ERROR_H
#define ECREC_LIB_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "ecrec/base.h"

#define NO_POSITION UINT64_MAX

/* Fill `err` (may be NULL) and return `code`. Formats: see format.h. */
int32_t error_set(ecrec_error *err, int32_t code, const char *format, ...);
int32_t error_at(ecrec_error *err, int32_t code, uint64_t position, const char *format, ...);
int32_t error_row(ecrec_error *err, int32_t code, uint64_t row, const char *format, ...);
/* "no memory for WHAT (N bytes)" */
int32_t error_nomem(ecrec_error *err, const char *what, size_t bytes);

#endif
