/* Runs a fuzz target without libFuzzer: its seeds, the files of folders, and mutations of them that are the same each time.
 *
 *   TARGET [--mutations N] [--write FOLDER] [FOLDER]
 *
 * --write only writes the seeds into a folder, as a corpus to begin with. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { MOST = 512 };
typedef struct input { unsigned char *bytes; size_t length; } input;
typedef struct inputs { input list[MOST]; size_t count; } inputs;

static unsigned long long state = 88172645463325252ull;
static size_t pick(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n != 0 ? (size_t)(state % n) : 0;
}

static void keep(void *opaque, const void *bytes, size_t length)
{
    inputs *all = opaque;
    if (all->count == MOST)
        return;
    input *i = &all->list[all->count++];
    i->bytes = malloc(length + 1);
    i->length = length;
    PROMISE(i->bytes != NULL);
    if (length > 0)
        memcpy(i->bytes, bytes, length);
}

static void read_folder(inputs *all, const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[4096];
        static unsigned char bytes[1 << 20];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = e->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        if (f == NULL)
            continue;
        keep(all, bytes, fread(bytes, 1, sizeof bytes, f));
        fclose(f);
    }
    if (d != NULL)
        closedir(d);
}

/* A few changes of the kinds that parsers trip over; the result is a fresh block of exactly its length, so that sanitizers
 * see a read past its end. */
static input mutate(const inputs *all)
{
    static const unsigned char magic[] = { 0, 1, 0x7F, 0x80, 0xFF, '"', '{', '[', '-', 'e', '\\', 0xC0, 0xED, 0xF4 };
    const input *from = &all->list[pick(all->count)], *other = &all->list[pick(all->count)];
    const size_t capacity = from->length + other->length + 64;
    unsigned char *bytes = malloc(capacity + 1);
    size_t n = from->length;
    PROMISE(bytes != NULL);
    memcpy(bytes, from->bytes, n);
    for (size_t k = 1 + pick(6); k > 0; k--) {
        const size_t at = pick(n), span = 1 + pick(16);
        switch (pick(7)) {
        case 0: if (n > 0) bytes[at] ^= (unsigned char)(1u << pick(8)); break;
        case 1: if (n > 0) bytes[at] = magic[pick(sizeof magic)]; break;
        case 2: n = at; break;
        case 3: if (n > 0 && at + span < n) { memmove(bytes + at, bytes + at + span, n - at - span); n -= span; } break;
        case 4: if (n + span <= capacity) { memmove(bytes + at + span, bytes + at, n - at); memset(bytes + at, magic[pick(sizeof magic)], span); n += span; } break;
        case 5: if (n >= 8) { const uint64_t v = pick(2) ? ~(uint64_t)0 >> pick(64) : (uint64_t)1 << pick(64); memcpy(bytes + pick(n - 7), &v, 8); } break;
        default:
            if (other->length > 0) {
                const size_t begin = pick(other->length), most = other->length - begin, part = pick(most < n - at ? most : n - at);
                memcpy(bytes + at, other->bytes + begin, part);
            }
        }
    }
    input made = { malloc(n + 1), n };
    PROMISE(made.bytes != NULL);
    memcpy(made.bytes, bytes, n);
    free(bytes);
    return made;
}

static int write_seeds(const inputs *all, const char *folder)
{
    for (size_t i = 0; i < all->count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/seed-%03zu", folder, i);
        FILE *f = fopen(path, "wb");
        if (f == NULL || fwrite(all->list[i].bytes, 1, all->list[i].length, f) != all->list[i].length || fclose(f) != 0) {
            fprintf(stderr, "%s cannot be written\n", path);
            return 1;
        }
    }
    printf("%zu seeds in %s\n", all->count, folder);
    return 0;
}

int main(int count, char **arguments)
{
    static inputs all;
    size_t mutations = 0;
    const char *folder = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--mutations") == 0 && i + 1 < count)
            mutations = strtoul(arguments[++i], NULL, 10);
        else if (strcmp(arguments[i], "--write") == 0 && i + 1 < count)
            folder = arguments[++i];
        else
            read_folder(&all, arguments[i]);
    }
    fuzz_seeds(keep, &all);
    PROMISE(all.count > 0);
    if (folder != NULL)
        return write_seeds(&all, folder);
    if (getenv("ECREC_SANITIZED") != NULL)
        mutations /= 5;
    for (size_t i = 0; i < all.count; i++)
        (void)LLVMFuzzerTestOneInput(all.list[i].bytes, all.list[i].length);
    for (size_t i = 0; i < mutations; i++) {
        const input made = mutate(&all);
        (void)LLVMFuzzerTestOneInput(made.bytes, made.length);
        free(made.bytes);
    }
    printf("%zu inputs, %zu mutations\n", all.count, mutations);
    for (size_t i = 0; i < all.count; i++)
        free(all.list[i].bytes);
    return 0;
}
