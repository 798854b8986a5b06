/* Lists of encoded files: what Python packs, folders with links, and broken archives. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/entries.h"

#include <sys/stat.h>

#define MEMORY ((size_t)1 << 20)

static bool is_wanted(const char *name) {
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".bin") == 0;
}

static const char *golden(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/archives/%s",
             getenv("LIMN_TEST_SOURCE") ? getenv("LIMN_TEST_SOURCE") : ".", name);
    return path;
}

static void check_bytes(const lm_entries *entries, int64_t i) {
    const char *name = lm_entries_name(entries, i);
    uint8_t *bytes, first[2];
    size_t size;
    CHECK_OK(lm_entries_read(entries, i, (void **)&bytes, &size));
    assert_int_equal(size, lm_entries_size(entries, i));
    for (size_t k = 0; k < size; k++)
        assert_int_equal(bytes[k], (k * k + strlen(name)) % 251);
    lm_free(bytes);
    if (size < 2) return;
    CHECK_OK(lm_entries_peek(entries, i, first, 2));
    assert_int_equal(first[1], (1 + strlen(name)) % 251);
}

/* See tests/golden/make_archives.py. */
static void check_golden(const lm_entries *entries) {
    static const struct {
        const char *start;
        size_t size;
    } files[] = {{"a.bin", 3},
                 {"folder/b.bin", 3000},
                 {"folder/empty.bin", 0},
                 {"folder/gr\303\274n.bin", 700},
                 {"long/name-name-", 40},
                 {"outside.bin", 10}};
    assert_int_equal(lm_entries_count(entries), 6);
    for (int64_t i = 0; i < 6; i++) {
        const char *name = lm_entries_name(entries, i);
        assert_memory_equal(name, files[i].start, strlen(files[i].start));
        assert_int_equal(lm_entries_size(entries, i), files[i].size);
        assert_int_equal(lm_entries_find(entries, name), i);
        check_bytes(entries, i);
    }
    assert_int_equal(strlen(lm_entries_name(entries, 4)), 159);
    assert_int_equal(lm_entries_find(entries, "other.txt"), -1);
}

static void reads_what_python_packs(void **state) {
    static const char *const names[] = {"files.zip",     "files-stored.zip",
                                        "files-64.zip",  "files-pax.tar",
                                        "files-gnu.tar", "files-pax.tar.gz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lm_entries *entries;
        print_message("# %s\n", names[i]);
        assert_true(lm_is_archive(golden(names[i])));
        lm_status status = lm_entries_open(golden(names[i]), is_wanted, MEMORY, &entries);
        if (status == LM_UNSUPPORTED) /* a build without libarchive */
            assert_non_null(strstr(lm_message(), "libarchive-dev"));
        else
            CHECK_OK(status);
        if (status == LM_OK) check_golden(entries);
        lm_entries_free(entries);
    }
}

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(scratch(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* A link to a folder is followed unless we are in that folder; one to nothing is listed,
 * and fails when it is read. */
static void walks_folders_and_links(void **state) {
    mkdir(scratch("walk"), 0700);
    mkdir(scratch("walk/b"), 0700);
    mkdir(scratch("walk/b/c"), 0700);
    write_file("walk/a.bin", "\5\6\11", 3);
    write_file("walk/b/c/d.bin", "\11", 1);
    write_file("walk/b/.d.bin", "x", 1);
    write_file("walk/b/e.txt", "x", 1);
    assert_int_equal(symlink("..", scratch("walk/b/up")), 0);
    assert_int_equal(symlink("../c", scratch("walk/b/c/self")), 0);
    assert_int_equal(symlink("b/c", scratch("walk/a")), 0);
    assert_int_equal(symlink("nowhere", scratch("walk/z.bin")), 0);
    lm_entries *entries;
    CHECK_OK(lm_entries_open(scratch("walk"), is_wanted, MEMORY, &entries));
    static const char *const names[] = {"a.bin", "a/d.bin", "b/c/d.bin", "z.bin"};
    assert_int_equal(lm_entries_count(entries), 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(lm_entries_name(entries, i), names[i]);
    check_bytes(entries, 0);
    void *bytes;
    size_t size;
    CHECK_FAILS(lm_entries_read(entries, 3, &bytes, &size), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "z.bin: cannot open"));
    assert_int_equal(truncate(scratch("walk/a.bin"), 1), 0);
    CHECK_FAILS(lm_entries_read(entries, 0, &bytes, &size), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "a.bin: ends early"));
    lm_entries_free(entries);
}

static void refuses_folders_too_deep(void **state) {
    char path[256];
    snprintf(path, sizeof path, "%s", scratch("deep"));
    for (int i = 0; i < 17; i++) {
        assert_int_equal(mkdir(path, 0700), 0);
        strcat(path, "/d");
    }
    lm_entries *entries;
    CHECK_FAILS(lm_entries_open(scratch("deep"), is_wanted, MEMORY, &entries), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "more than 16 folders deep"));
    CHECK_FAILS(lm_entries_open(scratch("nothing"), is_wanted, MEMORY, &entries),
                LM_NOT_FOUND);
    write_file("text", "some text", 9);
    CHECK_FAILS(lm_entries_open(scratch("text"), is_wanted, MEMORY, &entries), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "expected a folder, a zip or a tar"));
}

