/* From a run to a judge. */
#ifndef LIMN_TRAIN_JUDGE_OF_H
#define LIMN_TRAIN_JUDGE_OF_H

#include "eval/judge.h"

/* The averaged weights of the newest checkpoint of a run, of a family that classifies
 * (else LM_UNSUPPORTED). `set` is the data that it was trained on; its names are those of
 * the judge's classes. */
lm_status lm_judge_of_run(const char *folder, const lm_dataset *set, lm_judge **judge);

#endif
