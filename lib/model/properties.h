/* Properties: the settings of a model as name -> value, in the file and in memory. Names are dotted ("encoder.layers.3.heads").
 * Sorted by name. Written as: u32 count, then name (u32 length + bytes), u8 kind, value. */
#ifndef ECREC_LIB_MODEL_PROPERTIES_H
#define ECREC_LIB_MODEL_PROPERTIES_H

#include "base/bytes.h"
#include "base/memory.h"
#include "ecrec/base.h"

enum { PROPERTY_U64 = 1, PROPERTY_F64 = 2, PROPERTY_STRING = 3 };

typedef struct properties properties;
int32_t properties_create(memory *m, properties **out);
void properties_release(properties *p);
int32_t properties_copy(const properties *p, properties **out);
int32_t properties_set_u64(properties *p, const char *name, uint64_t value); /* ECREC_OK or NOMEM */
int32_t properties_set_f64(properties *p, const char *name, double value);
int32_t properties_set_string(properties *p, const char *name, const char *value, size_t length);
void properties_remove(properties *p, const char *name);
/* With a default when there is none or it has another kind. */
uint64_t properties_u64(const properties *p, const char *name, uint64_t missing);
double properties_f64(const properties *p, const char *name, double missing);
const char *properties_string(const properties *p, const char *name, const char *missing); /* NUL-terminated */
size_t properties_count(const properties *p);
const char *properties_at(const properties *p, size_t index, int32_t *kind, uint64_t *u, double *f, const char **s);

int32_t properties_write(const properties *p, buffer *b);
int32_t properties_read(memory *m, const void *bytes, size_t length, properties **out, ecrec_error *err);

#endif
