/* The same features as tests/golden/make_metrics.py, whose values are those of
 * torch-fidelity, pytorch-fid, and brute force. */
#include "metrics/draws.h"

#include "base/json.h"
#include "data/data.h"
#include "metrics/fid.h"
#include "metrics/inception_score.h"
#include "metrics/kid.h"
#include "tensor/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

static json_t *golden;

static int read_golden(void **state) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/metrics.json",
             getenv("LIMN_TEST_SOURCE"));
    return lm_json_read(path, 1 << 20, &golden) == LM_OK ? 0 : -1;
}

static int free_golden(void **state) {
    json_decref(golden);
    return 0;
}

/* ---- features ---------------------------------------------------------------- */

/* The first rows and columns of draw(seed, ...) of the script. */
static float *draw(int seed, int rows, int columns) {
    float *x = lm_alloc((size_t)rows * columns * sizeof *x);
    assert_non_null(x);
#pragma omp parallel for
    for (int i = 0; i < rows; i++) {
        lm_rng own = {.seed = seed, .sample = i};
        lm_rng common = {.seed = seed, .stream = 1, .sample = i};
        float shared = 0;
        for (int j = 0; j < columns; j++) {
            if (j % 32 == 0) shared = (float)lm_rng_uniform(&common);
            float scale = 1 + (float)(j % (5 + seed)) / 8;
            x[(size_t)i * columns + j] =
                (float)lm_rng_uniform(&own) * scale + shared + (float)seed / 16;
        }
    }
    return x;
}

static float *draw_logits(int rows, int classes) {
    float *x = lm_alloc((size_t)rows * classes * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < rows; i++) {
        lm_rng rng = {.seed = 3, .sample = i};
        for (int c = 0; c < classes; c++)
            x[(size_t)i * classes + c] = 8 * (float)lm_rng_uniform(&rng);
    }
    return x;
}

/* ---- comparisons ------------------------------------------------------------- */

static void check_close(const char *what, const char *who, double ours, double theirs,
                        double relative, double absolute) {
    if (!(fabs(ours - theirs) <= relative * fabs(theirs) + absolute))
        fail_msg("%s: %.17g, by %s %.17g", what, ours, who, theirs);
}

/* An object of one number for each who. */
static void check_all(const char *what, json_t *values, double ours, double relative,
                      double absolute) {
    const char *who;
    json_t *theirs;
    assert_true(json_object_size(values) > 0);
    json_object_foreach(values, who, theirs)
        check_close(what, who, ours, json_real_value(theirs), relative, absolute);
}

typedef struct pair {
    float *a, *b;
    int n_a, n_b, dim;
} pair;

static void check_fid(const char *name, const pair *p) {
    lm_moments a, b;
    double fid;
    CHECK_OK(lm_moments_of(p->a, NULL, p->n_a, p->dim, NULL, &a));
    CHECK_OK(lm_moments_of(p->b, NULL, p->n_b, p->dim, NULL, &b));
    CHECK_OK(lm_fid(&a, &b, NULL, &fid));
    json_t *values = json_object_get(json_object_get(golden, name), "fid");
    check_all(name, values, fid, 1e-6, 0);
    check_close(name, "brute force", fid,
                json_real_value(json_object_get(values, "brute")), 1e-9, 0);
    lm_moments_release(&a);
    lm_moments_release(&b);
}

static double kid_of(const pair *p, const int32_t *rows, int n) {
    lm_estimate kid;
    CHECK_OK(lm_kid(&(lm_kid_set){p->a, rows, n}, &(lm_kid_set){p->b, rows, n}, p->dim,
                    NULL, &kid));
    return kid.value;
}

/* Of the first rows, and of every tenth row from the first and from the second on. KID is
 * a small difference of numbers near 1, of which 1e-12 is rounding. */
