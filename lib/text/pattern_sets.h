/* Sets of characters while a pattern is compiled. At most 64; made and dropped like a stack. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PATTERN_SETS_H
#define ECREC_LIB_TEXT_PATTERN_SETS_H

#include "base/memory.h"

typedef struct set_builder {
    arena *a;
    unsigned char *categories; /* of each character */
    uint64_t *bits[64];
    uint32_t count;
    int failed; /* no memory */
} set_builder;

int sets_open(set_builder *s, arena *a);
int set_new(set_builder *s, uint32_t *set); /* empty; 0: too many (or no memory: failed) */
void set_drop(set_builder *s, uint32_t set); /* the last one */
uint32_t set_intern(set_builder *s, uint32_t set); /* the last one, or an equal one before it */
void set_add(set_builder *s, uint32_t set, uint32_t c); /* below 0x110000 */
void set_add_range(set_builder *s, uint32_t set, uint32_t from, uint32_t to);
void set_unite(set_builder *s, uint32_t to, uint32_t from);
void set_intersect(set_builder *s, uint32_t to, uint32_t with);
void set_clear(set_builder *s, uint32_t set);
void set_invert(set_builder *s, uint32_t set);
void set_fold(set_builder *s, uint32_t set); /* both cases of what is in it */
int set_meets(const set_builder *s, uint32_t a, uint32_t b);
/* Characters that no set tells apart are one class. masks: of each class, its sets; index and pages as in image_pattern. 0: too many
 * (or no memory: failed). */
int sets_classes(set_builder *s, uint32_t most, const uint64_t **masks, uint32_t *classes, uint16_t **index, uint16_t **pages, uint32_t *page_count);

#endif
