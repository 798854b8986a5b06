/* What commands that draw from a run share. */
#ifndef LIMN_CLI_DRAWING_H
#define LIMN_CLI_DRAWING_H

#include "cli/cli.h"
#include "train/run_source.h"

/* The rows of their option tables that say how. */
#define CLI_DRAWING                                                                      \
    {"steps", LM_OPT_INT, "", 1, 100000, NULL, "N", "sampler steps [the model's]"},      \
        {"sampler", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "sampler [the model's]"},       \
        {"components",                                                                   \
         LM_OPT_INT,                                                                     \
         "10",                                                                           \
         1,                                                                              \
         100000,                                                                         \
         NULL,                                                                           \
         "K",                                                                            \
         "of --sampler mixture: Gaussians, fitted to codes of the training images; "     \
         "of each class"},                                                               \
        {"covariance", LM_OPT_CHOICE,         "full", 0, 0, "full|diagonal",             \
         NULL,         "of --sampler mixture"},                                          \
        {"eta", LM_OPT_FLOAT, "", 0, 1, NULL, "E", "DDIM's noise, 0 none to 1 full"},    \
        {"guidance", LM_OPT_FLOAT,                                                       \
         "",         0.001,                                                              \
         1000,       NULL,                                                               \
         "S",        "classifier-free guidance, 1 for none [the model's]"},              \
        {"truncation",                                                                   \
         LM_OPT_FLOAT,                                                                   \
         "",                                                                             \
         0.01,                                                                           \
         4,                                                                              \
         NULL,                                                                           \
         "T",                                                                            \
         "of gan: z within +-T, as if drawn again [any]"},                               \
        {"checkpoint",                                                                   \
         LM_OPT_TEXT,                                                                    \
         "",                                                                             \
         0,                                                                              \
         0,                                                                              \
         NULL,                                                                           \
         "FILE",                                                                         \
         "which one, or 'best' [the newest]"},                                           \
    {                                                                                    \
        "weights", LM_OPT_CHOICE, "ema", 0, 0, "ema|raw", NULL,                          \
            "their average over training, or as they are"                                \
    }

/* What these options, --set and --seed say; any class, `count` images. */
lm_run_source_spec cli_drawing(const cli_context *cli, const char *run, int64_t count);

#endif
