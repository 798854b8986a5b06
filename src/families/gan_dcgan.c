/* DCGAN (Radford, Metz, Chintala 2016): convolutions of 4x4 taps, stride 2 and padding 1
 * double or halve the maps, the smallest of which have a side of 3 or 4. Those of the
 * generator are halves rounded up, and it crops what it doubled: 4, 7, 14, 28. */
#include "families/gan_nets.h"

#include <stdio.h>

enum { MAX_LEVELS = 16, LARGEST_START = 4 };

/* Sides of the generator's maps, the image's first; `levels` doublings lead to them. */
typedef struct geometry {
    int rows[MAX_LEVELS + 1], cols[MAX_LEVELS + 1];
    int levels;
} geometry;

static geometry measure(const lm_image_info *info) {
    geometry m = {.rows = {info->height}, .cols = {info->width}};
    while (m.levels < MAX_LEVELS &&
           (m.rows[m.levels] > LARGEST_START && m.cols[m.levels] > LARGEST_START)) {
        m.rows[m.levels + 1] = (m.rows[m.levels] + 1) / 2;
        m.cols[m.levels + 1] = (m.cols[m.levels] + 1) / 2;
        m.levels++;
    }
    return m;
}

static lm_status check(const lm_image_info *info) {
    LM_RETURN_IF(measure(info).levels < 1, LM_ARG,
                 "net: dcgan needs images of at least %d pixels, these have %dx%d",
                 LARGEST_START + 1, info->height, info->width);
    return LM_OK;
}

static lm_conv_spec conv4x4(bool bias) {
    return (lm_conv_spec){
        .kernel = 4, .stride = 2, .pad = 1, .bias = bias, .init = LM_GAN_INIT};
}

static const char *numbered(char text[16], const char *word, int number) {
    snprintf(text, 16, "%s%d", word, number);
    return text;
}

/* Twice the size, less a last row or column that the level does not have. */
static lm_node *grow(lm_gan_net *net, const geometry *m, int level, lm_node *x,
                     int channels, bool bias) {
    char name[16];
    lm_conv_spec spec = conv4x4(bias);
    x = lm_nn_conv_transpose(&net->nn, numbered(name, "up", m->levels - level), x,
                             channels, &spec);
    if (x && x->shape.dim[1] > m->rows[level])
        x = lm_slice_axis(net->nn.graph, x, 1, 0, m->rows[level]);
    if (x && x->shape.dim[2] > m->cols[level])
        x = lm_slice_axis(net->nn.graph, x, 2, 0, m->cols[level]);
    return x;
}

static lm_node *generate(lm_gan_net *net, lm_node *z) {
    const geometry m = measure(net->info);
    bool bias = net->norm == LM_GAN_NORM_NONE; /* a norm has its own */
    int64_t rows = m.rows[m.levels], cols = m.cols[m.levels];
    int64_t channels = lm_gan_channels(net, m.levels - 1);
    lm_node *x =
        lm_nn_dense(&net->nn, "in", z, rows * cols * channels, bias, LM_GAN_INIT);
    if (!x) return NULL;
    x = lm_reshape(net->nn.graph, x, LM_SHAPE(x->shape.dim[0], rows, cols, channels));
    x = lm_gan_norm_act(net, "norm0", x);
    for (int level = m.levels - 1; level > 0; level--) {
        char name[16];
        x = grow(net, &m, level, x, lm_gan_channels(net, level - 1), bias);
        x = lm_gan_norm_act(net, numbered(name, "norm", m.levels - level), x);
    }
    return grow(net, &m, 0, x, net->info->channels, true);
}

/* What is normalised comes after the first layer. */
static lm_gan_judged discriminate(lm_gan_net *net, lm_node *x) {
    const int levels = measure(net->info).levels;
    const lm_conv_spec first = conv4x4(true);
    const lm_conv_spec inner = conv4x4(net->norm == LM_GAN_NORM_NONE);
    lm_graph *g = net->nn.graph;
    char name[16];
    x = lm_nn_conv(&net->nn, "down1", x, lm_gan_channels(net, 0), &first);
    x = lm_gan_activate(net, x);
    for (int level = 1; level < levels; level++) {
        x = lm_nn_conv(&net->nn, numbered(name, "down", level + 1), x,
                       lm_gan_channels(net, level), &inner);
        x = lm_gan_norm_act(net, numbered(name, "norm", level + 1), x);
    }
    if (!x) return (lm_gan_judged){0};
    lm_node *flat = lm_reshape(
        g, x, LM_SHAPE(x->shape.dim[0], lm_shape_count(x->shape) / x->shape.dim[0]));
    return (lm_gan_judged){lm_nn_dense(&net->nn, "out", flat, 1, true, LM_GAN_INIT),
                           lm_sum(g, x, 1u << 1 | 1u << 2, false)};
}

const lm_gan_architecture lm_gan_dcgan = {
    .name = "dcgan", .check = check, .generate = generate, .discriminate = discriminate};
