/* Whole reads, folders, atomic writes. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <sys/stat.h>

static void put_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void check_file(const char *path, const char *text) {
    void *data;
    size_t size;
    CHECK_OK(lm_file_read(path, 1 << 20, &data, &size));
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    lm_free(data);
}

static size_t count_files(void) {
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(scratch_folder, NULL, &names, &count));
    lm_names_free(names, count);
    return count;
}

static void test_read(void **state) {
    void *data;
    size_t size;
    put_file(scratch("read"), "hello");
    check_file(scratch("read"), "hello");
    CHECK_OK(lm_file_read(scratch("read"), 5, &data, &size));
    lm_free(data);
    CHECK_FAILS(lm_file_read(scratch("read"), 4, &data, &size), LM_FORMAT);
    assert_null(data);
    put_file(scratch("empty"), "");
    check_file(scratch("empty"), "");
    CHECK_FAILS(lm_file_read(scratch("absent"), 9, &data, &size), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "/absent: cannot open: No such file"));
    CHECK_FAILS(lm_file_read(scratch_folder, 9, &data, &size), LM_IO);
    CHECK_OK(lm_file_read("/proc/self/status", 1 << 20, &data, &size));
    assert_true(size > 100);
    lm_free(data);
    CHECK_FAILS(lm_file_read("/dev/zero", 100000, &data, &size), LM_FORMAT);
}

static void test_map(void **state) {
    void *data;
    size_t size;
    put_file(scratch("map"), "mapped");
    CHECK_OK(lm_file_map(scratch("map"), &data, &size));
    assert_int_equal(size, 6);
    assert_memory_equal(data, "mapped", 6);
    lm_file_unmap(data, size);
    put_file(scratch("map"), "");
    CHECK_OK(lm_file_map(scratch("map"), &data, &size));
    assert_null(data);
    lm_file_unmap(data, size);
    CHECK_FAILS(lm_file_map("/dev/null", &data, &size), LM_IO);
    CHECK_FAILS(lm_file_map(scratch("absent"), &data, &size), LM_NOT_FOUND);
}

static void test_folders(void **state) {
    assert_false(lm_is_folder(scratch("a")));
    CHECK_OK(lm_make_folders(scratch("a/b//c/")));
    assert_true(lm_is_folder(scratch("a/b/c")));
    assert_true(lm_file_exists(scratch("a/b")));
    CHECK_OK(lm_make_folders(scratch("a/b")));
    CHECK_OK(lm_make_folders("/"));
    put_file(scratch("a/file"), "");
    assert_false(lm_is_folder(scratch("a/file")));
    CHECK_FAILS(lm_make_folders(scratch("a/file/below")), LM_IO);
    char *path = lm_path_join("x", "y"), *slashed = lm_path_join("x/", "y"),
         *bare = lm_path_join("", "y");
    assert_string_equal(path, "x/y");
    assert_string_equal(slashed, "x/y");
    assert_string_equal(bare, "y");
    lm_free(path);
    lm_free(slashed);
    lm_free(bare);
}

static bool ends_in_png(const char *name) {
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".png") == 0;
}

static void test_listing(void **state) {
    char **names, name[32];
    size_t count;
    CHECK_OK(lm_make_folders(scratch("list")));
    CHECK_OK(lm_list_folder(scratch("list"), NULL, &names, &count));
    assert_int_equal(count, 0);
    lm_names_free(names, count);
    for (int i = 0; i < 21; i++) {
        snprintf(name, sizeof name, "list/%02d.%s", (i * 8) % 21, i % 3 ? "png" : "txt");
        put_file(scratch(name), "");
    }
    CHECK_OK(lm_list_folder(scratch("list"), NULL, &names, &count));
    assert_int_equal(count, 21);
    for (size_t i = 1; i < count; i++) assert_true(strcmp(names[i - 1], names[i]) < 0);
    lm_names_free(names, count);
    CHECK_OK(lm_list_folder(scratch("list"), ends_in_png, &names, &count));
    assert_int_equal(count, 14);
    lm_names_free(names, count);
    CHECK_FAILS(lm_list_folder(scratch("absent"), NULL, &names, &count), LM_NOT_FOUND);
    assert_null(names);
}

static void test_listing_out_of_memory(void **state) {
    char **names;
    size_t count;
    lm_status status = LM_NOMEM;
    int64_t n = 0;
    CHECK_OK(lm_make_folders(scratch("list")));
    while (status == LM_NOMEM) {
        lm_mem_fail_at(++n, 0);
        status = lm_list_folder(scratch("list"), NULL, &names, &count);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(lm_mem_get_stats().blocks, 0);
    }
    assert_int_equal(status, LM_OK);
    lm_names_free(names, count);
}

static void test_commit_replaces(void **state) {
    lm_writer writer;
    put_file(scratch("out"), "old");
    size_t files = count_files();
    CHECK_OK(lm_writer_open(&writer, scratch("out")));
    lm_writer_put(&writer, "new ", 4);
    lm_writer_put(&writer, NULL, 0);
    lm_writer_put(&writer, "text", 4);
    check_file(scratch("out"), "old");
    assert_int_equal(count_files(), files + 1);
    CHECK_OK(lm_writer_commit(&writer));
    lm_writer_cancel(&writer);
    check_file(scratch("out"), "new text");
    assert_int_equal(count_files(), files);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_cancel_leaves_the_old_file(void **state) {
    lm_writer writer;
    put_file(scratch("out"), "old");
    size_t files = count_files();
    CHECK_OK(lm_writer_open(&writer, scratch("out")));
    lm_writer_put(&writer, "new", 3);
    lm_writer_cancel(&writer);
    lm_writer_cancel(&writer);
    check_file(scratch("out"), "old");
    assert_int_equal(count_files(), files);
}

static void test_a_full_disk_leaves_the_old_file(void **state) {
    static char block[5000];
    lm_writer writer;
    put_file(scratch("out"), "old");
    size_t files = count_files();
    for (rlim_t room = 0; room <= 10000; room += 2500) {
        disk_is_full_at(room);
        CHECK_OK(lm_writer_open(&writer, scratch("out")));
        for (int i = 0; i < 3; i++) lm_writer_put(&writer, block, sizeof block);
        lm_status status = lm_writer_commit(&writer);
        disk_has_room();
        CHECK_FAILS(status, LM_IO);
        assert_non_null(strstr(lm_message(), "/out: cannot write: File too large"));
        check_file(scratch("out"), "old");
        assert_int_equal(count_files(), files);
    }
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_no_space_has_a_clear_message(void **state) {
    lm_writer writer;
    put_file(scratch("out"), "old");
    CHECK_OK(lm_writer_open(&writer, scratch("out")));
    lm_writer_put(&writer, "lost", 4);
    writer.error = ENOSPC; /* as a write to a full disk leaves it */
    CHECK_FAILS(lm_writer_commit(&writer), LM_IO);
    assert_non_null(strstr(lm_message(), "/out: cannot write: No space left on device"));
    check_file(scratch("out"), "old");
    if (access("/dev/full", W_OK) != 0) return;
    CHECK_FAILS(lm_file_append_line("/dev/full", "x"), LM_IO);
    assert_string_equal(lm_message(), "/dev/full: cannot write: No space left on device");
}

