#include "learn/merge.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "learn/merge_memory.h"
#include "learn/progress.h"
#include "rank/bins.h"
#include "rank/features.h"
#include "rank/targets.h"

typedef struct merger {
    memory *m;
    const ranker *plan;
    const ecrec_schema *schema;
    const tensor_set *base;
    tensor_set *const *workers;
    size_t n;
    tensor_set *next;
    ecrec_error *err;
} merger;

static const tensor *of(const merger *g, size_t worker, const char *name)
{
    return tensor_set_get(worker < g->n ? g->workers[worker] : g->base, name); /* worker n: the base */
}

static int changed(const merger *g, const char *name)
{
    for (size_t k = 0; k < g->n; k++)
        if (of(g, k, name) != of(g, g->n, name))
            return 1;
    return 0;
}

/* ---- tables ---- */

static double added(const float *now, const float *before)
{
    return fmax(0, (now != NULL ? *now : 0) - (double)(before != NULL ? *before : 0));
}

/* How much a worker's move of a row counts. Rows may be NULL: zeros. */
static double weight_of_row(const float *now, const float *before, size_t columns)
{
    double sum = 0;
    for (size_t c = 0; now != NULL && c < columns; c++)
        sum += added(&now[c], before != NULL ? &before[c] : NULL);
    return sqrt(sum);
}

/* One row: the mean of the workers' moves by weight. to and to_sums are the base's. */
static void merge_row(const merger *g, uint64_t row, const tensor *w, const tensor *sums, const char *names[2], float *to, float *to_sums)
{
    const size_t columns = (size_t)w->shape[1];
    const float *w0 = tensor_row(w, row), *s0 = tensor_row(sums, row);
    double total = 0;
    for (size_t k = 0; k < g->n; k++)
        total += weight_of_row(tensor_row(of(g, k, names[1]), row), s0, columns);
    for (size_t k = 0; k < g->n; k++) {
        const float *x = tensor_row(of(g, k, names[0]), row), *s = tensor_row(of(g, k, names[1]), row);
        const double share = total > 0 ? weight_of_row(s, s0, columns) / total : 1.0 / (double)g->n;
        for (size_t c = 0; c < columns; c++) {
            to[c] += (float)(share * ((x != NULL ? x[c] : 0) - (double)(w0 != NULL ? w0[c] : 0)));
            to_sums[c] += s != NULL ? (float)added(&s[c], s0 != NULL ? &s0[c] : NULL) : 0;
        }
    }
}

static const void *chunk_of(const tensor *t, uint64_t index)
{
    const table_node *b = tensor_block(t, index / CHUNK_BLOCK);
    return b != NULL ? b->at[index % CHUNK_BLOCK] : NULL;
}

static int chunk_changed(const merger *g, const char *names[2], uint64_t index)
{
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < g->n; k++)
            if (chunk_of(of(g, k, names[i]), index) != chunk_of(of(g, g->n, names[i]), index))
                return 1;
    return 0;
}

static int32_t merge_table(const merger *g, const char *weights_name, const char *sums_name)
{
    const char *names[2] = { weights_name, sums_name };
    const tensor *w = of(g, g->n, weights_name), *sums = of(g, g->n, sums_name);
    tensor *to = NULL, *to_sums = NULL;
    if (w == NULL || (!changed(g, weights_name) && !changed(g, sums_name)))
        return ECREC_OK;
    int32_t status = tensor_fork(w, &to);
    if (status == ECREC_OK)
        status = tensor_fork(sums, &to_sums);
    for (uint64_t c = 0; c < w->chunk_count && status == ECREC_OK; c++) {
        if (!chunk_changed(g, names, c))
            continue;
        const uint64_t first = c << w->chunk_shift;
        for (uint64_t r = first; r < first + w->rows_per_chunk && r < w->shape[0] && status == ECREC_OK; r++) {
            float *x = tensor_row_edit(to, r), *s = tensor_row_edit(to_sums, r);
            if (x == NULL || s == NULL)
                status = ECREC_ERR_NOMEM;
            else
                merge_row(g, r, w, sums, names, x, s);
        }
    }
    if (status == ECREC_OK && (status = tensor_set_put(g->next, weights_name, to)) == ECREC_OK)
        status = tensor_set_put(g->next, sums_name, to_sums);
    tensor_release(to);
    tensor_release(to_sums);
    return status == ECREC_OK ? ECREC_OK : error_nomem(g->err, weights_name, 0);
}

