/* Evaluations as files: what `limn eval` writes and `limn compare` reads. */
#ifndef LIMN_EVAL_REPORT_H
#define LIMN_EVAL_REPORT_H

#include "eval/evaluate.h"

#include <jansson.h>

enum { LM_REPORT_FORMAT = 1 };

/* {"format", "program", "date", "seconds", "results": [{"metric", "better", "value",
 * "error", "error_from", "floor", "floor_error", "floor_n", "n", "note", "protocol",
 * "detail"}], "skipped", "warnings"}; numbers that there are not are null. The caller's.
 */
lm_status lm_report_make(const lm_evaluation *evaluation, json_t **report);

/* Checks the shape of all that is read of it later, so that what follows need not. */
lm_status lm_report_read(const char *path, json_t **report);

/* FOLDER/eval/step-00001000-3f9a1c.json of a run: one file for a checkpoint and what it
 * was measured by. lm_free'd by the caller; NULL: no memory. */
char *lm_report_path(const char *folder, int64_t step, const json_t *report);
/* The latest of FOLDER/eval/, by its date. LM_NOT_FOUND: nothing was evaluated. */
lm_status lm_report_read_latest(const char *folder, json_t **report);

/* "lower", "higher", "neither". */
const char *lm_eval_better_name(const lm_eval_metric *metric);

#endif
