#include "text/pattern_parse.h"

#include <string.h>

#include "base/error.h"
#include "text/pattern_look.h"
#include "text/pattern_properties.h"
#include "text/utf8.h"

int pattern_fail(compiler *c, const char *what)
{
    if (c->status == ECREC_OK && c->sets.failed)
        c->status = error_nomem(c->err, "a pattern's sets of characters", 0);
    else if (c->status == ECREC_OK)
        c->status = error_set(c->err, ECREC_ERR_UNSUPPORTED, "%s: the pattern \"%.*s\" is not supported: %s at byte %zu", c->where,
                              (int)(c->length < 200 ? c->length : 200), c->text, what, c->at);
    return 0;
}

int pattern_peek(const compiler *c, char what)
{
    return c->at < c->length && c->text[c->at] == what;
}

int pattern_take(compiler *c, const char *what)
{
    const size_t n = strlen(what);
    if (c->length - c->at < n || memcmp(c->text + c->at, what, n) != 0)
        return 0;
    c->at += n;
    return 1;
}

int32_t pattern_add(compiler *c, uint32_t kind, uint32_t set)
{
    if (c->node_count == MOST_NODES) {
        pattern_fail(c, "it is too long");
        return 0;
    }
    c->nodes[c->node_count] = (node){ kind, set, 0, -1, -1 };
    return c->node_count++;
}

fragment pattern_single(compiler *c, uint32_t kind, uint32_t set)
{
    const int32_t n = pattern_add(c, kind, set), last = pattern_add(c, NODE_SPLIT, 0);
    c->nodes[n].next = last;
    return (fragment){ n, last };
}

fragment pattern_chain(compiler *c, fragment a, fragment b)
{
    c->nodes[a.last].next = b.first;
    return (fragment){ a.first, b.last };
}

/* ---- sets ---- */

static int hexadecimal(compiler *c, size_t least, size_t most, uint32_t *out)
{
    uint32_t value = 0;
    size_t n = 0;
    for (; n < most && c->at < c->length; n++, c->at++) {
        const char d = c->text[c->at];
        const int digit = d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10 : -1;
        if (digit < 0)
            break;
        value = value * 16 + (uint32_t)digit;
    }
    *out = value;
    return n < least || value > 0x10FFFF ? pattern_fail(c, "a character's number") : 1;
}

/* An escape: *character, or a whole set added to `set` (*character UINT32_MAX). */
static int escape(compiler *c, uint32_t set, int inside, uint32_t *character)
{
    static const char controls[] = "r\rn\nt\tf\fv\va\ae\x1B";
    if (c->at == c->length)
        return pattern_fail(c, "a lone backslash");
    const char e = c->text[c->at++];
    *character = UINT32_MAX;
    if (e == 'p' || e == 'P') {
        const char *name = c->text + c->at + 1, *close = pattern_peek(c, '{') ? memchr(name, '}', c->length - c->at - 1) : NULL;
        if (close == NULL)
            return pattern_fail(c, "a property without a name in braces");
        size_t n = (size_t)(close - name);
        const int not = n > 0 && name[0] == '^';
        if (!set_add_property(&c->sets, set, name + not, n - (size_t)not, (e == 'P') != not))
            return pattern_fail(c, "an unknown property");
        c->at += n + 2;
        return 1;
    }
    if (memchr("sSdDwWhH", e, 8) != NULL) {
        const char name[1] = { inside && (e | 32) == 'w' ? 'b' : (char)(e | 32) };
        set_add_escape(&c->sets, set, name[0], (e & 32) == 0);
        return 1;
    }
    for (size_t i = 0; i + 1 < sizeof controls; i += 2)
        if (controls[i] == e) {
            *character = (unsigned char)controls[i + 1];
            return 1;
        }
    if (inside && e == 'b') {
        *character = '\b';
        return 1;
    }
    if (e == 'u')
        return hexadecimal(c, 4, 4, character);
    if (e == 'x' && pattern_take(c, "{"))
        return hexadecimal(c, 1, 8, character) && (pattern_take(c, "}") || pattern_fail(c, "a character's number"));
    if (e == 'x')
        return hexadecimal(c, 1, 2, character);
    if ((e | 32) >= 'a' && (e | 32) <= 'z')
        return pattern_fail(c, "an escape");
    if (e >= '0' && e <= '9')
        return pattern_fail(c, "a back reference");
    c->at--;
    c->at += utf8_next((const unsigned char *)c->text + c->at, c->length - c->at, character);
    return 1;
}

