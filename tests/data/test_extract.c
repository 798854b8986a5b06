/* Unpacking: archives that are what they should be, and archives made to do harm. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/extract.h"

#include <fcntl.h>
#include <sys/stat.h>

#define LIMIT 1000000

static void test_names(void **state) {
    static const char *const good[] = {"a",     "a/b", "./a",   "a/./b",
                                       "a//b",  "a/",  "..a/b", "a../..b/",
                                       "a/...", "ä/ö", "-rf",   "~"};
    static const char *const bad[] = {"",        "/",    "/etc/passwd", "..",     "../a",
                                      "a/../b",  "a/..", "./../a",      "a\\b",   "..\\a",
                                      "a//../b", "a\nb", "a\x7f",       "\x1b[2J"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!lm_archive_name_is_safe(good[i])) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (lm_archive_name_is_safe(bad[i])) fail_msg("accepted: %s", bad[i]);
    char longest[2000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_false(lm_archive_name_is_safe(longest));
    longest[1023] = '\0';
    assert_true(lm_archive_name_is_safe(longest));
}

#ifdef LM_HAVE_ARCHIVE

#include <archive.h>
#include <archive_entry.h>

/* ---- making archives --------------------------------------------------------- */

static struct archive *making;

static void begin_archive(const char *name, bool zip) {
    making = archive_write_new();
    if (zip)
        archive_write_set_format_zip(making);
    else {
        archive_write_add_filter_gzip(making);
        archive_write_set_format_pax_restricted(making);
    }
    assert_int_equal(archive_write_open_filename(making, scratch(name)), ARCHIVE_OK);
}

static void end_archive(void) {
    assert_int_equal(archive_write_close(making), ARCHIVE_OK);
    archive_write_free(making);
}

static void add(const char *name, mode_t kind, const char *link, const void *bytes,
                size_t size) {
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, kind);
    archive_entry_set_perm(entry, 04777);
    archive_entry_set_size(entry, (int64_t)size);
    if (link && kind == AE_IFLNK)
        archive_entry_set_symlink(entry, link);
    else if (link)
        archive_entry_set_hardlink(entry, link);
    assert_int_equal(archive_write_header(making, entry), ARCHIVE_OK);
    archive_entry_free(entry);
    if (size) assert_int_equal(archive_write_data(making, bytes, size), size);
}

static void add_file(const char *name, const char *text) {
    add(name, AE_IFREG, NULL, text, strlen(text));
}

/* A set/ with a file, and then something else. */
static void make_with(const char *name, mode_t kind, const char *link) {
    begin_archive("a.tar.gz", false);
    add_file("set/a", "good");
    add(name, kind, link, "bad", link || kind != AE_IFREG ? 0 : 3);
    end_archive();
}

/* ---- the rig ----------------------------------------------------------------- */

static lm_status extract(const char *archive) {
    return lm_archive_extract(scratch(archive), scratch("out"), "set", LIMIT, NULL, NULL);
}

/* Nothing may lie in the target, and nothing beside it but the archive. */
static void check_nothing_was_written(void) {
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(scratch("out"), NULL, &names, &count));
    assert_int_equal(count, 0);
    lm_names_free(names, count);
    CHECK_OK(lm_list_folder(scratch_folder, NULL, &names, &count));
    assert_int_equal(count, 2);
    lm_names_free(names, count);
}

static void check_refused(const char *words) {
    CHECK_FAILS(extract("a.tar.gz"), LM_FORMAT);
    if (!strstr(lm_message(), words)) fail_msg("no '%s' in: %s", words, lm_message());
    check_nothing_was_written();
}

static void check_text(const char *name, const char *text) {
    void *bytes;
    size_t size;
    CHECK_OK(lm_file_read(scratch(name), LIMIT, &bytes, &size));
    assert_string_equal(bytes, text);
    lm_free(bytes);
}

static int set_up(void **state) {
    return scratch_begin(state) || mkdir(scratch("out"), 0700);
}

/* ---- good archives ----------------------------------------------------------- */

static void fill(bool zip) {
    begin_archive("a", zip);
    add("set/", AE_IFDIR, NULL, NULL, 0);
    add_file("set/a", "one");
    add_file("./set/deep/er/b", "two");
    add_file("beside", "three");
    end_archive();
}

