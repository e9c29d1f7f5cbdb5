/* ecrec/base.h: versions, status codes, errors, the context and what a host may plug into it.
 *
 * Rules that hold for every function of every ecrec header:
 *  - It returns a status: ECREC_OK (0) or one of ECREC_ERR_*. `err` may be NULL; when given, it is filled on
 *    failure only. On failure every out-parameter keeps the value it had, unless its comment says otherwise.
 *  - A handle is created once, referenced and released; releasing NULL does nothing.
 *  - Text is UTF-8 as pointer + byte length, never NUL-terminated, except for names and paths (const char *).
 *  - Option structs begin with their own size; zero means "default" in every field; NULL means all defaults.
 *  - Nothing is printed, no signal, environment variable or locale is touched, no thread is started that the host
 *    did not ask for, and nothing aborts.
 */
#ifndef ECREC_BASE_H
#define ECREC_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) || defined(__CYGWIN__)
#define ECREC_API
#else
#define ECREC_API __attribute__((visibility("default")))
#endif

#define ECREC_VERSION_MAJOR 0
#define ECREC_VERSION_MINOR 1
#define ECREC_VERSION_PATCH 0

/* The version of the library that runs: major * 1000000 + minor * 1000 + patch. Any thread. Since 0.1. */
ECREC_API uint32_t ecrec_version(void);

/* ---- status codes: the numbers are pinned for ever ---- */
enum {
    ECREC_OK = 0,
    ECREC_ERR_INVALID = 1,     /* an argument is wrong: NULL, out of range, not a number */
    ECREC_ERR_NOMEM = 2,       /* the allocator said no, or the memory limit is reached */
    ECREC_ERR_IO = 3,          /* a file could not be opened, read, written or synced */
    ECREC_ERR_FORMAT = 4,      /* a file is truncated, damaged or not what it says it is */
    ECREC_ERR_UNSUPPORTED = 5, /* well-formed, but this build or version cannot do it */
    ECREC_ERR_NOT_FOUND = 6,   /* no such field, tensor, snapshot, file */
    ECREC_ERR_MISMATCH = 7,    /* two things that do not fit: batch and model, vector and space */
    ECREC_ERR_TOO_SMALL = 8,   /* the caller's buffer: the message says how much is needed */
    ECREC_ERR_LIMIT = 9,       /* a stated bound (depth, count, size) would be passed */
    ECREC_ERR_CANCELLED = 10,  /* a progress callback asked to stop; nothing has changed */
    ECREC_ERR_REJECTED = 11,   /* the guard of an update refused the new snapshot; nothing has changed */
    ECREC_ERR_BUSY = 12,       /* the object is in use by another thread that must finish first */
    ECREC_ERR_INTERNAL = 13    /* a defect in the library: please report it with the message */
};

/* A short constant name of a status ("ECREC_ERR_NOMEM"); never NULL. Any thread. Since 0.1. */
ECREC_API const char *ecrec_status_name(int32_t status);

/* What went wrong. Lives with the caller, is written by the callee; needs no release. */
typedef struct ecrec_error {
    uint32_t size;      /* sizeof(ecrec_error), set by ECREC_ERROR_INIT or ecrec_error_init */
    int32_t code;       /* ECREC_ERR_* */
    uint64_t position;  /* byte offset in a file or text, or UINT64_MAX */
    uint64_t row;       /* row of a batch, or UINT64_MAX */
    char message[488];  /* one sentence, NUL-terminated UTF-8, no newline */
} ecrec_error;

#define ECREC_ERROR_INIT { (uint32_t)sizeof(ecrec_error), 0, UINT64_MAX, UINT64_MAX, { 0 } }
ECREC_API void ecrec_error_init(ecrec_error *err);

/* ---- what a host may plug in ---- */

/* Memory. `allocate` returns a block aligned to `alignment` (a power of two, at most 64) or NULL. Sizes and
 * alignments are given back on reallocate and release. Called from any thread that calls the library. */
typedef struct ecrec_allocator {
    uint32_t size;
    uint32_t reserved;
    void *opaque;
    void *(*allocate)(void *opaque, size_t size, size_t alignment);
    void *(*reallocate)(void *opaque, void *block, size_t old_size, size_t new_size, size_t alignment); /* may be NULL */
    void (*release)(void *opaque, void *block, size_t size, size_t alignment);
} ecrec_allocator;

/* Who runs parallel work. `run` calls task(argument, i) once for every i in [0, count), on any threads in any
 * order, and returns when all have finished. It may run everything inline. The library never calls it from within
 * a task. `threads` is how many tasks can run at the same time (1..256). */
typedef struct ecrec_executor {
    uint32_t size;
    uint32_t threads;
    void *opaque;
    void (*run)(void *opaque, void (*task)(void *argument, uint32_t index), void *argument, uint32_t count);
} ecrec_executor;

enum { ECREC_LOG_ERROR = 1, ECREC_LOG_WARNING = 2, ECREC_LOG_INFO = 3, ECREC_LOG_DEBUG = 4 };
/* Called on the thread that the logged call runs on; must not call back into the library. */
typedef void (*ecrec_log_fn)(void *opaque, int32_t level, const char *message);

/* How numbers are kept. */
enum { ECREC_TYPE_F32 = 1, ECREC_TYPE_F16 = 2, ECREC_TYPE_BF16 = 3, ECREC_TYPE_S8 = 4, ECREC_TYPE_S4 = 9 };

