/* The table of known sets against itself, and what is told of a folder. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data_internal.h"
#include "data/known.h"

#include <sys/stat.h>

/* ---- the table --------------------------------------------------------------- */

static bool starts(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static void check_hex(const char *name, const char *hex, size_t length) {
    if (!hex) return;
    if (strlen(hex) != length || strspn(hex, "0123456789abcdef") != length)
        fail_msg("%s: %s is no digest of %zu digits", name, hex, length);
}

/* What comes without TLS must be known by a digest that cannot be forged. */
static void check_url(const lm_known_file *file, const char *url) {
    const char *slash = strrchr(url, '/');
    assert_string_equal(slash + 1, file->name);
    if (!starts(url, "https://") && !(starts(url, "http://") && file->sha256))
        fail_msg("%s: neither TLS nor SHA-256", url);
}

static void check_file(const lm_known_set *set, const lm_known_file *file) {
    assert_non_null(file->name);
    assert_null(strpbrk(file->name, "/\\"));
    check_hex(file->name, file->sha256, 64);
    check_hex(file->name, file->md5, 32);
    assert_true(file->bytes >= 0);
    /* Somebody who fetches must be able to tell a broken file. */
    assert_true(!file->urls[0] || file->sha256 || file->md5);
    assert_true(file->urls[0] || set->how);
    for (int i = 0; i < LM_KNOWN_URLS && file->urls[i]; i++)
        check_url(file, file->urls[i]);
    if (file->unpack) assert_null(strpbrk(file->unpack, "/\\."));
    for (const lm_known_file *other = set->files; other < file; other++)
        assert_string_not_equal(other->name, file->name);
}

static void test_every_row_is_sound(void **state) {
    for (const lm_known_set *set = lm_known_sets; set->name; set++) {
        assert_ptr_equal(lm_known_find(set->name), set);
        assert_true(set->title && set->about && set->terms);
        assert_true(starts(set->home, "http"));
        assert_true(set->channels == 1 || set->channels == 3);
        assert_int_equal(set->width > 0, set->height > 0);
        assert_true(set->images[LM_SPLIT_TRAIN] > 0);
        assert_true(set->n_files > 0 || set->how);
        for (int i = 0; i < set->n_files; i++) check_file(set, &set->files[i]);
    }
    assert_null(lm_known_find("no-such-set"));
}

static void test_sums(void **state) {
    const lm_known_set *mnist = lm_known_find("mnist");
    assert_int_equal(lm_known_images(mnist), 70000);
    assert_int_equal(lm_known_bytes(mnist), 9912422 + 28881 + 1648877 + 4542);
}

/* ---- presence ---------------------------------------------------------------- */

static void make(const char *name, off_t size) {
    FILE *file = fopen(scratch(name), "wb");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), size), 0);
    fclose(file);
}

static lm_presence presence(const char *name, const char *folder) {
    lm_presence found;
    CHECK_OK(lm_known_presence(lm_known_find(name), scratch(folder), &found));
    return found;
}

static void test_presence(void **state) {
    assert_int_equal(presence("svhn", "svhn"), LM_PRESENCE_NONE);
    assert_int_equal(mkdir(scratch("svhn"), 0700), 0);
    assert_int_equal(presence("svhn", "svhn"), LM_PRESENCE_NONE);
    make("svhn/mine.mat", 100);
    assert_int_equal(presence("svhn", "svhn"), LM_PRESENCE_OTHER);
    make("svhn/train_32x32.mat.part", 100);
    assert_int_equal(presence("svhn", "svhn"), LM_PRESENCE_PART);
    make("svhn/train_32x32.mat", 182040794); /* sparse */
    make("svhn/test_32x32.mat", 64275384);
    make("svhn/extra_32x32.mat", 1000);
    assert_int_equal(presence("svhn", "svhn"), LM_PRESENCE_PART);
    make("svhn/extra_32x32.mat", 1329278602);
    assert_int_equal(presence("svhn", "svhn"), LM_PRESENCE_WHOLE);
}