static void check_kid(const char *name, const pair *p, int rows) {
    json_t *values = json_object_get(golden, name);
    check_all(name, json_object_get(values, "kid"), kid_of(p, NULL, rows), 1e-9, 1e-12);
    json_t *tenths = json_object_get(values, "kid_tenths");
    for (size_t s = 0; s < json_array_size(tenths); s++) {
        int n = (p->n_a + 9) / 10;
        if (p->n_a != p->n_b) continue; /* the script's tenths have two sizes then */
        int32_t *tenth = lm_alloc(n * sizeof *tenth);
        for (int i = 0; i < n; i++) tenth[i] = (int32_t)s + 10 * i;
        check_all(name, json_array_get(tenths, s), kid_of(p, tenth, n), 1e-9, 1e-12);
        lm_free(tenth);
    }
}

static void check_drawn(const char *name, int n_a, int n_b, int dim, int kid_rows) {
    pair p = {draw(1, n_a, dim), draw(2, n_b, dim), n_a, n_b, dim};
    check_fid(name, &p);
    check_kid(name, &p, kid_rows);
    lm_free(p.a);
    lm_free(p.b);
}

static void ten_thousand_by_2048_are_as_the_peers_say(void **state) {
    if (SLOW) {
        printf("# 10,000 x 2048: not under a sanitizer\n");
        return;
    }
    check_drawn("drawn", 10000, 10000, 2048, 2000);
}

static void sets_of_two_sizes_are_as_the_peers_say(void **state) {
    check_drawn("short", 1500, 1000, 96, 700);
}

/* The peers' roots of zeros are not zero: they are off by 1e-7. */
static void few_vectors_are_as_by_singular_values(void **state) {
    check_drawn("few", 100, 300, 256, 100);
    check_drawn("fewer", 30, 90, 256, 30);
}

/* ---- pictures ---------------------------------------------------------------- */

static float *read_pixels(const char *spec, lm_split split, int rows, int *dim) {
    lm_dataset *set;
    if (lm_dataset_open(spec, split, &set) != LM_OK) return NULL;
    *dim = set->height * set->width * set->channels;
    float *x = lm_alloc((size_t)rows * *dim * sizeof *x);
    uint8_t *pixels = lm_alloc(*dim);
    for (int i = 0; i < rows; i++) {
        int32_t label;
        CHECK_OK(set->get(set, i, pixels, &label));
        for (int j = 0; j < *dim; j++)
            x[(size_t)i * *dim + j] = (float)pixels[j] * (1.0F / 255);
    }
    lm_free(pixels);
    lm_dataset_free(set);
    return x;
}

static void check_pixels(const char *name, const char *spec) {
    pair p = {.n_a = 5000, .n_b = 5000};
    p.a = read_pixels(spec, LM_SPLIT_TRAIN, 5000, &p.dim);
    p.b = read_pixels(spec, LM_SPLIT_TEST, 5000, &p.dim);
    if (p.a && p.b) {
        check_fid(name, &p);
        check_kid(name, &p, 1000);
    } else
        printf("# %s: not here, not compared\n", name);
    lm_free(p.a);
    lm_free(p.b);
}

static void pixels_are_as_the_peers_say(void **state) {
    check_pixels("digits", "builtin:digits");
    if (getenv("LIMN_DATA"))
        check_pixels("mnist", "mnist");
    else
        printf("# LIMN_DATA is not set: MNIST's pixels are not compared\n");
}

static void the_score_is_as_the_peer_says(void **state) {
    float *logits = draw_logits(5000, 1008);
    json_t *theirs = json_object_get(golden, "score");
    lm_spread score;
    CHECK_OK(lm_inception_score(logits, 5000, 1008, 10, false, 0, NULL, &score));
    check_close("mean", "torch-fidelity", score.mean,
                json_real_value(json_object_get(theirs, "mean")), 1e-9, 0);
    check_close("deviation", "torch-fidelity", score.deviation,
                json_real_value(json_object_get(theirs, "deviation")), 1e-9, 0);
    lm_free(logits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_by_2048_are_as_the_peers_say),
        cmocka_unit_test(sets_of_two_sizes_are_as_the_peers_say),
        cmocka_unit_test(few_vectors_are_as_by_singular_values),
        cmocka_unit_test(pixels_are_as_the_peers_say),
        cmocka_unit_test(the_score_is_as_the_peer_says)};
    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
