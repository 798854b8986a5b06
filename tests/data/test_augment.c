/* Flips and crops: every choice as often as the others, and exactly what it should be. */
#include "testing.h"

#include "data/data.h"

#include <string.h>

enum { HEIGHT = 5, WIDTH = 7, CHANNELS = 3, SIZE = HEIGHT * WIDTH * CHANNELS };

static uint8_t plain[SIZE];

static int fill_plain(void **state) {
    for (int i = 0; i < SIZE; i++) plain[i] = (uint8_t)(i + 1); /* nothing is black */
    return 0;
}

static void augment(lm_augment how, uint64_t seed, int64_t position, uint8_t *to) {
    memset(to, 0xaa, SIZE);
    lm_augment_image(&how, seed, position, HEIGHT, WIDTH, CHANNELS, plain, to);
}

/* The definition, pixel by pixel. */
static void move(int down, int right, bool flip, uint8_t *to) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < CHANNELS; c++) {
                int v = y - down, u = (flip ? WIDTH - 1 - x : x) - right;
                bool inside = v >= 0 && v < HEIGHT && u >= 0 && u < WIDTH;
                *to++ = inside ? plain[(v * WIDTH + u) * CHANNELS + c] : 0;
            }
}

/* Which of the choices gave the image; each is a different picture. */
static int find_choice(const uint8_t *image, int pad, bool flips) {
    uint8_t want[SIZE];
    int number = 0;
    for (int flip = 0; flip <= flips; flip++)
        for (int down = -pad; down <= pad; down++)
            for (int right = -pad; right <= pad; right++, number++) {
                move(down, right, flip, want);
                if (memcmp(image, want, SIZE) == 0) return number;
            }
    fail_msg("pad %d: no crop of the image", pad);
    return -1;
}

static void check_choices(lm_augment how, int64_t from) {
    enum { PER_CHOICE = 200, MOST = 2 * 81 };
    int side = 2 * how.pad + 1, choices = (how.flip ? 2 : 1) * side * side;
    int found[MOST] = {0};
    uint8_t image[SIZE];
    for (int i = 0; i < choices * PER_CHOICE; i++) {
        augment(how, 5, from + i, image);
        found[find_choice(image, how.pad, how.flip)]++;
    }
    double sum = 0;
    for (int i = 0; i < choices; i++)
        sum += (double)(found[i] - PER_CHOICE) * (found[i] - PER_CHOICE) / PER_CHOICE;
    double freedom = choices - 1;
    if ((sum - freedom) * (sum - freedom) > 25 * 2 * freedom)
        fail_msg("flip %d, pad %d: chi square %g of %g", how.flip, how.pad, sum, freedom);
}

static void every_choice_is_as_likely(void **state) {
    check_choices((lm_augment){.flip = true}, 0);
    check_choices((lm_augment){.pad = 1}, 0);
    check_choices((lm_augment){.pad = 4}, 1000);
    check_choices((lm_augment){.flip = true, .pad = 2}, ((int64_t)1 << 32) - 500);
}

/* With and without the other option, an option does the same. */
static void options_do_not_disturb_each_other(void **state) {
    uint8_t image[SIZE];
    for (int i = 0; i < 50; i++) {
        augment((lm_augment){.pad = 2}, 9, i, image);
        int crop = find_choice(image, 2, false);
        augment((lm_augment){.flip = true}, 9, i, image);
        int flip = find_choice(image, 0, true);
        augment((lm_augment){.flip = true, .pad = 2}, 9, i, image);
        assert_int_equal(find_choice(image, 2, true), flip * 25 + crop);
    }
}

static void seed_and_position_decide(void **state) {
    const lm_augment how = {.flip = true, .pad = 3};
    uint8_t a[SIZE], b[SIZE];
    int equal[3] = {0};
    for (int i = 0; i < 200; i++) {
        augment(how, 1, i, a);
        augment(how, 1, i, b);
        assert_memory_equal(a, b, SIZE);
        augment(how, 2, i, b);
        equal[0] += memcmp(a, b, SIZE) == 0;
        augment(how, 1, i + 1, b);
        equal[1] += memcmp(a, b, SIZE) == 0;
        augment(how, 1, i + ((int64_t)1 << 32), b);
        equal[2] += memcmp(a, b, SIZE) == 0;
    }
    for (int i = 0; i < 3; i++) assert_true(equal[i] < 12); /* 98 choices */
}

/* ---- SPECs ------------------------------------------------------------------- */

static lm_augment of_spec(const char *spec, lm_split split) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(spec, split, &set));
    lm_augment how = set->augment;
    lm_dataset_free(set);
    return how;
}

/* Test images only where the SPEC itself says that they are meant. */
static void belongs_to_training(void **state) {
    lm_augment how = of_spec("builtin:digits?flip&pad-crop=3", LM_SPLIT_TRAIN);
    assert_true(how.flip && how.pad == 3);
    how = of_spec("builtin:digits?flip&pad-crop=3", LM_SPLIT_TEST);
    assert_false(lm_augment_changes(&how));
    how = of_spec("builtin:digits:test?flip", LM_SPLIT_TRAIN);
    assert_true(how.flip && how.pad == 0);
    how = of_spec("builtin:digits:train?pad-crop=1", LM_SPLIT_TEST);
    assert_true(!how.flip && how.pad == 1);
    how = of_spec("builtin:digits", LM_SPLIT_TRAIN);
    assert_false(lm_augment_changes(&how));
}

static void leaves_the_set_as_it_is(void **state) {
    lm_dataset *set, *same;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &set));
    CHECK_OK(lm_dataset_open("builtin:digits?flip", LM_SPLIT_TRAIN, &same));
    assert_true(set->hash != same->hash); /* a run that began without goes on without */
    for (int i = 0; i < 20; i++) {
        uint8_t a[784], b[784];
        int32_t x, y;
        CHECK_OK(set->get(set, i, a, &x));
        CHECK_OK(same->get(same, i, b, &y));
        assert_memory_equal(a, b, sizeof a);
        assert_int_equal(x, y);
    }
    lm_dataset_free(set);
    lm_dataset_free(same);
}

static void refuses_more_than_the_image(void **state) {
    static const char *const bad[] = {
        "builtin:digits?pad-crop=28",   "builtin:digits?size=8&pad-crop=8",
        "builtin:digits?pad-crop=0",    "builtin:digits?pad-crop",
        "builtin:digits?pad-crop=4097", "builtin:digits?flip=1",
        "builtin:digits?flip&flip"};
    lm_dataset *set;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_dataset_open(bad[i], LM_SPLIT_TRAIN, &set), LM_ARG);
    lm_augment how = of_spec("builtin:digits?size=8&pad-crop=7", LM_SPLIT_TRAIN);
    assert_int_equal(how.pad, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_choice_is_as_likely),
        cmocka_unit_test(options_do_not_disturb_each_other),
        cmocka_unit_test(seed_and_position_decide),
        cmocka_unit_test(belongs_to_training),
        cmocka_unit_test(leaves_the_set_as_it_is),
        cmocka_unit_test(refuses_more_than_the_image),
    };
    return cmocka_run_group_tests(tests, fill_plain, NULL);
}
