#include "families/vae.h"

#include "base/mem.h"

#include <string.h>

static const lm_option options[] = {
    {"net", LM_OPT_CHOICE, "conv", 0, 0, "conv|mlp", NULL,
     "residual convolutions, or dense layers"},
    {"hidden", LM_OPT_INTS, "400", 1, 65536, NULL, "N,N,..",
     "widths of the encoder's dense layers; the decoder has them in reverse"},
    LM_MAPS_OPTIONS("1,2,2"),
    {"latent", LM_OPT_INT, "16", 1, 65536, NULL, "N", "latent units"},
    {"likelihood", LM_OPT_CHOICE, "logistic", 0, 0, LM_LIKELIHOOD_NAMES, NULL,
     "of the pixels, given the latent units"},
    {"scale", LM_OPT_CHOICE, "shared", 0, 0, LM_SCALE_NAMES, NULL,
     "of gaussian, laplace and logistic: a constant, one trained number, one of the "
     "network for each value, or the best for each batch"},
    {"sigma", LM_OPT_FLOAT, "1", 1e-6, 1e3, NULL, "S", "the scale, where it is fixed"},
    {"range", LM_OPT_CHOICE, "auto", 0, 0, "auto|unit|signed", NULL,
     "pixels of encoder and likelihood as 0 to 1 or -1 to 1; auto: what goes with the "
     "likelihood"},
    {"mixtures", LM_OPT_INT, "5", 1, 64, NULL, "N", "components of logistic-mixture"},
    {"dequantise", LM_OPT_FLAG, "true", 0, 0, NULL, NULL,
     "uniform noise within the 256 steps of a pixel, where the likelihood is a density"},
    {"beta", LM_OPT_FLOAT, "1", 0, 1e6, NULL, "B", "weight of the KL divergence"},
    {"beta-schedule", LM_OPT_CHOICE, "constant", 0, 0, "constant|warmup|cyclic", NULL,
     "how beta comes to its value: at once, from 0, or from 0 again and again"},
    {"beta-steps", LM_OPT_INT, "1000", 1, 1e12, NULL, "N",
     "steps of the warm-up, or of a cycle, half of which is spent below beta"},
    {"free-bits", LM_OPT_FLOAT, "0", 0, 1e3, NULL, "NATS",
     "KL divergence of a unit that costs no more than this"},
    {"samples", LM_OPT_INT, "1", 1, 1000, NULL, "K",
     "of the importance-weighted bound; 1: the plain one"},
    {"dreg", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "doubly reparameterised gradients: those of the encoder have less noise"},
    {"prior", LM_OPT_CHOICE, "normal", 0, 0, "normal|learned", NULL,
     "N(0,1), or a Gaussian whose means and variances are trained"},
    {"conditional", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "learn to draw the data's classes, each when asked for"},
    {0}};

/* docs/vae.md says what the two dense ones are good for. */
static const lm_preset presets[] = {
    {"conv",
     "net=conv base=32 mult=1,2,2 blocks=1 latent=16 batch=128 lr=2e-3 "
     "lr-schedule=cosine warmup=200 decay=0 ema=20000 ema-ramp=0.1",
     "28 pixels and more; minutes on two cores",
     {28, 28, 1, 10},
     4690},
    {"small",
     "net=conv base=16 mult=1,2,4 blocks=1 latent=16 batch=128 lr=2e-3 "
     "lr-schedule=cosine warmup=200 decay=0 ema=20000 ema-ramp=0.1",
     "28 pixels and more, for experiments; minutes on one core",
     {28, 28, 1, 10},
     2345},
    {"binary-conv",
     "net=conv base=16 mult=1,2,4 blocks=1 latent=32 likelihood=bernoulli batch=128 "
     "lr=1e-3 lr-schedule=cosine warmup=200 decay=0 ema=20000 ema-ramp=0.1",
     "small, for images of two values",
     {28, 28, 1, 10},
     14000},
    {"binary",
     "net=mlp hidden=400,400 latent=40 likelihood=bernoulli batch=100 lr=1e-3 "
     "lr-schedule=cosine warmup=200 decay=0 ema=100000 ema-ramp=0.1",
     "dense 784-400-400-40 for images of two values, as mnist?binarise=draw",
     {28, 28, 1, 10},
     60000},
    {"binary-shallow",
     "net=mlp hidden=400 latent=40 likelihood=bernoulli samples=32 dreg=on batch=32 "
     "lr=1e-3 lr-schedule=cosine warmup=200 decay=0 ema=100000 ema-ramp=0.1",
     "dense 784-400-40, 32 importance samples; an hour on two cores",
     {28, 28, 1, 10},
     240000},
    {0}};

/* ---- opening ----------------------------------------------------------------- */

static int copy_ints(const lm_settings *settings, const char *name, int *to) {
    const lm_option_value *value = lm_setting(settings, name);
    for (int i = 0; i < value->n_ints; i++) to[i] = (int)value->ints[i];
    return value->n_ints;
}

