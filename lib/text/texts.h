/* What windows.c asks of tokenizer.c. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_TEXTS_H
#define ECREC_LIB_TEXT_TEXTS_H

#include "text/work.h"

/* Begin a call: how many tokens each text has, and how many of them max_length leaves (at least as many: it is not cut). */
int32_t texts_measure(const tokenizer *t, token_work *w, const tokenize_call *call, int placed, size_t counts[2], size_t room[2], ecrec_error *err);
/* All tokens of a text; offsets (or NULL) trimmed as those that do not come first, where the tokenizer trims and trimmed is 1. 0: w->status. */
int texts_hold(const tokenizer *t, token_work *w, const tokenize_call *call, int second, int trimmed, uint32_t *ids, uint32_t *offsets, size_t n);
/* Offsets as they came are made those of a token that comes first. */
void texts_trim_first(const tokenizer *t, token_work *w, const tokenize_call *call, int second, uint32_t *offsets, uint32_t id);
int32_t texts_status(const token_work *w, const tokenize_call *call, ecrec_error *err);

#endif
