/* Feature extractors: from images to the vectors, and perhaps the logits, that metrics
 * compare. What one does to an image before its network sees it is part of its identity,
 * since numbers of two conventions must not be compared. */
#ifndef LIMN_EVAL_EXTRACTOR_H
#define LIMN_EVAL_EXTRACTOR_H

#include "base/str.h"
#include "eval/source.h"
#include "metrics/hook.h"

typedef struct lm_extractor lm_extractor;
struct lm_extractor {
    char *id;      /* "judge:digits", "pixels"; owned, as all text here */
    char *weights; /* SHA-256 of its weights in hexadecimal digits, "" none */
    char *input;   /* how an image becomes its input: "28x28x1, bicubic, grey by luma" */
    int dim;       /* features of an image */
    int classes;   /* of its logits, 0: it has none */
    const char *const *class_names; /* [classes]; NULL: numbers */
    int batch;                      /* images that it likes to have at once */
    /* count images of u8[h][w][c] to features f32[count][dim] and logits
     * f32[count][classes]; either may be NULL. Any size; c is 1 or 3. */
    lm_status (*extract)(lm_extractor *extractor, const uint8_t *pixels, int64_t count,
                         int height, int width, int channels, float *features,
                         float *logits);
    void (*release)(lm_extractor *extractor); /* of `state`; may be NULL */
    void *state;
};

/* NAME or NAME:ARGUMENT, one of a table of extractors (extractor.c). `source` says for
 * which images; an extractor that cannot judge those is LM_MISMATCH. LM_NOT_FOUND names
 * the nearest. */
lm_status lm_extractor_open(const char *spec, const lm_image_source *source,
                            lm_extractor **extractor);
void lm_extractor_free(lm_extractor *extractor);

/* Appends a line of all that must be equal for features to be comparable: "judge;
 * 28x28x1,
 * ..; weights 3310..". Weights say more than their name, which anyone may change. */
void lm_extractor_describe(const lm_extractor *extractor, lm_str *line);

/* A way of extraction: one file and one row in extractor.c. */
typedef struct lm_extractor_kind {
    const char *name, *help;
    /* argument: what stands after ":", NULL without. Fills a zeroed extractor, of which
     * lm_extractor_free takes what is there, also on failure. */
    lm_status (*open)(const char *argument, const lm_image_source *source,
                      lm_extractor *extractor);
} lm_extractor_kind;
extern const lm_extractor_kind lm_inception_extractor, lm_judge_extractor;
extern const lm_extractor_kind lm_pixels_extractor, lm_vgg16_extractor;
extern const lm_extractor_kind *const lm_extractor_kinds[]; /* ended by NULL */

/* What was extracted of `count` images. */
typedef struct lm_features {
    int64_t count;
    int dim, classes;
    float *x;        /* [count][dim] */
    float *logits;   /* [count][classes]; NULL: the extractor has none */
    int32_t *labels; /* [count], of the source; -1: none */
} lm_features;

/* Of a source's images first .. first + count - 1, batch by batch. hook may be NULL. */
lm_status lm_features_extract(lm_extractor *extractor, const lm_image_source *source,
                              int64_t first, int64_t count, const lm_metric_hook *hook,
                              lm_features *features);
void lm_features_release(lm_features *features);

#endif
