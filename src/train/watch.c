#include "train/watch.h"

#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Values by which a past is known, and over which share of it a level is taken. */
#define ENOUGH 32
#define MEMORY 0.25
/* How far a value pulls at most, and how far out it is beyond all scatter: in mean
 * absolute deviations from the level. */
#define PULL    3
#define BEYOND  4
#define AGAINST 2
/* What has been told is over when as much speaks against it as this many times what it
 * took to tell it: it should not come and go. */
#define HOLD       8
#define PATIENCE   0.01               /* of all steps */
#define MOST_STEPS 9007199254740992.0 /* 2^53 */

/* What is kept of a sign and of a symptom; doubles only, as they are saved. */
typedef struct sign_past {
    double count, level, scatter;
    double sum; /* of the values since the symptom began to be seen, */
    double bad; /* so many */
} sign_past;
typedef struct symptom_course {
    sign_past signs[LM_MAX_SIGNS];
    double steps;  /* in which its values were seen */
    double weight; /* the cumulative sum */
    double began, told;
} symptom_course;
enum { NUMBERS = sizeof(symptom_course) / sizeof(double) };

/* A value of the step under way. */
typedef struct sight {
    bool seen;
    double value;
} sight;

struct lm_watch {
    const lm_symptom *symptoms;
    int count;
    symptom_course courses[LM_MAX_SYMPTOMS];
    sight of[LM_MAX_SYMPTOMS][LM_MAX_SIGNS], per[LM_MAX_SYMPTOMS][LM_MAX_SIGNS];
};

lm_status lm_watch_new(const lm_symptom *symptoms, lm_watch **watch) {
    int count = 0;
    while (symptoms[count].name)
        LM_RETURN_IF(++count > LM_MAX_SYMPTOMS, LM_ARG, "more than %d symptoms",
                     LM_MAX_SYMPTOMS);
    lm_watch *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->symptoms = symptoms;
    made->count = count;
    *watch = made;
    return LM_OK;
}

void lm_watch_free(lm_watch *watch) {
    lm_free(watch);
}

/* ---- a step's values --------------------------------------------------------- */

void lm_watch_see(lm_watch *watch, const char *name, double value) {
    for (int i = 0; i < watch->count; i++)
        for (int s = 0; s < LM_MAX_SIGNS && watch->symptoms[i].signs[s].of; s++) {
            const lm_sign *sign = &watch->symptoms[i].signs[s];
            if (strcmp(sign->of, name) == 0) watch->of[i][s] = (sight){true, value};
            if (sign->per && strcmp(sign->per, name) == 0)
                watch->per[i][s] = (sight){true, value};
        }
}

/* The values of a symptom's signs; false: some have not been seen. */
static bool find_values(const lm_watch *watch, int index, double values[LM_MAX_SIGNS]) {
    const lm_symptom *symptom = &watch->symptoms[index];
    for (int s = 0; s < LM_MAX_SIGNS && symptom->signs[s].of; s++) {
        const sight *of = &watch->of[index][s], *per = &watch->per[index][s];
        bool ratio = symptom->signs[s].per != NULL;
        if (!of->seen || (ratio && !per->seen)) return false;
        values[s] = ratio ? of->value / per->value : of->value;
    }
    return true;
}

/* ---- the past ---------------------------------------------------------------- */

static bool is_bad(const lm_sign *sign, const sign_past *past, double value) {
    if (!isfinite(value)) return sign->side == LM_ABOVE;
    double limit = sign->limit, level = past->level;
    if (sign->past != 0) {
        if (past->count < ENOUGH || (sign->side == LM_BELOW && level < sign->from))
            return false;
        double rise = fmax((sign->past - 1) * fabs(level), BEYOND * past->scatter);
        limit = sign->side == LM_BELOW ? fmin(limit, sign->past * level)
                                       : fmax(limit, level + rise);
    }
    return sign->side == LM_BELOW ? value < limit : value > limit;
}

/* Values pull at the level as far as PULL scatters; the first few, before there is a
 * scatter, as far as they like. */
static void remember(sign_past *past, double value) {
    if (!isfinite(value)) return;
    past->count++;
    double memory = fmax(ENOUGH, MEMORY * past->count);
    double rate = 1 / fmin(past->count, memory);
    double most = past->count > ENOUGH / 4 ? PULL * past->scatter : 0;
    double off = value - past->level;
    if (most > 0) off = fmax(fmin(off, most), -most);
    past->level += rate * off;
    past->scatter += rate * (fabs(off) - past->scatter);
}

/* ---- a symptom --------------------------------------------------------------- */

static double patience(const lm_symptom *symptom, const symptom_course *course) {
    return fmax(symptom->patience, PATIENCE * course->steps);
}

static void count_for(symptom_course *course, int64_t step, double most,
                      const double values[LM_MAX_SIGNS]) {
    if (course->weight == 0) {
        course->began = (double)step;
        for (int s = 0; s < LM_MAX_SIGNS; s++)
            course->signs[s].sum = course->signs[s].bad = 0;
    }
    course->weight = fmin(course->weight + 1, most);
    for (int s = 0; s < LM_MAX_SIGNS; s++) {
        if (!isfinite(values[s])) continue;
        course->signs[s].sum += values[s];
        course->signs[s].bad++;
    }
}

