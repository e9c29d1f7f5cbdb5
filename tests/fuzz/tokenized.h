/* An image that compiled opens, and tokenises any text within bounds. */
#ifndef ECREC_TESTS_TOKENIZED_H
#define ECREC_TESTS_TOKENIZED_H

#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "text/tokenizer.h"

static void tokenized(memory *m, const buffer *image)
{
    static const char text[] = "Red shoes \xC3\xA9t\xC3\xA9 \xE9\x9E\x8B [SEP]\xFF a##b  running\t<s>";
    enum { CAPACITY = 256 };
    uint32_t ids[CAPACITY], offsets[2 * CAPACITY];
    uint8_t types[CAPACITY];
    tokenizer t;
    ecrec_error err = ECREC_ERROR_INIT;
    PROMISE(tokenizer_open(&t, image->data, image->length, &err) == ECREC_OK);
    token_work *work = NULL;
    for (int pair = 0; pair < 2 && (work != NULL || token_work_create(m, &t, &work, &err) == ECREC_OK); pair++) {
        const tokenize_call call = { .text = text, .length = sizeof text - 1, .pair = pair ? text : NULL, .pair_length = pair ? 7 : 0, .special = 1,
                                     .max_length = pair ? 12 : 0 };
        token_output out = { ids, offsets, types, CAPACITY, 0 };
        if (tokenizer_run(&t, work, &call, &out, &err) != ECREC_OK)
            continue;
        for (size_t i = 0; i < out.count && i < CAPACITY; i++)
            PROMISE(ids[i] < tokenizer_size(&t) && offsets[2 * i] <= offsets[2 * i + 1] && offsets[2 * i + 1] <= sizeof text - 1);
    }
    token_work_destroy(work);
}

#endif
