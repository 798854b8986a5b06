#include "metrics/fid_infinite.h"

#include "base/mem.h"
#include "metrics/fid.h"

#include <math.h>

static lm_status measure_part(const lm_moments *reference, const float *x, int64_t n,
                              int64_t size, uint64_t seed, uint32_t draw, int32_t *rows,
                              double *fid) {
    lm_moments part;
    LM_TRY(lm_resample_subset(seed, draw, n, size, rows));
    LM_TRY(lm_moments_of(x, rows, size, reference->dim, NULL, &part));
    lm_status status = lm_fid(reference, &part, NULL, fid);
    lm_moments_release(&part);
    return status;
}

/* Where the line through (x, y) by least squares meets x = 0, with its standard error. */
static lm_estimate find_intercept(const double *x, const double *y, int n) {
    double mx = 0, my = 0, xx = 0, xy = 0, residuals = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
    }
    double slope = xy / xx, intercept = my - slope * mx;
    for (int i = 0; i < n; i++) {
        double residual = y[i] - intercept - slope * x[i];
        residuals += residual * residual;
    }
    return (lm_estimate){intercept, sqrt(residuals / (n - 2) * (1.0 / n + mx * mx / xx))};
}

lm_status lm_fid_infinite(const lm_moments *reference, const float *x, int64_t n,
                          int points, int64_t smallest, uint64_t seed,
                          const lm_metric_hook *hook, lm_estimate *fid) {
    LM_RETURN_IF(points < 3, LM_ARG, "FID at infinite N: %d points, expected 3 or more",
                 points);
    LM_RETURN_IF(smallest < 2 || smallest >= n || n - smallest < points - 1, LM_ARG,
                 "FID at infinite N: %d points from %lld to %lld images: too few images",
                 points, (long long)smallest, (long long)n);
    double *over_n = lm_alloc(points * sizeof *over_n);
    double *value = lm_alloc(points * sizeof *value);
    int32_t *rows = lm_alloc((size_t)n * sizeof *rows);
    lm_status status = over_n && value && rows ? LM_OK : LM_NOMEM;
    for (int i = 0; i < points && status == LM_OK; i++) {
        int64_t size = smallest + (n - smallest) * i / (points - 1);
        over_n[i] = 1 / (double)size;
        status = lm_metric_progress(hook, "FID at infinite N", (double)i / points);
        if (status == LM_OK)
            status =
                measure_part(reference, x, n, size, seed, (uint32_t)i, rows, &value[i]);
    }
    if (status == LM_OK) *fid = find_intercept(over_n, value, points);
    lm_free(over_n);
    lm_free(value);
    lm_free(rows);
    return status;
}
