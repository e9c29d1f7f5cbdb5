/* Bytes are a record batch of Arrow: its types, lengths, offsets, nulls, children and dictionaries, some of them wrong. It is read and
 * scored, or refused with a sentence; each array is released once. Buffers are as long as any length that passes may say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecrec/ecrec.h"
#include "fuzz.h"

enum { MOST_NODES = 24, MOST_LENGTH = 200, BUFFER = 1 << 13, TEXT = 1 << 12 };

typedef struct node {
    struct ArrowSchema schema, *schema_children[6];
    struct ArrowArray data, *data_children[6];
    const void *buffers[5];
} node;

typedef struct maker {
    const uint8_t *data;
    size_t size, at;
    node nodes[MOST_NODES];
    int used;
    unsigned char *values; /* BUFFER */
    int64_t *wide;         /* offsets that stay within TEXT */
    int32_t *narrow;
} maker;

static int released;

static void release_array(struct ArrowArray *a)
{
    PROMISE(a->release != NULL);
    released++;
    a->release = NULL;
}
static void release_schema(struct ArrowSchema *s) { s->release = NULL; }

static unsigned next(maker *m) { return m->at < m->size ? m->data[m->at++] : 0; }

static node *make(maker *m, int depth)
{
    static const char *const formats[] = { "n", "b", "c", "C", "s", "S", "i", "I", "l", "L", "e", "f", "g", "u", "U", "z", "Z", "w:3", "w:0", "+l", "+L", "+w:2", "+w:0",
                                           "+s", "+m", "tss:", "tsm:UTC", "tsu:", "tsn:", "tdD", "tdm", "d:1,2", "+", "", "w:", "tsx:", "ts", "+w:-1", "vu", "vz", "d:9,2,32", "d:38,6", "d:76,-2,256", NULL };
    static const char *const names[] = { "title", "shop", "price", "v", "tags", "when", "click", "weight", "position", "propensity", "event", "group", "past", "item", "type", "time", "past", "other", NULL, "" };
    if (m->used == MOST_NODES)
        return NULL;
    node *n = &m->nodes[m->used++];
    memset(n, 0, sizeof *n);
    const unsigned kind = next(m), wrong = next(m);
    n->schema.format = depth == 0 && kind % 16 != 0 ? "+s" : formats[kind % (sizeof formats / sizeof *formats)];
    n->schema.name = names[next(m) % (sizeof names / sizeof *names)];
    n->schema.release = release_schema;
    n->data.length = depth == 0 ? next(m) % 9 : next(m) % MOST_LENGTH;
    n->data.offset = next(m) % 12;
    const char *f = n->schema.format != NULL ? n->schema.format : "";
    const int text = strlen(f) == 1 && strchr("uUzZ", *f) != NULL, list = strcmp(f, "+l") == 0 || strcmp(f, "+L") == 0 || strcmp(f, "+m") == 0;
    n->data.n_buffers = *f == 'n' ? 0 : text ? 3 : strcmp(f, "+s") == 0 || strncmp(f, "+w", 2) == 0 ? 1 : 2;
    n->buffers[0] = wrong & 1 ? m->values + wrong : NULL;
    n->buffers[1] = text || list ? (*f == 'u' || *f == 'z' || f[1] == 'l' || f[1] == 'm' ? (const void *)m->narrow : (const void *)m->wide) : m->values + 8 * (wrong & 6);
    n->buffers[2] = m->values;
    if (*f == 'v') { /* views: one buffer, and its size */
        static const int64_t sizes[] = { BUFFER };
        n->data.n_buffers = 4;
        n->buffers[3] = sizes;
    }
    n->data.buffers = n->buffers;
    n->data.null_count = wrong & 1 ? -1 : 0;
    n->data.children = n->data_children;
    n->schema.children = n->schema_children;
    n->data.release = release_array;
    const int children = depth == 0 ? 1 + (int)(next(m) % 6) : list || strncmp(f, "+w", 2) == 0 ? 1 : strcmp(f, "+s") == 0 ? 2 : 0;
    for (int i = 0; i < children && depth < 4; i++) {
        node *child = make(m, depth + 1);
        if (child == NULL)
            break;
        n->schema_children[n->schema.n_children++] = &child->schema;
        n->data_children[n->data.n_children++] = &child->data;
    }
    if (kind >= 200 && depth != 0 && depth < 4) {
        node *d = make(m, depth + 1);
        if (d != NULL) {
            n->schema.dictionary = &d->schema;
            n->data.dictionary = &d->data;
        }
    }
    switch (wrong >> 3) { /* one time in three something is wrong */
    case 1: n->data.length = -1 - (int64_t)next(m); break;
    case 2: n->data.offset = INT64_MAX - (int64_t)next(m); break;
    case 3: n->data.null_count = (int64_t)next(m) - 9; break;
    case 4: n->buffers[1] = NULL; break;
    case 5: n->data.n_buffers = *f == 'v' ? next(m) % 3 : next(m); n->data.n_buffers -= *f == 'v' ? 0 : 3; break;
    case 6: n->data.n_children += 1; break;
    case 7: n->data.buffers = NULL; break;
    case 8: n->data.release = NULL; break;
    case 9: n->data_children[0] = NULL; break;
    case 10: n->data.dictionary = NULL; break;
    default: break;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "{\"fields\":[{\"name\":\"title\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":1},{\"name\":\"shop\",\"kind\":\"category\"},"
                               "{\"name\":\"price\",\"kind\":\"number\"},{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":2},{\"name\":\"tags\",\"kind\":\"multi\"},"
                               "{\"name\":\"when\",\"kind\":\"time\"},{\"name\":\"past\",\"kind\":\"history\",\"dimension\":3,\"event_types\":9,\"compare\":\"shop\"}],"
                               "\"labels\":[\"click\"],\"network\":{\"width\":4,\"fm\":true},\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    static ecrec_context *context; /* made once */
    static ecrec_schema *schema;
    static ecrec_model *ranker;
    static ecrec_session *session;
    ecrec_batch *batch = NULL;
    maker *m = calloc(1, sizeof *m);
    m->data = data;
    m->size = size;
    m->values = malloc(BUFFER);
    m->wide = malloc(1024 * sizeof *m->wide);
    m->narrow = malloc(1024 * sizeof *m->narrow);
    for (size_t i = 0; i < BUFFER; i++)
        m->values[i] = size != 0 ? data[(i * 7 + i / size) % size] : 0;
    for (size_t i = 0; i + 16 <= BUFFER && size % 2; i += 16) { /* views, most of them right */
        const int32_t view[4] = { size != 0 ? data[i % size] % 40 : 0, 0, data[(i + 1) % size] > 250, data[(i + 2) % size] };
        if (view[0] > 12)
            memcpy(m->values + i, view, sizeof view);
        else
            memcpy(m->values + i, view, 4);
    }
    int64_t at = 0;
    for (size_t i = 0; i < 1024; i++) { /* they rise, but for a byte here and there */
        const unsigned step = size != 0 ? data[i % size] : 0;
        at = step == 255 ? at - 3 : at + step % 4;
        m->wide[i] = at < TEXT ? at : TEXT;
        m->narrow[i] = (int32_t)m->wide[i];
    }
    if (context == NULL)
        PROMISE(ecrec_context_create(NULL, &context, &err) == ECREC_OK && ecrec_schema_parse(context, text, sizeof text - 1, &schema, &err) == ECREC_OK &&
                ecrec_ranker_create(context, NULL, schema, &ranker, &err) == ECREC_OK && ecrec_session_create(ranker, NULL, &session, &err) == ECREC_OK);
    uint64_t before = 0, after = 0;
    ecrec_context_memory(context, &before, NULL, NULL);
    PROMISE(ecrec_batch_create(schema, &batch, &err) == ECREC_OK);
    node *top = make(m, 0);
    released = 0;
    const int whole = top->data.release != NULL;
    const int32_t status = ecrec_batch_take_arrow(batch, &top->schema, &top->data, &err);
    PROMISE(status == ECREC_OK || (err.message[0] != 0 && released == 0 && (top->data.release != NULL) == whole));
    if (status == ECREC_OK) {
        float scores[16] = { 0 };
        PROMISE(ecrec_batch_rows(batch) <= 9 && ecrec_score(ranker, session, batch, NULL, scores, 16, &err) == ECREC_OK);
        for (size_t i = 0; i < ecrec_batch_rows(batch); i++)
            PROMISE(scores[i] > 0 && scores[i] < 1);
        struct ArrowSchema names;
        struct ArrowArray out;
        PROMISE(ecrec_score_arrow(ranker, session, batch, NULL, &names, &out, &err) == ECREC_OK);
        names.release(&names);
        out.release(&out);
    }
    ecrec_batch_release(batch);
    ecrec_context_memory(context, &after, NULL, NULL);
    PROMISE(released == (status == ECREC_OK) && after == before);
    free(m->values);
    free(m->wide);
    free(m->narrow);
    free(m);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    for (unsigned seed = 0; seed < 400; seed++) {
        uint8_t bytes[96];
        uint32_t x = 2654435761u * (seed + 1);
        for (size_t i = 0; i < sizeof bytes; i++) {
            x = x * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(x >> 24);
            if (seed % 2 == 0 && i % 5 == 1)
                bytes[i] &= 7; /* nothing wrong on purpose */
        }
        bytes[0] = 1;
        bytes[1] &= seed % 4 != 3 ? 7 : 255;
        emit(opaque, bytes, sizeof bytes);
    }
}
