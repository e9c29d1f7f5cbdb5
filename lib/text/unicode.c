#include "text/unicode.h"

#include <stddef.h>
#include <utf8proc.h>

#include "text/utf8.h"

typedef struct range { uint32_t first, last; } range;

/* Format characters of Unicode 9 and later, and assigned ones that the reference keeps. */
static const range not_control[] = { { 0x890, 0x891 }, { 0x8E2, 0x8E2 }, { 0x110CD, 0x110CD }, { 0x13430, 0x1343F } };

/* Punctuation of Unicode 9 and later. */
static const range not_punctuation[] = {
    { 0x61D, 0x61D },     { 0x9FD, 0x9FD },     { 0xA76, 0xA76 },     { 0xC77, 0xC77 },     { 0xC84, 0xC84 },
    { 0x1B7D, 0x1B7E },   { 0x2E43, 0x2E4F },   { 0x2E52, 0x2E5D },   { 0x10EAD, 0x10EAD }, { 0x10F55, 0x10F59 },
    { 0x10F86, 0x10F89 }, { 0x1144B, 0x1144F }, { 0x1145A, 0x1145B }, { 0x1145D, 0x1145D }, { 0x11660, 0x1166C },
    { 0x116B9, 0x116B9 }, { 0x1183B, 0x1183B }, { 0x11944, 0x11946 }, { 0x119E2, 0x119E2 }, { 0x11A3F, 0x11A46 },
    { 0x11A9A, 0x11A9C }, { 0x11A9E, 0x11AA2 }, { 0x11B00, 0x11B09 }, { 0x11C41, 0x11C45 }, { 0x11C70, 0x11C71 },
    { 0x11EF7, 0x11EF8 }, { 0x11F43, 0x11F4F }, { 0x11FFF, 0x11FFF }, { 0x12FF1, 0x12FF2 }, { 0x16E97, 0x16E9A },
    { 0x16FE2, 0x16FE2 }, { 0x1E95E, 0x1E95F },
};

