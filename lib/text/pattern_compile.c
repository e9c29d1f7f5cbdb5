#include "text/pattern_compile.h"

#include <string.h>

#include "base/error.h"
#include "text/pattern_linear.h"
#include "text/pattern_look.h"
#include "text/pattern_parse.h"

/* Text -> an automaton with choices in order of preference (Thompson 1968) -> a deterministic one whose states are ordered
 * lists of its nodes, so that it finds what a backtracking engine would find first, in one pass. */

enum { MOST_STATES = 2048, MOST_CLASSES = 250, MOST_CONTEXTS = 200 };

/* ---- checks over the whole ---- */

/* What can stand next from a node on: 1: a look ahead or the end too. Marks must be clear. */
static int reach(const compiler *c, int32_t at, unsigned char *seen, int32_t *stack, uint64_t *sets, int *ends)
{
    size_t depth = 0;
    int looks = 0;
    stack[depth++] = at;
    while (depth != 0) {
        const int32_t n = stack[--depth];
        if (n < 0 || seen[n])
            continue;
        seen[n] = 1;
        const node *x = &c->nodes[n];
        if (x->kind == NODE_CLASS) {
            *sets |= (uint64_t)1 << x->set;
        } else if (x->kind == NODE_MATCH) {
            *ends = 1;
        } else {
            looks |= x->kind == NODE_LOOK || x->kind == NODE_BEHIND;
            stack[depth++] = x->next;
            stack[depth++] = x->other;
        }
    }
    return looks;
}

static int check_whole(compiler *c, int32_t start, int *empty)
{
    unsigned char *seen = arena_allocate(&c->a, MOST_NODES);
    int32_t *stack = arena_allocate(&c->a, 2 * MOST_NODES * sizeof *stack);
    if (seen == NULL || stack == NULL) {
        c->status = ECREC_ERR_NOMEM;
        return 0;
    }
    uint64_t sets = 0;
    int ends = 0;
    memset(seen, 0, MOST_NODES);
    (void)reach(c, start, seen, stack, &sets, &ends);
    if (ends && !*empty)
        return pattern_fail(c, "it could match nothing");
    *empty = ends;
    /* giving back must not help what follows a possessive repetition */
    for (size_t i = 0; i < c->loop_count; i++) {
        sets = 0;
        memset(seen, 0, MOST_NODES);
        const int looks = reach(c, c->loops[i].exit, seen, stack, &sets, &ends);
        for (uint32_t s = 0; s < 64; s++)
            if (looks || ((sets >> s & 1) && set_meets(&c->sets, s, c->loops[i].set)))
                return pattern_fail(c, "a possessive repetition in front of what it may take");
    }
    return 1;
}

/* ---- the deterministic automaton ---- */

typedef struct states {
    compiler *c;
    const uint64_t *masks; /* of each class: the sets it is in */
    uint32_t classes;
    buffer lists;          /* int32: the nodes of each state, in order */
    buffer starts;         /* u32: where each state's list begins, one more than states */
    buffer moves;          /* u16 */
    uint32_t *seen, round;
    int32_t *stack, *next;
    unsigned char *asks; /* of each node: can it come to ask what stands in front? */
    buffer contexts;     /* u64: the bits of each; 0: at the beginning, 1: nothing known */
    buffer between;      /* u16: from a context by a class to the next */
    buffer begins;       /* u16: the state that begins in each */
} states;

static uint32_t state_count(const states *s)
{
    return (uint32_t)(s->starts.length / sizeof(uint32_t)) - 1;
}

static uint32_t start_of(const states *s, uint32_t state)
{
    uint32_t v;
    memcpy(&v, s->starts.data + state * sizeof v, sizeof v);
    return v;
}

/* The state with this list; 0 for the empty one. */
static int state_of(states *s, const int32_t *list, size_t n, uint32_t *out)
{
    const uint32_t count = state_count(s);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t a = start_of(s, i), b = start_of(s, i + 1);
        if (b - a == n && memcmp(s->lists.data + (size_t)a * sizeof *list, list, n * sizeof *list) == 0) {
            *out = i;
            return 1;
        }
    }
    if (count == MOST_STATES)
        return pattern_fail(s->c, "it takes too many states");
    const uint32_t end = start_of(s, count) + (uint32_t)n;
    if (buffer_append(&s->lists, list, n * sizeof *list) != ECREC_OK || buffer_append(&s->starts, &end, sizeof end) != ECREC_OK) {
        s->c->status = ECREC_ERR_NOMEM;
        return 0;
    }
    *out = count;
    return 1;
}

/* The state of a list that begins behind s->next[2], in a context; what no node of it asks for is left out. */
static int state_in(states *s, uint64_t context, size_t n, uint32_t *out)
{
    int asks = 0;
    for (size_t i = 0; i < n; i++)
        asks |= s->asks[s->next[2 + i]];
    context = asks ? context : 0;
    memcpy(s->next, &context, sizeof context);
    return state_of(s, s->next, n != 0 ? n + 2 : 0, out);
}

