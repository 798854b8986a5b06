#include "families/unet.h"

enum { MAX_SKIPS = LM_OPT_MAX_INTS * (LM_UNET_MAX_BLOCKS + 1) + 1 };

typedef struct unet {
    lm_nn *nn;
    const lm_unet_spec *spec;
    lm_node *conditioning; /* after its activation */
    lm_node *skips[MAX_SKIPS];
    int n_skips;
} unet;

static int level_channels(const lm_unet_spec *spec, int level) {
    return spec->base * spec->mult[level];
}

static bool attends_at(const lm_unet_spec *spec, int64_t height) {
    for (int i = 0; i < spec->n_attention; i++)
        if (spec->attention[i] == height) return true;
    return false;
}

static bool wants_attention(const lm_unet_spec *spec) {
    return spec->n_attention > 0 && !attends_at(spec, 0);
}

/* ---- checks ------------------------------------------------------------------ */

static lm_status check_heads(const lm_unet_spec *spec, int level) {
    int channels = level_channels(spec, level);
    LM_RETURN_IF(channels % spec->heads != 0, LM_ARG,
                 "heads: %d do not divide the %d channels of level %d", spec->heads,
                 channels, level + 1);
    return LM_OK;
}

lm_status lm_unet_check(const lm_unet_spec *spec, int height, int width) {
    LM_RETURN_IF(spec->blocks < 1 || spec->blocks > LM_UNET_MAX_BLOCKS, LM_ARG,
                 "blocks: %d is not within 1 and %d", spec->blocks, LM_UNET_MAX_BLOCKS);
    bool attends = false;
    int last = spec->n_levels - 1;
    for (int level = 0, h = height, w = width; level <= last; level++, h /= 2, w /= 2) {
        if (attends_at(spec, h)) {
            attends = true;
            LM_TRY(check_heads(spec, level));
        }
        LM_RETURN_IF(level < last && (h % 2 || w % 2), LM_ARG,
                     "mult: %d levels halve the %dx%d input %d times, but it is %dx%d at "
                     "level %d, which has no half; give at most %d values",
                     spec->n_levels, height, width, last, h, w, level + 1, level + 1);
    }
    LM_RETURN_IF(wants_attention(spec) && !attends, LM_ARG,
                 "attention: no feature map is %d high (they are %d, halved up to %d "
                 "times); 0 means none",
                 spec->attention[0], height, last);
    return check_heads(spec, last);
}

/* ---- parts ------------------------------------------------------------------- */

static lm_node *residual_block(unet *u, const char *name, lm_node *x, int64_t out) {
    const lm_residual_spec spec = {.out = out,
                                   .groups = u->spec->groups,
                                   .dropout = u->spec->dropout,
                                   .condition = u->conditioning};
    return lm_nn_residual(u->nn, name, x, &spec);
}

static lm_node *attention(unet *u, const char *name, lm_node *x) {
    if (!x) return NULL;
    int groups = lm_nn_count_groups(x->shape.dim[3], u->spec->groups);
    return lm_nn_attention(u->nn, name, x, u->spec->heads, groups);
}

/* A residual block, and attention where the resolution asks for it. */
static lm_node *stage(unet *u, int index, lm_node *x, int64_t out) {
    lm_graph *g = u->nn->graph;
    lm_scope_push(g, "%d", index);
    x = residual_block(u, "block", x, out);
    if (x && attends_at(u->spec, x->shape.dim[1])) x = attention(u, "attention", x);
    lm_scope_pop(g);
    return x;
}

static lm_node *halve(unet *u, lm_node *x) {
    if (!x) return NULL;
    lm_conv_spec spec = {.kernel = 3,
                         .stride = 2,
                         .pad_extra = 1,
                         .bias = true,
                         .init = LM_INIT(FAN_AVG, 1)};
    return lm_nn_conv(u->nn, "halve", x, x->shape.dim[3], &spec);
}

