/* Max pooling by positions: which element of its window won, and moving values along. */
#include "backend/ref/ref_internal.h"
#include <inttypes.h>
#include <string.h>

/* Where one output element looks. */
typedef struct window {
    const lm_pool_attr *attr;
    lm_shape image;      /* [N,H,W,C] */
    int64_t row, column; /* of the window's first element; may lie in the padding */
    int64_t base;        /* index of this sample's first pixel, this channel */
} window;

/* Index of the image element at a window position, or -1 in the padding. */
static int64_t element_at(const window *w, int64_t position) {
    int64_t row = w->row + position / w->attr->window[1];
    int64_t column = w->column + position % w->attr->window[1];
    bool inside =
        row >= 0 && row < w->image.dim[1] && column >= 0 && column < w->image.dim[2];
    return inside ? w->base + (row * w->image.dim[2] + column) * w->image.dim[3] : -1;
}

/* The window of output element `i` of a result [N,OH,OW,C]. */
static window window_of(const lm_pool_attr *attr, lm_shape image, lm_shape result,
                        int64_t i) {
    int64_t channel = i % result.dim[3], pixel = i / result.dim[3];
    int64_t column = pixel % result.dim[2], row = pixel / result.dim[2] % result.dim[1];
    int64_t sample = pixel / result.dim[2] / result.dim[1];
    int64_t sample_size = image.dim[1] * image.dim[2] * image.dim[3];
    return (window){attr, image, row * attr->stride[0] - attr->pad_lo[0],
                    column * attr->stride[1] - attr->pad_lo[1],
                    sample * sample_size + channel};
}

lm_status lm_ref_pool_argmax(const lm_node *node, const lm_kernel_args *args) {
    const lm_pool_attr *attr = &node->attr.pool;
    const double *in = args->in[0];
    double *out = args->out[0];
    int64_t count = lm_shape_count(node->shape);
    for (int64_t i = 0; i < count; i++) {
        window w = window_of(attr, node->src[0]->shape, node->shape, i);
        int64_t best = -1, winner = 0;
        for (int64_t p = 0; p < attr->window[0] * attr->window[1]; p++) {
            int64_t at = element_at(&w, p);
            if (at >= 0 && (best < 0 || lm_ref_beats(in[at], in[best]))) {
                best = at;
                winner = p;
            }
        }
        out[i] = (double)winner;
    }
    return LM_OK;
}

/* The image element that position index[i] names; fails where it names none. */
static lm_status chosen(const lm_node *node, const double *index, lm_shape image,
                        lm_shape result, int64_t i, int64_t *at) {
    const lm_pool_attr *attr = &node->attr.pool;
    window w = window_of(attr, image, result, i);
    bool known = index[i] < attr->window[0] * attr->window[1];
    *at = known ? element_at(&w, (int64_t)index[i]) : -1;
    if (*at >= 0) return LM_OK;
    return lm_fail(LM_ARG, "position %.0f of element %" PRId64 " lies outside its window",
                   index[i], i);
}

lm_status lm_ref_pool_gather(const lm_node *node, const lm_kernel_args *args) {
    const double *in = args->in[0], *index = args->in[1];
    double *out = args->out[0];
    int64_t count = lm_shape_count(node->shape), at;
    for (int64_t i = 0; i < count; i++) {
        LM_TRY(chosen(node, index, node->src[0]->shape, node->shape, i, &at));
        out[i] = in[at];
    }
    return LM_OK;
}

lm_status lm_ref_pool_scatter(const lm_node *node, const lm_kernel_args *args) {
    const double *in = args->in[0], *index = args->in[1];
    double *out = args->out[0];
    int64_t count = lm_shape_count(node->src[0]->shape), at;
    memset(out, 0, (size_t)lm_shape_count(node->shape) * sizeof *out);
    for (int64_t i = 0; i < count; i++) {
        LM_TRY(chosen(node, index, node->shape, node->src[0]->shape, i, &at));
        out[at] += in[i];
    }
    return LM_OK;
}
