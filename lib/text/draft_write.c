/* The image of a draft. */
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/format.h"
#include "base/sort.h"
#include "text/draft.h"
#include "text/normalize.h"
#include "text/trie.h"
#include "text/utf8.h"
#include "text/work.h"

typedef struct writer {
    draft *d;
    buffer *image;
    uint64_t offset[PART_COUNT], length[PART_COUNT];
    const text_span *normalized; /* of each added token, or NULL while they are not known */
} writer;

static int32_t begin_part(writer *w, int part)
{
    const int32_t status = buffer_zeros(w->image, (8 - w->image->length % 8) % 8);
    w->offset[part] = w->image->length;
    return status;
}

static void end_part(writer *w, int part)
{
    w->length[part] = w->image->length - w->offset[part];
}

static int32_t whole_part(writer *w, int part, const void *bytes, size_t n)
{
    int32_t status = begin_part(w, part);
    if (status == ECREC_OK && n != 0)
        status = buffer_append(w->image, bytes, n);
    end_part(w, part);
    return status == ECREC_OK ? ECREC_OK : error_nomem(w->d->err, "the tokenizer", n);
}

/* ---- pieces ---- */

static int32_t check_piece(draft *d, const char *text, uint32_t length, uint32_t id)
{
    if (id >= MOST_PIECES || (size_t)id > 16 * (d->piece_count + d->added_count) + 65536)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: the piece \"%.*s\" has id %u, which is too large", d->name, (int)length, text, id);
    if (length > MOST_PIECE_BYTES)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: the piece of id %u has %u bytes, at most %d are possible", d->name, id, length, MOST_PIECE_BYTES);
    if (id >= d->settings.size)
        d->settings.size = id + 1;
    return ECREC_OK;
}

/* An added token as it is found: normalised where the normalised text is searched. */
static text_span spelling(const writer *w, size_t i)
{
    const added_piece *p = &w->d->added[i];
    return w->normalized != NULL && (p->flags & ADDED_NORMALIZED) ? w->normalized[i] : (text_span){ p->text, p->length };
}

static int32_t write_pieces(writer *w)
{
    draft *d = w->d;
    const uint32_t size = d->settings.size;
    text_span *by_id = memory_zero(d->m, memory_product(size, sizeof *by_id));
    if (by_id == NULL)
        return error_nomem(d->err, "the vocabulary", size * sizeof *by_id);
    for (size_t i = 0; i < d->piece_count; i++)
        by_id[d->pieces[i].id] = (text_span){ d->pieces[i].text, d->pieces[i].length };
    for (size_t i = 0; i < d->added_count; i++)
        by_id[d->added[i].id] = spelling(w, i);
    uint64_t at = 0;
    int32_t status = begin_part(w, PART_PIECE_STARTS);
    for (uint32_t i = 0; i < size && status == ECREC_OK; i++) {
        status = write_u32(w->image, (uint32_t)at);
        at += by_id[i].text != NULL ? by_id[i].length + 1 : 0;
    }
    if (status == ECREC_OK && at < UINT32_MAX && (status = write_u32(w->image, (uint32_t)at)) == ECREC_OK) {
        end_part(w, PART_PIECE_STARTS);
        status = begin_part(w, PART_PIECES);
    }
    for (uint32_t i = 0; i < size && status == ECREC_OK; i++)
        if (by_id[i].text != NULL && (status = buffer_append(w->image, by_id[i].text, by_id[i].length)) == ECREC_OK)
            status = write_u8(w->image, 0);
    end_part(w, PART_PIECES);
    memory_release(d->m, by_id, size * sizeof *by_id);
    return status == ECREC_OK ? ECREC_OK : error_nomem(d->err, "the vocabulary", (size_t)at);
}

/* ---- the vocabulary's trie ---- */

