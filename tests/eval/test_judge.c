/* Judges: as files, by name, and at work. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "eval/extractor.h"
#include "eval/judge.h"
#include "families/classifier.h"
#include "families/opening.h"
#include "image/resize.h"
#include "tensor/safetensors.h"

#include <math.h>

enum { SIDE = 8, PIXELS = SIDE * SIDE, CLASSES = 3, FEATURES = 5, COUNT = 300 };

static lm_model *open_small(void) {
    lm_model *model;
    const lm_image_info info = {SIDE, SIDE, 1, CLASSES};
    CHECK_OK(open_model(&lm_family_classifier, "channels=4,6 blocks=1 features=5", "",
                        info, &model));
    return model;
}

static lm_judge *make_judge(uint64_t seed) {
    static const char *const names[] = {"cat", "dog", "\xc3\xa9l\xc3\xa9phant"};
    lm_dataset set = {.classes = CLASSES, .class_names = names};
    lm_judge_card card = {.set = lm_strdup("builtin:three"),
                          .preset = lm_strdup("mnist"),
                          .version = lm_strdup("1.2.3"),
                          .data_hash = 0xfedcba9876543210,
                          .seed = UINT64_MAX,
                          .steps = 7,
                          .images = 896,
                          .tested = 100,
                          .correct = 99};
    CHECK_OK(lm_judge_card_name(&card, &set));
    lm_model *model = open_small();
    lm_params *params = model->groups[0];
    for (int i = 0; i < params->n_slices; i++)
        params->slices[i].init = LM_INIT(NORMAL, 0.3);
    float *weights = malloc((size_t)params->count * sizeof *weights);
    assert_non_null(weights);
    CHECK_OK(lm_params_init(params, seed, weights));
    lm_judge *judge;
    CHECK_OK(lm_judge_new(model, weights, &card, &judge));
    free(weights);
    return judge;
}

static void fill(uint8_t *pixels, int64_t count) {
    for (int64_t i = 0; i < count; i++) pixels[i] = (uint8_t)(i * i * 31 + 7 * i);
}

/* ---- at work ----------------------------------------------------------------- */

/* What an image gets does not depend on those beside it: batches, whole or not, agree
 * with one image at a time. */
static void looks_at_any_number(void **state) {
    static uint8_t pixels[COUNT * PIXELS];
    static float features[COUNT * FEATURES], logits[COUNT * CLASSES];
    lm_judge *judge = make_judge(1);
    assert_int_equal(lm_judge_dim(judge), FEATURES);
    assert_true(lm_judge_batch(judge) < COUNT);
    fill(pixels, sizeof pixels);
    CHECK_OK(lm_judge_look(judge, pixels, COUNT, SIDE, SIDE, 1, features, logits));
    for (int i = 0; i < COUNT; i += 77) {
        float feature[FEATURES], logit[CLASSES];
        CHECK_OK(
            lm_judge_look(judge, pixels + i * PIXELS, 1, SIDE, SIDE, 1, feature, NULL));
        CHECK_OK(
            lm_judge_look(judge, pixels + i * PIXELS, 1, SIDE, SIDE, 1, NULL, logit));
        assert_memory_equal(feature, features + i * FEATURES, sizeof feature);
        assert_memory_equal(logit, logits + i * CLASSES, sizeof logit);
    }
    assert_true(fabsf(logits[0] - logits[CLASSES]) > 1e-4F);
    lm_judge_free(judge);
}

/* Images of another size and with colours are as if somebody had made them fit before. */
static void makes_images_fit(void **state) {
    uint8_t large[2 * 3 * 20 * 30], small[2 * PIXELS];
    float features[2][FEATURES], wanted[2][FEATURES];
    lm_judge *judge = make_judge(1);
    fill(large, sizeof large);
    for (int i = 0; i < 2; i++) {
        lm_image from = {30, 20, 3, large + i * 1800}, to;
        CHECK_OK(lm_image_resize(&from, SIDE, SIDE, LM_FILTER_BICUBIC, &to));
        for (int p = 0; p < PIXELS; p++) {
            const uint8_t *rgb = to.pixels + 3 * p;
            small[i * PIXELS + p] = (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u +
                                               rgb[2] * 7471u + 0x8000u) >>
                                              16);
        }
        lm_image_release(&to);
    }
    CHECK_OK(lm_judge_look(judge, large, 2, 20, 30, 3, features[0], NULL));
    CHECK_OK(lm_judge_look(judge, small, 2, SIDE, SIDE, 1, wanted[0], NULL));
    assert_memory_equal(features, wanted, sizeof wanted);
    assert_string_equal(lm_judge_input(judge),
                        "8x8x1; other sizes: bicubic, antialiased; colour: luma");
    CHECK_FAILS(lm_judge_look(judge, large, 1, 20, 30, 2, features[0], NULL),
                LM_MISMATCH);
    lm_judge_free(judge);
}

