#include "profile/profile.h"

#include <math.h>
#include <string.h>

profile *profile_create(memory *m, uint32_t dimension, uint32_t traits, uint32_t past, size_t text)
{
    const size_t bytes = sizeof(profile) + past * sizeof(profile_past) + traits * sizeof(profile_trait) + dimension * sizeof(float) + text;
    profile *p = memory_zero(m, bytes);
    if (p == NULL)
        return NULL;
    p->bytes = bytes;
    p->dimension = dimension;
    p->trait_count = traits;
    p->past_count = past;
    p->text_length = (uint32_t)text;
    return p;
}

void profile_destroy(memory *m, profile *p)
{
    if (p == NULL)
        return;
    const size_t bytes = p->bytes;
    memset(p, 0, bytes); /* it is a person's */
    memory_release(m, p, bytes);
}

double profile_faded(double half_life, int64_t then, int64_t now)
{
    return now > then ? exp(-0.69314718055994531 * (((double)now - (double)then) / half_life)) : 1;
}

/* ---- which traits and events the next block has ---- */

typedef struct kept_trait { const char *name; uint32_t length; double value; } kept_trait;
typedef struct next {
    kept_trait traits[PROFILE_TRAITS];
    uint32_t trait_count, first_past, past_count, new_at; /* new_at: where the event stands among them; UINT32_MAX: it does not */
} next;

static void keep_trait(next *n, uint32_t most, const char *name, size_t length, double value)
{
    uint32_t weakest = 0;
    for (uint32_t i = 0; i < n->trait_count; i++) {
        if (n->traits[i].length == length && memcmp(n->traits[i].name, name, length) == 0) {
            n->traits[i].value += value;
            return;
        }
        if (fabs(n->traits[i].value) < fabs(n->traits[weakest].value))
            weakest = i;
    }
    if (n->trait_count < most) {
        n->traits[n->trait_count++] = (kept_trait){ name, (uint32_t)length, value };
        return;
    }
    memmove(n->traits + weakest, n->traits + weakest + 1, (n->trait_count - weakest - 1) * sizeof *n->traits);
    n->traits[n->trait_count - 1] = (kept_trait){ name, (uint32_t)length, value };
}

static void choose_traits(next *n, const profile_limits *limits, const profile *p, const ecrec_profile_event *e, double old_share, double value)
{
    n->trait_count = 0;
    for (uint32_t i = 0; p != NULL && i < p->trait_count; i++) {
        const profile_trait *t = &profile_traits(p)[i];
        n->traits[n->trait_count++] = (kept_trait){ profile_text(p) + t->at, t->length, (double)t->value * old_share };
    }
    for (size_t i = 0; i < e->trait_count; i++)
        keep_trait(n, limits->traits, e->traits[i], e->trait_lengths[i], value);
}

static void choose_past(next *n, const profile_limits *limits, const profile *p, const ecrec_profile_event *e)
{
    const uint32_t had = p != NULL ? p->past_count : 0;
    uint32_t at = had;
    n->first_past = 0;
    n->past_count = had;
    n->new_at = UINT32_MAX;
    if (e->item == NULL)
        return;
    while (at > 0 && profile_pasts(p)[at - 1].time > e->time)
        at--;
    if (had == limits->events) {
        if (at == 0)
            return; /* older than all that is kept */
        n->first_past = 1;
        at--;
    } else {
        n->past_count++;
    }
    n->new_at = at;
}

/* ---- the block ---- */

typedef struct text_end { char *base; uint32_t at; } text_end;

static uint32_t put_text(text_end *t, const char *bytes, size_t length)
{
    const uint32_t at = t->at;
    if (length != 0)
        memcpy(t->base + at, bytes, length);
    t->at += (uint32_t)length;
    return at;
}

static void put_past(const next *n, const profile *p, const ecrec_profile_event *e, profile *out, text_end *text)
{
    uint32_t from = n->first_past;
    for (uint32_t i = 0; i < n->past_count; i++) {
        profile_past *to = &profile_pasts(out)[i];
        if (i == n->new_at) {
            *to = (profile_past){ e->time, e->type, put_text(text, e->item, e->item_length), (uint32_t)e->item_length, 0 };
            continue;
        }
        *to = profile_pasts(p)[from++];
        to->at = put_text(text, profile_text(p) + to->at, to->length);
    }
}

static size_t text_needed(const next *n, const profile *p, const ecrec_profile_event *e)
{
    size_t bytes = e->user_length + (n->new_at != UINT32_MAX ? e->item_length : 0);
    const uint32_t olds = n->past_count - (n->new_at != UINT32_MAX);
    for (uint32_t i = 0; i < olds; i++)
        bytes += profile_pasts(p)[n->first_past + i].length;
    for (uint32_t i = 0; i < n->trait_count; i++)
        bytes += n->traits[i].length;
    return bytes;
}

profile *profile_after(memory *m, const profile_limits *limits, const profile *p, uint64_t hash, const ecrec_profile_event *e, double weight)
{
    const int64_t last = p != NULL && p->last > e->time ? p->last : e->time;
    const double old_share = p != NULL ? profile_faded(limits->half_life, p->last, last) : 0, share = profile_faded(limits->half_life, e->time, last);
    next *n = memory_allocate(m, sizeof *n);
    if (n == NULL)
        return NULL;
    choose_traits(n, limits, p, e, old_share, weight * share);
    choose_past(n, limits, p, e);
    profile *out = profile_create(m, limits->dimension, n->trait_count, n->past_count, text_needed(n, p, e));
    if (out != NULL) {
        text_end text = { profile_text(out), 0 };
        out->hash = hash;
        out->total = (p != NULL ? p->total : 0) + 1;
        out->first = p != NULL && p->first < e->time ? p->first : e->time;
        out->last = last;
        out->count = (p != NULL ? p->count * old_share : 0) + share;
        out->mass = (p != NULL ? p->mass * old_share : 0) + fabs(weight) * share;
        out->vector_mass = (p != NULL ? p->vector_mass * old_share : 0) + (e->vector != NULL ? fabs(weight) * share : 0);
        out->user_length = (uint32_t)e->user_length;
        put_text(&text, e->user, e->user_length);
        put_past(n, p, e, out, &text);
        for (uint32_t i = 0; i < n->trait_count; i++)
            profile_traits(out)[i] = (profile_trait){ (float)n->traits[i].value, put_text(&text, n->traits[i].name, n->traits[i].length), n->traits[i].length };
        for (uint32_t i = 0; i < limits->dimension; i++)
            profile_vector(out)[i] = (float)((p != NULL ? (double)profile_vector(p)[i] * old_share : 0) + (e->vector != NULL ? (double)e->vector[i] * weight * share : 0));
    }
    memory_release(m, n, sizeof *n);
    return out;
}
