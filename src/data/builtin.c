#include "data/builtin.h"

#include "base/mem.h"
#include "data/data_internal.h"
#include "data/relabel.h"

#include <string.h>

const lm_builtin *const lm_builtin_sets[] = {&lm_digits, &lm_digits_m, &lm_shapes,
                                             &lm_faces, NULL};

enum { STREAM_TRAIN = 20, STREAM_TEST = 21 };

typedef struct builtin_state {
    const lm_builtin *what;
    uint32_t stream;
    const char *names[LM_MAX_FACTORS];
    lm_attribute_kind kinds[LM_MAX_FACTORS];
} builtin_state;

const lm_builtin *lm_builtin_find(const char *name) {
    for (int i = 0; lm_builtin_sets[i]; i++)
        if (strcmp(lm_builtin_sets[i]->name, name) == 0) return lm_builtin_sets[i];
    return NULL;
}

/* Every factor takes one draw, so that a new kind in one changes no other. */
static float draw_factor(const lm_factor *factor, lm_rng *rng) {
    float value = (float)lm_rng_uniform(rng);
    int levels = factor->kind.levels, kind;
    if (levels == 0) return value;
    if (factor->plain == 0)
        kind = lm_attribute_part(value, levels);
    else if (value < factor->plain)
        kind = 0;
    else
        kind = 1 + lm_attribute_part((value - factor->plain) / (1 - factor->plain),
                                     levels - 1);
    return (float)kind / (float)(levels - 1);
}

/* All that is decided before the drawing. */
static lm_status begin(const lm_dataset *set, int64_t index, lm_sketch *sketch) {
    LM_RETURN_IF(index < 0 || index >= set->count, LM_ARG, "%s: no image %lld", set->name,
                 (long long)index);
    const builtin_state *state = set->state;
    const lm_builtin *what = state->what;
    *sketch = (lm_sketch){
        .rng = {.stream = state->stream, .step = what->step, .sample = (uint32_t)index},
        .label = -1,
        .side = set->width};
    if (what->classes)
        sketch->label = (int32_t)lm_rng_below(&sketch->rng, (uint32_t)what->classes);
    for (int i = 0; i < what->n_factors; i++)
        sketch->factors[i] = draw_factor(&what->factors[i], &sketch->rng);
    return LM_OK;
}

static lm_status get(const lm_dataset *set, int64_t index, uint8_t *pixels,
                     int32_t *label) {
    const builtin_state *state = set->state;
    lm_sketch sketch;
    LM_TRY(begin(set, index, &sketch));
    *label = sketch.label;
    state->what->draw(&sketch, pixels);
    return LM_OK;
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    lm_sketch sketch;
    LM_TRY(begin(set, index, &sketch));
    *label = sketch.label;
    return LM_OK;
}

static lm_status get_attributes(const lm_dataset *set, int64_t index, float *values) {
    lm_sketch sketch;
    LM_TRY(begin(set, index, &sketch));
    memcpy(values, sketch.factors, (size_t)set->n_attributes * sizeof *values);
    return LM_OK;
}

static void release(lm_dataset *set) {
    lm_free(set->state);
}

static lm_status attach_state(lm_dataset *set, const lm_builtin *what, lm_split split) {
    builtin_state *state = lm_calloc(1, sizeof *state);
    if (!state) return LM_NOMEM;
    state->what = what;
    state->stream = split == LM_SPLIT_TEST ? STREAM_TEST : STREAM_TRAIN;
    for (int i = 0; i < what->n_factors; i++) {
        state->names[i] = what->factors[i].name;
        state->kinds[i] = what->factors[i].kind;
    }
    set->state = state;
    set->release = release;
    if (what->n_factors == 0) return LM_OK;
    set->n_attributes = what->n_factors;
    set->attribute_names = state->names;
    set->attribute_kinds = state->kinds;
    set->attributes = get_attributes;
    return LM_OK;
}

/* Of all that decides the bytes. */
static uint64_t hash_of(const lm_builtin *what, lm_split split, int side) {
    uint64_t hash = lm_hash_bytes(LM_HASH_SEED, what->name, strlen(what->name));
    hash = lm_hash_word(hash, (uint64_t)what->recipe);
    hash = lm_hash_word(hash, (uint64_t)side);
    return lm_hash_word(hash, (uint64_t)split);
}

lm_status lm_builtin_open(const lm_builtin *what, lm_split split, int side,
                          lm_dataset **set) {
    LM_RETURN_IF(split != LM_SPLIT_TRAIN && split != LM_SPLIT_TEST, LM_NOT_FOUND,
                 "%s: no %s images; expected train or test", what->name,
                 lm_split_name(split));
    if (side == 0) side = what->usual;
    if (side < what->smallest) side = what->smallest;
    if (side > what->largest) side = what->largest;
    lm_str source = LM_STR_INIT;
    lm_dataset *made = NULL;
    lm_str_printf(&source, "drawn by limn, recipe %d", what->recipe);
    lm_status status =
        source.failed ? LM_NOMEM : lm_dataset_new(what->name, source.text, &made);
    lm_str_release(&source);
    if (status == LM_OK) status = attach_state(made, what, split);
    if (status != LM_OK) {
        lm_dataset_free(made);
        return status;
    }
    made->height = made->width = side;
    made->channels = what->channels;
    made->classes = what->classes;
    made->class_names = what->class_names;
    made->count = INT32_MAX;
    made->endless = true;
    made->hash = hash_of(what, split, side);
    made->get = get;
    made->label = get_label;
    *set = made;
    return LM_OK;
}
