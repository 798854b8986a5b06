/* Inception-v3 as the Fréchet distance is published with (Heusel et al. 2017): the
 * network of Szegedy et al. 2015 in TensorFlow's graph of 2015-12-05. It differs from
 * torchvision's in its weights, in 1008 classes, in average pools that leave padding out,
 * and in a max pool where the last block has an average. Layers have the names of
 * torchvision. */
#include "eval/resized.h"

enum { SIDE = 299, FEATURES = 2048, CLASSES = 1008, BATCH = 8 };

/* ---- layers ------------------------------------------------------------------ */

/* A convolution with ReLU; stride 1 keeps the size, stride 2 pads nothing. */
typedef struct row {
    const char *name;
    int out, height, width, stride;
} row;

static lm_node *run_chain(lm_nn *nn, lm_node *x, const row *rows, int count) {
    for (int i = 0; i < count; i++) {
        const row *r = &rows[i];
        bool same = r->stride == 1;
        lm_window window = {r->height, r->width, r->stride, same ? r->height / 2 : 0,
                            same ? r->width / 2 : 0};
        x = lm_relu(nn->graph, lm_network_conv(nn, r->name, x, r->out, window));
    }
    return x;
}

#define CHAIN(nn, x, ...)                                                                \
    run_chain(nn, x, (const row[]){__VA_ARGS__},                                         \
              sizeof((row[]){__VA_ARGS__}) / sizeof(row))

static lm_node *join(lm_nn *nn, lm_node *const *parts, int count) {
    return lm_concat(nn->graph, parts, count, 3);
}

/* Pooling of 3x3 and a convolution of 1x1. An average whose weights sum to one commutes
 * with the convolution and its bias, which leaves fewer channels to average. */
static lm_node *pool_average(lm_nn *nn, lm_node *x, int out) {
    x = lm_network_conv(nn, "branch_pool", x, out, (lm_window){1, 1, 1, 0, 0});
    return lm_relu(nn->graph, lm_network_average3(nn, x));
}

static lm_node *pool_max(lm_nn *nn, lm_node *x, int out) {
    x = lm_network_max_pool(nn, x, 3, 1, 1, false);
    return CHAIN(nn, x, {"branch_pool", out, 1, 1, 1});
}

static lm_node *halve(lm_nn *nn, lm_node *x) {
    return lm_network_max_pool(nn, x, 3, 2, 0, false);
}

/* ---- blocks ------------------------------------------------------------------ */

static lm_node *build_35(lm_nn *nn, lm_node *x, int pooled) {
    lm_node *parts[] = {
        CHAIN(nn, x, {"branch1x1", 64, 1, 1, 1}),
        CHAIN(nn, x, {"branch5x5_1", 48, 1, 1, 1}, {"branch5x5_2", 64, 5, 5, 1}),
        CHAIN(nn, x, {"branch3x3dbl_1", 64, 1, 1, 1}, {"branch3x3dbl_2", 96, 3, 3, 1},
              {"branch3x3dbl_3", 96, 3, 3, 1}),
        pool_average(nn, x, pooled)};
    return join(nn, parts, 4);
}

static lm_node *build_35_to_17(lm_nn *nn, lm_node *x, int unused) {
    lm_node *parts[] = {CHAIN(nn, x, {"branch3x3", 384, 3, 3, 2}),
                        CHAIN(nn, x, {"branch3x3dbl_1", 64, 1, 1, 1},
                              {"branch3x3dbl_2", 96, 3, 3, 1},
                              {"branch3x3dbl_3", 96, 3, 3, 2}),
                        halve(nn, x)};
    return join(nn, parts, 3);
}

static lm_node *build_17(lm_nn *nn, lm_node *x, int few) {
    lm_node *parts[] = {
        CHAIN(nn, x, {"branch1x1", 192, 1, 1, 1}),
        CHAIN(nn, x, {"branch7x7_1", few, 1, 1, 1}, {"branch7x7_2", few, 1, 7, 1},
              {"branch7x7_3", 192, 7, 1, 1}),
        CHAIN(nn, x, {"branch7x7dbl_1", few, 1, 1, 1}, {"branch7x7dbl_2", few, 7, 1, 1},
              {"branch7x7dbl_3", few, 1, 7, 1}, {"branch7x7dbl_4", few, 7, 1, 1},
              {"branch7x7dbl_5", 192, 1, 7, 1}),
        pool_average(nn, x, 192)};
    return join(nn, parts, 4);
}

static lm_node *build_17_to_8(lm_nn *nn, lm_node *x, int unused) {
    lm_node *parts[] = {
        CHAIN(nn, x, {"branch3x3_1", 192, 1, 1, 1}, {"branch3x3_2", 320, 3, 3, 2}),
        CHAIN(nn, x, {"branch7x7x3_1", 192, 1, 1, 1}, {"branch7x7x3_2", 192, 1, 7, 1},
              {"branch7x7x3_3", 192, 7, 1, 1}, {"branch7x7x3_4", 192, 3, 3, 2}),
        halve(nn, x)};
    return join(nn, parts, 3);
}

