/* Elementary functions that give the same bits on every machine: nothing but + - * and /,
 * which IEEE 754 defines to the last bit, whereas mathematical libraries differ in it.
 * The room is compiled with -ffp-contract=off for the same reason. Errors are below 1e-15
 * of the result's scale. */
#ifndef LIMN_DATA_EXACT_H
#define LIMN_DATA_EXACT_H

#include "tensor/philox.h"

#define LM_TAU 6.283185307179586

double lm_exact_sin(double angle); /* radians, magnitude at most 1e6 */
double lm_exact_cos(double angle);
double lm_exact_log(double x); /* x normal and above 0 */

/* Draws made of them. */
float lm_exact_uniform(lm_rng *rng, float lo, float hi); /* [lo, hi) */
float lm_exact_normal(lm_rng *rng);                      /* as lm_rng_normal, two draws */

#endif
