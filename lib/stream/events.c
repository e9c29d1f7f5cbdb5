#include "stream/events.h"

uint64_t events_table_size(uint64_t window)
{
    uint64_t size = 64;
    while (size < 2 * window)
        size *= 2;
    return size;
}

static uint64_t mix(uint64_t id)
{
    id ^= id >> 32;
    id *= 0xD6E8FEB86659FD93u;
    id ^= id >> 32;
    id *= 0xD6E8FEB86659FD93u;
    return id ^ id >> 32;
}

static uint64_t word(const tensor *t, uint64_t row)
{
    const uint64_t *at = tensor_row(t, row);
    return at != NULL ? *at : 0;
}

static uint64_t id_at(const events *e, uint64_t place /* + 1 */)
{
    return word(e->ring, (place - 1) % e->ring->shape[0]);
}

/* The slot that holds the id, or the free one where it would stand; UINT64_MAX: there is none (damaged). */
static uint64_t find(const events *e, uint64_t id, int *found)
{
    const uint64_t mask = e->table->shape[0] - 1;
    *found = 0;
    for (uint64_t i = 0, at = mix(id) & mask; i <= mask; i++, at = (at + 1) & mask) {
        const uint64_t place = word(e->table, at);
        if (place == 0)
            return at;
        if (id_at(e, place) == id) {
            *found = 1;
            return at;
        }
    }
    return UINT64_MAX;
}

int events_known(const events *e, uint64_t id)
{
    int found = 0;
    (void)find(e, id, &found);
    return found;
}

static int32_t put(tensor *t, uint64_t row, uint64_t value)
{
    uint64_t *at = tensor_row_edit(t, row);
    if (at == NULL)
        return ECREC_ERR_NOMEM;
    *at = value;
    return ECREC_OK;
}

/* Linear probing without tombstones: what follows moves up (Knuth, TAOCP 3, 6.4, algorithm R). */
static int32_t remove_id(events *e, uint64_t id)
{
    const uint64_t mask = e->table->shape[0] - 1;
    int found = 0;
    uint64_t hole = find(e, id, &found);
    if (!found)
        return ECREC_ERR_FORMAT;
    for (uint64_t at = (hole + 1) & mask, i = 0; i < mask; at = (at + 1) & mask, i++) {
        const uint64_t place = word(e->table, at);
        if (place == 0)
            break;
        const uint64_t home = mix(id_at(e, place)) & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* it would stand before its home */
        if (put(e->table, hole, place) != ECREC_OK)
            return ECREC_ERR_NOMEM;
        hole = at;
    }
    return put(e->table, hole, 0);
}

int32_t events_see(events *e, uint64_t id, int *known)
{
    const uint64_t window = e->ring->shape[0], place = *e->count % window;
    if ((*known = events_known(e, id)) != 0)
        return ECREC_OK;
    if (*e->count >= window) {
        const int32_t status = remove_id(e, word(e->ring, place));
        if (status != ECREC_OK)
            return status;
    }
    int found = 0;
    const uint64_t slot = find(e, id, &found);
    if (slot == UINT64_MAX)
        return ECREC_ERR_FORMAT;
    if (put(e->ring, place, id) != ECREC_OK || put(e->table, slot, place + 1) != ECREC_OK)
        return ECREC_ERR_NOMEM;
    *e->count += 1;
    return ECREC_OK;
}
