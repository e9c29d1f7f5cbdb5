/* A ranker with every kind of learned tensor and rows that a number tells. */
#ifndef ECREC_TESTS_JOURNAL_SHOP_H
#define ECREC_TESTS_JOURNAL_SHOP_H

#include "support.h"

enum { SHOP_ROWS = 24 };

ecrec_model *shop_ranker(ecrec_context *context);
ecrec_batch *shop_batch(const ecrec_model *ranker, uint32_t number);
/* From now on it remembers events, rows to replay and to judge by, and looks for drift; the status of ecrec_online_configure. */
int32_t shop_remember(ecrec_model *ranker, ecrec_error *err);
/* Learns from batch `number`, and again from rows that are remembered; the status of ecrec_update. */
int32_t shop_learn(ecrec_model *ranker, uint32_t number, ecrec_error *err);
/* Of the current snapshot; one of four static buffers. */
const char *shop_state(ecrec_model *ranker);
ecrec_model *shop_load(ecrec_context *context, const char *path);

/* A sink that keeps what is written. */
typedef struct bytes { unsigned char *data; size_t length; } bytes;
ecrec_sink bytes_sink(bytes *b);

#endif
