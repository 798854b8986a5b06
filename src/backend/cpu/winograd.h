/* Winograd convolution F(4x4, 3x3) on NHWC activations: the forward pass, and by way of
 * mirrored weights the adjoint in x; and the adjoint in the weights.
 *
 * Tiles are worked through in blocks that fit the second-level cache: their inputs, with
 * what precedes the convolution applied, go into a strip with its padding; from there
 * into the 36 planes; then follow the products, and each panel of results is transformed
 * back while it is in cache. Results do not depend on the number of threads. */
#ifndef LIMN_BACKEND_CPU_WINOGRAD_H
#define LIMN_BACKEND_CPU_WINOGRAD_H

#include "backend/cpu/wino_ops.h"

/* Activations: NHWC, `pad` before the first row and column. */
typedef struct lm_wino_image {
    int64_t height, width, channels;
    int pad[2];
} lm_wino_image;

/* One convolution of 3x3 taps, stride 1, from x to y, cut up. A unit is a run of at most
 * `piece` tiles in a row of tiles; units are numbered so that those of one column of an
 * image are consecutive. */
typedef struct lm_wino_plan {
    const lm_wino_ops *ops;
    int64_t batch;
    lm_wino_image x, y;
    int64_t rows, cols; /* tiles of an image */
    int piece, pieces;  /* tiles of a unit, units of a row */
    int64_t units;
    int block;     /* units of a block */
    int tiles;     /* the most tiles of a block */
    int shared;    /* forward: too few blocks for all threads, which share the planes */
    int alone;     /* and have panels enough to transform the weights of their own */
    int stream;    /* forward: results go past the cache, where they are aligned */
    int slices;    /* gradient: of the units, each with sums of its own; by shape alone */
    int64_t share; /* gradient: channels of x that one thread takes; by threads */
    int threads;
} lm_wino_plan;

/* Weights as `depth` channels in and `width` channels out see them: strides in floats,
 * one of these two is 1. */
typedef struct lm_wino_weights {
    const float *data; /* of the first tap */
    ptrdiff_t depth, width, tap;
} lm_wino_weights;

/* What surrounds a forward convolution. Normalisation is per sample: tables of mean,
 * scale and beta, [N][3][round_up(C, lanes)]. */
typedef struct lm_wino_around {
    const float *norm; /* or NULL */
    lm_wino_act before, after;
    const float *bias;     /* [K] or NULL */
    const float *shift;    /* [N][K] or NULL */
    const float *residual; /* [N,H,W,K] or NULL */
} lm_wino_around;

/* pad: before the first row and column of x. */
void lm_wino_plan_forward(lm_wino_plan *plan, int64_t batch, const lm_wino_image *x,
                          const lm_wino_image *y, int threads);
void lm_wino_plan_gradient(lm_wino_plan *plan, int64_t batch, const lm_wino_image *x,
                           const lm_wino_image *y, int threads);

/* Bytes of transformed weights, and of workspace besides; multiples of 64. */
size_t lm_wino_packed_bytes(const lm_wino_plan *plan);
size_t lm_wino_forward_bytes(const lm_wino_plan *plan);
size_t lm_wino_gradient_bytes(const lm_wino_plan *plan);
size_t lm_wino_norm_bytes(const lm_wino_plan *plan);

void lm_wino_pack(const lm_wino_plan *plan, const lm_wino_weights *weights,
                  float *packed);
/* packed may be NULL where the plan is `alone`: then each thread makes the panel that it
 * is about to use, which never leaves its cache, of `weights`. */
void lm_wino_forward(const lm_wino_plan *plan, const float *x, const float *packed,
                     const lm_wino_weights *weights, const lm_wino_around *around,
                     float *y, void *workspace);
/* dw[K,3,3,C] = sum over samples and positions of dy times the inputs, which are those of
 * the convolution after normalisation and activation (around->norm, before). */
void lm_wino_gradient(const lm_wino_plan *plan, const float *x, const float *dy,
                      const lm_wino_around *around, float *dw, void *workspace);

/* The table that `norm` wants, from group statistics [N,G,2] (mean, 1/deviation) and
 * gamma and beta of [C], or of [N][C] where *_by_sample. */
typedef struct lm_wino_norm {
    const float *stats, *gamma, *beta;
    int64_t groups;
    bool gamma_by_sample, beta_by_sample;
} lm_wino_norm;
void lm_wino_fill_norm(const lm_wino_plan *plan, const lm_wino_norm *norm, float *table);

#endif
