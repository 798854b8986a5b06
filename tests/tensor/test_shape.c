/* Dtypes, shapes, host tensors, element conversion. */
#include "testing.h"

#include "base/mem.h"
#include "tensor/philox.h"
#include "tensor/tensor.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- dtypes and shapes ------------------------------------------------------- */

static void test_dtypes(void **state) {
    static const size_t sizes[LM_DTYPE_COUNT] = {4, 8, 2, 2, 8, 4, 4, 1};
    const char *names[LM_DTYPE_COUNT] = {"f32", "f64", "bf16", "f16",
                                         "i64", "i32", "u32",  "u8"};
    for (int i = 0; i < LM_DTYPE_COUNT; i++) {
        assert_int_equal(lm_dtype_size((lm_dtype)i), sizes[i]);
        assert_string_equal(lm_dtype_name((lm_dtype)i), names[i]);
        assert_int_equal(lm_dtype_is_float((lm_dtype)i), i < 4);
    }
    assert_string_equal(lm_dtype_name(LM_DTYPE_COUNT), "unknown");
}

static void test_shapes(void **state) {
    char text[LM_SHAPE_TEXT];
    lm_shape shape = LM_SHAPE(2, 3, 5);
    assert_int_equal(shape.rank, 3);
    assert_int_equal(shape.dim[3], 0);
    assert_int_equal(lm_shape_count(shape), 30);
    assert_string_equal(lm_shape_text(shape, text), "[2,3,5]");
    assert_int_equal(lm_shape_count(LM_SCALAR), 1);
    assert_string_equal(lm_shape_text(LM_SCALAR, text), "[]");
    assert_int_equal(lm_shape_count(LM_SHAPE(4, 0, 7)), 0);
    assert_true(lm_shape_equal(shape, LM_SHAPE(2, 3, 5)));
    assert_false(lm_shape_equal(shape, LM_SHAPE(2, 3)));
    assert_false(lm_shape_equal(shape, LM_SHAPE(2, 5, 3)));
    assert_true(lm_shape_equal(LM_SCALAR, lm_shape_make(0, NULL)));
    const int64_t most = INT64_MAX;
    lm_shape wide = LM_SHAPE(most, most, most, most, most, most);
    assert_true(strlen(lm_shape_text(wide, text)) < LM_SHAPE_TEXT);
    assert_true(lm_shape_count(wide) == INT64_MAX);
}

static void test_sizes_are_checked(void **state) {
    size_t bytes = 0;
    assert_true(lm_shape_bytes(LM_SHAPE(3, 7), LM_F16, &bytes));
    assert_int_equal(bytes, 42);
    assert_true(lm_shape_bytes(LM_SCALAR, LM_F64, &bytes));
    assert_int_equal(bytes, 8);
    assert_true(lm_shape_bytes(LM_SHAPE(INT64_MAX, 9, 0), LM_F64, &bytes));
    assert_int_equal(bytes, 0);
    assert_false(lm_shape_bytes(LM_SHAPE(2, -1), LM_U8, &bytes));
    assert_false(lm_shape_bytes(LM_SHAPE(-2, -1), LM_U8, &bytes));
    assert_false(lm_shape_bytes(LM_SHAPE(INT64_MAX), LM_F64, &bytes));
    assert_false(lm_shape_bytes(LM_SHAPE(INT64_MAX, 3), LM_U8, &bytes));
    assert_false(lm_shape_bytes((lm_shape){LM_MAX_RANK + 1, {0}}, LM_U8, &bytes));
    assert_false(lm_shape_bytes((lm_shape){-1, {0}}, LM_U8, &bytes));
}

static void test_tensors(void **state) {
    lm_tensor tensor;
    CHECK_OK(lm_tensor_init(&tensor, LM_F32, LM_SHAPE(3, 5)));
    assert_int_equal(lm_tensor_bytes(&tensor), 60);
    assert_int_equal((uintptr_t)tensor.data % 64, 0);
    for (int i = 0; i < 15; i++) assert_true(((float *)tensor.data)[i] == 0);
    lm_tensor_release(&tensor);
    assert_null(tensor.data);
    lm_tensor_release(&tensor);
    CHECK_FAILS(lm_tensor_init(&tensor, LM_F32, LM_SHAPE(2, -5)), LM_SHAPE);
    assert_string_equal(lm_message(), "tensor [2,-5]: not a shape that memory can hold");
    lm_tensor_release(&tensor);
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_tensor_init(&tensor, LM_F32, LM_SHAPE(2)), LM_NOMEM);
    lm_mem_fail_at(0, 0);
    lm_tensor_release(&tensor);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

/* ---- conversion: an independent reading of the small floats ------------------ */

