/* Large one-off float32 products (training, similarity matrices): c (m x n) = alpha op(a) op(b) + beta c, row-major.
 *
 * Blocked after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (TOMS 2008). The packing memory
 * is the caller's, so no allocation hides in here; the inner tile is BLIS's micro-kernel for this CPU where the build has
 * BLIS and its version fits, else the table's own. Why not bli_sgemm itself: it packs into memory from its own malloc and
 * aborts the process when that fails. */
#ifndef ECREC_LIB_KERNELS_MATMUL_H
#define ECREC_LIB_KERNELS_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

typedef struct matmul_call {
    size_t m, n, k;
    float alpha, beta;
    int32_t transpose_a, transpose_b; /* a is k x m, b is n x k */
    const float *a;
    size_t a_stride;
    const float *b;
    size_t b_stride;
    float *c;
    size_t c_stride;
    void *scratch; /* matmul_scratch bytes, 64-byte aligned */
} matmul_call;

/* Whether BLIS's tile is the one to take: the build has BLIS, of the version compiled against, it knows the processor, and our own tile
 * is not wider than its AVX2 one. Allocates nothing. */
int matmul_wants_blis(const kernels *table);
/* Its view of this processor, for the `blis` of a table; NULL where its tile does not fit. The first question of a process makes BLIS
 * initialise itself: it reads its BLIS_* variables and takes some hundred KiB of the C library's malloc, and ends the process when that
 * fails. So it is asked when a context is made, after malloc has shown that it has MATMUL_BLIS_HEADROOM bytes. */
#define MATMUL_BLIS_HEADROOM ((size_t)8 << 20)
void *matmul_ask_blis(const kernels *table);

size_t matmul_scratch(const kernels *table, size_t m, size_t n, size_t k);
void matmul_f32(const kernels *table, const matmul_call *call);
/* "blis 0.9.0 (zen3 micro-kernel 6x16)" or "own (avx512 8x48)": for info and benches */
const char *matmul_name(const kernels *table);

#endif
