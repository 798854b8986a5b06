/* A sampler is three programs over one state variable: from noise to state, one step,
 * from state to images. The state stays in the engine's memory between runs. */
#include "train/draw.h"

#include "base/mem.h"
#include "train/model_graph.h"

#include <stdio.h>
#include <string.h>

struct lm_drawer {
    const lm_model *model;
    lm_engine *engine;
    lm_sampler sampler;
    lm_program *init, *step, *image;
    int batch, label;
    bool raw;
    char state[32];  /* name of the variable */
    int64_t pixels;  /* of one image */
    int32_t *labels; /* [batch] */
    float *images;   /* [batch][pixels] */
    lm_drawer_starts starts;
    float *states; /* [batch][state], of `starts`; NULL: there is none */
};

const lm_sampler *lm_drawer_sampler(const lm_drawer *drawer) {
    return &drawer->sampler;
}

const lm_model *lm_drawer_model(const lm_drawer *drawer) {
    return drawer->model;
}

int lm_drawer_batch(const lm_drawer *drawer) {
    return drawer->batch;
}

int lm_drawer_label(const lm_drawer *drawer) {
    return drawer->label;
}

bool lm_drawer_is_raw(const lm_drawer *drawer) {
    return drawer->raw;
}

lm_program *lm_drawer_step(const lm_drawer *drawer) {
    return drawer->step ? drawer->step : drawer->image;
}

void lm_drawer_free(lm_drawer *drawer) {
    if (!drawer) return;
    lm_program_free(drawer->init);
    lm_program_free(drawer->step);
    lm_program_free(drawer->image);
    lm_sampler_release(&drawer->sampler);
    lm_free(drawer->labels);
    lm_free(drawer->images);
    lm_free(drawer->states);
    lm_free(drawer);
}

/* ---- the three graphs -------------------------------------------------------- */

typedef struct sample_graph {
    lm_model_graph mg;
    lm_node *state, *labels;
} sample_graph;

static lm_status begin_graph(const lm_drawer *drawer, sample_graph *sg) {
    LM_TRY(lm_model_graph_begin(&sg->mg, drawer->model, drawer->raw));
    lm_model_graph_key(&sg->mg);
    lm_shape shape = {.rank = drawer->sampler.state.rank + 1, .dim = {drawer->batch}};
    memcpy(shape.dim + 1, drawer->sampler.state.dim,
           sizeof *shape.dim * drawer->sampler.state.rank);
    sg->state = lm_param(sg->mg.nn.graph, drawer->state, 0, shape);
    sg->labels = lm_model_graph_labels(&sg->mg, drawer->batch);
    return LM_OK;
}

static lm_status compile_init(lm_drawer *drawer, lm_engine *engine) {
    sample_graph sg;
    LM_TRY(begin_graph(drawer, &sg));
    const lm_family *family = drawer->model->family;
    lm_node *state = family->sample_init(drawer->model, &sg.mg.nn, drawer->batch);
    double truncation = drawer->sampler.truncation;
    if (truncation > 0) state = lm_nn_truncate(sg.mg.nn.graph, state, truncation);
    lm_assign(sg.mg.nn.graph, sg.state, state);
    return lm_model_graph_end(&sg.mg, engine, &drawer->init);
}

static lm_status compile_step(lm_drawer *drawer, lm_engine *engine) {
    sample_graph sg;
    LM_TRY(begin_graph(drawer, &sg));
    const lm_family *family = drawer->model->family;
    lm_node *scalars =
        lm_input(sg.mg.nn.graph, "scalars", LM_F32, LM_SHAPE(drawer->sampler.n_scalars));
    lm_assign(
        sg.mg.nn.graph, sg.state,
        family->sample_step(drawer->model, &sg.mg.nn, sg.state, scalars, sg.labels));
    return lm_model_graph_end(&sg.mg, engine, &drawer->step);
}

static lm_status compile_image(lm_drawer *drawer, lm_engine *engine) {
    sample_graph sg;
    LM_TRY(begin_graph(drawer, &sg));
    const lm_family *family = drawer->model->family;
    lm_graph_output(sg.mg.nn.graph, "image",
                    family->sample_image(drawer->model, &sg.mg.nn, sg.state, sg.labels));
    return lm_model_graph_end(&sg.mg, engine, &drawer->image);
}

