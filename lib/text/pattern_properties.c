/* What Oniguruma's names mean, which is Unicode's, seen from the general categories and two small tables. */
#include "text/pattern_properties.h"

#include <string.h>
#include <utf8proc.h>

#include "text/pattern_table.h"
#include "text/unicode.h"

enum { CHARACTERS = 0x110000, LONGEST_NAME = 40 };

typedef struct category { const char *name, *full; uint32_t first, last; } category;
#define K(name) UTF8PROC_CATEGORY_##name
static const category categories[] = {
    { "l", "letter", K(LU), K(LO) }, { "lu", "uppercaseletter", K(LU), K(LU) }, { "ll", "lowercaseletter", K(LL), K(LL) },
    { "lt", "titlecaseletter", K(LT), K(LT) }, { "lm", "modifierletter", K(LM), K(LM) }, { "lo", "otherletter", K(LO), K(LO) },
    { "lc", "casedletter", K(LU), K(LT) }, { "m", "mark", K(MN), K(ME) }, { "mn", "nonspacingmark", K(MN), K(MN) },
    { "mc", "spacingmark", K(MC), K(MC) }, { "me", "enclosingmark", K(ME), K(ME) }, { "n", "number", K(ND), K(NO) },
    { "nd", "decimalnumber", K(ND), K(ND) }, { "nl", "letternumber", K(NL), K(NL) }, { "no", "othernumber", K(NO), K(NO) },
    { "p", "punctuation", K(PC), K(PO) }, { "pc", "connectorpunctuation", K(PC), K(PC) }, { "pd", "dashpunctuation", K(PD), K(PD) },
    { "ps", "openpunctuation", K(PS), K(PS) }, { "pe", "closepunctuation", K(PE), K(PE) }, { "pi", "initialpunctuation", K(PI), K(PI) },
    { "pf", "finalpunctuation", K(PF), K(PF) }, { "po", "otherpunctuation", K(PO), K(PO) }, { "s", "symbol", K(SM), K(SO) },
    { "sm", "mathsymbol", K(SM), K(SM) }, { "sc", "currencysymbol", K(SC), K(SC) }, { "sk", "modifiersymbol", K(SK), K(SK) },
    { "so", "othersymbol", K(SO), K(SO) }, { "z", "separator", K(ZS), K(ZP) }, { "zs", "spaceseparator", K(ZS), K(ZS) },
    { "zl", "lineseparator", K(ZL), K(ZL) }, { "zp", "paragraphseparator", K(ZP), K(ZP) }, { "cc", "control", K(CC), K(CC) },
    { "cf", "format", K(CF), K(CF) }, { "cs", "surrogate", K(CS), K(CS) }, { "co", "privateuse", K(CO), K(CO) },
    { "cn", "unassigned", K(CN), K(CN) },
};

/* ---- what a character is ---- */

static uint32_t stretch_of(const uint32_t *table, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low + 1 < high) {
        const size_t middle = (low + high) / 2;
        if (table[middle] >> 8 <= c)
            low = middle;
        else
            high = middle;
    }
    return table[low] & 0xFF;
}

static int extra_of(uint32_t c, uint32_t which)
{
    return (stretch_of(extras, sizeof extras / sizeof *extras, c) & which) != 0;
}

/* \w of Oniguruma: letters, marks, decimal and letter numbers, connectors, circled letters; outside of brackets the Latin-1
 * numbers too. */
static int is_word(uint32_t c)
{
    return unicode_is_word(c) && c != 0x200C && c != 0x200D;
}

static int is_latin_number(uint32_t c)
{
    return c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE);
}

