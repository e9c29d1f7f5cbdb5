/* The system's calls that a journal makes, one of which fails. */
#ifndef ECREC_TESTS_JOURNAL_FAULTY_H
#define ECREC_TESTS_JOURNAL_FAULTY_H

#include "model/journal.h"

/* The fail_at-th call (0: none), or all from it on, fails with this errno. */
typedef struct faulty {
    uint64_t count, fail_at;
    int for_ever, number, shorten; /* shorten: a write puts half of its bytes first */
} faulty;

journal_io faulty_io(faulty *f);

#endif
