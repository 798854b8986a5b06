/* Inner loops of group normalisation; a file of isa_files. Sums run in f32 over a bounded
 * number of rows and in double beyond, in an order that the shape alone fixes. */
#include "backend/cpu/norm_ops.h"

#include "backend/cpu/simd.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    TOGETHER = 4, /* rows that are added before a sum goes back to its array */
    BLOCK = 512,  /* channels whose sums stay in the nearest cache */
    PARTS = 8,    /* sums of a group side by side */
    GROUPS = 32,  /* groups side by side */
    AHEAD = 1024, /* elements ahead that are asked for */
    FAR_AHEAD = 2048
};

/* Asks for memory that will be read soon: the hardware's own prefetch stops at the end of
 * each page, and is confused by rows that are read side by side. A whole row at once: */
INLINE void fetch_row(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(x + AHEAD + i, 0, 3);
}

/* Or line by line while others are summed, into the second cache, as the first can wait
 * for few. */
INLINE void fetch_line(const float *x) {
    __builtin_prefetch(x + FAR_AHEAD, 0, 2);
}

/* Calls for every register of a row, with n = LM_LANES, and for the rest. */
#define EACH_REGISTER(count, i, n, call)                                                 \
    do {                                                                                 \
        int i = 0;                                                                       \
        for (; i + LM_LANES <= (count); i += LM_LANES) {                                 \
            const int n = LM_LANES;                                                      \
            call;                                                                        \
        }                                                                                \
        if (i < (count)) {                                                               \
            const int n = (count)-i;                                                     \
            call;                                                                        \
        }                                                                                \
    } while (0)

/* Empties the sums of `width` channels, and of what else is in their last register. */
INLINE void clear(float *sum, int width) {
    int registers = (width + LM_LANES - 1) / LM_LANES;
    memset(sum, 0, (size_t)registers * LM_LANES * sizeof *sum);
}

/* ---- statistics -------------------------------------------------------------- */

/* Rows that lie `channels` apart, as below. */
INLINE void moments_lanes(const float *x, int channels, const float *shift, float *sum,
                          float *square, const int n, const int rows) {
    lm_vec about = lm_vec_load_some(shift, n);
    lm_vec s = lm_vec_load(sum), q = lm_vec_load(square);
    for (int r = 0; r < rows; r++, x += channels) {
        fetch_line(x);
        lm_vec d = lm_vec_load_some(x, n) - about;
        s += d;
        q += d * d;
    }
    lm_vec_store(sum, s);
    lm_vec_store(square, q);
}

static void moments_block(const float *x, int rows, int channels, const float *shift,
                          double *sum, double *square, int width) {
    float s[BLOCK], q[BLOCK];
    int r = 0;
    clear(s, width);
    clear(q, width);
    for (; r + TOGETHER <= rows; r += TOGETHER, x += TOGETHER * (int64_t)channels)
        EACH_REGISTER(
            width, i, n,
            moments_lanes(x + i, channels, shift + i, s + i, q + i, n, TOGETHER));
    for (; r < rows; r++, x += channels)
        EACH_REGISTER(width, i, n,
                      moments_lanes(x + i, channels, shift + i, s + i, q + i, n, 1));
    for (int i = 0; i < width; i++) {
        sum[i] += (double)s[i];
        square[i] += (double)q[i];
    }
}

static void moments(const float *x, int64_t rows, int channels, const float *shift,
                    double *sum, double *square) {
    for (; rows > 0; rows -= LM_NORM_ROWS, x += (int64_t)LM_NORM_ROWS * channels)
        for (int c = 0; c < channels; c += BLOCK)
            moments_block(x + c, rows < LM_NORM_ROWS ? (int)rows : LM_NORM_ROWS, channels,
                          shift + c, sum + c, square + c,
                          channels - c < BLOCK ? channels - c : BLOCK);
}

/* What a channel adds to the sum of all x, and to that of (x - mean)^2. */
INLINE double add_mean(double sum, double shift, double n) {
    return sum + n * shift;
}

INLINE double add_spread(double sum, double square, double about, double n) {
    return square - 2 * about * sum + n * about * about;
}

/* A group of many channels, in several sums side by side. */
static double join_channels(const double *sum, const double *square, const float *shift,
                            int channels, double n, double *spread) {
    double part[PARTS] = {0}, total = 0;
    for (int c = 0; c < channels; c += PARTS)
        for (int k = 0; k < PARTS && k < channels - c; k++)
            part[k] += add_mean(sum[c + k], (double)shift[c + k], n);
    for (int k = 0; k < PARTS; k++) total += part[k];
    double mean = total / (n * channels);
    memset(part, 0, sizeof part);
    for (int c = 0; c < channels; c += PARTS)
        for (int k = 0; k < PARTS && k < channels - c; k++)
            part[k] +=
                add_spread(sum[c + k], square[c + k], mean - (double)shift[c + k], n);
    *spread = 0;
    for (int k = 0; k < PARTS; k++) *spread += part[k];
    return mean;
}

