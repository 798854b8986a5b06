/* The builder context and the plain layers. */
#include "nn/nn.h"
#include "nn/spectral.h"
#include <math.h>
#include <stdio.h>

enum { FIRST_LAYER_STREAM = 1000 };

uint32_t lm_nn_stream(lm_nn *nn) {
    if (nn->next_stream < FIRST_LAYER_STREAM) nn->next_stream = FIRST_LAYER_STREAM;
    return nn->next_stream++;
}

static lm_node *find_slice(lm_nn *nn, lm_params *params, const char *var,
                           const char *name, lm_shape shape, lm_init init) {
    const char *path = lm_scope_path(nn->graph);
    const lm_param_slice *slice = NULL;
    lm_str full = LM_STR_INIT;
    lm_str_printf(&full, "%s%s%s", path, *path ? "." : "", name);
    const char *text = lm_str_text(&full);
    lm_status status = text ? lm_params_get(params, text, shape, init, &slice) : LM_NOMEM;
    lm_str_release(&full);
    if (status == LM_OK) return lm_param(nn->graph, var, slice->offset, shape);
    char message[256];
    snprintf(message, sizeof message, "%s", lm_message());
    return lm_graph_fail(nn->graph, status, "%s", message);
}

lm_node *lm_nn_param(lm_nn *nn, const char *name, lm_shape shape, lm_init init) {
    return find_slice(nn, nn->params, nn->var, name, shape, init);
}

lm_node *lm_nn_weight(lm_nn *nn, lm_shape shape, int out, lm_init init) {
    lm_node *weight = lm_nn_param(nn, "weight", shape, init);
    return nn->spectral ? lm_nn_spectral(nn, weight, out) : weight;
}

lm_node *lm_nn_buffer(lm_nn *nn, const char *name, lm_shape shape, lm_init init) {
    if (!nn->buffers)
        return lm_graph_fail(nn->graph, LM_INTERNAL, "%s: the model has no buffers",
                             name);
    return find_slice(nn, nn->buffers, nn->buffers->name, name, shape, init);
}

void lm_nn_update(lm_nn *nn, lm_node *buffer, lm_node *value) {
    if (nn->train && !nn->frozen) lm_assign(nn->graph, buffer, value);
}

void lm_nn_follow(lm_nn *nn, lm_node *buffer, lm_node *value, double rate) {
    if (!nn->train || nn->frozen || !buffer) return;
    lm_graph *g = nn->graph;
    lm_node *before = lm_assigned(g, buffer);
    if (!before) before = buffer;
    lm_node *step = lm_scale(g, lm_sub(g, lm_stop_grad(g, value), before), rate);
    lm_reassign(g, buffer, lm_add(g, before, step));
}

lm_node *lm_nn_dense(lm_nn *nn, const char *name, lm_node *x, int64_t out, bool bias,
                     lm_init init) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    if (x->shape.rank < 1)
        return lm_graph_fail(g, LM_SHAPE, "%s: dense needs at least one axis", name);
    lm_scope_push(g, "%s", name);
    lm_shape shape = x->shape;
    int64_t in = shape.dim[shape.rank - 1];
    int64_t rows = in ? lm_shape_count(shape) / in : 0;
    lm_node *weight = lm_nn_weight(nn, LM_SHAPE(out, in), 0, init);
    lm_node *flat = lm_reshape(g, x, LM_SHAPE(rows, in));
    lm_node *y;
    if (bias) {
        lm_node *b = lm_nn_param(nn, "bias", LM_SHAPE(out), LM_INIT(ZEROS, 0));
        y = b ? lm_matmul_bias(g, flat, weight, b, false, true) : NULL;
    } else {
        y = lm_matmul(g, flat, weight, false, true);
    }
    shape.dim[shape.rank - 1] = out;
    y = lm_reshape(g, y, shape);
    lm_scope_pop(g);
    return y;
}

/* Checks x[N,H,W,C] and spells out the square geometry. */
static bool read_conv_spec(lm_nn *nn, const char *name, const lm_node *x,
                           const lm_conv_spec *spec, lm_conv_attr *attr) {
    if (!x) return false;
    if (x->shape.rank != 4) {
        lm_graph_fail(nn->graph, LM_SHAPE, "%s: a convolution needs x[N,H,W,C]", name);
        return false;
    }
    int lo = spec->pad, hi = spec->pad + spec->pad_extra;
    *attr = (lm_conv_attr){
        .stride = {spec->stride, spec->stride}, .pad_lo = {lo, lo}, .pad_hi = {hi, hi}};
    return true;
}

lm_node *lm_nn_conv(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                    const lm_conv_spec *spec) {
    lm_graph *g = nn->graph;
    lm_conv_attr attr;
    if (!read_conv_spec(nn, name, x, spec, &attr)) return NULL;
    lm_scope_push(g, "%s", name);
    lm_shape shape = LM_SHAPE(out, spec->kernel, spec->kernel, x->shape.dim[3]);
    lm_node *y, *weight = lm_nn_weight(nn, shape, 0, spec->init);
    if (spec->bias) {
        lm_node *b = lm_nn_param(nn, "bias", LM_SHAPE(out), LM_INIT(ZEROS, 0));
        y = b ? lm_conv(g, x, weight, b, &attr) : NULL;
    } else {
        y = lm_conv(g, x, weight, NULL, &attr);
    }
    lm_scope_pop(g);
    return y;
}

