/* builtin:digits-m: the digits of builtin:digits, index by index, over coloured textures,
 * of which they take the absolute difference, as MNIST-M does with photographs (Ganin and
 * Lempitsky 2015). Who knows only the plain digits has a hard time with them. */
#include "data/builtin.h"
#include "data/colour.h"
#include "data/noise.h"

/* One way to fill the page: two colours and a field from 0 to 1 that mixes them. */
typedef struct texture texture;
struct texture {
    /* At n places of the page, which is the square from (0, 0) to (1, 1). */
    void (*field)(const texture *texture, int n, const float *x, const float *y,
                  float *field);
    lm_colour from, to;
    uint32_t seed;
    float scale, cos, sin, at; /* cells or stripes over the page, their turn and shift */
    float sharpness;
};

static float clip(float x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* ---- fields ------------------------------------------------------------------ */

static void make_noise(uint32_t seed, float scale, int n, const float *x, const float *y,
                       float *noise) {
    float u[LM_MAX_DIGIT] = {0}, v[LM_MAX_DIGIT] = {0};
    for (int i = 0; i < n; i++) u[i] = x[i] * scale, v[i] = y[i] * scale;
    lm_noise_row(seed, n, u, v, noise);
}

static void cloudy(const texture *t, int n, const float *x, const float *y,
                   float *field) {
    float coarse[LM_MAX_DIGIT], middle[LM_MAX_DIGIT], fine[LM_MAX_DIGIT];
    make_noise(t->seed, t->scale, n, x, y, coarse);
    make_noise(t->seed + 1, 2 * t->scale, n, x, y, middle);
    make_noise(t->seed + 2, 4 * t->scale, n, x, y, fine);
    for (int i = 0; i < n; i++) {
        float sum = (4 * coarse[i] + 2 * middle[i] + fine[i]) / 7;
        field[i] = clip(1.6f * sum - 0.3f);
    }
}

static void spotted(const texture *t, int n, const float *x, const float *y,
                    float *field) {
    make_noise(t->seed, t->scale, n, x, y, field);
    for (int i = 0; i < n; i++) field[i] = clip(0.5f + t->sharpness * (field[i] - 0.5f));
}

/* Across the direction, bent a little; 0 to 1 and back within a stripe. */
static void striped(const texture *t, int n, const float *x, const float *y,
                    float *field) {
    make_noise(t->seed, 2, n, x, y, field);
    for (int i = 0; i < n; i++) {
        float along = t->cos * x[i] + t->sin * y[i] + 0.12f * field[i];
        float place = t->scale * along + t->at + 16; /* positive */
        float part = place - (float)(int)place;
        float height = part < 0.5f ? 2 * part : 2 - 2 * part;
        field[i] = clip(0.5f + t->sharpness * (height - 0.5f));
    }
}

static void graded(const texture *t, int n, const float *x, const float *y,
                   float *field) {
    make_noise(t->seed, 3, n, x, y, field);
    for (int i = 0; i < n; i++)
        field[i] = clip(0.5f + t->cos * (x[i] - 0.5f) + t->sin * (y[i] - 0.5f) +
                        0.3f * (field[i] - 0.5f));
}

/* ---- the page ---------------------------------------------------------------- */

/* Most photographs are darker than half way. */
static lm_colour any_colour(lm_rng *rng) {
    float r = lm_exact_uniform(rng, 0, 1), g = lm_exact_uniform(rng, 0, 1);
    float b = lm_exact_uniform(rng, 0, 1), light = lm_exact_uniform(rng, 0.55f, 1);
    return (lm_colour){light * r, light * g, light * b};
}

static texture any_texture(lm_rng *rng) {
    static const struct {
        void (*field)(const texture *t, int n, const float *x, const float *y,
                      float *field);
        float least, most; /* scale */
    } kinds[] = {{cloudy, 2, 7}, {spotted, 3, 9}, {striped, 2, 8}, {graded, 1, 1}};
    uint32_t kind = lm_rng_below(rng, sizeof kinds / sizeof *kinds);
    texture made = {.field = kinds[kind].field};
    made.seed = lm_rng_below(rng, UINT32_MAX);
    made.from = any_colour(rng);
    lm_colour other = any_colour(rng);
    made.to = lm_colour_mix(made.from, other, lm_exact_uniform(rng, 0.15f, 0.9f));
    made.scale = lm_exact_uniform(rng, kinds[kind].least, kinds[kind].most);
    float turn = lm_exact_uniform(rng, 0, 1);
    made.cos = (float)lm_exact_cos(LM_TAU * turn);
    made.sin = (float)lm_exact_sin(LM_TAU * turn);
    made.at = lm_exact_uniform(rng, 0, 1);
    made.sharpness = lm_exact_uniform(rng, 1, 5);
    return made;
}

/* A texture upon a texture where a mask says so, and grain. */
typedef struct page {
    texture below, above, mask;
    float grain;
} page;

static page make_page(lm_rng *rng) {
    page made = {.below = any_texture(rng)};
    made.above = any_texture(rng);
    made.mask = any_texture(rng);
    made.mask.field = spotted;
    made.grain = lm_exact_uniform(rng, 0, 0.1f);
    return made;
}

static uint8_t difference(float ground, float ink) {
    float d = clip(ground) - ink;
    return (uint8_t)(int)(255 * (d < 0 ? -d : d) + 0.5f);
}

static void draw_row(const page *p, int row, int side, const uint8_t *digit,
                     uint8_t *pixels) {
    float x[LM_MAX_DIGIT], y[LM_MAX_DIGIT];
    float below[LM_MAX_DIGIT], above[LM_MAX_DIGIT], mask[LM_MAX_DIGIT];
    for (int i = 0; i < side; i++) {
        x[i] = ((float)i + 0.5f) / (float)side;
        y[i] = ((float)row + 0.5f) / (float)side;
    }
    p->below.field(&p->below, side, x, y, below);
    p->above.field(&p->above, side, x, y, above);
    p->mask.field(&p->mask, side, x, y, mask);
    for (int i = 0; i < side; i++) {
        lm_colour under = lm_colour_mix(p->below.from, p->below.to, below[i]);
        lm_colour over = lm_colour_mix(p->above.from, p->above.to, above[i]);
        lm_colour c = lm_colour_mix(under, over, mask[i]);
        float rough = p->grain * (lm_noise_at(p->mask.seed, i, row) - 0.5f);
        float ink = (float)digit[i] / 255;
        *pixels++ = difference(c.r + rough, ink);
        *pixels++ = difference(c.g + rough, ink);
        *pixels++ = difference(c.b + rough, ink);
    }
}

static void draw(lm_sketch *sketch, uint8_t *pixels) {
    int side = sketch->side;
    uint8_t digit[LM_MAX_DIGIT * LM_MAX_DIGIT];
    lm_draw_digit(&sketch->rng, sketch->label, side, digit);
    lm_rng rng = {.stream = sketch->rng.stream, .sample = sketch->rng.sample, .step = 1};
    page ground = make_page(&rng);
    for (int row = 0; row < side; row++)
        draw_row(&ground, row, side, digit + row * side, pixels + 3 * row * side);
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
