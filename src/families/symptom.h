/* What goes wrong with models in training, as data: signs in what their phases log, and
 * words for people. train/watch.h looks out for them. */
#ifndef LIMN_FAMILIES_SYMPTOM_H
#define LIMN_FAMILIES_SYMPTOM_H

#include <stdbool.h>

typedef enum lm_side { LM_BELOW, LM_ABOVE } lm_side;

/* A value that is logged, and where it is bad: on that side of the limit and, unless
 * `past` is 0, of what it was in the past, times this. Above a level m of any sign that
 * is m + (past - 1) |m|, and beyond all scatter; what is watched from below is positive.
 */
typedef struct lm_sign {
    const char *of;  /* "diversity", as in log.jsonl; NULL: no sign */
    const char *per; /* what it is divided by, of the same step; NULL: nothing */
    lm_side side;
    double limit; /* +-INFINITY: none */
    double past;
    double from; /* it falls only from a past of at least this */
} lm_sign;

#define LM_MAX_SIGNS    2
#define LM_MAX_SYMPTOMS 12

/* All signs of a symptom, in most steps for a while. */
typedef struct lm_symptom {
    const char *name; /* one word for the log: "collapse"; NULL ends a table */
    lm_sign signs[LM_MAX_SIGNS];
    int patience;       /* that many times, or 1 % of all times if that is more */
    const char *what;   /* "generated images have become alike" */
    const char *advice; /* "lower the generator's learning rate" */
} lm_symptom;

/* Of families that train one network by one loss. */
extern const lm_symptom lm_plain_symptoms[];
/* Of networks that play against each other (phases "discriminator", "generator"). */
extern const lm_symptom lm_adversarial_symptoms[];

#endif
