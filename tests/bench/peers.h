/* Products with fixed weights by other libraries, loaded when they are there: for the bench of the layers' products. */
#ifndef ECREC_TESTS_BENCH_PEERS_H
#define ECREC_TESTS_BENCH_PEERS_H

#include <stddef.h>
#include <stdint.h>

/* out (m x n) = x (m x k) w^T, w row-major n x k. float32: x and w float, out float. 8 bits: x u8, w s8, out the int32 sums (without the
 * scales that ours applies too). bf16: x and w bfloat16, out float. */
enum { PRODUCT_F32, PRODUCT_S8, PRODUCT_BF16, PRODUCT_KINDS };
typedef struct peer_product {
    size_t m, n, k;
    int kind; /* PRODUCT_* */
    const void *x, *w;
    void *out;
} peer_product;

typedef struct peer peer;
enum { MOST_PEERS = 4 };
/* "mkl=LIBRARY" gives two: weights as they lie, and packed beforehand; "onednn=LIBRARY" (version 3) one: its matmul primitive, weights in
 * the layout that it asks for. How many were appended; 0: it is not there, or not what it should be (said on stderr). */
int peers_open(const char *argument, peer *to[MOST_PEERS], int count);
const char *peer_name(const peer *p);
/* Weights are packed here, outside of any time. 0: this product is not to be had. */
int peer_prepare(peer *p, const peer_product *product);
void peer_run(peer *p);
void peer_finish(peer *p); /* what peer_prepare made */

#endif
