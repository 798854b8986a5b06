/* CelebA's lists of attributes and splits, on pictures that the test makes. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"

enum { COUNT = 4 };

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(scratch(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static void run(const char *what) {
    char command[512];
    snprintf(command, sizeof command, "cd %s && %s", scratch_folder, what);
    assert_int_equal(system(command), 0);
}

/* Pictures 000001.ppm to 000004.ppm, whose samples are their numbers. */
static void write_pictures(const char *folder) {
    char name[128], text[64];
    run("rm -rf *");
    CHECK_OK(lm_make_folders(scratch(folder)));
    for (int i = 1; i <= COUNT; i++) {
        snprintf(name, sizeof name, "%s/%06d.ppm", folder, i);
        snprintf(text, sizeof text, "P6\n1 2\n255\n%c%c%c%c%c%c", i, i, i, i, i, i);
        write_text(name, text);
    }
}

/* The second list has a picture that is not there, as when only a part is at hand. */
static const char attributes[] = "4\n"
                                 "Bald Smiling Young \n"
                                 "000001.ppm -1  1 -1\n"
                                 "000002.ppm  1  1 -1\n"
                                 "000003.ppm -1 -1 -1\n"
                                 "000004.ppm -1  1  1\n";
static const char partition[] = "000001.ppm 0\n000002.ppm 0\n000003.ppm 1\n"
                                "000004.ppm 2\n000005.ppm 2\n";

static lm_dataset *open_set(const char *name) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(scratch(name), LM_SPLIT_TRAIN, &set));
    return set;
}

static void check_image(const lm_dataset *set, int64_t index, int value) {
    uint8_t pixels[6];
    int32_t label;
    CHECK_OK(set->get(set, index, pixels, &label));
    assert_int_equal(pixels[5], value);
    assert_int_equal(label, -1);
}

static void check_train(const lm_dataset *set) {
    static const char *const names[] = {"Bald", "Smiling", "Young"};
    float values[3];
    assert_int_equal(set->count, 2);
    assert_int_equal(set->n_attributes, 3);
    for (int i = 0; i < 3; i++) assert_string_equal(set->attribute_names[i], names[i]);
    check_image(set, 1, 2);
    CHECK_OK(set->attributes(set, 1, values));
    assert_true(values[0] == 1 && values[1] == 1 && values[2] == 0);
}

static void check_splits(const char *name) {
    char spec[128];
    lm_dataset *set = open_set(name);
    check_train(set);
    lm_dataset_free(set);
    snprintf(spec, sizeof spec, "%s:valid", name);
    set = open_set(spec);
    assert_int_equal(set->count, 1);
    check_image(set, 0, 3);
    lm_dataset_free(set);
    snprintf(spec, sizeof spec, "%s:test", name);
    set = open_set(spec);
    assert_int_equal(set->count, 1);
    float values[3];
    CHECK_OK(set->attributes(set, 0, values));
    assert_true(values[0] == 0 && values[1] == 1 && values[2] == 1);
    lm_dataset_free(set);
}

static void reads_lists_beside_folder_and_archive(void **state) {
    write_pictures("img_align_celeba");
    write_text("list_attr_celeba.txt", attributes);
    write_text("list_eval_partition.txt", partition);
    check_splits("img_align_celeba");
    check_splits(".");
    run("tar cf img_align_celeba.tar img_align_celeba && rm -r img_align_celeba");
    check_splits("img_align_celeba.tar");
    check_splits(".");
    run("echo >0.txt && tar czf CelebA-0.tar.gz 0.txt"); /* smaller */
    check_splits(".");
    lm_dataset *set = open_set("."); /* it says all files that it was read from */
    static const char *const files[] = {"img_align_celeba.tar", "list_attr_celeba.txt",
                                        "list_eval_partition.txt"};
    assert_int_equal(set->n_files, 3);
    for (int i = 0; i < 3; i++) assert_true(lm_path_ends(set->files[i], files[i]));
    lm_dataset_free(set);
}

/* As the home page has it. */
static void reads_img_anno_and_eval(void **state) {
    write_pictures("Img/img_align_celeba");
    run("mkdir Anno Eval");
    write_text("Anno/list_attr_celeba.txt", attributes);
    write_text("Eval/list_eval_partition.txt", partition);
    check_splits(".");
}

