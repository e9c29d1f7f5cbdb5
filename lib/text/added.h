/* Added tokens: found as they are spelt, before anything else is done to the text. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_ADDED_H
#define ECREC_LIB_TEXT_ADDED_H

#include "text/image.h"

typedef struct added_scan {
    const tokenizer *t;
    int normalized; /* 0: those that are looked for in the source, 1: in the normalised text */
    const unsigned char *text;
    size_t length, at, done;
} added_scan;

/* The next one: text [scan->done as it was, *begin) stands in front, the token takes [*begin, *end). 0: there is none. */
int added_next(added_scan *scan, size_t *begin, size_t *end, uint32_t *id);
void added_prepare(tokenizer *t); /* fills t->letter and t->begins */
/* The entry of the added token with this id, or NULL. */
const image_added *added_of(const tokenizer *t, uint32_t id);

#endif
