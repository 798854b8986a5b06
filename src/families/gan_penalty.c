#include "families/gan_penalty.h"

#include "graph/grad.h"

#include <string.h>

void lm_gan_penalty_read(const lm_settings *s, lm_gan_penalty *penalty) {
    *penalty =
        (lm_gan_penalty){.gp = lm_setting_float(s, "gp"),
                         .one_sided = strcmp(lm_setting_text(s, "gp-sided"), "one") == 0,
                         .r1 = lm_setting_float(s, "r1"),
                         .r2 = lm_setting_float(s, "r2"),
                         .every = (int)lm_setting_int(s, "penalty-every")};
}

bool lm_gan_penalty_any(const lm_gan_penalty *penalty) {
    return penalty->gp > 0 || penalty->r1 > 0 || penalty->r2 > 0;
}

lm_node *lm_gan_gradient_squares(lm_graph *g, lm_node *logits, lm_node *images) {
    lm_node *gradient = NULL;
    if (!logits || !images ||
        lm_grad(g, lm_sum_all(g, logits), NULL, 1, &images, &gradient) != LM_OK)
        return NULL;
    int64_t rows = images->shape.dim[0], width = lm_shape_count(images->shape) / rows;
    lm_node *flat = lm_reshape(g, gradient, LM_SHAPE(rows, width));
    return lm_sum(g, lm_square(g, flat), 1u << 1, false);
}

lm_node *lm_gan_zero_centred(lm_graph *g, lm_node *squares, double gamma) {
    return lm_scale(g, lm_mean_all(g, squares), gamma / 2);
}

/* A length has no slope at 0; what is added there gives it one. */
lm_node *lm_gan_one_centred(lm_graph *g, lm_node *squares, double lambda,
                            bool one_sided) {
    lm_node *off = lm_add_scalar(g, lm_sqrt(g, lm_add_scalar(g, squares, 1e-12)), -1);
    if (one_sided) off = lm_relu(g, off);
    return lm_scale(g, lm_mean_all(g, lm_square(g, off)), lambda);
}

lm_node *lm_gan_between(lm_graph *g, lm_node *from, lm_node *to, lm_node *share) {
    if (!share) return NULL;
    lm_node *each = lm_reshape(g, share, LM_SHAPE(share->shape.dim[0], 1, 1, 1));
    return lm_add(g, from, lm_mul(g, lm_sub(g, to, from), each));
}
