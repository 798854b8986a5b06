/* Inner loops over rows of floats, compiled once per instruction set. The order of every
 * sum is fixed by the code, not by the vector length. */
#ifndef LIMN_BACKEND_CPU_ROWS_H
#define LIMN_BACKEND_CPU_ROWS_H

#include "backend/cpu/cpu_internal.h"

typedef struct lm_rows {
    /* y = sum over t of weight[t] * x[t], or y += with `add`; terms at least 1. */
    void (*combine)(float *y, const float *const *x, const float *weight, int terms,
                    bool add, int64_t n);
    float (*sum)(const float *x, int64_t n);
    float (*max)(const float *x, int64_t n); /* n at least 1 */
    /* y += each of `rows` rows of x, `stride` floats apart. */
    void (*add_rows)(float *y, const float *x, int64_t rows, int64_t stride, int64_t n);
    void (*max_rows)(float *y, const float *x, int64_t rows, int64_t stride, int64_t n);
    /* Where x > best: best = x, at = position. Here and in max, NaN is the largest. */
    void (*keep_larger)(float *best, int32_t *at, const float *x, int32_t position,
                        int64_t n);
    /* where at == position: y += x. */
    void (*add_chosen)(float *y, const float *x, const uint8_t *at, int position,
                       int64_t n);
    /* to[i][k] = from[k][i] for i < rows, k < cols; strides in elements. */
    void (*transpose)(float *to, int64_t to_stride, const float *from,
                      int64_t from_stride, int64_t rows, int64_t cols);
    /* y = x, `rows` rows of n; with `stream` past the cache, where all rows of y are
     * whole vectors of the machine's (lm_may_stream). */
    void (*copy)(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                 int64_t rows, int64_t n, bool stream);
} lm_rows;

LM_ISA_DECLARE(lm_rows, lm_rows_table);
#define lm_cpu_rows() LM_ISA_PICK(lm_rows_table)

#endif
