/* Copies between two regularly strided regions: what every movement of data comes down
 * to. */
#ifndef LIMN_BACKEND_CPU_STRIDED_H
#define LIMN_BACKEND_CPU_STRIDED_H

#include "backend/cpu/cpu_internal.h"

typedef struct lm_strided {
    int rank;
    int64_t size[LM_MAX_RANK + 1];
    int64_t to[LM_MAX_RANK + 1],
        from[LM_MAX_RANK + 1];    /* strides; from may be negative */
    int64_t to_start, from_start; /* all in elements */
    size_t element;               /* bytes: 1 or 4 */
} lm_strided;

/* A copy of a whole contiguous tensor into another; callers change what differs. */
lm_strided lm_strided_make(lm_shape shape, lm_dtype dtype);
/* Contiguous strides of a shape. */
void lm_strided_contiguous(lm_shape shape, int64_t *stride);
/* Drops axes of size 1 and joins axes that are contiguous in both. */
void lm_strided_simplify(lm_strided *copy);
/* `from` NULL writes zeros. */
void lm_strided_run(const lm_strided *copy, void *to, const void *from);

#endif
