/* The base room: memory and its limit, exact decimals against the C library, JSON, random numbers, the pool and executors. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/decimal.h"
#include "base/format.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "support.h"

static uint64_t bits(void)
{
    static random_stream r;
    static int ready;
    if (!ready)
        random_init(&r, 2024, 7);
    ready = 1;
    const uint64_t high = random_u32(&r);
    return high << 32 | random_u32(&r);
}

/* ---- memory ---- */

static void counted_memory(void **unused)
{
    memory m;
    (void)unused;
    memory_init(&m, NULL, 1000);
    void *a = memory_allocate(&m, 600), *b = memory_allocate(&m, 400);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % MEMORY_ALIGNMENT, 0);
    assert_int_equal(m.live, 1000);
    assert_null(memory_allocate(&m, 1)); /* the limit */
    assert_null(memory_grow(&m, b, 400, 401));
    memory_release(&m, a, 600);
    assert_int_equal(m.live, 400);
    assert_int_equal(m.peak, 1000);
    assert_int_equal(m.allocations, 2); /* refused ones do not count */
    memset(b, 0x5A, 400);
    b = memory_grow(&m, b, 400, 600); /* both live for a moment */
    assert_non_null(b);
    assert_int_equal(((unsigned char *)b)[399], 0x5A);
    memory_release(&m, b, 600);
    assert_int_equal(m.live, 0);
    assert_null(memory_allocate(&m, 0));
    assert_null(memory_allocate(&m, SIZE_MAX));
    assert_true(memory_product(SIZE_MAX / 2, 3) == SIZE_MAX);
    memory_release(&m, NULL, 5);
    assert_int_equal(m.live, 0);
}

static void *exact_reallocate(void *opaque, void *block, size_t old_size, size_t new_size, size_t alignment)
{
    fault_allocator *f = opaque;
    const ecrec_allocator a = fault_hooks(f);
    void *grown = a.allocate(opaque, new_size, alignment);
    if (grown != NULL) {
        memcpy(grown, block, old_size < new_size ? old_size : new_size);
        a.release(opaque, block, old_size, alignment);
    }
    return grown;
}

static void grown_by_the_host(void **unused)
{
    fault_allocator f = { 0 };
    ecrec_allocator hooks = fault_hooks(&f);
    memory m;
    buffer b;
    (void)unused;
    hooks.reallocate = exact_reallocate;
    memory_init(&m, &hooks, 0);
    buffer_init(&b, &m);
    for (int i = 0; i < 5000; i++) {
        const unsigned char byte = (unsigned char)i;
        assert_int_equal(buffer_append(&b, &byte, 1), ECREC_OK);
    }
    for (int i = 0; i < 5000; i++)
        assert_int_equal(b.data[i], (unsigned char)i);
    f.fail_at = f.count + 1;
    assert_int_equal(buffer_reserve(&b, 1 << 20), ECREC_ERR_NOMEM);
    assert_int_equal(b.length, 5000); /* still there */
    buffer_release(&b);
    assert_int_equal(f.live_blocks, 0);
    assert_int_equal(f.wrong, 0);
    assert_int_equal(m.live, 0);
}

static void arenas(void **unused)
{
    memory m;
    arena a;
    (void)unused;
    memory_init(&m, NULL, 0);
    arena_init(&a, &m);
    char *last = NULL;
    for (size_t i = 1; i < 3000; i++) {
        const size_t size = i % 700 + (i % 97 == 0 ? (size_t)1 << 21 : 0);
        char *block = arena_allocate(&a, size != 0 ? size : 1);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % (size >= 256 ? 64 : 16), 0);
        if (last != NULL)
            assert_int_equal(*last, (char)(i - 1)); /* nobody wrote over the one before */
        *(last = block) = (char)i;
    }
    assert_null(arena_allocate(&a, SIZE_MAX - 10));
    assert_string_equal(arena_copy(&a, "abc", 2), "ab");
    arena_release(&a);
    assert_int_equal(m.live, 0);
    scratch s = { NULL, 0, 0 };
    (void)scratch_take(&s, 1);
    (void)scratch_take(&s, 65);
    assert_int_equal(s.used, 64 + 128);
}

