/* npy files that are mapped, and that grow, stop anywhere, and are continued. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/npy.h"

#include <sys/stat.h>

static const lm_shape row_shape = {2, {2, 3}};

static void fill(uint8_t *rows, int first, int count) {
    for (int i = 0; i < 6 * count; i++) rows[i] = (uint8_t)(6 * first + i);
}

static void put_rows(lm_npy_stream *stream, int first, int count) {
    uint8_t rows[600];
    fill(rows, first, count);
    CHECK_OK(lm_npy_stream_put(stream, rows, count));
}

static int64_t count_rows(const char *name) {
    int64_t rows = -1;
    CHECK_OK(lm_npy_stream_rows(scratch(name), LM_U8, row_shape, &rows));
    return rows;
}

static void check_whole(const char *name, int count) {
    lm_npy_map map;
    uint8_t wanted[600];
    fill(wanted, 0, count);
    CHECK_OK(lm_npy_map_open(scratch(name), &map));
    assert_int_equal(map.view.dtype, LM_U8);
    assert_true(lm_shape_equal(map.view.shape, LM_SHAPE(count, 2, 3)));
    assert_int_equal((uintptr_t)map.view.data % 64, 0);
    assert_memory_equal(map.view.data, wanted, (size_t)count * 6);
    lm_npy_map_close(&map);
    assert_null(map.bytes);
    lm_npy_map_close(&map);
}

/* The same bytes as NumPy's, but for the header's room (test_npy.c holds those). */
static void test_a_stream_equals_a_write(void **state) {
    lm_npy_stream stream;
    uint8_t all[60];
    fill(all, 0, 10);
    CHECK_OK(lm_npy_stream_open(&stream, scratch("a.npy"), LM_U8, row_shape, 0));
    put_rows(&stream, 0, 3);
    CHECK_OK(lm_npy_stream_sync(&stream));
    put_rows(&stream, 3, 7);
    CHECK_OK(lm_npy_stream_close(&stream));
    CHECK_OK(lm_npy_stream_close(&stream));
    check_whole("a.npy", 10);
    CHECK_OK(lm_npy_write(scratch("b.npy"), LM_U8, LM_SHAPE(10, 2, 3), all));
    void *a, *b;
    size_t size_a, size_b;
    CHECK_OK(lm_file_read(scratch("a.npy"), 1000, &a, &size_a));
    CHECK_OK(lm_file_read(scratch("b.npy"), 1000, &b, &size_b));
    assert_int_equal(size_a, size_b);
    assert_memory_equal(a, b, size_a);
    lm_free(a);
    lm_free(b);
}

static void test_labels(void **state) {
    lm_npy_stream stream;
    lm_tensor read;
    const int32_t labels[4] = {7, -1, 100000, 0};
    CHECK_OK(lm_npy_stream_open(&stream, scratch("l.npy"), LM_I32, LM_SCALAR, 0));
    CHECK_OK(lm_npy_stream_put(&stream, labels, 4));
    CHECK_OK(lm_npy_stream_close(&stream));
    CHECK_OK(lm_npy_read(scratch("l.npy"), &read));
    assert_true(read.dtype == LM_I32 && lm_shape_equal(read.shape, LM_SHAPE(4)));
    assert_memory_equal(read.data, labels, sizeof labels);
    lm_tensor_release(&read);
}

/* Wherever the file ends, it is refused as a whole and can be continued. */
static void test_continues_after_any_cut(void **state) {
    enum { HEADER = 128, ROW = 6, SIZE = HEADER + 5 * ROW };
    for (int cut = 0; cut <= SIZE; cut++) {
        lm_npy_stream stream;
        lm_npy_map map;
        CHECK_OK(lm_npy_stream_open(&stream, scratch("c.npy"), LM_U8, row_shape, 0));
        put_rows(&stream, 0, 5);
        lm_npy_stream_leave(&stream);
        assert_int_equal(truncate(scratch("c.npy"), cut), 0);
        int64_t rows = count_rows("c.npy");
        assert_int_equal(rows, cut < HEADER ? 0 : (cut - HEADER) / ROW);
        if (cut > HEADER) CHECK_FAILS(lm_npy_map_open(scratch("c.npy"), &map), LM_FORMAT);
        CHECK_OK(lm_npy_stream_open(&stream, scratch("c.npy"), LM_U8, row_shape, rows));
        put_rows(&stream, (int)rows, 8 - (int)rows);
        CHECK_OK(lm_npy_stream_close(&stream));
        check_whole("c.npy", 8);
    }
}

