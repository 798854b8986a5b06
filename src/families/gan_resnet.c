/* The residual pair of Miyato et al. 2018, appendix B.4 (tables 4 to 6), with the labels
 * of Miyato, Koyama 2018; the spectral norm is the pair's own setting. Their pooling and
 * unpooling commute with the shortcuts' 1x1 convolutions, which run where maps are small.
 */
#include "families/gan_nets.h"

#include <stdio.h>

/* G starts at `start` pixels and doubles; D halves, then has blocks that do not. */
typedef struct shape {
    int side, start, halvings, plain;
} shape;
static const shape shapes[] = {{32, 4, 2, 2}, {48, 6, 4, 1}, {64, 4, 5, 0}};

static const shape *find_shape(const lm_image_info *info) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (info->height == shapes[i].side && info->width == shapes[i].side)
            return &shapes[i];
    return NULL;
}

static lm_status check(const lm_image_info *info) {
    LM_RETURN_IF(!find_shape(info), LM_ARG,
                 "net: resnet has shapes for 32, 48 and 64 pixels, these have %dx%d",
                 info->height, info->width);
    return LM_OK;
}

/* Glorot's uniform; in a branch sqrt(2) as wide. */
#define BRANCH   LM_INIT(FAN_AVG, 2)
#define STRAIGHT LM_INIT(FAN_AVG, 1)

static lm_node *conv3x3(lm_gan_net *net, const char *name, lm_node *x, int64_t out,
                        lm_init init) {
    lm_conv_spec spec = {.kernel = 3, .stride = 1, .pad = 1, .bias = true, .init = init};
    return lm_nn_conv(&net->nn, name, x, out, &spec);
}

static lm_node *conv1x1(lm_gan_net *net, const char *name, lm_node *x, int64_t out) {
    lm_conv_spec spec = {.kernel = 1, .stride = 1, .bias = true, .init = STRAIGHT};
    return lm_nn_conv(&net->nn, name, x, out, &spec);
}

static void push_block(lm_gan_net *net, int number) {
    lm_scope_push(net->nn.graph, "block%d", number);
}

/* ---- the generator ----------------------------------------------------------- */

static lm_node *double_size(lm_gan_net *net, int number, lm_node *x, int64_t out) {
    lm_graph *g = net->nn.graph;
    push_block(net, number);
    lm_node *h = lm_gan_norm_act(net, "norm1", x);
    h = lm_nn_upsample_conv(&net->nn, "conv1", h, out, BRANCH);
    h = lm_gan_norm_act(net, "norm2", h);
    h = conv3x3(net, "conv2", h, out, BRANCH);
    x = lm_nn_upsample_nearest(&net->nn, conv1x1(net, "shortcut", x, out), 2);
    lm_scope_pop(g);
    return lm_add(g, h, x);
}

/* The first norms know the class, the last does not. */
static lm_node *generate(lm_gan_net *net, lm_node *z) {
    const shape *s = find_shape(net->info);
    lm_gan_net last = *net;
    last.class = NULL;
    int level = 0;
    for (int side = s->start; side < s->side; side *= 2) level++;
    int64_t channels = lm_gan_channels(net, level);
    lm_node *x =
        lm_nn_dense(&net->nn, "in", z, s->start * s->start * channels, true, STRAIGHT);
    if (!x) return NULL;
    x = lm_reshape(net->nn.graph, x,
                   LM_SHAPE(x->shape.dim[0], s->start, s->start, channels));
    for (int number = 1; level > 0; number++)
        x = double_size(net, number, x, lm_gan_channels(net, --level));
    x = lm_gan_norm_act(&last, "norm", x);
    return conv3x3(net, "out", x, net->info->channels, STRAIGHT);
}

/* ---- the discriminator ------------------------------------------------------- */

/* Block 1 sees pixels: nothing comes before its first convolution. */
static lm_node *judge_block(lm_gan_net *net, int number, lm_node *x, int64_t out,
                            bool halve) {
    if (!x) return NULL;
    lm_graph *g = net->nn.graph;
    bool first = number == 1;
    int64_t in = x->shape.dim[3];
    push_block(net, number);
    lm_node *h = first ? x : lm_gan_norm_act(net, "norm1", x);
    h = conv3x3(net, "conv1", h, first ? out : in, BRANCH);
    h = lm_gan_norm_act(net, "norm2", h);
    h = conv3x3(net, "conv2", h, out, BRANCH);
    if (halve) {
        h = lm_nn_avg_pool(&net->nn, h, 2);
        x = lm_nn_avg_pool(&net->nn, x, 2);
    }
    if (halve || in != out) x = conv1x1(net, "shortcut", x, out);
    lm_scope_pop(g);
    return lm_add(g, h, x);
}

static lm_gan_judged discriminate(lm_gan_net *net, lm_node *x) {
    const shape *s = find_shape(net->info);
    for (int i = 0; i < s->halvings + s->plain; i++)
        x = judge_block(net, i + 1, x, lm_gan_channels(net, i), i < s->halvings);
    x = lm_gan_norm_act(net, "norm", x);
    lm_node *features = lm_sum(net->nn.graph, x, 1u << 1 | 1u << 2, false);
    return (lm_gan_judged){lm_nn_dense(&net->nn, "out", features, 1, true, STRAIGHT),
                           features};
}

const lm_gan_architecture lm_gan_resnet = {
    .name = "resnet", .check = check, .generate = generate, .discriminate = discriminate};
