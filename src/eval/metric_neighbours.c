/* The training images that are nearest to what is judged: by features, and by pixels. */
#include "eval/metric.h"

#include "base/json.h"
#include "base/mem.h"
#include "metrics/neighbours.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 256 << 20 }; /* of training images as floats at once */

/* Vectors of what is judged, and a way to have those of training images, some at a time.
 */
typedef struct space {
    const float *x; /* [n][dim] */
    int64_t n, train;
    int dim;
    lm_status (*block)(lm_eval_context *context, int64_t first, int64_t count,
                       float *block, const float **at); /* block: [count][dim] */
    bool copies;                                        /* `block` wants the room */
} space;

/* ---- search ------------------------------------------------------------------ */

/* Puts the neighbours of a block, whose first index is `first`, among those so far. Both
 * are sorted, and at equal distances earlier blocks have the smaller index. */
static void merge(lm_neighbours *all, const lm_neighbours *block, int64_t first,
                  int32_t *index, double *squared) {
    int m = all->m;
    for (int64_t i = 0; i < all->count; i++) {
        int32_t *to_index = all->index + i * m;
        double *to = all->squared + i * m;
        const double *from = block->squared + i * block->m;
        for (int j = 0, a = 0, b = 0; j < m; j++) {
            bool old = b >= block->m || to[a] <= from[b];
            index[j] =
                old ? to_index[a] : (int32_t)(first + block->index[i * block->m + b]);
            squared[j] = old ? to[a++] : from[b++];
        }
        memcpy(to_index, index, sizeof *index * (size_t)m);
        memcpy(to, squared, sizeof *squared * (size_t)m);
    }
}

static lm_status allocate(int64_t n, int m, lm_neighbours *all) {
    size_t total = (size_t)n * (size_t)m;
    *all = (lm_neighbours){.count = n, .m = m};
    all->index = lm_alloc(sizeof *all->index * total);
    all->squared = lm_alloc(sizeof *all->squared * total);
    if (!all->index || !all->squared) return LM_NOMEM;
    for (size_t i = 0; i < total; i++) all->squared[i] = INFINITY;
    return LM_OK;
}

static lm_status search_block(lm_eval_context *context, const space *s, int64_t first,
                              int64_t count, float *room, int32_t *index, double *squared,
                              lm_neighbours *all) {
    const float *at = room;
    lm_neighbours found;
    lm_metric_section section;
    const lm_metric_hook *hook = lm_metric_section_begin(
        &section, &context->within, (double)first / (double)s->train,
        (double)count / (double)s->train);
    int m = all->m < count ? all->m : (int)count;
    LM_TRY(s->block(context, first, count, room, &at));
    LM_TRY(lm_neighbours_find(s->x, s->n, at, count, s->dim, m, hook, &found));
    merge(all, &found, first, index, squared);
    lm_neighbours_release(&found);
    return LM_OK;
}

/* The m nearest training images of each of the first s->n judged ones. */
static lm_status search(lm_eval_context *context, const space *s, int m,
                        lm_neighbours *all) {
    int64_t most = BLOCK_BYTES / ((int64_t)sizeof(float) * s->dim);
    if (most > s->train || !s->copies) most = s->train;
    if (most < 1) most = 1;
    float *room =
        s->copies ? lm_alloc(sizeof(float) * (size_t)most * (size_t)s->dim) : NULL;
    int32_t *index = lm_alloc(sizeof *index * (size_t)m);
    double *squared = lm_alloc(sizeof *squared * (size_t)m);
    lm_status status = allocate(s->n, m, all);
    if (!index || !squared || (s->copies && !room)) status = LM_NOMEM;
    for (int64_t first = 0; first < s->train && status == LM_OK; first += most) {
        int64_t count = s->train - first < most ? s->train - first : most;
        status = search_block(context, s, first, count, room, index, squared, all);
    }
    lm_free(room);
    lm_free(index);
    lm_free(squared);
    if (status != LM_OK) lm_neighbours_release(all);
    return status;
}

/* ---- what is said of them ---------------------------------------------------- */

/* The closest of all first, then others as they come. */
static void choose_rows(const lm_neighbours *nearest, int rows, int64_t *chosen) {
    int closest = rows < LM_EVAL_CLOSEST ? rows : LM_EVAL_CLOSEST;
    for (int r = 0; r < closest; r++) {
        int64_t best = -1;
        for (int64_t i = 0; i < nearest->count; i++) {
            bool taken = false;
            for (int q = 0; q < r; q++) taken = taken || chosen[q] == i;
            if (!taken && (best < 0 || nearest->squared[i * nearest->m] <
                                           nearest->squared[best * nearest->m]))
                best = i;
        }
        chosen[r] = best;
    }
    int64_t next = 0;
    for (int r = closest; r < rows; r++) {
        for (int q = 0; q < r; q++)
            if (chosen[q] == next) next++, q = -1;
        chosen[r] = next;
    }
}

