/* Encoders and decoders. Labels enter through scales and shifts of what is normalised, or
 * of dense layers, so that the same code serves with and without them. */
#include "families/vae.h"

#include <stdio.h>

typedef struct net {
    const lm_vae *vae;
    lm_nn *nn;
    lm_node *condition; /* [N, E] of the labels; NULL: the model has none */
} net;

static net open_net(const lm_model *model, lm_nn *nn, lm_node *labels, const char *name) {
    net n = {.vae = model->state, .nn = nn};
    lm_scope_push(nn->graph, "%s", name);
    if (model->conditional)
        n.condition = lm_nn_embedding(nn, "label", labels, model->info.classes, 64,
                                      LM_INIT(NORMAL, 1));
    return n;
}

static const char *numbered(char text[16], int index) {
    snprintf(text, 16, "%d", index);
    return text;
}

/* ---- dense ------------------------------------------------------------------- */

static lm_node *modulate(const net *n, lm_node *h) {
    if (!n->condition || !h) return h;
    lm_graph *g = n->nn->graph;
    int64_t width = h->shape.dim[1];
    lm_node *both = lm_nn_dense(n->nn, "condition", n->condition, 2 * width, true,
                                LM_INIT(FAN_AVG, LM_NEAR_ZERO));
    lm_node *scale = lm_add_scalar(g, lm_slice_axis(g, both, 1, 0, width), 1);
    return lm_add(g, lm_mul(g, h, scale), lm_slice_axis(g, both, 1, width, 2 * width));
}

static lm_node *dense_layer(const net *n, int index, lm_node *h, int width) {
    char name[16];
    lm_scope_push(n->nn->graph, "%s", numbered(name, index));
    h = lm_nn_dense(n->nn, "dense", h, width, true, LM_INIT(FAN_AVG, 1));
    h = lm_relu(n->nn->graph, modulate(n, h));
    lm_scope_pop(n->nn->graph);
    return h;
}

static lm_node *flatten(lm_graph *g, lm_node *x) {
    if (!x) return NULL;
    int64_t rows = x->shape.dim[0];
    return lm_reshape(g, x, LM_SHAPE(rows, lm_shape_count(x->shape) / rows));
}

static lm_node *encode_dense(const net *n, lm_node *x) {
    x = flatten(n->nn->graph, x);
    for (int i = 0; i < n->vae->n_hidden; i++)
        x = dense_layer(n, i, x, n->vae->hidden[i]);
    return x;
}

static lm_node *decode_dense(const net *n, lm_node *z) {
    for (int i = n->vae->n_hidden - 1; i >= 0; i--)
        z = dense_layer(n, i, z, n->vae->hidden[i]);
    int params = lm_likelihood_params(&n->vae->likelihood);
    int64_t count = (int64_t)n->vae->maps.rows[0] * n->vae->maps.cols[0] * params;
    z = lm_nn_dense(n->nn, "out", z, count, true, LM_INIT(FAN_AVG, 1));
    if (!z) return NULL;
    return lm_reshape(
        n->nn->graph, z,
        LM_SHAPE(z->shape.dim[0], n->vae->maps.rows[0], n->vae->maps.cols[0], params));
}

/* ---- convolutional ----------------------------------------------------------- */

static lm_node *decode_maps(const net *n, lm_node *z) {
    const lm_maps_spec *maps = &n->vae->maps;
    int last = maps->n_levels - 1;
    int64_t channels = maps->channels[last], rows = maps->rows[last];
    int64_t cols = maps->cols[last];
    z = lm_nn_dense(n->nn, "in", z, rows * cols * channels, true, LM_INIT(FAN_AVG, 1));
    if (!z) return NULL;
    z = lm_reshape(n->nn->graph, z, LM_SHAPE(z->shape.dim[0], rows, cols, channels));
    return lm_maps_decode(n->nn, maps, z, lm_likelihood_params(&n->vae->likelihood),
                          n->condition);
}

/* ---- both -------------------------------------------------------------------- */

static lm_diagonal split_diagonal(lm_graph *g, lm_node *both, int64_t latent) {
    return (lm_diagonal){lm_slice_axis(g, both, -1, 0, latent),
                         lm_slice_axis(g, both, -1, latent, 2 * latent)};
}

/* In the range of the likelihood. Where most pixels are black, 0 to 1 leaves most inputs
 * of a dense layer at rest; at -1 they would all act as biases. */
static lm_node *scale_pixels(const net *n, lm_node *images) {
    lm_graph *g = n->nn->graph;
    if (n->vae->likelihood.range == LM_RANGE_SIGNED) return lm_nn_signed(g, images);
    return lm_scale(g, lm_cast(g, images, LM_F32), 1 / 255.0);
}

lm_diagonal lm_vae_encode(const lm_model *model, lm_nn *nn, lm_node *images,
                          lm_node *labels) {
    const net n = open_net(model, nn, labels, "encoder");
    lm_node *x = scale_pixels(&n, images);
    x = n.vae->convolutional
            ? flatten(nn->graph, lm_maps_encode(nn, &n.vae->maps, x, n.condition))
            : encode_dense(&n, x);
    x = lm_nn_dense(nn, "posterior", x, 2 * (int64_t)n.vae->latent, true,
                    LM_INIT(FAN_AVG, 1));
    lm_scope_pop(nn->graph);
    return split_diagonal(nn->graph, x, n.vae->latent);
}

lm_node *lm_vae_decode(const lm_model *model, lm_nn *nn, lm_node *z, lm_node *labels) {
    const net n = open_net(model, nn, labels, "decoder");
    lm_node *params = n.vae->convolutional ? decode_maps(&n, z) : decode_dense(&n, z);
    lm_scope_pop(nn->graph);
    return params;
}

lm_diagonal lm_vae_prior(const lm_model *model, lm_nn *nn, lm_node *labels) {
    const lm_vae *vae = model->state;
    lm_graph *g = nn->graph;
    int64_t width = 2 * (int64_t)vae->latent;
    if (!vae->learned_prior) return (lm_diagonal){lm_const(g, 0), lm_const(g, 0)};
    lm_node *both =
        model->conditional
            ? lm_nn_embedding(nn, "prior", labels, model->info.classes, width,
                              LM_INIT(ZEROS, 0))
            : lm_nn_param(nn, "prior.weight", LM_SHAPE(1, width), LM_INIT(ZEROS, 0));
    return split_diagonal(g, both, vae->latent);
}
