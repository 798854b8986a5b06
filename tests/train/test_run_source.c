/* Runs as sources of images: what is drawn depends on seed and index alone, and says how
 * it was drawn. */
#include "small.h"

#include "image/image.h"
#include "train/sample.h"

#include <sys/stat.h>

enum { SIZE = 28 * 28, FEW = 20, N = 130 }; /* N: more than two batches */

static char plain[256], classes[256];

static int make_runs(void **state) {
    if (scratch_begin(state) != 0) return -1;
    lm_train_result result;
    lm_train_request request = small_run("plain", 3, NULL);
    CHECK_OK(lm_train(&request, &result));
    strcpy(plain, request.out);
    request = small_run("classes", 3, "conditional=true");
    CHECK_OK(lm_train(&request, &result));
    strcpy(classes, request.out);
    return 0;
}

static lm_run_source_spec spec_of(const char *run, int64_t count) {
    return (lm_run_source_spec){
        .choice = {.run = run},
        .request = {.steps = 2, .eta = 1, .sampler = "ddim", .label = -1},
        .draw = {.count = count, .seed = 5}};
}

static uint8_t whole[N * SIZE], part[N * SIZE];
static int32_t labels[N], some[N];

static void read_all(const lm_run_source_spec *spec) {
    lm_run_source from;
    CHECK_OK(lm_run_source_open(spec, &from));
    CHECK_OK(lm_source_read(&from.drawn.source, 0, spec->draw.count, whole, labels));
    lm_run_source_close(&from);
}

static void portions_do_not_matter(void **state) {
    static const int64_t portions[][2] = {{N - 1, 1}, {0, 3}, {3, 1},
                                          {60, 70},   {0, N}, {0, 0}};
    lm_run_source_spec spec = spec_of(classes, N);
    read_all(&spec);
    lm_run_source from;
    CHECK_OK(lm_run_source_open(&spec, &from));
    for (size_t i = 0; i < sizeof portions / sizeof *portions; i++) {
        int64_t first = portions[i][0], count = portions[i][1];
        CHECK_OK(lm_source_read(&from.drawn.source, first, count, part, some));
        assert_memory_equal(part, whole + first * SIZE, (size_t)count * SIZE);
        assert_memory_equal(some, labels + first, (size_t)count * sizeof *some);
    }
    CHECK_OK(lm_source_read(&from.drawn.source, 7, 1, part, NULL)); /* labels unasked */
    CHECK_FAILS(lm_source_read(&from.drawn.source, N - 1, 2, part, NULL), LM_ARG);
    lm_run_source_close(&from);
    /* More of them begin with the same. */
    spec.draw.count = 10000;
    CHECK_OK(lm_run_source_open(&spec, &from));
    CHECK_OK(lm_source_read(&from.drawn.source, 0, N, part, NULL));
    assert_memory_equal(part, whole, sizeof whole);
    lm_run_source_close(&from);
    for (int i = 1; i < N; i++) assert_memory_not_equal(whole, whole + i * SIZE, SIZE);
    spec.draw.seed = 6;
    CHECK_OK(lm_run_source_open(&spec, &from));
    CHECK_OK(lm_source_read(&from.drawn.source, 0, 1, part, NULL));
    assert_memory_not_equal(part, whole, SIZE);
    lm_run_source_close(&from);
}

static void labels_follow_the_rule(void **state) {
    lm_run_source_spec spec = spec_of(classes, FEW);
    read_all(&spec);
    for (int i = 0; i < FEW; i++) assert_int_equal(labels[i], i % 10);
    spec.request.label = 3;
    read_all(&spec);
    for (int i = 0; i < FEW; i++) assert_int_equal(labels[i], 3);
    lm_dataset *set;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &set));
    spec = spec_of(plain, FEW);
    spec.draw.labels_of = set; /* no matter to a model without classes */
    read_all(&spec);
    for (int i = 0; i < FEW; i++) assert_int_equal(labels[i], -1);
    lm_dataset_free(set);
}

