/* What a run's codes keep of images and what they cost: errors of reconstructions,
 * divergence from the prior, units that are in use. */
#ifndef LIMN_TRAIN_CODING_H
#define LIMN_TRAIN_CODING_H

#include "eval/evaluate.h"
#include "train/draw.h"
#include "train/opened.h"

typedef struct lm_coding_meter lm_coding_meter;

/* Images are decoded by the drawer, whose sampler's own noise, if it has any, is that of
 * seed 0. LM_UNSUPPORTED where the family has no encoder. Must go before the run is
 * closed and the drawer is freed. */
lm_status lm_coding_meter_new(const lm_opened_run *opened, lm_drawer *drawer,
                              lm_coding_meter **meter);
void lm_coding_meter_free(lm_coding_meter *meter);

/* For an evaluation; borrows from the meter, which remembers the numbers of the source
 * that it saw last. */
lm_eval_coding lm_coding_meter_coding(lm_coding_meter *meter);

#endif
