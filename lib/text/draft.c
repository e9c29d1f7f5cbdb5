#include "text/draft.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "text/charsmap.h"
#include "text/pattern_compile.h"

void draft_open(draft *d, memory *m, const char *name, ecrec_error *err)
{
    memset(d, 0, sizeof *d);
    d->m = m;
    d->name = name;
    d->err = err;
    d->prefix = d->suffix = "";
    d->settings.unknown = NO_ID;
    memset(d->settings.bytes, 0xFF, sizeof d->settings.bytes);
    arena_init(&d->a, m);
    buffer_init(&d->data, m);
    buffer_init(&d->tables, m);
    buffer_init(&d->patterns, m);
}

void draft_close(draft *d)
{
    buffer_release(&d->data);
    buffer_release(&d->tables);
    buffer_release(&d->patterns);
    memory_release(d->m, d->index, d->index_size * sizeof *d->index);
    arena_release(&d->a);
}

int32_t draft_pieces(draft *d, size_t n)
{
    if (n == 0 || n > MOST_PIECES)
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: %zu pieces are no vocabulary", d->name, n);
    d->pieces = arena_allocate(&d->a, n * sizeof *d->pieces);
    return d->pieces != NULL ? ECREC_OK : error_nomem(d->err, "the vocabulary", n * sizeof *d->pieces);
}

int32_t draft_add(draft *d, const char *text, size_t length, uint32_t id, uint32_t flags)
{
    for (size_t i = 0; i < d->added_count && d->added_capacity <= 256; i++)
        if (d->added[i].length == length && memcmp(d->added[i].text, text, length) == 0) {
            d->added[i].id = id;
            d->added[i].flags = flags;
            return ECREC_OK;
        }
    if (d->added_count == d->added_capacity) {
        const size_t more = d->added_capacity * 2 + 32;
        added_piece *grown = arena_allocate(&d->a, more * sizeof *grown);
        if (grown == NULL)
            return error_nomem(d->err, "the added tokens", more * sizeof *grown);
        if (d->added_count != 0)
            memcpy(grown, d->added, d->added_count * sizeof *grown);
        d->added = grown;
        d->added_capacity = more;
    }
    d->added[d->added_count++] = (added_piece){ text, (uint32_t)length, id, flags };
    return ECREC_OK;
}

int32_t draft_index(draft *d)
{
    size_t size = 16;
    while (size < 2 * d->piece_count + 2)
        size *= 2;
    d->index = memory_allocate(d->m, size * sizeof *d->index);
    if (d->index == NULL)
        return error_nomem(d->err, "the vocabulary's index", size * sizeof *d->index);
    d->index_size = size;
    memset(d->index, 0xFF, size * sizeof *d->index);
    for (size_t i = 0; i < d->piece_count; i++) {
        const piece *p = &d->pieces[i];
        size_t slot = (size_t)hash64(p->text, p->length, 0) & (size - 1);
        for (; d->index[slot] != NO_ID; slot = (slot + 1) & (size - 1)) {
            const piece *other = &d->pieces[d->index[slot]];
            if (other->length == p->length && memcmp(other->text, p->text, p->length) == 0)
                break; /* the last one of several is found */
        }
        d->index[slot] = (uint32_t)i;
    }
    return ECREC_OK;
}

uint32_t draft_find(const draft *d, const char *text, size_t length)
{
    for (size_t slot = (size_t)hash64(text, length, 0) & (d->index_size - 1); d->index[slot] != NO_ID; slot = (slot + 1) & (d->index_size - 1)) {
        const piece *p = &d->pieces[d->index[slot]];
        if (p->length == length && memcmp(p->text, text, length) == 0)
            return p->id;
    }
    return NO_ID;
}

int32_t draft_slot(draft *d, int pair, uint32_t kind, uint32_t id, uint64_t type)
{
    if (d->slot_count[pair] == MOST_TEMPLATE || type > 255)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: the post_processor's template is too long", d->name);
    d->slots[pair][d->slot_count[pair]++] = (image_slot){ kind, id, (uint32_t)type, 0 };
    return ECREC_OK;
}

int32_t draft_op(draft *d, int which, image_op op)
{
    if (d->op_count[which] == MOST_OPERATIONS)
        return error_set(d->err, ECREC_ERR_UNSUPPORTED, "%s: more than %d steps of one kind", d->name, MOST_OPERATIONS);
    d->ops[which][d->op_count[which]++] = op;
    return ECREC_OK;
}