/* As often as the set has them, whatever the order: 20 of 10 images is twice. */
static void labels_of_a_set(void **state) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open("builtin:digits?limit=10", LM_SPLIT_TRAIN, &set));
    lm_run_source_spec spec = spec_of(classes, FEW);
    spec.draw.labels_of = set;
    read_all(&spec);
    int wanted[10] = {0}, got[10] = {0};
    bool in_order = true;
    for (int i = 0; i < FEW; i++) {
        int32_t label;
        CHECK_OK(lm_dataset_label(set, i % 10, &label));
        wanted[label]++;
        got[labels[i]]++;
        in_order = in_order && label == labels[i];
    }
    assert_memory_equal(wanted, got, sizeof got);
    assert_false(in_order);
    lm_run_source from;
    lm_dataset other = *set;
    other.classes = 7;
    spec.draw.labels_of = &other;
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_MISMATCH);
    lm_dataset_free(set);
}

/* The class changes the picture: the same noise, another label. */
static void classes_differ(void **state) {
    lm_run_source_spec spec = spec_of(classes, FEW);
    spec.request.label = 3;
    read_all(&spec);
    memcpy(part, whole, FEW * SIZE);
    spec.request.label = 4;
    read_all(&spec);
    assert_memory_not_equal(part, whole, SIZE);
    memcpy(part, whole, FEW * SIZE);
    spec.request.guidance = 4;
    read_all(&spec);
    assert_memory_not_equal(part, whole, SIZE);
}

static void it_says_how_it_draws(void **state) {
    lm_run_source_spec spec = spec_of(classes, 9);
    spec.request.guidance = 2;
    lm_run_source from;
    CHECK_OK(lm_run_source_open(&spec, &from));
    lm_eval_side side = lm_run_source_side(&from);
    assert_string_equal(side.spec, classes);
    assert_string_equal(side.weights, "ema");
    assert_int_equal(side.step, 3);
    assert_int_equal(side.seed, 5);
    assert_int_equal(side.available, 9);
    assert_int_equal(side.steps, 2);
    assert_int_equal(side.nfe, 4);
    assert_string_equal(side.sampler, "ddim steps=2 eta=1 spacing=trailing clip-x0=yes "
                                      "guidance=2 (w=1) labels=balanced");
    assert_string_equal(side.quantisation, LM_DRAWN_QUANTISATION);
    assert_int_equal(side.source->classes, 10);
    lm_run_source_close(&from);
    spec = spec_of(plain, 9);
    spec.choice.raw = true;
    CHECK_OK(lm_run_source_open(&spec, &from));
    side = lm_run_source_side(&from);
    assert_string_equal(side.weights, "raw");
    assert_string_equal(side.sampler, "ddim steps=2 eta=1 spacing=trailing clip-x0=yes");
    assert_int_equal(side.source->classes, 0);
    lm_run_source_close(&from);
}

static void raw_weights_are_others(void **state) {
    lm_run_source_spec spec = spec_of(plain, FEW);
    read_all(&spec);
    memcpy(part, whole, FEW * SIZE);
    spec.choice.raw = true;
    read_all(&spec);
    assert_memory_not_equal(part, whole, SIZE);
}

static void wrong_wishes(void **state) {
    lm_run_source from;
    lm_run_source_spec spec = spec_of(classes, FEW);
    spec.request.label = 10;
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_ARG);
    assert_non_null(strstr(lm_message(), "class: 10"));
    spec = spec_of(plain, FEW);
    spec.request.label = 1;
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_ARG);
    assert_non_null(strstr(lm_message(), "not trained with classes"));
    spec = spec_of(plain, 0);
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_ARG);
    spec = spec_of(plain, 3);
    spec.choice.checkpoint = "best";
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "--eval-every"));
    spec.choice.checkpoint = scratch("nothing");
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_NOT_FOUND);
    spec.choice = (lm_run_choice){.run = scratch("nowhere")};
    CHECK_FAILS(lm_run_source_open(&spec, &from), LM_NOT_FOUND);
}

