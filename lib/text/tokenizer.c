#include "text/tokenizer.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "text/image.h"
#include "text/unicode.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

enum { MOST_SLOTS = 64, MOST_ADDED = 4096, MOST_WORD = 1000 };

static int32_t bad(ecrec_error *err, const char *what)
{
    return error_set(err, ECREC_ERR_FORMAT, "the tokenizer in the model is damaged: %s", what);
}

static int32_t open_parts(tokenizer *t, ecrec_error *err)
{
    static const size_t sizes[PART_COUNT] = { sizeof(image_settings), 4, 1, sizeof(trie_unit), sizeof(image_added),
                                              sizeof(image_slot), sizeof(image_slot) };
    reader r;
    reader_init(&r, t->image, t->length);
    const uint32_t magic = read_u32(&r), version = read_u32(&r), count = read_u32(&r);
    (void)read_u32(&r);
    if (r.failed || magic != IMAGE_MAGIC)
        return bad(err, "it does not begin as one");
    if (version != IMAGE_VERSION)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the tokenizer has version %u, this library reads %u", version, IMAGE_VERSION);
    if (count != PART_COUNT)
        return bad(err, "number of parts");
    for (int i = 0; i < PART_COUNT; i++) {
        const uint64_t offset = read_u64(&r), length = read_u64(&r);
        if (r.failed || offset % 8 != 0 || offset > t->length || length > t->length - offset || length % sizes[i] != 0)
            return bad(err, "a part lies outside");
        t->parts[2 * i] = offset;
        t->parts[2 * i + 1] = length;
    }
    return ECREC_OK;
}

static int32_t check_pieces(const tokenizer *t, ecrec_error *err)
{
    const size_t starts_count = image_count(t, PART_PIECE_STARTS, 4), bytes = image_count(t, PART_PIECES, 1);
    const uint32_t *starts = image_part(t, PART_PIECE_STARTS);
    const char *pieces = image_part(t, PART_PIECES);
    const uint32_t size = image_of(t)->size;
    if (size == 0 || starts_count != (size_t)size + 1 || starts[0] != 0 || starts[size] != bytes)
        return bad(err, "number of pieces");
    for (uint32_t i = 0; i < size; i++)
        if (starts[i + 1] < starts[i] || starts[i + 1] > bytes || (starts[i + 1] > starts[i] && pieces[starts[i + 1] - 1] != 0))
            return bad(err, "a piece lies outside");
    return ECREC_OK;
}

static int32_t check_trie(const tokenizer *t, ecrec_error *err)
{
    const image_settings *s = image_of(t);
    const size_t count = image_count(t, PART_TRIE, sizeof(trie_unit));
    const trie_unit *units = image_part(t, PART_TRIE);
    if (count == 0 || count % 256 != 0 || count > UINT32_MAX || s->initial_root >= count || s->continuation_root >= count)
        return bad(err, "size of the trie");
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= (uint32_t)(units[i].base >= count) | (uint32_t)(units[i].id >= s->size && units[i].id != NO_ID);
    return wrong ? bad(err, "the trie points outside") : ECREC_OK;
}

static int32_t check_template(const tokenizer *t, int part, int pair, ecrec_error *err)
{
    const size_t n = image_count(t, part, sizeof(image_slot));
    const image_slot *slots = image_part(t, part);
    int first = 0, second = 0;
    if (n > MOST_SLOTS)
        return bad(err, "length of the template");
    for (size_t i = 0; i < n; i++) {
        if (slots[i].kind > SLOT_SECOND || slots[i].type > 255 || (slots[i].kind == SLOT_TOKEN && slots[i].id >= image_of(t)->size))
            return bad(err, "a slot of the template");
        first += slots[i].kind == SLOT_FIRST;
        second += slots[i].kind == SLOT_SECOND;
    }
    return first != 1 || second != pair ? bad(err, "the template does not hold its text once") : ECREC_OK;
}

int32_t tokenizer_open(tokenizer *t, const void *image, size_t length, ecrec_error *err)
{
    memset(t, 0, sizeof *t);
    if ((uintptr_t)image % 8 != 0)
        return bad(err, "it is not aligned");
    t->image = image;
    t->length = length;
    int32_t status = open_parts(t, err);
    if (status != ECREC_OK)
        return status;
    if (t->parts[2 * PART_SETTINGS + 1] != sizeof(image_settings))
        return bad(err, "size of the settings");
    const image_settings *s = image_of(t);
    if (s->model != MODEL_WORDPIECE)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "the tokenizer's model is of kind %u, which is not known", s->model);
    if (s->word_limit == 0 || s->word_limit > MOST_WORD || s->unknown >= s->size || s->normalizer > 15)
        return bad(err, "its settings");
    if ((status = check_pieces(t, err)) != ECREC_OK || (status = check_trie(t, err)) != ECREC_OK ||
        (status = check_template(t, PART_TEMPLATE_SINGLE, 0, err)) != ECREC_OK ||
        (status = check_template(t, PART_TEMPLATE_PAIR, 1, err)) != ECREC_OK)
        return status;
    const size_t added = image_count(t, PART_ADDED, sizeof(image_added));
    const image_added *list = image_part(t, PART_ADDED);
    if (added > MOST_ADDED)
        return bad(err, "number of added tokens");
    for (size_t i = 0; i < added; i++)
        if (list[i].id >= s->size || tokenizer_piece(t, list[i].id, NULL) == NULL)
            return bad(err, "an added token has no piece");
    return ECREC_OK;
}

