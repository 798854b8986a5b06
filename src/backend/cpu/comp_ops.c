/* Inner loops of the composites; a file of isa_files. Sums run in f32 over a bounded
 * number of rows or lanes and in double beyond, in an order that the shape alone fixes.
 */
#include "backend/cpu/comp_ops.h"

#include "backend/cpu/vm_math.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS = 64,    /* summed in f32 */
    TOGETHER = 4, /* rows that are added before a sum goes back to its array */
    BLOCK = 512,  /* channels whose sums stay in the nearest cache */
    AHEAD = 1024, /* elements ahead that are asked for */
    LANES = 64    /* independent sums along a row */
};

/* Asks for memory that will be read soon: the hardware's own prefetch stops at the end of
 * each page, and is confused by rows that are read side by side. */
INLINE void fetch(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(x + AHEAD + i, 0, 3);
}

/* ---- group normalisation ----------------------------------------------------- */

INLINE void moments_rows(const float *x, int channels, const float *shift, float *sum,
                         float *square, int width, const int rows) {
    LM_VM_LANES for (int i = 0; i < width; i++) {
        float s = sum[i], q = square[i];
        for (int r = 0; r < rows; r++) {
            float d = x[(int64_t)r * channels + i] - shift[i];
            s += d;
            q += d * d;
        }
        sum[i] = s, square[i] = q;
    }
}

static void moments_block(const float *x, int rows, int channels, const float *shift,
                          double *sum, double *square, int width) {
    float s[BLOCK] = {0}, q[BLOCK] = {0};
    int r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER) {
        fetch(x + (int64_t)r * channels, TOGETHER * channels);
        moments_rows(x + (int64_t)r * channels, channels, shift, s, q, width, TOGETHER);
    }
    for (; r < rows; r++)
        moments_rows(x + (int64_t)r * channels, channels, shift, s, q, width, 1);
    for (int i = 0; i < width; i++) {
        sum[i] += (double)s[i];
        square[i] += (double)q[i];
    }
}

static void moments(const float *x, int64_t rows, int channels, const float *shift,
                    double *sum, double *square) {
    for (; rows > 0; rows -= ROWS, x += (int64_t)ROWS * channels)
        for (int c = 0; c < channels; c += BLOCK)
            moments_block(x + c, rows < ROWS ? (int)rows : ROWS, channels, shift + c,
                          sum + c, square + c,
                          channels - c < BLOCK ? channels - c : BLOCK);
}

/* sum (x - m)^2 = sum over channels of q - 2 (m - shift) s + n (m - shift)^2. */
static double join_moments(const double *sum, const double *square, const float *shift,
                           int channels, double n, double *spread) {
    enum { PARTS = 8 };
    double part[PARTS] = {0}, total = 0;
    for (int c = 0; c < channels; c += PARTS)
        for (int k = 0; k < PARTS && k < channels - c; k++)
            part[k] += sum[c + k] + n * (double)shift[c + k];
    for (int k = 0; k < PARTS; k++) total += part[k];
    double mean = total / (n * channels);
    memset(part, 0, sizeof part);
    for (int c = 0; c < channels; c += PARTS)
        for (int k = 0; k < PARTS && k < channels - c; k++) {
            double d = mean - (double)shift[c + k];
            part[k] += square[c + k] - 2 * d * sum[c + k] + n * d * d;
        }
    *spread = 0;
    for (int k = 0; k < PARTS; k++) *spread += part[k];
    return mean;
}

INLINE void norm_act_rows(float *y, const float *x, const lm_norm_rows *norm,
                          const bool silu) {
    const float *mean = norm->mean, *scale = norm->scale, *beta = norm->beta;
    int channels = norm->channels;
    for (int64_t r = 0; r < norm->rows; r++, x += channels, y += channels) {
        fetch(x, channels);
        LM_VM_LANES for (int i = 0; i < channels; i++) {
            float z = (x[i] - mean[i]) * scale[i] + beta[i];
            y[i] = silu ? z * lm_vm_sigmoid(z) : z;
        }
    }
}

static void norm_act(float *y, const float *x, const lm_norm_rows *norm, bool silu) {
    if (silu)
        norm_act_rows(y, x, norm, true);
    else
        norm_act_rows(y, x, norm, false);
}

/* SiLU'(z) = s (1 + z (1 - s)), s = sigmoid(z). */
INLINE float silu_slope(float z) {
    float s = lm_vm_sigmoid(z);
    return s * (1 + z * (1 - s));
}

/* Rows that lie `channels` apart, from channel c on. */
INLINE void norm_sums_some(const float *x, const float *g, const lm_norm_rows *norm,
                           int c, int width, const int rows, const bool silu,
                           float *product, float *sum) {
    const float *mean = norm->mean + c, *scale = norm->scale + c, *beta = norm->beta + c;
    int64_t step = norm->channels;
    LM_VM_LANES for (int i = 0; i < width; i++) {
        float p = product[i], s = sum[i];
        for (int r = 0; r < rows; r++) {
            float d = x[r * step + i] - mean[i], z = d * scale[i] + beta[i];
            float dz = silu ? g[r * step + i] * silu_slope(z) : g[r * step + i];
            p += dz * d;
            s += dz;
        }
        product[i] = p, sum[i] = s;
    }
}

