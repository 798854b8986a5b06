/* OpenMP runs what computes; a few threads beside it do what waits. The number of
 * OpenMP's is fixed once, before the first program is compiled, since oneDNN bakes it
 * into its primitives. */
#ifndef LIMN_BASE_THREADS_H
#define LIMN_BASE_THREADS_H

#include "base/status.h"
#include <pthread.h>

/* 0: what OpenMP says (OMP_NUM_THREADS, else the cores this process may use). Also sets
 * flush-to-zero in every worker of the calling thread, which should be the one that runs
 * programs. Values below 0 count as 0. */
void lm_threads_set(int count);
int lm_threads(void);

/* Starts a thread beside OpenMP's, to be ended with pthread_join. It takes no signals,
 * which stay with the host's threads, has the caller's floating point mode (as POSIX has
 * it), and opens no parallel region, since that would be a second team on the cores. */
lm_status lm_thread_start(pthread_t *thread, void *(*run)(void *user), void *user);

#endif
