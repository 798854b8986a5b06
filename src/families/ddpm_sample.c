/* Ancestral and DDIM sampling. Both are one linear update, whose numbers are worked out
 * here in double precision. */
#include "base/mem.h"
#include "families/ddpm.h"
#include <math.h>
#include <string.h>

/* A request, resolved. */
typedef struct sampling {
    bool ddim, large, predicts_v;
    double eta, guidance; /* guidance 1: none */
    int steps;
    lm_spacing spacing;
} sampling;

static const char *const spacing_names[] = {
#define X(NAME, text) text,
    LM_SPACING_MAP(X)
#undef X
        NULL};

static lm_spacing parse_spacing(const char *name) {
    int i = 0;
    while (spacing_names[i + 1] && strcmp(spacing_names[i], name) != 0) i++;
    return (lm_spacing)i;
}

/* Of a preset's own steps there may be more than noise levels. */
static lm_status choose_steps(const lm_model *model, const lm_sample_request *request,
                              sampling *chain) {
    const lm_ddpm *ddpm = model->state;
    int64_t most = ddpm->timesteps, wanted = request->steps;
    bool cut = request->cut_steps || wanted == 0;
    if (wanted == 0) wanted = lm_setting_int(&model->settings, "sample-steps");
    if (cut && wanted > most) wanted = most;
    if (wanted == 0) wanted = chain->ddim && most > 50 ? 50 : most;
    LM_RETURN_IF(
        wanted < 1 || wanted > most, LM_ARG,
        "sample-steps: %lld is not within 1 and the %lld noise levels of the model",
        (long long)wanted, (long long)most);
    chain->steps = (int)wanted;
    return LM_OK;
}

static bool is_guided(const sampling *chain) {
    return chain->guidance != 1;
}

static lm_status read_classes(const lm_model *model, const lm_sample_request *request,
                              sampling *chain) {
    const lm_settings *s = &model->settings;
    LM_RETURN_IF(!model->conditional && request->label >= 0, LM_ARG,
                 "class: this model was not trained with classes");
    LM_RETURN_IF(!model->conditional && request->guidance != 0, LM_ARG,
                 "guidance: this model was not trained with classes");
    LM_RETURN_IF(model->conditional && request->label >= model->info.classes, LM_ARG,
                 "class: %d is not within 0 and %d", request->label,
                 model->info.classes - 1);
    LM_RETURN_IF(!(request->guidance >= 0 && request->guidance <= 1000), LM_ARG,
                 "guidance: %g is not within 0.001 and 1000", request->guidance);
    chain->guidance = request->guidance;
    if (request->guidance == 0)
        chain->guidance = model->conditional ? lm_setting_float(s, "guidance") : 1;
    LM_RETURN_IF(is_guided(chain) && lm_setting_float(s, "label-drop") <= 0, LM_ARG,
                 "guidance: %g: this model never saw an image without its class "
                 "(label-drop=0)",
                 chain->guidance);
    return LM_OK;
}

static lm_status read_request(const lm_model *model, const lm_sample_request *request,
                              sampling *chain) {
    const lm_settings *s = &model->settings;
    const char *name =
        request->sampler ? request->sampler : lm_setting_text(s, "sampler");
    if (request->preview) name = "ddim";
    chain->ddim = strcmp(name, "ddim") == 0;
    LM_RETURN_IF(!chain->ddim && strcmp(name, "ddpm") != 0, LM_ARG,
                 "sampler: %s is not one of ddpm, ddim", name);
    LM_TRY(read_classes(model, request, chain));
    chain->eta = request->eta < 0 ? lm_setting_float(s, "eta") : request->eta;
    LM_RETURN_IF(!(chain->eta <= 1), LM_ARG, "eta: %g is not within 0 and 1", chain->eta);
    chain->large = strcmp(lm_setting_text(s, "variance"), "large") == 0;
    chain->predicts_v = ((const lm_ddpm *)model->state)->predicts_v;
    chain->spacing = parse_spacing(lm_setting_text(s, "spacing"));
    return choose_steps(model, request, chain);
}

