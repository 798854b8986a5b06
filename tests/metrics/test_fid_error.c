/* Error bars of FID, against the scatter of FID over many draws of Gaussians whose
 * distance is known. */
#include "metrics/draws.h"

#include "metrics/fid.h"
#include "metrics/fid_infinite.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 80 };

/* The reference has mean 0 and variances from 1/2 to 2, known exactly; what is generated
 * has its deviations times `stretch` and means of `shift`. */
typedef struct scene {
    int dim, n;
    double shift, stretch;
} scene;

static double variance_of(const scene *s, int j) {
    return s->dim == 1 ? 1 : 0.5 + 1.5 * j / (s->dim - 1);
}

static double known_distance(const scene *s) {
    double sum = 0;
    for (int j = 0; j < s->dim; j++)
        sum +=
            s->shift * s->shift + (s->stretch - 1) * (s->stretch - 1) * variance_of(s, j);
    return sum;
}

static void make_reference(const scene *s, lm_moments *m) {
    CHECK_OK(lm_moments_init(m, s->dim));
    for (int j = 0; j < s->dim; j++) m->covariance[j * s->dim + j] = variance_of(s, j);
}

static float *draw_scene(const scene *s, uint64_t seed) {
    float *x = draw_normal(seed, s->n, s->dim);
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < s->dim; j++) {
            double z = x[i * s->dim + j] * sqrt(variance_of(s, j));
            x[i * s->dim + j] = (float)(s->stretch * z + s->shift);
        }
    return x;
}

/* Over draws: scatter and mean of the value, mean square of the error. */
typedef struct scatter {
    double mean, deviation, error;
} scatter;

static scatter measure_scatter(const scene *s) {
    lm_moments reference, m;
    scatter found = {0};
    double squares = 0;
    make_reference(s, &reference);
    for (int i = 0; i < DRAWS; i++) {
        float *x = draw_scene(s, 100 + i);
        lm_estimate fid;
        double plain;
        CHECK_OK(lm_moments_of(x, NULL, s->n, s->dim, NULL, &m));
        CHECK_OK(lm_fid_estimate(&reference, &m, x, NULL, &fid));
        CHECK_OK(lm_fid(&reference, &m, NULL, &plain));
        assert_true(fabs(fid.value - plain) <= 1e-11 * (1 + plain));
        found.mean += fid.value / DRAWS;
        squares += fid.value * fid.value / DRAWS;
        found.error += fid.error * fid.error / DRAWS;
        lm_moments_release(&m);
        lm_free(x);
    }
    found.deviation = sqrt((squares - found.mean * found.mean) * DRAWS / (DRAWS - 1));
    found.error = sqrt(found.error);
    lm_moments_release(&reference);
    return found;
}

/* The deviation of 80 draws is itself known to 8 %. */
static void the_error_is_the_scatter(void **state) {
    static const struct {
        scene s;
        double least, most; /* of error / scatter */
    } cases[] = {
        {{1, 200, 0.5, 1.3}, 0.8, 1.25}, {{8, 400, 0.3, 1.2}, 0.8, 1.25},
        {{8, 400, 1, 1}, 0.8, 1.25},     {{48, 400, 0.2, 1.3}, 0.8, 1.4},
        {{48, 400, 0, 0.5}, 0.8, 1.4},   {{48, 400, 0, 1}, 0.8, 1.7},
        {{48, 30, 0.2, 1.3}, 0.6, 1.7}, /* fewer images than features */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        scatter found = measure_scatter(&cases[c].s);
        double ratio = found.error / found.deviation;
        if (!(ratio > cases[c].least && ratio < cases[c].most))
            fail_msg("case %zu: mean %g, deviation %g, error %g", c, found.mean,
                     found.deviation, found.error);
    }
}

/* FID of few images is too large by far; the line over 1 / N finds the known distance,
 * within two errors as often as errors should, or more. */
