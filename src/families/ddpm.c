#include "families/ddpm.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

static const lm_option options[] = {
    {"base", LM_OPT_INT, "32", 2, 1024, NULL, "N", "channels of the first level"},
    {"mult", LM_OPT_INTS, "1,2,2", 1, 64, NULL, "N,N,..",
     "channels of each level, in multiples of base"},
    {"blocks", LM_OPT_INT, "2", 1, LM_UNET_MAX_BLOCKS, NULL, "N",
     "residual blocks a level"},
    {"attention", LM_OPT_INTS, "7,8", 0, 4096, NULL, "PX,PX,..",
     "heights of feature maps with self attention, 0 for none"},
    {"heads", LM_OPT_INT, "1", 1, 64, NULL, "N", "attention heads"},
    {"groups", LM_OPT_INT, "32", 1, 1024, NULL, "N",
     "groups of the norms, reduced to divide the channels"},
    {"dropout", LM_OPT_FLOAT, "0", 0, 0.95, NULL, "P", "dropout within residual blocks"},
    {"patch", LM_OPT_INT, "1", 1, 64, NULL, "PX",
     "side of the pixel blocks that become channels at the input"},
    {"timesteps", LM_OPT_INT, "1000", 1, 100000, NULL, "N", "noise levels"},
    {"schedule", LM_OPT_CHOICE, "linear", 0, 0, "linear|cosine", NULL,
     "how the noise grows"},
    {"predict", LM_OPT_CHOICE, "epsilon", 0, 0, "epsilon|v", NULL,
     "what the network predicts: the noise, or the velocity"},
    {"variance", LM_OPT_CHOICE, "small", 0, 0, "small|large", NULL,
     "noise of ancestral sampling: the posterior's, or beta"},
    {"clip-x0", LM_OPT_FLAG, "true", 0, 0, NULL, NULL,
     "clip the predicted image to [-1,1] at each sampling step"},
    {"sampler", LM_OPT_CHOICE, "ddim", 0, 0, "ddpm|ddim", NULL,
     "ancestral or implicit sampling"},
    {"sample-steps", LM_OPT_INT, "0", 0, 100000, NULL, "N",
     "sampling steps; 0: all for ddpm, at most 50 for ddim"},
    {"spacing", LM_OPT_CHOICE, "trailing", 0, 0, "leading|trailing|linspace|quad", NULL,
     "how sampling steps are spread over the noise levels"},
    {"eta", LM_OPT_FLOAT, "0", 0, 1, NULL, "E",
     "noise of ddim: 0 none, 1 as much as ddpm"},
    {"conditional", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "learn to draw the data's classes, each when asked for"},
    {"label-drop", LM_OPT_FLOAT, "0.1", 0, 1, NULL, "P",
     "share of images whose class is hidden in training, so that there is guidance"},
    {"guidance", LM_OPT_FLOAT, "1", 0.001, 1000, NULL, "S",
     "classifier-free guidance: none + S (class - none); 1 does without"},
    {0}};

/* cifar10 is Ho et al. 2020, appendix B; its average of 0.9999 a step at batch 128 is a
 * half-life of 887 000 images. */
static const lm_preset presets[] = {
    {"mnist",
     "base=32 mult=1,2,2 blocks=1 attention=7,8 schedule=cosine predict=v eta=1 "
     "sample-steps=100 batch=64 lr=1e-3 lr-schedule=cosine warmup=200 ema=30000 "
     "ema-ramp=0.1",
     "28 to 32 pixels, one colour; about half an hour on two cores",
     {28, 28, 1, 10},
     0},
    {"tiny",
     "base=32 mult=1,1 blocks=1 attention=7,8 patch=2 schedule=cosine predict=v eta=1 "
     "sample-steps=100 batch=64 lr=2e-3 lr-schedule=cosine warmup=50 ema=10000 "
     "ema-ramp=0.1",
     "28 to 32 pixels, one colour; minutes on two cores",
     {28, 28, 1, 10},
     0},
    {"cifar10",
     "base=128 mult=1,2,2,2 blocks=2 attention=16 dropout=0.1 schedule=linear "
     "sampler=ddpm batch=128 flip=on lr=2e-4 warmup=5000 clip=1 decay=0 ema=887000 "
     "ema-ramp=0",
     "32 pixels in colour, as the paper; a long run",
     {32, 32, 3, 10},
     0},
    {0}};

/* ---- opening ----------------------------------------------------------------- */