static void test_an_archive_is_unpacked(void **state) {
    for (int zip = 0; zip < 2; zip++) {
        fill(zip);
        CHECK_OK(extract("a"));
        check_text("out/set/a", "one");
        check_text("out/set/deep/er/b", "two");
        assert_false(lm_file_exists(scratch("out/beside")));
        assert_false(lm_file_exists(scratch("out/.set.unpacking")));
        struct stat info;
        assert_int_equal(stat(scratch("out/set/a"), &info), 0);
        assert_int_equal(info.st_mode & 07111,
                         0); /* rights are ours, not the archive's */
        assert_int_equal(rename(scratch("out/set"), scratch(zip ? "1" : "0")), 0);
    }
}

static void test_what_a_killed_run_left_is_no_hindrance(void **state) {
    CHECK_OK(lm_make_folders(scratch("out/.set.unpacking/set")));
    assert_int_equal(symlink("/", scratch("out/.set.unpacking/set/a")), 0);
    fill(false);
    CHECK_OK(extract("a"));
    check_text("out/set/a", "one");
}

static bool stop_late(void *user, int64_t done, int64_t total) {
    assert_true(done >= 0 && total > 0);
    return ++*(int *)user < 2;
}

static void test_it_can_be_stopped(void **state) {
    int calls = 0;
    begin_archive("a.tar.gz", false);
    add_file("set/a", "one");
    add_file("set/b", "two");
    end_archive();
    CHECK_FAILS(lm_archive_extract(scratch("a.tar.gz"), scratch("out"), "set", LIMIT,
                                   stop_late, &calls),
                LM_INTERRUPTED);
    check_nothing_was_written();
}

/* ---- bad archives ------------------------------------------------------------ */

static void test_names_that_lead_out(void **state) {
    static const char *const names[] = {"../evil", "set/../../evil", "/tmp/limn-evil",
                                        "set\\evil"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        make_with(names[i], AE_IFREG, NULL);
        check_refused("could lie outside");
    }
    assert_false(lm_file_exists("/tmp/limn-evil"));
}

static void test_links_and_devices(void **state) {
    make_with("set/l", AE_IFLNK, "/etc");
    check_refused("set/l is a link or a device");
    make_with("set/l", AE_IFLNK, "a"); /* within, but there is no need for any */
    check_refused("set/l is a link");
    make_with("set/l", AE_IFREG, "/etc/passwd");
    check_refused("set/l is a link");
    make_with("set/l", AE_IFIFO, NULL);
    check_refused("set/l is a link or a device");
}

/* A link to a folder outside, then a file in it: the classic. */
static void test_a_file_through_a_link(void **state) {
    begin_archive("a.tar.gz", false);
    add("set/l", AE_IFLNK, "/tmp", NULL, 0);
    add_file("set/l/limn-evil", "bad");
    end_archive();
    check_refused("link");
    assert_false(lm_file_exists("/tmp/limn-evil"));
}

static void test_two_files_of_one_name(void **state) {
    make_with("set/a", AE_IFREG, NULL);
    check_refused("holds set/a twice");
}

static void test_a_bomb(void **state) {
    char *zeros = lm_calloc(1, LIMIT);
    begin_archive("a.tar.gz", false);
    add("set/a", AE_IFREG, NULL, zeros, LIMIT / 2);
    add("set/b", AE_IFREG, NULL, zeros, LIMIT / 2 + 1);
    end_archive();
    check_refused("unpacks to more than 1000000 bytes");
    begin_archive("a.tar.gz", false);
    add("set/a", AE_IFREG, NULL, zeros, LIMIT / 2);
    add("set/b", AE_IFREG, NULL, zeros, LIMIT / 2);
    end_archive();
    CHECK_OK(extract("a.tar.gz"));
    lm_free(zeros);
}

/* A file that is one hole and a byte costs the archive nothing. */
static void add_hole(const char *name, size_t size) {
    char *zeros = lm_calloc(1, size);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (int64_t)size);
    archive_entry_sparse_add_entry(entry, (int64_t)size - 1, 1);
    assert_int_equal(archive_write_header(making, entry), ARCHIVE_OK);
    archive_entry_free(entry);
    assert_int_equal(archive_write_data(making, zeros, size), size);
    lm_free(zeros);
}

