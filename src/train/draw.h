/* Drawing samples: a family's sampler run on an engine. */
#ifndef LIMN_TRAIN_DRAW_H
#define LIMN_TRAIN_DRAW_H

#include "exec/exec.h"
#include "families/family.h"

typedef struct lm_drawer lm_drawer;

/* Called after each step, without steps after each batch as 1 of 1; returning false stops
 * with LM_INTERRUPTED. */
typedef bool (*lm_draw_hook)(void *user, int step, int steps);

typedef struct lm_drawer_spec {
    lm_sample_request request;
    int batch; /* images a run */
    bool raw;  /* from the weights themselves, not their average (".ema") */
} lm_drawer_spec;

/* Compiles the sampler. The drawer must go before the engine; drawers of one engine and
 * batch share their state's memory. */
lm_status lm_drawer_new(lm_engine *engine, const lm_model *model,
                        const lm_drawer_spec *spec, lm_drawer **drawer);
void lm_drawer_free(lm_drawer *drawer);
const lm_sampler *lm_drawer_sampler(const lm_drawer *drawer);
const lm_model *lm_drawer_model(const lm_drawer *drawer);
int lm_drawer_batch(const lm_drawer *drawer);
int lm_drawer_label(const lm_drawer *drawer); /* the request's */
bool lm_drawer_is_raw(const lm_drawer *drawer);
/* What runs once a step of sampling; without steps, what makes the images. */
lm_program *lm_drawer_step(const lm_drawer *drawer);

/* Where states come from in the place of the family's noise. */
typedef struct lm_drawer_starts {
    /* The state of image `index` of the seed, of a class or, -1, of any. */
    void (*draw)(void *user, uint64_t seed, int64_t index, int32_t label, float *state);
    void *user;
    const char *protocol; /* in place of the sampler's; copied */
} lm_drawer_starts;
lm_status lm_drawer_start_from(lm_drawer *drawer, const lm_drawer_starts *starts);

/* Images first .. first + count - 1 of the seed, whatever the batch size: f32 in [-1, 1],
 * count * h * w * c values. labels: count classes, -1 for none; NULL: the request's for
 * all. Only a conditional model takes any. */
lm_status lm_drawer_draw(lm_drawer *drawer, uint64_t seed, int64_t first, int count,
                         const int32_t *labels, float *images, lm_draw_hook hook,
                         void *user);

/* The states that these images begin with: f32, count times the sampler's state. */
lm_status lm_drawer_states(lm_drawer *drawer, uint64_t seed, int64_t first, int count,
                           const int32_t *labels, float *states);
/* As lm_drawer_draw, from states that are given. What a sampler draws on the way is of
 * `seed` and `first`. */
lm_status lm_drawer_draw_from(lm_drawer *drawer, const float *states, uint64_t seed,
                              int64_t first, int count, const int32_t *labels,
                              float *images, lm_draw_hook hook, void *user);
#endif
