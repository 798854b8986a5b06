/* The styles of hair. Most are a cap, which is the head grown by a margin, less an
 * opening for the face, and something behind the head. */
#include "data/faces.h"

static lm_paint hair_paint(const lm_face *face) {
    return lm_paint_between(face->hair, (lm_point){-0.15f, -0.7f}, face->hair_shade,
                            (lm_point){0.1f, 0.35f});
}

static lm_paint shade_paint(const lm_face *face) {
    return lm_paint_plain(face->hair_shade);
}

static float volume(const lm_face *face) {
    return lm_face_between(face, FACE_HAIR_VOLUME, 0.025f, 0.1f);
}

static float top_of(const lm_face *face) {
    return face->y - face->length;
}

/* The head's outline, `margin` further out, lifted so that more lies on top. */
static lm_form cap_form(const lm_face *face, float margin) {
    return lm_form_egg(0, face->y - 0.5f * margin, face->width + 0.7f * margin,
                       face->length + margin, 0.5f * face->taper);
}

/* The cap above `bottom`, without the opening, over its shadow on the forehead. */
static void add_cap(lm_face *face, lm_form cap, float bottom, lm_form opening) {
    const lm_form *above = lm_face_cut(face, lm_form_box(0, bottom - 1, 1, 1, 0.05f));
    lm_form lower = opening;
    lower.y += 0.035f;
    lm_layer *shadow = lm_face_add(face, face->head, lm_paint_plain(face->shade));
    shadow->without = lm_face_cut(face, lower);
    shadow->within = above;
    shadow->opacity = 0.4f;
    lm_layer *layer = lm_face_add(face, cap, hair_paint(face));
    layer->without = lm_face_cut(face, opening);
    layer->within = above;
}

/* A gleam along the crown. */
static void add_gleam(lm_face *face, float y, float half) {
    lm_layer *gleam = lm_face_add(
        face, lm_form_stroke(-0.06f, y, half, -0.3f * half, 0.03f, 0.7f),
        lm_paint_plain(lm_colour_mix(face->hair, (lm_colour){1, 0.96f, 0.9f}, 0.45f)));
    gleam->blur = 0.05f;
    gleam->opacity = 0.55f;
}

/* Up to `hairline` of the head's half length, and this share of its width. */
static lm_form face_opening(const lm_face *face, float hairline, float width) {
    float top = face->y - hairline * face->length;
    float bottom = face->y + 0.9f * face->length;
    return lm_form_ellipse(0.6f * face->turn, 0.5f * (top + bottom), width * face->width,
                           0.5f * (bottom - top));
}

/* ---- over the head ----------------------------------------------------------- */

static void add_crop(lm_face *face) {
    add_cap(face, cap_form(face, volume(face)), face->y + 0.06f,
            face_opening(face, 0.62f, 0.9f));
    add_gleam(face, top_of(face) + 0.12f, 0.2f);
}

/* A wave that falls to one side of a parting. */
static void add_parted(lm_face *face) {
    lm_form opening = face_opening(face, 0.74f, 0.9f);
    lm_point middle = {opening.x, opening.y};
    opening = lm_form_turn(opening, middle, 0.94f, -0.34f);
    add_cap(face, cap_form(face, 0.03f + volume(face)), face->y + 0.1f, opening);
    lm_form wave =
        lm_form_lens(-0.06f, top_of(face) + 0.14f, 0.42f, -0.2f - volume(face), 0.1f);
    wave = lm_form_turn(wave, (lm_point){wave.x, wave.y}, 0.96f, 0.28f);
    lm_face_add(face, wave, hair_paint(face))->within =
        lm_face_cut(face, cap_form(face, 0.05f + 1.1f * volume(face)));
    add_gleam(face, top_of(face) + 0.06f, 0.2f);
}

static void add_spiky(lm_face *face) {
    static const lm_point spikes[] = {
        {-1, 0.35f},     {-1.12f, -0.2f}, {-0.86f, -0.12f}, {-0.78f, -0.72f},
        {-0.5f, -0.45f}, {-0.3f, -1},     {-0.05f, -0.6f},  {0.2f, -1.05f},
        {0.38f, -0.55f}, {0.72f, -0.85f}, {0.8f, -0.25f},   {1.12f, -0.3f},
        {1, 0.35f},      {0.72f, 0.12f},  {0.5f, 0.3f},     {0.25f, 0.08f},
        {0, 0.3f},       {-0.28f, 0.06f}, {-0.5f, 0.3f},    {-0.74f, 0.1f}};
    add_cap(face, cap_form(face, 0.02f), face->y + 0.02f,
            face_opening(face, 0.66f, 0.9f));
    lm_form crown = lm_form_polygon(0, top_of(face) + 0.18f,
                                    0.92f * face->width + 0.5f * volume(face), spikes,
                                    sizeof spikes / sizeof *spikes, 0.012f);
    lm_face_add(face, crown, hair_paint(face));
}