/* As Kaggle has it. */
static void reads_csv_within_an_archive(void **state) {
    write_pictures("img_align_celeba/img_align_celeba");
    write_text("list_attr_celeba.csv", "image_id,Bald,Smiling,Young\r\n"
                                       "000001.ppm,-1,1,-1\r\n000002.ppm,1,1,-1\r\n"
                                       "000003.ppm,-1,-1,-1\r\n000004.ppm,-1,1,1\r\n");
    write_text("list_eval_partition.csv",
               "image_id,partition\n000001.ppm,0\n000002.ppm,0\n000003.ppm,1\n"
               "000004.ppm,2\n");
    check_splits(".");
    run("tar cf celeba.tar * && mkdir alone && mv celeba.tar alone");
    check_splits("alone");
}

static void an_attribute_can_be_the_label(void **state) {
    write_pictures("img_align_celeba");
    write_text("list_attr_celeba.txt", attributes);
    lm_dataset *set = open_set("img_align_celeba?label=Smiling");
    static const int labels[COUNT] = {1, 1, 0, 1};
    assert_int_equal(set->classes, 2);
    assert_int_equal(set->count, COUNT); /* without a partition all are train */
    for (int i = 0; i < COUNT; i++) {
        int32_t label;
        CHECK_OK(lm_dataset_label(set, i, &label));
        assert_int_equal(label, labels[i]);
    }
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(scratch("img_align_celeba:test"), LM_SPLIT_TRAIN, &set),
                LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "without list_eval_partition.txt"));
}

static void names_what_is_wrong(void **state) {
    static const struct {
        const char *file, *text, *message;
    } cases[] = {
        {"list_attr_celeba.txt", "1\nBald Old\n000001.ppm 1\n",
         "list_attr_celeba.txt: line 3: 1 values, but 2 names"},
        {"list_attr_celeba.txt", "1\nBald Old\n000001.ppm 1 0\n",
         "line 3: Old is 0, expected 1 or -1"},
        {"list_attr_celeba.txt", "1\nBald Old\n000001.ppm 1 1\n000001.ppm 1 1\n",
         "line 4: 000001.ppm again"},
        {"list_attr_celeba.txt", "1\nBald Old\n000001.ppm 1 1\n",
         "list_attr_celeba.txt: no row for img_align_celeba/000002.ppm"},
        {"list_attr_celeba.txt", "Bald Old\nBald Old\n", "line 2: names again"},
        {"list_eval_partition.txt", "000001.ppm 3\n",
         "list_eval_partition.txt: line 1: expected a picture and 0, 1 or 2"},
        {"list_eval_partition.csv", "000001.ppm,\"0\n", "line 1: a quote that does not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_dataset *set;
        write_pictures("img_align_celeba");
        run("tar cf img_align_celeba.tar img_align_celeba && rm -r img_align_celeba");
        write_text(cases[i].file, cases[i].text);
        CHECK_FAILS(lm_dataset_open(scratch("."), LM_SPLIT_TRAIN, &set), LM_FORMAT);
        if (!strstr(lm_message(), cases[i].message))
            fail_msg("got \"%s\", wanted \"%s\"", lm_message(), cases[i].message);
    }
}

static void fails_cleanly_without_memory(void **state) {
    write_pictures("img_align_celeba");
    write_text("list_attr_celeba.txt", attributes);
    write_text("list_eval_partition.txt", partition);
    int64_t held = lm_mem_get_stats().bytes, made = 1;
    /* Finding files asks for memory, and does without: it may succeed early. */
    for (int64_t n = 1; made >= n; n++) {
        lm_dataset *set = NULL;
        lm_mem_fail_at(n, 0);
        lm_status status =
            lm_dataset_open(scratch("img_align_celeba"), LM_SPLIT_TRAIN, &set);
        made = lm_mem_fail_at(0, 0);
        assert_true(status == LM_OK || made >= n);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().bytes, held);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lists_beside_folder_and_archive),
        cmocka_unit_test(reads_img_anno_and_eval),
        cmocka_unit_test(reads_csv_within_an_archive),
        cmocka_unit_test(an_attribute_can_be_the_label),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(fails_cleanly_without_memory),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
