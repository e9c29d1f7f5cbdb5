#include "text/protobuf.h"

#include <string.h>

static uint64_t varint(proto *p)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (p->at == p->length || shift == 63 + 7)
            break;
        const unsigned char byte = p->bytes[p->at++];
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    p->failed = 1;
    return 0;
}

static uint64_t fixed(proto *p, size_t n)
{
    uint64_t value = 0;
    if (p->length - p->at < n) {
        p->failed = 1;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)p->bytes[p->at++] << 8 * i;
    return value;
}

int proto_next(proto *p, proto_field *f)
{
    if (p->failed || p->at == p->length)
        return 0;
    const uint64_t tag = varint(p);
    memset(f, 0, sizeof *f);
    if (tag > UINT32_MAX || tag >> 3 == 0)
        p->failed = 1;
    f->id = (uint32_t)(tag >> 3);
    f->kind = (uint32_t)tag & 7;
    if (p->failed)
        return 0;
    switch (f->kind) {
    case 0:
        f->number = varint(p);
        break;
    case 1:
        f->number = fixed(p, 8);
        break;
    case 2: {
        const uint64_t n = varint(p);
        if (p->failed || n > p->length - p->at) {
            p->failed = 1;
            break;
        }
        f->bytes = p->bytes + p->at;
        f->length = (size_t)n;
        p->at += f->length;
        break;
    }
    case 5:
        f->number = fixed(p, 4);
        break;
    default:
        p->failed = 1;
    }
    return !p->failed;
}

float proto_float(const proto_field *f)
{
    const uint32_t bits = (uint32_t)f->number;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
