/* Built-in digits, IDX files good and bad, specs, and the order of batches. */
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[128];

static char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const void *data, size_t size) {
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void write_gzip(const char *name, const void *data, size_t size) {
    gzFile file = gzopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)size), (int)size);
    gzclose(file);
}

/* Five images of 3 x 2 with pixel = index * 6 + position, labels 0 3 1 2 3. */
static const uint8_t images[16 + 30] = {0,  0,  8,  3,  0,  0,  0,  5,  0,  0,  0,  3,
                                        0,  0,  0,  2,  0,  1,  2,  3,  4,  5,  6,  7,
                                        8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                                        20, 21, 22, 23, 24, 25, 26, 27, 28, 29};
static const uint8_t labels[8 + 5] = {0, 0, 8, 1, 0, 0, 0, 5, 0, 3, 1, 2, 3};

static int make_folder(void **state) {
    snprintf(folder, sizeof folder, "/tmp/limn-data-%d", (int)getpid());
    mkdir(folder, 0700);
    return 0;
}

static int remove_folder(void **state) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void test_digits_are_reproducible(void **state) {
    lm_dataset *a, *b;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &a));
    CHECK_OK(lm_dataset_open("builtin:digits:train", LM_SPLIT_TEST, &b));
    assert_int_equal(a->classes, 10);
    assert_true(a->hash == b->hash);
    uint8_t x[784], y[784];
    int32_t i, j;
    for (int64_t index = 0; index < 50; index++) {
        CHECK_OK(a->get(a, index * 1000003, x, &i));
        CHECK_OK(b->get(b, index * 1000003, y, &j));
        assert_int_equal(i, j);
        assert_memory_equal(x, y, 784);
    }
    CHECK_FAILS(a->get(a, -1, x, &i), LM_ARG);
    lm_dataset_free(a);
    lm_dataset_free(b);
}

/* Every class occurs about equally often, ink is within the page, and no image occurs
 * twice, neither within train nor between train and test. */
static void test_digits_are_varied(void **state) {
    enum { N = 600 };
    lm_dataset *splits[2];
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &splits[0]));
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TEST, &splits[1]));
    assert_true(splits[0]->hash != splits[1]->hash);
    uint8_t(*pixels)[784] = malloc(2 * N * 784);
    int seen[10] = {0};
    double ink = 0, border = 0;
    for (int i = 0; i < 2 * N; i++) {
        int32_t label;
        CHECK_OK(splits[i / N]->get(splits[i / N], i % N, pixels[i], &label));
        assert_in_range(label, 0, 9);
        seen[label]++;
        for (int p = 0; p < 784; p++) ink += pixels[i][p];
        for (int p = 0; p < 28; p++)
            border += pixels[i][p] + pixels[i][756 + p] + pixels[i][28 * p] +
                      pixels[i][28 * p + 27];
    }
    for (int c = 0; c < 10; c++) assert_in_range(seen[c], 80, 160);
    double mean = ink / (2.0 * N * 784 * 255);
    assert_true(mean > 0.08 && mean < 0.2);
    assert_true(border / ink < 0.01);
    for (int i = 0; i < 2 * N; i++)
        for (int j = 0; j < i; j++) assert_memory_not_equal(pixels[i], pixels[j], 784);
    free(pixels);
    lm_dataset_free(splits[0]);
    lm_dataset_free(splits[1]);
}

static void check_small_set(lm_dataset *set, bool labelled) {
    assert_int_equal(set->count, 5);
    assert_int_equal(set->height, 3);
    assert_int_equal(set->width, 2);
    assert_int_equal(set->channels, 1);
    assert_int_equal(set->classes, labelled ? 4 : 0);
    uint8_t pixels[6];
    int32_t label;
    CHECK_OK(set->get(set, 4, pixels, &label));
    assert_memory_equal(pixels, images + 16 + 24, 6);
    assert_int_equal(label, labelled ? 3 : -1);
    CHECK_FAILS(set->get(set, 5, pixels, &label), LM_ARG);
}

