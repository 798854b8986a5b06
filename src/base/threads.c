#include "base/threads.h"

#include <omp.h>
#include <signal.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

/* Subnormals cost a hundred cycles each and mean nothing to a network: bit 15 of MXCSR
 * flushes results, bit 6 takes operands as zero (Intel SDM volume 1, section 10.2.3). */
static void flush_subnormals(void) {
    _mm_setcsr(_mm_getcsr() | 1u << 15 | 1u << 6);
}
#else
static void flush_subnormals(void) {}
#endif

static int standard; /* what OpenMP said before we set anything */
static int chosen;

void lm_threads_set(int count) {
    if (!standard) standard = omp_get_max_threads();
    chosen = count > 0 ? count : standard;
    omp_set_dynamic(0);
    omp_set_num_threads(chosen);
    /* LLVM's runtime gives the workers this thread's mode at each region, GNU's lets each
     * thread keep its own. */
    flush_subnormals();
#pragma omp parallel num_threads(chosen)
    flush_subnormals();
}

int lm_threads(void) {
    return chosen ? chosen : omp_get_max_threads();
}

lm_status lm_thread_start(pthread_t *thread, void *(*run)(void *user), void *user) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int error = pthread_create(thread, NULL, run, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    LM_RETURN_IF(error, LM_NOMEM, "cannot start a thread: %s", strerror(error));
    return LM_OK;
}