/* One character or escape, inside a bracket or not. */
static int bracket_item(compiler *c, uint32_t set, int inside, uint32_t *character)
{
    if (pattern_take(c, "\\"))
        return escape(c, set, inside, character);
    c->at += utf8_next((const unsigned char *)c->text + c->at, c->length - c->at, character);
    return 1;
}

/* [:alpha:], after its first two bytes. */
static int posix_class(compiler *c, uint32_t set)
{
    const int negated = pattern_take(c, "^");
    const char *name = c->text + c->at;
    size_t n = 0;
    while (n < c->length - c->at && name[n] >= 'a' && name[n] <= 'z')
        n++;
    c->at += n;
    return (pattern_take(c, ":]") && set_add_posix(&c->sets, set, name, n, negated)) || pattern_fail(c, "an unknown POSIX class");
}

static int bracket(compiler *c, uint32_t set)
{
    const int negated = pattern_take(c, "^");
    int first = 1, meets = 0;
    uint32_t meet = 0; /* what stands in front of a "&&" */
    if (++c->depth > MOST_DEPTH)
        return pattern_fail(c, "too many brackets");
    while (!pattern_peek(c, ']') || first) {
        uint32_t from, to;
        first = 0;
        if (c->at >= c->length)
            return pattern_fail(c, "a bracket that is not closed");
        if (pattern_take(c, "&&")) {
            if (!meets && !set_new(&c->sets, &meet))
                return pattern_fail(c, "too many sets");
            if (meets)
                set_intersect(&c->sets, meet, set);
            else
                set_unite(&c->sets, meet, set);
            meets = 1;
            set_clear(&c->sets, set);
            continue;
        }
        if (pattern_take(c, "[:")) {
            if (!posix_class(c, set))
                return 0;
            continue;
        }
        if (pattern_take(c, "[")) {
            uint32_t inner;
            if (!set_new(&c->sets, &inner) || !bracket(c, inner))
                return c->status != ECREC_OK ? 0 : pattern_fail(c, "too many sets");
            set_unite(&c->sets, set, inner);
            set_drop(&c->sets, inner);
            continue;
        }
        if (!bracket_item(c, set, 1, &from))
            return 0;
        if (from == UINT32_MAX)
            continue;
        to = from;
        if (pattern_peek(c, '-') && c->at + 1 < c->length && c->text[c->at + 1] != ']') {
            c->at++;
            if (!bracket_item(c, set, 1, &to))
                return 0;
            if (to == UINT32_MAX || to < from)
                return pattern_fail(c, "a range");
        }
        set_add_range(&c->sets, set, from, to);
    }
    c->at++;
    c->depth--;
    if (meets) {
        set_intersect(&c->sets, set, meet);
        set_drop(&c->sets, meet);
    }
    if (c->fold)
        set_fold(&c->sets, set);
    if (negated)
        set_invert(&c->sets, set);
    return 1;
}

/* The set of the class or character that begins here. */
int pattern_class(compiler *c, uint32_t *set)
{
    uint32_t character = UINT32_MAX;
    if (!set_new(&c->sets, set))
        return pattern_fail(c, "too many sets");
    if (pattern_take(c, "[")) {
        if (!bracket(c, *set))
            return 0;
    } else if (pattern_take(c, ".")) {
        set_add_range(&c->sets, *set, '\n', '\n');
        set_invert(&c->sets, *set);
    } else {
        if (!bracket_item(c, *set, 0, &character))
            return 0;
        if (character != UINT32_MAX)
            set_add_range(&c->sets, *set, character, character);
        if (c->fold)
            set_fold(&c->sets, *set);
    }
    *set = set_intern(&c->sets, *set);
    return 1;
}