/* Non-spacing marks of Unicode 9 and later, or that changed category since. */
static const range not_mark[] = {
    { 0x7FD, 0x7FD },     { 0x898, 0x89F },     { 0x8CA, 0x8E1 },     { 0x9FE, 0x9FE },     { 0xAFA, 0xAFF },
    { 0xB55, 0xB55 },     { 0xC04, 0xC04 },     { 0xC3C, 0xC3C },     { 0xD00, 0xD00 },     { 0xD3B, 0xD3C },
    { 0xD81, 0xD81 },     { 0xEBA, 0xEBA },     { 0xECE, 0xECE },     { 0x180F, 0x180F },   { 0x1885, 0x1886 },
    { 0x1ABF, 0x1ACE },   { 0x1DF6, 0x1DFB },   { 0xA82C, 0xA82C },   { 0xA8C5, 0xA8C5 },   { 0xA8FF, 0xA8FF },
    { 0xA9BD, 0xA9BD },   { 0x10D24, 0x10D27 }, { 0x10EAB, 0x10EAC }, { 0x10EFD, 0x10EFF }, { 0x10F46, 0x10F50 },
    { 0x10F82, 0x10F85 }, { 0x11070, 0x11070 }, { 0x11073, 0x11074 }, { 0x110C2, 0x110C2 }, { 0x111C9, 0x111C9 },
    { 0x111CF, 0x111CF }, { 0x1123E, 0x1123E }, { 0x11241, 0x11241 }, { 0x1133B, 0x1133B }, { 0x11438, 0x1143F },
    { 0x11442, 0x11444 }, { 0x11446, 0x11446 }, { 0x1145E, 0x1145E }, { 0x1182F, 0x11837 }, { 0x11839, 0x1183A },
    { 0x1193B, 0x1193C }, { 0x1193E, 0x1193E }, { 0x11943, 0x11943 }, { 0x119D4, 0x119D7 }, { 0x119DA, 0x119DB },
    { 0x119E0, 0x119E0 }, { 0x11A01, 0x11A0A }, { 0x11A33, 0x11A38 }, { 0x11A3B, 0x11A3E }, { 0x11A47, 0x11A47 },
    { 0x11A51, 0x11A56 }, { 0x11A59, 0x11A5B }, { 0x11A8A, 0x11A96 }, { 0x11A98, 0x11A99 }, { 0x11C30, 0x11C36 },
    { 0x11C38, 0x11C3D }, { 0x11C3F, 0x11C3F }, { 0x11C92, 0x11CA7 }, { 0x11CAA, 0x11CB0 }, { 0x11CB2, 0x11CB3 },
    { 0x11CB5, 0x11CB6 }, { 0x11D31, 0x11D36 }, { 0x11D3A, 0x11D3A }, { 0x11D3C, 0x11D3D }, { 0x11D3F, 0x11D45 },
    { 0x11D47, 0x11D47 }, { 0x11D90, 0x11D91 }, { 0x11D95, 0x11D95 }, { 0x11D97, 0x11D97 }, { 0x11EF3, 0x11EF4 },
    { 0x11F00, 0x11F01 }, { 0x11F36, 0x11F3A }, { 0x11F40, 0x11F40 }, { 0x11F42, 0x11F42 }, { 0x13440, 0x13440 },
    { 0x13447, 0x13455 }, { 0x16F4F, 0x16F4F }, { 0x16FE4, 0x16FE4 }, { 0x1CF00, 0x1CF2D }, { 0x1CF30, 0x1CF46 },
    { 0x1E000, 0x1E006 }, { 0x1E008, 0x1E018 }, { 0x1E01B, 0x1E021 }, { 0x1E023, 0x1E024 }, { 0x1E026, 0x1E02A },
    { 0x1E08F, 0x1E08F }, { 0x1E130, 0x1E136 }, { 0x1E2AE, 0x1E2AE }, { 0x1E2EC, 0x1E2EF }, { 0x1E4EC, 0x1E4EF },
    { 0x1E944, 0x1E94A },
};

