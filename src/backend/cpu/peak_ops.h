/* The loop that measures arithmetic, compiled once per instruction set. */
#ifndef LIMN_BACKEND_CPU_PEAK_OPS_H
#define LIMN_BACKEND_CPU_PEAK_OPS_H

#include "backend/cpu/cpu_internal.h"

typedef struct lm_peak_ops {
    /* Multiply-adds in registers alone, enough in flight to hide their latency. Returns
     * the f32 operations done; *sink keeps the compiler from leaving them out. */
    double (*multiply_add)(int64_t rounds, float *sink);
} lm_peak_ops;
LM_ISA_DECLARE(lm_peak_ops, lm_peak_ops);

#endif
