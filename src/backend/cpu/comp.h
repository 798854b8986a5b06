/* Fused kernels of composites. graph/composites.def says what each computes; its body in
 * plain kinds is what the tests compare with. Work is cut by shape alone, never by the
 * number of threads, so that results are the same bits for any number. */
#ifndef LIMN_BACKEND_CPU_COMP_H
#define LIMN_BACKEND_CPU_COMP_H

#include "backend/cpu/comp_ops.h"

/* comp_norm.c */
lm_cpu_lower_fn lm_comp_lower_group_stats, lm_comp_lower_norm_act,
    lm_comp_lower_norm_sums, lm_comp_lower_norm_grad, lm_comp_lower_norm_dstats,
    lm_comp_lower_norm_chain, lm_comp_lower_joined_stats; /* chains (step.h) */
/* conv_winograd.c: only by Winograd's algorithm, so only where that is chosen. */
lm_cpu_lower_fn lm_comp_lower_conv_block, lm_comp_lower_conv_block_wgrad;
bool lm_comp_fits_conv_block(lm_backend *backend, const lm_node *call);
/* comp_softmax.c */
lm_cpu_lower_fn lm_comp_lower_softmax, lm_comp_lower_softmax_grad,
    lm_comp_lower_logsumexp, lm_comp_lower_xent, lm_comp_lower_xent_grad;
/* comp_attention.c */
lm_cpu_lower_fn lm_comp_lower_attention, lm_comp_lower_attention_grad;

#endif
