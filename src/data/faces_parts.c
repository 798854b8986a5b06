/* What is on a face. */
#include "data/faces.h"

static const lm_colour white = {0.98f, 0.98f, 0.97f}, dark = {0.1f, 0.06f, 0.07f};

/* Where a feature lies that stands out of the head by `depth` (1: as eyes and mouth do).
 */
static float shifted(const lm_face *face, float x, float depth) {
    return x + face->turn * depth;
}

/* ---- cheeks, beard, nose ----------------------------------------------------- */

static void add_blush(lm_face *face) {
    lm_colour red = lm_colour_mix(face->skin, (lm_colour){0.93f, 0.3f, 0.3f}, 0.6f);
    const lm_form *head = lm_face_cut(face, face->head);
    for (int side = -1; side <= 1; side += 2) {
        lm_form cheek =
            lm_form_ellipse(shifted(face, (float)side * 0.6f * face->width, 1),
                            face->y + 0.36f * face->length, 0.1f, 0.075f);
        lm_layer *layer = lm_face_add(face, cheek, lm_paint_plain(red));
        layer->within = head;
        layer->blur = 0.13f;
        layer->opacity = lm_face_between(face, FACE_BLUSH, 0, 0.75f);
    }
}

static float mouth_y(const lm_face *face) {
    return face->y + 0.6f * face->length;
}

/* The head's lower rim, or a shadow on it. */
static void add_whiskers(lm_face *face, bool full) {
    lm_form jaw = full ? lm_form_egg(0, face->y, face->width + 0.015f,
                                     face->length + 0.05f, face->taper)
                       : face->head;
    lm_form upper = lm_form_ellipse(shifted(face, 0, 1), face->y - 0.12f,
                                    0.86f * face->width, 0.12f + 0.44f * face->length);
    lm_layer *layer = lm_face_add(face, jaw, lm_paint_plain(face->hair_shade));
    layer->without = lm_face_cut(face, upper);
    layer->within = full ? NULL : lm_face_cut(face, face->head);
    layer->blur = full ? 0.02f : 0.1f;
    layer->opacity = full ? 1 : 0.3f;
}

static void add_beard(lm_face *face) {
    bool stubble = face->beard_kind == BEARD_STUBBLE;
    if (face->beard_kind == BEARD_NONE) return;
    if (face->beard_kind != BEARD_MOUSTACHE) add_whiskers(face, !stubble);
    float half = 0.03f + lm_face_between(face, FACE_MOUTH_WIDTH, 0.12f, 0.2f);
    lm_form over_lip =
        lm_form_lens(shifted(face, 0, 1), mouth_y(face) - 0.035f, half, -0.11f, -0.035f);
    lm_layer *moustache = lm_face_add(face, over_lip, lm_paint_plain(face->hair_shade));
    moustache->opacity = stubble ? 0.3f : 1;
    moustache->blur = stubble ? 0.06f : 0;
}

static void add_nose(lm_face *face) {
    float length = lm_face_between(face, FACE_NOSE_LENGTH, 0.13f, 0.23f);
    float wide = lm_face_between(face, FACE_NOSE_WIDTH, 0.045f, 0.09f);
    float x = shifted(face, 0, 1.35f), y = face->y + 0.05f + length;
    lm_colour tone = lm_colour_mix(face->skin, face->shade, 0.75f);
    lm_layer *side =
        lm_face_add(face, lm_form_egg(x, y - 0.4f * length, wide, 0.5f * length, -0.35f),
                    lm_paint_plain(tone));
    side->blur = 0.07f;
    side->opacity = 0.45f;
    lm_face_add(face, lm_form_stroke(x, y - 0.012f, wide, 0.035f, 0.013f, 0.3f),
                lm_paint_plain(face->shade));
    lm_layer *light = lm_face_add(
        face,
        lm_form_ellipse(x - 0.2f * wide, y - 0.3f * length, 0.3f * wide, 0.3f * length),
        lm_paint_plain((lm_colour){1, 0.97f, 0.93f}));
    light->blur = 0.05f;
    light->opacity = 0.3f;
}

