#include "families/vqvae.h"

#include "base/mem.h"

#include <string.h>

static const lm_option options[] = {
    LM_MAPS_OPTIONS("1,2,2"),
    {"codes", LM_OPT_INT, "256", 2, 65536, NULL, "N", "entries of the table"},
    {"width", LM_OPT_INT, "16", 1, 4096, NULL, "N", "numbers of a code"},
    {"code-decay", LM_OPT_FLOAT, "0.99", 0, 0.99999, NULL, "D",
     "of the averages that codes follow, a step"},
    {"restart", LM_OPT_FLOAT, "0.03", 0, 1, NULL, "S",
     "codes used less than this share of even use begin anew; 0: never"},
    {"commitment", LM_OPT_FLOAT, "0.25", 0, 1e3, NULL, "B",
     "weight of the mean square distance from vectors to their codes"},
    {"likelihood", LM_OPT_CHOICE, "gaussian", 0, 0, LM_LIKELIHOOD_NAMES, NULL,
     "of the pixels, given the codes"},
    {"scale", LM_OPT_CHOICE, "optimal", 0, 0, LM_SCALE_NAMES, NULL,
     "of gaussian, laplace and logistic"},
    {"sigma", LM_OPT_FLOAT, "1", 1e-6, 1e3, NULL, "S", "the scale, where it is fixed"},
    {"mixtures", LM_OPT_INT, "5", 1, 64, NULL, "N", "components of logistic-mixture"},
    {0}};

static const lm_preset presets[] = {
    {"small",
     "base=32 mult=1,2,2 blocks=1 codes=256 width=16 batch=128 lr=2e-3 "
     "lr-schedule=cosine warmup=200 decay=0 ema=20000 ema-ramp=0.1",
     "28 to 64 pixels; minutes on two cores",
     {28, 28, 1, 10},
     4690},
    {0}};

/* ---- opening ----------------------------------------------------------------- */

static lm_status read_settings(lm_model *model, lm_vqvae *vq) {
    const lm_settings *s = &model->settings;
    lm_maps_read(s, &vq->maps);
    vq->width = (int)lm_setting_int(s, "width");
    vq->vq = (lm_vq_spec){.codes = lm_setting_int(s, "codes"),
                          .decay = lm_setting_float(s, "code-decay"),
                          .restart = lm_setting_float(s, "restart")};
    vq->commitment = lm_setting_float(s, "commitment");
    LM_TRY(lm_maps_measure(&vq->maps, model->info.height, model->info.width));
    return lm_likelihood_make(
        lm_setting_text(s, "likelihood"), lm_setting_text(s, "scale"), NULL,
        lm_setting_float(s, "sigma"), (int)lm_setting_int(s, "mixtures"),
        model->info.channels, &vq->likelihood);
}

static lm_node *loss_of(const lm_model *model, lm_nn *nn, lm_node *images);

static void build(const lm_model *model, lm_nn *nn) {
    loss_of(model, nn, lm_model_input(model, nn, "images", LM_U8));
}

static lm_status open_model(lm_model *model) {
    lm_vqvae *vq = lm_calloc(1, sizeof *vq);
    if (!vq) return LM_NOMEM;
    model->state = vq;
    LM_TRY(read_settings(model, vq));
    model->binary = vq->likelihood.kind == LM_LIKELIHOOD_BERNOULLI;
    LM_TRY(lm_params_new("buffers", &model->buffers));
    return lm_model_register(model, build);
}

static void close_model(lm_model *model) {
    lm_free(model->state);
    model->state = NULL;
}

/* ---- networks ---------------------------------------------------------------- */

static lm_shape state_shape(const lm_vqvae *vq) {
    int last = vq->maps.n_levels - 1;
    return LM_SHAPE(vq->maps.rows[last], vq->maps.cols[last], vq->width);
}

static lm_node *as_maps(const lm_vqvae *vq, lm_graph *g, lm_node *rows, int64_t count) {
    lm_shape s = state_shape(vq);
    return lm_reshape(g, rows, LM_SHAPE(count, s.dim[0], s.dim[1], s.dim[2]));
}

lm_node *lm_vqvae_encode(const lm_model *model, lm_nn *nn, lm_node *images) {
    const lm_vqvae *vq = model->state;
    lm_scope_push(nn->graph, "encoder");
    lm_node *x = lm_nn_signed(nn->graph, images);
    x = lm_maps_encode(nn, &vq->maps, x, NULL);
    x = lm_nn_dense(nn, "codes", x, vq->width, true, LM_INIT(FAN_AVG, 1));
    lm_scope_pop(nn->graph);
    return x;
}

lm_vq lm_vqvae_quantise(const lm_model *model, lm_nn *nn, lm_node *z) {
    const lm_vqvae *vq = model->state;
    if (!z) return (lm_vq){0};
    int64_t rows = lm_shape_count(z->shape) / vq->width;
    lm_node *flat = lm_reshape(nn->graph, z, LM_SHAPE(rows, vq->width));
    return lm_nn_vq(nn, "vq", flat, &vq->vq);
}

