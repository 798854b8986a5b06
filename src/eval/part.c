#include "eval/part.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

lm_eval_part lm_eval_part_of(const lm_eval_side *side, int64_t count, const char *role,
                             lm_extractor *extractor, const lm_cache *cache) {
    lm_eval_part part = {.role = role,
                         .side = *side,
                         .source = *side->source,
                         .extractor = extractor,
                         .cache = cache};
    if (count > 0 && count < part.source.count) part.source.count = count;
    return part;
}

void lm_eval_part_release(lm_eval_part *part) {
    lm_features_release(&part->features);
    lm_moments_release(&part->moments);
    lm_manifold_release(&part->manifold);
    lm_free(part->predicted);
    lm_free(part->pixels);
    lm_free(part->labels);
    lm_free(part->floats);
    *part = (lm_eval_part){0};
}

int lm_eval_part_size(const lm_eval_part *part) {
    return part->source.height * part->source.width * part->source.channels;
}

/* ---- the cache --------------------------------------------------------------- */

bool lm_eval_part_key(const lm_eval_part *part, lm_str *key) {
    const lm_eval_side *side = &part->side;
    lm_cache_key_add(key, "set", "%016" PRIx64, side->hash);
    if (!side->source) return true; /* statistics: the hash says it all */
    lm_cache_key_add(key, "split", "%s", side->split ? side->split : "");
    lm_cache_key_add(key, "available", "%" PRId64, side->available);
    lm_cache_key_add(key, "drawn", "%" PRId64, side->source->count);
    lm_cache_key_add(key, "images", "%" PRId64, part->source.count);
    lm_cache_key_add(key, "seed", "%" PRIu64, side->seed);
    lm_cache_key_add(key, "resize", "%s", side->resize ? side->resize : "");
    return side->hash != 0;
}

void lm_eval_extractor_key(const lm_extractor *extractor, lm_str *key) {
    lm_cache_key_add(key, "extractor", "%s", extractor->id);
    lm_cache_key_add(key, "weights", "%s", extractor->weights);
    lm_cache_key_add(key, "input", "%s", extractor->input);
}

/* False: it is not known which images these are, or there is no cache. */
static bool make_key(const lm_eval_part *part, const char *of, lm_str *key) {
    if (!part->cache || !lm_eval_part_key(part, key)) return false;
    lm_eval_extractor_key(part->extractor, key);
    lm_cache_key_add(key, "of", "%s", of);
    return lm_str_text(key) != NULL;
}

/* A copy of a tensor; NULL: it is not there, or not what was expected. */
static void *copy_tensor(const lm_safetensors *file, const char *name, lm_dtype dtype,
                         lm_shape shape) {
    void *copy = lm_alloc((size_t)lm_shape_count(shape) * lm_dtype_size(dtype));
    if (copy && lm_safetensors_read(file, name, dtype, shape, copy) == LM_OK) return copy;
    lm_free(copy);
    return NULL;
}

static bool recall_features(lm_eval_part *part, const char *key) {
    lm_safetensors file;
    lm_features f = {.count = part->source.count,
                     .dim = part->extractor->dim,
                     .classes = part->extractor->classes};
    if (!lm_cache_find(part->cache, key, &file)) return false;
    f.x = copy_tensor(&file, "features", LM_F32, LM_SHAPE(f.count, f.dim));
    f.labels = copy_tensor(&file, "labels", LM_I32, LM_SHAPE(f.count));
    if (f.classes)
        f.logits = copy_tensor(&file, "logits", LM_F32, LM_SHAPE(f.count, f.classes));
    lm_safetensors_release(&file);
    bool whole = f.x && f.labels && (f.logits || !f.classes);
    if (whole)
        part->features = f;
    else
        lm_features_release(&f);
    return whole;
}

static void keep_features(const lm_eval_part *part, const char *key) {
    const lm_features *f = &part->features;
    lm_st_entry entries[] = {{.name = "features",
                              .dtype = LM_F32,
                              .shape = LM_SHAPE(f->count, f->dim),
                              .data = f->x},
                             {.name = "labels",
                              .dtype = LM_I32,
                              .shape = LM_SHAPE(f->count),
                              .data = f->labels},
                             {.name = "logits",
                              .dtype = LM_F32,
                              .shape = LM_SHAPE(f->count, f->classes),
                              .data = f->logits}};
    lm_cache_put(part->cache, key, entries, f->classes ? 3 : 2);
}

static bool recall_moments(lm_eval_part *part, const char *key) {
    lm_safetensors file;
    int dim = part->extractor->dim;
    if (!lm_cache_find(part->cache, key, &file)) return false;
    lm_moments m = {.dim = dim,
                    .count = part->source.count,
                    .mean = copy_tensor(&file, "mean", LM_F64, LM_SHAPE(dim)),
                    .covariance =
                        copy_tensor(&file, "covariance", LM_F64, LM_SHAPE(dim, dim))};
    lm_safetensors_release(&file);
    bool whole = m.mean && m.covariance;
    if (whole)
        part->moments = m;
    else
        lm_moments_release(&m);
    return whole;
}

