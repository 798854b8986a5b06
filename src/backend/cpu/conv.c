/* From a node to a convolution problem, and which candidate computes it. */
#include "backend/cpu/conv.h"

static const lm_conv_candidate *const candidates[] = {&lm_conv_flipped, &lm_conv_onednn};
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

double lm_conv_flops(const lm_dnnl_conv *c) {
    return 2.0 * (double)(c->batch * c->out[0] * c->out[1] * c->out_channels) *
           (double)(c->kernel[0] * c->kernel[1] * c->in_channels / c->groups);
}

/* ---- the choice -------------------------------------------------------------- */

/* The last candidate takes everything. */
static const lm_conv_candidate *choose(const lm_dnnl_conv *conv) {
    for (int i = 0; i < N_CANDIDATES; i++) {
        const lm_conv_candidate *c = candidates[i];
        if (c->fits(conv) && (!c->leads || c->leads(conv))) return c;
    }
    return &lm_conv_onednn;
}

static lm_status lower_conv(lm_backend *backend, const lm_step *step,
                            const lm_dnnl_conv *conv, lm_kernel *kernel) {
    return choose(conv)->lower(backend, step, conv, kernel);
}

lm_status lm_cpu_lower_conv(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    lm_dnnl_conv conv =
        describe(LM_DNNL_FORWARD, node->src[0], node->src[1], node, &node->attr.conv);
    conv.bias = node->n_src == 3;
    return lower_conv(backend, step, &conv, kernel);
}

lm_status lm_cpu_lower_conv_dgrad(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    lm_dnnl_conv conv =
        describe(LM_DNNL_BACK_DATA, node, node->src[1], node->src[0], &node->attr.conv);
    return lower_conv(backend, step, &conv, kernel);
}

lm_status lm_cpu_lower_conv_wgrad(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    lm_dnnl_conv conv = describe(LM_DNNL_BACK_WEIGHTS, node->src[0], node, node->src[1],
                                 &node->attr.conv);
    return lower_conv(backend, step, &conv, kernel);
}
