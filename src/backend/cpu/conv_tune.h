/* Measured choices among convolutions, kept in a file for the next start. */
#ifndef LIMN_BACKEND_CPU_CONV_TUNE_H
#define LIMN_BACKEND_CPU_CONV_TUNE_H

#include "backend/cpu/conv.h"

typedef struct lm_tuner lm_tuner;

/* Reads the winners that were found on this processor, with this instruction set, number
 * of threads, oneDNN and program: each such key has its own file. A file that is not as
 * it was written is ignored with a note. folder NULL: limn/ under $XDG_CACHE_HOME, else
 * under ~/.cache. */
lm_status lm_tuner_new(const char *folder, lm_tuner **tuner);
void lm_tuner_free(lm_tuner *tuner);

/* The fastest of `n` candidates for the problem: the remembered one, or they are measured
 * and the winner is written to the file. That it cannot be written is only a note. */
lm_status lm_tuner_choose(lm_tuner *tuner, lm_backend *backend, const lm_step *step,
                          const lm_dnnl_conv *conv,
                          const lm_conv_candidate *const *candidates, int n,
                          const lm_conv_candidate **fastest);

#endif
