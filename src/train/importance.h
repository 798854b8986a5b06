/* How probable a run's model finds images, by importance sampling: for each image the
 * logarithm of the mean of S weights (Burda, Grosse, Salakhutdinov 2016, eq. 8). On
 * average that is below log p(x), and comes nearer as S grows. */
#ifndef LIMN_TRAIN_IMPORTANCE_H
#define LIMN_TRAIN_IMPORTANCE_H

#include "eval/evaluate.h"
#include "train/opened.h"

typedef struct lm_importance lm_importance;

/* LM_UNSUPPORTED where the family has no weights. samples: S, 1 to 1,000,000. Must go
 * before the run is closed. */
lm_status lm_importance_new(const lm_opened_run *opened, int samples, uint64_t seed,
                            lm_importance **importance);
void lm_importance_free(lm_importance *importance);

/* For an evaluation: nats of images of two values, else bits/dim; the mean over images
 * and its standard error. Borrows from `importance`. */
lm_eval_likelihood lm_importance_likelihood(lm_importance *importance);

/* -log p of images first .. first + count - 1 of the source in nats, an estimate each.
 * The numbers depend on the seed and on an image's index alone. */
lm_status lm_importance_measure(lm_importance *importance, const lm_image_source *source,
                                int64_t first, int64_t count, double *nats);

#endif
