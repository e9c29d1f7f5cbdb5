#include "compress/agreement.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/report.h"
#include "kernels/matmul.h"

#define NEIGHBOURS 10
#define NEIGHBOUR_TEXTS 2000

int32_t sample_open(sample *s, const parts *p, const char *const *texts, const size_t *lengths, size_t count,
                    ecrec_error *err)
{
    memset(s, 0, sizeof *s);
    if (count == 0)
        return ECREC_OK;
    if (texts == NULL || lengths == NULL)
        return error_set(err, ECREC_ERR_INVALID, "%zu sample texts are announced, but %s is NULL", count,
                         texts == NULL ? "texts" : "lengths");
    for (size_t i = 0; i < count; i++)
        if (texts[i] == NULL)
            return error_row(err, ECREC_ERR_INVALID, i, "sample text %zu is NULL", i);
    const blob *image = parts_blob(p, "tokenizer");
    if (image == NULL)
        return error_set(err, ECREC_ERR_UNSUPPORTED, "sample texts are given, but the model has no tokenizer");
    const char *name = properties_string(p->settings, "prompt_default", NULL);
    if (name != NULL && strlen(name) < 200) {
        char key[256] = "prompt.";
        memcpy(key + 7, name, strlen(name) + 1);
        s->prompt = properties_string(p->settings, key, NULL);
    }
    s->texts = texts;
    s->lengths = lengths;
    s->count = count;
    return tokenizer_open(&s->tokens, image->data, image->length, err);
}

int32_t sample_encode(ecrec_context *context, const sample *s, const encoder *e, float **vectors, ecrec_error *err)
{
    memory *m = &context->m;
    size_t bytes = memory_product(memory_product(s->count, e->dimension), sizeof(float));
    embed *scratch = NULL;
    float *out = memory_allocate(m, bytes);
    if (out == NULL)
        return error_nomem(err, "the sample's vectors", bytes);
    int32_t status = embed_create(m, e, &s->tokens, NULL, context_threads(context), 0, 0, &scratch, err);
    if (status == ECREC_OK) {
        embed_call call = { .encoder = e, .tokenizer = &s->tokens, .context = context, .texts = s->texts,
                            .lengths = s->lengths, .n = s->count, .prompt = s->prompt,
                            .prompt_length = s->prompt != NULL ? strlen(s->prompt) : 0, .pooling = e->pooling,
                            .max_length = e->max_length, .normalize = 1, .vectors = out, .stride = e->dimension };
        status = embed_run(scratch, &call, err);
    }
    embed_destroy(scratch);
    if (status != ECREC_OK)
        memory_release(m, out, bytes);
    else
        *vectors = out;
    return status;
}

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : (aa == bb);
}

/* The k largest of n similarities, without the text itself; earlier texts win ties. */
static void nearest(const float *similarity, size_t n, size_t self, size_t k, uint32_t *out)
{
    size_t have = 0;
    for (size_t j = 0; j < n; j++) {
        if (j == self || (have == k && similarity[j] <= similarity[out[k - 1]]))
            continue;
        size_t at = have < k ? have++ : k - 1;
        while (at > 0 && similarity[out[at - 1]] < similarity[j]) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = (uint32_t)j;
    }
}

static size_t common(const uint32_t *a, const uint32_t *b, size_t k)
{
    size_t n = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++)
            n += a[i] == b[j];
    return n;
}

/* Rows of the similarity matrix in blocks, so that memory stays small. */
static int32_t neighbours(ecrec_context *context, const float *a, const float *b, size_t n, size_t dimension,
                          agreement *out, ecrec_error *err)
{
    enum { BLOCK = 64 };
    memory *m = &context->m;
    const kernels *table = context->kernels;
    size_t k = n - 1 < NEIGHBOURS ? n - 1 : NEIGHBOURS;
    size_t bytes = BLOCK * n * sizeof(float), work = matmul_scratch(table, BLOCK, n, dimension);
    float *sa = memory_allocate(m, bytes), *sb = memory_allocate(m, bytes);
    void *scratch = memory_allocate(m, work);
    int32_t status = ECREC_OK;
    if (sa == NULL || sb == NULL || scratch == NULL) {
        status = error_nomem(err, "the similarities of the sample", 2 * bytes + work);
        goto done;
    }
    size_t same = 0;
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t rows = n - first < BLOCK ? n - first : BLOCK;
        matmul_call call = { .m = rows, .n = n, .k = dimension, .alpha = 1, .transpose_b = 1, .a = a + first * dimension,
                             .a_stride = dimension, .b = a, .b_stride = dimension, .c = sa, .c_stride = n, .scratch = scratch };
        matmul_f32(table, &call);
        call.a = b + first * dimension;
        call.b = b;
        call.c = sb;
        matmul_f32(table, &call);
        for (size_t i = 0; i < rows; i++) {
            uint32_t near_a[NEIGHBOURS] = { 0 }, near_b[NEIGHBOURS] = { 0 };
            nearest(sa + i * n, n, first + i, k, near_a);
            nearest(sb + i * n, n, first + i, k, near_b);
            same += common(near_a, near_b, k);
        }
    }
    out->neighbours = k;
    out->neighbour_overlap = (double)same / (double)(n * k);
done:
    memory_release(m, sa, bytes);
    memory_release(m, sb, bytes);
    memory_release(m, scratch, work);
    return status;
}

int32_t agreement_measure(ecrec_context *context, const float *a, const float *b, size_t n, size_t dimension,
                          agreement *out, ecrec_error *err)
{
    double sum = 0, worst = 1;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        double c = cosine(a + i * dimension, b + i * dimension, dimension);
        sum += c;
        worst = c < worst ? c : worst;
    }
    out->mean_cosine = n > 0 ? sum / (double)n : 1;
    out->worst_cosine = worst;
    if (n < 2)
        return ECREC_OK;
    return neighbours(context, a, b, n < NEIGHBOUR_TEXTS ? n : NEIGHBOUR_TEXTS, dimension, out, err);
}

int32_t agreement_tell(const agreement *g, size_t texts, ecrec_report *report, properties *settings, ecrec_error *err)
{
    if (report != NULL) {
        report_number(report, "agreement.texts", (double)texts);
        report_number(report, "agreement.mean_cosine", g->mean_cosine);
        report_number(report, "agreement.worst_cosine", g->worst_cosine);
        report_number(report, "agreement.neighbours", (double)g->neighbours);
        report_number(report, "agreement.neighbour_overlap", g->neighbour_overlap);
    }
    if (properties_set_u64(settings, "space.agreement.texts", texts) != ECREC_OK ||
        properties_set_f64(settings, "space.agreement.mean_cosine", g->mean_cosine) != ECREC_OK ||
        properties_set_f64(settings, "space.agreement.worst_cosine", g->worst_cosine) != ECREC_OK ||
        properties_set_f64(settings, "space.agreement.neighbour_overlap", g->neighbour_overlap) != ECREC_OK)
        return error_nomem(err, "the agreement", 0);
    return ECREC_OK;
}
