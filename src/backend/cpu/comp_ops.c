/* Inner loops of the composites; a file of isa_files. Sums are
 * in an order that the shape alone fixes. */
#include "backend/cpu/comp_ops.h"

#include "backend/cpu/vm_math.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 64 }; /* independent sums along a row */

/* ---- rows -------------------------------------------------------------------- */

static float max(const float *x, int n) {
    float best = x[0];
    int i = 0;
    if (n >= LANES) {
        float lane[LANES];
        memcpy(lane, x, sizeof lane);
        for (i = LANES; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
        for (int half = LANES / 2; half; half /= 2)
            for (int k = 0; k < half; k++)
                lane[k] = lane[k + half] > lane[k] ? lane[k + half] : lane[k];
        best = lane[0];
    }
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

/* By halves, which takes few steps and is the same for any instruction set. */
static float add_lanes(float *lane) {
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    return lane[0];
}

static float exp_sum(float *y, const float *x, float scale, float shift, int n) {
    float lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES) LM_VM_LANES for (int k = 0; k < LANES; k++) {
            float e = lm_vm_exp(scale * x[i + k] - shift);
            y[i + k] = e;
            lane[k] += e;
        }
    LM_VM_LANES for (int k = 0; k < n - i; k++) {
        float e = lm_vm_exp(scale * x[i + k] - shift);
        y[i + k] = e;
        lane[k] += e;
    }
    return add_lanes(lane);
}

static void scale_row(float *y, const float *x, float factor, int n) {
    LM_VM_LANES for (int i = 0; i < n; i++) y[i] = x[i] * factor;
}

static float dot(const float *x, const float *y, int n) {
    float lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += x[i + k] * y[i + k];
    for (int k = 0; k < n - i; k++) lane[k] += x[i + k] * y[i + k];
    return add_lanes(lane);
}

static void softmax_grad(float *d, const float *y, const float *g, float shift,
                         float factor, int n) {
    LM_VM_LANES for (int i = 0; i < n; i++) d[i] = y[i] * (g[i] - shift) * factor;
}

const lm_comp_ops LM_ISA_NAME(lm_comp_ops) = {
    .max = max,
    .exp_sum = exp_sum,
    .scale = scale_row,
    .dot = dot,
    .softmax_grad = softmax_grad,
};
