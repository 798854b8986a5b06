/* What all built-in sets promise: the same bytes everywhere, at any index, in any order
 * and thread; labels in equal shares; two splits that never meet. */
#include "testing.h"

#include "base/hash.h"
#include "base/mem.h"
#include "data/builtin.h"
#include "data/relabel.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST_BYTES = 3 * LM_MAX_SIDE * LM_MAX_SIDE };

static lm_dataset *open_set(const char *spec) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    return set;
}

static size_t bytes_of(const lm_dataset *set) {
    return (size_t)set->height * (size_t)set->width * (size_t)set->channels;
}

/* Some indices from everywhere, the last one included. */
static int64_t index_at(int i) {
    return i == 0 ? INT32_MAX - 1 : (int64_t)i * 1000003 % INT32_MAX;
}

/* Of images and labels at the first `count` of these indices. */
static uint64_t hash_images(const char *spec, int count) {
    lm_dataset *set = open_set(spec);
    size_t size = bytes_of(set);
    uint8_t *pixels = malloc(size);
    uint64_t hash = LM_HASH_SEED;
    for (int i = 0; i < count; i++) {
        int32_t label, alone;
        CHECK_OK(set->get(set, index_at(i), pixels, &label));
        CHECK_OK(set->label(set, index_at(i), &alone));
        assert_int_equal(label, alone);
        hash = lm_hash_word(lm_hash_bytes(hash, pixels, size), (uint32_t)label);
    }
    free(pixels);
    lm_dataset_free(set);
    return hash;
}

/* Equal for gcc and clang, -O0 and -O3, x86-64 with and without FMA, and arm64. A set
 * whose drawing changes on purpose gets another recipe number. */
