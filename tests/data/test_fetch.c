/* Fetching from a server that breaks, stalls, lies and forgets. */
#include "scratch.h"
#include "server.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/digest.h"
#include "data/fetch.h"
#include "data/transfer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { SIZE = 300000, HALF = SIZE / 2 };

static uint8_t content[SIZE];
static char sha256[LM_SHA256_HEX], md5[LM_MD5_HEX];

/* ---- the rig ----------------------------------------------------------------- */

/* What the caller of lm_fetch_file sees and does. */
static struct {
    char notes[8192];
    int64_t stop_at; /* bytes of a transfer after which it stops; 0: never */
    bool stopped;
} caller;

static bool stop(void *user) {
    return caller.stopped;
}

static void show(void *user, const lm_fetch_progress *progress) {
    assert_string_equal(progress->file, "a.bin");
    assert_true(progress->done >= 0);
    assert_true(!progress->total || progress->done <= progress->total);
    if (caller.stop_at && progress->stage == LM_FETCH_TRANSFER &&
        progress->done >= caller.stop_at)
        caller.stopped = true;
}

static void take_note(void *user, const char *line) {
    size_t length = strlen(caller.notes);
    assert_true(length + strlen(line) + 2 < sizeof caller.notes);
    sprintf(caller.notes + length, "%s\n", line);
}

static const lm_fetch fetch = {.attempts = 3,
                               .pause = 0.02,
                               .stall_seconds = 1,
                               .stop = stop,
                               .show = show,
                               .note = take_note};

static page pages[4];
static lm_known_file file;

/* Every case begins with an empty folder and one good page. */
static int set_up(void **state) {
    if (scratch_begin(state)) return -1;
    memset(&caller, 0, sizeof caller);
    memset(pages, 0, sizeof pages);
    pages[0] = (page){.path = "/a.bin", .bytes = content, .size = SIZE, .ranges = true};
    server_start(pages);
    file = (lm_known_file){.name = "a.bin", .bytes = SIZE, .sha256 = sha256};
    file.urls[0] = server_url("/a.bin");
    return 0;
}

static int tear_down(void **state) {
    server_stop();
    return scratch_end(state);
}

static lm_status run(void) {
    caller.notes[0] = '\0';
    return lm_fetch_file(&fetch, &file, scratch_folder);
}

static void check_noted(const char *words) {
    if (!strstr(caller.notes, words))
        fail_msg("no '%s' among the notes: %s", words, caller.notes);
}

static void check_message(const char *words) {
    if (!strstr(lm_message(), words)) fail_msg("no '%s' in: %s", words, lm_message());
}

static off_t size_of(const char *name) {
    struct stat info;
    return stat(scratch(name), &info) == 0 ? info.st_size : -1;
}

static void check_arrived(void) {
    void *bytes;
    size_t size;
    CHECK_OK(lm_file_read(scratch("a.bin"), SIZE, &bytes, &size));
    assert_int_equal(size, SIZE);
    assert_memory_equal(bytes, content, SIZE);
    lm_free(bytes);
    assert_int_equal(size_of("a.bin.part"), -1);
}

static void check_nothing_is_left(void) {
    assert_int_equal(size_of("a.bin"), -1);
    assert_int_equal(size_of("a.bin.part"), -1);
}

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *to = fopen(scratch(name), "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(bytes, 1, size, to), size);
    fclose(to);
}

/* ---- the good case ----------------------------------------------------------- */

static void test_a_file_arrives(void **state) {
    CHECK_OK(run());
    check_arrived();
    assert_int_equal(pages[0].requests, 1);
    CHECK_OK(run());
    check_noted("a.bin: there already");
    assert_int_equal(pages[0].requests, 1);
}

static void test_the_folder_is_made(void **state) {
    CHECK_OK(lm_fetch_file(&fetch, &file, scratch("deep/er")));
    assert_int_equal(size_of("deep/er/a.bin"), SIZE);
}

static void test_md5_where_nothing_else_was_published(void **state) {
    file.sha256 = NULL, file.md5 = md5, file.bytes = 0;
    CHECK_OK(run());
    check_arrived();
}

static void test_nothing_to_check_by_is_said(void **state) {
    file.sha256 = NULL;
    CHECK_OK(run());
    check_noted("no digest was published: checked by its size only");
    check_arrived();
}

static void test_redirects_are_followed(void **state) {
    pages[1] = (page){.path = "/b", .location = server_url("/a.bin")};
    file.urls[0] = server_url("/b");
    CHECK_OK(run());
    check_arrived();
}

