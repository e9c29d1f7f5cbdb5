/* A fuzz target is one file with these two functions, and one line in meson.build. Built with libFuzzer it explores
 * (option fuzz, clang); with standalone.c it runs its seeds, its corpus and seeded mutations of them as an ordinary test. */
#ifndef ECREC_TESTS_FUZZ_H
#define ECREC_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Whatever the bytes are: no crash, no leak, no memory above what the target sets as limit. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The inputs to begin with, made by code. */
typedef void (*fuzz_emit)(void *opaque, const void *bytes, size_t length);
void fuzz_seeds(fuzz_emit emit, void *opaque);

/* Ends the process with a message where a promise does not hold: in every build, so that both runners see it. */
#define PROMISE(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

#endif