static void has_the_same_bytes_everywhere(void **state) {
    static const struct {
        const char *spec;
        uint64_t hash;
    } known[] = {{"builtin:digits", 0x93575963c548614c},
                 {"builtin:digits:test", 0x07959b38da14c70b},
                 {"builtin:digits?size=64", 0x6aba3cd1525885ca},
                 {"builtin:digits-m", 0x321419b082859f99},
                 {"builtin:digits-m:test", 0x0859f36494dc3b42},
                 {"builtin:shapes", 0xaee167a09b11af0f},
                 {"builtin:shapes:test?size=100", 0x76b3818147b2aaef},
                 {"builtin:faces", 0x7807907823e312ae},
                 {"builtin:faces:test", 0xe388d7d7a0ae6d75},
                 {"builtin:faces?size=200", 0xc573efeaef22680c}};
    int wrong = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint64_t hash = hash_images(known[i].spec, 40);
        if (hash == known[i].hash) continue;
        print_error("%s: 0x%016llx\n", known[i].spec, (unsigned long long)hash);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

typedef struct painter {
    const lm_dataset *set;
    uint64_t hash;
} painter;

static void *paint_backwards(void *argument) {
    painter *p = argument;
    uint8_t *pixels = malloc(bytes_of(p->set));
    for (int i = 19; i >= 0; i--) {
        int32_t label;
        if (p->set->get(p->set, index_at(i), pixels, &label) != LM_OK) break;
        p->hash += lm_hash_bytes((uint64_t)i, pixels, bytes_of(p->set));
    }
    free(pixels);
    return NULL;
}

static void is_independent_of_threads_and_order(void **state) {
    for (int s = 0; lm_builtin_sets[s]; s++) {
        lm_dataset *set = open_set(lm_builtin_sets[s]->name);
        uint8_t *pixels = malloc(bytes_of(set));
        uint64_t want = 0;
        for (int i = 0; i < 20; i++) {
            int32_t label;
            CHECK_OK(set->get(set, index_at(i), pixels, &label));
            want += lm_hash_bytes((uint64_t)i, pixels, bytes_of(set));
        }
        painter painters[4];
        pthread_t threads[4];
        for (int t = 0; t < 4; t++) {
            painters[t] = (painter){set, 0};
            assert_int_equal(
                pthread_create(&threads[t], NULL, paint_backwards, &painters[t]), 0);
        }
        for (int t = 0; t < 4; t++) {
            pthread_join(threads[t], NULL);
            assert_true(painters[t].hash == want);
        }
        free(pixels);
        lm_dataset_free(set);
    }
}

static void has_equal_shares_of_labels(void **state) {
    enum { N = 20000 };
    for (int s = 0; lm_builtin_sets[s]; s++) {
        lm_dataset *set = open_set(lm_builtin_sets[s]->name);
        int seen[64] = {0};
        int32_t label;
        for (int i = 0; i < N; i++) {
            CHECK_OK(set->label(set, i, &label));
            assert_in_range(label + 1, set->classes ? 1 : 0, set->classes);
            if (set->classes) seen[label]++;
        }
        double chi = 0, want = set->classes ? (double)N / set->classes : 0;
        for (int c = 0; c < set->classes; c++) {
            assert_non_null(set->class_names[c]);
            chi += (seen[c] - want) * (seen[c] - want) / want;
        }
        assert_true(chi < set->classes + 30); /* ten classes: far below 1e-5 */
        lm_dataset_free(set);
    }
}

/* No image occurs twice, neither within a split nor in both. */
static void never_repeats(void **state) {
    enum { N = 400 };
    for (int s = 0; lm_builtin_sets[s]; s++) {
        uint64_t hashes[2 * N];
        uint8_t *pixels = malloc(MOST_BYTES);
        for (int i = 0; i < 2 * N; i++) {
            static lm_dataset *set;
            int32_t label;
            if (i % N == 0)
                CHECK_OK(lm_dataset_open(lm_builtin_sets[s]->name,
                                         i ? LM_SPLIT_TEST : LM_SPLIT_TRAIN, &set));
            CHECK_OK(set->get(set, i % N, pixels, &label));
            hashes[i] = lm_hash_bytes(LM_HASH_SEED, pixels, bytes_of(set));
            for (int j = 0; j < i; j++) assert_true(hashes[i] != hashes[j]);
            if (i % N == N - 1) lm_dataset_free(set);
        }
        free(pixels);
    }
}

/* size= reaches the drawing where it can; hash and bytes follow. */
static void draws_at_the_size_asked_for(void **state) {
    for (int s = 0; lm_builtin_sets[s]; s++) {
        const lm_builtin *what = lm_builtin_sets[s];
        const int sizes[] = {0, what->smallest, what->largest, what->largest + 24, 8};
        uint64_t hashes[5];
        for (int i = 0; i < 5; i++) {
            char spec[64];
            snprintf(spec, sizeof spec, sizes[i] ? "%s?size=%d" : "%s", what->name,
                     sizes[i]);
            lm_dataset *set = open_set(spec), *direct;
            int side = sizes[i] ? sizes[i] : what->usual;
            assert_int_equal(set->height, side);
            assert_int_equal(set->width, side);
            hashes[i] = set->hash;
            uint8_t *pixels = malloc(bytes_of(set)), *same = malloc(MOST_BYTES);
            int32_t label, again;
            CHECK_OK(set->get(set, 7, pixels, &label));
            CHECK_OK(lm_builtin_open(what, LM_SPLIT_TRAIN, side, &direct));
            CHECK_OK(direct->get(direct, 7, same, &again));
            assert_int_equal(label, again);
            if (i < 3) assert_memory_equal(pixels, same, bytes_of(set));
            free(pixels);
            free(same);
            lm_dataset_free(set);
            lm_dataset_free(direct);
        }
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < i; j++) assert_true(hashes[i] != hashes[j]);
    }
}