size_t tokenizer_scratch(const tokenizer *t)
{
    return wordpiece_scratch(image_of(t));
}

uint32_t tokenizer_size(const tokenizer *t)
{
    return image_of(t)->size;
}

const char *tokenizer_piece(const tokenizer *t, uint32_t id, size_t *length)
{
    const uint32_t *starts = image_part(t, PART_PIECE_STARTS);
    if (id >= image_of(t)->size || starts[id + 1] == starts[id])
        return NULL;
    if (length != NULL)
        *length = starts[id + 1] - starts[id] - 1;
    return (const char *)image_part(t, PART_PIECES) + starts[id];
}

uint32_t tokenizer_find(const tokenizer *t, const char *piece, size_t length)
{
    const image_added *added = image_part(t, PART_ADDED);
    for (size_t i = 0; i < image_count(t, PART_ADDED, sizeof *added); i++) {
        size_t n = 0;
        const char *own = tokenizer_piece(t, added[i].id, &n);
        if (n == length && memcmp(own, piece, n) == 0)
            return added[i].id;
    }
    const trie_unit *units = image_part(t, PART_TRIE);
    uint32_t unit = image_of(t)->initial_root;
    for (size_t i = 0; i < length; i++) {
        const uint32_t child = units[unit].base ^ (unsigned char)piece[i];
        if (units[child].check != unit)
            return NO_ID;
        unit = child;
    }
    return length != 0 ? units[unit].id : NO_ID;
}

uint32_t tokenizer_special_count(const tokenizer *t, int pair)
{
    const int part = pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE;
    return (uint32_t)image_count(t, part, sizeof(image_slot)) - (pair ? 2u : 1u);
}

uint32_t tokenizer_leading_count(const tokenizer *t)
{
    const image_slot *slots = image_part(t, PART_TEMPLATE_SINGLE);
    const size_t count = image_count(t, PART_TEMPLATE_SINGLE, sizeof *slots);
    uint32_t n = 0;
    while (n < count && slots[n].kind == SLOT_TOKEN)
        n++;
    return n;
}

/* ---- added tokens: found in the source as they are spelt ---- */

static int is_word(uint32_t c)
{
    return !unicode_is_space(c) && !unicode_is_punctuation(c) && !unicode_is_control(c);
}

static uint32_t before(const unsigned char *text, size_t from, size_t at, size_t *length)
{
    uint32_t c = ' ';
    size_t start = at;
    while (start > from && at - start < 4) {
        start--;
        if ((text[start] & 0xC0) != 0x80)
            break;
    }
    *length = start < at ? utf8_next(text + start, at - start, &c) : 0;
    if (*length != at - start) {
        c = REPLACEMENT;
        *length = 1;
    }
    return c;
}

static int alone(const unsigned char *text, size_t from, size_t begin, size_t end, size_t to)
{
    size_t n;
    uint32_t c;
    if (begin > from && is_word(before(text, from, begin, &n)))
        return 0;
    if (end < to) {
        (void)utf8_next(text + end, to - end, &c);
        return !is_word(c);
    }
    return 1;
}

typedef struct occurrence { uint32_t id; size_t begin, end; } occurrence;

/* Which added token, if any, is spelt at `at`. */
static int spelt(const tokenizer *t, const unsigned char *text, size_t from, size_t at, size_t to, occurrence *found)
{
    const image_added *added = image_part(t, PART_ADDED);
    const size_t count = image_count(t, PART_ADDED, sizeof *added);
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        const char *piece = tokenizer_piece(t, added[i].id, &n);
        if (n == 0 || n > to - at || memcmp(piece, text + at, n) != 0)
            continue;
        size_t begin = at, end = at + n, step;
        uint32_t c;
        if ((added[i].flags & ADDED_SINGLE_WORD) && !alone(text, from, begin, end, to))
            continue;
        while ((added[i].flags & ADDED_LSTRIP) && begin > from && unicode_is_space(before(text, from, begin, &step)))
            begin -= step;
        while ((added[i].flags & ADDED_RSTRIP) && end < to) {
            step = utf8_next(text + end, to - end, &c);
            if (!unicode_is_space(c))
                break;
            end += step;
        }
        *found = (occurrence){ added[i].id, begin, end };
        return 1;
    }
    return 0;
}

