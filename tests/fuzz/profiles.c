/* Bytes are profiles of users as a file holds them. What is read can be used, and written again it is read to the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "profile/profiles.h"
#include "support.h"

static int32_t add(ecrec_profiles *all, const char *user, const char *item, int64_t time)
{
    static const float vector[2] = { 1, -0.5f };
    static const char *const traits[2] = { "brand=a", "b" };
    static const size_t lengths[2] = { 7, 1 };
    ecrec_profile_event e = ECREC_PROFILE_EVENT_INIT;
    e.user = user;
    e.user_length = strlen(user);
    e.item = item;
    e.item_length = strlen(item);
    e.time = time;
    e.vector = all->o.dimension == 2 ? vector : NULL;
    e.traits = traits;
    e.trait_lengths = lengths;
    e.trait_count = (size_t)time & 3 ? 2 : 1;
    return ecrec_profiles_add(all, &e, 1, NULL);
}

static void use(ecrec_profiles *all)
{
    ecrec_report *r = NULL;
    if (all->oldest != NULL) {
        PROMISE(ecrec_profiles_report(all, profile_text(all->oldest), all->oldest->user_length, INT64_MAX, &r, NULL) == ECREC_OK);
        ecrec_report_release(r);
        r = NULL;
    }
    PROMISE(add(all, "u", "i", 5) == ECREC_OK && add(all, "new", "i", 6) == ECREC_OK);
    PROMISE(ecrec_profiles_info(all, &r, NULL) == ECREC_OK);
    ecrec_report_release(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecrec_context_options limits = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *context = NULL;
    ecrec_profiles *all = NULL, *again = NULL;
    ecrec_error err = ECREC_ERROR_INIT;
    limits.memory_limit = 64 << 20;
    PROMISE(ecrec_context_create(&limits, &context, NULL) == ECREC_OK);
    const int32_t status = profiles_read(context, data, size, &all, &err);
    PROMISE(status == ECREC_OK || err.message[0] != 0);
    if (status == ECREC_OK) {
        buffer first, second;
        buffer_init(&first, all->m);
        buffer_init(&second, all->m);
        use(all);
        PROMISE(profiles_write(all, &first) == ECREC_OK && profiles_read(context, first.data, first.length, &again, NULL) == ECREC_OK);
        PROMISE(profiles_write(again, &second) == ECREC_OK && first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
        buffer_release(&first);
        buffer_release(&second);
        ecrec_profiles_release(again);
        ecrec_profiles_release(all);
    }
    ecrec_context_release(context);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    for (uint32_t k = 0; k < 3; k++) {
        ecrec_context *context = NULL;
        ecrec_profiles *all = NULL;
        ecrec_profiles_options o = ECREC_PROFILES_OPTIONS_INIT;
        buffer bytes;
        o.dimension = k == 0 ? 0 : 2;
        o.events = 3;
        o.traits = 2;
        PROMISE(ecrec_context_create(NULL, &context, NULL) == ECREC_OK && ecrec_profiles_create(context, &o, &all, NULL) == ECREC_OK);
        for (int64_t i = 0; i < 3 * (int64_t)k; i++)
            PROMISE(add(all, i % 2 ? "u" : "v", "item", i) == ECREC_OK);
        buffer_init(&bytes, all->m);
        PROMISE(profiles_write(all, &bytes) == ECREC_OK);
        emit(opaque, bytes.data, bytes.length);
        buffer_release(&bytes);
        ecrec_profiles_release(all);
        ecrec_context_release(context);
    }
}