INLINE void norm_sums_block(const float *x, const float *g, const lm_norm_rows *norm,
                            int rows, int c, const bool silu, double *product,
                            double *sum) {
    int width = norm->channels - c < BLOCK ? norm->channels - c : BLOCK, r = 0;
    float p[BLOCK] = {0}, s[BLOCK] = {0};
    for (; r + TOGETHER <= rows; r += TOGETHER) {
        fetch(x, TOGETHER * norm->channels);
        fetch(g, TOGETHER * norm->channels);
        norm_sums_some(x, g, norm, c, width, TOGETHER, silu, p, s);
        x += TOGETHER * (int64_t)norm->channels, g += TOGETHER * (int64_t)norm->channels;
    }
    for (; r < rows; r++, x += norm->channels, g += norm->channels)
        norm_sums_some(x, g, norm, c, width, 1, silu, p, s);
    for (int i = 0; i < width; i++) {
        product[c + i] += (double)p[i] * (double)norm->rstd[c + i];
        sum[c + i] += (double)s[i];
    }
}

INLINE void norm_sums_rows(const float *x, const float *g, const lm_norm_rows *norm,
                           const bool silu, double *product, double *sum) {
    int64_t step = (int64_t)ROWS * norm->channels;
    for (int64_t r = 0; r < norm->rows; r += ROWS, x += step, g += step)
        for (int c = 0; c < norm->channels; c += BLOCK)
            norm_sums_block(x + c, g + c, norm,
                            norm->rows - r < ROWS ? (int)(norm->rows - r) : ROWS, c, silu,
                            product, sum);
}

static void norm_sums(const float *x, const float *g, const lm_norm_rows *norm, bool silu,
                      double *product, double *sum) {
    if (silu)
        norm_sums_rows(x, g, norm, true, product, sum);
    else
        norm_sums_rows(x, g, norm, false, product, sum);
}

INLINE void norm_grad_rows(float *y, const float *x, const float *g, const float *more,
                           const lm_norm_rows *norm, const bool silu, const bool adds) {
    const float *mean = norm->mean, *scale = norm->scale, *beta = norm->beta;
    const float *slope = norm->slope, *shift = norm->shift;
    int channels = norm->channels;
    for (int64_t r = 0; r < norm->rows; r++) {
        LM_VM_LANES for (int i = 0; i < channels; i++) {
            float d = x[i] - mean[i], z = d * scale[i] + beta[i];
            float dz = silu ? g[i] * silu_slope(z) : g[i];
            float through_stats = d * slope[i] + shift[i];
            y[i] = dz * scale[i] + (adds ? through_stats + more[i] : through_stats);
        }
        x += channels, g += channels, y += channels;
        if (adds) more += channels;
    }
}

static void norm_grad(float *d, const float *x, const float *g, const float *r,
                      const lm_norm_rows *norm, bool silu) {
    if (silu && r)
        norm_grad_rows(d, x, g, r, norm, true, true);
    else if (silu)
        norm_grad_rows(d, x, g, r, norm, true, false);
    else
        norm_grad_rows(d, x, g, r, norm, false, r != NULL);
}

/* ---- rows -------------------------------------------------------------------- */

static float max(const float *x, int n) {
    float best = x[0];
    int i = 0;
    if (n >= LANES) {
        float lane[LANES];
        memcpy(lane, x, sizeof lane);
        for (i = LANES; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
        for (int half = LANES / 2; half; half /= 2)
            for (int k = 0; k < half; k++)
                lane[k] = lane[k + half] > lane[k] ? lane[k + half] : lane[k];
        best = lane[0];
    }
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

/* By halves, which takes few steps and is the same for any instruction set. */
static float add_lanes(float *lane) {
    for (int half = LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    return lane[0];
}

static float exp_sum(float *y, const float *x, float scale, float shift, int n) {
    float lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES) LM_VM_LANES for (int k = 0; k < LANES; k++) {
            float e = lm_vm_exp(scale * x[i + k] - shift);
            y[i + k] = e;
            lane[k] += e;
        }
    LM_VM_LANES for (int k = 0; k < n - i; k++) {
        float e = lm_vm_exp(scale * x[i + k] - shift);
        y[i + k] = e;
        lane[k] += e;
    }
    return add_lanes(lane);
}

static void scale_row(float *y, const float *x, float factor, int n) {
    LM_VM_LANES for (int i = 0; i < n; i++) y[i] = x[i] * factor;
}

static float dot(const float *x, const float *y, int n) {
    float lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += x[i + k] * y[i + k];
    for (int k = 0; k < n - i; k++) lane[k] += x[i + k] * y[i + k];
    return add_lanes(lane);
}

static void softmax_grad(float *d, const float *y, const float *g, float shift,
                         float factor, int n) {
    LM_VM_LANES for (int i = 0; i < n; i++) d[i] = y[i] * (g[i] - shift) * factor;
}

const lm_comp_ops LM_ISA_NAME(lm_comp_ops) = {
    .moments = moments,
    .join_moments = join_moments,
    .norm_act = norm_act,
    .norm_sums = norm_sums,
    .norm_grad = norm_grad,
    .max = max,
    .exp_sum = exp_sum,
    .scale = scale_row,
    .dot = dot,
    .softmax_grad = softmax_grad,
};