static bool stop_at_once(void *user, int step, int steps) {
    return false;
}

static void drawing_can_be_stopped(void **state) {
    lm_run_source from;
    lm_run_source_spec spec = spec_of(plain, FEW);
    spec.draw.hook = stop_at_once;
    CHECK_OK(lm_run_source_open(&spec, &from));
    CHECK_FAILS(lm_source_read(&from.drawn.source, 0, 1, part, NULL), LM_INTERRUPTED);
    lm_run_source_close(&from);
}

/* 24 images of 10 classes: 10 rows of 3, of which the last are half empty; a near square
 * without classes. Pictures are enlarged by a whole number, gaps are of 2 pixels. */
static void sheets_have_a_row_a_class(void **state) {
    static const struct {
        const char *run;
        int label, columns, rows;
    } cases[] = {{classes, -1, 3, 10}, {classes, 4, 5, 5}, {plain, -1, 5, 5}};
    for (int i = 0; i < 3; i++) {
        lm_run_source_spec spec = spec_of(cases[i].run, 24);
        spec.request.label = cases[i].label;
        lm_samples samples;
        CHECK_OK(lm_samples_draw(&spec, &samples));
        CHECK_OK(lm_samples_write(&samples, scratch("sheet.png")));
        lm_image sheet;
        CHECK_OK(lm_png_read(scratch("sheet.png"), &sheet));
        assert_int_equal((sheet.width - 2) * cases[i].rows,
                         (sheet.height - 2) * cases[i].columns);
        if (i == 0) {
            /* Row 4, column 2 is image 24 of the classes' turns, which there is not. */
            int cell = (sheet.width - 2) / 3, scale = (cell - 2) / 28;
            int x = 2 + 2 * cell + 14 * scale, y = 2 + 4 * cell + 14 * scale;
            assert_int_equal(sheet.pixels[(y * sheet.width + x) * sheet.channels], 64);
            y -= cell; /* image 23 */
            x -= 14 * scale, y -= 14 * scale;
            assert_int_equal(sheet.pixels[(y * sheet.width + x) * sheet.channels],
                             samples.pixels[23 * SIZE]);
        }
        lm_image_release(&sheet);
        lm_samples_release(&samples);
    }
}

static void folders_are_of_classes(void **state) {
    lm_run_source_spec spec = spec_of(classes, 13);
    lm_samples samples;
    CHECK_OK(lm_samples_draw(&spec, &samples));
    CHECK_OK(lm_samples_write(&samples, scratch("folder")));
    lm_samples_release(&samples);
    assert_true(lm_file_exists(scratch("folder/2/000012.png")));
    assert_false(lm_file_exists(scratch("folder/3/000012.png")));
    assert_true(lm_file_exists(scratch("folder/9/000009.png")));
    spec = spec_of(plain, 2);
    CHECK_OK(lm_samples_draw(&spec, &samples));
    CHECK_OK(lm_samples_write(&samples, scratch("plain-folder")));
    lm_samples_release(&samples);
    assert_true(lm_file_exists(scratch("plain-folder/000001.png")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(portions_do_not_matter),
        cmocka_unit_test(labels_follow_the_rule),
        cmocka_unit_test(labels_of_a_set),
        cmocka_unit_test(classes_differ),
        cmocka_unit_test(it_says_how_it_draws),
        cmocka_unit_test(raw_weights_are_others),
        cmocka_unit_test(wrong_wishes),
        cmocka_unit_test(drawing_can_be_stopped),
        cmocka_unit_test(sheets_have_a_row_a_class),
        cmocka_unit_test(folders_are_of_classes),
    };
    return cmocka_run_group_tests(tests, make_runs, scratch_end);
}
