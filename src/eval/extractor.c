#include "eval/extractor.h"

#include "base/mem.h"

#include <string.h>

const lm_extractor_kind *const lm_extractor_kinds[] = {
    &lm_judge_extractor, &lm_pixels_extractor, &lm_inception_extractor,
    &lm_vgg16_extractor, NULL};

enum { MAX_NAMES = 16, MAX_NAME = 32 };

static lm_status find_kind(const char *name, const lm_extractor_kind **kind) {
    const char *names[MAX_NAMES + 1] = {NULL};
    for (int i = 0; lm_extractor_kinds[i]; i++) {
        *kind = lm_extractor_kinds[i];
        if (strcmp((*kind)->name, name) == 0) return LM_OK;
        if (i < MAX_NAMES) names[i] = (*kind)->name;
    }
    const char *near = lm_nearest(name, names);
    return lm_fail(LM_NOT_FOUND, "%s: no such extractor; did you mean %s", name,
                   near ? near : names[0]);
}

lm_status lm_extractor_open(const char *spec, const lm_image_source *source,
                            lm_extractor **extractor) {
    char name[MAX_NAME];
    const char *colon = strchr(spec, ':');
    size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
    LM_RETURN_IF(length >= sizeof name, LM_NOT_FOUND, "%s: no such extractor", spec);
    memcpy(name, spec, length);
    name[length] = 0;
    const lm_extractor_kind *kind;
    LM_TRY(find_kind(name, &kind));
    lm_extractor *opened = lm_calloc(1, sizeof *opened);
    if (!opened) return LM_NOMEM;
    lm_status status = kind->open(colon ? colon + 1 : NULL, source, opened);
    if (status == LM_OK)
        *extractor = opened;
    else
        lm_extractor_free(opened);
    return status;
}

void lm_extractor_free(lm_extractor *extractor) {
    if (!extractor) return;
    if (extractor->release) extractor->release(extractor);
    lm_free(extractor->id);
    lm_free(extractor->weights);
    lm_free(extractor->input);
    lm_free(extractor);
}

void lm_extractor_describe(const lm_extractor *extractor, lm_str *line) {
    bool weights = *extractor->weights;
    int length = (int)(weights ? strcspn(extractor->id, ":") : strlen(extractor->id));
    lm_str_printf(line, "%.*s; %s", length, extractor->id, extractor->input);
    if (weights) lm_str_printf(line, "; weights %s", extractor->weights);
}

static lm_status allocate(const lm_extractor *extractor, int64_t count,
                          lm_features *features) {
    *features = (lm_features){
        .count = count, .dim = extractor->dim, .classes = extractor->classes};
    features->x = lm_alloc(sizeof(float) * (size_t)count * (size_t)extractor->dim);
    features->labels = lm_alloc(sizeof(int32_t) * (size_t)count);
    if (extractor->classes > 0)
        features->logits =
            lm_alloc(sizeof(float) * (size_t)count * (size_t)extractor->classes);
    bool whole =
        features->x && features->labels && (features->logits || extractor->classes == 0);
    return whole ? LM_OK : LM_NOMEM;
}

static lm_status extract(lm_extractor *extractor, const lm_image_source *source,
                         int64_t first, const lm_metric_hook *hook, uint8_t *pixels,
                         lm_features *to) {
    for (int64_t done = 0; done < to->count;) {
        int64_t now = to->count - done;
        if (now > extractor->batch) now = extractor->batch;
        LM_TRY(lm_source_read(source, first + done, now, pixels, to->labels + done));
        LM_TRY(extractor->extract(extractor, pixels, now, source->height, source->width,
                                  source->channels, to->x + done * to->dim,
                                  to->logits ? to->logits + done * to->classes : NULL));
        done += now;
        LM_TRY(lm_metric_progress(hook, "features", (double)done / (double)to->count));
    }
    return LM_OK;
}

lm_status lm_features_extract(lm_extractor *extractor, const lm_image_source *source,
                              int64_t first, int64_t count, const lm_metric_hook *hook,
                              lm_features *features) {
    size_t size = (size_t)source->height * source->width * source->channels;
    uint8_t *pixels = lm_alloc(size * (size_t)extractor->batch);
    lm_status status = pixels ? allocate(extractor, count, features) : LM_NOMEM;
    if (status == LM_OK)
        status = extract(extractor, source, first, hook, pixels, features);
    lm_free(pixels);
    if (status != LM_OK) lm_features_release(features);
    return status;
}

void lm_features_release(lm_features *features) {
    lm_free(features->x);
    lm_free(features->logits);
    lm_free(features->labels);
    *features = (lm_features){0};
}
