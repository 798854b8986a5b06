/* The BLAS and LAPACK that the program is linked to: how it is told of threads, and what
 * it says of itself. OpenBLAS's own functions are looked up weakly; any other library
 * does, too. */
#ifndef LIMN_METRICS_BLAS_H
#define LIMN_METRICS_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* OpenMP's number is the library's. An OpenBLAS with threads of its own is told. */
void lm_blas_set_threads(int count);

/* "OpenBLAS 0.3.21, Zen kernels, OpenMP", as far as it tells. */
void lm_blas_describe(char *text, size_t size);

/* The name of the processor that the library chose its kernels for; NULL: it does not
 * say. */
const char *lm_blas_core(void);

/* What OPENBLAS_CORETYPE should be for kernels that `chosen` has not, on a processor with
 * AVX2 or AVX-512; NULL: the choice is good. An OpenBLAS older than the processor, which
 * it does not know, may take it for one of 2004, and need four times as long. */
const char *lm_blas_better_core(const char *chosen, bool avx2, bool avx512);

#endif
