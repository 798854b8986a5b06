/* The arithmetic of the adjoint of a stride-2 convolution, all four sub-pixel phases from
 * one transform of the inputs; compiled once per instruction set.
 *
 * Along each axis a phase has two taps. Seen from the window that the phases have in
 * common it has three, of which the last one (offset 0) or the first one (offset 1) is
 * zero. Winograd's F(4, 3) of wino_ops.h has the points 0, 1, -1, 2, -2 and infinity; a
 * filter whose first tap is zero is zero at 0, one whose last tap is zero at infinity. So
 * a phase of offset o takes the five products of points o..o+4, as F(4, 2) would, and the
 * inputs are transformed once.
 *
 * A narrow tile has three outputs and no product at -2: by F(3, 3) with the others, whose
 * transforms of inputs have another scale at each point, so that weights are the same. */
#ifndef LIMN_BACKEND_CPU_SUBPIXEL_OPS_H
#define LIMN_BACKEND_CPU_SUBPIXEL_OPS_H

#include "backend/cpu/wino_ops.h"

#include <stddef.h>

enum {
    LM_SUBPIXEL_MINUS_TWO = 4, /* the point that narrow tiles lack */
    LM_SUBPIXEL_PRODUCTS = 5   /* of a phase, along each axis */
};

/* Offsets of a phase and what is narrow are given for each axis. Widths are multiples of
 * the vector's; planes are `plane` floats apart. */
typedef struct lm_subpixel_ops {
    /* B' d B of 6x6 pixels, `row` and `pixel` floats apart, into the 36 planes of
     * wino_ops.h. Planes that a narrow tile lacks stay as they are. */
    void (*input)(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                  ptrdiff_t pixel, int width, const bool narrow[2]);
    /* G g G' of one vector of filters of 2x2 taps, `tap` floats apart: 25 planes. */
    void (*filter)(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap,
                   const int offset[2]);
    /* A' m A of 25 planes into the target, which has no residual and no activation; `add`
     * may be NULL and has `channels` floats. */
    void (*output)(const lm_wino_target *target, const float *m, ptrdiff_t plane,
                   const int offset[2], const bool narrow[2]);
} lm_subpixel_ops;

LM_ISA_DECLARE(lm_subpixel_ops, lm_subpixel_ops);

#endif
