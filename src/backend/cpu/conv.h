/* Convolutions: the problem, and the candidates that can compute it. Every candidate
 * takes NHWC activations and OHWI weights and computes the same up to rounding. */
#ifndef LIMN_BACKEND_CPU_CONV_H
#define LIMN_BACKEND_CPU_CONV_H

#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/dnnl_shim.h"

typedef struct lm_conv_candidate {
    const char *name; /* what engine.conv calls it */
    /* Whether it can compute this problem. */
    bool (*fits)(const lm_dnnl_conv *conv);
    /* Whether it is the default where it fits, unless one before it in the table is:
     * a rule from measurements (bench/notes.md). NULL: always. */
    bool (*leads)(const lm_dnnl_conv *conv);
    /* Makes the kernel of a problem that fits. */
    lm_status (*lower)(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel);
} lm_conv_candidate;

extern const lm_conv_candidate lm_conv_onednn, lm_conv_flipped; /* conv_onednn.c */

/* Multiplications and additions of the direct algorithm, padding included. */
double lm_conv_flops(const lm_dnnl_conv *conv);

#endif
