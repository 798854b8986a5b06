/* What the verbs of `limn classify` share. */
#ifndef LIMN_CLI_CLASSIFY_H
#define LIMN_CLI_CLASSIFY_H

#include "cli/cli.h"
#include "eval/judge.h"
#include "metrics/classification.h"

/* The row of their option tables that chooses the judge. */
#define CLI_CLASSIFY_JUDGE                                                               \
    {                                                                                    \
        "judge", LM_OPT_TEXT, "", 0, 0, NULL, "NAME",                                    \
            "the judge's name, its file or its run [the one of the set]"                 \
    }

/* What the judge says of a set's images (the first `limit`, 0: all of a set that ends),
 * which have labels of its classes. */
lm_status cli_classify_score(const cli_context *cli, lm_judge *judge,
                             const lm_dataset *set, int64_t limit, lm_class_score *score);

/* A class's name, or its number in `buffer`. */
const char *cli_judge_class(const lm_judge *judge, int label, char buffer[16]);

/* {"judge": .., "hash": .., ..}: what it is. */
json_t *cli_judge_json(const lm_judge *judge);
/* {"accuracy": .., ..} without tables. */
json_t *cli_score_json(const lm_class_score *score);

void cli_print_judge(const lm_judge *judge);
void cli_print_score(const lm_class_score *score);

#endif