static void run_text(const tokenizer *t, void *scratch, const char *before, size_t before_length, const char *source,
                     size_t length, token_sink *sink)
{
    const image_added *added = image_part(t, PART_ADDED);
    const size_t count = image_count(t, PART_ADDED, sizeof *added);
    const unsigned char *text = (const unsigned char *)source;
    unsigned char first[256] = { 0 };
    int letter = -1;
    size_t done = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned char c = (unsigned char)*tokenizer_piece(t, added[i].id, NULL);
        first[c] = 1;
        letter = letter == -1 || letter == c ? c : -2; /* -2: they begin differently */
    }
    while (letter != -1 && at < length && sink->count < sink->limit) {
        if (letter >= 0) {
            const unsigned char *next = memchr(text + at, letter, length - at);
            if (next == NULL)
                break;
            at = (size_t)(next - text);
        }
        occurrence found;
        if (!first[text[at]] || !spelt(t, text, done, at, length, &found)) {
            at++;
            continue;
        }
        wordpiece_run(t, scratch, before, before_length, source, done, found.begin, sink);
        before_length = 0;
        sink_put(sink, found.id, (uint32_t)found.begin, (uint32_t)found.end);
        at = done = found.end;
    }
    if (sink->count < sink->limit)
        wordpiece_run(t, scratch, before, before_length, source, done, length, sink);
}

/* How many tokens of each text stay: longest first (transformers' "longest_first" as the reference computes it). */
static void share(size_t room, size_t *a, size_t *b)
{
    size_t n1 = *a < *b ? *a : *b, n2 = *a < *b ? *b : *a;
    if (*a + *b <= room)
        return;
    if (n1 > room)
        n2 = n1;
    else
        n2 = n1 > room - n1 ? n1 : room - n1;
    if (n1 + n2 > room) {
        n1 = room / 2;
        n2 = n1 + room % 2;
    }
    const int swapped = *a > *b;
    *a = swapped ? n2 : n1;
    *b = swapped ? n1 : n2;
}

static size_t count_tokens(const tokenizer *t, void *scratch, const tokenize_call *call, int second)
{
    token_sink sink = { .limit = SIZE_MAX };
    if (second)
        run_text(t, scratch, NULL, 0, call->pair, call->pair_length, &sink);
    else
        run_text(t, scratch, call->prompt, call->prompt_length, call->text, call->length, &sink);
    return sink.count;
}

int32_t tokenizer_run(const tokenizer *t, void *scratch, const tokenize_call *call, token_output *out, ecrec_error *err)
{
    const int pair = call->pair != NULL;
    if (call->length >= UINT32_MAX || call->pair_length >= UINT32_MAX)
        return error_set(err, ECREC_ERR_LIMIT, "a text of %zu bytes is too long (the most is 4 GiB)",
                         call->length > call->pair_length ? call->length : call->pair_length);
    const size_t specials = call->special ? tokenizer_special_count(t, pair) : 0;
    size_t room[2] = { SIZE_MAX, SIZE_MAX };
    if (call->max_length != 0) {
        const size_t most = call->max_length > specials ? call->max_length - specials : 0;
        room[0] = most < SIZE_MAX - call->first ? call->first + most : SIZE_MAX;
        if (pair) {
            room[0] = count_tokens(t, scratch, call, 0);
            room[1] = count_tokens(t, scratch, call, 1);
            share(most, &room[0], &room[1]);
        }
    }
    static const image_slot plain[2] = { { SLOT_FIRST, 0, 0, 0 }, { SLOT_SECOND, 0, 1, 0 } };
    const int part = pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE;
    const image_slot *slots = call->special ? image_part(t, part) : plain;
    const size_t slot_count = call->special ? image_count(t, part, sizeof *slots) : pair ? 2u : 1u;
    token_sink sink = { out->ids, out->offsets, out->types, out->capacity, 0, SIZE_MAX, 0, call->first };
    for (size_t i = 0; i < slot_count; i++) {
        const int second = slots[i].kind == SLOT_SECOND;
        sink.type = (uint8_t)slots[i].type;
        if (slots[i].kind == SLOT_TOKEN) {
            sink_put(&sink, slots[i].id, 0, 0);
            continue;
        }
        sink.limit = room[second] < SIZE_MAX - sink.count ? sink.count + room[second] : SIZE_MAX;
        if (room[second] != 0)
            run_text(t, scratch, second ? NULL : call->prompt, second ? 0 : call->prompt_length, second ? call->pair : call->text,
                     second ? call->pair_length : call->length, &sink);
        if (sink.count > sink.limit)
            sink.count = sink.limit;
    }
    /* a limit below the number of special tokens keeps the first of them */
    const size_t past = sink.count > call->first ? sink.count - call->first : 0;
    out->count = call->max_length != 0 && past > call->max_length ? call->max_length : past;
    return ECREC_OK;
}