/* Characters of Unicode 15.1 and 16, whose categories an older utf8proc does not know. */
static const struct { uint32_t first, last; utf8proc_category_t category; } recent[] = {
    { 0x897, 0x897, UTF8PROC_CATEGORY_MN }, { 0x1B4E, 0x1B4F, UTF8PROC_CATEGORY_PO },
    { 0x1B7F, 0x1B7F, UTF8PROC_CATEGORY_PO }, { 0x1C89, 0x1C89, UTF8PROC_CATEGORY_LU },
    { 0x1C8A, 0x1C8A, UTF8PROC_CATEGORY_LL }, { 0x2427, 0x2429, UTF8PROC_CATEGORY_SO },
    { 0x2FFC, 0x2FFF, UTF8PROC_CATEGORY_SO }, { 0x31E4, 0x31E5, UTF8PROC_CATEGORY_SO },
    { 0x31EF, 0x31EF, UTF8PROC_CATEGORY_SO }, { 0xA7CB, 0xA7CC, UTF8PROC_CATEGORY_LU },
    { 0xA7CD, 0xA7CD, UTF8PROC_CATEGORY_LL }, { 0xA7DA, 0xA7DA, UTF8PROC_CATEGORY_LU },
    { 0xA7DB, 0xA7DB, UTF8PROC_CATEGORY_LL }, { 0xA7DC, 0xA7DC, UTF8PROC_CATEGORY_LU },
    { 0x105C0, 0x105F3, UTF8PROC_CATEGORY_LO }, { 0x10D40, 0x10D49, UTF8PROC_CATEGORY_ND },
    { 0x10D4A, 0x10D4D, UTF8PROC_CATEGORY_LO }, { 0x10D4E, 0x10D4E, UTF8PROC_CATEGORY_LM },
    { 0x10D4F, 0x10D4F, UTF8PROC_CATEGORY_LO }, { 0x10D50, 0x10D65, UTF8PROC_CATEGORY_LU },
    { 0x10D69, 0x10D6D, UTF8PROC_CATEGORY_MN }, { 0x10D6E, 0x10D6E, UTF8PROC_CATEGORY_PD },
    { 0x10D6F, 0x10D6F, UTF8PROC_CATEGORY_LM }, { 0x10D70, 0x10D85, UTF8PROC_CATEGORY_LL },
    { 0x10D8E, 0x10D8F, UTF8PROC_CATEGORY_SM }, { 0x10EC2, 0x10EC4, UTF8PROC_CATEGORY_LO },
    { 0x10EFC, 0x10EFC, UTF8PROC_CATEGORY_MN }, { 0x11380, 0x11389, UTF8PROC_CATEGORY_LO },
    { 0x1138B, 0x1138B, UTF8PROC_CATEGORY_LO }, { 0x1138E, 0x1138E, UTF8PROC_CATEGORY_LO },
    { 0x11390, 0x113B5, UTF8PROC_CATEGORY_LO }, { 0x113B7, 0x113B7, UTF8PROC_CATEGORY_LO },
    { 0x113B8, 0x113BA, UTF8PROC_CATEGORY_MC }, { 0x113BB, 0x113C0, UTF8PROC_CATEGORY_MN },
    { 0x113C2, 0x113C2, UTF8PROC_CATEGORY_MC }, { 0x113C5, 0x113C5, UTF8PROC_CATEGORY_MC },
    { 0x113C7, 0x113CA, UTF8PROC_CATEGORY_MC }, { 0x113CC, 0x113CD, UTF8PROC_CATEGORY_MC },
    { 0x113CE, 0x113CE, UTF8PROC_CATEGORY_MN }, { 0x113CF, 0x113CF, UTF8PROC_CATEGORY_MC },
    { 0x113D0, 0x113D0, UTF8PROC_CATEGORY_MN }, { 0x113D1, 0x113D1, UTF8PROC_CATEGORY_LO },
    { 0x113D2, 0x113D2, UTF8PROC_CATEGORY_MN }, { 0x113D3, 0x113D3, UTF8PROC_CATEGORY_LO },
    { 0x113D4, 0x113D5, UTF8PROC_CATEGORY_PO }, { 0x113D7, 0x113D8, UTF8PROC_CATEGORY_PO },
    { 0x113E1, 0x113E2, UTF8PROC_CATEGORY_MN }, { 0x116D0, 0x116E3, UTF8PROC_CATEGORY_ND },
    { 0x11BC0, 0x11BE0, UTF8PROC_CATEGORY_LO }, { 0x11BE1, 0x11BE1, UTF8PROC_CATEGORY_PO },
    { 0x11BF0, 0x11BF9, UTF8PROC_CATEGORY_ND }, { 0x11F5A, 0x11F5A, UTF8PROC_CATEGORY_MN },
    { 0x13460, 0x143FA, UTF8PROC_CATEGORY_LO }, { 0x16100, 0x1611D, UTF8PROC_CATEGORY_LO },
    { 0x1611E, 0x16129, UTF8PROC_CATEGORY_MN }, { 0x1612A, 0x1612C, UTF8PROC_CATEGORY_MC },
    { 0x1612D, 0x1612F, UTF8PROC_CATEGORY_MN }, { 0x16130, 0x16139, UTF8PROC_CATEGORY_ND },
    { 0x16D40, 0x16D42, UTF8PROC_CATEGORY_LM }, { 0x16D43, 0x16D6A, UTF8PROC_CATEGORY_LO },
    { 0x16D6B, 0x16D6C, UTF8PROC_CATEGORY_LM }, { 0x16D6D, 0x16D6F, UTF8PROC_CATEGORY_PO },
    { 0x16D70, 0x16D79, UTF8PROC_CATEGORY_ND }, { 0x18CFF, 0x18CFF, UTF8PROC_CATEGORY_LO },
    { 0x1CC00, 0x1CCEF, UTF8PROC_CATEGORY_SO }, { 0x1CCF0, 0x1CCF9, UTF8PROC_CATEGORY_ND },
    { 0x1CD00, 0x1CEB3, UTF8PROC_CATEGORY_SO }, { 0x1E5D0, 0x1E5ED, UTF8PROC_CATEGORY_LO },
    { 0x1E5EE, 0x1E5EF, UTF8PROC_CATEGORY_MN }, { 0x1E5F0, 0x1E5F0, UTF8PROC_CATEGORY_LO },
    { 0x1E5F1, 0x1E5FA, UTF8PROC_CATEGORY_ND }, { 0x1E5FF, 0x1E5FF, UTF8PROC_CATEGORY_PO },
    { 0x1F8B2, 0x1F8BB, UTF8PROC_CATEGORY_SO }, { 0x1F8C0, 0x1F8C1, UTF8PROC_CATEGORY_SO },
    { 0x1FA89, 0x1FA89, UTF8PROC_CATEGORY_SO }, { 0x1FA8F, 0x1FA8F, UTF8PROC_CATEGORY_SO },
    { 0x1FABE, 0x1FABE, UTF8PROC_CATEGORY_SO }, { 0x1FAC6, 0x1FAC6, UTF8PROC_CATEGORY_SO },
    { 0x1FADC, 0x1FADC, UTF8PROC_CATEGORY_SO }, { 0x1FADF, 0x1FADF, UTF8PROC_CATEGORY_SO },
    { 0x1FAE9, 0x1FAE9, UTF8PROC_CATEGORY_SO }, { 0x1FBCB, 0x1FBEF, UTF8PROC_CATEGORY_SO },
    { 0x2EBF0, 0x2EE5D, UTF8PROC_CATEGORY_LO },
};

