#include "families/gan.h"

#include "nn/spectral.h"

#include <string.h>

/* In the order of LM_GAN_NETS. */
static const lm_gan_architecture *const architectures[] = {&lm_gan_dcgan, &lm_gan_resnet};

/* ---- settings ---------------------------------------------------------------- */

/* The place of `word` among words that are separated by '|'. It is one of them. */
static int place_of(const char *word, const char *words) {
    size_t length = strlen(word);
    int place = 0;
    while (strncmp(words, word, length) != 0 ||
           (words[length] != '|' && words[length] != '\0')) {
        words = strchr(words, '|') + 1;
        place++;
    }
    return place;
}

/* D's own are 0 where they are those of G. */
static void read_channels(const lm_settings *s, lm_gan_pair *pair) {
    int64_t base = lm_setting_int(s, "base"), most = lm_setting_int(s, "most");
    int64_t own = lm_setting_int(s, "d-base");
    pair->base[LM_GAN_GENERATOR] = (int)base;
    pair->most[LM_GAN_GENERATOR] = (int)most;
    pair->base[LM_GAN_DISCRIMINATOR] = (int)(own ? own : base);
    pair->most[LM_GAN_DISCRIMINATOR] = (int)(own ? most * own / base : most);
}

void lm_gan_pair_read(const lm_settings *s, lm_gan_pair *pair) {
    static const char *const norms[] = {"g-norm", "d-norm"}, *const acts[] = {"g-act",
                                                                              "d-act"};
    *pair = (lm_gan_pair){
        .architecture = architectures[place_of(lm_setting_text(s, "net"), LM_GAN_NETS)],
        .z = (int)lm_setting_int(s, "z"),
        .spectral = lm_setting_flag(s, "spectral"),
        .label_norm = strcmp(lm_setting_text(s, "g-labels"), "norm") == 0,
        .embed = (int)lm_setting_int(s, "embed"),
        .label_map = strcmp(lm_setting_text(s, "d-labels"), "map") == 0};
    for (int i = 0; i < 2; i++) {
        pair->norm[i] = (lm_gan_norm)place_of(lm_setting_text(s, norms[i]), LM_GAN_NORMS);
        pair->act[i] = (lm_gan_act)place_of(lm_setting_text(s, acts[i]), LM_GAN_ACTS);
    }
    read_channels(s, pair);
}

/* ---- parts ------------------------------------------------------------------- */

int lm_gan_channels(const lm_gan_net *net, int level) {
    int channels = net->base;
    while (level-- > 0 && channels < net->most) channels *= 2;
    return channels < net->most ? channels : net->most;
}

lm_node *lm_gan_activate(lm_gan_net *net, lm_node *x) {
    lm_graph *g = net->nn.graph;
    if (net->act == LM_GAN_ACT_SILU) return lm_silu(g, x);
    return lm_leaky_relu(g, x, net->act == LM_GAN_ACT_LEAKY ? LM_GAN_SLOPE : 0);
}

static lm_node *normalise(lm_gan_net *net, const char *name, lm_node *x) {
    if (!x || net->norm == LM_GAN_NORM_NONE) return x;
    if (net->class)
        return lm_nn_conditional_batch_norm(&net->nn, name, x, net->class, LM_GAN_EPS);
    if (net->norm == LM_GAN_NORM_BATCH)
        return lm_nn_batch_norm(&net->nn, name, x, LM_GAN_EPS);
    int groups = net->norm == LM_GAN_NORM_LAYER ? 1 : (int)x->shape.dim[3];
    return lm_nn_group_norm(&net->nn, name, x, groups, LM_GAN_EPS, false);
}

lm_node *lm_gan_norm_act(lm_gan_net *net, const char *name, lm_node *x) {
    return lm_gan_activate(net, normalise(net, name, x));
}

/* ---- labels ------------------------------------------------------------------ */