static lm_node *twice(unet *u, lm_node *x) {
    if (!x) return NULL;
    return lm_nn_upsample_conv(u->nn, "double", x, x->shape.dim[3], LM_INIT(FAN_AVG, 1));
}

static lm_node *push_skip(unet *u, lm_node *x) {
    return u->skips[u->n_skips++] = x;
}

static lm_node *join_skip(unet *u, lm_node *x) {
    lm_node *parts[] = {x, u->skips[--u->n_skips]};
    return lm_concat(u->nn->graph, parts, 2, 3);
}

/* ---- the network ------------------------------------------------------------- */

static lm_node *go_down(unet *u, lm_node *x) {
    const lm_unet_spec *spec = u->spec;
    push_skip(u, x);
    for (int level = 0; level < spec->n_levels; level++) {
        lm_scope_push(u->nn->graph, "down.%d", level);
        for (int i = 0; i < spec->blocks; i++)
            x = push_skip(u, stage(u, i, x, level_channels(spec, level)));
        if (level < spec->n_levels - 1) x = push_skip(u, halve(u, x));
        lm_scope_pop(u->nn->graph);
    }
    return x;
}

static lm_node *go_through(unet *u, lm_node *x) {
    int channels = level_channels(u->spec, u->spec->n_levels - 1);
    lm_scope_push(u->nn->graph, "middle");
    x = residual_block(u, "block1", x, channels);
    if (wants_attention(u->spec)) x = attention(u, "attention", x);
    x = residual_block(u, "block2", x, channels);
    lm_scope_pop(u->nn->graph);
    return x;
}

static lm_node *go_up(unet *u, lm_node *x) {
    const lm_unet_spec *spec = u->spec;
    for (int level = spec->n_levels - 1; level >= 0; level--) {
        lm_scope_push(u->nn->graph, "up.%d", level);
        for (int i = 0; i <= spec->blocks; i++)
            x = stage(u, i, join_skip(u, x), level_channels(spec, level));
        if (level > 0) x = twice(u, x);
        lm_scope_pop(u->nn->graph);
    }
    return x;
}

lm_node *lm_unet_time(lm_nn *nn, const lm_unet_spec *spec, lm_node *t) {
    lm_init init = LM_INIT(FAN_AVG, 1);
    int width = 4 * spec->base;
    lm_scope_push(nn->graph, "unet.time");
    lm_node *h = lm_nn_time_embedding(nn, t, spec->base, 10000);
    h = lm_silu(nn->graph, lm_nn_dense(nn, "1", h, width, true, init));
    h = lm_nn_dense(nn, "2", h, width, true, init);
    lm_scope_pop(nn->graph);
    return h;
}

lm_node *lm_unet_class(lm_nn *nn, const lm_unet_spec *spec, lm_node *labels,
                       int classes) {
    lm_graph *g = nn->graph;
    lm_node *row = lm_cast(g, labels, LM_F32);
    row = lm_where(g, lm_lt(g, row, lm_const(g, 0)), lm_const(g, classes), row);
    lm_scope_push(g, "unet");
    lm_node *h = lm_nn_embedding(nn, "class", lm_cast(g, row, LM_I32), classes + 1,
                                 4 * (int64_t)spec->base, LM_INIT(NORMAL, 1));
    lm_scope_pop(g);
    return h;
}

lm_node *lm_unet(lm_nn *nn, const lm_unet_spec *spec, lm_node *x, lm_node *conditioning) {
    unet u = {.nn = nn, .spec = spec};
    u.conditioning = lm_silu(nn->graph, conditioning);
    lm_scope_push(nn->graph, "unet");
    x = go_down(&u, lm_nn_conv3x3(nn, "in", x, spec->base, 1));
    x = go_up(&u, go_through(&u, x));
    lm_scope_push(nn->graph, "out");
    x = lm_nn_norm_silu(nn, "norm", x, spec->groups);
    x = lm_nn_conv3x3(nn, "conv", x, spec->out, LM_NEAR_ZERO);
    lm_scope_pop(nn->graph);
    lm_scope_pop(nn->graph);
    return x;
}