/* Where a state goes on a class (s->classes: the end of the text). */
static int move(states *s, uint32_t state, uint32_t class, uint16_t *out)
{
    const compiler *c = s->c;
    const uint64_t mask = class < s->classes ? s->masks[class] : 0;
    const uint32_t begin = start_of(s, state), end = start_of(s, state + 1);
    size_t found = 0;
    uint64_t context = 0;
    int matched = 0;
    if (begin != end)
        memcpy(&context, s->lists.data + (size_t)begin * sizeof(int32_t), sizeof context);
    s->round++;
    uint32_t *taken = s->seen + MOST_NODES; /* nodes in the next list */
    for (uint32_t i = begin + 2; i < end && !matched; i++) {
        size_t depth = 0;
        memcpy(&s->stack[depth++], s->lists.data + (size_t)i * sizeof(int32_t), sizeof(int32_t));
        while (depth != 0 && !matched) {
            const int32_t n = s->stack[--depth];
            if (n < 0 || s->seen[n] == s->round)
                continue;
            s->seen[n] = s->round;
            const node *x = &c->nodes[n];
            const int in = (mask >> x->set & 1) != 0;
            switch (x->kind) {
            case NODE_MATCH:
                matched = 1;
                break;
            case NODE_CLASS:
                if (in && taken[x->next] != s->round) {
                    taken[x->next] = s->round;
                    s->next[2 + found++] = x->next;
                }
                break;
            case NODE_BEHIND:
                if (((context & c->behinds[x->set]) != 0) != (int)x->negated)
                    s->stack[depth++] = x->next;
                break;
            case NODE_LOOK:
                if (in != (int)x->negated)
                    s->stack[depth++] = x->next;
                break;
            default:
                s->stack[depth++] = x->other;
                s->stack[depth++] = x->next;
            }
        }
    }
    uint32_t to = 0;
    if (!state_in(s, context_after(&c->context, context, mask), found, &to))
        return 0;
    *out = (uint16_t)(to | (matched ? PATTERN_MATCH : 0));
    return 1;
}

static int nomem(states *s)
{
    s->c->status = ECREC_ERR_NOMEM;
    return 0;
}

/* Which nodes come to ask what stands in front. */
static int find_asking(states *s)
{
    const compiler *c = s->c;
    if ((s->asks = arena_zero(&s->c->a, MOST_NODES)) == NULL)
        return nomem(s);
    for (int more = c->context.used; more;) {
        more = 0;
        for (int32_t i = 0; i < c->node_count; i++) {
            const node *x = &c->nodes[i];
            const int asks = x->kind == NODE_BEHIND || (x->next >= 0 && s->asks[x->next]) || (x->other >= 0 && s->asks[x->other]);
            more |= asks && !s->asks[i];
            s->asks[i] = asks != 0;
        }
    }
    return 1;
}

/* Every context that a text can bring about, how one follows another, and the state that begins in each. */
static int find_contexts(states *s, int32_t start)
{
    const uint64_t first[2] = { CONTEXT_BEGIN, 0 };
    if (buffer_append(&s->contexts, first, sizeof first) != ECREC_OK)
        return nomem(s);
    for (size_t i = 0; i * sizeof(uint64_t) < s->contexts.length; i++) {
        uint64_t before;
        uint32_t state = 0;
        memcpy(&before, s->contexts.data + i * sizeof before, sizeof before);
        for (uint32_t k = 0; k < s->classes; k++) {
            const uint64_t after = context_after(&s->c->context, before, s->masks[k]);
            const size_t count = s->contexts.length / sizeof after;
            size_t at = 1; /* the beginning is never come back to */
            while (at < count && memcmp(s->contexts.data + at * sizeof after, &after, sizeof after) != 0)
                at++;
            const uint16_t to = (uint16_t)at;
            if (at == MOST_CONTEXTS)
                return pattern_fail(s->c, "too much to look behind for");
            if ((at == count && buffer_append(&s->contexts, &after, sizeof after) != ECREC_OK) || buffer_append(&s->between, &to, sizeof to) != ECREC_OK)
                return nomem(s);
        }
        s->next[2] = start;
        if (!state_in(s, before, 1, &state))
            return 0;
        const uint16_t begin = (uint16_t)state;
        if (buffer_append(&s->begins, &begin, sizeof begin) != ECREC_OK)
            return nomem(s);
    }
    return 1;
}

static int determine(states *s, int32_t start)
{
    const uint32_t zero = 0;
    uint32_t first = 0;
    compiler *c = s->c;
    s->seen = arena_zero(&c->a, 2 * MOST_NODES * sizeof *s->seen);
    s->stack = arena_allocate(&c->a, 4 * MOST_NODES * sizeof *s->stack);
    s->next = arena_allocate(&c->a, (MOST_NODES + 2) * sizeof *s->next);
    if (s->seen == NULL || s->stack == NULL || s->next == NULL || buffer_append(&s->starts, &zero, sizeof zero) != ECREC_OK)
        return nomem(s);
    /* state 0 has no nodes, state 1 begins (where a text begins) */
    if (!find_asking(s) || !state_of(s, s->next, 0, &first) || !find_contexts(s, start))
        return 0;
    for (uint32_t i = 0; i < state_count(s); i++)
        for (uint32_t k = 0; k <= s->classes; k++) {
            uint16_t to = 0;
            if (!move(s, i, k, &to))
                return 0;
            if (buffer_append(&s->moves, &to, sizeof to) != ECREC_OK)
                return nomem(s);
        }
    return 1;
}

