/* Folders, zips and tars of pictures: splits, classes and labels, sizes that differ,
 * pictures that are broken. Pictures are PNM, as those can be written here. */
#include "scratch.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/data.h"

#include <stdarg.h>
#include <sys/stat.h>

/* ---- making ------------------------------------------------------------------ */

static void write_bytes(const char *name, const void *bytes, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s", scratch(name));
    *strrchr(path, '/') = '\0';
    CHECK_OK(lm_make_folders(path));
    FILE *file = fopen(scratch(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

/* A picture all of whose samples are `value`. */
static void write_picture(const char *name, int width, int height, int channels,
                          int value) {
    uint8_t bytes[4096];
    size_t size = (size_t)(width * height * channels);
    int header = snprintf((char *)bytes, sizeof bytes, "P%d\n%d %d\n255\n",
                          channels == 3 ? 6 : 5, width, height);
    memset(bytes + header, value, size);
    write_bytes(name, bytes, (size_t)header + size);
}

static void run(const char *format, ...) LM_PRINTF(1, 2);
static void run(const char *format, ...) {
    char command[512];
    int length = snprintf(command, sizeof command, "cd %s && ", scratch_folder);
    va_list args;
    va_start(args, format);
    vsnprintf(command + length, sizeof command - (size_t)length, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

/* ---- looking ----------------------------------------------------------------- */

static lm_dataset *open_set(const char *name) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open_any(scratch(name), LM_SPLIT_TRAIN, &set));
    return set;
}

static void check_fails(const char *name, lm_status expected, const char *message) {
    lm_dataset *set;
    CHECK_FAILS(lm_dataset_open_any(scratch(name), LM_SPLIT_TRAIN, &set), expected);
    if (!strstr(lm_message(), message))
        fail_msg("got \"%s\", wanted \"%s\"", lm_message(), message);
}

/* The first sample of an image, and its label. */
static void check_image(const lm_dataset *set, int64_t index, int value, int label) {
    lm_image image;
    int32_t got, alone;
    CHECK_OK(lm_dataset_read(set, index, &image, &got));
    CHECK_OK(lm_dataset_label(set, index, &alone));
    assert_int_equal(image.channels, set->channels);
    assert_int_equal(image.pixels[0], value);
    assert_int_equal(got, label);
    assert_int_equal(alone, label);
    lm_image_release(&image);
}

static void check_item(const lm_dataset *set, int64_t index, const char *end) {
    lm_str name = LM_STR_INIT;
    lm_dataset_item(set, index, &name);
    assert_true(lm_path_ends(name.text, end));
    lm_str_release(&name);
}

/* ---- folders ----------------------------------------------------------------- */

static void write_pets(const char *folder) {
    char name[128];
    const char *const files[] = {"cats/b.pgm", "cats/old/a.PGM", "dogs/c.pgm",
                                 "ants/z.pgm"};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, files[i]);
        write_picture(name, 3, 2, 1, 10 * i + 10);
    }
    snprintf(name, sizeof name, "%s/cats/readme.txt", folder);
    write_text(name, "not a picture");
}

static void check_pets(const lm_dataset *set) {
    assert_int_equal(set->count, 4);
    assert_int_equal(set->width, 3);
    assert_int_equal(set->height, 2);
    assert_int_equal(set->channels, 1);
    assert_int_equal(set->classes, 3);
    assert_string_equal(set->class_names[0], "ants");
    assert_string_equal(set->class_names[2], "dogs");
    check_image(set, 0, 40, 0);
    check_image(set, 1, 10, 1);
    check_image(set, 2, 20, 1);
    check_image(set, 3, 30, 2);
    check_item(set, 2, "cats/old/a.PGM");
    uint8_t pixels[6];
    int32_t label;
    CHECK_OK(set->get(set, 3, pixels, &label));
    assert_memory_equal(pixels, "\36\36\36\36\36\36", 6);
    CHECK_FAILS(set->get(set, 4, pixels, &label), LM_ARG);
}

/* The same, however it is packed, also with one folder around it. */
static void reads_folders_and_archives(void **state) {
    static const char *const packed[] = {"pets.tar", "pets.tgz", "pets.tar.bz2"};
    write_pets("pets");
    lm_dataset *set = open_set("pets");
    check_pets(set);
    uint64_t hash = set->hash;
    lm_dataset_free(set);
    run("tar cf pets.tar pets && tar czf pets.tgz -C pets . && "
        "tar cjf pets.tar.bz2 pets");
    for (int i = 0; i < 3; i++) {
        lm_status status = lm_dataset_open_any(scratch(packed[i]), LM_SPLIT_TRAIN, &set);
        if (i > 0 && status == LM_UNSUPPORTED) continue; /* a build without libarchive */
        CHECK_OK(status);
        check_pets(set);
        assert_true(set->hash == hash);
        lm_dataset_free(set);
    }
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/archives/pets.zip",
             getenv("LIMN_TEST_SOURCE"));
    CHECK_OK(lm_dataset_open_any(path, LM_SPLIT_TRAIN, &set));
    check_pets(set);
    assert_true(set->hash == hash);
    lm_dataset_free(set);
    run("mkdir around && mv pets.tar around");
    set = open_set("around");
    check_pets(set);
    lm_dataset_free(set);
    run("cp -r pets linked && ln linked/cats/b.pgm linked/dogs/b.pgm && tar cf "
        "linked.tar "
        "linked");
    set = open_set("linked.tar");
    lm_image image;
    int32_t label;
    assert_int_equal(set->count, 5);
    CHECK_FAILS(lm_dataset_read(set, 3, &image, &label), LM_UNSUPPORTED);
    assert_non_null(strstr(lm_message(), "dogs/b.pgm: a hard link"));
    lm_dataset_free(set);
    write_picture("pets/dogs/c.pgm", 3, 2, 1, 31);
    set = open_set("pets");
    assert_true(set->hash != hash);
    lm_dataset_free(set);
}

