/* A SentencePiece model (sentencepiece_model.proto): plain, as the package itself runs it; of a known architecture, as transformers turns it
 * into a fast tokenizer. */
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/sort.h"
#include "text/compile.h"
#include "text/draft.h"
#include "text/protobuf.h"
#include "text/utf8.h"

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };
enum { KIND_UNIGRAM = 1, KIND_BPE = 2 };
static const char mark[] = "\xE2\x96\x81"; /* U+2581, how a blank is spelt */

typedef struct spiece { const char *text; uint32_t length, type; double score; } spiece;

typedef struct model {
    draft *d;
    spiece *pieces;
    size_t count;
    uint32_t kind;
    int fallback, dummy_prefix, collapse, escape, suffix;
    const unsigned char *charsmap;
    size_t charsmap_length;
} model;

static int32_t damaged(const draft *d, const char *what, size_t at)
{
    return error_at(d->err, ECREC_ERR_FORMAT, at, "%s: damaged or no SentencePiece model: %s at byte %zu", d->name, what, at);
}

static int read_piece(const proto_field *message, spiece *out)
{
    proto p = { message->bytes, message->length, 0, 0 };
    proto_field f;
    *out = (spiece){ "", 0, TYPE_NORMAL, 0 };
    while (proto_next(&p, &f)) {
        if (f.id == 1 && f.kind == 2) {
            out->text = (const char *)f.bytes;
            out->length = (uint32_t)(f.length < UINT32_MAX ? f.length : UINT32_MAX);
        } else if (f.id == 2 && f.kind == 5) {
            out->score = (double)proto_float(&f);
        } else if (f.id == 3 && f.kind == 0) {
            out->type = (uint32_t)f.number;
        }
    }
    return !p.failed && out->score - out->score == 0 && out->type >= TYPE_NORMAL && out->type <= TYPE_BYTE;
}

static int read_trainer(const proto_field *message, model *m)
{
    proto p = { message->bytes, message->length, 0, 0 };
    proto_field f;
    while (proto_next(&p, &f)) {
        if (f.id == 3 && f.kind == 0)
            m->kind = (uint32_t)(f.number < 100 ? f.number : 100);
        else if (f.id == 24 && f.kind == 0)
            m->suffix = f.number != 0;
        else if (f.id == 35 && f.kind == 0)
            m->fallback = f.number != 0;
    }
    return !p.failed;
}

static int read_normalizer(const proto_field *message, model *m)
{
    proto p = { message->bytes, message->length, 0, 0 };
    proto_field f;
    while (proto_next(&p, &f)) {
        if (f.id == 2 && f.kind == 2) {
            m->charsmap = f.bytes;
            m->charsmap_length = f.length;
        } else if (f.id == 3 && f.kind == 0) {
            m->dummy_prefix = f.number != 0;
        } else if (f.id == 4 && f.kind == 0) {
            m->collapse = f.number != 0;
        } else if (f.id == 5 && f.kind == 0) {
            m->escape = f.number != 0;
        }
    }
    return !p.failed;
}

static int is_utf8(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t step = utf8_next((const unsigned char *)text + i, n - i, &c);
        if (c == REPLACEMENT && step != 3)
            return 0;
        i += step;
    }
    return 1;
}

static int32_t read_model(model *m, const char *bytes, size_t length)
{
    draft *d = m->d;
    proto p = { (const unsigned char *)bytes, length, 0, 0 };
    proto_field f;
    size_t count = 0;
    while (proto_next(&p, &f))
        count += f.id == 1 && f.kind == 2;
    if (p.failed || count == 0 || count > MOST_PIECES)
        return damaged(d, count == 0 ? "no piece" : "a field", p.at);
    if ((m->pieces = arena_allocate(&d->a, memory_product(count, sizeof *m->pieces))) == NULL)
        return error_nomem(d->err, "the pieces", count * sizeof *m->pieces);
    p.at = 0;
    while (proto_next(&p, &f)) {
        int good = 1;
        if (f.id == 1 && f.kind == 2) {
            good = read_piece(&f, &m->pieces[m->count]);
            good = good && is_utf8(m->pieces[m->count].text, m->pieces[m->count].length);
            m->count += (size_t)good;
        } else if (f.id == 2 && f.kind == 2) {
            good = read_trainer(&f, m);
        } else if (f.id == 3 && f.kind == 2) {
            good = read_normalizer(&f, m);
        }
        if (!good)
            return damaged(d, "a message", p.at - f.length);
    }
    if (m->kind != KIND_UNIGRAM && m->kind != KIND_BPE)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: trainer_spec.model_type %u is not supported (supported: 1 unigram, 2 bpe)", d->name, m->kind);
    return ECREC_OK;
}