/* ---- files ------------------------------------------------------------------- */

static void a_file_brings_it_back(void **state) {
    uint8_t pixels[2 * PIXELS];
    float before[2 * CLASSES], after[2 * CLASSES];
    lm_judge *judge = make_judge(1), *again, *other = make_judge(2);
    fill(pixels, sizeof pixels);
    CHECK_OK(lm_judge_write(judge, scratch("a.safetensors")));
    CHECK_OK(lm_judge_open(scratch("a.safetensors"), NULL, &again));
    assert_string_equal(lm_judge_hash(judge), lm_judge_hash(again));
    assert_string_not_equal(lm_judge_hash(judge), lm_judge_hash(other));
    CHECK_OK(lm_judge_look(judge, pixels, 2, SIDE, SIDE, 1, NULL, before));
    CHECK_OK(lm_judge_look(again, pixels, 2, SIDE, SIDE, 1, NULL, after));
    assert_memory_equal(before, after, sizeof before);
    const lm_judge_card *card = lm_judge_get_card(again);
    assert_string_equal(card->set, "builtin:three");
    assert_string_equal(card->version, "1.2.3");
    assert_true(card->data_hash == 0xfedcba9876543210 && card->seed == UINT64_MAX);
    assert_true(card->steps == 7 && card->images == 896);
    assert_true(card->tested == 100 && card->correct == 99);
    assert_int_equal(card->n_names, CLASSES);
    assert_string_equal(card->class_names[2], "\xc3\xa9l\xc3\xa9phant");
    /* The file's own numbers, so that anybody can compute the hash from it. */
    lm_safetensors file;
    CHECK_OK(lm_safetensors_open(&file, scratch("a.safetensors")));
    lm_digest digest;
    lm_digest_init(&digest, LM_SHA256);
    lm_digest_add(&digest, "8x8x1\n", 6);
    for (int i = 0; i < file.n_entries; i++) {
        char line[256], shape[LM_SHAPE_TEXT];
        const lm_st_entry *entry = &file.entries[i];
        int length = snprintf(line, sizeof line, "%s %s\n", entry->name,
                              lm_shape_text(entry->shape, shape));
        lm_digest_add(&digest, line, (size_t)length);
        lm_digest_add(&digest, entry->data, (size_t)lm_shape_count(entry->shape) * 2);
    }
    char hex[LM_SHA256_HEX];
    lm_digest_hex(&digest, hex);
    assert_string_equal(hex, lm_judge_hash(judge));
    lm_safetensors_release(&file);
    lm_judge_free(other);
    lm_judge_free(again);
    lm_judge_free(judge);
}

/* Writes a.safetensors anew with one metadata changed: NULL leaves it out. */
static void rewrite(const char *key, const char *value, const char *to) {
    lm_safetensors file;
    lm_st_meta meta[32];
    int count = 0;
    CHECK_OK(lm_safetensors_open(&file, scratch("a.safetensors")));
    for (int i = 0; i < file.n_meta; i++) {
        meta[count] = file.meta[i];
        if (strcmp(meta[count].key, key) == 0) meta[count].value = value;
        count += meta[count].value != NULL;
    }
    CHECK_OK(lm_safetensors_write(to, file.entries, file.n_entries, meta, count));
    lm_safetensors_release(&file);
}

