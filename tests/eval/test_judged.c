/* The evaluator's metrics on images of which the answer is known. */
#include "scratch.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/threads.h"
#include "eval/evaluate.h"
#include "eval/metric.h"
#include "eval/report.h"
#include "eval/statistics.h"

#include <math.h>
#include <string.h>

/* ---- sides ------------------------------------------------------------------- */

#define DIGITS "builtin:digits?size=14"
enum { SIDE = 14, SIZE = SIDE * SIDE, TRAIN = 400, TEST = 300, JUDGED = 300 };

typedef struct fixture {
    lm_dataset *train_set, *test_set;
    lm_set_source train_from, test_from;
    lm_eval_side train, test;
    lm_image_source judged;
    lm_eval_subject subject;
    uint8_t pixels[JUDGED][SIZE];
} fixture;

static lm_status read_pixels(const lm_image_source *source, int64_t first, int64_t count,
                             uint8_t *pixels, int32_t *labels) {
    fixture *f = source->state;
    memcpy(pixels, f->pixels[first], (size_t)count * SIZE);
    for (int64_t i = 0; labels && i < count; i++) labels[i] = -1;
    return LM_OK;
}

/* What is judged are the set's images from `first` on, with noise of +-`noise`. */
static void begin(fixture *f, lm_split split, int64_t first, int noise) {
    lm_dataset *from;
    *f = (fixture){0};
    CHECK_OK(lm_dataset_open(DIGITS, LM_SPLIT_TRAIN, &f->train_set));
    CHECK_OK(lm_dataset_open(DIGITS, LM_SPLIT_TEST, &f->test_set));
    CHECK_OK(
        lm_eval_side_of_set(f->train_set, TRAIN, 0, DIGITS, &f->train_from, &f->train));
    CHECK_OK(lm_eval_side_of_set(f->test_set, TEST, 0, DIGITS, &f->test_from, &f->test));
    CHECK_OK(lm_dataset_open(DIGITS, split, &from));
    for (int i = 0; i < JUDGED; i++) {
        int32_t label;
        CHECK_OK(from->get(from, first + i, f->pixels[i], &label));
        for (int k = 0; k < SIZE; k++) {
            int value = f->pixels[i][k] + (noise ? (i * 31 + k * 17) % (2 * noise) : 0);
            f->pixels[i][k] = (uint8_t)(value > 255 ? 255 : value);
        }
    }
    lm_dataset_free(from);
    f->judged = (lm_image_source){.name = "judged",
                                  .count = JUDGED,
                                  .height = SIDE,
                                  .width = SIDE,
                                  .channels = 1,
                                  .read = read_pixels,
                                  .state = f};
    f->subject.generated = (lm_eval_side){.source = &f->judged, .spec = "judged"};
}

static void end(fixture *f) {
    lm_dataset_free(f->train_set);
    lm_dataset_free(f->test_set);
}

static lm_eval_spec pixels_spec(const char *metrics) {
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = "pixels";
    spec.lpips = "";
    spec.metrics = metrics;
    return spec;
}

static void evaluate(fixture *f, const lm_eval_spec *spec, lm_evaluation *evaluation) {
    lm_evaluator *evaluator;
    CHECK_OK(lm_evaluator_new(spec, &f->train, &f->test, &evaluator));
    CHECK_OK(lm_evaluator_run(evaluator, &f->subject, NULL, evaluation));
    lm_evaluator_free(evaluator);
}

static const lm_eval_result *get(const lm_evaluation *evaluation, const char *metric) {
    const lm_eval_result *result = lm_evaluation_find(evaluation, metric);
    if (!result) fail_msg("%s was not measured", metric);
    return result;
}

/* ---- what numbers say -------------------------------------------------------- */

static void real_images_lie_at_the_floor(void **state) {
    fixture f;
    lm_evaluation e;
    lm_eval_spec spec = pixels_spec(NULL);
    begin(&f, LM_SPLIT_TEST, 5000, 0);
    evaluate(&f, &spec, &e);
    static const char *const metrics[] = {"fid",     "kid",      "precision", "recall",
                                          "density", "coverage", "neighbours"};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const lm_eval_result *r = get(&e, metrics[i]);
        assert_true(isfinite(r->error) && r->error > 0);
        assert_int_equal(r->floor_n, TEST);
        if (fabs(r->value - r->floor) > 5 * hypot(r->error, r->floor_error))
            fail_msg("%s: %g +- %g, floor %g +- %g", metrics[i], r->value, r->error,
                     r->floor, r->floor_error);
    }
    assert_true(fabs(get(&e, "copying")->value) < 4);
    assert_non_null(strstr(get(&e, "copying")->note, "no sign of copies"));
    assert_non_null(e.warnings);
    lm_evaluation_release(&e);
    end(&f);
}

