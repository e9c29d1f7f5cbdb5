/* The ABI of impression logs: argument checks, then one call into a room. */
#include "ecrec/impressions.h"

#include "base/report.h"
#include "check.h"
#include "stream/impressions.h"

void ecrec_impressions_options_init(ecrec_impressions_options *options)
{
    static const ecrec_impressions_options defaults = ECREC_IMPRESSIONS_OPTIONS_INIT;
    if (options != NULL)
        *options = defaults;
}

int32_t ecrec_impressions_open(ecrec_context *context, const ecrec_schema *schema, const char *path, const ecrec_impressions_options *options,
                               ecrec_impressions **log, ecrec_report **report, ecrec_error *err)
{
    static const ecrec_impressions_options defaults = ECREC_IMPRESSIONS_OPTIONS_INIT;
    ecrec_impressions *made = NULL;
    ecrec_report *told = NULL;
    uint64_t cut = 0;
    CHECK_POINTER(context);
    CHECK_POINTER(schema);
    CHECK_POINTER(log);
    CHECK_OPTIONS(ecrec_impressions_options, options);
    int32_t status = impressions_open(context, schema, path, options != NULL ? options : &defaults, &journal_files, &made, &cut, err);
    if (status == ECREC_OK && report != NULL && (status = report_create(context, "impressions", &told, err)) == ECREC_OK) {
        report_number(told, "impressions", (double)made->count);
        report_number(told, "cut_bytes", (double)cut);
        status = report_finish(told, err);
    }
    if (status != ECREC_OK) {
        ecrec_report_release(told);
        ecrec_impressions_release(made);
        return status;
    }
    if (report != NULL)
        *report = told;
    *log = made;
    return ECREC_OK;
}

void ecrec_impressions_release(ecrec_impressions *log)
{
    if (log != NULL)
        impressions_close(log);
}

int32_t ecrec_impressions_add(ecrec_impressions *log, const ecrec_batch *batch, const float *scores, uint64_t snapshot_, int64_t now, ecrec_error *err)
{
    CHECK_POINTER(log);
    CHECK_POINTER(batch);
    CHECK_POINTER(scores);
    return impressions_add(log, batch, scores, snapshot_, now, err);
}

int32_t ecrec_impressions_label(ecrec_impressions *log, uint32_t label, const uint64_t *events, const float *values, size_t n, int64_t now, size_t *joined,
                                ecrec_error *err)
{
    CHECK_POINTER(log);
    if (label >= log->schema->label_count)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_label: label %u is not below %u", label, log->schema->label_count);
    if (n > UINT32_MAX || (n != 0 && (events == NULL || values == NULL)))
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_label: %s", n > UINT32_MAX ? "too many labels" : "events or values is NULL");
    return impressions_label(log, label, events, values, n, now, joined, err);
}

static void give_served(const ecrec_impressions *log, const ecrec_batch *batch, const float **served, const uint64_t **snapshots)
{
    if (served != NULL)
        *served = batch != NULL ? log->served : NULL;
    if (snapshots != NULL)
        *snapshots = batch != NULL ? log->snapshots : NULL;
}

int32_t ecrec_impressions_take(ecrec_impressions *log, int64_t now, size_t most, ecrec_batch **batch, const float **served, const uint64_t **snapshots,
                               ecrec_error *err)
{
    CHECK_POINTER(log);
    CHECK_POINTER(batch);
    const int32_t status = impressions_take(log, now, most, batch, err);
    if (status == ECREC_OK)
        give_served(log, *batch, served, snapshots);
    return status;
}

int32_t ecrec_impressions_done(ecrec_impressions *log, ecrec_error *err)
{
    CHECK_POINTER(log);
    return impressions_done(log, err);
}

int32_t ecrec_impressions_rows(ecrec_impressions *log, int64_t from, int64_t as_of, ecrec_batch **batch, const float **served, const uint64_t **snapshots,
                               ecrec_error *err)
{
    CHECK_POINTER(log);
    CHECK_POINTER(batch);
    const int32_t status = impressions_rows(log, from, as_of, batch, err);
    if (status == ECREC_OK)
        give_served(log, *batch, served, snapshots);
    return status;
}

int32_t ecrec_impressions_forget(ecrec_impressions *log, uint32_t field, const char *value, size_t length, uint64_t *dropped, ecrec_error *err)
{
    CHECK_POINTER(log);
    CHECK_POINTER(value);
    if (field >= log->schema->field_count || field_form(log->schema->fields[field].kind) != ECREC_FIELD_CATEGORY)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_impressions_forget: field %u is no user, item or category field", field);
    return impressions_forget(log, field, value, length, dropped, err);
}

int32_t ecrec_impressions_compact(ecrec_impressions *log, ecrec_error *err)
{
    CHECK_POINTER(log);
    return log->file >= 0 ? impressions_file_compact(log, err) : error_set(err, ECREC_ERR_INVALID, "the impression log has no file");
}

int32_t ecrec_impressions_info(ecrec_impressions *log, ecrec_report **report, ecrec_error *err)
{
    static const char *const names[COUNT_SIZE] = { "added", "dropped", "joined", "unknown", "too_late", "repeated", "early", "late" };
    ecrec_report *r = NULL;
    CHECK_POINTER(log);
    CHECK_POINTER(report);
    int32_t status = report_create(log->context, "impressions", &r, err);
    if (status != ECREC_OK)
        return status;
    report_number(r, "impressions", (double)log->count);
    report_number(r, "bytes", (double)log->bytes);
    report_number(r, "file_bytes", (double)log->end);
    for (size_t i = 0; i < COUNT_SIZE; i++)
        report_number(r, names[i], (double)log->counts[i]);
    if ((status = report_finish(r, err)) == ECREC_OK)
        *report = r;
    else
        ecrec_report_release(r);
    return status;
}
