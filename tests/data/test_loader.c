/* The loader: bytes that depend on the position alone, whatever the number of workers and
 * the order of reading; failures; ends in the middle of work. */
#include "testing.h"

#include "base/mem.h"
#include "data/data.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 23, BATCH = 5, SEED = 7 };

/* A set that lives in no file: image i is the bytes i, 255 - i. */
static atomic_int asked, missing = -1; /* calls; image that cannot be had */
static int slow_us;                    /* time that each takes */

static lm_status get_number(const lm_dataset *set, int64_t index, uint8_t *pixels,
                            int32_t *label) {
    atomic_fetch_add(&asked, 1);
    if (slow_us) usleep(slow_us);
    LM_RETURN_IF(index == missing, LM_IO, "folder/%lld.png: cannot open",
                 (long long)index);
    pixels[0] = (uint8_t)index;
    pixels[1] = (uint8_t)(255 - index);
    *label = (int32_t)index % 3;
    return LM_OK;
}

static const lm_dataset numbers = {.name = (char *)"numbers",
                                   .height = 2,
                                   .width = 1,
                                   .channels = 1,
                                   .classes = 3,
                                   .count = COUNT,
                                   .get = get_number};

static const int worker_counts[] = {0, 1, 2, 5};
enum { N_WORKER_COUNTS = sizeof worker_counts / sizeof *worker_counts };

static int reset(void **state) {
    missing = -1;
    slow_us = 0;
    return 0;
}

static lm_loader *make(const lm_dataset *set, int workers) {
    lm_loader *loader;
    CHECK_OK(lm_loader_new(set, BATCH, SEED, workers, &loader));
    return loader;
}

/* Images at positions 0 .. n-1, one by one by a loader without workers. */
static void read_singly(const lm_dataset *set, int n, uint8_t *pixels, int32_t *labels) {
    lm_loader *loader;
    CHECK_OK(lm_loader_new(set, 1, SEED, 0, &loader));
    size_t size = (size_t)set->height * set->width * set->channels;
    for (int i = 0; i < n; i++) {
        lm_batch batch;
        CHECK_OK(lm_loader_read(loader, i, &batch));
        memcpy(pixels + i * size, batch.pixels, size);
        labels[i] = batch.labels[0];
    }
    lm_loader_free(loader);
}

/* ---- the same bytes ---------------------------------------------------------- */

/* Over the ends of several epochs, which are within batches. */
static void test_any_number_of_workers(void **state) {
    enum { BATCHES = 40 };
    static uint8_t pixels[BATCHES * BATCH * 2];
    static int32_t labels[BATCHES * BATCH];
    read_singly(&numbers, BATCHES * BATCH, pixels, labels);
    for (int w = 0; w < N_WORKER_COUNTS; w++) {
        lm_loader *loader = make(&numbers, worker_counts[w]);
        for (int i = 0; i < BATCHES; i++) {
            lm_batch batch;
            CHECK_OK(lm_loader_read(loader, i * BATCH, &batch));
            assert_memory_equal(batch.pixels, pixels + i * BATCH * 2, BATCH * 2);
            assert_memory_equal(batch.labels, labels + i * BATCH, BATCH * sizeof *labels);
        }
        assert_true(lm_loader_waited(loader) >= 0);
        lm_loader_free(loader);
    }
}

static void test_drawn_digits(void **state) {
    enum { BATCHES = 6 };
    static uint8_t pixels[BATCHES * BATCH * 784];
    static int32_t labels[BATCHES * BATCH];
    lm_dataset *set;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &set));
    read_singly(set, BATCHES * BATCH, pixels, labels);
    for (int w = 0; w < N_WORKER_COUNTS; w++) {
        lm_loader *loader = make(set, worker_counts[w]);
        for (int i = 0; i < BATCHES; i++) {
            lm_batch batch;
            CHECK_OK(lm_loader_read(loader, i * BATCH, &batch));
            assert_memory_equal(batch.pixels, pixels + i * BATCH * 784, BATCH * 784);
            assert_memory_equal(batch.labels, labels + i * BATCH, BATCH * sizeof *labels);
        }
        lm_loader_free(loader);
    }
    lm_dataset_free(set);
}

