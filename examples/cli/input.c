/* Lines and texts of a file or of stdin. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t utf8_length(const char *text, size_t length)
{
    static const unsigned least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)text;
    if (length == 0)
        return 0;
    const size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : p[0] >= 0xE0 && p[0] < 0xF0 ? 3 : p[0] >= 0xF0 && p[0] < 0xF5 ? 4 : 0;
    if (n < 2 || n > length)
        return n > length ? 0 : n;
    unsigned c = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : n;
}

int lines_open(lines *l, const char *path)
{
    memset(l, 0, sizeof *l);
    const int standard = path == NULL || strcmp(path, "-") == 0;
    l->name = standard ? "stdin" : path;
    l->file = standard ? stdin : fopen(path, "r");
    if (standard && isatty(STDIN_FILENO))
        fputs("reading lines from the terminal; Ctrl-D ends them (-i FILE reads a file)\n", stderr);
    return l->file != NULL ? 0 : failed("%s: %s", path, strerror(errno));
}

/* Text in another encoding gives wrong vectors and no error: say so once. */
static int check_encoding(lines *l)
{
    if (l->number == 1 && l->length >= 2 && (memcmp(l->line, "\xFF\xFE", 2) == 0 || memcmp(l->line, "\xFE\xFF", 2) == 0))
        return failed("%s:1: it is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8", l->name);
    if (l->number == 1 && l->length >= 3 && memcmp(l->line, "\xEF\xBB\xBF", 3) == 0) {
        l->length -= 3; /* a byte order mark is no text */
        memmove(l->line, l->line + 3, l->length + 1);
    }
    for (size_t i = 0, n; i < l->length && !l->warned; i += n)
        if ((n = utf8_length(l->line + i, l->length - i)) == 0) {
            fprintf(stderr, "ecrec: %s:%llu: warning: byte %zu is not UTF-8 and is read as U+FFFD; if the file is Latin-1, convert it: iconv -f LATIN1 -t UTF-8\n",
                    l->name, (unsigned long long)l->number, i + 1);
            l->warned = 1;
            break;
        }
    return 0;
}

int lines_next(lines *l)
{
    const ssize_t n = getline(&l->line, &l->capacity, l->file);
    if (n < 0) {
        if (!ferror(l->file))
            return 0;
        (void)failed("%s: %s", l->name, strerror(errno));
        return -1;
    }
    l->number++;
    l->length = (size_t)n;
    if (l->length > 0 && l->line[l->length - 1] == '\n')
        l->line[--l->length] = 0;
    if (l->length > 0 && l->line[l->length - 1] == '\r')
        l->line[--l->length] = 0;
    return check_encoding(l) == 0 ? 1 : -1;
}

void lines_close(lines *l)
{
    if (l->file != NULL && l->file != stdin)
        fclose(l->file);
    free(l->line);
}

/* The block with room for at least `need` items of `size` bytes; NULL when there is no memory, and the block is as it was. */
static void *grow(void *block, size_t *room, size_t need, size_t size)
{
    if (need <= *room)
        return block;
    const size_t target = 2 * need + 1024;
    void *more = target <= SIZE_MAX / size ? realloc(block, target * size) : NULL;
    if (more != NULL)
        *room = target;
    return more;
}

int texts_read(const char *path, texts *out)
{
    lines l;
    size_t bytes = 0, byte_room = 0, row_room = 0;
    int more;
    memset(out, 0, sizeof *out);
    if (lines_open(&l, path) != 0)
        return EXIT_FAILED;
    while ((more = lines_next(&l)) == 1) {
        char *all = grow(out->bytes, &byte_room, bytes + l.length + 1, 1);
        size_t *lengths = grow(out->lengths, &row_room, out->count + 1, sizeof *lengths);
        out->bytes = all != NULL ? all : out->bytes;
        out->lengths = lengths != NULL ? lengths : out->lengths;
        if (all == NULL || lengths == NULL) {
            (void)failed("%s:%llu: there is no memory for so many texts", l.name, (unsigned long long)l.number);
            more = -1;
            break;
        }
        memcpy(out->bytes + bytes, l.line, l.length);
        out->lengths[out->count++] = l.length;
        bytes += l.length;
    }
    if (more == 0 && (out->at = malloc((out->count + 1) * sizeof *out->at)) == NULL)
        more = failed("%s: there is no memory for its texts", l.name) - 2;
    lines_close(&l);
    if (more < 0) {
        texts_free(out);
        return EXIT_FAILED;
    }
    for (size_t i = 0, at = 0; i < out->count; at += out->lengths[i++])
        out->at[i] = out->bytes + at;
    return 0;
}

void texts_free(texts *t)
{
    free(t->bytes);
    free(t->at);
    free(t->lengths);
    memset(t, 0, sizeof *t);
}
