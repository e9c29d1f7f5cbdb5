#include "kernels/matmul.h"

#include <string.h>

#ifdef ECREC_WITH_BLIS
#include ECREC_BLIS_HEADER
#endif

/* Blocks: a panel of b (KC x NC) stays in L3 or L2, a block of a (MC x KC) in L2, a sliver of b in L1. KC is the same on every
 * machine: the order of the sums, and so their last bits, hang on it. */
enum { KC = 384, MC_MOST = 192, NC_MOST = 1536, TILE_MOST = 64, LINE = 16 };

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
/* The tile of a BLIS context; its sizes are told by the context, and only unpadded ones are used. */
static int tile_of(cntx_t *context, inner *in)
{
    const dim_t mr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, context), nr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, context);
    const dim_t packed_mr = bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_MR, context), packed_nr = bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_NR, context);
    union { void *address; sgemm_ukr_ft function; } kernel; /* ISO C has no cast between the two; POSIX gives them one shape */
    kernel.address = bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
    if (kernel.address == NULL || mr < 1 || nr < 1 || mr > TILE_MOST || nr > TILE_MOST || packed_mr != mr || packed_nr != nr)
        return 0;
    in->blis = kernel.function;
    in->context = context;
    in->mr = (size_t)mr;
    in->nr = (size_t)nr;
    return 1;
}
#endif

int matmul_wants_blis(const kernels *table)
{
#ifdef ECREC_WITH_BLIS
    /* cntx_t differs between versions of BLIS that share a soname */
    return table->tile_n <= 16 && table->tile_m > 4 && strcmp(bli_info_get_version_str(), ECREC_BLIS_VERSION) == 0 &&
           bli_arch_query_id() != BLIS_ARCH_GENERIC;
#else
    (void)table;
    return 0;
#endif
}

void *matmul_ask_blis(const kernels *table)
{
#ifdef ECREC_WITH_BLIS
    inner in = { .table = table };
    cntx_t *context = bli_gks_query_cntx();
    return context != NULL && tile_of(context, &in) ? context : NULL;
#else
    (void)table;
    return NULL;
#endif
}

static void choose(const kernels *table, inner *in)
{
    *in = (inner){ .mr = table->tile_m, .nr = table->tile_n, .table = table };
#ifdef ECREC_WITH_BLIS
    if (table->blis != NULL)
        (void)tile_of(table->blis, in);
#endif
}

/* a: row r, inner index i at a[r * row + i * step]; BLIS's tile takes packed slivers only (row 1, step mr). */
static void run_inner(const inner *in, size_t k, const float *a, size_t row, size_t step, const float *b, float *c, size_t c_stride, int accumulate)
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
    in->table->tile_f32(k, a, row, step, b, c, c_stride, accumulate);
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
    return ((smaller(m, MC_MOST) + TILE_MOST) * (deep + LINE) + (smaller(n, NC_MOST) + TILE_MOST) * deep + TILE_MOST * TILE_MOST) *
               sizeof(float) + 4096;
}

/* k rows of `width` values that lie in a row; a constant width makes the copy one or two moves. */
static void copy_rows(const float *x, size_t stride, size_t k, size_t width, float *to)
{
    switch (width) {
    case 4:
        for (size_t i = 0; i < k; i++)
            memcpy(to + i * 4, x + i * stride, 4 * sizeof(float));
        break;
    case 6:
        for (size_t i = 0; i < k; i++)
            memcpy(to + i * 6, x + i * stride, 6 * sizeof(float));
        break;
    case 8:
        for (size_t i = 0; i < k; i++)
            memcpy(to + i * 8, x + i * stride, 8 * sizeof(float));
        break;
    case 16:
        for (size_t i = 0; i < k; i++)
            memcpy(to + i * 16, x + i * stride, 16 * sizeof(float));
        break;
    case 48:
        for (size_t i = 0; i < k; i++)
            memcpy(to + i * 48, x + i * stride, 48 * sizeof(float));
        break;
    default:
        for (size_t i = 0; i < k; i++)
            memcpy(to + i * width, x + i * stride, width * sizeof(float));
    }
}

/* One sliver: k x width of rows [first, first + n) of op(x), inner indexes [at, at + k), zeros past n, times factor. */
static void pack_sliver(const float *x, size_t stride, int transposed, size_t first, size_t n, size_t at, size_t k, size_t width, float factor,
                        float *to)
{
    if (n < width)
        memset(to, 0, k * width * sizeof(float));
    if (transposed && n == width && factor == 1)
        copy_rows(x + at * stride + first, stride, k, width, to);
    else if (transposed)
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < n; j++)
                to[i * width + j] = factor * x[(at + i) * stride + first + j];
    else
        for (size_t i = 0; i < k; i += LINE) /* a line of memory of each row at a time, read whole */
            for (size_t j = 0; j < n; j++)
                for (size_t l = i; l < smaller(i + LINE, k); l++)
                    to[l * width + j] = factor * x[(first + j) * stride + at + l];
}