lm_node *lm_vqvae_decode(const lm_model *model, lm_nn *nn, lm_node *codes) {
    const lm_vqvae *vq = model->state;
    lm_scope_push(nn->graph, "decoder");
    int last = vq->maps.n_levels - 1;
    lm_node *x = lm_nn_conv3x3(nn, "codes", codes, vq->maps.channels[last], 1);
    x = lm_maps_decode(nn, &vq->maps, x, lm_likelihood_params(&vq->likelihood), NULL);
    lm_scope_pop(nn->graph);
    return x;
}

/* ---- training ---------------------------------------------------------------- */

static lm_node *dequantise(const lm_vqvae *vq, lm_nn *nn, lm_node *images) {
    bool needs = nn->key && !lm_likelihood_is_discrete(&vq->likelihood);
    lm_node *noise =
        needs ? lm_uniform(nn->graph, nn->key, lm_nn_stream(nn), images->shape) : NULL;
    return lm_likelihood_target(nn, &vq->likelihood, images, noise);
}

/* Nats a value, and the commitment. */
static lm_node *loss_of(const lm_model *model, lm_nn *nn, lm_node *images) {
    const lm_vqvae *vq = model->state;
    lm_graph *g = nn->graph;
    if (!images) return NULL;
    lm_vq coded = lm_vqvae_quantise(model, nn, lm_vqvae_encode(model, nn, images));
    lm_node *codes = as_maps(vq, g, coded.through, images->shape.dim[0]);
    lm_node *params = lm_vqvae_decode(model, nn, codes);
    lm_node *log_prob =
        lm_likelihood_log_prob(nn, &vq->likelihood, params, dequantise(vq, nn, images));
    double values = (double)lm_shape_count(images->shape) / (double)images->shape.dim[0];
    lm_node *error = lm_scale(g, lm_mean_all(g, log_prob), -1 / values);
    lm_graph_output(g, "reconstruction", error);
    lm_graph_output(g, "commitment", coded.commitment);
    lm_graph_output(g, "perplexity", coded.perplexity);
    lm_graph_output(g, "codes_used", coded.used);
    return lm_add(g, error, lm_scale(g, coded.commitment, vq->commitment));
}

static lm_node *loss(const lm_model *model, lm_nn *nn, lm_node *images, lm_node *labels) {
    return loss_of(model, nn, images);
}

/* ---- sampling ---------------------------------------------------------------- */

static lm_status sampler(const lm_model *model, const lm_sample_request *request,
                         lm_sampler *to) {
    *to = (lm_sampler){.state = state_shape(model->state), .nfe = 1};
    LM_RETURN_IF(request->sampler && strcmp(request->sampler, "uniform") != 0, LM_ARG,
                 "sampler: %s is not one of uniform", request->sampler);
    to->protocol = lm_strdup("uniform over codes, mean image");
    return to->protocol ? LM_OK : LM_NOMEM;
}

enum { STREAM_CODES = 1 };

static lm_node *sample_init(const lm_model *model, lm_nn *nn, int batch) {
    const lm_vqvae *vq = model->state;
    lm_graph *g = nn->graph;
    lm_shape s = state_shape(vq);
    int64_t places = s.dim[0] * s.dim[1];
    lm_node *u = lm_uniform(g, nn->key, STREAM_CODES, LM_SHAPE(batch, places));
    u = lm_min2(g, lm_scale(g, u, (double)vq->vq.codes),
                lm_const(g, (double)(vq->vq.codes - 1)));
    lm_node *index =
        lm_reshape(g, lm_cast(g, u, LM_I32), LM_SHAPE((int64_t)batch * places));
    lm_scope_push(g, "vq");
    lm_node *codes =
        lm_nn_buffer(nn, "codes", LM_SHAPE(vq->vq.codes, vq->width), LM_INIT(NORMAL, 1));
    lm_scope_pop(g);
    return as_maps(vq, g, lm_gather(g, codes, index), batch);
}

static lm_node *sample_image(const lm_model *model, lm_nn *nn, lm_node *state,
                             lm_node *labels) {
    const lm_vqvae *vq = model->state;
    if (!state) return NULL;
    lm_node *codes = lm_vqvae_quantise(model, nn, state).code;
    codes = as_maps(vq, nn->graph, codes, state->shape.dim[0]);
    return lm_likelihood_mean(nn, &vq->likelihood, lm_vqvae_decode(model, nn, codes));
}

static lm_node *encode(const lm_model *model, lm_nn *nn, lm_node *images,
                       lm_node *labels) {
    return lm_vqvae_encode(model, nn, images);
}

const lm_family lm_family_vqvae = {
    .name = "vqvae",
    .title = "autoencoder with quantised codes",
    .paper = "van den Oord, Vinyals, Kavukcuoglu: Neural Discrete Representation "
             "Learning. NeurIPS 2017",
    .options = options,
    .presets = presets,
    .phases = {{.name = "train", .group = 0, .loss = loss}},
    .open = open_model,
    .close = close_model,
    .sampler = sampler,
    .sample_init = sample_init,
    .sample_image = sample_image,
    .encode = encode};
