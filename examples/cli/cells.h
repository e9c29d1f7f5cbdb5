/* Rows of text: cells of CSV and TSV, pairs of LIBSVM, times. Nothing here reads a file or keeps anything. */
#ifndef ECREC_TOOL_CELLS_H
#define ECREC_TOOL_CELLS_H

#include <stddef.h>
#include <stdint.h>

typedef struct cell {
    char *text;    /* in the line, NUL-terminated */
    size_t length;
    int quoted;    /* "" is a text of no bytes; nothing at all is missing */
} cell;

/* Whether a row of CSV goes on in the next line: a quote is open at its end. */
int cells_open(const char *line, size_t length, char separator);
/* Cut a row in place (line[length] is a NUL): RFC 4180, quotes doubled within quotes. With tabs a cell that begins with a quote is quoted
 * only when it ends with one: texts are not to be lost to a stray quote. Of more than `room` cells the rest is only counted.
 * Gives NULL, or where in the line something stands behind a closing quote, or a quote stays open. */
const char *cells_split(char *line, size_t length, char separator, cell *cells, size_t room, size_t *count);

/* The next "17:0.5" of a row: 1, and what stands before and behind the colon; 0: the end, or a comment; -1: no such pair (*index says
 * what stands there). Cuts in place. */
int libsvm_next(char **at, char **index, double *value);

/* "2024-05-01", "2024-05-01T12:30:00.25Z", "2024-05-01 12:30+02:00" (UTC unless it says otherwise), or whole microseconds since 1970.
 * 1, or 0: it is none. */
int time_parse(const char *text, int64_t *microseconds);

#endif
