/* Distribution functions that p-values need. */
#ifndef LIMN_METRICS_SPECIAL_H
#define LIMN_METRICS_SPECIAL_H

/* P(X <= z) of the standard normal distribution, to full relative accuracy in both tails.
 */
double lm_normal_below(double z);

/* Q(a, x), the regularised upper incomplete gamma function; a > 0, x >= 0. Relative
 * accuracy 1e-11 for a up to 10^3, 1e-9 up to 10^5. NaN outside. */
double lm_gamma_above(double a, double x);

/* P(X >= x) of the chi-square distribution. */
double lm_chi_square_above(double x, double freedom);

#endif
