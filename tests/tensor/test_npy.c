/* .npy files: round trips, NumPy's own bytes, and files that lie. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "tensor/npy.h"

/* An npy image of a version, a dictionary and some zero bytes of data. */
static size_t build(unsigned char *to, int major, const char *header, size_t data) {
    size_t length = strlen(header), at = 0;
    memcpy(to, "\x93NUMPY", 6);
    to[6] = (unsigned char)major, to[7] = 0;
    for (at = 8; at < (major == 1 ? 10u : 12u); at++)
        to[at] = (unsigned char)(length >> 8 * (at - 8));
    memcpy(to + at, header, length);
    memset(to + at + length, 0, data);
    return at + length + data;
}

static void check_round_trip(lm_dtype dtype, lm_shape shape) {
    lm_tensor out, in;
    CHECK_OK(lm_tensor_init(&out, dtype, shape));
    size_t bytes = lm_tensor_bytes(&out);
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)out.data)[i] = (unsigned char)(i * 37 + 1);
    CHECK_OK(lm_npy_write(scratch("a.npy"), dtype, shape, out.data));
    CHECK_OK(lm_npy_read(scratch("a.npy"), &in));
    assert_int_equal(in.dtype, dtype);
    assert_true(lm_shape_equal(in.shape, shape));
    assert_memory_equal(in.data, out.data, bytes);
    lm_tensor_release(&in);
    lm_tensor_release(&out);
    void *image;
    size_t size;
    CHECK_OK(lm_file_read(scratch("a.npy"), 1 << 20, &image, &size));
    assert_int_equal((size - bytes) % 64, 0);
    lm_free(image);
}

static void test_round_trips(void **state) {
    const lm_shape shapes[] = {LM_SCALAR,          LM_SHAPE(1),
                               LM_SHAPE(0),        LM_SHAPE(7),
                               LM_SHAPE(3, 5),     LM_SHAPE(2, 0, 3),
                               LM_SHAPE(1, 13, 1), LM_SHAPE(2, 1, 3, 1, 2, 5)};
    for (int d = 0; d < LM_DTYPE_COUNT; d++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            if (d != LM_BF16) check_round_trip((lm_dtype)d, shapes[s]);
    CHECK_FAILS(lm_npy_write(scratch("b.npy"), LM_BF16, LM_SHAPE(1), "xx"),
                LM_UNSUPPORTED);
    CHECK_FAILS(lm_npy_write(scratch("b.npy"), LM_F32, LM_SHAPE(-1), ""), LM_ARG);
    assert_false(lm_file_exists(scratch("b.npy")));
}

/* What np.save writes for np.arange(6, dtype='<i4').reshape(2, 3). */
static void test_bytes_are_those_of_numpy(void **state) {
    unsigned char wanted[128 + 24];
    char header[119];
    snprintf(header, sizeof header, "%-117s\n",
             "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }");
    build(wanted, 1, header, 24);
    const int32_t data[6] = {0, 1, 2, 3, 4, 5};
    for (int i = 0; i < 6; i++) wanted[128 + 4 * i] = (unsigned char)i;
    CHECK_OK(lm_npy_write(scratch("a.npy"), LM_I32, LM_SHAPE(2, 3), data));
    void *image;
    size_t size;
    CHECK_OK(lm_file_read(scratch("a.npy"), 1 << 20, &image, &size));
    assert_int_equal(size, sizeof wanted);
    assert_memory_equal(image, wanted, sizeof wanted);
    lm_free(image);
}

static void test_accepted_spellings(void **state) {
    static const struct {
        int major;
        const char *header;
        size_t data;
        lm_dtype dtype;
        int rank;
    } cases[] = {
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", 12, LM_F32, 1},
        {2, "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}", 16, LM_F64, 2},
        {3, "{\"shape\":(),\"descr\":\"|u1\",\"fortran_order\":False}", 1, LM_U8, 0},
        {1, "{'descr':'|b1','fortran_order':True,'shape':(2,)}  ", 2, LM_U8, 1},
        {1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2L, 1L), }", 16, LM_I64,
         2},
    };
    unsigned char image[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = build(image, cases[i].major, cases[i].header, cases[i].data);
        lm_tensor tensor;
        CHECK_OK(lm_npy_parse(image, size, "t", &tensor));
        assert_int_equal(tensor.dtype, cases[i].dtype);
        assert_int_equal(tensor.shape.rank, cases[i].rank);
        lm_tensor_release(&tensor);
    }
}