/* ---- numbers ---- */

static void like_libc(double value)
{
    char ours[32], theirs[64];
    double back = 0;
    const size_t n = format_double(ours, value);
    assert_true(parse_double(ours, n, &back));
    assert_memory_equal(&back, &value, sizeof value);
    /* as short as can be: no spelling with fewer digits reads back */
    int digits = 1;
    for (; digits <= 17; digits++) {
        snprintf(theirs, sizeof theirs, "%.*e", digits - 1, value);
        for (char *c = theirs; *c != 0; c++)
            if (*c == ',')
                *c = '.';
        assert_true(parse_double(theirs, strlen(theirs), &back));
        if (memcmp(&back, &value, sizeof value) == 0)
            break;
    }
    int own = 0, leading = 1;
    for (size_t i = 0; i < n && ours[i] != 'e'; i++) {
        leading = leading && (ours[i] < '1' || ours[i] > '9');
        own += !leading && ours[i] >= '0' && ours[i] <= '9';
    }
    while (own > digits && strchr(ours, '.') == NULL) /* zeros in front of the point do not count */
        own--;
    if (own > digits)
        fail_msg("%s has %d digits, %d are enough (%s)", ours, own, digits, theirs);
}

static void decimals(void **unused)
{
    static const double edges[] = { 1, 0.1, 5e-324, 2.2250738585072011e-308, 2.2250738585072014e-308, DBL_MAX, 9007199254740993.0, 1e22, 1e23, 123456789012345680.0, 0.3, 1.0 / 3 };
    (void)unused;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        like_libc(edges[i]);
    for (int i = 0; i < 8000; i++) {
        const uint64_t u = bits() & ~(1ull << 63);
        double value;
        memcpy(&value, &u, sizeof value);
        if (isfinite(value))
            like_libc(value);
        like_libc((double)(int64_t)(bits() >> (bits() % 60)) / 1000);
    }
}

/* Random spellings, against strtod in the C locale (this program sets none unless ECREC_LOCALE does). */
static void spellings(void **unused)
{
    const int comma = getenv("ECREC_LOCALE") != NULL;
    (void)unused;
    for (int i = 0; i < 50000; i++) {
        char text[96], theirs[96];
        size_t n = 0;
        if (bits() % 2)
            text[n++] = '-';
        const size_t whole = bits() % 20, part = bits() % 25;
        text[n++] = (char)('1' + bits() % 9);
        for (size_t k = 0; k < whole; k++)
            text[n++] = (char)('0' + bits() % 10);
        if (part > 0)
            text[n++] = '.';
        for (size_t k = 0; k < part; k++)
            text[n++] = (char)('0' + bits() % 10);
        if (bits() % 2)
            n += (size_t)snprintf(text + n, sizeof text - n, "e%d", (int)(bits() % 700) - 350);
        text[n] = 0;
        memcpy(theirs, text, n + 1);
        for (char *c = theirs; comma && *c != 0; c++)
            if (*c == '.')
                *c = ',';
        const double expected = strtod(theirs, NULL);
        double value = 0;
        if (!parse_double(text, n, &value) || memcmp(&value, &expected, sizeof value) != 0)
            fail_msg("%s reads as %.17g, strtod gives %.17g", text, value, expected);
    }
    static const char *const wrong[] = { "", "-", ".5", "5.", "1e", "1e+", "+1", "0x10", "1 ", " 1", "nan", "inf", "1,5", "01", "1e5.0", "--1" };
    double value = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse_double(wrong[i], strlen(wrong[i]), &value))
            fail_msg("\"%s\" is taken for a number", wrong[i]);
    uint64_t u = 0;
    assert_true(parse_u64("18446744073709551615", 20, &u) && u == UINT64_MAX);
    assert_false(parse_u64("18446744073709551616", 20, &u));
    assert_false(parse_u64("", 0, &u) || parse_u64("-1", 2, &u) || parse_u64("1.0", 3, &u));
}

