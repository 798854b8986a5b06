/* Feature networks as they were published, only ever run: a function builds the graph, a
 * safetensors file that the user converted (docs/extractors.md) gives the weights. */
#ifndef LIMN_EVAL_NETWORK_H
#define LIMN_EVAL_NETWORK_H

#include "data/digest.h"
#include "exec/exec.h"
#include "nn/nn.h"

typedef struct lm_network_spec {
    const char *name;    /* NAME.safetensors is its file */
    const char *chapter; /* of docs/extractors.md, that says how to make it */
    /* Declares inputs and outputs for `batch` images of this size; `what` as below. */
    void (*build)(lm_nn *nn, const void *what, int64_t batch, int height, int width);
    const void *what;
    int side;        /* of images that the network accepts: weights are found with it */
    double norm_eps; /* added to variances where the file has batch norms */
} lm_network_spec;

typedef struct lm_network {
    lm_network_spec spec;
    lm_params *params;
    lm_engine *engine;
    lm_program *program; /* for the shape below; NULL at first */
    int64_t batch;
    int height, width;
    char weights[LM_SHA256_HEX]; /* of its parameters in f32, in the network's order */
} lm_network;

/* file NULL: extractors/NAME.safetensors in the data folder (data/known.h). A file that
 * is not there is LM_NOT_FOUND with the chapter to read; one that lacks a tensor, or has
 * it in another shape, LM_MISMATCH. A convolution X may have its batch norm beside it,
 * X.gamma, X.beta, X.mean, X.variance instead of X.bias: it is folded in with f64. `spec`
 * is copied, what it points to is borrowed. */
lm_status lm_network_open(const lm_network_spec *spec, const char *file,
                          lm_network **network);
void lm_network_free(lm_network *network);
/* Compiles for batches of this shape, unless it did last time. */
lm_status lm_network_fit(lm_network *network, int64_t batch, int height, int width);

/* ---- what published networks are made of ------------------------------------- */

/* An input [batch,height,width,3], u8 or f32, as f32: x * scale[c] + shift[c]. */
lm_node *lm_network_input(lm_nn *nn, const char *name, lm_dtype dtype, lm_shape shape,
                          const float scale[3], const float shift[3]);
/* A rectangle of taps; padding on each side. */
typedef struct lm_window {
    int height, width, stride, pad_height, pad_width;
} lm_window;
/* With bias, without activation. x[N,H,W,C] -> [N,H',W',out]. */
lm_node *lm_network_conv(lm_nn *nn, const char *name, lm_node *x, int64_t out,
                         lm_window window);
/* whole: a last window that reaches beyond the image counts (PyTorch's ceil_mode). */
lm_node *lm_network_max_pool(lm_nn *nn, lm_node *x, int size, int stride, int pad,
                             bool whole);
/* The mean of up to 3x3 pixels around each, without those that lie outside. */
lm_node *lm_network_average3(lm_nn *nn, lm_node *x);

#endif
