/* Parameters: one flat variable a group, with named slices. The optimizer, clipping, EMA
 * and checkpoints work on the flat vector. */
#ifndef LIMN_NN_PARAMS_H
#define LIMN_NN_PARAMS_H

#include "tensor/shape.h"

typedef enum lm_init_kind {
    LM_INIT_ZEROS,
    LM_INIT_ONES,
    LM_INIT_NORMAL,    /* N(0, scale^2) */
    LM_INIT_UNIFORM,   /* U(-scale, scale) */
    LM_INIT_FAN_IN,    /* variance scaling: uniform, variance scale / fan_in */
    LM_INIT_FAN_AVG,   /* uniform, variance scale / mean(fan_in, fan_out) */
    LM_INIT_HE_NORMAL, /* normal, variance 2 * scale / fan_in */
    LM_INIT_ORTHOGONAL /* rows (or columns) orthonormal, times scale */
} lm_init_kind;

typedef struct lm_init {
    lm_init_kind kind;
    double scale;
} lm_init;

#define LM_INIT(KIND, SCALE) ((lm_init){LM_INIT_##KIND, (SCALE)})

typedef struct lm_param_slice {
    char *name;
    lm_shape shape; /* dense [out, in], conv [out, kh, kw, in] */
    int64_t offset, count;
    lm_init init;
} lm_param_slice;

typedef struct lm_params {
    char *name; /* the variable's name, "model" */
    lm_param_slice *slices;
    int n_slices, capacity;
    int64_t count;   /* elements of all slices */
    bool no_average; /* nothing draws with it, so that training keeps no ".ema" of it */
    double bound;    /* every update leaves each value within +-bound; 0: anywhere */
} lm_params;

lm_status lm_params_new(const char *name, lm_params **params);
void lm_params_free(lm_params *params);
const lm_param_slice *lm_params_find(const lm_params *params, const char *name);
/* Registers, or finds and checks the shape. Sets *slice. */
lm_status lm_params_get(lm_params *params, const char *name, lm_shape shape, lm_init init,
                        const lm_param_slice **slice);
/* Fills `values` (count floats) from the seed: each slice draws from a stream made of its
 * name, so adding a layer does not change the others. */
lm_status lm_params_init(const lm_params *params, uint64_t seed, float *values);

#endif