/* From the level `now` to the level `next` (shares of signal, next > now). */
static void fill_step(const sampling *chain, double now, double next, float *scalar) {
    double ratio = now / next;
    double posterior = sqrt((1 - next) / (1 - now) * (1 - ratio));
    double sigma = chain->ddim ? chain->eta * posterior : posterior;
    /* What is kept of epsilon, which is (x - sqrt(now) x0) / sqrt(1 - now). With sigma at
     * the posterior's this gives the means of Ho et al., eq. 7. */
    double kept = sqrt(fmax(1 - next - sigma * sigma, 0)) / sqrt(1 - now);
    bool last = next >= 1;
    if (!chain->ddim && chain->large) sigma = last ? 0 : sqrt(1 - ratio);
    scalar[LM_DDPM_X0_FROM_X] = (float)(chain->predicts_v ? sqrt(now) : 1 / sqrt(now));
    scalar[LM_DDPM_X0_FROM_PREDICTION] =
        (float)sqrt(chain->predicts_v ? 1 - now : 1 / now - 1);
    scalar[LM_DDPM_NEXT_FROM_X0] = (float)(sqrt(next) - kept * sqrt(now));
    scalar[LM_DDPM_NEXT_FROM_X] = (float)kept;
    scalar[LM_DDPM_NOISE] = (float)sigma;
    if (is_guided(chain)) scalar[LM_DDPM_GUIDANCE] = (float)chain->guidance;
}

static lm_status fill_steps(const lm_ddpm *ddpm, const sampling *chain,
                            const lm_sampler *sampler) {
    float *scalars = sampler->scalars;
    int *times = lm_alloc((size_t)chain->steps * sizeof *times);
    if (!times) return LM_NOMEM;
    lm_spaced_times(chain->spacing, ddpm->timesteps, chain->steps, times);
    for (int i = chain->steps - 1; i >= 0; i--, scalars += sampler->n_scalars) {
        scalars[LM_DDPM_T] = (float)times[i];
        fill_step(chain, ddpm->alpha_bar[times[i]],
                  i > 0 ? ddpm->alpha_bar[times[i - 1]] : 1.0, scalars);
    }
    lm_free(times);
    return LM_OK;
}

bool lm_ddpm_clips(const lm_model *model) {
    return lm_setting_flag(&model->settings, "clip-x0");
}

static char *protocol_text(const lm_model *model, const sampling *chain) {
    lm_str str = LM_STR_INIT;
    lm_str_printf(&str, "%s steps=%d", chain->ddim ? "ddim" : "ddpm", chain->steps);
    if (chain->ddim)
        lm_str_printf(&str, " eta=%g", chain->eta);
    else
        lm_str_printf(&str, " variance=%s", chain->large ? "large" : "small");
    lm_str_printf(&str, " spacing=%s clip-x0=%s", spacing_names[chain->spacing],
                  lm_ddpm_clips(model) ? "yes" : "no");
    if (model->conditional)
        lm_str_printf(&str, " guidance=%g (w=%g)", chain->guidance, chain->guidance - 1);
    const char *text = lm_str_text(&str);
    char *copy = text ? lm_strdup(text) : NULL;
    lm_str_release(&str);
    return copy;
}

lm_status lm_ddpm_sampler(const lm_model *model, const lm_sample_request *request,
                          lm_sampler *sampler) {
    const lm_ddpm *ddpm = model->state;
    const lm_image_info *info = &model->info;
    sampling chain = {0};
    *sampler = (lm_sampler){0};
    LM_TRY(read_request(model, request, &chain));
    sampler->n_steps = chain.steps;
    sampler->nfe = is_guided(&chain) ? 2 * chain.steps : chain.steps;
    sampler->n_scalars = is_guided(&chain) ? LM_DDPM_SCALARS + 1 : LM_DDPM_SCALARS;
    sampler->state = LM_SHAPE(info->height, info->width, info->channels);
    sampler->scalars = lm_calloc((size_t)chain.steps, sampler->n_scalars * sizeof(float));
    sampler->protocol = protocol_text(model, &chain);
    lm_status status = LM_NOMEM;
    if (sampler->scalars && sampler->protocol) status = fill_steps(ddpm, &chain, sampler);
    if (status != LM_OK) lm_sampler_release(sampler);
    return status;
}

