/* The arithmetic of Winograd convolution; a file of isa_files. */
#include "backend/cpu/wino_ops.h"

#include "backend/cpu/products.h"
#include "backend/cpu/wino_rows.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = LM_LANES, PANEL = LM_TILE_VECTORS, WIDE = LM_TILE_WIDE };
enum { NARROW = LM_TILE_NARROW };
typedef lm_vec vec;

/* ---- one-dimensional transforms ---------------------------------------------- */

/* Rows 0 and 2 of A'; rows 1 and 3. In pairs, as the rows of B'. */
INLINE void output_even(const vec m[6], vec *a, vec *b) {
    vec p = m[1] + m[2], r = m[3] + m[4];
    *a = m[0] + p + r;
    *b = p + 4 * r;
}

INLINE void output_odd(const vec m[6], vec *a, vec *b) {
    vec q = m[1] - m[2], s = m[3] - m[4];
    *a = q + 2 * s;
    *b = q + 8 * s + m[5];
}

/* A of four values. */
INLINE void gradient_row(const vec y[4], vec out[6]) {
    vec even = y[0] + y[2], odd = y[1] + y[3];
    vec even4 = y[0] + 4 * y[2], odd4 = y[1] + 4 * y[3];
    out[0] = y[0];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = even4 + 2 * odd4;
    out[4] = even4 - 2 * odd4;
    out[5] = y[3];
}

/* G of three taps. */
INLINE void filter_row(const vec g[3], vec out[6]) {
    vec ends = (g[0] + g[2]) * (-1 / 6.0f), middle = g[1] * (1 / 6.0f);
    vec far = g[0] * (1 / 24.0f) + g[2] * (1 / 6.0f), near = g[1] * (1 / 12.0f);
    out[0] = g[0] * 0.25f;
    out[1] = ends - middle;
    out[2] = ends + middle;
    out[3] = far + near;
    out[4] = far - near;
    out[5] = g[2];
}

/* G' of six values. */
INLINE void filter_gradient_row(const vec u[6], vec out[3]) {
    vec p = (u[1] + u[2]) * (1 / 6.0f), q = (u[2] - u[1]) * (1 / 6.0f);
    vec r = u[3] + u[4], s = u[3] - u[4];
    out[0] = u[0] * 0.25f - p + r * (1 / 24.0f);
    out[1] = q + s * (1 / 12.0f);
    out[2] = r * (1 / 6.0f) - p + u[5];
}

/* ---- activations ------------------------------------------------------------- */

INLINE vec activate(vec z, const lm_activation kind, float slope) {
    if (kind == LM_ACT_SILU) return z * lm_vec_sigmoid(z);
    if (kind == LM_ACT_LEAKY) return lm_vec_leaky(z, slope);
    return z;
}

/* Calls with each kind as a constant, so that loops are made for it alone. */
#define EACH_KIND(act, call)                                                             \
    do {                                                                                 \
        if ((act)->kind == LM_ACT_SILU)                                                  \
            call(LM_ACT_SILU);                                                           \
        else if ((act)->kind == LM_ACT_LEAKY)                                            \
            call(LM_ACT_LEAKY);                                                          \
        else                                                                             \
            call(LM_ACT_NONE);                                                           \
    } while (0)

/* ---- tiles ------------------------------------------------------------------- */

typedef void row_pair_fn(const vec d[6], vec *a, vec *b);

/* Rows i and j of B' d B. */
INLINE void input_rows(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                       ptrdiff_t pixel, row_pair_fn *pair, int i, int j) {
    vec first[6], second[6], out[6];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
        vec column[6];
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++) column[y] = lm_vec_load(d + y * row + x * pixel);
        pair(column, &first[x], &second[x]);
    }
    lm_wino_input_row(first, out);
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) lm_vec_store(v + (i * 6 + x) * plane, out[x]);
    lm_wino_input_row(second, out);
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) lm_vec_store(v + (j * 6 + x) * plane, out[x]);
}

static void input(float *v, ptrdiff_t plane, const float *d, ptrdiff_t row,
                  ptrdiff_t pixel, int width) {
    for (int c = 0; c < width; c += LANES) {
        input_rows(v + c, plane, d + c, row, pixel, lm_wino_input_ends, 0, 5);
        input_rows(v + c, plane, d + c, row, pixel, lm_wino_input_pair_1, 1, 2);
        input_rows(v + c, plane, d + c, row, pixel, lm_wino_input_pair_2, 3, 4);
    }
}

