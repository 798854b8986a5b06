/* Checkpoints: one safetensors file with every parameter, its moments and its average
 * under their names, and what is needed to continue: step and images seen. The bytes are
 * a pure function of the run and the step, so two files can be compared. */
#ifndef LIMN_TRAIN_CHECKPOINT_H
#define LIMN_TRAIN_CHECKPOINT_H

#include "exec/exec.h"
#include "tensor/safetensors.h"
#include "train/run.h"

typedef struct lm_train_state {
    int64_t step, images; /* done; images is also the position in the data */
    int rollbacks;        /* how often the run went back to a healthy step */
} lm_train_state;

/* The variables of a group, all of the same size. */
typedef enum lm_group_part {
    LM_GROUP_WEIGHTS,
    LM_GROUP_M, /* AdamW's moments */
    LM_GROUP_V,
    LM_GROUP_EMA, /* the weights' average, of groups that keep one */
    LM_GROUP_PARTS
} lm_group_part;

/* Their names, in graphs, engines and checkpoints: "model", "model.m", "model.v",
 * "model.ema". Returns `name`. */
#define LM_GROUP_NAME 256
const char *lm_group_var(const lm_params *group, lm_group_part part,
                         char name[LM_GROUP_NAME]);

/* Adds all variables of the model's groups to the engine. */
lm_status lm_checkpoint_add_vars(const lm_model *model, lm_engine *engine);
/* What drawing needs of them: one part of each group that has it, and the buffers. */
lm_status lm_checkpoint_add_part(const lm_model *model, lm_group_part part,
                                 lm_engine *engine);

/* What else a checkpoint holds: metadata, at most LM_CHECKPOINT_MORE, and what the watch
 * over the run knows (lm_watch_save). */
enum { LM_CHECKPOINT_MORE = 4 };
typedef struct lm_checkpoint_more {
    const lm_st_meta *meta;
    int n_meta;
    const double *watch;
    int n_watch;
} lm_checkpoint_more;
/* more: NULL for nothing. */
lm_status lm_checkpoint_save(const char *path, const lm_run *run, const lm_model *model,
                             lm_engine *engine, const lm_train_state *state,
                             const lm_checkpoint_more *more);

/* Loads the parts that the engine has variables for. A file of another model fails with
 * LM_MISMATCH and names the first tensor that differs; the engine may then hold a mix. */
lm_status lm_checkpoint_load(const char *path, const lm_model *model, lm_engine *engine,
                             lm_train_state *state);

/* What the watch knew: `count` numbers. *found false: the file has none, or so many of
 * another watch. */
lm_status lm_checkpoint_load_watch(const char *path, int count, double *numbers,
                                   bool *found);

/* Path of the newest checkpoint of a run; LM_NOT_FOUND when there is none. */
lm_status lm_checkpoint_latest(const lm_run *run, char **path);
/* Path of the best one, which evaluations during training keep. */
char *lm_checkpoint_best(const lm_run *run);
/* Path of the one to go back to when training goes wrong. */
char *lm_checkpoint_healthy(const lm_run *run);
/* name: NULL for the newest, "best", else a file's path. *path is the caller's. */
lm_status lm_checkpoint_find(const lm_run *run, const char *name, char **path);

/* Removes those of later steps; the best and the healthy one stay. */
lm_status lm_checkpoint_drop_after(const lm_run *run, int64_t step);
/* Removes all but the newest `keep` and the best, and what an interrupted save has left.
 */
lm_status lm_checkpoint_prune(const lm_run *run, int keep);

#endif