/* ---- structure ---- */

static fragment alternation(compiler *c);

static fragment group(compiler *c)
{
    const fragment none = { 0, 0 };
    const int fold = c->fold;
    if (pattern_take(c, "?!") || pattern_take(c, "?="))
        return pattern_look_ahead(c, c->text[c->at - 1] == '!');
    if (pattern_take(c, "?<!") || pattern_take(c, "?<="))
        return pattern_look_behind(c, c->text[c->at - 1] == '!');
    if (pattern_take(c, "?i:"))
        c->fold = 1;
    else if (pattern_take(c, "?-i:"))
        c->fold = 0;
    else if (!pattern_take(c, "?:") && pattern_peek(c, '?'))
        return pattern_fail(c, "this kind of group"), none;
    if (++c->depth > MOST_DEPTH)
        return pattern_fail(c, "too many groups"), none;
    const fragment f = alternation(c);
    c->depth--;
    c->fold = fold;
    if (c->status == ECREC_OK && !pattern_take(c, ")"))
        pattern_fail(c, "a group that is not closed");
    return f;
}

static fragment atom(compiler *c)
{
    const fragment none = { 0, 0 };
    uint32_t set = 0;
    if (pattern_take(c, "("))
        return group(c);
    fragment f;
    if (pattern_anchor(c, &f))
        return f;
    if (c->at < c->length && memchr("*+?{", c->text[c->at], 4) != NULL)
        return pattern_fail(c, "a repetition of nothing"), none;
    return pattern_class(c, &set) ? pattern_single(c, NODE_CLASS, set) : none;
}

typedef struct repetition { uint32_t least, most; int lazy, possessive; } repetition; /* most UINT32_MAX: no end */

static int number(compiler *c, uint32_t *out)
{
    size_t digits = 0;
    *out = 0;
    for (; c->at < c->length && c->text[c->at] >= '0' && c->text[c->at] <= '9' && digits < 6; c->at++, digits++)
        *out = *out * 10 + (uint32_t)(c->text[c->at] - '0');
    return digits != 0;
}

static int quantifier(compiler *c, repetition *r)
{
    int braces = 0;
    r->lazy = r->possessive = 0;
    if (pattern_take(c, "*")) {
        *r = (repetition){ 0, UINT32_MAX, 0, 0 };
    } else if (pattern_take(c, "+")) {
        *r = (repetition){ 1, UINT32_MAX, 0, 0 };
    } else if (pattern_take(c, "?")) {
        *r = (repetition){ 0, 1, 0, 0 };
    } else if (pattern_take(c, "{")) {
        const int low = number(c, &r->least);
        r->most = r->least;
        if (pattern_take(c, ",") && !number(c, &r->most))
            r->most = UINT32_MAX;
        if (!pattern_take(c, "}") || (!low && r->most == UINT32_MAX) || r->most < r->least || r->least > MOST_REPEAT || (r->most != UINT32_MAX && r->most > MOST_REPEAT))
            return pattern_fail(c, "a repetition"), 0;
        braces = 1;
    } else {
        return 0;
    }
    if (pattern_take(c, "?"))
        r->lazy = 1;
    else if (!braces && pattern_take(c, "+")) /* behind braces a plus repeats once more */
        r->possessive = 1;
    return 1;
}

/* A choice between going on and leaving. */
static void choose(compiler *c, int32_t split, int32_t on, int32_t leave, int lazy)
{
    c->nodes[split].next = lazy ? leave : on;
    c->nodes[split].other = lazy ? on : leave;
}

