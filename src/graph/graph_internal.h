/* Private to the room: the inside of a graph and the tables of kinds. */
#ifndef LIMN_GRAPH_INTERNAL_H
#define LIMN_GRAPH_INTERNAL_H

#include "graph/graph.h"
#include "graph/intern.h"

#define LM_GRAPH_MESSAGE 640

typedef struct lm_scope {
    struct lm_scope *parent;
    const char *label; /* the whole path, interned */
} lm_scope;

struct lm_graph {
    lm_arena arena; /* nodes, names, tables, matrices, scopes */
    lm_node **nodes;
    int n_nodes, nodes_capacity;
    lm_hash_set by_value; /* nodes by identity */
    lm_hash_set bytes;    /* interned names and tables */
    lm_node **inputs;
    int n_inputs, inputs_capacity;
    const char **vars;
    int n_vars, vars_capacity;
    lm_sparse **matrices;
    int n_matrices, matrices_capacity;
    lm_named_node *roots; /* n_outputs outputs, then assigns */
    int n_roots, n_outputs, roots_capacity;
    lm_scope *scope;  /* innermost; the outermost has label "" */
    lm_scope outside; /* the outermost */
    int lost_scopes;  /* pushed after a failure, still to be popped */
    lm_status status; /* the first failure */
    char message[LM_GRAPH_MESSAGE];
};

/* Records the failure that this thread's message describes, as it stands. Returns NULL.
 */
void *lm_graph_record(lm_graph *g, lm_status status);

/* Makes room for one more item of an array; records LM_NOMEM. */
bool lm_graph_grow(lm_graph *g, void *array, int count, int *capacity, size_t item);

const char *lm_intern_text(lm_graph *g, const char *text);

/* Until lm_label_end, nodes carry this label (interned in g) and nothing else. */
void lm_label_begin(lm_graph *g, lm_scope *scope, const char *label);
void lm_label_end(lm_graph *g, lm_scope *scope);

/* The variable's index, declared when new; -1 after a failure. */
int32_t lm_graph_var(lm_graph *g, const char *name);

/* The attribute with everything but the fields of this kind zeroed. */
lm_attr lm_attr_clean(lm_kind kind, const lm_attr *attr);

/* ---- inference: the specification of every kind ------------------------------ */

/* A node to be: `dtype` and `shape` hold what was asked for (only kinds with a free type
 * read it) and, after inference, what the node has. */
typedef struct lm_typing {
    const lm_graph *graph;
    lm_kind kind;
    lm_node *const *src;
    int n_src;
    const lm_attr *attr;
    lm_dtype dtype;
    lm_shape shape;
} lm_typing;

typedef lm_status (*lm_infer_fn)(lm_typing *t);

/* Element types as letters, one a source, the last repeated: f f32, i i32, u u32, m u8,
 * n f32 or i32, * any. The result: such a letter, 0 the type of source 0, ? whatever the
 * function or the caller says. */
typedef struct lm_kind_rule {
    lm_infer_fn infer;
    size_t attr_size; /* bytes of lm_attr that the kind uses */
    const char *names, *types;
    char result;
} lm_kind_rule;
extern const lm_kind_rule lm_kind_rules[LM_KIND_COUNT];

/* Checks everything and fills dtype and shape. The message has kind and sources, not the
 * label. */
lm_status lm_infer(lm_typing *t);
lm_status lm_check_types(const lm_typing *t, const char *names, const char *types);
bool lm_dtype_fits(lm_dtype dtype, char letter);
bool lm_dtype_in_graph(lm_dtype dtype);

lm_status lm_infer_ew(lm_typing *t);
lm_status lm_infer_matmul(lm_typing *t);
lm_status lm_infer_conv(lm_typing *t);
lm_status lm_infer_conv_dgrad(lm_typing *t);
lm_status lm_infer_conv_wgrad(lm_typing *t);
lm_status lm_infer_pool_argmax(lm_typing *t);
lm_status lm_infer_pool_gather(lm_typing *t);
lm_status lm_infer_pool_scatter(lm_typing *t);
lm_status lm_infer_square(lm_typing *t);
lm_status lm_infer_logabsdet(lm_typing *t);
lm_status lm_infer_call(lm_typing *t);

/* LEAKY and POWC read attr.ew.value; for the others it is 0. */
bool lm_ew_takes_value(lm_ew code);

/* ---- composites -------------------------------------------------------------- */

typedef struct lm_composite_rule {
    lm_infer_fn infer;
    lm_node *(*body)(lm_graph *g, const lm_node *call);
    const char *names, *types; /* as in lm_kind_rule; results are f32 */
} lm_composite_rule;

extern const lm_composite_rule lm_rule_group_stats, lm_rule_norm_act, lm_rule_norm_sums;
extern const lm_composite_rule lm_rule_norm_grad, lm_rule_norm_dstats, lm_rule_stats_grad;
extern const lm_composite_rule lm_rule_conv_block, lm_rule_conv_block_wgrad;
extern const lm_composite_rule lm_rule_softmax, lm_rule_softmax_grad, lm_rule_logsumexp;
extern const lm_composite_rule lm_rule_xent, lm_rule_xent_grad;
extern const lm_composite_rule lm_rule_attention, lm_rule_attention_grad;

/* Sources `at` to `at` + 2 (stats, gamma, beta) against source 0. */
lm_status lm_check_norm(const lm_typing *t, int at);

/* "x stats gamma": the names of a call's sources. */
const char *lm_composite_sources(lm_composite composite);

/* Softmax over the last axis, in plain kinds. */
lm_node *lm_softmax_body(lm_graph *g, lm_node *x);

/* ---- helpers of the constructors --------------------------------------------- */

/* lm_build with zeroed attributes where attr is NULL, for kinds without a free type. */
lm_node *lm_make(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                 const lm_attr *attr);
lm_node *lm_make1(lm_graph *g, lm_kind kind, lm_node *a, const lm_attr *attr);
/* Counts a negative axis from the end; -1 (recorded) when there is no such axis. */
int lm_axis_of(lm_graph *g, const char *what, const lm_node *a, int axis);
/* Axes that `mask` names all exist; records a failure otherwise. */
bool lm_axes_exist(lm_graph *g, const char *what, const lm_node *a, uint32_t mask);

/* ---- printing ---------------------------------------------------------------- */

/* Appends " stride 1 pad 1" and the like; `g` (for names of variables) may be NULL. */
typedef void (*lm_attr_printer)(const lm_graph *g, const lm_node *node, lm_str *out);
extern const lm_attr_printer lm_attr_printers[LM_KIND_COUNT];
/* The kind's text, or that of the elementwise code or composite. */
const char *lm_node_op_text(const lm_node *node);

#endif
