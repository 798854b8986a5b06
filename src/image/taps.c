#include "image/taps_internal.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

/* ---- filters ----------------------------------------------------------------- */

static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* sinc(x) sinc(x/3), with sin(3 a) = 3 sin(a) - 4 sin(a)^3 for a = pi x / 3. */
static double lanczos(double x) {
    const double pi = 3.14159265358979323846;
    if (x < -3 || x >= 3) return 0;
    if (x == 0) return 1;
    double a = pi * x / 3, s = sin(a) / a;
    return s * s * (1 - s * s * a * a * (4.0 / 3));
}

static const struct {
    const char *name;
    double (*at)(double x);
    double radius;
} filters[] = {
    [LM_FILTER_BOX] = {"box", box, 0.5},
    [LM_FILTER_BILINEAR] = {"bilinear", bilinear, 1},
    [LM_FILTER_BICUBIC] = {"bicubic", bicubic, 2},
    [LM_FILTER_LANCZOS] = {"lanczos", lanczos, 3},
};
enum { N_FILTERS = sizeof filters / sizeof *filters };

lm_status lm_filter_find(const char *name, lm_filter *filter) {
    for (int i = 0; i < N_FILTERS; i++) {
        if (strcmp(filters[i].name, name) != 0) continue;
        *filter = (lm_filter)i;
        return LM_OK;
    }
    return lm_fail(LM_ARG, "filter '%s': expected box, bilinear, bicubic or lanczos",
                   name);
}

const char *lm_filter_name(lm_filter filter) {
    return filters[filter].name;
}

/* ---- weights ----------------------------------------------------------------- */

lm_status lm_check_new_sides(int height, int width) {
    enum { MOST_SIDE = 32768 };
    LM_RETURN_IF(height < 1 || width < 1 || height > MOST_SIDE || width > MOST_SIDE,
                 LM_ARG, "cannot resize to %d x %d pixels: sides are 1 to %d", width,
                 height, MOST_SIDE);
    return LM_OK;
}

void lm_taps_release(lm_taps *t) {
    lm_free(t->first);
    lm_free(t->count);
    lm_free(t->weight);
}

static bool reserve(lm_taps *t, int to, int most) {
    *t = (lm_taps){.most = most};
    t->first = lm_alloc((size_t)to * sizeof *t->first);
    t->count = lm_alloc((size_t)to * sizeof *t->count);
    t->weight = lm_alloc((size_t)to * (size_t)most * sizeof *t->weight);
    return t->first && t->count && t->weight;
}

/* `values` has room for `most`. */
static void fill_taps(lm_taps *t, int i, int from, double scale, lm_filter filter,
                      double *values) {
    double stretch = scale > 1 ? scale : 1, reach = filters[filter].radius * stretch;
    double centre = (i + 0.5) * scale, sum = 0;
    double lo = floor(centre - reach + 0.5), hi = floor(centre + reach + 0.5);
    int first = lo > 0 ? (int)lo : 0, end = hi < from ? (int)hi : from;
    float *weight = t->weight + (size_t)i * t->most;
    for (int k = first; k < end; k++) {
        values[k - first] = filters[filter].at((k + 0.5 - centre) / stretch);
        sum += values[k - first];
    }
    t->first[i] = first;
    t->count[i] = sum != 0 ? end - first : 0;
    for (int k = 0; k < t->count[i]; k++) weight[k] = (float)(values[k] / sum);
}

lm_status lm_taps_filter(lm_taps *t, int from, int to, lm_filter filter) {
    double scale = (double)from / to, stretch = scale > 1 ? scale : 1;
    int most = 2 * (int)ceil(filters[filter].radius * stretch) + 1;
    bool made = reserve(t, to, most);
    double *values = lm_alloc((size_t)most * sizeof *values);
    made = made && values;
    for (int i = 0; i < to && made; i++) fill_taps(t, i, from, scale, filter, values);
    lm_free(values);
    return made ? LM_OK : LM_NOMEM;
}

lm_status lm_taps_bilinear(lm_taps *t, int from, int to, bool centres) {
    if (!reserve(t, to, 2)) return LM_NOMEM;
    float scale = (float)from / (float)to;
    for (int i = 0; i < to; i++) {
        float at = centres ? scale * ((float)i + 0.5F) - 0.5F : scale * (float)i;
        if (at < 0) at = 0;
        int first = (int)at < from - 1 ? (int)at : from - 1;
        t->first[i] = first;
        t->count[i] = first < from - 1 ? 2 : 1;
        float second = t->count[i] == 2 ? at - (float)first : 0;
        t->weight[2 * i] = 1 - second;
        t->weight[2 * i + 1] = second;
    }
    return LM_OK;
}
