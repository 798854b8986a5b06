/* Attention of one panel of queries, compiled once per instruction set.
 *
 * The queries of a panel lie side by side in the lanes of vectors: scores are computed as
 * keys x queries, so that softmax needs no sum across lanes, weights have the layout that
 * the next product wants, and keys and values are read as they lie, without packing. */
#ifndef LIMN_BACKEND_CPU_ATTENTION_OPS_H
#define LIMN_BACKEND_CPU_ATTENTION_OPS_H

#include "backend/cpu/cpu_internal.h"

/* Rows of a matrix, `stride` elements apart. */
typedef struct lm_rows_in {
    const float *x;
    int64_t stride;
} lm_rows_in;
typedef struct lm_rows_out {
    float *x;
    int64_t stride;
} lm_rows_out;

typedef struct lm_attention_size {
    int keys, width, value_width; /* S, D, E */
} lm_attention_size;

/* q begins at the panel's first query, of which there are 1 to `lanes`. */
typedef struct lm_attention_panel {
    lm_attention_size size;
    int queries;
    float scale;
    lm_rows_in q, k, v;
} lm_attention_panel;

/* Value and key width are equal. y, g and dq begin at the panel's first query; dk and dv
 * are of all keys. */
typedef struct lm_attention_grads {
    lm_rows_in y, g;
    lm_rows_out dq, dk, dv;
    bool add; /* to dk and dv, which are written otherwise */
} lm_attention_grads;

typedef struct lm_attention_ops {
    int lanes;
    /* Floats of scratch memory that attend and attend_grad need. */
    int64_t (*scratch)(lm_attention_size size);
    int64_t (*grad_scratch)(lm_attention_size size);
    /* y = softmax(scale q k') v. */
    void (*attend)(const lm_attention_panel *panel, lm_rows_out y, float *scratch);
    void (*attend_grad)(const lm_attention_panel *panel, const lm_attention_grads *grads,
                        float *scratch);
} lm_attention_ops;

LM_ISA_DECLARE(lm_attention_ops, lm_attention_ops);

#endif
