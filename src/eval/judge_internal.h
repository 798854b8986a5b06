/* What the files of judge.h share. */
#ifndef LIMN_EVAL_JUDGE_INTERNAL_H
#define LIMN_EVAL_JUDGE_INTERNAL_H

#include "eval/judge.h"
#include "exec/exec.h"

struct lm_judge {
    lm_model *model;
    uint16_t *weights; /* f16, model->groups[0]->count */
    lm_judge_card card;
    char hash[LM_SHA256_HEX];
    char *input;
    int dim, batch;
    lm_engine *engine;
    lm_program *program;
    uint8_t *pixels;          /* of a batch that is not whole, or not of our size */
    float *features, *logits; /* of a whole batch */
};

/* The rest of a judge: takes over all three, checks and hashes the weights, compiles. */
lm_status lm_judge_make(lm_model *model, uint16_t *weights, lm_judge_card *card,
                        lm_judge **judge);

/* A judge within the program. */
typedef struct lm_shipped_judge {
    const char *name;
    const uint8_t *begin, *end; /* of its file */
} lm_shipped_judge;
extern const lm_shipped_judge lm_shipped_judges[]; /* ended by name NULL */

#endif
