#include "text/compile.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/sort.h"
#include "text/image.h"
#include "text/trie.h"

enum { MOST_PIECES = 1 << 24, MOST_PIECE_BYTES = 1 << 16, MOST_TEMPLATE = 64, DEFAULT_WORD_LIMIT = 100 };

typedef struct piece { const char *text; uint32_t length, id; } piece;

/* What both sources are turned into. Texts point into the source or the arena. */
typedef struct draft {
    memory *m;
    const char *name; /* of the source, for messages */
    arena a;
    image_settings settings;
    const char *prefix; /* of continuing pieces */
    piece *pieces;
    size_t piece_count;
    piece *added;
    uint32_t *added_flags;
    size_t added_count;
    image_slot slots[2][MOST_TEMPLATE];
    size_t slot_count[2];
} draft;

static int by_text(const void *a, const void *b, void *opaque)
{
    const trie_key *x = a, *y = b;
    const size_t n = x->length < y->length ? x->length : y->length;
    const int order = n != 0 ? memcmp(x->text, y->text, n) : 0;
    (void)opaque;
    return order != 0 ? order : x->length < y->length ? -1 : x->length > y->length;
}

static int longer_first(const void *a, const void *b, void *opaque)
{
    const draft *d = opaque;
    const uint32_t *x = a, *y = b;
    if (d->added[*x].length != d->added[*y].length)
        return d->added[*x].length > d->added[*y].length ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static int find_piece(const draft *d, const char *text, uint32_t *id)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i < d->added_count; i++)
        if (d->added[i].length == n && memcmp(d->added[i].text, text, n) == 0) {
            *id = d->added[i].id;
            return 1;
        }
    for (size_t i = 0; i < d->piece_count; i++)
        if (d->pieces[i].length == n && memcmp(d->pieces[i].text, text, n) == 0) {
            *id = d->pieces[i].id;
            return 1;
        }
    return 0;
}

/* ---- the image ---- */

typedef struct parts_offsets { uint64_t offset[PART_COUNT], length[PART_COUNT]; } parts_offsets;

static int32_t begin_part(buffer *image, parts_offsets *o, int part)
{
    const int32_t status = buffer_zeros(image, (8 - image->length % 8) % 8);
    o->offset[part] = image->length;
    return status;
}

static void end_part(const buffer *image, parts_offsets *o, int part)
{
    o->length[part] = image->length - o->offset[part];
}

static int32_t write_pieces(const draft *d, buffer *image, parts_offsets *o, ecrec_error *err)
{
    const uint32_t size = d->settings.size;
    const piece **by_id = memory_zero(d->m, memory_product(size, sizeof *by_id));
    if (by_id == NULL)
        return error_nomem(err, "the vocabulary", size * sizeof *by_id);
    for (size_t i = 0; i < d->piece_count; i++)
        by_id[d->pieces[i].id] = &d->pieces[i];
    for (size_t i = 0; i < d->added_count; i++)
        by_id[d->added[i].id] = &d->added[i];
    uint32_t at = 0;
    int32_t status = begin_part(image, o, PART_PIECE_STARTS);
    for (uint32_t i = 0; i < size && status == ECREC_OK; i++) {
        status = write_u32(image, at);
        at += by_id[i] != NULL ? by_id[i]->length + 1 : 0;
    }
    if (status == ECREC_OK && (status = write_u32(image, at)) == ECREC_OK) {
        end_part(image, o, PART_PIECE_STARTS);
        status = begin_part(image, o, PART_PIECES);
    }
    for (uint32_t i = 0; i < size && status == ECREC_OK; i++)
        if (by_id[i] != NULL && (status = buffer_append(image, by_id[i]->text, by_id[i]->length)) == ECREC_OK)
            status = write_u8(image, 0);
    end_part(image, o, PART_PIECES);
    memory_release(d->m, by_id, size * sizeof *by_id);
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "the vocabulary", at);
}

