/* Allocation and arenas. */
#include "testing.h"

#include "base/arena.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static bool is_zero(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) return false;
    return true;
}

static void test_blocks_are_counted(void **state) {
    lm_mem_stats before = lm_mem_get_stats();
    lm_mem_reset_peak();
    void *a = lm_alloc(100), *b = lm_alloc(0);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % 16, 0);
    lm_mem_stats during = lm_mem_get_stats();
    assert_int_equal(during.bytes - before.bytes, 100);
    assert_int_equal(during.blocks - before.blocks, 2);
    assert_int_equal(during.calls - before.calls, 2);
    a = lm_realloc(a, 1000);
    a = lm_realloc(a, 10);
    lm_free(a);
    lm_free(b);
    lm_free(NULL);
    lm_mem_stats after = lm_mem_get_stats();
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.peak - before.bytes, 1000);
}

static void test_contents_survive_resizing(void **state) {
    unsigned char *block = NULL;
    for (size_t size = 1; size < 5000; size = size * 3 + 1) {
        block = lm_realloc(block, size);
        assert_non_null(block);
        memset(block, (int)(size % 251), size);
        for (size_t i = 0; i < size; i++) assert_int_equal(block[i], size % 251);
    }
    block = lm_realloc(block, 7);
    assert_int_equal(block[6], 3280 % 251);
    lm_free(block);
    char *text = lm_strdup("a line");
    assert_string_equal(text, "a line");
    lm_free(text);
    unsigned char *zeros = lm_calloc(37, 11);
    assert_true(is_zero(zeros, 407));
    lm_free(zeros);
}

static void test_aligned_blocks(void **state) {
    lm_mem_stats before = lm_mem_get_stats();
    for (size_t size = 0; size < 300; size += 13) {
        unsigned char *block = lm_alloc_aligned(size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        assert_true(is_zero(block, size));
        memset(block, 0xab, size);
        lm_free_aligned(block);
    }
    lm_free_aligned(NULL);
    assert_int_equal(lm_mem_get_stats().blocks, before.blocks);
    assert_int_equal(lm_mem_get_stats().bytes, before.bytes);
}

static void test_impossible_sizes_fail(void **state) {
    volatile size_t huge = SIZE_MAX; /* hidden from the compiler's own check */
    lm_message_clear();
    assert_null(lm_alloc(huge));
    assert_string_equal(lm_message(), "out of memory: 18446744073709551615 bytes wanted");
    assert_null(lm_alloc(huge - 20));
    assert_null(lm_alloc(huge / 2));
    assert_null(lm_calloc(huge / 2, 3));
    assert_null(lm_alloc_aligned(huge));
    assert_null(lm_alloc_aligned(huge - 63));
    char *kept = lm_strdup("kept");
    assert_null(lm_realloc(kept, huge));
    assert_string_equal(kept, "kept");
    lm_free(kept);
}

static void test_the_nth_allocation_fails(void **state) {
    lm_mem_fail_at(2, 0);
    void *a = lm_alloc(1), *b = lm_alloc(1), *c = lm_alloc(1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    assert_int_equal(lm_mem_fail_at(2, 1), 3);
    void *d = lm_calloc(1, 1), *e = lm_alloc_aligned(1), *f = lm_strdup("f");
    assert_non_null(d);
    assert_null(e);
    assert_null(f);
    assert_null(lm_realloc(d, 5));
    assert_int_equal(lm_mem_fail_at(0, 0), 4);
    lm_free(lm_alloc(1));
    assert_int_equal(lm_mem_fail_at(0, 0), 1);
    lm_free(a);
    lm_free(c);
    lm_free(d);
}

typedef struct tally {
    int64_t bytes, calls;
} tally;

static void *resize_and_tally(void *user, void *ptr, size_t old_size, size_t new_size) {
    tally *t = user;
    t->bytes += (int64_t)new_size - (int64_t)old_size;
    t->calls++;
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static void test_a_host_supplies_the_allocator(void **state) {
    assert_int_equal(lm_mem_get_stats().blocks, 0);
    tally t = {0};
    lm_mem_set_allocator(&(lm_allocator){resize_and_tally, &t});
    char *a = lm_alloc(10);
    assert_true(t.bytes >= 10);
    a = lm_realloc(a, 500);
    assert_true(t.bytes >= 500);
    lm_free(a);
    assert_int_equal(t.bytes, 0);
    assert_int_equal(t.calls, 3);
    lm_mem_set_allocator(NULL);
    lm_free(lm_alloc(1));
    assert_int_equal(t.calls, 3);
}

static void *churn(void *unused) {
    for (int i = 0; i < 20000; i++) lm_free(lm_alloc((size_t)(i % 97)));
    return NULL;
}

static void test_counters_hold_with_threads(void **state) {
    lm_mem_stats before = lm_mem_get_stats();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    lm_mem_stats after = lm_mem_get_stats();
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.calls - before.calls, 80000);
}

static void test_arena_blocks(void **state) {
    lm_arena arena = LM_ARENA_INIT;
    unsigned char *blocks[300];
    for (int i = 0; i < 300; i++) {
        size_t size = (size_t)(i * 7 % 131);
        blocks[i] = lm_arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_true(is_zero(blocks[i], size));
        memset(blocks[i], i % 255 + 1, size);
    }
    unsigned char *large = lm_arena_alloc(&arena, 5 << 20);
    assert_true(is_zero(large, 5 << 20));
    for (int i = 0; i < 300; i++)
        for (int j = 0; j < i * 7 % 131; j++) assert_int_equal(blocks[i][j], i % 255 + 1);
    assert_string_equal(lm_arena_strdup(&arena, "one"), "one");
    assert_string_equal(lm_arena_printf(&arena, "%d and %s", 2, "three"), "2 and three");
    assert_memory_equal(lm_arena_copy(&arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(lm_arena_copy(&arena, NULL, 0));
    lm_arena_release(&arena);
    lm_arena_release(&arena);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_arena_out_of_memory(void **state) {
    lm_arena arena = LM_ARENA_INIT;
    volatile size_t huge = SIZE_MAX;
    assert_null(lm_arena_alloc(&arena, huge));
    assert_null(lm_arena_alloc(&arena, huge - 8));
    assert_null(lm_arena_alloc(&arena, huge / 2));
    lm_mem_fail_at(1, 1);
    assert_null(lm_arena_alloc(&arena, 1));
    assert_null(lm_arena_strdup(&arena, "x"));
    assert_null(lm_arena_printf(&arena, "%d", 1));
    lm_mem_fail_at(0, 0);
    assert_non_null(lm_arena_alloc(&arena, 1));
    lm_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_counted),
        cmocka_unit_test(test_contents_survive_resizing),
        cmocka_unit_test(test_aligned_blocks),
        cmocka_unit_test(test_impossible_sizes_fail),
        cmocka_unit_test(test_the_nth_allocation_fails),
        cmocka_unit_test(test_a_host_supplies_the_allocator),
        cmocka_unit_test(test_counters_hold_with_threads),
        cmocka_unit_test(test_arena_blocks),
        cmocka_unit_test(test_arena_out_of_memory),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
