/* The parts of builtin:faces: what its files share. */
#ifndef LIMN_DATA_FACES_H
#define LIMN_DATA_FACES_H

#include "data/builtin.h"
#include "data/draw.h"

/* A face is a function of these numbers and nothing else. */
enum {
    FACE_BACKGROUND,
    FACE_BACKGROUND_LIGHT,
    FACE_CLOTHES,
    FACE_SKIN,
    FACE_WIDTH,
    FACE_LENGTH,
    FACE_JAW,
    FACE_TILT,
    FACE_TURN,
    FACE_HAIR,
    FACE_HAIR_COLOUR,
    FACE_HAIR_VOLUME,
    FACE_EYE_SIZE,
    FACE_EYE_SPACING,
    FACE_EYE_COLOUR,
    FACE_EYES_OPEN,
    FACE_GAZE_X,
    FACE_GAZE_Y,
    FACE_BROW_HEIGHT,
    FACE_BROW_TILT,
    FACE_BROW_WEIGHT,
    FACE_NOSE_LENGTH,
    FACE_NOSE_WIDTH,
    FACE_SMILE,
    FACE_MOUTH_OPEN,
    FACE_MOUTH_WIDTH,
    FACE_BLUSH,
    FACE_BEARD,
    FACE_GLASSES,
    N_FACE_FACTORS
};

enum {
    HAIR_NONE,
    HAIR_CROP,
    HAIR_PARTED,
    HAIR_SPIKY,
    HAIR_CURLY,
    HAIR_BUN,
    HAIR_BOB,
    HAIR_LONG,
    N_HAIR
};
enum { BEARD_NONE, BEARD_STUBBLE, BEARD_MOUSTACHE, BEARD_FULL, N_BEARDS };
enum { GLASSES_NONE, GLASSES_ROUND, GLASSES_SQUARE, GLASSES_SUN, N_GLASSES };

enum { FACE_MOST_LAYERS = 96, FACE_MOST_CUTS = 24 };

/* A face while it is laid out. Lengths are the canvas's; "up", "down" before the tilt. */
typedef struct lm_face {
    const float *factors;
    int hair_kind, beard_kind, glasses_kind;
    float x, y, width, length; /* the head: centre and half sides */
    float taper;               /* to the chin */
    float turn;                /* by how much its middle is off to a side */
    float cos, sin;            /* of the tilt, around the neck */
    lm_form head;              /* not tilted */
    lm_form neck, clothes;     /* which stay upright */
    lm_colour skin, shade;     /* and its darker tone */
    lm_colour hair, hair_shade;
    lm_layer layers[FACE_MOST_LAYERS];
    lm_form cuts[FACE_MOST_CUTS];
    int n_layers, n_cuts;
} lm_face;

/* from + (to - from) * the factor's value. */
float lm_face_between(const lm_face *face, int factor, float from, float to);

/* Adds a layer to the head, tilted with it. The layer is the face's. */
lm_layer *lm_face_add(lm_face *face, lm_form form, lm_paint paint);
/* Keeps a form, tilted, for a layer's `within` or `without`. */
const lm_form *lm_face_cut(lm_face *face, lm_form form);

/* Hair behind the head, and over it; faces_hair.c. */
void lm_face_add_hair_behind(lm_face *face);
void lm_face_add_hair(lm_face *face);
bool lm_face_hides_ears(const lm_face *face);

/* Blush, beard, nose, mouth, eyes, brows and glasses, in this order; faces_parts.c. */
void lm_face_add_lower(lm_face *face);
void lm_face_add_eyes(lm_face *face);
void lm_face_add_glasses(lm_face *face);

#endif