static int32_t write_trie(draft *d, buffer *image, parts_offsets *o, ecrec_error *err)
{
    const size_t prefix = strlen(d->prefix), bytes = memory_product(d->piece_count * 2, sizeof(trie_key));
    trie_key *keys = memory_allocate(d->m, bytes);
    buffer units;
    buffer_init(&units, d->m);
    if (keys == NULL)
        return error_nomem(err, "the vocabulary", bytes);
    trie_key *rest = keys + d->piece_count;
    size_t whole = 0, rests = 0;
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < d->piece_count; i++) {
        const piece *p = &d->pieces[i];
        if (p->length == 0)
            continue;
        keys[whole++] = (trie_key){ p->text, p->length, p->id };
        if (p->length > prefix && memcmp(p->text, d->prefix, prefix) == 0)
            rest[rests++] = (trie_key){ p->text + prefix, p->length - (uint32_t)prefix, p->id };
    }
    sort_items(keys, whole, sizeof *keys, by_text, NULL);
    sort_items(rest, rests, sizeof *rest, by_text, NULL);
    for (size_t i = 1; i < whole && status == ECREC_OK; i++)
        if (by_text(&keys[i - 1], &keys[i], NULL) == 0)
            status = error_set(err, ECREC_ERR_FORMAT, "%s: the piece \"%.*s\" is there twice (ids %u and %u)", d->name,
                               (int)keys[i].length, keys[i].text, keys[i - 1].id, keys[i].id);
    uint32_t roots[2] = { 0, 0 };
    if (status == ECREC_OK) {
        status = trie_build(d->m, keys, whole, rest, rests, &units, roots);
        d->settings.initial_root = roots[0];
        d->settings.continuation_root = roots[1];
        if (status != ECREC_OK || begin_part(image, o, PART_TRIE) != ECREC_OK ||
            buffer_append(image, units.data, units.length) != ECREC_OK)
            status = error_nomem(err, "the trie of the vocabulary", units.length);
        end_part(image, o, PART_TRIE);
    }
    buffer_release(&units);
    memory_release(d->m, keys, bytes);
    return status;
}

static int32_t write_added(draft *d, buffer *image, parts_offsets *o, ecrec_error *err)
{
    uint32_t *order = arena_allocate(&d->a, d->added_count * sizeof *order + 1);
    if (order == NULL)
        return error_nomem(err, "the added tokens", d->added_count * sizeof *order);
    for (uint32_t i = 0; i < d->added_count; i++)
        order[i] = i;
    sort_items(order, d->added_count, sizeof *order, longer_first, d);
    int32_t status = begin_part(image, o, PART_ADDED);
    for (size_t i = 0; i < d->added_count && status == ECREC_OK; i++) {
        const image_added one = { d->added[order[i]].id, d->added_flags[order[i]] };
        status = buffer_append(image, &one, sizeof one);
    }
    end_part(image, o, PART_ADDED);
    for (int pair = 0; pair < 2 && status == ECREC_OK; pair++) {
        const int part = pair ? PART_TEMPLATE_PAIR : PART_TEMPLATE_SINGLE;
        if ((status = begin_part(image, o, part)) == ECREC_OK)
            status = buffer_append(image, d->slots[pair], d->slot_count[pair] * sizeof(image_slot));
        end_part(image, o, part);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(err, "the tokenizer", image->length);
}

static int32_t write_image(draft *d, buffer *image, ecrec_error *err)
{
    parts_offsets o;
    memset(&o, 0, sizeof o);
    image->length = 0;
    for (size_t i = 0; i < d->piece_count + d->added_count; i++) {
        const piece *p = i < d->piece_count ? &d->pieces[i] : &d->added[i - d->piece_count];
        if (p->id >= MOST_PIECES || (size_t)p->id > 16 * (d->piece_count + d->added_count) + 65536)
            return error_set(err, ECREC_ERR_FORMAT, "%s: the piece \"%.*s\" has id %u, which is too large", d->name,
                             (int)p->length, p->text, p->id);
        if (p->length > MOST_PIECE_BYTES || memchr(p->text, 0, p->length) != NULL)
            return error_set(err, ECREC_ERR_FORMAT, "%s: the piece of id %u is too long or holds a NUL", d->name, p->id);
        if (p->id >= d->settings.size)
            d->settings.size = p->id + 1;
    }
    int32_t status = buffer_zeros(image, IMAGE_HEADER + PART_COUNT * 16);
    if (status == ECREC_OK)
        status = begin_part(image, &o, PART_SETTINGS);
    if (status == ECREC_OK)
        status = buffer_zeros(image, sizeof d->settings);
    if (status != ECREC_OK)
        return error_nomem(err, "the tokenizer", sizeof d->settings);
    end_part(image, &o, PART_SETTINGS);
    if ((status = write_pieces(d, image, &o, err)) != ECREC_OK || (status = write_trie(d, image, &o, err)) != ECREC_OK ||
        (status = write_added(d, image, &o, err)) != ECREC_OK)
        return status;
    if (buffer_zeros(image, (8 - image->length % 8) % 8) != ECREC_OK)
        return error_nomem(err, "the tokenizer", image->length);
    memcpy(image->data + o.offset[PART_SETTINGS], &d->settings, sizeof d->settings);
    const uint32_t header[4] = { IMAGE_MAGIC, IMAGE_VERSION, PART_COUNT, 0 };
    memcpy(image->data, header, sizeof header);
    for (int i = 0; i < PART_COUNT; i++) {
        const uint64_t entry[2] = { o.offset[i], o.length[i] };
        memcpy(image->data + IMAGE_HEADER + 16 * i, entry, sizeof entry);
    }
    tokenizer check;
    return tokenizer_open(&check, image->data, image->length, err);
}

/* ---- tokenizer.json ---- */

static int32_t unsupported(ecrec_error *err, const draft *d, const char *part, const json *value, const char *supported)
{
    const json *type = json_get(value, "type");
    return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: %s type \"%s\" is not supported (supported: %s)", d->name, part,
                     json_is(type, JSON_STRING) ? type->text : "?", supported);
}

