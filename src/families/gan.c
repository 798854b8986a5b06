#include "families/gan.h"

#include "base/mem.h"
#include "nn/diffaugment.h"

#include <string.h>

static const lm_option options[] = {
    {"net", LM_OPT_CHOICE, "dcgan", 0, 0, LM_GAN_NETS, NULL, "architecture of the pair"},
    {"z", LM_OPT_INT, "128", 1, 65536, NULL, "N", "width of the noise"},
    {"base", LM_OPT_INT, "64", 1, 4096, NULL, "N",
     "channels of the largest maps; a level has twice those of the one before"},
    {"most", LM_OPT_INT, "512", 1, 8192, NULL, "N", "channels of any level at most"},
    {"d-base", LM_OPT_INT, "0", 0, 4096, NULL, "N",
     "those of the discriminator, whose most is in proportion; 0: as base"},
    {"g-norm", LM_OPT_CHOICE, "batch", 0, 0, LM_GAN_NORMS, NULL,
     "what the generator is normalised by"},
    {"d-norm", LM_OPT_CHOICE, "batch", 0, 0, LM_GAN_NORMS, NULL,
     "what the discriminator is normalised by"},
    {"spectral", LM_OPT_FLAG, "off", 0, 0, NULL, "on|off",
     "the discriminator's weights by their spectral norm"},
    {"g-act", LM_OPT_CHOICE, "relu", 0, 0, LM_GAN_ACTS, NULL,
     "the generator's nonlinearity"},
    {"d-act", LM_OPT_CHOICE, "leaky", 0, 0, LM_GAN_ACTS, NULL, "the discriminator's"},
    {"conditional", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "learn to draw the data's classes, each when asked for"},
    {"g-labels", LM_OPT_CHOICE, "concat", 0, 0, "concat|norm", NULL,
     "how the generator is told classes: beside z, or by scales and shifts of its batch "
     "norms"},
    {"embed", LM_OPT_INT, "32", 1, 4096, NULL, "N",
     "numbers of a class, beside z or for the norms"},
    {"d-labels", LM_OPT_CHOICE, "projection", 0, 0, "projection|map", NULL,
     "how the discriminator sees classes: by projection, or as a trained map beside the "
     "image's channels"},
    {"loss", LM_OPT_CHOICE, "non-saturating", 0, 0, LM_GAN_LOSSES, NULL,
     "what the two play for"},
    {"gp", LM_OPT_FLOAT, "0", 0, 1e6, NULL, "LAMBDA",
     "weight of the gradient penalty between real and generated images, 0 for none"},
    {"gp-sided", LM_OPT_CHOICE, "two", 0, 0, "one|two", NULL,
     "what it punishes: gradients longer than 1, or shorter ones too"},
    {"r1", LM_OPT_FLOAT, "0", 0, 1e6, NULL, "GAMMA",
     "weight of the gradient's square on real images, 0 for none"},
    {"r2", LM_OPT_FLOAT, "0", 0, 1e6, NULL, "GAMMA", "on generated images"},
    {"penalty-every", LM_OPT_INT, "1", 1, 10000, NULL, "N",
     "steps from one penalty to the next, which is as much stronger (lazily)"},
    {"weight-clip", LM_OPT_FLOAT, "0", 0, 1e3, NULL, "C",
     "every update leaves the discriminator's weights within +-C, 0 for anywhere"},
    {"d-steps", LM_OPT_INT, "1", 1, 100, NULL, "N",
     "updates of the discriminator a step (n_critic), each by a batch of its own"},
    {"g-steps", LM_OPT_INT, "1", 1, 100, NULL, "N", "updates of the generator a step"},
    {"d-rate", LM_OPT_FLOAT, "1", 1e-6, 1e6, NULL, "X",
     "the discriminator's learning rate is lr times this (TTUR)"},
    {"g-rate", LM_OPT_FLOAT, "1", 1e-6, 1e6, NULL, "X", "the generator's"},
    {"smoothing", LM_OPT_FLOAT, "0", 0, 0.5, NULL, "P",
     "how far the target of real images is below 1 (one-sided label smoothing)"},
    {"augment", LM_OPT_TEXT, "", 0, 0, NULL, "color,translation,cutout",
     "real and generated images are changed by these parts of DiffAugment"},
    {"noise", LM_OPT_FLOAT, "0", 0, 10, NULL, "SIGMA",
     "instance noise on all that the discriminator sees, at first"},
    {"noise-steps", LM_OPT_INT, "0", 0, 1e12, NULL, "N",
     "steps in which the noise fades; 0: it stays"},
    {0}};

/* ---- opening ----------------------------------------------------------------- */

static lm_phase_rule read_rule(const lm_settings *s, const char *steps,
                               const char *rate) {
    return (lm_phase_rule){.every = 1,
                           .runs = (int)lm_setting_int(s, steps),
                           .rate = lm_setting_float(s, rate)};
}

static lm_status read_settings(const lm_settings *s, lm_gan *gan) {
    lm_gan_pair_read(s, &gan->pair);
    gan->loss = lm_gan_loss_find(lm_setting_text(s, "loss"));
    lm_gan_penalty_read(s, &gan->penalty);
    gan->rules[LM_GAN_GENERATOR] = read_rule(s, "g-steps", "g-rate");
    gan->rules[LM_GAN_DISCRIMINATOR] = read_rule(s, "d-steps", "d-rate");
    gan->smoothing = lm_setting_float(s, "smoothing");
    gan->noise = lm_setting_float(s, "noise");
    gan->noise_steps = lm_setting_int(s, "noise-steps");
    return lm_diffaugment_parse(lm_setting_text(s, "augment"), &gan->augment);
}

