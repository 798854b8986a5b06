/* What published networks are made of. */
#include "eval/network.h"

#include "base/mem.h"

lm_node *lm_network_input(lm_nn *nn, const char *name, lm_dtype dtype, lm_shape shape,
                          const float scale[3], const float shift[3]) {
    lm_graph *g = nn->graph;
    lm_node *x = lm_input(g, name, dtype, shape);
    if (dtype != LM_F32) x = lm_cast(g, x, LM_F32);
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

/* Row i has the share of each of the up to three inputs around i. */
static const lm_sparse *average3_matrix(lm_graph *g, int size) {
    int32_t *ints = lm_alloc((size_t)(4 * size + 1) * sizeof *ints);
    float *value = lm_alloc((size_t)(3 * size) * sizeof *value);
    const lm_sparse *matrix = NULL;
    if (ints && value) {
        int32_t *start = ints, *col = ints + size + 1, n = 0;
        for (int i = 0; i < size; i++) {
            int lo = i > 0 ? i - 1 : 0, hi = i < size - 1 ? i + 1 : i;
            start[i] = n;
            for (int k = lo; k <= hi; k++, n++) {
                col[n] = k;
                value[n] = 1.0F / (float)(hi - lo + 1);
            }
        }
        start[size] = n;
        matrix = lm_sparse_intern(g, &(lm_sparse){.rows = size,
                                                  .cols = size,
                                                  .nnz = n,
                                                  .row_start = start,
                                                  .col = col,
                                                  .value = value});
    } else {
        lm_graph_fail(g, LM_NOMEM, "average pooling");
    }
    lm_free(ints);
    lm_free(value);
    return matrix;
}

lm_node *lm_network_average3(lm_nn *nn, lm_node *x) {
    for (int axis = 1; axis <= 2 && x; axis++) {
        int size = (int)x->shape.dim[axis];
        x = lm_axismap(nn->graph, x, axis, average3_matrix(nn->graph, size));
    }
    return x;
}
