/* The store of what is expensive: found again by its key alone, whatever the folder has.
 */
#include "scratch.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int warnings;

static void count_warning(void *user, lm_log_level level, const char *line) {
    warnings++;
}

static lm_cache open_cache(const char *name, int64_t limit) {
    lm_cache cache;
    CHECK_OK(lm_cache_init(&cache, scratch(name), limit));
    warnings = 0;
    lm_log_set(count_warning, NULL);
    return cache;
}

static void put(const lm_cache *cache, const char *key, int count, double value) {
    double *values = malloc(sizeof *values * (size_t)count);
    assert_non_null(values);
    for (int i = 0; i < count; i++) values[i] = value + i;
    const lm_st_entry entry = {"mu", LM_F64, LM_SHAPE(count), values};
    lm_cache_put(cache, key, &entry, 1);
    free(values);
}

/* The first value under the key, or -1. */
static double get(const lm_cache *cache, const char *key, int count) {
    lm_safetensors file;
    double values[64];
    if (!lm_cache_find(cache, key, &file)) return -1;
    CHECK_OK(lm_safetensors_read(&file, "mu", LM_F64, LM_SHAPE(count), values));
    lm_safetensors_release(&file);
    return values[0];
}

/* The only name in the folder that has the ending. */
static char *only_file(const lm_cache *cache) {
    char *path = lm_folder_find(cache->folder, "*.safetensors");
    assert_non_null(path);
    return path;
}

static int count_files(const lm_cache *cache) {
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(cache->folder, NULL, &names, &count));
    lm_names_free(names, count);
    return (int)count;
}

static void what_was_put_is_found(void **state) {
    lm_cache cache = open_cache("plain", 0);
    assert_int_equal(cache.limit, LM_CACHE_LIMIT);
    assert_true(get(&cache, "a", 3) == -1);
    put(&cache, "a", 3, 5);
    put(&cache, "b", 2, 7);
    assert_true(get(&cache, "a", 3) == 5);
    assert_true(get(&cache, "b", 2) == 7);
    assert_true(get(&cache, "c", 2) == -1);
    put(&cache, "b", 2, 8);
    assert_true(get(&cache, "b", 2) == 8);
    assert_true(get(&cache, NULL, 2) == -1);
    assert_int_equal(count_files(&cache), 2);
    assert_int_equal(warnings, 0);
    lm_cache_release(&cache);
    put(&cache, "a", 3, 5); /* no cache */
    assert_true(get(&cache, "a", 3) == -1);
}

static void numbers_in_json_keep_their_digits(void **state) {
    lm_cache cache = open_cache("json", 0);
    json_t *value = json_pack("{s:f, s:[i, i]}", "fid", 1.0 / 3, "n", 1, 2);
    assert_null(lm_cache_find_json(&cache, "k"));
    lm_cache_put_json(&cache, "k", value);
    json_t *found = lm_cache_find_json(&cache, "k");
    assert_true(json_equal(value, found));
    json_decref(found);
    json_decref(value);
    lm_cache_release(&cache);
}

static void keys_are_lines(void **state) {
    lm_str key = LM_STR_INIT;
    lm_cache_key_add(&key, "set", "%016x", 10);
    lm_cache_key_add(&key, "k", "%d", 3);
    assert_string_equal(lm_str_text(&key), "set=000000000000000a\nk=3\n");
    lm_cache_key_add(&key, "long", "%0600d", 1); /* never cut */
    assert_null(lm_str_text(&key));
    lm_str_release(&key);
}

static void folders_are_chosen_by_the_environment(void **state) {
    lm_cache cache;
    setenv("LIMN_CACHE", "/a", 1);
    setenv("XDG_CACHE_HOME", "/b", 1);
    setenv("HOME", "/c", 1);
    static const char *const expected[] = {"/a", "/b/limn/eval", "/c/.cache/limn/eval"};
    static const char *const variables[] = {"LIMN_CACHE", "XDG_CACHE_HOME", "HOME"};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lm_cache_init(&cache, NULL, 0));
        assert_string_equal(cache.folder, expected[i]);
        lm_cache_release(&cache);
        setenv(variables[i], "", 1);
    }
    CHECK_OK(lm_cache_init(&cache, NULL, 0));
    assert_null(cache.folder);
    CHECK_OK(lm_cache_init(&cache, "/d", 9));
    assert_string_equal(cache.folder, "/d");
    assert_int_equal(cache.limit, 9);
    lm_cache_release(&cache);
}

/* The file that another key would have, and files that are no entries of ours. */
static void foreign_files_are_not_believed(void **state) {
    lm_cache cache = open_cache("foreign", 0);
    put(&cache, "a", 3, 5);
    char *a = only_file(&cache), aside[300];
    snprintf(aside, sizeof aside, "%s/aside", cache.folder);
    assert_int_equal(rename(a, aside), 0);
    put(&cache, "b", 3, 6);
    char *b = only_file(&cache);
    assert_int_equal(rename(aside, b), 0); /* "a" under the name of "b" */
    assert_true(get(&cache, "b", 3) == -1);
    assert_int_equal(warnings, 1);
    assert_false(lm_file_exists(b));
    lm_free(a);
    lm_free(b);
    lm_cache_release(&cache);
}

static void damaged_files_are_removed(void **state) {
    static const long sizes[] = {0, 5, 40, 150};
    lm_cache cache = open_cache("damaged", 0);
    for (int i = 0; i < 4; i++) {
        put(&cache, "a", 30, 5);
        char *path = only_file(&cache);
        assert_int_equal(truncate(path, sizes[i]), 0);
        assert_true(get(&cache, "a", 30) == -1);
        assert_int_equal(warnings, i + 1);
        assert_false(lm_file_exists(path));
        lm_free(path);
    }
    lm_cache_release(&cache);
}

