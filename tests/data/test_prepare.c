/* Preparing: the same images come back, however often it was stopped; what is refused. */
#include "scratch.h"
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"
#include "data/prepare.h"

enum { COUNT = 60, SIDE = 4, BYTES = SIDE * SIDE * 3, NEVER = COUNT + 1 };

/* What the tests change about the set. */
static int bad_every, stop_at = NEVER;

static lm_status get_some(const lm_dataset *set, int64_t index, uint8_t *pixels,
                          int32_t *label) {
    LM_RETURN_IF(bad_every && index % bad_every == 1, LM_FORMAT, "%d.png: broken",
                 (int)index);
    for (int i = 0; i < BYTES; i++) pixels[i] = (uint8_t)(index * 7 + i);
    *label = (int32_t)(index % 4) - 1;
    return LM_OK;
}

static lm_status get_two(const lm_dataset *set, int64_t index, float *values) {
    values[0] = (float)index;
    values[1] = -0.5f;
    return LM_OK;
}

static lm_dataset make(void) {
    static const char *const names[] = {"number", "half"};
    static const char *const classes[] = {"ant", "bee", "\"cat\""};
    static const char *const levels[] = {"low", "middle", "high"};
    static const lm_attribute_kind kinds[] = {{0, NULL}, {3, levels}};
    return (lm_dataset){.name = (char *)"some",
                        .source = (char *)"nowhere at all",
                        .split = LM_SPLIT_TEST,
                        .height = SIDE,
                        .width = SIDE,
                        .channels = 3,
                        .classes = 3,
                        .class_names = classes,
                        .count = COUNT,
                        .hash = 77,
                        .get = get_some,
                        .n_attributes = 2,
                        .attribute_names = names,
                        .attribute_kinds = kinds,
                        .attributes = get_two};
}

static bool stop_early(void *user, lm_prepare_stage stage, int64_t done, int64_t total) {
    assert_true(stage == LM_PREPARE_SOURCES || total == COUNT);
    return stage == LM_PREPARE_SOURCES || done < stop_at;
}

static lm_status prepare(const char *out, int threads, bool skip_bad,
                         lm_prepared *result) {
    lm_dataset set = make();
    return lm_prepare(&set,
                      &(lm_prepare_job){.spec = "some",
                                        .out = out,
                                        .skip_bad = skip_bad,
                                        .threads = threads,
                                        .hook = stop_early},
                      result);
}

/* FOLDER/NAME in the caller's buffer of 600 bytes. */
static const char *at(const char *folder, const char *name, char *path) {
    assert_true(snprintf(path, 600, "%s/%s", folder, name) < 600);
    return path;
}

static void write_text(const char *folder, const char *name, const char *text,
                       const char *mode) {
    char path[600];
    FILE *file = fopen(at(folder, name, path), mode);
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void same_file(const char *a, const char *b, const char *name) {
    char path[600];
    void *x, *y;
    size_t n, m;
    CHECK_OK(lm_file_read(at(a, name, path), 1 << 20, &x, &n));
    CHECK_OK(lm_file_read(at(b, name, path), 1 << 20, &y, &m));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    lm_free(x);
    lm_free(y);
}

static void same_folder(const char *a, const char *b) {
    static const char *const names[] = {"images.npy", "labels.npy", "attributes.npy",
                                        "manifest.json", "sources.sha256"};
    for (int i = 0; i < 5; i++) same_file(a, b, names[i]);
    assert_false(lm_folder_has(a, "journal.jsonl"));
    assert_false(lm_folder_has(a, "lock"));
}

static void images_come_back(void **state) {
    char out[600], spec[620];
    lm_prepared result;
    lm_dataset *set;
    at(scratch_folder, "back", out);
    CHECK_OK(prepare(out, 3, false, &result));
    assert_int_equal(result.count, COUNT);
    assert_int_equal(result.skipped, 0);
    assert_false(result.was_complete);
    snprintf(spec, sizeof spec, "%s:test", out);
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->count, COUNT);
    assert_int_equal(set->classes, 3);
    assert_string_equal(set->class_names[2], "\"cat\"");
    assert_int_equal(set->n_attributes, 2);
    assert_string_equal(set->attribute_names[1], "half");
    assert_int_equal(set->attribute_kinds[0].levels, 0);
    assert_null(set->attribute_kinds[0].names);
    assert_int_equal(set->attribute_kinds[1].levels, 3);
    assert_string_equal(set->attribute_kinds[1].names[2], "high");
    for (int64_t i = 0; i < COUNT; i++) {
        uint8_t pixels[BYTES], want[BYTES];
        float values[2];
        int32_t label, other, wanted = 0;
        CHECK_OK(get_some(NULL, i, want, &wanted));
        CHECK_OK(set->get(set, i, pixels, &label));
        CHECK_OK(lm_dataset_label(set, i, &other));
        CHECK_OK(set->attributes(set, i, values));
        assert_memory_equal(pixels, want, BYTES);
        assert_true(label == wanted && other == wanted);
        assert_true(values[0] == (float)i && values[1] == -0.5f);
    }
    uint8_t pixels[BYTES];
    int32_t label;
    CHECK_FAILS(set->get(set, COUNT, pixels, &label), LM_ARG);
    CHECK_FAILS(set->get(set, -1, pixels, &label), LM_ARG);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(out, LM_SPLIT_TRAIN, &set), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "back:test'"));
}

