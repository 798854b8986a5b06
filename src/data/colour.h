/* Colours as screens have them, 0 to 1. */
#ifndef LIMN_DATA_COLOUR_H
#define LIMN_DATA_COLOUR_H

typedef struct lm_colour {
    float r, g, b;
} lm_colour;

/* By lightness 0 to 1, chroma 0 to about 0.3 and hue 0 to 1 (a turn, from pink by yellow,
 * green and blue), such that equal steps look equal: OKLab (Ottosson 2020), with the
 * screen's gamma taken as 2. What a screen cannot show is clipped. */
lm_colour lm_colour_of(float lightness, float chroma, float hue);

lm_colour lm_colour_mix(lm_colour from, lm_colour to, float share);

/* The colour at t in [0, 1] of a row of `count` stops with equal steps between. */
lm_colour lm_colour_ramp(const lm_colour *stops, int count, float t);

#endif
