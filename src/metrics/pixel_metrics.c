#include "metrics/pixel_metrics.h"

#include "base/mem.h"
#include "base/threads.h"

#include <math.h>
#include <omp.h>

enum { WINDOW = 11, MOST_SIDE = 32768, RANGE = 255 };

/* What SSIM averages over a window: x, y, x^2, y^2, xy. */
enum { MOMENTS = 5 };

typedef struct shape {
    int height, width, channels;
    int window;
    double weights[WINDOW];
} shape;

static void set_window(shape *s) {
    const double sigma = 1.5;
    int side = s->height < s->width ? s->height : s->width;
    s->window = side >= WINDOW ? WINDOW : side - (side % 2 == 0);
    double sum = 0;
    for (int i = 0; i < s->window; i++) {
        double off = (i - s->window / 2) / sigma;
        sum += s->weights[i] = exp(-0.5 * off * off);
    }
    for (int i = 0; i < s->window; i++) s->weights[i] /= sum;
}

static double find_mse(const uint8_t *a, const uint8_t *b, int64_t count) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        int difference = a[i] - b[i];
        sum += difference * difference;
    }
    return (double)sum / (double)count;
}

/* The moments of one row's windows, weighted along the row: [MOMENTS][width]. */
static void weigh_row(const shape *s, const uint8_t *a, const uint8_t *b, double *to) {
    int windows = s->width - s->window + 1;
    for (int i = 0; i < windows; i++) {
        double sums[MOMENTS] = {0};
        for (int k = 0; k < s->window; k++) {
            double x = a[(i + k) * s->channels], y = b[(i + k) * s->channels];
            double wx = s->weights[k] * x, wy = s->weights[k] * y;
            sums[0] += wx;
            sums[1] += wy;
            sums[2] += wx * x;
            sums[3] += wy * y;
            sums[4] += wx * y;
        }
        for (int m = 0; m < MOMENTS; m++) to[m * s->width + i] = sums[m];
    }
}

/* Equation 13 of the paper, with a third constant of half the second. */
static double similarity(const double m[MOMENTS]) {
    const double c1 = (0.01 * RANGE) * (0.01 * RANGE),
                 c2 = (0.03 * RANGE) * (0.03 * RANGE);
    double xx = m[2] - m[0] * m[0], yy = m[3] - m[1] * m[1], xy = m[4] - m[0] * m[1];
    return (2 * m[0] * m[1] + c1) * (2 * xy + c2) /
           ((m[0] * m[0] + m[1] * m[1] + c1) * (xx + yy + c2));
}

/* Of one channel. ring: the latest rows' moments, [window][MOMENTS][width]. */
static double find_ssim(const shape *s, const uint8_t *a, const uint8_t *b,
                        double *ring) {
    int64_t row = (int64_t)s->width * s->channels, moments = (int64_t)MOMENTS * s->width;
    int windows = s->width - s->window + 1;
    double sum = 0;
    for (int y = 0; y < s->height; y++) {
        weigh_row(s, a + y * row, b + y * row, ring + y % s->window * moments);
        int top = y - s->window + 1;
        for (int x = 0; top >= 0 && x < windows; x++) {
            double mean[MOMENTS] = {0};
            for (int k = 0; k < s->window; k++)
                for (int m = 0; m < MOMENTS; m++)
                    mean[m] += s->weights[k] *
                               ring[(top + k) % s->window * moments + m * s->width + x];
            sum += similarity(mean);
        }
    }
    return sum / windows / (s->height - s->window + 1);
}

static lm_pixel_error compare(const shape *s, const uint8_t *a, const uint8_t *b,
                              double *ring) {
    int64_t values = (int64_t)s->height * s->width * s->channels;
    lm_pixel_error error = {.mse = find_mse(a, b, values)};
    error.psnr = 10 * log10((double)RANGE * RANGE / error.mse);
    for (int c = 0; c < s->channels; c++)
        error.ssim += find_ssim(s, a + c, b + c, ring) / s->channels;
    return error;
}

lm_status lm_pixel_compare(const uint8_t *a, const uint8_t *b, int64_t count, int height,
                           int width, int channels, lm_pixel_error *each) {
    LM_RETURN_IF(count < 0 || height < 1 || width < 1 || channels < 1, LM_ARG,
                 "pixels: %lld images of %dx%d with %d channels", (long long)count,
                 height, width, channels);
    LM_RETURN_IF(height > MOST_SIDE || width > MOST_SIDE || channels > 4, LM_SHAPE,
                 "pixels: images of %dx%d with %d channels are too large", height, width,
                 channels);
    shape s = {.height = height, .width = width, .channels = channels};
    set_window(&s);
    int64_t values = (int64_t)height * width * channels;
    int64_t ring = (int64_t)s.window * MOMENTS * width;
    double *rings = lm_alloc((size_t)(lm_threads() * ring) * sizeof *rings);
    if (!rings) return LM_NOMEM;
#pragma omp parallel for num_threads(lm_threads()) schedule(dynamic, 1)
    for (int64_t i = 0; i < count; i++)
        each[i] = compare(&s, a + i * values, b + i * values,
                          rings + omp_get_thread_num() * ring);
    lm_free(rings);
    return LM_OK;
}

lm_status lm_pixel_summarise(const lm_pixel_error *each, int64_t count,
                             lm_pixel_summary *summary) {
    LM_RETURN_IF(count < 0, LM_ARG, "pixels: %lld images", (long long)count);
    double *values = lm_alloc((size_t)count * 3 * sizeof *values);
    if (!values) return LM_NOMEM;
    double *mse = values, *ssim = values + count, *psnr = values + 2 * count;
    int64_t different = 0;
    for (int64_t i = 0; i < count; i++) {
        mse[i] = each[i].mse;
        ssim[i] = each[i].ssim;
        if (!isinf(each[i].psnr)) psnr[different++] = each[i].psnr;
    }
    *summary = (lm_pixel_summary){.count = count,
                                  .equal = count - different,
                                  .mse = lm_estimate_mean(mse, count),
                                  .psnr = lm_estimate_mean(psnr, different),
                                  .ssim = lm_estimate_mean(ssim, count)};
    lm_free(values);
    return LM_OK;
}
