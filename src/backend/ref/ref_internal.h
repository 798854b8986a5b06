/* The reference backend: every dtype lives as f64, one obvious function a kind. */
#ifndef LIMN_BACKEND_REF_INTERNAL_H
#define LIMN_BACKEND_REF_INTERNAL_H

#include "backend/backend.h"

/* X(KIND, function): the kernels, each in the file named by its section. Leaves that
 * live in memory (param, input, const) and calls make no kernel here. */
#define LM_REF_KERNELS(X)                                                                \
    /* ref_ew.c */                                                                       \
    X(EW, ew)                                                                            \
    X(IOTA, iota)                                                                        \
    X(PHILOX, philox)                                                                    \
    /* ref_shape.c */                                                                    \
    X(BROADCAST, broadcast)                                                              \
    X(RESHAPE, copy)                                                                     \
    X(PERMUTE, permute)                                                                  \
    X(SLICE, slice)                                                                      \
    X(PAD, pad)                                                                          \
    X(CONCAT, concat)                                                                    \
    X(REVERSE, reverse)                                                                  \
    X(ALLREDUCE_SUM, copy)                                                               \
    X(ASSIGN, assign)                                                                    \
    /* ref_reduce.c */                                                                   \
    X(REDUCE_SUM, reduce_sum)                                                            \
    X(REDUCE_MAX, reduce_max)                                                            \
    X(ARGMAX, argmax)                                                                    \
    X(CUMSUM, cumsum)                                                                    \
    X(TOPK, topk)                                                                        \
    /* ref_index.c */                                                                    \
    X(GATHER, gather)                                                                    \
    X(SCATTER_ADD, scatter_add)                                                          \
    X(AXISMAP, axismap)                                                                  \
    /* ref_conv.c */                                                                     \
    X(CONV, conv)                                                                        \
    X(CONV_DGRAD, conv_dgrad)                                                            \
    X(CONV_WGRAD, conv_wgrad)                                                            \
    /* ref_pool.c */                                                                     \
    X(POOL_ARGMAX, pool_argmax)                                                          \
    X(POOL_GATHER, pool_gather)                                                          \
    X(POOL_SCATTER, pool_scatter)                                                        \
    /* ref_linalg.c */                                                                   \
    X(MATMUL, matmul)                                                                    \
    X(INV, inv)                                                                          \
    X(LOGABSDET, logabsdet)

typedef lm_status (*lm_ref_function)(const lm_node *node, const lm_kernel_args *args);
#define X(KIND, function)                                                                \
    lm_status lm_ref_##function(const lm_node *node, const lm_kernel_args *args);
LM_REF_KERNELS(X)
#undef X

/* Bytes of workspace that inv and logabsdet need for the factors of one matrix. */
size_t lm_ref_lu_bytes(const lm_node *node);

/* What an element of this dtype keeps of a number: integers truncate and saturate, NaN
 * becomes 0; floats keep all. */
double lm_ref_fit(lm_dtype dtype, double value);

/* True when `a` replaces the largest so far; NaN is above all, so that it survives. */
bool lm_ref_beats(double a, double best);

double lm_ref_dot(const double *a, const double *b, int64_t count);

/* A shape seen as [outer, size, inner], where `size` covers the axes first..last. */
typedef struct lm_ref_span {
    int64_t outer, size, inner;
} lm_ref_span;
lm_ref_span lm_ref_span_of(lm_shape shape, int first, int last);

#endif