static lm_anneal_kind read_annealing(const char *name) {
    if (strcmp(name, "warmup") == 0) return LM_ANNEAL_WARMUP;
    return strcmp(name, "cyclic") == 0 ? LM_ANNEAL_CYCLIC : LM_ANNEAL_NONE;
}

static lm_status read_likelihood(const lm_settings *s, const lm_image_info *info,
                                 lm_likelihood *to) {
    const char *range = lm_setting_text(s, "range");
    return lm_likelihood_make(
        lm_setting_text(s, "likelihood"), lm_setting_text(s, "scale"),
        strcmp(range, "auto") == 0 ? NULL : range, lm_setting_float(s, "sigma"),
        (int)lm_setting_int(s, "mixtures"), info->channels, to);
}

static void read_settings(const lm_settings *s, lm_vae *vae) {
    vae->convolutional = strcmp(lm_setting_text(s, "net"), "conv") == 0;
    vae->n_hidden = copy_ints(s, "hidden", vae->hidden);
    lm_maps_read(s, &vae->maps);
    vae->latent = (int)lm_setting_int(s, "latent");
    vae->dequantise = lm_setting_flag(s, "dequantise");
    vae->beta = lm_setting_float(s, "beta");
    vae->anneal = read_annealing(lm_setting_text(s, "beta-schedule"));
    vae->beta_steps = lm_setting_int(s, "beta-steps");
    vae->free_bits = lm_setting_float(s, "free-bits");
    vae->samples = (int)lm_setting_int(s, "samples");
    vae->dreg = lm_setting_flag(s, "dreg");
    vae->learned_prior = strcmp(lm_setting_text(s, "prior"), "learned") == 0;
}

static lm_status check(const lm_model *model, const lm_vae *vae) {
    LM_RETURN_IF(model->conditional && model->info.classes < 1, LM_ARG,
                 "conditional: the images have no classes");
    LM_RETURN_IF(lm_vae_is_weighted(vae) && vae->free_bits > 0, LM_ARG,
                 "free-bits: goes with samples=1 and dreg=off, where the divergence has "
                 "a formula");
    return LM_OK;
}

static void build(const lm_model *model, lm_nn *nn) {
    const lm_vae *vae = model->state;
    const lm_vae_noise noise = {
        .eps = lm_input(nn->graph, "eps", LM_F32, LM_SHAPE(1, 1, vae->latent))};
    lm_vae_parts_of(model, nn, lm_model_input(model, nn, "images", LM_U8),
                    lm_model_label(nn), &noise);
}

static lm_status open_model(lm_model *model) {
    lm_vae *vae = lm_calloc(1, sizeof *vae);
    if (!vae) return LM_NOMEM;
    model->state = vae;
    model->conditional = lm_setting_flag(&model->settings, "conditional");
    read_settings(&model->settings, vae);
    LM_TRY(read_likelihood(&model->settings, &model->info, &vae->likelihood));
    model->binary = vae->likelihood.kind == LM_LIKELIHOOD_BERNOULLI;
    LM_TRY(lm_maps_measure(&vae->maps, model->info.height, model->info.width));
    LM_TRY(check(model, vae));
    return lm_model_register(model, build);
}

static void close_model(lm_model *model) {
    lm_free(model->state);
    model->state = NULL;
}

/* ---- training ---------------------------------------------------------------- */

/* The step is the third word of the key. Within a cycle beta grows over the first half
 * (Fu et al. 2019). */
static lm_node *beta_now(const lm_vae *vae, lm_nn *nn) {
    lm_graph *g = nn->graph;
    if (vae->anneal == LM_ANNEAL_NONE) return lm_const(g, vae->beta);
    lm_node *step = lm_cast(g, lm_slice_axis(g, nn->key, 0, 2, 3), LM_F32);
    lm_node *share = lm_scale(g, step, 1 / (double)vae->beta_steps);
    if (vae->anneal == LM_ANNEAL_CYCLIC)
        share = lm_scale(g, lm_sub(g, share, lm_ew1(g, LM_EW_FLOOR, share)), 2);
    return lm_scale(g, lm_sum_all(g, lm_min2(g, share, lm_const(g, 1))), vae->beta);
}

static lm_node *pixel_noise(const lm_vae *vae, lm_nn *nn, lm_shape shape) {
    if (!vae->dequantise || lm_likelihood_is_discrete(&vae->likelihood)) return NULL;
    return lm_uniform(nn->graph, nn->key, LM_VAE_STREAM_PIXELS, shape);
}

/* Random numbers belong to an image and a place in it: K samples are one image's. */
static lm_node *draw_eps(lm_nn *nn, int64_t count, int64_t samples, int64_t latent) {
    static const int samples_first[] = {1, 0, 2};
    lm_node *eps = lm_normal(nn->graph, nn->key, LM_VAE_STREAM_EPS,
                             LM_SHAPE(count, samples, latent));
    return lm_permute(nn->graph, eps, samples_first);
}

