#include "base/error.h"

#include "base/format.h"

void ecrec_error_init(ecrec_error *err)
{
    static const ecrec_error none = ECREC_ERROR_INIT;
    if (err != NULL)
        *err = none;
}

const char *ecrec_status_name(int32_t status)
{
    static const char *const names[] = {
        "ECREC_OK", "ECREC_ERR_INVALID", "ECREC_ERR_NOMEM", "ECREC_ERR_IO", "ECREC_ERR_FORMAT", "ECREC_ERR_UNSUPPORTED",
        "ECREC_ERR_NOT_FOUND", "ECREC_ERR_MISMATCH", "ECREC_ERR_TOO_SMALL", "ECREC_ERR_LIMIT", "ECREC_ERR_CANCELLED",
        "ECREC_ERR_REJECTED", "ECREC_ERR_BUSY", "ECREC_ERR_INTERNAL",
    };
    return status >= 0 && status < (int32_t)(sizeof names / sizeof *names) ? names[status] : "ECREC_ERR_UNKNOWN";
}

static int32_t fill(ecrec_error *err, int32_t code, uint64_t position, uint64_t row, const char *format, va_list arguments)
{
    if (err != NULL && err->size >= sizeof *err) {
        err->code = code;
        err->position = position;
        err->row = row;
        format_text_v(err->message, sizeof err->message, format, arguments);
    }
    return code;
}

int32_t error_set(ecrec_error *err, int32_t code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, UINT64_MAX, UINT64_MAX, format, arguments);
    va_end(arguments);
    return code;
}

int32_t error_at(ecrec_error *err, int32_t code, uint64_t position, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, position, UINT64_MAX, format, arguments);
    va_end(arguments);
    return code;
}

int32_t error_row(ecrec_error *err, int32_t code, uint64_t row, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(err, code, UINT64_MAX, row, format, arguments);
    va_end(arguments);
    return code;
}

int32_t error_nomem(ecrec_error *err, const char *what, size_t bytes)
{
    return bytes > 0 ? error_set(err, ECREC_ERR_NOMEM, "no memory for %s (%zu bytes)", what, bytes)
                     : error_set(err, ECREC_ERR_NOMEM, "no memory for %s", what);
}
