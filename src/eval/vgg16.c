/* VGG16's second layer of 4096 features after its ReLU, which improved precision and
 * recall are published with (Kynkäänniemi et al. 2019). */
#include "eval/resized.h"
#include "eval/trunk.h"

enum { SIDE = 224, FEATURES = 4096, BATCH = 4 };

static lm_node *connect(lm_nn *nn, const char *name, lm_node *x) {
    return lm_relu(nn->graph,
                   lm_nn_dense(nn, name, x, FEATURES, true, LM_INIT(ZEROS, 0)));
}

static void build(lm_nn *nn, const void *what, int64_t batch, int height, int width) {
    lm_graph *g = nn->graph;
    const lm_resized_protocol *protocol = what;
    lm_node *taps[LM_TRUNK_TAPS];
    lm_node *x = lm_network_input(nn, "images", LM_F32, LM_SHAPE(batch, height, width, 3),
                                  protocol->scale, protocol->shift);
    int count = lm_trunk_build(nn, &lm_trunk_vgg16, x, taps);
    x = lm_network_max_pool(nn, taps[count - 1], 2, 2, 0, false);
    if (x) x = lm_reshape(g, x, LM_SHAPE(batch, lm_shape_count(x->shape) / batch));
    lm_graph_output(g, "features", connect(nn, "fc7", connect(nn, "fc6", x)));
}

/* ImageNet's means and deviations of x / 255, as torchvision has them. */
#define SCALE                                                                            \
    { 1 / (255 * 0.229F), 1 / (255 * 0.224F), 1 / (255 * 0.225F) }
#define SHIFT                                                                            \
    { -0.485F / 0.229F, -0.456F / 0.224F, -0.406F / 0.225F }
#define FORMULA "ImageNet's mean and deviation"

/* The first is torch-fidelity's. */
static const lm_resized_protocol protocols[] = {
    {"tf", LM_RESIZE_TENSORFLOW, SCALE, SHIFT, FORMULA},
    {"pytorch", LM_RESIZE_PYTORCH, SCALE, SHIFT, FORMULA},
    {"clean", LM_RESIZE_CLEAN, SCALE, SHIFT, FORMULA},
    {.name = NULL}};

static lm_status open_vgg16(const char *argument, const lm_image_source *source,
                            lm_extractor *extractor) {
    static const lm_resized_kind kind = {
        .network = {.name = "vgg16", .chapter = "VGG16", .build = build, .side = SIDE},
        .protocols = protocols,
        .dim = FEATURES,
        .batch = BATCH};
    return lm_resized_open(&kind, argument, extractor);
}

const lm_extractor_kind lm_vgg16_extractor = {
    "vgg16", "VGG16's fc7; [tf|pytorch|clean][:FILE]", open_vgg16};
