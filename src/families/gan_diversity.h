/* How different the images of a batch are. */
#ifndef LIMN_FAMILIES_GAN_DIVERSITY_H
#define LIMN_FAMILIES_GAN_DIVERSITY_H

#include "graph/graph.h"

/* Root of the mean square difference of a value between two images of f32[N,H,W,C], over
 * all pairs, or with labels i32[N] over those of one class: a generator that knows one
 * image of each class is as poor as one that knows one image. 0 without such a pair. */
lm_node *lm_gan_diversity(lm_graph *g, lm_node *images, lm_node *labels);

#endif