static void test_a_bomb_of_holes(void **state) {
    static const size_t sizes[][2] = {{10 * LIMIT, 1}, {LIMIT / 2, LIMIT / 2 + 1}};
    for (int i = 0; i < 2; i++) {
        begin_archive("a.tar.gz", false);
        add_hole("set/a", sizes[i][0]);
        add_hole("set/b", sizes[i][1]);
        end_archive();
        struct stat info;
        assert_int_equal(stat(scratch("a.tar.gz"), &info), 0);
        assert_true(info.st_size < 2000);
        check_refused("unpacks to more than 1000000 bytes");
    }
}

static void test_the_wrong_archive(void **state) {
    begin_archive("a.tar.gz", false);
    add_file("other/a", "one");
    add_file("set", "not a folder");
    end_archive();
    check_refused("holds no folder set");
    FILE *file = fopen(scratch("a.tar.gz"), "wb");
    fputs("this is no archive", file);
    fclose(file);
    check_refused("broken archive");
    assert_int_equal(remove(scratch("a.tar.gz")), 0);
    CHECK_FAILS(extract("a.tar.gz"), LM_NOT_FOUND);
}

static void test_a_truncated_archive(void **state) {
    for (int zip = 0; zip < 2; zip++) {
        begin_archive("a.tar.gz", zip);
        uint8_t noise[5000];
        for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)(i * i * 31 >> 5);
        add("set/a", AE_IFREG, NULL, noise, sizeof noise);
        end_archive();
        struct stat info;
        assert_int_equal(stat(scratch("a.tar.gz"), &info), 0);
        assert_int_equal(truncate(scratch("a.tar.gz"), info.st_size / 2), 0);
        CHECK_FAILS(extract("a.tar.gz"), LM_FORMAT);
        check_nothing_was_written();
    }
}

static void test_the_place_is_taken(void **state) {
    CHECK_OK(lm_make_folders(scratch("out/set/mine")));
    fill(false);
    CHECK_FAILS(extract("a"), LM_IO);
    assert_true(lm_is_folder(scratch("out/set/mine")));
    assert_false(lm_file_exists(scratch("out/.set.unpacking")));
}

static void test_a_full_disk(void **state) {
    begin_archive("a.tar.gz", false);
    char text[8192] = {0};
    add("set/a", AE_IFREG, NULL, text, sizeof text);
    end_archive();
    disk_is_full_at(4096);
    lm_status status = extract("a.tar.gz");
    disk_has_room();
    assert_int_equal(status, LM_IO);
    assert_non_null(strstr(lm_message(), "cannot write: File too large"));
    check_nothing_was_written();
}

static void test_memory_fails_cleanly(void **state) {
    fill(false);
    int64_t blocks = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int n = 1; status != LM_OK; n++) {
        lm_mem_fail_at(n, 0);
        status = extract("a");
        lm_mem_fail_at(0, 0);
        assert_true(status == LM_OK || status == LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
    }
    check_text("out/set/a", "one");
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, set_up, scratch_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        CASE(an_archive_is_unpacked),
        CASE(what_a_killed_run_left_is_no_hindrance),
        CASE(it_can_be_stopped),
        CASE(names_that_lead_out),
        CASE(links_and_devices),
        CASE(a_file_through_a_link),
        CASE(two_files_of_one_name),
        CASE(a_bomb),
        CASE(a_bomb_of_holes),
        CASE(the_wrong_archive),
        CASE(a_truncated_archive),
        CASE(the_place_is_taken),
        CASE(a_full_disk),
        CASE(memory_fails_cleanly),
    };
    return cmocka_run_group_tests_name("extract", tests, NULL, NULL);
}

#else

static void test_a_build_without_the_library_says_so(void **state) {
    CHECK_FAILS(
        lm_archive_extract(scratch("."), scratch_folder, "set", LIMIT, NULL, NULL),
        LM_UNSUPPORTED);
    assert_non_null(strstr(lm_message(), "install libarchive-dev"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_build_without_the_library_says_so),
    };
    return cmocka_run_group_tests_name("extract", tests, scratch_begin, scratch_end);
}

#endif
