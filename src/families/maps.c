#include "families/maps.h"

#include <stdio.h>

void lm_maps_read(const lm_settings *settings, lm_maps_spec *spec) {
    const lm_option_value *mult = lm_setting(settings, "mult");
    int64_t base = lm_setting_int(settings, "base");
    spec->blocks = (int)lm_setting_int(settings, "blocks");
    spec->n_levels = mult->n_ints;
    for (int i = 0; i < mult->n_ints; i++)
        spec->channels[i] = (int)(base * mult->ints[i]);
}

lm_status lm_maps_measure(lm_maps_spec *spec, int height, int width) {
    LM_RETURN_IF(height < 1 || width < 1, LM_ARG, "cannot model images of %dx%d", height,
                 width);
    LM_RETURN_IF(spec->n_levels > LM_MAPS_MAX_LEVELS, LM_ARG,
                 "mult: %d levels; expected at most %d", spec->n_levels,
                 LM_MAPS_MAX_LEVELS);
    spec->rows[0] = height;
    spec->cols[0] = width;
    for (int i = 1; i < spec->n_levels; i++) {
        LM_RETURN_IF(spec->rows[i - 1] < 2 || spec->cols[i - 1] < 2, LM_ARG,
                     "mult: %d levels are too many for images of %dx%d", spec->n_levels,
                     height, width);
        spec->rows[i] = (spec->rows[i - 1] + 1) / 2;
        spec->cols[i] = (spec->cols[i - 1] + 1) / 2;
    }
    return LM_OK;
}

static lm_node *run_blocks(lm_nn *nn, const lm_maps_spec *spec, int level, lm_node *x,
                           lm_node *condition) {
    const lm_residual_spec block = {
        .out = spec->channels[level], .groups = LM_MAPS_GROUPS, .modulation = condition};
    for (int i = 0; i < spec->blocks; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        x = lm_nn_residual(nn, name, x, &block);
    }
    return x;
}

lm_node *lm_maps_encode(lm_nn *nn, const lm_maps_spec *spec, lm_node *x,
                        lm_node *condition) {
    const lm_conv_spec halve = {
        .kernel = 3, .stride = 2, .pad = 1, .bias = true, .init = LM_INIT(FAN_AVG, 1)};
    x = lm_nn_conv3x3(nn, "in", x, spec->channels[0], 1);
    for (int level = 0; level < spec->n_levels; level++) {
        lm_scope_push(nn->graph, "level.%d", level);
        if (level > 0) x = lm_nn_conv(nn, "halve", x, spec->channels[level], &halve);
        x = run_blocks(nn, spec, level, x, condition);
        lm_scope_pop(nn->graph);
    }
    return lm_nn_norm_silu(nn, "norm", x, LM_MAPS_GROUPS);
}

/* Twice the size, less the last row or column where the level above has an odd one. */
static lm_node *enlarge(lm_nn *nn, const lm_maps_spec *spec, int level, lm_node *x) {
    x = lm_nn_upsample_conv(nn, "double", x, spec->channels[level], LM_INIT(FAN_AVG, 1));
    if (x && x->shape.dim[1] > spec->rows[level])
        x = lm_slice_axis(nn->graph, x, 1, 0, spec->rows[level]);
    if (x && x->shape.dim[2] > spec->cols[level])
        x = lm_slice_axis(nn->graph, x, 2, 0, spec->cols[level]);
    return x;
}

lm_node *lm_maps_decode(lm_nn *nn, const lm_maps_spec *spec, lm_node *x, int64_t out,
                        lm_node *condition) {
    for (int level = spec->n_levels - 1; level >= 0; level--) {
        lm_scope_push(nn->graph, "level.%d", level);
        if (level < spec->n_levels - 1) x = enlarge(nn, spec, level, x);
        x = run_blocks(nn, spec, level, x, condition);
        lm_scope_pop(nn->graph);
    }
    return lm_nn_conv3x3(nn, "out", lm_nn_norm_silu(nn, "norm", x, LM_MAPS_GROUPS), out,
                         1);
}
