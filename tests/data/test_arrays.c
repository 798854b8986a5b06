/* Sets of NumPy arrays: shapes, names, archives that NumPy wrote, and what does not fit.
 */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"
#include "tensor/npy.h"

#include <sys/stat.h>

static const char *golden(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", getenv("LIMN_TEST_SOURCE"), name);
    return path;
}

/* As in make_arrays.py. */
static uint8_t pixel_at(int start, int64_t position) {
    return (uint8_t)(start + 7 * position);
}

static void write_images(const char *name, int start, lm_shape shape) {
    uint8_t pixels[4096];
    for (int64_t i = 0; i < lm_shape_count(shape); i++) pixels[i] = pixel_at(start, i);
    CHECK_OK(lm_npy_write(scratch(name), LM_U8, shape, pixels));
}

/* Every image and label of a set of interleaved pixels. */
static void check_set(const lm_dataset *set, int start, const int *labels) {
    uint8_t pixels[256];
    int size = set->height * set->width * set->channels;
    for (int64_t i = 0; i < set->count; i++) {
        int32_t label, alone;
        CHECK_OK(set->get(set, i, pixels, &label));
        CHECK_OK(set->label(set, i, &alone));
        assert_int_equal(label, labels ? labels[i] : -1);
        assert_int_equal(alone, label);
        for (int p = 0; p < size; p++)
            assert_int_equal(pixels[p], pixel_at(start, i * size + p));
    }
    int32_t label;
    CHECK_FAILS(set->get(set, set->count, pixels, &label), LM_ARG);
    CHECK_FAILS(set->label(set, -1, &label), LM_ARG);
}

static lm_dataset *open_set(const char *path, lm_split split) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(path, split, &set));
    return set;
}

static void test_an_array_and_its_labels(void **state) {
    static const int labels[] = {2, 0, 9};
    const int64_t wide[] = {2, 0, 9};
    write_images("alone.npy", 1, LM_SHAPE(3, 4, 5));
    lm_dataset *set = open_set(scratch("alone.npy"), LM_SPLIT_TRAIN);
    assert_true(set->count == 3 && set->height == 4 && set->width == 5);
    assert_true(set->channels == 1 && set->classes == 0);
    check_set(set, 1, NULL);
    uint64_t hash = set->hash;
    lm_dataset_free(set);

    CHECK_OK(lm_npy_write(scratch("alone_labels.npy"), LM_I64, LM_SHAPE(3), wide));
    set = open_set(scratch("alone.npy"), LM_SPLIT_TEST); /* a file is what it is */
    assert_int_equal(set->classes, 10);
    assert_true(set->hash != hash);
    check_set(set, 1, labels);
    lm_dataset_free(set);
}

static void test_orders_of_colour(void **state) {
    write_images("last.npy", 2, LM_SHAPE(2, 4, 5, 3));
    lm_dataset *set = open_set(scratch("last.npy"), LM_SPLIT_TRAIN);
    assert_true(set->height == 4 && set->width == 5 && set->channels == 3);
    check_set(set, 2, NULL);
    lm_dataset_free(set);
    write_images("first.npy", 3, LM_SHAPE(2, 3, 4, 5));
    set = open_set(scratch("first.npy"), LM_SPLIT_TRAIN);
    assert_true(set->height == 4 && set->width == 5 && set->channels == 3);
    uint8_t pixels[60];
    int32_t label;
    CHECK_OK(set->get(set, 1, pixels, &label));
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 5; x++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(pixels[(y * 5 + x) * 3 + c],
                                 pixel_at(3, 60 + c * 20 + y * 5 + x));
    lm_dataset_free(set);
    write_images("one.npy", 4, LM_SHAPE(2, 1, 4, 5));
    set = open_set(scratch("one.npy"), LM_SPLIT_TRAIN);
    assert_true(set->height == 4 && set->width == 5 && set->channels == 1);
    check_set(set, 4, NULL);
    lm_dataset_free(set);
}

