/* Opening models of any family, and what they refuse to open. */
#ifndef LIMN_TESTS_FAMILIES_OPENING_H
#define LIMN_TESTS_FAMILIES_OPENING_H

#include "testing.h"

#include "families/family.h"

/* The family's defaults but for `settings`, then `more`. */
lm_status open_model(const lm_family *family, const char *settings, const char *more,
                     lm_image_info info, lm_model **model);

/* The family's own settings of a preset, and `more`. */
lm_status open_preset(const lm_family *family, const char *name, const char *more,
                      lm_image_info info, lm_model **model);

typedef struct refusal {
    const char *settings;
    lm_image_info info;
    const char *says; /* part of the message */
} refusal;

/* Each is refused as LM_ARG with a message that says why, and nothing is left behind.
 * Settings are changes to the preset, NULL: to what the family has. */
void check_refusals(const lm_family *family, const char *preset, const refusal *rows,
                    size_t count);

#endif
