/* Reading ahead in order, and what a survey counts. */
#include "testing.h"

#include "base/mem.h"
#include "data/scan.h"
#include "data/survey.h"

#include <math.h>
#include <string.h>

enum { COUNT = 200, BAD = 50 };

/* Image i is 2 + i % 3 wide, 2 high, all of value i / 2 % 100, but every 50th is bad. */
static lm_status read_some(const lm_dataset *set, int64_t index, lm_image *image,
                           int32_t *label) {
    LM_RETURN_IF(index % BAD == BAD - 1, LM_FORMAT, "%d.png: broken", (int)index);
    LM_TRY(lm_image_init(image, 2 + (int)(index % 3), 2, 3));
    memset(image->pixels, (int)(index / 2 % 100), (size_t)image->width * 6);
    *label = (int32_t)(index % 5) - 1; /* 4 classes and none */
    return LM_OK;
}

static lm_status get_two(const lm_dataset *set, int64_t index, float *values) {
    values[0] = (float)index;
    values[1] = 0.5f;
    return LM_OK;
}

static lm_dataset make(void) {
    static const char *const names[] = {"number", "half"};
    return (lm_dataset){.name = (char *)"some",
                        .source = (char *)"here",
                        .channels = 3,
                        .classes = 4,
                        .count = COUNT,
                        .read = read_some,
                        .n_attributes = 2,
                        .attribute_names = names,
                        .attributes = get_two};
}

typedef struct reader {
    int64_t next;
    int bad, stop_at;
} reader;

static lm_status take(void *user, lm_scanned *found) {
    reader *r = user;
    assert_int_equal(found->index, r->next++);
    if (found->status != LM_OK) {
        r->bad++;
        assert_non_null(strstr(found->message, ".png: broken"));
        assert_null(found->image.pixels);
    } else {
        assert_int_equal(found->image.width, 2 + found->index % 3);
        assert_int_equal(found->image.pixels[0], found->index / 2 % 100);
    }
    LM_RETURN_IF(found->index == r->stop_at, LM_INTERRUPTED, "enough");
    return LM_OK;
}

static void keeps_the_order(void **state) {
    lm_dataset set = make();
    for (int threads = 1; threads <= 9; threads += 4) {
        reader all = {.stop_at = -1}, part = {.next = 7, .stop_at = -1};
        CHECK_OK(lm_scan(&set, 0, COUNT, threads, take, &all));
        assert_int_equal(all.next, COUNT);
        assert_int_equal(all.bad, COUNT / BAD);
        CHECK_OK(lm_scan(&set, 7, 9, threads, take, &part));
        assert_int_equal(part.next, 9);
        CHECK_OK(lm_scan(&set, 9, 9, threads, take, &part));
    }
}

static void stops_when_told(void **state) {
    lm_dataset set = make();
    int64_t blocks = lm_mem_get_stats().blocks;
    for (int at = 0; at < COUNT; at += 40) {
        reader some = {.stop_at = at};
        CHECK_FAILS(lm_scan(&set, 0, COUNT, 4, take, &some), LM_INTERRUPTED);
        assert_int_equal(some.next, at + 1);
    }
    CHECK_FAILS(lm_scan(&set, 0, COUNT + 1, 4, take, NULL), LM_ARG);
    CHECK_FAILS(lm_scan(&set, 0, COUNT, 0, take, NULL), LM_ARG);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
}

