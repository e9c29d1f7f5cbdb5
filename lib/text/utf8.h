/* UTF-8, one character at a time; what is not UTF-8 reads as U+FFFD, one for each maximal ill-formed part (Unicode 15,
 * section 3.9, table 3-8), which is what the reference tokenizers see. */
#ifndef ECREC_LIB_TEXT_UTF8_H
#define ECREC_LIB_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define REPLACEMENT 0xFFFDu

/* The character at text[0 .. left), left > 0, and how many bytes it takes (1 .. 4). */
static inline size_t utf8_next(const unsigned char *text, size_t left, uint32_t *character)
{
    const uint32_t a = text[0];
    if (a < 0x80) {
        *character = a;
        return 1;
    }
    *character = REPLACEMENT;
    if (a < 0xC2 || a > 0xF4 || left < 2)
        return 1;
    const uint32_t b = text[1], low = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80, high = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
    if (b < low || b > high)
        return 1;
    if (a < 0xE0) {
        *character = (a & 0x1F) << 6 | (b & 0x3F);
        return 2;
    }
    if (left < 3 || (text[2] & 0xC0) != 0x80)
        return 2;
    if (a < 0xF0) {
        *character = (a & 0x0F) << 12 | (b & 0x3F) << 6 | (text[2] & 0x3Fu);
        return 3;
    }
    if (left < 4 || (text[3] & 0xC0) != 0x80)
        return 3;
    *character = (a & 0x07) << 18 | (b & 0x3F) << 12 | (text[2] & 0x3Fu) << 6 | (text[3] & 0x3Fu);
    return 4;
}

/* Where the character in front of `at` begins; valid UTF-8, begin < at. */
static inline size_t utf8_previous(const unsigned char *text, size_t begin, size_t at)
{
    do
        at--;
    while (at > begin && (text[at] & 0xC0) == 0x80);
    return at;
}

static inline size_t utf8_put(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xC0 | c >> 6);
        out[1] = (unsigned char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xE0 | c >> 12);
        out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (unsigned char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (unsigned char)(0xF0 | c >> 18);
    out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (unsigned char)(0x80 | (c & 0x3F));
    return 4;
}

#endif
