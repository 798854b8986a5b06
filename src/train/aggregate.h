/* The aggregate posterior of a run: a mixture of Gaussians fitted to draws of the codes
 * of its training images, to begin from in the place of the prior, since a decoder has
 * seen the one and not the other (Ghosh et al. 2020). One for each class where the model
 * is conditional. Fitted when it is asked for first, and kept in the run's folder. */
#ifndef LIMN_TRAIN_AGGREGATE_H
#define LIMN_TRAIN_AGGREGATE_H

#include "train/draw.h"
#include "train/opened.h"

typedef struct lm_aggregate lm_aggregate;

/* Where the drawer's sampler asks for a mixture (lm_sampler.components), finds it and has
 * the drawer begin with its draws; else *aggregate is NULL. LM_ARG where a class has
 * fewer images than components. Must outlive the drawer's use; the run may be read-only.
 */
lm_status lm_aggregate_attach(const lm_opened_run *opened, lm_drawer *drawer,
                              lm_aggregate **aggregate);
void lm_aggregate_free(lm_aggregate *aggregate);

#endif
