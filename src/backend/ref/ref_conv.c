/* Convolution and its two adjoints. All three visit the same (position, tap) pairs; only
 * what happens there differs. */
#include "backend/ref/ref_internal.h"
#include <string.h>

/* One pair: a pixel's channels of one group, the weights of one output channel at one
 * kernel position, and one output element. */
typedef void (*tap)(double *x, double *w, double *y, int64_t channels);

static void tap_forward(double *x, double *w, double *y, int64_t channels) {
    *y += lm_ref_dot(x, w, channels);
}

static void tap_dgrad(double *x, double *w, double *y, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) x[c] += *y * w[c];
}

static void tap_wgrad(double *x, double *w, double *y, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) w[c] += *y * x[c];
}

typedef struct geometry {
    lm_shape x, w, y; /* [N,H,W,C], [O,KH,KW,C/groups], [N,OH,OW,O] */
    const lm_conv_attr *attr;
} geometry;

/* Every output channel at one kernel position of one output pixel. */
static void visit_channels(const geometry *g, double *x, double *w, double *y, tap each) {
    int64_t channels = g->w.dim[3], outputs = g->w.dim[0];
    int64_t filter = g->w.dim[1] * g->w.dim[2] * channels;
    int64_t per_group = outputs / g->attr->groups;
    for (int64_t o = 0; o < outputs; o++)
        each(x + o / per_group * channels, w + o * filter, y + o, channels);
}

/* Every kernel position that lies inside the image, for one output pixel. */
static void visit_kernel(const geometry *g, double *image, double *w, double *y,
                         int64_t row, int64_t column, tap each) {
    const lm_conv_attr *a = g->attr;
    for (int64_t i = 0; i < g->w.dim[1]; i++) {
        int64_t h = row * a->stride[0] + i * a->dilation[0] - a->pad_lo[0];
        if (h < 0 || h >= g->x.dim[1]) continue;
        for (int64_t j = 0; j < g->w.dim[2]; j++) {
            int64_t v = column * a->stride[1] + j * a->dilation[1] - a->pad_lo[1];
            if (v < 0 || v >= g->x.dim[2]) continue;
            visit_channels(g, image + (h * g->x.dim[2] + v) * g->x.dim[3],
                           w + (i * g->w.dim[2] + j) * g->w.dim[3], y, each);
        }
    }
}

static void visit(const geometry *g, double *x, double *w, double *y, tap each) {
    int64_t image = g->x.dim[1] * g->x.dim[2] * g->x.dim[3];
    for (int64_t n = 0; n < g->y.dim[0]; n++, x += image)
        for (int64_t row = 0; row < g->y.dim[1]; row++)
            for (int64_t column = 0; column < g->y.dim[2]; column++, y += g->y.dim[3])
                visit_kernel(g, x, w, y, row, column, each);
}

/* Taps write one of the three and read the others, so inputs lose their const here. */
static double *input(const lm_kernel_args *args, int i) {
    return (double *)args->in[i];
}

static double *zeroed(const lm_node *node, const lm_kernel_args *args) {
    size_t bytes = (size_t)lm_shape_count(node->shape) * sizeof(double);
    return memset(args->out[0], 0, bytes);
}

lm_status lm_ref_conv(const lm_node *node, const lm_kernel_args *args) {
    geometry g = {node->src[0]->shape, node->src[1]->shape, node->shape,
                  &node->attr.conv};
    double *y = zeroed(node, args);
    if (node->n_src > 2) {
        const double *bias = args->in[2];
        int64_t count = lm_shape_count(node->shape), outputs = node->shape.dim[3];
        for (int64_t i = 0; i < count; i++) y[i] = bias[i % outputs];
    }
    visit(&g, input(args, 0), input(args, 1), y, tap_forward);
    return LM_OK;
}

lm_status lm_ref_conv_dgrad(const lm_node *node, const lm_kernel_args *args) {
    geometry g = {node->shape, node->src[1]->shape, node->src[0]->shape,
                  &node->attr.conv};
    visit(&g, zeroed(node, args), input(args, 1), input(args, 0), tap_dgrad);
    return LM_OK;
}

lm_status lm_ref_conv_wgrad(const lm_node *node, const lm_kernel_args *args) {
    geometry g = {node->src[0]->shape, node->shape, node->src[1]->shape,
                  &node->attr.conv};
    visit(&g, input(args, 0), zeroed(node, args), input(args, 1), tap_wgrad);
    return LM_OK;
}