/* Groups of few channels, several groups side by side. */
static void join_groups(const double *sum, const double *square, const float *shift,
                        int groups, int width, double n, double *mean, double *spread) {
    for (int g = 0; g < groups; g++) mean[g] = spread[g] = 0;
    for (int i = 0; i < width; i++)
        for (int g = 0, c = i; g < groups; g++, c += width)
            mean[g] += add_mean(sum[c], (double)shift[c], n);
    for (int g = 0; g < groups; g++) mean[g] /= n * width;
    for (int i = 0; i < width; i++)
        for (int g = 0, c = i; g < groups; g++, c += width)
            spread[g] += add_spread(sum[c], square[c], mean[g] - (double)shift[c], n);
}

static void statistics(const double *sum, const double *square, const float *shift,
                       int groups, int width, double n, double eps, float *stats) {
    double mean[GROUPS], spread[GROUPS];
    for (int first = 0, count; first < groups; first += count) {
        int c = first * width;
        count = width > PARTS ? 1 : groups - first < GROUPS ? groups - first : GROUPS;
        if (width > PARTS)
            mean[0] = join_channels(sum + c, square + c, shift + c, width, n, spread);
        else
            join_groups(sum + c, square + c, shift + c, count, width, n, mean, spread);
        for (int g = 0; g < count; g++, stats += 2) {
            double variance =
                spread[g] <= 0 ? 0 : spread[g] / (n * width); /* NaN stays */
            stats[0] = (float)mean[g];
            stats[1] = (float)(1 / sqrt(variance + eps));
        }
    }
}

/* ---- application ------------------------------------------------------------- */

INLINE void apply_lanes(float *y, const float *x, const lm_norm_rows *norm, int i,
                        const int n, const bool silu) {
    lm_vec d = lm_vec_load_some(x + i, n) - lm_vec_load_some(norm->mean + i, n);
    lm_vec z =
        d * lm_vec_load_some(norm->scale + i, n) + lm_vec_load_some(norm->beta + i, n);
    lm_vec_store_some(y + i, silu ? z * lm_vec_sigmoid(z) : z, n);
}

INLINE void apply_rows(float *y, const float *x, const lm_norm_rows *norm,
                       const bool silu) {
    int channels = norm->channels;
    for (int64_t r = 0; r < norm->rows; r++, x += channels, y += channels) {
        fetch_row(x, channels);
        EACH_REGISTER(channels, i, n, apply_lanes(y, x, norm, i, n, silu));
    }
}

static void apply(float *y, const float *x, const lm_norm_rows *norm, bool silu) {
    if (silu)
        apply_rows(y, x, norm, true);
    else
        apply_rows(y, x, norm, false);
}

/* ---- gradients --------------------------------------------------------------- */

/* SiLU'(z) = s (1 + z (1 - s)), s = sigmoid(z). */
INLINE lm_vec silu_slope(lm_vec z) {
    lm_vec s = lm_vec_sigmoid(z);
    return s * (1 + z * (1 - s));
}

/* Rows that lie `channels` apart, from channel c on, where x and g point. */
INLINE void sum_lanes(const float *x, const float *g, const lm_norm_rows *norm, int c,
                      int i, const int n, const int rows, const bool silu, float *kept,
                      float *product, float *sum) {
    lm_vec mean = lm_vec_load_some(norm->mean + c + i, n);
    lm_vec scale = lm_vec_load_some(norm->scale + c + i, n);
    lm_vec beta = lm_vec_load_some(norm->beta + c + i, n);
    lm_vec p = lm_vec_load(product + i), s = lm_vec_load(sum + i);
    for (int r = 0; r < rows; r++) {
        int64_t at = (int64_t)r * norm->channels + i;
        fetch_line(x + at);
        fetch_line(g + at);
        lm_vec d = lm_vec_load_some(x + at, n) - mean, dz = lm_vec_load_some(g + at, n);
        if (silu) dz *= silu_slope(d * scale + beta);
        if (silu && kept) lm_vec_store_some(kept + at, dz, n);
        p += dz * d;
        s += dz;
    }
    lm_vec_store(product + i, p);
    lm_vec_store(sum + i, s);
}

