/* builtin:digits-m: the digits of builtin:digits, index by index, over coloured textures,
 * of which they take the absolute difference, as MNIST-M does with photographs (Ganin and
 * Lempitsky 2015). Who knows only the plain digits has a hard time with them. */
#include "data/builtin.h"
#include "data/colour.h"
#include "data/noise.h"

/* One way to fill the page: two colours and a field from 0 to 1 that mixes them. */
typedef struct texture {
    float (*field)(const struct texture *texture, float x, float y);
    lm_colour from, to;
    uint32_t seed;
    float scale, cos, sin, at; /* cells or stripes over the page, their turn and shift */
    float sharpness;
} texture;

static float clip(float x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* ---- fields; x and y from 0 to 1 ------------------------------------------------ */

static float cloudy(const texture *t, float x, float y) {
    return clip(1.6f * lm_noise_sum(t->seed, x * t->scale, y * t->scale, 3) - 0.3f);
}

static float spotted(const texture *t, float x, float y) {
    float height = lm_noise(t->seed, x * t->scale + t->at, y * t->scale);
    return clip(0.5f + t->sharpness * (height - 0.5f));
}

/* Across the direction, bent a little; 0 to 1 and back within a stripe. */
static float striped(const texture *t, float x, float y) {
    float bend = 0.12f * lm_noise(t->seed, 2 * x, 2 * y);
    float place = t->scale * (t->cos * x + t->sin * y + bend) + t->at + 16;
    float part = place - (float)(int)place;
    return clip(0.5f + t->sharpness * ((part < 0.5f ? 2 * part : 2 - 2 * part) - 0.5f));
}

static float graded(const texture *t, float x, float y) {
    return clip(0.5f + t->cos * (x - 0.5f) + t->sin * (y - 0.5f) +
                0.3f * (lm_noise(t->seed, 3 * x, 3 * y) - 0.5f));
}

/* ---- the page ------------------------------------------------------------------ */

static lm_colour any_colour(lm_rng *rng) {
    float r = lm_exact_uniform(rng, 0, 1), g = lm_exact_uniform(rng, 0, 1);
    return (lm_colour){r, g, lm_exact_uniform(rng, 0, 1)};
}

static texture any_texture(lm_rng *rng) {
    static const struct {
        float (*field)(const texture *t, float x, float y);
        float least, most; /* scale */
    } kinds[] = {{cloudy, 2, 7}, {spotted, 3, 9}, {striped, 2, 8}, {graded, 1, 1}};
    uint32_t kind = lm_rng_below(rng, sizeof kinds / sizeof *kinds);
    texture made = {.field = kinds[kind].field};
    made.seed = lm_rng_below(rng, UINT32_MAX);
    made.from = any_colour(rng);
    made.to = any_colour(rng);
    made.scale = lm_exact_uniform(rng, kinds[kind].least, kinds[kind].most);
    float turn = lm_exact_uniform(rng, 0, 1);
    made.cos = (float)lm_exact_cos(LM_TAU * turn);
    made.sin = (float)lm_exact_sin(LM_TAU * turn);
    made.at = lm_exact_uniform(rng, 0, 1);
    made.sharpness = lm_exact_uniform(rng, 1, 5);
    return made;
}

static lm_colour colour_at(const texture *t, float x, float y) {
    return lm_colour_mix(t->from, t->to, t->field(t, x, y));
}

static uint8_t difference(float ground, float ink) {
    float d = clip(ground) - ink;
    return (uint8_t)(255 * (d < 0 ? -d : d) + 0.5f);
}

static void draw(lm_sketch *sketch, uint8_t *pixels) {
    int side = sketch->side;
    uint8_t digit[LM_MAX_DIGIT * LM_MAX_DIGIT];
    lm_draw_digit(&sketch->rng, sketch->label, side, digit);
    lm_rng rng = {.stream = sketch->rng.stream, .sample = sketch->rng.sample, .step = 1};
    /* A texture upon a texture where a mask of spots says so, and grain. */
    texture below = any_texture(&rng), above = any_texture(&rng),
            mask = any_texture(&rng);
    float grain = lm_exact_uniform(&rng, 0, 0.16f);
    mask.field = spotted;
    for (int i = 0; i < side * side; i++) {
        float x = ((float)(i % side) + 0.5f) / (float)side;
        float y = ((float)(i / side) + 0.5f) / (float)side;
        lm_colour c = lm_colour_mix(colour_at(&below, x, y), colour_at(&above, x, y),
                                    mask.field(&mask, x, y));
        float rough = grain * (lm_noise_at(mask.seed, i % side, i / side) - 0.5f);
        float ink = (float)digit[i] / 255;
        *pixels++ = difference(c.r + rough, ink);
        *pixels++ = difference(c.g + rough, ink);
        *pixels++ = difference(c.b + rough, ink);
    }
}

/* Label and digit come from the same numbers as those of builtin:digits: step 0. */
const lm_builtin lm_digits_m = {.name = "builtin:digits-m",
                                .what = "the same digits over coloured textures",
                                .recipe = 1,
                                .smallest = 32,
                                .usual = 32,
                                .largest = LM_MAX_DIGIT,
                                .channels = 3,
                                .classes = 10,
                                .class_names = lm_digit_names,
                                .draw = draw};
