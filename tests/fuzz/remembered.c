/* Bytes are changes to what a ranker remembers: each of 13 bytes says which tensor, which word of it, and the word. Whatever it then holds is refused
 * with a sentence or can be used: rows kept, taken out, replayed and forgotten, events seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "stream/online.h"
#include "model/model.h"
#include "support.h"

enum { ROWS = 8, CHANGE = 13 };
static const char *const names[8] = { "learn.online", "learn.events", "learn.seen", "learn.cells", "learn.reserve", "learn.reservoir", "learn.drift", "learn.window" };

static ecrec_batch *rows(const ecrec_schema *s, uint64_t first)
{
    uint64_t users[ROWS], events[ROWS];
    double numbers[ROWS];
    float labels[ROWS];
    ecrec_batch *b = NULL;
    for (uint64_t i = 0; i < ROWS; i++) {
        users[i] = i % 3;
        events[i] = first + i;
        numbers[i] = (double)i;
        labels[i] = (float)(i & 1);
    }
    PROMISE(ecrec_batch_create(s, &b, NULL) == ECREC_OK && ecrec_batch_reset(b, ROWS, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_category_u64(b, 0, users, NULL, NULL) == ECREC_OK && ecrec_batch_set_number(b, 1, numbers, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_label(b, 0, labels, NULL, NULL) == ECREC_OK && ecrec_batch_set_event(b, events, NULL, NULL) == ECREC_OK);
    return b;
}

static ecrec_model *ranker(ecrec_context *context)
{
    static const char json[] = "{\"fields\":[{\"name\":\"u\",\"kind\":\"user\"},{\"name\":\"n\",\"kind\":\"number\"}],\"labels\":[\"y\"],\"hash_bits\":10}";
    ecrec_schema *schema = NULL;
    ecrec_model *m = NULL;
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_update_options u = ECREC_UPDATE_OPTIONS_INIT;
    u.max_loss_growth = 100;
    u.max_calibration_growth = 1;
    o.events = 20;
    o.reserve = 4;
    o.reserve_every = 2;
    o.reservoir = 8;
    o.row_bytes = 4096;
    o.drift = ECREC_DRIFT_ADWIN | ECREC_DRIFT_PAGE_HINKLEY;
    PROMISE(ecrec_schema_parse(context, json, sizeof json - 1, &schema, NULL) == ECREC_OK && ecrec_ranker_create(context, NULL, schema, &m, NULL) == ECREC_OK);
    PROMISE(ecrec_online_configure(m, &o, NULL) == ECREC_OK);
    for (uint64_t k = 0; k < 4; k++) {
        ecrec_batch *b = rows(schema, 10 * k);
        PROMISE(ecrec_update(m, b, &u, NULL, NULL) == ECREC_OK);
        ecrec_batch_release(b);
    }
    ecrec_schema_release(schema);
    return m;
}

static void change(const tensor_set *set, const uint8_t *at)
{
    uint64_t value = 0, place = 0;
    for (size_t i = 0; i < 4; i++)
        place |= (uint64_t)at[1 + i] << 8 * i;
    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)at[5 + i] << 8 * i;
    tensor *t = tensor_set_get(set, names[at[0] % 8]);
    if (t->layout == LAYOUT_CHUNKS) {
        uint64_t *row = tensor_row_edit(t, place % t->shape[0]);
        PROMISE(row != NULL);
        row[place / t->shape[0] % t->shape[1]] = value;
    } else {
        memcpy((unsigned char *)tensor_edit(t) + place % (t->bytes / 8) * 8, &value, 8);
    }
}

static int first_user(void *opaque, const ecrec_batch *b, size_t row)
{
    size_t length = 0;
    (void)opaque;
    return column_has(&b->columns[0], row) && column_text(&b->columns[0], row, &length)[0] == '1';
}

static void use(online *o, const ecrec_schema *schema, memory *m)
{
    ecrec_batch *b = rows(schema, 500), *some = NULL;
    buffer work;
    double dropped = 0;
    int known = 0;
    drift_found found;
    buffer_init(&work, m);
    for (size_t i = 0; i < ROWS; i++)
        (void)events_see(&o->seen, 500 + i, &known);
    for (size_t i = 0; i < ROWS; i++)
        (void)online_keep(o, b, i, &work, NULL);
    (void)online_reserve(o, schema, 3, &some, NULL);
    ecrec_batch_release(some);
    some = NULL;
    (void)online_replay(o, schema, 5, &some, NULL);
    ecrec_batch_release(some);
    (void)online_forget(o, schema, first_user, NULL, &dropped, NULL);
    for (int i = 0; i < 64 && o->drift != NULL; i++) {
        (void)adwin_add((double *)tensor_edit(o->drift), i & 1, 0.002, &found);
        (void)page_hinkley_add((double *)tensor_edit(o->drift) + ADWIN_SIZE, i & 1, 0.005, 50, &found);
    }
    buffer_release(&work);
    ecrec_batch_release(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    tensor_set *set = NULL;
    online o;
    uint64_t live = 0;
    PROMISE(ecrec_context_create(NULL, &context, NULL) == ECREC_OK);
    ecrec_model *m = ranker(context);
    PROMISE(tensor_set_copy(atomic_load(&m->current)->tensors, &set) == ECREC_OK);
    PROMISE(online_open(&o, &context->m, set, m->schema, &err) == ECREC_OK);
    for (size_t at = 0; at + CHANGE <= size && at < 20 * CHANGE; at += CHANGE)
        change(set, data + at);
    const int32_t status = online_open(&o, &context->m, set, m->schema, &err);
    PROMISE(status == ECREC_OK || (status == ECREC_ERR_FORMAT && err.message[0] != 0));
    if (status == ECREC_OK)
        use(&o, m->schema, &context->m);
    tensor_set_release(set);
    ecrec_model_release(m);
    ecrec_context_memory(context, &live, NULL, NULL);
    PROMISE(live < 64 << 10);
    ecrec_context_release(context);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    /* a row's first cell, a cell's next one, the free list, a count */
    for (uint8_t k = 0; k < 8; k++) {
        uint8_t bytes[2 * CHANGE] = { k, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, (uint8_t)(5 * k), 0, 0, 0, 7, 0, 0, 0, 20 };
        emit(opaque, bytes, sizeof bytes);
    }
    for (uint8_t word = 32; word < 45; word++) {
        const uint8_t bytes[CHANGE] = { 0, word, 0, 0, 0, (uint8_t)(word % 7) };
        emit(opaque, bytes, sizeof bytes);
    }
}
