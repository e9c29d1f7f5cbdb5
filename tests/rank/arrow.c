/* Arrow: what is read, what is not copied, what is refused, and that every array is released exactly once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rank/batch.h"
#include "support.h"

/* ---- a producer: arrays over buffers of the test's own ---- */

static int released;

static void release_array(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release != NULL)
            a->children[i]->release(a->children[i]);
    if (a->dictionary != NULL && a->dictionary->release != NULL)
        a->dictionary->release(a->dictionary);
    a->release = NULL;
    released++;
}

static void release_schema(struct ArrowSchema *s)
{
    s->release = NULL;
    released++;
}

typedef struct array {
    struct ArrowSchema schema, *schema_children[8];
    struct ArrowArray data, *data_children[8];
    const void *buffers[5];
} array;

static array *make(array *a, const char *format, const char *name, int64_t length, int64_t offset, int buffers, const void *valid, const void *values, const void *bytes)
{
    memset(a, 0, sizeof *a);
    a->buffers[0] = valid;
    a->buffers[1] = values;
    a->buffers[2] = bytes;
    a->schema = (struct ArrowSchema){ .format = format, .name = name, .release = release_schema, .children = a->schema_children };
    a->data = (struct ArrowArray){ .length = length, .null_count = valid != NULL ? -1 : 0, .offset = offset, .n_buffers = buffers, .buffers = a->buffers,
                                   .children = a->data_children, .release = release_array };
    return a;
}

static void add(array *parent, array *child)
{
    parent->schema_children[parent->schema.n_children++] = &child->schema;
    parent->data_children[parent->data.n_children++] = &child->data;
}

typedef struct fixture { ecrec_context *context; ecrec_schema *schema; ecrec_batch *batch; } fixture;
enum { TITLE, SHOP, PRICE, V, TAGS, WHEN };

static void open_all(fixture *f)
{
    static const char text[] = "{\"fields\":[{\"name\":\"title\",\"kind\":\"text\",\"no_encoding\":true,\"word_ngrams\":1},{\"name\":\"shop\",\"kind\":\"category\"},"
                               "{\"name\":\"price\",\"kind\":\"number\"},{\"name\":\"v\",\"kind\":\"vector\",\"dimension\":2},{\"name\":\"tags\",\"kind\":\"multi\"},"
                               "{\"name\":\"when\",\"kind\":\"time\"}],\"labels\":[\"click\"],\"hash_bits\":10}";
    ecrec_error err = ECREC_ERROR_INIT;
    CALL(ecrec_context_create(NULL, &f->context, &err));
    CALL(ecrec_schema_parse(f->context, text, strlen(text), &f->schema, &err));
    CALL(ecrec_batch_create(f->schema, &f->batch, &err));
    released = 0;
}

static void close_all(fixture *f)
{
    ecrec_batch_release(f->batch);
    ecrec_schema_release(f->schema);
    uint64_t live = 1;
    ecrec_context_memory(f->context, &live, NULL, NULL);
    ecrec_context_release(f->context);
}

static const float *column_floats(const fixture *f, uint32_t c) { return (const float *)(const void *)f->batch->columns[c].values.data; }

static void says(const fixture *f, uint32_t c, size_t row, const char *text)
{
    size_t n = 0;
    assert_true(column_has(&f->batch->columns[c], row));
    const char *got = column_text(&f->batch->columns[c], row, &n);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
}

static const double prices[] = { 9, 1.5, 0, -2 };
static const int64_t wide[] = { 0, 1, 3, 3, 6 };
static const int32_t narrow[] = { 0, 1, 3, 3, 6 };
static const float vectors[] = { 9, 9, 1, 2, 3, 4, 5, 6 };
static const uint8_t some = 0x0b; /* 1 1 0 1 */

