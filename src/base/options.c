#include "base/options.h"

#include "base/mem.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what a row accepts ------------------------------------------------------ */

/* A missing or empty upper bound is one below the lower: {.min = 1} is "at least 1". */
static bool has_min(const lm_option *row) {
    return isfinite(row->min) && (row->min != 0 || row->max != 0);
}

static bool has_max(const lm_option *row) {
    return isfinite(row->max) && row->max >= row->min && (row->min != 0 || row->max != 0);
}

static bool is_within(const lm_option *row, double number) {
    return (!has_min(row) || number >= row->min) && (!has_max(row) || number <= row->max);
}

static void describe_range(const lm_option *row, lm_str *out) {
    if (has_min(row) && has_max(row))
        lm_str_printf(out, " from %.15g to %.15g", row->min, row->max);
    else if (has_min(row))
        lm_str_printf(out, " of at least %.15g", row->min);
    else if (has_max(row))
        lm_str_printf(out, " of at most %.15g", row->max);
}

static void describe_choices(const char *choices, lm_str *out) {
    lm_str_append(out, "one of ");
    while (*choices) {
        int length = (int)strcspn(choices, "|");
        lm_str_printf(out, "%.*s", length, choices);
        choices += length;
        if (*choices) lm_str_append(out, ", "), choices++;
    }
}

static void describe_expected(const lm_option *row, lm_str *out) {
    switch (row->type) {
    case LM_OPT_FLAG:
        lm_str_append(out, "true or false");
        break;
    case LM_OPT_TEXT:
        lm_str_append(out, "a value");
        break;
    case LM_OPT_CHOICE:
        describe_choices(row->choices, out);
        break;
    case LM_OPT_INT:
        lm_str_append(out, "a whole number");
        describe_range(row, out);
        break;
    case LM_OPT_FLOAT:
        lm_str_append(out, "a number");
        describe_range(row, out);
        break;
    case LM_OPT_INTS:
        lm_str_printf(out, "1 to %d whole numbers", LM_OPT_MAX_INTS);
        describe_range(row, out);
        lm_str_append(out, " with commas between");
        break;
    }
}

/* ---- parsing ----------------------------------------------------------------- */

static bool parse_flag(const char *text, bool *flag) {
    static const struct {
        const char *text;
        bool flag;
    } words[] = {{"true", true},   {"1", true},  {"yes", true}, {"on", true},
                 {"false", false}, {"0", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i].text) == 0) {
            *flag = words[i].flag;
            return true;
        }
    return false;
}

static bool parse_whole(const lm_option *row, const char *text, int64_t *value) {
    return lm_parse_int(text, value) && is_within(row, (double)*value);
}

static bool parse_ints(const lm_option *row, const char *text, lm_option_value *value) {
    char item[32];
    for (value->n_ints = 0;; text++) {
        size_t length = strcspn(text, ",");
        if (value->n_ints == LM_OPT_MAX_INTS || length >= sizeof item) return false;
        memcpy(item, text, length);
        item[length] = '\0';
        if (!parse_whole(row, item, &value->ints[value->n_ints++])) return false;
        text += length;
        if (!*text) return true;
    }
}

static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (;; choices++) {
        size_t next = strcspn(choices, "|");
        if (next == length && memcmp(choices, text, length) == 0) return true;
        choices += next;
        if (!*choices) return false;
    }
}

static bool parse(const lm_option *row, const char *text, lm_option_value *value) {
    switch (row->type) {
    case LM_OPT_FLAG:
        return parse_flag(text, &value->flag);
    case LM_OPT_INT:
        return parse_whole(row, text, &value->integer);
    case LM_OPT_FLOAT:
        return lm_parse_double(text, &value->number) && is_within(row, value->number);
    case LM_OPT_TEXT:
        return true;
    case LM_OPT_CHOICE:
        return is_choice(row->choices, text);
    case LM_OPT_INTS:
        return parse_ints(row, text, value);
    }
    return false;
}

