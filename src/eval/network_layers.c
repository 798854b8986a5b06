/* What published networks are made of. */
#include "eval/network.h"

lm_node *lm_network_input(lm_nn *nn, const char *name, lm_shape shape,
                          const float scale[3], const float shift[3]) {
    lm_graph *g = nn->graph;
    lm_node *x = lm_cast(g, lm_input(g, name, LM_U8, shape), LM_F32);
    x = lm_mul(g, x, lm_const_data(g, LM_F32, LM_SHAPE(3), scale));
    return lm_add(g, x, lm_const_data(g, LM_F32, LM_SHAPE(3), shift));
}

lm_node *lm_network_conv(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                         lm_window window) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    const int pad[2] = {window.pad_height, window.pad_width};
    lm_conv_attr attr = {.stride = {window.stride, window.stride},
                         .pad_lo = {pad[0], pad[1]},
                         .pad_hi = {pad[0], pad[1]}};
    lm_shape shape = LM_SHAPE(out, window.height, window.width, x->shape.dim[3]);
    lm_scope_push(g, "%s", name);
    lm_node *weight = lm_nn_param(nn, "weight", shape, LM_INIT(ZEROS, 0));
    lm_node *bias = lm_nn_param(nn, "bias", LM_SHAPE(out), LM_INIT(ZEROS, 0));
    lm_node *y = bias ? lm_conv(g, x, weight, bias, &attr) : NULL;
    lm_scope_pop(g);
    return y;
}

lm_node *lm_network_max_pool(lm_nn *nn, lm_node *x, int size, int stride, int pad,
                             bool whole) {
    if (!x) return NULL;
    lm_pool_attr attr = {.window = {size, size},
                         .stride = {stride, stride},
                         .pad_lo = {pad, pad},
                         .pad_hi = {pad, pad}};
    for (int i = 0; i < 2 && whole; i++) {
        int64_t over = (x->shape.dim[1 + i] + 2 * pad - size) % stride;
        if (over) attr.pad_hi[i] += (int32_t)((stride - over) % stride);
    }
    return lm_maxpool(nn->graph, x, &attr);
}