static void test_a_base_url_takes_the_tables_place(void **state) {
    lm_fetch elsewhere = fetch;
    elsewhere.base_url = server_url("");
    file.urls[0] = "http://127.0.0.1:1/never";
    CHECK_OK(lm_fetch_file(&elsewhere, &file, scratch_folder));
    check_arrived();
}

/* ---- broken transfers -------------------------------------------------------- */

static void test_a_broken_transfer_goes_on_where_it_broke(void **state) {
    pages[0].failures = 2, pages[0].break_after = 100000;
    CHECK_OK(run());
    check_arrived();
    assert_int_equal(pages[0].requests, 3);
    assert_int_equal(pages[0].from, 200000);
    check_noted("from byte 100000");
    check_noted("from byte 200000");
}

/* Progress makes patience new: six breaks are fine with three attempts. */
static void test_many_breaks_are_fine_as_long_as_something_comes(void **state) {
    pages[0].failures = 6, pages[0].break_after = 40000;
    CHECK_OK(run());
    check_arrived();
    assert_int_equal(pages[0].requests, 7);
}

static void test_without_ranges_it_begins_anew(void **state) {
    pages[0].ranges = false, pages[0].failures = 2, pages[0].break_after = 100000;
    CHECK_OK(run());
    check_arrived();
    assert_int_equal(pages[0].requests, 3);
}

static void test_an_early_end_without_length_is_seen(void **state) {
    pages[0].no_length = true, pages[0].failures = 1, pages[0].break_after = 100000;
    CHECK_OK(run());
    check_noted("ended after 100000 of 300000 bytes");
    check_arrived();
}

static void test_a_stalled_transfer_counts_as_broken(void **state) {
    pages[0].failures = 1, pages[0].break_after = 100000, pages[0].stalls = true;
    CHECK_OK(run());
    assert_int_equal(pages[0].from, 100000);
    check_arrived();
}

static void test_a_busy_server_is_asked_again(void **state) {
    pages[0].failures = 2, pages[0].code = 503;
    CHECK_OK(run());
    check_noted("the server answers 503; again in 0 s");
    check_arrived();
}

static void test_patience_ends(void **state) {
    write_file("a.bin.part", content, HALF);
    pages[0].failures = 100, pages[0].code = 503;
    CHECK_FAILS(run(), LM_IO);
    check_message("the server answers 503");
    assert_int_equal(pages[0].requests, 3);
    assert_int_equal(size_of("a.bin.part"), HALF);
}

static void test_nobody_listens(void **state) {
    file.urls[0] = "http://127.0.0.1:1/a.bin";
    CHECK_FAILS(run(), LM_IO);
    check_message("a.bin: http://127.0.0.1:1/a.bin: ");
    check_nothing_is_left();
}

/* ---- going on ---------------------------------------------------------------- */

static void test_what_was_stopped_goes_on(void **state) {
    pages[0].failures = 1, pages[0].break_after = HALF;
    caller.stop_at = HALF;
    CHECK_FAILS(run(), LM_INTERRUPTED);
    assert_int_equal(size_of("a.bin"), -1);
    assert_int_equal(size_of("a.bin.part"), HALF);
    caller.stop_at = 0, caller.stopped = false;
    CHECK_OK(run());
    assert_int_equal(pages[0].from, HALF);
    check_arrived();
}

static void test_a_part_that_is_whole_needs_no_server(void **state) {
    write_file("a.bin.part", content, SIZE);
    CHECK_OK(run());
    assert_int_equal(pages[0].requests, 0);
    check_arrived();
}

static void test_a_part_of_another_file_is_given_up(void **state) {
    uint8_t other[HALF] = {1};
    write_file("a.bin.part", other, HALF);
    CHECK_OK(run());
    check_noted("again from the beginning");
    assert_int_equal(pages[0].requests, 2);
    check_arrived();
}

static void test_a_part_that_is_too_long_is_given_up(void **state) {
    uint8_t more[16] = {0};
    write_file("a.bin.part", content, SIZE);
    FILE *to = fopen(scratch("a.bin.part"), "ab");
    fwrite(more, 1, sizeof more, to);
    fclose(to);
    CHECK_OK(run());
    check_arrived();
}

/* Nobody knows the size, so only the server can say that there is nothing more. */
static void test_a_whole_part_of_unknown_size(void **state) {
    file.bytes = 0;
    write_file("a.bin.part", content, SIZE);
    CHECK_OK(run());
    assert_int_equal(pages[0].requests, 2);
    check_arrived();
}

static void test_a_server_that_sends_another_part(void **state) {
    write_file("a.bin.part", content, HALF);
    pages[0].shift = 10;
    CHECK_OK(run());
    check_arrived();
}

/* ---- wrong files ------------------------------------------------------------- */

