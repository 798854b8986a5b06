#include "base/mem.h"

#include "base/status.h"
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE       64 /* alignment of lm_alloc_aligned */
#define LARGE_PAGE ((size_t)2 << 20)

/* Precedes every block; keeps the alignment that the allocator promises. */
typedef struct header {
    alignas(max_align_t) size_t size; /* as asked for, without this header */
} header;

static void *resize_with_libc(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static lm_allocator allocator = {resize_with_libc, NULL};
static atomic_int_least64_t bytes, peak, blocks, calls;
static atomic_int_least64_t fail_at; /* value of `calls` that fails; 0: none */
static atomic_bool fail_sticky;
static int64_t calls_at_arming; /* `calls` when lm_mem_fail_at was last called */

void lm_mem_set_allocator(const lm_allocator *hook) {
    allocator = hook ? *hook : (lm_allocator){resize_with_libc, NULL};
}

static bool is_made_to_fail(int64_t call) {
    int64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    return at && (call == at || (call > at && atomic_load(&fail_sticky)));
}

static void count_bytes(int64_t change) {
    int64_t now = atomic_fetch_add(&bytes, change) + change;
    int64_t most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) continue;
}

/* Fresh memory that reads as zero. The C library's own calloc does not touch what comes
 * from the system, so that a large block costs nothing until it is used. */
static void *take_zeroed(size_t size) {
    if (allocator.resize == resize_with_libc) return calloc(1, size);
    void *block = allocator.resize(allocator.user, NULL, 0, size);
    return block ? memset(block, 0, size) : NULL;
}

static void *take(header *old, size_t old_size, size_t size, bool zeroed) {
    if (zeroed) return take_zeroed(size + sizeof *old);
    return allocator.resize(allocator.user, old, old ? old_size + sizeof *old : 0,
                            size + sizeof *old);
}

/* Allocates (old NULL) or resizes; the old block stays on failure. */
static void *resize(header *old, size_t size, bool zeroed) {
    int64_t call = atomic_fetch_add(&calls, 1) + 1;
    size_t old_size = old ? old->size : 0;
    header *block = NULL;
    if (size <= PTRDIFF_MAX - sizeof *block && !is_made_to_fail(call))
        block = take(old, old_size, size, zeroed);
    if (!block) {
        lm_fail(LM_NOMEM, "out of memory: %zu bytes wanted", size);
        return NULL;
    }
    if (!old) atomic_fetch_add(&blocks, 1);
    block->size = size;
    count_bytes((int64_t)size - (int64_t)old_size);
    return block + 1;
}

void *lm_alloc(size_t size) {
    return resize(NULL, size, false);
}

void *lm_realloc(void *ptr, size_t size) {
    return resize(ptr ? (header *)ptr - 1 : NULL, size, false);
}

void *lm_calloc(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        lm_fail(LM_NOMEM, "out of memory: %zu times %zu bytes wanted", count, size);
        return NULL;
    }
    return resize(NULL, total, true);
}

void lm_free(void *ptr) {
    if (!ptr) return;
    header *block = (header *)ptr - 1;
    atomic_fetch_sub(&blocks, 1);
    count_bytes(-(int64_t)block->size);
    allocator.resize(allocator.user, block, block->size + sizeof *block, 0);
}

char *lm_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = lm_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* Large blocks in large pages: the first touch of a gigabyte in small ones takes over a
 * second. Only advice, and not every system has it. */
static void ask_for_large_pages(char *block, size_t size) {
#ifdef MADV_HUGEPAGE
    if (size < 2 * LARGE_PAGE) return;
    uintptr_t start = ((uintptr_t)block + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    madvise((void *)start, (uintptr_t)block + size - start, MADV_HUGEPAGE);
#else
    (void)block, (void)size;
#endif
}

/* The plain block's address is kept in the word before the aligned one. */
void *lm_alloc_aligned(size_t size) {
    size_t total;
    if (__builtin_add_overflow(size, LINE + sizeof(void *), &total)) total = SIZE_MAX;
    char *plain = resize(NULL, total, true);
    if (!plain) return NULL;
    uintptr_t first = (uintptr_t)plain + sizeof(void *);
    char *aligned = plain + sizeof(void *) + (-first & (LINE - 1));
    memcpy(aligned - sizeof(void *), &plain, sizeof plain);
    ask_for_large_pages(aligned, size);
    return aligned;
}

void lm_free_aligned(void *ptr) {
    if (!ptr) return;
    void *plain;
    memcpy(&plain, (char *)ptr - sizeof(void *), sizeof plain);
    lm_free(plain);
}

lm_mem_stats lm_mem_get_stats(void) {
    return (lm_mem_stats){atomic_load(&bytes), atomic_load(&peak), atomic_load(&blocks),
                          atomic_load(&calls)};
}

void lm_mem_reset_peak(void) {
    atomic_store(&peak, atomic_load(&bytes));
}

int64_t lm_mem_fail_at(int64_t n, int sticky) {
    int64_t now = atomic_load(&calls);
    int64_t made = now - calls_at_arming;
    calls_at_arming = now;
    atomic_store(&fail_sticky, sticky != 0);
    atomic_store(&fail_at, n > 0 ? now + n : 0);
    return made;
}