static void test_malformed(void **state) {
#define HEAD "{'descr': '<f4', 'fortran_order': False, 'shape': "
    static const struct {
        int major;
        const char *header;
        size_t data;
        lm_status status;
        const char *message;
    } cases[] = {
        {4, HEAD "(3,)}", 12, LM_UNSUPPORTED, "npy version 4.0"},
        {0, HEAD "(3,)}", 12, LM_UNSUPPORTED, "npy version 0.0"},
        {1, HEAD "(3,)}", 11, LM_FORMAT, "f32 [3] takes 12 bytes, the file has 11"},
        {1, HEAD "(3,)}", 13, LM_FORMAT, "f32 [3] takes 12 bytes, the file has 13"},
        {1, HEAD "(3,)", 12, LM_FORMAT, "a comma or } after a value"},
        {1, HEAD "(3,)}x", 12, LM_FORMAT, "then nothing"},
        {1, HEAD "(3 4)}", 48, LM_FORMAT, "a comma or ) after a dimension"},
        {1, HEAD "(-3,)}", 12, LM_FORMAT, "a dimension"},
        {1, HEAD "(,)}", 12, LM_FORMAT, "a dimension"},
        {1, HEAD "(3,", 12, LM_FORMAT, "a dimension"},
        {1, HEAD "3}", 12, LM_FORMAT, "a shape"},
        {1, HEAD "(99999999999999999999,)}", 12, LM_FORMAT, "a dimension is too large"},
        {1, HEAD "(9223372036854775807,)}", 12, LM_FORMAT, "too large"},
        {1, HEAD "(4294967296,4294967296,0,4294967296)}", 1, LM_FORMAT, "takes 0 bytes"},
        {1, HEAD "(4611686018427387904,4)}", 16, LM_FORMAT, "too large"},
        {1, HEAD "(1,1,1,1,1,1,1)}", 4, LM_FORMAT, "more than 6 dimensions"},
        {1, HEAD "(3,),'shape':(3,)}", 12, LM_FORMAT, "descr, fortran_order, shape once"},
        {1, HEAD "(3,),'other':3}", 12, LM_FORMAT, "descr, fortran_order, shape once"},
        {1, "{'descr': '<f4', 'shape': (3,)}", 12, LM_FORMAT, "fortran_order and shape"},
        {1, "{'descr': '>f4', 'fortran_order': False, 'shape': (3,)}", 12, LM_UNSUPPORTED,
         "type '>f4'"},
        {1, "{'descr': '<U4', 'fortran_order': False, 'shape': (3,)}", 12, LM_UNSUPPORTED,
         "type '<U4'"},
        {1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", 12,
         LM_FORMAT, "a string"},
        {1, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,)}", 12, LM_FORMAT,
         "True or False"},
        {1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 1)}", 12,
         LM_UNSUPPORTED, "Fortran order"},
        {1, "{'a-key-that-goes-on-and-on': 1}", 0, LM_FORMAT, "a short string"},
        {1, "{'descr", 0, LM_FORMAT, "a short string"},
        {1, "{descr: 1}", 0, LM_FORMAT, "a string"},
        {1, "{'descr' '<f4'}", 0, LM_FORMAT, "a colon after a key"},
        {1, "[]", 0, LM_FORMAT, "a dictionary"},
        {1, "", 0, LM_FORMAT, "a dictionary"},
        {1, "{}", 0, LM_FORMAT, "descr, fortran_order and shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char image[256];
        lm_tensor tensor;
        size_t size = build(image, cases[i].major, cases[i].header, cases[i].data);
        unsigned char *exact = lm_alloc(size); /* so that a sanitizer sees overruns */
        memcpy(exact, image, size);
        CHECK_FAILS(lm_npy_parse(exact, size, "bad.npy", &tensor), cases[i].status);
        assert_int_equal(strncmp(lm_message(), "bad.npy: ", 9), 0);
        if (!strstr(lm_message(), cases[i].message))
            fail_msg("case %zu says '%s'", i, lm_message());
        assert_null(tensor.data);
        lm_free(exact);
    }
#undef HEAD
}

/* Every truncation must fail, and no change of one byte may crash. */
static void test_cut_and_changed_bytes(void **state) {
    unsigned char image[256];
    lm_tensor tensor;
    size_t size = build(
        image, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", 24);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = lm_alloc(cut);
        memcpy(part, image, cut);
        CHECK_FAILS(lm_npy_parse(part, cut, "t", &tensor), LM_FORMAT);
        lm_free(part);
    }
    for (size_t at = 0; at < size; at++) {
        unsigned char kept = image[at];
        for (int value = 0; value < 256; value++) {
            image[at] = (unsigned char)value;
            if (lm_npy_parse(image, size, "t", &tensor) == LM_OK)
                lm_tensor_release(&tensor);
        }
        image[at] = kept;
    }
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_failed_writes_keep_the_old_file(void **state) {
    static float data[1000];
    data[0] = 1;
    CHECK_OK(lm_npy_write(scratch("a.npy"), LM_F32, LM_SHAPE(5), data));
    disk_is_full_at(2000);
    lm_status status = lm_npy_write(scratch("a.npy"), LM_F32, LM_SHAPE(1000), data);
    disk_has_room();
    CHECK_FAILS(status, LM_IO);
    assert_non_null(strstr(lm_message(), "/a.npy: cannot write: "));
    lm_tensor tensor;
    CHECK_OK(lm_npy_read(scratch("a.npy"), &tensor));
    assert_int_equal(lm_shape_count(tensor.shape), 5);
    lm_tensor_release(&tensor);
    CHECK_FAILS(lm_npy_read(scratch("absent.npy"), &tensor), LM_NOT_FOUND);
}

static void test_out_of_memory_leaks_nothing(void **state) {
    static const float data[3] = {1, 2, 3};
    lm_tensor tensor;
    lm_status status = LM_NOMEM;
    int64_t n = 0;
    while (status == LM_NOMEM) {
        lm_mem_fail_at(++n, 0);
        status = lm_npy_write(scratch("a.npy"), LM_F32, LM_SHAPE(3), data);
        if (status == LM_OK) status = lm_npy_read(scratch("a.npy"), &tensor);
        lm_mem_fail_at(0, 0);
        if (status == LM_OK) lm_tensor_release(&tensor);
        assert_int_equal(lm_mem_get_stats().blocks, 0);
    }
    assert_int_equal(status, LM_OK);
    assert_true(n > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_bytes_are_those_of_numpy),
        cmocka_unit_test(test_accepted_spellings),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_cut_and_changed_bytes),
        cmocka_unit_test(test_failed_writes_keep_the_old_file),
        cmocka_unit_test(test_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests_name("npy", tests, scratch_begin, scratch_end);
}