static void goes_on_where_it_stopped(void **state) {
    char whole[600], parts[600];
    lm_prepared result;
    at(scratch_folder, "whole", whole);
    stop_at = NEVER;
    at(scratch_folder, "parts", parts);
    bad_every = 7;
    CHECK_OK(prepare(whole, 1, true, &result));
    assert_int_equal(result.skipped, 9);
    for (stop_at = 5; stop_at < COUNT; stop_at += 11) {
        CHECK_FAILS(prepare(parts, 1 + stop_at % 4, true, &result), LM_INTERRUPTED);
        lm_dataset *set;
        CHECK_FAILS(lm_dataset_open(parts, LM_SPLIT_TEST, &set), LM_FORMAT);
        assert_non_null(strstr(lm_message(), "not finished"));
    }
    stop_at = NEVER;
    CHECK_OK(prepare(parts, 2, true, &result));
    assert_int_equal(result.count, COUNT - 9);
    assert_int_equal(result.skipped, 9);
    assert_int_equal(result.resumed, 42);
    same_folder(whole, parts);
    CHECK_OK(prepare(parts, 2, true, &result));
    assert_true(result.was_complete);
    assert_int_equal(result.count, COUNT - 9);
    bad_every = 0;
}

/* What a kill leaves: rows beyond the last mark, half a row, half a line. */
static void survives_a_kill(void **state) {
    char whole[600], cut[600], path[600];
    lm_prepared result;
    at(scratch_folder, "kill-whole", whole);
    at(scratch_folder, "kill-cut", cut);
    stop_at = NEVER;
    CHECK_OK(prepare(whole, 1, false, &result));
    stop_at = 20;
    CHECK_FAILS(prepare(cut, 1, false, &result), LM_INTERRUPTED);
    FILE *file = fopen(at(cut, "images.npy", path), "ab");
    assert_non_null(file);
    for (int i = 0; i < 5 * BYTES + 7; i++) fputc(0xee, file);
    fclose(file);
    write_text(cut, "journal.jsonl", "{\"done\": 25, \"ro", "ab");
    stop_at = NEVER;
    CHECK_OK(prepare(cut, 2, false, &result));
    assert_int_equal(result.resumed, 20);
    same_folder(whole, cut);
    /* Killed before the first line was whole. */
    at(scratch_folder, "kill-first", cut);
    CHECK_OK(lm_make_folders(cut));
    write_text(cut, "journal.jsonl", "{\"limn\":\"0.1", "wb");
    CHECK_OK(prepare(cut, 2, false, &result));
    same_folder(whole, cut);
}

static bool stop_at_sources(void *user, lm_prepare_stage stage, int64_t done,
                            int64_t total) {
    return stage != LM_PREPARE_SOURCES;
}

/* Stopped when all images are written, and only the manifest is missing. */
static void stops_while_it_hashes(void **state) {
    char first[600], second[600], path[600];
    char *files[] = {path};
    lm_prepared result;
    lm_dataset set = make();
    set.files = files, set.n_files = 1;
    at(scratch_folder, "hash-first", first);
    at(scratch_folder, "hash-second", second);
    write_text(scratch_folder, "source", "abc", "wb");
    at(scratch_folder, "source", path);
    lm_prepare_job job = {.spec = "some", .out = first, .threads = 1};
    CHECK_OK(lm_prepare(&set, &job, &result));
    job.out = second;
    job.hook = stop_at_sources;
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_INTERRUPTED);
    job.hook = NULL;
    CHECK_OK(lm_prepare(&set, &job, &result));
    assert_int_equal(result.resumed, COUNT);
    same_folder(first, second);
    void *list;
    size_t size;
    CHECK_OK(lm_file_read(at(second, "sources.sha256", path), 1 << 20, &list, &size));
    /* FIPS 180-2, appendix B.1 */
    assert_memory_equal(list, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61",
                        56);
    lm_free(list);
}