/* A last line feed is in the sets of any other, and in one of its own. */
static int add_final(states *s, const uint16_t *index, const uint16_t *pages)
{
    const uint32_t feed = pages[(size_t)index[0] * 256 + '\n'];
    uint64_t *masks = arena_allocate(&s->c->a, (s->classes + 1) * sizeof *masks);
    if (masks == NULL)
        return nomem(s);
    memcpy(masks, s->masks, s->classes * sizeof *masks);
    masks[s->classes++] = s->masks[feed] | (uint64_t)1 << s->c->final;
    s->masks = masks;
    return 1;
}

static int write_tables(states *s, const uint16_t *index, const uint16_t *pages, uint32_t page_count, int empty, buffer *tables, image_pattern *out)
{
    const size_t unit = sizeof(uint16_t);
    *out = (image_pattern){ state_count(s), s->classes, page_count, (uint32_t)(tables->length / unit), 0, 0, 0, 0 };
    int32_t status = buffer_append(tables, s->moves.data, s->moves.length);
    out->index = (uint32_t)(tables->length / unit);
    if (status == ECREC_OK)
        status = buffer_append(tables, index, PATTERN_INDEX * unit);
    out->pages = (uint32_t)(tables->length / unit);
    if (status == ECREC_OK)
        status = buffer_append(tables, pages, (size_t)page_count * 256 * unit);
    if (empty || s->c->context.used || s->c->final != UINT32_MAX) {
        out->context = (uint32_t)(tables->length / unit);
        out->more = (uint32_t)(s->begins.length / unit) | s->c->context.longest << 8 | (s->c->final != UINT32_MAX ? s->classes : 0) << 16 |
                    (empty ? PATTERN_EMPTY : 0);
        if (status == ECREC_OK)
            status = buffer_append(tables, s->between.data, s->between.length);
        if (status == ECREC_OK)
            status = buffer_append(tables, s->begins.data, s->begins.length);
    }
    if (status != ECREC_OK)
        s->c->status = ECREC_ERR_NOMEM;
    return status == ECREC_OK;
}

static int is_linear(const states *s)
{
    const automaton a = { (const uint16_t *)(const void *)s->moves.data, (const uint16_t *)(const void *)s->between.data,
                          (const uint16_t *)(const void *)s->begins.data, s->classes };
    return pattern_is_linear(&a);
}

int32_t pattern_compile(memory *m, const char *where, const char *text, size_t length, int empty, buffer *tables, image_pattern *out, ecrec_error *err)
{
    compiler c = { .m = m, .where = where, .text = text, .length = length, .err = err, .context = { .count = 1 }, .final = UINT32_MAX };
    states s = { .c = &c };
    arena_init(&c.a, m);
    buffer_init(&s.lists, m);
    buffer_init(&s.starts, m);
    buffer_init(&s.moves, m);
    buffer_init(&s.contexts, m);
    buffer_init(&s.between, m);
    buffer_init(&s.begins, m);
    c.nodes = arena_allocate(&c.a, MOST_NODES * sizeof *c.nodes);
    if (c.nodes == NULL || !sets_open(&c.sets, &c.a))
        c.status = ECREC_ERR_NOMEM;
    if (c.status == ECREC_OK) {
        const int32_t start = pattern_parse(&c);
        const uint64_t *masks = NULL;
        uint16_t *index = NULL, *pages = NULL;
        uint32_t page_count = 0;
        if (c.status == ECREC_OK && check_whole(&c, start, &empty)) {
            if (c.sets.failed || !sets_classes(&c.sets, MOST_CLASSES, &masks, &s.classes, &index, &pages, &page_count))
                c.status = c.sets.failed ? ECREC_ERR_NOMEM : (pattern_fail(&c, "too many classes of characters"), ECREC_ERR_UNSUPPORTED);
            s.masks = masks;
        }
        if (c.status == ECREC_OK && c.final != UINT32_MAX)
            (void)add_final(&s, index, pages);
        if (c.status == ECREC_OK && determine(&s, start) && (is_linear(&s) || pattern_fail(&c, "it could take quadratic time")))
            (void)write_tables(&s, index, pages, page_count, empty, tables, out);
    }
    if (c.status == ECREC_ERR_NOMEM)
        (void)error_nomem(err, "a pattern", length);
    buffer_release(&s.lists);
    buffer_release(&s.starts);
    buffer_release(&s.moves);
    buffer_release(&s.contexts);
    buffer_release(&s.between);
    buffer_release(&s.begins);
    arena_release(&c.a);
    return c.status;
}
