/* A model file taken apart and put together again, with every checksum right: what a hostile writer can do. */
#ifndef ECREC_TESTS_COMPOSE_H
#define ECREC_TESTS_COMPOSE_H

#include "model/section.h"

enum { MOST_PIECES = 256 };

typedef struct piece {
    section s;             /* offset, stored, raw and checksum are made when `fixed` is 0 */
    int fixed;             /* 1: the directory says what s says, whatever the bytes are */
    unsigned char *bytes;  /* raw (unpacked); owned */
    size_t length;
    unsigned char *stored; /* as in the file; NULL: packed from `bytes` when composed */
    size_t stored_length;
} piece;

typedef struct composition {
    piece pieces[MOST_PIECES];
    size_t count;
    uint64_t sequence;
    uint32_t count_told; /* in the directory; 0: the true one */
} composition;

void compose_read(composition *c, const unsigned char *file, size_t length);
/* 64-byte aligned, to be freed; *offsets (may be NULL) gets where each piece lies. */
unsigned char *compose_write(composition *c, size_t *length, uint64_t *offsets);
piece *compose_find(composition *c, const char *name); /* fails the test when there is none */
/* New raw bytes (copied); packed again when composed. */
void compose_set(piece *p, const void *bytes, size_t length);
piece *compose_add(composition *c, const char *name, uint32_t kind, const void *bytes, size_t length); /* a raw section, sorted in */
void compose_copy(composition *to, const composition *from);
void compose_free(composition *c);

#endif
