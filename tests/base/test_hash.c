/* Content hashes. */
#include "testing.h"

#include "base/hash.h"
#include <string.h>

/* With hash and word equal, a word's hash is splitmix64's first output from seed 0; the
 * second needs their difference to be one golden step. */
static void test_words_are_those_of_splitmix64(void **state) {
    assert_true(lm_hash_word(0, 0) == 0xe220a8397b1dcdaf);
    assert_true(lm_hash_word(77, 77) == 0xe220a8397b1dcdaf);
    assert_true(lm_hash_word(LM_HASH_SEED, 0) == 0x6e789e6aa1b965f4);
}

static void test_every_bit_and_length_counts(void **state) {
    unsigned char bytes[41], moved[42];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 29);
    memcpy(moved + 1, bytes, sizeof bytes);
    uint64_t hash = lm_hash_bytes(LM_HASH_SEED, bytes, sizeof bytes);
    assert_true(hash == lm_hash_bytes(LM_HASH_SEED, moved + 1, sizeof bytes));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        uint64_t other = lm_hash_bytes(LM_HASH_SEED, bytes, sizeof bytes);
        int differ = __builtin_popcountll(hash ^ other);
        assert_true(differ > 10 && differ < 54); /* 32 on average, deviation 4 */
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    memset(bytes, 0, sizeof bytes);
    for (size_t a = 0; a < sizeof bytes; a++)
        for (size_t b = 0; b < a; b++)
            assert_true(lm_hash_bytes(0, bytes, a) != lm_hash_bytes(0, bytes, b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_those_of_splitmix64),
        cmocka_unit_test(test_every_bit_and_length_counts),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
