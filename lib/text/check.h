/* Is an image what the running code takes it for? Inside the text room only. */
#ifndef ECREC_LIB_TEXT_CHECK_H
#define ECREC_LIB_TEXT_CHECK_H

#include "text/image.h"

/* Everything but the header; t->parts lie inside. */
int32_t image_check(const tokenizer *t, ecrec_error *err);

#endif
