/* Writing NumPy's .npz: a zip of .npy files, not compressed. */
#ifndef LIMN_EVAL_NPZ_H
#define LIMN_EVAL_NPZ_H

#include "tensor/shape.h"

typedef struct lm_npz_array {
    const char *name; /* without ".npy" */
    lm_dtype dtype;
    lm_shape shape;
    const void *data;
} lm_npz_array;

/* Atomically; equal arrays give equal bytes. At most 8 arrays of together less than 4 GB:
 * more would take a zip64. */
lm_status lm_npz_write(const char *path, const lm_npz_array *arrays, int count);

#endif
