/* Images beside the training images that are nearest to them. */
#ifndef LIMN_EVAL_NEIGHBOURS_SHEET_H
#define LIMN_EVAL_NEIGHBOURS_SHEET_H

#include "eval/metric.h"

/* A PNG with a row for each image that the neighbours' metrics have tables of: the image,
 * then its nearest by features, or else by pixels, with their distances; those that are
 * closest to a training image come first. LM_ARG when neither was measured. */
lm_status lm_neighbours_sheet_write(const lm_eval_context *context,
                                    const lm_evaluation *evaluation, const char *path);

#endif
