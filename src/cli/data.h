/* What the verbs of `limn data` share. */
#ifndef LIMN_CLI_DATA_H
#define LIMN_CLI_DATA_H

#include "cli/cli.h"
#include "data/data.h"

/* The rows of their option tables that choose what is seen of the set. */
#define CLI_DATA_SPLIT                                                                   \
    {                                                                                    \
        "split", LM_OPT_CHOICE, "train", 0, 0, "train|test|valid|extra|unlabeled", NULL, \
            "which part; a SPEC that says one, as cifar10:test, decides"                 \
    }

/* The split that --split says. */
lm_split cli_data_split(const cli_context *cli);
/* For commands that read many images: pages of memory given back after one would be
 * cleared and fetched again for the next, which takes a third of the time of large ones.
 */
void cli_data_keep_pages(void);
/* Opens the SPEC in the command's first argument, with images of any size. */
lm_status cli_data_open(const cli_context *cli, lm_dataset **set);

/* Images that were not trained on: what --held-out says, else the test split of `spec`,
 * unless that is what was trained on again; none: *set is NULL. */
lm_status cli_data_open_held_out(const cli_context *cli, const char *spec,
                                 const lm_dataset *train, lm_dataset **set);

/* A class's name, or its number in `buffer`. */
const char *cli_class_name(const lm_dataset *set, int label, char buffer[16]);

/* "11.6 MB" (10^6 bytes). */
void cli_bytes_text(int64_t bytes, char text[16]);

#endif
