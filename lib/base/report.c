#include "base/report.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/context.h"
#include "base/error.h"
#include "base/format.h"
#include "base/json.h"

typedef struct entry {
    const char *name;
    const char *text; /* NULL: a number */
    size_t length;
    double number;
} entry;

struct ecrec_report {
    ecrec_context *context; /* referenced */
    const char *title;
    arena a;
    buffer entries; /* of entry */
    buffer json, table;
    int failed;
};

static const entry *entry_at(const ecrec_report *r, size_t index)
{
    return (const entry *)(const void *)r->entries.data + index;
}

size_t ecrec_report_count(const ecrec_report *report)
{
    return report != NULL ? report->entries.length / sizeof(entry) : 0;
}

int32_t report_create(ecrec_context *context, const char *title, ecrec_report **out, ecrec_error *err)
{
    ecrec_report *r = memory_zero(&context->m, sizeof *r);
    if (r == NULL)
        return error_nomem(err, "a report", sizeof *r);
    context_reference(context);
    r->context = context;
    arena_init(&r->a, &context->m);
    buffer_init(&r->entries, &context->m);
    buffer_init(&r->json, &context->m);
    buffer_init(&r->table, &context->m);
    r->title = arena_copy(&r->a, title, strlen(title));
    r->failed = r->title == NULL;
    *out = r;
    return ECREC_OK;
}

void ecrec_report_release(ecrec_report *report)
{
    if (report == NULL)
        return;
    ecrec_context *context = report->context;
    arena_release(&report->a);
    buffer_release(&report->entries);
    buffer_release(&report->json);
    buffer_release(&report->table);
    memory_release(&context->m, report, sizeof *report);
    context_release(context);
}

static void add(ecrec_report *r, const char *name, const char *text, size_t length, double number)
{
    entry e = { NULL, NULL, length, number };
    if (r->failed)
        return;
    e.name = arena_copy(&r->a, name, strlen(name));
    if (text != NULL)
        e.text = arena_copy(&r->a, text, length);
    if (e.name == NULL || (text != NULL && e.text == NULL) || buffer_append(&r->entries, &e, sizeof e) != ECREC_OK)
        r->failed = 1;
}

void report_number(ecrec_report *r, const char *name, double value)
{
    add(r, name, NULL, 0, value);
}

void report_string(ecrec_report *r, const char *name, const char *value, size_t length)
{
    add(r, name, value, length, 0);
}

void report_numberf(ecrec_report *r, double value, const char *name_format, ...)
{
    char name[256];
    va_list arguments;
    va_start(arguments, name_format);
    format_text_v(name, sizeof name, name_format, arguments);
    va_end(arguments);
    add(r, name, NULL, 0, value);
}

/* ---- JSON: the entries in their order, an object or array wherever their dotted names share a beginning ---- */

static size_t part_length(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

static int all_digits(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] < '0' || name[i] > '9')
            return 0;
    return n > 0;
}

static void json_value(ecrec_report *r, const entry *e)
{
    char text[32];
    if (e->text != NULL)
        r->failed |= json_write_string(&r->json, e->text, e->length) != ECREC_OK;
    else if (!isfinite(e->number))
        r->failed |= buffer_append(&r->json, "null", 4) != ECREC_OK;
    else
        r->failed |= buffer_append(&r->json, text, format_double(text, e->number)) != ECREC_OK;
}

static void json_text(ecrec_report *r, const char *text)
{
    r->failed |= buffer_append(&r->json, text, strlen(text)) != ECREC_OK;
}

static void json_indent(ecrec_report *r, int depth)
{
    json_text(r, "\n");
    for (int i = 0; i < depth; i++)
        json_text(r, "  ");
}

/* Entries [first, end) share their names up to `skip`: write them as one object or array. Names with the same beginning
 * stand together (report.h). */
static void json_group(ecrec_report *r, size_t first, size_t end, size_t skip, int depth)
{
    int array = all_digits(entry_at(r, first)->name + skip, part_length(entry_at(r, first)->name + skip));
    json_text(r, array ? "[" : "{");
    for (size_t i = first; i < end && !r->failed;) {
        const entry *e = entry_at(r, i);
        const char *part = e->name + skip;
        size_t n = part_length(part), last = i + 1;
        if (i > first)
            json_text(r, ",");
        json_indent(r, depth + 1);
        if (!array) {
            r->failed |= json_write_string(&r->json, part, n) != ECREC_OK;
            json_text(r, ": ");
        }
        if (part[n] == 0) {
            json_value(r, e);
        } else {
            while (last < end && strncmp(entry_at(r, last)->name, e->name, skip + n + 1) == 0)
                last++;
            json_group(r, i, last, skip + n + 1, depth + 1);
        }
        i = last;
    }
    json_indent(r, depth);
    json_text(r, array ? "]" : "}");
}

