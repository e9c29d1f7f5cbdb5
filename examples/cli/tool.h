/* The ecrec tool: what its commands share. Everything here is built on the public header alone. */
#ifndef ECREC_TOOL_H
#define ECREC_TOOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <ecrec/ecrec.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* ---- arguments ---- */
typedef struct arguments {
    const char *command;
    const char *positional[64];
    int positionals;
    const char *names[32], *values[32]; /* --name value; value NULL for a switch */
    int count;
} arguments;
/* Options that the command knows: names with a trailing '=' take a value ("threads="). Prints what is wrong; 0 or EXIT_USAGE. */
int arguments_parse(arguments *a, int argc, char **argv, const char *const *known, int least, int most);
const char *argument(const arguments *a, const char *name, const char *missing);
int has(const arguments *a, const char *name);
int argument_number(const arguments *a, const char *name, double missing, double least, double most, double *out);
int argument_count(const arguments *a, const char *name, double missing, double least, double most, double *out); /* whole numbers */
int usage_error(const char *command, const char *format, ...);
int failed(const char *format, ...);       /* prints "ecrec: ..." ; EXIT_FAILED */
int failed_with(const ecrec_error *err);

/* ---- the library ---- */
ecrec_context *open_context(const arguments *a); /* NULL: told */
ecrec_model *open_model(ecrec_context *context, const char *path);
int print_report(const arguments *a, ecrec_report *report); /* releases it */

/* ---- progress: on a terminal only ---- */
typedef struct progress {
    const char *what, *unit;
    double started, shown, scale; /* scale: units of the display in one of the library's */
    uint64_t total;
} progress;
void progress_begin(progress *p, const char *what, const char *unit, double scale);
int32_t progress_step(void *opaque, uint64_t done, uint64_t total); /* an ecrec_progress_fn */
/* Rows done, and the share of the input that they are (below 0: not known, a pipe). */
void progress_rows(progress *p, double rows, double share, const char *note);
void progress_end(progress *p);

/* ---- input: lines of -i FILE or stdin ---- */
typedef struct lines {
    FILE *file;
    const char *name;
    char *line;
    size_t capacity, length;
    uint64_t number; /* of the line just read, from 1 */
    int warned;      /* that the text is not UTF-8 */
} lines;
int lines_open(lines *l, const char *path);
int lines_next(lines *l); /* 1: one more; 0: end; -1: failed, told */
void lines_close(lines *l);

/* Bytes of the UTF-8 character that the text begins with; 0: none. */
size_t utf8_length(const char *text, size_t length);

/* All lines of the input as texts. */
typedef struct texts { char *bytes; const char **at; size_t *lengths; size_t count; } texts;
int texts_read(const char *path, texts *out);
void texts_free(texts *t);

/* ---- rows of the kinds that encode and score take; 0, or told ---- */
typedef struct rows {
    const char *name; /* of the file, for messages */
    ecrec_encode_input input, pairs;
    int paired; /* a row has a second text: `pairs` holds */
    texts text;
    const char **first, **second;
    size_t *first_lengths, *second_lengths;
    int copied; /* the texts of `first` and `second` are ours */
    uint32_t *ids;
    uint8_t *types;
    uint64_t *starts, *numbers; /* numbers: the line of each row of ids */
    size_t count, room, starts_room, tokens;
    float *pixels;
    uint8_t **pictures;
    uint32_t *heights, *widths;
    size_t picture_count;
} rows;
void rows_open(rows *r);
int rows_texts(rows *r, const char *path); /* a line each */
int rows_pairs(rows *r, const char *path); /* text, text TAB pair, or {"text": ..., "pair": ...} a line */
int rows_ids(rows *r, const char *path);   /* {"input_ids": [...], "token_type_ids": [...]} a line */
unsigned long long rows_line(const rows *r, uint64_t row); /* the line of the file that a row is */
int rows_pixels(rows *r, const char *path);
int rows_pictures(rows *r, const char *path); /* a PNG or JPEG, or a list with the path of one a line */
void rows_free(rows *r);

/* ---- records: JSONL, CSV or TSV with a header line, LIBSVM ---- */
typedef struct records records;
/* Of --input; --input-format says how it is written, else its name or its first line; with --skip-bad-rows what cannot be read is told
 * and becomes a bad row of the batch. */
#define RECORD_OPTIONS "input=", "input-format=", "skip-bad-rows"
records *records_open(ecrec_model *ranker, const arguments *a, int need_labels);
/* Next rows, at most `most`, into the batch; the number, 0 at the end, -1: failed, told. */
long records_next(records *r, ecrec_batch *batch, size_t most);
/* What the last rows had for a label (NaN: missing); valid till the next call. */
const float *records_label(const records *r, uint32_t label);
/* A text or category of a row, NULL when it is missing; valid till the next call. */
const char *records_text(const records *r, uint32_t field, size_t row, size_t *length);
const char *records_group(const records *r, size_t row, size_t *length); /* of the column "group" */
const float *records_weights(const records *r); /* 1 where a row has none */
/* Tells an error of a call on the last rows with the file and the line of its row; EXIT_FAILED. */
int records_failed(const records *r, const ecrec_error *err);
double records_share(const records *r); /* of the input's bytes that have been read; -1: not known */
const char *records_name(const records *r);
uint64_t records_line(const records *r, size_t row); /* of the last rows */
void records_close(records *r);

/* ---- output ---- */
FILE *output_open(const char *path); /* NULL path or "-": stdout */
int output_close(FILE *f, const char *path);
void print_json_string(FILE *f, const char *text, size_t length);

/* ---- commands ---- */
int command_import(int argc, char **argv);
int command_info(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_tokenize(int argc, char **argv);
int command_encode(int argc, char **argv);
int classify(const arguments *a, ecrec_context *context, ecrec_model *model);       /* score, of a classifier */
int sequences_eval(const arguments *a, ecrec_context *context, ecrec_model *model); /* eval, of a sequence encoder */
int command_new(int argc, char **argv);
int command_score(int argc, char **argv);
int command_update(int argc, char **argv);
int command_delta(int argc, char **argv);
/* The options of update that say what the ranker remembers and how it is guarded; --forget is done. 0, or told. */
#define ONLINE_OPTIONS "events=", "reserve=", "reservoir=", "drift", "replay=", "max-score-move=", "max-calibration-growth=", "force", "forget=", "rebin", "expire"
int online_begin(const arguments *a, ecrec_model *model, ecrec_update_options *o);
/* --class-weights: to be freed, NULL without. 0, or told. */
int outcome_weights_open(const arguments *a, const ecrec_schema *schema, float **out, uint32_t *count);
int command_fit(int argc, char **argv);
int command_tune(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_calibrate(int argc, char **argv);
int command_prune(int argc, char **argv);
int command_quantize(int argc, char **argv);

#endif