/* ---- the vocabulary of each family ---- */

static void put(draft *d, const char *text, size_t length, double score)
{
    d->pieces[d->piece_count] = (piece){ text, (uint32_t)length, (uint32_t)d->piece_count, score, 0 };
    d->piece_count++;
}

static int32_t put_extra(draft *d, uint32_t extra)
{
    for (uint32_t i = extra; i-- > 0;) {
        char name[32];
        const size_t n = format_text(name, sizeof name, "<extra_id_%u>", i);
        const char *text = arena_copy(&d->a, name, n);
        if (text == NULL)
            return error_nomem(d->err, "the pieces", n);
        put(d, text, n, 0);
        const int32_t status = draft_add(d, text, n, (uint32_t)d->piece_count - 1, ADDED_SPECIAL);
        if (status != ECREC_OK)
            return status;
    }
    return ECREC_OK;
}

static int32_t vocabulary(model *m, const sentencepiece_settings *s)
{
    static const char *const xlmr[] = { "<s>", "<pad>", "</s>", "<unk>", NULL };
    static const char *const camembert[] = { "<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", NULL };
    draft *d = m->d;
    const int fairseq = s->family == SENTENCEPIECE_XLMR || s->family == SENTENCEPIECE_CAMEMBERT;
    const char *const *front = s->family == SENTENCEPIECE_XLMR ? xlmr : camembert;
    size_t skip = s->family == SENTENCEPIECE_XLMR ? 3 : s->family == SENTENCEPIECE_CAMEMBERT ? 1 : 0;
    int32_t status = draft_pieces(d, m->count + s->extra_ids + 8);
    if (status != ECREC_OK)
        return status;
    for (size_t i = 0; fairseq && front[i] != NULL; i++)
        put(d, front[i], strlen(front[i]), i == 4 ? -100 : 0);
    d->settings.unknown = fairseq ? 3 : NO_ID;
    for (size_t i = skip; i < m->count; i++) {
        const spiece *p = &m->pieces[i];
        if (!fairseq && p->type == TYPE_UNKNOWN && d->settings.unknown == NO_ID)
            d->settings.unknown = (uint32_t)d->piece_count;
        put(d, p->text, p->length, p->score);
        if ((p->type == TYPE_CONTROL || p->type == TYPE_USER || (!fairseq && p->type == TYPE_UNKNOWN)) && p->length != 0 &&
            (status = draft_add(d, p->text, p->length, (uint32_t)d->piece_count - 1, p->type == TYPE_USER ? 0u : ADDED_SPECIAL)) != ECREC_OK)
            return status;
    }
    if (fairseq) {
        put(d, "<mask>", 6, 0);
        const size_t names = s->family == SENTENCEPIECE_XLMR ? 4 : 0;
        for (size_t i = 0; i < names && status == ECREC_OK; i++)
            status = draft_add(d, front[i], strlen(front[i]), (uint32_t)i, ADDED_SPECIAL);
        if (names == 0 && status == ECREC_OK && (status = draft_add(d, "<pad>", 5, 1, ADDED_SPECIAL)) == ECREC_OK)
            status = draft_add(d, "<unk>", 5, 3, ADDED_SPECIAL);
        if (status == ECREC_OK)
            status = draft_add(d, "<mask>", 6, (uint32_t)d->piece_count - 1, ADDED_SPECIAL | ADDED_LSTRIP);
    } else if (s->extra_ids != 0) {
        status = put_extra(d, s->extra_ids);
    }
    if (status == ECREC_OK && d->settings.unknown == NO_ID)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: it has no piece for what is unknown", d->name);
    return status == ECREC_OK ? draft_index(d) : status;
}

/* The package's own (0.2.3): only normal pieces, user defined symbols and (BPE) unused ones are found in a text. To a segmentation a
 * symbol is worth a tenth for each byte after its first, which is more than any piece. */