static void test_wrong_content_is_removed(void **state) {
    static uint8_t wrong[SIZE];
    pages[0].bytes = wrong;
    CHECK_FAILS(run(), LM_FORMAT);
    check_message("SHA-256 is");
    check_message(sha256);
    assert_int_equal(pages[0].requests, 1);
    check_nothing_is_left();
}

static void test_wrong_content_is_replaced_by_a_mirrors(void **state) {
    static uint8_t wrong[SIZE];
    pages[1] = (page){.path = "/wrong", .bytes = wrong, .size = SIZE, .ranges = true};
    file.urls[1] = file.urls[0];
    file.urls[0] = server_url("/wrong");
    CHECK_OK(run());
    check_noted("next http://");
    check_arrived();
}

static void test_wrong_size_is_seen_before_the_first_byte(void **state) {
    pages[0].size = SIZE - 1;
    CHECK_FAILS(run(), LM_IO);
    check_message("has 299999 bytes, expected 300000");
    assert_int_equal(pages[0].requests, 1);
    check_nothing_is_left();
}

static void test_more_than_there_should_be(void **state) {
    file.bytes = HALF, pages[0].no_length = true;
    CHECK_FAILS(run(), LM_IO);
    check_message("sends more than 150000 bytes");
}

/* A portal's page does not cost what was there already. */
static void test_a_web_page_instead_of_the_file(void **state) {
    write_file("a.bin.part", content, HALF);
    pages[0].type = "text/html; charset=utf-8", pages[0].no_length = true;
    pages[0].ranges = false;
    CHECK_FAILS(run(), LM_IO);
    check_message("a web page, not the file");
    assert_int_equal(size_of("a.bin.part"), HALF);
}

static void test_absent_here_present_at_a_mirror(void **state) {
    file.urls[1] = file.urls[0];
    file.urls[0] = server_url("/absent");
    CHECK_OK(run());
    check_noted("/absent: the server answers 404; next http://");
    check_arrived();
}

static void test_absent_everywhere(void **state) {
    file.urls[0] = server_url("/absent");
    CHECK_FAILS(run(), LM_IO);
    check_message("/absent: the server answers 404");
    check_nothing_is_left();
}

static void test_other_protocols_are_refused(void **state) {
    file.urls[0] = "file:///etc/passwd";
    CHECK_FAILS(run(), LM_IO);
    pages[1] = (page){.path = "/b", .location = "file:///etc/passwd"};
    file.urls[0] = server_url("/b");
    CHECK_FAILS(run(), LM_IO);
    check_nothing_is_left();
}

static void test_redirects_in_a_circle(void **state) {
    pages[1] = (page){.path = "/b", .location = server_url("/b")};
    file.urls[0] = server_url("/b");
    CHECK_FAILS(run(), LM_IO);
    assert_int_equal(pages[1].requests, 9);
}

/* ---- this machine ------------------------------------------------------------ */

static void test_a_file_that_was_there_is_not_touched(void **state) {
    write_file("a.bin", "mine", 4);
    CHECK_FAILS(run(), LM_FORMAT);
    check_message("4 bytes, expected 300000");
    check_message("move it away");
    assert_int_equal(size_of("a.bin"), 4);
    assert_int_equal(size_of("a.bin.part"), -1);
    assert_int_equal(pages[0].requests, 0);
}

/* As in a folder that may only be read; root may write everywhere. */
static void test_checking_needs_no_place_to_write(void **state) {
    write_file("a.bin", content, SIZE);
    assert_int_equal(mkdir(scratch("a.bin.part"), 0700), 0);
    CHECK_OK(run());
    check_noted("there already");
    assert_int_equal(remove(scratch("a.bin")), 0);
    CHECK_FAILS(run(), LM_IO);
}

static void test_a_full_disk(void **state) {
    disk_is_full_at(HALF);
    lm_status status = run();
    disk_has_room();
    assert_int_equal(status, LM_IO);
    check_message("a.bin.part: cannot write: File too large");
    assert_int_equal(size_of("a.bin.part"), HALF);
    CHECK_OK(run());
    assert_int_equal(pages[0].from, HALF);
    check_arrived();
}

