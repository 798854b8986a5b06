/* USPS: LIBSVM's text and HDF5 give the same images; text that is not as it should be. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"

#include <sys/stat.h>

static const char *golden(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/usps%s%s", getenv("LIMN_TEST_SOURCE"),
             *name ? "/" : "", name);
    return path;
}

/* As in make_usps.py. */
static int level_at(int image, int place) {
    return (image * 389 + place * 31) % 2001;
}

static void check_set(const char *path, lm_split split, int first, int count,
                      const char *digits) {
    lm_dataset *set;
    lm_status status = lm_dataset_open(path, split, &set);
    if (status == LM_UNSUPPORTED) { /* a build without the library */
        assert_non_null(strstr(lm_message(), "-dev"));
        return;
    }
    CHECK_OK(status);
    assert_true(set->count == count && set->classes == 10);
    assert_true(set->height == 16 && set->width == 16 && set->channels == 1);
    for (int i = 0; i < count; i++) {
        uint8_t pixels[256];
        int32_t label;
        CHECK_OK(set->get(set, i, pixels, &label));
        assert_int_equal(label, digits[i] - '0');
        for (int p = 0; p < 256; p++) {
            int level = level_at(first + i, p);
            assert_int_equal(pixels[p], (level * 255 + 1000) / 2000);
        }
    }
    lm_dataset_free(set);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void copy_golden(const char *name, const char *to) {
    void *bytes;
    size_t size;
    lm_writer writer;
    CHECK_OK(lm_file_read(golden(name), 1 << 20, &bytes, &size));
    CHECK_OK(lm_writer_open(&writer, scratch(to)));
    lm_writer_put(&writer, bytes, size);
    CHECK_OK(lm_writer_commit(&writer));
    lm_free(bytes);
}

static void test_both_forms(void **state) {
    lm_dataset *set;
    check_set(golden(""), LM_SPLIT_TRAIN, 0, 3, "309");
    check_set(golden(""), LM_SPLIT_TEST, 3, 1, "5");
    check_set(golden("usps.t.bz2"), LM_SPLIT_TRAIN, 3, 1, "5");
    check_set(golden("usps.h5"), LM_SPLIT_TRAIN, 0, 3, "309");
    mkdir(scratch("h5"), 0700);
    copy_golden("usps.h5", "h5/usps.h5");
    check_set(scratch("h5"), LM_SPLIT_TRAIN, 0, 3, "309");
    check_set(scratch("h5"), LM_SPLIT_TEST, 3, 1, "5");
    CHECK_FAILS(lm_dataset_open(golden(""), LM_SPLIT_VALID, &set), LM_NOT_FOUND);
}

static void test_other_folders(void **state) {
    lm_dataset *set;
    mkdir(scratch("domains"), 0700);
    mkdir(scratch("domains/usps"), 0700);
    assert_int_not_equal(lm_dataset_open(scratch("domains"), LM_SPLIT_TRAIN, &set),
                         LM_OK);
    assert_null(strstr(lm_message(), "USPS"));
}

static void test_broken_archives(void **state) {
    lm_dataset *set;
    mkdir(scratch("broken"), 0700);
    const char *names[] = {"broken/usps.bz2", "broken/usps.h5"};
    for (int i = 0; i < 2; i++) {
        struct stat info;
        copy_golden(i ? "usps.h5" : "usps.bz2", names[i]);
        assert_int_equal(stat(scratch(names[i]), &info), 0);
        assert_int_equal(truncate(scratch(names[i]), info.st_size / 2), 0);
        lm_status status = lm_dataset_open(scratch(names[i]), LM_SPLIT_TRAIN, &set);
        if (status != LM_UNSUPPORTED) CHECK_FAILS(status, LM_FORMAT);
        assert_non_null(strstr(lm_message(), names[i]));
    }
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void write_text(const char *text) {
    FILE *file = fopen(scratch("usps"), "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_plain_text(void **state) {
    lm_dataset *set;
    uint8_t pixels[256];
    int32_t label;
    write_text("10 1:-1 2:+1.0 3:1e-3 256:-.5 \r\n1");
    CHECK_OK(lm_dataset_open(scratch("usps"), LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->count, 2);
    CHECK_OK(set->get(set, 0, pixels, &label));
    assert_int_equal(label, 9);
    const int wanted[] = {0, 255, 128, 128}; /* the level 1001, and what is left out */
    for (int i = 0; i < 4; i++) assert_int_equal(pixels[i], wanted[i]);
    assert_int_equal(pixels[255], 64);
    CHECK_OK(set->get(set, 1, pixels, &label));
    assert_int_equal(label, 0);
    lm_dataset_free(set);
}

static void test_wrong_text(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "0 lines, expected 1 to 65536"},
        {"1 1:0\n\n2 1:0\n", "line 2: expected an integer label"},
        {"x 1:0\n", "line 1: expected an integer label"},
        {"1.5 1:0\n", "line 1: expected an integer label"},
        {"99999999999999999999 1:0\n", "line 1: expected an integer label"},
        {"1 1:0 1\n", "line 1: expected INDEX:VALUE"},
        {"1 1:0 :1\n", "line 1: expected INDEX:VALUE"},
        {"1 1:\n2 2:0\n", "line 1: expected a number after INDEX:"},
        {"1 1:nan\n", "line 1: expected a number after INDEX:"},
        {"1 1:0x1\n", "line 1: expected INDEX:VALUE"},
        {"1 1:1e99\n", "line 1: expected a number after INDEX:"},
        {"1 1:1e999\n", "line 1: expected a number after INDEX:"},
        {"1 0:1\n", "index after 0: expected one above it, up to 256"},
        {"1 257:1\n", "index after 0: expected one above it, up to 256"},
        {"1 4294967297:1\n", "index after 0"},
        {"1 3:1 3:1\n", "index after 3"},
        {"1 1:1.5\n", "image 0 has a value of 1.5, expected -1 to 1"},
        {"1 1:-2\n", "image 0 has a value of -2, expected -1 to 1"},
        {"1 1:1\n11 1:1\n", "image 1 has label 11, expected 1 to 10"},
        {"0 1:1\n", "image 0 has label 0, expected 1 to 10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_dataset *set;
        write_text(cases[i].text);
        CHECK_FAILS(lm_dataset_open(scratch("usps"), LM_SPLIT_TRAIN, &set), LM_FORMAT);
        if (!strstr(lm_message(), cases[i].says) || !strstr(lm_message(), "/usps: "))
            fail_msg("'%s' lacks '%s'", lm_message(), cases[i].says);
        assert_int_equal(lm_mem_get_stats().blocks, 0);
    }
}

/* What was compared once by hand is compared wherever both files are: every image. */
static void test_published_forms_agree(void **state) {
    lm_dataset *sets[2] = {NULL, NULL};
    for (int split = 0; getenv("LIMN_DATA") && split < 2; split++) {
        const char *names[2][2] = {{"usps.bz2", "usps.h5"}, {"usps.t.bz2", "usps.h5"}};
        lm_status status = LM_OK;
        for (int form = 0; form < 2 && status == LM_OK; form++) {
            char path[512];
            snprintf(path, sizeof path, "%s/usps/%s", getenv("LIMN_DATA"),
                     names[split][form]);
            status = lm_dataset_open(path, (lm_split)split, &sets[form]);
        }
        if (status == LM_OK && sets[0]->hash != sets[1]->hash)
            fail_msg("the two forms of USPS differ");
        if (status != LM_OK) print_message("# not compared: %s\n", lm_message());
        for (int form = 0; form < 2; form++) lm_dataset_free(sets[form]);
        sets[0] = sets[1] = NULL;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_forms),
        cmocka_unit_test(test_other_folders),
        cmocka_unit_test(test_broken_archives),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_wrong_text),
        cmocka_unit_test(test_published_forms_agree),
    };
    return cmocka_run_group_tests_name("usps", tests, scratch_begin, scratch_end);
}
