/* A classifier for small images: a residual network with group norm, as deep as the task
 * needs, whose features and logits judge what other families generate.
 *
 * Blocks of pixels become channels, a 3x3 convolution follows, then residual blocks at
 * one resolution after the other with average pooling between; mean over positions, a
 * dense layer with SiLU whose values are the features, and a last dense layer. */
#ifndef LIMN_FAMILIES_CLASSIFIER_H
#define LIMN_FAMILIES_CLASSIFIER_H

#include "families/family.h"
#include "nn/warp.h"

extern const lm_family lm_family_classifier;

/* Groups of the norms. Not a setting, so that the weights alone say what is computed. */
enum { LM_CLASSIFIER_GROUPS = 8 };

/* model->state: the settings, parsed. */
typedef struct lm_classifier {
    int channels[LM_OPT_MAX_INTS], n_levels;
    int blocks, patch, features;
    double dropout, smoothing;
    lm_warp_spec warp;
    unsigned augment; /* parts of lm_diffaugment */
} lm_classifier;

/* Images x f32[N,H,W,C] in [-1,1] to features and logits. */
lm_class_nodes lm_classifier_apply(const lm_model *model, lm_nn *nn, lm_node *x);

/* Cross entropy of logits[N,K] with labels i32[N], of which a share `smoothing` is spread
 * evenly over all classes (Szegedy et al. 2016), its mean over the images that have a
 * label (one of at least 0). */
lm_node *lm_classifier_loss_at(lm_graph *g, lm_node *logits, lm_node *labels,
                               double smoothing);

#endif