/* What is asked for must not be passed over. */
static lm_status check_request(const lm_drawer *drawer,
                               const lm_sample_request *request) {
    const char *name = drawer->model->family->name;
    const lm_sampler *sampler = &drawer->sampler;
    LM_RETURN_IF(request->truncation > 0 && sampler->truncation == 0, LM_ARG,
                 "truncation: family %s has no normal codes to keep within bounds", name);
    if (sampler->n_steps > 0) return LM_OK;
    LM_RETURN_IF(request->steps > 0 && !request->cut_steps, LM_ARG,
                 "steps: family %s draws in one pass", name);
    LM_RETURN_IF(request->eta >= 0, LM_ARG, "eta: family %s draws in one pass", name);
    LM_RETURN_IF(request->guidance > 0, LM_ARG, "guidance: family %s has none", name);
    return LM_OK;
}

static lm_status build(lm_drawer *drawer, lm_engine *engine,
                       const lm_sample_request *request) {
    snprintf(drawer->state, sizeof drawer->state, "sample.state.%d", drawer->batch);
    const lm_model *model = drawer->model;
    LM_TRY(model->family->sampler(model, request, &drawer->sampler));
    LM_TRY(check_request(drawer, request));
    int64_t state = drawer->batch * lm_shape_count(drawer->sampler.state);
    LM_TRY(lm_engine_add_var(engine, drawer->state, state));
    drawer->pixels =
        (int64_t)model->info.height * model->info.width * model->info.channels;
    drawer->labels = lm_calloc(drawer->batch, sizeof *drawer->labels);
    drawer->images = lm_alloc(sizeof(float) * drawer->batch * drawer->pixels);
    if (!drawer->labels || !drawer->images) return LM_NOMEM;
    LM_TRY(compile_init(drawer, engine));
    if (drawer->sampler.n_steps > 0) LM_TRY(compile_step(drawer, engine));
    return compile_image(drawer, engine);
}

lm_status lm_drawer_new(lm_engine *engine, const lm_model *model,
                        const lm_drawer_spec *spec, lm_drawer **drawer) {
    LM_RETURN_IF(!model->family->sampler, LM_UNSUPPORTED, "family %s cannot sample",
                 model->family->name);
    lm_drawer *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->model = model;
    made->engine = engine;
    made->batch = spec->batch;
    made->label = spec->request.label;
    made->raw = spec->raw;
    lm_status status = build(made, engine, &spec->request);
    if (status == LM_OK)
        *drawer = made;
    else
        lm_drawer_free(made);
    return status;
}

/* ---- running ----------------------------------------------------------------- */

static lm_status run_with_key(lm_program *program, uint64_t seed, int step,
                              int64_t first) {
    const uint32_t key[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)step,
                             (uint32_t)first};
    if (lm_program_has_input(program, "key"))
        LM_TRY(lm_program_set(program, "key", LM_U32, key, 4));
    return lm_program_run(program);
}

static lm_status set_labels(lm_drawer *drawer) {
    lm_program *const programs[] = {drawer->init, drawer->step, drawer->image};
    for (int i = 0; i < 3; i++)
        if (programs[i] && lm_program_has_input(programs[i], "labels"))
            LM_TRY(lm_program_set(programs[i], "labels", LM_I32, drawer->labels,
                                  drawer->batch));
    return LM_OK;
}

lm_status lm_drawer_start_from(lm_drawer *drawer, const lm_drawer_starts *starts) {
    int64_t size = lm_shape_count(drawer->sampler.state);
    char *protocol = lm_strdup(starts->protocol);
    float *states = lm_alloc(sizeof *states * (size_t)(drawer->batch * size));
    if (!protocol || !states) {
        lm_free(protocol);
        lm_free(states);
        return LM_NOMEM;
    }
    lm_free(drawer->sampler.protocol);
    lm_free(drawer->states);
    drawer->sampler.protocol = protocol;
    drawer->states = states;
    drawer->starts = *starts;
    return LM_OK;
}

static lm_status write_states(lm_drawer *drawer, const float *states, int count) {
    return lm_engine_write_var(drawer->engine, drawer->state, 0,
                               count * lm_shape_count(drawer->sampler.state), LM_F32,
                               states);
}