static int32_t plain_vocabulary(model *m)
{
    draft *d = m->d;
    double least = 0;
    int any = 0;
    int32_t status = draft_pieces(d, m->count + 8);
    for (size_t i = 0; i < m->count; i++) {
        const spiece *p = &m->pieces[i];
        if (p->type != TYPE_NORMAL)
            continue;
        least = !any || p->score < least ? p->score : least;
        any = 1;
    }
    d->least_score = least;
    d->settings.unknown = NO_ID;
    for (size_t i = 0; i < m->count && status == ECREC_OK; i++) {
        const spiece *p = &m->pieces[i];
        const int symbol = p->type == TYPE_USER && p->length != 0, found = symbol || p->type == TYPE_NORMAL || (p->type == TYPE_UNUSED && m->kind == KIND_BPE);
        put(d, p->text, p->length, symbol ? (double)(0.1f * (float)(p->length - 1)) : p->score);
        d->pieces[i].hidden = !found;
        if (p->type == TYPE_UNKNOWN && d->settings.unknown == NO_ID)
            d->settings.unknown = (uint32_t)i;
        if (p->length != 0 && (symbol || p->type == TYPE_CONTROL || p->type == TYPE_UNKNOWN))
            status = draft_add(d, p->text, p->length, (uint32_t)i, symbol ? ADDED_NORMALIZED : ADDED_SPECIAL | ADDED_UNSEEN);
    }
    if (status == ECREC_OK && d->settings.unknown == NO_ID)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: it has no piece for what is unknown", d->name);
    return status == ECREC_OK ? draft_index(d) : status;
}

/* ---- BPE: the merges are not in the file, every split of a piece into two pieces is one ---- */

typedef struct candidate { merge_pair pair; double score; uint32_t left, right, order, left_length, right_length; } candidate;

static int by_ids(const void *a, const void *b, void *opaque)
{
    const candidate *x = a, *y = b;
    (void)opaque;
    return x->left != y->left ? (x->left < y->left ? -1 : 1) : x->right < y->right ? -1 : x->right > y->right;
}

static int by_score(const void *a, const void *b, void *opaque)
{
    const candidate *x = a, *y = b;
    (void)opaque;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->left_length != y->left_length)
        return x->left_length > y->left_length ? -1 : 1;
    if (x->right_length != y->right_length)
        return x->right_length > y->right_length ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int32_t add_candidates(draft *d, const piece *p, buffer *list)
{
    const size_t first = list->length / sizeof(candidate);
    uint32_t characters = 0, before = 0;
    for (size_t i = 0; i < p->length; i++)
        characters += ((unsigned char)p->text[i] & 0xC0) != 0x80;
    for (size_t i = 1; i < p->length; i++) {
        before += ((unsigned char)p->text[i - 1] & 0xC0) != 0x80;
        if (((unsigned char)p->text[i] & 0xC0) == 0x80)
            continue;
        const uint32_t left = draft_find(d, p->text, i), right = draft_find(d, p->text + i, p->length - i);
        if (left == NO_ID || right == NO_ID)
            continue;
        const candidate c = { { { p->text, i }, { p->text + i, p->length - i } }, p->score, left, right, 0, before, characters - before };
        if (buffer_append(list, &c, sizeof c) != ECREC_OK)
            return error_nomem(d->err, "the merges", list->length);
    }
    candidate *own = (candidate *)(void *)list->data;
    if (own != NULL)
        sort_items(own + first, list->length / sizeof(candidate) - first, sizeof *own, by_ids, NULL);
    return ECREC_OK;
}

/* equal 1: merges of one score have one rank, so that the leftmost goes first. */
static int32_t find_merges(draft *d, int equal)
{
    buffer list;
    buffer_init(&list, d->m);
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < d->piece_count && status == ECREC_OK; i++)
        status = d->pieces[i].hidden ? ECREC_OK : add_candidates(d, &d->pieces[i], &list);
    const size_t n = list.length / sizeof(candidate);
    candidate *all = (candidate *)(void *)list.data;
    for (size_t i = 0; i < n; i++)
        all[i].order = (uint32_t)i;
    if (status == ECREC_OK && (d->merges = arena_allocate(&d->a, n * sizeof *d->merges + 1)) == NULL)
        status = error_nomem(d->err, "the merges", n * sizeof *d->merges);
    if (status == ECREC_OK) {
        sort_items(all, n, sizeof *all, by_score, NULL);
        for (size_t i = 0; i < n; i++)
            d->merges[i] = all[i].pair;
        d->merge_count = n;
    }
    if (status == ECREC_OK && equal && (d->ranks = arena_allocate(&d->a, n * sizeof *d->ranks + 1)) == NULL)
        status = error_nomem(d->err, "the merges", n * sizeof *d->ranks);
    for (size_t i = 0; status == ECREC_OK && equal && i < n; i++)
        d->ranks[i] = i != 0 && all[i].score == all[i - 1].score ? d->ranks[i - 1] : (uint32_t)i;
    buffer_release(&list);
    return status;
}

