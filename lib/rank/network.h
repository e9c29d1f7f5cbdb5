/* The network beyond the first order: embeddings of the fields, and the parts that read them. Each adds its own share to each
 * head's logit, so the shares are what the parts gave.
 *
 * x0 = the fields' embeddings joined (fields x width floats):
 *   category: its row of "rank.embeddings" (hash mod 2^embedding_bits; a row never learned from is zeros);
 *   number z (standardised): z v + u, missing: m; weights v, u, m [width] each;
 *   vector x (unit length): P x + u, missing: m; weights P [width x dimension], u, m;
 *   history: what its events say of the candidate (rank/attention.h), zeros without any.
 * Factorisation machine (Rendle, ICDM 2010): sum over pairs of fields of <e_i, e_j>, weighted (Pan et al., WWW 2018): of r_ij <e_i, e_j>.
 * Cross layers (Wang et al., "DCN V2", WWW 2021, eq. 1 and 2): x_{l+1} = x0 * (U V x_l + b) + x_l, or W in place of U V; then a head w . x_L.
 * Perceptron: h = relu(W h + b) over the hidden layers, from x0; then a head w . h. Several of them with a gate a label: rank/experts.h.
 * Attention: a head w . interest for each history. Towers: rank/towers.h. How a vector x is embedded with gates: rank/modality.h.
 * All weights but the embeddings lie in one row of floats. Inside the rank and learn rooms. */
#ifndef ECREC_LIB_RANK_NETWORK_H
#define ECREC_LIB_RANK_NETWORK_H

#include "kernels/kernels.h"
#include "rank/schema.h"

enum { MOST_CROSS = 8, NETWORK_ROWS = 64 /* rows that are worked on at once */, PART_FM = 0, PART_CROSS, PART_HIDDEN, PART_ATTENTION, PART_TOWERS, PART_POSITION, NETWORK_PARTS,
       MOST_TOWERS = 16, MOST_EXPERTS = 16, MOST_GATED = 32 /* labels */ };

typedef struct dense_layer {
    size_t w, b; /* offsets; w is out x in, row-major */
    uint32_t out, in;
} dense_layer;

typedef struct attention_plan {
    uint32_t from, to; /* which of the joined embeddings is the candidate's, and the history's */
    uint32_t units, event_types, most /* events */;
    dense_layer events /* A, a */, candidate /* B */, product /* D */, score /* v */; /* offsets in "rank.network" */
    size_t types, bias, decay;
    dense_layer head; /* heads x width, no bias */
    size_t size;      /* floats from events.w on, without the head */
} attention_plan;
typedef struct attention_packed { weights events, candidate, product, score; } attention_packed;

typedef struct network_plan {
    uint32_t width, fields, inputs /* fields * width */, heads, fm, crosses, rank, hiddens, embedding_bits;
    size_t size; /* floats of "rank.network" */
    size_t fm_weights; /* fm 2: heads x fields (fields - 1) / 2 */
    dense_layer cross_v[MOST_CROSS] /* with a rank only; no bias */, cross_u[MOST_CROSS], cross_head /* no bias */;
    dense_layer hidden[ECREC_MOST_HIDDEN], hidden_head;
    uint32_t experts /* 0: one perceptron, no gates */, tasks /* labels */, task_heads[MOST_GATED];
    dense_layer gate; /* tasks x experts */
    uint32_t gates;
    uint32_t towers, tower[MOST_TOWERS]; /* which of the embeddings they are; 0: the part is not there */
    uint32_t positions;
    size_t position_weights; /* heads x positions - 1: of positions 2, 3, ... */
    size_t tower_weights; /* heads x towers (towers - 1) / 2 */
    uint32_t histories;
    attention_plan attention[MOST_HISTORIES];
    size_t thresholds; /* of the ordinal labels, one after the other: classes - 1 numbers each */
} network_plan;

/* The matrices as the kernels read them, made anew when the weights change. */
typedef struct network_packed {
    memory *m;
    size_t bytes;
    weights cross_v[MOST_CROSS], cross_u[MOST_CROSS], hidden[ECREC_MOST_HIDDEN], gate;
    attention_packed attention[MOST_HISTORIES];
} network_packed;
int32_t network_packed_create(memory *m, const network_plan *p, network_packed **out);
void network_pack(network_packed *packed, const network_plan *p, const float *flat);
void network_packed_release(network_packed *packed);

/* Whether the plan has a part. */
static inline int network_has(const network_plan *p, int part)
{
    switch (part) {
    case PART_FM: return p->fm != 0;
    case PART_CROSS: return p->crosses != 0;
    case PART_HIDDEN: return p->hiddens != 0;
    case PART_TOWERS: return p->towers != 0;
    case PART_POSITION: return 0; /* not from x0: see network_position */
    default: return p->histories != 0;
    }
}

/* The bias of a position (0: not known, as the first). */
static inline float network_position(const network_plan *p, const float *flat, uint32_t head, uint32_t position)
{
    if (p->positions == 0 || position < 2)
        return 0;
    return flat[p->position_weights + (size_t)head * (p->positions - 1) + (position < p->positions ? position : p->positions) - 2];
}

/* What a pass keeps of each row: taken from a stretch of memory. */
typedef struct network_pass {
    size_t rows;
    float *x0, *cross[MOST_CROSS] /* x_1 .. x_L */, *low[MOST_CROSS], *mid[MOST_CROSS] /* U V x + b */, *hidden[ECREC_MOST_HIDDEN];
    float *gate /* rows x tasks x experts: softmax */, *mix /* rows x tasks x units */;
    unsigned char *present; /* rows x fields: 0: the field is missing */
    float *shares; /* NETWORK_PARTS x rows x heads */
    float *scratch; /* NETWORK_ROWS x width floats a thread's block */
} network_pass;
size_t network_pass_take(network_pass *pass, const network_plan *p, size_t rows, void *memory); /* bytes */

/* Dropout of the hidden layers while learning: a unit of a row is off with `rate`; told by (seed, stream, row, unit) alone. */
typedef struct network_dropout { float rate; uint64_t seed, stream; } network_dropout;
/* From x0 to the shares of rows [first, first + n), n <= NETWORK_ROWS. */
void network_forward(const network_plan *p, const network_packed *packed, const float *flat, const kernels *table, network_pass *pass,
                     size_t first, size_t n, const network_dropout *dropout);
enum { MODALITY_LAYER = 255 }; /* the layer by which modality dropout draws: units are fields */
float dropout_factor(const network_dropout *d, size_t row, uint32_t layer, uint32_t unit);

#endif
