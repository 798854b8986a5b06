/* Printing of profiles, for training and for benchmarks. */
#ifndef LIMN_CLI_PROFILE_H
#define LIMN_CLI_PROFILE_H

#include "exec/exec.h"

#include <jansson.h>

/* One line, "kernels    onednn 85.4 %, fused 6.8 %, own 7.8 %". */
void cli_print_shares(const lm_profile *profile);

/* Measures the machine's peak first, in a fifth of a second; then tables by kind and by
 * layer whose shares add up to the steps' time. */
lm_status cli_print_profile(const lm_profile *profile);

/* The same as JSON; *json is a new reference. Times are seconds a step. */
lm_status cli_profile_json(const lm_profile *profile, json_t **json);

/* The `top` slowest kernels of programs, a line each; NULL: no program. */
lm_status cli_print_slowest(lm_program *const *programs, int count, int top);

#endif
