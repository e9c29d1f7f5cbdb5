/* What tests share: data and models on disk, skipping, contexts, an allocator that fails. */
#ifndef ECREC_TESTS_SUPPORT_H
#define ECREC_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ecrec/ecrec.h>

/* Path of a file under ECREC_DATA (or of a model folder under ECREC_MODELS): static storage of four in turn. NULL: not there. */
const char *data_path(const char *relative);
const char *model_path(const char *folder);
/* Skips the running test with a sentence when the path is NULL; with ECREC_REQUIRE_DATA=1 that fails it. */
#define NEED(path, what) do { if ((path) == NULL) { if (data_required()) fail_msg("%s is not there", what); print_message("skipped: %s is not there\n", what); skip(); } } while (0)
int data_required(void);

char *read_file(const char *path, size_t *length); /* NUL-terminated; fails the test */
float *read_npy(const char *path, size_t shape[4], int *rank); /* float32, C order */

/* Fails the running test with the error's sentence. */
#define CALL(expression) do { const int32_t code_ = (expression); if (code_ != ECREC_OK) fail_msg("%s: %s: %s", #expression, ecrec_status_name(code_), err.message); } while (0)
#define REFUSED(code, expression) do { err.message[0] = 0; assert_int_equal(expression, code); assert_true(err.message[0] != 0); } while (0)

ecrec_context *context_with(uint32_t threads, uint32_t cpu_mask);
/* The model imported from a folder of ECREC_MODELS; NULL: not there. */
ecrec_model *imported(ecrec_context *context, const char *folder);
/* A file name in the test's own temporary folder, which is removed at exit. */
const char *temporary(const char *name);

/* An allocator that counts, checks sizes given back, and fails from (or only at) the n-th allocation. */
typedef struct fault_allocator {
    uint64_t count, fail_at; /* fail_at 0: never; else the number of the failing allocation, 1 .. */
    int for_ever;
    int64_t live_blocks, live_bytes;
    int wrong; /* sizes or alignments that do not fit */
} fault_allocator;
ecrec_allocator fault_hooks(fault_allocator *f);

#endif
