/* Sets that limn draws itself: any number of images, each a pure function of its index,
 * with the same bytes on every machine.
 *
 * A set is a table; builtin.c makes a dataset of it. Image `index` has the Philox sample
 * `index` of the split's stream, from which come its label, then its factors (the numbers
 * that the drawing shows, which are the dataset's attributes), then whatever else the
 * drawing takes. Train and test have different streams, so they never meet. */
#ifndef LIMN_DATA_BUILTIN_H
#define LIMN_DATA_BUILTIN_H

#include "data/data.h"
#include "data/exact.h"

enum { LM_MAX_FACTORS = 32, LM_MAX_SIDE = 256, LM_MAX_DIGIT = 128 };

/* Continuous over [0, 1], or one of `levels` kinds: k / (levels - 1). */
typedef struct lm_factor {
    const char *name;
    lm_attribute_kind kind;
    float plain; /* share of kind 0; 0: all kinds are equally likely */
} lm_factor;

/* What one image is drawn from. */
typedef struct lm_sketch {
    lm_rng rng; /* after label and factors */
    int32_t label;
    float factors[LM_MAX_FACTORS];
    int side; /* the image has side x side pixels */
} lm_sketch;

typedef struct lm_builtin {
    const char *name;             /* "builtin:digits" */
    const char *what;             /* a few words, for lists */
    int recipe;                   /* goes up when any byte of an image changes */
    int smallest, usual, largest; /* sides at which it is drawn */
    int channels, classes;        /* classes 0: no labels */
    const char *const *class_names;
    int n_factors;
    const lm_factor *factors;
    uint32_t step; /* of Philox: what is drawn otherwise is drawn independently */
    void (*draw)(lm_sketch *sketch, uint8_t *pixels);
} lm_builtin;

/* All of them; NULL ends the list. */
extern const lm_builtin *const lm_builtin_sets[];
const lm_builtin *lm_builtin_find(const char *name); /* NULL: none */

/* Draws at the side nearest to `side` that the set can do (0: its usual one).
 * LM_NOT_FOUND for other splits than train and test. */
lm_status lm_builtin_open(const lm_builtin *what, lm_split split, int side,
                          lm_dataset **set);

extern const lm_builtin lm_digits, lm_digits_m, lm_shapes, lm_faces;

extern const char *const lm_digit_names[]; /* "0" to "9" */

/* A grey digit, light on black, of the same proportions at any side up to LM_MAX_DIGIT.
 */
void lm_draw_digit(lm_rng *rng, int32_t digit, int side, uint8_t *pixels);

#endif
