#include "peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The C calls that are used, as the manuals of oneMKL and oneDNN 3 have them. */
enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112, PACKED = 151, B_MATRIX = 162, FIXED_OFFSET = 173 };
typedef void (*mkl_gemm)(int layout, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta,
                         float *c, int ldc);
typedef size_t (*mkl_size)(int identifier, int m, int n, int k);
typedef void (*mkl_pack)(int layout, int identifier, int trans, int m, int n, int k, float alpha, const float *source, int ld, float *to);
typedef void (*mkl_compute)(int layout, int ta, int tb, int m, int n, int k, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
typedef void (*mkl_pack_s8)(int layout, int identifier, int trans, int m, int n, int k, const void *source, int ld, void *to);
typedef void (*mkl_gemm_bf16)(int layout, int ta, int tb, int m, int n, int k, float alpha, const void *a, int lda, const void *b, int ldb, float beta,
                              float *c, int ldc);
/* gemm_s8u8s32 and its _compute have the same arguments */
typedef void (*mkl_gemm_s8)(int layout, int ta, int tb, int offset, int m, int n, int k, float alpha, const void *a, int lda, int8_t ao, const void *b,
                            int ldb, int8_t bo, float beta, int32_t *c, int ldc, const int32_t *co);

enum { DNNL_BF16 = 2, DNNL_F32 = 3, DNNL_S32 = 4, DNNL_S8 = 5, DNNL_U8 = 6, DNNL_ANY = 1, DNNL_CPU = 1, DNNL_IN_ORDER = 1, DNNL_WEIGHTS_MD = 131 /* query */,
       ARG_SRC = 1, ARG_DST = 17, ARG_WEIGHTS = 33 };
typedef struct dnnl_argument { int arg; void *memory; } dnnl_argument;
typedef int (*dnnl_create)(void *out, int kind, size_t index);                    /* engine */
typedef int (*dnnl_create_from)(void *out, const void *from);                     /* primitive */
typedef int (*dnnl_stream)(void *out, void *engine, unsigned flags);
typedef int (*dnnl_md_strides)(void *out, int dims, const int64_t *sizes, int type, const int64_t *strides);
typedef int (*dnnl_md_tag)(void *out, int dims, const int64_t *sizes, int type, int tag);
typedef int (*dnnl_matmul)(void *out, void *engine, const void *src, const void *weights, const void *bias, const void *dst, const void *attributes);
typedef int (*dnnl_reorder)(void *out, const void *from, void *from_engine, const void *to, void *to_engine, const void *attributes);
typedef const void *(*dnnl_query)(const void *primitive_desc, int what, int index);
typedef int (*dnnl_memory)(void *out, const void *md, void *engine, void *handle);
typedef int (*dnnl_execute)(const void *primitive, void *stream, int n, const dnnl_argument *arguments);
typedef int (*dnnl_release)(void *object);
typedef int (*dnnl_wait)(void *stream);

struct peer {
    const char *name;
    void *library;
    int packed;
    peer_product product;
    void *packed_weights;                         /* mkl */
    void *engine, *stream;                        /* onednn */
    void *descs[3], *pd, *primitive, *memories[3]; /* src, weights, dst */
};

/* A function of a library as a variable of its type: ISO C has no cast for it. */
static int find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    if (address == NULL)
        return 0;
    memcpy(function, &address, sizeof address);
    return 1;
}

static void *need(void *library, const char *name)
{
    void *address = dlsym(library, name);
    if (address == NULL) {
        fprintf(stderr, "bench: the library has no %s\n", name);
        exit(1);
    }
    return address;
}

#define CALL(type, peer_, name, ...)                                   \
    do {                                                               \
        type function_;                                                \
        void *address_ = need((peer_)->library, name);                 \
        memcpy(&function_, &address_, sizeof address_);                \
        if (function_(__VA_ARGS__) != 0) {                             \
            fprintf(stderr, "bench: %s failed\n", name);               \
            exit(1);                                                   \
        }                                                              \
    } while (0)

static peer *open_one(const char *name, void *library)
{
    peer *p = calloc(1, sizeof *p);
    if (p == NULL)
        exit(1);
    p->name = name;
    p->library = library;
    return p;
}

