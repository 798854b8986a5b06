/* Graphs as text and as Graphviz. */
#include "base/mem.h"
#include "graph/graph_internal.h"
#include <inttypes.h>

/* ---- attributes -------------------------------------------------------------- */

static void print_nothing(const lm_graph *g, const lm_node *node, lm_str *out) {}

static void print_param(const lm_graph *g, const lm_node *node, lm_str *out) {
    int32_t var = node->attr.param.var;
    if (g && var >= 0 && var < g->n_vars)
        lm_str_printf(out, " '%s'", g->vars[var]);
    else
        lm_str_printf(out, " #%d", (int)var);
    lm_str_printf(out, " at %" PRId64, node->attr.param.offset);
}

static void print_name(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_printf(out, " '%s'", node->attr.name);
}

static void print_const(const lm_graph *g, const lm_node *node, lm_str *out) {
    if (node->attr.constant.data)
        lm_str_append(out, " table");
    else
        lm_str_printf(out, " %.9g", node->attr.constant.value);
}

static void print_ew(const lm_graph *g, const lm_node *node, lm_str *out) {
    if (lm_ew_takes_value((lm_ew)node->attr.ew.code))
        lm_str_printf(out, " %g", (double)node->attr.ew.value);
}

static void print_axes(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_append(out, " axes");
    const char *before = " ";
    for (int i = 0; i < LM_MAX_RANK; i++)
        if (node->attr.axes >> i & 1) {
            lm_str_printf(out, "%s%d", before, i);
            before = ",";
        }
}

static void print_axis(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_printf(out, " axis %d%s", (int)node->attr.axis.axis,
                  node->attr.axis.reverse ? " reverse" : "");
    const lm_sparse *matrix = node->attr.axis.matrix;
    if (matrix)
        lm_str_printf(out, " matrix %dx%d nnz %d", (int)matrix->rows, (int)matrix->cols,
                      (int)matrix->nnz);
}

static void print_perm(const lm_graph *g, const lm_node *node, lm_str *out) {
    for (int i = 0; i < node->shape.rank; i++)
        lm_str_printf(out, "%s%d", i ? "," : " axes ", (int)node->attr.perm[i]);
}

static void print_slice(const lm_graph *g, const lm_node *node, lm_str *out) {
    const lm_slice_attr *a = &node->attr.slice;
    for (int i = 0; i < node->shape.rank; i++) {
        lm_str_printf(out, "%s%d:%d", i ? "," : " ", (int)a->lo[i], (int)a->hi[i]);
        if (a->step[i] != 1) lm_str_printf(out, ":%d", (int)a->step[i]);
    }
}

static void print_pad(const lm_graph *g, const lm_node *node, lm_str *out) {
    const lm_pad_attr *a = &node->attr.pad;
    for (int i = 0; i < node->shape.rank; i++) {
        lm_str_printf(out, "%s%d:%d", i ? "," : " ", (int)a->lo[i], (int)a->hi[i]);
        if (a->interior[i]) lm_str_printf(out, ":%d", (int)a->interior[i]);
    }
}

static void print_rows(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_printf(out, " rows %" PRId64, node->attr.rows);
}

static void print_matmul(const lm_graph *g, const lm_node *node, lm_str *out) {
    if (node->attr.matmul.ta) lm_str_append(out, " ta");
    if (node->attr.matmul.tb) lm_str_append(out, " tb");
}

/* " name 2" where height and width agree, else " name 2x3"; nothing when both are
 * `usual`. */
static void print_pair(lm_str *out, const char *name, const int32_t *pair, int usual) {
    if (pair[0] == usual && pair[1] == usual) return;
    lm_str_printf(out, " %s %d", name, (int)pair[0]);
    if (pair[1] != pair[0]) lm_str_printf(out, "x%d", (int)pair[1]);
}

