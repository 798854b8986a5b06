/* LSUN's LMDB folders, as Python's lmdb wrote them (tests/golden/make_lsun.py): found,
 * read, and damaged in every byte. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data.h"
#include "data/lmdb_read.h"

#include <sys/stat.h>
#include <zlib.h>

enum { CHURCHES = 41, MOST_BYTES = 1 << 17 };

static const char church[] = "church_outdoor_train_lmdb";

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(scratch(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Unpacks the golden environments into the scratch folder; how many. */
static int unpack(void) {
    static uint8_t bytes[MOST_BYTES];
    char path[512], name[32], file[64];
    uint64_t size;
    int count = 0;
    snprintf(path, sizeof path, "%s/tests/golden/lsun.bin.gz",
             getenv("LIMN_TEST_SOURCE"));
    gzFile golden = gzopen(path, "rb");
    assert_non_null(golden);
    while (gzread(golden, name, sizeof name) == sizeof name) {
        assert_int_equal(gzread(golden, &size, sizeof size), sizeof size);
        assert_true(size <= MOST_BYTES);
        assert_int_equal(gzread(golden, bytes, (unsigned)size), size);
        mkdir(scratch(name), 0700);
        snprintf(file, sizeof file, "%s/data.mdb", name);
        write_file(file, bytes, size);
        count++;
    }
    gzclose(golden);
    return count;
}

/* A build without the library says what to install; all else needs one with it. */
static bool opens(const char *spec, lm_split split, lm_dataset **set) {
    lm_status status = lm_dataset_open_any(spec, split, set);
    if (status != LM_UNSUPPORTED) {
        CHECK_OK(status);
        return true;
    }
    assert_non_null(strstr(lm_message(), "liblmdb-dev"));
    return false;
}

/* Which record it was is in its size: of one colour, 8 + i rows. JPEG and WebP are near
 * the colour, grey is its luma. */
static void check_church(const lm_dataset *set, int64_t index, bool *seen) {
    lm_image image;
    int32_t label;
    CHECK_OK(lm_dataset_read(set, index, &image, &label));
    assert_int_equal(image.width, image.height + 1);
    assert_int_equal(image.channels, 3);
    int i =
        image.height == 30 && !seen[40] && image.pixels[0] == 0 ? 40 : image.height - 8;
    assert_true(i >= 0 && i < CHURCHES && !seen[i]);
    seen[i] = true;
    int luma = (299 * 3 * i + 587 * (200 - 3 * i) + 114 * 90) / 1000;
    int colour[3] = {i % 4 == 3 ? luma : 3 * i, i % 4 == 3 ? luma : 200 - 3 * i,
                     i % 4 == 3 ? luma : 90};
    for (int p = 0; i < 40 && p < 3 * image.width * image.height; p++)
        if (abs(image.pixels[p] - colour[p % 3]) > 4)
            fail_msg("record %d: %d, expected %d", i, image.pixels[p], colour[p % 3]);
    lm_image_release(&image);
}

static void reads_one_category(void **state) {
    lm_dataset *set;
    if (!opens(scratch(church), LM_SPLIT_TRAIN, &set)) return;
    assert_int_equal(set->count, CHURCHES);
    assert_int_equal(set->classes, 0);
    assert_int_equal(set->height, 0);
    assert_null(set->get);
    bool seen[CHURCHES] = {false};
    lm_str last = LM_STR_INIT, name = LM_STR_INIT;
    for (int64_t i = 0; i < CHURCHES; i++) {
        check_church(set, i, seen);
        lm_str_clear(&name);
        lm_dataset_item(set, i, &name);
        assert_int_equal(strlen(strstr(name.text, ": key ") + 6), 40);
        if (i) assert_true(strcmp(last.text, name.text) < 0);
        lm_str_clear(&last);
        lm_str_append(&last, name.text);
    }
    int32_t label;
    CHECK_OK(lm_dataset_label(set, 3, &label));
    assert_int_equal(label, -1);
    lm_str_release(&last);
    lm_str_release(&name);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open(scratch(church), LM_SPLIT_TRAIN, &set), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "size=64"));
}

