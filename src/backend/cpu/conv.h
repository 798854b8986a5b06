/* Convolutions: the problem, and the candidates that can compute it. Every candidate
 * takes NHWC activations and OHWI weights and computes the same up to rounding. */
#ifndef LIMN_BACKEND_CPU_CONV_H
#define LIMN_BACKEND_CPU_CONV_H

#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/dnnl_shim.h"

typedef struct lm_conv_candidate {
    const char *name; /* what engine.conv calls it */
    bool winograd;    /* not with engine.winograd=off */
    /* Whether it can compute this problem. */
    bool (*fits)(const lm_dnnl_conv *conv);
    /* Whether it is the default where it fits, unless one before it in the table is:
     * a rule from measurements (bench/notes.md). NULL: always. */
    bool (*leads)(const lm_dnnl_conv *conv);
    /* Makes the kernel of a problem that fits. */
    lm_status (*lower)(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel);
} lm_conv_candidate;

extern const lm_conv_candidate lm_conv_winograd;                /* conv_winograd.c */
extern const lm_conv_candidate lm_conv_onednn, lm_conv_flipped; /* conv_onednn.c */
extern const lm_conv_candidate lm_conv_narrow;                  /* conv_narrow.c */
extern const lm_conv_candidate lm_conv_direct;                  /* conv_direct.c */
extern const lm_conv_candidate lm_conv_phases;                  /* conv_phases.c */

/* ---- the choice (conv.c) ----------------------------------------------------- */

typedef struct lm_conv_choice {
    const lm_conv_candidate *wanted; /* wherever it fits; NULL: by rule */
    bool no_winograd;
    struct lm_tuner *tuner; /* NULL: nothing is measured */
} lm_conv_choice;

/* Replaces what was decided before; zeroed is the default. */
lm_status lm_conv_choice_init(lm_conv_choice *choice, const lm_backend_options *options);
void lm_conv_choice_release(lm_conv_choice *choice);
/* This backend's. */
lm_conv_choice *lm_cpu_conv_choice(lm_backend *backend);

/* Whether, without measuring, this candidate is the one for the problem. */
bool lm_conv_takes(const lm_conv_choice *choice, const lm_conv_candidate *candidate,
                   const lm_dnnl_conv *conv);

/* NULL when there is none of that name. */
const lm_conv_candidate *lm_conv_find(const char *name);

/* The problem of a conv, conv_dgrad or conv_wgrad. */
lm_dnnl_conv lm_conv_describe(const lm_node *node);

/* Multiplications and additions of the direct algorithm, padding included. */
double lm_conv_flops(const lm_dnnl_conv *conv);

#endif
