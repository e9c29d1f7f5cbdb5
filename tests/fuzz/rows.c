/* Bytes are a file of rows as the tool reads it: one that says whether it is JSONL, CSV, TSV or LIBSVM (or which shall be found out) and whether bad
 * rows are skipped, then the file. All rows are read in batches of five and scored, or the file is refused with a sentence. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../examples/cli/tool.h"
#include "fuzz.h"

enum { ROWS = 5 };

static const char json[] =
    "{\"fields\":[{\"name\":\"title\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":2},{\"name\":\"shop\",\"kind\":\"category\"},{\"name\":\"price\",\"kind\":\"number\"},"
    "{\"name\":\"look\",\"kind\":\"vector\",\"dimension\":3},{\"name\":\"tags\",\"kind\":\"multi\"},{\"name\":\"when\",\"kind\":\"time\"},{\"name\":\"item\",\"kind\":\"item\"},"
    "{\"name\":\"past\",\"kind\":\"history\",\"compare\":\"item\",\"dimension\":4,\"event_types\":2}],\"labels\":[\"click\",{\"name\":\"stars\",\"kind\":\"ordinal\",\"classes\":5}],"
    "\"hash_bits\":10,\"network\":{\"width\":2,\"embedding_bits\":10,\"fm\":true}}";

/* The file of this process, with these bytes; kept open, since a file system may sync one that is written anew. */
static const char *file_of(const uint8_t *data, size_t size)
{
    static char path[64];
    static int file = -1;
    if (file < 0) {
        strcpy(path, "/tmp/ecrec-rows-XXXXXX");
        file = mkstemp(path);
    }
    PROMISE(file >= 0 && pwrite(file, data, size, 0) == (ssize_t)size && ftruncate(file, (off_t)size) == 0);
    return path;
}

static void remove_file(void)
{
    (void)unlink(file_of((const uint8_t *)"", 0));
}

static ecrec_model *ranker(void)
{
    static ecrec_model *m;
    static ecrec_context *context;
    ecrec_schema *schema = NULL;
    if (m != NULL)
        return m;
    PROMISE(atexit(remove_file) == 0 && ecrec_context_create(NULL, &context, NULL) == ECREC_OK && ecrec_schema_parse(context, json, strlen(json), &schema, NULL) == ECREC_OK &&
            ecrec_ranker_create(context, NULL, schema, &m, NULL) == ECREC_OK);
    ecrec_schema_release(schema);
    return m;
}

static void read_all(const arguments *a)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_batch *batch = NULL;
    ecrec_session *session = NULL;
    ecrec_score_options o = ECREC_SCORE_OPTIONS_INIT;
    float scores[ROWS * 2];
    long n = 0;
    records *r = records_open(ranker(), a, 0);
    PROMISE(r != NULL && ecrec_batch_create(ecrec_model_schema(ranker()), &batch, &err) == ECREC_OK && ecrec_session_create(ranker(), NULL, &session, &err) == ECREC_OK);
    o.bad_rows = ECREC_BAD_ROWS_SKIP;
    while ((n = records_next(r, batch, ROWS)) > 0) {
        PROMISE(n <= ROWS && ecrec_batch_rows(batch) == (size_t)n);
        const int32_t status = ecrec_score(ranker(), session, batch, &o, scores, ROWS * 2, &err);
        PROMISE(status == ECREC_OK || err.message[0] != 0);
        for (long i = 0; i < n && status == ECREC_OK; i++)
            PROMISE(isnan(scores[2 * i]) || (scores[2 * i] >= 0 && scores[2 * i] <= 1));
    }
    records_close(r);
    ecrec_session_release(session);
    ecrec_batch_release(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = { "auto", "jsonl", "tsv", "csv", "libsvm" };
    const unsigned how = size > 0 ? data[0] : 0;
    arguments a = { .command = "score", .names = { "input=", "input-format=", "skip-bad-rows" }, .count = how & 128 ? 3 : 2 };
    a.values[0] = file_of(size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0);
    a.values[1] = formats[how % 5];
    a.values[2] = "";
    /* sentences for people go nowhere; a broken promise is told */
    const int told = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    PROMISE(told >= 0 && nowhere >= 0 && dup2(nowhere, STDERR_FILENO) >= 0);
    close(nowhere);
    read_all(&a);
    fflush(stderr);
    (void)dup2(told, STDERR_FILENO);
    close(told);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char *const files[] = {
        "\x01{\"title\":\"red shoes\",\"shop\":\"north\",\"price\":3.5,\"look\":[1,0,2],\"tags\":[\"a\",{\"value\":\"b\",\"weight\":2}],\"when\":\"2024-02-28T23:59:59Z\",\"item\":17,"
        "\"past\":[{\"item\":\"a\",\"type\":1,\"time\":\"2024-02-01T00:00:00Z\"},\"b\"],\"click\":1,\"stars\":4,\"weight\":2,\"position\":3,\"propensity\":0.5,\"event\":\"e1\",\"group\":7}\n"
        "{\"title\":null}\n\n{}\n",
        "\x83title,shop,price,look,tags,when,item,past,click,stars,weight\n\"red, \"\"very\"\" red\",north,1e3,1 2 3,a b:2,2024-02-28,17,a b,1,4,1\nx,,,,,,,,0,0,\n\"two\nlines\",s,1,1 2 3,,,,,1,1,1\n",
        "\x82title\tshop\tprice\tclick\nred\tnorth\t1.5\t1\nblue\t-\t2\t0\n\tx\t\t1\n",
        "\2041 price:2.5 tags:1\n0 3:1\n",
        "\x80{\"price\":1}\n{\"price\":\"x\"}\nnothing\n",
        "\x80title,click\na,1\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        emit(opaque, files[i], strlen(files[i]));
}