INLINE void sums_block(const float *x, const float *g, const lm_norm_rows *norm, int rows,
                       int c, const bool silu, float *kept, double *product,
                       double *sum) {
    int channels = norm->channels, width = channels - c < BLOCK ? channels - c : BLOCK;
    float p[BLOCK], s[BLOCK];
    int r = 0;
    clear(p, width);
    clear(s, width);
    for (; r + TOGETHER <= rows; r += TOGETHER) {
        EACH_REGISTER(width, i, n,
                      sum_lanes(x, g, norm, c, i, n, TOGETHER, silu, kept, p, s));
        x += TOGETHER * (int64_t)channels, g += TOGETHER * (int64_t)channels;
        if (kept) kept += TOGETHER * (int64_t)channels;
    }
    for (; r < rows; r++, x += channels, g += channels) {
        EACH_REGISTER(width, i, n, sum_lanes(x, g, norm, c, i, n, 1, silu, kept, p, s));
        if (kept) kept += channels;
    }
    for (int i = 0; i < width; i++) {
        product[c + i] += (double)p[i] * (double)norm->rstd[c + i];
        sum[c + i] += (double)s[i];
    }
}

INLINE void sums_rows(const float *x, const float *g, const lm_norm_rows *norm,
                      const bool silu, float *kept, double *product, double *sum) {
    for (int64_t r = 0; r < norm->rows; r += LM_NORM_ROWS)
        for (int c = 0; c < norm->channels; c += BLOCK) {
            int64_t at = r * norm->channels + c;
            sums_block(x + at, g + at, norm,
                       norm->rows - r < LM_NORM_ROWS ? (int)(norm->rows - r)
                                                     : LM_NORM_ROWS,
                       c, silu, kept ? kept + at : NULL, product, sum);
        }
}

static void sums(const float *x, const float *g, const lm_norm_rows *norm, bool silu,
                 double *product, double *sum, float *dz) {
    if (silu && dz)
        sums_rows(x, g, norm, true, dz, product, sum);
    else if (silu)
        sums_rows(x, g, norm, true, NULL, product, sum);
    else
        sums_rows(x, g, norm, false, NULL, product, sum);
}

INLINE void gradient_lanes(float *y, const float *x, const float *g, const float *more,
                           const lm_norm_rows *norm, int i, const int n,
                           const bool silu) {
    lm_vec scale = lm_vec_load_some(norm->scale + i, n);
    lm_vec d = lm_vec_load_some(x + i, n) - lm_vec_load_some(norm->mean + i, n);
    lm_vec dz = lm_vec_load_some(g + i, n);
    if (silu) dz *= silu_slope(d * scale + lm_vec_load_some(norm->beta + i, n));
    lm_vec v = dz * scale + (d * lm_vec_load_some(norm->slope + i, n) +
                             lm_vec_load_some(norm->shift + i, n));
    lm_vec_store_some(y + i, more ? v + lm_vec_load_some(more + i, n) : v, n);
}

INLINE void gradient_rows(float *y, const float *x, const float *g, const float *more,
                          const lm_norm_rows *norm, const bool silu) {
    int channels = norm->channels;
    for (int64_t r = 0; r < norm->rows; r++) {
        fetch_row(x, channels);
        fetch_row(g, channels);
        EACH_REGISTER(channels, i, n, gradient_lanes(y, x, g, more, norm, i, n, silu));
        x += norm->stride, g += norm->stride, y += channels;
        if (more) more += norm->stride;
    }
}

static void gradient(float *d, const float *x, const float *g, const float *r,
                     const lm_norm_rows *norm, bool silu) {
    if (silu && r)
        gradient_rows(d, x, g, r, norm, true);
    else if (silu)
        gradient_rows(d, x, g, NULL, norm, true);
    else
        gradient_rows(d, x, g, r, norm, false);
}

/* ---- sums -------------------------------------------------------------------- */

static void add_rows(const float *x, int64_t rows, int channels, double *sum) {
    for (; rows > 0; rows -= LM_NORM_ROWS, x += (int64_t)LM_NORM_ROWS * channels)
        for (int c = 0; c < channels; c += BLOCK) {
            int width = channels - c < BLOCK ? channels - c : BLOCK;
            int count = rows < LM_NORM_ROWS ? (int)rows : LM_NORM_ROWS;
            float s[BLOCK];
            clear(s, width);
            for (int r = 0; r < count; r++)
                LM_VM_LANES for (int i = 0; i < width; i++) s[i] +=
                    x[(int64_t)r * channels + c + i];
            for (int i = 0; i < width; i++) sum[c + i] += (double)s[i];
        }
}

const lm_norm_ops LM_ISA_NAME(lm_norm_ops_table) = {
    .moments = moments,
    .statistics = statistics,
    .apply = apply,
    .sums = sums,
    .gradient = gradient,
    .add_rows = add_rows,
};