static double correlate(float (*values)[LM_MAX_FACTORS], int n, int f, int g) {
    double sum[5] = {0};
    for (int i = 0; i < n; i++) {
        double x = values[i][f], y = values[i][g];
        sum[0] += x, sum[1] += y, sum[2] += x * y, sum[3] += x * x, sum[4] += y * y;
    }
    double a = sum[3] - sum[0] * sum[0] / n, b = sum[4] - sum[1] * sum[1] / n;
    return (sum[2] - sum[0] * sum[1] / n) / sqrt(a * b);
}

/* Factors are what the draws say: even over [0, 1] or over their kinds, and independent.
 */
static void has_even_factors(void **state) {
    enum { N = 4000 };
    for (int s = 0; lm_builtin_sets[s]; s++) {
        const lm_builtin *what = lm_builtin_sets[s];
        lm_dataset *set = open_set(what->name);
        assert_int_equal(set->n_attributes, what->n_factors);
        float(*values)[LM_MAX_FACTORS] = malloc(N * sizeof *values);
        for (int i = 0; set->attributes && i < N; i++)
            CHECK_OK(set->attributes(set, index_at(i), values[i]));
        for (int f = 0; f < what->n_factors; f++) {
            const lm_factor *factor = &what->factors[f];
            int levels = factor->kind.levels, parts = levels ? levels : 8, seen[64] = {0};
            assert_string_equal(set->attribute_names[f], factor->name);
            assert_int_equal(set->attribute_kinds[f].levels, levels);
            for (int i = 0; i < N; i++) {
                float value = values[i][f];
                assert_true(value >= 0 && value <= 1);
                int part = lm_attribute_part(value, parts);
                if (levels) assert_true(value == (float)part / (float)(levels - 1));
                seen[part]++;
            }
            for (int k = 0; k < parts; k++) {
                double share = factor->plain == 0 ? 1.0 / parts
                               : k == 0           ? factor->plain
                                                  : (1 - factor->plain) / (parts - 1);
                assert_true(fabs(seen[k] - N * share) < 5 * sqrt(N * share));
            }
            for (int g = 0; g < f; g++)
                assert_true(fabs(correlate(values, N, f, g)) < 0.08);
        }
        free(values);
        lm_dataset_free(set);
    }
}

/* Of two digits on one ground: equal where neither is, and where one is full, as much
 * light as is missing from it in the other. Tells how often the latter was seen. */
static int check_difference(lm_sketch sketch, int32_t one, int32_t other) {
    enum { N = 32 * 32 };
    uint8_t ink[2][N], over[2][3 * N];
    for (int k = 0; k < 2; k++) {
        lm_sketch copy = sketch;
        copy.label = k ? other : one;
        lm_rng rng = copy.rng;
        lm_draw_digit(&rng, copy.label, 32, ink[k]);
        lm_digits_m.draw(&copy, over[k]);
    }
    int opposite = 0;
    for (int p = 0; p < 3 * N; p++) {
        if (!ink[0][p / 3] && !ink[1][p / 3]) assert_int_equal(over[0][p], over[1][p]);
        if (abs(ink[0][p / 3] - ink[1][p / 3]) < 255) continue;
        assert_in_range(over[0][p] + over[1][p], 254, 256);
        opposite++;
    }
    return opposite;
}

/* The labels are the same at each index, and digits are blended as MNIST-M's are. */
static void blends_the_plain_digits(void **state) {
    lm_dataset *plain = open_set("builtin:digits"), *over = open_set("builtin:digits-m");
    int opposite = 0;
    for (int k = 0; k < 50; k++) {
        int32_t i, j;
        CHECK_OK(plain->label(plain, index_at(k), &i));
        CHECK_OK(over->label(over, index_at(k), &j));
        assert_int_equal(i, j);
        lm_sketch sketch = {.rng = {.stream = 20, .sample = (uint32_t)k}, .side = 32};
        opposite += check_difference(sketch, i, (i + 3) % 10);
    }
    assert_true(opposite > 5000);
    lm_dataset_free(plain);
    lm_dataset_free(over);
}