static void splits_are_folders(void **state) {
    lm_dataset *set;
    write_picture("split/data/train/a/1.pgm", 2, 2, 1, 1);
    write_picture("split/data/train/b/2.pgm", 2, 2, 1, 2);
    write_picture("split/data/Val/b/3.pgm", 2, 2, 1, 3);
    set = open_set("split");
    assert_int_equal(set->count, 2);
    check_image(set, 1, 2, 1);
    lm_dataset_free(set);
    set = open_set("split:valid");
    assert_int_equal(set->count, 1);
    assert_int_equal(set->classes, 2); /* a class has one number in all splits */
    check_image(set, 0, 3, 1);
    lm_dataset_free(set);
    check_fails("split:test", LM_NOT_FOUND,
                "no test images there; its folders are train, "
                "valid");
    check_fails("pets:test", LM_NOT_FOUND, "no test images there; its folders are not");
}

/* Folders of FFHQ, a single folder, and pictures beside folders are no classes. */
static void not_all_folders_are_classes(void **state) {
    write_picture("faces/images1024x1024/00000/00001.pgm", 2, 2, 1, 1);
    write_picture("faces/images1024x1024/01000/01001.pgm", 2, 2, 1, 2);
    write_picture("faces/thumbnails128x128/00000/00000.pgm", 1, 1, 1, 2);
    write_picture("one/things/1.pgm", 2, 2, 1, 1);
    write_picture("one/things/2.pgm", 2, 2, 1, 2);
    write_picture("mixed/things/1.pgm", 2, 2, 1, 1);
    write_picture("mixed/other/2.pgm", 2, 2, 1, 2);
    write_picture("mixed/3.pgm", 2, 2, 1, 2);
    const char *const names[] = {"faces", "one", "mixed"};
    for (int i = 0; i < 3; i++) {
        lm_dataset *set = open_set(names[i]);
        assert_int_equal(set->count, i < 2 ? 2 : 3);
        assert_int_equal(set->classes, 0);
        check_image(set, 0, i < 2 ? 1 : 2, -1);
        lm_dataset_free(set);
    }
}

/* ---- labels ------------------------------------------------------------------ */

static void write_letters(void) {
    run("rm -rf letters");
    write_picture("letters/x/1.pgm", 2, 2, 1, 1);
    write_picture("letters/x/2.pgm", 2, 2, 1, 2);
    write_picture("letters/y/3.pgm", 2, 2, 1, 3);
}

static void check_letters(const char *const *names, int classes, int a, int b, int c) {
    lm_dataset *set = open_set("letters");
    assert_int_equal(set->classes, classes);
    assert_int_equal(set->class_names != NULL, names != NULL);
    for (int i = 0; names && i < classes; i++)
        assert_string_equal(set->class_names[i], names[i]);
    check_image(set, 0, 1, a);
    check_image(set, 1, 2, b);
    check_image(set, 2, 3, c);
    lm_dataset_free(set);
}

