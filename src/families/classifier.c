#include "families/classifier.h"

#include "base/mem.h"
#include "nn/diffaugment.h"

#include <stdio.h>

static const lm_option options[] = {
    {"channels", LM_OPT_INTS, "32,64", 1, 4096, NULL, "N,N,..",
     "channels of each level; a level has half the height and width of the one before"},
    {"blocks", LM_OPT_INT, "1", 1, 16, NULL, "N", "residual blocks a level"},
    {"patch", LM_OPT_INT, "2", 1, 16, NULL, "PX",
     "side of the pixel blocks that become channels at the input"},
    {"features", LM_OPT_INT, "128", 1, 4096, NULL, "N",
     "width of the last layer but one"},
    {"dropout", LM_OPT_FLOAT, "0", 0, 0.95, NULL, "P", "dropout of the features"},
    {"smoothing", LM_OPT_FLOAT, "0.02", 0, 0.9, NULL, "P",
     "share of each label that is spread over all classes"},
    {"shift", LM_OPT_FLOAT, "0", 0, 64, NULL, "PX", "images are moved by up to so much"},
    {"rotate", LM_OPT_FLOAT, "0", 0, 180, NULL, "DEGREES", "turned"},
    {"scale", LM_OPT_FLOAT, "0", 0, 1, NULL, "X",
     "enlarged or shrunk, in the logarithm of the size"},
    {"slant", LM_OPT_FLOAT, "0", 0, 2, NULL, "X", "slanted, in columns a row"},
    {"augment", LM_OPT_TEXT, "", 0, 0, NULL, "color,translation,cutout",
     "changed by these parts of DiffAugment"},
    {0}};

/* Rates and averages that all recipes share. */
#define RECIPE                                                                           \
    " batch=128 lr-schedule=cosine warmup=200 decay=0.02 ema=20000 ema-ramp=0.1 lr="

/* Hands differ in size, slant and place. */
#define HANDWRITING "shift=2 rotate=12 scale=0.12 slant=0.2"

/* docs/judges.md says what they lead to. */
static const lm_preset presets[] = {
    {"mnist",
     "channels=32,64 blocks=2 " HANDWRITING RECIPE "4e-3",
     "handwritten digits and letters, 28 pixels, grey; minutes on two cores",
     {28, 28, 1, 10},
     4690},
    {"digits",
     "channels=32,64 blocks=1 shift=3 rotate=15 scale=0.25 slant=0.3" RECIPE "4e-3",
     "builtin:digits, also to look at digits of other origin; a minute",
     {28, 28, 1, 10},
     1500},
    {"fashion-mnist",
     "channels=32,64 blocks=2 flip=on shift=1.5 rotate=5 scale=0.1 dropout=0.2" RECIPE
     "4e-3",
     "clothes, 28 pixels, grey; minutes",
     {28, 28, 1, 10},
     9376},
    {"usps",
     "channels=32,64 blocks=1 patch=1 shift=1.5 rotate=12 scale=0.12 slant=0.2" RECIPE
     "4e-3",
     "handwritten digits, 16 pixels, grey; a minute",
     {16, 16, 1, 10},
     2280},
    {"svhn",
     "channels=32,64,128 blocks=1 shift=2 rotate=6 scale=0.1 slant=0.1 "
     "augment=color" RECIPE "4e-3",
     "house numbers, 32 pixels in colour",
     {32, 32, 3, 10},
     11440},
    {"mnist-m",
     "channels=32,64,128 blocks=1 augment=color " HANDWRITING RECIPE "4e-3",
     "digits over photographs or textures, 28 to 32 pixels in colour",
     {32, 32, 3, 10},
     9220},
    {"cifar10",
     "channels=64,128,256 blocks=1 flip=on shift=3 rotate=5 scale=0.1 dropout=0.2" RECIPE
     "2e-3",
     "objects, 32 pixels in colour; half an hour",
     {32, 32, 3, 10},
     11720},
    {"faces",
     "channels=32,64,128,128 blocks=1 patch=4 shift=3 rotate=5 scale=0.1 "
     "dropout=0.2" RECIPE "2e-3",
     "pictures of 64 pixels in colour, also by an attribute (label=NAME)",
     {64, 64, 3, 2},
     3000},
    {0}};

/* ---- opening ----------------------------------------------------------------- */

static lm_status read_settings(const lm_settings *s, lm_classifier *to) {
    const lm_option_value *channels = lm_setting(s, "channels");
    to->n_levels = channels->n_ints;
    for (int i = 0; i < to->n_levels; i++) to->channels[i] = (int)channels->ints[i];
    to->blocks = (int)lm_setting_int(s, "blocks");
    to->patch = (int)lm_setting_int(s, "patch");
    to->features = (int)lm_setting_int(s, "features");
    to->dropout = lm_setting_float(s, "dropout");
    to->smoothing = lm_setting_float(s, "smoothing");
    to->warp = (lm_warp_spec){.shift = lm_setting_float(s, "shift"),
                              .rotate = lm_setting_float(s, "rotate"),
                              .scale = lm_setting_float(s, "scale"),
                              .slant = lm_setting_float(s, "slant")};
    return lm_diffaugment_parse(lm_setting_text(s, "augment"), &to->augment);
}

