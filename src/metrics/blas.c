#include "metrics/blas.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

char *openblas_get_corename(void) __attribute__((weak));
char *openblas_get_config(void) __attribute__((weak));
int openblas_get_parallel(void) __attribute__((weak));
void openblas_set_num_threads(int count) __attribute__((weak));

/* What openblas_get_parallel says. */
enum { ALONE, OWN_THREADS, OPENMP };

void lm_blas_set_threads(int count) {
    omp_set_num_threads(count);
    if (openblas_get_parallel && openblas_set_num_threads &&
        openblas_get_parallel() == OWN_THREADS)
        openblas_set_num_threads(count);
}

const char *lm_blas_core(void) {
    return openblas_get_corename ? openblas_get_corename() : NULL;
}

void lm_blas_describe(char *text, size_t size) {
    static const char *const parallel[] = {[ALONE] = "one thread",
                                           [OWN_THREADS] = "threads of its own",
                                           [OPENMP] = "OpenMP"};
    if (!openblas_get_config || !openblas_get_parallel || !lm_blas_core()) {
        snprintf(text, size, "not OpenBLAS");
        return;
    }
    /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */
    const char *config = openblas_get_config();
    size_t name = strcspn(config, " "), version = name + strspn(config + name, " ");
    int kind = openblas_get_parallel();
    snprintf(text, size, "%.*s, %s kernels, %s",
             (int)(version + strcspn(config + version, " ")), config, lm_blas_core(),
             parallel[kind == OWN_THREADS || kind == OPENMP ? kind : ALONE]);
}

const char *lm_blas_better_core(const char *chosen, bool avx2, bool avx512) {
    static const char *const wide[] = {"Haswell", "Zen", "SkylakeX", "Cooperlake",
                                       "SapphireRapids"};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (!chosen || strcmp(chosen, wide[i]) == 0) return NULL;
    return avx512 ? "SkylakeX" : avx2 ? "Haswell" : NULL;
}
