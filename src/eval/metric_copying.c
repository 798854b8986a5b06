/* Whether images are copies of training images. */
#include "base/json.h"
#include "eval/metric.h"
#include "metrics/copying.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static lm_status describe(const lm_copying *c, lm_eval_result *result) {
    json_t *cells = json_array();
    for (int i = 0; i < c->cells; i++)
        json_array_append_new(cells,
                              json_pack("{s:I, s:I, s:I, s:o}", "train",
                                        (json_int_t)c->cell[i].train, "held_out",
                                        (json_int_t)c->cell[i].held_out, "generated",
                                        (json_int_t)c->cell[i].generated, "z",
                                        lm_json_number(c->cell[i].z)));
    result->detail = json_pack(
        "{s:o, s:o, s:f, s:f, s:f, s:o, s:o, s:i, s:o}", "z", lm_json_number(c->whole.z),
        "p", lm_json_number(c->whole.p_less), "closer", c->closer, "median_distance",
        c->median_generated, "median_distance_of_held_out", c->median_held_out, "cells_z",
        lm_json_number(c->cells_z), "cells_p", lm_json_number(c->cells_p),
        "cells_counted", c->counted, "cells", cells);
    return result->detail ? LM_OK : LM_NOMEM;
}

/* What is said goes by the smaller p of both tests, as if only one had been made twice.
 */
static void conclude(const lm_copying *c, lm_eval_result *result) {
    double p = fmin(1, 2 * fmin(c->whole.p_less, isnan(c->cells_p) ? 1 : c->cells_p));
    const char *says = p < 0.001        ? "copies training images"
                       : p < 0.05       ? "perhaps copies training images"
                       : c->whole.z > 3 ? "no copies; farther from them than real ones"
                                        : "no sign of copies";
    bool tiny = p < 1e-9; /* beyond what a normal approximation can tell */
    snprintf(result->note, sizeof result->note, "%s, p %s %.2g", says, tiny ? "<" : "=",
             tiny ? 1e-9 : p);
}

static lm_status measure(lm_eval_context *context, lm_eval_result *result) {
    lm_copying_options options = LM_COPYING_DEFAULTS;
    const lm_features *train = &context->train->features;
    const lm_features *held_out = &context->test->features;
    const lm_features *images = &context->generated->features;
    lm_copying c;
    LM_TRY(lm_eval_need_features(context, context->generated));
    LM_TRY(lm_eval_need_features(context, context->train));
    LM_TRY(lm_eval_need_features(context, context->test));
    options.seed = context->spec->seed;
    if (options.cells > train->count) options.cells = (int)train->count;
    LM_TRY(lm_json_put(result->protocol, "cells", json_integer(options.cells)));
    LM_TRY(lm_copying_test(train->x, train->count, held_out->x, held_out->count,
                           images->x, images->count, images->dim, &options,
                           &context->within, &c));
    result->value = c.whole.z;
    result->error = 1;
    result->error_from = "of z, if there are no copies";
    conclude(&c, result);
    lm_status status = describe(&c, result);
    lm_copying_release(&c);
    return status;
}

const lm_eval_metric lm_copying_metric = {
    .name = "copying",
    .help = "z of a test whether images lie closer to training images than held-out ones "
            "do: far below 0 they are copies, far above 0 they are unlike",
    .paper = "Meehan et al. 2020, arXiv:2004.05675",
    .needs = LM_NEED_FEATURES | LM_NEED_TRAIN | LM_NEED_TEST,
    .better = LM_BETTER_NEITHER,
    .digits = 2,
    .measure = measure};
