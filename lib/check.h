/* What every public call asks of its arguments. Each macro returns from the function that it stands in, which has `err`. */
#ifndef ECREC_LIB_CHECK_H
#define ECREC_LIB_CHECK_H

#include "base/error.h"
#include "session.h"

/* Every struct of options starts with its size; one that is smaller than the first version is a mistake. */
#define CHECK_OPTIONS(type, options) CHECK_OPTIONS_SINCE(type, options, sizeof(type))
/* The same where fields were appended since: `first` is the size that the first version had. */
#define CHECK_OPTIONS_SINCE(type, options, first)                                                                      \
    do {                                                                                                               \
        if ((options) != NULL && (options)->size < (first))                                                            \
            return error_set(err, ECREC_ERR_INVALID, #type ": size is %u, expected %zu or more", (options)->size,      \
                             (size_t)(first));                                                                         \
    } while (0)
#define CHECK_POINTER(pointer)                                                                        \
    do {                                                                                              \
        if ((pointer) == NULL)                                                                        \
            return error_set(err, ECREC_ERR_INVALID, "%s: " #pointer " is NULL", __func__);          \
    } while (0)

/* Snapshots that a model keeps when the caller does not say how many. */
#define DEFAULT_SNAPSHOTS 8

int32_t check_session(const ecrec_model *model, const ecrec_session *session, ecrec_error *err);

#endif