static void test_what_is_read_unpacked_is_there_when_unpacked(void **state) {
    assert_int_equal(mkdir(scratch("stl10"), 0700), 0);
    make("stl10/stl10_binary.tar.gz", 2640397119);
    assert_int_equal(presence("stl10", "stl10"), LM_PRESENCE_PART);
    assert_int_equal(mkdir(scratch("stl10/stl10_binary"), 0700), 0);
    assert_int_equal(presence("stl10", "stl10"), LM_PRESENCE_WHOLE);
}

static void check_folder(const char *expected) {
    char *folder;
    CHECK_OK(lm_data_folder(&folder));
    assert_string_equal(folder, expected);
    lm_free(folder);
}

/* ---- readers ----------------------------------------------------------------- */

/* What reads the folder of each set, and a file that the table leaves to archives. */
static const struct {
    const char *name;
    const lm_data_format *format;
    const char *within;
} readers[] = {
    {"mnist", &lm_mnist_format, NULL},
    {"fashion-mnist", &lm_mnist_format, NULL},
    {"kmnist", &lm_mnist_format, NULL},
    {"emnist", &lm_emnist_format, NULL},
    {"cifar10", &lm_cifar_format, NULL},
    {"cifar100", &lm_cifar_format, NULL},
    {"stl10", &lm_stl10_format, "stl10_binary/train_X.bin"},
    {"svhn", &lm_svhn_format, NULL},
    {"usps", &lm_usps_format, NULL},
    {"mnist-m", &lm_mnist_m_format, NULL},
    {"celeba", &lm_celeba_format, NULL},
    {"ffhq", &lm_image_folder_format, "00000/00000.png"},
    {"lsun-church", &lm_lsun_format, "church_outdoor_train_lmdb/data.mdb"},
    {"lsun-bedroom", &lm_lsun_format, "bedroom_train_lmdb/data.mdb"},
    {"lsun", &lm_lsun_format, "tower_train_lmdb/data.mdb"},
};

/* Everything is an empty zip: formats look at names, and at most at first bytes. */
static void make_within(const char *folder, const char *name) {
    static const char empty_zip[22] = "PK\5\6";
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    CHECK_OK(lm_make_folders(scratch(path)));
    *slash = '/';
    FILE *file = fopen(scratch(path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(empty_zip, 1, sizeof empty_zip, file), sizeof empty_zip);
    fclose(file);
}

static void test_every_set_has_a_reader(void **state) {
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        const lm_known_set *set = &lm_known_sets[i];
        assert_string_equal(readers[i].name, set->name);
        char folder[64];
        snprintf(folder, sizeof folder, "readers/%s", set->name);
        for (int k = 0; k < set->n_files; k++)
            if (!set->files[k].unpack) make_within(folder, set->files[k].name);
        if (readers[i].within) make_within(folder, readers[i].within);
        const lm_data_format *found = lm_data_find_format(scratch(folder));
        if (found != readers[i].format)
            fail_msg("%s: is read as %s, not as %s", set->name,
                     found ? found->what : "nothing", readers[i].format->what);
    }
    assert_null(lm_known_sets[sizeof readers / sizeof *readers].name);
}

static void test_the_data_folder_follows_the_environment(void **state) {
    setenv("HOME", "/h", 1);
    unsetenv("XDG_DATA_HOME");
    unsetenv("LIMN_DATA");
    check_folder("/h/.local/share/limn");
    setenv("XDG_DATA_HOME", "/x", 1);
    check_folder("/x/limn");
    setenv("LIMN_DATA", "/d", 1);
    check_folder("/d");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_sound),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_what_is_read_unpacked_is_there_when_unpacked),
        cmocka_unit_test(test_every_set_has_a_reader),
        cmocka_unit_test(test_the_data_folder_follows_the_environment),
    };
    return cmocka_run_group_tests_name("known", tests, scratch_begin, scratch_end);
}
