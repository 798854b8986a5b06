/* Convolutions of 3x3 taps and stride 1 by Winograd's algorithm: F(4x4, 3x3) needs 2.25
 * multiplications for each output and channel in place of 9. */
#include "backend/cpu/comp.h"
#include "backend/cpu/conv.h"
#include "backend/cpu/winograd.h"
#include "base/threads.h"

/* Fewer leave vectors, or the register tiles of the products, too empty. */
enum { LEAST_CHANNELS = 8 };

/* Numbers of a call's sources; 0: it has none of this. */
typedef struct around_sources {
    int bias, norm, shift, residual; /* norm: the first of stats, gamma, beta */
} around_sources;

/* Transformed weights are four times as large as weights, so they are made at each run,
 * also where the weights stay: making them is faster than reading them from memory. */
typedef struct winograd_state {
    lm_wino_plan plan;
    around_sources source;
    lm_wino_act before, after;
    bool mirrored;             /* the adjoint in x */
    int64_t filters, channels; /* of the weights, OHWI */
    lm_wino_norm norm;         /* without its pointers */
    size_t packed_at, norm_at; /* in the workspace */
} winograd_state;

/* ---- running ----------------------------------------------------------------- */

/* OHWI weights as the convolution sees them; the adjoint reads the taps backwards and
 * swaps the channels. */
static lm_wino_weights see_weights(const winograd_state *s, const float *data) {
    ptrdiff_t tap = (ptrdiff_t)s->channels, filter = 9 * tap;
    return s->mirrored ? (lm_wino_weights){data + 8 * tap, filter, 1, -tap}
                       : (lm_wino_weights){data, 1, filter, tap};
}

/* NULL: whoever needs them makes them. */
static const float *pack(const winograd_state *s, const lm_kernel_args *args,
                         const lm_wino_weights *weights) {
    if (s->plan.alone) return NULL;
    float *packed = (float *)((char *)args->workspace + s->packed_at);
    lm_wino_pack(&s->plan, weights, packed);
    return packed;
}

static lm_wino_around find_around(const winograd_state *s, const lm_kernel_args *args) {
    const around_sources *at = &s->source;
    lm_wino_around around = {.before = s->before, .after = s->after};
    if (at->bias) around.bias = args->in[at->bias];
    if (at->shift) around.shift = args->in[at->shift];
    if (at->residual) around.residual = args->in[at->residual];
    if (at->norm) {
        lm_wino_norm norm = s->norm;
        float *table = (float *)((char *)args->workspace + s->norm_at);
        norm.stats = args->in[at->norm];
        norm.gamma = args->in[at->norm + 1];
        norm.beta = args->in[at->norm + 2];
        lm_wino_fill_norm(&s->plan, &norm, table);
        around.norm = table;
    }
    return around;
}

static lm_status run_forward(lm_kernel *kernel, const lm_kernel_args *args) {
    const winograd_state *s = kernel->state;
    lm_wino_around around = find_around(s, args);
    lm_wino_weights weights = see_weights(s, args->in[1]);
    lm_wino_forward(&s->plan, args->in[0], pack(s, args, &weights), &weights, &around,
                    args->out[0], args->workspace);
    return LM_OK;
}

static lm_status run_gradient(lm_kernel *kernel, const lm_kernel_args *args) {
    const winograd_state *s = kernel->state;
    lm_wino_around around = find_around(s, args);
    lm_wino_gradient(&s->plan, args->in[0], args->in[1], &around, args->out[0],
                     args->workspace);
    return LM_OK;
}

/* ---- making ------------------------------------------------------------------ */

static bool fits(const lm_dnnl_conv *c) {
    for (int i = 0; i < 2; i++)
        if (c->kernel[i] != 3 || c->stride[i] != 1 || c->dilation[i] != 1 ||
            c->pad_lo[i] < 0 || c->pad_lo[i] > 2)
            return false;
    return c->groups == 1;
}

static bool leads(const lm_dnnl_conv *c) {
    return c->in_channels >= LEAST_CHANNELS && c->out_channels >= LEAST_CHANNELS;
}

/* Geometry and workspace; the sources are the caller's. */
static void plan_winograd(winograd_state *s, const lm_dnnl_conv *c, lm_kernel *kernel) {
    lm_wino_image x = {
        c->in[0], c->in[1], c->in_channels, {(int)c->pad_lo[0], (int)c->pad_lo[1]}};
    lm_wino_image y = {c->out[0], c->out[1], c->out_channels, {0, 0}};
    s->filters = c->out_channels;
    s->channels = c->in_channels;
    if (c->pass == LM_DNNL_BACK_WEIGHTS) {
        lm_wino_plan_gradient(&s->plan, c->batch, &x, &y, lm_threads());
        s->norm_at = lm_wino_gradient_bytes(&s->plan);
        kernel->workspace = s->norm_at;
    } else {
        s->mirrored = c->pass == LM_DNNL_BACK_DATA;
        for (int i = 0; i < 2 && s->mirrored; i++) y.pad[i] = 2 - x.pad[i];
        lm_wino_plan_forward(&s->plan, c->batch, s->mirrored ? &y : &x,
                             s->mirrored ? &x : &y, lm_threads());
        s->packed_at = lm_wino_forward_bytes(&s->plan);
        s->norm_at = s->packed_at;
        if (!s->plan.alone) s->norm_at += lm_wino_packed_bytes(&s->plan);
        kernel->workspace = s->norm_at;
    }
    kernel->group = "winograd";
    kernel->flops = lm_conv_flops(c);
}

