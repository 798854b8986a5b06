/* States for images by optimisation, where a family makes images of states without steps
 * but has no encoder, as a GAN: which state's image is the nearest? */
#ifndef LIMN_TRAIN_INVERT_H
#define LIMN_TRAIN_INVERT_H

#include "eval/source.h"
#include "exec/exec.h"
#include "families/family.h"

/* Adam descends from several draws of the prior, all of a batch in one program; each
 * image keeps the nearest. What is minimised is the mean square of the differences in
 * [-1, 1], plus `shell` times ((|z| - sqrt(n)) / sqrt(n))^2: normal states of n numbers
 * lie near the shell of radius sqrt(n), and only such ones has the generator seen. */
typedef struct lm_invert_spec {
    int steps;    /* of each descent; 0: 300 */
    int starts;   /* descents an image, at most LM_INVERT_ROWS; 0: 4 */
    double rate;  /* first step's length, falling to 0 along a cosine; 0: 0.1 */
    double shell; /* negative: 0.02 */
    uint64_t seed;
    bool (*go_on)(void *user); /* asked now and then; false: LM_INTERRUPTED. NULL: yes */
    void *user;
} lm_invert_spec;
enum { LM_INVERT_ROWS = 64 };

/* Whether the family's states can be found so. */
bool lm_can_invert(const lm_family *family);

/* LM_UNSUPPORTED where they cannot, LM_ARG where the spec is out of range. raw: by the
 * weights themselves, not their average. The inverter must go before the engine. */
typedef struct lm_inverter lm_inverter;
lm_status lm_inverter_new(lm_engine *engine, const lm_model *model, bool raw,
                          const lm_invert_spec *spec, lm_inverter **inverter);
void lm_inverter_free(lm_inverter *inverter);
/* Numbers of a state. */
int64_t lm_inverter_size(const lm_inverter *inverter);
/* Images that are worked at together. */
int lm_inverter_batch(const lm_inverter *inverter);

/* Images u8[batch][h][w][c] and their labels, of which a conditional model needs all, to
 * states f32[batch][size]. `first` is the number of the first image: what is drawn
 * depends on it and the seed. */
lm_status lm_inverter_run(lm_inverter *inverter, const uint8_t *images,
                          const int32_t *labels, int64_t first, float *states);

#endif
