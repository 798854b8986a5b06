/* Derivatives of derivatives as models use them: the value that a case returns contains
 * gradients already. */
#include "gradcheck.h"

#include "graph/grad.h"
#include "nn/diffaugment.h"

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
    h = lm_add(g, h, lm_attention(g, h, h, h, 1, 0.5));
    return gradient_penalty(g, dense(t, h, 1), x);
}

/* A critic behind augmentation, as it is trained on few images. Colours stay strong
 * enough for slopes that are far from 0, where their norm has no derivative. */
static lm_node *build_augmented_critic(gc *t, const gc_case *c) {
    lm_graph *g = t->graph;
    lm_node *x = gc_float(t, LM_SHAPE(2, 5, 4, 3), -1, 1);
    lm_node *numbers = gc_fixed(t, LM_SHAPE(2, LM_DIFFAUGMENT_NUMBERS), 0.5, 1);
    lm_node *y = lm_diffaugment(g, x, (unsigned)c->i[0], numbers);
    y = lm_flip(g, y, gc_fixed(t, LM_SHAPE(2), 0, 1));
    return gradient_penalty(g, dense(t, lm_tanh(g, dense(t, y, 6)), 1), x);
}

static lm_node *build_augmentation(gc *t, const gc_case *c) {
    lm_node *x = gc_float(t, LM_SHAPE(3, 5, 8, 2), -1, 1);
    lm_node *numbers = gc_fixed(t, LM_SHAPE(3, LM_DIFFAUGMENT_NUMBERS), 0, 1);
    return lm_diffaugment(t->graph, x, (unsigned)c->i[0], numbers);
}

#define AUGMENTED(parts)                                                                 \
    .table = GC_MODEL, .name = "augmentation, parts " #parts,                            \
    .build = build_augmentation, .i = {parts}

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

/* ---- random graphs: values of many consumers, sums of many terms ------------- */

#define SQUARE LM_SHAPE(3, 3)

static lm_node *op_add(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_add(g, a, b);
}

static lm_node *op_mul(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_mul(g, a, lm_sigmoid(g, b));
}

static lm_node *op_tanh(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_tanh(g, lm_sub(g, a, b));
}

static lm_node *op_matmul(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_matmul(g, a, lm_scale(g, b, 0.5), true, false);
}

static lm_node *op_softmax(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_mul(g, b, lm_softmax(g, a));
}

static lm_node *op_norm(lm_graph *g, lm_node *a, lm_node *b) {
    lm_node *gamma = lm_reshape(g, lm_slice_axis(g, b, 0, 1, 2), LM_SHAPE(3));
    return lm_group_norm(g, a, gamma, b, 1, 0.1, true);
}

static lm_node *op_mean(lm_graph *g, lm_node *a, lm_node *b) {
    return lm_sub(g, a, lm_mean(g, b, 1u << 0, true));
}

static lm_node *op_join(lm_graph *g, lm_node *a, lm_node *b) {
    lm_node *part[2] = {lm_slice_axis(g, a, 1, 1, 3), lm_slice_axis(g, b, 1, 0, 1)};
    return lm_concat(g, part, 2, 1);
}

static lm_node *(*const random_ops[])(lm_graph *g, lm_node *a, lm_node *b) = {
    op_add, op_mul, op_tanh, op_matmul, op_softmax, op_norm, op_mean, op_join};

enum { RANDOM_STEPS = 14, RANDOM_OPS = sizeof random_ops / sizeof *random_ops };

static lm_node *build_random(gc *t, const gc_case *c) {
    lm_node *value[2 + RANDOM_STEPS];
    t->rng.stream = 500 + (uint32_t)c->i[0];
    for (uint32_t n = 0; n < 2; n++) value[n] = gc_float(t, SQUARE, -1, 1);
    for (uint32_t n = 2; n < 2 + RANDOM_STEPS; n++) {
        lm_node *a = value[lm_rng_below(&t->rng, n)];
        lm_node *b = value[lm_rng_below(&t->rng, n)];
        value[n] = random_ops[lm_rng_below(&t->rng, RANDOM_OPS)](t->graph, a, b);
    }
    lm_node *sum = lm_mul(t->graph, value[0], value[1]);
    for (int n = 2; n < 2 + RANDOM_STEPS; n++) sum = lm_add(t->graph, sum, value[n]);
    return sum;
}

#define RANDOM(n)                                                                        \
    .table = GC_MODEL, .name = "random graph " #n, .build = build_random, .i = {n}

/* ---- the table --------------------------------------------------------------- */

const gc_case gc_cases_models[] = {
    {.table = GC_MODEL, .name = "gradient penalty", .build = build_wgan_gp},
    {.table = GC_MODEL,
     .name = "gradient penalty with group norm and attention",
     .build = build_normed_critic},
    {.table = GC_MODEL, .name = "sliced score matching", .build = build_sliced_score},
    {AUGMENTED(1)},
    {AUGMENTED(2)},
    {AUGMENTED(4)},
    {AUGMENTED(7)},
    {.table = GC_MODEL,
     .name = "gradient penalty behind augmentation",
     .build = build_augmented_critic,
     .i = {7}},
    {RANDOM(1)},
    {RANDOM(2)},
    {RANDOM(3)},
    {RANDOM(4)},
    {RANDOM(5)},
    {RANDOM(6)},
    {RANDOM(7)},
    {RANDOM(8)},
    {RANDOM(9)},
    {RANDOM(10)},
    {RANDOM(11)},
    {RANDOM(12)},
    {.build = NULL},
};
