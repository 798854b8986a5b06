/* The graph: typed, hash-consed nodes of a closed op set (kinds.def).
 *
 * Building never stops half way: the first failure (bad shapes, no memory) is kept in the
 * graph with a message that names the layer, the constructor returns NULL, and every
 * constructor given a NULL source returns NULL. So a builder reads like the formula, and
 * the caller asks lm_graph_status once. Nodes are immutable and owned by the graph. */
#ifndef LIMN_GRAPH_GRAPH_H
#define LIMN_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/str.h"
#include "tensor/shape.h"

typedef struct lm_graph lm_graph;
typedef struct lm_node lm_node;

enum {
    LM_K_LEAF = 1,
    LM_K_ELEMENTWISE = 2, /* may enter a fused cluster */
    LM_K_VIEW = 4,
    LM_K_LINEAR = 8,
    LM_K_EFFECT = 16
};

typedef enum lm_kind {
#define X(NAME, text, min, max, flags, doc) LM_KIND_##NAME,
#include "graph/kinds.def"
#undef X
    LM_KIND_COUNT
} lm_kind;

typedef enum lm_ew {
#define X(NAME, text, arity, result, doc) LM_EW_##NAME,
#include "graph/ew.def"
#undef X
    LM_EW_COUNT
} lm_ew;

typedef enum lm_composite {
#define X(NAME, text, min, max, doc) LM_COMP_##NAME,
#include "graph/composites.def"
#undef X
    LM_COMP_COUNT
} lm_composite;

/* Convolution geometry, 2-D: index 0 is height, 1 is width. `size` is the output's height
 * and width for conv_dgrad, the kernel's for conv_wgrad, unused (0) for conv. */
typedef struct lm_conv_attr {
    int32_t stride[2], dilation[2], pad_lo[2], pad_hi[2], size[2], groups;
} lm_conv_attr;

/* `size`: input height and width for pool_scatter, else 0. Padding never wins. */
typedef struct lm_pool_attr {
    int32_t window[2], stride[2], pad_lo[2], pad_hi[2], size[2];
} lm_pool_attr;

typedef struct lm_slice_attr {
    int32_t lo[LM_MAX_RANK], hi[LM_MAX_RANK], step[LM_MAX_RANK]; /* hi exclusive */
} lm_slice_attr;

typedef struct lm_pad_attr {
    int32_t lo[LM_MAX_RANK], hi[LM_MAX_RANK], interior[LM_MAX_RANK]; /* none negative */
} lm_pad_attr;

/* A constant rows x cols matrix in compressed sparse rows, owned by a graph's arena and
 * interned there (equal matrices are one pointer). `transpose` is filled on first use and
 * points back, so transposing twice gives the same pointer. */
typedef struct lm_sparse {
    int32_t rows, cols, nnz;
    const int32_t *row_start; /* rows + 1 */
    const int32_t *col;
    const float *value;
    struct lm_sparse *transpose;
} lm_sparse;

/* All attributes of a kind; the rest is zero, so that nodes compare bytewise. */
typedef union lm_attr {
    struct {
        int32_t var;    /* index into the graph's variables */
        int64_t offset; /* first element of the slice */
    } param;
    const char *name; /* input, interned */
    struct {
        double value;     /* rank 0, or every element when data is NULL */
        const void *data; /* interned table, or NULL */
    } constant;
    struct {
        int32_t code; /* lm_ew */
        float value;  /* LEAKY, POWC */
    } ew;
    uint32_t axes; /* bit i: axis i */
    struct {
        int32_t axis, reverse;   /* reverse: cumsum only */
        const lm_sparse *matrix; /* axismap only */
    } axis;
    int32_t perm[LM_MAX_RANK];
    lm_slice_attr slice;
    lm_pad_attr pad;
    int64_t rows; /* scatter_add */
    struct {
        int32_t ta, tb; /* read source 0 or 1 transposed in its last two axes */
    } matmul;
    lm_conv_attr conv;
    lm_pool_attr pool;
    int32_t k;       /* topk */
    uint32_t stream; /* philox */
    struct {
        int32_t composite; /* lm_composite */
        int32_t i[3];
        float f[2];
    } call;
} lm_attr;

struct lm_node {
    lm_kind kind;
    lm_dtype dtype;
    lm_shape shape;
    lm_attr attr;
    uint32_t copy;     /* 0; else the same value made once more (lm_again) */
    uint32_t id;       /* position in creation order; sources have smaller ids */
    const char *label; /* scope path when first built, "" outside; not part of identity */
    int n_src;
    lm_node *const *src;
};