/* A piece spelt in characters that stand for bytes, as the bytes; 0: it is none. */
static int raw_bytes(draft *d, const piece *p, trie_key *out)
{
    char *bytes = arena_allocate(&d->a, (size_t)p->length + 1);
    size_t n = 0;
    if (bytes == NULL)
        return -1;
    for (size_t i = 0; i < p->length; n++) {
        uint32_t c;
        i += utf8_next((const unsigned char *)p->text + i, p->length - i, &c);
        const int byte = character_byte(c);
        if (byte < 0)
            return 0;
        bytes[n] = (char)byte;
    }
    *out = (trie_key){ bytes, (uint32_t)n, p->id };
    return 1;
}

static int one_character(const char *text, size_t n)
{
    uint32_t c;
    return n != 0 && utf8_next((const unsigned char *)text, n, &c) == n;
}

/* The key of a piece in group g; 0: it has none there, -1: no memory. */
static int key_of(draft *d, const piece *p, int g, trie_key *out)
{
    const size_t prefix = g & 1 ? strlen(d->prefix) : 0, suffix = g & 2 ? strlen(d->suffix) : 0;
    const int whole = d->settings.model != MODEL_BPE || (g == 0 && (d->settings.flags & TOKENIZER_IGNORE_MERGES));
    if (p->hidden || p->length <= prefix + suffix || memcmp(p->text, d->prefix, prefix) != 0 || memcmp(p->text + p->length - suffix, d->suffix, suffix) != 0)
        return 0;
    if (d->settings.flags & TOKENIZER_RAW_BYTES)
        return whole ? raw_bytes(d, p, out) : 0;
    *out = (trie_key){ p->text + prefix, p->length - (uint32_t)(prefix + suffix), p->id };
    return whole || one_character(out->text, out->length);
}

/* Of equal keys the last piece stays: sorted by text, those that are equal lie together in their old order reversed or not, so the
 * index decides. */
static size_t unique(const draft *d, trie_key *keys, size_t n, int g)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept != 0 && keys[kept - 1].length == keys[i].length && memcmp(keys[kept - 1].text, keys[i].text, keys[i].length) == 0) {
            if (g == 0 && !(d->settings.flags & TOKENIZER_RAW_BYTES))
                keys[kept - 1].id = draft_find(d, keys[i].text, keys[i].length);
            continue;
        }
        keys[kept++] = keys[i];
    }
    return kept;
}

static int32_t write_trie(writer *w)
{
    draft *d = w->d;
    const size_t bytes = memory_product(d->piece_count, sizeof(trie_key));
    trie_group groups[TRIE_GROUPS] = { { NULL, 0 } };
    const int wordpiece = d->settings.model == MODEL_WORDPIECE, bpe = d->settings.model == MODEL_BPE;
    buffer units;
    buffer_init(&units, d->m);
    int32_t status = ECREC_OK;
    for (int g = 0; g < TRIE_GROUPS && status == ECREC_OK; g++) {
        if (g != 0 && !(bpe && !(d->settings.flags & TOKENIZER_RAW_BYTES)) && !(wordpiece && g == 1))
            continue;
        if ((groups[g].keys = memory_allocate(d->m, bytes)) == NULL) {
            status = ECREC_ERR_NOMEM;
            break;
        }
        size_t n = 0;
        for (size_t i = 0; i < d->piece_count && status == ECREC_OK; i++) {
            const int has = key_of(d, &d->pieces[i], g, &groups[g].keys[n]);
            status = has < 0 ? ECREC_ERR_NOMEM : ECREC_OK;
            n += has > 0;
        }
        trie_sort(groups[g].keys, n);
        groups[g].count = unique(d, groups[g].keys, n, g);
    }
    if (status == ECREC_OK)
        status = trie_build(d->m, groups, TRIE_GROUPS, &units, d->settings.roots);
    for (int g = 0; g < TRIE_GROUPS; g++)
        memory_release(d->m, groups[g].keys, groups[g].keys != NULL ? bytes : 0);
    status = status == ECREC_OK ? whole_part(w, PART_TRIE, units.data, units.length) : error_nomem(d->err, "the trie of the vocabulary", units.length);
    buffer_release(&units);
    return status;
}

/* ---- added tokens ---- */

