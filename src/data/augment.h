/* Random changes of training images, by position: the same at each reading. */
#ifndef LIMN_DATA_AUGMENT_H
#define LIMN_DATA_AUGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lm_augment {
    bool flip; /* left and right exchanged, half of the time */
    int pad;   /* pixels of black around it, of which a crop in the old size is taken
                * (He et al.: "Deep residual learning", CVPR 2016, section 4.2); 0: none */
} lm_augment;

bool lm_augment_changes(const lm_augment *augment);

/* The image `from`, u8 HWC, as it is seen at `position`; `to` is another block. Every
 * choice has the same probability and is drawn from (seed, position) alone. */
void lm_augment_image(const lm_augment *augment, uint64_t seed, int64_t position,
                      int height, int width, int channels, const uint8_t *from,
                      uint8_t *to);

#endif
