/* MNIST-M's folder and archive: what is labelled, in which order, and what is refused. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"
#include "data/mnist_m.h"

#include <sys/stat.h>

enum { EDGE = 32, SIZE = 3 * EDGE * EDGE, COUNT = 5 };

/* Label order is not that of names. */
static const int order[COUNT] = {2, 0, 1, 4, 3};

static uint8_t pixel_at(int n, int i) {
    return (uint8_t)(n * 41 + i * 7 + i / 96);
}

static void write_picture(const char *name, int n) {
    lm_image image;
    CHECK_OK(lm_image_init(&image, EDGE, EDGE, 3));
    for (int i = 0; i < SIZE; i++) image.pixels[i] = pixel_at(n, i);
    CHECK_OK(lm_png_write(scratch(name), &image, NULL));
    lm_image_release(&image);
}

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(scratch(name), "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_set(void) {
    char name[64], text[256] = "";
    mkdir(scratch("mnist_m"), 0700);
    mkdir(scratch("mnist_m/mnist_m_train"), 0700);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "mnist_m/mnist_m_train/%08d.png", i);
        write_picture(name, i);
        snprintf(text + strlen(text), 64, "%08d.png %d\n", order[i], 9 - order[i]);
    }
    write_text("mnist_m/mnist_m_train_labels.txt", text);
}

static void check_set(const lm_dataset *set) {
    assert_int_equal(set->count, COUNT);
    assert_int_equal(set->classes, 10);
    assert_int_equal(set->height * set->width * set->channels, SIZE);
    for (int i = 0; i < COUNT; i++) {
        uint8_t pixels[SIZE];
        int32_t label, alone;
        CHECK_OK(set->get(set, i, pixels, &label));
        CHECK_OK(lm_dataset_label(set, i, &alone));
        assert_int_equal(label, 9 - order[i]);
        assert_int_equal(alone, label);
        for (int p = 0; p < SIZE; p++) assert_int_equal(pixels[p], pixel_at(order[i], p));
    }
}

static void reads_the_folder(void **state) {
    lm_dataset *outer, *inner;
    CHECK_OK(lm_dataset_open(scratch_folder, LM_SPLIT_TRAIN, &outer));
    CHECK_OK(lm_dataset_open(scratch("mnist_m"), LM_SPLIT_TRAIN, &inner));
    check_set(outer);
    check_set(inner);
    assert_true(outer->hash == inner->hash);
    lm_str name = LM_STR_INIT;
    lm_dataset_item(inner, 1, &name);
    assert_non_null(strstr(name.text, ": mnist_m_train/00000000.png"));
    lm_str_release(&name);
    lm_dataset_free(outer);
    lm_dataset_free(inner);
    CHECK_FAILS(lm_dataset_open(scratch("mnist_m"), LM_SPLIT_TEST, &inner), LM_NOT_FOUND);
    CHECK_FAILS(lm_dataset_open(scratch("mnist_m"), LM_SPLIT_EXTRA, &inner),
                LM_NOT_FOUND);
}

static void reads_the_archive(void **state) {
    char command[256];
    mkdir(scratch("packed"), 0700);
    snprintf(command, sizeof command,
             "cd %s && tar czf packed/mnist_m-part.tar.gz mnist_m && "
             "tar cf packed/mnist_m.tar mnist_m",
             scratch_folder);
    assert_int_equal(system(command), 0);
    lm_dataset *plain, *packed = NULL;
    CHECK_OK(lm_dataset_open(scratch("mnist_m"), LM_SPLIT_TRAIN, &plain));
    static const char *const names[] = {"packed/mnist_m.tar", "packed"};
    for (int i = 0; i < 2; i++) {
        lm_status status = lm_dataset_open(scratch(names[i]), LM_SPLIT_TRAIN, &packed);
        if (status == LM_UNSUPPORTED) { /* a build without libarchive */
            assert_non_null(strstr(lm_message(), "libarchive-dev"));
            continue;
        }
        CHECK_OK(status);
        check_set(packed);
        assert_true(packed->hash == plain->hash);
        lm_dataset_free(packed);
    }
    lm_dataset_free(plain);
}