static void test_folders(void **state) {
    static const int labels[] = {1, 0, -1};
    mkdir(scratch("folder"), 0700);
    write_images("folder/x_train.npy", 5, LM_SHAPE(3, 2, 2));
    write_images("folder/x_val.npy", 6, LM_SHAPE(1, 2, 2));
    const int32_t given[] = {1, 0, -1};
    CHECK_OK(lm_npy_write(scratch("folder/y_train.npy"), LM_I32, LM_SHAPE(3, 1), given));
    lm_dataset *set = open_set(scratch("folder"), LM_SPLIT_TRAIN);
    assert_int_equal(set->classes, 2);
    check_set(set, 5, labels); /* -1: an image without a label */
    lm_dataset_free(set);
    set = open_set(scratch("folder/x_train.npy"), LM_SPLIT_TRAIN);
    check_set(set, 5, labels);
    lm_dataset_free(set);
    set = open_set(scratch("folder"), LM_SPLIT_VALID);
    check_set(set, 6, NULL);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(scratch("folder"), LM_SPLIT_TEST, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "no test images of arrays there"));
}

/* The message of a build without libarchive counts, too. */
static bool open_packed(const char *path, lm_split split, lm_dataset **set) {
    lm_status status = lm_dataset_open(path, split, set);
    if (status == LM_UNSUPPORTED && strstr(lm_message(), "libarchive-dev")) return false;
    CHECK_OK(status);
    return true;
}