/* Marks and characters that decompose of Unicode 9.1 to 15: the reference's normalization forms are those of Unicode 9. */
static const range after_nine[] = {
    { 0x7FD, 0x7FD }, { 0x898, 0x89F }, { 0x8CA, 0x8D3 }, { 0x9FE, 0x9FE }, { 0xAFA, 0xAFF }, { 0xB55, 0xB55 },
    { 0xC04, 0xC04 }, { 0xC3C, 0xC3C }, { 0xCF3, 0xCF3 }, { 0xD00, 0xD00 }, { 0xD3B, 0xD3C }, { 0xD81, 0xD81 },
    { 0xEBA, 0xEBA }, { 0xECE, 0xECE }, { 0x1715, 0x1715 }, { 0x180F, 0x180F }, { 0x1ABF, 0x1ACE }, { 0x1CF7, 0x1CF7 },
    { 0x1DF6, 0x1DFA }, { 0x32FF, 0x32FF }, { 0xA7F2, 0xA7F4 }, { 0xA82C, 0xA82C }, { 0xA8FF, 0xA8FF }, { 0xAB69, 0xAB69 },
    { 0x10781, 0x10785 }, { 0x10787, 0x107B0 }, { 0x107B2, 0x107BA }, { 0x10D24, 0x10D27 }, { 0x10EAB, 0x10EAC },
    { 0x10EFD, 0x10EFF }, { 0x10F46, 0x10F50 }, { 0x10F82, 0x10F85 }, { 0x11070, 0x11070 }, { 0x11073, 0x11074 },
    { 0x110C2, 0x110C2 }, { 0x11145, 0x11146 }, { 0x111CE, 0x111CF }, { 0x11241, 0x11241 }, { 0x1133B, 0x1133B },
    { 0x1145E, 0x1145E }, { 0x1182C, 0x1183A }, { 0x11930, 0x11935 }, { 0x11937, 0x11938 }, { 0x1193B, 0x1193E },
    { 0x11940, 0x11940 }, { 0x11942, 0x11943 }, { 0x119D1, 0x119D7 }, { 0x119DA, 0x119E0 }, { 0x119E4, 0x119E4 },
    { 0x11A01, 0x11A0A }, { 0x11A33, 0x11A39 }, { 0x11A3B, 0x11A3E }, { 0x11A47, 0x11A47 }, { 0x11A51, 0x11A5B },
    { 0x11A8A, 0x11A99 }, { 0x11D31, 0x11D36 }, { 0x11D3A, 0x11D3A }, { 0x11D3C, 0x11D3D }, { 0x11D3F, 0x11D45 },
    { 0x11D47, 0x11D47 }, { 0x11D8A, 0x11D8E }, { 0x11D90, 0x11D91 }, { 0x11D93, 0x11D97 }, { 0x11EF3, 0x11EF6 },
    { 0x11F00, 0x11F01 }, { 0x11F03, 0x11F03 }, { 0x11F34, 0x11F3A }, { 0x11F3E, 0x11F42 }, { 0x13440, 0x13440 },
    { 0x13447, 0x13455 }, { 0x16F4F, 0x16F4F }, { 0x16F7F, 0x16F87 }, { 0x16FE4, 0x16FE4 }, { 0x16FF0, 0x16FF1 },
    { 0x1CF00, 0x1CF2D }, { 0x1CF30, 0x1CF46 }, { 0x1E030, 0x1E06D }, { 0x1E08F, 0x1E08F }, { 0x1E130, 0x1E136 },
    { 0x1E2AE, 0x1E2AE }, { 0x1E2EC, 0x1E2EF }, { 0x1E4EC, 0x1E4EF }, { 0x1F16C, 0x1F16C }, { 0x1FBF0, 0x1FBF9 },
};

