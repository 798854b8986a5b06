/* The order of an epoch: a permutation for any count; nothing that chance would not do.
 */
#include "testing.h"

#include "data/order.h"

#include <math.h>
#include <string.h>

/* Squares sum to about `freedom`; chance leaves five deviations once in a million. */
static void check_chi_square(const char *what, const double *counts, int n,
                             double expected, double freedom) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    double deviations = (sum - freedom) / sqrt(2 * freedom);
    if (fabs(deviations) > 5)
        fail_msg("%s: chi square %g, expected %g: %.1f deviations", what, sum, freedom,
                 deviations);
}

static void check_permutation(uint64_t seed, int64_t epoch, int64_t count) {
    uint8_t *seen = calloc((size_t)count, 1);
    assert_non_null(seen);
    for (int64_t i = 0; i < count; i++) {
        int64_t image = lm_order_at(seed, epoch, count, i);
        if (image < 0 || image >= count || seen[image])
            fail_msg("count %lld, epoch %lld: place %lld has image %lld",
                     (long long)count, (long long)epoch, (long long)i, (long long)image);
        seen[image] = 1;
    }
    free(seen);
}

static void is_a_permutation_for_any_count(void **state) {
    static const int64_t odd[] = {9999, 16384, 16385, 50000, 60000, 65536, 65537, 99991};
    for (int64_t count = 1; count <= 300; count++)
        for (int64_t epoch = 0; epoch < 3; epoch++) check_permutation(7, epoch, count);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        check_permutation(1u << i, (int64_t)i << 31, odd[i]);
}

/* The largest count: all places of a piece are different images, over the whole range. */
static void reaches_the_largest_count(void **state) {
    enum { PIECE = 1000, BINS = 10 };
    const int64_t count = INT32_MAX;
    double bins[BINS] = {0};
    int64_t images[PIECE];
    for (int i = 0; i < PIECE; i++) {
        images[i] = lm_order_at(3, 0, count, count - PIECE + i);
        assert_in_range(images[i], 0, count - 1);
        for (int j = 0; j < i; j++) assert_true(images[i] != images[j]);
        bins[images[i] * BINS / count]++;
    }
    check_chi_square("a piece of 2^31 - 1", bins, BINS, PIECE / BINS, BINS - 1);
}

/* All orders of few images are equally frequent. */
static void check_orders(int count) {
    enum { EPOCHS = 50000, MOST = 720 };
    double seen[MOST] = {0};
    int orders = 1;
    for (int i = 2; i <= count; i++) orders *= i;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int64_t image[6];
        int number = 0; /* of the order, by Lehmer's code */
        for (int i = 0; i < count; i++) {
            image[i] = lm_order_at(99, epoch, count, i);
            int below = (int)image[i];
            for (int j = 0; j < i; j++) below -= image[j] < image[i];
            number = number * (count - i) + below;
        }
        seen[number]++;
    }
    check_chi_square("orders", seen, orders, (double)EPOCHS / orders, orders - 1);
}

static void all_orders_of_few_are_alike(void **state) {
    for (int count = 2; count <= 6; count++) check_orders(count);
}

/* Over many epochs: where an image is, what follows it, and how far the next is. */
static void places_and_neighbours_are_even(void **state) {
    enum { COUNT = 61, EPOCHS = 20000 };
    static double places[COUNT * COUNT], follows[COUNT * (COUNT - 1)], gaps[COUNT - 1];
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int64_t last = -1;
        for (int i = 0; i < COUNT; i++) {
            int64_t image = lm_order_at(12345, epoch, COUNT, i);
            places[i * COUNT + image]++;
            if (i) {
                follows[last * (COUNT - 1) + image - (image > last)]++;
                gaps[(image - last + COUNT) % COUNT - 1]++;
            }
            last = image;
        }
    }
    check_chi_square("places", places, COUNT * COUNT, (double)EPOCHS / COUNT,
                     (COUNT - 1) * (COUNT - 1));
    check_chi_square("neighbours", follows, COUNT * (COUNT - 1), (double)EPOCHS / COUNT,
                     COUNT * (COUNT - 1) - 1);
    check_chi_square("gaps", gaps, COUNT - 1, EPOCHS, COUNT - 2);
}

/* Two independent orders agree in k places with Poisson's probability for mean 1. */
static void check_agreement(const char *what, uint64_t seed_step, int64_t epoch_step) {
    enum { COUNT = 101, PAIRS = 2000, MOST = 5 };
    double found[MOST + 1] = {0}, sum = 0;
    for (int n = 0; n < PAIRS; n++) {
        int agree = 0;
        for (int i = 0; i < COUNT; i++)
            agree += lm_order_at((uint64_t)n, n, COUNT, i) ==
                     lm_order_at((uint64_t)n + seed_step, n + epoch_step, COUNT, i);
        found[agree < MOST ? agree : MOST]++;
    }
    double chance = exp(-1), rest = 1;
    for (int k = 0; k <= MOST; rest -= chance, chance /= ++k) {
        double expected = PAIRS * (k < MOST ? chance : rest);
        sum += (found[k] - expected) * (found[k] - expected) / expected;
    }
    if (sum > 30) /* five degrees of freedom: once in 70,000 */
        fail_msg("%s: chi square of agreements is %g", what, sum);
}

static void seeds_and_epochs_are_independent(void **state) {
    check_agreement("next epoch", 0, 1);
    check_agreement("next seed", 1, 0);
    check_agreement("upper half of the seed", (uint64_t)1 << 32, 0);
    check_agreement("next seed and epoch", 1, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_permutation_for_any_count),
        cmocka_unit_test(reaches_the_largest_count),
        cmocka_unit_test(all_orders_of_few_are_alike),
        cmocka_unit_test(places_and_neighbours_are_even),
        cmocka_unit_test(seeds_and_epochs_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
