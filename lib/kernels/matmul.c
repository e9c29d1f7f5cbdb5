#include "kernels/matmul.h"

#include <string.h>

#ifdef ECREC_WITH_BLIS
#include ECREC_BLIS_HEADER
#endif

/* Blocks: a panel of b (KC x NC) stays in L3 or L2, a block of a (MC x KC) in L2, a sliver of b in L1 or, where it is 48 wide, in
 * L2, from which the tile can be fed. */
enum { KC = 384, MC_MOST = 144, NC_MOST = 1536, TILE_MOST = 64 };

/* The inner tile: c[mr x nr] (+)= a sliver (k x mr) times b sliver (k x nr). */
typedef struct inner {
    size_t mr, nr;
    const kernels *table;
#ifdef ECREC_WITH_BLIS
    sgemm_ukr_ft blis;
    cntx_t *context;
#endif
} inner;

#ifdef ECREC_WITH_BLIS
/* cntx_t differs between versions of BLIS that share a soname: only the version that we were compiled with is asked, and only
 * where it knows the processor. bli_gks_query_cntx makes BLIS initialise itself once (a few hundred KiB from the C
 * library's malloc; BLIS aborts when that fails): it happens at the first large product of the process, never when encoding
 * or scoring. */
static int use_blis(inner *in)
{
    if (strcmp(bli_info_get_version_str(), ECREC_BLIS_VERSION) != 0)
        return 0;
    arch_t arch = bli_arch_query_id();
    if (arch == BLIS_ARCH_GENERIC)
        return 0;
    cntx_t *context = bli_gks_query_cntx();
    if (context == NULL)
        return 0;
    dim_t mr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, context), nr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, context);
    dim_t packed_mr = bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_MR, context), packed_nr = bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_NR, context);
    if (mr < 1 || nr < 1 || mr > TILE_MOST || nr > TILE_MOST || packed_mr != mr || packed_nr != nr)
        return 0;
    union { void *address; sgemm_ukr_ft function; } kernel; /* ISO C has no cast between the two; POSIX gives them one shape */
    kernel.address = bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
    in->blis = kernel.function;
    in->context = context;
    in->mr = (size_t)mr;
    in->nr = (size_t)nr;
    return in->blis != NULL;
}
#endif

/* BLIS's tile where our own level has no wider one: its haswell and zen tiles are AVX2, its skx tile is meant for Intel. */
static void choose(const kernels *table, inner *in)
{
    in->table = table;
    in->mr = table->tile_m;
    in->nr = table->tile_n;
#ifdef ECREC_WITH_BLIS
    in->blis = NULL;
    in->context = NULL;
    if (table->tile_n <= 16 && table->tile_m > 4)
        (void)use_blis(in);
#endif
}

