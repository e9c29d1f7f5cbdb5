/* One array of the Arrow C data interface, looked through before it is read: its type by the format string, buffers that are there,
 * lengths and offsets that fit. Columnar format: arrow.apache.org/docs/format/Columnar.html. Inside the rank room. */
#ifndef ECREC_LIB_RANK_ARROW_VIEW_H
#define ECREC_LIB_RANK_ARROW_VIEW_H

#include "ecrec/arrow.h"

enum { ARROW_NULLS, ARROW_BOOLEANS, ARROW_INTEGERS, ARROW_FLOATS, ARROW_TEXTS, ARROW_LISTS, ARROW_RECORDS, ARROW_DECIMALS };
enum { TEXT_VIEW = 16 /* width of a text whose entries are views: length, and the bytes or where they are */ };

typedef struct arrow_view {
    const char *name; /* of the column, for messages */
    int form;         /* ARROW_*; fixed-size binary is TEXTS, maps are LISTS */
    int width;        /* bytes of an integer, a float, an offset; 0: texts or lists of a fixed size */
    int is_signed;
    int64_t fixed;             /* that size */
    int64_t multiply, divide;  /* times: microseconds are value * multiply / divide; 0: it is none */
    int64_t length, offset;
    const uint8_t *valid;      /* bitmap; NULL: no nulls */
    const void *values;        /* integers, floats, bits, fixed-size bytes, or offsets */
    const char *bytes;         /* of texts with offsets */
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
} arrow_view;

/* A column: values, or a dictionary's indices and its values. */
typedef struct arrow_column {
    arrow_view view, dictionary;
    int has_dictionary;
} arrow_column;

/* Entries [first, first + n) are going to be read (counted from the array's own offset). INVALID with a sentence. */
int32_t view_open(arrow_view *v, const char *name, const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t first, int64_t n, ecrec_error *err);
int32_t column_open(arrow_column *c, const char *name, const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t first, int64_t n, ecrec_error *err);
/* Child i of a list, map or struct. */
int32_t view_child(const arrow_view *v, int64_t i, const struct ArrowSchema **schema, const struct ArrowArray **array, ecrec_error *err);

/* Entry i, counted from the array's own offset. */
int view_has(const arrow_view *v, int64_t i);
double view_number(const arrow_view *v, int64_t i);    /* booleans, integers, floats */
int64_t view_integer(const arrow_view *v, int64_t i);  /* the bits of a uint64 */
void view_range(const arrow_view *v, int64_t i, int64_t *from, int64_t *to); /* of a list; bytes of a text */
const char *view_text(const arrow_view *v, int64_t i, size_t *length);
/* Where entry i of a column is to be read: its view and its place there; 0: it is null. */
int column_at(const arrow_column *c, int64_t i, const arrow_view **view, int64_t *at);

#endif