/* Size, place and hue are what the factors say, by the pixels that stand out. */
static void draws_shapes_by_their_factors(void **state) {
    lm_sketch sketch = {.rng = {.stream = 20, .sample = 5, .step = 2}, .label = 0};
    uint8_t *left = malloc(MOST_BYTES), *right = malloc(MOST_BYTES);
    sketch.side = 64;
    sketch.factors[2] = 0.5f;
    sketch.factors[1] = 0.5f;
    lm_sketch other = sketch;
    other.factors[0] = 1;
    lm_shapes.draw(&sketch, left);
    lm_shapes.draw(&other, right);
    double at = 0, changed = 0;
    for (int p = 0; p < 64 * 64; p++) {
        int difference = abs(left[3 * p] - right[3 * p]);
        at += difference * (p % 64 < 32 ? -1 : 1);
        changed += difference;
    }
    assert_true(changed > 20000);             /* it moved */
    assert_true(fabs(at) < 0.7 * changed);    /* from one side to the other */
    assert_memory_equal(left, right, 3 * 64); /* and the ground stayed */
    free(left);
    free(right);
}

static void refuses_what_it_has_not(void **state) {
    for (int s = 0; lm_builtin_sets[s]; s++) {
        lm_dataset *set = open_set(lm_builtin_sets[s]->name), *none;
        uint8_t *pixels = malloc(bytes_of(set));
        int32_t label;
        CHECK_FAILS(set->get(set, -1, pixels, &label), LM_ARG);
        CHECK_FAILS(set->get(set, set->count, pixels, &label), LM_ARG);
        CHECK_FAILS(set->label(set, -1, &label), LM_ARG);
        CHECK_FAILS(lm_builtin_open(lm_builtin_sets[s], LM_SPLIT_VALID, 0, &none),
                    LM_NOT_FOUND);
        free(pixels);
        lm_dataset_free(set);
    }
}

static void computes_exact_functions(void **state) {
    for (int i = -4000; i <= 4000; i++) {
        double angle = i * 0.0173, far = i * 17.3;
        assert_true(fabs(lm_exact_sin(angle) - sin(angle)) < 1e-15);
        assert_true(fabs(lm_exact_cos(angle) - cos(angle)) < 1e-15);
        assert_true(fabs(lm_exact_sin(far) - sin(far)) < 1e-13);
        double x = ldexp(1 + (i + 4000) / 8001.0, i % 60);
        assert_true(fabs(lm_exact_log(x) - log(x)) <= 1e-15 * fmax(1, fabs(log(x))));
    }
}

/* Time is told, not tested. */
static void tells_its_speed(void **state) {
    for (int s = 0; lm_builtin_sets[s]; s++) {
        lm_dataset *set = open_set(lm_builtin_sets[s]->name);
        uint8_t *pixels = malloc(bytes_of(set));
        int32_t label;
        struct timespec from, to;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (int i = 0; i < 200; i++) CHECK_OK(set->get(set, i, pixels, &label));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        double seconds = (double)(to.tv_sec - from.tv_sec) +
                         1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        print_message("# %s: %.3f ms an image of %d px\n", set->name, 5 * seconds,
                      set->width);
        free(pixels);
        lm_dataset_free(set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_same_bytes_everywhere),
        cmocka_unit_test(is_independent_of_threads_and_order),
        cmocka_unit_test(has_equal_shares_of_labels),
        cmocka_unit_test(never_repeats),
        cmocka_unit_test(draws_at_the_size_asked_for),
        cmocka_unit_test(has_even_factors),
        cmocka_unit_test(blends_the_plain_digits),
        cmocka_unit_test(draws_shapes_by_their_factors),
        cmocka_unit_test(refuses_what_it_has_not),
        cmocka_unit_test(computes_exact_functions),
        cmocka_unit_test(tells_its_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