static void formats(void **unused)
{
    char out[64];
    (void)unused;
    format_text(out, sizeof out, "%s %d %u %zu %llu %.3f %g", "a", -5, 7u, (size_t)9, 10ull, 1.23456, 0.1);
    assert_string_equal(out, "a -5 7 9 10 1.235 0.1");
    format_text(out, sizeof out, "%s", "a\x1b[31m\xFF");
    assert_null(strchr(out, 0x1b)); /* a hostile name cannot break a terminal */
    format_text(out, sizeof out, "%.4s %.2s %.*s", "abc", "abc", 3, "a\0b"); /* at most so many, exactly so many */
    assert_string_equal(out, "abc ab a\\x00b");
    assert_int_equal(format_text(out, 4, "%s", "abcdef"), 3);
    assert_string_equal(out, "abc");
    assert_true(format_text(out, 3, "%s", "a\xC3\xA9\xC3\xA9") <= 2); /* cut between characters */
}

/* ---- JSON ---- */

static int32_t parse(const char *text, size_t length, const json **root, arena *a, ecrec_error *err)
{
    return json_parse(a, "t.json", text, length, root, err);
}

static void json_texts(void **unused)
{
    static const struct { const char *text; int32_t status; } cases[] = {
        { "0", 0 }, { "-0", 0 }, { "1.5e+3", 0 }, { " [ ] ", 0 }, { "{\"a\":[1,{\"b\":null}]}", 0 }, { "\"\\u0000\"", 0 }, { "\xEF\xBB\xBF[]", 0 },
        { "01", 4 }, { "1.", 4 }, { ".5", 4 }, { "+1", 4 }, { "1e", 4 }, { "nul", 4 }, { "[1,]", 4 }, { "[1 2]", 4 }, { "{a:1}", 4 }, { "{\"a\" 1}", 4 }, { "[}", 4 },
        { "\"\\x\"", 4 }, { "\"\\ud800\"", 4 }, { "\"\\udc00\"", 4 }, { "\"\\ud800\\u0041\"", 4 }, { "\"\t\"", 4 }, { "\"a", 4 }, { "\"\xFF\"", 4 }, { "\"\xED\xA0\x80\"", 4 },
        { "\"\xC0\x80\"", 4 }, { "[] []", 4 }, { "", 4 }, { "NaN", 4 }, { "Infinity", 4 }, { "{\"a\":1,\"\\u0061\":2}", 4 }, { "'a'", 4 }, { "// x", 4 },
    };
    memory m;
    (void)unused;
    memory_init(&m, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena a;
        const json *root = NULL;
        ecrec_error err = ECREC_ERROR_INIT;
        arena_init(&a, &m);
        const int32_t status = parse(cases[i].text, strlen(cases[i].text), &root, &a, &err);
        if (status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].text, ecrec_status_name(status), err.message);
        if (status != ECREC_OK)
            assert_true(strncmp(err.message, "t.json: ", 8) == 0 && err.position <= strlen(cases[i].text));
        arena_release(&a);
    }
    assert_int_equal(m.live, 0);
}