static lm_status check(const lm_model *model, const lm_gan *gan) {
    LM_RETURN_IF(model->conditional && model->info.classes < 1, LM_ARG,
                 "conditional: the images have no classes");
    LM_RETURN_IF(model->conditional && gan->pair.label_norm &&
                     gan->pair.norm[LM_GAN_GENERATOR] != LM_GAN_NORM_BATCH,
                 LM_ARG, "g-labels: norm goes with g-norm=batch");
    LM_RETURN_IF(gan->smoothing > 0 && !gan->loss->smooths, LM_ARG,
                 "smoothing: the loss %s has no target that could be below 1",
                 gan->loss->name);
    LM_RETURN_IF(lm_gan_penalty_any(&gan->penalty) &&
                     gan->pair.norm[LM_GAN_DISCRIMINATOR] == LM_GAN_NORM_BATCH,
                 LM_ARG,
                 "d-norm: batch makes each logit depend on all images, so that no "
                 "penalty on an image's gradient is possible; layer, instance and none "
                 "do not");
    return gan->pair.architecture->check(&model->info);
}

/* Running statistics and singular vectors. */
static bool needs_buffers(const lm_gan_pair *pair) {
    return pair->norm[LM_GAN_GENERATOR] == LM_GAN_NORM_BATCH || pair->spectral;
}

static lm_status make_groups(lm_model *model) {
    static const char *const names[] = {"generator", "discriminator"};
    const lm_gan *gan = model->state;
    if (needs_buffers(&gan->pair)) LM_TRY(lm_params_new("buffers", &model->buffers));
    for (; model->n_groups < 2; model->n_groups++)
        LM_TRY(lm_params_new(names[model->n_groups], &model->groups[model->n_groups]));
    lm_params *discriminator = model->groups[LM_GAN_DISCRIMINATOR];
    discriminator->no_average = true;
    discriminator->bound = lm_setting_float(&model->settings, "weight-clip");
    return LM_OK;
}

static void build(const lm_model *model, lm_nn *nn) {
    const lm_gan *gan = model->state;
    lm_node *z = lm_input(nn->graph, "z", LM_F32, LM_SHAPE(1, gan->pair.z));
    lm_node *labels = lm_model_label(nn);
    lm_gan_discriminate(model, nn, lm_gan_generate(model, nn, z, labels), labels);
}

static lm_status open_model(lm_model *model) {
    lm_gan *gan = lm_calloc(1, sizeof *gan);
    if (!gan) return LM_NOMEM;
    model->state = gan;
    model->conditional = lm_setting_flag(&model->settings, "conditional");
    LM_TRY(read_settings(&model->settings, gan));
    LM_TRY(check(model, gan));
    LM_TRY(make_groups(model));
    return lm_model_register(model, build);
}

static void close_model(lm_model *model) {
    lm_free(model->state);
    model->state = NULL;
}

/* ---- phases ------------------------------------------------------------------ */

static bool rule_d(const lm_model *model, lm_phase_rule *rule) {
    *rule = ((const lm_gan *)model->state)->rules[LM_GAN_DISCRIMINATOR];
    return true;
}

static bool rule_g(const lm_model *model, lm_phase_rule *rule) {
    *rule = ((const lm_gan *)model->state)->rules[LM_GAN_GENERATOR];
    return true;
}

/* Where penalties are not part of each loss. */
static bool rule_penalty(const lm_model *model, lm_phase_rule *rule) {
    const lm_gan *gan = model->state;
    *rule = (lm_phase_rule){.every = gan->penalty.every,
                            .runs = 1,
                            .rate = gan->rules[LM_GAN_DISCRIMINATOR].rate};
    return lm_gan_penalty_any(&gan->penalty) && gan->penalty.every > 1;
}

/* ---- sampling ---------------------------------------------------------------- */

/* A draw is one pass of the generator, without steps. */
static lm_status sampler(const lm_model *model, const lm_sample_request *request,
                         lm_sampler *to) {
    const lm_gan *gan = model->state;
    *to = (lm_sampler){.state = LM_SHAPE(gan->pair.z), .nfe = 1};
    LM_RETURN_IF(request->sampler && strcmp(request->sampler, "normal") != 0, LM_ARG,
                 "sampler: %s is not one of normal", request->sampler);
    to->truncation = request->truncation;
    lm_str text = LM_STR_INIT;
    lm_str_append(&text, "normal z");
    if (to->truncation > 0) lm_str_printf(&text, " truncation=%g", to->truncation);
    to->protocol = lm_str_text(&text) ? lm_strdup(lm_str_text(&text)) : NULL;
    lm_str_release(&text);
    return to->protocol ? LM_OK : LM_NOMEM;
}

static lm_node *sample_init(const lm_model *model, lm_nn *nn, int batch) {
    const lm_gan *gan = model->state;
    return lm_normal(nn->graph, nn->key, LM_GAN_STREAM_SAMPLE,
                     LM_SHAPE(batch, gan->pair.z));
}

const lm_family lm_family_gan = {
    .symptoms = lm_adversarial_symptoms,
    .name = "gan",
    .title = "generative adversarial networks",
    .paper = "Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014",
    .options = options,
    .presets = lm_gan_presets,
    .phases = {{"discriminator", LM_GAN_DISCRIMINATOR, lm_gan_train_d, rule_d},
               {"penalty", LM_GAN_DISCRIMINATOR, lm_gan_train_penalty, rule_penalty},
               {"generator", LM_GAN_GENERATOR, lm_gan_train_g, rule_g}},
    .open = open_model,
    .close = close_model,
    .sampler = sampler,
    .sample_init = sample_init,
    .sample_image = lm_gan_generate};
