/* What a drawer makes as a source of images: any number of them, bytes, and equal bytes
 * for equal seed and index in whatever portions they are read. A network's kernels may
 * round otherwise in batches of another size, so images are always drawn in the batches
 * that begin at multiples of the drawer's. */
#ifndef LIMN_TRAIN_DRAWN_H
#define LIMN_TRAIN_DRAWN_H

#include "eval/evaluate.h"
#include "train/draw.h"

/* lm_image_from_signed, in words. */
#define LM_DRAWN_QUANTISATION "u8: nearest to 127.5 x + 127.5, clipped"

typedef struct lm_drawn_spec {
    int64_t count; /* images that can be asked for */
    uint64_t seed;
    /* Labels for a conditional model that is not asked for one class: those of the set,
     * in an order drawn from the seed, as often as they occur; NULL: balanced, label i
     * mod classes for image i. Must outlive the source. */
    const lm_dataset *labels_of;
    lm_draw_hook hook; /* may be NULL */
    void *user;
} lm_drawn_spec;

typedef struct lm_drawn_source {
    lm_image_source source; /* points into this struct: do not move it */
    lm_drawn_spec spec;
    lm_drawer *drawer;
    char *protocol; /* the sampler's, and where labels come from */
    int64_t batch;  /* number of the batch that is held, -1: none */
    float *floats;  /* of a batch, */
    uint8_t *bytes; /* and the same as bytes */
    int32_t *labels;
} lm_drawn_source;

/* `name` and the drawer are borrowed and must outlive the source. */
lm_status lm_drawn_init(lm_drawn_source *drawn, lm_drawer *drawer, const char *name,
                        const lm_drawn_spec *spec);
void lm_drawn_release(lm_drawn_source *drawn);
/* To be called when the weights have changed: nothing of before is handed out again. */
void lm_drawn_forget(lm_drawn_source *drawn);

/* The source as a side of an evaluation, at a step of training. Borrows from `drawn`. */
lm_eval_side lm_drawn_side(const lm_drawn_source *drawn, int64_t step);

/* Draws all images onto a sheet; `text` becomes the picture's comment. */
lm_status lm_drawn_sheet(const lm_drawn_source *drawn, const char *path,
                         const char *text);

#endif
