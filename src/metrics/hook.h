/* What every long computation of this room calls now and then. */
#ifndef LIMN_METRICS_HOOK_H
#define LIMN_METRICS_HOOK_H

#include "base/status.h"

#include <stdbool.h>

/* share: of the work that is done, 0 to 1. Returning false ends the computation with
 * LM_INTERRUPTED. */
typedef struct lm_metric_hook {
    bool (*call)(void *user, double share); /* NULL: nobody asks */
    void *user;
} lm_metric_hook;

/* Calls the hook, which may be NULL. `what` is for the message. */
lm_status lm_metric_progress(const lm_metric_hook *hook, const char *what, double share);

/* A section of a longer computation: its hook goes from 0 to 1 while the whole's goes
 * from `first` by `length`. Must stay where it is while `hook` is used. */
typedef struct lm_metric_section {
    const lm_metric_hook *whole;
    double first, length;
    lm_metric_hook hook;
} lm_metric_section;

/* whole may be NULL. Returns &section->hook. */
const lm_metric_hook *lm_metric_section_begin(lm_metric_section *section,
                                              const lm_metric_hook *whole, double first,
                                              double length);

#endif