static void keep_moments(const lm_eval_part *part, const char *key) {
    const lm_moments *m = &part->moments;
    lm_st_entry entries[] = {
        {.name = "mean", .dtype = LM_F64, .shape = LM_SHAPE(m->dim), .data = m->mean},
        {.name = "covariance",
         .dtype = LM_F64,
         .shape = LM_SHAPE(m->dim, m->dim),
         .data = m->covariance}};
    lm_cache_put(part->cache, key, entries, 2);
}

/* ---- what is worked out ------------------------------------------------------ */

lm_status lm_eval_part_features(lm_eval_part *part, const lm_metric_hook *hook) {
    if (part->features.x) return LM_OK;
    lm_str key = LM_STR_INIT;
    bool keeps = make_key(part, "features", &key);
    lm_status status = LM_OK;
    if (!keeps || !recall_features(part, key.text)) {
        status = lm_features_extract(part->extractor, &part->source, 0,
                                     part->source.count, hook, &part->features);
        if (status == LM_OK && keeps) keep_features(part, key.text);
    }
    lm_str_release(&key);
    return status;
}

lm_status lm_eval_part_moments(lm_eval_part *part, const lm_metric_hook *hook) {
    if (part->moments.dim) return LM_OK;
    lm_str key = LM_STR_INIT;
    bool keeps = make_key(part, "moments", &key);
    lm_status status = LM_OK;
    if (!keeps || !recall_moments(part, key.text)) {
        status = lm_eval_part_features(part, hook);
        if (status == LM_OK)
            status = lm_moments_of(part->features.x, NULL, part->features.count,
                                   part->features.dim, hook, &part->moments);
        if (status == LM_OK && keeps) keep_moments(part, key.text);
    }
    lm_str_release(&key);
    return status;
}

lm_status lm_eval_part_predicted(lm_eval_part *part, const lm_metric_hook *hook) {
    if (part->predicted) return LM_OK;
    LM_TRY(lm_eval_part_features(part, hook));
    const lm_features *f = &part->features;
    LM_RETURN_IF(!f->logits, LM_ARG, "%s: gives features, but no classes",
                 part->extractor->id);
    part->predicted = lm_alloc(sizeof *part->predicted * (size_t)f->count);
    if (!part->predicted) return LM_NOMEM;
    for (int64_t i = 0; i < f->count; i++) {
        const float *row = f->logits + i * f->classes;
        int best = 0;
        for (int c = 1; c < f->classes; c++)
            if (row[c] > row[best]) best = c;
        part->predicted[i] = best;
    }
    return LM_OK;
}

lm_status lm_eval_part_pixels(lm_eval_part *part, const lm_metric_hook *hook) {
    enum { BLOCK = 64 };
    if (part->pixels) return LM_OK;
    size_t size = (size_t)lm_eval_part_size(part);
    int64_t count = part->source.count, now;
    uint8_t *pixels = lm_alloc(size * (size_t)count);
    int32_t *labels = lm_alloc(sizeof *labels * (size_t)count);
    lm_status status = pixels && labels ? LM_OK : LM_NOMEM;
    for (int64_t done = 0; done < count && status == LM_OK; done += now) {
        now = count - done < BLOCK ? count - done : BLOCK;
        status = lm_source_read(&part->source, done, now, pixels + size * (size_t)done,
                                labels + done);
        if (status == LM_OK)
            status =
                lm_metric_progress(hook, "pixels", (double)(done + now) / (double)count);
    }
    if (status == LM_OK) {
        part->pixels = pixels;
        part->labels = labels;
    } else {
        lm_free(pixels);
        lm_free(labels);
    }
    return status;
}

static lm_status read_held(const lm_image_source *source, int64_t first, int64_t count,
                           uint8_t *pixels, int32_t *labels) {
    const lm_eval_part *part = source->state;
    size_t size = (size_t)lm_eval_part_size(part), n = (size_t)count;
    memcpy(pixels, part->pixels + size * (size_t)first, size * n);
    if (labels) memcpy(labels, part->labels + first, sizeof *labels * n);
    return LM_OK;
}

lm_status lm_eval_part_hold(lm_eval_part *part, const lm_metric_hook *hook) {
    const int64_t most = (int64_t)1 << 30;
    if (part->source.count > most / lm_eval_part_size(part)) return LM_OK;
    LM_TRY(lm_eval_part_pixels(part, hook));
    part->source.read = read_held;
    part->source.state = part;
    return LM_OK;
}

lm_status lm_eval_part_floats(lm_eval_part *part, const lm_metric_hook *hook) {
    if (part->floats) return LM_OK;
    LM_TRY(lm_eval_part_pixels(part, hook));
    size_t total = (size_t)lm_eval_part_size(part) * (size_t)part->source.count;
    part->floats = lm_alloc(sizeof(float) * total);
    if (!part->floats) return LM_NOMEM;
    for (size_t i = 0; i < total; i++)
        part->floats[i] = (float)part->pixels[i] * (1.0F / 255);
    return LM_OK;
}
