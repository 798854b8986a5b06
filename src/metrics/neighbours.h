/* The nearest vectors of one set to each vector of another, or of the same. */
#ifndef LIMN_METRICS_NEIGHBOURS_H
#define LIMN_METRICS_NEIGHBOURS_H

#include "metrics/hook.h"

#include <stdint.h>

typedef struct lm_neighbours {
    int64_t count;   /* vectors whose neighbours these are */
    int m;           /* neighbours of each */
    int32_t *index;  /* [count][m], nearest first; equally near ones by their index */
    double *squared; /* [count][m], lm_distance_squared to them */
} lm_neighbours;

/* a: [n][dim], b: [count][dim]. The m nearest of b to each of a; b NULL: of a itself,
 * without the vector itself, but with others that are equal to it. Exactly what sorting
 * all values of lm_distance_squared gives. LM_ARG when there are fewer than m, LM_NUMERIC
 * for values that are not finite. hook may be NULL. */
lm_status lm_neighbours_find(const float *a, int64_t n, const float *b, int64_t count,
                             int dim, int m, const lm_metric_hook *hook,
                             lm_neighbours *found);
void lm_neighbours_release(lm_neighbours *found);

#endif