static lm_status refuse(const lm_option *row, const char *prefix, const char *text) {
    lm_str expected = LM_STR_INIT;
    describe_expected(row, &expected);
    const char *what = expected.failed ? "another value" : lm_str_text(&expected);
    if (!text)
        lm_fail(LM_ARG, "%s%s: expected %s", prefix, row->name, what);
    else
        lm_fail(LM_ARG, "%s%s %s: expected %s", prefix, row->name, *text ? text : "\"\"",
                what);
    lm_str_release(&expected);
    return LM_ARG;
}

/* Parses into a fresh value; on failure there is nothing to free. */
static lm_status read_value(const lm_option *row, const char *prefix, const char *text,
                            lm_option_value *value) {
    *value = (lm_option_value){0};
    const char *given = text || row->type != LM_OPT_FLAG ? text : "true";
    if (!given || !parse(row, given, value)) return refuse(row, prefix, text);
    if (row->type == LM_OPT_FLAG) given = value->flag ? "true" : "false";
    value->text = lm_strdup(given);
    return value->text ? LM_OK : LM_NOMEM;
}

/* ---- settings ---------------------------------------------------------------- */

static lm_status read_default(const lm_option *row, lm_option_value *value) {
    if (row->standard && *row->standard) {
        lm_status status = read_value(row, "default of ", row->standard, value);
        return status == LM_ARG ? LM_INTERNAL : status;
    }
    value->text = lm_strdup(row->type == LM_OPT_FLAG ? "false" : "");
    return value->text ? LM_OK : LM_NOMEM;
}

lm_status lm_settings_init(lm_settings *settings, const lm_option *table) {
    *settings = (lm_settings){.table = table};
    int count = 0;
    while (table[count].name) count++;
    settings->values = lm_calloc((size_t)count, sizeof *settings->values);
    if (!settings->values) return LM_NOMEM;
    lm_status status = LM_OK;
    settings->count = count;
    for (int i = 0; i < count && status == LM_OK; i++)
        status = read_default(&table[i], &settings->values[i]);
    if (status != LM_OK) lm_settings_release(settings);
    return status;
}

void lm_settings_release(lm_settings *settings) {
    for (int i = 0; i < settings->count; i++) lm_free(settings->values[i].text);
    lm_free(settings->values);
    *settings = (lm_settings){0};
}

lm_status lm_settings_copy(lm_settings *to, const lm_settings *from) {
    *to = (lm_settings){.table = from->table};
    to->values = lm_calloc((size_t)from->count, sizeof *to->values);
    if (!to->values) return LM_NOMEM;
    for (int i = 0; i < from->count; i++) {
        char *text = lm_strdup(from->values[i].text);
        if (!text) {
            lm_settings_release(to);
            return LM_NOMEM;
        }
        to->values[i] = from->values[i];
        to->values[i].text = text;
        to->count = i + 1;
    }
    return LM_OK;
}

static int find_row(const lm_option *table, const char *name) {
    for (int i = 0; table[i].name; i++)
        if (strcmp(table[i].name, name) == 0) return i;
    return -1;
}

static lm_status fail_unknown(const lm_settings *settings, const char *prefix,
                              const char *name) {
    const char *nearest = NULL;
    const char **names = lm_calloc((size_t)settings->count + 1, sizeof *names);
    for (int i = 0; names && i < settings->count; i++) names[i] = settings->table[i].name;
    if (names) nearest = lm_nearest(name, names);
    lm_free(names);
    if (!nearest) return lm_fail(LM_ARG, "%s%s: unknown option", prefix, name);
    return lm_fail(LM_ARG, "%s%s: unknown option, did you mean %s%s?", prefix, name,
                   prefix, nearest);
}

lm_status lm_settings_set(lm_settings *settings, const char *prefix, const char *name,
                          const char *value) {
    if (!prefix) prefix = "";
    int row = find_row(settings->table, name);
    if (row < 0) return fail_unknown(settings, prefix, name);
    lm_option_value next;
    LM_TRY(read_value(&settings->table[row], prefix, value, &next));
    next.is_set = true;
    lm_free(settings->values[row].text);
    settings->values[row] = next;
    return LM_OK;
}

