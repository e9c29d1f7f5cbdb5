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
    char name[512];
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

static size_t value_text(const entry *e, char *text, size_t size)
{
    if (e->text != NULL) /* long texts (a licence) are shown by their beginning; the JSON has the whole */
        return format_text(text, size, "%.*s%s", (int)(e->length < 90 ? e->length : 90), e->text, e->length > 90 ? "..." : "");
    if (e->number == floor(e->number) && fabs(e->number) < 1e15)
        return format_text(text, size, "%.0f", e->number);
    return format_text(text, size, fabs(e->number) >= 1e-3 && fabs(e->number) < 1e6 ? "%.5f" : "%g", e->number);
}

/* Where the number begins in "history.3.loss", or NULL: entries of a list are rows, their members columns. */
static const char *list_number(const char *name)
{
    for (const char *part = name;;) {
        const size_t n = part_length(part);
        if (part[n] == 0)
            return NULL;
        if (part != name && all_digits(part, n))
            return part;
        part += n + 1;
    }
}

/* The entries [first, *end) of one list whose rows all have the members of its first row; the number of those, 0: no such list. */
static size_t list_extent(const ecrec_report *r, size_t first, size_t *end)
{
    const char *name = entry_at(r, first)->name, *number = list_number(name);
    const size_t count = ecrec_report_count(r), before = number != NULL ? (size_t)(number - name) : 0;
    size_t columns = 0, last = first;
    for (; number != NULL && last < count && strncmp(entry_at(r, last)->name, name, before) == 0; last++) {
        const char *at = entry_at(r, last)->name + before, *member = at + part_length(at);
        if (!all_digits(at, part_length(at)) || *member == 0)
            return 0;
        if (columns == 0 && (part_length(at) != part_length(number) || strncmp(at, number, part_length(at)) != 0))
            columns = last - first;
        if (columns != 0 && strcmp(member, entry_at(r, last - columns)->name + before + part_length(entry_at(r, last - columns)->name + before)) != 0)
            return 0;
    }
    *end = last;
    return columns >= 2 && columns <= 12 && (last - first) % columns == 0 ? columns : 0;
}

static void make_list(ecrec_report *r, size_t first, size_t end, size_t columns)
{
    enum { WIDTH = 10 };
    const char *name = entry_at(r, first)->name, *number = list_number(name);
    char text[400];
    table_text(r, "  ", 2);
    table_text(r, name, (size_t)(number - name) - 1);
    table_text(r, "\n", 1);
    for (size_t i = first; i < first + columns; i++) { /* their names, each as wide as its column */
        const char *at = entry_at(r, i)->name + (number - name), *member = at + part_length(at) + 1;
        const size_t n = strlen(member);
        table_pad(r, n + 2 > WIDTH ? 2 : WIDTH - n);
        table_text(r, member, n);
    }
    for (size_t i = first; i < end && !r->failed; i++) {
        const char *at = entry_at(r, first + (i - first) % columns)->name + (number - name);
        const size_t n = value_text(entry_at(r, i), text, sizeof text), wide = strlen(at + part_length(at) + 1) + 2;
        const size_t column = wide > WIDTH ? wide : WIDTH;
        if ((i - first) % columns == 0)
            table_text(r, "\n", 1);
        table_pad(r, n + 1 > column ? 1 : column - n);
        table_text(r, text, n);
    }
    table_text(r, "\n", 1);
}

static void make_table(ecrec_report *r)
{
    size_t count = ecrec_report_count(r), width = 0, end = 0, columns;
    char text[400];
    table_text(r, r->title, strlen(r->title));
    table_text(r, "\n", 1);
    for (size_t i = 0; i < count; i = list_extent(r, i, &end) != 0 ? end : i + 1) {
        size_t n = list_extent(r, i, &end) != 0 ? 0 : strlen(entry_at(r, i)->name);
        width = n > width ? n : width;
    }
    for (size_t i = 0; i < count && !r->failed;) {
        const entry *e = entry_at(r, i);
        if ((columns = list_extent(r, i, &end)) != 0) {
            make_list(r, i, end, columns);
            i = end;
            continue;
        }
        size_t n = strlen(e->name);
        table_text(r, "  ", 2);
        table_text(r, e->name, n);
        table_pad(r, width - n + 2);
        table_text(r, text, value_text(e, text, sizeof text));
        table_text(r, "\n", 1);
        i++;
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