/* ---- mouth ------------------------------------------------------------------- */

static void add_mouth(lm_face *face) {
    float half = lm_face_between(face, FACE_MOUTH_WIDTH, 0.12f, 0.2f);
    float bend = lm_face_between(face, FACE_SMILE, -0.075f, 0.1f);
    float open = 0.15f * face->factors[FACE_MOUTH_OPEN] * face->factors[FACE_MOUTH_OPEN];
    float x = shifted(face, 0, 1.1f), y = mouth_y(face) - 0.6f * bend;
    float top = bend - 0.3f * open, bottom = bend + 0.7f * open;
    lm_form mouth = lm_form_lens(x, y, half, top, bottom);
    const lm_form *inside = lm_face_cut(face, mouth);
    lm_colour lip = lm_colour_mix(face->shade, (lm_colour){0.72f, 0.2f, 0.24f}, 0.55f);
    lm_face_add(face, lm_form_line(mouth, 0.017f), lm_paint_plain(lip));
    lm_face_add(face, mouth, lm_paint_plain((lm_colour){0.32f, 0.07f, 0.1f}));
    lm_face_add(face, lm_form_lens(x, y, half, top - 0.02f, top + 0.33f * open),
                lm_paint_plain(white))
        ->within = inside;
    lm_face_add(face,
                lm_form_ellipse(x, y + bottom + 0.02f, 0.6f * half, 0.42f * open + 0.02f),
                lm_paint_plain((lm_colour){0.86f, 0.42f, 0.44f}))
        ->within = inside;
}

void lm_face_add_lower(lm_face *face) {
    add_blush(face);
    add_beard(face);
    add_nose(face);
    add_mouth(face);
}

/* ---- eyes and brows ---------------------------------------------------------- */

static float eye_x(const lm_face *face, int side) {
    float spacing = lm_face_between(face, FACE_EYE_SPACING, 0.17f, 0.235f);
    return shifted(face, (float)side * spacing, 1);
}

static float eye_y(const lm_face *face) {
    return face->y + 0.01f;
}

static float eye_radius(const lm_face *face) {
    return lm_face_between(face, FACE_EYE_SIZE, 0.082f, 0.122f);
}

static void add_iris(lm_face *face, float x, float y, float radius, const lm_form *eye) {
    static const lm_colour irises[] = {{0.26f, 0.15f, 0.1f}, {0.43f, 0.26f, 0.14f},
                                       {0.52f, 0.43f, 0.2f}, {0.32f, 0.53f, 0.33f},
                                       {0.42f, 0.6f, 0.68f}, {0.24f, 0.47f, 0.78f}};
    lm_colour colour = lm_colour_ramp(irises, sizeof irises / sizeof *irises,
                                      face->factors[FACE_EYE_COLOUR]);
    float iris = 0.6f * radius;
    x += lm_face_between(face, FACE_GAZE_X, -0.36f, 0.36f) * radius;
    y += lm_face_between(face, FACE_GAZE_Y, -0.26f, 0.26f) * radius;
    lm_face_add(face, lm_form_ellipse(x, y, iris, iris),
                lm_paint_plain(lm_colour_mix(colour, dark, 0.45f)))
        ->within = eye;
    lm_face_add(face, lm_form_ellipse(x, y + 0.06f * radius, 0.84f * iris, 0.84f * iris),
                lm_paint_plain(colour))
        ->within = eye;
    lm_face_add(face, lm_form_ellipse(x, y, 0.52f * iris, 0.52f * iris),
                lm_paint_plain(dark))
        ->within = eye;
    lm_face_add(
        face,
        lm_form_ellipse(x - 0.36f * iris, y - 0.4f * iris, 0.25f * iris, 0.25f * iris),
        lm_paint_plain(white))
        ->within = eye;
}

