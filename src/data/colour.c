#include "data/colour.h"

#include "data/exact.h"

#include <math.h>

static float to_screen(float linear) {
    return linear <= 0 ? 0 : linear >= 1 ? 1 : sqrtf(linear);
}

lm_colour lm_colour_of(float lightness, float chroma, float hue) {
    float a = chroma * (float)lm_exact_cos(LM_TAU * hue);
    float b = chroma * (float)lm_exact_sin(LM_TAU * hue);
    float l = lightness + 0.3963378f * a + 0.2158038f * b;
    float m = lightness - 0.1055613f * a - 0.0638542f * b;
    float s = lightness - 0.0894842f * a - 1.2914855f * b;
    l = l * l * l, m = m * m * m, s = s * s * s;
    return (lm_colour){to_screen(4.0767417f * l - 3.3077116f * m + 0.2309699f * s),
                       to_screen(-1.2684380f * l + 2.6097574f * m - 0.3413194f * s),
                       to_screen(-0.0041961f * l - 0.7034186f * m + 1.7076147f * s)};
}

lm_colour lm_colour_mix(lm_colour from, lm_colour to, float share) {
    return (lm_colour){from.r + share * (to.r - from.r), from.g + share * (to.g - from.g),
                       from.b + share * (to.b - from.b)};
}

lm_colour lm_colour_ramp(const lm_colour *stops, int count, float t) {
    float place = t * (float)(count - 1);
    int below = place <= 0 ? 0 : (int)place;
    if (below > count - 2) below = count - 2;
    return lm_colour_mix(stops[below], stops[below + 1], place - (float)below);
}
