/* preprocessor_config.json: how pictures are prepared for an image encoder. Inside the import room only. */
#ifndef ECREC_LIB_IMPORT_PROCESSOR_H
#define ECREC_LIB_IMPORT_PROCESSOR_H

#include "import/folder.h"

/* Into the settings "image.*" (lib/images.h) where the model encodes RGB images and the folder has such a file (or the image part of
 * processor_config.json). After the sizes are known. Errors name file, key, value and what is supported. */
int32_t processor_read(folder *f, ecrec_error *err);
/* The same of what such a file says. */
int32_t processor_take(folder *f, const char *file, const json *config, ecrec_error *err);

#endif
