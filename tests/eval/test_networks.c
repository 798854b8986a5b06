/* Inception and VGG16 with drawn weights against PyTorch's modules
 * (tests/golden/make_extractors.py), and how they are named and found. */
#include "drawn.h"
#include "scratch.h"

#include "base/mem.h"
#include "eval/extractor.h"

static const lm_image_source none = {.name = "none"};

static lm_extractor *open_drawn(const char *network, const char *protocol) {
    char spec[300];
    const char *path = scratch(network);
    if (access(path, R_OK) != 0) drawn_weights(network, NULL, path);
    snprintf(spec, sizeof spec, "%s:%s:%s", network, protocol, path);
    lm_extractor *extractor;
    CHECK_OK(lm_extractor_open(spec, &none, &extractor));
    return extractor;
}

/* Each row's cosine with the golden one is 1 to 1e-6, and so is every value's place. */
static void check_rows(const char *what, const float *got, int width,
                       const lm_safetensors *golden) {
    const lm_st_entry *entry = golden_find(golden, "", what);
    double *want = golden_values(entry);
    int64_t rows = entry->shape.dim[0];
    assert_int_equal(entry->shape.dim[1], width);
    for (int64_t r = 0; r < rows; r++) {
        double ab = 0, aa = 0, bb = 0, most = 0, worst = 0;
        for (int i = 0; i < width; i++) {
            double a = got[r * width + i], b = want[r * width + i];
            ab += a * b, aa += a * a, bb += b * b;
            most = fmax(most, fabs(b)), worst = fmax(worst, fabs(a - b));
        }
        double cosine = ab / sqrt(aa * bb);
        if (!(cosine >= 0.999999 && worst <= 1e-4 * most))
            fail_msg("%s, image %d: cosine %.9f, largest difference %g of %g", what,
                     (int)r, cosine, worst, most);
        print_message(
            "# %s, image %d: cosine 1 - %.1e, largest difference %.1e of %.1f\n", what,
            (int)r, 1 - cosine, worst, most);
    }
    free(want);
}

static void inception_is_the_published_one(void **state) {
    static const struct {
        const char *name;
        int count, height, width, channels;
    } shown[] = {
        {"tf", 2, 64, 48, 3}, {"pytorch", 1, 40, 40, 1}, {"clean", 1, 320, 301, 3}};
    lm_safetensors golden;
    golden_open(&golden, "extractors.safetensors");
    for (int i = 0; i < 3; i++) {
        lm_extractor *inception = open_drawn("inception", shown[i].name);
        char what[64];
        float features[2 * 2048], logits[2 * 1008];
        uint8_t *pixels = drawn_pictures(shown[i].count, 0, 1, shown[i].height,
                                         shown[i].width, shown[i].channels);
        CHECK_OK(inception->extract(inception, pixels, shown[i].count, shown[i].height,
                                    shown[i].width, shown[i].channels, features, logits));
        snprintf(what, sizeof what, "inception/%s/features", shown[i].name);
        check_rows(what, features, inception->dim, &golden);
        if (i == 0)
            check_rows("inception/tf/logits_unbiased", logits, inception->classes,
                       &golden);
        free(pixels);
        lm_extractor_free(inception);
    }
    lm_safetensors_release(&golden);
}