static int by_id(const void *a, const void *b, void *opaque)
{
    const added_piece *x = a, *y = b;
    (void)opaque;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->flags < y->flags ? -1 : x->flags > y->flags;
}

/* Special by its content, but not by the spelling that decoding sees. */
static int is_shown(const writer *w, size_t i)
{
    const draft *d = w->d;
    const text_span own = spelling(w, i);
    if (!(d->added[i].flags & ADDED_SPECIAL) || (own.length == d->added[i].length && memcmp(own.text, d->added[i].text, own.length) == 0))
        return 0;
    for (size_t j = 0; j < d->added_count; j++)
        if ((d->added[j].flags & ADDED_SPECIAL) && d->added[j].length == own.length && memcmp(d->added[j].text, own.text, own.length) == 0)
            return 0;
    return 1;
}

static int32_t write_added(writer *w)
{
    draft *d = w->d;
    trie_group groups[TRIE_GROUPS] = { { NULL, 0 } };
    uint32_t roots[TRIE_GROUPS] = { 0 };
    buffer units;
    buffer_init(&units, d->m);
    int32_t status = begin_part(w, PART_ADDED);
    for (size_t i = 0; i < d->added_count && status == ECREC_OK; i++) {
        const image_added one = { d->added[i].id, d->added[i].flags | (is_shown(w, i) ? ADDED_SHOWN : 0u) };
        status = buffer_append(w->image, &one, sizeof one);
    }
    end_part(w, PART_ADDED);
    for (int g = 0; g < 2 && status == ECREC_OK; g++) {
        size_t n = 0;
        trie_key *keys = arena_allocate(&d->a, d->added_count * sizeof *keys + 1);
        if (keys == NULL) {
            status = ECREC_ERR_NOMEM;
            break;
        }
        for (size_t i = 0; i < d->added_count; i++) {
            const int normalized = (d->added[i].flags & ADDED_NORMALIZED) != 0;
            if ((d->added[i].flags & ADDED_UNSEEN) || normalized != g || (g == 1 && w->normalized == NULL))
                continue;
            const text_span text = spelling(w, i);
            if (text.length != 0)
                keys[n++] = (trie_key){ text.text, (uint32_t)text.length, (uint32_t)i };
        }
        trie_sort(keys, n);
        groups[g] = (trie_group){ keys, unique(d, keys, n, 1) };
    }
    if (status == ECREC_OK && d->added_count != 0)
        status = trie_build(d->m, groups, 2, &units, roots);
    d->settings.added_roots[0] = roots[0];
    d->settings.added_roots[1] = roots[1];
    status = status == ECREC_OK ? whole_part(w, PART_ADDED_TRIE, units.data, units.length) : error_nomem(d->err, "the added tokens", units.length);
    buffer_release(&units);
    return status;
}

/* ---- what the models need ---- */

static int32_t write_scores(writer *w)
{
    draft *d = w->d;
    double least = 0;
    int32_t status = begin_part(w, PART_SCORES);
    if (d->settings.model == MODEL_UNIGRAM) {
        if (status == ECREC_OK)
            status = buffer_zeros(w->image, (size_t)d->settings.size * sizeof(double));
        for (size_t i = 0; i < d->piece_count && status == ECREC_OK; i++) {
            const double score = d->pieces[i].score;
            memcpy(w->image->data + w->offset[PART_SCORES] + (size_t)d->pieces[i].id * sizeof score, &score, sizeof score);
            least = i == 0 || score < least ? score : least;
        }
        if (d->least_score != 0)
            least = d->least_score;
        d->settings.unknown_score = least - 10.0; /* SentencePiece's kUnkPenalty */
    }
    end_part(w, PART_SCORES);
    return status == ECREC_OK ? ECREC_OK : error_nomem(d->err, "the scores", (size_t)d->settings.size * sizeof(double));
}

static int32_t no_piece(const draft *d, size_t number, const char *text, size_t length)
{
    return error_set(d->err, ECREC_ERR_FORMAT, "%s: merge %zu needs the piece \"%.*s\", which is not in the vocabulary", d->name, number + 1,
                     (int)(length < 200 ? length : 200), text);
}

