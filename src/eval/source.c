#include "eval/source.h"

#include "data/order.h"

#include <inttypes.h>

lm_status lm_source_read(const lm_image_source *source, int64_t first, int64_t count,
                         uint8_t *pixels, int32_t *labels) {
    LM_RETURN_IF(first < 0 || count < 0 || first > source->count - count, LM_ARG,
                 "%s: images %" PRId64 " to %" PRId64 " of %" PRId64, source->name, first,
                 first + count - 1, source->count);
    return source->read(source, first, count, pixels, labels);
}

int64_t lm_source_index(const lm_image_source *source, int64_t place) {
    return source->index_of ? source->index_of(source, place) : place;
}

bool lm_source_alike(const lm_image_source *a, const lm_image_source *b) {
    return a->height == b->height && a->width == b->width && a->channels == b->channels;
}

static int64_t index_in_set(const lm_image_source *source, int64_t place) {
    const lm_set_source *from = source->state;
    return from->shuffled ? lm_order_at(from->seed, 0, from->set->count, place) : place;
}

static lm_status read_set(const lm_image_source *source, int64_t first, int64_t count,
                          uint8_t *pixels, int32_t *labels) {
    const lm_set_source *from = source->state;
    size_t size = (size_t)source->height * source->width * source->channels;
    for (int64_t i = 0; i < count; i++) {
        int64_t index = index_in_set(source, first + i);
        int32_t label;
        LM_TRY(from->set->get(from->set, index, pixels + (size_t)i * size, &label));
        if (labels) labels[i] = label;
    }
    return LM_OK;
}

lm_status lm_set_source_init(lm_set_source *from, const lm_dataset *set, int64_t n,
                             uint64_t seed) {
    LM_RETURN_IF(!set->get, LM_FORMAT,
                 "%s: images differ in size; size=PX in the SPEC makes them alike",
                 set->name);
    bool part = n > 0 && n < set->count;
    *from = (lm_set_source){.source = {.name = set->name,
                                       .count = part ? n : set->count,
                                       .height = set->height,
                                       .width = set->width,
                                       .channels = set->channels,
                                       .classes = set->classes,
                                       .read = read_set,
                                       .index_of = index_in_set,
                                       .class_names = set->class_names,
                                       .state = from},
                            .set = set,
                            .seed = seed,
                            .shuffled = part && !set->endless};
    return LM_OK;
}

int64_t lm_reference_count(const lm_dataset *set) {
    enum { MOST = 50000, ENDLESS = 10000 };
    if (set->endless) return ENDLESS;
    return set->count > MOST ? MOST : 0;
}

lm_status lm_held_out_open(const char *spec, const lm_dataset *train, lm_dataset **set) {
    *set = NULL;
    lm_dataset *opened;
    lm_status status = lm_dataset_open(spec, LM_SPLIT_TEST, &opened);
    if (status == LM_NOMEM) return status;
    if (status != LM_OK) return LM_OK;
    /* A SPEC may name its split, and a folder may have but one. */
    if (opened->hash == train->hash)
        lm_dataset_free(opened);
    else
        *set = opened;
    return LM_OK;
}