/* ---- dense ---- */

static int32_t copy_of(const merger *g, const char *name, tensor **out)
{
    const tensor *old = of(g, g->n, name);
    const int32_t status = tensor_create(g->m, old->type, old->layout, old->rank, old->shape, out);
    if (status != ECREC_OK)
        return error_nomem(g->err, name, old->bytes);
    memcpy(tensor_edit(*out), old->data, old->bytes);
    return tensor_set_put(g->next, name, *out) == ECREC_OK ? ECREC_OK : error_nomem(g->err, name, 0);
}

typedef struct frame { double mean, scale; } frame; /* that a number's slope is said in */

static frame frame_of(const merger *g, size_t worker, uint32_t number)
{
    const double *s = (const double *)of(g, worker, "rank.numbers")->data + (size_t)number * NUMBER_COLUMNS;
    return (frame){ s[NUMBER_FROZEN_MEAN], s[NUMBER_FROZEN_SCALE] };
}

/* The worker whose frozen statistics are of most rows. */
static size_t best_frame(const merger *g, uint32_t number)
{
    size_t best = g->n;
    for (size_t k = 0; k < g->n; k++) {
        const double *a = (const double *)of(g, k, "rank.numbers")->data + (size_t)number * NUMBER_COLUMNS;
        const double *b = (const double *)of(g, best, "rank.numbers")->data + (size_t)number * NUMBER_COLUMNS;
        if (a[NUMBER_FROZEN_COUNT] > b[NUMBER_FROZEN_COUNT])
            best = k;
    }
    return best;
}

/* w (x - m) s + c = w' (x - m') s' + c' for every x: (w, c) -> (w', c'). */
static void restate(frame from, frame to, double *slope, double *level)
{
    if (to.scale == 0 || (from.mean == to.mean && from.scale == to.scale))
        return;
    *level += *slope * from.scale * (to.mean - from.mean);
    *slope *= from.scale / to.scale;
}

/* Dense weight i of a worker in the frame of its number; *sum likewise. */
static double dense_value(const merger *g, size_t worker, size_t i, double *sum)
{
    const ranker *r = g->plan;
    const float *w = of(g, worker, "rank.dense")->data, *s = of(g, worker, "learn.dense")->data;
    const size_t head = i / r->width, at = i % r->width;
    *sum = s[i];
    for (uint32_t f = 0; f < r->fields; f++) {
        const field_plan *p = &r->plan[f];
        if (p->kind != ECREC_FIELD_NUMBER || (at != p->dense && at != p->dense + 1))
            continue;
        const frame from = frame_of(g, worker, p->number), to = frame_of(g, best_frame(g, p->number), p->number);
        double slope = w[head * r->width + p->dense], level = w[head * r->width + p->dense + 1];
        restate(from, to, &slope, &level);
        if (at == p->dense && from.scale != 0)
            *sum *= (to.scale / from.scale) * (to.scale / from.scale);
        return at == p->dense ? slope : level;
    }
    return w[i];
}

static int32_t merge_dense(const merger *g)
{
    tensor *to = NULL, *to_sums = NULL;
    if (!changed(g, "rank.dense") && !changed(g, "learn.dense"))
        return ECREC_OK;
    int32_t status = copy_of(g, "rank.dense", &to);
    if (status == ECREC_OK)
        status = copy_of(g, "learn.dense", &to_sums);
    for (size_t i = 0; status == ECREC_OK && i < to->bytes / sizeof(float); i++) {
        double sum0 = 0, move = 0, plain = 0, total = 0, weights = 0;
        const double w0 = dense_value(g, g->n, i, &sum0);
        for (size_t k = 0; k < g->n; k++) {
            double sum = 0;
            const double w = dense_value(g, k, i, &sum), grown = fmax(0, sum - sum0);
            move += sqrt(grown) * (w - w0);
            weights += sqrt(grown);
            plain += w - w0;
            total += grown;
        }
        ((float *)tensor_edit(to))[i] = (float)(w0 + (weights > 0 ? move / weights : plain / (double)g->n));
        ((float *)tensor_edit(to_sums))[i] = (float)(sum0 + total);
    }
    tensor_release(to);
    tensor_release(to_sums);
    return status;
}

