#include "learn/progress.h"

#include <string.h>

#include "base/error.h"

int32_t progress_add(memory *m, tensor_set *next, double rows, ecrec_error *err)
{
    static const uint64_t shape[2] = { 1, PROGRESS_COLUMNS };
    const tensor *old = tensor_set_get(next, "learn.progress");
    tensor *t = NULL;
    int32_t status = tensor_create(m, TYPE_F64, LAYOUT_ROWS, 2, shape, &t);
    if (status == ECREC_OK) {
        double *v = tensor_edit(t);
        memset(v, 0, PROGRESS_COLUMNS * sizeof *v);
        if (old != NULL && old->type == TYPE_F64 && old->layout == LAYOUT_ROWS && old->bytes == PROGRESS_COLUMNS * sizeof *v)
            memcpy(v, old->data, old->bytes);
        v[PROGRESS_ROWS_SEEN] += rows;
        v[PROGRESS_UPDATES] += 1;
        status = tensor_set_put(next, "learn.progress", t);
    }
    tensor_release(t);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "learn.progress", PROGRESS_COLUMNS * sizeof(double));
}
