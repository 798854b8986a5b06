/* OpenMP is the one thread runtime. The number of threads is fixed once, before the first
 * program is compiled, since oneDNN bakes it into its primitives. */
#ifndef LIMN_BASE_THREADS_H
#define LIMN_BASE_THREADS_H

/* 0: what OpenMP says (OMP_NUM_THREADS, else the cores this process may use). Also sets
 * flush-to-zero in every worker of the calling thread, which should be the one that runs
 * programs. Values below 0 count as 0. */
void lm_threads_set(int count);
int lm_threads(void);

#endif
