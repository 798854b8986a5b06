#include "families/gan_loss.h"

#include <string.h>

/* ---- Goodfellow et al. 2014 -------------------------------------------------- */

/* With logits a: log(1 + e^a) is -log(1 - sigmoid(a)), and of -a, -log(sigmoid(a)). */
static lm_node *mean_softplus(lm_graph *g, lm_node *a) {
    return lm_mean_all(g, lm_ew1(g, LM_EW_SOFTPLUS, a));
}

/* -(1 - s) log(sigmoid(a)) - s log(1 - sigmoid(a)). */
static lm_node *entropy_real(lm_graph *g, lm_node *a, double smoothing) {
    lm_node *loss = mean_softplus(g, lm_neg(g, a));
    return smoothing > 0 ? lm_add(g, loss, lm_scale(g, lm_mean_all(g, a), smoothing))
                         : loss;
}

/* Equation 1 as it stands; its gradient vanishes where D is sure. */
static lm_node *saturating_generator(lm_graph *g, lm_node *a) {
    return lm_neg(g, mean_softplus(g, a));
}

static lm_node *non_saturating_generator(lm_graph *g, lm_node *a) {
    return mean_softplus(g, lm_neg(g, a));
}

/* ---- Mao et al. 2017, with a = 0 and b = c = 1 ------------------------------- */

static lm_node *half_square_from(lm_graph *g, lm_node *a, double target) {
    lm_node *off = lm_add_scalar(g, a, -target);
    return lm_scale(g, lm_mean_all(g, lm_square(g, off)), 0.5);
}

static lm_node *squares_real(lm_graph *g, lm_node *a, double smoothing) {
    return half_square_from(g, a, 1 - smoothing);
}

static lm_node *squares_fake(lm_graph *g, lm_node *a) {
    return half_square_from(g, a, 0);
}

static lm_node *squares_generator(lm_graph *g, lm_node *a) {
    return half_square_from(g, a, 1);
}

/* ---- Lim, Ye 2017; Arjovsky, Chintala, Bottou 2017 --------------------------- */

static lm_node *hinge_real(lm_graph *g, lm_node *a, double smoothing) {
    return lm_mean_all(g, lm_relu(g, lm_sub(g, lm_const(g, 1), a)));
}

static lm_node *hinge_fake(lm_graph *g, lm_node *a) {
    return lm_mean_all(g, lm_relu(g, lm_add_scalar(g, a, 1)));
}

static lm_node *linear_real(lm_graph *g, lm_node *a, double smoothing) {
    return lm_neg(g, lm_mean_all(g, a));
}

static lm_node *linear_generator(lm_graph *g, lm_node *a) {
    return lm_neg(g, lm_mean_all(g, a));
}

static const lm_gan_loss losses[] = {
    {"minimax", entropy_real, mean_softplus, saturating_generator, true, true, 0},
    {"non-saturating", entropy_real, mean_softplus, non_saturating_generator, true, true,
     0},
    {"least-squares", squares_real, squares_fake, squares_generator, true, true, 0.5},
    {"hinge", hinge_real, hinge_fake, linear_generator, false, true, 0},
    {"wasserstein", linear_real, lm_mean_all, linear_generator, false, false, 0}};

const lm_gan_loss *lm_gan_loss_find(const char *name) {
    const lm_gan_loss *loss = losses;
    while (strcmp(loss->name, name) != 0) loss++;
    return loss;
}
