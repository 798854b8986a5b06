#include "opening.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

lm_status open_model(const lm_family *family, const char *settings, const char *more,
                     lm_image_info info, lm_model **model) {
    lm_settings all;
    CHECK_OK(lm_settings_init(&all, family->options));
    CHECK_OK(lm_settings_apply(&all, settings));
    CHECK_OK(lm_settings_apply(&all, more));
    return lm_model_open(family, &all, &info, model);
}

static bool has_option(const lm_family *family, const char *key) {
    for (const lm_option *row = family->options; row->name; row++)
        if (strcmp(row->name, key) == 0) return true;
    return false;
}

static bool is_trainer_key(const char *key) {
    static const char *const keys[] = {"batch", "lr",    "lr-schedule", "warmup",
                                       "clip",  "decay", "beta1",       "beta2",
                                       "ema",   "flip",  "ema-ramp"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return false;
}

/* A preset holds the trainer's keys too. */
static void keep_own_keys(const lm_family *family, const char *text, char own[512]) {
    char copy[512], *rest = NULL;
    int length = 0;
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    own[0] = '\0';
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char key[64];
        assert_non_null(strchr(word, '='));
        snprintf(key, sizeof key, "%.*s", (int)strcspn(word, "="), word);
        if (has_option(family, key))
            length += snprintf(own + length, 512 - (size_t)length, " %s", word);
        else if (!is_trainer_key(key))
            fail_msg("%s: a key of nobody's", key);
    }
}

lm_status open_preset(const lm_family *family, const char *name, const char *more,
                      lm_image_info info, lm_model **model) {
    const lm_preset *preset;
    char own[512];
    CHECK_OK(lm_preset_find(family, name, &preset));
    keep_own_keys(family, preset->settings, own);
    return open_model(family, own, more, info, model);
}

void check_refusals(const lm_family *family, const char *preset, const refusal *rows,
                    size_t count) {
    for (size_t i = 0; i < count; i++) {
        const refusal *row = &rows[i];
        lm_model *model;
        int64_t before = lm_mem_get_stats().blocks;
        lm_status status =
            preset ? open_preset(family, preset, row->settings, row->info, &model)
                   : open_model(family, "", row->settings, row->info, &model);
        CHECK_FAILS(status, LM_ARG);
        if (!strstr(lm_message(), row->says))
            fail_msg("\"%s\" does not say \"%s\"", lm_message(), row->says);
        assert_null(model);
        assert_int_equal(lm_mem_get_stats().blocks, before);
    }
}
