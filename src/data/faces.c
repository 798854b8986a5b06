/* builtin:faces: cartoon faces made of 29 independent numbers, all of which are known.
 *
 * A face is laid out as some sixty layers from back to front: ground, clothes, hair
 * behind the head, neck, ears, head, what is on it, hair over it, glasses. */
#include "data/faces.h"
#include "data/relabel.h"

#include <assert.h>

static const char *const hair_names[N_HAIR] = {
    [HAIR_NONE] = "no hair", [HAIR_CROP] = "crop",   [HAIR_PARTED] = "parted",
    [HAIR_SPIKY] = "spiky",  [HAIR_CURLY] = "curly", [HAIR_BUN] = "bun",
    [HAIR_BOB] = "bob",      [HAIR_LONG] = "long"};
static const char *const beard_names[N_BEARDS] = {[BEARD_NONE] = "no beard",
                                                  [BEARD_STUBBLE] = "stubble",
                                                  [BEARD_MOUSTACHE] = "moustache",
                                                  [BEARD_FULL] = "full beard"};
static const char *const glasses_names[N_GLASSES] = {[GLASSES_NONE] = "no glasses",
                                                     [GLASSES_ROUND] = "round glasses",
                                                     [GLASSES_SQUARE] = "square glasses",
                                                     [GLASSES_SUN] = "sunglasses"};

static const lm_factor factors[N_FACE_FACTORS] = {
    [FACE_BACKGROUND] = {.name = "background"},
    [FACE_BACKGROUND_LIGHT] = {.name = "background_light"},
    [FACE_CLOTHES] = {.name = "clothes"},
    [FACE_SKIN] = {.name = "skin"},
    [FACE_WIDTH] = {.name = "head_width"},
    [FACE_LENGTH] = {.name = "head_length"},
    [FACE_JAW] = {.name = "jaw"},
    [FACE_TILT] = {.name = "tilt"},
    [FACE_TURN] = {.name = "turn"},
    [FACE_HAIR] = {.name = "hair", .kind = {N_HAIR, hair_names}, .plain = 0.06f},
    [FACE_HAIR_COLOUR] = {.name = "hair_colour"},
    [FACE_HAIR_VOLUME] = {.name = "hair_volume"},
    [FACE_EYE_SIZE] = {.name = "eye_size"},
    [FACE_EYE_SPACING] = {.name = "eye_spacing"},
    [FACE_EYE_COLOUR] = {.name = "eye_colour"},
    [FACE_EYES_OPEN] = {.name = "eyes_open"},
    [FACE_GAZE_X] = {.name = "gaze_x"},
    [FACE_GAZE_Y] = {.name = "gaze_y"},
    [FACE_BROW_HEIGHT] = {.name = "brow_height"},
    [FACE_BROW_TILT] = {.name = "brow_tilt"},
    [FACE_BROW_WEIGHT] = {.name = "brow_weight"},
    [FACE_NOSE_LENGTH] = {.name = "nose_length"},
    [FACE_NOSE_WIDTH] = {.name = "nose_width"},
    [FACE_SMILE] = {.name = "smile"},
    [FACE_MOUTH_OPEN] = {.name = "mouth_open"},
    [FACE_MOUTH_WIDTH] = {.name = "mouth_width"},
    [FACE_BLUSH] = {.name = "blush"},
    [FACE_BEARD] = {.name = "beard", .kind = {N_BEARDS, beard_names}, .plain = 0.7f},
    [FACE_GLASSES] = {.name = "glasses",
                      .kind = {N_GLASSES, glasses_names},
                      .plain = 0.6f},
};

/* ---- laying out -------------------------------------------------------------- */

static const lm_point neck_joint = {0, 0.55f};

float lm_face_between(const lm_face *face, int factor, float from, float to) {
    return from + (to - from) * face->factors[factor];
}

