/* LPIPS v0.1 (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a
 * Perceptual Metric", CVPR 2018): the distance of two images as a trained network sees
 * it, 0 for equal ones. */
#ifndef LIMN_EVAL_LPIPS_H
#define LIMN_EVAL_LPIPS_H

#include "eval/source.h"
#include "metrics/hook.h"

typedef struct lm_lpips lm_lpips;

/* spec: NET or NET:FILE, NET one of vgg, alex, squeeze. Without FILE it is
 * extractors/lpips-NET.safetensors in the data folder; docs/extractors.md says how to
 * make it. LM_NOT_FOUND: no such net (names the nearest), no such file. */
lm_status lm_lpips_open(const char *spec, lm_lpips **lpips);
void lm_lpips_free(lm_lpips *lpips);
/* For protocols, owned by `lpips`: "lpips:vgg", and the SHA-256 of its weights. */
const char *lm_lpips_id(const lm_lpips *lpips);
const char *lm_lpips_weights(const lm_lpips *lpips);

/* Images u8[height][width][channels], any number. Sides: 16 (vgg), 31 (alex) or 17
 * (squeeze) pixels or more, never resized, else LM_UNSUPPORTED. 1 channel (seen as three
 * equal ones) or 3. */
typedef struct lm_lpips_images {
    const uint8_t *pixels; /* [count][height][width][channels] */
    int64_t count;
    int height, width, channels;
} lm_lpips_images;
/* distance[i] of a's and b's image i; they must be alike in all but pixels. hook may be
 * NULL. */
lm_status lm_lpips_pairs(lm_lpips *lpips, const lm_lpips_images *a,
                         const lm_lpips_images *b, const lm_metric_hook *hook,
                         float *distance);

/* Mean distance of pairs of images, and its standard error. */
typedef struct lm_lpips_diversity {
    double mean, error;
    int64_t pairs;
} lm_lpips_diversity;
/* How much a source's first `count` images differ among themselves: they are put into
 * pairs by `seed`, each image in one pair, so that pairs are independent and the error is
 * honest. within_class: only images of one label form pairs, those without are left out.
 * All images are held in memory. Fewer than two pairs are LM_ARG. */
lm_status lm_lpips_measure_diversity(lm_lpips *lpips, const lm_image_source *source,
                                     int64_t count, bool within_class, uint64_t seed,
                                     const lm_metric_hook *hook,
                                     lm_lpips_diversity *diversity);

#endif