static void json_depth_and_memory(void **unused)
{
    memory m;
    arena a;
    ecrec_error err = ECREC_ERROR_INIT;
    const json *root = NULL;
    static char text[400000];
    (void)unused;
    for (int depth = 60; depth < 70; depth++) {
        memory_init(&m, NULL, 0);
        arena_init(&a, &m);
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(parse(text, 2 * (size_t)depth, &root, &a, &err), depth <= 64 ? ECREC_OK : ECREC_ERR_LIMIT);
        arena_release(&a);
    }
    /* the most nodes that bytes can ask for: within 64 times the length and 64 KiB, and what blocks leave unused */
    memset(text, ',', sizeof text);
    text[0] = '[';
    for (size_t i = 1; i + 1 < sizeof text; i += 2)
        text[i] = '0';
    text[sizeof text - 1] = ']';
    const size_t length = sizeof text;
    text[length - 2] = text[length - 2] == ',' ? '0' : text[length - 2];
    memory_init(&m, NULL, 0);
    arena_init(&a, &m);
    const int32_t status = parse(text, length, &root, &a, &err);
    assert_true(status == ECREC_OK || status == ECREC_ERR_LIMIT || status == ECREC_ERR_FORMAT);
    assert_true(m.peak <= 64 * length + (64 << 10) + (2 << 20));
    arena_release(&a);
    assert_int_equal(m.live, 0);
}

static void json_values(void **unused)
{
    static const char text[] = "{\"n\":5,\"f\":0.25,\"s\":\"caf\\u00e9\",\"t\":true,\"z\":null,\"list\":[1,2,3],\"e\":1e2,\"big\":18446744073709551615,\"neg\":-1}";
    memory m;
    arena a;
    ecrec_error err = ECREC_ERROR_INIT;
    const json *root = NULL;
    uint64_t u = 0;
    double d = 0;
    int flag = 0;
    const char *s = NULL;
    (void)unused;
    memory_init(&m, NULL, 0);
    arena_init(&a, &m);
    CALL(parse(text, strlen(text), &root, &a, &err));
    CALL(json_get_u64(root, "t.json", "n", 9, &u, &err));
    assert_int_equal(u, 5);
    CALL(json_get_u64(root, "t.json", "big", 9, &u, &err));
    assert_true(u == UINT64_MAX);
    CALL(json_get_u64(root, "t.json", "z", 9, &u, &err)); /* null is as if missing */
    assert_int_equal(u, 9);
    CALL(json_get_u64(root, "t.json", "missing", 7, &u, &err));
    assert_int_equal(u, 7);
    CALL(json_get_double(root, "t.json", "f", 0, &d, &err));
    assert_true(d == 0.25);
    CALL(json_get_bool(root, "t.json", "t", 0, &flag, &err));
    assert_int_equal(flag, 1);
    CALL(json_get_string(root, "t.json", "s", "", &s, &err));
    assert_string_equal(s, "caf\xC3\xA9");
    assert_int_equal(json_get(root, "list")->length, 3);
    assert_true(json_u64(json_at(json_get(root, "list"), 2), &u) && u == 3);
    assert_null(json_at(json_get(root, "list"), 3));
    REFUSED(ECREC_ERR_FORMAT, json_get_u64(root, "t.json", "neg", 0, &u, &err));
    REFUSED(ECREC_ERR_FORMAT, json_get_u64(root, "t.json", "s", 0, &u, &err));
    REFUSED(ECREC_ERR_FORMAT, json_get_string(root, "t.json", "n", "", &s, &err));
    REFUSED(ECREC_ERR_FORMAT, json_get_bool(root, "t.json", "n", 0, &flag, &err));
    assert_non_null(strstr(err.message, "\"n\""));
    arena_release(&a);
    assert_int_equal(m.live, 0);
}

/* ---- random numbers ---- */

