/* What is swept with failing allocations: a world of objects, and operations on it. Every symbol of lib/ecrec.map is named
 * by an operation; the test "every symbol is swept" says which is not. */
#ifndef ECREC_TESTS_OPERATIONS_H
#define ECREC_TESTS_OPERATIONS_H

#include "support.h"
#include "tiny.h"

enum { ROWS = 6 };

typedef struct world {
    fault_allocator f;
    ecrec_context *context;
    ecrec_model *base, *ranker, *classifier, *seer, *shop;
    ecrec_session *session, *ranking, *classifying, *seeing, *shopping, *reading;
    ecrec_schema *schema;
    ecrec_batch *batch;
    ecrec_error err;
} world;
void world_open(world *w);
void world_close(world *w); /* asserts that nothing is left */

/* An operation cleans up what it made, also when it fails, and gives the status of the call that failed. To add one: write
 * it in operations.c and give it a line in the table there. */
typedef struct operation {
    const char *name;
    int32_t (*run)(world *w);
    int allocates;       /* 0: it must not allocate at all */
    const char *symbols; /* the public calls in it, separated by blanks */
} operation;
int32_t batch_of_kinds(world *w); /* records.c */
int32_t arrow_batches(world *w);
int32_t extended(world *w);
int32_t bins(world *w);
int32_t bad_rows(world *w);
int32_t user_profiles(world *w); /* profiles.c */
extern const operation operations[];
extern const size_t operation_count;

#endif
