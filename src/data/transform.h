/* What a SPEC asks for after its "?": a dataset seen through a transformation. */
#ifndef LIMN_DATA_TRANSFORM_H
#define LIMN_DATA_TRANSFORM_H

#include "data/data.h"
#include "image/resize.h"

enum { LM_MAX_CHOSEN = 64 };

typedef struct lm_transform {
    int size; /* edge of the square, 0: as it is */
    lm_filter filter;
    int channels; /* 1, 3, or 0: as it is */
    int chosen[LM_MAX_CHOSEN], n_chosen;
    int64_t limit; /* images at most, 0: all */
} lm_transform;

/* "size=PX&filter=NAME&grey&rgb&classes=A,B&limit=N", each at most once. */
lm_status lm_transform_parse(const char *text, lm_transform *transform);

/* Wraps *set, which it owns from then on; on failure *set is freed and NULL. Only the
 * labels chosen stay, numbered anew in the order given. An image is cropped to the square
 * in its middle and resized; grey is 0.299 R + 0.587 G + 0.114 B (ITU-R 601), rounded as
 * Pillow does; colour from grey repeats it. `text` enters the hash. */
lm_status lm_dataset_transform(const lm_transform *transform, const char *text,
                               lm_dataset **set);

#endif