static void limits_what_is_held_in_memory(void **state) {
    lm_entries *entries;
    lm_status status =
        lm_entries_open(golden("files-pax.tar.gz"), is_wanted, 3000, &entries);
    assert_int_equal(status, LM_UNSUPPORTED);
    assert_non_null(strstr(lm_message(), "unpack it first") ||
                            strstr(lm_message(), "libarchive-dev")
                        ? lm_message()
                        : NULL);
}

/* Reads all that can be read of a damaged archive; nothing may crash or leak. */
static void read_all(const char *path) {
    lm_entries *entries;
    if (lm_entries_open(path, is_wanted, MEMORY, &entries) != LM_OK) return;
    for (int64_t i = 0; i < lm_entries_count(entries); i++) {
        void *bytes;
        size_t size;
        if (lm_entries_read(entries, i, &bytes, &size) == LM_OK) lm_free(bytes);
    }
    lm_entries_free(entries);
}

static void survives_damage(void **state) {
    static const char *const names[] = {"files.zip", "files-64.zip", "files-pax.tar",
                                        "files-gnu.tar"};
    int64_t held = lm_mem_get_stats().bytes;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t *bytes;
        size_t size;
        CHECK_OK(lm_file_read(golden(names[i]), 1 << 20, (void **)&bytes, &size));
        for (size_t at = 0; at < size; at += size / 300 + 1) {
            bytes[at] ^= 0xff;
            write_file("damaged", bytes, size);
            read_all(scratch("damaged"));
            bytes[at] ^= 0xff;
            write_file("damaged", bytes, at);
            read_all(scratch("damaged"));
        }
        lm_free(bytes);
    }
    assert_int_equal(lm_mem_get_stats().bytes, held);
}

/* Overwrites `size` bytes of a copy of files.zip, so many before the last `name`. */
static void write_forged_zip(const char *name, size_t before, const void *to,
                             size_t size) {
    uint8_t *bytes, *found = NULL;
    size_t all;
    CHECK_OK(lm_file_read(golden("files.zip"), 1 << 20, (void **)&bytes, &all));
    for (size_t i = 0; i + strlen(name) <= all; i++)
        if (memcmp(bytes + i, name, strlen(name)) == 0) found = bytes + i;
    assert_non_null(found);
    memcpy(found - before, to, size);
    write_file("forged.zip", bytes, all);
    lm_free(bytes);
}

static void check_first_fails(lm_status expected, const char *message) {
    lm_entries *entries;
    void *bytes;
    size_t size;
    lm_status status =
        lm_entries_open(scratch("forged.zip"), is_wanted, MEMORY, &entries);
    if (status == LM_OK) status = lm_entries_read(entries, 0, &bytes, &size);
    assert_int_equal(status, expected);
    if (!strstr(lm_message(), message)) fail_msg("%s", lm_message());
    lm_entries_free(entries);
}

/* In front of a name in the directory are 46 bytes: flags at 8, method at 10, checksum at
 * 16, packed size at 20, size at 24, offset at 42. */
static void names_what_is_wrong_with_a_zip(void **state) {
    const struct {
        size_t at;
        uint8_t bytes[4];
        int size;
        lm_status status;
        const char *message;
    } cases[] = {
        {8, {1}, 1, LM_UNSUPPORTED, "forged.zip: a.bin: encrypted, or"},
        {10, {12}, 1, LM_UNSUPPORTED, "usual one (12)"},
        {16, {9}, 1, LM_FORMAT, "a.bin: broken data: its checksum"},
        {24, {0, 0, 0, 0x70}, 4, LM_FORMAT, "cannot be packed in 5"},
        {24, {200}, 1, LM_FORMAT, "a.bin: broken data"},
        {20, {0, 16}, 2, LM_FORMAT, "a.bin does not lie in it, or not alone"},
        {42, {0xff, 0xff, 0xff, 0x7f}, 4, LM_FORMAT, "a.bin does not lie in it"},
        {42, {1}, 1, LM_FORMAT, "a.bin: not where the zip says it is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_forged_zip("./a.bin", 46 - cases[i].at, cases[i].bytes,
                         (size_t)cases[i].size);
        check_first_fails(cases[i].status, cases[i].message);
    }
}

static void fails_cleanly_without_memory(void **state) {
    static const char *const names[] = {"files.zip", "files-pax.tar"};
    for (int i = 0; i < 2; i++) {
        int64_t held = lm_mem_get_stats().bytes;
        lm_status status = LM_NOMEM;
        for (int64_t n = 1; status == LM_NOMEM; n++) {
            lm_entries *entries;
            lm_mem_fail_at(n, 0);
            status = lm_entries_open(golden(names[i]), is_wanted, MEMORY, &entries);
            lm_mem_fail_at(0, 0);
            lm_entries_free(entries);
            assert_int_equal(lm_mem_get_stats().bytes, held);
        }
        CHECK_OK(status);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_python_packs),
        cmocka_unit_test(walks_folders_and_links),
        cmocka_unit_test(refuses_folders_too_deep),
        cmocka_unit_test(limits_what_is_held_in_memory),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(names_what_is_wrong_with_a_zip),
        cmocka_unit_test(fails_cleanly_without_memory),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