int peers_open(const char *argument, peer *to[MOST_PEERS], int count)
{
    const char *path = strchr(argument, '=');
    void *library = path != NULL ? dlopen(path + 1, RTLD_NOW | RTLD_LOCAL) : NULL;
    const int mkl = strncmp(argument, "mkl=", 4) == 0, onednn = strncmp(argument, "onednn=", 7) == 0;
    if (library == NULL || !(mkl || onednn) || count + 1 + mkl > MOST_PEERS) {
        fprintf(stderr, "bench: %s: %s\n", argument, path != NULL && library == NULL ? dlerror() : "it must be mkl=LIBRARY or onednn=LIBRARY");
        return 0;
    }
    if (mkl) {
        to[count] = open_one("MKL", library);
        to[count + 1] = open_one("MKL packed", library);
        to[count + 1]->packed = 1;
        return 2;
    }
    peer *p = to[count] = open_one("oneDNN", library);
    CALL(dnnl_create, p, "dnnl_engine_create", &p->engine, DNNL_CPU, 0);
    CALL(dnnl_stream, p, "dnnl_stream_create", &p->stream, p->engine, DNNL_IN_ORDER);
    return 1;
}

const char *peer_name(const peer *p)
{
    return p->name;
}

/* ---- oneMKL ---- */

static int mkl_prepare(peer *p)
{
    const peer_product *q = &p->product;
    const int m = (int)q->m, n = (int)q->n, k = (int)q->k;
    mkl_size size;
    if (!p->packed)
        return 1;
    if (!find(p->library, q->kind == PRODUCT_S8 ? "cblas_gemm_s8u8s32_pack_get_size" : q->kind == PRODUCT_BF16 ? "cblas_gemm_bf16bf16f32_pack_get_size" : "cblas_sgemm_pack_get_size", &size))
        return 0;
    p->packed_weights = aligned_alloc(64, (size(B_MATRIX, m, n, k) + 127) / 64 * 64);
    if (p->packed_weights == NULL)
        return 0;
    if (q->kind != PRODUCT_F32) {
        mkl_pack_s8 pack; /* of bf16: the same arguments */
        if (!find(p->library, q->kind == PRODUCT_S8 ? "cblas_gemm_s8u8s32_pack" : "cblas_gemm_bf16bf16f32_pack", &pack))
            return 0;
        pack(ROW_MAJOR, B_MATRIX, TRANSPOSED, m, n, k, q->w, k, p->packed_weights);
    } else {
        mkl_pack pack;
        if (!find(p->library, "cblas_sgemm_pack", &pack))
            return 0;
        pack(ROW_MAJOR, B_MATRIX, TRANSPOSED, m, n, k, 1, q->w, k, p->packed_weights);
    }
    return 1;
}

static void mkl_run(peer *p)
{
    const peer_product *q = &p->product;
    const int m = (int)q->m, n = (int)q->n, k = (int)q->k;
    if (q->kind == PRODUCT_BF16) {
        mkl_gemm_bf16 f;
        void *address = need(p->library, p->packed ? "cblas_gemm_bf16bf16f32_compute" : "cblas_gemm_bf16bf16f32");
        memcpy(&f, &address, sizeof f);
        f(ROW_MAJOR, PLAIN, p->packed ? PACKED : TRANSPOSED, m, n, k, 1, q->x, k, p->packed ? p->packed_weights : q->w, k, 0, q->out, n);
    } else if (q->kind == PRODUCT_S8) {
        static const int32_t none = 0;
        mkl_gemm_s8 f;
        void *address = need(p->library, p->packed ? "cblas_gemm_s8u8s32_compute" : "cblas_gemm_s8u8s32");
        memcpy(&f, &address, sizeof f);
        f(ROW_MAJOR, PLAIN, p->packed ? PACKED : TRANSPOSED, FIXED_OFFSET, m, n, k, 1, q->x, k, 0, p->packed ? p->packed_weights : q->w, k, 0, 0, q->out, n, &none);
    } else if (p->packed) {
        mkl_compute f;
        void *address = need(p->library, "cblas_sgemm_compute");
        memcpy(&f, &address, sizeof f);
        f(ROW_MAJOR, PLAIN, PACKED, m, n, k, q->x, k, p->packed_weights, k, 0, q->out, n);
    } else {
        mkl_gemm f;
        void *address = need(p->library, "cblas_sgemm");
        memcpy(&f, &address, sizeof f);
        f(ROW_MAJOR, PLAIN, TRANSPOSED, m, n, k, 1, q->x, k, q->w, k, 0, q->out, n);
    }
}

/* ---- oneDNN ---- */

static int weights_type(const peer_product *q)
{
    return q->kind == PRODUCT_S8 ? DNNL_S8 : q->kind == PRODUCT_BF16 ? DNNL_BF16 : DNNL_F32;
}

