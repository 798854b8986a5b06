#include "backend/cpu/rows.h"
#include "backend/cpu/simd.h"

#include <math.h>
#include <string.h>

/* Sixteen lanes whatever the machine has: wider than its registers, a vector is split. */
enum { LANES = 16 };
typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float quad __attribute__((vector_size(4 * sizeof(float))));

static inline vec load(const float *x) {
    vec v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void combine_two(float *restrict y, const float *const *x,
                               const float *weight, bool add, int64_t n) {
    const float *a = x[0], *b = x[1];
    for (int64_t i = 0; i < n; i++)
        y[i] = (add ? y[i] : 0) + (weight[0] * a[i] + weight[1] * b[i]);
}

static void combine(float *restrict y, const float *const *x, const float *weight,
                    int terms, bool add, int64_t n) {
    int t = 0;
    for (; t + 2 <= terms; t += 2) combine_two(y, x + t, weight + t, add || t > 0, n);
    if (t == terms) return;
    bool plain = !add && t == 0;
    for (int64_t i = 0; i < n; i++) y[i] = (plain ? 0 : y[i]) + weight[t] * x[t][i];
}

static float sum(const float *x, int64_t n) {
    vec a = {0}, b = {0}, c = {0}, d = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a += load(x + i);
        b += load(x + i + LANES);
        c += load(x + i + 2 * LANES);
        d += load(x + i + 3 * LANES);
    }
    for (; i + LANES <= n; i += LANES) a += load(x + i);
    a = (a + b) + (c + d);
    for (int k = 0; i < n; i++, k++) a[k] += x[i];
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++) a[k] += a[k + half];
    return a[0];
}

/* NaN counts as the largest and the first of equals stays: with NaN in neither, this is
 * x > best. */
static inline bool beats(float x, float best) {
    return !(x <= best) && best == best;
}

/* The same for values alone: which NaN stays does not matter. */
static inline vec larger(vec x, vec best) {
    ivec take = (x > best) | (x != x);
    return (vec)((take & (ivec)x) | (~take & (ivec)best));
}

static float max(const float *x, int64_t n) {
    float most = -INFINITY;
    int64_t i = 0;
    if (n >= LANES) {
        vec a = load(x), b = a;
        for (; i + 2 * LANES <= n; i += 2 * LANES) {
            a = larger(load(x + i), a);
            b = larger(load(x + i + LANES), b);
        }
        a = larger(a, b);
        for (int k = 0; k < LANES; k++) most = beats(a[k], most) ? a[k] : most;
    }
    for (; i < n; i++) most = beats(x[i], most) ? x[i] : most;
    return most;
}

static void add_rows(float *restrict y, const float *restrict x, int64_t rows,
                     int64_t stride, int64_t n) {
    for (; rows >= 4; rows -= 4, x += 4 * stride)
        for (int64_t i = 0; i < n; i++)
            y[i] += (x[i] + x[stride + i]) + (x[2 * stride + i] + x[3 * stride + i]);
    for (; rows > 0; rows--, x += stride)
        for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static void max_rows(float *restrict y, const float *restrict x, int64_t rows,
                     int64_t stride, int64_t n) {
    for (; rows > 0; rows--, x += stride)
        for (int64_t i = 0; i < n; i++) y[i] = beats(x[i], y[i]) ? x[i] : y[i];
}

static void keep_larger(float *restrict best, int32_t *restrict at,
                        const float *restrict x, int32_t position, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        bool wins = beats(x[i], best[i]);
        best[i] = wins ? x[i] : best[i];
        at[i] = wins ? position : at[i];
    }
}

static void add_chosen(float *restrict y, const float *restrict x,
                       const uint8_t *restrict at, int position, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] += at[i] == position ? x[i] : 0.0f;
}

/* Four by four: pairs of rows are interleaved twice. */
static inline void transpose_quad(float *to, int64_t to_stride, const float *from,
                                  int64_t from_stride) {
    quad r[4], t[4];
    for (int i = 0; i < 4; i++) memcpy(&r[i], from + i * from_stride, sizeof(quad));
    t[0] = __builtin_shufflevector(r[0], r[2], 0, 4, 1, 5);
    t[1] = __builtin_shufflevector(r[1], r[3], 0, 4, 1, 5);
    t[2] = __builtin_shufflevector(r[0], r[2], 2, 6, 3, 7);
    t[3] = __builtin_shufflevector(r[1], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(t[0], t[1], 0, 4, 1, 5);
    r[1] = __builtin_shufflevector(t[0], t[1], 2, 6, 3, 7);
    r[2] = __builtin_shufflevector(t[2], t[3], 0, 4, 1, 5);
    r[3] = __builtin_shufflevector(t[2], t[3], 2, 6, 3, 7);
    for (int i = 0; i < 4; i++) memcpy(to + i * to_stride, &r[i], sizeof(quad));
}

static void transpose(float *to, int64_t to_stride, const float *from,
                      int64_t from_stride, int64_t rows, int64_t cols) {
    int64_t whole_rows = rows & ~(int64_t)3, whole_cols = cols & ~(int64_t)3;
    for (int64_t i = 0; i < whole_rows; i += 4)
        for (int64_t k = 0; k < whole_cols; k += 4)
            transpose_quad(to + i * to_stride + k, to_stride, from + k * from_stride + i,
                           from_stride);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = i < whole_rows ? whole_cols : 0; k < cols; k++)
            to[i * to_stride + k] = from[k * from_stride + i];
}

static void copy(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                 int64_t rows, int64_t n, bool stream) {
    for (; rows > 0; rows--, y += y_stride, x += x_stride) {
        int64_t i = 0;
        for (; i < n && stream; i += LM_LANES) lm_vec_stream(y + i, lm_vec_load(x + i));
        for (; i + LM_LANES <= n; i += LM_LANES) lm_vec_store(y + i, lm_vec_load(x + i));
        if (i < n)
            lm_vec_store_some(y + i, lm_vec_load_some(x + i, (int)(n - i)), (int)(n - i));
    }
}

const lm_rows LM_ISA_NAME(lm_rows_table) = {
    combine, sum, max, add_rows, max_rows, keep_larger, add_chosen, transpose, copy,
};
