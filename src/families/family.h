/* The contract between a model family and everything else. The trainer, checkpoints,
 * snapshots, sampling and reports are written once, against this; a new family is a new
 * table here and its graphs. */
#ifndef LIMN_FAMILIES_FAMILY_H
#define LIMN_FAMILIES_FAMILY_H

#include "base/options.h"
#include "families/symptom.h"
#include "nn/nn.h"

#include <jansson.h>

typedef struct lm_family lm_family;
typedef struct lm_model lm_model;

#define LM_MAX_GROUPS 4
#define LM_MAX_PHASES 4

/* What a model needs to know of the data. Pixels reach phases as u8. */
typedef struct lm_image_info {
    int height, width, channels, classes;
} lm_image_info;

typedef struct lm_preset {
    const char *name;
    const char *settings; /* "base=64 mult=1,2,2 lr=2e-4", family and trainer keys */
    const char *help;
    lm_image_info info; /* of the data that it is made for; others may fit too */
    int64_t steps;      /* that it is made for; 0: any number */
} lm_preset;

/* What a family that classifies makes of images. */
typedef struct lm_class_nodes {
    lm_node *features; /* f32[N,D]: what its last layer sees */
    lm_node *logits;   /* f32[N,classes] */
} lm_class_nodes;

/* When a phase runs. Phases run in the order of the table, each all its times. */
typedef struct lm_phase_rule {
    int every;   /* it runs in steps 0, every, 2 every, ..; at least 1 */
    int runs;    /* so many times in such a step, each with a batch of its own */
    double rate; /* its learning rate is the trainer's times this */
} lm_phase_rule;

/* A training phase: one program that updates one parameter group. A step of training
 * reads as many batches as the phase with the most runs needs; run r of any phase sees
 * batch r. */
typedef struct lm_phase {
    const char *name; /* "train", "discriminator" */
    int group;        /* index into model->groups: what it updates */
    /* Builds the scalar loss. images: u8[N,H,W,C]; labels: i32[N]; nn->key is the random
     * key, which differs from run to run; phases choose different streams. A label of -1
     * is none. Further scalars to log are declared with lm_graph_output. */
    lm_node *(*loss)(const lm_model *model, lm_nn *nn, lm_node *images, lm_node *labels);
    /* False: this model does without the phase. NULL: in every step, once, at the
     * trainer's rate. Some phase must run in every step. */
    bool (*rule)(const lm_model *model, lm_phase_rule *rule);
} lm_phase;

typedef struct lm_sample_request {
    int steps;           /* 0: the family's own */
    bool cut_steps;      /* to as many as there are; `steps` is only a limit */
    double eta;          /* DDIM; negative: the family's own */
    const char *sampler; /* NULL: the family's own */
    bool preview; /* the quickest way will do: `sampler` is the family's to choose */
    int label;    /* class to draw, -1: as told for each image */
    /* Classifier-free guidance (Ho, Salimans 2022) by none + s (class - none): 1 does
     * without, 0: the family's own. Papers that write (1 + w) class - w none mean
     * s = 1 + w. */
    double guidance;
    double truncation; /* of normal states: within +-this, 0: wherever they fall */
    int components; /* of the sampler "mixture", 0: 10; and whether their covariances */
    bool diagonal;  /* are diagonal */
} lm_sample_request;

/* How to sample: a state per image, made from noise, then `n_steps` runs of one program
 * with n_scalars numbers each; 0 where the state says it all, as in a GAN. Pure data;
 * made by family->sampler. */
typedef struct lm_sampler {
    int n_steps, n_scalars;
    float *scalars; /* [n_steps][n_scalars], lm_alloc, owned */
    lm_shape state; /* of one image, without the batch axis */
    char *protocol; /* "ddim steps=50 eta=0 spacing=trailing", owned */
    int nfe;        /* network evaluations per image */
    /* What sample_init draws is moved within +-this, as lm_nn_truncate; 0: it is not. */
    double truncation;
    /* States are draws of a mixture of so many Gaussians, fitted to codes of the training
     * images (train/aggregate.h), not of sample_init; 0: they are not. */
    int components;
    bool diagonal; /* their covariances are */
} lm_sampler;
void lm_sampler_release(lm_sampler *sampler);

/* An upper bound on -log p of an image's bytes as a sum of terms, as chains have it: each
 * asks the network once. Pure data; made by family->bound. */
typedef struct lm_bound {
    int n_terms, n_scalars;
    float *scalars; /* [n_terms][n_scalars], lm_alloc, owned */
    char *protocol; /* "variance=small clip-x0=yes", owned */
} lm_bound;
void lm_bound_release(lm_bound *bound);

/* Something that begins or ends while a run trains, for people. */
enum { LM_NOTICE_TEXT = 400 };
typedef struct lm_notice {
    const char *name; /* "posterior-collapse" */
    bool begins;      /* else it ends */
    char text[LM_NOTICE_TEXT];
} lm_notice;

/* What a family notices of a run by the rows of its log. */
typedef struct lm_family_watch {
    size_t
        size; /* of `memory`, which is the watch's own and zeros before the first row */
    /* row: a JSON object with "step" and what the phases said beside the loss. True: it
     * filled in `notice`. */
    bool (*look)(const lm_model *model, void *memory, const json_t *row,
                 lm_notice *notice);
} lm_family_watch;