static void random_numbers(void **unused)
{
    /* the known answers of Salmon et al.'s published kat_vectors for philox4x32-10 */
    static const struct { uint32_t counter[4], key[2], out[4]; } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff }, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 }, { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    random_stream a, b, other;
    double sum = 0, squares = 0;
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        philox4x32(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
    random_init(&a, 5, 1);
    random_init(&b, 5, 1);
    random_init(&other, 5, 2);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        const uint32_t x = random_u32(&a);
        assert_int_equal(x, random_u32(&b));
        same += x == random_u32(&other);
    }
    assert_true(same < 3);
    size_t counts[7] = { 0 };
    for (int i = 0; i < 70000; i++)
        counts[random_below(&a, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(counts[i] > 9500 && counts[i] < 10500); /* 5 standard deviations */
    for (int i = 0; i < 100000; i++) {
        const double x = (double)random_normal(&a);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
        const float f = random_float(&a);
        assert_true(f >= 0 && f < 1);
    }
    assert_true(fabs(sum / 100000) < 0.02 && fabs(squares / 100000 - 1) < 0.03);
}

/* ---- executors ---- */

enum { TASKS = 1000 };
static void mark(void *argument, uint32_t index)
{
    __atomic_add_fetch(&((uint32_t *)argument)[index], 1, __ATOMIC_RELAXED);
}

static void backwards(void *opaque, void (*task)(void *, uint32_t), void *argument, uint32_t count)
{
    *(uint32_t *)opaque += 1;
    while (count > 0)
        task(argument, --count);
}

static void executors(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    (void)unused;
    for (uint32_t threads = 0; threads <= 4; threads++) {
        uint32_t counts[TASKS] = { 0 };
        ecrec_context *c = context_with(threads, 0);
        assert_int_equal(ecrec_context_threads(c), threads == 0 ? 1 : threads);
        for (int round = 0; round < 50; round++)
            context_run(c, mark, counts, TASKS);
        context_run(c, mark, counts, 0);
        for (int i = 0; i < TASKS; i++)
            assert_int_equal(counts[i], 50); /* each exactly once a run */
        ecrec_context_release(c);
    }
    uint32_t calls = 0, counts[TASKS] = { 0 };
    const ecrec_executor host = { (uint32_t)sizeof host, 3, &calls, backwards };
    ecrec_context_options o = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *c = NULL;
    o.executor = &host;
    CALL(ecrec_context_create(&o, &c, &err));
    context_run(c, mark, counts, TASKS);
    assert_int_equal(calls, 1);
    assert_int_equal(ecrec_context_threads(c), 3);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(counts[i], 1);
    ecrec_context_release(c);
}

static void wrong_contexts(void **unused)
{
    ecrec_error err = ECREC_ERROR_INIT;
    ecrec_context_options o = ECREC_CONTEXT_OPTIONS_INIT;
    ecrec_context *c = NULL;
    ecrec_executor e = { (uint32_t)sizeof e, 1, NULL, backwards };
    fault_allocator f = { 0 };
    ecrec_allocator a = fault_hooks(&f);
    (void)unused;
    REFUSED(ECREC_ERR_INVALID, ecrec_context_create(NULL, NULL, &err));
    o.size = 4;
    REFUSED(ECREC_ERR_INVALID, ecrec_context_create(&o, &c, &err));
    o.size = (uint32_t)sizeof o;
    o.threads = 257;
    REFUSED(ECREC_ERR_INVALID, ecrec_context_create(&o, &c, &err));
    o.threads = 0;
    o.executor = &e;
    e.run = NULL;
    REFUSED(ECREC_ERR_INVALID, ecrec_context_create(&o, &c, &err));
    e.run = backwards;
    e.threads = 0;
    REFUSED(ECREC_ERR_INVALID, ecrec_context_create(&o, &c, &err));
    o.executor = NULL;
    o.allocator = &a;
    a.release = NULL;
    REFUSED(ECREC_ERR_INVALID, ecrec_context_create(&o, &c, &err));
    o.allocator = NULL;
    o.memory_limit = 10;
    REFUSED(ECREC_ERR_NOMEM, ecrec_context_create(&o, &c, &err));
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_memory), cmocka_unit_test(grown_by_the_host), cmocka_unit_test(arenas), cmocka_unit_test(decimals),
        cmocka_unit_test(spellings), cmocka_unit_test(formats), cmocka_unit_test(json_texts), cmocka_unit_test(json_depth_and_memory),
        cmocka_unit_test(json_values), cmocka_unit_test(random_numbers), cmocka_unit_test(executors), cmocka_unit_test(wrong_contexts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