static void set_age(const lm_cache *cache, const char *key, int seconds) {
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(cache->folder, NULL, &names, &count));
    for (size_t i = 0; i < count; i++) {
        char *path = lm_path_join(cache->folder, names[i]);
        lm_safetensors file;
        CHECK_OK(lm_safetensors_open(&file, path));
        const struct timespec times[2] = {{1000000 - seconds, 0}, {1000000 - seconds, 0}};
        if (strcmp(lm_safetensors_meta(&file, "key"), key) == 0)
            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        lm_safetensors_release(&file);
        lm_free(path);
    }
    lm_names_free(names, count);
}

static void the_longest_unused_goes_first(void **state) {
    lm_cache cache = open_cache("limited", 3000); /* three of about 900 bytes */
    put(&cache, "a", 100, 1);
    put(&cache, "b", 100, 2);
    put(&cache, "c", 100, 3);
    set_age(&cache, "a", 30);
    set_age(&cache, "b", 20);
    set_age(&cache, "c", 10);
    lm_safetensors file;
    assert_true(lm_cache_find(&cache, "a", &file)); /* used now */
    put(&cache, "d", 100, 4);                       /* takes the place of b */
    assert_int_equal(count_files(&cache), 3);
    lm_safetensors gone;
    assert_false(lm_cache_find(&cache, "b", &gone));
    put(&cache, "e", 1000, 4); /* larger than all together */
    assert_int_equal(count_files(&cache), 0);
    assert_int_equal(file.n_entries, 1); /* still open, still whole */
    assert_true(((const double *)file.entries[0].data)[99] == 100);
    lm_safetensors_release(&file);
    assert_int_equal(warnings, 0);
    lm_cache_release(&cache);
}

static void leave_file(const lm_cache *cache, const char *name, bool old) {
    char *path = lm_path_join(cache->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    const struct timespec times[2] = {{1000000, 0}, {1000000, 0}};
    if (old) assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    lm_free(path);
}

/* Only what is ours and old goes. */
static void what_a_killed_process_left_goes(void **state) {
    static const char hex[] =
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    char name[128];
    lm_cache cache = open_cache("killed", 0);
    put(&cache, "a", 3, 1);
    snprintf(name, sizeof name, "%s.safetensors.tmp-12", hex);
    leave_file(&cache, name, true);
    snprintf(name, sizeof name, "%s.safetensors.tmp-13", hex);
    leave_file(&cache, name, false);
    leave_file(&cache, "somebody's.txt", true);
    put(&cache, "b", 3, 1);
    assert_int_equal(count_files(&cache), 4);
    lm_cache_release(&cache);
}

static void a_full_disk_is_a_warning(void **state) {
    lm_cache cache = open_cache("full", 0);
    disk_is_full_at(200);
    put(&cache, "a", 3000, 1);
    disk_has_room();
    assert_int_equal(warnings, 1);
    assert_true(get(&cache, "a", 30) == -1);
    assert_int_equal(count_files(&cache), 0);
    lm_cache_release(&cache);
    CHECK_OK(lm_cache_init(&cache, "/proc/nowhere", 0));
    put(&cache, "a", 3, 1);
    assert_int_equal(warnings, 2);
    lm_cache_release(&cache);
}

/* Four processes put and find the same keys under a limit that removes some all the time:
 * what is found is whole. */
static void processes_share_a_folder(void **state) {
    lm_cache cache = open_cache("shared", 2500);
    pid_t children[4];
    for (int p = 0; p < 4; p++) {
        children[p] = fork();
        assert_true(children[p] >= 0);
        if (children[p] > 0) continue;
        bool good = true;
        for (int i = 0; i < 100; i++) {
            char key[8];
            snprintf(key, sizeof key, "%d", (i * 7 + p) % 5);
            put(&cache, key, 60, atoi(key));
            double got = get(&cache, key, 60);
            good &= got == -1 || got == atoi(key);
        }
        _exit(good && warnings == 0 ? 0 : 1);
    }
    for (int p = 0; p < 4; p++) {
        int status;
        assert_int_equal(waitpid(children[p], &status, 0), children[p]);
        assert_int_equal(status, 0);
    }
    lm_cache_release(&cache);
}

static void without_memory_nothing_leaks(void **state) {
    lm_cache cache = open_cache("memory", 0);
    lm_log_set(NULL, NULL);
    put(&cache, "a", 3, 5);
    lm_safetensors file;
    int64_t before = lm_mem_get_stats().blocks;
    bool found = false;
    for (int n = 1; n < 200 && !found; n++) {
        lm_mem_fail_at(n, 1);
        found = lm_cache_find(&cache, "a", &file);
        put(&cache, "b", 3, 5);
        lm_mem_fail_at(0, 0);
        if (found) lm_safetensors_release(&file);
        assert_int_equal(lm_mem_get_stats().blocks, before);
        assert_true(get(&cache, "a", 3) == 5); /* want of memory removes nothing */
    }
    assert_true(found);
    lm_cache_release(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(numbers_in_json_keep_their_digits),
        cmocka_unit_test(keys_are_lines),
        cmocka_unit_test(folders_are_chosen_by_the_environment),
        cmocka_unit_test(foreign_files_are_not_believed),
        cmocka_unit_test(damaged_files_are_removed),
        cmocka_unit_test(the_longest_unused_goes_first),
        cmocka_unit_test(what_a_killed_process_left_goes),
        cmocka_unit_test(a_full_disk_is_a_warning),
        cmocka_unit_test(processes_share_a_folder),
        cmocka_unit_test(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