static void bad_images(void **state) {
    char out[600];
    lm_prepared result;
    at(scratch_folder, "bad", out);
    stop_at = NEVER;
    bad_every = 50;
    CHECK_FAILS(prepare(out, 2, false, &result), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "1.png: broken; --skip-bad"));
    CHECK_OK(prepare(out, 2, true, &result)); /* goes on behind image 0 */
    assert_int_equal(result.resumed, 1);
    assert_int_equal(result.skipped, 2);
    char path[600];
    void *text;
    size_t size;
    CHECK_OK(lm_file_read(at(out, "manifest.json", path), 1 << 20, &text, &size));
    assert_non_null(strstr(text, "\"why\": \"51.png: broken\""));
    lm_free(text);
    bad_every = 0;
}

static lm_status read_growing(const lm_dataset *set, int64_t index, lm_image *image,
                              int32_t *label) {
    int side = index == 7 ? 1 : SIDE;
    LM_TRY(lm_image_init(image, side, side, 3));
    *label = -1;
    return LM_OK;
}

static void name_item(const lm_dataset *set, int64_t index, lm_str *name) {
    lm_str_printf(name, "na\xefve.png"); /* Latin-1 */
}

/* Smaller than was found when the set was opened. */
static void changed_images(void **state) {
    char out[600], path[600];
    lm_prepared result;
    lm_dataset set = make();
    set.read = read_growing;
    set.item = name_item;
    lm_prepare_job job = {.spec = "some", .out = out, .threads = 2};
    at(scratch_folder, "changed", out);
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "ve.png: 1 x 1 x 3, the set has 4 x 4"));
    job.skip_bad = true;
    CHECK_OK(lm_prepare(&set, &job, &result));
    assert_int_equal(result.skipped, 1);
    void *text;
    size_t size;
    CHECK_OK(lm_file_read(at(out, "manifest.json", path), 1 << 20, &text, &size));
    assert_non_null(strstr(text, "some: na?ve.png: 1 x 1"));
    lm_free(text);
}

static void refuses_other_folders(void **state) {
    char out[600], path[600];
    lm_prepared result;
    lm_dataset set = make();
    lm_prepare_job job = {.spec = "some", .out = out, .threads = 1};
    at(scratch_folder, "other", out);
    CHECK_OK(lm_prepare(&set, &job, &result));
    set.hash++;
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "was made from some with hash"));
    set.height = 2;
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "with height 4, not 2"));
    unlink(at(out, "manifest.json", path));
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "holds a file images.npy"));
    write_text(out, "manifest.json", "{\"name\": \"somebody's\"}", "wb");
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_FORMAT);
    set.augment.flip = true;
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "while training"));
    set.augment.flip = false;
    set.endless = true;
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "limit="));
    set = make();
    at(scratch_folder, "journal", out);
    CHECK_OK(lm_make_folders(out));
    write_text(out, "journal.jsonl", "[1]\n{\"done\": 3}\n", "wb");
    CHECK_FAILS(lm_prepare(&set, &job, &result), LM_ARG);
}

static void full_disk(void **state) {
    char whole[600], full[600];
    lm_prepared result;
    at(scratch_folder, "disk-whole", whole);
    at(scratch_folder, "disk-full", full);
    CHECK_OK(prepare(whole, 1, false, &result));
    disk_is_full_at(128 + 30 * BYTES + 5);
    lm_status status = prepare(full, 2, false, &result);
    disk_has_room();
    assert_int_equal(status, LM_IO);
    assert_non_null(strstr(lm_message(), "images.npy: cannot write: File too large"));
    CHECK_OK(prepare(full, 2, false, &result));
    same_folder(whole, full);
}

/* Replaces the first `from` in a file by `to` of the same length. */
static void patch(const char *folder, const char *name, const char *from,
                  const char *to) {
    char path[600];
    void *text;
    size_t size, length = strlen(from);
    CHECK_OK(lm_file_read(at(folder, name, path), 1 << 20, &text, &size));
    char *found = memmem(text, size, from, length);
    assert_non_null(found);
    memcpy(found, to, length);
    FILE *file = fopen(path, "wb");
    fwrite(text, 1, size, file);
    fclose(file);
    lm_free(text);
}

