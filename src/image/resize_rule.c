#include "image/resize_rule.h"

#include "base/mem.h"
#include "image/taps_internal.h"

#include <string.h>

const char *lm_resize_rule_name(lm_resize_rule rule) {
    static const char *const names[] = {[LM_RESIZE_TENSORFLOW] = "legacy_tensorflow",
                                        [LM_RESIZE_PYTORCH] = "legacy_pytorch",
                                        [LM_RESIZE_CLEAN] = "clean"};
    return names[rule];
}

static lm_status make_taps(lm_taps *t, int from, int to, lm_resize_rule rule) {
    if (rule == LM_RESIZE_CLEAN) return lm_taps_filter(t, from, to, LM_FILTER_BICUBIC);
    return lm_taps_bilinear(t, from, to, rule == LM_RESIZE_PYTORCH);
}

/* All rows of the image, resized across. */
static void resize_rows(const lm_image *from, const lm_taps *t, int width, float *to) {
    int channels = from->channels;
    for (int y = 0; y < from->height; y++) {
        const uint8_t *row = from->pixels + (size_t)y * from->width * channels;
        for (int x = 0; x < width; x++) {
            const float *weight = t->weight + (size_t)x * t->most;
            const uint8_t *first = row + (size_t)t->first[x] * channels;
            for (int c = 0; c < channels; c++) {
                float sum = 0;
                for (int k = 0; k < t->count[x]; k++)
                    sum += weight[k] * first[k * channels + c];
                *to++ = sum;
            }
        }
    }
}

static void resize_columns(const float *rows, const lm_taps *t, int height, size_t pitch,
                           float *to) {
    for (int y = 0; y < height; y++, to += pitch) {
        const float *weight = t->weight + (size_t)y * t->most;
        const float *row = rows + (size_t)t->first[y] * pitch;
        memset(to, 0, pitch * sizeof *to);
        for (int k = 0; k < t->count[y]; k++, row += pitch)
            for (size_t i = 0; i < pitch; i++) to[i] += weight[k] * row[i];
    }
}

lm_status lm_resize_floats(const lm_image *from, int height, int width,
                           lm_resize_rule rule, float *to) {
    LM_TRY(lm_check_new_sides(height, width));
    size_t pitch = (size_t)width * from->channels, count = pitch * height;
    lm_taps across = {0}, down = {0};
    float *rows = lm_alloc((size_t)from->height * pitch * sizeof *rows);
    lm_status status = rows ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = make_taps(&across, from->width, width, rule);
    if (status == LM_OK) status = make_taps(&down, from->height, height, rule);
    if (status == LM_OK) {
        resize_rows(from, &across, width, rows);
        resize_columns(rows, &down, height, pitch, to);
        for (size_t i = 0; i < count; i++)
            to[i] = to[i] < 0 ? 0 : to[i] > 255 ? 255 : to[i];
    }
    lm_taps_release(&across);
    lm_taps_release(&down);
    lm_free(rows);
    return status;
}