static int32_t put_merges(draft *d, image_merge *table, size_t size)
{
    const size_t prefix = strlen(d->prefix);
    char joined[512];
    for (size_t i = 0; i < d->merge_count; i++) {
        const text_span a = d->merges[i].left, b = d->merges[i].right;
        const uint32_t left = draft_find(d, a.text, a.length), right = draft_find(d, b.text, b.length);
        if (left == NO_ID || right == NO_ID)
            return left == NO_ID ? no_piece(d, i, a.text, a.length) : no_piece(d, i, b.text, b.length);
        if (b.length < prefix || a.length + b.length - prefix > sizeof joined)
            return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: merge %zu makes a piece without continuing_subword_prefix or of more than %zu bytes", d->name,
                             i + 1, sizeof joined);
        memcpy(joined, a.text, a.length);
        memcpy(joined + a.length, b.text + prefix, b.length - prefix);
        const uint32_t id = draft_find(d, joined, a.length + b.length - prefix);
        if (id == NO_ID)
            return no_piece(d, i, joined, a.length + b.length - prefix);
        size_t slot = merge_slot(left, right) & (size - 1);
        while (table[slot].left != NO_ID && (table[slot].left != left || table[slot].right != right))
            slot = (slot + 1) & (size - 1);
        table[slot] = (image_merge){ left, right, d->ranks != NULL ? d->ranks[i] : (uint32_t)i, id };
    }
    return ECREC_OK;
}

/* The symbol of each byte: alone, inside, at the end. */
static void byte_symbols(const draft *d, uint32_t out[1024])
{
    char text[256];
    const size_t prefix = strlen(d->prefix), suffix = strlen(d->suffix);
    for (uint32_t i = 0; i < 1024; i++) {
        size_t n = 0;
        if (i & 256) {
            memcpy(text, d->prefix, prefix);
            n = prefix;
        }
        n += utf8_put(byte_character((unsigned char)(i & 255)), (unsigned char *)text + n);
        if (i & 512) {
            memcpy(text + n, d->suffix, suffix);
            n += suffix;
        }
        out[i] = draft_find(d, text, n);
    }
}

/* Is every byte a symbol, wherever it stands? Or told as unknown? */
static int all_bytes(const draft *d)
{
    uint32_t symbols[1024];
    byte_symbols(d, symbols);
    for (size_t i = 0; i < 1024; i++)
        if (symbols[i] == NO_ID && d->settings.unknown == NO_ID)
            return 0;
    return 1;
}

static int32_t write_merges(writer *w)
{
    draft *d = w->d;
    size_t size = 16;
    uint32_t bytes[1024];
    if (d->settings.model != MODEL_BPE) {
        const int32_t status = whole_part(w, PART_MERGES, NULL, 0);
        return status == ECREC_OK ? whole_part(w, PART_BYTES, NULL, 0) : status;
    }
    while (size < 2 * d->merge_count + 2)
        size *= 2;
    image_merge *table = memory_allocate(d->m, size * sizeof *table);
    if (table == NULL)
        return error_nomem(d->err, "the merges", size * sizeof *table);
    memset(table, 0xFF, size * sizeof *table);
    int32_t status = put_merges(d, table, size);
    if (status == ECREC_OK)
        status = whole_part(w, PART_MERGES, table, size * sizeof *table);
    memory_release(d->m, table, size * sizeof *table);
    if (status != ECREC_OK)
        return status;
    const int raw = (d->settings.flags & TOKENIZER_RAW_BYTES) != 0;
    if (raw)
        byte_symbols(d, bytes);
    return whole_part(w, PART_BYTES, bytes, raw ? sizeof bytes : 0);
}

static void fallback_bytes(draft *d)
{
    char text[8];
    if (d->settings.flags & TOKENIZER_BYTE_FALLBACK)
        for (unsigned i = 0; i < 256; i++) {
            const char digits[] = "0123456789ABCDEF";
            const size_t n = format_text(text, sizeof text, "<0x%c%c>", digits[i >> 4], digits[i & 15]);
            d->settings.bytes[i] = draft_find(d, text, n);
        }
}

