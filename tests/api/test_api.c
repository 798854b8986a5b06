/* The public header alone: train a little, resume, sample, fail. */
#include <limn/limn.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static long allocated; /* bytes held through the allocator below */

static void *count_resize(void *user, void *ptr, size_t old_size, size_t new_size) {
    __atomic_add_fetch(&allocated, (long)new_size - (long)old_size, __ATOMIC_RELAXED);
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static const char *const small[] = {"base=8", "mult=1,2", "blocks=1", "groups=4",
                                    "batch=2"};

static void on_progress(void *user, const limn_progress *progress) {
    int64_t *last = user;
    assert_true(progress->step > *last);
    *last = progress->step;
}

static void test_train_and_sample(void **state) {
    int64_t last = 0;
    limn_train_settings train = LIMN_TRAIN_SETTINGS_DEFAULT;
    train.family = "ddpm";
    train.data = "builtin:digits";
    train.preset = "tiny";
    train.out = folder;
    train.assignments = small;
    train.n_assignments = 5;
    train.steps = 2;
    train.progress = on_progress;
    train.user = &last;
    if (limn_train(&train) != LIMN_OK) fail_msg("%s", limn_message());
    assert_int_equal(last, 2);
    train.resume = 1;
    train.steps = 3;
    if (limn_train(&train) != LIMN_OK) fail_msg("%s", limn_message());
    assert_int_equal(last, 3);

    limn_sample_settings sample = LIMN_SAMPLE_SETTINGS_DEFAULT;
    sample.run = folder;
    sample.count = 3;
    sample.steps = 2;
    limn_images images;
    if (limn_sample(&sample, &images) != LIMN_OK) fail_msg("%s", limn_message());
    assert_int_equal(images.count, 3);
    assert_int_equal(images.height, 28);
    assert_int_equal(images.channels, 1);
    limn_images_free(&images);
    assert_null(images.pixels);
    assert_int_equal(allocated, 0); /* nothing is kept behind the caller's back */
}

static void test_failures(void **state) {
    limn_train_settings train = LIMN_TRAIN_SETTINGS_DEFAULT;
    assert_int_equal(limn_train(&train), LIMN_USAGE);
    train.family = "ddqm";
    train.data = "builtin:digits";
    assert_int_equal(limn_train(&train), LIMN_USAGE);
    assert_non_null(strstr(limn_message(), "ddpm"));
    limn_sample_settings sample = LIMN_SAMPLE_SETTINGS_DEFAULT;
    sample.run = "/nonexistent";
    limn_images images;
    assert_int_equal(limn_sample(&sample, &images), LIMN_NOT_FOUND);
    sample.count = 0;
    assert_int_equal(limn_sample(&sample, &images), LIMN_USAGE);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", LIMN_VERSION_MAJOR, LIMN_VERSION_MINOR,
             LIMN_VERSION_PATCH);
    assert_string_equal(limn_version(), version);
}

int main(void) {
    snprintf(folder, sizeof folder, "/tmp/limn-api-%d", (int)getpid());
    limn_set_allocator(count_resize, NULL);
    limn_set_threads(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_and_sample),
        cmocka_unit_test(test_failures),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : failed;
}
