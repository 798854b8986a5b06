/* Products with a packed panel, compiled once per instruction set. */
#ifndef LIMN_BACKEND_CPU_GEMM_OPS_H
#define LIMN_BACKEND_CPU_GEMM_OPS_H

#include "backend/cpu/wino_ops.h"

/* c[rows, width] = start + a[rows, depth] b[depth, width], where element (i, k) of a lies
 * at a[i * row + k * term]. width is one, two or `panel / lanes` vectors. Row i of start
 * is at start + i * ldstart; NULL: nothing is added. */
typedef struct lm_gemm_product {
    const float *a, *b, *start;
    float *c;
    ptrdiff_t row, term, ldstart, ldc;
    int rows, width, depth;
    bool stream; /* c goes past the cache; only whole vectors of the machine's */
} lm_gemm_product;

typedef struct lm_gemm_ops {
    int lanes; /* floats of a vector */
    int panel; /* the most columns of a product */
    int rows;  /* a multiple of the rows of all register tiles */
    void (*multiply)(const lm_gemm_product *product, lm_wino_ahead *ahead);
} lm_gemm_ops;

LM_ISA_DECLARE(lm_gemm_ops, lm_gemm_ops);

#endif
