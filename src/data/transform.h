/* What a SPEC asks for after its "?": a dataset seen through a transformation. */
#ifndef LIMN_DATA_TRANSFORM_H
#define LIMN_DATA_TRANSFORM_H

#include "data/data.h"
#include "image/resize.h"

enum { LM_MAX_CHOSEN = 64, LM_MAX_LABEL = 64, LM_MAX_PAD = 4096 };

/* How an image becomes a square. */
typedef enum lm_fit {
    LM_FIT_CROP, /* the square in its middle is resized */
    LM_FIT_PAD   /* all of it is resized, and background makes up the square */
} lm_fit;

/* How bytes become 0 and 255 alone. */
typedef enum lm_binarise {
    LM_BINARISE_NONE,
    LM_BINARISE_THRESHOLD, /* 128 and above become 255 */
    LM_BINARISE_DRAW       /* a byte k with probability k / 255, drawn once and for all */
} lm_binarise;

typedef struct lm_transform {
    int crop_height, crop_width; /* of the middle, taken first; 0: all */
    int size;                    /* edge of the square, 0: as it is */
    lm_fit fit;
    uint8_t background[3]; /* RGB: around what is padded, behind what is transparent */
    lm_filter filter;
    int channels;             /* 1, 3, or 0: as it is */
    char label[LM_MAX_LABEL]; /* the attribute that becomes the label; "": none */
    int parts;                /* into which it is cut, 0: as it has levels */
    int chosen[LM_MAX_CHOSEN], n_chosen;
    int64_t limit; /* images at most, 0: all */
    lm_binarise binarise;
    lm_augment augment;
} lm_transform;

/* What no option changes: Lanczos, white, all images. */
lm_transform lm_transform_default(void);

/* Options with "&" between, each at most once:
 *   crop=H, crop=HxW         the middle H (1 to 4096) rows and W columns
 *   size=PX                  a square of 1 to 4096
 *   fit=crop|pad             how, with size; crop
 *   background=white|black|RRGGBB   of fit=pad and of transparent images; white
 *   filter=NAME              of resizing; lanczos
 *   grey, rgb                channels
 *   label=NAME, label=NAME:K an attribute as label, cut into K parts (relabel.h)
 *   classes=A,B              images of these labels, numbered anew in this order
 *   limit=N                  images at most
 *   binarise=threshold|draw  values 0 and 255 alone; draw: each value by its brightness,
 *                            the same in every epoch (Salakhutdinov, Murray 2008)
 *   flip                     left and right exchanged in half of the images
 *   pad-crop=N               N black pixels around, a random crop of the old size */
lm_status lm_transform_parse(const char *text, lm_transform *transform);

/* Wraps *set, which it owns from then on; on failure *set is freed and NULL. Images are
 * cropped, made a square, resized (image/resize.h), and made grey or colour
 * (image/frame.h), and of two values, in this order. An image too small to be cropped is
 * LM_FORMAT when it is read. What is random (flip, pad-crop) is left to the loader.
 * `text` enters the hash. */
lm_status lm_dataset_transform(const lm_transform *transform, const char *text,
                               lm_dataset **set);

#endif
