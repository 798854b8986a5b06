/* Replaceable allocation. Every byte that the library takes from the heap goes through
 * here, so that a host can supply its own allocator and a test can make the n-th call
 * fail. Sizes are tracked: lm_mem_stats() tells what is held and what the peak was. */
#ifndef LIMN_BASE_MEM_H
#define LIMN_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* One realloc-shaped hook (after Lua): ptr NULL allocates, new_size 0 frees (and
 * returns NULL), otherwise resizes. old_size is exact. Must be thread safe. Results
 * must be aligned for any fundamental type. */
typedef struct lm_allocator {
    void *(*resize)(void *user, void *ptr, size_t old_size, size_t new_size);
    void *user;
} lm_allocator;

typedef struct lm_mem_stats {
    int64_t bytes;  /* held now */
    int64_t peak;   /* most ever held since start or lm_mem_reset_peak */
    int64_t blocks; /* held now */
    int64_t calls;  /* allocations asked for since start */
} lm_mem_stats;

/* Installs an allocator (NULL: the C library's). Only while no block is held. */
void lm_mem_set_allocator(const lm_allocator *allocator);

/* All return NULL when memory is out and record LM_NOMEM's message (bytes wanted).
 * lm_free(NULL) is allowed. lm_alloc(0) returns a block that must be freed. */
void *lm_alloc(size_t size);
void *lm_calloc(size_t count, size_t size); /* zeroed, overflow checked */
void *lm_realloc(void *ptr, size_t size);   /* on failure the old block is kept */
void lm_free(void *ptr);
char *lm_strdup(const char *text);

/* Blocks aligned to 64 bytes (a cache line, an AVX-512 register), zero filled. Freed
 * with lm_free_aligned only. */
void *lm_alloc_aligned(size_t size);
void lm_free_aligned(void *ptr);

lm_mem_stats lm_mem_get_stats(void);
void lm_mem_reset_peak(void);

/* Test mode: the n-th allocation from now on (1 = the next) and, if `sticky`, all after
 * it fail. n = 0 ends the mode. Returns how many allocations were made since the last
 * call, so that a test can loop until a run needs fewer than n. */
int64_t lm_mem_fail_at(int64_t n, int sticky);

#endif
