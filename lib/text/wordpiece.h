/* BERT's normalizer, pre-tokenizer and WordPiece in one pass over the text. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_WORDPIECE_H
#define ECREC_LIB_TEXT_WORDPIECE_H

#include "text/image.h"
#include "text/sink.h"

size_t wordpiece_scratch(const image_settings *settings);
/* Tokens of source[from .. to). May stop once the sink holds `limit`; the sink may then hold a few more. `before`: text
 * that stands in front, as if it were part of the source (its tokens' offsets count from its own beginning). */
/* 0: a character that is no mark changed places with one in front of it, so that the places of both are the reference's only by
 * the long way (ids are right). */
int wordpiece_run(const tokenizer *t, void *scratch, const char *before, size_t before_length, const char *source, size_t from,
                   size_t to, token_sink *sink);

#endif