/* Logits with bias; features beyond one batch; an image alone as among others. */
static void batches_do_not_show(void **state) {
    enum { MANY = 10, SIDE = 8 };
    lm_safetensors golden;
    golden_open(&golden, "extractors.safetensors");
    lm_extractor *inception = open_drawn("inception", "tf+bias");
    assert_string_equal(inception->id, "inception:tf+bias");
    assert_string_equal(inception->input,
                        "299x299x3, legacy_tensorflow, (x-128)/128, grey "
                        "three times, logits with bias");
    assert_int_equal(strlen(inception->weights), 64);
    float logits[2 * 1008];
    uint8_t *two = drawn_pictures(2, 0, 1, 64, 48, 3);
    CHECK_OK(inception->extract(inception, two, 2, 64, 48, 3, NULL, logits));
    check_rows("inception/tf/logits", logits, 1008, &golden);
    float *all = malloc(sizeof(float) * MANY * 2048), one[2048];
    uint8_t *many = drawn_pictures(MANY, 0, 1, SIDE, SIDE, 1);
    CHECK_OK(inception->extract(inception, many, MANY, SIDE, SIDE, 1, all, NULL));
    CHECK_OK(inception->extract(inception, many + (MANY - 1) * SIDE * SIDE, 1, SIDE, SIDE,
                                1, one, NULL));
    const float *last = all + (MANY - 1) * 2048;
    for (int i = 0; i < 2048; i++)
        assert_true(fabsf(one[i] - last[i]) <= 1e-4F * (1 + fabsf(last[i])));
    CHECK_FAILS(inception->extract(inception, many, 1, SIDE, SIDE, 4, one, NULL),
                LM_MISMATCH);
    free(two);
    free(many);
    free(all);
    lm_extractor_free(inception);
    lm_safetensors_release(&golden);
}

static void vgg16_is_the_published_one(void **state) {
    lm_safetensors golden;
    golden_open(&golden, "extractors.safetensors");
    lm_extractor *vgg16 = open_drawn("vgg16", "tf");
    assert_int_equal(vgg16->classes, 0);
    float *features = malloc(sizeof(float) * 4096);
    uint8_t *pixels = drawn_pictures(1, 0, 1, 64, 48, 3);
    CHECK_OK(vgg16->extract(vgg16, pixels, 1, 64, 48, 3, features, NULL));
    check_rows("vgg16/features", features, vgg16->dim, &golden);
    free(pixels);
    free(features);
    lm_extractor_free(vgg16);
    lm_safetensors_release(&golden);
}

static void what_is_wrong_is_said(void **state) {
    lm_extractor *extractor;
    char spec[300];
    setenv("LIMN_DATA", scratch_folder, 1);
    CHECK_FAILS(lm_extractor_open("inception", &none, &extractor), LM_NOT_FOUND);
    assert_non_null(
        strstr(lm_message(), "extractors/inception.safetensors: no such file"));
    CHECK_FAILS(lm_extractor_open("inception:tg", &none, &extractor), LM_NOT_FOUND);
    assert_non_null(
        strstr(lm_message(), "inception:tg: no such protocol; did you mean tf"));
    CHECK_FAILS(lm_extractor_open("vgg16:tf+bias", &none, &extractor), LM_NOT_FOUND);
    drawn_weights("inception", "Mixed_6c.branch7x7_2.mean", scratch("part"));
    snprintf(spec, sizeof spec, "inception:%s", scratch("part"));
    CHECK_FAILS(lm_extractor_open(spec, &none, &extractor), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "no tensor Mixed_6c.branch7x7_2.mean"));
}

/* A variance below zero gives weights that are no numbers. */
static void weights_that_are_no_numbers_are_refused(void **state) {
    lm_extractor *extractor;
    char spec[300];
    const char *path = scratch("bad");
    drawn_weights("inception", NULL, path);
    lm_safetensors file;
    CHECK_OK(lm_safetensors_open(&file, path));
    const lm_st_entry *entry = lm_safetensors_find(&file, "Conv2d_1a_3x3.variance");
    long at = (const char *)entry->data - (const char *)file.image;
    lm_safetensors_release(&file);
    FILE *raw = fopen(path, "r+b");
    float below = -1;
    assert_true(fseek(raw, at, SEEK_SET) == 0 && fwrite(&below, 4, 1, raw) == 1);
    fclose(raw);
    snprintf(spec, sizeof spec, "inception:clean:%s", path);
    CHECK_FAILS(lm_extractor_open(spec, &none, &extractor), LM_NUMERIC);
    assert_non_null(strstr(lm_message(), "Conv2d_1a_3x3.weight has values"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inception_is_the_published_one),
        cmocka_unit_test(batches_do_not_show),
        cmocka_unit_test(vgg16_is_the_published_one),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(weights_that_are_no_numbers_are_refused)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