static int32_t read_model(draft *d, const json *root, ecrec_error *err)
{
    const json *model = json_get(root, "model"), *vocab = json_get(model, "vocab");
    const json *type = json_get(model, "type");
    if (!json_is(model, JSON_OBJECT))
        return error_set(err, ECREC_ERR_FORMAT, "%s: there is no \"model\"", d->name);
    if (type != NULL ? !json_equal(type, "WordPiece") : json_get(model, "continuing_subword_prefix") == NULL)
        return unsupported(err, d, "model", model, "WordPiece");
    if (!json_is(vocab, JSON_OBJECT) || vocab->length == 0)
        return error_set(err, ECREC_ERR_FORMAT, "%s: model.vocab is not an object with pieces", d->name);
    uint64_t limit = 0;
    const char *unknown = NULL;
    int32_t status = json_get_u64(model, d->name, "max_input_chars_per_word", DEFAULT_WORD_LIMIT, &limit, err);
    if (status == ECREC_OK)
        status = json_get_string(model, d->name, "continuing_subword_prefix", "##", &d->prefix, err);
    if (status == ECREC_OK)
        status = json_get_string(model, d->name, "unk_token", "[UNK]", &unknown, err);
    if (status != ECREC_OK)
        return status;
    if (limit == 0 || limit > 1000)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: max_input_chars_per_word %llu is not within 1 .. 1000", d->name,
                         (unsigned long long)limit);
    d->settings.word_limit = (uint32_t)limit;
    d->pieces = arena_allocate(&d->a, memory_product(vocab->length, sizeof *d->pieces));
    if (d->pieces == NULL)
        return error_nomem(err, "the vocabulary", vocab->length * sizeof *d->pieces);
    for (const json *v = vocab->first; v != NULL; v = v->next) {
        uint64_t id = 0;
        if (!json_u64(v, &id) || id >= MOST_PIECES)
            return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: the piece \"%s\" has no id below %d", d->name, v->key,
                            MOST_PIECES);
        d->pieces[d->piece_count++] = (piece){ v->key, v->key_length, (uint32_t)id };
    }
    if (!find_piece(d, unknown, &d->settings.unknown))
        return error_set(err, ECREC_ERR_FORMAT, "%s: the unknown token \"%s\" is not in the vocabulary", d->name, unknown);
    return ECREC_OK;
}