static void noisy_copies_are_found(void **state) {
    fixture f;
    lm_evaluation e;
    lm_eval_spec spec = pixels_spec("copying,neighbours,precision");
    begin(&f, LM_SPLIT_TRAIN, 0, 12);
    evaluate(&f, &spec, &e);
    const lm_eval_result *copying = get(&e, "copying");
    assert_true(copying->value < -10);
    assert_non_null(strstr(copying->note, "copies training images"));
    assert_true(get(&e, "neighbours")->value < 0.7 * get(&e, "neighbours")->floor);
    assert_true(get(&e, "precision")->value > 0.9);
    lm_evaluation_release(&e);
    end(&f);
}

static void shuffled_images_keep_their_numbers(void **state) {
    enum { COUNT = 50, DRAWN = 20 };
    lm_dataset *set;
    lm_set_source from;
    uint8_t pixels[2][SIZE];
    int moved = 0;
    CHECK_OK(lm_dataset_open(DIGITS "&limit=50", LM_SPLIT_TRAIN, &set));
    CHECK_OK(lm_set_source_init(&from, set, DRAWN, 7));
    for (int place = 0; place < DRAWN; place++) {
        int32_t label;
        int64_t index = lm_source_index(&from.source, place);
        assert_in_range(index, 0, COUNT - 1);
        moved += index != place;
        CHECK_OK(lm_source_read(&from.source, place, 1, pixels[0], NULL));
        CHECK_OK(set->get(set, index, pixels[1], &label));
        assert_memory_equal(pixels[0], pixels[1], SIZE);
    }
    assert_true(moved > DRAWN / 2);
    lm_dataset_free(set);
}

static void exact_copies_are_counted(void **state) {
    fixture f;
    lm_evaluation e;
    char path[96];
    snprintf(path, sizeof path, "%s/sheet.png", scratch_folder);
    lm_eval_spec spec = pixels_spec("neighbours,pixel_neighbours");
    spec.sheet = path;
    begin(&f, LM_SPLIT_TRAIN, 10, 0);
    evaluate(&f, &spec, &e);
    assert_string_equal(get(&e, "neighbours")->note, "300 equal a training image");
    assert_true(get(&e, "neighbours")->value == 0);
    assert_true(get(&e, "pixel_neighbours")->value == 0);
    json_t *row =
        json_array_get(json_object_get(get(&e, "neighbours")->detail, "rows"), 0);
    json_t *nearest = json_array_get(json_object_get(row, "neighbours"), 0);
    assert_int_equal(json_integer_value(json_object_get(nearest, "index")),
                     json_integer_value(json_object_get(row, "image")) + 10);
    lm_image sheet;
    CHECK_OK(lm_png_read(path, &sheet));
    assert_true(sheet.width > 9 * SIDE && sheet.height > 20 * SIDE);
    lm_image_release(&sheet);
    lm_evaluation_release(&e);
    end(&f);
}

static void a_missing_class_is_found(void **state) {
    fixture f;
    lm_evaluation e;
    lm_eval_spec spec =
        pixels_spec("class_histogram,missing_classes,class_fid,precision,recall");
    spec.extractor = "judge:digits";
    begin(&f, LM_SPLIT_TEST, 0, 0);
    for (int64_t i = 0, next = 0; i < JUDGED; next++) {
        int32_t label;
        CHECK_OK(f.test_set->get(f.test_set, 1000 + next, f.pixels[i], &label));
        i += label != 8;
    }
    evaluate(&f, &spec, &e);
    assert_true(get(&e, "class_histogram")->value < 1e-4);
    assert_true(get(&e, "class_histogram")->floor > 1e-4);
    assert_true(get(&e, "missing_classes")->value >= 1);
    assert_non_null(strstr(get(&e, "missing_classes")->note, "8"));
    assert_true(get(&e, "precision")->value > get(&e, "recall")->value);
    const lm_eval_result *by_class = get(&e, "class_fid");
    assert_string_equal(
        json_string_value(json_object_get(by_class->protocol, "classes_by")), "judge");
    assert_true(by_class->value > 0 && by_class->floor > 0);
    json_t *classes = json_object_get(get(&e, "class_histogram")->detail, "by_class");
    assert_int_equal(json_array_size(classes), 10);
    lm_evaluation_release(&e);
    end(&f);
}

