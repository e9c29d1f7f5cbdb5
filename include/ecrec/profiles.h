/* ecrec/profiles.h: what is known of each user from what they did.
 *
 * A profile is the newest events of a user, the mean of the vectors of the items in them, and affinities to traits (a brand, a category, a
 * price band: whatever the host names), all of which fade: an event counts half after the half-life. Profiles become columns of a batch, a
 * vector to search with, or a report for people. They hold no weights: a ranker learns what a profile is worth as it learns of any field.
 * To train, take the events in the order of their times: fill the columns of a row first, then add what the user did.
 */
#ifndef ECREC_PROFILES_H
#define ECREC_PROFILES_H

#include "ecrec/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ecrec_profiles ecrec_profiles;

typedef struct ecrec_profiles_options {
    uint32_t size;
    uint32_t dimension;   /* of the items' vectors, 1 .. 65536; 0: events have none */
    uint32_t events;      /* newest events kept of a user, at most 1024; 0: 50 */
    uint32_t traits;      /* affinities kept of a user, at most 1024: when one more comes, the weakest goes; 0: 32 */
    uint32_t event_types; /* at most 64; 0: 1 */
    uint32_t reserved;
    uint64_t most;        /* users kept: of more, those go of whom nothing was heard for longest; 0: 1,000,000 */
    uint64_t most_bytes;  /* memory for them; 0: 1 GiB */
    int64_t half_life;    /* microseconds; 0: 30 days */
    const float *type_weights; /* of each type of event, in vector and affinities: -1e6 .. 1e6, below 0: a dislike; NULL: 1 each */
    const char *space;    /* fingerprint of the space that the vectors live in (ecrec_model_space), or NULL */
} ecrec_profiles_options;
#define ECREC_PROFILES_OPTIONS_INIT { (uint32_t)sizeof(ecrec_profiles_options), 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL }
ECREC_API void ecrec_profiles_options_init(ecrec_profiles_options *options);

/* What a user did. */
typedef struct ecrec_profile_event {
    uint32_t size;
    uint32_t type;        /* below event_types */
    const char *user;     /* 1 .. 65535 bytes */
    size_t user_length;
    const char *item;     /* NULL: none, it is not in the history */
    size_t item_length;   /* at most 65535 bytes */
    int64_t time;         /* microseconds since 1970 UTC, of the years 1 .. 9999; events may come late */
    const float *vector;  /* of the item, `dimension` floats of at most 1e15 either way, or NULL */
    const char *const *traits; /* of the item, 1 .. 255 bytes each: spelt as the host likes, "brand=acme" */
    const size_t *trait_lengths;
    size_t trait_count;   /* at most 64 */
    float weight;         /* times the type's: -1e6 .. 1e6; 0: 1 */
    uint32_t reserved;
} ecrec_profile_event;
#define ECREC_PROFILE_EVENT_INIT { (uint32_t)sizeof(ecrec_profile_event), 0, NULL, 0, NULL, 0, 0, NULL, NULL, NULL, 0, 0, 0 }

/* Fields of a batch's schema that profiles fill; UINT32_MAX: none. */
typedef struct ecrec_profile_columns {
    uint32_t size;
    uint32_t vector;  /* VECTOR or IMAGE of the profiles' dimension (and space, where both say one): the mean of the items' vectors */
    uint32_t traits;  /* MULTI: the affinities, weighted */
    uint32_t history; /* HISTORY with as many event types: the newest events */
    uint32_t count;   /* NUMBER: log(1 + events), faded */
    uint32_t age;     /* NUMBER: days since the newest event */
} ecrec_profile_columns;
#define ECREC_PROFILE_COLUMNS_INIT { (uint32_t)sizeof(ecrec_profile_columns), UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX }

/* Profiles of nobody yet. The caller releases them. Errors: INVALID (an option), NOMEM. One thread at a time uses profiles. Since 0.1. */
ECREC_API int32_t ecrec_profiles_create(ecrec_context *context, const ecrec_profiles_options *options, ecrec_profiles **profiles,
                                        ecrec_error *err);
ECREC_API void ecrec_profiles_release(ecrec_profiles *profiles);

/* Take events in. All of them are checked first, and when one is wrong (INVALID: its index is err->row) none is taken. NOMEM: those before
 * err->row are in. Time: that of a copy of the user's profile, a few KB. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_profiles_add(ecrec_profiles *profiles, const ecrec_profile_event *events, size_t n, ecrec_error *err);

/* Set columns of a batch from the profile of each row's user: users[i] of lengths[i] bytes (NULL: nobody), at now[i] microseconds since 1970
 * UTC (now NULL: the newest event of each). Who has no profile has these columns missing. What is known is as of the events taken in: a time
 * before some of them does not undo those. Errors: INVALID (a column of another kind, dimension or number of types), MISMATCH (another
 * space), NOMEM. Allocates. Since 0.1. */
ECREC_API int32_t ecrec_profiles_fill(ecrec_profiles *profiles, ecrec_batch *batch, const char *const *users, const size_t *lengths,
                                      const int64_t *now, const ecrec_profile_columns *columns, ecrec_error *err);

/* The mean vector of a user, scaled to unit length, to search with: `dimension` floats. Errors: INVALID (dimension), NOT_FOUND (no such
 * user, or none of the events had a vector). Allocates nothing. Since 0.1. */
ECREC_API int32_t ecrec_profiles_vector(const ecrec_profiles *profiles, const char *user, size_t length, float *vector,
                                        uint32_t dimension, ecrec_error *err);

/* A user's profile for people, as of `now`: "events", "first", "last" (microseconds), "weight" (what the events count now), "traits" (from the
 * strongest on: name, affinity) and "history" (newest first: item, type, time). What a user may ask to see. Errors: NOT_FOUND, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_profiles_report(const ecrec_profiles *profiles, const char *user, size_t length, int64_t now, ecrec_report **report,
                                        ecrec_error *err);
/* A user's profile goes; *found (may be NULL): whether there was one. Files saved before still have it. Errors: INVALID. Since 0.1. */
ECREC_API int32_t ecrec_profiles_forget(ecrec_profiles *profiles, const char *user, size_t length, uint32_t *found, ecrec_error *err);
/* "users", "bytes", "added" (events), "dropped" (users), "dimension", "half_life_days". Errors: NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_profiles_info(const ecrec_profiles *profiles, ecrec_report **report, ecrec_error *err);

/* Write them to a file: all or nothing; what was there is replaced. Takes as much memory again while it runs. Errors: IO, LIMIT, NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_profiles_save(const ecrec_profiles *profiles, const char *path, ecrec_error *err);
/* Read such a file, options and all. The caller releases them. Errors: IO, FORMAT (damaged, or no file of profiles), UNSUPPORTED (newer),
 * NOMEM. Since 0.1. */
ECREC_API int32_t ecrec_profiles_load(ecrec_context *context, const char *path, ecrec_profiles **profiles, ecrec_error *err);

#ifdef __cplusplus
}
#endif
#endif
