/* Profiles of all users: found by their names, in the order in which something was heard of them, within bounds. */
#ifndef ECREC_LIB_PROFILE_PROFILES_H
#define ECREC_LIB_PROFILE_PROFILES_H

#include "base/context.h"
#include "profile/profile.h"

struct ecrec_profiles {
    ecrec_context *context; /* referenced */
    memory *m;
    ecrec_profiles_options o; /* defaults filled in; its pointers are those below, or NULL */
    float type_weights[PROFILE_TYPES];
    char space[40];
    profile **table;        /* open addressing; capacity slots, a power of 2, at most half of them taken */
    size_t capacity, count;
    profile *oldest, *newest;
    uint64_t bytes, added, dropped;
};

/* Options are whole; INVALID names the one that is not. */
int32_t profiles_create(ecrec_context *context, const ecrec_profiles_options *options, ecrec_profiles **out, ecrec_error *err);
void profiles_destroy(ecrec_profiles *all);
profile *profiles_find(const ecrec_profiles *all, const char *user, size_t length); /* NULL: nobody */
int32_t profiles_add(ecrec_profiles *all, const ecrec_profile_event *events, size_t n, ecrec_error *err);
void profiles_forget(ecrec_profiles *all, profile *p);
/* A profile of somebody who is not there yet, as the newest; taken over. NOMEM: it is still the caller's. */
int32_t profiles_put(ecrec_profiles *all, profile *p);

int32_t profiles_fill(ecrec_profiles *all, ecrec_batch *batch, const char *const *users, const size_t *lengths, const int64_t *now,
                      const ecrec_profile_columns *columns, ecrec_error *err);

int32_t profiles_save(const ecrec_profiles *all, const char *path, ecrec_error *err);
int32_t profiles_load(ecrec_context *context, const char *path, ecrec_profiles **out, ecrec_error *err);
/* As bytes; what they say is checked, whoever wrote them: FORMAT, UNSUPPORTED, NOMEM. */
int32_t profiles_write(const ecrec_profiles *all, buffer *out);
int32_t profiles_read(ecrec_context *context, const void *data, size_t length, ecrec_profiles **out, ecrec_error *err);

#endif
