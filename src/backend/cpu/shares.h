/* Work handed out to the threads of a region. Each begins with a share of its own, the
 * same part of a batch in every kernel, so that it finds in its core's cache what it made
 * itself: where cores have no cache in common, reading what the other one wrote is a
 * third as fast. Who is done helps the others. */
#ifndef LIMN_BACKEND_CPU_SHARES_H
#define LIMN_BACKEND_CPU_SHARES_H

#include "backend/cpu/cpu_internal.h"

#include <omp.h>
#include <stdatomic.h>

enum { LM_SHARES_MOST = 64 /* more threads have some in common */ };

/* Pieces 0..count-1; filled before the region, used up within it. */
typedef struct lm_shares {
    int64_t count;
    int parts;
    struct {
        _Alignas(64) _Atomic int64_t taken;
    } of[LM_SHARES_MOST];
} lm_shares;

static inline void lm_shares_init(lm_shares *shares, int64_t count, int threads) {
    shares->count = count;
    shares->parts = threads < LM_SHARES_MOST ? threads : LM_SHARES_MOST;
    for (int i = 0; i < shares->parts; i++) atomic_init(&shares->of[i].taken, 0);
}

/* The next piece for the calling thread, -1 when all are taken. A thread's own come in
 * their order. */
static inline int64_t lm_shares_take(lm_shares *shares) {
    int64_t parts = shares->parts, own = omp_get_thread_num();
    for (int64_t i = own; i < own + parts; i++) {
        int64_t part = i % parts;
        int64_t begin = shares->count * part / parts;
        int64_t end = shares->count * (part + 1) / parts;
        int64_t piece = begin + atomic_fetch_add_explicit(&shares->of[part].taken, 1,
                                                          memory_order_relaxed);
        if (piece < end) return piece;
    }
    return -1;
}

/* The loop over what this thread gets. Unlike `omp for` it has no barrier at its end. */
#define LM_SHARES_EACH(shares, piece)                                                    \
    for (int64_t piece; (piece = lm_shares_take(shares)) >= 0;)

#endif
