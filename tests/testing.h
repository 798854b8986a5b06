/* What every test includes: cmocka with its prerequisites, and two checks of ours. */
#ifndef LIMN_TESTS_TESTING_H
#define LIMN_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/status.h"

/* The call must succeed; its message is shown when it does not. */
#define CHECK_OK(expr)                                                                   \
    do {                                                                                 \
        lm_status check_ = (expr);                                                       \
        if (check_ != LM_OK)                                                             \
            fail_msg("%s: %s: %s", #expr, lm_status_name(check_), lm_message());         \
    } while (0)

/* The call must fail with this status. */
#define CHECK_FAILS(expr, expected)                                                      \
    do {                                                                                 \
        lm_status check_ = (expr);                                                       \
        if (check_ != (expected))                                                        \
            fail_msg("%s: got %s (%s), wanted %s", #expr, lm_status_name(check_),        \
                     check_ ? lm_message() : "", lm_status_name(expected));              \
    } while (0)

#endif
