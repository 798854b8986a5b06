#include "image/resize.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { MOST_SIDE = 32768 };

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

static double sinc(double x) {
    const double pi = 3.14159265358979323846;
    return x == 0 ? 1 : sin(pi * x) / (pi * x);
}

static double lanczos(double x) {
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
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

/* Result i is the sum of weight[i * most + k] * source[first[i] + k], k < count[i]. */
typedef struct taps {
    int most;
    int *first, *count;
    float *weight;
} taps;

static void release_taps(taps *t) {
    lm_free(t->first);
    lm_free(t->count);
    lm_free(t->weight);
}

static void fill_taps(taps *t, int i, int from, double scale, lm_filter filter) {
    double stretch = scale > 1 ? scale : 1, reach = filters[filter].radius * stretch;
    double centre = (i + 0.5) * scale, sum = 0;
    double lo = floor(centre - reach + 0.5), hi = floor(centre + reach + 0.5);
    int first = lo > 0 ? (int)lo : 0, end = hi < from ? (int)hi : from;
    float *weight = t->weight + (size_t)i * t->most;
    for (int k = first; k < end; k++)
        sum += filters[filter].at((k + 0.5 - centre) / stretch);
    for (int k = first; k < end && sum != 0; k++)
        *weight++ = (float)(filters[filter].at((k + 0.5 - centre) / stretch) / sum);
    t->first[i] = first;
    t->count[i] = sum != 0 ? end - first : 0;
}

static lm_status make_taps(taps *t, int from, int to, lm_filter filter) {
    double scale = (double)from / to, stretch = scale > 1 ? scale : 1;
    *t = (taps){.most = 2 * (int)ceil(filters[filter].radius * stretch) + 1};
    t->first = lm_alloc((size_t)to * sizeof *t->first);
    t->count = lm_alloc((size_t)to * sizeof *t->count);
    t->weight = lm_alloc((size_t)to * t->most * sizeof *t->weight);
    if (!t->first || !t->count || !t->weight) return LM_NOMEM;
    for (int i = 0; i < to; i++) fill_taps(t, i, from, scale, filter);
    return LM_OK;
}

/* ---- passes ------------------------------------------------------------------ */

static float clip(float x) {
    return x < 0 ? 0 : x > 255 ? 255 : x;
}

static void resize_row(const taps *t, const uint8_t *from, int channels, int width,
                       float *to) {
    for (int x = 0; x < width; x++)
        for (int c = 0; c < channels; c++) {
            const uint8_t *pixel = from + (size_t)t->first[x] * channels + c;
            const float *weight = t->weight + (size_t)x * t->most;
            float sum = 0;
            for (int k = 0; k < t->count[x]; k++)
                sum += weight[k] * (float)pixel[(size_t)k * channels];
            *to++ = clip(sum);
        }
}

/* One row of results from the ring of rows of the first pass. */
static void resize_column(const taps *t, int y, const float *ring, size_t row,
                          float *sums, uint8_t *to) {
    memset(sums, 0, row * sizeof *sums);
    for (int k = 0; k < t->count[y]; k++) {
        const float *from = ring + (size_t)((t->first[y] + k) % t->most) * row;
        float weight = t->weight[(size_t)y * t->most + k];
        for (size_t i = 0; i < row; i++) sums[i] += weight * from[i];
    }
    for (size_t i = 0; i < row; i++) to[i] = (uint8_t)(clip(sums[i]) + 0.5f);
}

/* Rows of the first pass are made when the second first needs them, and kept as long as
 * it may. */
static lm_status run_passes(const lm_image *from, const taps *across, const taps *down,
                            lm_image *to) {
    size_t row = (size_t)to->width * to->channels;
    size_t line = (size_t)from->width * from->channels;
    float *ring = lm_alloc(((size_t)down->most + 1) * row * sizeof *ring);
    if (!ring) return LM_NOMEM;
    for (int y = 0, made = 0; y < to->height; y++) {
        for (; made < down->first[y] + down->count[y]; made++)
            resize_row(across, from->pixels + (size_t)made * line, from->channels,
                       to->width, ring + (size_t)(made % down->most) * row);
        resize_column(down, y, ring, row, ring + (size_t)down->most * row,
                      to->pixels + (size_t)y * row);
    }
    lm_free(ring);
    return LM_OK;
}

lm_status lm_image_resize(const lm_image *from, int height, int width, lm_filter filter,
                          lm_image *to) {
    LM_RETURN_IF(height < 1 || width < 1 || height > MOST_SIDE || width > MOST_SIDE,
                 LM_ARG, "cannot resize to %d x %d pixels: sides are 1 to %d", width,
                 height, MOST_SIDE);
    taps across = {0}, down = {0};
    lm_image made = {0};
    lm_status status;
    LM_TRY_GOTO(done, lm_image_init(&made, width, height, from->channels));
    LM_TRY_GOTO(done, make_taps(&across, from->width, width, filter));
    LM_TRY_GOTO(done, make_taps(&down, from->height, height, filter));
    LM_TRY_GOTO(done, run_passes(from, &across, &down, &made));
    *to = made;
    made = (lm_image){0};
done:
    release_taps(&across);
    release_taps(&down);
    lm_image_release(&made);
    return status;
}
