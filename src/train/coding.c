#include "train/coding.h"

#include "base/mem.h"
#include "image/image.h"
#include "train/encoder.h"
#include "train/model_graph.h"
#include "train/nats.h"

#include <math.h>
#include <string.h>

enum { BATCH = 64 };

struct lm_coding_meter {
    const lm_model *model;
    lm_drawer *drawer;
    lm_encoder *encoder;
    lm_program *divergence; /* NULL: the family has none */
    int64_t units, pixels;  /* numbers of a code, bytes of an image */
    float *codes, *floats;  /* [BATCH] each */
    uint8_t *images, *decoded;
    int32_t labels[BATCH];
    const lm_image_source *seen; /* `numbers` are of this; NULL: of none */
    lm_eval_coding_numbers numbers;
};

/* ---- making ------------------------------------------------------------------ */

static lm_status compile_divergence(lm_coding_meter *m, const lm_opened_run *opened) {
    const lm_family *family = m->model->family;
    lm_model_graph mg;
    if (!family->divergence) return LM_OK;
    LM_TRY(lm_model_graph_begin(&mg, m->model, opened->raw));
    lm_node *images = lm_model_graph_images(&mg, BATCH);
    lm_node *labels = lm_model_graph_labels(&mg, BATCH);
    lm_graph_output(mg.nn.graph, "kl",
                    family->divergence(m->model, &mg.nn, images, labels));
    return lm_model_graph_end(&mg, opened->engine, &m->divergence);
}

static lm_status set_up(lm_coding_meter *m, const lm_opened_run *opened) {
    const lm_image_info *info = &m->model->info;
    LM_TRY(lm_encoder_new(opened->engine, m->model,
                          &(lm_encoder_spec){.raw = opened->raw}, &m->encoder));
    LM_TRY(compile_divergence(m, opened));
    m->units = lm_encoder_size(m->encoder);
    m->pixels = (int64_t)info->height * info->width * info->channels;
    m->codes = lm_alloc(sizeof *m->codes * BATCH * (size_t)m->units);
    m->floats = lm_alloc(sizeof *m->floats * BATCH * (size_t)m->pixels);
    m->images = lm_calloc(BATCH, (size_t)m->pixels);
    m->decoded = lm_alloc(BATCH * (size_t)m->pixels);
    return m->codes && m->floats && m->images && m->decoded ? LM_OK : LM_NOMEM;
}

lm_status lm_coding_meter_new(const lm_opened_run *opened, lm_drawer *drawer,
                              lm_coding_meter **meter) {
    lm_coding_meter *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->model = opened->model;
    made->drawer = drawer;
    lm_status status = set_up(made, opened);
    if (status == LM_OK)
        *meter = made;
    else
        lm_coding_meter_free(made);
    return status;
}

void lm_coding_meter_free(lm_coding_meter *m) {
    if (!m) return;
    lm_encoder_free(m->encoder);
    lm_program_free(m->divergence);
    lm_free(m->codes);
    lm_free(m->floats);
    lm_free(m->images);
    lm_free(m->decoded);
    lm_free(m);
}

/* ---- measuring --------------------------------------------------------------- */

/* What is gathered over images. */
typedef struct tally {
    lm_pixel_error *errors; /* [count] */
    double *kl;             /* [count] */
    double *mean, *squares; /* [units]: mean of the codes, squares about it (Welford) */
    int64_t count;
} tally;

static void close_tally(tally *t) {
    lm_free(t->errors);
    lm_free(t->kl);
    lm_free(t->mean);
    lm_free(t->squares);
}

static lm_status open_tally(const lm_coding_meter *m, int64_t count, tally *t) {
    *t = (tally){.errors = lm_alloc(sizeof *t->errors * (size_t)count),
                 .kl = lm_calloc((size_t)count, sizeof *t->kl),
                 .mean = lm_calloc((size_t)m->units, sizeof *t->mean),
                 .squares = lm_calloc((size_t)m->units, sizeof *t->squares)};
    return t->errors && t->kl && t->mean && t->squares ? LM_OK : LM_NOMEM;
}

