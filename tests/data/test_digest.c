/* Digests against the published vectors: the examples of FIPS 180-4 (as NIST gives them
 * with it) and the test suite of RFC 1321. */
#include "scratch.h"

#include "data/digest.h"

static const struct {
    const char *text;
    int times; /* the text repeated */
    const char *sha256, *md5;
} vectors[] = {
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "d41d8cd98f00b204e9800998ecf8427e"},
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "900150983cd24fb0d6963f7d28e17f72"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", NULL},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1", NULL},
    {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
     NULL},
    {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
     1, NULL, "57edf4a22be3c955ac49da2e2107b67a"},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 1, NULL,
     "d174ab98d277d9f5a5611c2c9f419d9f"},
};

static void check(lm_digest_kind kind, const char *text, int times, const char *wanted) {
    if (!wanted) return;
    char hex[LM_SHA256_HEX], again[LM_SHA256_HEX];
    lm_digest digest;
    lm_digest_init(&digest, kind);
    for (int i = 0; i < times; i++) lm_digest_add(&digest, text, strlen(text));
    lm_digest_hex(&digest, hex);
    assert_string_equal(hex, wanted);

    FILE *file = fopen(scratch("bytes"), "wb");
    for (int i = 0; i < times; i++) fputs(text, file);
    fclose(file);
    CHECK_OK(lm_digest_file(scratch("bytes"), kind, again));
    assert_string_equal(again, wanted);
}

static void test_published_vectors(void **state) {
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        check(LM_SHA256, vectors[i].text, vectors[i].times, vectors[i].sha256);
        check(LM_MD5, vectors[i].text, vectors[i].times, vectors[i].md5);
    }
}

static void test_a_digest_can_be_used_again(void **state) {
    char first[LM_SHA256_HEX], second[LM_SHA256_HEX];
    lm_digest digest;
    lm_digest_init(&digest, LM_SHA256);
    lm_digest_add(&digest, "abc", 3);
    lm_digest_hex(&digest, first);
    lm_digest_add(&digest, "a", 1);
    lm_digest_add(&digest, "bc", 2);
    lm_digest_hex(&digest, second);
    assert_string_equal(first, second);
}

static void test_what_cannot_be_read(void **state) {
    char hex[LM_SHA256_HEX] = "untouched";
    CHECK_FAILS(lm_sha256_file(scratch("absent"), hex), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "absent"));
    CHECK_FAILS(lm_sha256_file(scratch_folder, hex), LM_IO);
    assert_string_equal(hex, "untouched");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_a_digest_can_be_used_again),
        cmocka_unit_test(test_what_cannot_be_read),
    };
    return cmocka_run_group_tests_name("digest", tests, scratch_begin, scratch_end);
}
