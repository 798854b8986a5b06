/* What is told of series of numbers, and what is not: drawn ones, of which the truth is
 * known. */
#include "testing.h"

#include "base/mem.h"
#include "tensor/philox.h"
#include "train/watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A step's values of a pair of networks, and how it goes wrong. */
typedef struct step_values {
    double diversity, r_t, accuracy, grad_norm, loss;
} step_values;

/* As runs go: D knows everything at first, images become different, norms drift, and each
 * number scatters, norms with heavy tails. */
static step_values draw_healthy(uint32_t seed, int step) {
    double early = exp(-step / 150.0), n[5];
    lm_rng rng = {.seed = seed, .step = (uint32_t)step};
    for (int i = 0; i < 5; i++) n[i] = lm_rng_normal(&rng);
    double tail = fabs(n[3]) > 2.5 ? 4 : 0;
    return (step_values){.diversity = 1 - 0.8 * early + 0.035 * n[0],
                         .r_t = fmin(1, 0.5 + 0.7 * early + 0.15 * n[1]),
                         .accuracy = fmin(1, 0.75 + 0.25 * early + 0.04 * n[2]),
                         .grad_norm = (5 + 10 * early) * exp(0.5 * n[3] + tail),
                         .loss = 0.95 + 2 * early + 0.2 * n[4]};
}

static void see(lm_watch *watch, const step_values *v) {
    lm_watch_see(watch, "diversity", 0.45 * v->diversity);
    lm_watch_see(watch, "real_diversity", 0.45);
    lm_watch_see(watch, "r_t", v->r_t);
    lm_watch_see(watch, "accuracy", v->accuracy);
    lm_watch_see(watch, "generator_grad_norm", v->grad_norm);
    lm_watch_see(watch, "generator_loss", v->loss);
    lm_watch_see(watch, "unheard", 1e9);
}

/* How a run of `steps` goes on from step `at`, and what is told first. */
typedef struct scenario {
    int steps, at;
    void (*spoil)(step_values *values, int since);
} scenario;
typedef struct outcome {
    int count, step; /* events, and the step of the first */
    lm_watch_event first;
} outcome;

static outcome watch_run(uint32_t seed, const scenario *s) {
    lm_watch *watch;
    lm_watch_event events[LM_MAX_SYMPTOMS];
    outcome told = {0};
    CHECK_OK(lm_watch_new(lm_adversarial_symptoms, &watch));
    for (int step = 1; step <= s->steps; step++) {
        step_values values = draw_healthy(seed, step);
        if (s->spoil && step >= s->at) s->spoil(&values, step - s->at);
        see(watch, &values);
        int count = lm_watch_step(watch, step, events);
        if (count && !told.count) {
            told.step = step;
            told.first = events[0];
        }
        told.count += count;
    }
    lm_watch_free(watch);
    return told;
}

static void healthy_runs_raise_no_alarm(void **state) {
    for (uint32_t seed = 0; seed < 20; seed++) {
        outcome told = watch_run(seed, &(scenario){.steps = 5000});
        if (told.count)
            fail_msg("seed %u, step %d: %s, %s", seed, told.step,
                     told.first.symptom->name, told.first.notice.text);
    }
}

static void grow_alike(step_values *values, int since) {
    values->diversity *= 0.55;
}
static void fall_behind(step_values *values, int since) {
    values->r_t -= 1.2;
    values->accuracy -= 0.45;
}
static void vanish(step_values *values, int since) {
    values->r_t = 1;
    values->grad_norm *= 1e-3;
}
static void explode(step_values *values, int since) {
    values->loss *= 1 + since * since;
    values->grad_norm *= 1 + 2.0 * since * since;
}
static void become_infinite(step_values *values, int since) {
    values->loss = NAN;
    values->grad_norm = INFINITY;
}

/* Within 2 % of the run, with the step where it began, for short runs and long ones,
 * early and late. */