/* What the survey should say, by the plainest means. */
static void check_sums(const lm_survey *s) {
    double sum = 0, squares = 0, pixels = 0, numbers = 0;
    int64_t of[5] = {0}, widths[3] = {0};
    for (int i = 0; i < COUNT; i++) {
        if (i % BAD == BAD - 1) continue;
        double value = i / 2 % 100 / 255.0, area = 2 * (2 + i % 3);
        sum += area * value;
        squares += area * value * value;
        pixels += area;
        numbers += i;
        of[i % 5]++;
        widths[i % 3]++;
    }
    double mean = sum / pixels, deviation = sqrt(squares / pixels - mean * mean);
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(s->mean[c] - mean) < 1e-12);
        assert_true(fabs(s->deviation[c] - deviation) < 1e-9);
    }
    assert_int_equal(s->unlabelled, of[0]);
    for (int i = 0; i < 4; i++) assert_int_equal(s->of_class[i], of[i + 1]);
    assert_true(fabs(s->attributes[0].mean - numbers / s->good) < 1e-9);
    assert_true(s->attributes[0].least == 0 && s->attributes[0].most == COUNT - 2);
    assert_true(s->attributes[1].mean == 0.5);
    assert_int_equal(s->n_sizes, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(s->sizes[i].count, widths[s->sizes[i].width - 2]);
    assert_true(s->sizes[0].count >= s->sizes[1].count);
}

static void counts_what_is_there(void **state) {
    lm_dataset set = make();
    int64_t blocks = lm_mem_get_stats().blocks;
    for (int threads = 1; threads <= 4; threads += 3) {
        lm_survey s;
        CHECK_OK(lm_survey_make(&set, 0, threads, NULL, NULL, &s));
        assert_int_equal(s.seen, COUNT);
        assert_int_equal(s.good, COUNT - COUNT / BAD);
        check_sums(&s);
        assert_int_equal(s.n_unreadable, COUNT / BAD);
        assert_int_equal(s.unreadable[1].index, 2 * BAD - 1);
        assert_string_equal(s.unreadable[1].why, "99.png: broken");
        assert_int_equal(s.shorter_side[0], 2);
        assert_int_equal(s.shorter_side[2], 2);
        lm_survey_release(&s);
    }
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
}

/* All of one size: i and i + 1 are alike for even i, and again after 200. */
static lm_status get_alike(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    memset(pixels, (int)(index / 2 % 10), 4);
    *label = -1;
    return LM_OK;
}

static void finds_duplicates(void **state) {
    lm_dataset set = {.name = (char *)"alike",
                      .height = 2,
                      .width = 2,
                      .channels = 1,
                      .count = 40,
                      .get = get_alike};
    lm_survey s;
    CHECK_OK(lm_survey_make(&set, 0, 2, NULL, NULL, &s));
    assert_int_equal(s.duplicates, 30);
    for (int i = 0; i < LM_SURVEY_PAIRS; i++) {
        assert_int_equal(s.pairs[i][0], 2 * i);
        assert_int_equal(s.pairs[i][1], 2 * i + 1);
    }
    assert_int_equal(s.unlabelled, 40);
    lm_survey_release(&s);
    CHECK_OK(lm_survey_make(&set, 3, 2, NULL, NULL, &s));
    assert_int_equal(s.seen, 3);
    assert_int_equal(s.duplicates, 1);
    lm_survey_release(&s);
    set.endless = true;
    CHECK_FAILS(lm_survey_make(&set, 0, 2, NULL, NULL, &s), LM_ARG);
}

static bool stop_at_ten(void *user, int64_t done) {
    return done < 10;
}

static void leaks_nothing(void **state) {
    lm_dataset set = make();
    int64_t blocks = lm_mem_get_stats().blocks;
    lm_survey s;
    CHECK_FAILS(lm_survey_make(&set, 0, 3, stop_at_ten, NULL, &s), LM_INTERRUPTED);
    for (int fail = 1; fail < 1000; fail += fail < 30 ? 1 : 17) {
        lm_mem_fail_at(fail, 1);
        lm_status status = lm_survey_make(&set, 0, 1, NULL, NULL, &s);
        lm_mem_fail_at(0, 0);
        if (status == LM_OK) {
            lm_survey_release(&s);
            assert_int_equal(lm_mem_get_stats().blocks, blocks);
            return;
        }
        assert_int_equal(status, LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
    }
    fail_msg("memory never sufficed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order),      cmocka_unit_test(stops_when_told),
        cmocka_unit_test(counts_what_is_there), cmocka_unit_test(finds_duplicates),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