/* What is said about a judge is not what it is. */
static void metadata_do_not_make_another(void **state) {
    static const char *const edits[][2] = {
        {"correct", "3"}, {"set", "mnist"}, {"limn", "9"}, {"class_names", NULL}};
    lm_judge *judge = make_judge(1), *edited;
    CHECK_OK(lm_judge_write(judge, scratch("a.safetensors")));
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        rewrite(edits[i][0], edits[i][1], scratch("b.safetensors"));
        CHECK_OK(lm_judge_read(scratch("b.safetensors"), &edited));
        assert_string_equal(lm_judge_hash(judge), lm_judge_hash(edited));
        lm_judge_free(edited);
    }
    rewrite("image", "16x8x1", scratch("b.safetensors"));
    CHECK_OK(lm_judge_read(scratch("b.safetensors"), &edited));
    assert_string_not_equal(lm_judge_hash(judge), lm_judge_hash(edited));
    lm_judge_free(edited);
    lm_judge_free(judge);
}

static void refuses_files_that_are_no_judges(void **state) {
    static const struct {
        const char *key, *value, *says;
        lm_status status;
    } rows[] = {
        {"kind", NULL, "not a judge", LM_FORMAT},
        {"kind", "checkpoint", "not a judge", LM_FORMAT},
        {"family", "ddpm", "ddpm cannot judge", LM_FORMAT},
        {"family", "classifer", "did you mean classifier", LM_FORMAT},
        {"settings", "channels=4,6 blocks=99", "blocks", LM_FORMAT},
        {"settings", "channels=4,6,8 blocks=1 features=5", "mean", LM_MISMATCH},
        {"settings", "channels=4,4096 blocks=1 features=4096", "mean", LM_MISMATCH},
        {"settings", "channels=4,6 blocks=1 features=5 patch=8", "no half", LM_FORMAT},
        {"image", "8x8", "28x28x1", LM_FORMAT},
        {"image", "8x8x1x1", "28x28x1", LM_FORMAT},
        {"image", "-8x8x1", "1 to 1024", LM_FORMAT},
        {"image", "9999x9999x1", "1 to 1024", LM_FORMAT},
        {"image", "8x8x2", "1 or 3", LM_FORMAT},
        {"image", "8x8x3", "tensor", LM_MISMATCH},
        {"classes", "4", "4 texts", LM_FORMAT},
        {"classes", "99999999999", "classes", LM_FORMAT},
        {"classes", "many", "classes", LM_FORMAT},
        {"class_names", "[\"a\"]", "3 texts", LM_FORMAT},
        {"class_names", "[1,2,3]", "texts", LM_FORMAT},
        {"class_names", "{", "3 texts", LM_FORMAT},
        {"correct", "101", "correct", LM_FORMAT},
        {"data_hash", "xyz", "data_hash", LM_FORMAT},
        {"set", NULL, "set", LM_FORMAT},
        {"steps", "-1", "steps", LM_FORMAT},
    };
    lm_judge *judge = make_judge(1), *read;
    CHECK_OK(lm_judge_write(judge, scratch("a.safetensors")));
    lm_judge_free(judge);
    int64_t before = lm_mem_get_stats().blocks;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = scratch("b.safetensors");
        rewrite(rows[i].key, rows[i].value, path);
        lm_status status = lm_judge_read(path, &read);
        const char *message = lm_message();
        if (status != rows[i].status || !strstr(message, rows[i].says) ||
            !strstr(message, path))
            fail_msg("%s=%s: %s: %s", rows[i].key, rows[i].value ? rows[i].value : "",
                     lm_status_name(status), message);
        assert_null(read);
        assert_int_equal(lm_mem_get_stats().blocks, before);
    }
}

static void refuses_damaged_weights(void **state) {
    lm_judge *judge = make_judge(1), *read;
    CHECK_OK(lm_judge_write(judge, scratch("a.safetensors")));
    lm_judge_free(judge);
    void *data;
    size_t size;
    CHECK_OK(lm_file_read(scratch("a.safetensors"), 1 << 20, &data, &size));
    for (size_t cut = 0; cut < size; cut += size / 37)
        CHECK_FAILS(lm_judge_parse(data, cut, "cut", &read), LM_FORMAT);
    uint8_t *last = (uint8_t *)data + size - 2;
    last[0] = 0;
    last[1] = 0x7c; /* infinite */
    CHECK_FAILS(lm_judge_parse(data, size, "damaged", &read), LM_NUMERIC);
    assert_non_null(strstr(lm_message(), "damaged: weight"));
    lm_free(data);
    /* And one that would not fit into the file. */
    lm_model *model = open_small();
    float *weights = calloc((size_t)model->groups[0]->count, sizeof *weights);
    assert_non_null(weights);
    weights[3] = 70000;
    CHECK_FAILS(lm_judge_new(model, weights, &(lm_judge_card){0}, &read), LM_NUMERIC);
    free(weights);
}