/* Progress of long work: `done` of `total` units (total 0 = unknown). Return non-zero to cancel: the call then
 * returns ECREC_ERR_CANCELLED and has changed nothing. Called on the caller's thread. */
typedef int32_t (*ecrec_progress_fn)(void *opaque, uint64_t done, uint64_t total);

/* CPU levels, each containing the ones below it on its architecture. The best that the machine has and cpu_mask allows is chosen when a
 * context is made. The two BF16 levels differ from the one below them in the products of bf16 weights alone (ecrec_quantize), and such a
 * level is taken where a tile, timed when the context is made (some microseconds, with the processor's own counter), is faster in bf16: other
 * bits, so name one level in cpu_mask where bits must be the same on all machines; without the other one nothing is timed. */
enum {
    ECREC_CPU_PORTABLE = 1u << 0,   /* plain C; the same bits on every architecture */
    ECREC_CPU_AVX2 = 1u << 1,       /* AVX2 + FMA + F16C */
    ECREC_CPU_AVX512 = 1u << 2,     /* AVX-512 F, BW, VL, DQ */
    ECREC_CPU_AVX512VNNI = 1u << 3, /* + AVX512-VNNI */
    ECREC_CPU_SSE2 = 1u << 4,       /* what every x86-64 has */
    ECREC_CPU_AVXVNNI = 1u << 5,    /* AVX2 level + AVX-VNNI */
    ECREC_CPU_AVX512BF16 = 1u << 6, /* AVX512VNNI level + AVX512-BF16: products of bf16 weights in bf16 */
    ECREC_CPU_NEON = 1u << 8,       /* AArch64 Advanced SIMD */
    ECREC_CPU_NEON_DOTPROD = 1u << 9, /* + dotprod */
    ECREC_CPU_NEON_I8MM = 1u << 10,   /* + i8mm */
    ECREC_CPU_NEON_BF16 = 1u << 11    /* + bf16: products of bf16 weights in bf16 */
};

typedef struct ecrec_context_options {
    uint32_t size;
    uint32_t threads;                 /* > 0 and executor NULL: a pool of this many threads (caller included), owned
                                         by the context; 0: the caller's thread alone */
    const ecrec_allocator *allocator; /* copied; NULL: the C library's */
    const ecrec_executor *executor;   /* copied; NULL: see threads */
    ecrec_log_fn log;                 /* NULL: silent */
    void *log_opaque;
    uint64_t memory_limit;            /* live bytes above which an allocation fails; 0: none */
    uint32_t cpu_mask;                /* ECREC_CPU_* levels that may be used; 0: all that the machine has */
    uint32_t reserved;
} ecrec_context_options;

#define ECREC_CONTEXT_OPTIONS_INIT { (uint32_t)sizeof(ecrec_context_options), 0, NULL, NULL, NULL, NULL, 0, 0, 0 }
ECREC_API void ecrec_context_options_init(ecrec_context_options *options);

typedef struct ecrec_context ecrec_context;

/* Make a context: it is immutable afterwards and may be used by any number of threads; contexts are independent.
 * Errors: INVALID (ctx NULL, a struct of unknown size, allocator or executor without functions), NOMEM.
 * The caller releases it; models keep it alive as long as they need it. The rounding and denormal modes of the calling thread are
 * used as they are. After fork() the child makes contexts of its own: the threads of a context's pool are not in the child. Since 0.1. */
ECREC_API int32_t ecrec_context_create(const ecrec_context_options *options, ecrec_context **context, ecrec_error *err);
ECREC_API ecrec_context *ecrec_context_reference(ecrec_context *context);
ECREC_API void ecrec_context_release(ecrec_context *context);

/* Bytes that live now and the highest they ever were, over everything made from this context. Any thread. Any
 * out-parameter may be NULL. Since 0.1. */
ECREC_API void ecrec_context_memory(const ecrec_context *context, uint64_t *live, uint64_t *peak, uint64_t *allocations);

/* The chosen CPU level (one ECREC_CPU_* bit) and a sentence why, valid as long as the context. Since 0.1. */
ECREC_API uint32_t ecrec_context_cpu(const ecrec_context *context);
ECREC_API const char *ecrec_context_cpu_text(const ecrec_context *context);
ECREC_API uint32_t ecrec_context_threads(const ecrec_context *context);

/* ---- reports: what an operation did and cost ----
 * Values by name; the whole as text for people or JSON for programs. Immutable; any thread. */
typedef struct ecrec_report ecrec_report;
ECREC_API void ecrec_report_release(ecrec_report *report);
/* The number under `name` ("rows", "auc", "layers.3.heads"). Errors: NOT_FOUND, INVALID. */
ECREC_API int32_t ecrec_report_number(const ecrec_report *report, const char *name, double *value, ecrec_error *err);
/* The text under `name`, NUL-terminated, valid as long as the report. Errors: NOT_FOUND, INVALID. */
ECREC_API int32_t ecrec_report_string(const ecrec_report *report, const char *name, const char **value, ecrec_error *err);
ECREC_API size_t ecrec_report_count(const ecrec_report *report);
ECREC_API const char *ecrec_report_name(const ecrec_report *report, size_t index); /* NULL when out of range */
/* The whole report as JSON (an object nested at the dots of the names; all-digit parts become arrays) or as an
 * aligned table for people: NUL-terminated, made when the report was made, valid as long as it is. */
ECREC_API const char *ecrec_report_json(const ecrec_report *report);
ECREC_API const char *ecrec_report_text(const ecrec_report *report);

#ifdef __cplusplus
}
#endif
#endif
