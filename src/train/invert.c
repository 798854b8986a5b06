#include "train/invert.h"

#include "base/mem.h"
#include "graph/grad.h"
#include "train/model_graph.h"

#include <math.h>
#include <string.h>

#define DEFAULT_STEPS  300
#define DEFAULT_STARTS 4
#define DEFAULT_RATE   0.1
#define DEFAULT_SHELL  0.02
#define BETA1          0.9
#define BETA2          0.999
#define EPS            1e-8
#define ASK_EVERY      10

enum { SCALARS = 2 }; /* the rate over 1 - beta1^t, and 1 / (1 - beta2^t) */

struct lm_inverter {
    const lm_model *model;
    lm_engine *engine;
    lm_invert_spec spec; /* with its defaults filled in */
    bool raw;
    int batch;
    int64_t size, pixels; /* numbers of a state and of an image */
    lm_program *begin, *descend;
    uint8_t *images; /* [LM_INVERT_ROWS][pixels]: each as often as it has starts */
    int32_t labels[LM_INVERT_ROWS];
    float distances[LM_INVERT_ROWS];
    float *states; /* [LM_INVERT_ROWS][size] */
};

bool lm_can_invert(const lm_family *family) {
    return family->sampler && family->sample_init && !family->sample_step;
}

int64_t lm_inverter_size(const lm_inverter *inverter) {
    return inverter->size;
}

int lm_inverter_batch(const lm_inverter *inverter) {
    return inverter->batch;
}

void lm_inverter_free(lm_inverter *inverter) {
    if (!inverter) return;
    lm_program_free(inverter->begin);
    lm_program_free(inverter->descend);
    lm_free(inverter->images);
    lm_free(inverter->states);
    lm_free(inverter);
}

/* ---- the two programs -------------------------------------------------------- */

/* States and Adam's moments of all rows: variables, so that steps need no copies. */
static const char *const variables[] = {"invert.z", "invert.m", "invert.v"};
enum { VARIABLES = sizeof variables / sizeof *variables };

typedef struct invert_graph {
    lm_model_graph mg;
    lm_node *z, *m, *v; /* f32[ROWS, size] */
} invert_graph;

static lm_status begin_graph(const lm_inverter *inverter, invert_graph *ig) {
    lm_shape shape = LM_SHAPE(LM_INVERT_ROWS, inverter->size);
    LM_TRY(lm_model_graph_begin(&ig->mg, inverter->model, inverter->raw));
    lm_model_graph_key(&ig->mg);
    lm_graph *g = ig->mg.nn.graph;
    ig->z = lm_param(g, variables[0], 0, shape);
    ig->m = lm_param(g, variables[1], 0, shape);
    ig->v = lm_param(g, variables[2], 0, shape);
    return LM_OK;
}

static lm_status compile_begin(lm_inverter *inverter) {
    invert_graph ig;
    LM_TRY(begin_graph(inverter, &ig));
    const lm_model *model = inverter->model;
    lm_graph *g = ig.mg.nn.graph;
    lm_node *drawn = model->family->sample_init(model, &ig.mg.nn, LM_INVERT_ROWS);
    if (drawn) drawn = lm_reshape(g, drawn, ig.z->shape);
    lm_assign(g, ig.z, drawn);
    lm_assign(g, ig.m, lm_const_like(g, 0, ig.m));
    lm_assign(g, ig.v, lm_const_like(g, 0, ig.v));
    return lm_model_graph_end(&ig.mg, inverter->engine, &inverter->begin);
}

/* Mean squares of the differences, f32[ROWS]. */
static lm_node *measure_distance(lm_graph *g, lm_node *drawn, lm_node *images) {
    lm_node *off = lm_sub(g, drawn, lm_nn_signed(g, images));
    return lm_mean(g, lm_square(g, off), 1u << 1 | 1u << 2 | 1u << 3, false);
}

/* f32[ROWS]. The radius has no gradient at 0, where no state begins. */
static lm_node *measure_shell(lm_graph *g, lm_node *z) {
    lm_node *radius = lm_sqrt(g, lm_mean(g, lm_square(g, z), 1u << 1, false));
    return lm_square(g, lm_add_scalar(g, radius, -1));
}