/* ---- names ------------------------------------------------------------------- */

static void names_follow_sets(void **state) {
    static const char *const rows[][2] = {
        {"mnist", "mnist"},
        {"builtin:digits", "digits"},
        {"builtin:digits?size=64", "digits"},
        {"mnist?size=32&classes=3,5&flip", "mnist-3-5"},
        {"builtin:faces?label=hair:3", "faces-hair-3"},
        {"/data/my set/things", "things"},
        {"/data/things?x=a/b", "things"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *name = lm_judge_name(rows[i][0]);
        assert_string_equal(name, rows[i][1]);
        lm_free(name);
    }
}

static lm_status open_extractor(const char *spec, const char *set,
                                lm_extractor **extractor) {
    const lm_image_source source = {
        .name = set, .count = 1, .height = SIDE, .width = SIDE, .channels = 1};
    return lm_extractor_open(spec, &source, extractor);
}

static void is_found_by_name(void **state) {
    char *path;
    lm_extractor *extractor;
    setenv("LIMN_DATA", scratch("data"), 1);
    setenv("XDG_DATA_HOME", scratch("xdg"), 1);
    CHECK_FAILS(open_extractor("judge", "builtin:three", &extractor), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "no judge for builtin:three"));
    lm_judge *judge = make_judge(1);
    CHECK_OK(lm_judge_install(judge, "three", &path));
    assert_string_equal(path, scratch("data/judges/three.safetensors"));
    lm_free(path);
    static const char *const specs[] = {"judge", "judge:three"};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(open_extractor(specs[i], "builtin:three?size=8", &extractor));
        assert_string_equal(extractor->id, "judge:three");
        assert_string_equal(extractor->weights, lm_judge_hash(judge));
        assert_int_equal(extractor->dim, FEATURES);
        assert_int_equal(extractor->classes, CLASSES);
        assert_string_equal(extractor->class_names[1], "dog");
        lm_extractor_free(extractor);
    }
    CHECK_FAILS(open_extractor("judge:tree", "x", &extractor), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "three"));
    CHECK_FAILS(open_extractor("judge:./none.safetensors", "x", &extractor),
                LM_NOT_FOUND);
    CHECK_FAILS(open_extractor("judge:./none", "x", &extractor), LM_NOT_FOUND);
    CHECK_FAILS(lm_judge_install(judge, "../three", &path), LM_ARG);
    lm_judge_free(judge);
}

/* Where $LIMN_DATA cannot be written, the user's own folder takes it. */
static void is_installed_where_it_can_be(void **state) {
    char *path;
    setenv("LIMN_DATA", "/proc/self/no-folder", 1);
    setenv("XDG_DATA_HOME", scratch("xdg"), 1);
    lm_judge *judge = make_judge(1), *found;
    CHECK_OK(lm_judge_install(judge, "own", &path));
    assert_string_equal(path, scratch("xdg/limn/judges/own.safetensors"));
    lm_free(path);
    CHECK_OK(lm_judge_open("own", NULL, &found));
    lm_judge_free(found);
    lm_judge_free(judge);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(looks_at_any_number),
                                       cmocka_unit_test(makes_images_fit),
                                       cmocka_unit_test(a_file_brings_it_back),
                                       cmocka_unit_test(metadata_do_not_make_another),
                                       cmocka_unit_test(refuses_files_that_are_no_judges),
                                       cmocka_unit_test(refuses_damaged_weights),
                                       cmocka_unit_test(names_follow_sets),
                                       cmocka_unit_test(is_found_by_name),
                                       cmocka_unit_test(is_installed_where_it_can_be)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