typedef struct lm_kind_info {
    const char *text, *doc;
    int min_src, max_src; /* max -1: any */
    int flags;
} lm_kind_info;
const lm_kind_info *lm_kind_get(lm_kind kind);

typedef struct lm_ew_info {
    const char *text, *doc;
    int arity;
    bool mask; /* result is a u8 mask */
} lm_ew_info;
const lm_ew_info *lm_ew_get(lm_ew code);

/* ---- life -------------------------------------------------------------------- */

lm_status lm_graph_new(lm_graph **graph);
void lm_graph_free(lm_graph *graph);
/* LM_OK, or the first failure; the message is put back into lm_message(). */
lm_status lm_graph_status(lm_graph *graph);
/* Records a failure found by a layer (wrong option, say); keeps an earlier one. Returns
 * NULL so that a builder can `return lm_graph_fail(...)`. */
lm_node *lm_graph_fail(lm_graph *graph, lm_status status, const char *format, ...)
    LM_PRINTF(3, 4);

/* Scopes make labels: "unet.down.0.conv1". Nodes built in between carry them. */
void lm_scope_push(lm_graph *graph, const char *format, ...) LM_PRINTF(2, 3);
void lm_scope_pop(lm_graph *graph);
const char *lm_scope_path(const lm_graph *graph);

int lm_graph_size(const lm_graph *graph); /* nodes ever built */
lm_node *lm_graph_node(const lm_graph *graph, int id);

/* Named results and effects. A program computes these and nothing else. */
void lm_graph_output(lm_graph *graph, const char *name, lm_node *node);
typedef struct lm_named_node {
    const char *name; /* "" for an assign */
    lm_node *node;
} lm_named_node;
/* Outputs in order of declaration, assigns after them. Owned by the graph. */
const lm_named_node *lm_graph_roots(const lm_graph *graph, int *count);
/* Replaces the list (a pass rewrote the graph). */
lm_status lm_graph_set_roots(lm_graph *graph, const lm_named_node *roots, int count);

/* ---- leaves ------------------------------------------------------------------ */

/* A slice of the variable `var` (declared by first use, f32). */
lm_node *lm_param(lm_graph *g, const char *var, int64_t offset, lm_shape shape);
const char *lm_graph_var_name(const lm_graph *g, int32_t var);
int lm_graph_var_count(const lm_graph *g);
lm_node *lm_input(lm_graph *g, const char *name, lm_dtype dtype, lm_shape shape);
lm_node *lm_const(lm_graph *g, double value);                           /* f32 scalar */
lm_node *lm_const_like(lm_graph *g, double value, const lm_node *like); /* its shape */
lm_node *lm_const_full(lm_graph *g, lm_dtype dtype, lm_shape shape, double value);
/* Copies and interns the table. */
lm_node *lm_const_data(lm_graph *g, lm_dtype dtype, lm_shape shape, const void *data);
lm_node *lm_iota(lm_graph *g, lm_dtype dtype, lm_shape shape, int axis);

/* ---- elementwise ------------------------------------------------------------- */

/* Strict: equal shapes and dtypes. */
lm_node *lm_ew1(lm_graph *g, lm_ew code, lm_node *a);
lm_node *lm_ew2(lm_graph *g, lm_ew code, lm_node *a, lm_node *b);
lm_node *lm_ew3(lm_graph *g, lm_ew code, lm_node *a, lm_node *b, lm_node *c);
lm_node *lm_ew_value(lm_graph *g, lm_ew code, lm_node *a, double value);
lm_node *lm_cast(lm_graph *g, lm_node *a, lm_dtype dtype);

