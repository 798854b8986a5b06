/* builtin:faces: each factor changes what it is about and nothing else, and serves as a
 * label. */
#include "testing.h"

#include "data/faces.h"
#include "data/relabel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 128, BYTES = 3 * SIDE * SIDE };

typedef struct area {
    int left, top, right, bottom;
} area;

/* Short hair, no beard, no glasses, all else in the middle. */
static lm_sketch make_plain(int side) {
    lm_sketch sketch = {.label = -1, .side = side};
    for (int i = 0; i < N_FACE_FACTORS; i++) sketch.factors[i] = 0.5f;
    sketch.factors[FACE_HAIR] = (float)HAIR_CROP / (N_HAIR - 1);
    sketch.factors[FACE_BEARD] = sketch.factors[FACE_GLASSES] = 0;
    return sketch;
}

static int difference(const uint8_t *a, const uint8_t *b, int x, int y) {
    int sum = 0;
    for (int c = 0; c < 3; c++) {
        int at = 3 * (y * SIDE + x) + c;
        sum += abs(a[at] - b[at]);
    }
    return sum;
}

static bool lies_in(area in, int x, int y) {
    return x >= in.left && x <= in.right && y >= in.top && y <= in.bottom;
}

/* Where a factor may show when it goes from one end to the other (of 128 x 128 pixels),
 * a part of the face where it may not, and by how many levels all pixels together change
 * at least. */
static void changes_only_what_it_should(void **state) {
    static const area everywhere = {0, 0, 127, 127}, head = {20, 12, 108, 127},
                      eyes = {37, 45, 91, 75}, brows = {37, 43, 91, 60},
                      cheeks = {32, 66, 96, 92}, nose = {52, 62, 76, 88},
                      mouth = {44, 76, 84, 100}, chin = {28, 56, 100, 112},
                      body = {0, 100, 127, 127}, nowhere = {-1, -1, -1, -1},
                      face = {52, 60, 76, 95};
    const struct {
        int factor, least;
        area shows, never;
    } cases[] = {{FACE_BACKGROUND, 500000, everywhere, face},
                 {FACE_BACKGROUND_LIGHT, 2000000, everywhere, face},
                 {FACE_CLOTHES, 50000, body, face},
                 {FACE_SKIN, 800000, head, nowhere},
                 {FACE_WIDTH, 200000, head, nowhere},
                 {FACE_LENGTH, 150000, head, nowhere},
                 {FACE_JAW, 30000, head, nose},
                 {FACE_TILT, 500000, head, nowhere},
                 {FACE_TURN, 200000, head, nowhere},
                 {FACE_HAIR, 500000, head, nose},
                 {FACE_HAIR_COLOUR, 500000, {26, 16, 102, 72}, mouth},
                 {FACE_HAIR_VOLUME, 100000, {24, 12, 104, 72}, mouth},
                 {FACE_EYE_SIZE, 100000, eyes, nowhere},
                 {FACE_EYE_SPACING, 80000, eyes, nowhere},
                 {FACE_EYE_COLOUR, 10000, eyes, brows},
                 {FACE_EYES_OPEN, 50000, eyes, nowhere},
                 {FACE_GAZE_X, 40000, eyes, brows},
                 {FACE_GAZE_Y, 30000, eyes, brows},
                 {FACE_BROW_HEIGHT, 20000, brows, nowhere},
                 {FACE_BROW_TILT, 15000, brows, nowhere},
                 {FACE_BROW_WEIGHT, 10000, brows, nowhere},
                 {FACE_NOSE_LENGTH, 2000, nose, nowhere},
                 {FACE_NOSE_WIDTH, 2000, nose, nowhere},
                 {FACE_SMILE, 15000, mouth, nowhere},
                 {FACE_MOUTH_OPEN, 20000, mouth, nowhere},
                 {FACE_MOUTH_WIDTH, 7000, mouth, nowhere},
                 {FACE_BLUSH, 8000, cheeks, nowhere},
                 {FACE_BEARD, 150000, chin, nowhere},
                 {FACE_GLASSES, 150000, {28, 50, 100, 82}, nowhere}};
    _Static_assert(sizeof cases / sizeof *cases == N_FACE_FACTORS, "all of them");
    static uint8_t from[BYTES], to[BYTES];
    for (int i = 0; i < N_FACE_FACTORS; i++) {
        lm_sketch low = make_plain(SIDE), high = low;
        low.factors[cases[i].factor] = 0;
        high.factors[cases[i].factor] = 1;
        lm_faces.draw(&low, from);
        lm_faces.draw(&high, to);
        int changed = 0;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int by = difference(from, to, x, y);
                changed += by;
                if (by &&
                    (!lies_in(cases[i].shows, x, y) || lies_in(cases[i].never, x, y)))
                    fail_msg("%s changes pixel %d, %d",
                             lm_faces.factors[cases[i].factor].name, x, y);
            }
        if (changed < cases[i].least)
            fail_msg("%s changes %d levels", lm_faces.factors[cases[i].factor].name,
                     changed);
    }
}

