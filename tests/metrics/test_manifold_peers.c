/* Precision, recall, density and coverage of large sets against counts in f64, and
 * against other tools. */
#include "testing.h"

#include "base/threads.h"
#include "data/data.h"
#include "golden/manifold.h"
#include "metrics/manifold.h"
#include "tensor/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { MOST = 1500 }; /* vectors: the others take minutes then */
#else
enum { MOST = 10000 };
#endif

enum { COUNT = sizeof golden_manifolds / sizeof *golden_manifolds, MOST_RULES = 8 };

static float *take(int n, int dim) {
    float *x = malloc(sizeof *x * (size_t)n * (size_t)dim);
    assert_non_null(x);
    return x;
}

static float *uniform_new(uint64_t seed, int n, int dim, double scale, double offset) {
    float *x = take(n, dim);
#pragma omp parallel for
    for (int i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .sample = (uint32_t)i};
        for (int k = 0; k < dim; k++)
            x[(int64_t)i * dim + k] = (float)(lm_rng_uniform(&rng) * scale + offset);
    }
    return x;
}

/* Pixels as whole numbers: many distances are equal. */
static float *digits_new(const char *spec, int n, int dim) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->height * set->width * set->channels, dim);
    float *x = take(n, dim);
    uint8_t *pixels = malloc((size_t)dim);
    assert_non_null(pixels);
    for (int i = 0; i < n; i++) {
        int32_t label;
        CHECK_OK(set->get(set, i, pixels, &label));
        for (int k = 0; k < dim; k++) x[(int64_t)i * dim + k] = pixels[k];
    }
    free(pixels);
    lm_dataset_free(set);
    return x;
}

static void make_sets(const char *name, int n, int dim, float **real, float **fake) {
    if (!strcmp(name, "uniform")) {
        *real = uniform_new(1, n, dim, 1, 0);
        *fake = uniform_new(2, n, dim, 65.0 / 64, 1.0 / 64);
        return;
    }
    *real = digits_new("builtin:digits:train", n, dim);
    *fake = digits_new("builtin:digits:test", n, dim);
    size_t hundred = (size_t)dim * 100 * sizeof **real;
    memcpy(*fake + (int64_t)(n - 100) * dim, *fake, hundred);
    memcpy(*fake + (int64_t)(n - 200) * dim, *real, hundred);
}

static void check_counts(int row, const lm_manifold *got) {
    int precise = 0, recalled = 0, balls = 0, covered = 0;
    for (int64_t i = 0; i < got->fake; i++) {
        precise += got->balls[i] > 0;
        balls += got->balls[i];
    }
    for (int64_t i = 0; i < got->real; i++) {
        recalled += got->recalled[i];
        covered += got->covered[i];
    }
    const struct {
        const char *name;
        int got, want;
    } counts[] = {{"precise", precise, golden_manifolds[row].precise},
                  {"recalled", recalled, golden_manifolds[row].recalled},
                  {"balls", balls, golden_manifolds[row].balls},
                  {"covered", covered, golden_manifolds[row].covered}};
    for (int c = 0; c < 4; c++)
        if (counts[c].got != counts[c].want)
            fail_msg("%s of %d, k %d, edge %d: %d %s, not %d", golden_manifolds[row].set,
                     golden_manifolds[row].n, golden_manifolds[row].k,
                     golden_manifolds[row].edge, counts[c].got, counts[c].name,
                     counts[c].want);
}

static void check_peers(int row, const lm_manifold *got) {
    bool prdc = !golden_manifolds[row].edge; /* torch-fidelity has the first two */
    const double want[] = {golden_manifolds[row].precision, golden_manifolds[row].recall,
                           golden_manifolds[row].density, golden_manifolds[row].coverage};
    const double values[] = {got->precision.value, got->recall.value, got->density.value,
                             got->coverage.value};
    for (int i = 0; i < (prdc ? 4 : 2); i++)
        if (!(fabs(values[i] - want[i]) < 1e-7))
            fail_msg("%s of %d, k %d, edge %d: value %d is %.9g, the peer's %.9g",
                     golden_manifolds[row].set, golden_manifolds[row].n,
                     golden_manifolds[row].k, golden_manifolds[row].edge, i, values[i],
                     want[i]);
}

static bool is_same_set(int a, int b) {
    return !strcmp(golden_manifolds[a].set, golden_manifolds[b].set) &&
           golden_manifolds[a].n == golden_manifolds[b].n;
}

/* All rules of a set, which follow each other, in one measurement. */
static void check_set(int first, int count) {
    int n = golden_manifolds[first].n, dim = golden_manifolds[first].dim;
    float *real, *fake;
    make_sets(golden_manifolds[first].set, n, dim, &real, &fake);
    lm_manifold_rule rules[MOST_RULES];
    lm_manifold got[MOST_RULES];
    assert_true(count <= MOST_RULES);
    for (int r = 0; r < count; r++)
        rules[r] = (lm_manifold_rule){golden_manifolds[first + r].k,
                                      golden_manifolds[first + r].edge};
    CHECK_OK(lm_manifold_measure(real, n, fake, n, dim, rules, count, NULL, got));
    for (int r = 0; r < count; r++) {
        check_counts(first + r, &got[r]);
        check_peers(first + r, &got[r]);
        lm_manifold_release(&got[r]);
    }
    free(real);
    free(fake);
}

static void check_sets(const char *name) {
    for (int first = 0, end; first < COUNT; first = end) {
        for (end = first + 1; end < COUNT && is_same_set(first, end);) end++;
        if (!strcmp(golden_manifolds[first].set, name) &&
            golden_manifolds[first].n <= MOST)
            check_set(first, end - first);
    }
}

static void counts_of_random_features(void **state) {
    check_sets("uniform");
}

static void counts_of_pixels(void **state) {
    check_sets("digits");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_of_random_features),
                                       cmocka_unit_test(counts_of_pixels)};
    lm_threads_set(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
