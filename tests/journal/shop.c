#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char json[] =
    "{\"fields\":[{\"name\":\"user\",\"kind\":\"category\"},{\"name\":\"item\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
    "{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":3},{\"name\":\"title\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":2}],"
    "\"labels\":[\"click\"],\"hash_bits\":16,\"network\":{\"pairs\":\"all\",\"width\":4,\"embedding_bits\":12,\"fm\":true,\"hidden\":[8]}}";

ecrec_model *shop_ranker(ecrec_context *context)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL;
    CALL(ecrec_schema_parse(context, json, sizeof json - 1, &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    ecrec_schema_release(schema);
    return ranker;
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

ecrec_batch *shop_batch(const ecrec_model *ranker, uint32_t number)
{
    static const char *const words[] = { "red shoes", "blue shirt", "warm coat", "green hat", "old boots" };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *b = NULL;
    uint64_t users[SHOP_ROWS], items[SHOP_ROWS];
    double prices[SHOP_ROWS];
    float looks[SHOP_ROWS * 3], clicks[SHOP_ROWS];
    const char *titles[SHOP_ROWS];
    size_t lengths[SHOP_ROWS];
    uint32_t seed = number * 2654435761u + 1;
    for (size_t i = 0; i < SHOP_ROWS; i++) {
        users[i] = next(&seed) % 50;
        items[i] = next(&seed) % 200;
        prices[i] = (double)(next(&seed) % 1000) / 10;
        for (size_t k = 0; k < 3; k++)
            looks[3 * i + k] = (float)(next(&seed) % 200) / 100 - 1;
        titles[i] = words[next(&seed) % 5];
        lengths[i] = strlen(titles[i]);
        clicks[i] = (users[i] + items[i]) % 3 == 0;
    }
    CALL(ecrec_batch_create(ecrec_model_schema(ranker), &b, &err));
    CALL(ecrec_batch_reset(b, SHOP_ROWS, &err));
    CALL(ecrec_batch_set_category_u64(b, 0, users, NULL, &err));
    CALL(ecrec_batch_set_category_u64(b, 1, items, NULL, &err));
    CALL(ecrec_batch_set_number(b, 2, prices, NULL, &err));
    CALL(ecrec_batch_set_vector(b, 3, looks, 0, NULL, &err));
    CALL(ecrec_batch_set_text(b, 4, titles, lengths, &err));
    CALL(ecrec_batch_set_label(b, 0, clicks, NULL, &err));
    return b;
}

int32_t shop_remember(ecrec_model *ranker, ecrec_error *err)
{
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    o.events = 150;
    o.reserve = 20;
    o.reserve_every = 4;
    o.reservoir = 100;
    o.row_bytes = 20000; /* too little for all of them: cells are dropped and used again */
    o.drift = ECREC_DRIFT_ADWIN | ECREC_DRIFT_PAGE_HINKLEY;
    o.drift_threshold = 2;
    o.window = 37;
    o.boost = 1.5;
    o.boost_rows = 50;
    return ecrec_online_configure(ranker, &o, err);
}

int32_t shop_learn(ecrec_model *ranker, uint32_t number, ecrec_error *err)
{
    ecrec_update_options options = ECREC_UPDATE_OPTIONS_INIT;
    uint64_t events[SHOP_ROWS];
    options.max_loss_growth = 100;
    options.replay = 0.5;
    ecrec_batch *b = shop_batch(ranker, number);
    for (uint64_t i = 0; i < SHOP_ROWS; i++) /* a quarter of them came with the batch before */
        events[i] = number * (uint64_t)(SHOP_ROWS * 3 / 4) + i;
    assert_int_equal(ecrec_batch_set_event(b, events, NULL, err), ECREC_OK);
    const int32_t status = ecrec_update(ranker, b, &options, NULL, err);
    ecrec_batch_release(b);
    return status;
}

const char *shop_state(ecrec_model *ranker)
{
    static char texts[4][33];
    static int turn;
    ecrec_error err = ECREC_ERROR_INIT;
    char *text = texts[turn++ % 4];
    CALL(ecrec_model_state(ranker, 0, text, &err));
    return text;
}

ecrec_model *shop_load(ecrec_context *context, const char *path)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_model *m = NULL;
    CALL(ecrec_model_load(context, path, NULL, &m, &err));
    return m;
}

static int32_t keep(void *opaque, const void *data, size_t length)
{
    bytes *b = opaque;
    unsigned char *grown = realloc(b->data, b->length + length + 1);
    if (grown == NULL)
        return 1;
    memcpy(grown + b->length, data, length);
    b->data = grown;
    b->length += length;
    return 0;
}

ecrec_sink bytes_sink(bytes *b)
{
    memset(b, 0, sizeof *b);
    return (ecrec_sink){ (uint32_t)sizeof(ecrec_sink), 0, b, keep };
}
