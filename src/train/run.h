/* A run directory: run.json, log.jsonl, checkpoints/, samples/, lock. */
#ifndef LIMN_TRAIN_RUN_H
#define LIMN_TRAIN_RUN_H

#include "base/lock.h"
#include "families/family.h"

#include <jansson.h>

/* Where a run ends: at the first limit that is reached; 0: none of that kind. */
typedef struct lm_limits {
    int64_t steps, epochs;
    double minutes; /* of training, over all sessions of the run */
} lm_limits;

/* Of run.json. 2: the order of images is computed place by place; runs of before, by a
 * shuffled list, would go on in another order. */
enum { LM_RUN_FORMAT = 2 };

/* What was decided when the run began: everything that determines its result. */
typedef struct lm_run {
    int format; /* of the file that it was read from, else LM_RUN_FORMAT */
    char *folder;
    const lm_family *family;
    char *preset, *data, *source; /* source: where the data was found */
    lm_settings model, trainer;
    lm_image_info info;
    uint64_t seed, data_hash;
    lm_limits limits; /* the latest that were asked for */
    lm_lock *lock;    /* while it trains, else NULL */
} lm_run;

void lm_run_release(lm_run *run);

/* run.json in the run's folder, atomically. */
lm_status lm_run_write(const lm_run *run);
/* From a run directory. Unknown families and settings, and values out of range, are
 * failures that name the file. */
lm_status lm_run_read(const char *folder, lm_run *run);

/* STEM, or the first of STEM-2, STEM-3 .. that does not exist yet; lm_free'd. */
lm_status lm_run_free_folder(const char *stem, char **path);

/* The run's folder for this process alone, until lm_run_release: two that train into one
 * would mix their files. */
lm_status lm_run_lock(lm_run *run);

/* A model of the run's family and settings. */
lm_status lm_run_model(const lm_run *run, lm_model **model);

/* "folder/samples/step-00001000.png" and the like; lm_free'd by the caller. */
char *lm_run_path(const lm_run *run, const char *part, int64_t step,
                  const char *extension);

/* The log: one JSON object a line. */
typedef struct lm_log_row {
    int64_t step, images;
    double seconds; /* of training, over all sessions of the run */
    double loss, grad_norm, lr, images_per_second;
    double data_wait; /* seconds of waiting for data since the row before */
    /* In a session's first row, else 0: seconds from the program's start to the begin and
     * to the end of the first step. */
    double startup, first_step;
    const char *members; /* of the family: `, "kl": 25.1`; NULL: none */
} lm_log_row;
lm_status lm_run_log(const lm_run *run, const lm_log_row *row);
/* A row of another kind, with "step" and "seconds" as those have. */
lm_status lm_run_log_json(const lm_run *run, const json_t *row);

/* Calls `visit` for each whole row, in order, until it fails; a line cut short by a crash
 * ends the log. No log: no rows. */
typedef lm_status lm_log_visit(void *user, const json_t *row);
lm_status lm_run_visit_log(const lm_run *run, lm_log_visit *visit, void *user);

/* What the log says of the run so far. */
typedef struct lm_log_end {
    double seconds;    /* of training, 0: no row */
    int64_t evaluated; /* step of the last row with "eval", -1: none */
} lm_log_end;
/* Drops rows after `step`: they will be written again. */
lm_status lm_run_rewind_log(const lm_run *run, int64_t step, lm_log_end *end);

#endif