static int copy_ints(const lm_settings *settings, const char *name, int *to) {
    const lm_option_value *value = lm_setting(settings, name);
    for (int i = 0; i < value->n_ints; i++) to[i] = (int)value->ints[i];
    return value->n_ints;
}

static void read_settings(const lm_settings *s, const lm_image_info *info,
                          lm_ddpm *ddpm) {
    lm_unet_spec *unet = &ddpm->unet;
    ddpm->patch = (int)lm_setting_int(s, "patch");
    ddpm->timesteps = (int)lm_setting_int(s, "timesteps");
    ddpm->label_drop = lm_setting_float(s, "label-drop");
    ddpm->predicts_v = strcmp(lm_setting_text(s, "predict"), "v") == 0;
    unet->out = info->channels * ddpm->patch * ddpm->patch;
    unet->base = (int)lm_setting_int(s, "base");
    unet->blocks = (int)lm_setting_int(s, "blocks");
    unet->heads = (int)lm_setting_int(s, "heads");
    unet->groups = (int)lm_setting_int(s, "groups");
    unet->dropout = lm_setting_float(s, "dropout");
    unet->n_levels = copy_ints(s, "mult", unet->mult);
    unet->n_attention = copy_ints(s, "attention", unet->attention);
}

static lm_status check_classes(const lm_model *model) {
    LM_RETURN_IF(model->conditional && model->info.classes < 1, LM_ARG,
                 "conditional: the images have no classes");
    return LM_OK;
}

static lm_status check_geometry(const lm_ddpm *ddpm, const lm_image_info *info) {
    int patch = ddpm->patch;
    LM_RETURN_IF(info->height < 1 || info->width < 1 || info->channels < 1, LM_ARG,
                 "cannot model images of %dx%d with %d channels", info->height,
                 info->width, info->channels);
    LM_RETURN_IF(info->height % patch || info->width % patch, LM_ARG,
                 "patch: blocks of %d pixels do not fill a %dx%d image", patch,
                 info->height, info->width);
    LM_RETURN_IF(ddpm->unet.base % 2, LM_ARG,
                 "base: %d is odd; the time embedding needs an even number",
                 ddpm->unet.base);
    return lm_unet_check(&ddpm->unet, info->height / patch, info->width / patch);
}

static lm_status make_schedule(const lm_settings *settings, lm_ddpm *ddpm) {
    ddpm->alpha_bar = lm_alloc((size_t)ddpm->timesteps * sizeof *ddpm->alpha_bar);
    if (!ddpm->alpha_bar) return LM_NOMEM;
    bool cosine = strcmp(lm_setting_text(settings, "schedule"), "cosine") == 0;
    lm_alpha_bars(cosine ? LM_BETA_COSINE : LM_BETA_LINEAR, ddpm->timesteps,
                  ddpm->alpha_bar);
    return LM_OK;
}

static void build(const lm_model *model, lm_nn *nn) {
    lm_ddpm_predict(model, nn, lm_model_input(model, nn, "x", LM_F32),
                    lm_input(nn->graph, "t", LM_F32, LM_SHAPE(1)), lm_model_label(nn));
}

static lm_status open_model(lm_model *model) {
    lm_ddpm *ddpm = lm_calloc(1, sizeof *ddpm);
    if (!ddpm) return LM_NOMEM;
    model->state = ddpm;
    read_settings(&model->settings, &model->info, ddpm);
    model->conditional = lm_setting_flag(&model->settings, "conditional");
    LM_TRY(check_classes(model));
    LM_TRY(check_geometry(ddpm, &model->info));
    LM_TRY(make_schedule(&model->settings, ddpm));
    return lm_model_register(model, build);
}

static void close_model(lm_model *model) {
    lm_ddpm *ddpm = model->state;
    if (!ddpm) return;
    lm_free(ddpm->alpha_bar);
    lm_free(ddpm);
    model->state = NULL;
}

/* ---- training ---------------------------------------------------------------- */

lm_node *lm_ddpm_predict(const lm_model *model, lm_nn *nn, lm_node *x, lm_node *t,
                         lm_node *labels) {
    const lm_ddpm *ddpm = model->state;
    lm_node *conditioning = lm_unet_time(nn, &ddpm->unet, t);
    if (model->conditional)
        conditioning =
            lm_add(nn->graph, conditioning,
                   lm_unet_class(nn, &ddpm->unet, labels, model->info.classes));
    lm_node *h = lm_nn_space_to_depth(nn, x, ddpm->patch);
    h = lm_unet(nn, &ddpm->unet, h, conditioning);
    return lm_nn_depth_to_space(nn, h, ddpm->patch);
}