/* Value of a binary format's bit pattern without its sign, by the definition. */
static long double decode(unsigned bits, int fraction_bits, int bias) {
    unsigned exponent = bits >> fraction_bits,
             fraction = bits & ((1u << fraction_bits) - 1);
    if (!exponent) return ldexpl(fraction, 1 - bias - fraction_bits);
    return ldexpl(fraction + (1u << fraction_bits), (int)exponent - bias - fraction_bits);
}

typedef struct small_float {
    lm_dtype dtype;
    int fraction_bits, bias;
    unsigned infinite;
} small_float;

static const small_float small_floats[] = {{LM_F16, 10, 15, 0x7c00},
                                           {LM_BF16, 7, 127, 0x7f80}};

static void test_small_floats_are_read_exactly(void **state) {
    for (int f = 0; f < 2; f++) {
        const small_float *format = &small_floats[f];
        for (unsigned bits = 0; bits < 0x10000; bits++) {
            uint16_t from = (uint16_t)bits, back;
            double value;
            lm_convert(&value, LM_F64, &from, format->dtype, 1);
            unsigned size = bits & 0x7fff;
            if (size > format->infinite) {
                assert_true(isnan(value));
                lm_convert(&back, format->dtype, &value, LM_F64, 1);
                assert_true((back & 0x7fff) > format->infinite);
                continue;
            }
            long double wanted = size == format->infinite
                                     ? INFINITY
                                     : decode(size, format->fraction_bits, format->bias);
            assert_true(fabs(value) == wanted && !signbit(value) == !(bits >> 15));
            lm_convert(&back, format->dtype, &value, LM_F64, 1);
            assert_int_equal(back, from);
        }
    }
}

/* The chosen pattern must be at least as near as both neighbours, and even at a tie.
 * Infinity counts as the value that the next exponent would have (IEEE 754, 4.3.1). */
static void check_nearest(const small_float *format, uint16_t chosen, long double value) {
    unsigned size = chosen & 0x7fff;
    assert_int_equal(chosen >> 15, signbit(value) != 0);
    assert_true(size <= format->infinite);
    long double x = fabsl(value);
    long double at = decode(size, format->fraction_bits, format->bias);
    long double error = fabsl(at - x);
    for (int side = -1; side <= 1; side += 2) {
        if (size == 0 && side < 0) continue;
        if (size == format->infinite && (side > 0 || x > at)) continue;
        long double next =
            decode(size + (unsigned)side, format->fraction_bits, format->bias);
        long double other = fabsl(next - x);
        if (error > other || (error == other && size % 2))
            fail_msg("%s: %.20Lg became %04x", lm_dtype_name(format->dtype), value,
                     (unsigned)chosen);
    }
}

static void test_rounding_of_doubles(void **state) {
    lm_rng rng = {.seed = 1};
    for (int f = 0; f < 2; f++) {
        const small_float *format = &small_floats[f];
        for (int i = 0; i < 200000; i++) {
            /* Near a value or a midpoint of the format, by a hair or not at all. */
            unsigned size = lm_rng_below(&rng, format->infinite);
            double at = (double)decode(size, format->fraction_bits, format->bias);
            double next = (double)decode(size + 1, format->fraction_bits, format->bias);
            double x = at + (next - at) * (0.25 * lm_rng_below(&rng, 5));
            if (i % 3 == 1) x = nextafter(x, INFINITY);
            if (i % 3 == 2) x = at + (next - at) * lm_rng_uniform(&rng);
            if (i % 2) x = -x;
            uint16_t bits;
            lm_convert(&bits, format->dtype, &x, LM_F64, 1);
            check_nearest(format, bits, x);
            float single = (float)x;
            lm_convert(&bits, format->dtype, &single, LM_F32, 1);
            check_nearest(format, bits, single);
        }
    }
}

static void test_rounding_of_whole_numbers(void **state) {
    lm_rng rng = {.seed = 2};
    for (int i = 0; i < 200000; i++) {
        /* A few leading bits, then a midpoint, then a bit far below a double's last. */
        int shift = (int)lm_rng_below(&rng, 55);
        int64_t x = ((int64_t)(256 + lm_rng_below(&rng, 256)) << shift);
        x += (int64_t)lm_rng_below(&rng, 3) - 1;
        if (i % 2) x = -x;
        uint16_t bits;
        float single;
        lm_convert(&bits, LM_BF16, &x, LM_I64, 1);
        check_nearest(&small_floats[1], bits, x);
        lm_convert(&bits, LM_F16, &x, LM_I64, 1);
        check_nearest(&small_floats[0], bits, x);
        x += (int64_t)ldexp(0.5 * lm_rng_uniform(&rng), shift);
        lm_convert(&single, LM_F32, &x, LM_I64, 1);
        assert_true(single == (float)x);
        double real;
        lm_convert(&real, LM_F64, &x, LM_I64, 1);
        assert_true(real == (double)x);
    }
}

