#include "metrics/hook.h"

#include <stddef.h>

lm_status lm_metric_progress(const lm_metric_hook *hook, const char *what, double share) {
    if (!hook || !hook->call || hook->call(hook->user, share)) return LM_OK;
    return lm_fail(LM_INTERRUPTED, "interrupted while computing %s", what);
}

static bool pass_on(void *user, double share) {
    const lm_metric_section *section = user;
    const lm_metric_hook *whole = section->whole;
    return whole->call(whole->user, section->first + share * section->length);
}

const lm_metric_hook *lm_metric_section_begin(lm_metric_section *section,
                                              const lm_metric_hook *whole, double first,
                                              double length) {
    *section = (lm_metric_section){.whole = whole, .first = first, .length = length};
    section->hook.user = section;
    if (whole && whole->call) section->hook.call = pass_on;
    return &section->hook;
}
