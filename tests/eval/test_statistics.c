/* Files of mu and sigma: what NumPy wrote, what we write, and what nobody should have. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "eval/npz.h"
#include "eval/statistics.h"

#include <math.h>

static const char *golden(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", getenv("LIMN_TEST_SOURCE"), name);
    return path;
}

static double known_sigma(int i, int j) {
    double sum = 0;
    for (int k = 0; k <= i && k <= j; k++) sum += (i + 2 * k + 1) * (j + 2 * k + 1) / 4.0;
    return sum;
}

static void files_of_numpy_are_read(void **state) {
    static const char *const names[] = {"statistics.npz", "statistics-f32.npz"};
    for (int f = 0; f < 2; f++) {
        lm_moments m;
        char *extractor;
        assert_true(lm_is_statistics(golden(names[f])));
        CHECK_OK(lm_statistics_read(golden(names[f]), &m, &extractor));
        assert_int_equal(m.dim, 3);
        assert_int_equal(m.count, 0);
        assert_null(extractor);
        for (int i = 0; i < 3; i++) {
            assert_true(m.mean[i] == i - 1.5);
            for (int j = 0; j < 3; j++)
                assert_true(m.covariance[3 * i + j] == known_sigma(i, j));
        }
        lm_moments_release(&m);
    }
}

static void what_was_written_is_read(void **state) {
    lm_moments m, again;
    char *extractor;
    const char *line = "judge:digits; 8x8x1";
    CHECK_OK(lm_moments_init(&m, 40));
    m.count = 123;
    for (int i = 0; i < 40; i++) {
        m.mean[i] = sin(i);
        for (int j = 0; j < 40; j++) m.covariance[40 * i + j] = 1 / (1.0 + i + j);
    }
    for (int round = 0; round < 2; round++) {
        CHECK_OK(lm_statistics_write(scratch("own.npz"), &m, line));
        CHECK_OK(lm_statistics_read(scratch("own.npz"), &again, &extractor));
        assert_int_equal(again.dim, 40);
        assert_int_equal(again.count, m.count);
        assert_memory_equal(again.mean, m.mean, 40 * sizeof(double));
        assert_memory_equal(again.covariance, m.covariance, 1600 * sizeof(double));
        lm_moments_release(&again);
        if (line)
            assert_string_equal(extractor, line);
        else
            assert_null(extractor);
        lm_free(extractor);
        m.count = 0; /* not known: not written */
        line = NULL;
    }
    disk_is_full_at(1000);
    lm_status status = lm_statistics_write(scratch("own.npz"), &m, line);
    disk_has_room();
    assert_int_equal(status, LM_IO);
    CHECK_OK(
        lm_statistics_read(scratch("own.npz"), &again, &extractor)); /* the old one */
    lm_moments_release(&again);
    lm_moments_release(&m);
}

/* What could not be read again is not written. */
static void what_is_no_line_is_left_out(void **state) {
    static char longest[1002];
    static const char *const lines[] = {"",
                                        "judge:gr\xc3\xb6\xc3\x9f"
                                        "e; 8x8x1",
                                        "two\nlines", longest};
    lm_moments m, again;
    char *extractor;
    CHECK_OK(lm_moments_init(&m, 2));
    memset(longest, 'x', 1001);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(lm_statistics_write(scratch("line.npz"), &m, lines[i]));
        CHECK_OK(lm_statistics_read(scratch("line.npz"), &again, &extractor));
        assert_null(extractor);
        lm_moments_release(&again);
    }
    longest[1000] = 0;
    CHECK_OK(lm_statistics_write(scratch("line.npz"), &m, longest));
    CHECK_OK(lm_statistics_read(scratch("line.npz"), &again, &extractor));
    assert_string_equal(extractor, longest);
    lm_free(extractor);
    lm_moments_release(&again);
    lm_moments_release(&m);
}

