#include "metrics/special.h"

#include <float.h>
#include <math.h>

/* Enough for a = 10^5: both need some multiple of sqrt(a) near x = a. */
enum { MOST_TERMS = 20000 };

double lm_normal_below(double z) {
    return 0.5 * erfc(-z * 0.70710678118654752);
}

/* x^a e^-x / Gamma(a). */
static double front(double a, double x) {
    int sign;
    return exp(a * log(x) - x - lgamma_r(a, &sign));
}

/* P(a, x) by its power series (Abramowitz and Stegun 6.5.29). */
static double below_by_series(double a, double x) {
    double term = 1 / a, sum = term;
    for (int n = 1; n < MOST_TERMS && term > sum * DBL_EPSILON / 4; n++) {
        term *= x / (a + n);
        sum += term;
    }
    return sum * front(a, x);
}

/* Q(a, x) by its continued fraction (6.5.31, its even part), from the front by the method
 * of Lentz as Thompson and Barnett have it. */
static double above_by_fraction(double a, double x) {
    const double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, value = d;
    for (int n = 1; n < MOST_TERMS; n++) {
        double over = -n * (n - a);
        b += 2;
        d = over * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + over / c;
        c = fabs(c) < tiny ? tiny : c;
        double factor = c * d;
        value *= factor;
        if (fabs(factor - 1) < DBL_EPSILON) break;
    }
    return value * front(a, x);
}

double lm_gamma_above(double a, double x) {
    if (!(a > 0) || !(x >= 0)) return NAN;
    if (x == 0) return 1;
    if (isinf(x)) return 0;
    return x < a + 1 ? 1 - below_by_series(a, x) : above_by_fraction(a, x);
}

double lm_chi_square_above(double x, double freedom) {
    return lm_gamma_above(freedom / 2, x / 2);
}