static lm_status check_geometry(const lm_classifier *c, const lm_image_info *info) {
    LM_RETURN_IF(
        info->classes < 2, LM_ARG,
        "the images have no labels to learn; label=NAME in the SPEC makes one of "
        "an attribute");
    LM_RETURN_IF(info->height < 1 || info->width < 1 || info->channels < 1, LM_ARG,
                 "cannot classify images of %dx%d with %d channels", info->height,
                 info->width, info->channels);
    LM_RETURN_IF(info->height % c->patch || info->width % c->patch, LM_ARG,
                 "patch: blocks of %d pixels do not fill a %dx%d image", c->patch,
                 info->height, info->width);
    int h = info->height / c->patch, w = info->width / c->patch;
    for (int level = 1; level < c->n_levels; level++, h /= 2, w /= 2)
        LM_RETURN_IF(h % 2 || w % 2, LM_ARG,
                     "channels: the map is %dx%d at level %d, which has no half; give at "
                     "most %d values",
                     h, w, level, level);
    return LM_OK;
}

static void build(const lm_model *model, lm_nn *nn) {
    lm_classifier_apply(model, nn, lm_model_input(model, nn, "x", LM_F32));
}

static lm_status open_model(lm_model *model) {
    lm_classifier *c = lm_calloc(1, sizeof *c);
    if (!c) return LM_NOMEM;
    model->state = c;
    LM_TRY(read_settings(&model->settings, c));
    LM_TRY(check_geometry(c, &model->info));
    return lm_model_register(model, build);
}

static void close_model(lm_model *model) {
    lm_free(model->state);
    model->state = NULL;
}

/* ---- the network ------------------------------------------------------------- */

static lm_node *go_down(const lm_classifier *c, lm_nn *nn, lm_node *x) {
    for (int level = 0; level < c->n_levels; level++) {
        const lm_residual_spec spec = {.out = c->channels[level],
                                       .groups = LM_CLASSIFIER_GROUPS};
        if (level > 0) x = lm_nn_avg_pool(nn, x, 2);
        lm_scope_push(nn->graph, "level.%d", level);
        for (int i = 0; i < c->blocks; i++) {
            char name[16];
            snprintf(name, sizeof name, "%d", i);
            x = lm_nn_residual(nn, name, x, &spec);
        }
        lm_scope_pop(nn->graph);
    }
    return x;
}

lm_class_nodes lm_classifier_apply(const lm_model *model, lm_nn *nn, lm_node *x) {
    const lm_classifier *c = model->state;
    lm_graph *g = nn->graph;
    lm_class_nodes made;
    lm_scope_push(g, "classifier");
    x = lm_nn_space_to_depth(nn, x, c->patch);
    x = go_down(c, nn, lm_nn_conv3x3(nn, "in", x, c->channels[0], 1));
    x = lm_nn_norm_silu(nn, "norm", x, LM_CLASSIFIER_GROUPS);
    x = lm_mean(g, x, 1u << 1 | 1u << 2, false);
    x = lm_nn_dense(nn, "features", x, c->features, true, LM_INIT(FAN_AVG, 1));
    made.features = lm_silu(g, x);
    x = lm_nn_dropout(nn, made.features, c->dropout);
    made.logits =
        lm_nn_dense(nn, "logits", x, model->info.classes, true, LM_INIT(FAN_AVG, 1));
    lm_scope_pop(g);
    return made;
}

static lm_class_nodes classify(const lm_model *model, lm_nn *nn, lm_node *images) {
    return lm_classifier_apply(model, nn, lm_nn_signed(nn->graph, images));
}

/* ---- training ---------------------------------------------------------------- */

/* With a share s spread over K classes, the cross entropy with the smoothed label is
 * (1 - s) xent + s (logsumexp - mean of the logits). */
lm_node *lm_classifier_loss_at(lm_graph *g, lm_node *logits, lm_node *labels,
                               double smoothing) {
    if (!logits || !labels) return NULL;
    int64_t count = labels->shape.dim[0];
    lm_node *number = lm_cast(g, labels, LM_F32), *zero = lm_const(g, 0);
    lm_node *has = lm_reshape(g, lm_le(g, zero, number), LM_SHAPE(count, 1));
    lm_node *known = lm_cast(g, lm_max2(g, number, zero), LM_I32);
    lm_node *loss = lm_scale(g, lm_softmax_xent(g, logits, known), 1 - smoothing);
    lm_node *even = lm_sub(g, lm_logsumexp(g, logits), lm_mean(g, logits, 1u << 1, true));
    loss = lm_add(g, loss, lm_scale(g, even, smoothing));
    lm_node *n = lm_sum_all(g, lm_cast(g, has, LM_F32));
    lm_node *sum = lm_sum_all(g, lm_where(g, has, loss, zero));
    return lm_div(g, sum, lm_max2(g, n, lm_const(g, 1)));
}

static lm_node *loss(const lm_model *model, lm_nn *nn, lm_node *images, lm_node *labels) {
    if (!images || !labels) return NULL;
    const lm_classifier *c = model->state;
    lm_node *x = lm_nn_warp(nn, lm_nn_signed(nn->graph, images), &c->warp);
    if (c->augment) x = lm_nn_diffaugment(nn, x, c->augment);
    lm_node *logits = lm_classifier_apply(model, nn, x).logits;
    return lm_classifier_loss_at(nn->graph, logits, labels, c->smoothing);
}

const lm_family lm_family_classifier = {
    .name = "classifier",
    .title = "residual network that tells classes apart",
    .paper =
        "He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks. ECCV 2016",
    .options = options,
    .presets = presets,
    .phases = {{.name = "train", .group = 0, .loss = loss}},
    .open = open_model,
    .close = close_model,
    .classify = classify};