/* The network's weight i of a worker, its embedded numbers in the common frame. */
static double network_value(const merger *g, size_t worker, size_t i)
{
    const ranker *r = g->plan;
    const float *w = of(g, worker, "rank.network")->data;
    const uint32_t k = r->net.width;
    for (uint32_t f = 0; f < r->fields; f++) {
        const field_plan *p = &r->plan[f];
        if (p->kind != ECREC_FIELD_NUMBER || p->embedded == NO_INDEX || i < p->embed || i >= p->embed + 2 * (size_t)k)
            continue;
        const size_t at = (i - p->embed) % k;
        double slope = w[p->embed + at], level = w[p->embed + k + at];
        restate(frame_of(g, worker, p->number), frame_of(g, best_frame(g, p->number), p->number), &slope, &level);
        return i < p->embed + k ? slope : level;
    }
    return w[i];
}

static int32_t merge_network(const merger *g)
{
    tensor *to = NULL, *moments = NULL, *steps = NULL;
    if (of(g, g->n, "rank.network") == NULL || (!changed(g, "rank.network") && !changed(g, "learn.network") && !changed(g, "learn.steps")))
        return ECREC_OK;
    int32_t status = copy_of(g, "rank.network", &to);
    if (status == ECREC_OK)
        status = copy_of(g, "learn.network", &moments);
    if (status == ECREC_OK)
        status = copy_of(g, "learn.steps", &steps);
    if (status == ECREC_OK) {
        const double steps0 = *(const double *)steps->data;
        double total = 0, most = 0;
        for (size_t k = 0; k < g->n; k++) {
            const double own = fmax(0, *(const double *)of(g, k, "learn.steps")->data - steps0);
            total += own;
            most = fmax(most, own);
        }
        const size_t size = to->bytes / sizeof(float);
        for (size_t i = 0; i < 3 * size && total > 0; i++) {
            double value = 0;
            for (size_t k = 0; k < g->n; k++) {
                const double share = fmax(0, *(const double *)of(g, k, "learn.steps")->data - steps0) / total;
                value += share * (i < size ? network_value(g, k, i) : ((const float *)of(g, k, "learn.network")->data)[i - size]);
            }
            ((float *)(i < size ? tensor_edit(to) : tensor_edit(moments)))[i < size ? i : i - size] = (float)value;
        }
        *(double *)tensor_edit(steps) = steps0 + most;
    }
    tensor_release(to);
    tensor_release(moments);
    tensor_release(steps);
    return status;
}

/* Counts, sums and sums of squares about the base's mean add up. */
static int32_t merge_numbers(const merger *g)
{
    tensor *to = NULL;
    if (of(g, g->n, "rank.numbers") == NULL || !changed(g, "rank.numbers"))
        return ECREC_OK;
    const int32_t status = copy_of(g, "rank.numbers", &to);
    for (uint32_t i = 0; status == ECREC_OK && i < g->plan->numbers; i++) {
        double *s = (double *)tensor_edit(to) + (size_t)i * NUMBER_COLUMNS, count = s[NUMBER_COUNT], first = 0, second = s[NUMBER_SQUARES];
        const double center = s[NUMBER_MEAN], count0 = count, second0 = second;
        for (size_t k = 0; k < g->n; k++) {
            const double *x = (const double *)of(g, k, "rank.numbers")->data + (size_t)i * NUMBER_COLUMNS, d = x[NUMBER_MEAN] - center;
            count += x[NUMBER_COUNT] - count0;
            first += x[NUMBER_COUNT] * d;
            second += x[NUMBER_SQUARES] + x[NUMBER_COUNT] * d * d - second0;
        }
        const double *frozen = (const double *)of(g, best_frame(g, i), "rank.numbers")->data + (size_t)i * NUMBER_COLUMNS;
        s[NUMBER_COUNT] = count;
        s[NUMBER_MEAN] = count > 0 ? center + first / count : center;
        s[NUMBER_SQUARES] = count > 0 ? fmax(0, second - first * first / count) : 0;
        for (int c = NUMBER_FROZEN_MEAN; c < NUMBER_COLUMNS; c++)
            s[c] = frozen[c];
    }
    tensor_release(to);
    return status;
}

