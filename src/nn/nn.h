/* Layers as graph builders. A builder context carries the graph, the parameter group that
 * layers register their weights in, and what training needs (dropout, random key). */
#ifndef LIMN_NN_NN_H
#define LIMN_NN_NN_H

#include "graph/graph.h"
#include "nn/params.h"

typedef struct lm_spectral lm_spectral;

typedef struct lm_nn {
    lm_graph *graph;
    lm_params *params;  /* group that lm_nn_param registers in and reads from */
    const char *var;    /* variable that holds them: params->name, or its ".ema" */
    lm_params *buffers; /* of lm_nn_buffer; NULL: there are none */
    bool train;         /* dropout on; normalised by the batch */
    bool frozen;        /* trains something else: buffers stay as they are */
    const lm_spectral *spectral; /* of weights (spectral.h); NULL: taken as they are */
    lm_node *key; /* u32[4] for dropout and noise; may be NULL when nothing draws */
    uint32_t next_stream; /* of lm_nn_stream; starts at 1000 */
} lm_nn;

/* A random stream number of its own, in order of construction. */
uint32_t lm_nn_stream(lm_nn *nn);

/* The weight `name` within the current scope: registered on first sight, found again by
 * its full name ("unet.in.weight") later; a changed shape is a failure. */
lm_node *lm_nn_param(lm_nn *nn, const char *name, lm_shape shape, lm_init init);

/* The weight of a layer, "weight", by its spectral norm where nn->spectral asks for that.
 * `out`: the axis of what the layer makes, the first or the last. */
lm_node *lm_nn_weight(lm_nn *nn, lm_shape shape, int out, lm_init init);

/* What training keeps beside the weights, as running averages: no gradient reaches it. By
 * name as lm_nn_param, in nn->buffers, which all programs share. */
lm_node *lm_nn_buffer(lm_nn *nn, const char *name, lm_shape shape, lm_init init);
/* At the end of a training step the buffer takes the value; elsewhere, and where nn is
 * frozen, it stays. */
void lm_nn_update(lm_nn *nn, lm_node *buffer, lm_node *value);
/* The same as a running average: the buffer goes `rate` of the way to the value. A layer
 * that is used several times in a step goes so far each time. */
void lm_nn_follow(lm_nn *nn, lm_node *buffer, lm_node *value, double rate);

/* Each pushes `name` as scope for its parameters ("weight", "bias", "gamma", "beta"). */

/* x[.., in] -> [.., out]. weight [out, in]. */
lm_node *lm_nn_dense(lm_nn *nn, const char *name, lm_node *x, int64_t out, bool bias,
                     lm_init init);
typedef struct lm_conv_spec {
    int kernel, stride, pad; /* square; pad on each side */
    bool bias;
    lm_init init;
    int pad_extra; /* more at the bottom and right: TensorFlow's SAME with stride 2 */
} lm_conv_spec;
/* x[N,H,W,C] -> [N,H',W',out]. weight [out, k, k, C]. */
lm_node *lm_nn_conv(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                    const lm_conv_spec *spec);
/* The adjoint of lm_nn_conv, as generators grow images: x[N,H,W,C] -> [N,H',W',out],
 * H' = (H - 1) stride + kernel - 2 pad - pad_extra. weight [C, k, k, out]. */
lm_node *lm_nn_conv_transpose(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                              const lm_conv_spec *spec);
/* lm_nn_upsample_nearest by 2, then lm_nn_conv of 3x3 taps and padding 1 with bias,
 * without the enlarged image: x[N,H,W,C] -> [N,2H,2W,out]. weight [out, 3, 3, C]. */
lm_node *lm_nn_upsample_conv(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                             lm_init init);
/* gamma 1, beta 0; groups must divide C. silu: SiLU applied to the result. */
lm_node *lm_nn_group_norm(lm_nn *nn, const char *name, lm_node *x, int groups, double eps,
                          bool silu);
