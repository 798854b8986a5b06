/* STL-10's binary files: planes by columns, labels from 1, in folders and archives. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"

#include <sys/stat.h>

enum { EDGE = 96, PLANE = EDGE * EDGE, RECORD = 3 * PLANE, COUNT = 3 };

/* The red, green and blue of a place tell image, row and column apart. */
static uint8_t pixel_at(int image, int c, int y, int x) {
    return (uint8_t)(c == 0 ? y : c == 1 ? x : 40 * image + (x ^ y) % 32);
}

static void write_file(const char *name, const void *bytes, size_t size) {
    lm_writer writer;
    CHECK_OK(lm_writer_open(&writer, scratch(name)));
    lm_writer_put(&writer, bytes, size);
    CHECK_OK(lm_writer_commit(&writer));
}

static void write_images(const char *name, int first, size_t size) {
    static uint8_t bytes[COUNT * RECORD];
    uint8_t *at = bytes;
    for (int n = first; n < first + COUNT; n++)
        for (int c = 0; c < 3; c++)
            for (int x = 0; x < EDGE; x++)
                for (int y = 0; y < EDGE; y++) *at++ = pixel_at(n, c, y, x);
    write_file(name, bytes, size);
}

static int make_files(void **state) {
    scratch_begin(state);
    mkdir(scratch("stl10_binary"), 0700);
    write_images("stl10_binary/train_X.bin", 0, COUNT * RECORD);
    write_file("stl10_binary/train_y.bin", "\x01\x0a\x03", COUNT);
    write_images("stl10_binary/unlabeled_X.bin", 3, COUNT * RECORD);
    write_file("stl10_binary/test_y.bin", "\x01\x02\x03", COUNT);
    return 0;
}

static void check_image(const lm_dataset *set, int64_t index, int n, int label) {
    static uint8_t pixels[RECORD];
    int32_t got;
    CHECK_OK(set->get(set, index, pixels, &got));
    assert_int_equal(got, label);
    for (int y = 0; y < EDGE; y++)
        for (int x = 0; x < EDGE; x++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(pixels[(y * EDGE + x) * 3 + c], pixel_at(n, c, y, x));
}

static void check_sets(const char *path) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(path, LM_SPLIT_TRAIN, &set));
    assert_true(set->count == COUNT && set->classes == 10);
    assert_true(set->height == EDGE && set->width == EDGE && set->channels == 3);
    assert_string_equal(set->class_names[9], "truck");
    check_image(set, 0, 0, 0);
    check_image(set, 1, 1, 9);
    check_image(set, 2, 2, 2);
    lm_dataset_free(set);
    CHECK_OK(lm_dataset_open(path, LM_SPLIT_UNLABELED, &set));
    assert_true(set->count == COUNT && set->classes == 0);
    check_image(set, 2, 5, -1);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(path, LM_SPLIT_TEST, &set), LM_NOT_FOUND);
    assert_non_null(
        strstr(lm_message(), "test_y.bin is there, but not the images, test_X.bin"));
    CHECK_FAILS(lm_dataset_open(path, LM_SPLIT_EXTRA, &set), LM_NOT_FOUND);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_folders(void **state) {
    check_sets(scratch("stl10_binary"));
    check_sets(scratch_folder);
}

/* A file that only claims to be larger than what is unpacked is refused by its size. */
static void write_large(void) {
    assert_int_equal(truncate(scratch("stl10_binary/unlabeled_X.bin"), (off_t)1 << 30),
                     0);
}

static void test_archives(void **state) {
    char command[400];
    lm_dataset *set;
    mkdir(scratch("packed"), 0700);
    snprintf(command, sizeof command, "cd %s && tar cf packed/stl10_binary.tar.gz -z %s",
             scratch_folder, "stl10_binary");
    assert_int_equal(system(command), 0);
    lm_status status = lm_dataset_open(scratch("packed"), LM_SPLIT_TRAIN, &set);
    if (status == LM_UNSUPPORTED) { /* a build without libarchive */
        assert_non_null(strstr(lm_message(), "libarchive-dev"));
        return;
    }
    CHECK_OK(status);
    lm_dataset_free(set);
    check_sets(scratch("packed"));
    check_sets(scratch("packed/stl10_binary.tar.gz"));
    write_large();
    snprintf(command, sizeof command,
             "cd %s && tar cSf packed/stl10_binary.tar.gz -z stl10_binary",
             scratch_folder);
    assert_int_equal(system(command), 0);
    CHECK_FAILS(lm_dataset_open(scratch("packed"), LM_SPLIT_UNLABELED, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "unlabeled_X.bin has 1073741824 bytes"));
    assert_non_null(strstr(lm_message(), "unpack it"));
}

static void test_broken_files(void **state) {
    lm_dataset *set;
    write_images("stl10_binary/train_X.bin", 0, COUNT * RECORD - 1);
    CHECK_FAILS(lm_dataset_open(scratch_folder, LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "train_X.bin has 82943 bytes, expected a "
                                         "multiple of 27648"));
    write_images("stl10_binary/train_X.bin", 0, 2 * RECORD);
    CHECK_FAILS(lm_dataset_open(scratch_folder, LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(
        strstr(lm_message(), "train_y.bin: 3 labels, but there are 2 images"));
    write_images("stl10_binary/train_X.bin", 0, COUNT * RECORD);
    write_file("stl10_binary/train_y.bin", "\x01\x00\x03", COUNT);
    CHECK_FAILS(lm_dataset_open(scratch_folder, LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "image 1 has label 0, expected 1 to 10"));
    write_file("stl10_binary/train_y.bin", "\x01\x0b\x03", COUNT);
    CHECK_FAILS(lm_dataset_open(scratch_folder, LM_SPLIT_TRAIN, &set), LM_FORMAT);
    write_file("stl10_binary/train_X.bin", "", 0);
    CHECK_FAILS(lm_dataset_open(scratch_folder, LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_broken_files),
    };
    return cmocka_run_group_tests_name("stl10", tests, make_files, scratch_end);
}
