/* What the machine can do at best, for profiles to be read against. */
#include "backend/cpu/peak_ops.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/threads.h"

#include <omp.h>
#include <string.h>

enum {
    TRIES = 32,
    ROUNDS = 1 << 18, /* of multiply-adds in a try: about a millisecond */
    COPIES = 6,
    COPY_BYTES = 32 << 20 /* by each thread in a try: more than its caches hold */
};

/* Each thread by its own best try, the one that nobody disturbed; a try is short, so that
 * there is one on a busy machine too. */
static double best_arithmetic(const lm_peak_ops *ops) {
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        float sink = 0.5f;
        double began = lm_now(), done = ops->multiply_add(ROUNDS, &sink);
        double rate = done / (lm_now() - began);
        if (rate > best) best = rate;
    }
    return best;
}

static double best_copy(char *blocks) {
    double best = 0;
    memset(blocks, 1, COPY_BYTES); /* else all its pages are one of zeros */
    for (int i = 0; i < COPIES; i++) {
        double began = lm_now();
        memcpy(blocks + COPY_BYTES, blocks, COPY_BYTES);
        double rate = 2.0 * COPY_BYTES / (lm_now() - began);
        if (rate > best) best = rate;
    }
    return best;
}

lm_status lm_backend_cpu_peak(double *flops, double *bytes) {
    const lm_peak_ops *ops = LM_ISA_PICK(lm_peak_ops);
    size_t threads = (size_t)lm_threads();
    char *blocks = lm_alloc_aligned(threads * 2 * COPY_BYTES);
    if (!blocks) return LM_NOMEM;
    double operations = 0, copied = 0;
#pragma omp parallel num_threads(lm_threads()) reduction(+ : operations, copied)
    {
        operations += best_arithmetic(ops);
        copied += best_copy(blocks + (size_t)omp_get_thread_num() * 2 * COPY_BYTES);
    }
    lm_free_aligned(blocks);
    *flops = operations;
    *bytes = copied;
    return LM_OK;
}