static void label_files_come_before_folders(void **state) {
    static const char *const names[] = {"a, \"b\"", "c"};
    write_letters();
    write_text("letters/labels.csv", "\xef\xbb\xbf"
                                     "file,label\r\nx/1.pgm, 7 \r\n\r\n"
                                     "2.pgm,0\r\n./y/3.pgm,\"2\"\r\n");
    check_letters(NULL, 8, 7, 0, 2);
    write_text("letters/labels.csv", "x/1.pgm,c\n2.pgm,\"a, \"\"b\"\"\"\n3.pgm,c");
    check_letters(names, 2, 1, 0, 1);
    run("rm letters/labels.csv");
    write_text("letters/labels.json", "{\"x/1.pgm\": 1, \"2.pgm\": 0, \"3.pgm\": \"1\"}");
    check_letters(NULL, 2, 1, 0, 1);
    run("rm letters/labels.json");
    write_text("letters/dataset.json",
               "{\"labels\": [[\"y/3.pgm\", 2], [\"x/1.pgm\", 1], [\"x/2.pgm\", 0]]}");
    check_letters(NULL, 3, 1, 0, 2);
    write_text("letters/dataset.json", "{\"labels\": null}");
    check_letters(NULL, 0, -1, -1, -1);
}

static void names_what_is_wrong_with_labels(void **state) {
    static const struct {
        const char *file, *text, *message;
    } cases[] = {
        {"labels.csv", "x/1.pgm,1\nx/9.pgm,2\n",
         "labels.csv: line 2: x/9.pgm: no such image is there"},
        {"labels.csv", "x/1.pgm,1\n1.pgm,2\n", "line 2: 1.pgm: has a label already"},
        {"labels.csv", "x/1.pgm,1\n3.pgm,2\n",
         "1 of 3 images have no label; the first is x/2.pgm"},
        {"labels.csv", "x/1.pgm,1,2\n", "line 1: more than 2 fields"},
        {"labels.csv", "file,label\n\nx/1.pgm\n",
         "line 3: expected an image and a label"},
        {"labels.csv", "x/1.pgm,\"1\n", "line 1: a quote that does not end"},
        {"labels.csv", "x/1.pgm,\"1\"2\n", "line 1: text after a quote"},
        {"labels.json", "{\"x/1.pgm\": 1.5}", "x/1.pgm: expected a whole number"},
        {"labels.json", "[]", "labels.json: expected an object"},
        {"labels.json", "{\"labels\": [[1, 2]]}", "item 0: expected [\"IMAGE\", LABEL]"},
        {"labels.json", "{\"labels\": ", "labels.json: line 1: "},
        {"y/labels.csv", "1.pgm,1\n", "y/labels.csv: line 1: 1.pgm: no such image"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        write_letters();
        snprintf(name, sizeof name, "letters/%s", cases[i].file);
        write_text(name, cases[i].text);
        check_fails("letters", LM_FORMAT, cases[i].message);
    }
    write_letters();
    write_bytes("letters/labels.csv", "x/1.pgm,1\0", 10);
    check_fails("letters", LM_FORMAT, "labels.csv: a NUL in it");
    write_picture("letters/y/1.pgm", 2, 2, 1, 4);
    write_text("letters/labels.csv", "1.pgm,1\n");
    check_fails("letters", LM_FORMAT, "1.pgm: several images have this name");
}

/* ---- pictures ---------------------------------------------------------------- */

static void sizes_and_channels_may_differ(void **state) {
    lm_dataset *set;
    write_picture("differ/1.pgm", 4, 6, 1, 9);
    write_picture("differ/2.ppm", 5, 6, 3, 8);
    set = open_set("differ");
    assert_int_equal(set->width, 0);
    assert_int_equal(set->height, 0);
    assert_int_equal(set->channels, 3);
    assert_null(set->get);
    lm_image image;
    int32_t label;
    CHECK_OK(lm_dataset_read(set, 0, &image, &label));
    assert_int_equal(image.width, 4);
    assert_int_equal(image.height, 6);
    assert_memory_equal(image.pixels, "\11\11\11\11\11\11", 6); /* grey, three times */
    lm_image_release(&image);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(scratch("differ"), LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "images differ in size; say one"));
    char spec[256];
    snprintf(spec, sizeof spec, "%s?size=2&grey", scratch("differ"));
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &set));
    uint8_t pixels[4];
    CHECK_OK(set->get(set, 1, pixels, &label));
    assert_memory_equal(pixels, "\10\10\10\10", 4);
    lm_dataset_free(set);
}

