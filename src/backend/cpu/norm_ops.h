/* Inner loops of group normalisation, compiled once per instruction set. */
#ifndef LIMN_BACKEND_CPU_NORM_OPS_H
#define LIMN_BACKEND_CPU_NORM_OPS_H

#include "backend/cpu/cpu_internal.h"

/* Rows of one sample under group normalisation, and a factor for each channel:
 * xhat = (x - mean) * rstd, z = (x - mean) * scale + beta; what the statistics add to the
 * gradient by x is (x - mean) * slope + shift. */
typedef struct lm_norm_rows {
    int64_t rows;
    int channels;
    int64_t
        stride; /* floats from a row of x, g and r to the next; of y and d: channels */
    const float *mean, *rstd, *scale, *beta, *slope, *shift;
} lm_norm_rows;

enum { LM_NORM_ROWS = 64 /* are summed in f32, such sums in double */ };

typedef struct lm_norm_ops {
    /* sum[c] += x - shift[c] over the rows, square[c] += (x - shift[c])^2. */
    void (*moments)(const float *x, int64_t rows, int channels, const float *shift,
                    double *sum, double *square);
    /* Mean and 1 / sqrt(variance + eps) of each group, `width` channels of n elements
     * each, from such sums. */
    void (*statistics)(const double *sum, const double *square, const float *shift,
                       int groups, int width, double n, double eps, float *stats);
    /* y = z, or SiLU(z). y may be x. */
    void (*apply)(float *y, const float *x, const lm_norm_rows *norm, bool silu);
    /* product[c] += dz * xhat, sum[c] += dz; dz = g, or g * SiLU'(z), and then it is also
     * put into dz, rows like x's, unless that is NULL. */
    void (*sums)(const float *x, const float *g, const lm_norm_rows *norm, bool silu,
                 double *product, double *sum, float *dz);
    /* d = dz * scale + (x - mean) * slope + shift + r; r may be NULL; d may be x, g or r.
     */
    void (*gradient)(float *d, const float *x, const float *g, const float *r,
                     const lm_norm_rows *norm, bool silu);
    /* sum[c] += x over the rows. */
    void (*add_rows)(const float *x, int64_t rows, int channels, double *sum);
} lm_norm_ops;

LM_ISA_DECLARE(lm_norm_ops, lm_norm_ops_table);

#endif
