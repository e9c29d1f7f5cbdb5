/* Event files as TensorBoard reads them: records of a length, its check, an Event message, its check (CRC-32C, masked). */
#define _POSIX_C_SOURCE 200809L
#include "fit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_EVENT = 1024 };

/* CRC-32C (Castagnoli, reflected 0x82F63B78) as the record format masks it. */
static uint32_t masked_check(const unsigned char *bytes, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static size_t put_fixed(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
    return (size_t)bytes;
}

static size_t put_varint(unsigned char *to, uint64_t value)
{
    size_t n = 0;
    for (; value >= 128; value >>= 7)
        to[n++] = (unsigned char)(value | 128);
    to[n++] = (unsigned char)value;
    return n;
}

static size_t put_bytes(unsigned char *to, unsigned field, const void *bytes, size_t n)
{
    size_t at = put_varint(to, field << 3 | 2);
    at += put_varint(to + at, n);
    memcpy(to + at, bytes, n);
    return at + n;
}

/* Event: wall_time 1 (double), step 2, then file_version 3 or summary 5. */
static void write_event(events *e, uint64_t step, unsigned field, const unsigned char *bytes, size_t n)
{
    unsigned char event[MOST_EVENT], head[12], check[4];
    struct timespec now;
    uint64_t bits;
    clock_gettime(CLOCK_REALTIME, &now);
    const double wall = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    memcpy(&bits, &wall, sizeof bits);
    size_t at = put_varint(event, 1 << 3 | 1);
    at += put_fixed(event + at, bits, 8);
    at += put_varint(event + at, 2 << 3 | 0);
    at += put_varint(event + at, step);
    at += put_bytes(event + at, field, bytes, n);
    put_fixed(head, at, 8);
    put_fixed(head + 8, masked_check(head, 8), 4);
    put_fixed(check, masked_check(event, at), 4);
    fwrite(head, 1, sizeof head, e->file);
    fwrite(event, 1, at, e->file);
    fwrite(check, 1, sizeof check, e->file);
}

int events_open(events *e, const char *folder)
{
    static const char version[] = "brain.Event:2";
    char path[4096];
    e->folder = folder;
    e->file = NULL;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return failed("%s: %s", folder, strerror(errno));
    for (long second = (long)time(NULL); e->file == NULL; second++) { /* a file of its own for each run */
        if ((size_t)snprintf(path, sizeof path, "%s/events.out.tfevents.%010ld.ecrec", folder, second) >= sizeof path)
            return failed("%s: the name is too long", folder);
        if (access(path, F_OK) == 0)
            continue;
        if ((e->file = fopen(path, "wb")) == NULL)
            return failed("%s: %s", path, strerror(errno));
    }
    write_event(e, 0, 3, (const unsigned char *)version, sizeof version - 1);
    return 0;
}

/* Summary: value 1 = { tag 1, simple_value 2 (float) }. */
void events_scalar(events *e, const char *tag, uint64_t step, double value)
{
    unsigned char one[512], summary[600];
    const float v = (float)value;
    uint32_t bits;
    size_t n = strlen(tag);
    n = n < 400 ? n : 400;
    while (n > 0 && n < strlen(tag) && ((unsigned char)tag[n] & 0xC0) == 0x80) /* not within a character */
        n--;
    memcpy(&bits, &v, sizeof bits);
    size_t at = put_bytes(one, 1, tag, n);
    at += put_varint(one + at, 2 << 3 | 5);
    at += put_fixed(one + at, bits, 4);
    write_event(e, step, 5, summary, put_bytes(summary, 1, one, at));
}

void events_history(events *e, const ecrec_report *report)
{
    double epochs = 0, value;
    char name[64];
    (void)ecrec_report_number(report, "epochs", &epochs, NULL);
    for (uint64_t epoch = 1; (double)epoch <= epochs; epoch++)
        for (int held = 0; held < 2; held++) {
            snprintf(name, sizeof name, "history.%llu.%s", (unsigned long long)epoch, held ? "holdout_loss" : "loss");
            if (ecrec_report_number(report, name, &value, NULL) == ECREC_OK)
                events_scalar(e, held ? "loss/held_out" : "loss/learned", epoch, value);
        }
    for (size_t i = 0; i < ecrec_report_count(report); i++) { /* labels.NAME.auc, not the tables below it */
        const char *whole = ecrec_report_name(report, i), *dot = strncmp(whole, "labels.", 7) == 0 ? strchr(whole + 7, '.') : NULL;
        if (dot != NULL && strchr(dot + 1, '.') == NULL && ecrec_report_number(report, whole, &value, NULL) == ECREC_OK && isfinite(value))
            events_scalar(e, whole + 7, (uint64_t)epochs, value);
    }
}

int events_close(events *e)
{
    const int wrong = e->file != NULL && ferror(e->file);
    if (e->file != NULL && (fclose(e->file) != 0 || wrong))
        return failed("%s: the event file could not be written: %s", e->folder, strerror(errno));
    return 0;
}
