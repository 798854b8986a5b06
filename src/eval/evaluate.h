/* The one evaluator: what images are worth against a set, for every family and for images
 * from elsewhere. A number comes with the protocol that it was made by, an error where
 * one can be had, and a floor: the same number for real images of the set's other
 * split, which no generator can be asked to beat. */
#ifndef LIMN_EVAL_EVALUATE_H
#define LIMN_EVAL_EVALUATE_H

#include "eval/cache.h"
#include "eval/extractor.h"
#include "metrics/pixel_metrics.h"

/* Images, in random order, and what is said of them beside the numbers. Texts are
 * borrowed; NULL: does not apply. */
typedef struct lm_eval_side {
    const lm_image_source *source; /* NULL: there are none */
    const char *spec;              /* "mnist", "runs/a": for people */
    const char *split;             /* "train" */
    int64_t available;             /* images that the source's were drawn from, */
    uint64_t seed;                 /* and by which seed, */
    bool shuffled;                 /* in an order of its own; else as they come */
    uint64_t hash;                 /* of all that are available; 0: is not known */
    const char *resize;            /* by which rule they came to their size */
    const char *quantisation;      /* by which rule they became bytes */
    /* Of a model's samples: */
    const char *weights; /* "ema" */
    int64_t step;        /* of the checkpoint */
    const char *sampler; /* "ddim steps=50 eta=0" */
    int steps, nfe;      /* network evaluations an image */
} lm_eval_side;

/* A side of images of a set: `n` of them (0, or more than there are: all; an endless set
 * needs a number), in the order that `seed` draws. `from` is what the side points to, and
 * must stay where it is. */
lm_status lm_eval_side_of_set(const lm_dataset *set, int64_t n, uint64_t seed,
                              const char *spec, lm_set_source *from, lm_eval_side *side);

/* What a model with a likelihood offers: bits/dim or nats of an image, with their mean
 * and its standard error. */
typedef struct lm_eval_likelihood {
    const char *unit; /* "bits/dim, variational bound" */
    lm_status (*measure)(void *user, const lm_image_source *images,
                         const lm_metric_hook *hook, double *mean, double *error);
    void *user;
} lm_eval_likelihood;

/* What a model's codes say of images: errors of what they are decoded to, and, where they
 * have a posterior, its divergence from the prior in nats and how many units are active
 * (LM_ACTIVE_VARIANCE). */
typedef struct lm_eval_coding_numbers {
    lm_pixel_summary pixels;
    lm_estimate kl;
    int64_t active, units;
} lm_eval_coding_numbers;

typedef struct lm_eval_coding {
    bool has_posterior;
    lm_status (*measure)(void *user, const lm_image_source *images,
                         const lm_metric_hook *hook, lm_eval_coding_numbers *numbers);
    void *user;
} lm_eval_coding;

typedef struct lm_eval_spec {
    const char *extractor; /* NULL: the standard one for these images */
    const char *lpips;     /* NULL: "vgg" where its weights are found; "": none */
    const char *metrics;   /* "fid,kid"; NULL: all that apply */
    bool against_test;     /* the reference is the test side */
    bool floor;
    int k;                  /* of precision and recall, density and coverage */
    bool closed;            /* what lies on a ball's surface is within: d <= radius */
    int splits;             /* of the inception score */
    int subsets;            /* of KID; 0: all pairs of images at once */
    int subset_size;        /* images of each */
    uint64_t seed;          /* of subsets and splits */
    const char *sheet;      /* PNG to write: images and their neighbours; NULL: none */
    const char *stats;      /* .npz with mu and sigma that is the reference; NULL: none */
    const char *save_stats; /* the same of what is judged, to write; NULL: none */
    /* What images look like when there are no real ones; else NULL. */
    const lm_image_source *like;
    const lm_cache *cache; /* of the two real sides and floors; NULL: none */
} lm_eval_spec;
/* k 5, closed, 10 splits, no subsets of KID, seed 0, with floors. */
lm_eval_spec lm_eval_spec_default(void);

/* Called now and then: what is being done ("fid", "features of the reference"), and the
 * share of that which is. False ends the evaluation with LM_INTERRUPTED. */
typedef struct lm_eval_hook {
    bool (*call)(void *user, const char *what, double share); /* NULL: nobody asks */
    void *user;
} lm_eval_hook;

typedef struct lm_eval_metric lm_eval_metric; /* metric.h */
enum { LM_EVAL_NOTE = 128 };
typedef struct lm_eval_result {
    const lm_eval_metric *metric;
    double value;
    double error;              /* a standard error; NAN: none */
    const char *error_from;    /* "jackknife"; "": none */
    double floor, floor_error; /* the same of real images; NAN: none */
    int64_t floor_n;           /* of which there were so many */
    int64_t n;                 /* images that were judged */
    char note[LM_EVAL_NOTE];   /* what the number says, in a few words; "": nothing */
    json_t *protocol;          /* flat; protocol.h says what is in it */
    json_t *detail;            /* tables: of classes, neighbours, ..; NULL: none */
} lm_eval_result;

typedef struct lm_evaluation {
    lm_eval_result *results;
    int count;
    char **warnings; /* sentences for people */
    int n_warnings;
    json_t *skipped; /* [{"metric": .., "why": ..}]: left out unasked */
    double seconds;
} lm_evaluation;
void lm_evaluation_release(lm_evaluation *evaluation);
/* By the metric's name; NULL: not measured. */
const lm_eval_result *lm_evaluation_find(const lm_evaluation *evaluation,
                                         const char *metric);

/* Real images, with what was worked out of them: made once, it judges any number of
 * sides. For use by one thread. `train` and `test` may lack a source; what needs them is
 * then not measured. The reference is spec->stats, else one of the two. All sources have
 * images of one shape. LM_ARG names the option; an unknown metric, the nearest. What the
 * arguments point to must outlive the evaluator. */
typedef struct lm_evaluator lm_evaluator;
lm_status lm_evaluator_new(const lm_eval_spec *spec, const lm_eval_side *train,
                           const lm_eval_side *test, lm_evaluator **evaluator);
void lm_evaluator_free(lm_evaluator *evaluator);

/* What is to be judged. */
typedef struct lm_eval_subject {
    lm_eval_side generated;
    lm_eval_side pairs; /* image i belongs to generated image i; no source: none */
    const lm_eval_likelihood *likelihood; /* NULL: none */
    const lm_eval_coding *coding;         /* NULL: none */
} lm_eval_subject;

/* On failure there is nothing to release. A metric that was asked for by name and does
 * not apply is LM_ARG and says why. */
lm_status lm_evaluator_run(lm_evaluator *evaluator, const lm_eval_subject *subject,
                           const lm_eval_hook *hook, lm_evaluation *evaluation);

#endif
