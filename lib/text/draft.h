/* A tokenizer while it is imported: what the files say, in pieces; written as an image at the end. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_DRAFT_H
#define ECREC_LIB_TEXT_DRAFT_H

#include "base/json.h"
#include "base/memory.h"
#include "text/image.h"

enum { MOST_PIECES = 1 << 24, MOST_PIECE_BYTES = 1 << 16, MOST_TEMPLATE = 64, MOST_OPERATIONS = 64 };

typedef struct piece { const char *text; uint32_t length, id; double score; int hidden; /* no text is it */ } piece;
typedef struct added_piece { const char *text; uint32_t length, id, flags; } added_piece;
typedef struct text_span { const char *text; size_t length; } text_span;
typedef struct merge_pair { text_span left, right; } merge_pair;

/* Texts point into the sources or the arena. */
typedef struct draft {
    memory *m;
    const char *name; /* of the source, for messages */
    ecrec_error *err;
    arena a;
    image_settings settings;
    const char *prefix, *suffix; /* of pieces inside and at the end of a word, or "" */
    const char *unknown;         /* the unknown piece by its text, or NULL */
    piece *pieces;
    size_t piece_count;
    added_piece *added;
    size_t added_count, added_capacity;
    merge_pair *merges;
    size_t merge_count;
    uint32_t *ranks; /* of merges; NULL: their order */
    double least_score; /* what an unknown piece is worse than; 0: the least of all */
    uint32_t *index; /* open addressing: pieces by text */
    size_t index_size;
    image_slot slots[2][MOST_TEMPLATE];
    size_t slot_count[2];
    image_op ops[3][MOST_OPERATIONS]; /* normalizer, pre-tokenizer, decoder */
    size_t op_count[3];
    buffer data, tables, patterns;
} draft;

void draft_open(draft *d, memory *m, const char *name, ecrec_error *err);
void draft_close(draft *d);
/* Room for n pieces, added tokens; NOMEM. */
int32_t draft_pieces(draft *d, size_t n);
int32_t draft_add(draft *d, const char *text, size_t length, uint32_t id, uint32_t flags);
/* After the pieces are there: finds them by text. */
int32_t draft_index(draft *d);
uint32_t draft_find(const draft *d, const char *text, size_t length); /* an id, or NO_ID */
int32_t draft_slot(draft *d, int pair, uint32_t kind, uint32_t id, uint64_t type);
/* Operations: which: 0 normalizer, 1 pre-tokenizer, 2 decoder. */
int32_t draft_op(draft *d, int which, image_op op);
int32_t draft_text(draft *d, const char *text, size_t length, uint32_t *offset, uint32_t *length_out);
int32_t draft_pattern(draft *d, const char *where, const char *text, size_t length, int empty, uint32_t *pattern); /* empty 1: it may match nothing */
/* The usual templates. */
int32_t draft_bert(draft *d, uint32_t cls, uint32_t sep);
int32_t draft_roberta(draft *d, uint32_t cls, uint32_t sep);
int32_t draft_plain(draft *d);
/* GPT-2's pre-tokenizer. */
int32_t draft_byte_level(draft *d, int prefix_space, int split);
/* A character map (op.kind OP_CHARSMAP) that lies in the data already, as a normalizer. */
int32_t draft_charsmap(draft *d, image_op op);
int32_t draft_write(draft *d, buffer *image);

#endif
