/* eval, of a sequence encoder: each user's last item is ranked among all items by the items before it. Items that the history
 * already has get the score 0; the rank is how many items score strictly higher; every user counts. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 128, /* histories at a time */ CUTS = 3 };
static const uint32_t cuts[CUTS] = { 5, 10, 20 };

typedef struct histories {
    uint32_t *ids;
    uint64_t *starts;
    size_t users, tokens, room, starts_room;
} histories;

static int add_item(histories *h, uint32_t id)
{
    if (h->tokens == h->room) {
        h->room = h->room != 0 ? 2 * h->room : 1 << 16;
        uint32_t *more = realloc(h->ids, h->room * sizeof *h->ids);
        if (more == NULL)
            return failed("no memory for %zu items", h->room);
        h->ids = more;
    }
    h->ids[h->tokens++] = id;
    return 0;
}

static int end_user(histories *h)
{
    if (h->users + 2 > h->starts_room) {
        h->starts_room = 2 * (h->users + 2);
        uint64_t *more = realloc(h->starts, h->starts_room * sizeof *h->starts);
        if (more == NULL)
            return failed("no memory for %zu users", h->starts_room);
        h->starts = more;
    }
    h->starts[0] = 0;
    h->starts[++h->users] = h->tokens;
    return 0;
}

/* One line: a user, then item ids, at least two. */
static int add_line(histories *h, const lines *l, uint32_t items)
{
    const char *at = l->line;
    size_t n = 0;
    while (*at == ' ' || *at == '\t')
        at++;
    if (*at == 0)
        return 0;
    while (*at != 0 && *at != ' ' && *at != '\t') /* the user's name is not looked at */
        at++;
    for (;; n++) {
        char *end = NULL;
        while (*at == ' ' || *at == '\t')
            at++;
        if (*at == 0)
            break;
        const unsigned long long id = *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : UINT32_MAX;
        if (end == NULL || (*end != 0 && *end != ' ' && *end != '\t') || id >= items)
            return failed("%s:%llu: item %zu is no item id below %u", l->name, (unsigned long long)l->number, n + 1, items);
        if (add_item(h, (uint32_t)id) != 0)
            return EXIT_FAILED;
        at = end;
    }
    if (n < 2)
        return failed("%s:%llu: a user and at least two items are needed, there are %zu items", l->name, (unsigned long long)l->number, n);
    return end_user(h);
}

static int read_histories(const char *path, uint32_t items, histories *h)
{
    lines l;
    int more = 0;
    if (lines_open(&l, path) != 0)
        return EXIT_FAILED;
    while ((more = lines_next(&l)) == 1 && add_line(h, &l, items) == 0)
        ;
    lines_close(&l);
    if (more == 0 && h->users == 0)
        return failed("%s: there is no user in it", path != NULL ? path : "stdin");
    return more == 0 ? 0 : EXIT_FAILED;
}

/* How many items score strictly higher than the target. */
static size_t rank_of(float *scores, uint32_t items, const uint32_t *history, size_t n, uint32_t target)
{
    size_t higher = 0;
    for (size_t i = 0; i < n; i++)
        scores[history[i]] = 0;
    for (uint32_t j = 0; j < items; j++)
        higher += scores[j] > scores[target];
    return higher;
}

static int32_t rank_all(ecrec_model *model, ecrec_session *session, const histories *h, progress *p, double hits[CUTS], double gains[CUTS], ecrec_error *err)
{
    const uint32_t items = ecrec_model_items(model), d = ecrec_model_dimension(model);
    float *vectors = malloc(USERS * d * sizeof *vectors), *scores = malloc((size_t)USERS * items * sizeof *scores);
    uint32_t *ids = malloc((h->tokens + 1) * sizeof *ids);
    uint64_t starts[USERS + 1];
    ecrec_encode_options options = ECREC_ENCODE_OPTIONS_INIT;
    int32_t status = vectors != NULL && scores != NULL && ids != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
    if (status != ECREC_OK)
        snprintf(err->message, sizeof err->message, "no memory for the scores of %u items", items);
    options.normalize = 2;
    for (size_t first = 0; first < h->users && status == ECREC_OK; first += USERS) {
        const size_t n = h->users - first < USERS ? h->users - first : USERS;
        size_t tokens = 0;
        starts[0] = 0;
        for (size_t i = 0; i < n; i++) { /* all but the last item */
            const size_t length = (size_t)(h->starts[first + i + 1] - h->starts[first + i]) - 1;
            memcpy(ids + tokens, h->ids + h->starts[first + i], length * sizeof *ids);
            starts[i + 1] = tokens += length;
        }
        status = ecrec_encode_ids(model, session, ids, NULL, starts, n, &options, vectors, d, err);
        if (status == ECREC_OK)
            status = ecrec_score_items(model, session, vectors, n, d, scores, (size_t)USERS * items, err);
        for (size_t i = 0; i < n && status == ECREC_OK; i++) {
            const size_t rank = rank_of(scores + i * items, items, ids + starts[i], (size_t)(starts[i + 1] - starts[i]), h->ids[h->starts[first + i + 1] - 1]);
            for (int k = 0; k < CUTS; k++)
                if (rank < cuts[k]) {
                    hits[k]++;
                    gains[k] += 1 / log2((double)rank + 2);
                }
        }
        (void)progress_step(p, first + n, h->users);
    }
    free(vectors);
    free(scores);
    free(ids);
    return status;
}

int sequences_eval(const arguments *a, ecrec_context *context, ecrec_model *model)
{
    histories h = { NULL, NULL, 0, 0, 0, 0 };
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_session *session = NULL;
    double hits[CUTS] = { 0 }, gains[CUTS] = { 0 };
    progress p;
    int code = EXIT_FAILED;
    (void)context;
    if (read_histories(argument(a, "input", NULL), ecrec_model_items(model), &h) != 0)
        goto done;
    int32_t status = ecrec_session_create(model, NULL, &session, &err);
    progress_begin(&p, "eval", "users", 1);
    if (status == ECREC_OK)
        status = rank_all(model, session, &h, &p, hits, gains, &err);
    progress_end(&p);
    if (status != ECREC_OK) {
        (void)failed_with(&err);
        goto done;
    }
    const double users = (double)h.users;
    const int json = has(a, "json");
    printf(json ? "{\"users\":%zu,\"items\":%u" : "sequences\n  users    %zu\n  items    %u\n", h.users, ecrec_model_items(model));
    for (int k = 0; k < CUTS; k++)
        printf(json ? ",\"hit_rate_%u\":%.6f,\"ndcg_%u\":%.6f" : "  HR@%-4u  %.4f\n  NDCG@%-2u  %.4f\n", cuts[k], hits[k] / users, cuts[k], gains[k] / users);
    if (json)
        puts("}");
    code = output_close(stdout, NULL);
done:
    free(h.ids);
    free(h.starts);
    ecrec_session_release(session);
    return code;
}
