/* The reader of pickles: what NumPy and two generations of Python wrote, and programs of
 * the same machine that must not be run. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/pickle.h"

static void read_golden(const char *name, void **bytes, size_t *size) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/pickles/%s", getenv("LIMN_TEST_SOURCE"),
             name);
    CHECK_OK(lm_file_read(path, 1 << 20, bytes, size));
}

static void check_batch(const char *name, int first, int count, const char *key,
                        const int *labels) {
    void *bytes;
    size_t size;
    lm_pickle *pickle;
    lm_pickle_array array;
    int32_t *numbers;
    int64_t n;
    read_golden(name, &bytes, &size);
    CHECK_OK(lm_pickle_parse(bytes, size, name, &pickle));
    CHECK_OK(lm_pickle_integers(pickle, key, &numbers, &n));
    assert_int_equal(n, count);
    for (int i = 0; i < count; i++) assert_int_equal(numbers[i], labels[i]);
    CHECK_OK(lm_pickle_find_array(pickle, "data", &array));
    assert_true(lm_shape_equal(array.shape, LM_SHAPE(count, 3072)));
    for (int i = 0; i < count; i++)
        for (int p = 0; p < 3072; p++) {
            int at = array.by_columns ? p * count + i : i * 3072 + p;
            assert_int_equal(array.data[at], (31 * (first + i) + 7 * p) % 256);
        }
    CHECK_FAILS(lm_pickle_integers(pickle, "data", &numbers, &n), LM_FORMAT);
    CHECK_FAILS(lm_pickle_find_array(pickle, key, &array), LM_FORMAT);
    CHECK_FAILS(lm_pickle_find_array(pickle, "absent", &array), LM_FORMAT);
    lm_free(numbers);
    lm_pickle_free(pickle);
    lm_free(bytes);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_batches(void **state) {
    check_batch("ten/data_batch_1", 0, 2, "labels", (const int[]){3, 9});
    check_batch("ten/test_batch", 2, 1, "labels", (const int[]){4});
    check_batch("hundred/train", 0, 2, "fine_labels", (const int[]){57, 99});
}

static void check_refused(const char *name, lm_status wanted, const char *says) {
    void *bytes;
    size_t size;
    lm_pickle *pickle;
    read_golden(name, &bytes, &size);
    CHECK_FAILS(lm_pickle_parse(bytes, size, "p", &pickle), wanted);
    if (!strstr(lm_message(), says)) fail_msg("'%s' lacks '%s'", lm_message(), says);
    lm_free(bytes);
}

static void test_other_pickles_are_refused(void **state) {
    check_refused("bad/calls.pkl", LM_UNSUPPORTED, "something named that is no array");
    assert_false(lm_file_exists("/tmp/limn-pickle-was-run"));
    check_refused("bad/floats.pkl", LM_UNSUPPORTED, "an array of something else");
    check_refused("bad/list.pkl", LM_UNSUPPORTED, "no dictionary");
    check_refused("bad/protocol5.pkl", LM_UNSUPPORTED, "another protocol");
    check_refused("bad/nested.pkl", LM_UNSUPPORTED, "a list that grows around another");
}

static void test_values_of_another_kind(void **state) {
    void *bytes;
    size_t size;
    lm_pickle *pickle;
    int32_t *numbers;
    int64_t count;
    read_golden("bad/text.pkl", &bytes, &size);
    CHECK_OK(lm_pickle_parse(bytes, size, "p", &pickle));
    CHECK_FAILS(lm_pickle_integers(pickle, "labels", &numbers, &count), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "labels 0 is no number"));
    lm_pickle_free(pickle);
    lm_free(bytes);
}

/* Programs that no pickler writes. */
static void test_broken_programs(void **state) {
#define PROGRAM(text) (text), sizeof(text) - 1
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        {PROGRAM(""), "it ends early"},
        {PROGRAM("\x80"), "it ends early"},
        {PROGRAM("\x80\x02}"), "it ends early"},
        {PROGRAM("\x80\x01}."), "another protocol"},
        {PROGRAM("\x80\x02."), "no dictionary"},
        {PROGRAM("\x80\x02}}."), "no dictionary"},
        {PROGRAM("\x80\x02i"), "another opcode"},
        {PROGRAM("\x80\x02}U\x05"
                 "abc"),
         "it ends early"},
        {PROGRAM("\x80\x02}X\xff\xff\xff\xff"
                 "abc"),
         "it ends early"},
        {PROGRAM("\x80\x02"
                 "e"),
         "no mark"},
        {PROGRAM("\x80\x02(e"), "nothing there that could grow"},
        {PROGRAM("\x80\x02K\x01(K\x02"
                 "a"),
         "nothing there that could grow"},
        {PROGRAM("\x80\x02}K\x01u"), "no mark"},
        {PROGRAM("\x80\x02}(K\x01u"), "a key without its value"},
        {PROGRAM("\x80\x02](K\x01\x85"
                 "a\x86"),
         "nothing there that could grow"},
        {PROGRAM("\x80\x02K\x01\x87"), "too few values"},
        {PROGRAM("\x80\x02q\x01"), "nothing to remember"},
        {PROGRAM("\x80\x02}r\xff\xff\xff\xff"), "too many values"},
        {PROGRAM("\x80\x02}q\x01h\x00"), "nothing was remembered there"},
        {PROGRAM("\x80\x02}j\xff\xff\xff\xff"), "nothing was remembered there"},
        {PROGRAM("\x80\x02"
                 "cnumpy\nndarray"),
         "it ends early"},
        {PROGRAM("\x80\x02"
                 "cnumpy\nload\n"),
         "something named that is no array"},
        {PROGRAM("\x80\x02K\x01\x93"), "no name"},
        {PROGRAM("\x80\x02}K\x01R"), "no call"},
        {PROGRAM("\x80\x02"
                 "cnumpy\nndarray\n)R"),
         "a call"},
        {PROGRAM("\x80\x02"
                 "cnumpy\ndtype\nU\x02"
                 "f4\x85R"),
         "something else"},
        {PROGRAM("\x80\x02K\x01K\x02"
                 "b"),
         "a call"},
        {PROGRAM("\x80\x02\x8a\x09"
                 "123456789"),
         "a huge number"},
        {PROGRAM("\x80\x02"
                 "cnumpy.core.multiarray\n_reconstruct\n"
                 "cnumpy\nndarray\n\x85R"
                 "K\x01"
                 "b"),
         "no array"},
    };