static void pairs_are_compared(void **state) {
    fixture f;
    lm_evaluation e;
    lm_eval_spec spec = pixels_spec("mse,psnr,ssim");
    begin(&f, LM_SPLIT_TEST, 0, 0);
    f.subject.pairs = f.test;
    evaluate(&f, &spec, &e);
    assert_true(get(&e, "mse")->value == 0);
    assert_true(get(&e, "ssim")->value == 1);
    assert_true(isnan(get(&e, "psnr")->value));
    assert_string_equal(
        json_string_value(json_object_get(get(&e, "mse")->protocol, "pairs")), DIGITS);
    lm_evaluation_release(&e);
    f.pixels[0][0] ^= 64;
    evaluate(&f, &spec, &e);
    assert_true(fabs(get(&e, "mse")->value - 64.0 * 64 / SIZE / JUDGED) < 1e-9);
    lm_evaluation_release(&e);
    end(&f);
}

static lm_status say_two(void *user, const lm_image_source *images,
                         const lm_metric_hook *hook, double *mean, double *error) {
    *mean = 2;
    *error = (double)images->count;
    return LM_OK;
}

static void likelihoods_are_asked_for(void **state) {
    fixture f;
    lm_evaluation e;
    lm_eval_likelihood likelihood = {.unit = "bits/dim", .measure = say_two};
    lm_eval_spec spec = pixels_spec("likelihood");
    begin(&f, LM_SPLIT_TEST, 0, 0);
    f.subject.likelihood = &likelihood;
    evaluate(&f, &spec, &e);
    assert_true(get(&e, "likelihood")->value == 2);
    assert_true(get(&e, "likelihood")->error == TEST);
    assert_string_equal(
        json_string_value(json_object_get(get(&e, "likelihood")->protocol, "unit")),
        "bits/dim");
    lm_evaluation_release(&e);
    end(&f);
}

/* ---- statistics, cache, threads ---------------------------------------------- */

static void name_another_extractor(const char *path) {
    lm_moments moments;
    char *extractor;
    CHECK_OK(lm_statistics_read(path, &moments, &extractor));
    assert_non_null(strstr(extractor, "pixels"));
    CHECK_OK(lm_statistics_write(path, &moments, "pixels, reversed"));
    lm_free(extractor);
    lm_moments_release(&moments);
}

/* Adds to what a file says of its judge's weights, and sees that it says no name. */
static void change_weights(const char *path) {
    lm_moments moments;
    char *extractor, line[300];
    CHECK_OK(lm_statistics_read(path, &moments, &extractor));
    assert_true(strncmp(extractor, "judge; 28x28x1", 14) == 0);
    snprintf(line, sizeof line, "%s0", extractor);
    CHECK_OK(lm_statistics_write(path, &moments, line));
    lm_free(extractor);
    lm_moments_release(&moments);
}

static void a_judge_is_known_by_its_weights(void **state) {
    fixture f;
    lm_evaluation e;
    char path[96];
    lm_evaluator *evaluator;
    snprintf(path, sizeof path, "%s/judge.npz", scratch_folder);
    lm_eval_spec spec = pixels_spec("fid");
    spec.extractor = "judge:digits";
    begin(&f, LM_SPLIT_TEST, 0, 0);
    spec.save_stats = path;
    evaluate(&f, &spec, &e);
    lm_evaluation_release(&e);
    spec.save_stats = NULL;
    spec.stats = path;
    evaluate(&f, &spec, &e);
    lm_evaluation_release(&e);
    change_weights(path);
    CHECK_FAILS(lm_evaluator_new(&spec, &f.train, &f.test, &evaluator), LM_MISMATCH);
    end(&f);
}