/* [N, width] of the class, 0 where there is none. */
static lm_node *embed(lm_gan_net *net, lm_node *labels, int64_t width, lm_init init) {
    if (!labels) return NULL;
    lm_graph *g = net->nn.graph;
    lm_node *number = lm_cast(g, labels, LM_F32), *zero = lm_const(g, 0);
    lm_node *known = lm_cast(g, lm_max2(g, number, zero), LM_I32);
    lm_node *has = lm_cast(g, lm_le(g, zero, number), LM_F32);
    lm_node *rows =
        lm_nn_embedding(&net->nn, "label", known, net->info->classes, width, init);
    return lm_mul(g, rows, lm_reshape(g, has, LM_SHAPE(labels->shape.dim[0], 1)));
}

/* As large as the noise. */
static lm_node *describe_class(lm_gan_net *net, lm_node *labels) {
    return embed(net, labels, net->pair->embed, LM_INIT(NORMAL, 1));
}

static lm_node *join_map(lm_gan_net *net, lm_node *images, lm_node *labels) {
    const lm_image_info *info = net->info;
    lm_graph *g = net->nn.graph;
    lm_gan_net plain = *net;
    plain.nn.spectral = NULL; /* it is an image, not a layer */
    lm_node *map =
        embed(&plain, labels, (int64_t)info->height * info->width, LM_INIT(NORMAL, 1));
    if (!map || !images) return NULL;
    map = lm_reshape(g, map, LM_SHAPE(map->shape.dim[0], info->height, info->width, 1));
    return lm_concat(g, (lm_node *[]){images, map}, 2, 3);
}

/* The inner product of class and features (Miyato, Koyama 2018, equation 3). */
static lm_node *project(lm_gan_net *net, lm_node *features, lm_node *labels) {
    if (!features) return NULL;
    lm_graph *g = net->nn.graph;
    lm_node *class = embed(net, labels, features->shape.dim[1], LM_GAN_INIT);
    return lm_sum(g, lm_mul(g, class, features), 1u << 1, true);
}

/* ---- the networks ------------------------------------------------------------ */

static lm_gan_net open_net(const lm_model *model, const lm_nn *nn, int group) {
    static const char *const names[] = {"generator", "discriminator"};
    const lm_gan *gan = model->state;
    lm_gan_net net = {.info = &model->info,
                      .pair = &gan->pair,
                      .nn = *nn,
                      .norm = gan->pair.norm[group],
                      .act = gan->pair.act[group],
                      .base = gan->pair.base[group],
                      .most = gan->pair.most[group]};
    if (nn->params != model->groups[group]) {
        net.nn.params = model->groups[group];
        net.nn.var = net.nn.params->name;
        net.nn.frozen = true;
    }
    if (group == LM_GAN_DISCRIMINATOR) {
        if (gan->pair.spectral)
            net.nn.spectral = &lm_spectral_once;
        else
            net.nn.buffers = NULL; /* it is used by batches only */
    }
    lm_scope_push(nn->graph, "%s", names[group]);
    return net;
}

/* Random streams are counted on where they came from. */
static void close_net(const lm_gan_net *net, lm_nn *nn) {
    nn->next_stream = net->nn.next_stream;
    lm_scope_pop(nn->graph);
}

lm_node *lm_gan_generate(const lm_model *model, lm_nn *nn, lm_node *z, lm_node *labels) {
    lm_gan_net net = open_net(model, nn, LM_GAN_GENERATOR);
    lm_node *class = model->conditional ? describe_class(&net, labels) : NULL;
    if (class && net.pair->label_norm)
        net.class = class;
    else if (class)
        z = lm_concat(nn->graph, (lm_node *[]){z, class}, 2, 1);
    lm_node *images = lm_tanh(nn->graph, net.pair->architecture->generate(&net, z));
    close_net(&net, nn);
    return images;
}

lm_node *lm_gan_discriminate(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *labels) {
    lm_gan_net net = open_net(model, nn, LM_GAN_DISCRIMINATOR);
    bool map = model->conditional && net.pair->label_map;
    if (map) images = join_map(&net, images, labels);
    lm_gan_judged judged = net.pair->architecture->discriminate(&net, images);
    lm_node *logits = judged.logits;
    if (model->conditional && !map)
        logits = lm_add(nn->graph, logits, project(&net, judged.features, labels));
    close_net(&net, nn);
    return logits ? lm_reshape(nn->graph, logits, LM_SHAPE(logits->shape.dim[0])) : NULL;
}