static winograd_state *make_winograd(const lm_step *step, const lm_dnnl_conv *conv,
                                     lm_kernel *kernel) {
    static const char *const name[] = {[LM_DNNL_FORWARD] = "winograd 4x4",
                                       [LM_DNNL_BACK_DATA] = "winograd 4x4 mirrored",
                                       [LM_DNNL_BACK_WEIGHTS] = "winograd 4x4 gradient"};
    lm_cpu_run run = conv->pass == LM_DNNL_BACK_WEIGHTS ? run_gradient : run_forward;
    winograd_state *s =
        lm_cpu_kernel_init(kernel, step, name[conv->pass], run, sizeof *s);
    if (!s) return NULL;
    plan_winograd(s, conv, kernel);
    return s;
}

static lm_status lower(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel) {
    winograd_state *s = make_winograd(step, conv, kernel);
    if (!s) return LM_NOMEM;
    if (conv->bias) s->source.bias = 2;
    return LM_OK;
}

const lm_conv_candidate lm_conv_winograd = {
    .name = "winograd", .winograd = true, .fits = fits, .leads = leads, .lower = lower};

/* ---- with what surrounds it -------------------------------------------------- */

static lm_dnnl_conv describe_block(const lm_node *call) {
    bool gradient = call->attr.call.composite == LM_COMP_CONV_BLOCK_WGRAD;
    const lm_node *x = call->src[0], *y = gradient ? call->src[1] : call;
    lm_dnnl_conv conv = {.pass = gradient ? LM_DNNL_BACK_WEIGHTS : LM_DNNL_FORWARD,
                         .batch = x->shape.dim[0],
                         .in_channels = x->shape.dim[3],
                         .out_channels = y->shape.dim[3],
                         .groups = 1};
    for (int i = 0; i < 2; i++) {
        conv.in[i] = conv.out[i] = x->shape.dim[1 + i];
        conv.kernel[i] = 3;
        conv.stride[i] = conv.dilation[i] = conv.pad_lo[i] = conv.pad_hi[i] = 1;
    }
    return conv;
}

bool lm_comp_fits_conv_block(lm_backend *backend, const lm_node *call) {
    lm_dnnl_conv conv = describe_block(call);
    return lm_conv_takes(lm_cpu_conv_choice(backend), &lm_conv_winograd, &conv);
}

/* The table of the normalisation whose statistics are source `norm`. */
static void plan_norm(winograd_state *s, const lm_node *call, int norm,
                      lm_kernel *kernel) {
    s->source.norm = norm;
    s->norm.groups = call->src[norm]->shape.dim[1];
    s->norm.gamma_by_sample = call->src[norm + 1]->shape.rank == 2;
    s->norm.beta_by_sample = call->src[norm + 2]->shape.rank == 2;
    kernel->workspace = s->norm_at + lm_wino_norm_bytes(&s->plan);
}

lm_status lm_comp_lower_conv_block(lm_backend *backend, const lm_step *step,
                                   lm_kernel *kernel) {
    const lm_node *call = step->nodes[0];
    lm_dnnl_conv conv = describe_block(call);
    winograd_state *s = make_winograd(step, &conv, kernel);
    if (!s) return LM_NOMEM;
    lm_conv_block_sources at = lm_conv_block_find(call);
    s->source.bias = at.bias;
    s->source.shift = at.shift;
    s->source.residual = at.residual;
    if (at.norm) plan_norm(s, call, at.norm, kernel);
    const int32_t *act = call->attr.call.i;
    const float *slope = call->attr.call.f;
    s->before = (lm_wino_act){(lm_activation)act[1], slope[0]};
    s->after = (lm_wino_act){(lm_activation)act[2], slope[1]};
    return LM_OK;
}

lm_status lm_comp_lower_conv_block_wgrad(lm_backend *backend, const lm_step *step,
                                         lm_kernel *kernel) {
    const lm_node *call = step->nodes[0];
    lm_dnnl_conv conv = describe_block(call);
    winograd_state *s = make_winograd(step, &conv, kernel);
    if (!s) return LM_NOMEM;
    if (call->n_src == 5) plan_norm(s, call, 2, kernel);
    s->before = (lm_wino_act){(lm_activation)call->attr.call.i[0], call->attr.call.f[0]};
    return LM_OK;
}
