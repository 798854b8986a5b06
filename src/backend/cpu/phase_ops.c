/* The arithmetic of stride-2 convolution by phases; a file of isa_files. */
#include "backend/cpu/phase_ops.h"

#include "backend/cpu/simd.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = LM_LANES };
typedef lm_vec vec;

/* ---- one-dimensional transforms ---------------------------------------------- */

typedef void row_fn(const vec *in, vec *out);

/* B' of five values. */
INLINE void input_row(const vec *d, vec *out) {
    vec s = d[3] - d[1];
    out[0] = 2 * (d[0] - d[2]) + s;
    out[1] = d[3] - d[2] - 2 * d[1];
    out[2] = d[3] - 3 * d[2] + 2 * d[1];
    out[3] = s;
    out[4] = d[4] - d[2] - 2 * s;
}

/* A' of five values. */
INLINE void output_row(const vec *m, vec *out) {
    vec p = m[1] + m[2], q = m[1] - m[2];
    out[0] = m[0] + p + m[3];
    out[1] = q + 2 * m[3];
    out[2] = p + 4 * m[3];
    out[3] = q + 8 * m[3] + m[4];
}

/* A of four values. */
INLINE void gradient_row(const vec *y, vec *out) {
    vec even = y[0] + y[2], odd = y[1] + y[3];
    out[0] = y[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = y[0] + 2 * y[1] + 4 * (y[2] + 2 * y[3]);
    out[4] = y[3];
}

/* G of two taps. */
INLINE void filter_row(const vec *g, vec *out) {
    out[0] = g[0] * 0.5f;
    out[1] = (g[0] + g[1]) * -0.5f;
    out[2] = (g[1] - g[0]) * (1 / 6.0f);
    out[3] = g[0] * (1 / 6.0f) + g[1] * (1 / 3.0f);
    out[4] = g[1];
}

/* G' of five values. */
INLINE void filter_gradient_row(const vec *u, vec *out) {
    vec half = u[1] * 0.5f, sixth = u[2] * (1 / 6.0f);
    out[0] = u[0] * 0.5f - half - sixth + u[3] * (1 / 6.0f);
    out[1] = sixth - half + u[3] * (1 / 3.0f) + u[4];
}

/* ---- tiles ------------------------------------------------------------------- */

enum { EDGE = LM_PHASE_IN };

/* `from` x `from` vectors into `to` x `to`: the row transform along both axes. */
INLINE void along_both(const vec *in, const int from, vec *out, const int to,
                       row_fn *transform) {
    vec half[EDGE * EDGE], line[EDGE], made[EDGE];
#pragma GCC unroll 5
    for (int x = 0; x < from; x++) {
#pragma GCC unroll 5
        for (int y = 0; y < from; y++) line[y] = in[y * from + x];
        transform(line, made);
#pragma GCC unroll 5
        for (int y = 0; y < to; y++) half[y * from + x] = made[y];
    }
#pragma GCC unroll 5
    for (int y = 0; y < to; y++) transform(half + y * from, out + y * to);
}

/* The same from and to memory, where rows and columns of vectors are apart. */
INLINE void along_tile(float *to, ptrdiff_t to_row, ptrdiff_t to_col, const int n_to,
                       const float *from, ptrdiff_t from_row, ptrdiff_t from_col,
                       const int n_from, row_fn *transform) {
    vec in[EDGE * EDGE], out[EDGE * EDGE];
#pragma GCC unroll 5
    for (int y = 0; y < n_from; y++)
#pragma GCC unroll 5
        for (int x = 0; x < n_from; x++)
            in[y * n_from + x] = lm_vec_load(from + y * from_row + x * from_col);
    along_both(in, n_from, out, n_to, transform);
#pragma GCC unroll 5
    for (int y = 0; y < n_to; y++)
#pragma GCC unroll 5
        for (int x = 0; x < n_to; x++)
            lm_vec_store(to + y * to_row + x * to_col, out[y * n_to + x]);
}

static void input(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                  ptrdiff_t pixel, int width) {
    for (int c = 0; c < width; c += LANES)
        along_tile(v + c, 5 * plane, plane, 5, d + c, row, pixel, 5, input_row);
}

static void gradient(float *v, ptrdiff_t plane, const float *y, ptrdiff_t row,
                     ptrdiff_t pixel, int width) {
    for (int c = 0; c < width; c += LANES)
        along_tile(v + c, 5 * plane, plane, 5, y + c, row, pixel, 4, gradient_row);
}

INLINE void output_vector(const lm_wino_target *t, const float *m, ptrdiff_t plane,
                          int c) {
    vec in[EDGE * EDGE], out[EDGE * EDGE];
    int n = t->channels - c < LANES ? t->channels - c : LANES;
    vec add = t->add ? lm_vec_load_some(t->add + c, n) : (vec){0};
#pragma GCC unroll 25
    for (int i = 0; i < EDGE * EDGE; i++) in[i] = lm_vec_load(m + c + i * plane);
    along_both(in, EDGE, out, LM_PHASE_OUT, output_row);
#pragma GCC unroll 4
    for (int y = 0; y < LM_PHASE_OUT; y++)
#pragma GCC unroll 4
        for (int x = 0; x < LM_PHASE_OUT; x++) {
            float *to = t->y + y * t->row + x * t->pixel + c;
            vec made = out[y * LM_PHASE_OUT + x] + add;
            if (y >= t->rows || x >= t->cols) continue;
            if (t->stream)
                lm_vec_stream(to, made);
            else
                lm_vec_store_some(to, made, n);
        }
}

static void output(const lm_wino_target *t, const float *m, ptrdiff_t plane) {
    for (int c = 0; c < t->channels; c += LANES) output_vector(t, m, plane, c);
}

static void filter(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap) {
    along_tile(u, 5 * plane, plane, 5, g, 2 * tap, tap, 2, filter_row);
}

static void filter_gradient(float *g, ptrdiff_t tap, const float *u, ptrdiff_t plane) {
    along_tile(g, 2 * tap, tap, 2, u, 5 * plane, plane, 5, filter_gradient_row);
}

const lm_phase_ops LM_ISA_NAME(lm_phase_ops) = {
    .input = input,
    .gradient = gradient,
    .output = output,
    .filter = filter,
    .filter_gradient = filter_gradient,
};