/* ---- the whole ---- */

static int32_t write_parts(writer *w)
{
    static const int parts[3] = { PART_NORMALIZER, PART_PRE_TOKENIZER, PART_DECODER };
    draft *d = w->d;
    int32_t status = ECREC_OK;
    memset(w->offset, 0, sizeof w->offset);
    memset(w->length, 0, sizeof w->length);
    w->image->length = 0;
    if (buffer_zeros(w->image, IMAGE_HEADER + PART_COUNT * 16) != ECREC_OK || begin_part(w, PART_SETTINGS) != ECREC_OK ||
        buffer_zeros(w->image, sizeof d->settings) != ECREC_OK)
        return error_nomem(d->err, "the tokenizer", sizeof d->settings);
    end_part(w, PART_SETTINGS);
    if ((status = write_pieces(w)) != ECREC_OK || (status = write_trie(w)) != ECREC_OK || (status = write_added(w)) != ECREC_OK)
        return status;
    for (int pair = 0; pair < 2 && status == ECREC_OK; pair++)
        status = whole_part(w, pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE, d->slots[pair], d->slot_count[pair] * sizeof(image_slot));
    for (int i = 0; i < 3 && status == ECREC_OK; i++)
        status = whole_part(w, parts[i], d->ops[i], d->op_count[i] * sizeof(image_op));
    if (status != ECREC_OK || (status = whole_part(w, PART_DATA, d->data.data, d->data.length)) != ECREC_OK ||
        (status = whole_part(w, PART_PATTERNS, d->patterns.data, d->patterns.length)) != ECREC_OK ||
        (status = whole_part(w, PART_TABLES, d->tables.data, d->tables.length)) != ECREC_OK || (status = write_scores(w)) != ECREC_OK ||
        (status = write_merges(w)) != ECREC_OK)
        return status;
    if (buffer_zeros(w->image, (8 - w->image->length % 8) % 8) != ECREC_OK)
        return error_nomem(d->err, "the tokenizer", w->image->length);
    memcpy(w->image->data + w->offset[PART_SETTINGS], &d->settings, sizeof d->settings);
    const image_pattern *patterns = (const image_pattern *)(const void *)d->patterns.data;
    uint32_t more = 0;
    for (size_t i = 0; i < d->patterns.length / sizeof *patterns; i++)
        more |= patterns[i].more;
    more |= d->op_count[0] != 0 && d->ops[0][0].kind == OP_SENTENCEPIECE;
    const uint32_t header[4] = { IMAGE_MAGIC, more != 0 ? IMAGE_VERSION_MORE : IMAGE_VERSION, PART_COUNT, 0 };
    memcpy(w->image->data, header, sizeof header);
    for (int i = 0; i < PART_COUNT; i++) {
        const uint64_t entry[2] = { w->offset[i], w->length[i] };
        memcpy(w->image->data + IMAGE_HEADER + 16 * i, entry, sizeof entry);
    }
    return ECREC_OK;
}

/* Added tokens that are looked for in the normalised text are normalised themselves: by the image without them. */
static int32_t normalize_added(writer *w, text_span *out)
{
    draft *d = w->d;
    tokenizer t;
    token_work *work = NULL;
    int32_t status = tokenizer_open(&t, w->image->data, w->image->length, d->err);
    if (status != ECREC_OK || (status = token_work_create(d->m, &t, &work, d->err)) != ECREC_OK)
        return status;
    for (size_t i = 0; i < d->added_count && status == ECREC_OK; i++) {
        if (!(d->added[i].flags & ADDED_NORMALIZED))
            continue;
        if (d->op_count[0] != 0 && d->ops[0][0].kind == OP_SENTENCEPIECE) { /* which leaves them alone */
            out[i] = (text_span){ d->added[i].text, d->added[i].length };
            continue;
        }
        if (!normalize_load(work, NULL, 0, (const unsigned char *)d->added[i].text, 0, d->added[i].length) || !normalize_run(&t, work)) {
            status = error_nomem(d->err, "an added token", d->added[i].length);
            break;
        }
        const char *text = arena_copy(&d->a, (const char *)work->now.bytes, work->now.length);
        out[i] = (text_span){ text, work->now.length };
        if (text == NULL)
            status = error_nomem(d->err, "an added token", work->now.length);
    }
    token_work_destroy(work);
    return status;
}

