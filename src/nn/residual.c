/* The residual block that U-Net and classifier share. */
#include "nn/nn.h"

#define NORM_EPS 1e-6

int lm_nn_count_groups(int64_t channels, int most) {
    int groups = most;
    while (channels % groups != 0) groups--;
    return groups;
}

lm_node *lm_nn_norm_silu(lm_nn *nn, const char *name, lm_node *x, int groups) {
    if (!x) return NULL;
    int64_t channels = x->shape.dim[x->shape.rank - 1];
    groups = lm_nn_count_groups(channels, groups);
    return lm_nn_group_norm(nn, name, x, groups, NORM_EPS, true);
}

lm_node *lm_nn_conv3x3(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                       double scale) {
    lm_conv_spec spec = {.kernel = 3,
                         .stride = 1,
                         .pad = 1,
                         .bias = true,
                         .init = LM_INIT(FAN_AVG, scale)};
    return lm_nn_conv(nn, name, x, out, &spec);
}

static lm_node *add_condition(lm_nn *nn, lm_node *h, lm_node *condition, int64_t out) {
    lm_node *shift =
        lm_nn_dense(nn, "condition", condition, out, true, LM_INIT(FAN_AVG, 1));
    if (!shift) return NULL;
    shift = lm_reshape(nn->graph, shift, LM_SHAPE(shift->shape.dim[0], 1, 1, out));
    return lm_add(nn->graph, h, shift);
}

/* Scales and shifts of each sample, 1 and 0 at first. */
static lm_node *modulated_norm_silu(lm_nn *nn, const char *name, lm_node *h,
                                    const lm_residual_spec *spec) {
    lm_graph *g = nn->graph;
    int64_t c = spec->out;
    lm_node *both = lm_nn_dense(nn, name, spec->modulation, 2 * c, true,
                                LM_INIT(FAN_AVG, LM_NEAR_ZERO));
    lm_node *gamma = lm_add_scalar(g, lm_slice_axis(g, both, 1, 0, c), 1);
    lm_node *beta = lm_slice_axis(g, both, 1, c, 2 * c);
    return lm_group_norm(g, h, gamma, beta, lm_nn_count_groups(c, spec->groups), NORM_EPS,
                         true);
}

lm_node *lm_nn_residual(lm_nn *nn, const char *name, lm_node *x,
                        const lm_residual_spec *spec) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    int64_t out = spec->out;
    lm_scope_push(g, "%s", name);
    lm_node *h = lm_nn_norm_silu(nn, "norm1", x, spec->groups);
    h = lm_nn_conv3x3(nn, "conv1", h, out, 1);
    if (spec->condition) h = add_condition(nn, h, spec->condition, out);
    h = spec->modulation ? modulated_norm_silu(nn, "norm2", h, spec)
                         : lm_nn_norm_silu(nn, "norm2", h, spec->groups);
    h = lm_nn_dropout(nn, h, spec->dropout);
    h = lm_nn_conv3x3(nn, "conv2", h, out, LM_NEAR_ZERO);
    if (x->shape.dim[3] != out)
        x = lm_nn_dense(nn, "shortcut", x, out, true, LM_INIT(FAN_AVG, 1));
    lm_scope_pop(g);
    return lm_add(g, x, h);
}
