#include "train/drawn.h"

#include "base/mem.h"
#include "data/order.h"
#include "image/image.h"
#include "train/sheet.h"

#include <string.h>

static lm_status label_of(const lm_drawn_source *drawn, int64_t index, int32_t *label) {
    const lm_dataset *set = drawn->spec.labels_of;
    *label = lm_drawer_label(drawn->drawer);
    if (drawn->source.classes == 0 || *label >= 0) return LM_OK;
    if (!set) {
        *label = (int32_t)(index % drawn->source.classes);
        return LM_OK;
    }
    int64_t at = index % set->count;
    if (!set->endless)
        at = lm_order_at(drawn->spec.seed, index / set->count, set->count, at);
    return lm_dataset_label(set, at, label);
}

static lm_status draw_batch(lm_drawn_source *drawn, int64_t batch) {
    int size = lm_drawer_batch(drawn->drawer);
    const lm_image_source *s = &drawn->source;
    drawn->batch = -1;
    for (int i = 0; i < size; i++)
        LM_TRY(label_of(drawn, batch * size + i, &drawn->labels[i]));
    LM_TRY(lm_drawer_draw(drawn->drawer, drawn->spec.seed, batch * size, size,
                          drawn->labels, drawn->floats, drawn->spec.hook,
                          drawn->spec.user));
    lm_image_from_signed(drawn->floats, drawn->bytes,
                         (int64_t)size * s->height * s->width * s->channels);
    drawn->batch = batch;
    return LM_OK;
}

static lm_status read_drawn(const lm_image_source *source, int64_t first, int64_t count,
                            uint8_t *pixels, int32_t *labels) {
    lm_drawn_source *drawn = source->state;
    size_t image = (size_t)source->height * source->width * source->channels;
    int64_t size = lm_drawer_batch(drawn->drawer);
    while (count > 0) {
        int64_t at = first % size, now = size - at < count ? size - at : count;
        if (drawn->batch != first / size) LM_TRY(draw_batch(drawn, first / size));
        memcpy(pixels, drawn->bytes + (size_t)at * image, (size_t)now * image);
        if (labels) memcpy(labels, drawn->labels + at, sizeof *labels * (size_t)now);
        pixels += (size_t)now * image;
        labels = labels ? labels + now : NULL;
        first += now;
        count -= now;
    }
    return LM_OK;
}

/* "ddim steps=50 guidance=2 (w=1) labels=balanced" */
static char *protocol_text(const lm_drawn_source *drawn) {
    lm_str text = LM_STR_INIT;
    int label = lm_drawer_label(drawn->drawer);
    lm_str_append(&text, lm_drawer_sampler(drawn->drawer)->protocol);
    if (drawn->source.classes > 0 && label >= 0)
        lm_str_printf(&text, " class=%d", label);
    else if (drawn->source.classes > 0)
        lm_str_append(&text, drawn->spec.labels_of ? " labels=data" : " labels=balanced");
    if (text.failed) lm_str_release(&text);
    return text.text; /* the string's own block, handed over */
}

static lm_status check_labels(const lm_drawn_source *drawn) {
    const lm_dataset *set = drawn->spec.labels_of;
    int classes = drawn->source.classes;
    LM_RETURN_IF(set && classes > 0 && set->classes != classes, LM_MISMATCH,
                 "%s: a model of %d classes, but %s has %d", drawn->source.name, classes,
                 set->name, set->classes);
    return LM_OK;
}

lm_status lm_drawn_init(lm_drawn_source *drawn, lm_drawer *drawer, const char *name,
                        const lm_drawn_spec *spec) {
    const lm_model *model = lm_drawer_model(drawer);
    const lm_image_info *info = &model->info;
    *drawn =
        (lm_drawn_source){.source = {.name = name,
                                     .count = spec->count,
                                     .height = info->height,
                                     .width = info->width,
                                     .channels = info->channels,
                                     .classes = model->conditional ? info->classes : 0,
                                     .read = read_drawn,
                                     .state = drawn},
                          .spec = *spec,
                          .drawer = drawer,
                          .batch = -1};
    LM_TRY(check_labels(drawn));
    size_t size = (size_t)lm_drawer_batch(drawer);
    size_t values = size * (size_t)info->height * info->width * info->channels;
    drawn->floats = lm_alloc(sizeof *drawn->floats * values);
    drawn->bytes = lm_alloc(values);
    drawn->labels = lm_alloc(sizeof *drawn->labels * size);
    drawn->protocol = protocol_text(drawn);
    if (drawn->floats && drawn->bytes && drawn->labels && drawn->protocol) return LM_OK;
    lm_drawn_release(drawn);
    return LM_NOMEM;
}

void lm_drawn_release(lm_drawn_source *drawn) {
    lm_free(drawn->floats);
    lm_free(drawn->bytes);
    lm_free(drawn->labels);
    lm_free(drawn->protocol);
    *drawn = (lm_drawn_source){0};
}

void lm_drawn_forget(lm_drawn_source *drawn) {
    drawn->batch = -1;
}

lm_eval_side lm_drawn_side(const lm_drawn_source *drawn, int64_t step) {
    const lm_sampler *sampler = lm_drawer_sampler(drawn->drawer);
    return (lm_eval_side){.source = &drawn->source,
                          .spec = drawn->source.name,
                          .available = drawn->source.count,
                          .seed = drawn->spec.seed,
                          .quantisation = LM_DRAWN_QUANTISATION,
                          .weights = lm_drawer_is_raw(drawn->drawer) ? "raw" : "ema",
                          .step = step,
                          .sampler = drawn->protocol,
                          .steps = sampler->n_steps,
                          .nfe = sampler->nfe};
}

lm_status lm_drawn_sheet(const lm_drawn_source *drawn, const char *path,
                         const char *text) {
    const lm_image_source *s = &drawn->source;
    uint8_t *pixels = lm_alloc((size_t)s->count * s->height * s->width * s->channels);
    int32_t *labels = lm_alloc(sizeof *labels * (size_t)s->count);
    lm_status status = pixels && labels ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = lm_source_read(s, 0, s->count, pixels, labels);
    if (status == LM_OK) status = lm_sheet_write(s, pixels, labels, s->count, path, text);
    lm_free(labels);
    lm_free(pixels);
    return status;
}