/* The blocks of BERT's own tokenizer (tokenization.py, _is_chinese_char), as the reference has them. */
static const range chinese[] = {
    { 0x3400, 0x4DBF },   { 0x4E00, 0x9FFF },   { 0xF900, 0xFAFF },   { 0x20000, 0x2A6DF },
    { 0x2A700, 0x2B73F }, { 0x2B740, 0x2B81F }, { 0x2B920, 0x2CEAF }, { 0x2F800, 0x2FA1F },
};

static int within(const range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else if (c < ranges[middle].first)
            high = middle;
        else
            return 1;
    }
    return 0;
}
#define WITHIN(table, c) within(table, sizeof(table) / sizeof((table)[0]), c)

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

int unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13);
    if (c == 0x85)
        return 1;
    const utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

int unicode_is_control(uint32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r')
        return 0;
    const utf8proc_category_t k = category(c);
    return (k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO || k == UTF8PROC_CATEGORY_CS) &&
           !WITHIN(not_control, c);
}

int unicode_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    if (c == 0x166D || c == 0x111C9)
        return 1;
    const utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO && !WITHIN(not_punctuation, c);
}

int unicode_is_chinese(uint32_t c)
{
    return c >= 0x3400 && WITHIN(chinese, c);
}

int unicode_is_mark(uint32_t c)
{
    return c == 0x1734 || (c >= 0x300 && category(c) == UTF8PROC_CATEGORY_MN && !WITHIN(not_mark, c));
}

/* Not in Unicode 9, or in it without what it has now. */
static int is_after_nine(uint32_t c)
{
    return c >= 0x7FD && (WITHIN(after_nine, c) || (category(c) != unicode_category(c)));
}