static int32_t read_normalizer(draft *d, const json *root, ecrec_error *err)
{
    const json *n = json_get(root, "normalizer"), *p = json_get(root, "pre_tokenizer"), *accents = json_get(n, "strip_accents");
    int clean = 0, chinese = 0, lower = 0, strip = 0;
    if (n != NULL && !json_is(n, JSON_NULL)) {
        if (!json_equal(json_get(n, "type"), "BertNormalizer"))
            return unsupported(err, d, "normalizer", n, "BertNormalizer");
        int32_t status = json_get_bool(n, d->name, "clean_text", 1, &clean, err);
        if (status == ECREC_OK)
            status = json_get_bool(n, d->name, "handle_chinese_chars", 1, &chinese, err);
        if (status == ECREC_OK)
            status = json_get_bool(n, d->name, "lowercase", 1, &lower, err);
        if (status == ECREC_OK)
            status = json_get_bool(n, d->name, "strip_accents", lower, &strip, err);
        if (status != ECREC_OK)
            return status;
        if (accents == NULL || json_is(accents, JSON_NULL))
            strip = lower;
    }
    d->settings.normalizer = (clean ? NORMALIZE_CLEAN : 0u) | (chinese ? NORMALIZE_CHINESE : 0u) |
                             (strip ? NORMALIZE_STRIP_ACCENTS : 0u) | (lower ? NORMALIZE_LOWER : 0u);
    if (!json_equal(json_get(p, "type"), "BertPreTokenizer"))
        return unsupported(err, d, "pre_tokenizer", p, "BertPreTokenizer");
    return ECREC_OK;
}

static int32_t read_added(draft *d, const json *root, ecrec_error *err)
{
    const json *list = json_get(root, "added_tokens");
    static const char *const names[] = { "special", "lstrip", "rstrip", "single_word" };
    if (list == NULL || json_is(list, JSON_NULL))
        return ECREC_OK;
    if (!json_is(list, JSON_ARRAY) || list->length > 4096)
        return error_set(err, ECREC_ERR_FORMAT, "%s: \"added_tokens\" is not an array of at most 4096 tokens", d->name);
    d->added = arena_allocate(&d->a, list->length * sizeof *d->added + 1);
    d->added_flags = arena_zero(&d->a, list->length * sizeof *d->added_flags + 1);
    if (d->added == NULL || d->added_flags == NULL)
        return error_nomem(err, "the added tokens", list->length * sizeof *d->added);
    for (const json *v = list->first; v != NULL; v = v->next) {
        const json *content = json_get(v, "content");
        uint64_t id = 0;
        int normalized = 0;
        if (!json_u64(json_get(v, "id"), &id) || !json_is(content, JSON_STRING) || content->length == 0 || id >= MOST_PIECES)
            return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: an added token has no \"id\" or no \"content\"", d->name);
        uint32_t flags = 0;
        for (size_t i = 0; i < 4; i++) {
            int on = 0;
            const int32_t status = json_get_bool(v, d->name, names[i], 0, &on, err);
            if (status != ECREC_OK)
                return status;
            flags |= on ? 1u << i : 0u;
        }
        const int32_t status = json_get_bool(v, d->name, "normalized", 0, &normalized, err);
        if (status != ECREC_OK)
            return status;
        if (normalized)
            return error_set(err, ECREC_ERR_UNSUPPORTED,
                             "%s: the added token \"%s\" is to be found in the normalised text, which is not supported",
                             d->name, content->text);
        d->added_flags[d->added_count] = flags;
        d->added[d->added_count++] = (piece){ content->text, content->length, (uint32_t)id };
    }
    return ECREC_OK;
}

static int32_t add_slot(draft *d, int pair, uint32_t kind, uint32_t id, uint64_t type, ecrec_error *err)
{
    if (d->slot_count[pair] == MOST_TEMPLATE || type > 255)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "%s: the post_processor's template is too long", d->name);
    d->slots[pair][d->slot_count[pair]++] = (image_slot){ kind, id, (uint32_t)type, 0 };
    return ECREC_OK;
}

