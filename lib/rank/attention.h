/* Target attention: what a user's past events say about this candidate, as one vector of the network's width that takes the history
 * field's place among the joined embeddings.
 *
 * e_j: the embedding of event j's item (the candidate field's own table) + that of its type; c: the candidate's embedding.
 *   h_j = relu(A e_j + a + B c + D (e_j * c))          the activation unit of DIN (Zhou et al., KDD 2018): both and their product
 *   s_j = v . h_j + b[type] - l[type] log(1 + age of the event in hours)     so a weight falls as a power of the age
 *   w_j = exp(s_j) / (1 + sum of exp(s))               the 1 is "none of them": a history that has nothing to say gives about nothing
 *   interest = sum of w_j e_j; no events, or a missing history: zeros.
 * The weights of each history lie in "rank.network": A, a, B, D, v, the types' embeddings, b, l. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_ATTENTION_H
#define ECREC_LIB_RANK_ATTENTION_H

#include "rank/network.h"

/* A user's side: the same whatever the candidate. */
typedef struct attention_user {
    uint32_t events;
    float *e;     /* events x width */
    float *side;  /* A e + a: events x units */
    float *fixed; /* events: b - l log(1 + age) */
} attention_user;
typedef struct attention_work { float *product /* events x width */, *h /* events x units */, *s, *w /* events + 1 */, *side /* units */; } attention_work;

size_t attention_user_take(attention_user *user, const attention_plan *p, uint32_t width, size_t events, void *memory); /* bytes */
size_t attention_work_take(attention_work *work, const attention_plan *p, uint32_t width, size_t events, void *memory); /* bytes */

/* user->events and the items' embeddings in user->e are there; types and log(1 + age) of each event. */
void attention_user_make(const attention_plan *p, const attention_packed *packed, const float *flat, const kernels *table, uint32_t width,
                         const unsigned char *types, const float *ages, attention_user *user);
/* interest [width]; work keeps h (after relu), w. */
void attention_forward(const attention_plan *p, const attention_packed *packed, const float *flat, const kernels *table, uint32_t width,
                       const attention_user *user, const float *candidate, attention_work *work, float *interest);

#endif