lm_node *lm_nn_conv_transpose(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                              const lm_conv_spec *spec) {
    lm_graph *g = nn->graph;
    lm_conv_attr attr;
    if (!read_conv_spec(nn, name, x, spec, &attr)) return NULL;
    for (int i = 0; i < 2; i++)
        attr.size[i] = (int32_t)((x->shape.dim[1 + i] - 1) * spec->stride + spec->kernel -
                                 attr.pad_lo[i] - attr.pad_hi[i]);
    lm_scope_push(g, "%s", name);
    lm_shape shape = LM_SHAPE(x->shape.dim[3], spec->kernel, spec->kernel, out);
    lm_node *y = lm_conv_dgrad(g, x, lm_nn_weight(nn, shape, 3, spec->init), &attr);
    if (spec->bias)
        y = lm_add(g, y, lm_nn_param(nn, "bias", LM_SHAPE(out), LM_INIT(ZEROS, 0)));
    lm_scope_pop(g);
    return y;
}

/* Along one axis, three taps w on pixels that come in twos are, with x' the pixels
 * before, y[2u] = w0 x'[u-1] + (w1+w2) x'[u],   y[2u+1] = (w0+w1) x'[u] + w2 x'[u+1], a
 * transposed convolution of stride 2 with the four taps w2, w1+w2, w0+w1, w0. From weight
 * [out,3,3,C] to [C,4,4,out]. */
static lm_node *double_taps(lm_graph *g, lm_node *weight) {
    static const float axis[4][3] = {{0, 0, 1}, {0, 1, 1}, {1, 1, 0}, {1, 0, 0}};
    if (!weight) return NULL;
    int64_t out = weight->shape.dim[0], in = weight->shape.dim[3];
    float both[16][9];
    for (int t = 0; t < 16; t++)
        for (int w = 0; w < 9; w++) both[t][w] = axis[t / 4][w / 3] * axis[t % 4][w % 3];
    lm_node *sums = lm_const_data(g, LM_F32, LM_SHAPE(16, 9), both);
    lm_node *taps = lm_reshape(g, weight, LM_SHAPE(out, 9, in));
    taps = lm_permute(g, taps, (int[]){1, 2, 0});
    taps = lm_matmul(g, sums, lm_reshape(g, taps, LM_SHAPE(9, in * out)), false, false);
    taps = lm_permute(g, lm_reshape(g, taps, LM_SHAPE(16, in, out)), (int[]){1, 0, 2});
    return lm_reshape(g, taps, LM_SHAPE(in, 4, 4, out));
}

lm_node *lm_nn_upsample_conv(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                             lm_init init) {
    lm_graph *g = nn->graph;
    lm_conv_spec spec = {.kernel = 4, .stride = 2, .pad = 1};
    lm_conv_attr attr;
    if (!read_conv_spec(nn, name, x, &spec, &attr)) return NULL;
    for (int i = 0; i < 2; i++) attr.size[i] = (int32_t)(2 * x->shape.dim[1 + i]);
    lm_scope_push(g, "%s", name);
    lm_node *weight = lm_nn_weight(nn, LM_SHAPE(out, 3, 3, x->shape.dim[3]), 0, init);
    lm_node *bias = lm_nn_param(nn, "bias", LM_SHAPE(out), LM_INIT(ZEROS, 0));
    lm_node *y = lm_add(g, lm_conv_dgrad(g, x, double_taps(g, weight), &attr), bias);
    lm_scope_pop(g);
    return y;
}

lm_node *lm_nn_dropout(lm_nn *nn, lm_node *x, double p) {
    if (!x || !nn->train || p <= 0) return x;
    lm_graph *g = nn->graph;
    if (!nn->key) return lm_graph_fail(g, LM_ARG, "dropout needs a random key");
    lm_node *u = lm_uniform(g, nn->key, lm_nn_stream(nn), x->shape);
    lm_node *keep = lm_le(g, lm_const(g, p), u);
    return lm_where(g, keep, lm_scale(g, x, 1.0 / (1.0 - p)), lm_const(g, 0));
}

/* By quantiles: the share of numbers below z stays, among those that are left. */
lm_node *lm_nn_truncate(lm_graph *g, lm_node *z, double bound) {
    lm_node *share = lm_ew1(g, LM_EW_ERF, lm_scale(g, z, M_SQRT1_2));
    share = lm_scale(g, share, erf(bound * M_SQRT1_2));
    return lm_scale(g, lm_ew1(g, LM_EW_ERFINV, share), M_SQRT2);
}

lm_node *lm_nn_mse(lm_nn *nn, lm_node *a, lm_node *b) {
    lm_graph *g = nn->graph;
    return lm_mean_all(g, lm_square(g, lm_sub(g, a, b)));
}

lm_node *lm_nn_signed(lm_graph *g, lm_node *images) {
    lm_node *x = lm_scale(g, lm_cast(g, images, LM_F32), 1.0 / 127.5);
    return lm_add_scalar(g, x, -1.0);
}