static int is_hexadecimal(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int is_alphabetic(uint32_t c, uint32_t kind)
{
    return (kind >= K(LU) && kind <= K(LO)) || kind == K(NL) || extra_of(c, 1);
}

static int is_visible(uint32_t kind)
{
    return kind != K(CC) && kind != K(CN) && kind != K(CS) && kind != K(ZS) && kind != K(ZL) && kind != K(ZP);
}

enum { ALNUM, ALPHA, ASCII, BLANK, CNTRL, DIGIT, GRAPH, LOWER, PRINT, PUNCT, SPACE, UPPER, WORD, XDIGIT, ANY, ASSIGNED, PUNCT_PROPERTY, OTHER };
static const struct { const char *name; int what; } posix[] = {
    { "alnum", ALNUM }, { "alpha", ALPHA }, { "ascii", ASCII }, { "blank", BLANK }, { "cntrl", CNTRL }, { "digit", DIGIT }, { "graph", GRAPH },
    { "lower", LOWER }, { "print", PRINT }, { "punct", PUNCT }, { "space", SPACE }, { "upper", UPPER }, { "word", WORD }, { "xdigit", XDIGIT },
    /* as properties only */
    { "any", ANY }, { "assigned", ASSIGNED }, { "alphabetic", ALPHA }, { "uppercase", UPPER }, { "lowercase", LOWER }, { "whitespace", SPACE },
    { "c", OTHER }, { "other", OTHER },
};
enum { POSIX = 14 };

static int is(int what, uint32_t c, uint32_t kind)
{
    switch (what) {
    case ALNUM:
        return kind == K(ND) || is_alphabetic(c, kind);
    case ALPHA:
        return is_alphabetic(c, kind);
    case ASCII:
        return c < 0x80;
    case BLANK:
        return c == '\t' || kind == K(ZS);
    case CNTRL:
        return kind == K(CC);
    case DIGIT:
        return kind == K(ND);
    case GRAPH:
        return is_visible(kind);
    case LOWER:
        return (kind == K(LL)) != extra_of(c, 4);
    case PRINT:
        return is_visible(kind) || kind == K(ZS);
    case PUNCT:
        return (kind >= K(PC) && kind <= K(PO)) || (kind >= K(SM) && kind <= K(SO));
    case PUNCT_PROPERTY:
        return kind >= K(PC) && kind <= K(PO);
    case SPACE:
        return unicode_is_space(c);
    case UPPER:
        return (kind == K(LU)) != extra_of(c, 2);
    case WORD:
        return is_word(c);
    case XDIGIT:
        return is_hexadecimal(c);
    case ASSIGNED:
        return kind != K(CN);
    case OTHER:
        return kind >= K(CC) || kind == K(CN);
    default: /* ANY */
        return 1;
    }
}

/* ---- by name ---- */

static void add(set_builder *s, uint32_t set, int what, int negated)
{
    for (uint32_t c = 0; c < CHARACTERS; c++)
        if (is(what, c, s->categories[c]) != negated)
            set_add(s, set, c);
}

void set_add_escape(set_builder *s, uint32_t set, char name, int negated)
{
    if (name != 'w') {
        add(s, set, name == 's' ? SPACE : name == 'd' ? DIGIT : name == 'b' ? WORD : XDIGIT, negated);
        return;
    }
    for (uint32_t c = 0; c < CHARACTERS; c++)
        if ((is_word(c) || is_latin_number(c)) != negated)
            set_add(s, set, c);
}

static int add_named(set_builder *s, uint32_t set, const char *name, size_t names, int negated)
{
    for (size_t i = 0; i < names; i++)
        if (strcmp(posix[i].name, name) == 0) {
            add(s, set, names != POSIX && posix[i].what == PUNCT ? PUNCT_PROPERTY : posix[i].what, negated);
            return 1;
        }
    return 0;
}

int set_add_posix(set_builder *s, uint32_t set, const char *name, size_t length, int negated)
{
    char own[LONGEST_NAME];
    if (length >= sizeof own)
        return 0;
    memcpy(own, name, length);
    own[length] = 0;
    return add_named(s, set, own, POSIX, negated);
}

/* The name in small letters, without marks; 0: too long. */
static int plain_name(const char *name, size_t length, char own[LONGEST_NAME])
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        const char c = name[i];
        if (c == ' ' || c == '-' || c == '_')
            continue;
        if (n + 1 == LONGEST_NAME || c == 0)
            return 0;
        own[n++] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    own[n] = 0;
    return 1;
}

static uint32_t script_named(const char *name)
{
    for (size_t i = 0; i < sizeof script_names / sizeof *script_names; i++)
        if (strcmp(script_names[i].name, name) == 0)
            return script_names[i].script;
    for (size_t i = 0; i < sizeof short_names / sizeof *short_names; i++)
        if (strcmp(short_names[i].name, name) == 0)
            return short_names[i].script;
    return 0;
}

int set_add_property(set_builder *s, uint32_t set, const char *name, size_t length, int negated)
{
    char own[LONGEST_NAME];
    if (!plain_name(name, length, own))
        return 0;
    if (add_named(s, set, own, sizeof posix / sizeof *posix, negated))
        return 1;
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (strcmp(categories[i].name, own) == 0 || strcmp(categories[i].full, own) == 0) {
            for (uint32_t c = 0; c < CHARACTERS; c++)
                if ((s->categories[c] >= categories[i].first && s->categories[c] <= categories[i].last) != negated)
                    set_add(s, set, c);
            return 1;
        }
    const uint32_t script = script_named(own);
    for (uint32_t c = 0; script != 0 && c < CHARACTERS; c++)
        if ((stretch_of(scripts, sizeof scripts / sizeof *scripts, c) == script) != negated)
            set_add(s, set, c);
    return script != 0;
}