static void add_eye(lm_face *face, int side) {
    float x = eye_x(face, side), y = eye_y(face), radius = eye_radius(face);
    float tall = radius * lm_face_between(face, FACE_EYES_OPEN, 0.42f, 0.98f);
    lm_form ball = lm_form_ellipse(x, y, radius, tall);
    const lm_form *eye = lm_face_cut(face, ball);
    lm_layer *lid =
        lm_face_add(face, lm_form_ellipse(x, y - 0.016f, radius + 0.02f, tall + 0.02f),
                    lm_paint_plain(dark));
    lid->opacity = 0.9f;
    lm_face_add(face, ball, lm_paint_plain(white));
    add_iris(face, x, y, radius, eye);
    lm_layer *shadow = lm_face_add(
        face, lm_form_ellipse(x, y - 1.5f * tall, 1.4f * radius, 0.95f * tall),
        lm_paint_plain((lm_colour){0.3f, 0.2f, 0.3f}));
    shadow->within = eye;
    shadow->blur = 0.05f;
    shadow->opacity = 0.45f;
}

static void add_brow(lm_face *face, int side) {
    float angle = (float)side * lm_face_between(face, FACE_BROW_TILT, 0.4f, -0.4f);
    float c = (float)lm_exact_cos(angle), s = (float)lm_exact_sin(angle);
    lm_point at = {eye_x(face, side) + 0.012f * (float)side,
                   eye_y(face) - eye_radius(face) -
                       lm_face_between(face, FACE_BROW_HEIGHT, 0.045f, 0.125f)};
    lm_form brow =
        lm_form_stroke(at.x, at.y, 0.105f, -0.035f,
                       lm_face_between(face, FACE_BROW_WEIGHT, 0.013f, 0.034f), 0.5f);
    lm_face_add(face, lm_form_turn(brow, at, c, s),
                lm_paint_plain(lm_colour_mix(face->hair_shade, dark, 0.25f)));
}

void lm_face_add_eyes(lm_face *face) {
    for (int side = -1; side <= 1; side += 2) {
        add_eye(face, side);
        add_brow(face, side);
    }
}

/* ---- glasses ----------------------------------------------------------------- */

static lm_form lens_form(const lm_face *face, int side) {
    float x = eye_x(face, side), y = eye_y(face) + 0.01f;
    float reach = 0.5f * (eye_x(face, 1) - eye_x(face, -1)) - 0.018f;
    float half = reach < 0.165f ? reach : 0.165f;
    if (face->glasses_kind == GLASSES_ROUND) return lm_form_ellipse(x, y, half, half);
    if (face->glasses_kind == GLASSES_SQUARE)
        return lm_form_box(x, y, half, 0.78f * half, 0.04f);
    return lm_form_box(x, y + 0.01f, half, 0.85f * half, 0.09f);
}

void lm_face_add_glasses(lm_face *face) {
    if (face->glasses_kind == GLASSES_NONE) return;
    bool sun = face->glasses_kind == GLASSES_SUN;
    lm_paint frame = lm_paint_plain(sun ? dark : (lm_colour){0.2f, 0.16f, 0.2f});
    float y = eye_y(face);
    for (int side = -1; side <= 1; side += 2) {
        lm_form lens = lens_form(face, side);
        float outer = lens.x + (float)side * lens.half_width;
        float ear = (float)side * face->width - 0.4f * face->turn;
        float middle = 0.5f * (outer + ear), half = 0.5f * (ear - outer) * (float)side;
        if (half > 0)
            lm_face_add(face, lm_form_box(middle, y - 0.03f, half, 0.014f, 0.01f), frame);
        lm_layer *glass = lm_face_add(
            face, lens,
            sun ? lm_paint_between((lm_colour){0.08f, 0.07f, 0.1f}, (lm_point){0, -0.2f},
                                   (lm_colour){0.35f, 0.25f, 0.3f}, (lm_point){0, 0.15f})
                : lm_paint_plain((lm_colour){0.85f, 0.95f, 1}));
        glass->opacity = sun ? 0.95f : 0.16f;
        lm_face_add(face, lm_form_line(lens, sun ? 0.012f : 0.016f), frame);
    }
    float x = shifted(face, 0, 1.05f);
    lm_face_add(face, lm_form_stroke(x, y, 0.035f, -0.02f, 0.014f, 0), frame);
}