/* A slice of a record batch: rows 1 .. 3 of 4; what lies as we read it is read where it lies. */
static void test_no_copy(void **state)
{
    (void)state;
    fixture f;
    ecrec_error err = ECREC_ERROR_INIT;
    array top, title, price, v, values, when, other;
    static const int64_t times[] = { 1, 2000000, -3, 4 };
    open_all(&f);
    make(&top, "+s", "", 3, 1, 1, NULL, NULL, NULL);
    add(&top, make(&title, "U", "title", 4, 0, 3, &some, wide, "abbccc"));
    add(&top, make(&price, "g", "price", 4, 0, 2, &some, prices, NULL));
    add(&top, make(&v, "+w:2", "v", 4, 0, 1, NULL, NULL, NULL));
    add(&v, make(&values, "f", "item", 8, 0, 2, NULL, vectors, NULL));
    add(&top, make(&when, "tsu:UTC", "when", 4, 0, 2, NULL, times, NULL));
    add(&top, make(&other, "vu", "unknown column", 4, 0, 9, NULL, NULL, NULL)); /* passed over */
    CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
    assert_null(top.data.release);
    assert_int_equal(ecrec_batch_rows(f.batch), 3);
    says(&f, TITLE, 0, "bb");
    assert_false(column_has(&f.batch->columns[TITLE], 1));
    says(&f, TITLE, 2, "ccc");
    assert_ptr_equal(f.batch->columns[PRICE].values.data, prices + 1);
    assert_ptr_equal(f.batch->columns[V].values.data, vectors + 2);
    assert_ptr_equal(f.batch->columns[WHEN].values.data, times + 1);
    assert_ptr_equal(f.batch->columns[TITLE].starts.data, wide + 1);
    assert_true(column_has(&f.batch->columns[PRICE], 0) && !column_has(&f.batch->columns[PRICE], 1));
    assert_int_equal(released, 0);
    CALL(ecrec_batch_reset(f.batch, 2, &err)); /* gives it back: the record batch and its 5 columns, one of them with a child */
    assert_int_equal(released, 7);
    static const double own[] = { 1, 2 };
    CALL(ecrec_batch_set_number(f.batch, PRICE, own, NULL, &err));
    assert_true(column_number(&f.batch->columns[PRICE], 1) == 2);
    close_all(&f);
    assert_int_equal(released, 7);
}

/* Every type that is converted. */
static void test_types(void **state)
{
    (void)state;
    static const uint16_t halves[] = { 0x3C00, 0xC000, 0x0001, 0x7BFF }; /* 1, -2, 2^-24, 65504 */
    static const float floats[] = { 1, -2, 0x1p-24f, 65504 };
    static const int8_t i8[] = { 1, -2, 3, 127 };
    static const uint8_t u8[] = { 1, 2, 3, 255 }, bits = 0x05;
    static const int16_t i16[] = { 1, -2, 3, 4 };
    static const uint16_t u16[] = { 1, 2, 3, 65535 };
    static const int32_t i32[] = { 1, -2, 3, 4 };
    static const uint32_t u32[] = { 1, 2, 3, UINT32_MAX };
    static const int64_t i64[] = { 1, -2, 3, 4 };
    static const uint64_t u64[] = { 1, 2, 3, UINT64_MAX };
    static const struct { const char *format; const void *values; double wanted[4]; } cases[] = {
        { "e", halves, { 1, -2, 0x1p-24, 65504 } }, { "f", floats, { 1, -2, 0x1p-24, 65504 } }, { "c", i8, { 1, -2, 3, 127 } }, { "C", u8, { 1, 2, 3, 255 } },
        { "s", i16, { 1, -2, 3, 4 } }, { "S", u16, { 1, 2, 3, 65535 } }, { "i", i32, { 1, -2, 3, 4 } }, { "I", u32, { 1, 2, 3, UINT32_MAX } },
        { "l", i64, { 1, -2, 3, 4 } }, { "L", u64, { 1, 2, 3, 0x1p64 } }, { "b", &bits, { 1, 0, 1, 0 } } };
    static const char *const spelt[] = { "c", "i", "l", "s" };
    fixture f;
    ecrec_error err = ECREC_ERROR_INIT;
    open_all(&f);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        array top, price, shop;
        make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
        add(&top, make(&price, cases[k].format, "price", 4, 0, 2, NULL, cases[k].values, NULL));
        if (k < 4) /* integers are categories too */
            add(&top, make(&shop, spelt[k], "shop", 4, 0, 2, NULL, k == 0 ? (const void *)i8 : k == 1 ? (const void *)i32 : k == 2 ? (const void *)i64 : (const void *)i16, NULL));
        CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
        for (size_t i = 0; i < 4; i++)
            assert_true(column_number(&f.batch->columns[PRICE], i) == cases[k].wanted[i]);
        if (k < 4)
            says(&f, SHOP, 1, "-2");
        CALL(ecrec_batch_reset(f.batch, 0, &err)); /* gives the arrays back before they are made anew */
    }
    static const int64_t ns[] = { -1, 1999, 0, 5 };
    static const int32_t days[] = { -1, 0, 1, 2 };
    array top, when, title, shop, indices;
    make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
    add(&top, make(&when, "tsn:", "when", 4, 0, 2, NULL, ns, NULL));
    add(&top, make(&title, "u", "title", 4, 0, 3, &some, narrow, "abbccc"));
    make(&indices, "c", "shop", 4, 0, 2, NULL, (const int8_t[]){ 3, 1, 2, 0 }, NULL);
    make(&shop, "w:2", "", 4, 0, 2, &some, "n1n2n3n4", NULL);
    indices.schema.dictionary = &shop.schema;
    indices.data.dictionary = &shop.data;
    add(&top, &indices);
    CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
    assert_true(column_time(&f.batch->columns[WHEN], 0) == -1 && column_time(&f.batch->columns[WHEN], 1) == 1);
    says(&f, TITLE, 3, "ccc");
    says(&f, SHOP, 0, "n4");
    says(&f, SHOP, 1, "n2");
    assert_false(column_has(&f.batch->columns[SHOP], 2)); /* the dictionary's own null */
    says(&f, SHOP, 3, "n1");
    CALL(ecrec_batch_reset(f.batch, 0, &err));
    make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
    add(&top, make(&when, "tdD", "when", 4, 0, 2, NULL, days, NULL));
    CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
    assert_true(column_time(&f.batch->columns[WHEN], 0) == -86400000000);
    close_all(&f);
}