static void statistics_stand_for_a_reference(void **state) {
    fixture f;
    lm_evaluation e;
    char path[96];
    snprintf(path, sizeof path, "%s/stats.npz", scratch_folder);
    lm_eval_spec spec = pixels_spec("fid");
    begin(&f, LM_SPLIT_TEST, 0, 0);
    f.subject.generated = f.train;
    spec.save_stats = path;
    evaluate(&f, &spec, &e);
    lm_evaluation_release(&e);
    f.subject.generated = (lm_eval_side){.source = &f.judged, .spec = "judged"};
    spec.save_stats = NULL;
    evaluate(&f, &spec, &e);
    double fid = get(&e, "fid")->value;
    lm_evaluation_release(&e);
    spec.stats = path;
    evaluate(&f, &spec, &e);
    assert_true(fabs(get(&e, "fid")->value - fid) < 1e-9 * fid);
    assert_string_equal(
        json_string_value(json_object_get(get(&e, "fid")->protocol, "reference")), path);
    lm_evaluation_release(&e);
    lm_evaluator *evaluator;
    spec.metrics = "kid";
    spec.like = &f.judged;
    CHECK_OK(lm_evaluator_new(&spec, &(lm_eval_side){0}, &(lm_eval_side){0}, &evaluator));
    CHECK_FAILS(lm_evaluator_run(evaluator, &f.subject, NULL, &e), LM_ARG);
    assert_non_null(strstr(lm_message(), "no images"));
    lm_evaluator_free(evaluator);
    name_another_extractor(path);
    CHECK_FAILS(lm_evaluator_new(&spec, &f.train, &f.test, &evaluator), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "of another extractor (pixels, reversed)"));
    spec.extractor = "judge:digits";
    CHECK_FAILS(lm_evaluator_new(&spec, &f.train, &f.test, &evaluator), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "features"));
    end(&f);
}

static void nothing_but_time_depends_on_cache_and_threads(void **state) {
    static const char *const metrics = "fid,kid,precision,copying";
    fixture f;
    lm_evaluation first, e;
    lm_cache cache;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/cache", scratch_folder);
    CHECK_OK(lm_cache_init(&cache, folder, 0));
    lm_eval_spec spec = pixels_spec(metrics);
    begin(&f, LM_SPLIT_TEST, 700, 0);
    evaluate(&f, &spec, &first);
    for (int run = 0; run < 3; run++) {
        if (run == 1) spec.cache = &cache; /* 1 fills it, 2 uses it */
        lm_threads_set(run + 1);
        evaluate(&f, &spec, &e);
        for (int i = 0; i < e.count; i++) {
            const lm_eval_result *a = &e.results[i], *b = &first.results[i];
            assert_true(fabs(a->value - b->value) <= 1e-9 * fabs(b->value));
            if (a->metric->has_floor)
                assert_true(fabs(a->floor - b->floor) <= 1e-9 * fabs(b->floor));
            assert_true(json_equal(a->protocol, b->protocol));
        }
        lm_evaluation_release(&e);
    }
    lm_threads_set(0);
    lm_evaluation_release(&first);
    lm_cache_release(&cache);
    end(&f);
}

/* Also of images that are not the reference. */
static void kept_floors_are_of_the_same_images(void **state) {
    fixture f;
    lm_evaluation e;
    lm_cache cache;
    char folder[96], stats[96];
    double floor[2], kept[2];
    snprintf(folder, sizeof folder, "%s/floors", scratch_folder);
    snprintf(stats, sizeof stats, "%s/floors.npz", scratch_folder);
    CHECK_OK(lm_cache_init(&cache, folder, 0));
    lm_eval_spec spec = pixels_spec("neighbours,pixel_neighbours");
    begin(&f, LM_SPLIT_TEST, 700, 0);
    spec.save_stats = stats;
    evaluate(&f, &spec, &e);
    lm_evaluation_release(&e);
    spec.save_stats = NULL;
    spec.stats = stats;
    for (int run = 0; run < 4; run++) { /* without a cache, then with one */
        int64_t train = run % 2 ? TRAIN / 4 : TRAIN;
        spec.cache = run < 2 ? NULL : &cache;
        CHECK_OK(
            lm_eval_side_of_set(f.train_set, train, 0, DIGITS, &f.train_from, &f.train));
        evaluate(&f, &spec, &e);
        (run < 2 ? floor : kept)[run % 2] = get(&e, "neighbours")->floor;
        lm_evaluation_release(&e);
    }
    assert_true(floor[0] < floor[1]);
    assert_true(kept[0] == floor[0] && kept[1] == floor[1]);
    lm_cache_release(&cache);
    end(&f);
}

static bool stop(void *user, const char *what, double share) {
    int *left = user;
    return (*left)-- > 0;
}

