/* What is in a set: every image read once. */
#ifndef LIMN_DATA_SURVEY_H
#define LIMN_DATA_SURVEY_H

#include "data/data.h"

enum { LM_SURVEY_PAIRS = 8 };

typedef struct lm_size_count {
    int width, height;
    int64_t count;
} lm_size_count;

typedef struct lm_attribute_range {
    double mean, least, most;
} lm_attribute_range;

typedef struct lm_unreadable {
    int64_t index;
    char *why; /* owned; names the file */
} lm_unreadable;

/* Empties are NULL and 0. Means and deviations are of all pixels as numbers from 0 to 1,
 * by channel. */
typedef struct lm_survey {
    int64_t seen, good; /* images asked for, and those that could be read */

    lm_size_count *sizes; /* the most frequent first */
    int n_sizes;
    int shorter_side[3]; /* the least, the median, the most */

    double mean[3], deviation[3];

    int64_t *of_class, unlabelled; /* [classes] images */
    lm_attribute_range *attributes;

    /* Images with the size and pixels (by their hash) of an earlier one, and the first of
     * them beside the earliest that they repeat. */
    int64_t duplicates, pairs[LM_SURVEY_PAIRS][2];

    lm_unreadable *unreadable;
    int n_unreadable;
} lm_survey;

/* Is told how many images are done; false ends the survey with LM_INTERRUPTED. */
typedef bool (*lm_survey_hook)(void *user, int64_t done);

/* The first `limit` images (0: all; endless sets need one), with so many threads. What
 * cannot be read is noted, and the survey goes on. Memory: 16 bytes an image. `hook` may
 * be NULL. Ends with lm_survey_release. */
lm_status lm_survey_make(const lm_dataset *set, int64_t limit, int threads,
                         lm_survey_hook hook, void *user, lm_survey *survey);
void lm_survey_release(lm_survey *survey);

#endif
