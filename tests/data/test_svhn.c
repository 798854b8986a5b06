/* SVHN's MAT-files: what SciPy wrote (tests/golden/make_svhn.py), the same cut and
 * damaged. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"
#include "data/mat.h"

#include <sys/stat.h>

enum { HEIGHT = 4, WIDTH = 5, COUNT = 11, SIZE = HEIGHT * WIDTH * 3 };

static const char *golden(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", getenv("LIMN_TEST_SOURCE"), name);
    return path;
}

static void check_image(const lm_dataset *set, int64_t n) {
    uint8_t pixels[SIZE], *at = pixels;
    int32_t label, alone;
    CHECK_OK(set->get(set, n, pixels, &label));
    CHECK_OK(lm_dataset_label(set, n, &alone));
    assert_int_equal(label, (n % 10 + 1) % 10);
    assert_int_equal(alone, label);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(*at++, (n * 53 + y * 37 + x * 11 + c * 90) % 256);
}

static void reads_what_scipy_writes(void **state) {
    static const char *const names[] = {"svhn.mat", "svhn-plain.mat", "svhn-one.mat"};
    uint64_t hash = 0;
    for (int i = 0; i < 3; i++) {
        lm_dataset *set;
        CHECK_OK(lm_dataset_open(golden(names[i]), LM_SPLIT_TRAIN, &set));
        assert_int_equal(set->count, i == 2 ? 1 : COUNT);
        assert_int_equal(set->height, HEIGHT);
        assert_int_equal(set->width, WIDTH);
        assert_int_equal(set->channels, 3);
        assert_int_equal(set->classes, 10);
        for (int64_t n = 0; n < set->count; n++) check_image(set, n);
        if (i == 1) assert_true(set->hash == hash);
        hash = set->hash;
        lm_dataset_free(set);
    }
}

/* Copies a golden file's bytes, the first `size`, to a file in the scratch folder. */
static void copy(const char *from, const char *to, const void *bytes, size_t size) {
    FILE *file = fopen(scratch(to), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void finds_splits_in_folders(void **state) {
    void *bytes;
    size_t size;
    lm_dataset *set;
    CHECK_OK(lm_file_read(golden("svhn-one.mat"), 1 << 16, &bytes, &size));
    mkdir(scratch("folder"), 0700);
    copy("svhn-one.mat", "folder/train_32x32-a.mat", "MAT", 3);
    copy("svhn-one.mat", "folder/train_32x32.mat", bytes, size);
    copy("svhn-one.mat", "folder/extra_32x32-part.mat", bytes, size);
    CHECK_OK(lm_dataset_open(scratch("folder"), LM_SPLIT_TRAIN, &set));
    assert_string_equal(set->source, scratch("folder/train_32x32.mat"));
    lm_dataset_free(set);
    char spec[256];
    snprintf(spec, sizeof spec, "%s:extra", scratch("folder"));
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->count, 1);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(scratch("folder"), LM_SPLIT_TEST, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "no test images of SVHN there"));
    lm_free(bytes);
}

static lm_status read_bytes(const void *bytes, size_t size, const char *name,
                            lm_mat_array *array) {
    FILE *file = fmemopen((void *)bytes, size, "rb");
    assert_non_null(file);
    lm_status status = lm_mat_read_u8(file, "memory", name, array);
    fclose(file);
    return status;
}

/* No length but the whole gives the last variable. */
static void refuses_truncated_files(void **state) {
    static const char *const names[] = {"svhn.mat", "svhn-plain.mat"};
    static const char *const last[] = {"y", "X"};
    for (int i = 0; i < 2; i++) {
        void *bytes;
        size_t size;
        lm_mat_array array;
        CHECK_OK(lm_file_read(golden(names[i]), 1 << 16, &bytes, &size));
        CHECK_OK(read_bytes(bytes, size, last[i], &array));
        lm_mat_release(&array);
        for (size_t cut = 1; cut < size; cut++) {
            lm_status status = read_bytes(bytes, cut, last[i], &array);
            assert_true(status == LM_FORMAT || status == LM_NOT_FOUND);
            assert_null(array.values);
        }
        lm_free(bytes);
    }
}

/* A changed byte is noticed, or changes nothing (those of the file's title). */
static void notices_every_changed_byte(void **state) {
    void *file;
    size_t size;
    lm_mat_array whole, array;
    CHECK_OK(lm_file_read(golden("svhn.mat"), 1 << 16, &file, &size));
    CHECK_OK(read_bytes(file, size, "X", &whole));
    uint8_t *bytes = file;
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x41;
        if (read_bytes(bytes, size, "X", &array) == LM_OK) {
            assert_int_equal(array.count, whole.count);
            assert_memory_equal(array.values, whole.values, (size_t)whole.count);
        }
        lm_mat_release(&array);
        bytes[i] ^= 0x41;
    }
    lm_mat_release(&whole);
    lm_free(file);
}

static void says_what_is_wrong(void **state) {
    void *file;
    size_t size;
    lm_mat_array array;
    CHECK_OK(lm_file_read(golden("svhn-plain.mat"), 1 << 16, &file, &size));
    CHECK_FAILS(read_bytes(file, size, "Z", &array), LM_NOT_FOUND);
    assert_string_equal(lm_message(), "memory: no array Z in it");
    CHECK_FAILS(read_bytes(file, 100, "X", &array), LM_FORMAT);
    assert_string_equal(lm_message(), "memory: not a MAT-file of level 5");
    /* y is the first array: values of 8 bytes behind 56 of header. */
    uint8_t *values = (uint8_t *)file + 128 + 56;
    double half = 0.5;
    memcpy(values, &half, sizeof half);
    CHECK_FAILS(read_bytes(file, size, "y", &array), LM_FORMAT);
    assert_string_equal(lm_message(),
                        "memory: the value 0.5, expected a whole number of 0 to 255");
    double zero = 0;
    memcpy(values, &zero, sizeof zero);
    copy("", "zero.mat", file, size);
    lm_dataset *set;
    CHECK_FAILS(lm_dataset_open(scratch("zero.mat"), LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "image 0 has label 0, expected 1 to 10"));
    memcpy(file, "MATLAB 7.3 MAT-file", 19);
    CHECK_FAILS(read_bytes(file, size, "y", &array), LM_UNSUPPORTED);
    lm_free(file);
}

static void leaks_nothing(void **state) {
    for (int fail = 1; fail < 100; fail++) {
        size_t blocks = lm_mem_get_stats().blocks;
        lm_dataset *set = NULL;
        lm_mem_fail_at(fail, 1);
        lm_status status = lm_dataset_open(golden("svhn.mat"), LM_SPLIT_TRAIN, &set);
        lm_mem_fail_at(0, 0);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) return;
        assert_int_equal(status, LM_NOMEM);
    }
    fail_msg("memory never sufficed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_scipy_writes),
        cmocka_unit_test(finds_splits_in_folders),
        cmocka_unit_test(refuses_truncated_files),
        cmocka_unit_test(notices_every_changed_byte),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
