/* Bytes are a text, after two that choose options: the tokens lie inside the text, whatever it is, and its vector is finite. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "support.h"
#include "tiny.h"

typedef struct world { ecrec_context *context; ecrec_model *model; ecrec_session *session; } world;

static world *open_world(void)
{
    static world w;
    if (w.context == NULL) {
        PROMISE(ecrec_context_create(NULL, &w.context, NULL) == ECREC_OK);
        PROMISE(ecrec_model_import(w.context, tiny_folder(), NULL, &w.model, NULL, NULL) == ECREC_OK);
        PROMISE(ecrec_session_create(w.model, NULL, &w.session, NULL) == ECREC_OK);
    }
    return &w;
}

static void encode(world *w, const char *text, size_t length)
{
    float vector[TINY_HIDDEN];
    double norm = 0;
    PROMISE(ecrec_encode(w->model, w->session, &text, &length, 1, NULL, vector, TINY_HIDDEN, NULL) == ECREC_OK);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        norm += (double)vector[i] * (double)vector[i];
    PROMISE(fabs(norm - 1) < 1e-4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world *w = open_world();
    const char *text = (const char *)data + 2;
    ecrec_tokenize_options o = ECREC_TOKENIZE_OPTIONS_INIT;
    size_t count = 0, again = 0;
    if (size < 2)
        return 0;
    size_t length = size - 2;
    o.no_special = data[0] & 1;
    o.max_length = data[0] & 2 ? data[1] % 40u + 3 : 0;
    if (data[0] & 4) {
        const size_t first = length * data[1] / 256;
        o.pair = text + first;
        o.pair_length = length - first;
        length = first;
    }
    PROMISE(ecrec_tokenize(w->model, w->session, text, length, &o, NULL, NULL, NULL, 0, &count, NULL) == ECREC_OK);
    PROMISE(count <= length + o.pair_length + 3 && (o.max_length == 0 || count <= o.max_length));
    uint32_t *ids = malloc((count + 1) * sizeof *ids), *offsets = malloc((2 * count + 1) * sizeof *offsets);
    uint8_t *types = malloc(count + 1);
    PROMISE(ids != NULL && offsets != NULL && types != NULL);
    PROMISE(ecrec_tokenize(w->model, w->session, text, length, &o, ids, offsets, types, count, &again, NULL) == ECREC_OK && again == count);
    for (size_t i = 0; i < count; i++) {
        PROMISE(ids[i] < ecrec_vocabulary_size(w->model) && types[i] <= 1);
        PROMISE(offsets[2 * i] <= offsets[2 * i + 1] && offsets[2 * i + 1] <= (types[i] ? o.pair_length : length));
    }
    encode(w, text, length);
    free(ids);
    free(offsets);
    free(types);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char *const seeds[] = {
        "\x02\x01", "\x02\x01red shoes running", "\x04\x80the red shirt|new warm shoes", "\x03\x05!!,,  \t\r\n red\xC2\xA0shoes", "\x06\x40[CLS] red [SEP] blue [MASK]",
        "\x02\x01\xE9\x9E\x8B\xE5\xAD\x90 caf\xC3\xA9 \xCC\x81 e\xCC\x81", "\x02\x01\xFF\xFE\xC0\x80\xED\xA0\x80\xF4\x90\x80\x80", "\x02\x01\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9",
        "\x01\x01##ning running##", "\x02\x01\xEF\xBB\xBF\xE2\x80\x8B\x7F\x01 red",
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        emit(opaque, seeds[i], strlen(seeds[i]));
}
