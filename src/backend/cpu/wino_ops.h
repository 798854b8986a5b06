/* The arithmetic of Winograd convolution F(4x4, 3x3), compiled once per instruction set.
 *
 * Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks" (2016), eq. 8 and 12,
 * with the points 0, 1, -1, 2, -2 and infinity: y = A' ((G g G') . (B' d B)) A for a tile
 * d of 6x6 inputs, a filter g of 3x3 and a tile y of 4x4 outputs. The adjoint in g of the
 * same scheme gives the weights' gradient: G' (sum over tiles of (B' d B) . (A y A')) G.
 *
 * Vectors run over channels. Transformed tiles lie in 36 planes, `plane` floats apart,
 * one for each product of two points; sums over channels (or, for the weights' gradient,
 * over tiles) are one matrix product a plane. */
#ifndef LIMN_BACKEND_CPU_WINO_OPS_H
#define LIMN_BACKEND_CPU_WINO_OPS_H

#include "backend/cpu/cpu_internal.h"

#include <stddef.h>

enum {
    LM_WINO_OUT = 4, /* edge of an output tile */
    LM_WINO_IN = 6,  /* edge of an input tile */
    LM_WINO_PLANES = 36,
    LM_CACHE_LINE = 64
};

typedef struct lm_wino_act {
    lm_activation kind;
    float slope;
} lm_wino_act;

/* What happens to inputs on their way in: z = (x - mean) * scale + beta for each channel,
 * unless mean is NULL, then the activation. */
typedef struct lm_wino_prologue {
    const float *mean, *scale, *beta;
    lm_wino_act act;
} lm_wino_prologue;

/* Where a tile of outputs goes, what is added to it, and the activation after that.
 * Strides in floats; residual has the strides of y. Only rows x cols pixels and
 * `channels` channels exist. */
typedef struct lm_wino_target {
    float *y;
    const float *residual; /* or NULL */
    const float *add;      /* for each channel, readable for whole vectors */
    ptrdiff_t row, pixel;
    int rows, cols, channels;
    bool stream; /* past the cache; y is aligned and has whole vectors of channels */
    lm_wino_act act;
} lm_wino_target;

/* Memory that will be wanted soon: a few pieces of each range are brought into the cache
 * with each register tile of a product. Without, the cores wait for memory while they
 * transform, and memory waits while they multiply. */
enum { LM_WINO_RANGES = 3 };
typedef struct lm_wino_ahead {
    struct {
        const char *at, *end;
        ptrdiff_t piece, pitch; /* bytes that are wanted, and to the next of them */
        int64_t step;           /* pieces a register tile */
    } range[LM_WINO_RANGES];
} lm_wino_ahead;

/* Range i: `bytes` from `data`, by the cache line, during `tiles` register tiles. */
static inline void lm_look_ahead(lm_wino_ahead *ahead, int i, const void *data,
                                 int64_t bytes, int64_t tiles) {
    ahead->range[i].at = (const char *)data;
    ahead->range[i].end = (const char *)data + bytes;
    ahead->range[i].piece = ahead->range[i].pitch = LM_CACHE_LINE;
    ahead->range[i].step = bytes / LM_CACHE_LINE / tiles + 1;
}

typedef struct lm_wino_ops {
    int lanes;     /* floats of a vector; all counts of floats below are multiples */
    int panel;     /* the most columns of a product */
    int rows;      /* rows of a product are rounded up to this, */
    int wide_rows; /* or to this where it has `panel` columns */

    /* Pixels into a dense strip of `width` floats each, `channels` of them real, the rest
     * zeros; x has `pixel` floats from one to the next. */
    void (*load)(float *strip, int width, const float *x, ptrdiff_t pixel, int pixels,
                 int channels, const lm_wino_prologue *prologue);
    /* B' d B: 6x6 pixels in, and A y A': 4x4 pixels in; `width` floats of each plane. */
    void (*input)(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                  ptrdiff_t pixel, int width);
    void (*gradient)(float *v, ptrdiff_t plane, const float *y, ptrdiff_t row,
                     ptrdiff_t pixel, int width);
    /* A' m A into the target. */
    void (*output)(const lm_wino_target *target, const float *m, ptrdiff_t plane);
    /* G g G' of one vector of filters, its nine taps `tap` floats apart; and the adjoint
     * G' u G, of which `channels` are written. */
    void (*filter)(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap);
    void (*filter_gradient)(float *g, ptrdiff_t tap, const float *u, ptrdiff_t plane,
                            int channels);
    /* m[rows, width] = v[rows, depth] u[depth, width]; rows of m are `width` apart. ahead
     * may be NULL. */
    void (*multiply)(float *m, int width, const float *v, ptrdiff_t ldv, const float *u,
                     int rows, int depth, lm_wino_ahead *ahead);
    /* m[rows, width] = or += d[depth, rows]' v[depth, width]. */
    void (*accumulate)(float *m, int width, const float *d, ptrdiff_t ldd, const float *v,
                       ptrdiff_t ldv, int rows, int depth, bool add,
                       lm_wino_ahead *ahead);
} lm_wino_ops;

LM_ISA_DECLARE(lm_wino_ops, lm_wino_ops);

/* Products run over panels of columns: as wide as the widest while that many are left,
 * then half and a quarter of it. The width of the panel that has `left` columns ahead. */
static inline int lm_panel_width(int widest, int64_t left) {
    while (widest > left) widest /= 2;
    return widest;
}

#endif
