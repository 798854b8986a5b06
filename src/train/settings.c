/* The trainer's option table, and how presets and --set reach it and the model's. */
#include "train/settings.h"

#include "base/mem.h"

#include <string.h>

const lm_option lm_trainer_options[] = {
    {"batch", LM_OPT_INT, "128", 1, 65536, NULL, "N", "images a step"},
    {"flip", LM_OPT_FLAG, "off", 0, 0, NULL, "on|off",
     "left and right exchanged in half of the images, as ?flip of --data"},
    {"lr", LM_OPT_FLOAT, "2e-4", 1e-12, 0, NULL, "X", "learning rate of AdamW"},
    {"lr-schedule", LM_OPT_CHOICE, "constant", 0, 0, "constant|cosine|linear", NULL,
     "what the rate does after the warm-up"},
    {"warmup", LM_OPT_INT, "500", 0, 1e9, NULL, "N", "steps of linear warm-up"},
    {"clip", LM_OPT_FLOAT, "1", 0, 1e9, NULL, "X", "largest gradient norm, 0 for any"},
    {"decay", LM_OPT_FLOAT, "0", 0, 10, NULL, "X", "decoupled weight decay"},
    {"beta1", LM_OPT_FLOAT, "0.9", 0, 0.999999, NULL, "X", "decay of the first moment"},
    {"beta2", LM_OPT_FLOAT, "0.999", 0, 0.999999, NULL, "X",
     "decay of the second moment"},
    {"ema", LM_OPT_FLOAT, "500000", 1, 1e12, NULL, "IMAGES",
     "half-life of the weight average, in images"},
    {"ema-ramp", LM_OPT_FLOAT, "0.05", 0, 1, NULL, "X",
     "half-life at most this share of the images seen, 0 for no ramp"},
    {"engine.winograd", LM_OPT_FLAG, "on", 0, 0, NULL, "on|off",
     "Winograd convolutions, fewer multiplications"},
    {"engine.conv", LM_OPT_CHOICE, "auto", 0, 0,
     "auto|narrow|winograd|phases|direct|flipped|onednn", NULL,
     "this kernel for every convolution that it fits, auto by rule"},
    {"engine.matmul", LM_OPT_CHOICE, "auto", 0, 0, "auto|own|onednn", NULL,
     "this kernel for every matrix product that it fits, auto by rule"},
    {"engine.tune", LM_OPT_FLAG, "off", 0, 0, NULL, "on|off",
     "measure kernels before the first step, remember the fastest"},
    {0}};

static bool has_key(const lm_option *table, const char *key) {
    for (; table->name; table++)
        if (strcmp(table->name, key) == 0) return true;
    return false;
}

static lm_status unknown_key(const lm_settings *model, const lm_settings *trainer,
                             const char *prefix, const char *key) {
    const lm_settings *both[] = {model, trainer};
    const char *names[128];
    int count = 0;
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < both[t]->count && count < 127; i++)
            names[count++] = both[t]->table[i].name;
    names[count] = NULL;
    const char *nearest = lm_nearest(key, names);
    if (nearest)
        return lm_fail(LM_ARG, "%s%s: unknown setting, did you mean %s?", prefix, key,
                       nearest);
    return lm_fail(LM_ARG, "%s%s: unknown setting; 'limn train FAMILY --help' lists them",
                   prefix, key);
}

lm_status lm_assign_setting(lm_settings *model, lm_settings *trainer, const char *prefix,
                            const char *assignment) {
    const char *equals = strchr(assignment, '=');
    LM_RETURN_IF(!equals || equals == assignment, LM_ARG, "%s%s: expected key=value",
                 prefix, assignment);
    char *key = lm_strdup(assignment);
    if (!key) return LM_NOMEM;
    key[equals - assignment] = '\0';
    lm_settings *owner = has_key(model->table, key)     ? model
                         : has_key(trainer->table, key) ? trainer
                                                        : NULL;
    lm_status status = owner ? lm_settings_set(owner, prefix, key, equals + 1)
                             : unknown_key(model, trainer, prefix, key);
    lm_free(key);
    return status;
}

lm_status lm_apply_preset(const lm_preset *preset, lm_settings *model,
                          lm_settings *trainer) {
    char *text = lm_strdup(preset->settings), *rest = NULL;
    if (!text) return LM_NOMEM;
    lm_status status = LM_OK;
    for (char *word = strtok_r(text, " ", &rest); word && status == LM_OK;
         word = strtok_r(NULL, " ", &rest))
        status = lm_assign_setting(model, trainer, "", word);
    if (status != LM_OK) status = lm_fail_context(status, "preset %s", preset->name);
    lm_free(text);
    return status;
}

lm_optim_spec lm_trainer_optim(const lm_settings *trainer) {
    return (lm_optim_spec){.beta1 = lm_setting_float(trainer, "beta1"),
                           .beta2 = lm_setting_float(trainer, "beta2"),
                           .eps = 1e-8,
                           .weight_decay = lm_setting_float(trainer, "decay"),
                           .clip = lm_setting_float(trainer, "clip")};
}

lm_lr_kind lm_trainer_lr_kind(const lm_settings *trainer) {
    const char *text = lm_setting_text(trainer, "lr-schedule");
    return strcmp(text, "cosine") == 0   ? LM_LR_COSINE
           : strcmp(text, "linear") == 0 ? LM_LR_LINEAR
                                         : LM_LR_CONSTANT;
}

lm_backend_options lm_trainer_engine(const lm_settings *trainer) {
    return (lm_backend_options){.no_winograd =
                                    !lm_setting_flag(trainer, "engine.winograd"),
                                .conv = lm_setting_text(trainer, "engine.conv"),
                                .matmul = lm_setting_text(trainer, "engine.matmul"),
                                .tune = lm_setting_flag(trainer, "engine.tune")};
}

lm_status lm_assign_engine(lm_settings *trainer, const char *prefix,
                           const char *assignment) {
    static const char engine[] = "engine.";
    lm_settings none = {.table = (const lm_option[]){{0}}};
    LM_RETURN_IF(strncmp(assignment, engine, strlen(engine)) != 0, LM_ARG,
                 "%s%s: only settings of the engine can differ from the run's: "
                 "engine.winograd, engine.conv, engine.matmul, engine.tune",
                 prefix, assignment);
    return lm_assign_setting(&none, trainer, prefix, assignment);
}
