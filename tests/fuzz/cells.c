/* Bytes are a row of CSV, TSV or LIBSVM, or a time: it is cut within its bytes or refused; cells that are written are read back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/cli/cells.h"
#include "fuzz.h"

enum { ROOM = 8 };

static char *copy(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    if (size != 0)
        memcpy(line, data, size);
    line[size] = 0;
    return line;
}

static void split(const uint8_t *data, size_t size, char separator)
{
    cell cells[ROOM], again[ROOM];
    size_t count = 0, more = 0;
    char *line = copy(data, size);
    const int open = cells_open(line, size, separator);
    const char *wrong = cells_split(line, size, separator, cells, ROOM, &count);
    PROMISE(count >= 1 && count <= size + 1);
    PROMISE(wrong == NULL || (wrong >= line && wrong <= line + size));
    PROMISE(separator == '\t' || !open || wrong != NULL);
    size_t bytes = 1;
    for (size_t i = 0; i < count && i < ROOM && wrong == NULL; i++) {
        PROMISE(cells[i].text >= line && cells[i].text + cells[i].length <= line + size && cells[i].text[cells[i].length] == 0);
        bytes += 2 * cells[i].length + 3;
    }
    if (wrong == NULL && separator == ',') { /* all of them quoted */
        char *written = malloc(bytes), *to = written;
        const size_t n = count < ROOM ? count : ROOM;
        for (size_t i = 0; i < n; i++) {
            *to++ = '"';
            for (size_t k = 0; k < cells[i].length; k++) {
                if (cells[i].text[k] == '"')
                    *to++ = '"';
                *to++ = cells[i].text[k];
            }
            *to++ = '"';
            *to++ = ',';
        }
        *--to = 0;
        PROMISE(!cells_open(written, (size_t)(to - written), separator));
        PROMISE(cells_split(written, (size_t)(to - written), separator, again, ROOM, &more) == NULL && more == n);
        for (size_t i = 0; i < n; i++)
            PROMISE(again[i].length == cells[i].length && memcmp(again[i].text, cells[i].text, cells[i].length) == 0 && again[i].quoted);
        free(written);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    split(data, size, ',');
    split(data, size, '\t');
    char *line = copy(data, size), *at = line, *index = NULL;
    const char *end = line + strlen(line);
    int64_t t = 0;
    double value = 0;
    if (time_parse(line, &t) && strchr(line, 'T') != NULL)
        PROMISE(t > -62135596800000000 - 54000000000 && t < 253402300800000000 + 54000000000);
    int more;
    while ((more = libsvm_next(&at, &index, &value)) > 0)
        PROMISE(index >= line && index < end && at > index && at <= end);
    PROMISE(more == 0 || (index >= line && index <= end));
    free(line);
    return 0;
}

void fuzz_seeds(fuzz_emit emit, void *opaque)
{
    static const char *const seeds[] = { "a,b,c", "\"a\"\"b\",,\"\"", "\"a\nb\",c", "\"a\"b,c", "\"open", "\"quoted\"\tno\"quote\t\"stray", "\"a \"\"b\"\"\"\tc", "1 3:0.5 17:1e-3 # comment",
                                         "-1 qid:4 1:2", "2024-02-29T23:59:59.999999+02:00", "1970-01-01", "-12345", "2023-02-29", "0001-01-01 00:00Z", "" };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        emit(opaque, seeds[i], strlen(seeds[i]));
}