static void test_idx_plain_gzip_folder_and_name(void **state) {
    lm_dataset *set;
    write_bytes("train-images-idx3-ubyte", images, sizeof images);
    CHECK_OK(lm_dataset_open(path_of("train-images-idx3-ubyte"), LM_SPLIT_TRAIN, &set));
    check_small_set(set, false);
    uint64_t unlabelled = set->hash;
    lm_dataset_free(set);

    write_gzip("t10k-images-idx3-ubyte.gz", images, sizeof images);
    write_gzip("t10k-labels-idx1-ubyte.gz", labels, sizeof labels);
    CHECK_OK(lm_dataset_open(path_of("t10k-images-idx3-ubyte.gz"), LM_SPLIT_TRAIN, &set));
    check_small_set(set, true);
    assert_true(set->hash != unlabelled);
    lm_dataset_free(set);

    CHECK_OK(lm_dataset_open(folder, LM_SPLIT_TRAIN, &set)); /* no train labels there */
    check_small_set(set, false);
    lm_dataset_free(set);

    char parent[160];
    snprintf(parent, sizeof parent, "%s/named", folder);
    mkdir(parent, 0700);
    snprintf(parent, sizeof parent, "%s/named/kmnist", folder);
    assert_int_equal(symlink(folder, parent), 0);
    setenv("LIMN_DATA", path_of("named"), 1);
    CHECK_OK(lm_dataset_open("kmnist:test", LM_SPLIT_TRAIN, &set));
    check_small_set(set, true);
    lm_dataset_free(set);
    /* A named set must have labels. */
    CHECK_FAILS(lm_dataset_open("kmnist", LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    CHECK_FAILS(lm_dataset_open("mnist", LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "LIMN_DATA"));
    unsetenv("LIMN_DATA");
}

typedef struct bad_file {
    const char *what, *says; /* part of the message */
    size_t at;               /* byte to change, or SIZE_MAX */
    uint8_t value;
    size_t size; /* bytes to keep */
} bad_file;

static void test_bad_idx_files(void **state) {
    static const bad_file cases[] = {
        {"empty", "truncated", SIZE_MAX, 0, 0},
        {"half a magic", "truncated", SIZE_MAX, 0, 3},
        {"half a header", "truncated", SIZE_MAX, 0, 11},
        {"one byte short", "truncated", SIZE_MAX, 0, sizeof images - 1},
        {"header only", "truncated", SIZE_MAX, 0, 16},
        {"not zero", "magic", 0, 1, sizeof images},
        {"floats", "magic", 2, 13, sizeof images},
        {"labels", "magic", 3, 1, sizeof images},
        {"no images", "dimension 0", 7, 0, sizeof images},
        {"no rows", "dimension 1", 11, 0, sizeof images},
        {"wide", "dimension 2", 12, 9, sizeof images},
        {"huge", "over the limit", 4, 0xff, sizeof images},
        {"fewer than given", "more data", 7, 4, sizeof images},
        {"more than given", "truncated", 7, 6, sizeof images},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bad_file *c = &cases[i];
        uint8_t bytes[sizeof images];
        memcpy(bytes, images, sizeof images);
        if (c->at != SIZE_MAX) bytes[c->at] = c->value;
        if (strcmp(c->what, "huge") == 0) bytes[10] = bytes[14] = 0x0f;
        for (int gzip = 0; gzip < 2; gzip++) {
            if (gzip)
                write_gzip("bad-idx3-ubyte", bytes, c->size);
            else
                write_bytes("bad-idx3-ubyte", bytes, c->size);
            lm_dataset *set;
            CHECK_FAILS(lm_dataset_open(path_of("bad-idx3-ubyte"), LM_SPLIT_TRAIN, &set),
                        LM_FORMAT);
            assert_null(set);
            if (!strstr(lm_message(), c->says) || !strstr(lm_message(), "bad-idx3-ubyte"))
                fail_msg("%s: message is '%s', expected '%s' and the file", c->what,
                         lm_message(), c->says);
        }
    }
}

static void test_broken_gzip(void **state) {
    uint8_t bytes[400];
    write_gzip("broken-idx3-ubyte", images, sizeof images);
    FILE *file = fopen(path_of("broken-idx3-ubyte"), "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    bytes[size - 6] ^= 0x55; /* in the checksum */
    write_bytes("broken-idx3-ubyte", bytes, size);
    lm_dataset *set;
    CHECK_FAILS(lm_dataset_open(path_of("broken-idx3-ubyte"), LM_SPLIT_TRAIN, &set),
                LM_FORMAT);
    write_bytes("broken-idx3-ubyte", bytes, size / 2);
    CHECK_FAILS(lm_dataset_open(path_of("broken-idx3-ubyte"), LM_SPLIT_TRAIN, &set),
                LM_FORMAT);
}

static void test_counts_that_differ(void **state) {
    uint8_t fewer[12];
    memcpy(fewer, labels, 12);
    fewer[7] = 4;
    write_bytes("odd-images-idx3-ubyte", images, sizeof images);
    write_bytes("odd-labels-idx1-ubyte", fewer, sizeof fewer);
    lm_dataset *set;
    CHECK_FAILS(lm_dataset_open(path_of("odd-images-idx3-ubyte"), LM_SPLIT_TRAIN, &set),
                LM_FORMAT);
    assert_non_null(strstr(lm_message(), "4 labels"));
    assert_non_null(strstr(lm_message(), "5 images"));
    unlink(path_of("odd-labels-idx1-ubyte"));
}

static void test_unknown_specs(void **state) {
    lm_dataset *set;
    CHECK_FAILS(lm_dataset_open("mnsit", LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "did you mean mnist"));
    CHECK_FAILS(lm_dataset_open("/nonexistent/folder", LM_SPLIT_TRAIN, &set),
                LM_NOT_FOUND);
    write_bytes("notes.txt", "hello", 5);
    CHECK_FAILS(lm_dataset_open(path_of("notes.txt"), LM_SPLIT_TRAIN, &set), LM_FORMAT);
}

static void test_loader_order(void **state) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(path_of("train-images-idx3-ubyte"), LM_SPLIT_TRAIN, &set));
    lm_loader *loader, *other;
    CHECK_OK(lm_loader_new(set, &(lm_loader_spec){.batch = 5, .seed = 11, .workers = 0},
                           &loader));
    CHECK_OK(lm_loader_new(set, &(lm_loader_spec){.batch = 3, .seed = 11, .workers = 1},
                           &other));
    lm_batch batch;
    uint8_t epochs[4][30];
    for (int e = 0; e < 4; e++) {
        int count[5] = {0};
        CHECK_OK(lm_loader_read(loader, 5 * e, &batch));
        memcpy(epochs[e], batch.pixels, 30);
        for (int i = 0; i < 5; i++) count[epochs[e][6 * i] / 6]++;
        for (int i = 0; i < 5; i++) assert_int_equal(count[i], 1);
    }
    /* Not all epochs are alike. */
    assert_true(memcmp(epochs[0], epochs[1], 30) || memcmp(epochs[1], epochs[2], 30));
    /* The order belongs to the position, not to the batch size or to what came before. */
    CHECK_OK(lm_loader_read(other, 9, &batch));
    assert_memory_equal(batch.pixels, epochs[1] + 24, 6);
    assert_memory_equal(batch.pixels + 6, epochs[2], 12);
    lm_loader_free(loader);
    CHECK_OK(lm_loader_new(set, &(lm_loader_spec){.batch = 5, .seed = 12, .workers = 2},
                           &loader));
    int equal = 0;
    for (int e = 0; e < 4; e++) {
        CHECK_OK(lm_loader_read(loader, 5 * e, &batch));
        equal += memcmp(batch.pixels, epochs[e], 30) == 0;
    }
    assert_true(equal < 3); /* another seed is another order */
    lm_loader_free(loader);
    lm_loader_free(other);
    CHECK_FAILS(lm_loader_new(set, &(lm_loader_spec){.batch = 0, .seed = 1, .workers = 0},
                              &loader),
                LM_ARG);
    lm_dataset_free(set);
}

static void test_out_of_memory(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks;
    for (int n = 1;; n++) {
        assert_in_range(n, 1, 1000);
        lm_mem_fail_at(n, 1);
        lm_dataset *set = NULL;
        lm_loader *loader = NULL;
        lm_status status =
            lm_dataset_open(path_of("t10k-images-idx3-ubyte.gz"), LM_SPLIT_TRAIN, &set);
        if (status == LM_OK)
            status = lm_loader_new(
                set, &(lm_loader_spec){.batch = 2, .seed = 0, .workers = 1}, &loader);
        lm_mem_fail_at(0, 0);
        lm_loader_free(loader);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) break;
        assert_int_equal(status, LM_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits_are_reproducible),
        cmocka_unit_test(test_digits_are_varied),
        cmocka_unit_test(test_idx_plain_gzip_folder_and_name),
        cmocka_unit_test(test_bad_idx_files),
        cmocka_unit_test(test_broken_gzip),
        cmocka_unit_test(test_counts_that_differ),
        cmocka_unit_test(test_unknown_specs),
        cmocka_unit_test(test_loader_order),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("data", tests, make_folder, remove_folder);
}