static int32_t read_template(draft *d, const json *post, int pair, ecrec_error *err)
{
    const json *list = json_get(post, pair ? "pair" : "single"), *specials = json_get(post, "special_tokens");
    int32_t status = ECREC_OK;
    if (!json_is(list, JSON_ARRAY))
        return error_set(err, ECREC_ERR_FORMAT, "%s: post_processor.%s is not an array", d->name, pair ? "pair" : "single");
    for (const json *v = list->first; v != NULL && status == ECREC_OK; v = v->next) {
        const json *special = json_get(v, "SpecialToken"), *sequence = json_get(v, "Sequence");
        const json *one = special != NULL ? special : sequence, *id = json_get(one, "id");
        uint64_t type = 0;
        if (!json_is(id, JSON_STRING))
            return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: a slot of the post_processor has no \"id\"", d->name);
        if ((status = json_get_u64(one, d->name, "type_id", 0, &type, err)) != ECREC_OK)
            return status;
        if (sequence != NULL) {
            status = add_slot(d, pair, json_equal(id, "B") ? SLOT_SECOND : SLOT_FIRST, 0, type, err);
            continue;
        }
        const json *ids = json_get(json_get(specials, id->text), "ids");
        if (!json_is(ids, JSON_ARRAY))
            return error_at(err, ECREC_ERR_FORMAT, v->position, "%s: post_processor.special_tokens has no \"%s\"", d->name, id->text);
        for (const json *n = ids->first; n != NULL && status == ECREC_OK; n = n->next) {
            uint64_t number = 0;
            if (!json_u64(n, &number) || number >= MOST_PIECES)
                return error_at(err, ECREC_ERR_FORMAT, n->position, "%s: a special token's id is not a number", d->name);
            status = add_slot(d, pair, SLOT_TOKEN, (uint32_t)number, type, err);
        }
    }
    return status;
}

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP] */
static int32_t bert_template(draft *d, uint32_t cls, uint32_t sep, ecrec_error *err)
{
    int32_t status = ECREC_OK;
    for (int pair = 0; pair < 2 && status == ECREC_OK; pair++) {
        status = add_slot(d, pair, SLOT_TOKEN, cls, 0, err);
        if (status == ECREC_OK)
            status = add_slot(d, pair, SLOT_FIRST, 0, 0, err);
        if (status == ECREC_OK)
            status = add_slot(d, pair, SLOT_TOKEN, sep, 0, err);
        if (pair && status == ECREC_OK && (status = add_slot(d, pair, SLOT_SECOND, 0, 1, err)) == ECREC_OK)
            status = add_slot(d, pair, SLOT_TOKEN, sep, 1, err);
    }
    return status;
}

static int32_t read_post(draft *d, const json *root, ecrec_error *err)
{
    const json *post = json_get(root, "post_processor"), *type = json_get(post, "type");
    if (post == NULL || json_is(post, JSON_NULL)) {
        int32_t status = add_slot(d, 0, SLOT_FIRST, 0, 0, err);
        if (status == ECREC_OK && (status = add_slot(d, 1, SLOT_FIRST, 0, 0, err)) == ECREC_OK)
            status = add_slot(d, 1, SLOT_SECOND, 0, 1, err);
        return status;
    }
    if (json_equal(type, "BertProcessing")) {
        uint64_t cls = 0, sep = 0;
        if (!json_u64(json_at(json_get(post, "cls"), 1), &cls) || !json_u64(json_at(json_get(post, "sep"), 1), &sep) ||
            cls >= MOST_PIECES || sep >= MOST_PIECES)
            return error_set(err, ECREC_ERR_FORMAT, "%s: post_processor: \"cls\" or \"sep\" is not [token, id]", d->name);
        return bert_template(d, (uint32_t)cls, (uint32_t)sep, err);
    }
    if (!json_equal(type, "TemplateProcessing"))
        return unsupported(err, d, "post_processor", post, "TemplateProcessing, BertProcessing");
    const int32_t status = read_template(d, post, 0, err);
    return status == ECREC_OK ? read_template(d, post, 1, err) : status;
}