#undef PROGRAM
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_pickle *pickle;
        char *exact = lm_alloc(cases[i].size); /* so that a sanitizer sees overruns */
        memcpy(exact, cases[i].bytes, cases[i].size);
        lm_status status = lm_pickle_parse(exact, cases[i].size, "p", &pickle);
        assert_true(status == LM_FORMAT || status == LM_UNSUPPORTED);
        if (!strstr(lm_message(), cases[i].says))
            fail_msg("case %zu: '%s' lacks '%s'", i, lm_message(), cases[i].says);
        lm_free(exact);
    }
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

/* Every truncation fails, and no change of one byte does worse. */
static void test_cut_and_changed_bytes(void **state) {
    uint8_t *bytes;
    size_t size;
    lm_pickle *pickle;
    read_golden("ten/data_batch_1", (void **)&bytes, &size);
    for (size_t cut = 0; cut < size; cut += cut < 220 || cut > 6340 ? 1 : 97)
        assert_int_not_equal(lm_pickle_parse(bytes, cut, "p", &pickle), LM_OK);
    for (size_t at = 0; at < size; at += at < 220 || at > 6340 ? 1 : 971) {
        uint8_t kept = bytes[at];
        for (int value = 0; value < 256; value++) {
            lm_pickle_array array;
            int32_t *labels = NULL;
            int64_t count;
            bytes[at] = (uint8_t)value;
            if (lm_pickle_parse(bytes, size, "p", &pickle) != LM_OK) continue;
            (void)lm_pickle_find_array(pickle, "data", &array);
            (void)lm_pickle_integers(pickle, "labels", &labels, &count);
            lm_free(labels);
            lm_pickle_free(pickle);
        }
        bytes[at] = kept;
    }
    lm_free(bytes);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_out_of_memory(void **state) {
    void *bytes;
    size_t size;
    read_golden("ten/data_batch_1", &bytes, &size);
    lm_status status = LM_NOMEM;
    for (int64_t n = 1; status == LM_NOMEM; n++) {
        lm_pickle *pickle = NULL;
        lm_mem_fail_at(n, 1);
        status = lm_pickle_parse(bytes, size, "p", &pickle);
        lm_mem_fail_at(0, 0);
        lm_pickle_free(pickle);
        assert_int_equal(lm_mem_get_stats().blocks, 1);
    }
    assert_int_equal(status, LM_OK);
    lm_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_other_pickles_are_refused),
        cmocka_unit_test(test_values_of_another_kind),
        cmocka_unit_test(test_broken_programs),
        cmocka_unit_test(test_cut_and_changed_bytes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("pickle", tests, NULL, NULL);
}
