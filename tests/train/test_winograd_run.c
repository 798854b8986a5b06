/* Whole training runs with Winograd convolutions and without end at the same loss: the
 * difference is small beside what another seed makes. */
#include "testing.h"

#include "scratch.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>

enum { STEPS = 40, LAST = 10, SEEDS = 3 };

/* The mean over the last steps, since every step has images and noise of its own. */
static void add_loss(void *user, const lm_progress *progress) {
    double *loss = user;
    if (!progress->event && progress->step > STEPS - LAST) *loss += progress->loss / LAST;
}

/* Wide enough for Winograd to be the rule, images of 14x14 and 7x7 pixels. */
static double train(uint64_t seed, const char *winograd) {
    const char *const settings[] = {"base=16", "mult=1,2", "blocks=1", "groups=4",
                                    "batch=8", "warmup=5", winograd};
    double loss = 0;
    char name[64];
    snprintf(name, sizeof name, "%s-%d", winograd, (int)seed);
    lm_train_result result;
    lm_train_request request = {.family = "ddpm",
                                .data = "builtin:digits",
                                .preset = "tiny",
                                .out = scratch(name),
                                .assignments = settings,
                                .n_assignments = sizeof settings / sizeof *settings,
                                .limits = {.steps = STEPS},
                                .seed = seed,
                                .seed_given = true,
                                .save_every = 1000,
                                .snapshot_every = 1000,
                                .snapshot_count = 1,
                                .snapshot_steps = 1,
                                .hooks = {.user = &loss, .progress = add_loss}};
    CHECK_OK(lm_train(&request, &result));
    assert_int_equal(result.new_steps, STEPS);
    return loss;
}

static void same_loss_with_and_without(void **state) {
    double low = INFINITY, high = -INFINITY, apart = 0;
    int differ = 0; /* in some seed, else the switch does nothing */
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double on = train(seed, "engine.winograd=on");
        double off = train(seed, "engine.winograd=off");
        print_message("# seed %d: loss %.6f with, %.6f without\n", (int)seed, on, off);
        differ += on != off;
        apart = fmax(apart, fabs(on - off));
        low = fmin(low, off);
        high = fmax(high, off);
    }
    assert_true(differ > 0);
    print_message("# %.2g apart, seeds %.2g\n", apart, high - low);
    assert_true(high < 0.9); /* it has learned: 1 is the loss of predicting nothing */
    assert_true(apart < 0.1 * (high - low));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_loss_with_and_without)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