static void print_padding(lm_str *out, const int32_t *lo, const int32_t *hi) {
    bool even = lo[0] == hi[0] && lo[1] == hi[1];
    print_pair(out, even ? "pad" : "pad_lo", lo, 0);
    if (!even) print_pair(out, "pad_hi", hi, 0);
}

static void print_conv(const lm_graph *g, const lm_node *node, lm_str *out) {
    const lm_conv_attr *a = &node->attr.conv;
    print_pair(out, "stride", a->stride, 0);
    print_pair(out, "dilation", a->dilation, 1);
    print_padding(out, a->pad_lo, a->pad_hi);
    print_pair(out, "size", a->size, 0);
    if (a->groups != 1) lm_str_printf(out, " groups %d", (int)a->groups);
}

static void print_pool(const lm_graph *g, const lm_node *node, lm_str *out) {
    const lm_pool_attr *a = &node->attr.pool;
    print_pair(out, "window", a->window, 0);
    print_pair(out, "stride", a->stride, 0);
    print_padding(out, a->pad_lo, a->pad_hi);
    print_pair(out, "size", a->size, 0);
}

static void print_k(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_printf(out, " k %d", (int)node->attr.k);
}

static void print_stream(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_printf(out, " stream %" PRIu32, node->attr.stream);
}

static void print_call(const lm_graph *g, const lm_node *node, lm_str *out) {
    for (int i = 0; i < 3; i++)
        if (node->attr.call.i[i])
            lm_str_printf(out, " i%d=%d", i, (int)node->attr.call.i[i]);
    for (int i = 0; i < 2; i++)
        if (node->attr.call.f[i] != 0)
            lm_str_printf(out, " f%d=%g", i, (double)node->attr.call.f[i]);
}

const lm_attr_printer lm_attr_printers[LM_KIND_COUNT] = {
    [LM_KIND_PARAM] = print_param,
    [LM_KIND_INPUT] = print_name,
    [LM_KIND_CONST] = print_const,
    [LM_KIND_IOTA] = print_axis,
    [LM_KIND_EW] = print_ew,
    [LM_KIND_BROADCAST] = print_nothing,
    [LM_KIND_REDUCE_SUM] = print_axes,
    [LM_KIND_REDUCE_MAX] = print_axes,
    [LM_KIND_ARGMAX] = print_axis,
    [LM_KIND_RESHAPE] = print_nothing,
    [LM_KIND_PERMUTE] = print_perm,
    [LM_KIND_SLICE] = print_slice,
    [LM_KIND_PAD] = print_pad,
    [LM_KIND_CONCAT] = print_axis,
    [LM_KIND_REVERSE] = print_axes,
    [LM_KIND_GATHER] = print_nothing,
    [LM_KIND_SCATTER_ADD] = print_rows,
    [LM_KIND_MATMUL] = print_matmul,
    [LM_KIND_CONV] = print_conv,
    [LM_KIND_CONV_DGRAD] = print_conv,
    [LM_KIND_CONV_WGRAD] = print_conv,
    [LM_KIND_AXISMAP] = print_axis,
    [LM_KIND_POOL_ARGMAX] = print_pool,
    [LM_KIND_POOL_GATHER] = print_pool,
    [LM_KIND_POOL_SCATTER] = print_pool,
    [LM_KIND_CUMSUM] = print_axis,
    [LM_KIND_TOPK] = print_k,
    [LM_KIND_PHILOX] = print_stream,
    [LM_KIND_INV] = print_nothing,
    [LM_KIND_LOGABSDET] = print_nothing,
    [LM_KIND_ALLREDUCE_SUM] = print_nothing,
    [LM_KIND_ASSIGN] = print_nothing,
    [LM_KIND_CALL] = print_call,
};

/* ---- lines ------------------------------------------------------------------- */

