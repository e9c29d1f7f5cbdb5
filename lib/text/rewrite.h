/* Rewriting a text character by character. Inside the text room only.
 *
 * Each character written says what it stands for, as in the reference's NormalizedString: change 0: the next character of the
 * text; 1: one more for the character before; -n: the next one, and n after it are gone. */
#ifndef ECREC_LIB_TEXT_REWRITE_H
#define ECREC_LIB_TEXT_REWRITE_H

#include "text/utf8.h"
#include "text/work.h"

typedef struct rewrite {
    token_work *w;
    const text_buffer *from;
    text_buffer *to;
    size_t at; /* of the next character of `from` */
} rewrite;

static inline void rewrite_skip(rewrite *r, int32_t n)
{
    for (; n > 0 && r->at < r->from->length; n--) {
        uint32_t c;
        r->at += utf8_next(r->from->bytes + r->at, r->from->length - r->at, &c);
    }
}

static inline int rewrite_put(rewrite *r, uint32_t c, int32_t change)
{
    unsigned char bytes[4];
    place p = { 0, 0 };
    if (r->w->placed && r->from->length != 0) {
        const size_t last = r->from->length - 1;
        if (change <= 0)
            p = r->from->places[r->at < last ? r->at : last];
        else if (r->at > 0)
            p = r->from->places[r->at - 1];
        if (change <= 0)
            rewrite_skip(r, 1 - change);
    }
    return text_append(r->w, r->to, bytes, utf8_put(c, bytes), p);
}

#endif
