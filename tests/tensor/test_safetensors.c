/* Safetensors: round trips, fixed bytes, and files that lie. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "tensor/philox.h"
#include "tensor/safetensors.h"

/* A file image: length, header, zero bytes of data. The caller lm_frees it; it has the
 * exact size, so that a sanitizer sees overruns. */
static unsigned char *build(const char *header, size_t length, size_t data,
                            size_t *size) {
    *size = 8 + length + data;
    unsigned char *image = lm_calloc(1, *size);
    for (int i = 0; i < 8; i++) image[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(image + 8, header, length);
    return image;
}

static void read_whole(const char *path, unsigned char **data, size_t *size) {
    void *bytes;
    CHECK_OK(lm_file_read(path, 1 << 20, &bytes, size));
    *data = bytes;
}

/* ---- round trips ------------------------------------------------------------- */

static void test_every_dtype_and_odd_shapes(void **state) {
    const lm_shape shapes[] = {
        LM_SCALAR,      LM_SHAPE(0),    LM_SHAPE(1),        LM_SHAPE(7),
        LM_SHAPE(3, 5), LM_SHAPE(0, 3), LM_SHAPE(1, 13, 1), LM_SHAPE(2, 1, 3, 1, 2, 5)};
    enum { SHAPES = sizeof shapes / sizeof *shapes, COUNT = LM_DTYPE_COUNT * SHAPES };
    static unsigned char bytes[1000];
    static char names[COUNT][32];
    lm_st_entry entries[COUNT];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 41 + 3);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "layer.%d/\"%s\"", i,
                 i % 2 ? "\xc3\xa9" : "w");
        entries[i] = (lm_st_entry){names[i], (lm_dtype)(i % LM_DTYPE_COUNT),
                                   shapes[i / LM_DTYPE_COUNT], bytes + i};
    }
    const lm_st_meta meta[] = {{"format", "pt"}, {"a \\ \n b", ""}};
    CHECK_OK(lm_safetensors_write(scratch("a"), entries, COUNT, meta, 2));
    lm_safetensors file;
    CHECK_OK(lm_safetensors_open(&file, scratch("a")));
    assert_int_equal(file.n_entries, COUNT);
    assert_int_equal(file.n_meta, 2);
    assert_string_equal(lm_safetensors_meta(&file, "format"), "pt");
    assert_string_equal(lm_safetensors_meta(&file, "a \\ \n b"), "");
    assert_null(lm_safetensors_meta(&file, "absent"));
    for (int i = 0; i < COUNT; i++) {
        const lm_st_entry *entry = lm_safetensors_find(&file, names[i]);
        assert_non_null(entry);
        assert_int_equal(entry->dtype, entries[i].dtype);
        assert_true(lm_shape_equal(entry->shape, entries[i].shape));
        size_t size = lm_dtype_size(entry->dtype);
        assert_int_equal((uintptr_t)entry->data % size, 0);
        assert_memory_equal(entry->data, entries[i].data,
                            (size_t)lm_shape_count(entry->shape) * size);
        if (i) assert_true(file.entries[i - 1].data <= file.entries[i].data);
    }
    assert_null(lm_safetensors_find(&file, "layer"));
    lm_safetensors_release(&file);
    lm_safetensors_release(&file);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_empty_files(void **state) {
    lm_safetensors file;
    CHECK_OK(lm_safetensors_write(scratch("a"), NULL, 0, NULL, 0));
    CHECK_OK(lm_safetensors_open(&file, scratch("a")));
    assert_int_equal(file.n_entries, 0);
    assert_int_equal(file.n_meta, 0);
    lm_safetensors_release(&file);
    const lm_st_meta meta = {"only", "this"};
    CHECK_OK(lm_safetensors_write(scratch("a"), NULL, 0, &meta, 1));
    CHECK_OK(lm_safetensors_open(&file, scratch("a")));
    assert_string_equal(lm_safetensors_meta(&file, "only"), "this");
    lm_safetensors_release(&file);
}

