#include "data/exact.h"

#include <math.h>

/* Taylor polynomials for |x| <= pi/4, where the first term left out is below 1e-18. */
static double sin_near_zero(double x) {
    double z = x * x, sum = 1.0 / 355687428096000;
    sum = sum * z - 1.0 / 1307674368000;
    sum = sum * z + 1.0 / 6227020800;
    sum = sum * z - 1.0 / 39916800;
    sum = sum * z + 1.0 / 362880;
    sum = sum * z - 1.0 / 5040;
    sum = sum * z + 1.0 / 120;
    sum = sum * z - 1.0 / 6;
    return x + x * z * sum;
}

static double cos_near_zero(double x) {
    double z = x * x, sum = 1.0 / 20922789888000;
    sum = sum * z - 1.0 / 87178291200;
    sum = sum * z + 1.0 / 479001600;
    sum = sum * z - 1.0 / 3628800;
    sum = sum * z + 1.0 / 40320;
    sum = sum * z - 1.0 / 720;
    sum = sum * z + 1.0 / 24;
    sum = sum * z - 1.0 / 2;
    return 1 + z * sum;
}

/* Takes off quarter turns, whose number comes back; pi/2 in two parts (Cody and Waite
 * 1980), the first short enough for exact products. */
static int take_quarters(double *angle) {
    double turns = *angle / (LM_TAU / 4);
    int quarters = (int)(turns < 0 ? turns - 0.5 : turns + 0.5);
    *angle = *angle - quarters * 0x1.921fb54p+0;
    *angle = *angle - quarters * 0x1.10b4611a62633p-30;
    return quarters;
}

static double wave(double angle, int shift) {
    int quarters = take_quarters(&angle) + shift;
    double value = quarters & 1 ? cos_near_zero(angle) : sin_near_zero(angle);
    return quarters & 2 ? -value : value;
}

double lm_exact_sin(double angle) {
    return wave(angle, 0);
}

double lm_exact_cos(double angle) {
    return wave(angle, 1);
}

/* log(m 2^e) = e log 2 + 2 artanh((m - 1) / (m + 1)), with m near 1. */
double lm_exact_log(double x) {
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.7071067811865476) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int k = 23; k > 1; k -= 2) sum = (sum + 1.0 / k) * z;
    return exponent * 0.6931471805599453 + 2 * s * (1 + sum);
}

float lm_exact_uniform(lm_rng *rng, float lo, float hi) {
    return lo + (hi - lo) * (float)lm_rng_uniform(rng);
}

float lm_exact_normal(lm_rng *rng) {
    double radius = sqrt(-2 * lm_exact_log(1 - lm_rng_uniform(rng)));
    return (float)(radius * lm_exact_cos(LM_TAU * lm_rng_uniform(rng)));
}
