#include "train/bound.h"

#include "base/mem.h"
#include "tensor/philox.h"
#include "train/model_graph.h"
#include "train/nats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 32, STREAM_TERM = 0x626f756e }; /* "boun": apart from other draws */

struct lm_bound_meter {
    const lm_model *model;
    lm_program *program;
    lm_bound bound;
    uint64_t seed;
    int parts;      /* of the terms after the first */
    int64_t pixels; /* values of an image */
    uint8_t *images;
    float *guess, *rows; /* of a batch */
    int32_t labels[BATCH];
    char unit[128];
};

static lm_status compile(lm_bound_meter *meter, const lm_opened_run *opened) {
    const lm_model *model = meter->model;
    lm_model_graph mg;
    LM_TRY(lm_model_graph_begin(&mg, model, opened->raw));
    lm_model_graph_key(&mg);
    lm_node *images = lm_model_graph_images(&mg, BATCH);
    lm_node *labels = lm_model_graph_labels(&mg, BATCH);
    lm_node *rows =
        lm_input(mg.nn.graph, "rows", LM_F32, LM_SHAPE(BATCH, meter->bound.n_scalars));
    lm_graph_output(mg.nn.graph, "guess",
                    model->family->bound_guess(model, &mg.nn, images, rows, labels));
    return lm_model_graph_end(&mg, opened->engine, &meter->program);
}

static lm_status open_meter(lm_bound_meter *meter, const lm_opened_run *opened,
                            int terms) {
    const lm_image_info *info = &meter->model->info;
    LM_TRY(meter->model->family->bound(meter->model, &meter->bound));
    int others = meter->bound.n_terms - 1;
    meter->parts = terms > 0 && terms < others ? terms : others;
    meter->pixels = (int64_t)info->height * info->width * info->channels;
    snprintf(meter->unit, sizeof meter->unit, "bits/dim, bound by 1+%d of %d terms, %s",
             meter->parts, meter->bound.n_terms, meter->bound.protocol);
    size_t values = BATCH * (size_t)meter->pixels;
    meter->images = lm_calloc(values, 1);
    meter->guess = lm_alloc(sizeof(float) * values);
    meter->rows = lm_alloc(sizeof(float) * BATCH * (size_t)meter->bound.n_scalars);
    if (!meter->images || !meter->guess || !meter->rows) return LM_NOMEM;
    return compile(meter, opened);
}

lm_status lm_bound_meter_new(const lm_opened_run *opened, int terms, uint64_t seed,
                             lm_bound_meter **meter) {
    const lm_model *model = opened->model;
    LM_RETURN_IF(!model->family->bound, LM_UNSUPPORTED, "family %s has no bound",
                 model->family->name);
    LM_RETURN_IF(terms < 0, LM_ARG, "terms: %d is below 0", terms);
    lm_bound_meter *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->model = model;
    made->seed = seed;
    lm_status status = open_meter(made, opened, terms);
    if (status == LM_OK)
        *meter = made;
    else
        lm_bound_meter_free(made);
    return status;
}

void lm_bound_meter_free(lm_bound_meter *meter) {
    if (!meter) return;
    lm_program_free(meter->program);
    lm_bound_release(&meter->bound);
    lm_free(meter->images);
    lm_free(meter->guess);
    lm_free(meter->rows);
    lm_free(meter);
}

/* ---- measuring --------------------------------------------------------------- */

/* The term that an image looks at in a round, and for how many it stands: round 0 is the
 * first term, round r the r-th part of the others. */
static int choose_term(const lm_bound_meter *meter, int64_t image, int round,
                       int *width) {
    *width = 1;
    if (round == 0) return 0;
    int64_t others = meter->bound.n_terms - 1;
    int64_t from = others * (round - 1) / meter->parts;
    *width = (int)(others * round / meter->parts - from);
    lm_rng rng = {.seed = meter->seed,
                  .stream = STREAM_TERM,
                  .step = (uint32_t)round,
                  .sample = (uint32_t)image};
    return (int)(1 + from + lm_rng_below(&rng, (uint32_t)*width));
}

static lm_status run_round(lm_bound_meter *meter, int64_t first, int round, int *terms,
                           int *widths) {
    size_t scalars = (size_t)meter->bound.n_scalars;
    const uint32_t key[4] = {(uint32_t)meter->seed, (uint32_t)(meter->seed >> 32),
                             (uint32_t)round, (uint32_t)first};
    for (int i = 0; i < BATCH; i++) {
        terms[i] = choose_term(meter, first + i, round, &widths[i]);
        memcpy(meter->rows + (size_t)i * scalars,
               meter->bound.scalars + (size_t)terms[i] * scalars,
               sizeof(float) * scalars);
    }
    LM_TRY(lm_program_set(meter->program, "key", LM_U32, key, 4));
    LM_TRY(lm_program_set(meter->program, "rows", LM_F32, meter->rows,
                          BATCH * (int64_t)scalars));
    LM_TRY(lm_program_run(meter->program));
    return lm_program_get(meter->program, "guess", LM_F32, meter->guess,
                          BATCH * meter->pixels);
}

static lm_status measure_batch(lm_bound_meter *meter, int64_t first, int64_t count,
                               double *nats) {
    int terms[BATCH], widths[BATCH];
    LM_TRY(lm_program_set(meter->program, "images", LM_U8, meter->images,
                          BATCH * meter->pixels));
    if (meter->model->conditional)
        LM_TRY(lm_program_set(meter->program, "labels", LM_I32, meter->labels, BATCH));
    for (int64_t i = 0; i < count; i++) nats[i] = 0;
    for (int round = 0; round <= meter->parts; round++) {
        LM_TRY(run_round(meter, first, round, terms, widths));
        for (int64_t i = 0; i < count; i++)
            nats[i] += widths[i] *
                       meter->model->family->bound_term(meter->model, terms[i],
                                                        meter->images + i * meter->pixels,
                                                        meter->guess + i * meter->pixels);
    }
    return LM_OK;
}

lm_status lm_bound_measure(lm_bound_meter *meter, const lm_image_source *source,
                           int64_t first, int64_t count, double *nats) {
    LM_TRY(lm_model_fits(meter->model, source));
    memset(meter->labels, 0, sizeof meter->labels);
    for (int64_t done = 0; done < count; done += BATCH) {
        int64_t now = count - done < BATCH ? count - done : BATCH;
        LM_TRY(lm_source_read(source, first + done, now, meter->images, meter->labels));
        LM_TRY(measure_batch(meter, first + done, now, nats + done));
    }
    return LM_OK;
}

/* ---- as an evaluation wants it ----------------------------------------------- */

static lm_status measure_some(void *user, const lm_image_source *source, int64_t first,
                              int64_t count, double *nats) {
    return lm_bound_measure(user, source, first, count, nats);
}

static lm_status measure(void *user, const lm_image_source *source,
                         const lm_metric_hook *hook, double *mean, double *error) {
    const lm_bound_meter *meter = user;
    double unit = M_LN2 * (double)meter->pixels;
    return lm_nats_mean(measure_some, user, source, BATCH, unit, hook, mean, error);
}

lm_eval_likelihood lm_bound_likelihood(lm_bound_meter *meter) {
    return (lm_eval_likelihood){meter->unit, measure, meter};
}