static void distrusts_manifests(void **state) {
    static const struct {
        const char *from, *to, *message;
    } lies[] = {
        {"\"count\": 60,\n  \"height", "\"count\": 61,\n  \"height", "the manifest says"},
        {"\"height\": 4,\n  \"width", "\"height\": 0,\n  \"width", "not possible"},
        {"\"channels\": 3,\n  \"hash", "\"channels\": 2,\n  \"hash", "not possible"},
        {"\"classes\": 3", "\"classes\": 2", "class_names"},
        {"\"classes\": 3", "\"classes\":-3", "classes -3"},
        {"\"bee\"", "12345", "class_names"},
        {"\"half\"", "123456", "attributes"},
        {"\"levels\": 3", "\"levels\": 4", "attributes"},
        {"\"levels\": 0", "\"levels\":-1", "attributes"},
        {"\"version\": 1", "\"version\": 2", "version 2"},
        {"limn-prepared", "limn-prefared", "not the manifest"},
        {"\"split\": \"test\"", "\"split\": \"tess\"", "no split"},
        {"{", "[", "manifest.json"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char out[600], name[32];
        lm_prepared result;
        lm_dataset *set;
        snprintf(name, sizeof name, "lie-%zu", i);
        CHECK_OK(prepare(at(scratch_folder, name, out), 1, false, &result));
        patch(out, "manifest.json", lies[i].from, lies[i].to);
        lm_status status = lm_dataset_open(out, LM_SPLIT_TEST, &set);
        assert_true(status == LM_FORMAT || status == LM_UNSUPPORTED);
        assert_null(set);
        if (!strstr(lm_message(), lies[i].message))
            fail_msg("%s: %s", lies[i].message, lm_message());
    }
}

/* A folder with the folders of its splits is a set, too. */
static void splits_in_one_folder(void **state) {
    char both[600], train[600], test[600];
    lm_prepared result;
    lm_dataset set = make(), *opened;
    at(scratch_folder, "both", both);
    at(both, "test", test);
    at(both, "train", train);
    lm_prepare_job job = {.spec = "some", .out = test, .threads = 1};
    CHECK_OK(lm_prepare(&set, &job, &result));
    CHECK_FAILS(lm_dataset_open(both, LM_SPLIT_TRAIN, &opened), LM_NOT_FOUND);
    job.out = train;
    set.split = LM_SPLIT_TRAIN;
    set.count = COUNT / 2;
    CHECK_OK(lm_prepare(&set, &job, &result));
    CHECK_OK(lm_dataset_open(both, LM_SPLIT_TRAIN, &opened));
    assert_int_equal(opened->count, COUNT / 2);
    lm_dataset_free(opened);
    CHECK_OK(lm_dataset_open(both, LM_SPLIT_TEST, &opened));
    assert_int_equal(opened->count, COUNT);
    assert_string_equal(opened->source, test);
    lm_dataset_free(opened);
}

static void leaks_nothing(void **state) {
    char out[600], name[32];
    lm_prepared result;
    int64_t blocks = lm_mem_get_stats().blocks;
    stop_at = NEVER;
    for (int fail = 1; fail < 2000; fail += fail < 60 ? 1 : 9) {
        lm_dataset *set = NULL;
        snprintf(name, sizeof name, "leak-%d", fail);
        lm_mem_fail_at(fail, 1);
        lm_status status = prepare(at(scratch_folder, name, out), 1, false, &result);
        if (status == LM_OK) status = lm_dataset_open(out, LM_SPLIT_TEST, &set);
        lm_mem_fail_at(0, 0);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) return;
        assert_int_equal(status, LM_NOMEM);
        CHECK_OK(prepare(out, 1, false, &result)); /* and harms nothing */
    }
    fail_msg("memory never sufficed");
}

/* Arrays that are not what the manifest says. */
static void distrusts_arrays(void **state) {
    static const char *const names[] = {"images.npy", "labels.npy", "attributes.npy"};
    for (int i = 0; i < 3; i++) {
        char out[600], path[600], name[32];
        lm_prepared result;
        lm_dataset *set;
        snprintf(name, sizeof name, "array-%d", i);
        CHECK_OK(prepare(at(scratch_folder, name, out), 1, false, &result));
        assert_int_equal(truncate(at(out, names[i], path), 200), 0);
        CHECK_FAILS(lm_dataset_open(out, LM_SPLIT_TEST, &set), LM_FORMAT);
        assert_non_null(strstr(lm_message(), names[i]));
        unlink(path);
        lm_status status = lm_dataset_open(out, LM_SPLIT_TEST, &set);
        assert_true(status != LM_OK && strstr(lm_message(), i ? names[i] : name));
    }
    char out[600];
    lm_prepared result;
    lm_dataset *set;
    CHECK_OK(prepare(at(scratch_folder, "label", out), 1, false, &result));
    patch(out, "labels.npy", "\2", "\3"); /* the first bee; there are three classes */
    CHECK_FAILS(lm_dataset_open(out, LM_SPLIT_TEST, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "label 3 of image 3: expected -1 to 2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_come_back),
        cmocka_unit_test(goes_on_where_it_stopped),
        cmocka_unit_test(survives_a_kill),
        cmocka_unit_test(stops_while_it_hashes),
        cmocka_unit_test(bad_images),
        cmocka_unit_test(changed_images),
        cmocka_unit_test(refuses_other_folders),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(distrusts_manifests),
        cmocka_unit_test(distrusts_arrays),
        cmocka_unit_test(splits_in_one_folder),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
