/* Reading protocol buffers: fields one after the other, never past the end. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_PROTOBUF_H
#define ECREC_LIB_TEXT_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

typedef struct proto {
    const unsigned char *bytes;
    size_t length, at;
    int failed;
} proto;

/* A field: varints and fixed numbers in `number`, texts and messages as bytes. */
typedef struct proto_field {
    uint32_t id, kind; /* kind: 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t number;
    const unsigned char *bytes;
    size_t length;
} proto_field;

/* The next field; 0: the end, or `failed`. Groups (kinds 3 and 4) fail. */
int proto_next(proto *p, proto_field *f);
float proto_float(const proto_field *f); /* of four bytes */

#endif
