/* What the commands about a model's states share: a run, its decoder, its encoder, and
 * images of its data. */
#ifndef LIMN_CLI_LATENT_H
#define LIMN_CLI_LATENT_H

#include "cli/drawing.h"
#include "eval/source.h"
#include "image/image.h"
#include "train/aggregate.h"
#include "train/encoder.h"

/* Rows for their option tables: which weights and sampler, which images, and where the
 * sheet goes. */
#define CLI_LATENT                                                                       \
    CLI_DRAWING, {"seed", LM_OPT_INT, "0", 0,                                            \
                  9e18,   NULL,       "N", "seed of noise, or of the images"},           \
        {"data", LM_OPT_TEXT, "",     0,                                                 \
         0,      NULL,        "SPEC", "images to encode [the run's set, test split]"},   \
        {"invert-steps",                                                                 \
         LM_OPT_INT,                                                                     \
         "300",                                                                          \
         1,                                                                              \
         1e6,                                                                            \
         NULL,                                                                           \
         "N",                                                                            \
         "of a model without an encoder: steps to find an image's state"},               \
        {"starts",                                                                       \
         LM_OPT_INT,                                                                     \
         "4",                                                                            \
         1,                                                                              \
         LM_INVERT_ROWS,                                                                 \
         NULL,                                                                           \
         "N",                                                                            \
         "and from how many draws, of which the best counts"},                           \
    {                                                                                    \
        "out", LM_OPT_TEXT, "", 0, 0, NULL, "FILE.png", "[in the run]"                   \
    }

typedef struct cli_latent {
    lm_opened_run opened;
    lm_drawer *drawer;
    lm_aggregate *aggregate; /* NULL: draws begin with noise */
    int64_t size;            /* numbers of a state */
    lm_encoder *encoder;     /* NULL: was not asked for */
    lm_dataset *set;         /* what is encoded, else NULL */
    lm_set_source images;
} cli_latent;

enum { CLI_LATENT_ALL = -1 };

/* Of the run in the command's first argument. `images`: so many of its data are to be
 * encoded if there are, 0 none, CLI_LATENT_ALL all, of an endless set 10,000, without an
 * encoder 64; fewer than `least` are LM_ARG.
 * Draws the quickest way and without noise, so that a state says all, unless the options
 * say otherwise. On failure there is nothing to close. Do not move the result. */
lm_status cli_latent_open(const cli_context *cli, int64_t images, int64_t least,
                          cli_latent *latent);
void cli_latent_close(cli_latent *latent);

/* States to images, u8, drawn by batches. labels: as lm_drawer_draw. */
lm_status cli_latent_decode(cli_latent *latent, const float *states, int64_t count,
                            const int32_t *labels, uint8_t *pixels);

/* A sheet of `count` such images. `verb` made it: "traverse", for the text within. */
lm_status cli_latent_write(const cli_latent *latent, const uint8_t *pixels, int count,
                           const lm_grid_spec *grid, const char *verb, const char *path);

/* What the option says, else samples/NAME-stepN.png in the run; lm_free'd by the
 * caller. */
char *cli_latent_path(const cli_context *cli, const cli_latent *latent,
                      const char *option, const char *name);

#endif
