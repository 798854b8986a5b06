/* Derivatives of derivatives as models use them: the value that a case returns contains
 * gradients already. */
#include "gradcheck.h"

#include "graph/grad.h"

static lm_node *dot_rows(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_sum_all(g, lm_mul(g, a, b));
}

/* mean over images of (|d score / d x| - 1)^2: Gulrajani et al., "Improved training of
 * Wasserstein GANs", 2017, equation 3. */
static lm_node *gradient_penalty(lm_graph *g, lm_node *score, lm_node *x) {
    lm_node *slope;
    if (lm_grad(g, lm_sum_all(g, score), NULL, 1, &x, &slope) != LM_OK) return NULL;
    lm_node *norm = lm_sqrt(g, lm_sum(g, lm_square(g, slope), 0xe, false));
    return lm_mean_all(g, lm_square(g, lm_add_scalar(g, norm, -1)));
}

static const lm_conv_attr halving = {{2, 2}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 1};

static lm_node *dense(gc *t, lm_node *x, int64_t out) {
    lm_node *flat =
        lm_reshape(t->graph, x,
                   LM_SHAPE(x->shape.dim[0], lm_shape_count(x->shape) / x->shape.dim[0]));
    lm_node *w = gc_param(t, LM_SHAPE(out, flat->shape.dim[1]), -0.5, 0.5);
    return lm_matmul(t->graph, flat, w, false, true);
}

static lm_node *build_wgan_gp(gc *t, const gc_case *c) {
    lm_graph *g = t->graph;
    lm_node *x = gc_float(t, LM_SHAPE(2, 5, 5, 1), -1, 1), *h = x;
    for (int i = 0; i < 2; i++) {
        lm_node *w = gc_param(t, LM_SHAPE(3, 3, 3, h->shape.dim[3]), -0.5, 0.5);
        lm_node *bias = gc_param(t, LM_SHAPE(3), -0.5, 0.5);
        h = lm_leaky_relu(g, lm_conv(g, h, w, bias, &halving), 0.2);
    }
    return gradient_penalty(g, dense(t, h, 1), x);
}

/* A critic with what first order would run fused: normalisation and attention. */
static lm_node *build_normed_critic(gc *t, const gc_case *c) {
    lm_graph *g = t->graph;
    lm_node *x = gc_float(t, LM_SHAPE(2, 3, 3, 4), -1, 1);
    lm_node *gamma = gc_param(t, LM_SHAPE(4), 0.5, 1.5);
    lm_node *beta = gc_param(t, LM_SHAPE(4), -0.5, 0.5);
    lm_node *h = lm_group_norm(g, x, gamma, beta, 2, 1e-3, true);
    h = lm_reshape(g, h, LM_SHAPE(2, 9, 4));
    h = lm_add(g, h, lm_attention(g, h, h, h, 0.5));
    return gradient_penalty(g, dense(t, h, 1), x);
}

/* v' (d/dx)(v' s(x)) + 1/2 (v' s)^2: Song et al., "Sliced score matching", 2019, eq. 6.
 */
static lm_node *build_sliced_score(gc *t, const gc_case *c) {
    lm_graph *g = t->graph;
    lm_node *x = gc_float(t, LM_SHAPE(3, 5), -1, 1), *v = gc_fixed(t, x->shape, -1, 1);
    lm_node *score = dense(t, lm_tanh(g, dense(t, x, 7)), 5);
    lm_node *along = dot_rows(g, v, score), *slope;
    if (lm_grad(g, along, NULL, 1, &x, &slope) != LM_OK) return NULL;
    return lm_add(g, dot_rows(g, v, slope), lm_scale(g, lm_square(g, along), 0.5));
}

const gc_case gc_cases_models[] = {
    {.table = GC_MODEL, .name = "gradient penalty", .build = build_wgan_gp},
    {.table = GC_MODEL,
     .name = "gradient penalty with group norm and attention",
     .build = build_normed_critic},
    {.table = GC_MODEL, .name = "sliced score matching", .build = build_sliced_score},
    {.build = NULL},
};