static lm_layer *add_upright(lm_face *face, lm_form form, lm_paint paint) {
    assert(face->n_layers < FACE_MOST_LAYERS);
    lm_layer *layer = &face->layers[face->n_layers++];
    *layer = (lm_layer){.form = form, .paint = paint, .opacity = 1};
    return layer;
}

lm_layer *lm_face_add(lm_face *face, lm_form form, lm_paint paint) {
    return add_upright(face, lm_form_turn(form, neck_joint, face->cos, face->sin), paint);
}

const lm_form *lm_face_cut(lm_face *face, lm_form form) {
    assert(face->n_cuts < FACE_MOST_CUTS);
    lm_form *kept = &face->cuts[face->n_cuts++];
    *kept = lm_form_turn(form, neck_joint, face->cos, face->sin);
    return kept;
}

/* Not quite a turn, so that the ends of the factor look different. */
static float hue_of(const lm_face *face, int factor) {
    return 0.85f * face->factors[factor];
}

static void choose_colours(lm_face *face) {
    static const lm_colour skins[] = {{0.36f, 0.22f, 0.16f}, {0.50f, 0.32f, 0.22f},
                                      {0.65f, 0.44f, 0.31f}, {0.79f, 0.57f, 0.42f},
                                      {0.90f, 0.70f, 0.55f}, {0.97f, 0.81f, 0.69f},
                                      {0.99f, 0.88f, 0.80f}};
    static const lm_colour hairs[] = {{0.11f, 0.09f, 0.11f}, {0.22f, 0.14f, 0.11f},
                                      {0.38f, 0.23f, 0.14f}, {0.57f, 0.27f, 0.13f},
                                      {0.78f, 0.44f, 0.18f}, {0.91f, 0.73f, 0.40f},
                                      {0.96f, 0.90f, 0.74f}, {0.74f, 0.74f, 0.77f}};
    face->skin =
        lm_colour_ramp(skins, sizeof skins / sizeof *skins, face->factors[FACE_SKIN]);
    face->shade = lm_colour_mix(face->skin, (lm_colour){0.45f, 0.13f, 0.12f}, 0.32f);
    face->hair = lm_colour_ramp(hairs, sizeof hairs / sizeof *hairs,
                                face->factors[FACE_HAIR_COLOUR]);
    face->hair_shade = lm_colour_mix(face->hair, (lm_colour){0.08f, 0.03f, 0.06f}, 0.35f);
}

static void choose_kinds(lm_face *face) {
    face->hair_kind = lm_attribute_part(face->factors[FACE_HAIR], N_HAIR);
    face->beard_kind = lm_attribute_part(face->factors[FACE_BEARD], N_BEARDS);
    face->glasses_kind = lm_attribute_part(face->factors[FACE_GLASSES], N_GLASSES);
}

static void choose_head(lm_face *face) {
    float tilt = lm_face_between(face, FACE_TILT, -0.15f, 0.15f);
    face->cos = (float)lm_exact_cos(tilt);
    face->sin = (float)lm_exact_sin(tilt);
    face->y = -0.04f;
    face->width = lm_face_between(face, FACE_WIDTH, 0.4f, 0.5f);
    face->length = lm_face_between(face, FACE_LENGTH, 0.52f, 0.61f);
    face->turn = lm_face_between(face, FACE_TURN, -0.1f, 0.1f);
    face->taper = lm_face_between(face, FACE_JAW, 0.2f, 0);
    face->head = lm_form_egg(0, face->y, face->width, face->length, face->taper);
}

/* ---- ground, body, head ------------------------------------------------------ */

static void add_ground(lm_face *face) {
    float hue = hue_of(face, FACE_BACKGROUND);
    float light = lm_face_between(face, FACE_BACKGROUND_LIGHT, 0.5f, 0.9f);
    add_upright(face, (lm_form){0},
                lm_paint_between(
                    lm_colour_of(light + 0.04f, 0.06f, hue), (lm_point){0, -1},
                    lm_colour_of(light - 0.08f, 0.085f, hue + 0.05f), (lm_point){0, 1}));
    lm_layer *glow = add_upright(face, lm_form_ellipse(0, -0.1f, 0.55f, 0.6f),
                                 lm_paint_plain(lm_colour_of(light + 0.1f, 0.04f, hue)));
    glow->blur = 0.9f;
    glow->opacity = 0.7f;
}

