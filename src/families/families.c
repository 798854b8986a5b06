/* The list of families, and what every model's life has in common. */
#include "base/mem.h"
#include "families/classifier.h"
#include "families/ddpm.h"
#include "families/gan.h"
#include "families/vae.h"
#include "families/vqvae.h"
#include <string.h>

const lm_family *const lm_families[] = {&lm_family_ddpm,       &lm_family_vae,
                                        &lm_family_vqvae,      &lm_family_gan,
                                        &lm_family_classifier, NULL};

/* "NAME: no such WHAT; did you mean X", or all of them when none is near. */
static lm_status not_found(const char *what, const char *name,
                           const char *const *candidates) {
    const char *near = lm_nearest(name, candidates);
    if (near)
        return lm_fail(LM_NOT_FOUND, "%s: no such %s; did you mean %s", name, what, near);
    lm_str all = LM_STR_INIT;
    for (int i = 0; candidates[i]; i++)
        lm_str_printf(&all, "%s%s", i ? ", " : "", candidates[i]);
    const char *text = lm_str_text(&all);
    lm_status status = lm_fail(LM_NOT_FOUND, "%s: no such %s; there are: %s", name, what,
                               text ? text : "");
    lm_str_release(&all);
    return status;
}

enum { MAX_NAMES = 32 };

lm_status lm_family_find(const char *name, const lm_family **family) {
    const char *names[MAX_NAMES + 1] = {NULL};
    for (int i = 0; lm_families[i]; i++) {
        if (strcmp(lm_families[i]->name, name) == 0) {
            *family = lm_families[i];
            return LM_OK;
        }
        if (i < MAX_NAMES) names[i] = lm_families[i]->name;
    }
    return not_found("family", name, names);
}

lm_status lm_preset_find(const lm_family *family, const char *name,
                         const lm_preset **preset) {
    const char *names[MAX_NAMES + 1] = {NULL};
    for (int i = 0; family->presets[i].name; i++) {
        if (strcmp(family->presets[i].name, name) == 0) {
            *preset = &family->presets[i];
            return LM_OK;
        }
        if (i < MAX_NAMES) names[i] = family->presets[i].name;
    }
    lm_status status = not_found("preset", name, names);
    return lm_fail_context(status, "%s", family->name);
}

lm_status lm_model_open(const lm_family *family, lm_settings *settings,
                        const lm_image_info *info, lm_model **model) {
    *model = NULL;
    lm_model *opened = lm_calloc(1, sizeof *opened);
    if (!opened) {
        lm_settings_release(settings);
        return LM_NOMEM;
    }
    opened->family = family;
    opened->info = *info;
    opened->settings = *settings;
    *settings = (lm_settings){0};
    lm_status status = family->open(opened);
    if (status != LM_OK) {
        lm_model_close(opened);
        return lm_fail_context(status, "%s", family->name);
    }
    *model = opened;
    return LM_OK;
}

void lm_model_close(lm_model *model) {
    if (!model) return;
    if (model->family->close) model->family->close(model);
    for (int i = 0; i < model->n_groups; i++) lm_params_free(model->groups[i]);
    lm_params_free(model->buffers);
    lm_settings_release(&model->settings);
    lm_free(model);
}

lm_status lm_model_register(lm_model *model,
                            void (*build)(const lm_model *model, lm_nn *nn)) {
    lm_graph *g;
    if (!model->n_groups) {
        LM_TRY(lm_params_new("model", &model->groups[0]));
        model->n_groups = 1;
    }
    LM_TRY(lm_graph_new(&g));
    lm_nn nn = {.graph = g,
                .params = model->groups[0],
                .buffers = model->buffers,
                .var = "model"};
    build(model, &nn);
    lm_status status = lm_graph_status(g);
    lm_graph_free(g);
    return status;
}

lm_node *lm_model_input(const lm_model *model, lm_nn *nn, const char *name,
                        lm_dtype dtype) {
    const lm_image_info *info = &model->info;
    return lm_input(nn->graph, name, dtype,
                    LM_SHAPE(1, info->height, info->width, info->channels));
}

lm_node *lm_model_label(lm_nn *nn) {
    return lm_input(nn->graph, "labels", LM_I32, LM_SHAPE(1));
}

int64_t lm_model_parameters(const lm_model *model) {
    int64_t count = 0;
    for (int i = 0; i < model->n_groups; i++) count += model->groups[i]->count;
    return count;
}

void lm_bound_release(lm_bound *bound) {
    lm_free(bound->scalars);
    lm_free(bound->protocol);
    *bound = (lm_bound){0};
}

void lm_sampler_release(lm_sampler *sampler) {
    lm_free(sampler->scalars);
    lm_free(sampler->protocol);
    *sampler = (lm_sampler){0};
}