static lm_node *loss(const lm_model *model, lm_nn *nn, lm_node *images, lm_node *labels) {
    if (!images) return NULL;
    const lm_vae *vae = model->state;
    const lm_vae_noise noise = {
        draw_eps(nn, images->shape.dim[0], vae->samples, vae->latent),
        pixel_noise(vae, nn, images->shape)};
    lm_node *beta = beta_now(vae, nn);
    lm_graph_output(nn->graph, "beta", beta);
    return lm_vae_loss_at(model, nn, images, labels, &noise, beta);
}

/* ---- sampling ---------------------------------------------------------------- */

/* A draw is one pass of the decoder, without steps. */
static lm_status sampler(const lm_model *model, const lm_sample_request *request,
                         lm_sampler *to) {
    enum { COMPONENTS = 10 };
    const lm_vae *vae = model->state;
    const char *name = request->sampler ? request->sampler : "prior";
    bool mixture = strcmp(name, "mixture") == 0;
    *to = (lm_sampler){.state = LM_SHAPE(vae->latent), .nfe = 1};
    LM_RETURN_IF(!mixture && strcmp(name, "prior") != 0, LM_ARG,
                 "sampler: %s is not one of prior and mixture", name);
    if (mixture) {
        to->components = request->components ? request->components : COMPONENTS;
        to->diagonal = request->diagonal;
    }
    to->protocol = lm_strdup(mixture              ? "mixture, mean image"
                             : vae->learned_prior ? "learned prior, mean image"
                                                  : "normal prior, mean image");
    return to->protocol ? LM_OK : LM_NOMEM;
}

static lm_node *sample_init(const lm_model *model, lm_nn *nn, int batch) {
    const lm_vae *vae = model->state;
    return lm_normal(nn->graph, nn->key, LM_VAE_STREAM_PRIOR,
                     LM_SHAPE(batch, vae->latent));
}

static lm_node *sample_image(const lm_model *model, lm_nn *nn, lm_node *state,
                             lm_node *labels) {
    const lm_vae *vae = model->state;
    lm_graph *g = nn->graph;
    lm_diagonal p = lm_vae_prior(model, nn, labels);
    lm_node *sigma = lm_exp(g, lm_scale(g, p.log_variance, 0.5));
    lm_node *z = lm_add(g, p.mean, lm_mul(g, sigma, state));
    return lm_likelihood_mean(nn, &vae->likelihood, lm_vae_decode(model, nn, z, labels));
}

/* In units of the prior, so that states of all models look alike. */
static lm_node *encode(const lm_model *model, lm_nn *nn, lm_node *images,
                       lm_node *labels) {
    lm_graph *g = nn->graph;
    const lm_vae *vae = model->state;
    lm_diagonal q = lm_vae_encode(model, nn, images, labels);
    lm_diagonal p = lm_vae_prior(model, nn, labels);
    lm_node *sharp = lm_exp(g, lm_scale(g, p.log_variance, -0.5)), *z = q.mean;
    if (nn->key && z) {
        lm_node *eps = lm_normal(g, nn->key, LM_VAE_STREAM_EPS,
                                 LM_SHAPE(z->shape.dim[0], vae->latent));
        lm_node *sigma = lm_exp(g, lm_scale(g, q.log_variance, 0.5));
        z = lm_add(g, z, lm_mul(g, sigma, eps));
    }
    return lm_mul(g, lm_sub(g, z, p.mean), sharp);
}

static lm_node *divergence(const lm_model *model, lm_nn *nn, lm_node *images,
                           lm_node *labels) {
    lm_diagonal q = lm_vae_encode(model, nn, images, labels);
    lm_diagonal p = lm_vae_prior(model, nn, labels);
    return lm_sum(nn->graph, lm_vae_divergence(nn->graph, q, p), 1u << 1, false);
}

static lm_node *log_weights(const lm_model *model, lm_nn *nn, lm_node *images,
                            lm_node *labels, int samples) {
    const lm_vae *vae = model->state;
    lm_graph *g = nn->graph;
    if (!images) return NULL;
    const lm_vae_noise noise = {draw_eps(nn, images->shape.dim[0], samples, vae->latent),
                                pixel_noise(vae, nn, images->shape)};
    lm_vae_parts parts = lm_vae_parts_of(model, nn, images, labels, &noise);
    lm_node *weights = lm_transpose(g, lm_add(g, parts.log_prob, parts.log_ratio));
    const lm_image_info *info = &model->info;
    double values = (double)info->height * info->width * info->channels;
    return lm_add_scalar(g, weights, values * lm_likelihood_offset(&vae->likelihood));
}

const lm_family lm_family_vae = {
    .name = "vae",
    .title = "variational autoencoder",
    .paper = "Kingma, Welling: Auto-Encoding Variational Bayes. ICLR 2014",
    .options = options,
    .presets = presets,
    .phases = {{.name = "train", .group = 0, .loss = loss}},
    .open = open_model,
    .close = close_model,
    .sampler = sampler,
    .sample_init = sample_init,
    .sample_image = sample_image,
    .encode = encode,
    .divergence = divergence,
    .log_weights = log_weights,
    .watch = &lm_vae_watch};