/* A finished file is continued, too, and what lies behind the kept rows is gone. */
static void test_keeps_what_is_asked(void **state) {
    lm_npy_stream stream;
    CHECK_OK(lm_npy_stream_open(&stream, scratch("k.npy"), LM_U8, row_shape, 0));
    put_rows(&stream, 0, 9);
    CHECK_OK(lm_npy_stream_close(&stream));
    CHECK_OK(lm_npy_stream_open(&stream, scratch("k.npy"), LM_U8, row_shape, 4));
    CHECK_OK(lm_npy_stream_close(&stream));
    check_whole("k.npy", 4);
    CHECK_FAILS(lm_npy_stream_open(&stream, scratch("k.npy"), LM_U8, row_shape, 5),
                LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "has 4 rows, cannot go on behind row 5"));
    check_whole("k.npy", 4);
    assert_int_equal(count_rows("absent.npy"), 0);
}

static void test_other_files_are_kept(void **state) {
    lm_npy_stream stream;
    int64_t rows;
    const char *path = scratch("o.npy");
    const float data[6] = {0};
    CHECK_OK(lm_npy_write(path, LM_F32, LM_SHAPE(1, 2, 3), data));
    CHECK_FAILS(lm_npy_stream_rows(path, LM_U8, row_shape, &rows), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "holds f32 [0,2,3], expected u8 [0,2,3]"));
    CHECK_FAILS(lm_npy_stream_open(&stream, path, LM_U8, row_shape, 1), LM_MISMATCH);
    CHECK_FAILS(lm_npy_stream_rows(path, LM_F32, LM_SHAPE(3, 2), &rows), LM_MISMATCH);
    lm_tensor read;
    CHECK_OK(lm_npy_read(path, &read));
    lm_tensor_release(&read);
    FILE *file = fopen(path, "wb");
    for (int i = 0; i < 200; i++) fputc('x', file);
    fclose(file);
    CHECK_FAILS(lm_npy_stream_rows(path, LM_U8, row_shape, &rows), LM_FORMAT);
    CHECK_FAILS(lm_npy_stream_open(&stream, path, LM_U8, row_shape, 1), LM_FORMAT);
}

static void test_wrong_use(void **state) {
    lm_npy_stream stream;
    const char *path = scratch("w.npy");
    CHECK_FAILS(lm_npy_stream_open(&stream, path, LM_BF16, row_shape, 0), LM_ARG);
    CHECK_FAILS(lm_npy_stream_open(&stream, path, LM_U8, LM_SHAPE(2, 0), 0), LM_ARG);
    CHECK_FAILS(lm_npy_stream_open(&stream, path, LM_U8, LM_SHAPE(1, 1, 1, 1, 1, 1), 0),
                LM_ARG);
    assert_false(lm_file_exists(path));
    CHECK_FAILS(lm_npy_stream_open(&stream, path, LM_U8, row_shape, -1), LM_MISMATCH);
    CHECK_FAILS(lm_npy_stream_open(&stream, scratch("no/w.npy"), LM_U8, row_shape, 0),
                LM_IO);
    CHECK_FAILS(lm_npy_stream_open(&stream, scratch_folder, LM_U8, row_shape, 0), LM_IO);
}

/* What did fit is kept for the next attempt. */
static void test_full_disk(void **state) {
    lm_npy_stream stream;
    static uint8_t rows[6 * 4000];
    CHECK_OK(lm_npy_stream_open(&stream, scratch("f.npy"), LM_U8, row_shape, 0));
    disk_is_full_at(5000);
    lm_status status = lm_npy_stream_put(&stream, rows, 4000);
    if (status == LM_OK) status = lm_npy_stream_close(&stream);
    disk_has_room();
    lm_npy_stream_leave(&stream);
    CHECK_FAILS(status, LM_IO);
    assert_non_null(strstr(lm_message(), "/f.npy: cannot write: "));
    assert_in_range(count_rows("f.npy"), 1, (5000 - 128) / 6);
}

static void test_out_of_memory_leaks_nothing(void **state) {
    lm_npy_stream stream;
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_npy_stream_open(&stream, scratch("m.npy"), LM_U8, row_shape, 0),
                LM_NOMEM);
    lm_mem_fail_at(0, 0);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_equals_a_write),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_continues_after_any_cut),
        cmocka_unit_test(test_keeps_what_is_asked),
        cmocka_unit_test(test_other_files_are_kept),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests_name("npy_stream", tests, scratch_begin, scratch_end);
}
