/* Phases: the family's loss with everything that an update needs around it. */
#include "train/phase.h"

#include "base/mem.h"
#include "train/settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME 128

static lm_nn begin_phase(const lm_model *model, int index, lm_graph *g) {
    lm_params *group = model->groups[model->family->phases[index].group];
    return (lm_nn){.graph = g,
                   .params = group,
                   .buffers = model->buffers,
                   .var = group->name,
                   .train = true,
                   .key = lm_input(g, "key", LM_U32, LM_SHAPE(4)),
                   .next_stream = 1000};
}

static lm_status build_phase(const lm_model *model, const lm_settings *trainer, int index,
                             int batch, lm_graph *g) {
    const lm_image_info *info = &model->info;
    lm_nn nn = begin_phase(model, index, g);
    lm_node *images = lm_input(
        g, "images", LM_U8, LM_SHAPE(batch, info->height, info->width, info->channels));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(batch));
    lm_node *loss = model->family->phases[index].loss(model, &nn, images, labels);
    lm_graph_output(g, "loss", loss);
    LM_TRY(lm_graph_status(g));
    lm_optim_spec spec = lm_trainer_optim(trainer);
    return lm_optim_adamw(&nn, loss, &spec);
}

lm_status lm_phase_compile(const lm_model *model, const lm_settings *trainer,
                           lm_engine *engine, int index, int batch,
                           lm_program **program) {
    lm_graph *g;
    LM_TRY(lm_graph_new(&g));
    lm_status status = build_phase(model, trainer, index, batch, g);
    if (status == LM_OK) status = lm_compile(engine, g, NULL, program);
    lm_graph_free(g);
    return status;
}

/* All numbers are functions of the step alone, so that a resumed run sees the same. A
 * schedule over minutes is the one exception. */
static lm_status set_scalars(const lm_settings *s, const lm_params *group,
                             lm_program *program, const lm_phase_input *input,
                             double *lr) {
    const lm_turn *turn = &input->turn;
    lm_optim_spec spec = lm_trainer_optim(s);
    *lr = lm_lr_at(lm_trainer_lr_kind(s), input->rate * lm_setting_float(s, "lr"),
                   lm_setting_int(s, "warmup"), input->step + 1, input->share);
    double decay =
        lm_ema_decay(lm_setting_float(s, "ema"), lm_setting_float(s, "ema-ramp"),
                     turn->seen * input->batch, turn->since * input->batch);
    float scalars[LM_OPTIM_SCALARS];
    lm_optim_scalars(&spec, turn->number, *lr, decay, scalars);
    char name[MAX_NAME];
    snprintf(name, sizeof name, "%s.step", group->name);
    return lm_program_set(program, name, LM_F32, scalars, LM_OPTIM_SCALARS);
}

lm_status lm_phase_run(const lm_model *model, const lm_settings *trainer, int index,
                       lm_program *program, const lm_phase_input *input,
                       lm_phase_result *result) {
    const lm_image_info *info = &model->info;
    const lm_params *group = model->groups[model->family->phases[index].group];
    int64_t size = (int64_t)info->height * info->width * info->channels * input->batch;
    const uint32_t key[4] = {(uint32_t)input->seed, (uint32_t)(input->seed >> 32),
                             (uint32_t)input->step, (uint32_t)input->first};
    LM_TRY(lm_program_set(program, "images", LM_U8, input->pixels, size));
    if (lm_program_has_input(program, "labels"))
        LM_TRY(lm_program_set(program, "labels", LM_I32, input->labels, input->batch));
    if (lm_program_has_input(program, "key"))
        LM_TRY(lm_program_set(program, "key", LM_U32, key, 4));
    LM_TRY(set_scalars(trainer, group, program, input, &result->lr));
    LM_TRY(lm_program_run(program));
    char norm[MAX_NAME];
    snprintf(norm, sizeof norm, "%s.grad_norm", group->name);
    result->loss = lm_program_scalar(program, "loss");
    result->grad_norm = lm_program_scalar(program, norm);
    return LM_OK;
}

/* What lm_phase_run reads is not said again. */
static bool is_result(const lm_params *group, const char *output) {
    char norm[MAX_NAME];
    snprintf(norm, sizeof norm, "%s.grad_norm", group->name);
    return strcmp(output, "loss") == 0 || strcmp(output, norm) == 0;
}

static void append_number(lm_str *text, double value) {
    if (isfinite(value))
        lm_str_printf(text, "%.6g", value);
    else
        lm_str_append(text, "null");
}

static lm_status describe_output(lm_program *program, const char *name, lm_str *members) {
    lm_shape shape;
    LM_TRY(lm_program_output_shape(program, name, &shape));
    int64_t count = lm_shape_count(shape);
    double *values = lm_alloc(sizeof *values * (size_t)count);
    if (!values) return LM_NOMEM;
    lm_status status = lm_program_get(program, name, LM_F64, values, count);
    lm_str_printf(members, ", \"%s\": %s", name, shape.rank ? "[" : "");
    for (int64_t i = 0; i < count && status == LM_OK; i++) {
        if (i) lm_str_append(members, ", ");
        append_number(members, values[i]);
    }
    if (shape.rank) lm_str_append(members, "]");
    lm_free(values);
    return members->failed ? LM_NOMEM : status;
}

lm_status lm_phase_describe(const lm_model *model, int index, lm_program *program,
                            lm_str *members) {
    const lm_params *group = model->groups[model->family->phases[index].group];
    const char *name;
    for (int i = 0; (name = lm_program_output_name(program, i)) != NULL; i++)
        if (!is_result(group, name)) LM_TRY(describe_output(program, name, members));
    return LM_OK;
}

static lm_status write_weights(const lm_params *group, lm_engine *engine,
                               const float *values) {
    static const lm_group_part parts[] = {LM_GROUP_WEIGHTS, LM_GROUP_EMA};
    for (int i = 0; i < 2; i++) {
        char name[LM_GROUP_NAME];
        if (lm_engine_has_var(engine, lm_group_var(group, parts[i], name)))
            LM_TRY(lm_engine_write_var(engine, name, 0, group->count, LM_F32, values));
    }
    return LM_OK;
}

static lm_status init_group(const lm_params *group, lm_engine *engine, uint64_t seed) {
    float *values = lm_alloc(sizeof *values * group->count);
    if (!values) return LM_NOMEM;
    lm_status status = lm_params_init(group, seed, values);
    if (status == LM_OK) status = write_weights(group, engine, values);
    lm_free(values);
    return status;
}

lm_status lm_init_weights(const lm_model *model, lm_engine *engine, uint64_t seed) {
    for (int i = 0; i < model->n_groups; i++)
        LM_TRY(init_group(model->groups[i], engine, seed));
    return model->buffers ? init_group(model->buffers, engine, seed) : LM_OK;
}
