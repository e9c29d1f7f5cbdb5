/* A tiny BERT folder of our own making: seeded random weights, 30 pieces. Written to the temporary folder once. */
#ifndef ECREC_TESTS_TINY_H
#define ECREC_TESTS_TINY_H

enum { TINY_HIDDEN = 16, TINY_HEADS = 4, TINY_FEED_FORWARD = 24, TINY_LAYERS = 2, TINY_POSITIONS = 32 };
const char *tiny_folder(void);
const char *tiny_vocabulary_folder(void); /* the same model, its tokenizer as vocab.txt */
/* A new one with a classifier of so many labels; `config`: members of config.json to begin with, each with a comma behind. */
const char *tiny_classifier_folder(int labels, const char *config);
/* A new image encoder, of TINY_IMAGE pixels square; `processor` becomes its preprocessor_config.json (NULL: there is none). */
/* A sequence encoder of TINY_ITEMS items. */
enum { TINY_ITEMS = 400 };
const char *tiny_sequence_folder(void);
enum { TINY_IMAGE = 12, TINY_PATCH = 4 };
const char *tiny_image_folder(const char *processor);

#endif