static void broken_files_are_refused(void **state) {
    static const double mu[2] = {0, 1}, sigma[4] = {2, 1, 1, 2}, lone[4] = {2, 1, 0, 2},
                        negative[4] = {2, 0, 0, -1}, huge[4] = {2, INFINITY, INFINITY, 2},
                        nowhere[2] = {0, NAN};
    static const int64_t one = 1, five = 5;
    static const struct {
        lm_npz_array arrays[3];
        int count;
        const char *message; /* part of it; NULL: fine */
    } cases[] = {
        {{{"mu", LM_F64, {1, {2}}, mu}, {"sigma", LM_F64, {2, {2, 2}}, sigma}}, 2, NULL},
        {{{"mu", LM_F64, {1, {2}}, mu}}, 1, "no sigma"},
        {{{"sigma", LM_F64, {2, {2, 2}}, sigma}}, 1, "no mu"},
        {{{"mu", LM_F64, {0}, mu}, {"sigma", LM_F64, {2, {2, 2}}, sigma}}, 2, "shape []"},
        {{{"mu", LM_F64, {1, {0}}, mu}, {"sigma", LM_F64, {2, {0, 0}}, sigma}},
         2,
         "shape"},
        {{{"mu", LM_F64, {1, {2}}, mu}, {"sigma", LM_F64, {2, {1, 2}}, sigma}},
         2,
         "shape"},
        {{{"mu", LM_F64, {1, {2}}, mu}, {"sigma", LM_F64, {1, {4}}, sigma}}, 2, "shape"},
        {{{"mu", LM_I64, {1, {2}}, mu}, {"sigma", LM_F64, {2, {2, 2}}, sigma}}, 2, "i64"},
        {{{"mu", LM_F64, {1, {2}}, nowhere}, {"sigma", LM_F64, {2, {2, 2}}, sigma}},
         2,
         "mu[1] is not finite"},
        {{{"mu", LM_F64, {1, {2}}, mu}, {"sigma", LM_F64, {2, {2, 2}}, lone}},
         2,
         "not symmetric"},
        {{{"mu", LM_F64, {1, {2}}, mu}, {"sigma", LM_F64, {2, {2, 2}}, negative}},
         2,
         "not a variance"},
        {{{"mu", LM_F64, {1, {2}}, mu}, {"sigma", LM_F64, {2, {2, 2}}, huge}},
         2,
         "not symmetric"},
        {{{"mu", LM_F64, {1, {2}}, mu},
          {"sigma", LM_F64, {2, {2, 2}}, sigma},
          {"count", LM_I64, {0}, &one}},
         3,
         "count is 1"},
        {{{"mu", LM_F64, {1, {2}}, mu},
          {"sigma", LM_F64, {2, {2, 2}}, sigma},
          {"count", LM_I64, {1, {1}}, &five}},
         3,
         "not one i64"},
        {{{"mu", LM_F64, {1, {2}}, mu},
          {"sigma", LM_F64, {2, {2, 2}}, sigma},
          {"extractor", LM_U8, {1, {4}}, "judge"}},
         3,
         NULL},
        {{{"mu", LM_F64, {1, {2}}, mu},
          {"sigma", LM_F64, {2, {2, 2}}, sigma},
          {"extractor", LM_U8, {1, {4}}, "two\nlines"}},
         3,
         "not a line of text"},
        {{{"mu", LM_F64, {1, {2}}, mu},
          {"sigma", LM_F64, {2, {2, 2}}, sigma},
          {"extractor", LM_I64, {0}, &five}},
         3,
         "not a line of text"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        lm_moments m;
        char *extractor;
        CHECK_OK(lm_npz_write(scratch("case.npz"), cases[c].arrays, cases[c].count));
        lm_status status = lm_statistics_read(scratch("case.npz"), &m, &extractor);
        if (cases[c].message) {
            assert_int_equal(status, LM_FORMAT);
            if (!strstr(lm_message(), cases[c].message))
                fail_msg("%s: expected \"%s\"", lm_message(), cases[c].message);
        }
        assert_int_equal(status == LM_OK, !cases[c].message);
        lm_free(extractor);
        lm_moments_release(&m);
    }
}

/* Cut at any place, or with any bit turned: refused or read, and nothing leaks. */
static void damaged_files_do_no_harm(void **state) {
    void *bytes;
    size_t size;
    CHECK_OK(lm_file_read(golden("statistics.npz"), 1 << 20, &bytes, &size));
    uint8_t *damaged = bytes;
    int64_t held = lm_mem_get_stats().blocks;
    for (size_t at = 0; at < 2 * size; at++) {
        lm_moments m;
        char *extractor;
        size_t length = at < size ? at : size;
        if (at >= size) damaged[at - size] ^= (uint8_t)(1 << at % 8);
        FILE *file = fopen(scratch("damaged.npz"), "wb");
        assert_int_equal(fwrite(damaged, 1, length, file), length);
        fclose(file);
        lm_status status = lm_statistics_read(scratch("damaged.npz"), &m, &extractor);
        if (at < size) assert_true(status != LM_OK);
        lm_moments_release(&m);
        lm_free(extractor);
        assert_int_equal(lm_mem_get_stats().blocks, held);
        if (at >= size) damaged[at - size] ^= (uint8_t)(1 << at % 8);
    }
    lm_free(bytes);
}

static void what_is_no_such_file_is_said(void **state) {
    lm_moments m;
    char *extractor;
    CHECK_FAILS(lm_statistics_read(scratch("none.npz"), &m, &extractor), LM_NOT_FOUND);
    CHECK_FAILS(lm_statistics_read(scratch_folder, &m, &extractor), LM_FORMAT);
    CHECK_FAILS(lm_statistics_read(golden("make_statistics.py"), &m, &extractor),
                LM_FORMAT);
    CHECK_FAILS(lm_statistics_read(golden("keras.npz"), &m, &extractor), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "expected mu and sigma"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_of_numpy_are_read),
                                       cmocka_unit_test(what_was_written_is_read),
                                       cmocka_unit_test(what_is_no_line_is_left_out),
                                       cmocka_unit_test(broken_files_are_refused),
                                       cmocka_unit_test(damaged_files_do_no_harm),
                                       cmocka_unit_test(what_is_no_such_file_is_said)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
