/* Where images to be judged come from: a dataset, a run's sampler, an array. */
#ifndef LIMN_EVAL_SOURCE_H
#define LIMN_EVAL_SOURCE_H

#include "data/data.h"

typedef struct lm_image_source lm_image_source;
struct lm_image_source {
    const char *name; /* for messages, borrowed */
    int64_t count;    /* images that can be asked for */
    int height, width, channels;
    int classes; /* 0: images have no labels */
    /* Images first .. first + count - 1: u8, count * h * w * c values, and labels (-1:
     * none; the array may be NULL). Equal arguments give equal bytes. */
    lm_status (*read)(const lm_image_source *source, int64_t first, int64_t count,
                      uint8_t *pixels, int32_t *labels);
    void *state; /* of whoever made it */
    /* The number that people know image `place` by: its index in the set. NULL: place. */
    int64_t (*index_of)(const lm_image_source *source, int64_t place);
    const char *const *class_names; /* [classes], borrowed; NULL: numbers */
};

int64_t lm_source_index(const lm_image_source *source, int64_t place);

/* Checks the range, then reads. */
lm_status lm_source_read(const lm_image_source *source, int64_t first, int64_t count,
                         uint8_t *pixels, int32_t *labels);

/* Whether images of the two have the same height, width and channels. */
bool lm_source_alike(const lm_image_source *a, const lm_image_source *b);

/* `n` images of a set, which must have `get` and outlive the source: all of them when n
 * is 0 or not below their number, else those at the first places of the order that `seed`
 * draws, without repetition. An endless set gives its first n. */
typedef struct lm_set_source {
    lm_image_source source; /* points into this struct: do not move it */
    const lm_dataset *set;
    uint64_t seed;
    bool shuffled;
} lm_set_source;
lm_status lm_set_source_init(lm_set_source *from, const lm_dataset *set, int64_t n,
                             uint64_t seed);

/* How many images of a set stand for it where nobody says: 0 (all), but 50,000 of more
 * than so many, and 10,000 of an endless one. */
int64_t lm_reference_count(const lm_dataset *set);
/* The test split of a SPEC whose training images are `train`; NULL: it has none. */
lm_status lm_held_out_open(const char *spec, const lm_dataset *train, lm_dataset **set);

#endif