/* Images by their index in the set, beside their place among those of this evaluation. */
static json_t *row_json(const lm_eval_context *context, const lm_neighbours *found,
                        int64_t image) {
    const lm_image_source *train = context->train->side.source;
    json_t *list = json_array();
    for (int j = 0; j < found->m; j++) {
        int32_t place = found->index[image * found->m + j];
        json_array_append_new(
            list, json_pack("{s:I, s:i, s:f}", "index",
                            (json_int_t)lm_source_index(train, place), "place", place,
                            "distance", sqrt(found->squared[image * found->m + j])));
    }
    int64_t index = lm_source_index(context->generated->side.source, image);
    return json_pack("{s:I, s:I, s:o}", "image", (json_int_t)index, "place",
                     (json_int_t)image, "neighbours", list);
}

static lm_status add_rows(const lm_eval_context *context, const lm_neighbours *found,
                          lm_eval_result *result) {
    int64_t chosen[LM_EVAL_ROWS];
    int rows = LM_EVAL_ROWS < found->count ? LM_EVAL_ROWS : (int)found->count;
    json_t *list = json_array();
    result->detail = json_pack("{s:o}", "rows", list);
    if (!result->detail) return LM_NOMEM;
    choose_rows(found, rows, chosen);
    for (int r = 0; r < rows; r++)
        LM_TRY(lm_json_put(list, NULL, row_json(context, found, chosen[r])));
    return LM_OK;
}

static lm_status summarise(const lm_eval_context *context, const lm_neighbours *found,
                           lm_eval_result *result) {
    double *nearest = lm_alloc(sizeof *nearest * (size_t)found->count);
    int64_t equal = 0;
    if (!nearest) return LM_NOMEM;
    for (int64_t i = 0; i < found->count; i++) {
        nearest[i] = sqrt(found->squared[i * found->m]);
        equal += nearest[i] == 0;
    }
    lm_estimate mean = lm_estimate_mean(nearest, found->count);
    lm_free(nearest);
    result->value = mean.value;
    result->error = mean.error;
    result->error_from = "scatter of images";
    if (equal)
        snprintf(result->note, sizeof result->note, "%" PRId64 " equal a training image",
                 equal);
    return context->is_floor ? LM_OK : add_rows(context, found, result);
}

static lm_status measure(lm_eval_context *context, const space *s,
                         lm_eval_result *result) {
    int m = context->is_floor ? 1 : LM_EVAL_NEIGHBOURS;
    lm_neighbours found;
    if (m > s->train) m = (int)s->train;
    LM_TRY(search(context, s, m, &found));
    lm_status status = summarise(context, &found, result);
    lm_neighbours_release(&found);
    return status;
}

/* ---- by features ------------------------------------------------------------- */

static lm_status feature_block(lm_eval_context *context, int64_t first, int64_t count,
                               float *block, const float **at) {
    const lm_features *f = &context->train->features;
    *at = f->x + first * f->dim;
    return LM_OK;
}

static lm_status measure_features(lm_eval_context *context, lm_eval_result *result) {
    LM_TRY(lm_eval_need_features(context, context->generated));
    LM_TRY(lm_eval_need_features(context, context->train));
    const lm_features *f = &context->generated->features;
    space s = {.x = f->x,
               .n = f->count,
               .dim = f->dim,
               .train = context->train->features.count,
               .block = feature_block};
    return measure(context, &s, result);
}

const lm_eval_metric lm_neighbours_metric = {
    .name = "neighbours",
    .help = "mean distance to the nearest training image, by features",
    .needs = LM_NEED_FEATURES | LM_NEED_TRAIN,
    .better = LM_BETTER_NEITHER,
    .has_floor = true,
    .digits = 4,
    .measure = measure_features};

/* ---- by pixels --------------------------------------------------------------- */

static lm_status pixel_block(lm_eval_context *context, int64_t first, int64_t count,
                             float *block, const float **at) {
    const lm_image_source *source = &context->train->source;
    int size = lm_eval_part_size(context->train);
    uint8_t *pixels = lm_alloc((size_t)size);
    lm_status status = pixels ? LM_OK : LM_NOMEM;
    for (int64_t i = 0; i < count && status == LM_OK; i++) {
        status = lm_source_read(source, first + i, 1, pixels, NULL);
        for (int k = 0; k < size && status == LM_OK; k++)
            block[i * size + k] = (float)pixels[k] * (1.0F / 255);
    }
    lm_free(pixels);
    *at = block;
    return status;
}

static lm_status measure_pixels(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_part *part = context->generated;
    LM_TRY(lm_eval_need_floats(context, part));
    space s = {.x = part->floats,
               .n = part->source.count,
               .dim = lm_eval_part_size(part),
               .train = context->train->source.count,
               .block = pixel_block,
               .copies = true};
    return measure(context, &s, result);
}

const lm_eval_metric lm_pixel_neighbours_metric = {
    .name = "pixel_neighbours",
    .help = "mean distance to the nearest training image, by pixels from 0 to 1",
    .needs = LM_NEED_TRAIN,
    .better = LM_BETTER_NEITHER,
    .has_floor = true,
    .digits = 4,
    .measure = measure_pixels};
