#include "metrics/matrix.h"

#include "base/mem.h"
#include "metrics/blas.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

/* The Fortran entries, which every BLAS and LAPACK has, whoever made it; with the lengths
 * of the texts, which gfortran takes behind the arguments. */
void dgemm_(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
            const double *scale, const double *a, const int *lda, const double *b,
            const int *ldb, const double *keep, double *c, const int *ldc, size_t,
            size_t);
void dsyrk_(const char *triangle, const char *op, const int *n, const int *k,
            const double *scale, const double *a, const int *lda, const double *keep,
            double *c, const int *ldc, size_t, size_t);
void dsyevd_(const char *job, const char *triangle, const int *n, double *a,
             const int *lda, double *values, double *work, const int *n_work, int *whole,
             const int *n_whole, int *info, size_t, size_t);
void dpotrf_(const char *triangle, const int *n, double *a, const int *lda, int *info,
             size_t);
void dpstrf_(const char *triangle, const int *n, double *a, const int *lda, int *pivot,
             int *rank, const double *tolerance, double *work, int *info, size_t);

/* What LAPACK does column by column has threads meet at each of them, which costs more
 * than it gains: 2 of them take 1.2 to 5 times as long as one for 32 to 2048 columns, and
 * up to 100 times where other processes want the cores. */
enum { WORTH_THREADS = 2049 };

/* Returns how many there were, to be given to lm_blas_set_threads afterwards. */
static int limit_threads(int columns) {
    int before = omp_get_max_threads();
    lm_blas_set_threads(columns < WORTH_THREADS ? 1 : before);
    return before;
}

double *lm_matrix_new(size_t rows, size_t columns) {
    if (columns && rows > SIZE_MAX / sizeof(double) / columns) {
        lm_fail(LM_NOMEM, "a matrix of %zu x %zu: too large", rows, columns);
        return NULL;
    }
    return lm_alloc(rows * columns * sizeof(double));
}

/* ---- products ---------------------------------------------------------------- */

/* Fortran's columns are our rows: what it calls a' is our a, so c' = op(b)' op(a)'. */
void lm_matrix_multiply(lm_matrix_op op_a, lm_matrix_op op_b, int m, int n, int k,
                        double scale, const double *a, const double *b, double keep,
                        double *c) {
    if (m == 0 || n == 0) return;
    int lda = op_a == LM_PLAIN ? k : m, ldb = op_b == LM_PLAIN ? n : k;
    if (lda == 0) lda = 1;
    if (ldb == 0) ldb = 1;
    lm_blas_set_threads(omp_get_max_threads());
    dgemm_(op_b == LM_PLAIN ? "N" : "T", op_a == LM_PLAIN ? "N" : "T", &n, &m, &k, &scale,
           b, &ldb, a, &lda, &keep, c, &n, 1, 1);
}

void lm_matrix_add_gram(int rows, int n, const double *x, double keep, double *c) {
    const double one = 1;
    lm_blas_set_threads(omp_get_max_threads());
    dsyrk_("L", "N", &n, &rows, &one, x, &n, &keep, c, &n, 1, 1);
}

/* By tiles, so that neither side strides through memory. */
void lm_matrix_mirror(int n, double *c) {
    enum { TILE = 32 };
    for (int top = 0; top < n; top += TILE)
        for (int left = top; left < n; left += TILE)
            for (int i = top; i < n && i < top + TILE; i++)
                for (int j = left > i ? left : i + 1; j < n && j < left + TILE; j++)
                    c[(size_t)j * n + i] = c[(size_t)i * n + j];
}

/* ---- eigenvalues ------------------------------------------------------------- */

static lm_status check_side(int n) {
    LM_RETURN_IF(n < 1 || n > LM_MATRIX_SIDE, LM_ARG,
                 "a matrix of %d x %d: expected sides of 1 to %d", n, n, LM_MATRIX_SIDE);
    return LM_OK;
}

lm_status lm_matrix_eigen(double *a, int n, bool vectors, double *values) {
    LM_TRY(check_side(n));
    const char *job = vectors ? "V" : "N";
    double wanted;
    int whole_wanted, query = -1, info = 0;
    dsyevd_(job, "L", &n, a, &n, values, &wanted, &query, &whole_wanted, &query, &info, 1,
            1);
    int n_work = (int)wanted;
    double *work = lm_matrix_new(n_work, 1);
    int *whole = lm_alloc(whole_wanted * sizeof *whole);
    lm_status status = work && whole ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        int threads = limit_threads(n);
        dsyevd_(job, "L", &n, a, &n, values, work, &n_work, whole, &whole_wanted, &info,
                1, 1);
        lm_blas_set_threads(threads);
        if (info != 0)
            status = lm_fail(LM_NUMERIC,
                             "eigenvalues of a %d x %d matrix: no convergence", n, n);
    }
    lm_free(work);
    lm_free(whole);
    return status;
}

/* ---- factors ----------------------------------------------------------------- */

static double largest_diagonal(const double *a, int n) {
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, a[(size_t)i * n + i]);
    return most;
}

/* Pivots below it are rounding of the matrix's largest numbers (LAPACK's own rule). */
static double noise_of(const double *a, int n) {
    return n * DBL_EPSILON * largest_diagonal(a, n);
}

/* Upper triangular, in place; false: `a` is not definite beyond rounding, and spoilt. */
static bool factor_definite(double *a, int n) {
    double noise = noise_of(a, n);
    int info;
    dpotrf_("L", &n, a, &n, &info, 1);
    if (info != 0) return false;
    for (int i = 0; i < n; i++) {
        double pivot = a[(size_t)i * n + i];
        if (!(pivot * pivot > noise)) return false;
        memset(a + (size_t)i * n, 0, i * sizeof *a);
    }
    return true;
}

/* Row i of the factor lies in row i of `a` from column i on, with columns permuted. */
static lm_status factor_pivoted(double *a, int n, int most, double **r, int *rank) {
    double noise = noise_of(a, n);
    int info, found;
    int *pivot = lm_alloc(n * sizeof *pivot);
    double *work = lm_matrix_new(2, n);
    lm_status status = pivot && work ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        int threads = limit_threads(n);
        dpstrf_("L", &n, a, &n, pivot, &found, &noise, work, &info, 1);
        lm_blas_set_threads(threads);
        *rank = found < most ? found : most;
        *r = lm_calloc((size_t)*rank * n + 1, sizeof **r);
        if (!*r) status = LM_NOMEM;
    }
    for (int i = 0; status == LM_OK && i < *rank; i++)
        for (int j = i; j < n; j++)
            (*r)[(size_t)i * n + pivot[j] - 1] = a[(size_t)i * n + j];
    lm_free(pivot);
    lm_free(work);
    return status;
}

lm_status lm_matrix_factor(double *a, int n, int most, double **r, int *rank) {
    *r = NULL;
    *rank = 0;
    LM_TRY(check_side(n));
    if (most < n) return factor_pivoted(a, n, most, r, rank);
    double *copy = lm_matrix_new(n, n);
    if (!copy) return LM_NOMEM;
    memcpy(copy, a, (size_t)n * n * sizeof *copy);
    if (factor_definite(copy, n)) {
        *r = copy;
        *rank = n;
        return LM_OK;
    }
    lm_free(copy);
    return factor_pivoted(a, n, most, r, rank);
}