static void categories_are_classes(void **state) {
    lm_dataset *set, *valid;
    char spec[256];
    snprintf(spec, sizeof spec, "%s?size=8", scratch_folder);
    if (!opens(spec, LM_SPLIT_TRAIN, &set)) return;
    assert_int_equal(set->count, CHURCHES + 1);
    assert_int_equal(set->classes, 2);
    assert_string_equal(set->class_names[0], "bedroom");
    assert_string_equal(set->class_names[1], "church_outdoor");
    for (int64_t i = 0; i < set->count; i++) {
        int32_t label;
        CHECK_OK(lm_dataset_label(set, i, &label));
        assert_int_equal(label, i > 0);
    }
    uint8_t pixels[8 * 8 * 3];
    int32_t label;
    CHECK_OK(set->get(set, 0, pixels, &label));
    for (int p = 0; p < 8 * 8 * 3; p++) assert_int_equal(pixels[p], 10 * (p % 3) + 10);
    CHECK_OK(lm_dataset_open_any(scratch_folder, LM_SPLIT_VALID, &valid));
    assert_int_equal(valid->count, 1);
    assert_int_equal(valid->classes, 2);
    lm_dataset_free(valid);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open_any(scratch_folder, LM_SPLIT_TEST, &set), LM_NOT_FOUND);
}

static void zips_are_to_be_unpacked(void **state) {
    lm_dataset *set;
    mkdir(scratch("zips"), 0700);
    write_file("zips/church_outdoor_val_lmdb.zip", "PK", 2);
    CHECK_FAILS(lm_dataset_open_any(scratch("zips"), LM_SPLIT_TRAIN, &set),
                LM_UNSUPPORTED);
    assert_non_null(strstr(lm_message(), "unpack it"));
    CHECK_FAILS(lm_dataset_open_any(scratch("zips/church_outdoor_val_lmdb.zip"),
                                    LM_SPLIT_TRAIN, &set),
                LM_UNSUPPORTED);
    assert_non_null(strstr(lm_message(), "unpack it"));
}

/* ---- damage ------------------------------------------------------------------ */

/* Written to, so that reading is not left out. */
static volatile unsigned seen;

/* Opens bytes as an environment and touches all that it gives. */
static lm_status touch(const uint8_t *bytes, size_t size) {
    mkdir(scratch("damaged"), 0700);
    write_file("damaged/data.mdb", bytes, size);
    lm_lmdb *lmdb;
    LM_TRY(lm_lmdb_open(scratch("damaged"), &lmdb));
    const lm_lmdb_record *records = lm_lmdb_records(lmdb);
    for (int64_t i = 0; i < lm_lmdb_count(lmdb); i++) {
        for (int k = 0; k < records[i].key_size; k++) seen += (unsigned)records[i].key[k];
        for (uint32_t v = 0; v < records[i].value_size; v++) seen += records[i].value[v];
    }
    lm_lmdb_close(lmdb);
    return LM_OK;
}

static void survives_truncation(void **state) {
    void *bytes;
    size_t size;
    char path[64];
    snprintf(path, sizeof path, "%s/data.mdb", church);
    CHECK_OK(lm_file_read(scratch(path), MOST_BYTES, &bytes, &size));
    lm_status whole = touch(bytes, size);
    if (whole != LM_UNSUPPORTED) {
        CHECK_OK(whole);
        for (size_t cut = 0; cut < size; cut += 512)
            CHECK_FAILS(touch(bytes, cut), LM_FORMAT);
        assert_non_null(strstr(lm_message(), "truncated or damaged"));
    }
    lm_free(bytes);
}

/* A tree with both kinds of pages and of values; every byte is changed where pages and
 * nodes begin, and some of the others. */
static void survives_changed_bytes(void **state) {
    void *file;
    size_t size;
    char path[64];
    snprintf(path, sizeof path, "%s/data.mdb", church);
    CHECK_OK(lm_file_read(scratch(path), MOST_BYTES, &file, &size));
    uint8_t *bytes = file;
    static const uint8_t changes[] = {0x01, 0xff};
    int refused = 0;
    bool built = touch(bytes, size) != LM_UNSUPPORTED;
    for (size_t i = 0; built && i < size; i += i % 4096 < 40 ? 1 : 61)
        for (int c = 0; c < 2; c++) {
            bytes[i] ^= changes[c];
            refused += touch(bytes, size) != LM_OK;
            bytes[i] ^= changes[c];
        }
    if (built) assert_true(refused > 50);
    lm_free(file);
}

static void leaks_nothing(void **state) {
    for (int fail = 1; fail < 200; fail++) {
        size_t blocks = lm_mem_get_stats().blocks;
        lm_dataset *set = NULL;
        lm_mem_fail_at(fail, 1);
        lm_status status = lm_dataset_open_any(scratch_folder, LM_SPLIT_TRAIN, &set);
        lm_mem_fail_at(0, 0);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK || status == LM_UNSUPPORTED) return;
    }
    fail_msg("memory never sufficed");
}

static int begin(void **state) {
    return scratch_begin(state) == 0 && unpack() == 3 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one_category),
        cmocka_unit_test(categories_are_classes),
        cmocka_unit_test(zips_are_to_be_unpacked),
        cmocka_unit_test(survives_truncation),
        cmocka_unit_test(survives_changed_bytes),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, begin, scratch_end);
}
