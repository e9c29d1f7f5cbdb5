/* Regular expressions, read into an automaton with choices. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_PARSE_H
#define ECREC_LIB_TEXT_PATTERN_PARSE_H

#include "base/memory.h"
#include "ecrec/base.h"
#include "text/pattern_sets.h"

enum { MOST_NODES = 4096, MOST_DEPTH = 32, MOST_REPEAT = 1000 };
enum { NODE_CLASS, NODE_SPLIT, NODE_LOOK, NODE_BEHIND, NODE_MATCH }; /* behind: set is an index of compiler.behinds */
typedef struct node { uint32_t kind, set, negated; int32_t next, other; } node; /* split: next is preferred; one way alone: other -1 */
typedef struct fragment { int32_t first, last; } fragment; /* last: a split with one open way */
typedef struct loop { uint32_t set; int32_t exit; } loop;  /* possessive */

/* What stands in front of a place, as bits (shift-and: Baeza-Yates and Gonnet 1992). Bit 0: the text begins there. The others are the
 * characters of short strings of sets, one after the other: set when the string up to it stands in front. */
enum { MOST_BEHIND = 8, CONTEXT_BEGIN = 1 };
typedef struct context_bits {
    uint32_t sets[64]; /* of each bit */
    uint64_t first;    /* bits that begin a string */
    uint32_t count;    /* of bits; 1 from the beginning */
    uint32_t longest;  /* string */
    int used;
} context_bits;

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
    context_bits context;
    uint64_t behinds[64]; /* each true where one of its bits is set */
    uint32_t behind_count;
    uint32_t final;       /* the set of nothing but a line feed at the very end, which is a class of its own; UINT32_MAX: not asked for */
    ecrec_error *err;
    int32_t status;
} compiler;

/* Says once that the pattern is not supported, and why; 0. */
int pattern_fail(compiler *c, const char *what);
/* c->nodes, c->loops and c->sets of c->text; where the automaton begins, its last node NODE_MATCH. c->status. */
int32_t pattern_parse(compiler *c);

#endif