static void changes_are_told_soon_and_dated(void **state) {
    static const struct {
        void (*spoil)(step_values *values, int since);
        const char *name;
        int slack; /* steps between the change and what can be seen of it */
    } kinds[] = {{grow_alike, "collapse", 2},
                 {fall_behind, "discriminator-lost", 2},
                 {vanish, "discriminator-won", 2},
                 {explode, "blow-up", 12},
                 {become_infinite, "blow-up", 2}};
    static const scenario runs[] = {
        {2000, 600, NULL}, {2000, 1900, NULL}, {8000, 3000, NULL}, {8000, 7600, NULL}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (uint32_t r = 0; r < sizeof runs / sizeof *runs; r++) {
            scenario s = runs[r];
            s.spoil = kinds[k].spoil;
            outcome told = watch_run(100 + r, &s);
            assert_int_not_equal(told.count, 0);
            assert_string_equal(told.first.symptom->name, kinds[k].name);
            assert_in_range(told.first.began, s.at - 1, s.at + kinds[k].slack);
            assert_in_range(told.step, s.at, s.at + s.steps / 50);
        }
}

static void never_different(step_values *values, int since) {
    values->diversity = 0.3;
}

static void what_never_was_well_is_told_too(void **state) {
    outcome told = watch_run(7, &(scenario){1000, 0, never_different});
    assert_int_equal(told.count, 1);
    assert_string_equal(told.first.symptom->name, "collapse");
    assert_int_equal(told.first.began, 1);
    assert_non_null(strstr(told.first.notice.text, "diversity / real_diversity 0.3"));
}

/* Any one step may be as wild as it likes. */
static void be_wild_at_times(step_values *values, int since) {
    if (since % 25 == 0) *values = (step_values){0.01, -1, 0, 1e9, 1e9};
    if (since % 25 == 9) *values = (step_values){NAN, NAN, NAN, NAN, NAN};
}

static void single_steps_do_not_matter(void **state) {
    for (uint32_t seed = 0; seed < 5; seed++)
        assert_int_equal(watch_run(seed, &(scenario){3000, 50, be_wild_at_times}).count,
                         0);
}

/* ---- recorded series --------------------------------------------------------- */

/* A file of tests/golden/make_watch.py; the steps that it has, and what is told first. */
static outcome watch_recorded(const char *name, int *steps) {
    char path[512], line[512], *names[8];
    const char *root = getenv("LIMN_TEST_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/watch_%s.csv", root ? root : ".", name);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s: cannot be read", path);
    char head[512];
    assert_non_null(fgets(head, sizeof head, file));
    int n = 0;
    for (char *at = strtok(head, ",\n"); at && n < 8; at = strtok(NULL, ",\n"))
        names[n++] = at;
    lm_watch *watch;
    lm_watch_event events[LM_MAX_SYMPTOMS];
    outcome told = {0};
    CHECK_OK(lm_watch_new(lm_adversarial_symptoms, &watch));
    for (*steps = 0; fgets(line, sizeof line, file);) {
        char *at = line;
        for (int i = 0; i < n; i++, at++) lm_watch_see(watch, names[i], strtod(at, &at));
        int count = lm_watch_step(watch, ++*steps, events);
        if (count && !told.count) {
            told.step = *steps;
            told.first = events[0];
        }
        told.count += count;
    }
    lm_watch_free(watch);
    fclose(file);
    return told;
}

static void recorded_runs_that_went_well(void **state) {
    static const char *const names[] = {"healthy0", "healthy1", "healthy2"};
    int steps;
    for (int i = 0; i < 3; i++) {
        outcome told = watch_recorded(names[i], &steps);
        assert_int_equal(steps, 760);
        if (told.count)
            fail_msg("%s, step %d: %s", names[i], told.step, told.first.notice.text);
    }
}

/* Broken at step 701, of a run that would have had 1500. */
static void a_recorded_collapse(void **state) {
    int steps;
    outcome told = watch_recorded("broken", &steps);
    assert_int_not_equal(told.count, 0);
    assert_string_equal(told.first.symptom->name, "collapse");
    assert_in_range(told.first.began, 701, 720);
    assert_in_range(told.step, 701, 701 + 30);
}

/* ---- one symptom, by hand ---------------------------------------------------- */

static const lm_symptom hot[] = {
    {"hot",
     {{"t", NULL, LM_ABOVE, 30, 0, 0}, {"p", NULL, LM_ABOVE, 1, 0, 0}},
     5,
     "it is hot",
     "open a window"},
    {0}};

static int feed(lm_watch *watch, int64_t *step, int times, double t, double p,
                lm_watch_event *event) {
    lm_watch_event events[LM_MAX_SYMPTOMS];
    int count = 0;
    for (int i = 0; i < times; i++) {
        lm_watch_see(watch, "t", t);
        if (p >= 0) lm_watch_see(watch, "p", p);
        int now = lm_watch_step(watch, ++*step, events);
        if (now) *event = events[0];
        count += now;
    }
    return count;
}

static void a_symptom_comes_and_goes(void **state) {
    lm_watch *watch;
    lm_watch_event event;
    int64_t step = 0;
    CHECK_OK(lm_watch_new(hot, &watch));
    assert_int_equal(feed(watch, &step, 10, 35, 0.5, &event), 0); /* one sign only */
    assert_int_equal(feed(watch, &step, 10, 35, -1, &event), 0);  /* one is not seen */
    assert_true(lm_watch_is_calm(watch));
    assert_int_equal(feed(watch, &step, 4, 35, 2, &event), 0);
    assert_false(lm_watch_is_calm(watch));
    assert_int_equal(feed(watch, &step, 10, 20, -1, &event), 0); /* neither for nor */
    assert_int_equal(feed(watch, &step, 1, 37, 2, &event), 1);   /* against it */
    assert_true(event.notice.begins);
    assert_int_equal(event.began, 21);
    assert_string_equal(event.notice.text,
                        "hot since step 21: it is hot; t 35.4, p 2; try: open a window");
    assert_int_equal(feed(watch, &step, 100, 35, 2, &event), 0); /* told once */
    assert_int_equal(feed(watch, &step, 19, 20, 2, &event), 0);  /* 8 times 5, by twos */
    assert_int_equal(feed(watch, &step, 1, 20, 2, &event), 1);
    assert_false(event.notice.begins);
    assert_string_equal(event.notice.text, "hot, since step 21, is over");
    assert_true(lm_watch_is_calm(watch));
    lm_watch_free(watch);
}

/* Two symptoms of one name, one within the other. */
static void a_name_is_told_once(void **state) {
    static const lm_symptom both[] = {
        {"hot", {{"t", NULL, LM_ABOVE, 30, 0, 0}}, 5, "it is hot", "open a window"},
        {"hot", {{"p", NULL, LM_ABOVE, 1, 0, 0}}, 5, "it cooks", "take it off"},
        {0}};
    lm_watch *watch;
    lm_watch_event event;
    int64_t step = 0;
    CHECK_OK(lm_watch_new(both, &watch));
    assert_int_equal(feed(watch, &step, 5, 35, 0, &event), 1);
    assert_string_equal(event.symptom->what, "it is hot");
    assert_int_equal(feed(watch, &step, 5, 35, 2, &event), 0);
    assert_int_equal(feed(watch, &step, 100, 20, 2, &event), 0);
    assert_int_equal(feed(watch, &step, 100, 20, 0, &event), 1);
    assert_false(event.notice.begins);
    assert_string_equal(event.symptom->what, "it cooks");
    lm_watch_free(watch);
}

static void the_past_is_said(void **state) {
    static const lm_symptom rising[] = {
        {"rising", {{"t", NULL, LM_ABOVE, -INFINITY, 10, 0}}, 5, "it rises", "nothing"},
        {0}};
    lm_watch *watch;
    lm_watch_event event;
    int64_t step = 0;
    CHECK_OK(lm_watch_new(rising, &watch));
    assert_int_equal(feed(watch, &step, 20, 1, 0, &event), 0);
    assert_int_equal(feed(watch, &step, 8, 100, 0, &event), 0); /* too early to know */
    assert_int_equal(feed(watch, &step, 400, -2, 0, &event), 0);
    assert_int_equal(feed(watch, &step, 20, 10, 0, &event), 0); /* -2 + 9 * 2 */
    assert_int_equal(feed(watch, &step, 20, 40, 0, &event), 1);
    assert_int_equal(event.began, 449);
    assert_non_null(strstr(event.notice.text, "t 40 (before: -"));
    lm_watch_free(watch);
}

/* ---- state ------------------------------------------------------------------- */

static void another_watch_goes_on(void **state) {
    lm_watch *watch, *other;
    lm_watch_event events[LM_MAX_SYMPTOMS], others[LM_MAX_SYMPTOMS];
    CHECK_OK(lm_watch_new(lm_adversarial_symptoms, &watch));
    int size = lm_watch_size(watch), told = 0;
    double *saved = lm_alloc(sizeof *saved * (size_t)size);
    assert_non_null(saved);
    for (int step = 1; step <= 700; step++) {
        CHECK_OK(lm_watch_new(lm_adversarial_symptoms, &other));
        lm_watch_save(watch, saved);
        CHECK_OK(lm_watch_load(other, saved));
        step_values values = draw_healthy(5, step);
        if (step > 400 && step < 450) grow_alike(&values, step);
        see(watch, &values);
        see(other, &values);
        int count = lm_watch_step(watch, step, events);
        assert_int_equal(lm_watch_step(other, step, others), count);
        for (int i = 0; i < count; i++) {
            assert_string_equal(events[i].notice.text, others[i].notice.text);
            assert_int_equal(events[i].began, others[i].began);
        }
        told += count;
        lm_watch_free(watch);
        watch = other;
    }
    assert_int_equal(told, 2); /* it came and went */
    lm_watch_free(watch);
    lm_free(saved);
}

static void wrong_state(void **state) {
    lm_watch *watch;
    CHECK_OK(lm_watch_new(hot, &watch));
    int size = lm_watch_size(watch);
    double *saved = lm_calloc((size_t)size, sizeof *saved);
    assert_non_null(saved);
    CHECK_OK(lm_watch_load(watch, saved));
    for (int i = 0; i < size; i++) {
        saved[i] = NAN;
        CHECK_FAILS(lm_watch_load(watch, saved), LM_FORMAT);
        saved[i] = -INFINITY;
        CHECK_FAILS(lm_watch_load(watch, saved), LM_FORMAT);
        saved[i] = 0;
    }
    lm_free(saved);
    lm_mem_fail_at(1, 0);
    lm_watch *none = NULL;
    CHECK_FAILS(lm_watch_new(hot, &none), LM_NOMEM);
    lm_mem_fail_at(0, 0);
    lm_watch_free(watch);
    lm_watch_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_runs_raise_no_alarm),
        cmocka_unit_test(changes_are_told_soon_and_dated),
        cmocka_unit_test(what_never_was_well_is_told_too),
        cmocka_unit_test(single_steps_do_not_matter),
        cmocka_unit_test(recorded_runs_that_went_well),
        cmocka_unit_test(a_recorded_collapse),
        cmocka_unit_test(a_symptom_comes_and_goes),
        cmocka_unit_test(a_name_is_told_once),
        cmocka_unit_test(the_past_is_said),
        cmocka_unit_test(another_watch_goes_on),
        cmocka_unit_test(wrong_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
