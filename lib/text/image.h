/* The tokenizer image: what compile.c writes and tokenizer.c reads. Little-endian, position-independent.
 *
 * "ECTK", u32 version, u32 number of parts, u32 0; then for each part u64 offset, u64 length; then the parts, each at a
 * multiple of 8 bytes. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_IMAGE_H
#define ECREC_LIB_TEXT_IMAGE_H

#include <stdint.h>

#include "text/tokenizer.h"

#define IMAGE_MAGIC 0x4B544345u /* "ECTK" */
#define IMAGE_VERSION 1u
#define IMAGE_HEADER 16u

enum {
    PART_SETTINGS,        /* image_settings */
    PART_PIECE_STARTS,    /* u32 [size + 1] into PART_PIECES; equal neighbours: the id has no piece */
    PART_PIECES,          /* the pieces, each followed by a NUL */
    PART_TRIE,            /* trie_unit [multiple of 256] */
    PART_ADDED,           /* image_added [n], longest first */
    PART_TEMPLATE_SINGLE, /* image_slot [n] */
    PART_TEMPLATE_PAIR,   /* image_slot [n] */
    PART_COUNT
};

enum { MODEL_WORDPIECE = 1 };

enum { /* image_settings.normalizer */
    NORMALIZE_CLEAN = 1,
    NORMALIZE_CHINESE = 2,
    NORMALIZE_STRIP_ACCENTS = 4,
    NORMALIZE_LOWER = 8
};

typedef struct image_settings {
    uint32_t model, size, normalizer, unknown, word_limit /* characters */, initial_root, continuation_root, reserved;
} image_settings;

/* A double-array trie over bytes (Aoe 1989, with XOR as in darts-clone): the child of unit s by byte c is
 * base[s] ^ c when its check is s. id: the piece that ends here, or NO_ID. */
typedef struct trie_unit { uint32_t base, check, id; } trie_unit;
#define NO_ID UINT32_MAX

enum { ADDED_SPECIAL = 1, ADDED_LSTRIP = 2, ADDED_RSTRIP = 4, ADDED_SINGLE_WORD = 8 };
typedef struct image_added { uint32_t id, flags; } image_added;

enum { SLOT_TOKEN, SLOT_FIRST, SLOT_SECOND };
typedef struct image_slot { uint32_t kind, id, type, reserved; } image_slot;

static inline const void *image_part(const tokenizer *t, int part)
{
    return t->image + t->parts[2 * part];
}
static inline size_t image_count(const tokenizer *t, int part, size_t size)
{
    return (size_t)t->parts[2 * part + 1] / size;
}
static inline const image_settings *image_of(const tokenizer *t)
{
    return image_part(t, PART_SETTINGS);
}

#endif
