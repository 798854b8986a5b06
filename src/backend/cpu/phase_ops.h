/* The arithmetic of stride-2 convolution by sub-pixel phases, compiled once per
 * instruction set.
 *
 * A kernel of up to 4x4 taps and stride 2 falls into four of 2x2 taps and stride 1, one
 * for each parity of its taps. Each is Winograd's F(4x4, 2x2) with the points 0, 1, -1, 2
 * and infinity (Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks", 2016):
 * y = A' ((G g G') . (B' d B)) A for a tile d of 5x5 inputs, 2x2 taps g and a tile y of
 * 4x4 outputs; 25 multiplications for 64. The adjoint in g is G' (sum over tiles of
 * (B' d B) . (A y A')) G.
 *
 * Vectors run over channels; transformed tiles lie in 25 planes, `plane` floats apart.
 * Sums over channels or tiles are products of wino_ops.h. */
#ifndef LIMN_BACKEND_CPU_PHASE_OPS_H
#define LIMN_BACKEND_CPU_PHASE_OPS_H

#include "backend/cpu/wino_ops.h"

#include <stddef.h>

enum { LM_PHASE_OUT = 4, LM_PHASE_IN = 5, LM_PHASE_PLANES = 25, LM_PHASE_TAPS = 4 };

/* Widths are multiples of the vector's. */
typedef struct lm_phase_ops {
    /* B' d B of 5x5 pixels, and A y A' of 4x4, `row` and `pixel` floats apart. */
    void (*input)(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                  ptrdiff_t pixel, int width);
    void (*gradient)(float *v, ptrdiff_t plane, const float *y, ptrdiff_t row,
                     ptrdiff_t pixel, int width);
    /* A' m A into the target, which has no residual and no activation; `add` may be NULL
     * and has `channels` floats. */
    void (*output)(const lm_wino_target *target, const float *m, ptrdiff_t plane);
    /* G g G' of one vector of filters, its taps `tap` floats apart; and G' u G. */
    void (*filter)(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap);
    void (*filter_gradient)(float *g, ptrdiff_t tap, const float *u, ptrdiff_t plane);
} lm_phase_ops;

LM_ISA_DECLARE(lm_phase_ops, lm_phase_ops);

#endif
