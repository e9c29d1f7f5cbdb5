/* What update remembers and is judged by; forget */
#include "tool.h"

#include <string.h>

/* --events, --reserve, --reservoir, --drift: when one of them is given the ranker remembers that from now on. 0, or told. */
static int configure(const arguments *a, ecrec_model *model)
{
    static const char *const names[] = { "events", "reserve", "reservoir" };
    ecrec_online_options o = ECREC_ONLINE_OPTIONS_INIT;
    ecrec_error err = ECREC_ERROR_INIT;
    uint32_t *const to[] = { &o.events, &o.reserve, &o.reservoir };
    int any = has(a, "drift");
    for (int i = 0; i < 3; i++) {
        double n = 0;
        const int code = argument_count(a, names[i], 0, 0, 1e9, &n);
        if (code != 0)
            return code;
        any |= argument(a, names[i], NULL) != NULL;
        *to[i] = (uint32_t)n;
    }
    o.drift = has(a, "drift") ? ECREC_DRIFT_ADWIN : 0;
    return !any || ecrec_online_configure(model, &o, &err) == ECREC_OK ? 0 : failed_with(&err);
}

/* Prints the report, and releases it. 0. */
static int told(const arguments *a, ecrec_report *report)
{
    fputs(has(a, "json") ? ecrec_report_json(report) : ecrec_report_text(report), stdout);
    if (has(a, "json"))
        putchar('\n');
    ecrec_report_release(report);
    return 0;
}

/* --forget FIELD=VALUE */
static int forget(const arguments *a, ecrec_model *model)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    const char *what = argument(a, "forget", NULL), *equals = what != NULL ? strchr(what, '=') : NULL;
    char name[256];
    if (what == NULL)
        return 0;
    if (equals == NULL || equals == what || (size_t)(equals - what) >= sizeof name)
        return usage_error(a->command, "--forget takes FIELD=VALUE");
    memcpy(name, what, (size_t)(equals - what));
    name[equals - what] = 0;
    const uint32_t field = ecrec_schema_find_field(ecrec_model_schema(model), name);
    if (field == UINT32_MAX)
        return failed("--forget: the ranker has no field \"%s\"", name);
    if (ecrec_forget(model, field, equals + 1, strlen(equals + 1), &report, &err) != ECREC_OK)
        return failed_with(&err);
    return told(a, report);
}

/* --rebin */
static int rebin(const arguments *a, ecrec_model *model)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    if (!has(a, "rebin"))
        return 0;
    if (ecrec_rebin(model, NULL, NULL, &report, &err) != ECREC_OK)
        return failed_with(&err);
    return told(a, report);
}

/* --expire */
static int expire(const arguments *a, ecrec_model *model)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_report *report = NULL;
    if (!has(a, "expire"))
        return 0;
    if (ecrec_expire(model, &report, &err) != ECREC_OK)
        return failed_with(&err);
    return told(a, report);
}

int online_begin(const arguments *a, ecrec_model *model, ecrec_update_options *o)
{
    int code = argument_number(a, "replay", 0, 0, 64, &o->replay);
    if (code == 0)
        code = argument_number(a, "max-score-move", 0, 0, 1e9, &o->max_score_move);
    if (code == 0)
        code = argument_number(a, "max-calibration-growth", 0, 0, 1e9, &o->max_calibration_growth);
    o->force = has(a, "force") ? 1 : 0;
    if (code == 0)
        code = configure(a, model);
    if (code == 0)
        code = forget(a, model);
    if (code == 0)
        code = rebin(a, model);
    return code == 0 ? expire(a, model) : code;
}