static void infinite_n_has_no_bias(void **state) {
    const scene s = {24, 400, 0.2, 1.3};
    enum { ROUNDS = 60 };
    lm_moments reference, m;
    double known = known_distance(&s), mean = 0, plain_mean = 0;
    int covered = 0;
    make_reference(&s, &reference);
    for (int i = 0; i < ROUNDS; i++) {
        float *x = draw_scene(&s, 9000 + i);
        lm_estimate fid, infinite;
        CHECK_OK(lm_moments_of(x, NULL, s.n, s.dim, NULL, &m));
        CHECK_OK(lm_fid_estimate(&reference, &m, x, NULL, &fid));
        CHECK_OK(lm_fid_infinite(&reference, x, s.n, 8, 100, i, NULL, &infinite));
        double error = hypot(fid.error, infinite.error);
        covered += fabs(infinite.value - known) < 2 * error;
        mean += infinite.value / ROUNDS;
        plain_mean += fid.value / ROUNDS;
        lm_moments_release(&m);
        lm_free(x);
    }
    assert_true(plain_mean - known > 0.5);
    if (!(fabs(mean - known) < 0.12 && covered >= ROUNDS * 0.88))
        fail_msg("known %g, plain %g, infinite %g; %d of %d covered", known, plain_mean,
                 mean, covered, ROUNDS);
    lm_moments_release(&reference);
}

/* A point's error is none; a set of points has a distance and no covariance. */
static void what_does_not_vary_has_no_error(void **state) {
    float x[5 * 3];
    for (int i = 0; i < 15; i++) x[i] = (float)(i % 3);
    lm_moments m, reference;
    lm_estimate fid;
    CHECK_OK(lm_moments_of(x, NULL, 5, 3, NULL, &m));
    CHECK_OK(lm_moments_init(&reference, 3));
    CHECK_OK(lm_fid_estimate(&reference, &m, x, NULL, &fid));
    assert_true(fid.value == 5 && fid.error == 0);
    lm_moments_release(&m);
    lm_moments_release(&reference);
}

static void wrong_input_is_refused(void **state) {
    const scene s = {4, 50, 0, 1};
    lm_moments m, reference;
    lm_estimate fid;
    float *x = draw_scene(&s, 1);
    make_reference(&s, &reference);
    CHECK_FAILS(lm_fid_estimate(&reference, &reference, x, NULL, &fid), LM_ARG);
    CHECK_FAILS(lm_fid_infinite(&reference, x, 50, 2, 10, 1, NULL, &fid), LM_ARG);
    CHECK_FAILS(lm_fid_infinite(&reference, x, 50, 5, 1, 1, NULL, &fid), LM_ARG);
    CHECK_FAILS(lm_fid_infinite(&reference, x, 50, 5, 50, 1, NULL, &fid), LM_ARG);
    CHECK_FAILS(lm_fid_infinite(&reference, x, 50, 15, 45, 1, NULL, &fid), LM_ARG);
    CHECK_OK(lm_moments_init(&m, 5));
    CHECK_FAILS(lm_fid_estimate(&reference, &m, x, NULL, &fid), LM_SHAPE);
    lm_moments_release(&m);
    lm_moments_release(&reference);
    lm_free(x);
}

static void lack_of_memory_is_an_error(void **state) {
    const scene s = {4, 50, 0, 1};
    lm_moments m, reference;
    float *x = draw_scene(&s, 1);
    make_reference(&s, &reference);
    CHECK_OK(lm_moments_of(x, NULL, 50, 4, NULL, &m));
    for (int what = 0; what < 2; what++) {
        int64_t held = lm_mem_get_stats().blocks;
        lm_status status = LM_NOMEM;
        for (int n = 1; status != LM_OK; n++) {
            lm_estimate fid;
            lm_mem_fail_at(n, 0);
            status = what ? lm_fid_infinite(&reference, x, 50, 3, 20, 1, NULL, &fid)
                          : lm_fid_estimate(&reference, &m, x, NULL, &fid);
            lm_mem_fail_at(0, 0);
            if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
            assert_int_equal(lm_mem_get_stats().blocks, held);
            assert_true(n < 100);
        }
    }
    lm_moments_release(&m);
    lm_moments_release(&reference);
    lm_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_error_is_the_scatter),
                                       cmocka_unit_test(infinite_n_has_no_bias),
                                       cmocka_unit_test(what_does_not_vary_has_no_error),
                                       cmocka_unit_test(wrong_input_is_refused),
                                       cmocka_unit_test(lack_of_memory_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
