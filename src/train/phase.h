/* A training phase as a compiled program, and the numbers it needs at each step. */
#ifndef LIMN_TRAIN_PHASE_H
#define LIMN_TRAIN_PHASE_H

#include "exec/exec.h"
#include "train/checkpoint.h"
#include "train/turns.h"

/* Loss, gradients, clip, AdamW and EMA of phase `index`, for `batch` images. Variables
 * must have been added (lm_checkpoint_add_vars). */
lm_status lm_phase_compile(const lm_model *model, const lm_settings *trainer,
                           lm_engine *engine, int index, int batch, lm_program **program);

/* What one run of a phase is given. */
typedef struct lm_phase_input {
    const uint8_t *pixels;
    const int32_t *labels;
    int batch;
    uint64_t seed;
    int64_t step;  /* steps done before this one */
    int64_t first; /* what the step's batches before this one hold, in images */
    double rate;   /* of lm_phase_rule */
    double share;  /* of the run that is done, for learning rate schedules */
    lm_turn turn;
} lm_phase_input;

typedef struct lm_phase_result {
    double loss, grad_norm, lr;
} lm_phase_result;

/* Sets the inputs, runs, and reads the scalars. */
lm_status lm_phase_run(const lm_model *model, const lm_settings *trainer, int index,
                       lm_program *program, const lm_phase_input *input,
                       lm_phase_result *result);

/* Appends what a phase's latest run has to say beside its result, as members of a JSON
 * object: `, "kl": 25.1, "unit_kl": [1.2, 0.8]`. Numbers that are not finite are null. */
lm_status lm_phase_describe(const lm_model *model, int index, lm_program *program,
                            lm_str *members);

/* Weights of the seed into every group, and the same into its average; into those of the
 * two that the engine has. */
lm_status lm_init_weights(const lm_model *model, lm_engine *engine, uint64_t seed);

#endif
