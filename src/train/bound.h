/* How probable a run's model finds images, at least: the variational bound of families
 * that have one, as a sum of terms of which a few stand for all. */
#ifndef LIMN_TRAIN_BOUND_H
#define LIMN_TRAIN_BOUND_H

#include "eval/evaluate.h"
#include "train/opened.h"

typedef struct lm_bound_meter lm_bound_meter;

/* Of an image the first term is looked at, and one from each of `terms` equal parts of
 * the others, drawn for each image: without bias, and with an error that scatters as the
 * images do. 0, or as many as there are: all of them. LM_UNSUPPORTED where the family
 * has no bound. Must go before the run is closed. */
lm_status lm_bound_meter_new(const lm_opened_run *opened, int terms, uint64_t seed,
                             lm_bound_meter **meter);
void lm_bound_meter_free(lm_bound_meter *meter);

/* For an evaluation: bits/dim of the bytes themselves (nothing is dequantised), their
 * mean and its standard error. Borrows from `meter`. */
lm_eval_likelihood lm_bound_likelihood(lm_bound_meter *meter);

/* Of images first .. first + count - 1 of the source in nats. The numbers depend on the
 * seed and on an image's index alone. */
lm_status lm_bound_measure(lm_bound_meter *meter, const lm_image_source *source,
                           int64_t first, int64_t count, double *nats);

#endif