static void make_json(ecrec_report *r)
{
    size_t count = ecrec_report_count(r);
    if (count == 0)
        json_text(r, "{}");
    else
        json_group(r, 0, count, 0, 0);
    r->failed |= buffer_append(&r->json, "", 1) != ECREC_OK;
}

/* ---- table ---- */

static void table_text(ecrec_report *r, const char *text, size_t n)
{
    r->failed |= buffer_append(&r->table, text, n) != ECREC_OK;
}

static void table_pad(ecrec_report *r, size_t n)
{
    while (n-- > 0)
        table_text(r, " ", 1);
}

static void make_table(ecrec_report *r)
{
    size_t count = ecrec_report_count(r), width = 0;
    char text[400];
    table_text(r, r->title, strlen(r->title));
    table_text(r, "\n", 1);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(entry_at(r, i)->name);
        width = n > width ? n : width;
    }
    for (size_t i = 0; i < count && !r->failed; i++) {
        const entry *e = entry_at(r, i);
        size_t n = strlen(e->name);
        table_text(r, "  ", 2);
        table_text(r, e->name, n);
        table_pad(r, width - n + 2);
        if (e->text != NULL) {
            /* long texts (a licence) are shown by their beginning; the JSON has the whole */
            n = format_text(text, sizeof text, "%.*s", (int)(e->length < 90 ? e->length : 90), e->text);
            table_text(r, text, n);
            if (e->length > 90)
                table_text(r, "...", 3);
        } else if (e->number == floor(e->number) && fabs(e->number) < 1e15) {
            table_text(r, text, format_text(text, sizeof text, "%.0f", e->number));
        } else if (fabs(e->number) >= 1e-3 && fabs(e->number) < 1e6) {
            table_text(r, text, format_text(text, sizeof text, "%.5f", e->number));
        } else {
            table_text(r, text, format_text(text, sizeof text, "%g", e->number));
        }
        table_text(r, "\n", 1);
    }
    table_text(r, "", 1);
}

int32_t report_finish(ecrec_report *r, ecrec_error *err)
{
    if (!r->failed)
        make_json(r);
    if (!r->failed)
        make_table(r);
    return r->failed ? error_nomem(err, "a report", 0) : ECREC_OK;
}

static const entry *find(const ecrec_report *r, const char *name)
{
    for (size_t i = 0; i < ecrec_report_count(r); i++)
        if (strcmp(entry_at(r, i)->name, name) == 0)
            return entry_at(r, i);
    return NULL;
}

int32_t ecrec_report_number(const ecrec_report *report, const char *name, double *value, ecrec_error *err)
{
    if (report == NULL || name == NULL || value == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_report_number: an argument is NULL");
    const entry *e = find(report, name);
    if (e == NULL || e->text != NULL)
        return error_set(err, ECREC_ERR_NOT_FOUND, "the report \"%s\" has no number \"%s\"", report->title, name);
    *value = e->number;
    return ECREC_OK;
}

int32_t ecrec_report_string(const ecrec_report *report, const char *name, const char **value, ecrec_error *err)
{
    if (report == NULL || name == NULL || value == NULL)
        return error_set(err, ECREC_ERR_INVALID, "ecrec_report_string: an argument is NULL");
    const entry *e = find(report, name);
    if (e == NULL || e->text == NULL)
        return error_set(err, ECREC_ERR_NOT_FOUND, "the report \"%s\" has no text \"%s\"", report->title, name);
    *value = e->text;
    return ECREC_OK;
}

const char *ecrec_report_name(const ecrec_report *report, size_t index)
{
    return index < ecrec_report_count(report) ? entry_at(report, index)->name : NULL;
}

const char *ecrec_report_json(const ecrec_report *report)
{
    return report != NULL ? (const char *)report->json.data : "{}";
}

const char *ecrec_report_text(const ecrec_report *report)
{
    return report != NULL ? (const char *)report->table.data : "";
}
