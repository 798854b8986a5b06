/* Looks out for what goes wrong in training: a symptom (families/symptom.h) is there when
 * all its signs are seen in most steps for a while, and it began where that while did.
 *
 * Each step counts for a symptom (+1) or against it (-2, not below 0): a cumulative sum
 * of signs (Page 1954), which one wild step moves no more than any other. Its last zero
 * is where the change began; at patience, or 1 % of all steps if that is more, it is
 * told. A sign's past is a level and a scatter, estimated step by step with bounded
 * influence (Huber 1964), by the steps in which the symptom is not seen. */
#ifndef LIMN_TRAIN_WATCH_H
#define LIMN_TRAIN_WATCH_H

#include "families/family.h"
#include "families/symptom.h"

typedef struct lm_watch lm_watch;

/* Borrows the table. LM_ARG when it is longer than LM_MAX_SYMPTOMS. */
lm_status lm_watch_new(const lm_symptom *symptoms, lm_watch **watch);
void lm_watch_free(lm_watch *watch);

/* A value of the step under way, by its name in the log; most names are of no concern.
 * What is not finite is on the bad side of any sign above, and of none below. */
void lm_watch_see(lm_watch *watch, const char *name, double value);

/* The notice's name is the symptom's; its text says since when, what was seen, and what
 * to try: "collapse since step 700: generated images have become alike; diversity /
 * real_diversity 0.31 (before: 0.98); try: lower ..". */
typedef struct lm_watch_event {
    const lm_symptom *symptom;
    int64_t began; /* first step of it */
    lm_notice notice;
} lm_watch_event;

/* Ends the step: `step` of them have been made. Symptoms of which none of the values was
 * seen are left as they were. Returns the number of events. */
int lm_watch_step(lm_watch *watch, int64_t step, lm_watch_event events[LM_MAX_SYMPTOMS]);

/* Whether no symptom is suspected, let alone there: the step is one to go back to. */
bool lm_watch_is_calm(const lm_watch *watch);

/* All that it knows, lm_watch_size numbers, so that another one of the same table goes on
 * from there. What cannot be a state is LM_FORMAT and leaves the watch as it was. */
int lm_watch_size(const lm_watch *watch);
void lm_watch_save(const lm_watch *watch, double *state);
lm_status lm_watch_load(lm_watch *watch, const double *state);

#endif