static void test_archives_of_numpy(void **state) {
    static const struct {
        const char *file;
        lm_split split;
        int start, count, height, width, channels, classes, labels[4];
    } cases[] = {
        {"keras.npz", LM_SPLIT_TRAIN, 1, 4, 3, 2, 1, 4, {3, 0, 1, 2}},
        {"keras.npz", LM_SPLIT_TEST, 2, 2, 3, 2, 1, 4, {1, 3}},
        {"medmnist.npz", LM_SPLIT_TRAIN, 3, 3, 2, 2, 3, 6, {5, 0, 2}},
        {"medmnist.npz", LM_SPLIT_VALID, 4, 1, 2, 2, 3, 2, {1}},
        {"medmnist.npz", LM_SPLIT_TEST, 5, 2, 2, 2, 3, 2, {0, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_dataset *set;
        if (!open_packed(golden(cases[i].file), cases[i].split, &set)) return;
        assert_int_equal(set->count, cases[i].count);
        assert_int_equal(set->height, cases[i].height);
        assert_int_equal(set->width, cases[i].width);
        assert_int_equal(set->channels, cases[i].channels);
        assert_int_equal(set->classes, cases[i].classes);
        check_set(set, cases[i].start, cases[i].labels);
        lm_dataset_free(set);
    }
    lm_dataset *set = open_set(golden("unnamed.npz"), LM_SPLIT_TEST);
    assert_true(set->count == 2 && set->height == 4 && set->width == 5);
    assert_true(set->channels == 3 && set->classes == 2);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(golden("keras.npz"), LM_SPLIT_VALID, &set), LM_NOT_FOUND);
}

/* A folder with nothing else of ours is what its .npz is. */
static void test_an_archive_in_a_folder(void **state) {
    void *bytes;
    size_t size;
    lm_writer writer;
    lm_dataset *set;
    mkdir(scratch("packed"), 0700);
    CHECK_OK(lm_file_read(golden("keras.npz"), 1 << 20, &bytes, &size));
    CHECK_OK(lm_writer_open(&writer, scratch("packed/mnist.npz")));
    lm_writer_put(&writer, bytes, size);
    CHECK_OK(lm_writer_commit(&writer));
    if (open_packed(scratch("packed"), LM_SPLIT_TEST, &set)) {
        assert_int_equal(set->count, 2);
        lm_dataset_free(set);
        assert_int_equal(truncate(scratch("packed/mnist.npz"), (off_t)size / 2), 0);
        CHECK_FAILS(lm_dataset_open(scratch("packed"), LM_SPLIT_TEST, &set), LM_FORMAT);
    }
    lm_free(bytes);
}

static void check_refused(const char *name, const char *says) {
    lm_dataset *set;
    CHECK_FAILS(lm_dataset_open(scratch(name), LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_null(set);
    if (!strstr(lm_message(), says)) fail_msg("'%s' lacks '%s'", lm_message(), says);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_an_archive_of_something_else(void **state) {
    lm_dataset *set;
    char command[300];
    snprintf(command, sizeof command, "cd %s && tar cf other.npz a-file", scratch_folder);
    CHECK_OK(lm_file_append_line(scratch("a-file"), "text"));
    assert_int_equal(system(command), 0);
    lm_status status = lm_dataset_open(scratch("other.npz"), LM_SPLIT_TRAIN, &set);
    if (status != LM_UNSUPPORTED) CHECK_FAILS(status, LM_NOT_FOUND);
}

static void test_images_that_do_not_fit(void **state) {
    const float floats[8] = {0};
    CHECK_OK(lm_npy_write(scratch("f.npy"), LM_F32, LM_SHAPE(2, 2, 2), floats));
    check_refused("f.npy", "/f.npy: images are f32, expected u8 from 0 to 255");
    write_images("s.npy", 0, LM_SHAPE(2, 8));
    check_refused("s.npy", "images have shape [2,8], expected [N,H,W]");
    write_images("s.npy", 0, LM_SHAPE(2, 2, 2, 4));
    check_refused("s.npy", "images have shape [2,2,2,4]");
    write_images("s.npy", 0, LM_SHAPE(0, 2, 2));
    check_refused("s.npy", "no images in it");
    write_images("s.npy", 0, LM_SHAPE(2, 0, 2));
    check_refused("s.npy", "images of 0 x 2, expected sides of 1 to 32768");
    write_images("s.npy", 0, LM_SHAPE(0, 2, 40000));
    check_refused("s.npy", "images of 2 x 40000");
    write_images("s.npy", 0, LM_SHAPE(2, 2, 2));
    assert_int_equal(truncate(scratch("s.npy"), 135), 0);
    check_refused("s.npy", "takes 8 bytes, the file has 7");
}

static void test_labels_that_do_not_fit(void **state) {
    const int64_t labels[] = {0, 70000, 1};
    const float floats[2] = {0};
    write_images("l.npy", 0, LM_SHAPE(2, 2, 2));
    const char *path = scratch("l_labels.npy");
    CHECK_OK(lm_npy_write(path, LM_I64, LM_SHAPE(3), labels));
    check_refused("l.npy", "/l_labels.npy: 3 labels, but there are 2 images");
    CHECK_OK(lm_npy_write(path, LM_I64, LM_SHAPE(2), labels));
    check_refused("l.npy", "image 1 has label 70000, expected -1 to 65535");
    CHECK_OK(lm_npy_write(path, LM_I64, LM_SHAPE(1, 2), labels));
    check_refused("l.npy", "labels have shape [1,2], expected [N] or [N,1]");
    CHECK_OK(lm_npy_write(path, LM_F32, LM_SHAPE(2), floats));
    check_refused("l.npy", "labels are f32, not integers");
}

static void test_out_of_memory(void **state) {
    const char *paths[] = {scratch("folder"), golden("medmnist.npz")};
    for (int p = 0; p < 2; p++)
        for (int n = 1;; n++) {
            lm_dataset *set = NULL;
            lm_mem_fail_at(n, 1);
            lm_status status = lm_dataset_open(paths[p], LM_SPLIT_TRAIN, &set);
            lm_mem_fail_at(0, 0);
            lm_dataset_free(set);
            assert_int_equal(lm_mem_get_stats().blocks, 0);
            if (status != LM_NOMEM && n > 20) break;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_array_and_its_labels),
        cmocka_unit_test(test_orders_of_colour),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_archives_of_numpy),
        cmocka_unit_test(test_an_archive_in_a_folder),
        cmocka_unit_test(test_an_archive_of_something_else),
        cmocka_unit_test(test_images_that_do_not_fit),
        cmocka_unit_test(test_labels_that_do_not_fit),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("arrays", tests, scratch_begin, scratch_end);
}
