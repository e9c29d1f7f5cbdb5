/* Bytes are a program: set columns, update, roll back, score, save and load. Scores stay probabilities, a refused update
 * changes nothing, a rollback gives the old bits, and a loaded ranker the same ones as the saved. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "support.h"

enum { ROWS = 5, STEPS = 40, SNAPSHOTS = 8 };

typedef struct world {
    ecrec_context *context;
    ecrec_schema *schema;
    ecrec_model *ranker;
    ecrec_session *session;
    ecrec_batch *batch, *look; /* look: always the same rows, scored after each step */
    float scores[ROWS];        /* of the current snapshot on `look` */
} world;

static void fill_look(world *w)
{
    static const double numbers[ROWS] = { -3, 0, 1, 1e6, 2.5 };
    static const uint64_t shops[ROWS] = { 1, 2, 3, 4, 5 };
    PROMISE(ecrec_batch_create(w->schema, &w->look, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_reset(w->look, ROWS, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_number(w->look, 2, numbers, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_number(w->look, 4, numbers, NULL, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_set_category_u64(w->look, 1, shops, NULL, NULL) == ECREC_OK);
}

static void look(world *w, float scores[ROWS])
{
    PROMISE(ecrec_score(w->ranker, w->session, w->look, NULL, scores, ROWS, NULL) == ECREC_OK);
    for (int i = 0; i < ROWS; i++)
        PROMISE(scores[i] >= 0 && scores[i] <= 1);
}

static void open_world(world *w)
{
    static const char json[] = "{\"fields\":[{\"name\":\"t\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":2,\"char_ngrams\":4},{\"name\":\"c\",\"kind\":\"category\",\"expire_after\":2,\"admit_after\":2},"
                               "{\"name\":\"n\",\"kind\":\"number\"},{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":2},{\"name\":\"b\",\"kind\":\"number\",\"bins\":5}],\"labels\":[\"y\"],\"hash_bits\":10}";
    memset(w, 0, sizeof *w);
    PROMISE(ecrec_context_create(NULL, &w->context, NULL) == ECREC_OK);
    PROMISE(ecrec_schema_parse(w->context, json, strlen(json), &w->schema, NULL) == ECREC_OK);
    PROMISE(ecrec_ranker_create(w->context, NULL, w->schema, &w->ranker, NULL) == ECREC_OK);
    PROMISE(ecrec_session_create(w->ranker, NULL, &w->session, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_create(w->schema, &w->batch, NULL) == ECREC_OK);
    PROMISE(ecrec_batch_reset(w->batch, ROWS, NULL) == ECREC_OK);
    fill_look(w);
    look(w, w->scores);
}

static void close_world(world *w)
{
    ecrec_batch_release(w->batch);
    ecrec_batch_release(w->look);
    ecrec_session_release(w->session);
    ecrec_model_release(w->ranker);
    ecrec_schema_release(w->schema);
    uint64_t live = 0;
    ecrec_context_memory(w->context, &live, NULL, NULL);
    PROMISE(live < 64 << 10);
    ecrec_context_release(w->context);
}

static void set_column(world *w, reader *r, uint8_t field)
{
    const char *texts[ROWS];
    size_t lengths[ROWS];
    double numbers[ROWS];
    float floats[2 * ROWS];
    uint8_t valid[ROWS];
    for (int i = 0; i < ROWS; i++) {
        lengths[i] = read_u8(r) % 24;
        texts[i] = read_bytes(r, lengths[i]);
        numbers[i] = read_f64(r);
        floats[2 * i] = read_f32(r);
        floats[2 * i + 1] = read_f32(r);
        valid[i] = read_u8(r) & 1;
        if (texts[i] == NULL)
            lengths[i] = 0;
    }
    float labels[ROWS];
    for (int i = 0; i < ROWS; i++)
        labels[i] = (float)(valid[i] ^ (lengths[i] & 1));
    switch (field % 7) {
    case 0: (void)ecrec_batch_set_text(w->batch, 0, texts, lengths, NULL); break;
    case 1: (void)ecrec_batch_set_category(w->batch, 1, texts, lengths, NULL); break;
    case 2: (void)ecrec_batch_set_number(w->batch, field & 8 ? 4 : 2, numbers, valid, NULL); break;
    case 3: (void)ecrec_batch_set_vector(w->batch, 3, floats, 0, valid, NULL); break;
    case 4: (void)ecrec_batch_set_label(w->batch, 0, field & 8 ? floats : labels, valid, NULL); break;
    case 5: (void)ecrec_batch_set_weight(w->batch, floats, NULL); break;
    default: (void)ecrec_batch_set_label(w->batch, 0, labels, NULL, NULL); break;
    }
}

static void update(world *w, reader *r)
{
    ecrec_update_options o = ECREC_UPDATE_OPTIONS_INIT;
    ecrec_report *report = NULL;
    float now[ROWS];
    o.passes = read_u8(r) % 4;
    if (read_u8(r) & 1)
        o.learning_rate = read_f64(r);
    if (read_u8(r) & 1)
        o.decay = read_f64(r);
    const uint64_t before = ecrec_model_snapshot(w->ranker);
    const int32_t status = ecrec_update(w->ranker, w->batch, &o, &report, NULL);
    PROMISE((status == ECREC_OK) == (ecrec_model_snapshot(w->ranker) != before));
    look(w, now);
    if (status != ECREC_OK)
        PROMISE(memcmp(now, w->scores, sizeof now) == 0);
    else
        (void)memcpy(w->scores, now, sizeof now);
    if (status == ECREC_OK && (read_u8(r) & 1)) { /* back to where it is: nothing changes */
        float again[ROWS];
        PROMISE(ecrec_rollback(w->ranker, ecrec_model_snapshot(w->ranker), NULL) == ECREC_OK);
        look(w, again);
        PROMISE(memcmp(again, w->scores, sizeof again) == 0);
    }
    ecrec_report_release(report);
}

static void go_back(world *w, reader *r)
{
    uint64_t kept[SNAPSHOTS];
    size_t count = 0;
    PROMISE(ecrec_model_snapshots(w->ranker, kept, SNAPSHOTS, &count, NULL) == ECREC_OK && count > 0 && count <= SNAPSHOTS);
    const uint64_t target = kept[read_u8(r) % count];
    float then[ROWS];
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    o.snapshot = target;
    PROMISE(ecrec_score(w->ranker, w->session, w->look, &o, then, ROWS, NULL) == ECREC_OK);
    PROMISE(ecrec_rollback(w->ranker, target, NULL) == ECREC_OK);
    look(w, w->scores);
    PROMISE(memcmp(then, w->scores, sizeof then) == 0);
}

/* A period ends. */
static void expire(world *w)
{
    PROMISE(ecrec_expire(w->ranker, NULL, NULL) == ECREC_OK);
    look(w, w->scores);
}

/* Cut the numbers in bins anew, from what was seen and some of these rows' too. */
static void rebin(world *w, reader *r)
{
    const uint64_t before = ecrec_model_snapshot(w->ranker);
    const int32_t status = ecrec_rebin(w->ranker, read_u8(r) & 1 ? "b" : NULL, read_u8(r) & 1 ? w->batch : NULL, NULL, NULL);
    PROMISE((status == ECREC_OK) == (ecrec_model_snapshot(w->ranker) != before));
    look(w, w->scores);
}

typedef struct saved { unsigned char *bytes; size_t length; } saved;
static int32_t append(void *opaque, const void *bytes, size_t length)
{
    saved *s = opaque;
    s->bytes = realloc(s->bytes, s->length + length + 1);
    PROMISE(s->bytes != NULL);
    memcpy(s->bytes + s->length, bytes, length);
    s->length += length;
    return 0;
}

/* Save, load, and go on with the loaded one. */
static void save_and_load(world *w)
{
    saved s = { NULL, 0 };
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, &s, append };
    ecrec_model *again = NULL;
    float now[ROWS];
    PROMISE(ecrec_model_save_sink(w->ranker, &sink, NULL) == ECREC_OK);
    PROMISE(ecrec_model_load_memory(w->context, s.bytes, s.length, free, s.bytes, NULL, &again, NULL) == ECREC_OK);
    ecrec_session_release(w->session);
    ecrec_model_release(w->ranker);
    w->ranker = again;
    w->session = NULL;
    PROMISE(ecrec_session_create(w->ranker, NULL, &w->session, NULL) == ECREC_OK);
    look(w, now);
    PROMISE(memcmp(now, w->scores, sizeof now) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world w;
    reader r;
    reader_init(&r, data, size);
    open_world(&w);
    for (int step = 0; step < STEPS && !r.failed && r.position < size; step++) {
        const uint8_t what = read_u8(&r);
        switch (what % 8) {
        case 0: case 1: case 2: set_column(&w, &r, what / 8); break;
        case 3: case 4: update(&w, &r); break;
        case 5: go_back(&w, &r); break;
        case 6: save_and_load(&w); break;
        default:
            if (what & 16)
                expire(&w);
            else if (what & 8)
                rebin(&w, &r);
            else
                PROMISE(ecrec_batch_reset(w.batch, ROWS, NULL) == ECREC_OK);
        }
    }
    close_world(&w);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    unsigned char program[1200];
    unsigned state = 1;
    for (int seed = 0; seed < 12; seed++) {
        static const unsigned char steps[] = { 0, 8, 16, 24, 48, 3, 15, 23, 5, 6, 3, 7 }; /* text, category, number, vector, label, update, rebin, expire, back, save, update, reset */
        size_t n = 0;
        for (size_t k = 0; k < sizeof steps && n + 120 < sizeof program; k++) {
            program[n++] = steps[(k + (size_t)(seed > 5 ? seed : 0)) % sizeof steps];
            const int column = program[n - 1] % 8 == 0;
            for (int i = 0; column && i < ROWS; i++) {
                static const char word[] = "red shoes";
                const double number = (double)(seed - i) * 1.5;
                const float value = (float)i - 2;
                program[n++] = 9;
                memcpy(program + n, word, 9);
                memcpy(program + n + 9, &number, 8);
                memcpy(program + n + 17, &value, 4);
                memcpy(program + n + 21, &value, 4);
                n += 25;
                state = state * 1664525u + 1013904223u;
                program[n++] = (unsigned char)(state >> 24);
            }
            for (int i = 0; !column && i < 4; i++)
                program[n++] = (unsigned char)(seed > 8 ? i : 0);
        }
        emit(opaque, program, n);
    }
}
