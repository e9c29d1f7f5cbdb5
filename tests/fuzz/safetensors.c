/* Bytes are a safetensors file: what opens has tensors that lie inside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "import/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory m;
    safetensors file;
    ecrec_error err = ECREC_ERROR_INIT;
    memory_init(&m, NULL, (uint64_t)(1u << 20) + 96 * (uint64_t)size);
    const int32_t status = safetensors_open(&m, "fuzz.safetensors", data, size, &file, &err);
    PROMISE(status != ECREC_ERR_NOMEM);
    if (status == ECREC_OK) {
        for (size_t i = 0; i < file.count; i++) {
            const safetensor *t = &file.tensors[i];
            float values[16];
            size_t n = 1;
            PROMISE(safetensors_find(&file, t->name) != NULL);
            PROMISE(t->data >= data && t->bytes <= size && t->data + t->bytes <= data + size);
            for (uint32_t d = 0; d < t->rank; d++)
                n *= (size_t)t->shape[d];
            for (size_t at = 0; at < n && at < 1024; at += 16)
                if (safetensors_floats(t, at, n - at < 16 ? n - at : 16, values, &err) != ECREC_OK)
                    break;
        }
        safetensors_close(&file);
    } else {
        PROMISE(err.message[0] != 0);
    }
    PROMISE(atomic_load(&m.live) == 0);
    return 0;
}

static void seed(fuzz_emit emit, void *opaque, const char *header, size_t bytes)
{
    static unsigned char file[4096];
    const uint64_t n = strlen(header);
    memset(file, 0x3E, sizeof file);
    for (size_t i = 0; i < 8; i++)
        file[i] = (unsigned char)(n >> 8 * i);
    memcpy(file + 8, header, (size_t)n);
    emit(opaque, file, 8 + (size_t)n + bytes);
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    seed(emit, opaque, "{}", 0);
    seed(emit, opaque, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24);
    seed(emit, opaque, "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
                       "\"b.c\":{\"dtype\":\"BF16\",\"shape\":[2,2,1],\"data_offsets\":[8,16]},\"d\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[16,24]}}", 24);
    seed(emit, opaque, "{\"a\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[0,0]},\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3);
}