/* A unit of a code is active when its mean varies by more over images (Burda, Grosse,
 * Salakhutdinov 2016). */
#define LM_ACTIVE_VARIANCE 0.01

struct lm_family {
    const char *name, *title, *paper;
    const lm_option *options;       /* the model's and objective's settings */
    const lm_preset *presets;       /* ended by name NULL; the first is the default */
    lm_phase phases[LM_MAX_PHASES]; /* ended by loss NULL */
    /* Checks settings against the data and creates groups with their parameters
     * registered. LM_ARG failures name the option. */
    lm_status (*open)(lm_model *model);
    void (*close)(lm_model *model); /* frees model->state; may be NULL */

    /* Images u8[N,H,W,C] to features and logits; NULL when the family cannot. */
    lm_class_nodes (*classify)(const lm_model *model, lm_nn *nn, lm_node *images);

    /* Sampling; NULL when the family cannot. */
    lm_status (*sampler)(const lm_model *model, const lm_sample_request *request,
                         lm_sampler *sampler);
    /* Initial state from noise (nn->key: step 0, first sample index). */
    lm_node *(*sample_init)(const lm_model *model, lm_nn *nn, int batch);
    /* One step: state and scalars f32[n_scalars] to the next state. labels: i32[N], -1:
     * none; NULL unless the model is conditional. nn->key has the step index in its third
     * word. NULL where samplers have no steps. */
    lm_node *(*sample_step)(const lm_model *model, lm_nn *nn, lm_node *state,
                            lm_node *scalars, lm_node *labels);
    /* Final state to images f32[N,H,W,C] in [-1,1]; labels as above. */
    lm_node *(*sample_image)(const lm_model *model, lm_nn *nn, lm_node *state,
                             lm_node *labels);

    /* Images u8[N,H,W,C] to states that sample_image makes them of again, as well as it
     * can; labels as above. With nn->key, where codes have a distribution, a draw of it;
     * else its mean. NULL when the family cannot. */
    lm_node *(*encode)(const lm_model *model, lm_nn *nn, lm_node *images,
                       lm_node *labels);
    /* KL divergence of each image's code from the prior, f32[N], in nats: what the code
     * costs. labels as above. NULL where codes have no distribution. */
    lm_node *(*divergence)(const lm_model *model, lm_nn *nn, lm_node *images,
                           lm_node *labels);
    /* The logarithms of K importance weights for each image, f32[N,K], in nats: the mean
     * of their exponentials is an estimate, without bias, of the probability of the
     * image's bytes, or a lower bound where a density was dequantised. NULL when the
     * family cannot. */
    lm_node *(*log_weights)(const lm_model *model, lm_nn *nn, lm_node *images,
                            lm_node *labels, int samples);

    /* The terms of the bound; NULL when the family has none. The first should always be
     * looked at; the others change so slowly that a few of them stand for all. */
    lm_status (*bound)(const lm_model *model, lm_bound *bound);
    /* What the network adds to a term of each image, f32[N,H,W,C]: images u8[N,H,W,C],
     * rows f32[N,n_scalars] of the table, labels as above. */
    lm_node *(*bound_guess)(const lm_model *model, lm_nn *nn, lm_node *images,
                            lm_node *rows, lm_node *labels);
    /* A term in nats of one image's bytes, with what the network added to it. */
    double (*bound_term)(const lm_model *model, int term, const uint8_t *image,
                         const float *guess);

    const lm_symptom *symptoms;   /* of its runs; NULL: lm_plain_symptoms */
    const lm_family_watch *watch; /* NULL: it does not */
};

struct lm_model {
    const lm_family *family;
    lm_settings settings; /* of family->options */
    lm_image_info info;
    lm_params *groups[LM_MAX_GROUPS];
    int n_groups;
    lm_params *buffers; /* what phases keep without a gradient (nn.h); NULL: nothing */
    bool conditional;   /* draws images of a class that is asked for; set by open */
    bool binary;        /* of images of two values: probabilities in nats, not bits/dim */
    void *state;        /* the family's own */
};

/* All families, ended by NULL; by name (LM_NOT_FOUND names the nearest). */
extern const lm_family *const lm_families[];
lm_status lm_family_find(const char *name, const lm_family **family);
lm_status lm_preset_find(const lm_family *family, const char *name,
                         const lm_preset **preset);

/* Takes over `settings` (released with the model, also on failure). */
lm_status lm_model_open(const lm_family *family, lm_settings *settings,
                        const lm_image_info *info, lm_model **model);
void lm_model_close(lm_model *model);

/* For open: parameters come to exist when layers ask for them, so `build` makes the whole
 * network once, from inputs of one image, in a graph that is thrown away. Without groups
 * so far the model gets one, "model", which is the builder's. */
lm_status lm_model_register(lm_model *model,
                            void (*build)(const lm_model *model, lm_nn *nn));
/* The inputs of such a network: images of the model's size, and one label. */
lm_node *lm_model_input(const lm_model *model, lm_nn *nn, const char *name,
                        lm_dtype dtype);
lm_node *lm_model_label(lm_nn *nn);

int64_t lm_model_parameters(const lm_model *model);

#endif