/* `words` is cut up in place. */
static lm_status apply_words(lm_settings *settings, char *words) {
    char *rest = NULL;
    for (char *word = strtok_r(words, " \t\n", &rest); word;
         word = strtok_r(NULL, " \t\n", &rest)) {
        char *value = strchr(word, '=');
        if (value) *value++ = '\0';
        LM_TRY(lm_settings_set(settings, "", word, value));
    }
    return LM_OK;
}

/* All or nothing. */
lm_status lm_settings_apply(lm_settings *settings, const char *assignments) {
    lm_settings next;
    LM_TRY(lm_settings_copy(&next, settings));
    char *words = lm_strdup(assignments);
    lm_status status = words ? apply_words(&next, words) : LM_NOMEM;
    lm_free(words);
    if (status != LM_OK) {
        lm_settings_release(&next);
        return status;
    }
    lm_settings_release(settings);
    *settings = next;
    return LM_OK;
}

const lm_option_value *lm_setting(const lm_settings *settings, const char *name) {
    int row = find_row(settings->table, name);
    assert(row >= 0);
    return &settings->values[row];
}

int64_t lm_setting_int(const lm_settings *settings, const char *name) {
    return lm_setting(settings, name)->integer;
}

double lm_setting_float(const lm_settings *settings, const char *name) {
    return lm_setting(settings, name)->number;
}

const char *lm_setting_text(const lm_settings *settings, const char *name) {
    return lm_setting(settings, name)->text;
}

bool lm_setting_flag(const lm_settings *settings, const char *name) {
    return lm_setting(settings, name)->flag;
}

/* ---- help -------------------------------------------------------------------- */

enum { HELP_WIDTH = 90, HELP_LEFT_MOST = 32 };

static const char *placeholder(const lm_option *row) {
    if (row->value) return row->value;
    switch (row->type) {
    case LM_OPT_FLAG:
        break;
    case LM_OPT_INT:
        return "N";
    case LM_OPT_FLOAT:
        return "X";
    case LM_OPT_TEXT:
        return "TEXT";
    case LM_OPT_CHOICE:
        return row->choices;
    case LM_OPT_INTS:
        return "N,N,...";
    }
    return "";
}

/* Width of "  --name VALUE  ". */
static int left_width(const lm_option *row, const char *prefix) {
    size_t value = row->type == LM_OPT_FLAG ? 0 : 1 + strlen(placeholder(row));
    return (int)(strlen(prefix) + strlen(row->name) + value) + 4;
}

void lm_append_wrapped(lm_str *out, const char *text, int at, int indent) {
    for (bool first = true; *text; first = false) {
        int length = (int)strcspn(text, " ");
        if (!first && at + 1 + length > HELP_WIDTH) {
            lm_str_printf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            lm_str_append(out, " ");
            at++;
        }
        lm_str_printf(out, "%.*s", length, text);
        at += length;
        text += length;
        text += strspn(text, " ");
    }
    lm_str_append(out, "\n");
}

static void append_row(const lm_option *row, const char *prefix, int left, lm_str *out) {
    lm_str help = LM_STR_INIT;
    const char *standard = row->standard ? row->standard : "";
    bool shown =
        row->type == LM_OPT_FLAG ? strcmp(standard, "true") == 0 : *standard != '\0';
    lm_str_append(&help, row->help);
    if (shown) lm_str_printf(&help, " (default %s)", standard);
    if (help.failed) out->failed = true;
    int width = left_width(row, prefix);
    lm_str_printf(out, "  %s%s%s%s", prefix, row->name,
                  row->type == LM_OPT_FLAG ? "" : " ",
                  row->type == LM_OPT_FLAG ? "" : placeholder(row));
    if (width > left)
        lm_str_printf(out, "\n%*s", left, "");
    else
        lm_str_printf(out, "%*s", left - width + 2, "");
    if (!help.failed) lm_append_wrapped(out, lm_str_text(&help), left, left);
    lm_str_release(&help);
}

void lm_options_help(const lm_option *table, const char *prefix, lm_str *out) {
    int left = 0;
    for (const lm_option *row = table; row->name; row++) {
        int width = left_width(row, prefix);
        if (width > left && width <= HELP_LEFT_MOST) left = width;
    }
    if (!left) left = HELP_LEFT_MOST;
    for (const lm_option *row = table; row->name; row++)
        append_row(row, prefix, left, out);
}
