/* LPIPS with drawn weights against the lpips package's (tests/golden/make_extractors.py),
 * diversity against its definition, and what is refused. */
#include "drawn.h"
#include "scratch.h"

#include "base/mem.h"
#include "eval/lpips.h"

typedef struct shown {
    int height, width, channels;
} shown;

typedef struct published {
    const char *net;
    shown shown[4];
} published;

static const published nets[] = {
    {"vgg", {{64, 64, 3}, {37, 52, 1}, {16, 16, 3}}},
    {"alex", {{64, 64, 3}, {37, 52, 1}, {31, 31, 3}}},
    {"squeeze", {{64, 64, 3}, {37, 52, 1}, {17, 17, 3}, {66, 33, 3}}}};
enum { NETS = sizeof nets / sizeof *nets, PAIRS = 3 };

/* Draws the weights of a net once and opens them. */
static lm_lpips *open_drawn(const char *net) {
    char network[32], spec[300];
    snprintf(network, sizeof network, "lpips-%s", net);
    const char *path = scratch(network);
    if (access(path, R_OK) != 0) drawn_weights(network, NULL, path);
    snprintf(spec, sizeof spec, "%s:%s", net, path);
    lm_lpips *lpips;
    CHECK_OK(lm_lpips_open(spec, &lpips));
    return lpips;
}

static void check_case(lm_lpips *lpips, const lm_safetensors *golden, const char *net,
                       shown s) {
    char name[64];
    snprintf(name, sizeof name, "lpips-%s/%dx%dx%d", net, s.height, s.width, s.channels);
    const lm_st_entry *entry = golden_find(golden, "", name);
    double *want = golden_values(entry);
    lm_lpips_images a = {.count = PAIRS,
                         .height = s.height,
                         .width = s.width,
                         .channels = s.channels},
                    b = a;
    uint8_t *first = drawn_pictures(PAIRS, 0, 2, s.height, s.width, s.channels);
    uint8_t *second = drawn_pictures(PAIRS, 1, 2, s.height, s.width, s.channels);
    a.pixels = first, b.pixels = second;
    float got[PAIRS], back[PAIRS], same[PAIRS];
    CHECK_OK(lm_lpips_pairs(lpips, &a, &b, NULL, got));
    CHECK_OK(lm_lpips_pairs(lpips, &b, &a, NULL, back));
    CHECK_OK(lm_lpips_pairs(lpips, &a, &a, NULL, same));
    for (int i = 0; i < PAIRS; i++) {
        if (!(fabs(got[i] - want[i]) <= 1e-5 * want[i]))
            fail_msg("%s, pair %d: %.9g, the package has %.9g", name, i, got[i], want[i]);
        assert_true(fabsf(back[i] - got[i]) <= 1e-5F * got[i]);
        if (!(same[i] < 1e-9)) fail_msg("%s, equal images: %g", name, same[i]);
    }
    free(want);
    free(first);
    free(second);
}

static void distances_are_the_packages(void **state) {
    lm_safetensors golden;
    golden_open(&golden, "extractors.safetensors");
    for (int i = 0; i < NETS; i++) {
        lm_lpips *lpips = open_drawn(nets[i].net);
        for (int k = 0; k < 4 && nets[i].shown[k].height; k++)
            check_case(lpips, &golden, nets[i].net, nets[i].shown[k]);
        assert_int_equal(strlen(lm_lpips_weights(lpips)), 64);
        lm_lpips_free(lpips);
    }
    lm_safetensors_release(&golden);
}

/* More pairs than a batch has, the last batch with few: as if compared one by one. */
static void batches_do_not_show(void **state) {
    enum { MANY = 37, SIDE = 33 };
    lm_lpips *lpips = open_drawn("squeeze");
    uint8_t *first = drawn_pictures(MANY, 0, 1, SIDE, SIDE, 3);
    uint8_t *second = drawn_pictures(MANY, 50, 1, SIDE, SIDE, 3);
    lm_lpips_images a = {first, MANY, SIDE, SIDE, 3}, b = {second, MANY, SIDE, SIDE, 3};
    float whole[MANY], one;
    CHECK_OK(lm_lpips_pairs(lpips, &a, &b, NULL, whole));
    a.count = b.count = 1;
    for (int i = 0; i < MANY; i++) {
        a.pixels = first + (size_t)i * SIDE * SIDE * 3;
        b.pixels = second + (size_t)i * SIDE * SIDE * 3;
        CHECK_OK(lm_lpips_pairs(lpips, &a, &b, NULL, &one));
        assert_true(fabsf(one - whole[i]) <= 1e-6F * one);
    }
    free(first);
    free(second);
    lm_lpips_free(lpips);
}

/* ---- diversity --------------------------------------------------------------- */

enum { SIDE = 24, CLASSES = 2 };

/* Images of class 0 are all alike, those of class 1 are picture 1 or picture 4 in turn;
 * every seventh has no label. */
static lm_status read_two_classes(const lm_image_source *source, int64_t first,
                                  int64_t count, uint8_t *pixels, int32_t *labels) {
    for (int64_t i = 0; i < count; i++) {
        int64_t n = first + i;
        int class = n % 2;
        uint8_t *one = drawn_pictures(1,
                                      class == 0   ? 0
                                      : n % 4 == 1 ? 1
                                                   : 4,
                                      1, SIDE, SIDE, 1);
        memcpy(pixels + (size_t)i * SIDE * SIDE, one, SIDE * SIDE);
        free(one);
        if (labels) labels[i] = n % 7 == 6 ? -1 : class;
    }
    return LM_OK;
}

