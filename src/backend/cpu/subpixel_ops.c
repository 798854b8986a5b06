/* The arithmetic of the adjoint by phases; a file of isa_files. */
#include "backend/cpu/subpixel_ops.h"

#include "backend/cpu/wino_rows.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = LM_LANES, IN = LM_WINO_IN, OUT = LM_WINO_OUT };
enum { PRODUCTS = LM_SUBPIXEL_PRODUCTS, MINUS_TWO = LM_SUBPIXEL_MINUS_TWO };
typedef lm_vec vec;

/* ---- one axis ---------------------------------------------------------------- */

/* B' of F(3, 3), point a times a + 2: the factor by which G of F(4, 3) is smaller. */
INLINE void narrow_input_row(const vec d[IN], vec out[IN]) {
    vec s = d[3] - d[1];
    out[0] = 4 * (d[0] - d[2]) + 2 * s;
    out[1] = 3 * (d[3] - d[2] - 2 * d[1]);
    out[2] = d[3] - 3 * d[2] + 2 * d[1];
    out[3] = 4 * s;
    out[5] = d[4] - d[2] - 2 * s;
}

INLINE void input_row(const vec d[IN], vec out[IN], const bool narrow) {
    if (narrow)
        narrow_input_row(d, out);
    else
        lm_wino_input_row(d, out);
}

/* G of (g0, g1, 0) or (0, g0, g1), without the point where it is zero. */
INLINE void filter_row(const vec g[2], vec out[PRODUCTS], const int offset) {
    vec middle = g[1 - offset], end = g[offset];
    vec even = end * (offset ? 1 / 6.0f : 1 / 24.0f), odd = middle * (1 / 12.0f);
    out[1 - offset] = (end + middle) * (-1 / 6.0f);
    out[2 - offset] = (middle - end) * (1 / 6.0f);
    out[3 - offset] = even + odd;
    out[4 - offset] = even - odd;
    if (offset)
        out[4] = end;
    else
        out[0] = end * 0.25f;
}

/* A' of the products of points offset.. */
INLINE void output_row(const vec m[PRODUCTS], vec out[OUT], const int offset,
                       const bool narrow) {
    vec one = m[1 - offset], minus_one = m[2 - offset], two = m[3 - offset];
    vec minus_two = narrow ? (vec){0} : m[MINUS_TWO - offset];
    vec p = one + minus_one, q = one - minus_one;
    vec r = two + minus_two, s = two - minus_two;
    out[0] = p + r;
    out[1] = q + 2 * s;
    out[2] = p + 4 * r;
    out[3] = q + 8 * s;
    if (offset)
        out[narrow ? 2 : 3] += m[4];
    else
        out[0] += m[0];
}

/* ---- tiles ------------------------------------------------------------------- */

/* Calls with flags as constants, so that loops are made for them alone. */
#define EACH_PAIR(a, b, call)                                                            \
    do {                                                                                 \
        if (a) {                                                                         \
            if (b)                                                                       \
                call(1, 1);                                                              \
            else                                                                         \
                call(1, 0);                                                              \
        } else if (b)                                                                    \
            call(0, 1);                                                                  \
        else                                                                             \
            call(0, 0);                                                                  \
    } while (0)

INLINE void input_vector(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                         ptrdiff_t pixel, const bool low, const bool slim) {
    vec half[IN][IN], line[IN], out[IN];
#pragma GCC unroll 6
    for (int x = 0; x < IN; x++) {
#pragma GCC unroll 6
        for (int y = 0; y < IN; y++) line[y] = lm_vec_load(d + y * row + x * pixel);
        input_row(line, out, low);
#pragma GCC unroll 6
        for (int y = 0; y < IN; y++)
            if (!low || y != MINUS_TWO) half[y][x] = out[y];
    }
#pragma GCC unroll 6
    for (int y = 0; y < IN; y++) {
        if (low && y == MINUS_TWO) continue;
        input_row(half[y], out, slim);
#pragma GCC unroll 6
        for (int x = 0; x < IN; x++)
            if (!slim || x != MINUS_TWO) lm_vec_store(v + (y * IN + x) * plane, out[x]);
    }
}