static void dnnl_reordered(peer *p, const void *to_desc)
{
    const peer_product *q = &p->product;
    const int64_t sizes[2] = { (int64_t)q->k, (int64_t)q->n }, strides[2] = { 1, (int64_t)q->k };
    void *from_desc, *from, *pd, *reorder;
    CALL(dnnl_md_strides, p, "dnnl_memory_desc_create_with_strides", &from_desc, 2, sizes, weights_type(q), strides);
    CALL(dnnl_memory, p, "dnnl_memory_create", &from, from_desc, p->engine, (void *)(uintptr_t)q->w);
    CALL(dnnl_memory, p, "dnnl_memory_create", &p->memories[1], to_desc, p->engine, (void *)UINTPTR_MAX /* of its own */);
    CALL(dnnl_reorder, p, "dnnl_reorder_primitive_desc_create", &pd, from_desc, p->engine, to_desc, p->engine, NULL);
    CALL(dnnl_create_from, p, "dnnl_primitive_create", &reorder, pd);
    const dnnl_argument arguments[] = { { 1, from }, { 17, p->memories[1] } };
    CALL(dnnl_execute, p, "dnnl_primitive_execute", reorder, p->stream, 2, arguments);
    CALL(dnnl_wait, p, "dnnl_stream_wait", p->stream);
    CALL(dnnl_release, p, "dnnl_primitive_destroy", reorder);
    CALL(dnnl_release, p, "dnnl_primitive_desc_destroy", pd);
    CALL(dnnl_release, p, "dnnl_memory_destroy", from);
    CALL(dnnl_release, p, "dnnl_memory_desc_destroy", from_desc);
}

static int dnnl_prepare(peer *p)
{
    const peer_product *q = &p->product;
    const int64_t m = (int64_t)q->m, n = (int64_t)q->n, k = (int64_t)q->k, src[2] = { m, k }, weights[2] = { k, n }, dst[2] = { m, n };
    const int64_t src_strides[2] = { k, 1 }, dst_strides[2] = { n, 1 };
    CALL(dnnl_md_strides, p, "dnnl_memory_desc_create_with_strides", &p->descs[0], 2, src, q->kind == PRODUCT_S8 ? DNNL_U8 : weights_type(q), src_strides);
    CALL(dnnl_md_tag, p, "dnnl_memory_desc_create_with_tag", &p->descs[1], 2, weights, weights_type(q), DNNL_ANY);
    CALL(dnnl_md_strides, p, "dnnl_memory_desc_create_with_strides", &p->descs[2], 2, dst, q->kind == PRODUCT_S8 ? DNNL_S32 : DNNL_F32, dst_strides);
    CALL(dnnl_matmul, p, "dnnl_matmul_primitive_desc_create", &p->pd, p->engine, p->descs[0], p->descs[1], NULL, p->descs[2], NULL);
    CALL(dnnl_create_from, p, "dnnl_primitive_create", &p->primitive, p->pd);
    CALL(dnnl_memory, p, "dnnl_memory_create", &p->memories[0], p->descs[0], p->engine, (void *)(uintptr_t)q->x);
    CALL(dnnl_memory, p, "dnnl_memory_create", &p->memories[2], p->descs[2], p->engine, q->out);
    dnnl_query query;
    void *address = need(p->library, "dnnl_primitive_desc_query_md");
    memcpy(&query, &address, sizeof query);
    const void *wanted = query(p->pd, DNNL_WEIGHTS_MD, 0);
    if (wanted == NULL)
        return 0;
    dnnl_reordered(p, wanted);
    return 1;
}

static void dnnl_run(peer *p)
{
    const dnnl_argument arguments[] = { { ARG_SRC, p->memories[0] }, { ARG_WEIGHTS, p->memories[1] }, { ARG_DST, p->memories[2] } };
    CALL(dnnl_execute, p, "dnnl_primitive_execute", p->primitive, p->stream, 3, arguments);
    CALL(dnnl_wait, p, "dnnl_stream_wait", p->stream);
}

static void dnnl_finish(peer *p)
{
    CALL(dnnl_release, p, "dnnl_primitive_destroy", p->primitive);
    CALL(dnnl_release, p, "dnnl_primitive_desc_destroy", p->pd);
    for (int i = 0; i < 3; i++) {
        CALL(dnnl_release, p, "dnnl_memory_destroy", p->memories[i]);
        CALL(dnnl_release, p, "dnnl_memory_desc_destroy", p->descs[i]);
    }
}

/* ---- either ---- */

int peer_prepare(peer *p, const peer_product *product)
{
    p->product = *product;
    return p->engine != NULL ? dnnl_prepare(p) : mkl_prepare(p);
}

void peer_run(peer *p)
{
    if (p->engine != NULL)
        dnnl_run(p);
    else
        mkl_run(p);
}

void peer_finish(peer *p)
{
    if (p->engine != NULL)
        dnnl_finish(p);
    free(p->packed_weights);
    p->packed_weights = NULL;
}