/* The states that a batch begins with, of the classes in drawer->labels. */
static lm_status draw_states(lm_drawer *drawer, uint64_t seed, int64_t first) {
    if (!drawer->states) return run_with_key(drawer->init, seed, 0, first);
    int64_t size = lm_shape_count(drawer->sampler.state);
    for (int i = 0; i < drawer->batch; i++)
        drawer->starts.draw(drawer->starts.user, seed, first + i, drawer->labels[i],
                            drawer->states + i * size);
    return write_states(drawer, drawer->states, drawer->batch);
}

/* `states` of the batch's first `given` images; the others' are whatever there was. */
static lm_status start_batch(lm_drawer *drawer, const float *states, int given,
                             uint64_t seed, int64_t first) {
    if (!states) return draw_states(drawer, seed, first);
    return write_states(drawer, states, given);
}

static lm_status finish_batch(lm_drawer *drawer, uint64_t seed, int64_t first,
                              lm_draw_hook hook, void *user) {
    const lm_sampler *sampler = &drawer->sampler;
    for (int i = 0; i < sampler->n_steps; i++) {
        LM_TRY(lm_program_set(drawer->step, "scalars", LM_F32,
                              sampler->scalars + (size_t)i * sampler->n_scalars,
                              sampler->n_scalars));
        LM_TRY(run_with_key(drawer->step, seed, i, first));
        if (hook && !hook(user, i + 1, sampler->n_steps))
            return lm_fail(LM_INTERRUPTED, "interrupted while sampling");
    }
    LM_TRY(run_with_key(drawer->image, seed, 0, first));
    if (sampler->n_steps == 0 && hook && !hook(user, 1, 1))
        return lm_fail(LM_INTERRUPTED, "interrupted while sampling");
    return lm_program_get(drawer->image, "image", LM_F32, drawer->images,
                          drawer->batch * drawer->pixels);
}

static lm_status check_labels(const lm_drawer *drawer, const int32_t *labels, int count) {
    const lm_model *model = drawer->model;
    for (int i = 0; labels && i < count; i++)
        LM_RETURN_IF(labels[i] >= (model->conditional ? model->info.classes : 0), LM_ARG,
                     "class: %d is not one of the model's", labels[i]);
    return LM_OK;
}

/* Of the batch's first `given` images; the others are as the first. */
static void label_batch(lm_drawer *drawer, const int32_t *labels, int given) {
    for (int i = 0; i < drawer->batch; i++)
        drawer->labels[i] = labels ? labels[i < given ? i : 0] : drawer->label;
}

lm_status lm_drawer_draw_from(lm_drawer *drawer, const float *states, uint64_t seed,
                              int64_t first, int count, const int32_t *labels,
                              float *images, lm_draw_hook hook, void *user) {
    int64_t state = lm_shape_count(drawer->sampler.state);
    LM_TRY(check_labels(drawer, labels, count));
    for (int done = 0; done < count; done += drawer->batch) {
        int now = count - done < drawer->batch ? count - done : drawer->batch;
        label_batch(drawer, labels ? labels + done : NULL, now);
        LM_TRY(set_labels(drawer));
        LM_TRY(start_batch(drawer, states ? states + done * state : NULL, now, seed,
                           first + done));
        LM_TRY(finish_batch(drawer, seed, first + done, hook, user));
        memcpy(images + done * drawer->pixels, drawer->images,
               sizeof *images * now * drawer->pixels);
    }
    return LM_OK;
}

lm_status lm_drawer_draw(lm_drawer *drawer, uint64_t seed, int64_t first, int count,
                         const int32_t *labels, float *images, lm_draw_hook hook,
                         void *user) {
    return lm_drawer_draw_from(drawer, NULL, seed, first, count, labels, images, hook,
                               user);
}

lm_status lm_drawer_states(lm_drawer *drawer, uint64_t seed, int64_t first, int count,
                           const int32_t *labels, float *states) {
    int64_t state = lm_shape_count(drawer->sampler.state);
    LM_TRY(check_labels(drawer, labels, count));
    for (int done = 0; done < count; done += drawer->batch) {
        int now = count - done < drawer->batch ? count - done : drawer->batch;
        label_batch(drawer, labels ? labels + done : NULL, now);
        LM_TRY(draw_states(drawer, seed, first + done));
        LM_TRY(lm_engine_read_var(drawer->engine, drawer->state, 0, now * state, LM_F32,
                                  states + done * state));
    }
    return LM_OK;
}
