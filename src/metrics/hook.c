#include "metrics/hook.h"

#include <stddef.h>

lm_status lm_metric_progress(const lm_metric_hook *hook, const char *what, double share) {
    if (!hook || !hook->call || hook->call(hook->user, share)) return LM_OK;
    return lm_fail(LM_INTERRUPTED, "interrupted while computing %s", what);
}