static void test_two_at_once(void **state) {
    write_file("a.bin.part", content, HALF);
    int fd = open(scratch("a.bin.part"), O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    CHECK_FAILS(run(), LM_IO);
    check_message("another process is fetching it");
    close(fd);
    CHECK_OK(run());
    check_arrived();
}

static void test_a_link_in_the_parts_place(void **state) {
    write_file("other", "mine", 4);
    assert_int_equal(symlink("other", scratch("a.bin.part")), 0);
    CHECK_FAILS(run(), LM_IO);
    assert_int_equal(size_of("other"), 4);
}

static void test_memory_fails_cleanly(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int n = 1; status != LM_OK; n++) {
        lm_mem_fail_at(n, 0);
        status = run();
        lm_mem_fail_at(0, 0);
        assert_true(status == LM_OK || status == LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
    }
    check_arrived();
}

/* ---- sets -------------------------------------------------------------------- */

static void test_a_set_is_all_its_files(void **state) {
    const lm_known_set set = {.name = "a", .files = &file, .n_files = 1};
    CHECK_OK(lm_fetch_set(&fetch, &set, scratch_folder));
    check_arrived();
}

static void test_a_set_to_be_had_by_hand(void **state) {
    file.urls[0] = NULL;
    const lm_known_set set = {
        .name = "a", .home = "HOME", .how = "ASK", .files = &file, .n_files = 1};
    CHECK_FAILS(lm_fetch_set(&fetch, &set, scratch_folder), LM_NOT_FOUND);
    check_message("a: to be had by hand only: HOME: ASK");
    check_nothing_is_left();
    write_file("a.bin", content, SIZE);
    CHECK_OK(lm_fetch_set(&fetch, &set, scratch_folder));
    write_file("a.bin", content, HALF);
    CHECK_FAILS(lm_fetch_set(&fetch, &set, scratch_folder), LM_FORMAT);
}

static void test_a_set_by_hand_from_ones_own_server(void **state) {
    file.urls[0] = NULL;
    lm_fetch elsewhere = fetch;
    elsewhere.base_url = server_url("/");
    const lm_known_set set = {
        .name = "a", .home = "HOME", .how = "ASK", .files = &file, .n_files = 1};
    CHECK_OK(lm_fetch_set(&elsewhere, &set, scratch_folder));
    check_arrived();
}

static void test_a_build_without_the_library_says_so(void **state) {
    CHECK_FAILS(run(), LM_UNSUPPORTED);
    check_message("install libcurl4-openssl-dev");
    check_nothing_is_left();
}

static void make_content(void) {
    uint32_t word = 1;
    for (int i = 0; i < SIZE; i++) {
        word = word * 1664525 + 1013904223;
        content[i] = (uint8_t)(word >> 24);
    }
    lm_digest digest;
    lm_digest_init(&digest, LM_SHA256);
    lm_digest_add(&digest, content, SIZE);
    lm_digest_hex(&digest, sha256);
    lm_digest_init(&digest, LM_MD5);
    lm_digest_add(&digest, content, SIZE);
    lm_digest_hex(&digest, md5);
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest without[] = {CASE(a_build_without_the_library_says_so)};
    const struct CMUnitTest tests[] = {
        CASE(a_file_arrives),
        CASE(the_folder_is_made),
        CASE(md5_where_nothing_else_was_published),
        CASE(nothing_to_check_by_is_said),
        CASE(redirects_are_followed),
        CASE(a_base_url_takes_the_tables_place),
        CASE(a_broken_transfer_goes_on_where_it_broke),
        CASE(many_breaks_are_fine_as_long_as_something_comes),
        CASE(without_ranges_it_begins_anew),
        CASE(an_early_end_without_length_is_seen),
        CASE(a_stalled_transfer_counts_as_broken),
        CASE(a_busy_server_is_asked_again),
        CASE(patience_ends),
        CASE(nobody_listens),
        CASE(what_was_stopped_goes_on),
        CASE(a_part_that_is_whole_needs_no_server),
        CASE(a_part_of_another_file_is_given_up),
        CASE(a_part_that_is_too_long_is_given_up),
        CASE(a_whole_part_of_unknown_size),
        CASE(a_server_that_sends_another_part),
        CASE(wrong_content_is_removed),
        CASE(wrong_content_is_replaced_by_a_mirrors),
        CASE(wrong_size_is_seen_before_the_first_byte),
        CASE(more_than_there_should_be),
        CASE(a_web_page_instead_of_the_file),
        CASE(absent_here_present_at_a_mirror),
        CASE(absent_everywhere),
        CASE(other_protocols_are_refused),
        CASE(redirects_in_a_circle),
        CASE(a_file_that_was_there_is_not_touched),
        CASE(checking_needs_no_place_to_write),
        CASE(a_full_disk),
        CASE(two_at_once),
        CASE(a_link_in_the_parts_place),
        CASE(memory_fails_cleanly),
        CASE(a_set_is_all_its_files),
        CASE(a_set_to_be_had_by_hand),
        CASE(a_set_by_hand_from_ones_own_server),
    };
    make_content();
    return lm_transfer_possible
               ? cmocka_run_group_tests_name("fetch", tests, NULL, NULL)
               : cmocka_run_group_tests_name("fetch", without, NULL, NULL);
}
