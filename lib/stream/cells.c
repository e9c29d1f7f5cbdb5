#include "stream/cells.h"

#include <string.h>

static uint64_t count_of(const cells *c)
{
    return c->t->shape[0];
}

static uint64_t next_of(uint64_t head)
{
    return head & UINT32_MAX;
}

int32_t cells_put(cells *c, const unsigned char *bytes, size_t n, uint64_t *first)
{
    const uint64_t needed = n / CELL_PAYLOAD + (n % CELL_PAYLOAD != 0 || n == 0);
    if (needed > count_of(c) - *c->live)
        return ECREC_ERR_LIMIT;
    /* from the last cell to the first, so that each knows the next */
    for (uint64_t i = needed, next = 0; i-- > 0;) {
        const size_t at = (size_t)i * CELL_PAYLOAD, part = n - at < CELL_PAYLOAD ? n - at : CELL_PAYLOAD;
        const uint64_t cell = *c->free != 0 ? *c->free : *c->fresh + 1;
        if (cell > count_of(c))
            return ECREC_ERR_FORMAT;
        uint64_t *row = tensor_row_edit(c->t, cell - 1);
        if (row == NULL)
            return ECREC_ERR_NOMEM;
        if (*c->free != 0)
            *c->free = next_of(row[0]);
        else
            *c->fresh += 1;
        memset(row, 0, CELL_BYTES);
        row[0] = next | (uint64_t)part << 32;
        memcpy(row + 1, bytes + at, part);
        *c->live += 1;
        *first = next = cell;
    }
    return ECREC_OK;
}

int32_t cells_get(const cells *c, uint64_t first, buffer *out)
{
    uint64_t left = count_of(c);
    while (first != 0) {
        const uint64_t *row = first <= count_of(c) ? tensor_row(c->t, first - 1) : NULL;
        if (row == NULL || row[0] >> 32 > CELL_PAYLOAD || left-- == 0)
            return ECREC_ERR_FORMAT;
        const int32_t status = buffer_append(out, row + 1, (size_t)(row[0] >> 32));
        if (status != ECREC_OK)
            return status;
        first = next_of(row[0]);
    }
    return ECREC_OK;
}

int32_t cells_drop(cells *c, uint64_t first)
{
    while (first != 0) {
        uint64_t *row = first <= count_of(c) ? tensor_row_edit(c->t, first - 1) : NULL;
        if (first > count_of(c) || *c->live == 0)
            return ECREC_ERR_FORMAT;
        if (row == NULL)
            return ECREC_ERR_NOMEM;
        const uint64_t next = next_of(row[0]);
        memset(row, 0, CELL_BYTES);
        row[0] = *c->free;
        *c->free = first;
        *c->live -= 1;
        first = next;
    }
    return ECREC_OK;
}
