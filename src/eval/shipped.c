/* Judges that the program holds: the files of judges/, by shipped.S. */
#include "eval/judge_internal.h"

extern const uint8_t lm_judge_digits[], lm_judge_digits_end[];

const lm_shipped_judge lm_shipped_judges[] = {
    {"digits", lm_judge_digits, lm_judge_digits_end}, {0}};
