/* Matrices whose products, eigenvalues and factors are known, and the library's choices.
 */
#include "metrics/draws.h"

#include "metrics/blas.h"
#include "metrics/matrix.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static double *random_matrix(uint64_t seed, int rows, int columns) {
    float *x = draw_normal(seed, rows, columns);
    double *a = lm_matrix_new(rows, columns);
    assert_non_null(a);
    for (int i = 0; i < rows * columns; i++) a[i] = x[i];
    lm_free(x);
    return a;
}

static void products_are_sums(void **state) {
    enum { M = 5, N = 7, K = 3 };
    for (int ops = 0; ops < 4; ops++) {
        lm_matrix_op op_a = ops & 1 ? LM_TRANSPOSED : LM_PLAIN;
        lm_matrix_op op_b = ops & 2 ? LM_TRANSPOSED : LM_PLAIN;
        double *a = random_matrix(1, M, K), *b = random_matrix(2, K, N), c[M * N];
        for (int i = 0; i < M * N; i++) c[i] = i;
        lm_matrix_multiply(op_a, op_b, M, N, K, 2, a, b, -1, c);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                double sum = -(i * N + j);
                for (int k = 0; k < K; k++)
                    sum += 2 * (op_a == LM_PLAIN ? a[i * K + k] : a[k * M + i]) *
                           (op_b == LM_PLAIN ? b[k * N + j] : b[j * K + k]);
                assert_true(fabs(c[i * N + j] - sum) < 1e-13 * (1 + fabs(sum)));
            }
        lm_free(a);
        lm_free(b);
    }
}

static void grams_fill_the_upper_triangle(void **state) {
    enum { ROWS = 6, N = 70 };
    double *x = random_matrix(3, ROWS, N), *c = lm_matrix_new(N, N);
    for (int i = 0; i < N * N; i++) c[i] = 1;
    lm_matrix_add_gram(ROWS, N, x, 0.5, c);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = j < i ? 1 : 0.5;
            for (int k = 0; k < ROWS && j >= i; k++) sum += x[k * N + i] * x[k * N + j];
            assert_true(fabs(c[i * N + j] - sum) < 1e-12);
        }
    lm_matrix_mirror(N, c);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) assert_true(c[i * N + j] == c[j * N + i]);
    lm_free(x);
    lm_free(c);
}

/* The second difference: 2 - 2 cos(pi k / (n + 1)). */
static void eigenvalues_are_those_of_a_chain(void **state) {
    enum { N = 60 };
    double *a = lm_matrix_new(N, N), values[N], again[N];
    for (int vectors = 0; vectors < 2; vectors++) {
        for (int i = 0; i < N * N; i++) {
            int apart = abs(i / N - i % N);
            a[i] = apart == 0 ? 2 : apart == 1 ? -1 : 0;
        }
        int threads = omp_get_max_threads();
        CHECK_OK(lm_matrix_eigen(a, N, vectors, vectors ? again : values));
        assert_int_equal(omp_get_max_threads(), threads);
    }
    for (int k = 0; k < N; k++) {
        double wanted = 2 - 2 * cos(acos(-1.0) * (k + 1) / (N + 1)), length = 0;
        assert_true(fabs(values[k] - wanted) < 1e-13);
        assert_true(fabs(again[k] - wanted) < 1e-13);
        for (int i = 0; i < N; i++) {
            const double *v = a + k * N;
            double image = 2 * v[i] - (i ? v[i - 1] : 0) - (i < N - 1 ? v[i + 1] : 0);
            assert_true(fabs(image - wanted * v[i]) < 1e-12);
            length += v[i] * v[i];
        }
        assert_true(fabs(length - 1) < 1e-12);
    }
    lm_free(a);
}

static void factors_have_the_rank_of_the_matrix(void **state) {
    enum { N = 40 };
    static const int ranks[] = {0, 1, 7, 39, 40};
    for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
        double *x = random_matrix(4, ranks[r], N), *a = lm_matrix_new(N, N);
        double *copy = lm_matrix_new(N, N), *factor, largest = 0;
        memset(a, 0, N * N * sizeof *a);
        lm_matrix_add_gram(ranks[r], N, x, 0, a);
        lm_matrix_mirror(N, a);
        memcpy(copy, a, N * N * sizeof *a);
        int rank;
        CHECK_OK(lm_matrix_factor(a, N, N, &factor, &rank));
        assert_int_equal(rank, ranks[r]);
        memset(a, 0, N * N * sizeof *a);
        lm_matrix_multiply(LM_TRANSPOSED, LM_PLAIN, N, N, rank, 1, factor, factor, 0, a);
        for (int i = 0; i < N * N; i++) largest = fmax(largest, fabs(copy[i]));
        for (int i = 0; i < N * N; i++)
            assert_true(fabs(a[i] - copy[i]) <= 1e-13 * largest);
        lm_free(factor);
        CHECK_OK(lm_matrix_factor(copy, N, 3, &factor, &rank));
        assert_int_equal(rank, ranks[r] < 3 ? ranks[r] : 3);
        lm_free(factor);
        lm_free(x);
        lm_free(a);
        lm_free(copy);
    }
}

static void wrong_sides_are_refused(void **state) {
    double a[1] = {1}, values[1], *factor;
    int rank;
    CHECK_FAILS(lm_matrix_eigen(a, 0, false, values), LM_ARG);
    CHECK_FAILS(lm_matrix_eigen(a, LM_MATRIX_SIDE + 1, false, values), LM_ARG);
    CHECK_FAILS(lm_matrix_factor(a, 0, 1, &factor, &rank), LM_ARG);
    assert_null(lm_matrix_new(SIZE_MAX / 8, 2));
}

static void old_kernels_are_replaced(void **state) {
    assert_string_equal(lm_blas_better_core("Prescott", true, true), "SkylakeX");
    assert_string_equal(lm_blas_better_core("Prescott", true, false), "Haswell");
    assert_string_equal(lm_blas_better_core("Sandybridge", true, false), "Haswell");
    assert_null(lm_blas_better_core("Prescott", false, false));
    assert_null(lm_blas_better_core("Haswell", true, true));
    assert_null(lm_blas_better_core("Zen", true, false));
    assert_null(lm_blas_better_core(NULL, true, true)); /* not OpenBLAS */
    char text[128];
    lm_blas_describe(text, sizeof text);
    assert_true(strlen(text) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_sums),
        cmocka_unit_test(grams_fill_the_upper_triangle),
        cmocka_unit_test(eigenvalues_are_those_of_a_chain),
        cmocka_unit_test(factors_have_the_rank_of_the_matrix),
        cmocka_unit_test(wrong_sides_are_refused),
        cmocka_unit_test(old_kernels_are_replaced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