static void pack(const float *x, size_t stride, int transposed, size_t first, size_t rows, size_t at, size_t k, size_t width, float factor, float *to)
{
    for (size_t r = 0; r < rows; r += width, to += k * width)
        pack_sliver(x, stride, transposed, first + r, smaller(width, rows - r), at, k, width, factor, to);
}

static void scale_c(const matmul_call *c)
{
    for (size_t i = 0; i < c->m; i++)
        for (size_t j = 0; j < c->n; j++)
            c->c[i * c->c_stride + j] = c->beta == 0 ? 0 : c->c[i * c->c_stride + j] * c->beta;
}

/* Where rows of op(a) lie: floats from one tile of rows to the next, from row to row, from inner index to inner index. */
typedef struct left { const float *at; size_t tile, row, step; } left;

static void block(const inner *in, const matmul_call *c, size_t row, size_t rows, size_t column, size_t columns, size_t k, const left *a,
                  const float *b, float *edge, int accumulate)
{
    for (size_t j = 0; j < columns; j += in->nr)
        for (size_t i = 0; i < rows; i += in->mr) {
            const size_t m = smaller(in->mr, rows - i), n = smaller(in->nr, columns - j);
            const float *pa = a->at + i / in->mr * a->tile, *pb = b + j * k;
            float *to = c->c + (row + i) * c->c_stride + column + j;
            if (m == in->mr && n == in->nr) {
                run_inner(in, k, pa, a->row, a->step, pb, to, c->c_stride, accumulate);
                continue;
            }
            run_inner(in, k, pa, a->row, a->step, pb, edge, in->nr, 0);
            for (size_t r = 0; r < m; r++)
                for (size_t s = 0; s < n; s++)
                    to[r * c->c_stride + s] = edge[r * in->nr + s] + (accumulate ? to[r * c->c_stride + s] : 0);
        }
}

/* A block of op(a) for the tile. Our own reads rows, or columns of a, where they lie, or copies of them: at a stride that puts all rows into the same
 * few sets of the cache, and for the rows of the last tile, which may not be there to be read (they become zeros). */
static left take_left(const inner *in, const matmul_call *c, size_t row, size_t rows, size_t at, size_t k, float *to)
{
    int packed = c->transpose_a && (c->a_stride % 256 == 0 || rows % in->mr != 0);
#ifdef ECREC_WITH_BLIS
    packed = packed || in->blis != NULL;
#endif
    if (packed) {
        pack(c->a, c->a_stride, c->transpose_a, row, rows, at, k, in->mr, 1, to);
        return (left){ to, in->mr * k, 1, in->mr };
    }
    if (c->transpose_a)
        return (left){ c->a + at * c->a_stride + row, in->mr, 1, c->a_stride };
    const float *from = c->a + row * c->a_stride + at;
    if (c->a_stride % 256 != 0 && rows % in->mr == 0)
        return (left){ from, in->mr * c->a_stride, c->a_stride, 1 };
    const size_t stride = k + LINE;
    for (size_t r = 0; r < round_up(rows, in->mr); r++)
        if (r < rows)
            memcpy(to + r * stride, from + r * c->a_stride, k * sizeof(float));
        else
            memset(to + r * stride, 0, k * sizeof(float));
    return (left){ to, in->mr * stride, stride, 1 };
}

void matmul_f32(const kernels *table, const matmul_call *c)
{
    inner in;
    choose(table, &in);
    if ((c->beta != 0 && c->beta != 1) || c->k == 0)
        scale_c(c);
    const size_t deep = smaller(c->k, KC), mc = MC_MOST / in.mr * in.mr, nc = NC_MOST / in.nr * in.nr;
    float *b = c->scratch, *a = b + round_up(round_up(smaller(c->n, nc), in.nr) * deep, LINE);
    float *edge = a + round_up(round_up(smaller(c->m, mc), in.mr) * (deep + LINE), LINE);
    for (size_t column = 0; column < c->n; column += nc)
        for (size_t at = 0; at < c->k; at += KC) {
            const size_t columns = smaller(nc, c->n - column), k = smaller(KC, c->k - at);
            pack(c->b, c->b_stride, !c->transpose_b, column, columns, at, k, in.nr, c->alpha, b);
            for (size_t row = 0; row < c->m; row += mc) {
                const size_t rows = smaller(mc, c->m - row);
                const left from = take_left(&in, c, row, rows, at, k, a);
                block(&in, c, row, rows, column, columns, k, &from, b, edge, at > 0 || c->beta != 0);
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