static void gradient(float *v, ptrdiff_t plane, const float *y, ptrdiff_t row,
                     ptrdiff_t pixel, int width) {
    for (int c = 0; c < width; c += LANES) {
        vec columns[4][6], line[4], out[6];
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++) {
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                line[i] = lm_vec_load(y + c + i * row + x * pixel);
            gradient_row(line, columns[x]);
        }
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
#pragma GCC unroll 4
            for (int x = 0; x < 4; x++) line[x] = columns[x][i];
            gradient_row(line, out);
#pragma GCC unroll 6
            for (int x = 0; x < 6; x++) lm_vec_store(v + c + (i * 6 + x) * plane, out[x]);
        }
    }
}

/* Rows i and i + 2 of A' m A, for one vector of channels. */
INLINE void output_rows(const float *m, ptrdiff_t plane, row_pair_fn *pair,
                        vec out[2][4]) {
    vec rows[2][6];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
        vec column[6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) column[i] = lm_vec_load(m + (i * 6 + x) * plane);
        pair(column, &rows[0][x], &rows[1][x]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        output_even(rows[i], &out[i][0], &out[i][2]);
        output_odd(rows[i], &out[i][1], &out[i][3]);
    }
}

/* Rows i and i + 2 of a tile: what of them exists, unless they are `whole`, with what is
 * to be added and the activation. */
INLINE void store_rows(const lm_wino_target *t, vec rows[2][4], int i, int c,
                       const bool whole, const bool residual, const lm_activation kind) {
    int n = whole || t->channels - c > LANES ? LANES : t->channels - c;
    vec add = lm_vec_load(t->add + c);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++) {
            if (!whole && (i + 2 * j >= t->rows || x >= t->cols)) continue;
            ptrdiff_t at = (i + 2 * j) * t->row + x * t->pixel + c;
            vec y = rows[j][x] + add;
            if (residual) y += lm_vec_load_some(t->residual + at, n);
            y = activate(y, kind, t->act.slope);
            if (whole && t->stream)
                lm_vec_stream(t->y + at, y);
            else
                lm_vec_store_some(t->y + at, y, n);
        }
}

INLINE void put_rows(const lm_wino_target *t, const float *m, ptrdiff_t plane, int c,
                     row_pair_fn *pair, int i) {
    vec rows[2][4];
    output_rows(m + c, plane, pair, rows);
    bool whole = t->rows == LM_WINO_OUT && t->cols == LM_WINO_OUT;
    whole = whole && t->channels - c >= LANES;
#define STORE(kind) store_rows(t, rows, i, c, true, false, kind)
#define ADD(kind)   store_rows(t, rows, i, c, true, true, kind)
#define PART(kind)  store_rows(t, rows, i, c, false, t->residual, kind)
    if (!whole)
        EACH_KIND(&t->act, PART);
    else if (t->residual)
        EACH_KIND(&t->act, ADD);
    else
        EACH_KIND(&t->act, STORE);
#undef STORE
#undef ADD
#undef PART
}

static void output(const lm_wino_target *t, const float *m, ptrdiff_t plane) {
    for (int c = 0; c < t->channels; c += LANES) {
        put_rows(t, m, plane, c, output_even, 0);
        put_rows(t, m, plane, c, output_odd, 1);
    }
}

/* ---- filters ----------------------------------------------------------------- */

static void filter(float *u, ptrdiff_t plane, const float *g, ptrdiff_t tap) {
    vec columns[3][6], line[3], out[6];
#pragma GCC unroll 3
    for (int x = 0; x < 3; x++) {
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++) line[i] = lm_vec_load(g + (i * 3 + x) * tap);
        filter_row(line, columns[x]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
#pragma GCC unroll 3
        for (int x = 0; x < 3; x++) line[x] = columns[x][i];
        filter_row(line, out);
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++) lm_vec_store(u + (i * 6 + x) * plane, out[x]);
    }
}

static void filter_gradient(float *g, ptrdiff_t tap, const float *u, ptrdiff_t plane,
                            int channels) {
    vec rows[6][3], out[3];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
        vec column[6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) column[i] = lm_vec_load(u + (i * 6 + x) * plane);
        filter_gradient_row(column, rows[x]);
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
        vec line[6];
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++) line[x] = rows[x][i];
        filter_gradient_row(line, out);
#pragma GCC unroll 3
        for (int x = 0; x < 3; x++) {
            float *to = g + (i * 3 + x) * tap;
            if (channels >= LANES)
                lm_vec_store(to, out[x]);
            else
                memcpy(to, &out[x], (size_t)channels * sizeof *to);
        }
    }
}

/* ---- strips ------------------------------------------------------------------ */