/* These broadcast their operands against each other by NumPy's rule first. */
lm_node *lm_add(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_sub(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_mul(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_div(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_max2(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_min2(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_lt(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_le(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_eq(lm_graph *g, lm_node *a, lm_node *b);
lm_node *lm_where(lm_graph *g, lm_node *mask, lm_node *a, lm_node *b);
lm_node *lm_add_scalar(lm_graph *g, lm_node *a, double value);
lm_node *lm_scale(lm_graph *g, lm_node *a, double factor);
lm_node *lm_neg(lm_graph *g, lm_node *a);
lm_node *lm_exp(lm_graph *g, lm_node *a);
lm_node *lm_log(lm_graph *g, lm_node *a);
lm_node *lm_sqrt(lm_graph *g, lm_node *a);
lm_node *lm_rsqrt(lm_graph *g, lm_node *a);
lm_node *lm_square(lm_graph *g, lm_node *a);
lm_node *lm_tanh(lm_graph *g, lm_node *a);
lm_node *lm_sigmoid(lm_graph *g, lm_node *a);
lm_node *lm_relu(lm_graph *g, lm_node *a);
lm_node *lm_leaky_relu(lm_graph *g, lm_node *a, double slope);
lm_node *lm_silu(lm_graph *g, lm_node *a);
lm_node *lm_gelu(lm_graph *g, lm_node *a); /* exact, with erf */
lm_node *lm_clamp(lm_graph *g, lm_node *a, double lo, double hi);
lm_node *lm_stop_grad(lm_graph *g, lm_node *a);

/* ---- shape ------------------------------------------------------------------- */

lm_node *lm_broadcast(lm_graph *g, lm_node *a, lm_shape shape); /* right aligned */
lm_node *lm_reshape(lm_graph *g, lm_node *a, lm_shape shape);
lm_node *lm_permute(lm_graph *g, lm_node *a, const int *perm);
lm_node *lm_transpose(lm_graph *g, lm_node *a); /* the last two axes */
lm_node *lm_slice(lm_graph *g, lm_node *a, const lm_slice_attr *attr);
/* [lo, hi) of one axis, step 1, the others whole. Negative axes count from the end. */
lm_node *lm_slice_axis(lm_graph *g, lm_node *a, int axis, int64_t lo, int64_t hi);
lm_node *lm_pad(lm_graph *g, lm_node *a, const lm_pad_attr *attr);
lm_node *lm_concat(lm_graph *g, lm_node *const *parts, int count, int axis);
lm_node *lm_reverse(lm_graph *g, lm_node *a, uint32_t axes);

/* ---- reductions -------------------------------------------------------------- */

/* Any set of axes (built as a chain where they are not adjacent). keep: axes stay with
 * size 1. */
lm_node *lm_sum(lm_graph *g, lm_node *a, uint32_t axes, bool keep);
lm_node *lm_mean(lm_graph *g, lm_node *a, uint32_t axes, bool keep);
lm_node *lm_reduce_max(lm_graph *g, lm_node *a, uint32_t axes, bool keep);
lm_node *lm_sum_all(lm_graph *g, lm_node *a);  /* scalar */
lm_node *lm_mean_all(lm_graph *g, lm_node *a); /* scalar */
/* Adjoint of broadcasting: sums `a` down to `shape` (right aligned). */
lm_node *lm_sum_to(lm_graph *g, lm_node *a, lm_shape shape);
lm_node *lm_argmax(lm_graph *g, lm_node *a, int axis);
lm_node *lm_cumsum(lm_graph *g, lm_node *a, int axis, bool reverse);
lm_node *lm_topk(lm_graph *g, lm_node *a, int k);

/* ---- linear algebra, convolution --------------------------------------------- */

/* bias may be NULL ("absent", not "failed"). Ranks equal and at least 2, batch axes
 * equal. */
lm_node *lm_matmul(lm_graph *g, lm_node *a, lm_node *b, bool ta, bool tb);
lm_node *lm_matmul_bias(lm_graph *g, lm_node *a, lm_node *b, lm_node *bias, bool ta,
                        bool tb);
/* attr->groups 0 counts as 1, stride and dilation 0 as 1. */
lm_node *lm_conv(lm_graph *g, lm_node *x, lm_node *w, lm_node *bias,
                 const lm_conv_attr *attr);
lm_node *lm_conv_dgrad(lm_graph *g, lm_node *y, lm_node *w, const lm_conv_attr *attr);
lm_node *lm_conv_wgrad(lm_graph *g, lm_node *x, lm_node *y, const lm_conv_attr *attr);
lm_node *lm_inv(lm_graph *g, lm_node *a);
lm_node *lm_logabsdet(lm_graph *g, lm_node *a);

/* ---- the rest ---------------------------------------------------------------- */

lm_node *lm_gather(lm_graph *g, lm_node *a, lm_node *index);
lm_node *lm_scatter_add(lm_graph *g, lm_node *a, lm_node *index, int64_t rows);
lm_node *lm_axismap(lm_graph *g, lm_node *a, int axis, const lm_sparse *matrix);
/* Copies and interns; NULL when memory is out or an index is out of range (recorded). */
const lm_sparse *lm_sparse_intern(lm_graph *g, const lm_sparse *matrix);
const lm_sparse *lm_sparse_transpose(lm_graph *g, const lm_sparse *matrix);
lm_node *lm_pool_argmax(lm_graph *g, lm_node *x, const lm_pool_attr *attr);
lm_node *lm_pool_gather(lm_graph *g, lm_node *x, lm_node *index,
                        const lm_pool_attr *attr);
lm_node *lm_pool_scatter(lm_graph *g, lm_node *y, lm_node *index,
                         const lm_pool_attr *attr);
lm_node *lm_maxpool(lm_graph *g, lm_node *x, const lm_pool_attr *attr); /* both */
lm_node *lm_philox(lm_graph *g, lm_node *key, uint32_t stream, lm_shape shape);
lm_node *lm_uniform(lm_graph *g, lm_node *key, uint32_t stream, lm_shape shape); /*[0,1)*/
/* Box-Muller on streams `stream` and `stream + 1`. */
lm_node *lm_normal(lm_graph *g, lm_node *key, uint32_t stream, lm_shape shape);
lm_node *lm_allreduce_sum(lm_graph *g, lm_node *a);
void lm_assign(lm_graph *g, lm_node *param, lm_node *value); /* becomes a root */
/* The value that exactly this param takes so far; NULL: none. */
lm_node *lm_assigned(const lm_graph *g, const lm_node *param);
/* As lm_assign, in the place of what was assigned to exactly this param before. */
void lm_reassign(lm_graph *g, lm_node *param, lm_node *value);

/* ---- composites -------------------------------------------------------------- */

typedef struct lm_call_attr {
    int32_t i[3];
    float f[2];
} lm_call_attr;
lm_node *lm_call(lm_graph *g, lm_composite composite, lm_node *const *src, int n_src,
                 const lm_call_attr *attr);
const char *lm_composite_text(lm_composite composite);
/* Builds the body of a call from its sources: the definition, in plain kinds. */
lm_node *lm_call_body(lm_graph *g, const lm_node *call);

/* Parts of a conv_block (composites.def), and where their sources are: 0 for one that it
 * lacks; norm is the first of stats, gamma and beta. */
enum { LM_BLOCK_BIAS = 1, LM_BLOCK_NORM = 2, LM_BLOCK_SHIFT = 4, LM_BLOCK_RESIDUAL = 8 };
/* Its activations, before and after: i1 with slope f0, i2 with slope f1. The first two
 * are also those of norm_act. */
typedef enum lm_activation { LM_ACT_NONE, LM_ACT_SILU, LM_ACT_LEAKY } lm_activation;
typedef struct lm_conv_block_sources {
    int bias, norm, shift, residual, count;
} lm_conv_block_sources;
lm_conv_block_sources lm_conv_block_find(const lm_node *call);

lm_node *lm_group_norm(lm_graph *g, lm_node *x, lm_node *gamma, lm_node *beta, int groups,
                       double eps, bool silu);
lm_node *lm_softmax(lm_graph *g, lm_node *x);
lm_node *lm_logsumexp(lm_graph *g, lm_node *x);
lm_node *lm_attention(lm_graph *g, lm_node *q, lm_node *k, lm_node *v, int heads,
                      double scale);
/* qkv[B,T,3*H*D]: queries, keys and values side by side, heads within each. */
lm_node *lm_self_attention(lm_graph *g, lm_node *qkv, int heads, double scale);
lm_node *lm_softmax_xent(lm_graph *g, lm_node *logits, lm_node *labels);

/* ---- generic construction, verification, printing ---------------------------- */

/* Builds a node of any kind with these sources and attributes: infers dtype and shape
 * (kinds whose shape is not determined by their sources take `like_shape` and
 * `like_dtype`: leaves, broadcast, reshape, cast, philox). The passes rebuild with it. */
lm_node *lm_build(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                  const lm_attr *attr, lm_dtype like_dtype, lm_shape like_shape);
/* The same node over other sources, in the same or another graph (attributes that point
 * into the old graph are copied and interned). */
lm_node *lm_rebuild(lm_graph *g, const lm_graph *from, const lm_node *node,
                    lm_node *const *src);

/* The same again, as a node of its own: equal nodes with different copy numbers are not
 * one, so that each is computed. Copy 0 is what lm_build makes; lm_rebuild keeps it. */
lm_node *lm_again(lm_graph *g, const lm_graph *from, const lm_node *node,
                  lm_node *const *src, uint32_t copy);

/* Checks every node reachable from the roots against the specification of its kind. */
lm_status lm_verify(lm_graph *g);

/* "%12 = conv f32[8,28,28,64] (%3, %7) stride 1 pad 1 ; unet.in", a line per node that
 * the roots need. */
lm_status lm_print(const lm_graph *g, lm_str *out);
lm_status lm_print_dot(const lm_graph *g, lm_str *out); /* Graphviz */
/* One line about one node, for messages: "conv f32[8,28,28,64] at unet.in". */
void lm_node_text(const lm_node *node, lm_str *out);

/* Nodes that the roots need, sources first, ids ascending; lm_free'd by the caller. */
lm_status lm_topological(const lm_graph *g, lm_node ***nodes, int *count);

#endif
