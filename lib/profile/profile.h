/* One user's profile: one block of memory that is made anew by each event. Values are as of `last`, the newest time seen. */
#ifndef ECREC_LIB_PROFILE_PROFILE_H
#define ECREC_LIB_PROFILE_PROFILE_H

#include "base/bytes.h"
#include "ecrec/profiles.h"

enum { PROFILE_EVENTS = 1024, PROFILE_TRAITS = 1024, PROFILE_TYPES = 64, PROFILE_TRAITS_AT_ONCE = 64, PROFILE_NAME = 65535, PROFILE_TRAIT_NAME = 255 };

typedef struct profile_trait { float value; uint32_t at, length; } profile_trait; /* at: in the block's text */
typedef struct profile_past { int64_t time; uint32_t type, at, length, reserved; } profile_past;

typedef struct profile {
    struct profile *older, *newer; /* by when something was heard of them last */
    uint64_t hash, total;          /* of the user's bytes; events ever */
    int64_t first, last;
    double mass, vector_mass;      /* faded sums of |weight|: of all events, of those with a vector */
    double count;                  /* faded number of events */
    size_t bytes;                  /* of the block */
    uint32_t dimension, trait_count, past_count, user_length, text_length, reserved;
    /* then past_count profile_past (oldest first), trait_count profile_trait, dimension f32 (sums), text (the user's name first) */
} profile;

static inline profile_past *profile_pasts(const profile *p)
{
    return (profile_past *)(uintptr_t)(p + 1);
}
static inline profile_trait *profile_traits(const profile *p)
{
    return (profile_trait *)(void *)(profile_pasts(p) + p->past_count);
}
static inline float *profile_vector(const profile *p)
{
    return (float *)(void *)(profile_traits(p) + p->trait_count);
}
static inline char *profile_text(const profile *p)
{
    return (char *)(profile_vector(p) + p->dimension);
}

/* A block with room for so much, its counts set, the rest zeros; NULL: NOMEM. */
profile *profile_create(memory *m, uint32_t dimension, uint32_t traits, uint32_t past, size_t text);
void profile_destroy(memory *m, profile *p);

typedef struct profile_limits { uint32_t dimension, events, traits; double half_life; } profile_limits;
/* How much of what was so at `then` is left at `now`, 1 when that is not later. */
double profile_faded(double half_life, int64_t then, int64_t now);
/* The profile after an event; p NULL: its first. weight: the type's is in it. NULL: NOMEM. */
profile *profile_after(memory *m, const profile_limits *limits, const profile *p, uint64_t hash, const ecrec_profile_event *event, double weight);

#endif
