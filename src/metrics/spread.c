#include "metrics/spread.h"

#include <math.h>

lm_spread lm_spread_of(const double *values, int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return (lm_spread){mean, sqrt(squares / (double)n)};
}
