/* Dense linear algebra in f64 by whatever BLAS and LAPACK the program is linked to. All
 * matrices are row-major and contiguous; threads are OpenMP's. Results
 * depend on that library and its number of threads in the last digits. */
#ifndef LIMN_METRICS_MATRIX_H
#define LIMN_METRICS_MATRIX_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Rows and columns that 32-bit LAPACK can have in every function here. */
enum { LM_MATRIX_SIDE = 16384 };

/* An uninitialised [rows][columns], lm_free'd by the caller; NULL: no memory, or too
 * large. */
double *lm_matrix_new(size_t rows, size_t columns);

/* c[m][n] = scale * op(a) op(b) + keep * c, with op(a) [m][k] and op(b) [k][n]; a
 * transposed operand lies in memory as [k][m] or [n][k]. */
typedef enum lm_matrix_op { LM_PLAIN, LM_TRANSPOSED } lm_matrix_op;
void lm_matrix_multiply(lm_matrix_op op_a, lm_matrix_op op_b, int m, int n, int k,
                        double scale, const double *a, const double *b, double keep,
                        double *c);

/* c[n][n] = x'x + keep * c for x[rows][n]. Only its upper triangle is read and written;
 * lm_matrix_mirror fills in the lower one. */
void lm_matrix_add_gram(int rows, int n, const double *x, double keep, double *c);
void lm_matrix_mirror(int n, double *c);

/* Eigenvalues of a symmetric a[n][n], ascending, in values[n]. `a` is destroyed, or, with
 * `vectors`, row i becomes the eigenvector of values[i], of length 1. */
lm_status lm_matrix_eigen(double *a, int n, bool vectors, double *values);

/* r[rank][n] with a = r'r for a positive semidefinite a[n][n], which is destroyed;
 * lm_free'd by the caller. The rank is the numerical one, at most `most`, by pivoting
 * where a plain Cholesky factorisation meets a pivot that is nothing but rounding. */
lm_status lm_matrix_factor(double *a, int n, int most, double **r, int *rank);

#endif