/* Larger types first, data on a 64-byte boundary, no byte left to chance. */
static void test_bytes_are_fixed(void **state) {
    const unsigned char small[3] = {1, 2, 3};
    const unsigned char large[8] = {9, 8, 7, 6, 5, 4, 3, 2};
    const lm_st_entry entries[] = {{"b", LM_U8, LM_SHAPE(3), small},
                                   {"a", LM_I64, LM_SCALAR, large}};
    const lm_st_meta meta = {"k", "v"};
    char header[185];
    snprintf(header, sizeof header, "%-184s",
             "{\"__metadata__\":{\"k\":\"v\"},"
             "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
             "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}");
    size_t size, found_size;
    unsigned char *wanted = build(header, 184, 11, &size), *found;
    memcpy(wanted + 192, large, 8);
    memcpy(wanted + 200, small, 3);
    for (int run = 0; run < 2; run++) {
        CHECK_OK(lm_safetensors_write(scratch("a"), entries, 2, &meta, 1));
        read_whole(scratch("a"), &found, &found_size);
        assert_int_equal(found_size, size);
        assert_memory_equal(found, wanted, size);
        lm_free(found);
    }
    lm_free(wanted);
}

static void test_entries_come_in_the_order_of_their_data(void **state) {
    const char *header =
        "{\"z\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},"
        "\"empty\":{\"data_offsets\":[3,3],\"shape\":[0,9],\"dtype\":\"F32\",\"new\":1},"
        "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[3,3]},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[1,1],\"data_offsets\":[5,6]},"
        "\"m\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}  ";
    static const char *const order[] = {"m", "empty", "none", "z", "a"};
    size_t size;
    unsigned char *image = build(header, strlen(header), 6, &size);
    lm_safetensors file;
    CHECK_OK(lm_safetensors_parse(&file, image, size, "t"));
    assert_int_equal(file.n_entries, 5);
    for (int i = 0; i < 5; i++) assert_string_equal(file.entries[i].name, order[i]);
    lm_safetensors_release(&file);
    lm_free(image);
}

static void test_read_converts(void **state) {
    /* One odd byte of header puts the floats at an odd address. */
    const char *header =
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";
    for (size_t pad = 0; pad < 4; pad++) {
        char padded[100];
        size_t size, length = strlen(header) + pad;
        snprintf(padded, sizeof padded, "%-*s", (int)length, header);
        unsigned char *image = build(padded, length, 16, &size);
        memcpy(image + 8 + length, (float[]){1.5f, -2, 0.1f, 300}, 16);
        lm_safetensors file;
        CHECK_OK(lm_safetensors_parse(&file, image, size, "t.st"));
        float single[4];
        double wide[4];
        uint8_t byte[4];
        const lm_shape shape = LM_SHAPE(2, 2);
        CHECK_OK(lm_safetensors_read(&file, "w", LM_F32, shape, single));
        CHECK_OK(lm_safetensors_read(&file, "w", LM_F64, shape, wide));
        CHECK_OK(lm_safetensors_read(&file, "w", LM_U8, shape, byte));
        assert_true(single[0] == 1.5f && single[2] == 0.1f && wide[2] == 0.1f);
        assert_memory_equal(byte, ((uint8_t[]){1, 0, 0, 255}), 4);
        CHECK_FAILS(lm_safetensors_read(&file, "w", LM_F32, LM_SHAPE(4), single),
                    LM_SHAPE);
        assert_string_equal(lm_message(), "t.st: tensor w: shape [2,2], expected [4]");
        CHECK_FAILS(lm_safetensors_read(&file, "v", LM_F32, shape, single), LM_NOT_FOUND);
        assert_string_equal(lm_message(), "t.st: no tensor v");
        lm_safetensors_release(&file);
        lm_free(image);
    }
}

/* ---- malformed files --------------------------------------------------------- */

