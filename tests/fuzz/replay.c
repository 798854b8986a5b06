/* Runs a harness over what is kept of its inputs, tests/fuzz/corpus/NAME, and over the
 * empty input. NAME is the end of the program's own name, test_fuzz_NAME. */
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Says first what it is about to do, as it may be the last that it does. */
static void run_one(const char *what, const void *data, size_t size) {
    printf("# %s\n", what);
    fflush(stdout);
    int64_t held = lm_mem_get_stats().bytes;
    assert_int_equal(LLVMFuzzerTestOneInput(data, size), 0);
    if (lm_mem_get_stats().bytes != held) fail_msg("%s: leaks memory", what);
}

static void run_file(const char *folder, const char *name) {
    char *path = lm_path_join(folder, name);
    assert_non_null(path);
    void *data;
    size_t size;
    CHECK_OK(lm_file_read(path, 1 << 20, &data, &size));
    run_one(path, data, size);
    lm_free(data);
    lm_free(path);
}

static void survives_its_corpus(void **state) {
    const char *name = strstr(program_invocation_short_name, "fuzz_");
    assert_non_null(name);
    char folder[512];
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", getenv("LIMN_TEST_SOURCE"),
             name + strlen("fuzz_"));
    run_one("no bytes", "", 0);
    if (!lm_is_folder(folder)) return;
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(folder, NULL, &names, &count));
    for (size_t i = 0; i < count; i++) run_file(folder, names[i]);
    lm_names_free(names, count);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(survives_its_corpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
