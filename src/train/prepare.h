/* From a request to a run: what is new, what an existing run directory says. */
#ifndef LIMN_TRAIN_PREPARE_H
#define LIMN_TRAIN_PREPARE_H

#include "data/data.h"
#include "train/trainer.h"

/* Fills the run and opens its data. A new run's folder is made and run.json written;
 * with request->resume both are read and checked against the request. */
lm_status lm_prepare_run(const lm_train_request *request, lm_run *run, lm_dataset **set);

#endif