static void refused(fixture *f, array *top, const char *part);
typedef struct text_view { int32_t length; char bytes[4]; int32_t buffer, offset; } text_view;

/* Texts as views of several buffers, and decimals of any width: as they are, and with an entry that says too much. */
static void test_views(void **state)
{
    (void)state;
    static const char one[] = "a longer text than twelve", two[] = "zz another text";
    static const int64_t sizes[] = { sizeof one - 1, sizeof two - 1 };
    static text_view views[5];
    static const struct { const char *format; uint32_t words[4][8]; double wanted[4]; } decimals[] = {
        { "d:9,2,32", { { 150 }, { UINT32_MAX }, { 0 }, { 999999999 } }, { 1.5, -0.01, 0, 9999999.99 } },
        { "d:18,0,64", { { 1, 1 }, { 0, 0x80000000u }, { 0 }, { 7 } }, { 4294967297.0, -0x1p63, 0, 7 } },
        { "d:38,10", { { 1 }, { 0xFFFFFFFFu, 0xFFFFFFFFu, 0xFFFFFFFFu, 0x7FFFFFFFu }, { 0xF5EDE2A0u, 0xFFFFFFFFu, 0xFFFFFFFFu, 0xFFFFFFFFu }, { 0x89E80000u, 0x8AC72304u } },
          { 1e-10, 17014118346046923173168730371.5884105727, -0.0169 , 1e9 } },
        { "d:76,-2,256", { { 3 }, { 0, 0, 0, 0, 0, 0, 0, 0x80000000u }, { 0 }, { 0, 0, 0, 0, 1 } }, { 300, -100 * 0x1p255, 0, 100 * 0x1p128 } } };
    fixture f;
    ecrec_error err = ECREC_ERROR_INIT;
    array top, title, shop, price;
    open_all(&f);
    views[0] = (text_view){ 3, "abc", 0, 0 };
    views[1] = (text_view){ 12, "one ", 0, 0 };
    memcpy((char *)&views[1] + 4, "twelve bytes", 12);
    views[2] = (text_view){ 15, "zz a", 1, 0 };
    views[3] = (text_view){ 13, "long", 0, 2 };
    make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
    add(&top, make(&title, "vu", "title", 4, 0, 5, NULL, views, one));
    title.buffers[3] = two;
    title.buffers[4] = sizes;
    add(&top, make(&shop, "vz", "shop", 3, 1, 5, NULL, views, one));
    shop.data.length = 4;
    shop.buffers[3] = two;
    shop.buffers[4] = sizes;
    CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
    says(&f, TITLE, 0, "abc");
    says(&f, TITLE, 1, "twelve bytes");
    says(&f, TITLE, 2, two);
    says(&f, TITLE, 3, "longer text t");
    says(&f, SHOP, 0, "twelve bytes");
    says(&f, SHOP, 3, "");
    CALL(ecrec_batch_reset(f.batch, 0, &err));
    static const text_view wrong[] = { { -1, "", 0, 0 }, { 13, "", 2, 0 }, { 13, "", -1, 0 }, { 13, "", -7, 0 }, { 26, "", 0, 0 }, { 13, "", 0, 13 }, { 13, "", 0, -1 }, { INT32_MAX, "", 0, INT32_MAX } };
    static const double seven = 7;
    CALL(ecrec_batch_reset(f.batch, 1, &err));
    CALL(ecrec_batch_set_number(f.batch, PRICE, &seven, NULL, &err));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        views[3] = wrong[i];
        make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
        add(&top, make(&title, "vu", "title", 4, 0, 5, NULL, views, one));
        title.buffers[3] = two;
        title.buffers[4] = sizes;
        refused(&f, &top, "which are not there");
        title.data.n_buffers = 2;
        refused(&f, &top, "it has 2 buffers");
        title.data.n_buffers = 5;
        title.buffers[4] = NULL;
        refused(&f, &top, "sizes");
    }
    for (size_t k = 0; k < sizeof decimals / sizeof *decimals; k++) {
        unsigned char packed[4 * 32];
        const size_t width = k == 0 ? 4 : k == 1 ? 8 : k == 2 ? 16 : 32;
        for (size_t i = 0; i < 4; i++)
            memcpy(packed + i * width, decimals[k].words[i], width);
        if (k == 2) { /* -169000000 */
            const int64_t low[2] = { -169000000, -1 };
            memcpy(packed + 2 * width, low, sizeof low);
        }
        make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
        add(&top, make(&price, decimals[k].format, "price", 4, 0, 2, NULL, packed, NULL));
        CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
        for (size_t i = 0; i < 4; i++)
            if (column_number(&f.batch->columns[PRICE], i) != decimals[k].wanted[i])
                fail_msg("%s, %zu: %.17g", decimals[k].format, i, column_number(&f.batch->columns[PRICE], i));
        CALL(ecrec_batch_reset(f.batch, 0, &err));
    }
    static const char *const broken[] = { "d:", "d:5", "d:0,1", "d:77,1", "d:5,301", "d:5,1,96", "d:5,1,128,1", "d:5,1,123456789", "d:x,1", "d:5,-" };
    CALL(ecrec_batch_reset(f.batch, 1, &err));
    CALL(ecrec_batch_set_number(f.batch, PRICE, &seven, NULL, &err));
    for (size_t k = 0; k < sizeof broken / sizeof *broken; k++) {
        make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
        add(&top, make(&price, broken[k], "price", 4, 0, 2, NULL, prices, NULL));
        refused(&f, &top, "is not one that is read here");
    }
    close_all(&f);
}