lm_node *lm_nn_layer_norm(lm_nn *nn, const char *name, lm_node *x, double eps);
/* Ioffe, Szegedy 2015: each channel of x[N,..,C]. In training by its mean and variance
 * over samples and positions, which the buffers "mean" and "variance" [C] follow; else by
 * those buffers, so that no sample depends on its batch. They belong to the weights that
 * are trained, not to their average. Without nn->buffers always by the batch. */
#define LM_BATCH_NORM_RATE 0.1
lm_node *lm_nn_batch_norm(lm_nn *nn, const char *name, lm_node *x, double eps);
/* The same with scales 1 + gamma and shifts beta that are linear in what is known of each
 * sample, as the embedding of its class: class f32[N,E], zeros for nothing. gamma.weight
 * and beta.weight [C,E], N(0, 0.02) at first. As in Brock et al. 2019, all layers may
 * share an embedding; a table for each layer moves by the optimizer's rate alone. */
lm_node *lm_nn_conditional_batch_norm(lm_nn *nn, const char *name, lm_node *x,
                                      lm_node *class, double eps);
lm_node *lm_nn_embedding(lm_nn *nn, const char *name, lm_node *index, int64_t rows,
                         int64_t width, lm_init init);
/* Inverted dropout; x itself when not training or p is 0. */
lm_node *lm_nn_dropout(lm_nn *nn, lm_node *x, double p);
/* Self attention over the positions of x[N,H,W,C]: norm, q k v, attention, projection,
 * residual. heads divides C. */
lm_node *lm_nn_attention(lm_nn *nn, const char *name, lm_node *x, int heads, int groups);

/* The largest number of groups, at most `most`, that divides the channels. */
int lm_nn_count_groups(int64_t channels, int most);
/* Group norm of so many groups, then SiLU. */
lm_node *lm_nn_norm_silu(lm_nn *nn, const char *name, lm_node *x, int groups);
/* 3x3 taps, stride 1, padding 1, with bias; `scale` of the first weights' variance. */
lm_node *lm_nn_conv3x3(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                       double scale);
/* Layers that end a residual branch or a network start next to zero, so that every block
 * starts as the identity. The value is that of Ho et al.'s code. */
#define LM_NEAR_ZERO 1e-10
/* The block of Ho et al. 2020: x + conv(silu(norm(conv(silu(norm(x))) + condition))),
 * with a 1x1 convolution of x where the channels change. */
typedef struct lm_residual_spec {
    int64_t out; /* channels */
    int groups;  /* of the norms; fewer where they do not divide the channels */
    double dropout;
    /* [N,E], through dense layers of the block's own; NULL: none. `condition` is added
     * before the second norm, `modulation` gives that norm its scales and shifts instead
     * of trained ones (Dhariwal, Nichol 2021). */
    lm_node *condition, *modulation;
} lm_residual_spec;
lm_node *lm_nn_residual(lm_nn *nn, const char *name, lm_node *x,
                        const lm_residual_spec *spec);

/* No parameters. */
/* Bytes to -1 .. 1. */
lm_node *lm_nn_signed(lm_graph *g, lm_node *images);
/* t[N] f32 -> [N, width]: sin then cos of t * exp(-ln(max_period) * i / (width/2 - 1)),
 * as Ho et al. 2020 (after Vaswani et al. 2017). width even. */
lm_node *lm_nn_time_embedding(lm_nn *nn, lm_node *t, int64_t width, double max_period);
lm_node *lm_nn_upsample_nearest(lm_nn *nn, lm_node *x, int factor);
lm_node *lm_nn_avg_pool(lm_nn *nn, lm_node *x, int factor);
/* [N,H,W,C] <-> [N,H/f,W/f,C*f*f]. */
lm_node *lm_nn_space_to_depth(lm_nn *nn, lm_node *x, int factor);
lm_node *lm_nn_depth_to_space(lm_nn *nn, lm_node *x, int factor);

/* Standard normal numbers to such that fall within +-bound, in the same order: as often
 * as if those outside had been drawn again. bound in (0, 4]. */
lm_node *lm_nn_truncate(lm_graph *g, lm_node *z, double bound);

/* Losses: scalars, mean over everything. */
lm_node *lm_nn_mse(lm_nn *nn, lm_node *a, lm_node *b);

#endif
