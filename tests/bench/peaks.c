/* What one thread of this processor can do at most, asked for in the middle of a bench: for each line on stdin one JSON line on stdout,
 *
 *   {"level": NAME, "f32": GFLOP/s, "s8": GOP/s, "bf16": GFLOP/s}     0: not to be measured here
 *
 * of the level that a context without a mask would take. Processor time, so that other programs do not count. */
#include <stdio.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "peak.h"

int main(void)
{
    const kernels *t = kernels_select(cpu_levels(), NULL);
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("{\"level\":\"%s\",\"f32\":%.2f,\"s8\":%.2f,\"bf16\":%.2f}\n", t->name, peak_f32(t->level), peak_s8(t->level), peak_bf16(cpu_levels()));
        fflush(stdout);
    }
    return 0;
}
