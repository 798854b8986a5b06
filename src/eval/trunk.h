/* The convolutions of ImageNet classifiers, whose activations at certain depths ("taps")
 * tell how alike two images look. */
#ifndef LIMN_EVAL_TRUNK_H
#define LIMN_EVAL_TRUNK_H

#include "nn/nn.h"

typedef struct lm_trunk_layer lm_trunk_layer; /* trunk.c */
typedef struct lm_trunk {
    const char *name;
    const lm_trunk_layer *layers;
    int n_layers;
    int least;  /* pixels of the smallest side of an image */
    bool whole; /* of pooling: lm_network_max_pool */
} lm_trunk;

/* VGG16 (Simonyan, Zisserman 2014, configuration D), AlexNet as Krizhevsky drew it for
 * one GPU (2014), SqueezeNet 1.1 (Iandola et al. 2016). */
extern const lm_trunk lm_trunk_vgg16, lm_trunk_alexnet, lm_trunk_squeezenet;

enum { LM_TRUNK_TAPS = 7 };
/* Runs x[N,H,W,3] up to the last tap and returns how many there are; each is f32
 * [N,h,w,c] after its ReLU, the first layers' first. */
int lm_trunk_build(lm_nn *nn, const lm_trunk *trunk, lm_node *x,
                   lm_node *taps[LM_TRUNK_TAPS]);

#endif
