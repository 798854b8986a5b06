#include "eval/trunk.h"

#include "eval/network.h"

typedef enum layer_kind { CONV, POOL, FIRE } layer_kind;
enum { ON, TAP };

struct lm_trunk_layer {
    layer_kind kind;
    const char *name; /* of a convolution and of a fire module */
    int out;          /* channels; of a fire module, from each of its two branches */
    int size, stride, pad;
    int squeeze; /* channels between a fire module's parts */
    int tap;     /* TAP: what comes out is one */
};

static const lm_trunk_layer vgg16[] = {
    {CONV, "conv1_1", 64, 3, 1, 1, 0, ON},   {CONV, "conv1_2", 64, 3, 1, 1, 0, TAP},
    {POOL, NULL, 0, 2, 2, 0, 0, ON},         {CONV, "conv2_1", 128, 3, 1, 1, 0, ON},
    {CONV, "conv2_2", 128, 3, 1, 1, 0, TAP}, {POOL, NULL, 0, 2, 2, 0, 0, ON},
    {CONV, "conv3_1", 256, 3, 1, 1, 0, ON},  {CONV, "conv3_2", 256, 3, 1, 1, 0, ON},
    {CONV, "conv3_3", 256, 3, 1, 1, 0, TAP}, {POOL, NULL, 0, 2, 2, 0, 0, ON},
    {CONV, "conv4_1", 512, 3, 1, 1, 0, ON},  {CONV, "conv4_2", 512, 3, 1, 1, 0, ON},
    {CONV, "conv4_3", 512, 3, 1, 1, 0, TAP}, {POOL, NULL, 0, 2, 2, 0, 0, ON},
    {CONV, "conv5_1", 512, 3, 1, 1, 0, ON},  {CONV, "conv5_2", 512, 3, 1, 1, 0, ON},
    {CONV, "conv5_3", 512, 3, 1, 1, 0, TAP},
};

static const lm_trunk_layer alexnet[] = {
    {CONV, "conv1", 64, 11, 4, 2, 0, TAP}, {POOL, NULL, 0, 3, 2, 0, 0, ON},
    {CONV, "conv2", 192, 5, 1, 2, 0, TAP}, {POOL, NULL, 0, 3, 2, 0, 0, ON},
    {CONV, "conv3", 384, 3, 1, 1, 0, TAP}, {CONV, "conv4", 256, 3, 1, 1, 0, TAP},
    {CONV, "conv5", 256, 3, 1, 1, 0, TAP},
};

static const lm_trunk_layer squeezenet[] = {
    {CONV, "conv1", 64, 3, 2, 0, 0, TAP},   {POOL, NULL, 0, 3, 2, 0, 0, ON},
    {FIRE, "fire2", 64, 3, 1, 1, 16, ON},   {FIRE, "fire3", 64, 3, 1, 1, 16, TAP},
    {POOL, NULL, 0, 3, 2, 0, 0, ON},        {FIRE, "fire4", 128, 3, 1, 1, 32, ON},
    {FIRE, "fire5", 128, 3, 1, 1, 32, TAP}, {POOL, NULL, 0, 3, 2, 0, 0, ON},
    {FIRE, "fire6", 192, 3, 1, 1, 48, TAP}, {FIRE, "fire7", 192, 3, 1, 1, 48, TAP},
    {FIRE, "fire8", 256, 3, 1, 1, 64, TAP}, {FIRE, "fire9", 256, 3, 1, 1, 64, TAP},
};

#define LAYERS(list) list, sizeof(list) / sizeof *(list)
const lm_trunk lm_trunk_vgg16 = {"vgg16", LAYERS(vgg16), 16, false};
const lm_trunk lm_trunk_alexnet = {"alexnet", LAYERS(alexnet), 31, false};
const lm_trunk lm_trunk_squeezenet = {"squeezenet", LAYERS(squeezenet), 17, true};

static lm_node *conv(lm_nn *nn, const char *name, lm_node *x, int out, int size,
                     int stride, int pad) {
    lm_window window = {size, size, stride, pad, pad};
    return lm_relu(nn->graph, lm_network_conv(nn, name, x, out, window));
}

static lm_node *fire(lm_nn *nn, const lm_trunk_layer *layer, lm_node *x) {
    lm_scope_push(nn->graph, "%s", layer->name);
    lm_node *few = conv(nn, "squeeze", x, layer->squeeze, 1, 1, 0);
    lm_node *both[] = {conv(nn, "expand1x1", few, layer->out, 1, 1, 0),
                       conv(nn, "expand3x3", few, layer->out, 3, 1, 1)};
    lm_scope_pop(nn->graph);
    return lm_concat(nn->graph, both, 2, 3);
}

int lm_trunk_build(lm_nn *nn, const lm_trunk *trunk, lm_node *x,
                   lm_node *taps[LM_TRUNK_TAPS]) {
    int count = 0;
    for (int i = 0; i < trunk->n_layers; i++) {
        const lm_trunk_layer *l = &trunk->layers[i];
        if (l->kind == CONV)
            x = conv(nn, l->name, x, l->out, l->size, l->stride, l->pad);
        else if (l->kind == POOL)
            x = lm_network_max_pool(nn, x, l->size, l->stride, l->pad, trunk->whole);
        else
            x = fire(nn, l, x);
        if (l->tap == TAP) taps[count++] = x;
    }
    return count;
}