static const lm_image_source two_classes = {.name = "two classes",
                                            .count = 280,
                                            .height = SIDE,
                                            .width = SIDE,
                                            .channels = 1,
                                            .classes = CLASSES,
                                            .read = read_two_classes};

static void diversity_is_the_mean_of_pairs(void **state) {
    lm_lpips *lpips = open_drawn("squeeze");
    float apart;
    uint8_t *one = drawn_pictures(1, 1, 1, SIDE, SIDE, 1);
    uint8_t *four = drawn_pictures(1, 4, 1, SIDE, SIDE, 1);
    lm_lpips_images a = {one, 1, SIDE, SIDE, 1}, b = {four, 1, SIDE, SIDE, 1};
    CHECK_OK(lm_lpips_pairs(lpips, &a, &b, NULL, &apart));
    lm_lpips_diversity within, again, across;
    CHECK_OK(
        lm_lpips_measure_diversity(lpips, &two_classes, 280, true, 3, NULL, &within));
    assert_int_equal(within.pairs, 120); /* of 240 labelled, none left over */
    /* Distances are 0 or `apart`: their share gives mean and error. */
    double share = within.mean / apart;
    assert_true(share > 0.1 && share < 0.4);
    double error = apart * sqrt(share * (1 - share) / 119);
    assert_true(fabs(within.error - error) < 1e-5 * error);
    assert_true(fabs(share * 120 - round(share * 120)) < 1e-4);
    CHECK_OK(lm_lpips_measure_diversity(lpips, &two_classes, 280, true, 3, NULL, &again));
    assert_true(again.mean == within.mean && again.error == within.error);
    CHECK_OK(
        lm_lpips_measure_diversity(lpips, &two_classes, 280, false, 3, NULL, &across));
    assert_int_equal(across.pairs, 140);
    assert_true(across.mean > within.mean);
    CHECK_FAILS(
        lm_lpips_measure_diversity(lpips, &two_classes, 3, false, 3, NULL, &across),
        LM_ARG);
    CHECK_FAILS(
        lm_lpips_measure_diversity(lpips, &two_classes, 4, true, 3, NULL, &within),
        LM_OK);
    free(one);
    free(four);
    lm_lpips_free(lpips);
}

/* ---- refusals ---------------------------------------------------------------- */

static void what_is_wrong_is_said(void **state) {
    lm_lpips *lpips;
    setenv("LIMN_DATA", scratch_folder, 1);
    CHECK_FAILS(lm_lpips_open("vg", &lpips), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "did you mean vgg"));
    CHECK_FAILS(lm_lpips_open("alex", &lpips), LM_NOT_FOUND);
    assert_non_null(
        strstr(lm_message(), "extractors/lpips-alex.safetensors: no such file"));
    assert_non_null(strstr(lm_message(), "docs/extractors.md, \"LPIPS\""));
    drawn_weights("lpips-squeeze", "fire5.squeeze.bias", scratch("part"));
    char spec[300];
    snprintf(spec, sizeof spec, "squeeze:%s", scratch("part"));
    CHECK_FAILS(lm_lpips_open(spec, &lpips), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "fire5.squeeze.bias"));
    snprintf(spec, sizeof spec, "alex:%s", scratch("lpips-squeeze"));
    CHECK_FAILS(lm_lpips_open(spec, &lpips), LM_MISMATCH);
    assert_null(lpips);
}

static void images_that_do_not_fit_are_refused(void **state) {
    lm_lpips *lpips = open_drawn("squeeze");
    uint8_t pixels[17 * 17 * 4] = {0};
    float distance;
    lm_lpips_images a = {pixels, 1, 16, 17, 3}, b = a;
    CHECK_FAILS(lm_lpips_pairs(lpips, &a, &b, NULL, &distance), LM_UNSUPPORTED);
    assert_non_null(strstr(lm_message(), "lpips:squeeze: images of 16x17 pixels"));
    a.height = 17;
    CHECK_FAILS(lm_lpips_pairs(lpips, &a, &b, NULL, &distance), LM_MISMATCH);
    a.channels = 4;
    b = a;
    CHECK_FAILS(lm_lpips_pairs(lpips, &a, &b, NULL, &distance), LM_UNSUPPORTED);
    lm_lpips_free(lpips);
}

/* Opens and compares with the n-th allocation failing, for ever larger n. */
static void memory_may_run_out(void **state) {
    uint8_t pixels[17 * 17 * 3] = {1};
    lm_lpips_images a = {pixels, 1, 17, 17, 3};
    char spec[300];
    lm_lpips_free(open_drawn("squeeze"));
    snprintf(spec, sizeof spec, "squeeze:%s", scratch("lpips-squeeze"));
    lm_status status = LM_NOMEM;
    for (int64_t n = 1; status != LM_OK; n += 1 + n / 4) {
        float distance;
        lm_lpips *lpips;
        int64_t held = lm_mem_get_stats().blocks;
        lm_mem_fail_at(n, 0);
        status = lm_lpips_open(spec, &lpips);
        if (status == LM_OK) status = lm_lpips_pairs(lpips, &a, &a, NULL, &distance);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        lm_lpips_free(lpips);
        assert_int_equal(lm_mem_get_stats().blocks, held);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_the_packages),
        cmocka_unit_test(batches_do_not_show),
        cmocka_unit_test(diversity_is_the_mean_of_pairs),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(images_that_do_not_fit_are_refused),
        cmocka_unit_test(memory_may_run_out)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
