/* Typed option tables. One table makes the command line's parser and help, a family's
 * settings with their checks, run.json and the generated documentation. */
#ifndef LIMN_BASE_OPTIONS_H
#define LIMN_BASE_OPTIONS_H

#include "base/status.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum lm_option_type {
    LM_OPT_FLAG,   /* bool, no value on the command line */
    LM_OPT_INT,    /* int64_t within [min, max] */
    LM_OPT_FLOAT,  /* double within [min, max] */
    LM_OPT_TEXT,   /* any text */
    LM_OPT_CHOICE, /* one of `choices`, "a|b|c" */
    LM_OPT_INTS    /* 1 to LM_OPT_MAX_INTS integers within [min, max], "1,2,2" */
} lm_option_type;

#define LM_OPT_MAX_INTS 16

/* A table ends with a row whose name is NULL. `standard` is the default as text ("" for
 * none: text and ints are then empty, `is_set` false). All strings are static. */
typedef struct lm_option {
    const char *name; /* "lr", "ema-half-life" */
    lm_option_type type;
    const char *standard;
    double min, max;     /* numbers only; both 0: unbounded; max < min: no upper bound */
    const char *choices; /* LM_OPT_CHOICE only */
    const char *value;   /* placeholder in help: "N", "PX", "FILE" */
    const char *help;    /* one line, lower case, no full stop */
} lm_option;

typedef struct lm_option_value {
    bool is_set; /* given, not the default */
    bool flag;
    int64_t integer;
    double number;
    char *text; /* owned; the value as text for every type */
    int64_t ints[LM_OPT_MAX_INTS];
    int n_ints;
} lm_option_value;

/* The values of a table, in its order. */
typedef struct lm_settings {
    const lm_option *table;
    int count;
    lm_option_value *values;
} lm_settings;

/* All defaults. A default that its own row refuses is LM_INTERNAL. */
lm_status lm_settings_init(lm_settings *settings, const lm_option *table);
void lm_settings_release(lm_settings *settings);
lm_status lm_settings_copy(lm_settings *to, const lm_settings *from);

/* Sets one by name. Unknown names say the nearest match; bad values say what was
 * expected: "--steps -3: expected a whole number of at least 1". `prefix` goes before the
 * name in messages ("--", "--set "). Flags accept NULL, "true"/"1"/"yes" and their
 * opposites. On failure nothing changes. */
lm_status lm_settings_set(lm_settings *settings, const char *prefix, const char *name,
                          const char *value);

/* Applies "key=value key=value" (a preset's text). */
lm_status lm_settings_apply(lm_settings *settings, const char *assignments);

/* By name; the name must be in the table (asserted). */
const lm_option_value *lm_setting(const lm_settings *settings, const char *name);
int64_t lm_setting_int(const lm_settings *settings, const char *name);
double lm_setting_float(const lm_settings *settings, const char *name);
const char *lm_setting_text(const lm_settings *settings, const char *name);
bool lm_setting_flag(const lm_settings *settings, const char *name);

/* The help block of a table, two aligned columns within 90 columns, defaults shown. */
void lm_options_help(const lm_option *table, const char *prefix, lm_str *out);

/* Words of `text` from column `at` on, broken at 90 columns, later lines from column
 * `indent`; a newline at the end. */
void lm_append_wrapped(lm_str *out, const char *text, int at, int indent);

#endif
