/* Bytes are a JSON text: what parses stays within its memory and reads back the same after being written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

static void visit(const json *v, size_t size, size_t depth)
{
    uint64_t number = 0;
    uint32_t members = 0;
    PROMISE(depth <= 64 && v->position <= size);
    (void)json_u64(v, &number);
    if (v->kind != JSON_ARRAY && v->kind != JSON_OBJECT)
        return;
    for (const json *m = v->first; m != NULL; m = m->next, members++) {
        PROMISE(v->kind != JSON_OBJECT || m->key != NULL);
        visit(m, size, depth + 1);
    }
    PROMISE(members == v->length);
}

static void write_and_read(memory *m, const char *text, size_t length)
{
    buffer b;
    arena a;
    const json *again = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    buffer_init(&b, m);
    arena_init(&a, m);
    PROMISE(json_write_string(&b, text, length) == ECREC_OK);
    PROMISE(json_parse(&a, "again", (const char *)b.data, b.length, &again, &err) == ECREC_OK);
    PROMISE(again->kind == JSON_STRING && again->length == length && memcmp(again->text, text, length) == 0);
    arena_release(&a);
    buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory m, plain;
    arena a;
    const json *root = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    memory_init(&plain, NULL, 0);
    memory_init(&m, NULL, (uint64_t)(1u << 20) + 128 * (uint64_t)size);
    arena_init(&a, &m);
    const int32_t status = json_parse(&a, "fuzz.json", (const char *)data, size, &root, &err);
    PROMISE(status == ECREC_OK || (status != ECREC_ERR_NOMEM && err.message[0] != 0));
    if (status == ECREC_OK) {
        visit(root, size, 0);
        if (root->kind == JSON_STRING)
            write_and_read(&plain, root->text, root->length);
    }
    arena_release(&a);
    PROMISE(atomic_load(&m.live) == 0 && atomic_load(&plain.live) == 0);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char *const seeds[] = {
        "{}", "[]", "null", "true", "-0.5e-10", "1e400", "18446744073709551615", "\"\\u00e9\\ud83d\\ude00\\n\"", "[1,2,[3,{\"a\":[]}]]",
        "{\"name\":\"t\u00e9xt\",\"list\":[0,-1,1.5,1e3,true,false,null],\"deep\":{\"a\":{\"b\":{\"c\":\"d\"}}}}",
        "{\"a0\":0,\"a1\":0,\"a2\":0,\"a3\":0,\"a4\":0,\"a5\":0,\"a6\":0,\"a7\":0,\"a8\":0,\"a9\":0,\"b0\":0,\"b1\":0,\"b2\":0,\"b3\":0,\"b4\":0,\"b5\":0,\"b6\":0}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        emit(opaque, seeds[i], strlen(seeds[i]));
}
