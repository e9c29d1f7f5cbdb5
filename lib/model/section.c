#include "model/section.h"

#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#define LEVEL 3

int32_t section_write(buffer *b, const section *s)
{
    const uint32_t words[6] = { s->kind, s->codec, s->flags, (uint32_t)s->type, (uint32_t)s->layout, (uint32_t)s->rank };
    const uint64_t longs[9] = { s->shape[0], s->shape[1], s->shape[2], s->shape[3], s->rows_per_chunk, s->offset, s->stored, s->raw, s->checksum };
    int32_t status = write_string(b, s->name, strlen(s->name));
    for (size_t i = 0; i < 6 && status == ECREC_OK; i++)
        status = write_u32(b, words[i]);
    for (size_t i = 0; i < 9 && status == ECREC_OK; i++)
        status = write_u64(b, longs[i]);
    return status;
}

int section_read(reader *r, section *s)
{
    size_t length = 0;
    const char *name = read_string(r, MOST_SECTION_NAME, &length);
    if (name == NULL || length == 0)
        return 0;
    for (size_t i = 0; i < length; i++) /* names are ours or a newer version's: plain ASCII */
        if ((unsigned char)name[i] < 0x21 || (unsigned char)name[i] > 0x7E)
            return 0;
    memset(s, 0, sizeof *s);
    memcpy(s->name, name, length);
    s->kind = read_u32(r);
    s->codec = read_u32(r);
    s->flags = read_u32(r);
    s->type = (int32_t)read_u32(r);
    s->layout = (int32_t)read_u32(r);
    s->rank = (int32_t)read_u32(r);
    for (size_t d = 0; d < TENSOR_MAX_RANK; d++)
        s->shape[d] = read_u64(r);
    s->rows_per_chunk = read_u64(r);
    s->offset = read_u64(r);
    s->stored = read_u64(r);
    s->raw = read_u64(r);
    s->checksum = read_u64(r);
    return !r->failed;
}

int32_t pack_bytes(memory *m, const void *bytes, size_t length, unsigned char **out, size_t *length_out, size_t *capacity)
{
    size_t work_size = ZSTD_estimateCCtxSize(LEVEL), most = ZSTD_compressBound(length);
    void *work = memory_allocate(m, work_size);
    unsigned char *packed = memory_allocate(m, most);
    ZSTD_CCtx *compressor = work != NULL ? ZSTD_initStaticCCtx(work, work_size) : NULL;
    size_t n = 0;
    int ok = compressor != NULL && packed != NULL;
    if (ok) {
        n = ZSTD_compressCCtx(compressor, packed, most, bytes, length, LEVEL);
        ok = !ZSTD_isError(n);
    }
    memory_release(m, work, work_size);
    if (!ok) {
        memory_release(m, packed, most);
        return ECREC_ERR_NOMEM;
    }
    *out = packed;
    *length_out = n;
    *capacity = most;
    return ECREC_OK;
}

int32_t unpack_bytes(memory *m, const void *bytes, size_t length, void *out, size_t raw)
{
    unsigned long long declared = ZSTD_getFrameContentSize(bytes, length);
    if (declared == ZSTD_CONTENTSIZE_UNKNOWN || declared == ZSTD_CONTENTSIZE_ERROR || declared != raw)
        return ECREC_ERR_FORMAT;
    size_t work_size = ZSTD_estimateDCtxSize();
    void *work = memory_allocate(m, work_size);
    if (work == NULL)
        return ECREC_ERR_NOMEM;
    ZSTD_DCtx *decompressor = ZSTD_initStaticDCtx(work, work_size);
    size_t n = decompressor != NULL ? ZSTD_decompressDCtx(decompressor, out, raw, bytes, length) : 0;
    int ok = decompressor != NULL && !ZSTD_isError(n) && n == raw;
    memory_release(m, work, work_size);
    return ok ? ECREC_OK : ECREC_ERR_FORMAT;
}
