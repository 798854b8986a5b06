/* The loader: bytes that depend on the position alone, whatever the number of workers and
 * the order of reading; failures; ends in the middle of work. */
#include "testing.h"

#include "base/mem.h"
#include "data/data.h"
#include "data/order.h"

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
    LM_RETURN_IF(index == missing, LM_IO, "cannot open");
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

static lm_status make_loader(const lm_dataset *set, int batch, int workers,
                             lm_loader **loader) {
    const lm_loader_spec spec = {.batch = batch, .seed = SEED, .workers = workers};
    return lm_loader_new(set, &spec, loader);
}

static lm_loader *make(const lm_dataset *set, int workers) {
    lm_loader *loader;
    CHECK_OK(make_loader(set, BATCH, workers, &loader));
    return loader;
}

/* Images at positions 0 .. n-1, one by one by a loader without workers. */
static void read_singly(const lm_dataset *set, int n, uint8_t *pixels, int32_t *labels) {
    lm_loader *loader;
    CHECK_OK(make_loader(set, 1, 0, &loader));
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

static void check_digits(const char *spec) {
    enum { BATCHES = 6 };
    static uint8_t pixels[BATCHES * BATCH * 784];
    static int32_t labels[BATCHES * BATCH];
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
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

static void test_drawn_digits(void **state) {
    check_digits("builtin:digits");
    check_digits("builtin:digits?flip&pad-crop=4");
    check_digits("builtin:digits?limit=13&pad-crop=2");
}

/* Each image is the one of its place, changed as its position says; at its position in
 * the next epoch it is changed in another way. */
static void test_augments_by_position(void **state) {
    enum { LIMIT = 10, EPOCHS = 6 };
    static uint8_t pixels[EPOCHS * LIMIT * 784];
    uint8_t plain[784], changed[784];
    int32_t labels[EPOCHS * LIMIT], label;
    lm_dataset *set;
    CHECK_OK(
        lm_dataset_open("builtin:digits?limit=10&flip&pad-crop=2", LM_SPLIT_TRAIN, &set));
    read_singly(set, EPOCHS * LIMIT, pixels, labels);
    int64_t last = -1, differ = 0;
    for (int i = 0; i < EPOCHS * LIMIT; i++) {
        int64_t image = lm_order_at(SEED, i / LIMIT, LIMIT, i % LIMIT);
        CHECK_OK(set->get(set, image, plain, &label));
        lm_augment_image(&set->augment, SEED, i, 28, 28, 1, plain, changed);
        assert_memory_equal(pixels + i * 784, changed, 784);
        assert_int_equal(labels[i], label);
        if (image != 0) continue;
        if (last >= 0) differ += memcmp(pixels + last * 784, changed, 784) != 0;
        last = i;
    }
    assert_true(differ >= EPOCHS - 2);
    lm_dataset_free(set);
}

/* spec.flip is what ?flip is. */
static void test_flips_when_told(void **state) {
    lm_dataset *plain, *flipped;
    lm_loader *by_spec, *by_set;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &plain));
    CHECK_OK(lm_dataset_open("builtin:digits?flip", LM_SPLIT_TRAIN, &flipped));
    const lm_loader_spec spec = {.batch = BATCH, .seed = SEED, .flip = true};
    CHECK_OK(lm_loader_new(plain, &spec, &by_spec));
    CHECK_OK(make_loader(flipped, BATCH, 0, &by_set));
    for (int i = 0; i < 4; i++) {
        lm_batch a, b;
        CHECK_OK(lm_loader_read(by_spec, i * BATCH, &a));
        CHECK_OK(lm_loader_read(by_set, i * BATCH, &b));
        assert_memory_equal(a.pixels, b.pixels, BATCH * 784);
    }
    lm_loader_free(by_spec);
    lm_loader_free(by_set);
    lm_dataset_free(plain);
    lm_dataset_free(flipped);
}