/* Values that the base has settled stay; of others the means go on, and none may have been settled by one worker alone. */
static int32_t merge_targets(const merger *g)
{
    static const char name[] = "rank.targets";
    tensor *to = NULL;
    if (of(g, g->n, name) == NULL || !changed(g, name))
        return ECREC_OK;
    const int32_t status = copy_of(g, name, &to);
    for (uint64_t l = 0; status == ECREC_OK && l < to->shape[0]; l++) {
        double *s = (double *)tensor_edit(to) + l * NUMBER_COLUMNS;
        const double center = s[NUMBER_MEAN], count0 = s[NUMBER_COUNT], second0 = s[NUMBER_SQUARES];
        double count = count0, first = 0, second = second0;
        for (size_t k = 0; k < g->n; k++) {
            const double *x = (const double *)of(g, k, name)->data + l * NUMBER_COLUMNS, d = x[NUMBER_MEAN] - center;
            if (x[NUMBER_FROZEN_COUNT] != s[NUMBER_FROZEN_COUNT] || (s[NUMBER_FROZEN_COUNT] > 0 && (x[NUMBER_FROZEN_MEAN] != s[NUMBER_FROZEN_MEAN] || x[NUMBER_FROZEN_SCALE] != s[NUMBER_FROZEN_SCALE]))) {
                tensor_release(to);
                return error_set(g->err, ECREC_ERR_UNSUPPORTED, "delta %zu settled the unit in which label \"%s\" is learned, and the state that the deltas began from had none: "
                                 "let that one learn from %d labelled rows first", k, g->schema->labels[l].name, TARGET_ROWS);
            }
            count += x[NUMBER_COUNT] - count0;
            first += x[NUMBER_COUNT] * d;
            second += x[NUMBER_SQUARES] + x[NUMBER_COUNT] * d * d - second0;
        }
        if (s[NUMBER_FROZEN_COUNT] > 0 || count <= 0)
            continue;
        s[NUMBER_COUNT] = count;
        s[NUMBER_MEAN] = s[NUMBER_FROZEN_MEAN] = center + first / count;
        s[NUMBER_SQUARES] = fmax(0, second - first * first / count);
    }
    tensor_release(to);
    return status;
}

/* The mean of the workers' calibrations, where all have one of one method; else the base's stays. */
static int32_t merge_calibration(const merger *g)
{
    static const char name[] = "rank.calibration";
    const tensor *old = of(g, g->n, name);
    tensor *to = NULL;
    if (old == NULL || !changed(g, name))
        return ECREC_OK;
    const int32_t status = copy_of(g, name, &to);
    for (uint64_t l = 0; status == ECREC_OK && l < old->shape[0]; l++) {
        double *row = (double *)tensor_edit(to) + l * CALIBRATION_COLUMNS, method = row[CALIBRATION_METHOD];
        size_t alike = 0;
        for (size_t k = 0; k < g->n; k++) {
            const tensor *t = of(g, k, name);
            alike += t != NULL && t->shape[0] == old->shape[0] && ((const double *)t->data)[l * CALIBRATION_COLUMNS + CALIBRATION_METHOD] == method;
        }
        for (uint32_t i = 0; i < CALIBRATION_COLUMNS && alike == g->n; i++) {
            double sum = 0;
            for (size_t k = 0; k < g->n; k++)
                sum += ((const double *)of(g, k, name)->data)[l * CALIBRATION_COLUMNS + i];
            row[i] = sum / (double)g->n;
        }
    }
    tensor_release(to);
    return status;
}

static int32_t merge_progress(const merger *g)
{
    static const char name[] = "learn.progress";
    const tensor *old = of(g, g->n, name);
    double sums[PROGRESS_COLUMNS] = { 0 };
    if (!changed(g, name))
        return ECREC_OK;
    for (size_t k = 0; k < g->n; k++) {
        const tensor *t = of(g, k, name);
        for (size_t i = 0; t != NULL && t->bytes == sizeof sums && i < PROGRESS_COLUMNS; i++)
            sums[i] += ((const double *)t->data)[i] - (old != NULL && old->bytes == sizeof sums ? ((const double *)old->data)[i] : 0);
    }
    int32_t status = progress_add(g->m, g->next, sums[PROGRESS_ROWS_SEEN], g->err);
    if (status == ECREC_OK) /* made a moment ago, not shared */
        ((double *)tensor_edit(tensor_set_get(g->next, name)))[PROGRESS_UPDATES] += sums[PROGRESS_UPDATES] - 1;
    return status;
}

static int32_t merge_memory(const merger *g)
{
    return changed(g, "learn.online") ? merge_memories(g->m, g->schema, g->base, g->workers, g->n, g->next, g->err) : ECREC_OK;
}

