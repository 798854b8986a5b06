#include "nn/spectral.h"

const lm_spectral lm_spectral_once = {.iterations = 1, .eps = 1e-12};

/* W as it lies in memory: [out,rest], or turned. */
typedef struct matrix {
    lm_node *values;
    bool turned;
} matrix;

static matrix read_matrix(lm_graph *g, lm_node *weight, int64_t out, bool turned) {
    int64_t rest = lm_shape_count(weight->shape) / out;
    lm_shape shape = turned ? LM_SHAPE(rest, out) : LM_SHAPE(out, rest);
    return (matrix){lm_reshape(g, weight, shape), turned};
}

/* W x, or W' x, of a column. */
static lm_node *multiply(lm_graph *g, matrix w, bool transposed, lm_node *x) {
    return lm_matmul(g, w.values, x, w.turned != transposed, false);
}

static lm_node *to_unit_length(lm_graph *g, lm_node *x, double eps) {
    lm_node *length = lm_sqrt(g, lm_sum_all(g, lm_square(g, x)));
    return lm_div(g, x, lm_max2(g, length, lm_const(g, eps)));
}

static lm_node *find_column(lm_nn *nn, const char *name, int64_t rows) {
    return lm_nn_buffer(nn, name, LM_SHAPE(rows, 1), LM_INIT(ORTHOGONAL, 1));
}

lm_node *lm_nn_spectral(lm_nn *nn, lm_node *weight, int out) {
    if (!weight) return NULL;
    lm_graph *g = nn->graph;
    const lm_spectral *how = nn->spectral;
    int64_t rows = weight->shape.dim[out];
    if (how->iterations < 1 || !rows || !lm_shape_count(weight->shape))
        return lm_graph_fail(g, LM_ARG,
                             "%s: no spectral norm by %d iterations of %lld rows",
                             lm_scope_path(g), how->iterations, (long long)rows);
    const matrix w = read_matrix(g, weight, rows, out != 0);
    lm_node *kept_u = find_column(nn, "u", rows);
    lm_node *kept_v = find_column(nn, "v", lm_shape_count(weight->shape) / rows);
    lm_node *u = kept_u, *v = kept_v;
    for (int i = 0; i < how->iterations; i++) {
        u = to_unit_length(g, multiply(g, w, false, v), how->eps);
        v = to_unit_length(g, multiply(g, w, true, u), how->eps);
    }
    u = lm_stop_grad(g, u);
    v = lm_stop_grad(g, v);
    lm_nn_update(nn, kept_u, u);
    lm_nn_update(nn, kept_v, v);
    lm_node *sigma = lm_sum_all(g, lm_mul(g, u, multiply(g, w, false, v)));
    return lm_mul(g, weight, lm_div(g, lm_const(g, 1), sigma));
}