/* Position p of all ranks together is position p of one process. */
static void test_ranks_share_the_positions(void **state) {
    enum { BATCHES = 12, WORLD = 3, ALL = BATCHES * BATCH * WORLD };
    static uint8_t pixels[ALL * 2];
    static int32_t labels[ALL];
    read_singly(&numbers, ALL, pixels, labels);
    for (int rank = 0; rank < WORLD; rank++) {
        const lm_loader_spec spec = {
            .batch = BATCH, .seed = SEED, .workers = rank, .rank = rank, .world = WORLD};
        lm_loader *loader;
        CHECK_OK(lm_loader_new(&numbers, &spec, &loader));
        for (int b = 0; b < BATCHES; b++) {
            lm_batch batch;
            CHECK_OK(lm_loader_read(loader, b * BATCH * WORLD, &batch));
            for (int i = 0; i < BATCH; i++) {
                int position = (b * BATCH + i) * WORLD + rank;
                assert_memory_equal(batch.pixels + 2 * i, pixels + 2 * position, 2);
                assert_int_equal(batch.labels[i], labels[position]);
            }
        }
        lm_loader_free(loader);
    }
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
        snprintf(message, sizeof message, "numbers: image %d: cannot open", missing);
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

static void name_number(const lm_dataset *set, int64_t index, lm_str *name) {
    lm_str_printf(name, "%lld.png", (long long)index);
}

static lm_status get_none(const lm_dataset *set, int64_t index, uint8_t *pixels,
                          int32_t *label) {
    return lm_fail(LM_FORMAT, "%s: cut off", set->classes ? "the file" : "folder/0.png");
}

/* The file is named once, by who reads it or by the loader. */
static void test_a_failure_names_its_file(void **state) {
    lm_dataset broken = numbers;
    broken.count = 1;
    broken.get = get_none;
    broken.item = name_number;
    lm_batch batch;
    lm_loader *loader = make(&broken, 0);
    CHECK_FAILS(lm_loader_read(loader, 0, &batch), LM_FORMAT);
    assert_string_equal(lm_message(), "numbers: 0.png: the file: cut off");
    broken.classes = 0;
    CHECK_FAILS(lm_loader_read(loader, 1000, &batch), LM_FORMAT);
    assert_string_equal(lm_message(), "folder/0.png: cut off");
    lm_loader_free(loader);
}

static void test_wrong_arguments(void **state) {
    static const lm_loader_spec bad[] = {{.batch = 0},
                                         {.batch = 1, .workers = -1},
                                         {.batch = 1, .workers = 1000},
                                         {.batch = 1, .rank = 1},
                                         {.batch = 1, .rank = 2, .world = 2},
                                         {.batch = 1, .rank = -1, .world = 2},
                                         {.batch = 1, .world = -1}};
    lm_loader *loader;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_loader_new(&numbers, &bad[i], &loader), LM_ARG);
    lm_dataset any_size = numbers;
    any_size.get = NULL;
    CHECK_FAILS(make_loader(&any_size, 1, 0, &loader), LM_ARG);
}

static void test_out_of_memory(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks;
    for (int n = 1;; n++) {
        assert_in_range(n, 1, 100);
        lm_loader *loader = NULL;
        lm_mem_fail_at(n, 1);
        const lm_loader_spec spec = {.batch = BATCH, .workers = 2, .flip = true};
        lm_status status = lm_loader_new(&numbers, &spec, &loader);
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
        cmocka_unit_test_setup(test_augments_by_position, reset),
        cmocka_unit_test_setup(test_flips_when_told, reset),
        cmocka_unit_test_setup(test_ranks_share_the_positions, reset),
        cmocka_unit_test_setup(test_any_order_of_reading, reset),
        cmocka_unit_test_setup(test_a_failure_belongs_to_its_batch, reset),
        cmocka_unit_test_setup(test_a_failure_names_its_file, reset),
        cmocka_unit_test_setup(test_wrong_arguments, reset),
        cmocka_unit_test_setup(test_out_of_memory, reset),
        cmocka_unit_test_setup(test_ends_at_any_time, reset),
        cmocka_unit_test_setup(test_works_ahead_but_not_far, reset),
    };
    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
