/* Detectors of a change in the mean of a stream of errors in 0 .. 1, in a fixed stretch of doubles that a snapshot keeps.
 *
 * ADWIN: Bifet and Gavalda, "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007: a window in buckets of 2^k values, at
 * most 5 of a size; it is cut wherever the means of its two sides differ by more than chance explains (equation of section 4.1, with the
 * variance; delta' = delta / ln n). Looked at every 32 values.
 * Page-Hinkley: Page, "Continuous inspection schemes", Biometrika 1954: the sum of x - mean - tolerance, above its least by more than a
 * threshold. */
#ifndef ECREC_LIB_STREAM_DRIFT_H
#define ECREC_LIB_STREAM_DRIFT_H

#include <stddef.h>

enum { ADWIN_BUCKETS = 5, ADWIN_LEVELS = 40, ADWIN_SIZE = 4 + ADWIN_LEVELS * (1 + 2 * (ADWIN_BUCKETS + 1)) };
enum { PAGE_HINKLEY_SIZE = 5 };

typedef struct drift_found {
    double before, after; /* mean error of what was cut off, and of what is left */
    double rows;          /* values left in the window */
} drift_found;

/* All zeros: begins. 1: the mean has risen, and the window was cut; a fall of the mean cuts it as well, and is no drift: 0. */
int adwin_add(double state[ADWIN_SIZE], double x, double delta, drift_found *found);
int page_hinkley_add(double state[PAGE_HINKLEY_SIZE], double x, double tolerance, double threshold, drift_found *found);
double adwin_mean(const double state[ADWIN_SIZE]);
/* Numbers that adding could have made. */
int adwin_sound(const double state[ADWIN_SIZE]);
int page_hinkley_sound(const double state[PAGE_HINKLEY_SIZE]);

#endif