static void run_inner(const inner *in, size_t k, const float *a, const float *b, float *c, size_t c_stride, int accumulate)
{
#ifdef ECREC_WITH_BLIS
    if (in->blis != NULL) {
        float one = 1, beta = accumulate ? 1 : 0;
        auxinfo_t data;
        memset(&data, 0, sizeof data);
        float *from_a = (float *)(uintptr_t)a, *from_b = (float *)(uintptr_t)b; /* its signature lacks const */
        bli_auxinfo_set_next_a(from_a, &data);
        bli_auxinfo_set_next_b(from_b, &data);
        in->blis((dim_t)in->mr, (dim_t)in->nr, (dim_t)k, &one, from_a, from_b, &beta, c,
                 (inc_t)c_stride, 1, &data, in->context);
        return;
    }
#endif
    in->table->tile_f32(k, a, b, c, c_stride, accumulate);
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t matmul_scratch(const kernels *table, size_t m, size_t n, size_t k)
{
    size_t deep = smaller(k, KC);
    (void)table;
    return ((smaller(m, MC_MOST) + TILE_MOST) * deep + (smaller(n, NC_MOST) + TILE_MOST) * deep + TILE_MOST * TILE_MOST) *
               sizeof(float) + 4096;
}

enum { PACK_DEPTH = 16 /* inner indexes at a time: lines of memory that are read whole */ };

/* Rows [first, first + rows) of op(x), inner indexes [at, at + k): slivers of `width` rows, k x width each, zeros past the end. */
static void pack(const float *x, size_t stride, int transposed, size_t first, size_t rows, size_t at, size_t k, size_t width,
                 float factor, float *to)
{
    for (size_t r = 0; r < rows; r += width, to += k * width) {
        const size_t n = smaller(width, rows - r);
        if (transposed) {
            for (size_t i = 0; i < k; i++) {
                const float *from = x + (at + i) * stride + first + r;
                if (factor == 1)
                    memcpy(to + i * width, from, n * sizeof(float));
                else
                    for (size_t j = 0; j < n; j++)
                        to[i * width + j] = factor * from[j];
            }
        } else {
            for (size_t i = 0; i < k; i += PACK_DEPTH) {
                const size_t end = smaller(i + PACK_DEPTH, k);
                for (size_t j = 0; j < n; j++) {
                    const float *from = x + (first + r + j) * stride + at;
                    for (size_t l = i; l < end; l++)
                        to[l * width + j] = factor * from[l];
                }
            }
        }
        for (size_t i = 0; i < k && n < width; i++)
            memset(to + i * width + n, 0, (width - n) * sizeof(float));
    }
}

static void scale_c(const matmul_call *c)
{
    for (size_t i = 0; i < c->m; i++)
        for (size_t j = 0; j < c->n; j++)
            c->c[i * c->c_stride + j] = c->beta == 0 ? 0 : c->c[i * c->c_stride + j] * c->beta;
}

static void block(const inner *in, const matmul_call *c, size_t row, size_t rows, size_t column, size_t columns, size_t k,
                  const float *a, const float *b, float *edge)
{
    for (size_t j = 0; j < columns; j += in->nr)
        for (size_t i = 0; i < rows; i += in->mr) {
            const float *pa = a + i * k, *pb = b + j * k;
            size_t m = smaller(in->mr, rows - i), n = smaller(in->nr, columns - j);
            float *to = c->c + (row + i) * c->c_stride + column + j;
            if (m == in->mr && n == in->nr) {
                run_inner(in, k, pa, pb, to, c->c_stride, 1);
                continue;
            }
            run_inner(in, k, pa, pb, edge, in->nr, 0);
            for (size_t r = 0; r < m; r++)
                for (size_t s = 0; s < n; s++)
                    to[r * c->c_stride + s] += edge[r * in->nr + s];
        }
}

void matmul_f32(const kernels *table, const matmul_call *c)
{
    inner in;
    choose(table, &in);
    if (c->beta != 1)
        scale_c(c);
    size_t deep = smaller(c->k, KC), mc = MC_MOST / in.mr * in.mr, nc = NC_MOST / in.nr * in.nr;
    float *b = c->scratch, *a = b + round_up(round_up(smaller(c->n, nc), in.nr) * deep, 16);
    float *edge = a + round_up(round_up(smaller(c->m, mc), in.mr) * deep, 16);
    for (size_t column = 0; column < c->n; column += nc)
        for (size_t at = 0; at < c->k; at += KC) {
            size_t columns = smaller(nc, c->n - column), k = smaller(KC, c->k - at);
            pack(c->b, c->b_stride, !c->transpose_b, column, columns, at, k, in.nr, 1, b);
            for (size_t row = 0; row < c->m; row += mc) {
                size_t rows = smaller(mc, c->m - row);
                pack(c->a, c->a_stride, c->transpose_a, row, rows, at, k, in.mr, c->alpha, a);
                block(&in, c, row, rows, column, columns, k, a, b, edge);
            }
        }
}

const char *matmul_name(const kernels *table)
{
    inner in;
    choose(table, &in);
#ifdef ECREC_WITH_BLIS
    if (in.blis != NULL)
        return "BLIS " ECREC_BLIS_VERSION " micro-kernel";
#endif
    return table->name;
}
