/* Vector quantisation (van den Oord, Vinyals, Kavukcuoglu 2017): vectors become the
 * nearest of a table of codes, which follow the vectors by running averages. */
#ifndef LIMN_NN_VQ_H
#define LIMN_NN_VQ_H

#include "nn/nn.h"

typedef struct lm_vq_spec {
    int64_t codes;
    double decay; /* of the running averages, a step */
    /* Codes that are nearest to less than this share of the vectors that they would get
     * if all were used alike are replaced by vectors of the batch (after Dhariwal et al.
     * 2020); at the start that are all. 0: never. */
    double restart;
} lm_vq_spec;

typedef struct lm_vq {
    lm_node *index;   /* i32[M]: the nearest code of each vector */
    lm_node *code;    /* [M,D]: that code, without a gradient */
    lm_node *through; /* its value, with the gradient of the vector (straight-through) */
    lm_node
        *commitment; /* mean square of the distance, whose gradient moves the vector */
    lm_node *perplexity; /* e^entropy of how the batch uses codes, 1 .. codes */
    lm_node *used;       /* codes that it uses at all */
} lm_vq;

/* z[M,D]. Buffers "codes" [codes,D], "counts" [codes,1] and "sums" [codes,D] within the
 * scope `name`; while training they are updated. A restart draws by nn->key. */
lm_vq lm_nn_vq(lm_nn *nn, const char *name, lm_node *z, const lm_vq_spec *spec);

#endif
