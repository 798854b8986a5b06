/* Judges that the program holds. */
#include "eval/judge_internal.h"

const lm_shipped_judge lm_shipped_judges[] = {{0}};