/* ---- graphs ------------------------------------------------------------------ */

lm_node *lm_ddpm_sample_init(const lm_model *model, lm_nn *nn, int batch) {
    const lm_image_info *info = &model->info;
    lm_shape shape = LM_SHAPE(batch, info->height, info->width, info->channels);
    return lm_normal(nn->graph, nn->key, LM_DDPM_STREAM_START, shape);
}

static lm_node *scalar_at(lm_graph *g, lm_node *scalars, lm_ddpm_scalar which) {
    lm_node *one = lm_slice_axis(g, scalars, 0, which, which + 1);
    return lm_reshape(g, one, LM_SCALAR);
}

lm_node *lm_ddpm_update(const lm_model *model, lm_nn *nn, lm_node *state,
                        lm_node *prediction, lm_node *scalars) {
    if (!state) return NULL;
    lm_graph *g = nn->graph;
    lm_node *x0 =
        lm_sub(g, lm_mul(g, scalar_at(g, scalars, LM_DDPM_X0_FROM_X), state),
               lm_mul(g, scalar_at(g, scalars, LM_DDPM_X0_FROM_PREDICTION), prediction));
    if (lm_ddpm_clips(model)) x0 = lm_clamp(g, x0, -1, 1);
    lm_node *mean = lm_add(g, lm_mul(g, scalar_at(g, scalars, LM_DDPM_NEXT_FROM_X0), x0),
                           lm_mul(g, scalar_at(g, scalars, LM_DDPM_NEXT_FROM_X), state));
    lm_node *z = lm_normal(g, nn->key, LM_DDPM_STREAM_STEP, state->shape);
    return lm_add(g, mean, lm_mul(g, scalar_at(g, scalars, LM_DDPM_NOISE), z));
}

/* With and without the labels in one batch of twice the size. */
static lm_node *predict_guided(const lm_model *model, lm_nn *nn, lm_node *state,
                               lm_node *t, lm_node *labels, lm_node *scalars) {
    lm_graph *g = nn->graph;
    int64_t n = state->shape.dim[0];
    lm_node *none = lm_const_full(g, LM_I32, LM_SHAPE(n), -1);
    lm_node *x = lm_concat(g, (lm_node *[]){state, state}, 2, 0);
    t = lm_concat(g, (lm_node *[]){t, t}, 2, 0);
    labels = lm_concat(g, (lm_node *[]){labels, none}, 2, 0);
    lm_node *both = lm_ddpm_predict(model, nn, x, t, labels);
    lm_node *with = lm_slice_axis(g, both, 0, 0, n);
    lm_node *without = lm_slice_axis(g, both, 0, n, 2 * n);
    lm_node *scale = scalar_at(g, scalars, LM_DDPM_GUIDANCE);
    return lm_add(g, without, lm_mul(g, scale, lm_sub(g, with, without)));
}

lm_node *lm_ddpm_sample_step(const lm_model *model, lm_nn *nn, lm_node *state,
                             lm_node *scalars, lm_node *labels) {
    if (!state) return NULL;
    lm_graph *g = nn->graph;
    lm_node *t = scalar_at(g, scalars, LM_DDPM_T);
    t = lm_broadcast(g, t, LM_SHAPE(state->shape.dim[0]));
    bool guided = scalars && scalars->shape.dim[0] > LM_DDPM_GUIDANCE;
    lm_node *prediction = guided ? predict_guided(model, nn, state, t, labels, scalars)
                                 : lm_ddpm_predict(model, nn, state, t, labels);
    return lm_ddpm_update(model, nn, state, prediction, scalars);
}

lm_node *lm_ddpm_sample_image(const lm_model *model, lm_nn *nn, lm_node *state,
                              lm_node *labels) {
    return lm_clamp(nn->graph, state, -1, 1);
}