/* ---- steps ---- */

/* As the published files of T5, XLM-RoBERTa and CamemBERT have it. */
static int32_t usual_steps(model *m)
{
    draft *d = m->d;
    image_op map = { .kind = OP_CHARSMAP };
    int32_t status = ECREC_OK;
    if (m->charsmap_length != 0 && (status = draft_text(d, (const char *)m->charsmap, m->charsmap_length, &map.text, &map.text_length)) == ECREC_OK)
        status = draft_charsmap(d, map);
    if (status == ECREC_OK)
        status = draft_op(d, 1, (image_op){ .kind = OP_SPACE_SPLIT });
    if (status == ECREC_OK)
        status = draft_op(d, 1, (image_op){ .kind = OP_METASPACE, .value = 0x2581, .flags = (m->dummy_prefix ? METASPACE_ALWAYS : 0u) | METASPACE_SPLIT });
    return status == ECREC_OK ? draft_op(d, 2, (image_op){ .kind = OP_DECODE_METASPACE, .value = 0x2581, .flags = m->dummy_prefix != 0 }) : status;
}

static int32_t llama_steps(model *m)
{
    draft *d = m->d;
    image_op prefix = { .kind = OP_PREPEND }, blank = { .kind = OP_REPLACE }, back = { .kind = OP_REPLACE };
    int32_t status = ECREC_OK;
    if (m->dummy_prefix && (status = draft_text(d, mark, 3, &prefix.text, &prefix.text_length)) == ECREC_OK)
        status = draft_op(d, 0, prefix);
    if (status != ECREC_OK || (status = draft_text(d, " ", 1, &blank.text, &blank.text_length)) != ECREC_OK ||
        (status = draft_text(d, mark, 3, &blank.other, &blank.other_length)) != ECREC_OK || (status = draft_op(d, 0, blank)) != ECREC_OK)
        return status;
    back = (image_op){ .kind = OP_REPLACE, .text = blank.other, .text_length = 3, .other = blank.text, .other_length = 1 };
    if ((status = draft_op(d, 2, back)) != ECREC_OK || (status = draft_op(d, 2, (image_op){ .kind = OP_DECODE_FALLBACK })) != ECREC_OK ||
        (status = draft_op(d, 2, (image_op){ .kind = OP_DECODE_FUSE })) != ECREC_OK)
        return status;
    return draft_op(d, 2, (image_op){ .kind = OP_DECODE_STRIP, .value = ' ', .flags = 1 });
}

/* May a text be cut in front of every mark? Where a mark begins every piece that it is in, and is one itself. */
static int marks_begin(const model *m)
{
    const draft *d = m->d;
    int alone = 0;
    for (size_t i = 0; i < d->piece_count; i++) {
        const piece *p = &d->pieces[i];
        if (p->hidden)
            continue;
        alone |= p->length == 3 && memcmp(p->text, mark, 3) == 0;
        for (size_t k = 1; k + 3 <= p->length; k++)
            if (memcmp(p->text + k, mark, 3) == 0)
                return 0;
    }
    return alone && m->escape && !m->suffix;
}

