/* Types of matrix products, convolutions and pooling. */
#include "graph/graph_internal.h"

lm_status lm_infer_matmul(lm_typing *t) {
    lm_shape a = t->src[0]->shape, b = t->src[1]->shape;
    int32_t ta = t->attr->matmul.ta, tb = t->attr->matmul.tb;
    int r = a.rank;
    LM_RETURN_IF(r < 2 || b.rank != r, LM_SHAPE, "ranks must be equal and at least 2");
    LM_RETURN_IF((ta | tb) & ~1, LM_ARG, "transposition flags are 0 or 1");
    for (int i = 0; i < r - 2; i++)
        LM_RETURN_IF(a.dim[i] != b.dim[i], LM_SHAPE, "batch axis %d differs", i);
    int64_t m = a.dim[r - 2 + ta], k = a.dim[r - 1 - ta];
    int64_t k2 = b.dim[r - 2 + tb], n = b.dim[r - 1 - tb];
    LM_RETURN_IF(k != k2, LM_SHAPE, "a%s has inner size %lld, b%s has %lld",
                 ta ? " transposed" : "", (long long)k, tb ? " transposed" : "",
                 (long long)k2);
    LM_RETURN_IF(t->n_src == 3 && !lm_shape_equal(t->src[2]->shape, LM_SHAPE(n)),
                 LM_SHAPE, "bias must be [%lld]", (long long)n);
    t->shape = a;
    t->shape.dim[r - 2] = m;
    t->shape.dim[r - 1] = n;
    return LM_OK;
}

lm_status lm_infer_square(lm_typing *t) {
    t->shape = t->src[0]->shape;
    int r = t->shape.rank;
    LM_RETURN_IF(r < 2 || t->shape.dim[r - 1] != t->shape.dim[r - 2], LM_SHAPE,
                 "the last two axes must be equal");
    return LM_OK;
}

lm_status lm_infer_logabsdet(lm_typing *t) {
    LM_TRY(lm_infer_square(t));
    t->shape.dim[t->shape.rank - 1] = t->shape.dim[t->shape.rank - 2] = 1;
    return LM_OK;
}

/* ---- convolution ------------------------------------------------------------- */

/* Positions of a window over a padded axis; 0 or less: none fits. */
static int64_t window_count(int64_t size, int64_t window, int64_t stride, int64_t pad) {
    int64_t room = size + pad - window;
    return room < 0 ? 0 : room / stride + 1;
}

static int64_t conv_extent(const lm_conv_attr *a, int axis, int64_t size, int64_t k) {
    int64_t span = a->dilation[axis] * (k - 1) + 1;
    return window_count(size, span, a->stride[axis],
                        (int64_t)a->pad_lo[axis] + a->pad_hi[axis]);
}

static lm_status check_conv(const lm_typing *t, bool sized) {
    const lm_conv_attr *a = &t->attr->conv;
    for (int i = 0; i < 2; i++) {
        LM_RETURN_IF(t->src[i]->shape.rank != 4, LM_SHAPE, "ranks must be 4");
        LM_RETURN_IF(a->stride[i] < 1 || a->dilation[i] < 1, LM_ARG,
                     "stride and dilation must be at least 1");
        LM_RETURN_IF(a->pad_lo[i] < 0 || a->pad_hi[i] < 0, LM_ARG, "negative padding");
        LM_RETURN_IF(sized ? a->size[i] < 1 : a->size[i] != 0, LM_ARG, "size is %d",
                     (int)a->size[i]);
    }
    LM_RETURN_IF(a->groups < 1, LM_ARG, "%d groups", (int)a->groups);
    return LM_OK;
}

static lm_status check_groups(int32_t groups, int64_t in, int64_t out) {
    LM_RETURN_IF(in % groups || out % groups, LM_SHAPE,
                 "%d groups do not divide %lld and %lld channels", (int)groups,
                 (long long)in, (long long)out);
    return LM_OK;
}

lm_status lm_infer_conv(lm_typing *t) {
    LM_TRY(check_conv(t, false));
    const lm_conv_attr *a = &t->attr->conv;
    lm_shape x = t->src[0]->shape, w = t->src[1]->shape;
    LM_RETURN_IF(x.dim[3] != w.dim[3] * a->groups, LM_SHAPE,
                 "x has %lld channels, w expects %lld", (long long)x.dim[3],
                 (long long)w.dim[3] * a->groups);
    LM_TRY(check_groups(a->groups, x.dim[3], w.dim[0]));
    LM_RETURN_IF(t->n_src == 3 && !lm_shape_equal(t->src[2]->shape, LM_SHAPE(w.dim[0])),
                 LM_SHAPE, "bias must be [%lld]", (long long)w.dim[0]);
    t->shape = LM_SHAPE(x.dim[0], conv_extent(a, 0, x.dim[1], w.dim[1]),
                        conv_extent(a, 1, x.dim[2], w.dim[2]), w.dim[0]);
    LM_RETURN_IF(t->shape.dim[1] < 1 || t->shape.dim[2] < 1, LM_SHAPE,
                 "w is larger than the padded x");
    return LM_OK;
}

