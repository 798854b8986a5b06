#include "train/importance.h"

#include "base/mem.h"
#include "train/model_graph.h"
#include "train/nats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Images and samples of a run of the program: decoders see their product at once. */
enum { BATCH = 32, MOST_AT_ONCE = 16, MOST_SAMPLES = 1000000 };

struct lm_importance {
    const lm_model *model;
    lm_program *program;
    uint64_t seed;
    int samples, at_once, rounds;
    int64_t pixels; /* bytes of an image */
    uint8_t *images;
    int32_t labels[BATCH];
    float *weights; /* [BATCH][at_once] */
    char unit[64];
};

static lm_status compile(lm_importance *importance, const lm_opened_run *opened) {
    const lm_model *model = importance->model;
    lm_model_graph mg;
    LM_TRY(lm_model_graph_begin(&mg, model, opened->raw));
    lm_model_graph_key(&mg);
    lm_node *images = lm_model_graph_images(&mg, BATCH);
    lm_node *labels = lm_model_graph_labels(&mg, BATCH);
    lm_graph_output(
        mg.nn.graph, "weights",
        model->family->log_weights(model, &mg.nn, images, labels, importance->at_once));
    return lm_model_graph_end(&mg, opened->engine, &importance->program);
}

static lm_status allocate(lm_importance *importance) {
    importance->images = lm_calloc(BATCH, (size_t)importance->pixels);
    importance->weights = lm_alloc(sizeof(float) * BATCH * (size_t)importance->at_once);
    return importance->images && importance->weights ? LM_OK : LM_NOMEM;
}

/* The largest number up to MOST_AT_ONCE that divides the samples. */
static int choose_at_once(int samples) {
    int at_once = samples < MOST_AT_ONCE ? samples : MOST_AT_ONCE;
    while (samples % at_once != 0) at_once--;
    return at_once;
}

lm_status lm_importance_new(const lm_opened_run *opened, int samples, uint64_t seed,
                            lm_importance **importance) {
    const lm_model *model = opened->model;
    const lm_image_info *info = &model->info;
    LM_RETURN_IF(!model->family->log_weights, LM_UNSUPPORTED,
                 "family %s has no importance weights", model->family->name);
    LM_RETURN_IF(samples < 1 || samples > MOST_SAMPLES, LM_ARG,
                 "samples: %d is not within 1 and %d", samples, MOST_SAMPLES);
    lm_importance *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->model = model;
    made->seed = seed;
    made->samples = samples;
    made->at_once = choose_at_once(samples);
    made->rounds = samples / made->at_once;
    made->pixels = (int64_t)info->height * info->width * info->channels;
    snprintf(made->unit, sizeof made->unit, "%s, %d importance samples",
             model->binary ? "nats" : "bits/dim", samples);
    lm_status status = compile(made, opened);
    if (status == LM_OK) status = allocate(made);
    if (status == LM_OK)
        *importance = made;
    else
        lm_importance_free(made);
    return status;
}

void lm_importance_free(lm_importance *importance) {
    if (!importance) return;
    lm_program_free(importance->program);
    lm_free(importance->images);
    lm_free(importance->weights);
    lm_free(importance);
}

/* A sum of exponentials as its logarithm, term by term. */
typedef struct log_sum {
    double most, rest; /* log sum = most + log(rest) */
} log_sum;

static void add_term(log_sum *sum, double term) {
    if (term > sum->most) {
        sum->rest = sum->rest * exp(sum->most - term) + 1;
        sum->most = term;
    } else {
        sum->rest += exp(term - sum->most);
    }
}

static lm_status run_round(lm_importance *importance, int64_t first, int round) {
    const uint32_t key[4] = {(uint32_t)importance->seed,
                             (uint32_t)(importance->seed >> 32), (uint32_t)round,
                             (uint32_t)first};
    LM_TRY(lm_program_set(importance->program, "key", LM_U32, key, 4));
    LM_TRY(lm_program_run(importance->program));
    return lm_program_get(importance->program, "weights", LM_F32, importance->weights,
                          BATCH * (int64_t)importance->at_once);
}

static lm_status measure_batch(lm_importance *importance, int64_t first, int64_t count,
                               double *nats) {
    log_sum sums[BATCH];
    for (int i = 0; i < BATCH; i++) sums[i] = (log_sum){-INFINITY, 0};
    LM_TRY(lm_program_set(importance->program, "images", LM_U8, importance->images,
                          BATCH * importance->pixels));
    if (importance->model->conditional)
        LM_TRY(lm_program_set(importance->program, "labels", LM_I32, importance->labels,
                              BATCH));
    for (int round = 0; round < importance->rounds; round++) {
        LM_TRY(run_round(importance, first, round));
        for (int64_t i = 0; i < count; i++)
            for (int k = 0; k < importance->at_once; k++)
                add_term(&sums[i], importance->weights[i * importance->at_once + k]);
    }
    for (int64_t i = 0; i < count; i++)
        nats[i] = log(importance->samples) - sums[i].most - log(sums[i].rest);
    return LM_OK;
}

lm_status lm_importance_measure(lm_importance *importance, const lm_image_source *source,
                                int64_t first, int64_t count, double *nats) {
    LM_TRY(lm_model_fits(importance->model, source));
    memset(importance->labels, 0, sizeof importance->labels);
    for (int64_t done = 0; done < count; done += BATCH) {
        int64_t now = count - done < BATCH ? count - done : BATCH;
        LM_TRY(lm_source_read(source, first + done, now, importance->images,
                              importance->labels));
        LM_TRY(measure_batch(importance, first + done, now, nats + done));
    }
    return LM_OK;
}

/* ---- as an evaluation wants it ----------------------------------------------- */

static lm_status measure_some(void *user, const lm_image_source *source, int64_t first,
                              int64_t count, double *nats) {
    return lm_importance_measure(user, source, first, count, nats);
}

static lm_status measure(void *user, const lm_image_source *source,
                         const lm_metric_hook *hook, double *mean, double *error) {
    const lm_importance *importance = user;
    double unit = importance->model->binary ? 1 : M_LN2 * (double)importance->pixels;
    return lm_nats_mean(measure_some, user, source, BATCH, unit, hook, mean, error);
}

lm_eval_likelihood lm_importance_likelihood(lm_importance *importance) {
    return (lm_eval_likelihood){importance->unit, measure, importance};
}