/* Shares of signal and noise by time, in standard deviations: [T, 2]. */
static lm_node *share_table(const lm_ddpm *ddpm, lm_graph *g) {
    int count = ddpm->timesteps;
    float *table = lm_alloc(2 * (size_t)count * sizeof *table);
    if (!table) return lm_graph_fail(g, LM_NOMEM, "noise schedule: out of memory");
    for (int t = 0; t < count; t++) {
        table[2 * t] = (float)sqrt(ddpm->alpha_bar[t]);
        table[2 * t + 1] = (float)sqrt(1.0 - ddpm->alpha_bar[t]);
    }
    lm_node *node = lm_const_data(g, LM_F32, LM_SHAPE(count, 2), table);
    lm_free(table);
    return node;
}

lm_node *lm_ddpm_loss_at(const lm_model *model, lm_nn *nn, lm_node *x, lm_node *t,
                         lm_node *noise, lm_node *labels) {
    if (!x || !t) return NULL;
    lm_graph *g = nn->graph;
    lm_shape each = LM_SHAPE(t->shape.dim[0], 1, 1, 1);
    lm_node *shares = lm_gather(g, share_table(model->state, g), t);
    lm_node *signal = lm_reshape(g, lm_slice_axis(g, shares, 1, 0, 1), each);
    lm_node *spread = lm_reshape(g, lm_slice_axis(g, shares, 1, 1, 2), each);
    const lm_ddpm *ddpm = model->state;
    lm_node *noisy = lm_add(g, lm_mul(g, signal, x), lm_mul(g, spread, noise));
    lm_node *target = noise;
    if (ddpm->predicts_v)
        target = lm_sub(g, lm_mul(g, signal, noise), lm_mul(g, spread, x));
    lm_node *guess = lm_ddpm_predict(model, nn, noisy, lm_cast(g, t, LM_F32), labels);
    return lm_nn_mse(nn, guess, target);
}

/* A uniform time for each image. u < 1, but u * T may round up to T. */
static lm_node *draw_times(const lm_ddpm *ddpm, lm_nn *nn, int64_t count) {
    lm_graph *g = nn->graph;
    lm_node *u = lm_uniform(g, nn->key, LM_DDPM_STREAM_TIME, LM_SHAPE(count));
    lm_node *t = lm_scale(g, u, ddpm->timesteps);
    return lm_cast(g, lm_min2(g, t, lm_const(g, ddpm->timesteps - 1)), LM_I32);
}

/* Each label is none with the probability that the settings give. */
static lm_node *hide_labels(const lm_model *model, lm_nn *nn, lm_node *labels) {
    const lm_ddpm *ddpm = model->state;
    if (!model->conditional || !labels || ddpm->label_drop <= 0) return labels;
    lm_graph *g = nn->graph;
    lm_node *u = lm_uniform(g, nn->key, LM_DDPM_STREAM_LABEL, labels->shape);
    lm_node *hidden = lm_lt(g, u, lm_const(g, ddpm->label_drop));
    lm_node *kept = lm_cast(g, labels, LM_F32);
    return lm_cast(g, lm_where(g, hidden, lm_const(g, -1), kept), LM_I32);
}

static lm_node *loss(const lm_model *model, lm_nn *nn, lm_node *images, lm_node *labels) {
    if (!images) return NULL;
    lm_graph *g = nn->graph;
    lm_node *x = lm_nn_signed(nn->graph, images);
    lm_node *t = draw_times(model->state, nn, images->shape.dim[0]);
    lm_node *noise = lm_normal(g, nn->key, LM_DDPM_STREAM_NOISE, images->shape);
    return lm_ddpm_loss_at(model, nn, x, t, noise, hide_labels(model, nn, labels));
}

const lm_family lm_family_ddpm = {
    .name = "ddpm",
    .title = "denoising diffusion",
    .paper = "Ho, Jain, Abbeel: Denoising Diffusion Probabilistic Models. NeurIPS 2020",
    .options = options,
    .presets = presets,
    .phases = {{.name = "train", .group = 0, .loss = loss}},
    .open = open_model,
    .close = close_model,
    .sampler = lm_ddpm_sampler,
    .sample_init = lm_ddpm_sample_init,
    .sample_step = lm_ddpm_sample_step,
    .bound = lm_ddpm_bound,
    .bound_guess = lm_ddpm_bound_guess,
    .bound_term = lm_ddpm_bound_term,
    .sample_image = lm_ddpm_sample_image};
