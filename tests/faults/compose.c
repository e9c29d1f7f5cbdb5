#include "compose.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

static memory *plain(void)
{
    static memory m;
    if (m.allocator.allocate == NULL)
        memory_init(&m, NULL, 0);
    return &m;
}

static unsigned char *duplicate(const void *bytes, size_t length)
{
    unsigned char *copy = malloc(length + 1);
    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

void compose_read(composition *c, const unsigned char *file, size_t length)
{
    reader r;
    memset(c, 0, sizeof *c);
    reader_init(&r, file, length);
    (void)read_bytes(&r, 24);
    const uint64_t offset = read_u64(&r), bytes = read_u64(&r);
    (void)read_u64(&r);
    c->sequence = read_u64(&r);
    assert_true(offset + bytes <= length);
    reader_init(&r, file + offset, (size_t)bytes);
    c->count = read_u32(&r);
    assert_true(c->count > 0 && c->count <= MOST_PIECES);
    for (size_t i = 0; i < c->count; i++) {
        piece *p = &c->pieces[i];
        assert_true(section_read(&r, &p->s));
        p->length = (size_t)p->s.raw;
        p->stored_length = (size_t)p->s.stored;
        p->stored = duplicate(file + p->s.offset, p->stored_length);
        p->bytes = malloc(p->length + 1);
        if (p->s.codec == CODEC_RAW)
            memcpy(p->bytes, p->stored, p->length);
        else if (p->length > 0)
            assert_int_equal(unpack_bytes(plain(), p->stored, p->stored_length, p->bytes, p->length), ECREC_OK);
    }
}

static void store(piece *p)
{
    if (p->stored != NULL)
        return;
    if (p->s.codec == CODEC_ZSTD && p->length > 0) {
        unsigned char *packed = NULL;
        size_t capacity = 0;
        assert_int_equal(pack_bytes(plain(), p->bytes, p->length, &packed, &p->stored_length, &capacity), ECREC_OK);
        p->stored = duplicate(packed, p->stored_length);
        memory_release(plain(), packed, capacity);
    } else {
        p->stored_length = p->length;
        p->stored = duplicate(p->bytes, p->length);
    }
}

static size_t aligned(size_t n)
{
    return (n + FILE_ALIGNMENT - 1) / FILE_ALIGNMENT * FILE_ALIGNMENT;
}

unsigned char *compose_write(composition *c, size_t *length, uint64_t *offsets)
{
    buffer directory, header;
    size_t at = FILE_HEADER + 4;
    buffer_init(&directory, plain());
    buffer_init(&header, plain());
    for (size_t i = 0; i < c->count; i++) {
        store(&c->pieces[i]);
        at += 4 + strlen(c->pieces[i].s.name) + 6 * 4 + 9 * 8;
    }
    assert_int_equal(write_u32(&directory, c->count_told != 0 ? c->count_told : (uint32_t)c->count), ECREC_OK);
    size_t places[MOST_PIECES];
    for (size_t i = 0; i < c->count; i++) {
        piece *p = &c->pieces[i];
        places[i] = at = aligned(at);
        if (!p->fixed) {
            p->s.offset = at;
            p->s.stored = p->stored_length;
            p->s.raw = p->length;
            p->s.checksum = hash64(p->stored, p->stored_length, 0);
        }
        at += p->stored_length;
        assert_int_equal(section_write(&directory, &p->s), ECREC_OK);
        if (offsets != NULL)
            offsets[i] = places[i];
    }
    const size_t whole = aligned(at);
    unsigned char *file = aligned_alloc(64, whole + 64);
    memset(file, 0, whole + 64);
    assert_int_equal(buffer_append(&header, FILE_MAGIC, 8), ECREC_OK);
    (void)write_u16(&header, FILE_MAJOR);
    (void)write_u16(&header, FILE_MINOR);
    (void)write_u32(&header, FILE_HEADER);
    (void)write_u64(&header, whole);
    (void)write_u64(&header, FILE_HEADER);
    (void)write_u64(&header, directory.length);
    (void)write_u64(&header, hash64(directory.data, directory.length, 0));
    (void)write_u64(&header, c->sequence);
    (void)write_u64(&header, hash64(header.data, header.length, 0));
    assert_int_equal(header.length, FILE_HEADER);
    memcpy(file, header.data, FILE_HEADER);
    memcpy(file + FILE_HEADER, directory.data, directory.length);
    for (size_t i = 0; i < c->count; i++)
        memcpy(file + places[i], c->pieces[i].stored, c->pieces[i].stored_length);
    buffer_release(&directory);
    buffer_release(&header);
    *length = whole;
    return file;
}

piece *compose_find(composition *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->pieces[i].s.name, name) == 0)
            return &c->pieces[i];
    fail_msg("the model has no section %s", name);
    return NULL;
}

void compose_set(piece *p, const void *bytes, size_t length)
{
    unsigned char *copy = duplicate(bytes, length);
    free(p->bytes);
    free(p->stored);
    p->bytes = copy;
    p->length = length;
    p->stored = NULL;
}

piece *compose_add(composition *c, const char *name, uint32_t kind, const void *bytes, size_t length)
{
    size_t at = 0;
    assert_true(c->count < MOST_PIECES);
    while (at < c->count && strcmp(c->pieces[at].s.name, name) < 0)
        at++;
    memmove(&c->pieces[at + 1], &c->pieces[at], (c->count - at) * sizeof *c->pieces);
    c->count++;
    piece *p = &c->pieces[at];
    memset(p, 0, sizeof *p);
    strcpy(p->s.name, name);
    p->s.kind = kind;
    compose_set(p, bytes, length);
    return p;
}

void compose_copy(composition *to, const composition *from)
{
    *to = *from;
    for (size_t i = 0; i < to->count; i++) {
        piece *p = &to->pieces[i];
        p->bytes = duplicate(p->bytes, p->length);
        p->stored = p->stored != NULL ? duplicate(p->stored, p->stored_length) : NULL;
    }
}

void compose_free(composition *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->pieces[i].bytes);
        free(c->pieces[i].stored);
    }
    c->count = 0;
}