static void test_extremes(void **state) {
    static const struct {
        double from;
        uint16_t f16, bf16;
    } cases[] = {
        {65504, 0x7bff, 0x4780},       {65519.99, 0x7bff, 0x4780},
        {65520, 0x7c00, 0x4780},       {1e300, 0x7c00, 0x7f80},
        {FLT_MAX, 0x7c00, 0x7f80},     {-INFINITY, 0xfc00, 0xff80},
        {0x1p-25, 0x0000, 0x3300},     {0x1.8p-25, 0x0001, 0x3340},
        {-0.0, 0x8000, 0x8000},        {0x1.0000001p-25, 0x0001, 0x3300},
        {0x1.ffcp-15, 0x0400, 0x3880}, {1 + 0x1p-11, 0x3c00, 0x3f80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t f16, bf16;
        lm_convert(&f16, LM_F16, &cases[i].from, LM_F64, 1);
        lm_convert(&bf16, LM_BF16, &cases[i].from, LM_F64, 1);
        if (f16 != cases[i].f16 || bf16 != cases[i].bf16)
            fail_msg("%a: %04x and %04x", cases[i].from, f16, bf16);
    }
}

/* ---- conversion: whole numbers ----------------------------------------------- */

static void check_whole(double from, int64_t i64, int32_t i32, uint32_t u32, uint8_t u8) {
    int64_t a;
    int32_t b;
    uint32_t c;
    uint8_t d;
    lm_convert(&a, LM_I64, &from, LM_F64, 1);
    lm_convert(&b, LM_I32, &from, LM_F64, 1);
    lm_convert(&c, LM_U32, &from, LM_F64, 1);
    lm_convert(&d, LM_U8, &from, LM_F64, 1);
    assert_true(a == i64 && b == i32 && c == u32 && d == u8);
}

static void test_truncation_and_saturation(void **state) {
    check_whole(2.9, 2, 2, 2, 2);
    check_whole(-2.9, -2, -2, 0, 0);
    check_whole(-0.9, 0, 0, 0, 0);
    check_whole(255.99, 255, 255, 255, 255);
    check_whole(256, 256, 256, 256, 255);
    check_whole(3e9, 3000000000, INT32_MAX, 3000000000u, 255);
    check_whole(-3e12, -3000000000000, INT32_MIN, 0, 0);
    check_whole(1e30, INT64_MAX, INT32_MAX, UINT32_MAX, 255);
    check_whole(-1e30, INT64_MIN, INT32_MIN, 0, 0);
    check_whole(INFINITY, INT64_MAX, INT32_MAX, UINT32_MAX, 255);
    check_whole(NAN, 0, 0, 0, 0);
    int64_t exact = INT64_MAX - 1;
    double wide;
    lm_convert(&wide, LM_F64, &exact, LM_I64, 1);
    assert_true(wide == 0x1p63);
    int64_t from[] = {INT64_MIN, -1, 0, 255, 256, INT64_MAX};
    uint8_t to[6];
    lm_convert(to, LM_U8, from, LM_I64, 6);
    assert_memory_equal(to, ((uint8_t[]){0, 0, 0, 255, 255, 255}), 6);
}

/* Small whole numbers pass unchanged between any two dtypes, whatever the count and the
 * alignment of the source. */
static void test_every_pair(void **state) {
    enum { MOST = 777 };
    static const int counts[] = {0, 1, 2, 255, 256, 257, 512, MOST};
    static char wide[MOST * 8], from[MOST * 8 + 1], to[MOST * 8 + 8];
    int64_t whole[MOST], back[MOST];
    for (int i = 0; i < MOST; i++) whole[i] = i % 128;
    for (int a = 0; a < LM_DTYPE_COUNT; a++) {
        lm_convert(wide, (lm_dtype)a, whole, LM_I64, MOST);
        memcpy(from + 1, wide, sizeof wide);
        for (int b = 0; b < LM_DTYPE_COUNT; b++) {
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                size_t bytes = (size_t)counts[c] * lm_dtype_size((lm_dtype)b);
                memset(to, 0x5a, sizeof to);
                lm_convert(to, (lm_dtype)b, from + 1, (lm_dtype)a, counts[c]);
                assert_int_equal(to[bytes], 0x5a); /* not a byte too many */
                lm_convert(back, LM_I64, to, (lm_dtype)b, counts[c]);
                assert_memory_equal(back, whole, (size_t)counts[c] * sizeof *back);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_sizes_are_checked),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_small_floats_are_read_exactly),
        cmocka_unit_test(test_rounding_of_doubles),
        cmocka_unit_test(test_rounding_of_whole_numbers),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_truncation_and_saturation),
        cmocka_unit_test(test_every_pair),
    };
    return cmocka_run_group_tests_name("shape", tests, NULL, NULL);
}