/* A run that continues in the middle of an epoch, and jumps back and forth. */
static void test_any_order_of_reading(void **state) {
    static const int positions[] = {35, 40, 45, 11, 16, 0, 5, 5, 5, 200, 13, 18, 7};
    enum { END = 200 + BATCH };
    static uint8_t pixels[END * 2];
    static int32_t labels[END];
    read_singly(&numbers, END, pixels, labels);
    for (int w = 0; w < N_WORKER_COUNTS; w++) {
        lm_loader *loader = make(&numbers, worker_counts[w]);
        lm_loader_seek(loader, 35);
        for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
            lm_batch batch;
            CHECK_OK(lm_loader_read(loader, positions[i], &batch));
            assert_memory_equal(batch.pixels, pixels + positions[i] * 2, BATCH * 2);
        }
        lm_loader_free(loader);
    }
}

/* ---- failures ---------------------------------------------------------------- */

static void test_a_failure_belongs_to_its_batch(void **state) {
    uint8_t pixels[COUNT * 2];
    int32_t labels[COUNT];
    read_singly(&numbers, COUNT, pixels, labels);
    for (int w = 0; w < N_WORKER_COUNTS; w++) {
        lm_loader *loader = make(&numbers, worker_counts[w]);
        lm_batch batch;
        missing = pixels[2 * (BATCH + 2)]; /* an image of the second batch */
        char message[64];
        snprintf(message, sizeof message, "folder/%d.png: cannot open", missing);
        CHECK_OK(lm_loader_read(loader, 0, &batch));
        lm_message_clear();
        CHECK_FAILS(lm_loader_read(loader, BATCH, &batch), LM_IO);
        assert_string_equal(lm_message(), message);
        CHECK_OK(lm_loader_read(loader, 2 * BATCH, &batch));
        assert_memory_equal(batch.pixels, pixels + 4 * BATCH, BATCH * 2);
        missing = -1; /* the file is back: tried again */
        CHECK_OK(lm_loader_read(loader, BATCH, &batch));
        assert_memory_equal(batch.pixels, pixels + 2 * BATCH, BATCH * 2);
        lm_loader_free(loader);
    }
}

static void test_wrong_arguments(void **state) {
    lm_loader *loader;
    CHECK_FAILS(lm_loader_new(&numbers, 0, 1, 0, &loader), LM_ARG);
    CHECK_FAILS(lm_loader_new(&numbers, 1, 1, -1, &loader), LM_ARG);
    CHECK_FAILS(lm_loader_new(&numbers, 1, 1, 1000, &loader), LM_ARG);
}

static void test_out_of_memory(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks;
    for (int n = 1;; n++) {
        assert_in_range(n, 1, 100);
        lm_loader *loader = NULL;
        lm_mem_fail_at(n, 1);
        lm_status status = lm_loader_new(&numbers, BATCH, SEED, 2, &loader);
        lm_mem_fail_at(0, 0);
        lm_loader_free(loader);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) break;
        assert_int_equal(status, LM_NOMEM);
    }
}

/* ---- threads ----------------------------------------------------------------- */

/* Ended while the workers are in the middle of a batch, or before any began. */
static void test_ends_at_any_time(void **state) {
    slow_us = 300;
    for (int round = 0; round < 12; round++) {
        lm_loader *loader = make(&numbers, worker_counts[round % N_WORKER_COUNTS]);
        lm_batch batch;
        if (round > 3) lm_loader_seek(loader, round);
        if (round > 7) CHECK_OK(lm_loader_read(loader, round, &batch));
        lm_loader_free(loader);
        int before = asked;
        usleep(2000);
        assert_int_equal(asked, before); /* nobody is left */
    }
}

/* Workers stop when the ring is full, and go on when there is room. */
static void test_works_ahead_but_not_far(void **state) {
    enum { WORKERS = 2, MOST = 2 * WORKERS + 2 };
    lm_loader *loader = make(&numbers, WORKERS);
    lm_batch batch;
    asked = 0;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lm_loader_read(loader, i * BATCH, &batch));
        for (int t = 0; t < 1000 && asked < (i + 2) * BATCH; t++) usleep(1000);
        assert_true(asked >= (i + 2) * BATCH); /* the next one is made unasked */
        usleep(20000);
        assert_true(asked <= (i + MOST) * BATCH);
    }
    lm_loader_free(loader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_any_number_of_workers, reset),
        cmocka_unit_test_setup(test_drawn_digits, reset),
        cmocka_unit_test_setup(test_any_order_of_reading, reset),
        cmocka_unit_test_setup(test_a_failure_belongs_to_its_batch, reset),
        cmocka_unit_test_setup(test_wrong_arguments, reset),
        cmocka_unit_test_setup(test_out_of_memory, reset),
        cmocka_unit_test_setup(test_ends_at_any_time, reset),
        cmocka_unit_test_setup(test_works_ahead_but_not_far, reset),
    };
    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