/* Adam (Kingma, Ba 2015); the two corrections come as numbers. */
static void descend(lm_graph *g, const invert_graph *ig, lm_node *gradient) {
    lm_node *scalars = lm_input(g, "scalars", LM_F32, LM_SHAPE(SCALARS));
    lm_node *rate = lm_slice_axis(g, scalars, 0, 0, 1);
    lm_node *correct = lm_slice_axis(g, scalars, 0, 1, 2);
    lm_node *m = lm_add(g, lm_scale(g, ig->m, BETA1), lm_scale(g, gradient, 1 - BETA1));
    lm_node *v = lm_add(g, lm_scale(g, ig->v, BETA2),
                        lm_scale(g, lm_square(g, gradient), 1 - BETA2));
    lm_node *length = lm_add_scalar(g, lm_sqrt(g, lm_mul(g, v, correct)), EPS);
    lm_assign(g, ig->z, lm_sub(g, ig->z, lm_mul(g, rate, lm_div(g, m, length))));
    lm_assign(g, ig->m, m);
    lm_assign(g, ig->v, v);
}

static lm_status build_descent(const lm_inverter *inverter, invert_graph *ig,
                               const lm_shape *state) {
    const lm_model *model = inverter->model;
    lm_graph *g = ig->mg.nn.graph;
    lm_node *images = lm_model_graph_images(&ig->mg, LM_INVERT_ROWS);
    lm_node *labels = lm_model_graph_labels(&ig->mg, LM_INVERT_ROWS), *gradient = NULL;
    lm_shape shape = {.rank = state->rank + 1, .dim = {LM_INVERT_ROWS}};
    memcpy(shape.dim + 1, state->dim, sizeof *shape.dim * (size_t)state->rank);
    lm_node *drawn = model->family->sample_image(model, &ig->mg.nn,
                                                 lm_reshape(g, ig->z, shape), labels);
    lm_node *distance = measure_distance(g, drawn, images);
    lm_node *shell = lm_scale(g, measure_shell(g, ig->z), inverter->spec.shell);
    lm_node *loss = lm_sum_all(g, lm_add(g, distance, shell));
    LM_TRY(lm_graph_status(g));
    LM_TRY(lm_grad(g, loss, NULL, 1, &ig->z, &gradient));
    LM_RETURN_IF(!gradient, LM_UNSUPPORTED, "family %s: images do not depend on states",
                 model->family->name);
    descend(g, ig, gradient);
    lm_graph_output(g, "distance", distance);
    return LM_OK;
}

static lm_status compile_descent(lm_inverter *inverter, const lm_shape *state) {
    invert_graph ig;
    LM_TRY(begin_graph(inverter, &ig));
    lm_status status = build_descent(inverter, &ig, state);
    if (status == LM_OK)
        return lm_model_graph_end(&ig.mg, inverter->engine, &inverter->descend);
    lm_graph_free(ig.mg.nn.graph);
    return status;
}

/* ---- making ------------------------------------------------------------------ */

static lm_status fill_spec(const lm_invert_spec *given, lm_invert_spec *spec) {
    *spec = *given;
    if (!spec->steps) spec->steps = DEFAULT_STEPS;
    if (!spec->starts) spec->starts = DEFAULT_STARTS;
    if (spec->rate == 0) spec->rate = DEFAULT_RATE;
    if (spec->shell < 0) spec->shell = DEFAULT_SHELL;
    LM_RETURN_IF(spec->steps < 1 || spec->starts < 1 || spec->starts > LM_INVERT_ROWS,
                 LM_ARG, "inversion by %d steps from %d starts: expected 1 to %d starts",
                 spec->steps, spec->starts, LM_INVERT_ROWS);
    LM_RETURN_IF(!(spec->rate > 0) || !isfinite(spec->shell), LM_ARG,
                 "inversion by steps of length %g, shell %g: expected positive numbers",
                 spec->rate, spec->shell);
    return LM_OK;
}

static lm_status add_variables(const lm_inverter *inverter) {
    for (int i = 0; i < VARIABLES; i++)
        LM_TRY(lm_engine_add_var(inverter->engine, variables[i],
                                 LM_INVERT_ROWS * inverter->size));
    return LM_OK;
}

static lm_status build(lm_inverter *inverter, const lm_shape *state) {
    const lm_image_info *info = &inverter->model->info;
    inverter->batch = LM_INVERT_ROWS / inverter->spec.starts;
    inverter->size = lm_shape_count(*state);
    inverter->pixels = (int64_t)info->height * info->width * info->channels;
    inverter->images = lm_calloc(LM_INVERT_ROWS, (size_t)inverter->pixels);
    inverter->states = lm_alloc(sizeof(float) * LM_INVERT_ROWS * (size_t)inverter->size);
    if (!inverter->images || !inverter->states) return LM_NOMEM;
    LM_TRY(add_variables(inverter));
    LM_TRY(compile_begin(inverter));
    return compile_descent(inverter, state);
}

