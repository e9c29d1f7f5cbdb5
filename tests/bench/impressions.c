/* What a take from an impression log costs, by how much the log holds, when 100 labels came since the last one.
 *
 *    impressions [most impressions, default 1000000]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ecrec/ecrec.h>

enum { ROWS = 1000, NEW = 100, TAKES = 41 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int32_t status, const ecrec_error *err)
{
    if (status == ECREC_OK)
        return;
    fprintf(stderr, "impressions: %s\n", err->message);
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median time of a take of 100 rows and its done. */
static double measure(ecrec_context *context, const ecrec_schema *schema, size_t size)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_impressions_options o = ECREC_IMPRESSIONS_OPTIONS_INIT;
    ecrec_impressions *log = NULL;
    ecrec_batch *b = NULL;
    static uint64_t values[ROWS], events[ROWS];
    static float scores[ROWS], ones[NEW];
    double times[TAKES];
    uint64_t random = 7;
    o.timeout = o.window = 3000000000; /* microseconds: times are the impressions' numbers */
    o.most = size;
    must(ecrec_impressions_open(context, schema, NULL, &o, &log, NULL, &err), &err);
    must(ecrec_batch_create(schema, &b, &err), &err);
    for (size_t at = 0; at < size; at += ROWS) {
        for (size_t i = 0; i < ROWS; i++) {
            values[i] = (at + i) % 977;
            events[i] = at + i;
            scores[i] = 0.1f;
        }
        must(ecrec_batch_reset(b, ROWS, &err), &err);
        must(ecrec_batch_set_category_u64(b, 0, values, NULL, &err), &err);
        must(ecrec_batch_set_event(b, events, NULL, &err), &err);
        must(ecrec_impressions_add(log, b, scores, 1, (int64_t)(at / ROWS + 1) * 1000, &err), &err);
    }
    ecrec_batch_release(b);
    for (int k = 0; k < TAKES; k++) {
        ecrec_batch *ready = NULL;
        size_t joined = 0;
        for (size_t i = 0; i < NEW; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            events[i] = (random >> 33) % size;
            ones[i] = 1;
        }
        must(ecrec_impressions_label(log, 0, events, ones, NEW, (int64_t)size, &joined, &err), &err);
        const double start = seconds();
        must(ecrec_impressions_take(log, (int64_t)size, 0, &ready, NULL, NULL, &err), &err);
        if (ready != NULL)
            must(ecrec_impressions_done(log, &err), &err);
        times[k] = seconds() - start;
        ecrec_batch_release(ready);
    }
    ecrec_impressions_release(log);
    qsort(times, TAKES, sizeof *times, ascending);
    return times[TAKES / 2];
}

int main(int argc, char **argv)
{
    static const char json[] = "{\"fields\":[{\"name\":\"item\",\"kind\":\"category\"}],\"labels\":[\"click\"],\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    const size_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    must(ecrec_context_create(NULL, &context, &err), &err);
    must(ecrec_schema_parse(context, json, strlen(json), &schema, &err), &err);
    printf("impressions  take of 100 labels and done, microseconds\n");
    for (size_t size = ROWS; size <= most; size *= 10)
        printf("%11zu  %10.1f\n", size, 1e6 * measure(context, schema, size));
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    return 0;
}
