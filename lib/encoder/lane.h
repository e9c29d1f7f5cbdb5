/* A lane: what one parallel task of texts-to-vectors works with, and what embed.c and windows.c do with it. Inside the encoder
 * room only. */
#ifndef ECREC_LIB_ENCODER_LANE_H
#define ECREC_LIB_ENCODER_LANE_H

#include <stdatomic.h>

#include "encoder/embed.h"

enum {
    MOST_TASKS = 256,
    ROUND_TEXTS = 64,   /* texts a task between two calls of progress */
    MOST_TOGETHER = 64, /* sequences in a pass whose pooled vectors are kept over several layers */
    BLOCK_LEAST = 64,   /* tokens of a pass */
    BLOCK_MOST = 512,
    MOST_PICTURES = 4,  /* in a pass */
    LONG_LENGTHS = 16,  /* how many max_lengths of a long text's tokens are held at a time, and of windows at least */
    MOST_WINDOWS = 64   /* that are held at a time, at least */
};

/* What one parallel task works with. */
typedef struct lane {
    token_work *words; /* NULL: no tokenizer */
    uint32_t *ids, *starts;
    uint8_t *types;
    uint64_t *rows; /* which text each packed sequence is */
    float *hidden, *pooled, *vector;
    void *workspace, *pooling, *picture;
    float *planes; /* of MOST_PICTURES */
} lane;

/* Windows over long texts, those of one or of several: they wait here, are run by all lanes, and are added up in their order. */
typedef struct windows {
    uint32_t *frame_ids, *stretch; /* special tokens and prompt; stretch_tokens of a text */
    uint8_t *frame_types;
    uint32_t *ids, *starts, *weights; /* of the windows that wait: most_tokens, most + 1, most (the text's tokens in each) */
    uint8_t *types, *last;            /* most_tokens; most: it ends its text */
    size_t *rows, *long_rows;         /* most: the text of each; most_rows: the long texts of a round */
    float *vectors, *mean;            /* most; of the text that is being added up */
    size_t stretch_tokens, most, most_tokens, most_rows, count, weight;
    _Atomic size_t long_count;
} windows;

struct embed {
    memory *m;
    size_t bytes, max_tokens;
    size_t block; /* a pass takes no further sequence once it has so many tokens */
    uint32_t lanes;
    const picture_settings *pictures; /* the model's, or NULL */
    const embed_call *call;
    int alone;              /* the call has one text: one task, on the caller's thread */
    size_t limit, together; /* texts below `limit` are to be done; at most so many sequences in a pass */
    _Atomic size_t next;
    _Atomic int32_t failed; /* a row whose tokens there was no memory for */
    windows windows;
    lane lane[];
};

/* A row's text, in whichever layout it came. */
const char *lane_text(const embed_call *c, size_t row, size_t *length);
/* Lengths were checked; what can still fail is memory for a text longer than any before: embed.failed. */
void lane_tokenize(embed *s, const lane *l, const tokenizer *t, const tokenize_call *call, token_output *out);
/* Run what is packed; lane_pool then gives sequence i's pooled vector. */
void lane_run(const embed *s, const lane *l, const packed *p);
void lane_pool(const embed_call *c, const lane *l, const packed *p, size_t i, float *out);
/* A row's pooled vector, cut, to unit length, stored. `v` is changed. */
void lane_finish(const embed_call *c, float *v, size_t row);

/* ---- windows over long texts (windows.c) ---- */

/* What stands around the text's tokens in every window. */
typedef struct frame {
    size_t front, trail; /* special tokens and the prompt before, special tokens behind */
    size_t prompt;       /* the prompt's part of front */
} frame;

/* The frame's tokens into frame_ids; false when there is no room for `least` tokens of a text. */
int windows_frame(embed *s, const embed_call *c, size_t least, frame *f);
/* The memory of windows, for texts of `max_length` tokens in vectors of `row` bytes. */
void windows_carve(windows *w, scratch *memory, uint32_t lanes, size_t max_length, size_t row);
/* The long texts of a round, in windows; their vectors are stored. Not from within a task. */
void windows_run(embed *s, uint32_t lanes);

#endif