/* So many that threads read their headers. */
static void many_pictures_are_alike(void **state) {
    enum { COUNT = 400 };
    char name[64];
    uint64_t hash[2];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "many/%d/%d.pgm", i % 7, i);
        write_picture(name, 2, 3, 1, i % 256);
    }
    for (int k = 0; k < 2; k++) {
        lm_dataset *set = open_set("many");
        assert_int_equal(set->count, COUNT);
        assert_int_equal(set->height, 3);
        assert_int_equal(set->classes, 7);
        hash[k] = set->hash;
        lm_dataset_free(set);
    }
    assert_true(hash[0] == hash[1]);
    write_picture("many/3/3.pgm", 3, 3, 1, 3);
    lm_dataset *set = open_set("many");
    assert_int_equal(set->height, 0);
    assert_true(set->hash != hash[0]);
    lm_dataset_free(set);
}

static char warning[512];

static void keep_warning(void *user, lm_log_level level, const char *line) {
    snprintf(warning, sizeof warning, "%s", line);
}

/* What is broken stays, so that it can be named and left out; only its reading fails. */
static void broken_pictures_are_named(void **state) {
    lm_image image;
    int32_t label;
    write_picture("broken/1.pgm", 2, 2, 1, 1);
    write_text("broken/2.pgm", "P5\n2 2\n255\n\1\1"); /* ends early */
    write_text("broken/3.pgm", "P5\n60000 60000\n255\n");
    write_text("broken/4.pgm", "");
    write_text("broken/5.jpg", "a text");
    warning[0] = '\0';
    lm_log_set(keep_warning, NULL);
    lm_dataset *set = open_set("broken");
    lm_log_set(NULL, NULL);
    assert_non_null(strstr(warning, "3 of 5 images cannot be read; the first: "));
    assert_non_null(strstr(warning, "3.pgm: PNM: "));
    assert_int_equal(set->count, 5);
    assert_int_equal(set->width, 2);
    check_image(set, 0, 1, -1);
    for (int i = 1; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, ": %d.%s: ", i + 1, i == 4 ? "jpg" : "pgm");
        CHECK_FAILS(lm_dataset_read(set, i, &image, &label), LM_FORMAT);
        assert_non_null(strstr(lm_message(), name));
    }
    lm_dataset_free(set);
    run("rm broken/1.pgm broken/2.pgm");
    check_fails("broken", LM_FORMAT, "none of 3 images can be read: ");
    write_picture("grows/1.pgm", 2, 2, 1, 1);
    set = open_set("grows");
    write_picture("grows/1.pgm", 1, 5, 1, 1);
    uint8_t pixels[4];
    assert_true(set->get(set, 0, pixels, &label) != LM_OK);
    lm_dataset_free(set);
}

static void says_what_it_reads_where_nothing_is(void **state) {
    write_text("empty/notes.txt", "nothing");
    check_fails("empty", LM_FORMAT,
                "no images there; limn reads PNG, JPEG, WebP, BMP and PNM");
    write_text("empty/labels.csv", "a.png,1\n");
    check_fails("empty", LM_FORMAT, "no images there");
}

static void fails_cleanly_without_memory(void **state) {
    lm_status status = LM_NOMEM;
    write_letters();
    write_text("letters/labels.csv", "x/1.pgm,c\n2.pgm,a\n3.pgm,c");
    int64_t held = lm_mem_get_stats().bytes;
    for (int64_t n = 1; status != LM_OK; n++) {
        lm_dataset *set = NULL;
        lm_mem_fail_at(n, 0);
        status = lm_dataset_open_any(scratch("letters"), LM_SPLIT_TRAIN, &set);
        lm_mem_fail_at(0, 0);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().bytes, held);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_folders_and_archives),
        cmocka_unit_test(splits_are_folders),
        cmocka_unit_test(not_all_folders_are_classes),
        cmocka_unit_test(label_files_come_before_folders),
        cmocka_unit_test(names_what_is_wrong_with_labels),
        cmocka_unit_test(sizes_and_channels_may_differ),
        cmocka_unit_test(many_pictures_are_alike),
        cmocka_unit_test(broken_pictures_are_named),
        cmocka_unit_test(says_what_it_reads_where_nothing_is),
        cmocka_unit_test(fails_cleanly_without_memory),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
