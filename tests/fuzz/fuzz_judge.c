/* Judges. One that is read can be asked. */
#include "fuzz/fuzz.h"

#include "eval/judge.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t pixel[1];
    lm_judge *judge;
    if (lm_judge_parse(data, size, "input", &judge) != LM_OK) return 0;
    int classes = lm_judge_model(judge)->info.classes;
    float *logits = malloc((size_t)classes * sizeof *logits);
    if (!logits || lm_judge_look(judge, pixel, 1, 1, 1, 1, NULL, logits) != LM_OK)
        abort();
    free(logits);
    lm_judge_free(judge);
    return 0;
}
