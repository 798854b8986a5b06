/* AdamW (Loshchilov, Hutter 2019) on a group's flat vectors: the gradients are joined to
 * one vector, and clipping, moments, update and average are one elementwise pass. */
#include "nn/optim.h"
#include "base/mem.h"
#include "graph/grad.h"
#include <math.h>
#include <stdio.h>

/* The numbers of a step, in the order of the input "<group>.step". */
enum { LR, MOMENTUM_RATE, INV_ROOT_BIAS2, EMA_RATE };

void lm_optim_scalars(const lm_optim_spec *spec, int64_t update, double lr,
                      double ema_decay, float scalars[LM_OPTIM_SCALARS]) {
    double bias1 = 1.0 - pow(spec->beta1, (double)update);
    double bias2 = 1.0 - pow(spec->beta2, (double)update);
    scalars[LR] = (float)lr;
    scalars[MOMENTUM_RATE] = (float)(lr / bias1);
    scalars[INV_ROOT_BIAS2] = (float)(1.0 / sqrt(bias2));
    scalars[EMA_RATE] = (float)(1.0 - ema_decay);
}

/* A weight that the loss does not reach has a gradient of zero. */
static lm_node *flatten_gradients(lm_graph *g, const lm_params *params, lm_node **grads) {
    for (int i = 0; i < params->n_slices; i++) {
        lm_shape flat = LM_SHAPE(params->slices[i].count);
        grads[i] =
            grads[i] ? lm_reshape(g, grads[i], flat) : lm_const_full(g, LM_F32, flat, 0);
    }
    return lm_concat(g, grads, params->n_slices, 0);
}

static lm_node *flat_gradient(lm_nn *nn, lm_node *loss) {
    const lm_params *params = nn->params;
    size_t count = (size_t)params->n_slices;
    lm_node **weights = lm_alloc(2 * count * sizeof *weights);
    if (!weights) return lm_graph_fail(nn->graph, LM_NOMEM, "optimizer: out of memory");
    lm_node **grads = weights + count, *flat = NULL;
    for (size_t i = 0; i < count; i++)
        weights[i] = lm_param(nn->graph, nn->var, params->slices[i].offset,
                              params->slices[i].shape);
    if (lm_grad(nn->graph, loss, NULL, (int)count, weights, grads) == LM_OK)
        flat = flatten_gradients(nn->graph, params, grads);
    lm_free(weights);
    return flat;
}

static lm_node *flat_var(lm_nn *nn, const char *suffix) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", nn->params->name, suffix);
    return lm_param(nn->graph, name, 0, LM_SHAPE(nn->params->count));
}

static lm_node *step_scalar(lm_nn *nn, int index) {
    char name[128];
    snprintf(name, sizeof name, "%s.step", nn->params->name);
    lm_node *all = lm_input(nn->graph, name, LM_F32, LM_SHAPE(LM_OPTIM_SCALARS));
    return lm_reshape(nn->graph, lm_slice_axis(nn->graph, all, 0, index, index + 1),
                      LM_SCALAR);
}

/* x - x is 0 for finite x only. */
static lm_node *is_finite(lm_graph *g, lm_node *x) {
    return lm_eq(g, lm_sub(g, x, x), lm_const(g, 0));
}

/* from + rate * (to - from). */
static lm_node *move_towards(lm_graph *g, lm_node *from, lm_node *to, lm_node *rate) {
    return lm_add(g, from, lm_mul(g, rate, lm_sub(g, to, from)));
}

/* `rate`, or 0 for a step that changes nothing. */
static lm_node *guarded(lm_graph *g, lm_node *ok, lm_node *rate) {
    return lm_where(g, ok, rate, lm_const(g, 0));
}

typedef struct adamw {
    lm_node *p, *m, *v, *ema; /* ema: NULL, there is none */
} adamw;

/* Where the step is not ok, the gradient is finite too but all rates are 0: that costs
 * one choice for each element instead of one for each result. */
static adamw update(lm_nn *nn, const lm_optim_spec *spec, adamw old, lm_node *gradient,
                    lm_node *ok) {
    lm_graph *g = nn->graph;
    lm_node *rate1 = guarded(g, ok, lm_const(g, 1.0 - spec->beta1));
    lm_node *rate2 = guarded(g, ok, lm_const(g, 1.0 - spec->beta2));
    lm_node *momentum_rate = guarded(g, ok, step_scalar(nn, MOMENTUM_RATE));
    adamw new = {0};
    new.m = move_towards(g, old.m, gradient, rate1);
    new.v = move_towards(g, old.v, lm_square(g, gradient), rate2);
    lm_node *root = lm_mul(g, lm_sqrt(g, new.v), step_scalar(nn, INV_ROOT_BIAS2));
    lm_node *direction = lm_div(g, new.m, lm_add_scalar(g, root, spec->eps));
    new.p = old.p;
    if (spec->weight_decay != 0) {
        lm_node *lr = guarded(g, ok, step_scalar(nn, LR));
        lm_node *decay = lm_scale(g, lr, spec->weight_decay);
        new.p = lm_sub(g, new.p, lm_mul(g, decay, new.p));
    }
    new.p = lm_sub(g, new.p, lm_mul(g, momentum_rate, direction));
    double bound = nn->params->bound;
    if (bound > 0) new.p = lm_clamp(g, new.p, -bound, bound);
    if (old.ema)
        new.ema =
            move_towards(g, old.ema, new.p, guarded(g, ok, step_scalar(nn, EMA_RATE)));
    return new;
}

/* As torch's clip_grad_norm_, with its 1e-6 against division by zero. */
static lm_node *clip_gradient(lm_graph *g, lm_node *gradient, lm_node *norm,
                              double clip) {
    if (clip <= 0) return gradient;
    lm_node *factor = lm_div(g, lm_const(g, clip), lm_add_scalar(g, norm, 1e-6));
    return lm_mul(g, gradient, lm_min2(g, lm_const(g, 1), factor));
}

lm_status lm_optim_adamw(lm_nn *nn, lm_node *loss, const lm_optim_spec *spec) {
    lm_graph *g = nn->graph;
    LM_RETURN_IF(nn->params->n_slices == 0, LM_ARG, "%s: no parameters to update",
                 nn->params->name);
    lm_scope_push(g, "%s.adamw", nn->params->name);
    lm_node *gradient = flat_gradient(nn, loss);
    lm_node *norm = lm_sqrt(g, lm_sum_all(g, lm_square(g, gradient)));
    lm_node *ok = lm_ew2(g, LM_EW_AND, is_finite(g, loss), is_finite(g, norm));

    adamw old = {flat_var(nn, ""), flat_var(nn, ".m"), flat_var(nn, ".v"), NULL};
    if (!nn->params->no_average) old.ema = flat_var(nn, ".ema");
    gradient = clip_gradient(g, gradient, norm, spec->clip);
    adamw new = update(nn, spec, old, guarded(g, ok, gradient), ok);
    lm_assign(g, old.m, new.m);
    lm_assign(g, old.v, new.v);
    lm_assign(g, old.p, new.p);
    if (old.ema) lm_assign(g, old.ema, new.ema);

    char name[128];
    snprintf(name, sizeof name, "%s.grad_norm", nn->params->name);
    lm_graph_output(g, name, norm);
    lm_scope_pop(g);
    return lm_graph_status(g);
}
