/* What the two networks of a GAN play for: pure functions of logits f32[N]. */
#ifndef LIMN_FAMILIES_GAN_LOSS_H
#define LIMN_FAMILIES_GAN_LOSS_H

#include "graph/graph.h"

/* A row of the table. D minimises real + fake, G minimises generator; all are scalars,
 * means over the batch. */
typedef struct lm_gan_loss {
    const char *name;
    /* smoothing: how far the target of real images is below 1 (Salimans et al. 2016); 0
     * where `smooths` is false. */
    lm_node *(*real)(lm_graph *g, lm_node *logits, double smoothing);
    lm_node *(*fake)(lm_graph *g, lm_node *logits);
    lm_node *(*generator)(lm_graph *g, lm_node *logits);
    bool smooths;
    /* The logit at which D cannot tell, where there is such a one: a Wasserstein critic
     * is free up to a constant. */
    bool has_middle;
    double middle;
} lm_gan_loss;

#define LM_GAN_LOSSES "minimax|non-saturating|least-squares|hinge|wasserstein"
/* One of these names. */
const lm_gan_loss *lm_gan_loss_find(const char *name);

#endif