static void check_refused(const char *labels, const char *message) {
    lm_dataset *set;
    write_text("mnist_m/mnist_m_train_labels.txt", labels);
    CHECK_FAILS(lm_dataset_open(scratch("mnist_m"), LM_SPLIT_TRAIN, &set), LM_FORMAT);
    if (!strstr(lm_message(), message)) fail_msg("%s", lm_message());
}

static void refuses_labels_that_do_not_match(void **state) {
    check_refused("00000000.png 1\n00000007.png 2\n",
                  "names mnist_m_train/00000007.png, which is not there");
    check_refused("00000000.png 1\n00000000.png 1\n", "00000000.png twice");
    check_refused("00000000.png 1\n00000001.png 2\n00000002.png 2\n00000004.png 2\n",
                  "mnist_m_train/00000003.png has no label");
    check_refused("", "mnist_m_train_labels.txt: empty");
    check_refused("00000000.png 1\n00000001.png\n", "line 2: expected a file's name");
    write_set();
}

static void names_pictures_that_cannot_be_read(void **state) {
    lm_dataset *set;
    uint8_t pixels[SIZE];
    int32_t label;
    write_text("mnist_m/mnist_m_train/00000002.png", "not a picture");
    CHECK_OK(lm_dataset_open(scratch("mnist_m"), LM_SPLIT_TRAIN, &set));
    CHECK_FAILS(set->get(set, 0, pixels, &label), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "mnist_m_train/00000002.png: "));
    CHECK_OK(set->get(set, 1, pixels, &label));
    lm_dataset_free(set);
    write_set();
}

static lm_status sum_labels(void *user, const char *name, int label) {
    *(int *)user = *(int *)user * 10 + label;
    return strlen(name) == 1 ? LM_OK : LM_ARG;
}

static void parses_lines(void **state) {
    static const struct {
        const char *text;
        int sum; /* of labels as digits; -1: refused */
    } cases[] = {{"a 1\nb 2\n", 12}, {"a 1\r\nb 2", 12}, {"a 1\n\n", -1}, {"a 10\n", -1},
                 {"a\t1\n", -1},     {"a 1 \n", -1},     {" 1\n", -1},    {"a x\n", -1},
                 {"a  1\n", -1},     {"/ 1\n", -1},      {"\n", -1},      {"1", -1},
                 {"a /\n", -1},      {"a :\n", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        int sum = 0;
        strcpy(text, cases[i].text);
        lm_status status = lm_mnist_m_parse(text, strlen(text), "x", sum_labels, &sum);
        assert_int_equal(status, cases[i].sum < 0 ? LM_FORMAT : LM_OK);
        if (status == LM_OK) assert_int_equal(sum, cases[i].sum);
    }
    char hidden[] = "a\0b 1\n";
    int sum = 0;
    CHECK_FAILS(lm_mnist_m_parse(hidden, sizeof hidden - 1, "x", sum_labels, &sum),
                LM_FORMAT);
}

static void leaks_nothing(void **state) {
    for (int fail = 1; fail < 1000; fail++) {
        size_t blocks = lm_mem_get_stats().blocks;
        lm_dataset *set = NULL;
        uint8_t pixels[SIZE];
        int32_t label;
        lm_mem_fail_at(fail, 1);
        lm_status status = lm_dataset_open(scratch("mnist_m"), LM_SPLIT_TRAIN, &set);
        if (status == LM_OK) status = set->get(set, 0, pixels, &label);
        lm_mem_fail_at(0, 0);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) return;
    }
    fail_msg("memory never sufficed");
}

static int begin(void **state) {
    if (scratch_begin(state) != 0) return -1;
    write_set();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_folder),
        cmocka_unit_test(reads_the_archive),
        cmocka_unit_test(refuses_labels_that_do_not_match),
        cmocka_unit_test(names_pictures_that_cannot_be_read),
        cmocka_unit_test(parses_lines),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, begin, scratch_end);
}
