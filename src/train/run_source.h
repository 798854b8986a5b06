/* A run as a source of images. */
#ifndef LIMN_TRAIN_RUN_SOURCE_H
#define LIMN_TRAIN_RUN_SOURCE_H

#include "train/aggregate.h"
#include "train/drawn.h"
#include "train/opened.h"

typedef struct lm_run_source_spec {
    lm_run_choice choice;
    lm_sample_request request; /* eta -1, label -1 and zeros: the model's own */
    lm_drawn_spec draw;
} lm_run_source_spec;

/* drawn.source are the images, drawn.protocol says how they are drawn. */
typedef struct lm_run_source {
    lm_opened_run opened;
    lm_drawer *drawer;
    lm_aggregate *aggregate; /* NULL: the sampler begins with noise */
    lm_drawn_source drawn;   /* points to itself: do not move it */
} lm_run_source;

/* Batches are of 64 images, or of all when there are fewer. On failure there is nothing
 * to close. */
lm_status lm_run_source_open(const lm_run_source_spec *spec, lm_run_source *from);
void lm_run_source_close(lm_run_source *from);

/* As a side of an evaluation; borrows from `from`. */
lm_eval_side lm_run_source_side(const lm_run_source *from);

#endif
