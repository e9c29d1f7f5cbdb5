/* The models: a word of the normalised text becomes tokens. Inside the text room only. */
#ifndef ECREC_LIB_TEXT_MODELS_H
#define ECREC_LIB_TEXT_MODELS_H

#include "text/sink.h"
#include "text/work.h"

/* Tokens of w->now[begin .. end), put into the sink with their places. 0: no memory. */
int model_run(const tokenizer *t, token_work *w, size_t begin, size_t end, token_sink *sink);

/* One token of `length` bytes that begins at byte `at` of the word. */
typedef struct word_output {
    token_work *w;
    token_sink *sink;
    size_t begin, end; /* the word in w->now */
    cached_word *keep; /* where the tokens are noted, or NULL; count above CACHE_IDS: too many */
    int spelt;         /* the next token is spelt as the text, not as its piece */
} word_output;
void word_put(word_output *o, uint32_t id, size_t at, size_t length);

int bpe_word(const tokenizer *t, const unsigned char *word, size_t length, word_output *o);
int unigram_word(const tokenizer *t, const unsigned char *word, size_t length, word_output *o);
int unigram_whole(const tokenizer *t, const unsigned char *text, size_t length, word_output *o); /* TOKENIZER_WHOLE */
void greedy_word(const tokenizer *t, const unsigned char *word, size_t length, word_output *o); /* WordPiece */

#endif
