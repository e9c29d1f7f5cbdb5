/* The table of an instruction set's file; included last. LEVEL_BF16: its gemm_bf16, where it has one. */
#ifndef LEVEL_BF16
#define LEVEL_BF16 NULL
#endif
extern const kernels LEVEL_TABLE; /* as select.c declares it */

const kernels LEVEL_TABLE = { LEVEL_NAME, LEVEL_BIT, gemm_f32, gemm_s8, quantize_rows, attention, layer_norm, rms_norm, activate,
                              exponential, softmax, dot_f32, dot_s8, axpy_f32, gather_s8, sum_rows, step_adagrad, step_adam, TILE_ROWS, TILE_PANELS * PANEL, tile_f32,
                              dots, dots_s8, column_peaks, gemm_s4, gemm_widened, round_rows, LEVEL_BF16, NULL };