/* Lists of texts, and of texts with weights in structs; lists of numbers as vectors; what rows are. */
static void test_lists(void **state)
{
    (void)state;
    static const int32_t items[] = { 0, 2, 2, 3 }, texts[] = { 0, 1, 3, 6 };
    static const double weights[] = { 3, -4, 2 };
    static const int32_t vector_items[] = { 0, 2, 4, 6 };
    static const uint8_t two = 0x03;
    static const uint64_t ids[] = { 5, 6, UINT64_MAX };
    static const uint32_t positions[] = { 1, 2, 3 };
    static const float clicks[] = { 1, 0, 1 };
    fixture f;
    ecrec_error err = ECREC_ERROR_INIT;
    array top, tags, pair, names, amounts, v, numbers, event, group, position, weight, click;
    open_all(&f);
    for (int weighted = 0; weighted < 2; weighted++) {
        make(&top, "+s", "", 3, 0, 1, NULL, NULL, NULL);
        add(&top, make(&tags, weighted ? "+m" : "+l", "tags", 3, 0, 2, NULL, items, NULL));
        make(&names, "u", "", 3, 0, 3, NULL, texts, "abbccc");
        make(&amounts, "g", "", 3, 0, 2, NULL, weights, NULL);
        make(&pair, "+s", "", 3, 0, 1, NULL, NULL, NULL);
        if (weighted) {
            add(&tags, &pair);
            add(&pair, &names);
            add(&pair, &amounts);
        } else {
            add(&tags, &names);
        }
        add(&top, make(&v, "+l", "v", 3, 0, 2, &two, vector_items, NULL));
        add(&v, make(&numbers, "g", "", 6, 0, 2, NULL, (const double[]){ 1, 2, 3, 4, NAN, 6 }, NULL)); /* the NaN is in a row that is null */
        add(&top, make(&event, "L", "event", 3, 0, 2, NULL, ids, NULL));
        add(&top, make(&group, "u", "group", 3, 0, 3, NULL, texts, "abbccc"));
        add(&top, make(&position, "I", "position", 3, 0, 2, NULL, positions, NULL));
        add(&top, make(&weight, "g", "weight", 3, 0, 2, &two, (const double[]){ 2, 3, 4 }, NULL));
        add(&top, make(&click, "f", "click", 3, 0, 2, NULL, clicks, NULL));
        CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
        const batch_column *c = &f.batch->columns[TAGS];
        assert_int_equal(column_items(c, 1), 2);
        assert_int_equal(column_items(c, 3), 3);
        assert_true(fabsf(column_weight(c, 0) - (weighted ? .6f : .70710678f)) < 1e-6f && fabsf(column_weight(c, 1) - (weighted ? -.8f : .70710678f)) < 1e-6f);
        assert_true(column_weight(c, 2) == 1);
        size_t n = 0;
        assert_memory_equal(column_text(c, 2, &n), "ccc", 3);
        assert_true(column_floats(&f, V)[3] == 4 && !column_has(&f.batch->columns[V], 2));
        assert_ptr_equal(batch_row(f.batch, ROW_EVENT)->values.data, ids);
        assert_ptr_equal(batch_row(f.batch, ROW_POSITION)->values.data, positions);
        assert_ptr_equal(batch_label(f.batch, 0)->values.data, clicks);
        assert_true(column_id(batch_row(f.batch, ROW_GROUP), 1) == ecrec_id_hash("bb", 2));
        assert_true(batch_weight(f.batch, 1) == 3 && batch_weight(f.batch, 2) == 1);
        CALL(ecrec_batch_reset(f.batch, 0, &err));
    }
    close_all(&f);
}