static void it_can_be_stopped_anywhere(void **state) {
    fixture f;
    lm_evaluation e;
    lm_eval_spec spec = pixels_spec("fid,kid,recall,copying,pixel_neighbours");
    begin(&f, LM_SPLIT_TEST, 0, 0);
    for (int after = 0; after < 30; after += 14) {
        int left = after;
        lm_eval_hook hook = {stop, &left};
        lm_evaluator *evaluator;
        CHECK_OK(lm_evaluator_new(&spec, &f.train, &f.test, &evaluator));
        CHECK_FAILS(lm_evaluator_run(evaluator, &f.subject, &hook, &e), LM_INTERRUPTED);
        lm_evaluator_free(evaluator);
    }
    end(&f);
}

static void no_memory_is_no_crash(void **state) {
    fixture f;
    lm_eval_spec spec = pixels_spec("fid,recall,copying,mse");
    begin(&f, LM_SPLIT_TEST, 0, 0);
    f.subject.generated = f.train;
    f.subject.generated.source = f.test.source;
    f.subject.pairs = f.test;
    int64_t total = 0;
    for (int64_t n = 0; n <= total; n += 1 + n / 3) {
        lm_evaluator *evaluator = NULL;
        lm_evaluation e;
        int64_t held = lm_mem_get_stats().blocks;
        lm_mem_fail_at(n, 1);
        lm_status status = lm_evaluator_new(&spec, &f.train, &f.test, &evaluator);
        if (status == LM_OK) status = lm_evaluator_run(evaluator, &f.subject, NULL, &e);
        int64_t made = lm_mem_fail_at(0, 0);
        if (n == 0) total = made;
        assert_int_equal(status, n == 0 ? LM_OK : LM_NOMEM);
        if (status == LM_OK) lm_evaluation_release(&e);
        lm_evaluator_free(evaluator);
        assert_int_equal(lm_mem_get_stats().blocks, held);
    }
    assert_true(total > 50);
    end(&f);
}

/* ---- reports ----------------------------------------------------------------- */

static void reports_are_whole(void **state) {
    fixture f;
    lm_evaluation e;
    json_t *report, *read, *result;
    size_t i;
    char path[96];
    snprintf(path, sizeof path, "%s/report.json", scratch_folder);
    lm_eval_spec spec = pixels_spec(NULL);
    begin(&f, LM_SPLIT_TEST, 0, 0);
    evaluate(&f, &spec, &e);
    CHECK_OK(lm_report_make(&e, &report));
    CHECK_OK(lm_json_write(path, report));
    CHECK_OK(lm_report_read(path, &read));
    static const char *const keys[] = {"metric",     "better", "value",       "error",
                                       "error_from", "floor",  "floor_error", "floor_n",
                                       "n",          "note",   "protocol"};
    assert_int_equal(json_array_size(json_object_get(read, "results")), e.count);
    json_array_foreach(json_object_get(read, "results"), i, result) {
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            assert_non_null(json_object_get(result, keys[k]));
        json_t *protocol = json_object_get(result, "protocol");
        assert_int_equal(json_integer_value(json_object_get(protocol, "n")), JUDGED);
        assert_non_null(json_object_get(protocol, "version"));
        assert_null(json_object_get(protocol, "date"));
    }
    assert_non_null(json_object_get(read, "skipped"));
    json_decref(read);
    json_decref(report);
    lm_evaluation_release(&e);
    end(&f);
}

/* Every metric says what it is, under a name of its own. */
static void the_table_is_sound(void **state) {
    for (int i = 0; lm_eval_metrics[i]; i++) {
        const lm_eval_metric *metric = lm_eval_metrics[i];
        assert_true(metric->name && metric->help && metric->measure);
        assert_true(strlen(metric->help) < 160);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(metric->name, lm_eval_metrics[k]->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(real_images_lie_at_the_floor),
        cmocka_unit_test(noisy_copies_are_found),
        cmocka_unit_test(shuffled_images_keep_their_numbers),
        cmocka_unit_test(exact_copies_are_counted),
        cmocka_unit_test(a_missing_class_is_found),
        cmocka_unit_test(pairs_are_compared),
        cmocka_unit_test(likelihoods_are_asked_for),
        cmocka_unit_test(a_judge_is_known_by_its_weights),
        cmocka_unit_test(statistics_stand_for_a_reference),
        cmocka_unit_test(nothing_but_time_depends_on_cache_and_threads),
        cmocka_unit_test(kept_floors_are_of_the_same_images),
        cmocka_unit_test(it_can_be_stopped_anywhere),
        cmocka_unit_test(no_memory_is_no_crash),
        cmocka_unit_test(reports_are_whole)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
