#include "train/walk.h"

#include <math.h>

/* Below this sine the arc's weights lose their digits. */
#define LEAST_SINE 1e-6

static double dot(const float *a, const float *b, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* The angle between a and b; 0 where the arc is not to be had. */
static double find_angle(const float *a, const float *b, int64_t size) {
    double lengths = sqrt(dot(a, a, size) * dot(b, b, size));
    if (!(lengths > 0)) return 0;
    double angle = acos(fmax(-1, fmin(1, dot(a, b, size) / lengths)));
    return sin(angle) < LEAST_SINE ? 0 : angle;
}

void lm_walk(lm_walk_kind kind, const float *a, const float *b, int64_t size, int frames,
             float *states) {
    double angle = kind == LM_WALK_SLERP ? find_angle(a, b, size) : 0;
    for (int f = 0; f < frames; f++, states += size) {
        double t = (double)f / (frames - 1), of_a = 1 - t, of_b = t;
        if (angle > 0) {
            of_a = sin((1 - t) * angle) / sin(angle);
            of_b = sin(t * angle) / sin(angle);
        }
        for (int64_t i = 0; i < size; i++) states[i] = (float)(of_a * a[i] + of_b * b[i]);
    }
}
