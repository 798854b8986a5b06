/* Ways from one state to another. */
#ifndef LIMN_TRAIN_WALK_H
#define LIMN_TRAIN_WALK_H

#include "base/status.h"

#include <stdint.h>

typedef enum lm_walk_kind {
    LM_WALK_SLERP, /* along the arc (Shoemake 1985), as noise of many dimensions lies near
                    * a sphere; the length changes evenly */
    LM_WALK_LERP   /* along the line, which passes nearer to the middle */
} lm_walk_kind;

/* `frames` states of `size` numbers, a and b the first and the last; frames at least 2.
 * Where a and b lie on a line with the origin, an arc is the line. */
void lm_walk(lm_walk_kind kind, const float *a, const float *b, int64_t size, int frames,
             float *states);

#endif
