/* A metric of the evaluator: a row in metrics.c and the function that it names. The
 * numbers are those of src/metrics; here is said what they are made of. */
#ifndef LIMN_EVAL_METRIC_H
#define LIMN_EVAL_METRIC_H

#include "eval/lpips.h"
#include "eval/part.h"

/* What a metric is made of. It applies where all of that is there, and its protocol says
 * so much of it. */
typedef enum lm_eval_need {
    LM_NEED_FEATURES = 1 << 0,
    LM_NEED_LOGITS = 1 << 1,
    LM_NEED_LABELS = 1 << 2, /* of what is judged, of the extractor's classes */
    LM_NEED_REFERENCE = 1 << 3,
    LM_NEED_IMAGES = 1 << 4, /* of the reference: its statistics do not do */
    LM_NEED_TRAIN = 1 << 5,  /* the training images, whatever the reference is */
    LM_NEED_TEST = 1 << 6,   /* and images that were held out */
    LM_NEED_PAIRS = 1 << 7,
    LM_NEED_LPIPS = 1 << 8,
    LM_NEED_LIKELIHOOD = 1 << 9,
    LM_NEED_CLASSES = 1 << 10,     /* labels of both sides, or a judge's */
    LM_NEED_FEW_CLASSES = 1 << 11, /* a table of all can be read */
    LM_NEED_CODING = 1 << 12,      /* a model that encodes, */
    LM_NEED_POSTERIOR = 1 << 13    /* to a distribution of codes */
} lm_eval_need;

/* Of protocols: what SSIM looks through. */
#define LM_EVAL_SSIM_WINDOW "Gaussian 11x11, sigma 1.5, within the image"

/* What a table of classes can hold. */
enum { LM_EVAL_CLASSES = 200 };

typedef enum lm_eval_better {
    LM_BETTER_LOW,
    LM_BETTER_HIGH,
    LM_BETTER_NEITHER
} lm_eval_better;

/* What one measurement works on. */
typedef struct lm_eval_context {
    const lm_eval_spec *spec;
    lm_extractor *extractor;
    /* NULL: there is none. Parts keep what is worked out of them; `reference` is one of
     * train and test, or has statistics and no images. */
    lm_eval_part *generated, *reference, *train, *test, *pairs;
    lm_lpips *lpips;                      /* NULL: there is none */
    const lm_eval_likelihood *likelihood; /* NULL: there is none */
    const lm_eval_coding *coding;         /* NULL: there is none */
    bool by_labels; /* classes are labels, which both sides have; else the judge's */
    bool is_floor;  /* nobody sees tables, notes and sheets */
    const lm_eval_hook *hook;
    const char *what;      /* is being done, for the hook */
    lm_metric_hook within; /* the hook as src/metrics has it */
} lm_eval_context;

/* Of tables of neighbours: images that are shown, of which the first are those closest
 * to a training image, and how many neighbours of each. */
enum { LM_EVAL_ROWS = 10, LM_EVAL_CLOSEST = 5, LM_EVAL_NEIGHBOURS = 8 };

struct lm_eval_metric {
    const char *name, *help, *paper;
    unsigned needs;
    int quick_dim; /* with more features it takes long, and is made only if asked for by
                    * name; 0: any number is quick */
    lm_eval_better better;
    bool has_floor;
    int digits; /* after the point, for people */
    /* What else it lacks where all that it needs is there, as "fewer than 20 images";
     * NULL: nothing. May itself be NULL. */
    const char *(*hindrance)(const lm_eval_context *context);
    /* Fills value, error, error_from, note and detail, and adds to the protocol what is
     * the metric's own. What it leaves alone is NAN, "", NULL. */
    lm_status (*measure)(lm_eval_context *context, lm_eval_result *result);
};
extern const lm_eval_metric *const lm_eval_metrics[]; /* ended by NULL */

/* Whether a value is better than another of the same metric, which has a better; any
 * number is better than none (NAN). */
bool lm_eval_is_better(const lm_eval_metric *metric, double value, double than);

/* Why a metric cannot be had, as "images have no labels"; NULL: it applies. */
const char *lm_eval_hindrance(const lm_eval_context *context,
                              const lm_eval_metric *metric);

/* Whether it is done in minutes with so many features. */
bool lm_eval_is_quick(const lm_eval_metric *metric, int dim);

/* Those named in "fid,kid", in that order, or all (names NULL) as an array that ends with
 * NULL; lm_free'd by the caller. LM_ARG names the nearest. */
lm_status lm_eval_metrics_find(const char *names, const lm_eval_metric ***metrics);

/* For measure: what is asked of a part, with the hook told so. */
lm_status lm_eval_need_features(lm_eval_context *context, lm_eval_part *part);
lm_status lm_eval_need_predicted(lm_eval_context *context, lm_eval_part *part);
lm_status lm_eval_need_moments(lm_eval_context *context, lm_eval_part *part);
lm_status lm_eval_need_pixels(lm_eval_context *context, lm_eval_part *part);
lm_status lm_eval_need_floats(lm_eval_context *context, lm_eval_part *part);

/* The name of one of the judge's classes, or its number, written into `number`. */
enum { LM_EVAL_NUMBER = 16 };
const char *lm_eval_class_name(const lm_eval_context *context, int class,
                               char number[LM_EVAL_NUMBER]);
/* The same of a class as the reference's labels have it. */
const char *lm_eval_label_name(const lm_eval_context *context, int class,
                               char number[LM_EVAL_NUMBER]);
/* Tells the protocol which LPIPS network it is. */
lm_status lm_eval_name_network(const lm_eval_context *context, lm_eval_result *result);

/* For measures of all pairs, which take as many real images as are judged: how many of
 * the reference's first these are; */
int64_t lm_eval_equal_count(const lm_eval_context *context);
/* and the protocol is told. */
lm_status lm_eval_equal_reference(const lm_eval_context *context, lm_eval_result *result,
                                  int64_t *count);

#endif
