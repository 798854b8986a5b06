/* CIFAR's files, binary and pickled: in folders, in archives, and broken. */
#include "testing.h"

#include "base/mem.h"
#include "data/cifar.h"
#include "data/data.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLANE = 1024, RECORD = 1 + 3 * PLANE };

static char folder[128];

static char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static uint8_t pixel_at(int image, int c, int i) {
    return (uint8_t)(image * 53 + c * 101 + i * 7);
}

/* `labels` bytes (the last is the class), then planes; `cut` bytes are left out. */
static void write_batch(const char *name, int first, int count, int labels, int label,
                        int cut) {
    static uint8_t bytes[8 * (RECORD + 1)];
    size_t size = 0;
    for (int n = first; n < first + count; n++) {
        if (labels == 2) bytes[size++] = 19;
        bytes[size++] = (uint8_t)(label + n);
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < PLANE; i++) bytes[size++] = pixel_at(n, c, i);
    }
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size - (size_t)cut, file), size - (size_t)cut);
    fclose(file);
}

static void check_image(const lm_dataset *set, int64_t index, int n, int label) {
    uint8_t pixels[3 * PLANE];
    int32_t got;
    CHECK_OK(set->get(set, index, pixels, &got));
    assert_int_equal(got, label);
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(pixels[3 * i + c], pixel_at(n, c, i));
}

static void reads_folders(void **state) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(folder, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->count, 5);
    assert_int_equal(set->classes, 10);
    assert_int_equal(set->height * set->width * set->channels, 3 * PLANE);
    check_image(set, 1, 1, 1); /* of data_batch_1 */
    check_image(set, 2, 2, 2); /* of data_batch_3: the second is not there */
    check_image(set, 4, 4, 4);
    uint64_t hash = set->hash;
    lm_dataset_free(set);
    char spec[160];
    snprintf(spec, sizeof spec, "%s:test?grey&size=16", folder);
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->count, 1);
    assert_int_equal(set->channels, 1);
    assert_true(set->hash != hash);
    lm_dataset_free(set);
}

static void reads_archives(void **state) {
    char command[512], name[160];
    snprintf(name, sizeof name, "%s/packed", folder);
    mkdir(name, 0700);
    snprintf(command, sizeof command,
             "cd %s && mkdir -p cifar-10-batches-bin && cp *.bin cifar-10-batches-bin && "
             "tar czf packed/cifar-10-binary.tar.gz cifar-10-batches-bin && "
             "rm -r cifar-10-batches-bin",
             folder);
    assert_int_equal(system(command), 0);
    lm_dataset *plain, *packed = NULL;
    CHECK_OK(lm_dataset_open(folder, LM_SPLIT_TRAIN, &plain));
    lm_status status = lm_dataset_open(name, LM_SPLIT_TRAIN, &packed);
    if (status == LM_UNSUPPORTED) /* a build without libarchive */
        assert_non_null(strstr(lm_message(), "libarchive-dev"));
    else {
        CHECK_OK(status);
        assert_true(packed->count == plain->count && packed->hash == plain->hash);
        check_image(packed, 4, 4, 4);
    }
    lm_dataset_free(packed);
    lm_dataset_free(plain);
    snprintf(command, sizeof command, "%s/cifar-10-binary.tar.gz", name);
    assert_int_equal(truncate(command, 200), 0);
    if (status == LM_OK)
        CHECK_FAILS(lm_dataset_open(command, LM_SPLIT_TRAIN, &packed), LM_FORMAT);
}

static void reads_a_hundred_classes(void **state) {
    lm_dataset *set;
    char name[160];
    mkdir(path_of("hundred"), 0700);
    write_batch("hundred/train.bin", 0, 2, 2, 98, 0);
    snprintf(name, sizeof name, "%s/hundred", folder);
    CHECK_OK(lm_dataset_open(name, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->classes, 100);
    check_image(set, 1, 1, 99);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(name, LM_SPLIT_TEST, &set), LM_NOT_FOUND);
}

static void check_pickled(const char *name, lm_split split, int count, int first,
                          const int *labels, int classes) {
    char path[512];
    lm_dataset *set;
    snprintf(path, sizeof path, "%s/tests/golden/pickles/%s", getenv("LIMN_TEST_SOURCE"),
             name);
    CHECK_OK(lm_dataset_open(path, split, &set));
    assert_true(set->count == count && set->classes == classes);
    for (int n = 0; n < count; n++) {
        uint8_t pixels[3 * PLANE];
        int32_t label;
        CHECK_OK(set->get(set, n, pixels, &label));
        assert_int_equal(label, labels[n]);
        for (int i = 0; i < PLANE; i++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(pixels[3 * i + c],
                                 (31 * (first + n) + 7 * (c * PLANE + i)) % 256);
    }
    lm_dataset_free(set);
}

static void reads_the_python_version(void **state) {
    check_pickled("ten", LM_SPLIT_TRAIN, 2, 0, (const int[]){3, 9}, 10);
    check_pickled("ten", LM_SPLIT_TEST, 1, 2, (const int[]){4}, 10);
    check_pickled("hundred", LM_SPLIT_TRAIN, 2, 0, (const int[]){57, 99}, 100);
}

/* Folders called train and test hold images, not pickles. */
static void leaves_other_folders_alone(void **state) {
    lm_dataset *set;
    char name[160];
    snprintf(name, sizeof name, "%s/classes", folder);
    mkdir(name, 0700);
    mkdir(path_of("classes/train"), 0700);
    mkdir(path_of("classes/test"), 0700);
    assert_int_not_equal(lm_dataset_open(name, LM_SPLIT_TRAIN, &set), LM_OK);
    assert_null(strstr(lm_message(), "pickle"));
}

static void knows_the_classes(void **state) {
    for (int i = 1; i < 100; i++)
        assert_true(strcmp(lm_cifar100_names[i - 1], lm_cifar100_names[i]) < 0);
    assert_string_equal(lm_cifar100_names[99], "worm");
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(folder, LM_SPLIT_TRAIN, &set));
    assert_string_equal(set->class_names[9], "truck");
    lm_dataset_free(set);
}

static void refuses_broken_files(void **state) {
    lm_dataset *set;
    char name[160];
    mkdir(path_of("broken"), 0700);
    snprintf(name, sizeof name, "%s/broken", folder);
    write_batch("broken/test_batch.bin", 0, 2, 1, 0, 5);
    CHECK_FAILS(lm_dataset_open(name, LM_SPLIT_TEST, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "expected a multiple of 3073"));
    write_batch("broken/test_batch.bin", 0, 2, 1, 9, 0);
    CHECK_FAILS(lm_dataset_open(name, LM_SPLIT_TEST, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "label 10, expected 0 to 9"));
}

static int make_folder(void **state) {
    snprintf(folder, sizeof folder, "/tmp/limn-cifar-%d", (int)getpid());
    mkdir(folder, 0700);
    write_batch("data_batch_1.bin", 0, 2, 1, 0, 0);
    write_batch("data_batch_3.bin", 2, 3, 1, 0, 0);
    write_batch("test_batch.bin", 6, 1, 1, 0, 0);
    return 0;
}

static int remove_folder(void **state) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_folders),
                                       cmocka_unit_test(reads_archives),
                                       cmocka_unit_test(reads_a_hundred_classes),
                                       cmocka_unit_test(reads_the_python_version),
                                       cmocka_unit_test(leaves_other_folders_alone),
                                       cmocka_unit_test(knows_the_classes),
                                       cmocka_unit_test(refuses_broken_files)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