static lm_form clothes_form(void) {
    return lm_form_box(0, 1.25f, 0.78f, 0.6f, 0.4f);
}

static void add_clothes(lm_face *face) {
    float hue = hue_of(face, FACE_CLOTHES);
    lm_colour upper = lm_colour_of(0.62f, 0.11f, hue),
              lower = lm_colour_of(0.45f, 0.1f, hue);
    add_upright(face, clothes_form(),
                lm_paint_between(upper, (lm_point){0, 0.65f}, lower, (lm_point){0, 1}));
}

/* The neck in its collar, under the chin's shadow. */
static void add_neck(lm_face *face) {
    float half = 0.17f + 0.2f * (face->width - 0.4f);
    lm_form chin = face->head;
    chin.y += 0.07f;
    face->clothes = clothes_form();
    face->neck = lm_form_box(0, 0.47f, half, 0.33f, 0.15f);
    add_upright(face, lm_form_box(0, 0.5f, half + 0.05f, 0.34f, 0.18f),
                lm_paint_plain(lm_colour_of(0.38f, 0.1f, hue_of(face, FACE_CLOTHES))))
        ->within = &face->clothes;
    add_upright(face, face->neck,
                lm_paint_plain(lm_colour_mix(face->skin, face->shade, 0.35f)));
    lm_layer *shadow = lm_face_add(face, chin, lm_paint_plain(face->shade));
    shadow->within = &face->neck;
    shadow->blur = 0.08f;
    shadow->opacity = 0.7f;
}

static void add_ears(lm_face *face, lm_paint skin) {
    for (int side = -1; side <= 1; side += 2) {
        float x = (float)side * face->width * 0.99f - 0.5f * face->turn;
        float y = face->y + 0.06f, inner = x + 0.012f * (float)side;
        lm_face_add(face, lm_form_ellipse(x, y, 0.075f, 0.11f), skin);
        lm_face_add(face, lm_form_ellipse(inner, y, 0.036f, 0.065f),
                    lm_paint_plain(lm_colour_mix(face->skin, face->shade, 0.6f)));
    }
}

static void add_head(lm_face *face) {
    lm_colour lit = lm_colour_mix(face->skin, (lm_colour){1, 0.97f, 0.92f}, 0.1f);
    lm_colour dim = lm_colour_mix(face->skin, face->shade, 0.3f);
    lm_paint skin =
        lm_paint_between(lit, (lm_point){-0.1f, -0.5f}, dim, (lm_point){0.15f, 0.6f});
    if (!lm_face_hides_ears(face)) add_ears(face, skin);
    lm_face_add(face, face->head, skin);
}

static void draw(lm_sketch *sketch, uint8_t *pixels) {
    lm_face face = {.factors = sketch->factors};
    choose_kinds(&face);
    choose_colours(&face);
    choose_head(&face);
    add_ground(&face);
    add_clothes(&face);
    lm_face_add_hair_behind(&face);
    add_neck(&face);
    add_head(&face);
    lm_face_add_lower(&face);
    lm_face_add_eyes(&face);
    lm_face_add_hair(&face);
    lm_face_add_glasses(&face);
    lm_draw_layers(face.layers, face.n_layers, (lm_window){0, -0.06f, 0.9f}, sketch->side,
                   pixels);
}

const lm_builtin lm_faces = {.name = "builtin:faces",
                             .what = "cartoon faces from known numbers",
                             .recipe = 1,
                             .smallest = 16,
                             .usual = 64,
                             .largest = LM_MAX_SIDE,
                             .channels = 3,
                             .n_factors = N_FACE_FACTORS,
                             .factors = factors,
                             .step = 3,
                             .draw = draw};
