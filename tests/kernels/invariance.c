/* A text's vector at every level of this processor: the same bits alone, in a batch, in another order, on one thread or several,
 * whoever runs the tasks; float32, 8 bits and bfloat16. And the same bits at every level that has a fused multiply-add. The model is
 * all-MiniLM-L6-v2. */
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "support.h"

enum { ROWS = 12, MOST = 130, DIMENSION = 384 };
static uint32_t ids[ROWS * MOST];
static uint64_t starts[ROWS + 1];
static ecrec_error err = ECREC_ERROR_INIT;

static void fill(void)
{
    static const uint64_t lengths[ROWS] = { 64, 5, 33, 16, 128, 47, 1, 32, 100, 31, 8, 90 };
    for (int i = 0; i < ROWS; i++)
        starts[i + 1] = starts[i] + lengths[i];
    for (size_t i = 0; i < starts[ROWS]; i++)
        ids[i] = 1000 + (uint32_t)(i * 7919 % 20000);
}

/* An executor that runs everything on the caller, last task first. */
static void backwards(void *opaque, void (*task)(void *argument, uint32_t index), void *argument, uint32_t count)
{
    (*(int *)opaque)++;
    while (count-- > 0)
        task(argument, count);
}

static void encode(ecrec_context *context, const char *file, const uint64_t *from, size_t n, float *out)
{
    ecrec_model *model = NULL;
    ecrec_session *session = NULL;
    CALL(ecrec_model_load(context, file, NULL, &model, &err));
    CALL(ecrec_session_create(model, NULL, &session, &err));
    CALL(ecrec_encode_ids(model, session, ids, NULL, from, n, NULL, out, DIMENSION, &err));
    ecrec_session_release(session);
    ecrec_model_release(model);
}

static int emulated(void)
{
    return getenv("MESON_EXE_WRAPPER") != NULL;
}

/* batch: what the level gives for all rows */
static void one_level(const char *file, uint32_t level, float *batch)
{
    static float again[ROWS * DIMENSION], one[DIMENSION];
    const size_t rows = emulated() ? 4 : ROWS, bytes = rows * sizeof one; /* an emulator is slow */
    ecrec_context *context = context_with(1, level);
    assert_int_equal(ecrec_context_cpu(context), level);
    encode(context, file, starts, rows, batch);
    for (int i = 0; i < (int)rows; i++) {
        encode(context, file, starts + i, 1, one);
        if (memcmp(one, batch + i * DIMENSION, sizeof one) != 0)
            fail_msg("%s: row %d alone has other bits than in a batch", ecrec_context_cpu_text(context), i);
    }
    encode(context, file, starts + 3, rows - 3, again);
    assert_memory_equal(again, batch + 3 * DIMENSION, (rows - 3) * sizeof one);
    ecrec_context_release(context);
    for (uint32_t threads = 2; threads <= (emulated() ? 2 : 5); threads += threads == 3 ? 2 : 1) { /* more than this machine has cores, too */
        context = context_with(threads, level);
        encode(context, file, starts, rows, again);
        assert_memory_equal(again, batch, bytes);
        for (int i = 0; i < (int)rows; i += 2) {
            encode(context, file, starts + i, 1, one); /* long ones are split inside */
            if (memcmp(one, batch + i * DIMENSION, sizeof one) != 0)
                fail_msg("%s: row %d on %u threads has other bits", ecrec_context_cpu_text(context), i, threads);
        }
        ecrec_context_release(context);
    }
    int runs = 0;
    const ecrec_executor inline_ = { (uint32_t)sizeof inline_, 4, &runs, backwards };
    ecrec_context_options options = ECREC_CONTEXT_OPTIONS_INIT;
    options.executor = &inline_;
    options.cpu_mask = level;
    CALL(ecrec_context_create(&options, &context, &err));
    encode(context, file, starts, 1, one);
    assert_memory_equal(one, batch, sizeof one);
    assert_int_equal(runs, emulated() ? 2 : 12); /* two joins a layer */
    encode(context, file, starts, rows, again);
    assert_memory_equal(again, batch, bytes);
    ecrec_context_release(context);
}

static void every_level(void **state)
{
    (void)state;
    const char *folder = model_path("all-MiniLM-L6-v2");
    NEED(folder, "all-MiniLM-L6-v2");
    ecrec_context *context = context_with(1, 0);
    ecrec_model *models[3] = { NULL, NULL, NULL };
    ecrec_quantize_options brain = ECREC_QUANTIZE_OPTIONS_INIT;
    const uint32_t rounding = ECREC_CPU_AVX512BF16 | ECREC_CPU_NEON_BF16, widening = ECREC_CPU_AVX2 | ECREC_CPU_AVX512VNNI | ECREC_CPU_NEON | ECREC_CPU_NEON_I8MM;
    fill();
    CALL(ecrec_model_import(context, folder, NULL, &models[0], NULL, &err));
    if (emulated()) { /* one layer of six is work enough */
        ecrec_prune_options less = ECREC_PRUNE_OPTIONS_INIT;
        ecrec_model *whole = models[0];
        less.layers = 5;
        CALL(ecrec_prune(whole, &less, &models[0], NULL, &err));
        ecrec_model_release(whole);
    }
    CALL(ecrec_quantize(models[0], NULL, &models[1], NULL, &err));
    brain.type = ECREC_TYPE_BF16;
    CALL(ecrec_quantize(models[0], &brain, &models[2], NULL, &err));
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { "f32.ecrec", "s8.ecrec", "bf16.ecrec" };
        const char *file = temporary(names[i]);
        CALL(ecrec_model_save(models[i], file, &err));
        static float fused[ROWS * DIMENSION], batch[ROWS * DIMENSION];
        const char *first = NULL;
        for (uint32_t level = 1; level != 0; level <<= 1) {
            if ((cpu_levels() & level) == 0 || (level == ECREC_CPU_PORTABLE && getenv("ECREC_THOROUGH") == NULL)) /* portable alone takes a minute */
                continue;
            if (i == 2 && (level & (rounding | widening)) == 0) /* some of those that widen stand for all */
                continue;
            one_level(file, level, batch);
            if (level == ECREC_CPU_PORTABLE || level == ECREC_CPU_SSE2) /* a product and a sum, each rounded */
                continue;
            const int same = first == NULL || memcmp(batch, fused, (size_t)(emulated() ? 4 : ROWS) * DIMENSION * sizeof *batch) == 0;
            if (i == 2 && (level & rounding) != 0) { /* bf16 products are others */
                assert_false(same);
                continue;
            }
            if (!same)
                fail_msg("%s: level %#x gives other bits than the first with fused multiply-adds", first, level);
            first = file;
            memcpy(fused, batch, sizeof fused);
        }
        ecrec_model_release(models[i]);
    }
    ecrec_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_level) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
