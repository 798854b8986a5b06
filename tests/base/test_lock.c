/* Locks: one holder at a time, and none left behind by a killed one. */
#include "scratch.h"

#include "base/lock.h"
#include "base/mem.h"
#include <sys/wait.h>

static void test_one_holder(void **state) {
    lm_lock *first, *second;
    CHECK_OK(lm_lock_take(scratch("lock"), &first));
    CHECK_FAILS(lm_lock_take(scratch("lock"), &second), LM_ARG);
    assert_null(second);
    char holder[64];
    snprintf(holder, sizeof holder, "/lock: held by process %ld", (long)getpid());
    assert_non_null(strstr(lm_message(), holder));
    lm_lock_release(first);
    CHECK_OK(lm_lock_take(scratch("lock"), &second));
    lm_lock_release(second);
    lm_lock_release(NULL);
    CHECK_FAILS(lm_lock_take(scratch("no/such/folder"), &first), LM_IO);
    assert_non_null(strstr(lm_message(), "no/such/folder: cannot open"));
}

/* The child holds it until it is killed outright. */
static void test_killed_holder(void **state) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        lm_lock *lock;
        char taken = lm_lock_take(scratch("child"), &lock) == LM_OK;
        if (write(pipes[1], &taken, 1) == 1) pause();
        _exit(1);
    }
    char taken = 0;
    assert_int_equal(read(pipes[0], &taken, 1), 1);
    assert_int_equal(taken, 1);
    lm_lock *lock;
    CHECK_FAILS(lm_lock_take(scratch("child"), &lock), LM_ARG);
    char holder[64];
    snprintf(holder, sizeof holder, "held by process %ld", (long)child);
    assert_non_null(strstr(lm_message(), holder));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    CHECK_OK(lm_lock_take(scratch("child"), &lock));
    lm_lock_release(lock);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_out_of_memory(void **state) {
    lm_lock *lock;
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_lock_take(scratch("lock"), &lock), LM_NOMEM);
    lm_mem_fail_at(0, 0);
    CHECK_OK(lm_lock_take(scratch("lock"), &lock)); /* nothing was kept */
    lm_lock_release(lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder),
        cmocka_unit_test(test_killed_holder),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("lock", tests, scratch_begin, scratch_end);
}
