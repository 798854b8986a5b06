/* The published files of known sets, where they are at hand, against what Python read. */
#include "testing.h"

#include "data/data.h"
#include "data/digest.h"

#include <stdio.h>
#include <string.h>

enum { MOST_CLASSES = 100, FIRST = 100 };

static const struct published {
    const char *spec;
    bool part; /* of the set: the whole is fine, too, but not checked */
    int shape[4], classes, of_class[MOST_CLASSES];
    const char *first; /* SHA-256 of the first images */
} rows[] = {
#include "published.def"
};

static void check_first(const lm_dataset *set, const struct published *row) {
    lm_digest digest;
    char hex[LM_SHA256_HEX];
    lm_digest_init(&digest, LM_SHA256);
    for (int64_t i = 0; i < FIRST && i < set->count; i++) {
        lm_image image;
        int32_t label;
        CHECK_OK(lm_dataset_read(set, i, &image, &label));
        lm_digest_add(&digest, image.pixels,
                      (size_t)image.height * image.width * image.channels);
        lm_image_release(&image);
    }
    lm_digest_hex(&digest, hex);
    assert_string_equal(hex, row->first);
}

static void check_labels(const lm_dataset *set, const struct published *row) {
    int seen[MOST_CLASSES] = {0};
    for (int64_t i = 0; i < set->count; i++) {
        int32_t label;
        CHECK_OK(lm_dataset_label(set, i, &label));
        if (row->classes)
            seen[label]++;
        else
            assert_int_equal(label, -1);
    }
    assert_memory_equal(seen, row->of_class, sizeof seen);
}

static void check_row(void **state) {
    const struct published *row = *state;
    lm_dataset *set = NULL;
    const char *data = getenv("LIMN_DATA");
    char path[512]; /* a spec that begins with a slash is below LIMN_DATA */
    snprintf(path, sizeof path, "%s%s", *row->spec == '/' && data ? data : "", row->spec);
    lm_status status =
        data ? lm_dataset_open_any(path, LM_SPLIT_TRAIN, &set) : LM_NOT_FOUND;
    if (status == LM_NOT_FOUND || status == LM_UNSUPPORTED) {
        print_message("# %s: not checked: %s\n", row->spec,
                      data ? lm_message() : "LIMN_DATA is not set");
        return;
    }
    CHECK_OK(status);
    if (row->part && set->count != row->shape[0])
        print_message("# %s: not checked: not the part that was compared\n", row->spec);
    else {
        assert_int_equal(set->count, row->shape[0]);
        assert_int_equal(set->height, row->shape[1]);
        assert_int_equal(set->width, row->shape[2]);
        assert_int_equal(set->channels, row->shape[3]);
        assert_int_equal(set->classes, row->classes);
        check_first(set, row);
        check_labels(set, row);
    }
    lm_dataset_free(set);
}

int main(void) {
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS];
    for (int i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].spec,
                                       .test_func = check_row,
                                       .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests_name("published", tests, NULL, NULL);
}