/* Locks along an arc of the head over its top, which spans `span` of a turn. */
static void add_locks(lm_face *face, int count, float span, float reach, float radius,
                      lm_paint paint) {
    for (int i = 0; i < count; i++) {
        float turn = span * ((float)i / (float)(count - 1) - 0.5f);
        float x = (float)lm_exact_sin(LM_TAU * turn);
        float y = -(float)lm_exact_cos(LM_TAU * turn);
        float size = radius * (i % 2 ? 0.88f : 1.05f);
        lm_face_add(face,
                    lm_form_ellipse(x * (face->width + reach),
                                    face->y + y * (face->length + reach), size, size),
                    paint);
    }
}

static void add_curly(lm_face *face) {
    add_cap(face, cap_form(face, 0.04f), face->y + 0.05f, face_opening(face, 0.6f, 0.9f));
    add_locks(face, 7, 0.32f, -0.09f, 0.085f + 0.3f * volume(face), hair_paint(face));
}

static void add_bun(lm_face *face) {
    add_cap(face, cap_form(face, 0.02f + 0.5f * volume(face)), face->y + 0.08f,
            face_opening(face, 0.7f, 0.9f));
    add_gleam(face, top_of(face) + 0.1f, 0.22f);
}

/* A fringe straight over the brows and locks down to the chin. */
static void add_bob(lm_face *face) {
    float top = face->y - 0.5f * face->length, half = 0.8f * face->width;
    lm_form opening = lm_form_box(0.6f * face->turn, top + 0.6f, half, 0.6f, 0.12f);
    lm_form cap = cap_form(face, 0.04f + volume(face));
    add_cap(face, cap, face->y + 0.45f * face->length, opening);
    add_gleam(face, top_of(face) + 0.14f, 0.24f);
}

/* Parted in the middle, in two curtains. */
static void add_long(lm_face *face) {
    lm_form opening = face_opening(face, 0.8f, 0.8f);
    add_cap(face, cap_form(face, 0.04f + volume(face)), face->y + 0.5f * face->length,
            opening);
    add_gleam(face, top_of(face) + 0.12f, 0.22f);
}

/* ---- behind it --------------------------------------------------------------- */

static void add_curly_behind(lm_face *face) {
    float reach = 0.02f + 0.9f * volume(face);
    lm_paint paint = lm_paint_plain(lm_colour_mix(face->hair, face->hair_shade, 0.6f));
    lm_face_add(
        face,
        lm_form_ellipse(0, face->y - 0.08f, face->width + reach, face->length + reach),
        paint);
    add_locks(face, 13, 0.64f, reach, 0.12f, paint);
}

static void add_bun_behind(lm_face *face) {
    float radius = 0.13f + 0.9f * volume(face), y = top_of(face) - 0.45f * radius;
    lm_face_add(face, lm_form_ellipse(0, y, radius, 0.9f * radius), hair_paint(face));
    lm_face_add(face, lm_form_ellipse(0, top_of(face) + 0.02f, 0.8f * radius, 0.05f),
                shade_paint(face));
}

static void add_bob_behind(lm_face *face) {
    float half = face->width + 0.05f + 0.8f * volume(face), top = top_of(face) + 0.1f;
    float bottom = face->y + 0.92f * face->length;
    lm_face_add(face,
                lm_form_box(0, 0.5f * (top + bottom), half, 0.5f * (bottom - top), 0.2f),
                shade_paint(face));
}

static void add_long_behind(lm_face *face) {
    float half = face->width + 0.06f + volume(face), top = top_of(face) + 0.05f;
    lm_face_add(face, lm_form_egg(0, 0.5f * (top + 1), half, 0.5f * (1 - top), -0.12f),
                shade_paint(face));
}

static const struct {
    void (*behind)(lm_face *face), (*over)(lm_face *face);
    bool hides_ears;
} styles[N_HAIR] = {
    [HAIR_CROP] = {NULL, add_crop, false},
    [HAIR_PARTED] = {NULL, add_parted, false},
    [HAIR_SPIKY] = {NULL, add_spiky, false},
    [HAIR_CURLY] = {add_curly_behind, add_curly, true},
    [HAIR_BUN] = {add_bun_behind, add_bun, false},
    [HAIR_BOB] = {add_bob_behind, add_bob, true},
    [HAIR_LONG] = {add_long_behind, add_long, true},
};

void lm_face_add_hair_behind(lm_face *face) {
    if (styles[face->hair_kind].behind) styles[face->hair_kind].behind(face);
}

void lm_face_add_hair(lm_face *face) {
    if (styles[face->hair_kind].over) styles[face->hair_kind].over(face);
}

bool lm_face_hides_ears(const lm_face *face) {
    return styles[face->hair_kind].hides_ears;
}
