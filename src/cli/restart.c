/* Variables that libraries read before main. */
#include "cli/cli.h"

#include "metrics/blas.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Threads that wait for each other by spinning lose several times their speed as soon as
 * another process wants a core. A short spin, then sleep, costs next to nothing when the
 * machine is idle. */
static bool limit_spinning(void) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return false;
    return setenv("GOMP_SPINCOUNT", "20000", 1) == 0;
}

#if defined(__x86_64__)
static const char *better_core(void) {
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512bw");
    return lm_blas_better_core(lm_blas_core(), avx2, avx512);
}
#else
static const char *better_core(void) {
    return NULL;
}
#endif

static bool correct_core(void) {
    const char *core = getenv("OPENBLAS_CORETYPE") ? NULL : better_core();
    return core && setenv("OPENBLAS_CORETYPE", core, 1) == 0;
}

void cli_restart(char **argv) {
    /* Who binds threads has bound this one by now, and would leave the next program a
     * single core. */
    static const char *const binding[] = {"OMP_PROC_BIND", "OMP_PLACES",
                                          "GOMP_CPU_AFFINITY"};
    for (size_t i = 0; i < sizeof binding / sizeof *binding; i++)
        if (getenv(binding[i])) return;
    bool spinning = limit_spinning(), core = correct_core();
    const char *self = (const char *)getauxval(AT_EXECFN);
    if (self && (spinning || core)) execv(self, argv);
    /* Where that is not to be had, the program is merely slower. */
}