#define T(dtype, shape, offsets)                                                         \
    "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data;
    const char *message;
} malformed[] = {
    /* not the JSON of a header */
    {"", 0, "does not start with {"},
    {" {}", 0, "does not start with {"},
    {"[]", 0, "does not start with {"},
    {"{", 0, "header: "},
    {"{}x", 0, "header: "},
    {"{\"a\":}", 0, "header: "},
    {"{\"a\xff\":1}", 0, "header: "},
    {"{\"a\\u0000b\":" T("\"U8\"", "[1]", "[0,1]") "}", 1, "header: "},
    {"{\"a\":" T("\"U8\"", "[1]", "[0,1]") ",\"a\":" T("\"U8\"", "[1]", "[1,2]") "}", 2,
     "duplicate object key near '\"a\"'"},
    {"{\"a\":" T("\"U8\"", "[99999999999999999999]", "[0,1]") "}", 1, "header: "},
    /* entries of the wrong sort */
    {"{\"a\":1}", 0, "tensor a: expected an object"},
    {"{\"a\":[]}", 0, "tensor a: expected an object"},
    {"{\"a\":{}}", 0, "tensor a: dtype: expected a string"},
    {"{\"a\":" T("1", "[1]", "[0,1]") "}", 1, "tensor a: dtype: expected a string"},
    {"{\"a\":" T("\"F8\"", "[1]", "[0,1]") "}", 1, "tensor a: dtype F8: not one"},
    {"{\"a\":" T("\"f32\"", "[1]", "[0,4]") "}", 4, "tensor a: dtype f32: not one"},
    {"{\"a\":" T("\"U8\"", "1", "[0,1]") "}", 1, "tensor a: shape: expected an array"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "tensor a: shape: expected"},
    {"{\"a\":" T("\"U8\"", "[1,1,1,1,1,1,1]", "[0,1]") "}", 1, "tensor a: 7 dimensions"},
    {"{\"a\":" T("\"U8\"", "[1,1.0]", "[0,1]") "}", 1, "tensor a: dimension 1: expected"},
    {"{\"a\":" T("\"U8\"", "[\"1\"]", "[0,1]") "}", 1, "tensor a: dimension 0: expected"},
    {"{\"a\":" T("\"U8\"", "[-1]", "[0,1]") "}", 1, "tensor a: dimension 0: expected"},
    {"{\"a\":" T("\"U8\"", "[-1,-1]", "[0,1]") "}", 1, "tensor a: dimension 0: expected"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1,
     "tensor a: data_offsets: expected two"},
    {"{\"a\":" T("\"U8\"", "[1]", "[0]") "}", 1, "tensor a: data_offsets: expected two"},
    {"{\"a\":" T("\"U8\"", "[1]", "[0,1,2]") "}", 1, "tensor a: data_offsets: expected"},
    {"{\"a\":" T("\"U8\"", "[1]", "[0,1.0]") "}", 1, "tensor a: data_offsets: expected"},
    {"{\"a\":" T("\"U8\"", "[1]", "{\"0\":0}") "}", 1,
     "tensor a: data_offsets: expected"},
    /* numbers that lie */
    {"{\"a\":" T("\"U8\"", "[1]", "[-1,0]") "}", 1,
     "tensor a: data_offsets -1 to 0 do not"},
    {"{\"a\":" T("\"U8\"", "[0]", "[1,0]") "}", 1,
     "tensor a: data_offsets 1 to 0 do not"},
    {"{\"a\":" T("\"U8\"", "[2]", "[0,2]") "}", 1, "do not lie in the 1 bytes of data"},
    {"{\"a\":" T("\"U8\"", "[0]", "[9223372036854775807,9223372036854775807]") "}", 1,
     "do not lie in the 1 bytes"},
    {"{\"a\":" T("\"U8\"", "[2]", "[0,1]") "}", 1,
     "u8 [2] takes 2 bytes, but data_offsets"},
    {"{\"a\":" T("\"F32\"", "[]", "[0,3]") "}", 3,
     "f32 [] takes 4 bytes, but data_offsets"},
    {"{\"a\":" T("\"F64\"", "[2305843009213693952]", "[0,0]") "}", 0, "too large"},
    {"{\"a\":" T("\"U8\"", "[4294967296,4294967296]", "[0,0]") "}", 0, "too large"},
    {"{\"a\":" T("\"U8\"", "[4294967296,2147483648,2]", "[0,0]") "}", 0, "too large"},
    /* data that is not covered exactly once */
    {"{\"a\":" T("\"U8\"", "[2]", "[0,2]") ",\"b\":" T("\"U8\"", "[2]", "[1,3]") "}", 3,
     "tensor b: overlaps tensor a"},
    {"{\"a\":" T("\"U8\"", "[2]", "[0,2]") ",\"b\":" T("\"U8\"", "[2]", "[0,2]") "}", 2,
     "tensor b: overlaps tensor a"},
    {"{\"a\":" T("\"U8\"", "[3]", "[0,3]") ",\"b\":" T("\"U8\"", "[0]", "[1,1]") "}", 3,
     "tensor b: overlaps tensor a"},
    {"{\"a\":" T("\"U8\"", "[1]", "[0,1]") ",\"b\":" T("\"U8\"", "[1]", "[3,4]") "}", 4,
     "tensor b: 2 unused bytes before it"},
    {"{\"a\":" T("\"U8\"", "[1]", "[1,2]") "}", 2, "tensor a: 1 unused bytes before it"},
    {"{\"a\":" T("\"U8\"", "[1]", "[0,1]") "}", 6, "5 bytes after the last tensor"},
    {"{}", 1, "1 bytes after the last tensor"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, "__metadata__: expected an object of strings"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ k: expected a string"},
    {"{\"__metadata__\":{\"k\":\"v\",\"k\":\"v\"}}", 0, "duplicate object key"},
};

static void test_malformed_headers(void **state) {
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        size_t size;
        const char *header = malformed[i].header;
        unsigned char *image = build(header, strlen(header), malformed[i].data, &size);
        lm_safetensors file;
        CHECK_FAILS(lm_safetensors_parse(&file, image, size, "bad.st"), LM_FORMAT);
        assert_int_equal(strncmp(lm_message(), "bad.st: ", 8), 0);
        if (!strstr(lm_message(), malformed[i].message))
            fail_msg("%s says '%s'", header, lm_message());
        assert_null(file.entries);
        lm_safetensors_release(&file);
        lm_free(image);
    }
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void check_refused(const void *image, size_t size, const char *message) {
    lm_safetensors file;
    CHECK_FAILS(lm_safetensors_parse(&file, image, size, "t"), LM_FORMAT);
    assert_string_equal(lm_message(), message);
}

static void test_malformed_lengths(void **state) {
    unsigned char image[10] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    lm_safetensors file;
    CHECK_OK(lm_safetensors_parse(&file, image, 10, "t"));
    lm_safetensors_release(&file);
    check_refused(image, 0, "t: 0 bytes, too short for a safetensors file");
    check_refused(image, 7, "t: 7 bytes, too short for a safetensors file");
    check_refused(image, 9, "t: header of 2 bytes in a file of 9: truncated?");
    image[0] = 3;
    check_refused(image, 10, "t: header of 3 bytes in a file of 10: truncated?");
    image[3] = 7;
    check_refused(image, 10,
                  "t: header of 117440515 bytes: at most 104857600 are allowed");
    memset(image, 0xff, 8);
    check_refused(
        image, 10,
        "t: header of 18446744073709551615 bytes: at most 104857600 are allowed");
    size_t size;
    unsigned char *nul = build("{\"a\0b\":1}", 10, 0, &size);
    CHECK_FAILS(lm_safetensors_parse(&file, nul, size, "t"), LM_FORMAT);
    lm_free(nul);
    char deep[4096];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    nul = build(deep, sizeof deep, 0, &size);
    CHECK_FAILS(lm_safetensors_parse(&file, nul, size, "t"), LM_FORMAT);
    lm_free(nul);
}

static void test_cut_and_changed_bytes(void **state) {
    const char *header = "{\"__metadata__\":{\"k\":\"v\"},\"a\":" T(
        "\"F32\"", "[2,1]", "[0,8]") ",\"b\":" T("\"U8\"", "[3]", "[8,11]") "}";
    size_t size;
    lm_safetensors file;
    unsigned char *image = build(header, strlen(header), 11, &size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = lm_alloc(cut);
        memcpy(part, image, cut);
        CHECK_FAILS(lm_safetensors_parse(&file, part, cut, "t"), LM_FORMAT);
        lm_free(part);
    }
    lm_rng rng = {.seed = 3};
    for (int run = 0; run < 20000; run++) {
        size_t at = lm_rng_below(&rng, (uint32_t)size);
        unsigned char kept = image[at];
        image[at] = run % 2
                        ? (unsigned char)lm_rng_below(&rng, 256)
                        : (unsigned char)"0123456789-\",:[]{}e"[lm_rng_below(&rng, 19)];
        if (lm_safetensors_parse(&file, image, size, "t") == LM_OK)
            lm_safetensors_release(&file);
        image[at] = kept;
    }
    lm_free(image);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_opening_what_is_not_there(void **state) {
    lm_safetensors file;
    CHECK_FAILS(lm_safetensors_open(&file, scratch("absent")), LM_NOT_FOUND);
    lm_safetensors_release(&file);
    CHECK_FAILS(lm_safetensors_open(&file, scratch_folder), LM_IO);
    CHECK_FAILS(lm_safetensors_open(&file, "/dev/null"), LM_IO);
    fclose(fopen(scratch("empty"), "wb"));
    CHECK_FAILS(lm_safetensors_open(&file, scratch("empty")), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "/empty: 0 bytes, too short"));
}

/* ---- writing ----------------------------------------------------------------- */

static void test_refused_writes(void **state) {
    const float data[2] = {1, 2};
    const lm_st_entry twice[] = {{"a", LM_F32, LM_SHAPE(1), data},
                                 {"b", LM_F32, LM_SHAPE(1), data},
                                 {"a", LM_F32, LM_SHAPE(2), data}};
    const lm_st_meta keys[] = {{"k", "1"}, {"k", "2"}};
    const lm_st_entry bad[] = {{"a", LM_F32, LM_SHAPE(-1), data},
                               {"a", (lm_dtype)99, LM_SHAPE(1), data},
                               {"__metadata__", LM_F32, LM_SHAPE(1), data},
                               {"\xff\xfe", LM_F32, LM_SHAPE(1), data},
                               {"a", LM_F32, LM_SHAPE(1), NULL}};
    CHECK_FAILS(lm_safetensors_write(scratch("w"), twice, 3, NULL, 0), LM_ARG);
    assert_non_null(strstr(lm_message(), "/w: two tensors are called a"));
    CHECK_FAILS(lm_safetensors_write(scratch("w"), twice, 2, keys, 2), LM_ARG);
    assert_non_null(strstr(lm_message(), "/w: two metadata keys are called k"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_safetensors_write(scratch("w"), &bad[i], 1, NULL, 0), LM_ARG);
    assert_false(lm_file_exists(scratch("w")));
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void check_kept(float wanted) {
    lm_safetensors file;
    float found;
    CHECK_OK(lm_safetensors_open(&file, scratch("kept")));
    CHECK_OK(lm_safetensors_read(&file, "w", LM_F32, LM_SHAPE(1), &found));
    assert_true(found == wanted);
    lm_safetensors_release(&file);
}

static void test_failed_writes_keep_the_old_file(void **state) {
    static float large[5000];
    const float old = 5;
    const lm_st_entry before = {"w", LM_F32, LM_SHAPE(1), &old};
    const lm_st_entry after = {"w", LM_F32, LM_SHAPE(5000), large};
    CHECK_OK(lm_safetensors_write(scratch("kept"), &before, 1, NULL, 0));
    for (rlim_t room = 0; room < 20000; room += 3333) {
        disk_is_full_at(room);
        lm_status status = lm_safetensors_write(scratch("kept"), &after, 1, NULL, 0);
        disk_has_room();
        CHECK_FAILS(status, LM_IO);
        assert_non_null(strstr(lm_message(), "/kept: cannot write: "));
        check_kept(old);
    }
}

static void test_out_of_memory_leaks_nothing(void **state) {
    const float data[2] = {1, 2};
    const lm_st_entry entries[] = {{"a", LM_F32, LM_SHAPE(1), data},
                                   {"b", LM_F32, LM_SHAPE(2), data}};
    const lm_st_meta meta = {"k", "v"};
    lm_safetensors file;
    lm_status status = LM_NOMEM;
    int64_t n = 0;
    while (status == LM_NOMEM) {
        lm_mem_fail_at(++n, 0);
        status = lm_safetensors_write(scratch("a"), entries, 2, &meta, 1);
        if (status == LM_OK) status = lm_safetensors_open(&file, scratch("a"));
        lm_mem_fail_at(0, 0);
        if (status == LM_OK) lm_safetensors_release(&file);
        assert_int_equal(lm_mem_get_stats().blocks, 0);
    }
    assert_int_equal(status, LM_OK);
    assert_true(n > 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_dtype_and_odd_shapes),
        cmocka_unit_test(test_empty_files),
        cmocka_unit_test(test_bytes_are_fixed),
        cmocka_unit_test(test_entries_come_in_the_order_of_their_data),
        cmocka_unit_test(test_read_converts),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_malformed_lengths),
        cmocka_unit_test(test_cut_and_changed_bytes),
        cmocka_unit_test(test_opening_what_is_not_there),
        cmocka_unit_test(test_refused_writes),
        cmocka_unit_test(test_failed_writes_keep_the_old_file),
        cmocka_unit_test(test_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests_name("safetensors", tests, scratch_begin, scratch_end);
}