static void count_against(symptom_course *course, const double values[LM_MAX_SIGNS]) {
    course->weight = fmax(course->weight - AGAINST, 0);
    for (int s = 0; s < LM_MAX_SIGNS; s++) remember(&course->signs[s], values[s]);
}

static bool all_bad(const lm_symptom *symptom, const symptom_course *course,
                    const double values[LM_MAX_SIGNS]) {
    for (int s = 0; s < LM_MAX_SIGNS && symptom->signs[s].of; s++)
        if (!is_bad(&symptom->signs[s], &course->signs[s], values[s])) return false;
    return true;
}

/* "diversity / real_diversity 0.31 (before: 0.98), .." */
static void describe_signs(const lm_symptom *symptom, const symptom_course *course,
                           char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int s = 0; s < LM_MAX_SIGNS && symptom->signs[s].of && used < size; s++) {
        const lm_sign *sign = &symptom->signs[s];
        const sign_past *past = &course->signs[s];
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s%s%s %.3g", s ? ", " : "",
                             sign->of, sign->per ? " / " : "", sign->per ? sign->per : "",
                             past->bad > 0 ? past->sum / past->bad : INFINITY);
        if (past->count >= ENOUGH && used < size)
            used += (size_t)snprintf(text + used, size - used, " (before: %.3g)",
                                     past->level);
    }
}

static void describe(const lm_symptom *symptom, const symptom_course *course,
                     lm_watch_event *event) {
    *event = (lm_watch_event){.symptom = symptom,
                              .began = (int64_t)course->began,
                              .notice = {symptom->name, course->told != 0, ""}};
    char *text = event->notice.text, signs[LM_NOTICE_TEXT / 2];
    if (!event->notice.begins) {
        snprintf(text, LM_NOTICE_TEXT, "%s, since step %" PRId64 ", is over",
                 symptom->name, event->began);
        return;
    }
    describe_signs(symptom, course, signs, sizeof signs);
    snprintf(text, LM_NOTICE_TEXT, "%s since step %" PRId64 ": %s; %s; try: %s",
             symptom->name, event->began, symptom->what, signs, symptom->advice);
}

/* Whether it has begun or ended. */
static bool judge(const lm_symptom *symptom, symptom_course *course, int64_t step,
                  const double values[LM_MAX_SIGNS]) {
    double enough = patience(symptom, course);
    bool told = course->told != 0;
    course->steps++;
    if (all_bad(symptom, course, values))
        count_for(course, step, told ? HOLD * enough : enough, values);
    else
        count_against(course, values);
    course->told = told ? course->weight > 0 : course->weight >= enough;
    if (!told && course->told) course->weight *= HOLD;
    return told != (course->told != 0);
}

/* Whether another symptom of the name is there: one word is said once. */
static bool is_known(const lm_watch *watch, int index) {
    for (int i = 0; i < watch->count; i++)
        if (i != index && watch->courses[i].told != 0 &&
            strcmp(watch->symptoms[i].name, watch->symptoms[index].name) == 0)
            return true;
    return false;
}

int lm_watch_step(lm_watch *watch, int64_t step, lm_watch_event events[LM_MAX_SYMPTOMS]) {
    int count = 0;
    for (int i = 0; i < watch->count; i++) {
        double values[LM_MAX_SIGNS] = {0};
        if (find_values(watch, i, values) &&
            judge(&watch->symptoms[i], &watch->courses[i], step, values) &&
            !is_known(watch, i))
            describe(&watch->symptoms[i], &watch->courses[i], &events[count++]);
    }
    memset(watch->of, 0, sizeof watch->of);
    memset(watch->per, 0, sizeof watch->per);
    return count;
}

bool lm_watch_is_calm(const lm_watch *watch) {
    for (int i = 0; i < watch->count; i++)
        if (watch->courses[i].weight > 0) return false;
    return true;
}

/* ---- saving ------------------------------------------------------------------ */

int lm_watch_size(const lm_watch *watch) {
    return watch->count * NUMBERS;
}

void lm_watch_save(const lm_watch *watch, double *state) {
    memcpy(state, watch->courses, sizeof(symptom_course) * (size_t)watch->count);
}

lm_status lm_watch_load(lm_watch *watch, const double *state) {
    for (int i = 0; i < lm_watch_size(watch); i++)
        LM_RETURN_IF(!(fabs(state[i]) < MOST_STEPS * MOST_STEPS), LM_FORMAT,
                     "watch: %g cannot be part of its state", state[i]);
    symptom_course read[LM_MAX_SYMPTOMS];
    memcpy(read, state, sizeof(symptom_course) * (size_t)watch->count);
    for (int i = 0; i < watch->count; i++)
        LM_RETURN_IF(!(read[i].began >= 0 && read[i].began < MOST_STEPS), LM_FORMAT,
                     "watch: step %g cannot be part of its state", read[i].began);
    memcpy(watch->courses, read, sizeof(symptom_course) * (size_t)watch->count);
    return LM_OK;
}