static void refused(fixture *f, array *top, const char *part)
{
    ecrec_error err = ECREC_ERROR_INIT;
    const int before = released;
    assert_int_equal(ecrec_batch_take_arrow(f->batch, &top->schema, &top->data, &err), ECREC_ERR_INVALID);
    if (strstr(err.message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    assert_non_null(top->data.release); /* still the caller's */
    assert_int_equal(released, before);
    assert_int_equal(ecrec_batch_rows(f->batch), 1); /* as it was */
    assert_true(column_number(&f->batch->columns[PRICE], 0) == 7);
}

static void test_hostile(void **state)
{
    (void)state;
    static const double seven = 7;
    static const int64_t falls[] = { 0, 3, 1, 3, 6 }, below[] = { -1, 1, 3, 3, 6 };
    static const int8_t far[] = { 0, 1, 2, 4 };
    static const double wrong[] = { 1, NAN, 3, 4 };
    fixture f;
    ecrec_error err = ECREC_ERROR_INIT;
    array top, one, child;
    open_all(&f);
    CALL(ecrec_batch_reset(f.batch, 1, &err));
    CALL(ecrec_batch_set_number(f.batch, PRICE, &seven, NULL, &err));
    make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
    add(&top, make(&one, "g", "price", 4, 0, 2, NULL, prices, NULL));
#define CASE(change, undo, part) do { change; refused(&f, &top, part); undo; } while (0)
    CASE(one.data.length = -1, one.data.length = 4, "length -1");
    CASE(one.data.length = 3, one.data.length = 4, "3 entries, 4 are needed");
    CASE(one.data.offset = -1, one.data.offset = 0, "offset -1");
    CASE(one.data.offset = INT64_MAX, one.data.offset = 0, "out of range");
    CASE(top.data.offset = INT64_MAX / 64, top.data.offset = 0, "are needed");
    CASE(top.data.length = -4, top.data.length = 4, "length -4");
    CASE(one.data.null_count = 2, one.data.null_count = 0, "no validity bitmap");
    CASE(one.data.null_count = -2, one.data.null_count = 0, "-2 of its 4");
    CASE(one.buffers[1] = NULL, one.buffers[1] = prices, "buffer of values is NULL");
    CASE(one.buffers[1] = (const char *)prices + 1, one.buffers[1] = prices, "multiple of 8");
    CASE(one.data.buffers = NULL, one.data.buffers = one.buffers, "buffers are NULL");
    CASE(one.data.n_buffers = 3, one.data.n_buffers = 2, "it has 3 buffers");
    CASE(one.schema.format = NULL, one.schema.format = "g", "format is NULL");
    CASE(one.schema.format = "d:19,10,96", one.schema.format = "g", "is not one that is read here");
    CASE(one.schema.format = "", one.schema.format = "g", "is not one that is read here");
    CASE(one.schema.format = "tsu:", one.schema.format = "g", "is no number");
    CASE(one.schema.name = "nothing", one.schema.name = "price", "no column has the name");
    CASE(one.schema.name = NULL, one.schema.name = "price", "no column has the name");
    CASE(top.data.n_children = 0, top.data.n_children = 1, "schema has 1 children, its array 0");
    CASE(top.schema_children[0] = NULL, top.schema_children[0] = &one.schema, "child 0 is NULL");
    CASE(top.data.children = NULL, top.data.children = top.data_children, "child 0 is NULL");
    CASE(top.schema.format = "g", top.schema.format = "+s", "it has 1 buffers");
    CASE(one.data.release = NULL, one.data.release = release_array, "was released");
    CASE(one.buffers[1] = wrong, one.buffers[1] = prices, "row 1, field \"price\": nan is not a number");
    make(&one, "U", "title", 4, 0, 3, NULL, falls, "abbccc");
    refused(&f, &top, "entry 1 begins at 3 and ends at 1");
    one.buffers[1] = below;
    refused(&f, &top, "begins at -1");
    one.buffers[1] = wide;
    one.buffers[2] = NULL;
    refused(&f, &top, "buffer of its bytes is NULL");
    make(&one, "c", "shop", 4, 0, 2, NULL, far, NULL);
    make(&child, "U", "", 4, 0, 3, NULL, wide, "abbccc");
    one.schema.dictionary = &child.schema;
    refused(&f, &top, "its schema has a dictionary, its array has none");
    one.data.dictionary = &child.data;
    refused(&f, &top, "number 4 of a dictionary of 4");
    child.schema.dictionary = &child.schema;
    refused(&f, &top, "dictionary of a dictionary");
    make(&one, "+w:3", "v", 4, 0, 1, NULL, NULL, NULL);
    add(&one, make(&child, "f", "", 12, 0, 2, NULL, (const float[12]){ 0 }, NULL));
    refused(&f, &top, "its vectors have 3 values, the schema says 2");
    one.schema.format = "+w:2";
    child.data.length = 7;
    refused(&f, &top, "7 entries, 8 are needed");
    one.schema.format = "+w:99999999999";
    refused(&f, &top, "is not one that is read here");
    make(&one, "+l", "v", 4, 0, 2, NULL, narrow, NULL);
    add(&one, make(&child, "f", "", 12, 0, 2, NULL, (const float[12]){ 0 }, NULL));
    refused(&f, &top, "row 0, field \"v\": the vector has 1 values, the schema says 2");
    make(&top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
    make(&one, "g", "price", 4, 0, 2, NULL, prices, NULL);
    add(&top, &one);
    add(&top, &one);
    refused(&f, &top, "there twice");
    close_all(&f);
}

/* Histories: plain items, and structs with types and times; an item that is null is told. */
static void test_histories(void **state)
{
    (void)state;
    static const char text[] = "{\"fields\":[{\"name\":\"item\",\"kind\":\"item\"},{\"name\":\"past\",\"kind\":\"history\",\"dimension\":2,\"event_types\":4,\"compare\":\"item\"}],"
                               "\"labels\":[\"click\"],\"network\":{\"width\":4,\"fm\":true},\"hash_bits\":10}";
    static const int32_t lists[] = { 0, 3, 3, 4 }, texts[] = { 0, 1, 3, 6, 7 };
    static const int64_t times[] = { 0, 3600, 7200, 5 };
    static const uint8_t types[] = { 0, 1, 2, 3 }, valid = 0x05, all = 0x0f, hole = 0x0d;
    ecrec_error err = ECREC_ERROR_INIT;
    fixture f;
    array top, past, pair, item, type, when;
    CALL(ecrec_context_create(NULL, &f.context, &err));
    CALL(ecrec_schema_parse(f.context, text, sizeof text - 1, &f.schema, &err));
    CALL(ecrec_batch_create(f.schema, &f.batch, &err));
    for (int structs = 0; structs < 2; structs++) {
        make(&top, "+s", "", 3, 0, 1, NULL, NULL, NULL);
        add(&top, make(&past, "+l", "past", 3, 0, 2, &valid, lists, NULL));
        make(&item, "u", "item", 4, 0, 3, structs ? &all : NULL, texts, "abbcccd");
        make(&pair, "+s", "", 4, 0, 1, NULL, NULL, NULL);
        if (structs) {
            add(&past, &pair);
            add(&pair, make(&when, "tss:", "time", 4, 0, 2, NULL, times, NULL));
            add(&pair, &item);
            add(&pair, make(&type, "C", "type", 4, 0, 2, NULL, types, NULL));
        } else {
            add(&past, &item);
        }
        CALL(ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
        const batch_column *c = &f.batch->columns[1];
        size_t n = 0;
        assert_true(column_has(c, 0) && !column_has(c, 1) && column_has(c, 2));
        assert_true(column_items_end(c, 0) - column_items(c, 0) == 2); /* the newest two of three */
        assert_memory_equal(column_text(c, 0, &n), "bb", 2);
        assert_memory_equal(column_text(c, (size_t)column_items(c, 2), &n), "d", 1);
        assert_int_equal(c->types.data[1], structs ? 2 : 0);
        assert_true(fabsf(column_weight(c, 0) - (structs ? logf(2) : 0)) < 1e-6f); /* an hour before the newest */
        CALL(ecrec_batch_reset(f.batch, 0, &err));
    }
    make(&item, "u", "item", 4, 0, 3, &hole, texts, "abbcccd");
    make(&top, "+s", "", 3, 0, 1, NULL, NULL, NULL);
    make(&past, "+l", "past", 3, 0, 2, &valid, lists, NULL);
    add(&top, &past);
    add(&past, &item);
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
    assert_non_null(strstr(err.message, "the item of event 1 is null"));
    item.schema.format = "g";
    item.data.n_buffers = 2;
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_take_arrow(f.batch, &top.schema, &top.data, &err));
    assert_non_null(strstr(err.message, "a history is a list of items"));
    close_all(&f);
}

/* ---- a stream ---- */

typedef struct stream_state { array top, price, tops[2], columns[2]; int sent, fails; } stream_state;
static int get_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    stream_state *p = s->private_data;
    *out = p->top.schema;
    return 0;
}
static int get_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    stream_state *p = s->private_data;
    memset(out, 0, sizeof *out);
    if (p->sent == p->fails)
        return 5;
    if (p->sent++ < 2) {
        array *top = &p->tops[p->sent - 1];
        make(top, "+s", "", p->sent == 1 ? 4 : 0, 0, 1, NULL, NULL, NULL);
        add(top, make(&p->columns[p->sent - 1], "g", "price", 4, 0, 2, NULL, prices, NULL));
        *out = top->data;
    }
    return 0;
}
static const char *last_error(struct ArrowArrayStream *s)
{
    (void)s;
    return "the disk is on fire";
}
static void release_stream(struct ArrowArrayStream *s) { s->release = NULL; }

static void test_stream(void **state)
{
    (void)state;
    fixture f;
    ecrec_error err = ECREC_ERROR_INIT;
    stream_state p = { .fails = -1 };
    size_t rows = 9;
    int32_t more = -1;
    open_all(&f);
    make(&p.top, "+s", "", 4, 0, 1, NULL, NULL, NULL);
    add(&p.top, make(&p.price, "g", "price", 4, 0, 2, NULL, prices, NULL));
    struct ArrowArrayStream s = { get_schema, get_next, last_error, release_stream, &p };
    CALL(ecrec_batch_next_arrow(f.batch, &s, &rows, &more, &err));
    assert_true(rows == 4 && more == 1);
    CALL(ecrec_batch_next_arrow(f.batch, &s, &rows, &more, &err));
    assert_true(rows == 0 && more == 1);
    CALL(ecrec_batch_next_arrow(f.batch, &s, &rows, &more, &err));
    assert_true(rows == 0 && more == 0);
    assert_int_equal(released, 3 + 4); /* three schemas; two record batches of a column */
    p.fails = p.sent;
    assert_int_equal(ecrec_batch_next_arrow(f.batch, &s, &rows, &more, &err), ECREC_ERR_IO);
    assert_non_null(strstr(err.message, "the disk is on fire (5)"));
    p.fails = -1;
    p.sent = 1;
    p.price.schema.name = "not there";
    const int before = released;
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_next_arrow(f.batch, &s, &rows, &more, &err)); /* the record batch and the schema are gone */
    assert_int_equal(released, before + 3);
    s.release(&s);
    REFUSED(ECREC_ERR_INVALID, ecrec_batch_next_arrow(f.batch, &s, &rows, &more, &err));
    assert_int_equal(released, before + 3);
    close_all(&f);
}

