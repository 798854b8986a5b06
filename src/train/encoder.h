/* From images to the states that a family decodes, batch by batch: by its encoder, or,
 * where it has none, by optimisation. */
#ifndef LIMN_TRAIN_ENCODER_H
#define LIMN_TRAIN_ENCODER_H

#include "eval/source.h"
#include "exec/exec.h"
#include "families/family.h"
#include "train/invert.h"

typedef struct lm_encoder lm_encoder;

typedef struct lm_encoder_spec {
    bool raw;   /* by the weights themselves, not their average */
    bool draws; /* draws of codes where these have a distribution, not their means; each
                 * a function of the image's index */
    lm_invert_spec invert; /* for families without an encoder; its go_on for all */
} lm_encoder_spec;

/* LM_UNSUPPORTED where the family has no encoder and cannot be inverted. The encoder must
 * go before the engine. */
lm_status lm_encoder_new(lm_engine *engine, const lm_model *model,
                         const lm_encoder_spec *spec, lm_encoder **encoder);
void lm_encoder_free(lm_encoder *encoder);
/* Numbers of a state. */
int64_t lm_encoder_size(const lm_encoder *encoder);

/* LM_MISMATCH unless the source's images are as the model's. */
lm_status lm_encoder_check(const lm_encoder *encoder, const lm_image_source *source);

/* Images first .. first + count - 1 of the source to count states. Those of a
 * conditional model need labels. */
lm_status lm_encoder_run(lm_encoder *encoder, const lm_image_source *source,
                         int64_t first, int64_t count, float *states);

#endif