static lm_node *build_8(lm_nn *nn, lm_node *x, int with_max) {
    lm_node *one = CHAIN(nn, x, {"branch3x3_1", 384, 1, 1, 1});
    lm_node *two =
        CHAIN(nn, x, {"branch3x3dbl_1", 448, 1, 1, 1}, {"branch3x3dbl_2", 384, 3, 3, 1});
    lm_node *parts[] = {CHAIN(nn, x, {"branch1x1", 320, 1, 1, 1}),
                        CHAIN(nn, one, {"branch3x3_2a", 384, 1, 3, 1}),
                        CHAIN(nn, one, {"branch3x3_2b", 384, 3, 1, 1}),
                        CHAIN(nn, two, {"branch3x3dbl_3a", 384, 1, 3, 1}),
                        CHAIN(nn, two, {"branch3x3dbl_3b", 384, 3, 1, 1}),
                        (with_max ? pool_max : pool_average)(nn, x, 192)};
    return join(nn, parts, 6);
}

static const struct {
    const char *name;
    lm_node *(*build)(lm_nn *nn, lm_node *x, int which);
    int which;
} blocks[] = {{"Mixed_5b", build_35, 32},     {"Mixed_5c", build_35, 64},
              {"Mixed_5d", build_35, 64},     {"Mixed_6a", build_35_to_17, 0},
              {"Mixed_6b", build_17, 128},    {"Mixed_6c", build_17, 160},
              {"Mixed_6d", build_17, 160},    {"Mixed_6e", build_17, 192},
              {"Mixed_7a", build_17_to_8, 0}, {"Mixed_7b", build_8, false},
              {"Mixed_7c", build_8, true}};
enum { N_BLOCKS = sizeof blocks / sizeof *blocks };

/* ---- the whole --------------------------------------------------------------- */

static void build(lm_nn *nn, const void *what, int64_t batch, int height, int width) {
    lm_graph *g = nn->graph;
    const lm_resized_protocol *protocol = what;
    lm_node *x = lm_network_input(nn, "images", LM_F32, LM_SHAPE(batch, height, width, 3),
                                  protocol->scale, protocol->shift);
    x = CHAIN(nn, x, {"Conv2d_1a_3x3", 32, 3, 3, 2});
    x = lm_relu(g,
                lm_network_conv(nn, "Conv2d_2a_3x3", x, 32, (lm_window){3, 3, 1, 0, 0}));
    x = halve(nn, CHAIN(nn, x, {"Conv2d_2b_3x3", 64, 3, 3, 1}));
    x = CHAIN(nn, x, {"Conv2d_3b_1x1", 80, 1, 1, 1});
    x = lm_relu(g,
                lm_network_conv(nn, "Conv2d_4a_3x3", x, 192, (lm_window){3, 3, 1, 0, 0}));
    x = halve(nn, x);
    for (int i = 0; i < N_BLOCKS; i++) {
        lm_scope_push(g, "%s", blocks[i].name);
        x = blocks[i].build(nn, x, blocks[i].which);
        lm_scope_pop(g);
    }
    x = lm_mean(g, x, 1u << 1 | 1u << 2, false);
    lm_scope_push(g, "fc");
    lm_node *weight =
        lm_nn_param(nn, "weight", LM_SHAPE(CLASSES, FEATURES), LM_INIT(ZEROS, 0));
    lm_node *bias = lm_nn_param(nn, "bias", LM_SHAPE(CLASSES), LM_INIT(ZEROS, 0));
    lm_scope_pop(g);
    lm_node *unbiased = lm_matmul(g, x, weight, false, true);
    lm_graph_output(g, "features", x);
    lm_graph_output(g, "logits_unbiased", unbiased);
    lm_graph_output(g, "logits", lm_add(g, unbiased, bias));
}

#define TO_128                                                                           \
    { 1 / 128.0F, 1 / 128.0F, 1 / 128.0F }
#define TO_255                                                                           \
    { 2 / 255.0F, 2 / 255.0F, 2 / 255.0F }
#define MINUS_1                                                                          \
    { -1, -1, -1 }

/* TensorFlow's graph and torch-fidelity; pytorch-fid; clean-fid. */
static const lm_resized_protocol protocols[] = {
    {"tf", LM_RESIZE_TENSORFLOW, TO_128, MINUS_1, "(x-128)/128"},
    {"pytorch", LM_RESIZE_PYTORCH, TO_255, MINUS_1, "2x/255-1"},
    {"clean", LM_RESIZE_CLEAN, TO_128, MINUS_1, "(x-128)/128"},
    {.name = NULL}};

static lm_status open_inception(const char *argument, const lm_image_source *source,
                                lm_extractor *extractor) {
    static const lm_resized_kind kind = {.network = {.name = "inception",
                                                     .chapter = "Inception",
                                                     .build = build,
                                                     .side = SIDE,
                                                     .norm_eps = 0.001},
                                         .protocols = protocols,
                                         .dim = FEATURES,
                                         .classes = CLASSES,
                                         .batch = BATCH,
                                         .logits = "logits_unbiased",
                                         .biased = "logits"};
    return lm_resized_open(&kind, argument, extractor);
}

const lm_extractor_kind lm_inception_extractor = {
    "inception", "Inception-v3 of FID; [tf|pytorch|clean][+bias][:FILE]", open_inception};
