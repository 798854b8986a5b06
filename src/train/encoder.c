#include "train/encoder.h"

#include "base/mem.h"
#include "train/model_graph.h"
#include "train/nats.h"

#include <string.h>

enum { BATCH = LM_INVERT_ROWS };

struct lm_encoder {
    const lm_model *model;
    lm_program *program;   /* the family's encoder, */
    lm_inverter *inverter; /* else this; the other one is NULL */
    int batch;             /* images at a time, at most BATCH */
    int64_t size, pixels;  /* numbers of a state and of an image */
    uint8_t *images;       /* [BATCH][pixels] */
    int32_t labels[BATCH];
    float *states;             /* [BATCH][size] */
    bool (*go_on)(void *user); /* as lm_invert_spec's */
    void *user;
};

static lm_status compile(lm_encoder *encoder, lm_engine *engine,
                         const lm_encoder_spec *spec) {
    const lm_model *model = encoder->model;
    lm_model_graph mg;
    LM_TRY(lm_model_graph_begin(&mg, model, spec->raw));
    if (spec->draws) lm_model_graph_key(&mg);
    lm_node *images = lm_model_graph_images(&mg, BATCH);
    lm_node *labels = lm_model_graph_labels(&mg, BATCH);
    lm_node *states = model->family->encode(model, &mg.nn, images, labels);
    lm_graph_output(mg.nn.graph, "states", states);
    if (states) encoder->size = lm_shape_count(states->shape) / BATCH;
    return lm_model_graph_end(&mg, engine, &encoder->program);
}

static lm_status make_inverter(lm_encoder *encoder, lm_engine *engine,
                               const lm_encoder_spec *spec) {
    LM_TRY(lm_inverter_new(engine, encoder->model, spec->raw, &spec->invert,
                           &encoder->inverter));
    encoder->batch = lm_inverter_batch(encoder->inverter);
    encoder->size = lm_inverter_size(encoder->inverter);
    return LM_OK;
}

lm_status lm_encoder_new(lm_engine *engine, const lm_model *model,
                         const lm_encoder_spec *spec, lm_encoder **encoder) {
    const lm_family *family = model->family;
    LM_RETURN_IF(!family->encode && !lm_can_invert(family), LM_UNSUPPORTED,
                 "family %s has no encoder", family->name);
    const lm_image_info *info = &model->info;
    lm_encoder *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->model = model;
    made->batch = BATCH;
    made->go_on = spec->invert.go_on;
    made->user = spec->invert.user;
    made->pixels = (int64_t)info->height * info->width * info->channels;
    lm_status status =
        family->encode ? compile(made, engine, spec) : make_inverter(made, engine, spec);
    if (status == LM_OK) {
        made->images = lm_calloc(BATCH, (size_t)made->pixels);
        made->states = lm_alloc(sizeof(float) * BATCH * (size_t)made->size);
        if (!made->images || !made->states) status = LM_NOMEM;
    }
    if (status == LM_OK)
        *encoder = made;
    else
        lm_encoder_free(made);
    return status;
}

void lm_encoder_free(lm_encoder *encoder) {
    if (!encoder) return;
    lm_program_free(encoder->program);
    lm_inverter_free(encoder->inverter);
    lm_free(encoder->images);
    lm_free(encoder->states);
    lm_free(encoder);
}

int64_t lm_encoder_size(const lm_encoder *encoder) {
    return encoder->size;
}

lm_status lm_encoder_check(const lm_encoder *encoder, const lm_image_source *source) {
    return lm_model_fits(encoder->model, source);
}

static lm_status check_labels(const lm_encoder *encoder, const lm_image_source *source,
                              int64_t count) {
    int classes = encoder->model->info.classes;
    for (int64_t i = 0; i < count; i++)
        LM_RETURN_IF(encoder->labels[i] < 0 || encoder->labels[i] >= classes, LM_MISMATCH,
                     "%s: label %d is not one of the model's %d classes", source->name,
                     encoder->labels[i], classes);
    return LM_OK;
}

static lm_status run_program(lm_encoder *encoder, int64_t first) {
    lm_program *program = encoder->program;
    LM_TRY(lm_program_set(program, "images", LM_U8, encoder->images,
                          BATCH * encoder->pixels));
    if (encoder->model->conditional)
        LM_TRY(lm_program_set(program, "labels", LM_I32, encoder->labels, BATCH));
    const uint32_t key[4] = {0, 0, 0, (uint32_t)first};
    if (lm_program_has_input(program, "key"))
        LM_TRY(lm_program_set(program, "key", LM_U32, key, 4));
    LM_TRY(lm_program_run(program));
    return lm_program_get(program, "states", LM_F32, encoder->states,
                          BATCH * encoder->size);
}

static lm_status run_batch(lm_encoder *encoder, const lm_image_source *source,
                           int64_t first, int64_t count) {
    LM_TRY(lm_source_read(source, first, count, encoder->images, encoder->labels));
    if (encoder->model->conditional) LM_TRY(check_labels(encoder, source, count));
    return encoder->program ? run_program(encoder, first)
                            : lm_inverter_run(encoder->inverter, encoder->images,
                                              encoder->labels, first, encoder->states);
}

lm_status lm_encoder_run(lm_encoder *encoder, const lm_image_source *source,
                         int64_t first, int64_t count, float *states) {
    LM_TRY(lm_encoder_check(encoder, source));
    memset(encoder->labels, 0, sizeof encoder->labels);
    for (int64_t done = 0; done < count; done += encoder->batch) {
        int64_t now = count - done < encoder->batch ? count - done : encoder->batch;
        LM_TRY(run_batch(encoder, source, first + done, now));
        LM_RETURN_IF(encoder->go_on && !encoder->go_on(encoder->user), LM_INTERRUPTED,
                     "interrupted while encoding");
        memcpy(states + done * encoder->size, encoder->states,
               sizeof *states * (size_t)(now * encoder->size));
    }
    return LM_OK;
}