/* Scores as a record batch that outlives all else; a column moved away is released on its own. */
static void test_scores(void **state)
{
    (void)state;
    ecrec_error err = ECREC_ERROR_INIT;
    static const char text[] = "{\"fields\":[{\"name\":\"price\",\"kind\":\"number\"}],\"labels\":[\"click\",{\"name\":\"kind\",\"kind\":\"classes\",\"classes\":3}],\"hash_bits\":10}";
    ecrec_context *context = NULL;
    ecrec_schema *schema = NULL;
    ecrec_model *ranker = NULL;
    ecrec_session *session = NULL;
    ecrec_batch *batch = NULL;
    struct ArrowSchema names;
    struct ArrowArray scores, moved;
    float plain[9 * 4];
    static const double values[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    CALL(ecrec_context_create(NULL, &context, &err));
    CALL(ecrec_schema_parse(context, text, strlen(text), &schema, &err));
    CALL(ecrec_ranker_create(context, NULL, schema, &ranker, &err));
    CALL(ecrec_session_create(ranker, NULL, &session, &err));
    CALL(ecrec_batch_create(schema, &batch, &err));
    CALL(ecrec_batch_reset(batch, 9, &err));
    CALL(ecrec_batch_set_number(batch, 0, values, NULL, &err));
    CALL(ecrec_score(ranker, session, batch, NULL, plain, 36, &err));
    CALL(ecrec_score_arrow(ranker, session, batch, NULL, &names, &scores, &err));
    ecrec_batch_release(batch);
    ecrec_session_release(session);
    ecrec_model_release(ranker);
    ecrec_schema_release(schema);
    ecrec_context_release(context);
    assert_string_equal(names.format, "+s");
    assert_int_equal(names.n_children, 4);
    assert_string_equal(names.children[0]->name, "click");
    assert_string_equal(names.children[3]->name, "kind.2");
    assert_string_equal(names.children[3]->format, "f");
    assert_int_equal(scores.length, 9);
    moved = *scores.children[2];
    scores.children[2]->release = NULL;
    scores.release(&scores);
    assert_null(scores.release);
    for (int i = 0; i < 9; i++)
        assert_true(((const float *)moved.buffers[1])[i] == plain[4 * i + 2]);
    assert_int_equal(moved.null_count, 0);
    moved.release(&moved);
    names.release(&names);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_copy), cmocka_unit_test(test_types), cmocka_unit_test(test_lists), cmocka_unit_test(test_views),
                                               cmocka_unit_test(test_hostile), cmocka_unit_test(test_histories), cmocka_unit_test(test_stream), cmocka_unit_test(test_scores) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
