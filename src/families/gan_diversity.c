#include "families/gan_diversity.h"

/* Squared distances of all pairs, [N,N], by the Gram matrix of what is left of the
 * batch's mean, so that close images keep their digits. */
static lm_node *square_distances(lm_graph *g, lm_node *images) {
    int64_t n = images->shape.dim[0];
    lm_node *x = lm_reshape(g, images, LM_SHAPE(n, lm_shape_count(images->shape) / n));
    x = lm_sub(g, x, lm_mean(g, x, 1u << 0, true));
    lm_node *size = lm_sum(g, lm_square(g, x), 1u << 1, true);
    lm_node *sizes = lm_add(g, size, lm_transpose(g, size));
    return lm_relu(g, lm_sub(g, sizes, lm_scale(g, lm_matmul(g, x, x, false, true), 2)));
}

/* f32[N,N], 1 for two images that are compared; each image with itself, too. */
static lm_node *pairs(lm_graph *g, lm_node *labels, int64_t n) {
    if (!labels) return lm_const_full(g, LM_F32, LM_SHAPE(n, n), 1);
    lm_node *number = lm_reshape(g, lm_cast(g, labels, LM_F32), LM_SHAPE(n, 1));
    return lm_cast(g, lm_eq(g, number, lm_transpose(g, number)), LM_F32);
}

lm_node *lm_gan_diversity(lm_graph *g, lm_node *images, lm_node *labels) {
    if (!images) return NULL;
    int64_t n = images->shape.dim[0], values = lm_shape_count(images->shape) / n;
    lm_node *compared = pairs(g, labels, n);
    lm_node *sum = lm_sum_all(g, lm_mul(g, compared, square_distances(g, images)));
    lm_node *count = lm_add_scalar(g, lm_sum_all(g, compared), -(double)n);
    count = lm_max2(g, count, lm_const(g, 1));
    return lm_sqrt(g, lm_div(g, sum, lm_scale(g, count, (double)values)));
}