static int32_t plain_steps(model *m)
{
    draft *d = m->d;
    image_op op = { .kind = OP_SENTENCEPIECE, .flags = (m->dummy_prefix ? SENTENCEPIECE_PREFIX : 0u) | (m->collapse ? SENTENCEPIECE_COLLAPSE : 0u) |
                                                       (m->escape ? SENTENCEPIECE_ESCAPE : 0u) | (m->suffix ? SENTENCEPIECE_SUFFIX : 0u) };
    image_op split = { .kind = OP_SPLIT, .value = BEHAVE_MERGED_NEXT };
    int32_t status = ECREC_OK;
    if (m->charsmap_length != 0)
        status = draft_text(d, (const char *)m->charsmap, m->charsmap_length, &op.text, &op.text_length);
    if (status == ECREC_OK)
        status = draft_op(d, 0, op);
    if (status == ECREC_OK && m->kind == KIND_BPE && marks_begin(m) && (status = draft_text(d, mark, 3, &split.text, &split.text_length)) == ECREC_OK)
        status = draft_op(d, 1, split);
    if (status == ECREC_OK && m->fallback)
        status = draft_op(d, 2, (image_op){ .kind = OP_DECODE_FALLBACK });
    return status == ECREC_OK ? draft_op(d, 2, (image_op){ .kind = OP_DECODE_METASPACE, .value = 0x2581, .flags = m->dummy_prefix || m->collapse }) : status;
}

/* A </s> and A </s> B </s>; <s> A; <s> A </s> as RoBERTa. */
static int32_t special_tokens(draft *d, int family)
{
    const uint32_t begin = draft_find(d, "<s>", 3), end = draft_find(d, "</s>", 4);
    const image_slot first = { SLOT_FIRST, 0, 0, 0 }, second = { SLOT_SECOND, 0, family == SENTENCEPIECE_LLAMA, 0 };
    if (family == SENTENCEPIECE_PLAIN)
        return draft_plain(d);
    if (end == NO_ID || (begin == NO_ID && family != SENTENCEPIECE_T5))
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: it has no \"<s>\" or \"</s>\"", d->name);
    if (family == SENTENCEPIECE_XLMR || family == SENTENCEPIECE_CAMEMBERT)
        return draft_roberta(d, begin, end);
    int32_t status = ECREC_OK;
    for (int pair = 0; pair < 2 && status == ECREC_OK; pair++)
        for (int text = 0; text <= pair && status == ECREC_OK; text++) {
            const image_slot *own = text ? &second : &first;
            if (family == SENTENCEPIECE_LLAMA)
                status = draft_slot(d, pair, SLOT_TOKEN, begin, own->type);
            if (status == ECREC_OK)
                status = draft_slot(d, pair, own->kind, 0, own->type);
            if (status == ECREC_OK && family == SENTENCEPIECE_T5)
                status = draft_slot(d, pair, SLOT_TOKEN, end, 0);
        }
    return status;
}

static int32_t fill(model *m, const char *bytes, size_t length, const sentencepiece_settings *s)
{
    draft *d = m->d;
    const int plain = s->family == SENTENCEPIECE_PLAIN;
    int32_t status = read_model(m, bytes, length);
    if (status == ECREC_OK)
        status = plain ? plain_vocabulary(m) : vocabulary(m, s);
    if (status != ECREC_OK)
        return status;
    d->settings.model = m->kind == KIND_BPE ? MODEL_BPE : MODEL_UNIGRAM;
    d->settings.flags = TOKENIZER_DECODER | (m->fallback ? TOKENIZER_BYTE_FALLBACK : 0u) | (m->kind == KIND_BPE ? TOKENIZER_FUSE_UNKNOWN : 0u) |
                        (plain && m->kind == KIND_UNIGRAM ? TOKENIZER_WHOLE : 0u);
    if (m->kind == KIND_BPE && (status = find_merges(d, plain)) != ECREC_OK)
        return status;
    status = plain ? plain_steps(m) : s->family == SENTENCEPIECE_LLAMA ? llama_steps(m) : usual_steps(m);
    return status == ECREC_OK ? special_tokens(d, s->family) : status;
}

int32_t tokenizer_compile_sentencepiece(memory *m, const char *bytes, size_t length, const sentencepiece_settings *settings, buffer *image,
                                        ecrec_error *err)
{
    draft *d = memory_allocate(m, sizeof *d);
    if (d == NULL)
        return error_nomem(err, "a tokenizer", sizeof *d);
    draft_open(d, m, "the SentencePiece model", err);
    model own = { .d = d, .kind = KIND_UNIGRAM, .dummy_prefix = 1, .collapse = 1, .escape = 1 };
    int32_t status = fill(&own, bytes, length, settings);
    if (status == ECREC_OK)
        status = draft_write(d, image);
    draft_close(d);
    memory_release(m, d, sizeof *d);
    return status;
}