/* `count` whole vectors of each pixel; strip and x start at channel c. */
INLINE void load_vectors(float *strip, int width, const float *x, ptrdiff_t pixel,
                         int pixels, int c, const int count, const lm_wino_prologue *p,
                         const bool norm, const lm_activation kind) {
    vec mean[4], scale[4], beta[4];
    for (int j = 0; j < count && norm; j++) {
        mean[j] = lm_vec_load(p->mean + c + j * LANES);
        scale[j] = lm_vec_load(p->scale + c + j * LANES);
        beta[j] = lm_vec_load(p->beta + c + j * LANES);
    }
    for (int i = 0; i < pixels; i++, x += pixel, strip += width)
#pragma GCC unroll 4
        for (int j = 0; j < count; j++) {
            vec z = lm_vec_load(x + j * LANES);
            if (norm) z = (z - mean[j]) * scale[j] + beta[j];
            lm_vec_store(strip + j * LANES, activate(z, kind, p->act.slope));
        }
}

INLINE void load_pixels(float *strip, int width, const float *x, ptrdiff_t pixel,
                        int pixels, int channels, const lm_wino_prologue *p,
                        const bool norm, const lm_activation kind) {
    int c = 0;
#define VECTORS(count)                                                                   \
    for (; c + (count)*LANES <= channels; c += (count)*LANES)                            \
    load_vectors(strip + c, width, x + c, pixel, pixels, c, count, p, norm, kind)
    VECTORS(4);
    VECTORS(1);
#undef VECTORS
    for (int i = 0; i < pixels && c < channels; i++, x += pixel, strip += width) {
        float part[LANES] = {0};
        memcpy(part, x + c, (size_t)(channels - c) * sizeof *part);
        load_vectors(strip + c, width, part, 0, 1, c, 1, p, norm, kind);
        for (int k = channels; k < width; k++) strip[k] = 0;
    }
}

static void load(float *strip, int width, const float *x, ptrdiff_t pixel, int pixels,
                 int channels, const lm_wino_prologue *p) {
#define LOAD(kind) load_pixels(strip, width, x, pixel, pixels, channels, p, false, kind)
#define NORM(kind) load_pixels(strip, width, x, pixel, pixels, channels, p, true, kind)
    if (p->mean)
        EACH_KIND(&p->act, NORM);
    else
        EACH_KIND(&p->act, LOAD);
#undef LOAD
#undef NORM
}

/* ---- products ---------------------------------------------------------------- */

static void multiply(float *m, int width, const float *v, ptrdiff_t ldv, const float *u,
                     int rows, int depth, lm_wino_ahead *ahead) {
#define TILES(height, vectors)                                                           \
    for (int r = 0; r < rows; r += (height)) {                                           \
        lm_fetch_ahead(ahead);                                                           \
        lm_tile_product(m + (ptrdiff_t)r * width, (vectors)*LANES, NULL, 0, v + r * ldv, \
                        ldv, 1, u, (vectors)*LANES, depth, height, vectors, false,       \
                        NULL);                                                           \
    }
    if (width == PANEL * LANES)
        TILES(WIDE, PANEL)
    else if (width == 2 * LANES)
        TILES(NARROW, 2)
    else
        TILES(NARROW, 1)
#undef TILES
}

static void accumulate(float *m, int width, const float *d, ptrdiff_t ldd, const float *v,
                       ptrdiff_t ldv, int rows, int depth, bool add,
                       lm_wino_ahead *ahead) {
#define TILES(height, vectors)                                                           \
    for (int r = 0; r < rows; r += (height)) {                                           \
        float *to = m + (ptrdiff_t)r * width;                                            \
        lm_fetch_ahead(ahead);                                                           \
        lm_tile_product(to, (vectors)*LANES, add ? to : NULL, (vectors)*LANES, d + r, 1, \
                        ldd, v, ldv, depth, height, vectors, false,                      \
                        to + (ptrdiff_t)(height)*width);                                 \
    }
    if (width == PANEL * LANES)
        TILES(WIDE, PANEL)
    else if (width == 2 * LANES)
        TILES(NARROW, 2)
    else
        TILES(NARROW, 1)
#undef TILES
}

const lm_wino_ops LM_ISA_NAME(lm_wino_ops) = {
    .lanes = LANES,
    .panel = PANEL * LANES,
    .rows = NARROW,
    .wide_rows = WIDE,
    .load = load,
    .input = input,
    .gradient = gradient,
    .output = output,
    .filter = filter,
    .filter_gradient = filter_gradient,
    .multiply = multiply,
    .accumulate = accumulate,
};
