/* The one place that knows oneDNN, and the difference between its versions 2.6 and 3.x
 * (memory descriptors became handles, operation descriptors went away). The rest of the
 * backend sees layouts as dimensions with strides, and operations that are created once
 * and executed many times. Everything is f32. */
#ifndef LIMN_BACKEND_CPU_DNNL_SHIM_H
#define LIMN_BACKEND_CPU_DNNL_SHIM_H

#include "base/status.h"
#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An engine with a stream: one per backend. */
typedef struct lm_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} lm_dnnl;

lm_status lm_dnnl_init(lm_dnnl *dnnl);
void lm_dnnl_release(lm_dnnl *dnnl);

/* A memory layout. Zeroed is "released". */
typedef struct lm_layout {
    dnnl_memory_desc_t desc;
    bool valid;
} lm_layout;

/* strides in elements; NULL: the operation may choose. */
lm_status lm_layout_init(lm_layout *layout, int rank, const int64_t *dim,
                         const int64_t *stride);
void lm_layout_release(lm_layout *layout);
size_t lm_layout_bytes(const lm_layout *layout);
bool lm_layout_equal(const lm_layout *a, const lm_layout *b);

/* An operation that is ready to run. It never allocates: `scratch` bytes of 64-byte
 * aligned scratch memory come from the caller. */
enum { LM_DNNL_ARGS = 4 };
typedef struct lm_dnnl_op {
    dnnl_primitive_t primitive;
    int n_args; /* without the scratch memory, which is the last */
    int id[LM_DNNL_ARGS + 1];
    dnnl_memory_t memory[LM_DNNL_ARGS + 1];
    void *data[LM_DNNL_ARGS + 1]; /* handles set at the previous run */
    size_t scratch;
    char impl[48]; /* "brgconv:avx512_core" */
} lm_dnnl_op;

void lm_dnnl_op_release(lm_dnnl_op *op);
/* data[i] in the order that the maker of the operation documents. */
lm_status lm_dnnl_op_run(const lm_dnnl *dnnl, lm_dnnl_op *op, void *const *data,
                         void *scratch);

/* 2.6 runs the adjoint in x with an older kernel than the forward pass; 3.x does not. */
#define LM_DNNL_BACK_DATA_IS_SLOW (DNNL_VERSION_MAJOR < 3)

typedef enum lm_dnnl_pass {
    LM_DNNL_FORWARD,
    LM_DNNL_BACK_DATA,
    LM_DNNL_BACK_WEIGHTS
} lm_dnnl_pass;

/* 2-D convolution; index 0 is height, 1 is width; dilation 1 is a dense kernel. Input and
 * output are NHWC; w is laid out as oneDNN likes it best. */
typedef struct lm_dnnl_conv {
    lm_dnnl_pass pass;
    int64_t batch, in[2], in_channels, out[2], out_channels, kernel[2], groups;
    int64_t stride[2], dilation[2], pad_lo[2], pad_hi[2];
    bool bias; /* forward only */
} lm_dnnl_conv;

/* Arguments: input side, weights, output side, bias; the pass says which is written.
 * `weights` receives the layout that was chosen for w, to be released by the caller. */
lm_status lm_dnnl_conv_init(lm_dnnl *dnnl, const lm_dnnl_conv *conv, lm_dnnl_op *op,
                            lm_layout *weights);
/* The layout of weights whose o, h, w, i strides are given, in elements. */
lm_status lm_dnnl_conv_weights(const lm_dnnl_conv *conv, const int64_t ohwi_stride[4],
                               lm_layout *layout);

/* c[b,m,n] = a[b,m,k] b[b,k,n] (+ bias[n]): arguments a, b, c, bias. a is stored as
 * [b,k,m] with ta, b as [b,n,k] with tb. */
typedef struct lm_dnnl_matmul {
    int64_t batch, m, n, k;
    bool ta, tb, bias;
} lm_dnnl_matmul;
lm_status lm_dnnl_matmul_init(lm_dnnl *dnnl, const lm_dnnl_matmul *matmul,
                              lm_dnnl_op *op);

/* Arguments: from, to. */
lm_status lm_dnnl_reorder_init(lm_dnnl *dnnl, const lm_layout *from, const lm_layout *to,
                               lm_dnnl_op *op);

#endif
