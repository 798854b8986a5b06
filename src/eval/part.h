/* One side of an evaluation with what was worked out of it, so that every metric finds it
 * again: features, and whole images where a metric looks at pixels. */
#ifndef LIMN_EVAL_PART_H
#define LIMN_EVAL_PART_H

#include "eval/evaluate.h"
#include "metrics/manifold.h"
#include "metrics/moments.h"

typedef struct lm_eval_part {
    const char *role; /* "looking at images": for who waits */
    lm_eval_side side;
    lm_image_source source;  /* the side's, perhaps only its first images */
    lm_extractor *extractor; /* borrowed */
    const lm_cache *cache;   /* borrowed; NULL: none */
    lm_features features;    /* x NULL: not there yet */
    lm_moments moments;      /* dim 0: not there yet */
    lm_estimate fid;         /* to the reference; error 0: not there yet */
    lm_manifold manifold;    /* with the reference's; real 0: not there yet */
    int32_t *predicted;      /* [count] classes by the logits; NULL: not there yet */
    uint8_t *pixels;         /* [count][h][w][c]; NULL: not there yet */
    int32_t *labels;         /* [count], beside them */
    float *floats;           /* the same as numbers from 0 to 1 */
} lm_eval_part;

/* The first `count` images of a side (0, or more than it has: all). */
lm_eval_part lm_eval_part_of(const lm_eval_side *side, int64_t count, const char *role,
                             lm_extractor *extractor, const lm_cache *cache);
void lm_eval_part_release(lm_eval_part *part);

/* Reads all images once, where they take no more than a GB: they may be expensive to
 * make. From then on the part reads them from memory, so it must stay where it is. */
lm_status lm_eval_part_hold(lm_eval_part *part, const lm_metric_hook *hook);

/* Each works out what is not there yet; results are the part's. */
lm_status lm_eval_part_features(lm_eval_part *part, const lm_metric_hook *hook);
lm_status lm_eval_part_moments(lm_eval_part *part, const lm_metric_hook *hook);
/* Classes by the logits, which the extractor must have; the first of equal ones wins. */
lm_status lm_eval_part_predicted(lm_eval_part *part, const lm_metric_hook *hook);
lm_status lm_eval_part_pixels(lm_eval_part *part, const lm_metric_hook *hook);
lm_status lm_eval_part_floats(lm_eval_part *part, const lm_metric_hook *hook);
/* Values of one image. */
int lm_eval_part_size(const lm_eval_part *part);

/* All that decides which images these are; false: not known, so nothing may be kept. */
bool lm_eval_part_key(const lm_eval_part *part, lm_str *key);
/* The same of an extractor. */
void lm_eval_extractor_key(const lm_extractor *extractor, lm_str *key);

#endif
