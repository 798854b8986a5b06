#include "testing.h"

#include "base/mem.h"
#include "nn/params.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const lm_param_slice *add(lm_params *params, const char *name, lm_shape shape,
                                 lm_init init) {
    const lm_param_slice *slice = NULL;
    CHECK_OK(lm_params_get(params, name, shape, init, &slice));
    return slice;
}

static void test_registry(void **state) {
    lm_params *params;
    CHECK_OK(lm_params_new("model", &params));
    add(params, "a", LM_SHAPE(3, 5), LM_INIT(ONES, 0));
    assert_int_equal(add(params, "b", LM_SCALAR, LM_INIT(ONES, 0))->offset, 15);
    assert_int_equal(add(params, "c", LM_SHAPE(7), LM_INIT(ZEROS, 0))->offset, 16);
    assert_int_equal(params->count, 23);
    assert_int_equal(add(params, "a", LM_SHAPE(3, 5), LM_INIT(ONES, 0))->offset, 0);
    assert_int_equal(params->n_slices, 3);
    assert_null(lm_params_find(params, "d"));

    const lm_param_slice *slice;
    CHECK_FAILS(lm_params_get(params, "a", LM_SHAPE(5, 3), LM_INIT(ONES, 0), &slice),
                LM_SHAPE);
    assert_non_null(strstr(lm_message(), "a is [3,5]"));
    lm_params_free(params);
}

static void test_many_slices(void **state) {
    lm_params *params;
    CHECK_OK(lm_params_new("model", &params));
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        add(params, name, LM_SHAPE(i), LM_INIT(ONES, 0));
    }
    assert_int_equal(lm_params_find(params, "w299")->offset, 299 * 298 / 2);
    lm_params_free(params);
}

/* Mean and standard deviation of a large slice, and its largest absolute value. */
typedef struct moments {
    double mean, deviation, largest;
} moments;

static moments measure(const float *values, int64_t count) {
    moments m = {0, 0, 0};
    for (int64_t i = 0; i < count; i++) {
        m.mean += values[i] / (double)count;
        m.largest = fmax(m.largest, fabs(values[i]));
    }
    for (int64_t i = 0; i < count; i++)
        m.deviation += (values[i] - m.mean) * (values[i] - m.mean) / (double)count;
    m.deviation = sqrt(m.deviation);
    return m;
}

static void test_variances(void **state) {
    /* fan in 9 * 40 = 360, fan out 9 * 60 = 540 of a 3x3 convolution. */
    const lm_shape conv = LM_SHAPE(60, 3, 3, 40), dense = LM_SHAPE(150, 144);
    const struct {
        lm_shape shape;
        lm_init init;
        double deviation, largest; /* largest 0: unbounded */
    } rows[] = {
        {conv, LM_INIT(NORMAL, 0.5), 0.5, 0},
        {conv, LM_INIT(UNIFORM, 0.3), 0.3 / sqrt(3), 0.3},
        {conv, LM_INIT(FAN_IN, 2), sqrt(2.0 / 360), sqrt(6.0 / 360)},
        {conv, LM_INIT(FAN_AVG, 1), sqrt(1.0 / 450), sqrt(3.0 / 450)},
        {conv, LM_INIT(HE_NORMAL, 1), sqrt(2.0 / 360), 0},
        {dense, LM_INIT(FAN_AVG, 1e-10), 1e-5 * sqrt(1.0 / 147), 1e-5 * sqrt(3.0 / 147)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_params *params;
        CHECK_OK(lm_params_new("model", &params));
        add(params, "w", rows[i].shape, rows[i].init);
        float *values = malloc((size_t)params->count * sizeof *values);
        assert_non_null(values);
        CHECK_OK(lm_params_init(params, 7, values));
        moments m = measure(values, params->count);
        double spread = rows[i].deviation;
        assert_true(fabs(m.mean) < 5 * spread / sqrt((double)params->count));
        assert_true(fabs(m.deviation / spread - 1) < 0.02);
        if (rows[i].largest > 0) {
            assert_true(m.largest <= rows[i].largest * 1.000001);
            assert_true(m.largest > rows[i].largest * 0.99);
        }
        free(values);
        lm_params_free(params);
    }
}

static void check_orthogonal(int64_t rows, int64_t cols, double scale) {
    lm_params *params;
    CHECK_OK(lm_params_new("model", &params));
    add(params, "w", LM_SHAPE(rows, 1, cols), LM_INIT(ORTHOGONAL, scale));
    float *w = malloc((size_t)params->count * sizeof *w);
    assert_non_null(w);
    CHECK_OK(lm_params_init(params, 3, w));
    bool wide = rows <= cols;
    int64_t count = wide ? rows : cols, length = wide ? cols : rows;
    int64_t next = wide ? cols : 1, along = wide ? 1 : cols;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j++) {
            double sum = 0;
            for (int64_t k = 0; k < length; k++)
                sum += (double)w[i * next + k * along] * w[j * next + k * along];
            assert_true(fabs(sum - (i == j ? scale * scale : 0)) < 1e-6);
        }
    free(w);
    lm_params_free(params);
}

static void test_orthogonal(void **state) {
    check_orthogonal(13, 29, 1.0);
    check_orthogonal(31, 7, 1.5);
    check_orthogonal(17, 17, 1.0);
    check_orthogonal(1, 5, 2.0);
}

/* A slice's values depend on the seed and its name, not on what else is registered. */
static void test_streams(void **state) {
    lm_params *one, *two;
    float a[12], b[24], c[12];
    CHECK_OK(lm_params_new("model", &one));
    CHECK_OK(lm_params_new("model", &two));
    add(one, "x.weight", LM_SHAPE(3, 4), LM_INIT(NORMAL, 1));
    add(two, "other", LM_SHAPE(3, 4), LM_INIT(NORMAL, 1));
    add(two, "x.weight", LM_SHAPE(3, 4), LM_INIT(NORMAL, 1));
    CHECK_OK(lm_params_init(one, 1, a));
    CHECK_OK(lm_params_init(two, 1, b));
    CHECK_OK(lm_params_init(one, 2, c));
    assert_memory_equal(a, b + 12, sizeof a);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    lm_params_free(one);
    lm_params_free(two);
}

static lm_status make_some(void) {
    lm_params *params;
    const lm_param_slice *slice;
    float values[12];
    LM_TRY(lm_params_new("model", &params));
    lm_status status =
        lm_params_get(params, "w", LM_SHAPE(4, 3), LM_INIT(ORTHOGONAL, 1), &slice);
    if (status == LM_OK) status = lm_params_init(params, 1, values);
    lm_params_free(params);
    return status;
}

static void test_out_of_memory(void **state) {
    int64_t before = lm_mem_get_stats().blocks, n = 0;
    lm_status status;
    do {
        lm_mem_fail_at(++n, 0);
        status = make_some();
        lm_mem_fail_at(0, 0);
        assert_true(status == LM_OK || status == LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, before);
    } while (status != LM_OK);
    assert_true(n > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),  cmocka_unit_test(test_many_slices),
        cmocka_unit_test(test_variances), cmocka_unit_test(test_orthogonal),
        cmocka_unit_test(test_streams),   cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