/* The atom at `from`, again and again: it is read once for each copy. */
static fragment repeated(compiler *c, size_t from, const repetition *r)
{
    const size_t end = c->at;
    const int32_t exit = pattern_add(c, NODE_SPLIT, 0), enter = pattern_add(c, NODE_SPLIT, 0);
    fragment all = { enter, enter };
    const uint32_t copies = r->most == UINT32_MAX ? r->least + (r->least == 0) : r->most;
    for (uint32_t i = 0; i < copies && c->status == ECREC_OK; i++) {
        c->at = from;
        const fragment one = atom(c);
        if (c->status != ECREC_OK)
            break;
        if (i >= r->least) { /* may be left out */
            const int32_t skip = pattern_add(c, NODE_SPLIT, 0);
            choose(c, skip, one.first, exit, r->lazy);
            all = pattern_chain(c, all, (fragment){ skip, one.last });
        } else {
            all = pattern_chain(c, all, one);
        }
        if (r->most == UINT32_MAX && i + 1 == copies) {
            const int32_t again = pattern_add(c, NODE_SPLIT, 0);
            choose(c, again, one.first, exit, r->lazy);
            c->nodes[all.last].next = again;
            all.last = exit;
        }
        if (r->possessive && c->nodes[one.first].kind != NODE_CLASS)
            pattern_fail(c, "a possessive repetition of more than one character");
        else if (r->possessive && c->loop_count < sizeof c->loops / sizeof *c->loops)
            c->loops[c->loop_count++] = (loop){ c->nodes[one.first].set, exit };
        else if (r->possessive)
            pattern_fail(c, "too many possessive repetitions");
    }
    c->at = end;
    if (all.last != exit)
        c->nodes[all.last].next = exit;
    return (fragment){ all.first, exit };
}

static fragment item(compiler *c)
{
    const size_t from = c->at;
    const int32_t nodes = c->node_count;
    const size_t loops = c->loop_count;
    repetition r;
    fragment f = atom(c);
    if (c->status != ECREC_OK || !quantifier(c, &r))
        return f;
    c->node_count = nodes; /* read again, once for each copy */
    c->loop_count = loops;
    f = repeated(c, from, &r);
    while (c->status == ECREC_OK && quantifier(c, &r)) {
        if (r.least > 1 || (r.most != UINT32_MAX && r.most > 1) || r.possessive)
            return pattern_fail(c, "a repetition of a repetition"), f;
        const int32_t exit = pattern_add(c, NODE_SPLIT, 0), again = pattern_add(c, NODE_SPLIT, 0);
        if (r.most == UINT32_MAX) {
            choose(c, again, f.first, exit, r.lazy);
            c->nodes[f.last].next = again;
        } else {
            c->nodes[f.last].next = exit;
        }
        if (r.least == 0) {
            const int32_t skip = pattern_add(c, NODE_SPLIT, 0);
            choose(c, skip, f.first, exit, r.lazy);
            f.first = skip;
        }
        f.last = exit;
    }
    return f;
}

static fragment sequence(compiler *c)
{
    const int32_t start = pattern_add(c, NODE_SPLIT, 0);
    fragment all = { start, start };
    while (c->status == ECREC_OK && c->at < c->length && !pattern_peek(c, '|') && !pattern_peek(c, ')')) {
        if (pattern_take(c, "(?i)")) {
            c->fold = 1;
            continue;
        }
        all = pattern_chain(c, all, item(c));
    }
    return all;
}

static fragment alternation(compiler *c)
{
    fragment all = sequence(c);
    if (!pattern_peek(c, '|'))
        return all;
    const int32_t exit = pattern_add(c, NODE_SPLIT, 0);
    int32_t first = pattern_add(c, NODE_SPLIT, 0), here = first;
    c->nodes[here].next = all.first;
    c->nodes[all.last].next = exit;
    while (c->status == ECREC_OK && pattern_take(c, "|")) {
        all = sequence(c);
        const int32_t more = pattern_add(c, NODE_SPLIT, 0);
        c->nodes[here].other = more;
        here = more;
        c->nodes[here].next = all.first;
        c->nodes[all.last].next = exit;
    }
    return (fragment){ first, exit };
}

int32_t pattern_parse(compiler *c)
{
    const fragment all = alternation(c);
    if (c->status == ECREC_OK && c->at != c->length)
        pattern_fail(c, "a closing bracket");
    const int32_t end = pattern_add(c, NODE_MATCH, 0);
    c->nodes[all.last].next = end;
    return all.first;
}