/* Sightings add up. */
static int32_t merge_sightings(const merger *g)
{
    static const char name[] = "rank.sightings";
    const char *names[2] = { name, name };
    const tensor *base = of(g, g->n, name);
    tensor *to = NULL;
    if (base == NULL || !changed(g, name))
        return ECREC_OK;
    int32_t status = tensor_fork(base, &to);
    for (uint64_t c = 0; c < base->chunk_count && status == ECREC_OK; c++) {
        const uint64_t first = c << base->chunk_shift;
        for (uint64_t row = first; chunk_changed(g, names, c) && row < first + base->rows_per_chunk && row < base->shape[0] && status == ECREC_OK; row++) {
            const float *before = tensor_row(base, row);
            float *own = tensor_row_edit(to, row);
            status = own != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
            for (size_t k = 0; k < g->n && own != NULL; k++)
                *own += (float)added(tensor_row(of(g, k, name), row), before);
        }
    }
    if (status == ECREC_OK)
        status = tensor_set_put(g->next, name, to);
    tensor_release(to);
    return status == ECREC_OK ? ECREC_OK : error_nomem(g->err, name, 0);
}

/* The sketches' values add up; the cuts must be the same, or the weights would be of other bins. */
static int32_t merge_bins(const merger *g)
{
    static const char name[] = "rank.bins";
    tensor *to = NULL;
    if (of(g, g->n, name) == NULL || !changed(g, name))
        return ECREC_OK;
    for (size_t k = 0; k < g->n; k++)
        if (bins_check(of(g, k, name), g->err) != ECREC_OK)
            return ECREC_ERR_FORMAT;
    const double **workers = memory_allocate(g->m, g->n * sizeof *workers);
    int32_t status = workers != NULL ? copy_of(g, name, &to) : error_nomem(g->err, name, 0);
    for (uint32_t f = 0; f < g->plan->fields && status == ECREC_OK; f++) {
        const uint32_t row = g->plan->plan[f].binned;
        if (row == NO_INDEX)
            continue;
        for (size_t k = 0; k < g->n; k++)
            if (memcmp(bins_row(of(g, k, name), row), bins_row(of(g, g->n, name), row), BINS_SKETCH * sizeof(double)) != 0) {
                status = error_set(g->err, ECREC_ERR_UNSUPPORTED, "delta %zu changes the cuts of \"%s\": they must be set (ecrec_rebin) before the workers part", k,
                                   g->schema->fields[f].name);
                break;
            }
        for (size_t k = 0; k < g->n; k++)
            workers[k] = bins_row(of(g, k, name), row);
        if (status == ECREC_OK && bins_merge(g->m, (double *)tensor_edit(to) + (size_t)row * BINS_COLUMNS, workers, g->n) != ECREC_OK)
            status = error_nomem(g->err, name, 0);
    }
    memory_release(g->m, (void *)workers, g->n * sizeof *workers);
    tensor_release(to);
    return status;
}

/* What somebody saw lives as long as it lives with him. */
static int32_t merge_alive(const merger *g)
{
    static const char *const tables[] = { "learn.alive.weights", "learn.alive.embeddings", "learn.alive.sightings" };
    const tensor *period = of(g, g->n, "learn.period");
    int32_t status = ECREC_OK;
    for (size_t k = 0; k < g->n && period != NULL; k++)
        if (*(const double *)of(g, k, "learn.period")->data != *(const double *)period->data)
            return error_set(g->err, ECREC_ERR_UNSUPPORTED, "delta %zu ended a period (ecrec_expire), which cannot be merged", k);
    for (size_t i = 0; i < 3 && status == ECREC_OK; i++) {
        const char *names[2] = { tables[i], tables[i] };
        const tensor *base = of(g, g->n, tables[i]);
        tensor *to = NULL;
        if (base == NULL || !changed(g, tables[i]))
            continue;
        status = tensor_fork(base, &to);
        for (uint64_t c = 0; c < base->chunk_count && status == ECREC_OK; c++) {
            const uint64_t first = c << base->chunk_shift;
            for (uint64_t row = first; chunk_changed(g, names, c) && row < first + base->rows_per_chunk && row < base->shape[0] && status == ECREC_OK; row++) {
                float *own = tensor_row_edit(to, row);
                status = own != NULL ? ECREC_OK : ECREC_ERR_NOMEM;
                for (size_t k = 0; k < g->n && own != NULL; k++) {
                    const float *x = tensor_row(of(g, k, tables[i]), row);
                    *own = x != NULL && *x > *own ? *x : *own;
                }
            }
        }
        if (status == ECREC_OK)
            status = tensor_set_put(g->next, tables[i], to);
        tensor_release(to);
    }
    return status == ECREC_OK ? ECREC_OK : error_nomem(g->err, "learn.alive", 0);
}