lm_status lm_inverter_new(lm_engine *engine, const lm_model *model, bool raw,
                          const lm_invert_spec *spec, lm_inverter **inverter) {
    LM_RETURN_IF(!lm_can_invert(model->family), LM_UNSUPPORTED,
                 "family %s: an image of it is made in steps, which cannot be inverted",
                 model->family->name);
    lm_inverter *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    *made = (lm_inverter){.model = model, .engine = engine, .raw = raw};
    lm_sampler sampler = {0};
    const lm_sample_request any = {.label = -1, .eta = -1};
    lm_status status = fill_spec(spec, &made->spec);
    if (status == LM_OK) status = model->family->sampler(model, &any, &sampler);
    if (status == LM_OK) status = build(made, &sampler.state);
    lm_sampler_release(&sampler);
    if (status == LM_OK)
        *inverter = made;
    else
        lm_inverter_free(made);
    return status;
}

/* ---- running ----------------------------------------------------------------- */

static lm_status set_images(lm_inverter *inverter, const uint8_t *images,
                            const int32_t *labels) {
    int starts = inverter->spec.starts;
    for (int r = 0; r < inverter->batch * starts; r++) {
        memcpy(inverter->images + r * inverter->pixels,
               images + r / starts * inverter->pixels, (size_t)inverter->pixels);
        inverter->labels[r] = labels ? labels[r / starts] : 0;
    }
    LM_TRY(lm_program_set(inverter->descend, "images", LM_U8, inverter->images,
                          LM_INVERT_ROWS * inverter->pixels));
    if (!inverter->model->conditional) return LM_OK;
    return lm_program_set(inverter->descend, "labels", LM_I32, inverter->labels,
                          LM_INVERT_ROWS);
}

static lm_status draw_starts(lm_inverter *inverter, int64_t first) {
    uint64_t seed = inverter->spec.seed;
    const uint32_t key[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), 0,
                             (uint32_t)(first * inverter->spec.starts)};
    if (lm_program_has_input(inverter->begin, "key"))
        LM_TRY(lm_program_set(inverter->begin, "key", LM_U32, key, 4));
    return lm_program_run(inverter->begin);
}

static lm_status step_down(lm_inverter *inverter, int step) {
    const lm_invert_spec *spec = &inverter->spec;
    double share = (double)step / spec->steps, t = step + 1;
    double rate = spec->rate * 0.5 * (1 + cos(acos(-1) * share));
    const float scalars[SCALARS] = {(float)(rate / (1 - pow(BETA1, t))),
                                    (float)(1 / (1 - pow(BETA2, t)))};
    if (step % ASK_EVERY == 0 && spec->go_on && !spec->go_on(spec->user))
        return lm_fail(LM_INTERRUPTED, "interrupted");
    LM_TRY(lm_program_set(inverter->descend, "scalars", LM_F32, scalars, SCALARS));
    return lm_program_run(inverter->descend);
}

/* Distances are those before the last step, which is next to nothing. */
static lm_status read_rows(lm_inverter *inverter) {
    LM_TRY(lm_program_get(inverter->descend, "distance", LM_F32, inverter->distances,
                          LM_INVERT_ROWS));
    return lm_engine_read_var(inverter->engine, variables[0], 0,
                              LM_INVERT_ROWS * inverter->size, LM_F32, inverter->states);
}

static int find_nearest(const lm_inverter *inverter, int image) {
    int starts = inverter->spec.starts, nearest = image * starts;
    for (int r = nearest; r < (image + 1) * starts; r++)
        if (inverter->distances[r] < inverter->distances[nearest]) nearest = r;
    return nearest;
}

lm_status lm_inverter_run(lm_inverter *inverter, const uint8_t *images,
                          const int32_t *labels, int64_t first, float *states) {
    LM_TRY(set_images(inverter, images, labels));
    LM_TRY(draw_starts(inverter, first));
    for (int step = 0; step < inverter->spec.steps; step++)
        LM_TRY(step_down(inverter, step));
    LM_TRY(read_rows(inverter));
    for (int i = 0; i < inverter->batch; i++)
        memcpy(states + i * inverter->size,
               inverter->states + find_nearest(inverter, i) * inverter->size,
               sizeof *states * (size_t)inverter->size);
    return LM_OK;
}