static void add_codes(const lm_coding_meter *m, int64_t count, tally *t) {
    for (int64_t i = 0; i < count; i++) {
        const float *code = m->codes + i * m->units;
        double seen = (double)(t->count + i + 1);
        for (int64_t u = 0; u < m->units; u++) {
            double apart = (double)code[u] - t->mean[u];
            t->mean[u] += apart / seen;
            t->squares[u] += apart * ((double)code[u] - t->mean[u]);
        }
    }
}

static lm_status add_divergence(lm_coding_meter *m, int64_t count, tally *t) {
    double kl[BATCH];
    if (!m->divergence) return LM_OK;
    LM_TRY(lm_program_set(m->divergence, "images", LM_U8, m->images, BATCH * m->pixels));
    if (m->model->conditional)
        LM_TRY(lm_program_set(m->divergence, "labels", LM_I32, m->labels, BATCH));
    LM_TRY(lm_program_run(m->divergence));
    LM_TRY(lm_program_get(m->divergence, "kl", LM_F64, kl, BATCH));
    memcpy(t->kl + t->count, kl, sizeof *kl * (size_t)count);
    return LM_OK;
}

static lm_status add_batch(lm_coding_meter *m, const lm_image_source *source,
                           int64_t count, tally *t) {
    const lm_image_info *info = &m->model->info;
    LM_TRY(lm_source_read(source, t->count, count, m->images, m->labels));
    LM_TRY(lm_encoder_run(m->encoder, source, t->count, count, m->codes));
    LM_TRY(lm_drawer_draw_from(m->drawer, m->codes, 0, t->count, (int)count,
                               m->model->conditional ? m->labels : NULL, m->floats, NULL,
                               NULL));
    lm_image_from_signed(m->floats, m->decoded, count * m->pixels);
    LM_TRY(lm_pixel_compare(m->images, m->decoded, count, info->height, info->width,
                            info->channels, t->errors + t->count));
    LM_TRY(add_divergence(m, count, t));
    add_codes(m, count, t);
    t->count += count;
    return LM_OK;
}

static lm_status sum_up(const lm_coding_meter *m, const tally *t,
                        lm_eval_coding_numbers *numbers) {
    *numbers = (lm_eval_coding_numbers){.units = m->units,
                                        .kl = lm_estimate_mean(t->kl, t->count)};
    for (int64_t u = 0; u < m->units; u++)
        numbers->active += t->squares[u] > LM_ACTIVE_VARIANCE * (double)t->count;
    return lm_pixel_summarise(t->errors, t->count, &numbers->pixels);
}

static lm_status measure_all(lm_coding_meter *m, const lm_image_source *source,
                             const lm_metric_hook *hook, tally *t) {
    memset(m->labels, 0, sizeof m->labels);
    while (t->count < source->count) {
        int64_t left = source->count - t->count;
        LM_TRY(add_batch(m, source, left < BATCH ? left : BATCH, t));
        LM_TRY(lm_metric_progress(hook, "reconstruction",
                                  (double)t->count / (double)source->count));
    }
    return sum_up(m, t, &m->numbers);
}

static lm_status measure(void *user, const lm_image_source *source,
                         const lm_metric_hook *hook, lm_eval_coding_numbers *numbers) {
    lm_coding_meter *m = user;
    if (m->seen != source) {
        tally t;
        LM_TRY(lm_model_fits(m->model, source));
        lm_status status = open_tally(m, source->count, &t);
        m->seen = NULL;
        if (status == LM_OK) status = measure_all(m, source, hook, &t);
        close_tally(&t);
        LM_TRY(status);
        m->seen = source;
    }
    *numbers = m->numbers;
    return LM_OK;
}

lm_eval_coding lm_coding_meter_coding(lm_coding_meter *meter) {
    return (lm_eval_coding){
        .has_posterior = meter->divergence != NULL, .measure = measure, .user = meter};
}