/* BERT's pipeline has a pass of its own; bytes as characters need not be written as such. */
static void choose_passes(draft *d)
{
    const image_op *normalizer = d->ops[0], *pre = d->ops[1];
    const size_t n = d->op_count[1];
    int normalized = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < d->added_count; i++)
        normalized |= (d->added[i].flags & ADDED_NORMALIZED) != 0;
    if (d->settings.model == MODEL_WORDPIECE && !normalized && !(d->settings.flags & TOKENIZER_TRIM) && d->settings.word_limit <= 1000 && n == 2 && pre[0].kind == OP_SPACE_SPLIT &&
        pre[1].kind == OP_PUNCTUATION && pre[1].value == BEHAVE_ISOLATED && (d->op_count[0] == 0 || (d->op_count[0] == 1 && normalizer[0].kind == OP_BERT))) {
        d->settings.flags |= TOKENIZER_BERT;
        d->settings.normalizer = d->op_count[0] != 0 ? normalizer[0].flags : 0;
    }
    for (size_t i = 0; i < n; i++)
        bytes += pre[i].kind == OP_BYTES;
    if (d->settings.model == MODEL_BPE && !(d->settings.flags & TOKENIZER_BYTE_FALLBACK) && bytes == 1 && pre[n - 1].kind == OP_BYTES && all_bytes(d)) {
        d->settings.flags |= TOKENIZER_RAW_BYTES;
        d->op_count[1]--;
    }
}

int32_t draft_write(draft *d, buffer *image)
{
    writer w = { .d = d, .image = image };
    int32_t status = ECREC_OK;
    if (d->piece_count == 0)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: the vocabulary is empty", d->name);
    for (size_t i = 0; i < d->piece_count && status == ECREC_OK; i++)
        status = check_piece(d, d->pieces[i].text, d->pieces[i].length, d->pieces[i].id);
    for (size_t i = 0; i < d->added_count && status == ECREC_OK; i++)
        status = check_piece(d, d->added[i].text, d->added[i].length, d->added[i].id);
    if (status == ECREC_OK && strlen(d->prefix) + strlen(d->suffix) > 128)
        status = error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: continuing_subword_prefix or end_of_word_suffix is longer than 64 bytes", d->name);
    if (status != ECREC_OK || (status = draft_text(d, d->prefix, strlen(d->prefix), &d->settings.prefix, &d->settings.prefix_length)) != ECREC_OK ||
        (status = draft_text(d, d->suffix, strlen(d->suffix), &d->settings.suffix, &d->settings.suffix_length)) != ECREC_OK)
        return status;
    /* of several added tokens with one id the last one said stays */
    sort_items(d->added, d->added_count, sizeof *d->added, by_id, NULL);
    size_t kept = 0, normalized = 0;
    for (size_t i = 0; i < d->added_count; i++) {
        if (kept == 0 || d->added[kept - 1].id != d->added[i].id)
            d->added[kept++] = d->added[i];
        normalized += (d->added[i].flags & ADDED_NORMALIZED) != 0;
    }
    d->added_count = kept;
    fallback_bytes(d);
    choose_passes(d);
    if ((status = write_parts(&w)) == ECREC_OK && normalized != 0) {
        text_span *texts = arena_zero(&d->a, d->added_count * sizeof *texts);
        status = texts == NULL ? error_nomem(d->err, "the added tokens", d->added_count) : normalize_added(&w, texts);
        w.normalized = texts;
        if (status == ECREC_OK)
            status = write_parts(&w);
    }
    tokenizer check;
    return status == ECREC_OK ? tokenizer_open(&check, image->data, image->length, d->err) : status;
}