/* What the ranker is made of has the base's shapes, whatever a delta says. */
static int32_t check_shapes(const merger *g)
{
    for (size_t i = 0; i < tensor_set_count(g->base); i++) {
        const char *name = NULL;
        const tensor *b = tensor_set_at(g->base, i, &name);
        const int part = strncmp(name, "rank.", 5) == 0 || strncmp(name, "learn.alive.", 12) == 0 || strcmp(name, "learn.period") == 0 || strcmp(name, "learn.steps") == 0 ||
                         strcmp(name, "learn.dense") == 0 || strcmp(name, "learn.hashed") == 0 || strcmp(name, "learn.embeddings") == 0 || strcmp(name, "learn.network") == 0;
        for (size_t k = 0; k < g->n && part; k++) {
            const tensor *t = of(g, k, name);
            if (t == NULL || t->type != b->type || t->layout != b->layout || t->rank != b->rank || memcmp(t->shape, b->shape, (size_t)b->rank * sizeof *b->shape) != 0 ||
                t->rows_per_chunk != b->rows_per_chunk)
                return error_set(g->err, ECREC_ERR_FORMAT, "delta %zu: tensor \"%s\" does not have the type and shape that the ranker's has", k, name);
        }
    }
    return ECREC_OK;
}

static int32_t check_known(const merger *g)
{
    static const char *const known[] = { "rank.dense", "learn.dense", "rank.hashed", "learn.hashed", "rank.embeddings", "learn.embeddings",
                                         "rank.network", "learn.network", "learn.steps", "rank.numbers", "rank.targets", "rank.calibration", "rank.sightings", "rank.bins", "learn.alive.weights", "learn.alive.embeddings", "learn.alive.sightings", "learn.period",
                                         "learn.progress",
                                         "learn.online", "learn.events", "learn.seen", "learn.cells", "learn.reserve", "learn.reservoir", "learn.drift", "learn.window" };
    for (size_t k = 0; k < g->n; k++)
        for (size_t i = 0; i < tensor_set_count(g->workers[k]); i++) {
            const char *name = NULL;
            const tensor *t = tensor_set_at(g->workers[k], i, &name);
            size_t at = 0;
            while (at < sizeof known / sizeof *known && strcmp(name, known[at]) != 0)
                at++;
            if (t != of(g, g->n, name) && at == sizeof known / sizeof *known)
                return error_set(g->err, ECREC_ERR_UNSUPPORTED, "delta %zu changes \"%s\", which cannot be merged", k, name);
        }
    return ECREC_OK;
}

int32_t merge_states(memory *m, const ecrec_schema *schema, uint32_t dimension, const tensor_set *base, tensor_set *const *workers, size_t n,
                     tensor_set **out, ecrec_error *err)
{
    ranker *plan = NULL;
    merger g = { .m = m, .schema = schema, .base = base, .workers = workers, .n = n, .err = err };
    int32_t status = ranker_plan(m, schema, dimension, &plan, err);
    g.plan = plan;
    if (status == ECREC_OK)
        status = check_known(&g);
    if (status == ECREC_OK)
        status = check_shapes(&g);
    if (status == ECREC_OK && tensor_set_copy(base, &g.next) != ECREC_OK)
        status = error_nomem(err, "the merged state", 0);
    int32_t (*const parts[])(const merger *) = { merge_dense, merge_network, merge_numbers, merge_targets, merge_calibration, merge_progress, merge_memory, merge_sightings, merge_bins, merge_alive };
    if (status == ECREC_OK && (status = merge_table(&g, "rank.hashed", "learn.hashed")) == ECREC_OK)
        status = merge_table(&g, "rank.embeddings", "learn.embeddings");
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == ECREC_OK; i++)
        status = parts[i](&g);
    if (plan != NULL)
        ranker_free(plan);
    if (status != ECREC_OK)
        tensor_set_release(g.next);
    else
        *out = g.next;
    return status;
}
