/* Inner loops of the composites, compiled once per instruction set. */
#ifndef LIMN_BACKEND_CPU_COMP_OPS_H
#define LIMN_BACKEND_CPU_COMP_OPS_H

#include "backend/cpu/cpu_internal.h"

typedef struct lm_comp_ops {
    /* The largest of n >= 1 elements; NaN elements may be passed over. */
    float (*max)(const float *x, int n);
    /* y = e^(scale * x - shift); returns the sum. y may be x. */
    float (*exp_sum)(float *y, const float *x, float scale, float shift, int n);
    void (*scale)(float *y, const float *x, float factor, int n); /* y may be x */
    float (*dot)(const float *x, const float *y, int n);
    /* d = y * (g - shift) * factor; d may be y or g. */
    void (*softmax_grad)(float *d, const float *y, const float *g, float shift,
                         float factor, int n);
} lm_comp_ops;

LM_ISA_DECLARE(lm_comp_ops, lm_comp_ops);

#endif
