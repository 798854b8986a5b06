#include "nn/params.h"
#include "base/mem.h"
#include <string.h>

lm_status lm_params_new(const char *name, lm_params **params) {
    *params = NULL;
    lm_params *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->name = lm_strdup(name);
    if (!made->name) {
        lm_free(made);
        return LM_NOMEM;
    }
    *params = made;
    return LM_OK;
}

void lm_params_free(lm_params *params) {
    if (!params) return;
    for (int i = 0; i < params->n_slices; i++) lm_free(params->slices[i].name);
    lm_free(params->slices);
    lm_free(params->name);
    lm_free(params);
}

const lm_param_slice *lm_params_find(const lm_params *params, const char *name) {
    for (int i = 0; i < params->n_slices; i++)
        if (strcmp(params->slices[i].name, name) == 0) return &params->slices[i];
    return NULL;
}

static lm_status reserve(lm_params *params) {
    if (params->n_slices < params->capacity) return LM_OK;
    int capacity = params->capacity ? 2 * params->capacity : 64;
    void *grown = lm_realloc(params->slices, (size_t)capacity * sizeof *params->slices);
    if (!grown) return LM_NOMEM;
    params->slices = grown;
    params->capacity = capacity;
    return LM_OK;
}

static lm_status check_same(const lm_params *params, const lm_param_slice *slice,
                            lm_shape shape) {
    char had[LM_SHAPE_TEXT], wanted[LM_SHAPE_TEXT];
    LM_RETURN_IF(!lm_shape_equal(slice->shape, shape), LM_SHAPE,
                 "%s: parameter %s is %s and is asked for as %s", params->name,
                 slice->name, lm_shape_text(slice->shape, had),
                 lm_shape_text(shape, wanted));
    return LM_OK;
}

lm_status lm_params_get(lm_params *params, const char *name, lm_shape shape, lm_init init,
                        const lm_param_slice **slice) {
    const lm_param_slice *known = lm_params_find(params, name);
    if (known) {
        LM_TRY(check_same(params, known, shape));
        *slice = known;
        return LM_OK;
    }
    LM_TRY(reserve(params));
    char *copy = lm_strdup(name);
    if (!copy) return LM_NOMEM;
    lm_param_slice *added = &params->slices[params->n_slices++];
    *added = (lm_param_slice){copy, shape, params->count, lm_shape_count(shape), init};
    params->count += added->count;
    *slice = added;
    return LM_OK;
}
