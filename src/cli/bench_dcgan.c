/* A pair of networks in the shape of DCGAN (Radford, Metz, Chintala 2016) at 32 pixels:
 * the load that a GAN puts on the engine, defined in bench/peers/README.md. Written
 * against the contract of families, so that whatever trains a family times this too. */
#include "cli/bench.h"

enum { GENERATOR, DISCRIMINATOR };
enum { SIDE = 32, CHANNELS = 3, FIRST = 256 };
/* Random streams; a normal takes two. */
enum { STREAM_Z_D = 1, STREAM_Z_G = 3 };

#define NORM_EPS 1e-5
#define SLOPE    0.2

static const lm_option options[] = {{0}};

/* An average of decay 0.999 a step has a half-life of 88 677 images at batch 128. */
static const lm_preset presets[] = {
    {"32",
     "batch=128 lr=2e-4 warmup=0 beta1=0.5 beta2=0.999 clip=0 ema=88677 ema-ramp=0",
     "32 pixels in colour",
     {SIDE, SIDE, CHANNELS, 0},
     0},
    {0}};

/* ---- the networks ------------------------------------------------------------ */

/* A builder for the parameters of one of the pair; nn may be that of the other. */
static lm_nn builder_for(const lm_model *model, const lm_nn *nn, int group) {
    lm_nn own = *nn;
    own.params = model->groups[group];
    own.var = own.params->name;
    return own;
}

static lm_conv_spec conv4x4(int stride, bool bias) {
    return (lm_conv_spec){.kernel = 4,
                          .stride = stride,
                          .pad = stride == 2,
                          .bias = bias,
                          .init = LM_INIT(NORMAL, 0.02)};
}

static lm_node *norm_relu(lm_nn *nn, const char *name, lm_node *x) {
    return lm_relu(nn->graph, lm_nn_batch_norm(nn, name, x, NORM_EPS));
}

/* z[N,128] to images[N,32,32,3] in [-1,1]. */
static lm_node *generator(const lm_model *model, const lm_nn *shared, lm_node *z) {
    lm_nn nn = builder_for(model, shared, GENERATOR);
    lm_graph *g = nn.graph;
    lm_conv_spec inner = conv4x4(2, false), last = conv4x4(2, true);
    lm_scope_push(g, "generator");
    lm_node *x = lm_nn_dense(&nn, "in", z, 4 * 4 * FIRST, false, LM_INIT(NORMAL, 0.02));
    if (x) x = lm_reshape(g, x, LM_SHAPE(x->shape.dim[0], 4, 4, FIRST));
    x = norm_relu(&nn, "norm0", x);
    x = norm_relu(&nn, "norm1", lm_nn_conv_transpose(&nn, "up1", x, FIRST / 2, &inner));
    x = norm_relu(&nn, "norm2", lm_nn_conv_transpose(&nn, "up2", x, FIRST / 4, &inner));
    x = lm_tanh(g, lm_nn_conv_transpose(&nn, "up3", x, CHANNELS, &last));
    lm_scope_pop(g);
    return x;
}

/* images[N,32,32,3] to logits[N,1,1,1]. */
static lm_node *discriminator(const lm_model *model, const lm_nn *shared, lm_node *x) {
    lm_nn nn = builder_for(model, shared, DISCRIMINATOR);
    lm_graph *g = nn.graph;
    lm_conv_spec plain = conv4x4(2, true), inner = conv4x4(2, false),
                 last = conv4x4(1, true);
    lm_scope_push(g, "discriminator");
    x = lm_leaky_relu(g, lm_nn_conv(&nn, "down1", x, FIRST / 4, &plain), SLOPE);
    x = lm_nn_conv(&nn, "down2", x, FIRST / 2, &inner);
    x = lm_leaky_relu(g, lm_nn_batch_norm(&nn, "norm2", x, NORM_EPS), SLOPE);
    x = lm_nn_conv(&nn, "down3", x, FIRST, &inner);
    x = lm_leaky_relu(g, lm_nn_batch_norm(&nn, "norm3", x, NORM_EPS), SLOPE);
    x = lm_nn_conv(&nn, "out", x, 1, &last);
    lm_scope_pop(g);
    return x;
}

/* ---- the losses -------------------------------------------------------------- */

/* Goodfellow et al. 2014, the loss that does not saturate: log(1 + e^a) is
 * -log(1 - sigmoid(a)) and, of -a, -log(sigmoid(a)). */
static lm_node *mean_softplus(lm_graph *g, lm_node *a) {
    return lm_mean_all(g, lm_ew1(g, LM_EW_SOFTPLUS, a));
}

lm_node *bench_dcgan_loss_d(const lm_model *model, lm_nn *nn, lm_node *real, lm_node *z) {
    lm_graph *g = nn->graph;
    lm_node *fake = generator(model, nn, z); /* whose weights are not differentiated by */
    lm_node *on_real = discriminator(model, nn, real);
    lm_node *on_fake = discriminator(model, nn, fake);
    return lm_add(g, mean_softplus(g, lm_neg(g, on_real)), mean_softplus(g, on_fake));
}

lm_node *bench_dcgan_loss_g(const lm_model *model, lm_nn *nn, lm_node *z) {
    lm_node *on_fake = discriminator(model, nn, generator(model, nn, z));
    return mean_softplus(nn->graph, lm_neg(nn->graph, on_fake));
}

static lm_node *draw_z(lm_nn *nn, const lm_node *images, uint32_t stream) {
    lm_shape shape = LM_SHAPE(images->shape.dim[0], BENCH_DCGAN_Z);
    return lm_normal(nn->graph, nn->key, stream, shape);
}

static lm_node *train_discriminator(const lm_model *model, lm_nn *nn, lm_node *images,
                                    lm_node *labels) {
    if (!images) return NULL;
    lm_node *real = lm_nn_signed(nn->graph, images);
    return bench_dcgan_loss_d(model, nn, real, draw_z(nn, images, STREAM_Z_D));
}

static lm_node *train_generator(const lm_model *model, lm_nn *nn, lm_node *images,
                                lm_node *labels) {
    if (!images) return NULL;
    return bench_dcgan_loss_g(model, nn, draw_z(nn, images, STREAM_Z_G));
}

/* ---- opening ----------------------------------------------------------------- */

/* Parameters come to exist when layers ask for them: build both networks once. */
static lm_status open_model(lm_model *model) {
    lm_graph *g;
    LM_TRY(lm_params_new("generator", &model->groups[GENERATOR]));
    model->n_groups = 1;
    LM_TRY(lm_params_new("discriminator", &model->groups[DISCRIMINATOR]));
    model->n_groups = 2;
    LM_TRY(lm_graph_new(&g));
    lm_nn nn = {.graph = g};
    lm_node *z = lm_input(g, "z", LM_F32, LM_SHAPE(1, BENCH_DCGAN_Z));
    discriminator(model, &nn, generator(model, &nn, z));
    lm_status status = lm_graph_status(g);
    lm_graph_free(g);
    return status;
}

const lm_family bench_dcgan = {
    .name = "dcgan",
    .title = "a pair in the shape of DCGAN, for benchmarks",
    .paper = "Radford, Metz, Chintala: Unsupervised Representation Learning with Deep "
             "Convolutional Generative Adversarial Networks. ICLR 2016",
    .options = options,
    .presets = presets,
    .phases = {{"discriminator", DISCRIMINATOR, train_discriminator},
               {"generator", GENERATOR, train_generator}},
    .open = open_model};
