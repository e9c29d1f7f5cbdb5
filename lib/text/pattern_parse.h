/* Regular expressions, read into an automaton with choices. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_PARSE_H
#define ECREC_LIB_TEXT_PATTERN_PARSE_H

#include "base/memory.h"
#include "ecrec/base.h"
#include "text/pattern_sets.h"

enum { MOST_NODES = 4096, MOST_DEPTH = 32, MOST_REPEAT = 1000 };
enum { NODE_CLASS, NODE_SPLIT, NODE_LOOK, NODE_MATCH };
typedef struct node { uint32_t kind, set, negated; int32_t next, other; } node; /* split: next is preferred; one way alone: other -1 */
typedef struct fragment { int32_t first, last; } fragment; /* last: a split with one open way */
typedef struct loop { uint32_t set; int32_t exit; } loop;  /* possessive */

typedef struct compiler {
    memory *m;
    arena a;
    const char *where, *text;
    size_t length, at;
    int depth, fold;
    set_builder sets;
    node *nodes;
    int32_t node_count;
    loop loops[64];
    size_t loop_count;
    ecrec_error *err;
    int32_t status;
} compiler;

/* Says once that the pattern is not supported, and why; 0. */
int pattern_fail(compiler *c, const char *what);
/* c->nodes, c->loops and c->sets of c->text; where the automaton begins, its last node NODE_MATCH. c->status. */
int32_t pattern_parse(compiler *c);

#endif