/* Small steps of a continuous factor are small steps of the picture. */
static void changes_smoothly(void **state) {
    static uint8_t from[BYTES], to[BYTES];
    for (int f = 0; f < N_FACE_FACTORS; f++) {
        if (lm_faces.factors[f].kind.levels) continue;
        lm_sketch sketch = make_plain(SIDE);
        for (int k = 0; k <= 200; k++) {
            sketch.factors[f] = (float)k / 200;
            lm_faces.draw(&sketch, to);
            for (int p = 0; k && p < BYTES; p++)
                if (abs(from[p] - to[p]) > 64)
                    fail_msg("%s jumps at %g", lm_faces.factors[f].name, k / 200.0);
            memcpy(from, to, BYTES);
        }
    }
}

static void depends_on_factors_alone(void **state) {
    static uint8_t from[BYTES], to[BYTES];
    lm_sketch a = make_plain(SIDE), b = a;
    b.rng.sample = 77;
    lm_faces.draw(&a, from);
    lm_faces.draw(&b, to);
    assert_memory_equal(from, to, BYTES);
}

/* The larger drawing, averaged, is about the smaller one. */
static void looks_alike_at_all_sizes(void **state) {
    static uint8_t large[3 * 256 * 256], small[3 * 64 * 64];
    lm_sketch a = make_plain(256), b = make_plain(64);
    lm_faces.draw(&a, large);
    lm_faces.draw(&b, small);
    double sum = 0;
    for (int y = 0; y < 64; y++)
        for (int i = 0; i < 3 * 64; i++) {
            int mean = 0;
            for (int k = 0; k < 16; k++)
                mean += large[(4 * y + k / 4) * 768 + 12 * (i / 3) + 3 * (k % 4) + i % 3];
            sum += abs(mean / 16 - small[y * 192 + i]);
        }
    assert_true(sum / (3 * 64 * 64) < 2);
}

static void serves_as_labels(void **state) {
    static const struct {
        const char *spec, *attribute, *name;
        int classes, factor, class;
    } cases[] = {
        {"builtin:faces?label=smile", "smile", "smile 0.5 to 1", 2, FACE_SMILE, 1},
        {"builtin:faces?label=skin:5", "skin", "skin 0 to 0.2", 5, FACE_SKIN, 0},
        {"builtin:faces?label=hair", "hair", "long", N_HAIR, FACE_HAIR, HAIR_LONG},
        {"builtin:faces?size=32&label=glasses", "glasses", "sunglasses", N_GLASSES,
         FACE_GLASSES, GLASSES_SUN}};
    static uint8_t pixels[BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_dataset *set;
        float values[N_FACE_FACTORS];
        CHECK_OK(lm_dataset_open(cases[i].spec, LM_SPLIT_TEST, &set));
        assert_int_equal(set->classes, cases[i].classes);
        assert_string_equal(set->class_names[cases[i].class], cases[i].name);
        assert_string_equal(set->attribute_names[cases[i].factor], cases[i].attribute);
        for (int k = 0; k < 50; k++) {
            int32_t label;
            CHECK_OK(set->get(set, k, pixels, &label));
            CHECK_OK(set->attributes(set, k, values));
            assert_int_equal(
                label, lm_attribute_part(values[cases[i].factor], cases[i].classes));
        }
        lm_dataset_free(set);
    }
    lm_dataset *none;
    CHECK_FAILS(lm_dataset_open("builtin:faces?label=smlie", LM_SPLIT_TEST, &none),
                LM_ARG);
    assert_non_null(strstr(lm_message(), "did you mean smile?"));
    CHECK_OK(lm_dataset_open("builtin:faces", LM_SPLIT_TEST, &none));
    int32_t label;
    CHECK_OK(none->get(none, 0, pixels, &label));
    assert_int_equal(label, -1);
    lm_dataset_free(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_only_what_it_should), cmocka_unit_test(changes_smoothly),
        cmocka_unit_test(depends_on_factors_alone),
        cmocka_unit_test(looks_alike_at_all_sizes), cmocka_unit_test(serves_as_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