int32_t tokenizer_compile_json(memory *m, const char *text, size_t length, buffer *image, ecrec_error *err)
{
    draft d = { .m = m, .name = "tokenizer.json", .settings = { .model = MODEL_WORDPIECE } };
    const json *root = NULL;
    arena_init(&d.a, m);
    int32_t status = json_parse(&d.a, d.name, text, length, &root, err);
    if (status == ECREC_OK && (status = read_added(&d, root, err)) == ECREC_OK && (status = read_model(&d, root, err)) == ECREC_OK &&
        (status = read_normalizer(&d, root, err)) == ECREC_OK && (status = read_post(&d, root, err)) == ECREC_OK)
        status = write_image(&d, image, err);
    arena_release(&d.a);
    return status;
}

/* ---- vocab.txt ---- */

static int32_t vocab_special(draft *d, const char *name, uint32_t *id, int wanted, ecrec_error *err)
{
    if (!find_piece(d, name, id))
        return wanted ? error_set(err, ECREC_ERR_FORMAT, "%s: the special token \"%s\" is not in it", d->name, name) : ECREC_OK;
    d->added_flags[d->added_count] = ADDED_SPECIAL;
    d->added[d->added_count++] = (piece){ name, (uint32_t)strlen(name), *id };
    return ECREC_OK;
}

int32_t tokenizer_compile_vocab(memory *m, const char *text, size_t length, const wordpiece_settings *settings, buffer *image,
                                ecrec_error *err)
{
    draft d = { .m = m, .name = "vocab.txt", .prefix = "##", .settings = { .model = MODEL_WORDPIECE, .word_limit = DEFAULT_WORD_LIMIT } };
    size_t lines = 0;
    arena_init(&d.a, m);
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    lines += length != 0 && text[length - 1] != '\n';
    d.pieces = arena_allocate(&d.a, memory_product(lines + 1, sizeof *d.pieces));
    d.added = arena_allocate(&d.a, 8 * sizeof *d.added);
    d.added_flags = arena_zero(&d.a, 8 * sizeof *d.added_flags);
    int32_t status = ECREC_OK;
    if (d.pieces == NULL || d.added == NULL || d.added_flags == NULL)
        status = error_nomem(err, "the vocabulary", lines * sizeof *d.pieces);
    else if (lines == 0 || lines > MOST_PIECES)
        status = error_set(err, ECREC_ERR_FORMAT, "%s: %zu lines are no vocabulary", d.name, lines);
    for (size_t at = 0, line = 0; status == ECREC_OK && line < lines; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        const size_t stop = end != NULL ? (size_t)(end - text) : length;
        size_t n = stop - at;
        if (n != 0 && text[at + n - 1] == '\r')
            n--;
        d.pieces[d.piece_count++] = (piece){ text + at, (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX), (uint32_t)line };
        at = stop + 1;
    }
    const int strip = settings->strip_accents < 0 ? settings->lower_case : settings->strip_accents;
    d.settings.normalizer = NORMALIZE_CLEAN | (settings->chinese_characters ? NORMALIZE_CHINESE : 0u) |
                            (strip ? NORMALIZE_STRIP_ACCENTS : 0u) | (settings->lower_case ? NORMALIZE_LOWER : 0u);
    uint32_t cls = 0, sep = 0, other = 0;
#define NAME(field, usual) (settings->field != NULL ? settings->field : (usual))
    if (status == ECREC_OK)
        status = vocab_special(&d, NAME(unknown, "[UNK]"), &d.settings.unknown, 1, err);
    if (status == ECREC_OK)
        status = vocab_special(&d, NAME(cls, "[CLS]"), &cls, 1, err);
    if (status == ECREC_OK)
        status = vocab_special(&d, NAME(sep, "[SEP]"), &sep, 1, err);
    if (status == ECREC_OK)
        status = vocab_special(&d, NAME(pad, "[PAD]"), &other, 0, err);
    if (status == ECREC_OK)
        status = vocab_special(&d, NAME(mask, "[MASK]"), &other, 0, err);
#undef NAME
    if (status == ECREC_OK)
        status = bert_template(&d, cls, sep, err);
    if (status == ECREC_OK)
        status = write_image(&d, image, err);
    arena_release(&d.a);
    return status;
}
