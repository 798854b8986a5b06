/* EMNIST's divisions: by name, in folders and in the archive; and the names of classes of
 * the sets that are distributed like MNIST. */
#include "scratch.h"

#include "base/mem.h"
#include "data/data.h"
#include "data/known.h"

#include <sys/stat.h>
#include <zlib.h>

enum { EDGE = 28, PIXELS = EDGE * EDGE };

/* The column-th byte of a stored row is the pixel of that row in the upright image. */
static uint8_t stored_at(int image, int row, int column) {
    return (uint8_t)(image * 91 + row * 5 + column * 3);
}

static void write_gzip(const char *name, const uint8_t *bytes, size_t size) {
    gzFile file = gzopen(scratch(name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), (int)size);
    gzclose(file);
}

static void write_images(const char *name, int count) {
    static uint8_t bytes[16 + 4 * PIXELS];
    const uint8_t header[16] = {0, 0, 8, 3,    0, 0, 0, (uint8_t)count,
                                0, 0, 0, EDGE, 0, 0, 0, EDGE};
    memcpy(bytes, header, 16);
    for (int n = 0; n < count; n++)
        for (int i = 0; i < PIXELS; i++)
            bytes[16 + n * PIXELS + i] = stored_at(n, i / EDGE, i % EDGE);
    write_gzip(name, bytes, 16 + (size_t)count * PIXELS);
}

static void write_labels(const char *name, const uint8_t *labels, int count) {
    uint8_t bytes[16] = {0, 0, 8, 1, 0, 0, 0, (uint8_t)count};
    memcpy(bytes + 8, labels, (size_t)count);
    write_gzip(name, bytes, 8 + (size_t)count);
}

static int make_files(void **state) {
    scratch_begin(state);
    mkdir(scratch("emnist"), 0700);
    mkdir(scratch("emnist/gzip"), 0700);
    write_images("emnist/gzip/emnist-letters-train-images-idx3-ubyte.gz", 3);
    write_labels("emnist/gzip/emnist-letters-train-labels-idx1-ubyte.gz",
                 (const uint8_t[]){1, 26, 3}, 3);
    write_images("emnist/gzip/emnist-byclass-test-images-idx3-ubyte.gz", 2);
    write_labels("emnist/gzip/emnist-byclass-test-labels-idx1-ubyte.gz",
                 (const uint8_t[]){61, 10}, 2);
    setenv("LIMN_DATA", scratch_folder, 1);
    return 0;
}

static void check_images(const lm_dataset *set, int count, const int *labels) {
    assert_true(set->count == count && set->channels == 1);
    assert_true(set->height == EDGE && set->width == EDGE);
    for (int n = 0; n < count; n++) {
        uint8_t pixels[PIXELS];
        int32_t label;
        CHECK_OK(set->get(set, n, pixels, &label));
        assert_int_equal(label, labels[n]);
        for (int y = 0; y < EDGE; y++)
            for (int x = 0; x < EDGE; x++)
                assert_int_equal(pixels[y * EDGE + x], stored_at(n, x, y));
    }
}

static void check_letters(const char *spec) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->classes, 26);
    assert_string_equal(set->class_names[25], "z");
    check_images(set, 3, (const int[]){0, 25, 2});
    lm_dataset_free(set);
}

static void check_all(void) {
    lm_dataset *set;
    check_letters("emnist-letters");
    CHECK_OK(lm_dataset_open("emnist:test", LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->classes, 62);
    assert_string_equal(set->class_names[61], "z");
    assert_string_equal(set->class_names[10], "A");
    check_images(set, 2, (const int[]){61, 10});
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open("emnist-digits", LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    CHECK_FAILS(lm_dataset_open("emnist:valid", LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    CHECK_FAILS(lm_dataset_open("emnist-words", LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "no such set"));
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_folders(void **state) {
    lm_dataset *set;
    check_all();
    CHECK_OK(lm_dataset_open("emnist-letters", LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->n_files, 2); /* images, then labels */
    assert_string_equal(set->files[1],
                        scratch("emnist/gzip/emnist-letters-train-labels-idx1-ubyte.gz"));
    lm_dataset_free(set);
    check_letters(scratch("emnist/gzip/emnist-letters-train-images-idx3-ubyte.gz"));
    check_letters(scratch("emnist/gzip"));
}

static void test_the_archive(void **state) {
    char command[400];
    lm_dataset *set;
    snprintf(command, sizeof command,
             "cd %s/emnist && python3 -m zipfile -c gzip.zip gzip && mv gzip ../unpacked",
             scratch_folder);
    if (system(command) != 0) {
        print_message("# no python3 to make a zip with\n");
        return;
    }
    lm_status status = lm_dataset_open("emnist-letters", LM_SPLIT_TRAIN, &set);
    if (status == LM_UNSUPPORTED) { /* a build without libarchive */
        assert_non_null(strstr(lm_message(), "libarchive-dev"));
        return;
    }
    CHECK_OK(status);
    lm_dataset_free(set);
    check_all();
}

static void test_wrong_labels(void **state) {
    lm_dataset *set;
    write_images("emnist-letters-train-images-idx3-ubyte.gz", 1);
    write_labels("emnist-letters-train-labels-idx1-ubyte.gz", (const uint8_t[]){0}, 1);
    const char *path = scratch("emnist-letters-train-images-idx3-ubyte.gz");
    CHECK_FAILS(lm_dataset_open(path, LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "image 0 has label 0, expected 1 to 26"));
    unlink(scratch("emnist-letters-train-labels-idx1-ubyte.gz"));
    CHECK_FAILS(lm_dataset_open(path, LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "no emnist-letters-train-labels-idx1-ubyte"));
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_parts_of_known_sets(void **state) {
    const char *part = "";
    const lm_known_set *emnist = lm_known_find("emnist");
    assert_ptr_equal(lm_known_find_part("emnist-letters", &part), emnist);
    assert_string_equal(part, "letters");
    assert_ptr_equal(lm_known_find_part("emnist", &part), emnist);
    assert_null(part);
    assert_null(lm_known_find_part("emnist-", &part));
    assert_null(lm_known_find_part("mnist-letters", &part));
}

static void test_names_of_classes(void **state) {
    static const struct {
        const char *folder, *name; /* of class 9 */
    } cases[] = {
        {"fashion-mnist", "Ankle boot"}, {"kmnist", "wo"}, {"my-fashion-mnist", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[128];
        lm_dataset *set;
        mkdir(scratch(cases[i].folder), 0700);
        snprintf(name, sizeof name, "%s/train-images-idx3-ubyte.gz", cases[i].folder);
        write_images(name, 2);
        snprintf(name, sizeof name, "%s/train-labels-idx1-ubyte.gz", cases[i].folder);
        write_labels(name, (const uint8_t[]){9, 0}, 2);
        CHECK_OK(lm_dataset_open(scratch(cases[i].folder), LM_SPLIT_TRAIN, &set));
        assert_int_equal(set->classes, 10);
        if (cases[i].name)
            assert_string_equal(set->class_names[9], cases[i].name);
        else
            assert_null(set->class_names);
        lm_dataset_free(set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_the_archive),
        cmocka_unit_test(test_wrong_labels),
        cmocka_unit_test(test_parts_of_known_sets),
        cmocka_unit_test(test_names_of_classes),
    };
    return cmocka_run_group_tests_name("emnist", tests, make_files, scratch_end);
}