static void print_type(const lm_node *node, lm_str *out) {
    char shape[LM_SHAPE_TEXT];
    lm_str_printf(out, "%s %s%s", lm_node_op_text(node), lm_dtype_name(node->dtype),
                  lm_shape_text(node->shape, shape));
    if (node->copy) lm_str_printf(out, " copy %u", (unsigned)node->copy);
}

void lm_node_text(const lm_node *node, lm_str *out) {
    print_type(node, out);
    lm_attr_printers[node->kind](NULL, node, out);
    if (node->label[0]) lm_str_printf(out, " at %s", node->label);
}

static void print_line(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str_printf(out, "%%%u = ", (unsigned)node->id);
    print_type(node, out);
    for (int i = 0; i < node->n_src; i++)
        lm_str_printf(out, "%s%%%u", i ? ", " : " (", (unsigned)node->src[i]->id);
    if (node->n_src) lm_str_append(out, ")");
    lm_attr_printers[node->kind](g, node, out);
    if (node->label[0]) lm_str_printf(out, " ; %s", node->label);
    lm_str_append(out, "\n");
}

static lm_status text_status(const lm_str *out) {
    return out->failed ? LM_NOMEM : LM_OK;
}

lm_status lm_print(const lm_graph *g, lm_str *out) {
    lm_node **nodes;
    int count;
    LM_TRY(lm_topological(g, &nodes, &count));
    for (int i = 0; i < count; i++) print_line(g, nodes[i], out);
    for (int i = 0; i < g->n_outputs; i++)
        lm_str_printf(out, "output '%s' = %%%u\n", g->roots[i].name,
                      (unsigned)g->roots[i].node->id);
    lm_free(nodes);
    return text_status(out);
}

/* ---- Graphviz ---------------------------------------------------------------- */

static const char *dot_colour(const lm_node *node) {
    int flags = lm_kind_get(node->kind)->flags;
    if (flags & LM_K_EFFECT) return "#f4b6b6";
    if (flags & LM_K_LEAF) return "#d9d9d9";
    if (flags & LM_K_ELEMENTWISE) return "#cfe8cf";
    if (node->kind == LM_KIND_CALL) return "#f6e3b4";
    return flags & LM_K_VIEW ? "#ffffff" : "#cddff5";
}

/* Text between quotes: names and labels may hold anything. */
static void dot_text(const char *text, lm_str *out) {
    for (; *text; text++)
        lm_str_printf(out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
}

static void dot_node(const lm_graph *g, const lm_node *node, lm_str *out) {
    lm_str what = LM_STR_INIT;
    print_type(node, &what);
    lm_attr_printers[node->kind](g, node, &what);
    out->failed = out->failed || what.failed;
    lm_str_printf(out, "  n%u [fillcolor=\"%s\", label=\"", (unsigned)node->id,
                  dot_colour(node));
    dot_text(what.failed ? "" : lm_str_text(&what), out);
    if (node->label[0]) lm_str_append(out, "\\n");
    dot_text(node->label, out);
    lm_str_append(out, "\"];\n");
    for (int i = 0; i < node->n_src; i++)
        lm_str_printf(out, "  n%u -> n%u;\n", (unsigned)node->src[i]->id,
                      (unsigned)node->id);
    lm_str_release(&what);
}

lm_status lm_print_dot(const lm_graph *g, lm_str *out) {
    lm_node **nodes;
    int count;
    LM_TRY(lm_topological(g, &nodes, &count));
    lm_str_append(out, "digraph limn {\n  node [shape=box, style=filled];\n");
    for (int i = 0; i < count; i++) dot_node(g, nodes[i], out);
    for (int i = 0; i < g->n_outputs; i++) {
        lm_str_printf(out, "  n%u -> out%d;\n  out%d [shape=ellipse, label=\"",
                      (unsigned)g->roots[i].node->id, i, i);
        dot_text(g->roots[i].name, out);
        lm_str_append(out, "\"];\n");
    }
    lm_str_append(out, "}\n");
    lm_free(nodes);
    return text_status(out);
}
