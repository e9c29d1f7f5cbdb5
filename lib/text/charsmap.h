/* SentencePiece's precompiled character map: u32 bytes of a darts-clone double array, the array, NUL-terminated texts. Nothing
 * in it is trusted: every step is checked. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_CHARSMAP_H
#define ECREC_LIB_TEXT_CHARSMAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct charsmap {
    const unsigned char *units, *texts;
    size_t unit_count, text_length;
} charsmap;

int charsmap_open(charsmap *map, const unsigned char *bytes, size_t length); /* 0: it is none */
/* What the shortest key that text begins with stands for; 0: no key does. */
int charsmap_find(const charsmap *map, const unsigned char *text, size_t length, const unsigned char **to, size_t *to_length);
/* The same of the longest key; returns its length. */
size_t charsmap_longest(const charsmap *map, const unsigned char *text, size_t length, const unsigned char **to, size_t *to_length);

/* By how much at most a text grows, in quarters: bytes and characters of what a key stands for, and blanks in it, to bytes of the key, where
 * U+FFFD counts as the one byte that it may stand for. */
typedef struct charsmap_growth { uint32_t bytes, characters, blanks; } charsmap_growth;
void charsmap_measure(const charsmap *map, charsmap_growth *out);

#endif
