/* Texts to vectors, and the nearest of them: the smallest whole use of the library.
 *
 *   encode MODEL.ecrec "query" "text" "text" ...      prints the texts, nearest to the query first */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ecrec/ecrec.h>

static int fail(const ecrec_error *err)
{
    fprintf(stderr, "encode: %s\n", err->message);
    return 1;
}

int main(int argc, char **argv)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context *context = NULL;
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    if (argc < 4) {
        fprintf(stderr, "usage: encode MODEL.ecrec QUERY TEXT ...\n");
        return 2;
    }
    /* a context: libc's allocator, the caller's thread, silent */
    if (ecrec_context_create(NULL, &context, &err) != ECREC_OK)
        return fail(&err);
    /* the file is mapped and checked, nothing is copied */
    if (ecrec_model_load(context, argv[1], NULL, &model, &err) != ECREC_OK)
        return fail(&err);
    /* all the scratch memory that encoding will need: nothing is allocated after this */
    if (ecrec_session_create(model, NULL, &session, &err) != ECREC_OK)
        return fail(&err);

    const size_t n = (size_t)argc - 2;
    const uint32_t d = ecrec_model_dimension(model);
    const char *const *texts = (const char *const *)(argv + 2);
    size_t *lengths = malloc(n * sizeof *lengths);
    float *vectors = malloc(n * d * sizeof *vectors);
    if (lengths == NULL || vectors == NULL)
        return 1;
    for (size_t i = 0; i < n; i++)
        lengths[i] = strlen(texts[i]);
    if (ecrec_encode(model, session, texts, lengths, n, NULL, vectors, d, &err) != ECREC_OK)
        return fail(&err);

    /* vectors have unit length: the cosine is the dot product */
    for (size_t shown = 1; shown < n; shown++) {
        size_t best = 0;
        double most = -2;
        for (size_t i = 1; i < n; i++) {
            double cosine = 0;
            for (uint32_t k = 0; k < d; k++)
                cosine += (double)vectors[k] * vectors[i * d + k];
            if (lengths[i] != SIZE_MAX && cosine > most) {
                most = cosine;
                best = i;
            }
        }
        printf("%.3f  %s\n", most, texts[best]);
        lengths[best] = SIZE_MAX; /* told */
    }
    free(lengths);
    free(vectors);
    ecrec_session_release(session);
    ecrec_model_release(model);
    ecrec_context_release(context);
    return 0;
}
