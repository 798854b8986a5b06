/* The order in which an epoch sees a set, computed place by place, so that nothing of it
 * is ever stored. */
#ifndef LIMN_DATA_ORDER_H
#define LIMN_DATA_ORDER_H

#include <stdint.h>

/* The image at `place` (0 .. count-1): for each seed and epoch (its lower 32 bits) a
 * permutation of 0 .. count-1. count: 1 .. 2^31-1. */
int64_t lm_order_at(uint64_t seed, int64_t epoch, int64_t count, int64_t place);

#endif
