#include "cells.h"

#include <stdlib.h>
#include <string.h>

int cells_open(const char *line, size_t length, char separator)
{
    int quoted = 0, begins = 1;
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '"' && (quoted || begins))
            quoted = !quoted || (i + 1 < length && line[i + 1] == '"' && ++i);
        begins = !quoted && line[i] == separator;
    }
    return quoted;
}

/* A quoted cell: its text is moved over its quotes. The byte behind the closing quote, or NULL: it stays open. */
static char *unquote(char *at, char *end, cell *c)
{
    char *to = at;
    c->text = at++;
    c->quoted = 1;
    for (; at < end; at++) {
        if (*at == '"') {
            if (at + 1 == end || at[1] != '"')
                break;
            at++;
        }
        *to++ = *at;
    }
    if (at == end)
        return NULL;
    c->length = (size_t)(to - c->text);
    *to = 0; /* at or before the closing quote */
    return at + 1;
}

/* With tabs: whether a quote closes right before the cell's end. */
static int closes(const char *at, const char *end)
{
    size_t quotes = 0;
    const char *last = end;
    while (last > at + 1 && last[-1] == '"') {
        last--;
        quotes++;
    }
    for (const char *p = at + 1; p < last; p++)
        if (*p == '"' && (p + 1 >= last || *++p != '"'))
            return 0;
    return quotes % 2 == 1;
}

const char *cells_split(char *line, size_t length, char separator, cell *cells, size_t room, size_t *count)
{
    char *at = line, *end = line + length;
    *count = 0;
    for (;;) {
        cell unused, *c = *count < room ? &cells[*count] : &unused;
        char *next = memchr(at, separator, (size_t)(end - at));
        char *stop = next != NULL ? next : end;
        ++*count;
        if (at < end && *at == '"' && (separator != '\t' || closes(at, stop))) {
            const char *begins = at;
            at = unquote(at, separator == '\t' ? stop : end, c);
            if (at == NULL)
                return begins;
            if (at < end && *at != separator)
                return at;
            next = at < end ? at : NULL;
        } else {
            *c = (cell){ at, (size_t)(stop - at), 0 };
            *stop = 0;
        }
        if (next == NULL)
            return NULL;
        at = next + 1;
    }
}

int libsvm_next(char **at, char **index, double *value)
{
    char *p = *at + strspn(*at, " \t");
    *index = p;
    if (*p == 0 || *p == '#')
        return 0;
    char *colon = p + strcspn(p, ": \t");
    if (*colon != ':' || colon == p)
        return -1;
    char *end = NULL;
    *value = strtod(colon + 1, &end);
    if (end == colon + 1 || (*end != 0 && *end != ' ' && *end != '\t'))
        return -1;
    *colon = 0;
    *at = end;
    return 1;
}

/* Exactly n digits. */
static int digits(const char **at, int n, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return 0;
        *out = *out * 10 + (**at - '0');
    }
    return 1;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const int64_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

static int read_clock(const char **at, int64_t *microseconds)
{
    int64_t hour, minute, second = 0, fraction = 0, digit, scale = 100000;
    if (!digits(at, 2, &hour) || hour > 23 || *(*at)++ != ':' || !digits(at, 2, &minute) || minute > 59)
        return 0;
    if (**at == ':') {
        ++*at;
        if (!digits(at, 2, &second) || second > 59)
            return 0;
        if (**at == '.') {
            ++*at;
            if (!digits(at, 1, &digit))
                return 0;
            do {
                fraction += digit * scale;
                scale /= 10;
            } while (**at >= '0' && **at <= '9' && digits(at, 1, &digit));
        }
    }
    *microseconds = (hour * 3600 + minute * 60 + second) * 1000000 + fraction;
    return 1;
}

static int read_zone(const char **at, int64_t *microseconds)
{
    int64_t hours, minutes = 0;
    *microseconds = 0;
    if (**at == 'Z') {
        ++*at;
        return 1;
    }
    if (**at != '+' && **at != '-')
        return 1;
    const int64_t sign = *(*at)++ == '-' ? -1 : 1;
    if (!digits(at, 2, &hours) || hours > 14)
        return 0;
    if (**at == ':')
        ++*at;
    if (**at != 0 && (!digits(at, 2, &minutes) || minutes > 59))
        return 0;
    *microseconds = sign * (hours * 3600 + minutes * 60) * 1000000;
    return 1;
}

int time_parse(const char *text, int64_t *microseconds)
{
    const size_t sign = text[0] == '-', n = strspn(text + sign, "0123456789");
    int64_t year, month, day, clock = 0, zone = 0;
    if (n != 0 && text[sign + n] == 0 && n <= 18) {
        *microseconds = strtoll(text, NULL, 10);
        return 1;
    }
    if (!digits(&text, 4, &year) || *text++ != '-' || !digits(&text, 2, &month) || month < 1 || month > 12 || *text++ != '-' || !digits(&text, 2, &day) || day < 1 ||
        year < 1 || day > month_days(year, month))
        return 0;
    if ((*text == 'T' || *text == ' ') && (text++, !read_clock(&text, &clock) || !read_zone(&text, &zone)))
        return 0;
    if (*text != 0)
        return 0;
    *microseconds = days_of(year, month, day) * 86400000000 + clock - zone;
    return 1;
}