/* Both adjoints: a conv from `in` with kernel `k` must give the spatial size of y. */
static lm_status check_adjoint(const lm_typing *t, const int64_t *in, const int64_t *k,
                               const int64_t *y) {
    for (int i = 0; i < 2; i++) {
        int64_t extent = conv_extent(&t->attr->conv, i, in[i], k[i]);
        LM_RETURN_IF(extent != y[i], LM_SHAPE,
                     "y has %lld on axis %d, a conv of %lld by %lld would give %lld",
                     (long long)y[i], i + 1, (long long)in[i], (long long)k[i],
                     (long long)extent);
    }
    return LM_OK;
}

lm_status lm_infer_conv_dgrad(lm_typing *t) {
    LM_TRY(check_conv(t, true));
    const lm_conv_attr *a = &t->attr->conv;
    lm_shape y = t->src[0]->shape, w = t->src[1]->shape;
    LM_RETURN_IF(y.dim[3] != w.dim[0], LM_SHAPE, "y has %lld channels, w gives %lld",
                 (long long)y.dim[3], (long long)w.dim[0]);
    LM_TRY(check_groups(a->groups, a->groups, w.dim[0]));
    LM_TRY(check_adjoint(t, (int64_t[]){a->size[0], a->size[1]}, &w.dim[1], &y.dim[1]));
    t->shape = LM_SHAPE(y.dim[0], a->size[0], a->size[1], w.dim[3] * a->groups);
    return LM_OK;
}

lm_status lm_infer_conv_wgrad(lm_typing *t) {
    LM_TRY(check_conv(t, true));
    const lm_conv_attr *a = &t->attr->conv;
    lm_shape x = t->src[0]->shape, y = t->src[1]->shape;
    LM_RETURN_IF(x.dim[0] != y.dim[0], LM_SHAPE, "x and y differ in batch size");
    LM_TRY(check_groups(a->groups, x.dim[3], y.dim[3]));
    LM_TRY(check_adjoint(t, &x.dim[1], (int64_t[]){a->size[0], a->size[1]}, &y.dim[1]));
    t->shape = LM_SHAPE(y.dim[3], a->size[0], a->size[1], x.dim[3] / a->groups);
    return LM_OK;
}

/* ---- pooling ----------------------------------------------------------------- */

/* Positions within a window are kept in a byte; 255 is never one. */
#define MAX_WINDOW 255

static lm_status check_pool(const lm_typing *t, bool sized) {
    const lm_pool_attr *a = &t->attr->pool;
    for (int i = 0; i < 2; i++) {
        LM_RETURN_IF(a->window[i] < 1 || a->stride[i] < 1, LM_ARG,
                     "window and stride must be at least 1");
        /* Then every window holds at least one true element. */
        LM_RETURN_IF(a->pad_lo[i] < 0 || a->pad_lo[i] >= a->window[i] ||
                         a->pad_hi[i] < 0 || a->pad_hi[i] >= a->window[i],
                     LM_ARG, "padding must be smaller than the window");
        LM_RETURN_IF(sized ? a->size[i] < 1 : a->size[i] != 0, LM_ARG, "size is %d",
                     (int)a->size[i]);
    }
    LM_RETURN_IF((int64_t)a->window[0] * a->window[1] > MAX_WINDOW, LM_ARG,
                 "a window of %d by %d has more than %d positions", (int)a->window[0],
                 (int)a->window[1], MAX_WINDOW);
    for (int i = 0; i < t->n_src; i++)
        LM_RETURN_IF(t->src[i]->shape.rank != 4, LM_SHAPE, "ranks must be 4");
    return LM_OK;
}

static lm_status pooled_shape(const lm_pool_attr *a, lm_shape x, lm_shape *pooled) {
    *pooled = x;
    for (int i = 0; i < 2; i++) {
        pooled->dim[i + 1] = window_count(x.dim[i + 1], a->window[i], a->stride[i],
                                          (int64_t)a->pad_lo[i] + a->pad_hi[i]);
        LM_RETURN_IF(pooled->dim[i + 1] < 1, LM_SHAPE,
                     "the window is larger than the padded x");
    }
    return LM_OK;
}

lm_status lm_infer_pool_argmax(lm_typing *t) {
    LM_TRY(check_pool(t, false));
    return pooled_shape(&t->attr->pool, t->src[0]->shape, &t->shape);
}

lm_status lm_infer_pool_gather(lm_typing *t) {
    LM_TRY(lm_infer_pool_argmax(t));
    char text[LM_SHAPE_TEXT];
    LM_RETURN_IF(!lm_shape_equal(t->src[1]->shape, t->shape), LM_SHAPE,
                 "index must be %s", lm_shape_text(t->shape, text));
    return LM_OK;
}

lm_status lm_infer_pool_scatter(lm_typing *t) {
    LM_TRY(check_pool(t, true));
    lm_shape y = t->src[0]->shape, pooled, x = y;
    LM_RETURN_IF(!lm_shape_equal(y, t->src[1]->shape), LM_SHAPE,
                 "y and index differ in shape");
    for (int i = 0; i < 2; i++) x.dim[i + 1] = t->attr->pool.size[i];
    LM_TRY(pooled_shape(&t->attr->pool, x, &pooled));
    char text[LM_SHAPE_TEXT];
    LM_RETURN_IF(!lm_shape_equal(y, pooled), LM_SHAPE, "y must be %s",
                 lm_shape_text(pooled, text));
    t->shape = x;
    return LM_OK;
}