static void test_unwritable_places(void **state) {
    lm_writer writer;
    CHECK_FAILS(lm_writer_open(&writer, scratch("absent/out")), LM_IO);
    assert_non_null(strstr(lm_message(), "/absent/out: cannot write: No such file"));
    CHECK_FAILS(lm_writer_open(&writer, scratch_folder), LM_IO);
    assert_non_null(strstr(lm_message(), "Is a directory"));
    lm_writer_cancel(&writer);
    for (int n = 1; n <= 2; n++) {
        lm_mem_fail_at(n, 0);
        CHECK_FAILS(lm_writer_open(&writer, scratch("out")), LM_NOMEM);
        lm_mem_fail_at(0, 0);
    }
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_relative_paths(void **state) {
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(scratch_folder), 0);
    lm_writer writer;
    CHECK_OK(lm_writer_open(&writer, "plain"));
    lm_writer_put(&writer, "here", 4);
    CHECK_OK(lm_writer_commit(&writer));
    check_file("plain", "here");
    assert_int_equal(chdir(before), 0);
}

static void test_names_in_paths(void **state) {
    assert_string_equal(lm_path_base("a/b.c/d.e"), "d.e");
    assert_string_equal(lm_path_base("d.e"), "d.e");
    assert_true(lm_path_ends("a/b.npy", ".npy"));
    assert_false(lm_path_ends(".npy", ".npy"));
    assert_false(lm_path_ends("npy", ".npy"));
    assert_false(lm_path_ends("a.npy.gz", ".npy"));
}

static void test_finding_in_a_folder(void **state) {
    CHECK_OK(lm_make_folders(scratch("find[1]")));
    const char *folder = scratch("find[1]"); /* no pattern, whatever it looks like */
    assert_false(lm_folder_has(folder, "b.tar"));
    assert_null(lm_folder_find(folder, "*.tar"));
    CHECK_OK(lm_file_append_line(scratch("find[1]/b.tar"), ""));
    CHECK_OK(lm_file_append_line(scratch("find[1]/a.tar"), ""));
    CHECK_OK(lm_file_append_line(scratch("find[1]/.hidden.tar"), ""));
    assert_true(lm_folder_has(folder, "b.tar"));
    char *found = lm_folder_find(folder, "*.tar");
    assert_string_equal(found, scratch("find[1]/a.tar"));
    lm_free(found);
    assert_null(lm_folder_find(folder, "*.zip"));
    assert_null(lm_folder_find(scratch("absent"), "*"));
}

static void test_append_line(void **state) {
    CHECK_OK(lm_file_append_line(scratch("log"), "one"));
    CHECK_OK(lm_file_append_line(scratch("log"), ""));
    CHECK_OK(lm_file_append_line(scratch("log"), "three"));
    check_file(scratch("log"), "one\n\nthree\n");
    disk_is_full_at(14);
    lm_status status = lm_file_append_line(scratch("log"), "does not fit");
    disk_has_room();
    CHECK_FAILS(status, LM_IO);
    check_file(scratch("log"), "one\n\nthree\n");
    CHECK_FAILS(lm_file_append_line(scratch("absent/log"), "x"), LM_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_listing),
        cmocka_unit_test(test_listing_out_of_memory),
        cmocka_unit_test(test_commit_replaces),
        cmocka_unit_test(test_cancel_leaves_the_old_file),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_no_space_has_a_clear_message),
        cmocka_unit_test(test_unwritable_places),
        cmocka_unit_test(test_relative_paths),
        cmocka_unit_test(test_names_in_paths),
        cmocka_unit_test(test_finding_in_a_folder),
        cmocka_unit_test(test_append_line),
    };
    return cmocka_run_group_tests_name("file", tests, scratch_begin, scratch_end);
}
