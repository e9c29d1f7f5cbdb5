/* Operations on records: batches and what they hold. */
#include <string.h>

#include "operations.h"

int32_t batch_of_kinds(world *w)
{
    static const char text[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"time\"},{\"name\":\"u\",\"kind\":\"user\"},{\"name\":\"i\",\"kind\":\"image\",\"dimension\":2}],"
                               "\"labels\":[\"y\"],\"hash_bits\":10}";
    static const int64_t times[ROWS] = { 0, 1, 2, 3, 4, 5 };
    static const uint64_t ids[ROWS] = { 1, 2, 3, 4, 5, 6 };
    static const uint32_t positions[ROWS] = { 1, 2, 3, 1, 2, 3 };
    static const float halves[2 * ROWS] = { .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f };
    static const char *const names[ROWS] = { "a", "b", NULL, "c", "d", "e" };
    static const size_t lengths[ROWS] = { 1, 1, 0, 1, 1, 1 };
    ecrec_schema *schema = NULL;
    ecrec_batch *b = NULL;
    int32_t s = ecrec_schema_parse(w->context, text, strlen(text), &schema, &w->err);
    s = s ? s : ecrec_batch_create(schema, &b, &w->err);
    s = s ? s : ecrec_batch_reset(b, ROWS, &w->err);
    s = s ? s : ecrec_batch_set_time(b, 0, times, NULL, &w->err);
    s = s ? s : ecrec_batch_set_category(b, 1, names, lengths, &w->err);
    s = s ? s : ecrec_batch_set_vector(b, 2, halves, 0, NULL, &w->err);
    s = s ? s : ecrec_batch_set_position(b, positions, NULL, &w->err);
    s = s ? s : ecrec_batch_set_propensity(b, halves, NULL, &w->err);
    s = s ? s : ecrec_batch_set_event(b, ids, NULL, &w->err);
    s = s ? s : ecrec_batch_set_event_bytes(b, names, lengths, &w->err);
    s = s ? s : ecrec_batch_set_group(b, ids, NULL, &w->err);
    s = s ? s : ecrec_batch_set_group_bytes(b, names, lengths, &w->err);
    ecrec_batch_release(b);
    ecrec_schema_release(schema);
    return s;
}