uint32_t unicode_class(uint32_t c)
{
    if (c < 0x300)
        return 0;
    const uint32_t own = (uint32_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
    return own != 0 && is_after_nine(c) ? 0 : own;
}

int unicode_is_combining(uint32_t c)
{
    if (c < 0x300)
        return 0;
    const utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME && !is_after_nine(c);
}

int unicode_lower(uint32_t c, uint32_t out[2])
{
    out[0] = c;
    if (c < 0x80) {
        if (c >= 'A' && c <= 'Z')
            out[0] = c + 32;
        return 1;
    }
    if (c == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    if (out[0] != c || c < 0x1C89)
        return 1;
    /* letters of Unicode 16 and 17 that an older utf8proc does not know yet */
    if (c == 0x1C89 || c == 0xA7CC || c == 0xA7CE || c == 0xA7D2 || c == 0xA7D4 || c == 0xA7DA)
        out[0] = c + 1;
    else if (c == 0xA7CB)
        out[0] = 0x264;
    else if (c == 0xA7DC)
        out[0] = 0x19B;
    else if (c >= 0x10D50 && c <= 0x10D65)
        out[0] = c + 0x20;
    else if (c >= 0x16EA0 && c <= 0x16EB8)
        out[0] = c + 0x1B;
    return 1;
}

static int decompose(uint32_t c, int options, uint32_t out[UNICODE_PARTS])
{
    utf8proc_int32_t buffer[UNICODE_PARTS];
    int boundary = 0;
    out[0] = c;
    if (c < 0xA0 || is_after_nine(c))
        return 1;
    const utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, buffer, UNICODE_PARTS, (utf8proc_option_t)options, &boundary);
    if (n < 1 || n > UNICODE_PARTS)
        return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)buffer[i];
    return (int)n;
}

int unicode_decompose(uint32_t c, uint32_t out[UNICODE_PARTS])
{
    return decompose(c, UTF8PROC_DECOMPOSE, out);
}

int unicode_decompose_compatible(uint32_t c, uint32_t out[UNICODE_PARTS])
{
    return decompose(c, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, out);
}

int unicode_compose(uint32_t a, uint32_t b, uint32_t *together)
{
    utf8proc_int32_t pair[2] = { (utf8proc_int32_t)a, (utf8proc_int32_t)b };
    if (b < 0x300 || a < 0x3C)
        return 0;
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_STABLE | UTF8PROC_COMPOSE) != 1 || is_after_nine((uint32_t)pair[0]))
        return 0;
    *together = (uint32_t)pair[0];
    return 1;
}

uint32_t unicode_category(uint32_t c)
{
    const utf8proc_category_t k = category(c);
    if (k != UTF8PROC_CATEGORY_CN || c < 0x897)
        return (uint32_t)k;
    size_t low = 0, high = sizeof recent / sizeof *recent;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (c > recent[middle].last)
            low = middle + 1;
        else if (c < recent[middle].first)
            high = middle;
        else
            return (uint32_t)recent[middle].category;
    }
    return (uint32_t)k;
}

int unicode_is_number(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    const uint32_t k = unicode_category(c);
    return (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) || (c >= 0x11DE0 && c <= 0x11DE9);
}

static int is_circled(uint32_t c)
{
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

int unicode_is_word(uint32_t c)
{
    if (c < 0x80)
        return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    const uint32_t k = unicode_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC || is_circled(c) || c == 0x200C || c == 0x200D;
}

/* Marks of Unicode 16 and 17. */
static int is_recent_mark(uint32_t c)
{
    return c == 0x897 || (c >= 0x1ACF && c <= 0x1ADD) || (c >= 0x1AE0 && c <= 0x1AEB);
}

int unicode_stands_alone(uint32_t c)
{
    return utf8proc_get_property((utf8proc_int32_t)c)->boundclass == UTF8PROC_BOUNDCLASS_OTHER && !is_recent_mark(c);
}

size_t unicode_cluster(const unsigned char *text, size_t begin, size_t end)
{
    uint32_t a, b;
    utf8proc_int32_t state = 0;
    size_t at = begin + utf8_next(text + begin, end - begin, &a);
    while (at < end) {
        const size_t n = utf8_next(text + at, end - at, &b);
        if (is_recent_mark(b))
            b = 0x301;
        if (a < 0x300 && b < 0x300 ? !(a == 0xD && b == 0xA) : utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, &state))
            break;
        a = b;
        at += n;
    }
    return at;
}
