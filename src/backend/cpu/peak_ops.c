/* The most arithmetic that an instruction set can do; a file of isa_files. */
#include "backend/cpu/peak_ops.h"

#include "backend/cpu/simd.h"

/* Two units with a latency of 4 or 5 cycles want 10; SSE and AVX have 16 registers. */
enum { IN_FLIGHT = 12 };

static double multiply_add(int64_t rounds, float *sink) {
    lm_vec sum[IN_FLIGHT], factor = {0}, term = {0};
    factor += *sink;
    term += 1 - *sink; /* sums stay at 1 */
    for (int i = 0; i < IN_FLIGHT; i++) sum[i] = factor + term;
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < IN_FLIGHT; i++) sum[i] = sum[i] * factor + term;
    for (int i = 1; i < IN_FLIGHT; i++) sum[0] += sum[i];
    for (int i = 0; i < LM_LANES; i++) *sink += sum[0][i];
    return 2.0 * IN_FLIGHT * LM_LANES * (double)rounds;
}

const lm_peak_ops LM_ISA_NAME(lm_peak_ops) = {.multiply_add = multiply_add};