static void input(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                  ptrdiff_t pixel, int width, const bool narrow[2]) {
#define INPUT(low, slim)                                                                 \
    for (int c = 0; c < width; c += LANES)                                               \
    input_vector(v + c, plane, d + c, row, pixel, low, slim)
    EACH_PAIR(narrow[0], narrow[1], INPUT);
#undef INPUT
}

INLINE void filter_vector(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap,
                          const int down, const int across) {
    vec half[PRODUCTS][2], line[2], out[PRODUCTS];
#pragma GCC unroll 2
    for (int x = 0; x < 2; x++) {
#pragma GCC unroll 2
        for (int y = 0; y < 2; y++) line[y] = lm_vec_load(g + (2 * y + x) * tap);
        filter_row(line, out, down);
#pragma GCC unroll 5
        for (int y = 0; y < PRODUCTS; y++) half[y][x] = out[y];
    }
#pragma GCC unroll 5
    for (int y = 0; y < PRODUCTS; y++) {
        filter_row(half[y], out, across);
#pragma GCC unroll 5
        for (int x = 0; x < PRODUCTS; x++)
            lm_vec_store(u + (y * PRODUCTS + x) * plane, out[x]);
    }
}

static void filter(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap,
                   const int offset[2]) {
#define FILTER(down, across) filter_vector(u, plane, g, tap, down, across)
    EACH_PAIR(offset[0], offset[1], FILTER);
#undef FILTER
}

/* A' m, by columns. A narrow tile leaves the last row undefined, and never stores it. */
INLINE void output_columns(const float *m, ptrdiff_t plane, vec half[OUT][PRODUCTS],
                           const int offset, const bool narrow) {
#pragma GCC unroll 5
    for (int x = 0; x < PRODUCTS; x++) {
        vec line[PRODUCTS], out[OUT];
#pragma GCC unroll 5
        for (int y = 0; y < PRODUCTS; y++)
            line[y] = lm_vec_load(m + (y * PRODUCTS + x) * plane);
        output_row(line, out, offset, narrow);
#pragma GCC unroll 4
        for (int y = 0; y < OUT; y++) half[y][x] = out[y];
    }
}

/* Times A, by rows, into the target. */
INLINE void output_rows(const lm_wino_target *t, vec half[OUT][PRODUCTS], int c,
                        const int offset, const bool narrow) {
    int n = t->channels - c < LANES ? t->channels - c : LANES;
    vec add = t->add ? lm_vec_load_some(t->add + c, n) : (vec){0};
    for (int y = 0; y < t->rows; y++) {
        float *to = t->y + y * t->row + c;
        vec out[OUT];
        output_row(half[y], out, offset, narrow);
#pragma GCC unroll 4
        for (int x = 0; x < OUT; x++, to += t->pixel) {
            if (x >= t->cols) continue;
            if (t->stream)
                lm_vec_stream(to, out[x] + add);
            else
                lm_vec_store_some(to, out[x] + add, n);
        }
    }
}

static void output(const lm_wino_target *t, const float *m, ptrdiff_t plane,
                   const int offset[2], const bool narrow[2]) {
    vec half[OUT][PRODUCTS];
    for (int c = 0; c < t->channels; c += LANES) {
#define COLUMNS(second, low) output_columns(m + c, plane, half, second, low)
#define ROWS(second, slim)   output_rows(t, half, c, second, slim)
        EACH_PAIR(offset[0], narrow[0], COLUMNS);
        EACH_PAIR(offset[1], narrow[1], ROWS);
#undef COLUMNS
#undef ROWS
    }
}

const lm_subpixel_ops LM_ISA_NAME(lm_subpixel_ops) = {
    .input = input,
    .filter = filter,
    .output = output,
};
