/* config.json of any architecture into settings and sizes. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_CONFIG_H
#define ECREC_LIB_IMPORT_CONFIG_H

#include "import/folder.h"

/* f->config to f->family, sizes and settings. Errors: UNSUPPORTED and FORMAT name key, value and what is supported. */
int32_t config_read(folder *f, ecrec_error *err);
/* The settings that the sizes make: after max_length is known, and for architectures whose tensors tell sizes, after those. */
int32_t config_finish(folder *f, ecrec_error *err);

/* An activation by the name that `key` gives it. UNSUPPORTED when there is none like it. */
int32_t config_activation(folder *f, const char *setting, const char *key, const char *value, ecrec_error *err);

/* A setting of one layer, by its name behind "encoder.layers.N.". */
int32_t config_set_layer(folder *f, uint64_t layer, const char *what, uint64_t value, ecrec_error *err);

int32_t set_u64(folder *f, const char *name, uint64_t value, ecrec_error *err);
int32_t set_f64(folder *f, const char *name, double value, ecrec_error *err);
int32_t set_string(folder *f, const char *name, const char *value, ecrec_error *err);

#endif
