/* From a node to a convolution problem, and which candidate computes it. */
#include "backend/cpu/conv.h"
#include "backend/cpu/conv_tune.h"

#include <string.h>

static const lm_conv_candidate *const candidates[] = {&lm_conv_narrow,  &lm_conv_winograd,
                                                      &lm_conv_phases,  &lm_conv_direct,
                                                      &lm_conv_flipped, &lm_conv_onednn};
enum { N_CANDIDATES = sizeof candidates / sizeof *candidates };

/* ---- the problem ------------------------------------------------------------- */

static lm_dnnl_conv describe(lm_dnnl_pass pass, const lm_node *x, const lm_node *w,
                             const lm_node *y, const lm_conv_attr *attr) {
    lm_dnnl_conv conv = {.pass = pass,
                         .batch = x->shape.dim[0],
                         .in_channels = x->shape.dim[3],
                         .out_channels = y->shape.dim[3],
                         .groups = attr->groups > 1 ? attr->groups : 1};
    for (int i = 0; i < 2; i++) {
        conv.in[i] = x->shape.dim[1 + i];
        conv.out[i] = y->shape.dim[1 + i];
        conv.kernel[i] = w->shape.dim[1 + i];
        conv.stride[i] = attr->stride[i] > 1 ? attr->stride[i] : 1;
        conv.dilation[i] = attr->dilation[i] > 1 ? attr->dilation[i] : 1;
        conv.pad_lo[i] = attr->pad_lo[i];
        conv.pad_hi[i] = attr->pad_hi[i];
    }
    return conv;
}

lm_dnnl_conv lm_conv_describe(const lm_node *node) {
    const lm_conv_attr *attr = &node->attr.conv;
    lm_node *const *src = node->src;
    if (node->kind == LM_KIND_CONV_DGRAD)
        return describe(LM_DNNL_BACK_DATA, node, src[1], src[0], attr);
    if (node->kind == LM_KIND_CONV_WGRAD)
        return describe(LM_DNNL_BACK_WEIGHTS, src[0], node, src[1], attr);
    lm_dnnl_conv conv = describe(LM_DNNL_FORWARD, src[0], src[1], node, attr);
    conv.bias = node->n_src == 3;
    return conv;
}

double lm_conv_flops(const lm_dnnl_conv *c) {
    return 2.0 * (double)(c->batch * c->out[0] * c->out[1] * c->out_channels) *
           (double)(c->kernel[0] * c->kernel[1] * c->in_channels / c->groups);
}

/* ---- the choice -------------------------------------------------------------- */

const lm_conv_candidate *lm_conv_find(const char *name) {
    for (int i = 0; i < N_CANDIDATES; i++)
        if (strcmp(candidates[i]->name, name) == 0) return candidates[i];
    return NULL;
}

static lm_status find_wanted(const char *name, const lm_conv_candidate **wanted) {
    *wanted = NULL;
    if (!name || strcmp(name, "auto") == 0) return LM_OK;
    *wanted = lm_conv_find(name);
    LM_RETURN_IF(!*wanted, LM_NOT_FOUND, "no convolution kernel '%s'", name);
    return LM_OK;
}

lm_status lm_conv_choice_init(lm_conv_choice *choice, const lm_backend_options *options) {
    lm_conv_choice made = {.no_winograd = options->no_winograd};
    LM_TRY(find_wanted(options->conv, &made.wanted));
    if (options->tune) LM_TRY(lm_tuner_new(options->tune_folder, &made.tuner));
    lm_conv_choice_release(choice);
    *choice = made;
    return LM_OK;
}

void lm_conv_choice_release(lm_conv_choice *choice) {
    lm_tuner_free(choice->tuner);
    *choice = (lm_conv_choice){0};
}

static bool may_take(const lm_conv_choice *choice, const lm_conv_candidate *candidate,
                     const lm_dnnl_conv *conv) {
    return candidate->fits(conv) && !(choice->no_winograd && candidate->winograd);
}

/* The last candidate takes everything. */
static const lm_conv_candidate *choose_by_rule(const lm_conv_choice *choice,
                                               const lm_dnnl_conv *conv) {
    for (int i = 0; i < N_CANDIDATES - 1; i++) {
        const lm_conv_candidate *c = candidates[i];
        if (may_take(choice, c, conv) && (!c->leads || c->leads(conv))) return c;
    }
    return candidates[N_CANDIDATES - 1];
}

bool lm_conv_takes(const lm_conv_choice *choice, const lm_conv_candidate *candidate,
                   const lm_dnnl_conv *conv) {
    if (choice->wanted && may_take(choice, choice->wanted, conv))
        return choice->wanted == candidate;
    return choose_by_rule(choice, conv) == candidate;
}

static lm_status choose(lm_backend *backend, const lm_step *step,
                        const lm_dnnl_conv *conv, const lm_conv_candidate **chosen) {
    const lm_conv_choice *choice = lm_cpu_conv_choice(backend);
    const lm_conv_candidate *fitting[N_CANDIDATES];
    int n = 0;
    *chosen = choice->wanted;
    if (*chosen && may_take(choice, *chosen, conv)) return LM_OK;
    *chosen = choose_by_rule(choice, conv);
    if (!choice->tuner || choice->wanted) return LM_OK;
    for (int i = 0; i < N_CANDIDATES; i++)
        if (may_take(choice, candidates[i], conv)) fitting[n++] = candidates[i];
    if (n == 1) return LM_OK;
    return lm_tuner_choose(choice->tuner, backend, step, conv, fitting, n, chosen);
}

lm_status lm_cpu_lower_conv(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    lm_dnnl_conv conv = lm_conv_describe(step->nodes[0]);
    const lm_conv_candidate *chosen;
    LM_TRY(choose(backend, step, &conv, &chosen));
    return chosen->lower(backend, step, &conv, kernel);
}