int32_t draft_text(draft *d, const char *text, size_t length, uint32_t *offset, uint32_t *length_out)
{
    *offset = (uint32_t)d->data.length;
    *length_out = (uint32_t)length;
    return buffer_append(&d->data, text, length) == ECREC_OK ? ECREC_OK : error_nomem(d->err, "the tokenizer's texts", length);
}

int32_t draft_pattern(draft *d, const char *where, const char *text, size_t length, int empty, uint32_t *pattern)
{
    image_pattern own;
    *pattern = (uint32_t)(d->patterns.length / sizeof own);
    const int32_t status = pattern_compile(d->m, where, text, length, empty, &d->tables, &own, d->err);
    if (status != ECREC_OK)
        return status;
    return buffer_append(&d->patterns, &own, sizeof own) == ECREC_OK ? ECREC_OK : error_nomem(d->err, "a pattern", sizeof own);
}

static int32_t slots(draft *d, int pair, const image_slot *list, size_t n)
{
    int32_t status = ECREC_OK;
    for (size_t i = 0; i < n && status == ECREC_OK; i++)
        status = draft_slot(d, pair, list[i].kind, list[i].id, list[i].type);
    return status;
}

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP] */
int32_t draft_bert(draft *d, uint32_t cls, uint32_t sep)
{
    const image_slot list[] = { { SLOT_TOKEN, cls, 0, 0 }, { SLOT_FIRST, 0, 0, 0 }, { SLOT_TOKEN, sep, 0, 0 }, { SLOT_SECOND, 0, 1, 0 }, { SLOT_TOKEN, sep, 1, 0 } };
    const int32_t status = slots(d, 0, list, 3);
    return status == ECREC_OK ? slots(d, 1, list, 5) : status;
}

/* <s> A </s> and <s> A </s> </s> B </s>, all of type 0 */
int32_t draft_roberta(draft *d, uint32_t cls, uint32_t sep)
{
    const image_slot list[] = { { SLOT_TOKEN, cls, 0, 0 }, { SLOT_FIRST, 0, 0, 0 }, { SLOT_TOKEN, sep, 0, 0 },
                                { SLOT_TOKEN, sep, 0, 0 }, { SLOT_SECOND, 0, 0, 0 }, { SLOT_TOKEN, sep, 0, 0 } };
    const int32_t status = slots(d, 0, list, 3);
    return status == ECREC_OK ? slots(d, 1, list, 6) : status;
}

int32_t draft_plain(draft *d)
{
    const image_slot list[] = { { SLOT_FIRST, 0, 0, 0 }, { SLOT_SECOND, 0, 1, 0 } };
    const int32_t status = slots(d, 0, list, 1);
    return status == ECREC_OK ? slots(d, 1, list, 2) : status;
}

int32_t draft_byte_level(draft *d, int prefix_space, int split)
{
    static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    image_op op = { .kind = OP_SPLIT_PATTERN, .value = BEHAVE_ISOLATED };
    int32_t status = ECREC_OK;
    if (prefix_space)
        status = draft_op(d, 1, (image_op){ .kind = OP_PREFIX_SPACE });
    if (split && status == ECREC_OK && (status = draft_pattern(d, d->name, gpt2, sizeof gpt2 - 1, 0, &op.pattern)) == ECREC_OK)
        status = draft_op(d, 1, op);
    return status == ECREC_OK ? draft_op(d, 1, (image_op){ .kind = OP_BYTES }) : status;
}

int32_t draft_charsmap(draft *d, image_op op)
{
    charsmap map;
    if (!charsmap_open(&map, d->data.data + op.text, op.text_length))
        return error_set(d->err, ECREC_ERR_FORMAT, "%s: the precompiled character map of %u bytes is damaged", d->name, op.text_length);
    uint32_t mapped[4] = { 0 };
    for (uint32_t c = 0; c < 128; c++) {
        const unsigned char byte = (unsigned char)c, *to;
        size_t n;
        if (charsmap_find(&map, &byte, 1, &to, &n))
            mapped[c / 32] |= 1u << c % 32;
    }
    op.flags = mapped[0];
    op.value = mapped[1];
    op.pattern = mapped[2];
    op.other = mapped[3];
    return draft_op(d, 0, op);
}
