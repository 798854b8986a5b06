/* Reverse mode: one walk against creation order, which is a topological order. */
#include "graph/grad_internal.h"
#include "graph/graph_internal.h"

#include <assert.h>

enum {
    REACHED = 1, /* some y is computed from it */
    WANTED = 2,  /* its cotangent was asked for */
    DEPENDS = 4  /* reached, and a gradient flows on from it to something wanted */
};

/* One summand of a cotangent. */
typedef struct term {
    lm_node *value;
    struct term *next;
} term;

typedef struct sweep {
    lm_graph *graph;
    bool independent;  /* wanted nodes are leaves */
    int size;          /* nodes with ids below this take part */
    uint8_t *mark;     /* by id */
    term **terms;      /* by id, ascending in the ids of the nodes that sent them */
    lm_node **sources; /* scratch: the cotangents of one node's sources */
    lm_arena arena;    /* holds all of these */
} sweep;

static void *sweep_alloc(sweep *s, size_t size) {
    void *block = lm_arena_alloc(&s->arena, size);
    return block ? block : lm_graph_record(s->graph, LM_NOMEM);
}

static bool sweep_init(sweep *s, lm_graph *g, bool independent, int n_y,
                       lm_node *const *y) {
    *s = (sweep){.graph = g, .independent = independent, .arena = LM_ARENA_INIT};
    for (int i = 0; i < n_y; i++)
        if (s->size <= (int)y[i]->id) s->size = (int)y[i]->id + 1;
    s->mark = sweep_alloc(s, (size_t)s->size);
    s->terms = sweep_alloc(s, (size_t)s->size * sizeof(term *));
    return s->mark && s->terms;
}

static lm_grad_rule rule_of(const lm_node *node) {
    switch (node->kind) {
    case LM_KIND_EW:
        return lm_grad_ew_rule(node->attr.ew.code);
    case LM_KIND_CALL:
        return lm_grad_composite_rule(node->attr.call.composite);
    default:
        return lm_grad_kind_rule(node->kind);
    }
}

/* The node's rule, or lm_grad_none where the walk ends. */
static lm_grad_rule rule_at(const sweep *s, const lm_node *node) {
    if (s->independent && s->mark[node->id] & WANTED) return lm_grad_none;
    if (!lm_dtype_is_float(node->dtype)) return lm_grad_none;
    lm_grad_rule rule = rule_of(node);
    if (rule) return rule; /* NULL: a new op that nobody has thought about yet */
    lm_graph_fail(s->graph, LM_INTERNAL, "%s: no gradient rule", lm_node_op_text(node));
    return lm_grad_none;
}

static void mark_wanted(sweep *s, int count, lm_node *const *wrt) {
    for (int i = 0; i < count; i++)
        if ((int)wrt[i]->id < s->size && lm_dtype_is_float(wrt[i]->dtype))
            s->mark[wrt[i]->id] |= WANTED;
}

static bool mark_reached(sweep *s, int n_y, lm_node *const *y) {
    int most = 1;
    for (int i = 0; i < n_y; i++) s->mark[y[i]->id] |= REACHED;
    for (int id = s->size - 1; id >= 0; id--) {
        if (!(s->mark[id] & REACHED)) continue;
        lm_node *node = lm_graph_node(s->graph, id);
        if (rule_at(s, node) == lm_grad_none) continue;
        if (most < node->n_src) most = node->n_src;
        for (int i = 0; i < node->n_src; i++) s->mark[node->src[i]->id] |= REACHED;
    }
    s->sources = sweep_alloc(s, (size_t)most * sizeof(lm_node *));
    return s->sources;
}

static void mark_dependent(sweep *s) {
    for (int id = 0; id < s->size; id++) {
        if (!(s->mark[id] & REACHED)) continue;
        lm_node *node = lm_graph_node(s->graph, id);
        bool depends = s->mark[id] & WANTED;
        if (rule_at(s, node) != lm_grad_none)
            for (int i = 0; i < node->n_src && !depends; i++)
                depends = s->mark[node->src[i]->id] & DEPENDS;
        if (depends) s->mark[id] |= DEPENDS;
    }
}

/* Terms arrive from high ids to low, so that putting them in front sorts them. */
static void put_term(sweep *s, const lm_node *to, lm_node *value) {
    if (!value || !(s->mark[to->id] & DEPENDS)) return;
    assert(lm_shape_equal(to->shape, value->shape) && to->dtype == value->dtype);
    term *t = sweep_alloc(s, sizeof *t);
    if (!t) return;
    *t = (term){value, s->terms[to->id]};
    s->terms[to->id] = t;
}

/* Neighbours that one composite computes come from one layer: they meet before anything
 * else is added to either. */
static void fuse_neighbours(sweep *s, term *t) {
    while (t->next) {
        lm_node *both = lm_grad_fuse_terms(s->graph, t->value, t->next->value);
        if (both) {
            t->value = both;
            t->next = t->next->next;
        } else {
            t = t->next;
        }
    }
}

/* Adds the terms up and leaves their sum as the only one. */
static lm_node *sum_terms(sweep *s, int id) {
    term *first = s->terms[id];
    fuse_neighbours(s, first);
    for (const term *t = first->next; t; t = t->next) {
        lm_node *fused = lm_grad_fuse_terms(s->graph, first->value, t->value);
        first->value = fused ? fused : lm_add(s->graph, first->value, t->value);
    }
    first->next = NULL;
    return first->value;
}

/* "unet.in'" in profiles and messages is the derivative of what "unet.in" built; a body
 * has the label of the walk that opened it. */
static const char *derivative_label(sweep *s, const lm_node *node) {
    if (s->independent || !node->label[0]) return lm_scope_path(s->graph);
    const char *label = lm_arena_printf(&s->arena, "%s'", node->label);
    if (label) return lm_intern_text(s->graph, label);
    return lm_graph_record(s->graph, LM_NOMEM);
}

static void apply_rule(sweep *s, lm_node *node, lm_grad_rule rule, lm_node *cotangent) {
    const char *label = derivative_label(s, node);
    if (!label) return;
    for (int i = 0; i < node->n_src; i++) s->sources[i] = NULL;
    lm_scope scope;
    lm_label_begin(s->graph, &scope, label);
    rule(s->graph, node, cotangent, s->sources);
    lm_label_end(s->graph, &scope);
    for (int i = node->n_src - 1; i >= 0; i--) put_term(s, node->src[i], s->sources[i]);
}

static void walk(sweep *s) {
    for (int id = s->size - 1; id >= 0; id--) {
        if (!s->terms[id]) continue;
        lm_node *node = lm_graph_node(s->graph, id);
        lm_node *cotangent = sum_terms(s, id);
        lm_grad_rule rule = rule_at(s, node);
        if (cotangent && rule != lm_grad_none) apply_rule(s, node, rule, cotangent);
    }
}

static void put_seeds(sweep *s, int n_y, lm_node *const *y, lm_node *const *seed) {
    for (int i = n_y - 1; i >= 0; i--) {
        if (!(s->mark[y[i]->id] & DEPENDS)) continue;
        bool given = seed && seed[i];
        put_term(s, y[i], given ? seed[i] : lm_const_like(s->graph, 1, y[i]));
    }
}

static lm_status check_seeds(lm_graph *g, int n_y, lm_node *const *y,
                             lm_node *const *seed) {
    char want[LM_SHAPE_TEXT], got[LM_SHAPE_TEXT];
    for (int i = 0; i < n_y; i++) {
        if (!lm_dtype_is_float(y[i]->dtype))
            lm_graph_fail(g, LM_DTYPE, "gradient: %s is %s, expected a float",
                          lm_node_op_text(y[i]), lm_dtype_name(y[i]->dtype));
        else if (seed && seed[i] &&
                 (!lm_shape_equal(seed[i]->shape, y[i]->shape) ||
                  seed[i]->dtype != y[i]->dtype))
            lm_graph_fail(g, LM_SHAPE, "gradient: seed is %s%s, expected %s%s",
                          lm_dtype_name(seed[i]->dtype),
                          lm_shape_text(seed[i]->shape, got), lm_dtype_name(y[i]->dtype),
                          lm_shape_text(y[i]->shape, want));
    }
    return lm_graph_status(g);
}

static lm_status differentiate(lm_graph *g, bool independent, int n_y, lm_node *const *y,
                               lm_node *const *seed, int count, lm_node *const *wrt,
                               lm_node **out) {
    for (int i = 0; i < count; i++) out[i] = NULL;
    LM_TRY(lm_graph_status(g));
    for (int i = 0; i < n_y; i++)
        LM_RETURN_IF(!y[i], LM_ARG, "gradient: there is no value to differentiate");
    for (int i = 0; i < count; i++)
        LM_RETURN_IF(!wrt[i], LM_ARG, "gradient: source %d does not exist", i);
    LM_TRY(check_seeds(g, n_y, y, seed));
    sweep s;
    if (sweep_init(&s, g, independent, n_y, y)) {
        mark_wanted(&s, count, wrt);
        if (mark_reached(&s, n_y, y)) {
            mark_dependent(&s);
            put_seeds(&s, n_y, y, seed);
            walk(&s);
        }
    }
    lm_status status = lm_graph_status(g);
    for (int i = 0; i < count && status == LM_OK; i++) {
        const lm_node *node = wrt[i];
        if ((int)node->id < s.size && s.mark[node->id] & WANTED && s.terms[node->id])
            out[i] = s.terms[node->id]->value;
    }
    lm_arena_release(&s.arena);
    return status;
}

lm_status lm_grad_many(lm_graph *g, int n_y, lm_node *const *y, lm_node *const *seed,
                       int count, lm_node *const *wrt, lm_node **out) {
    return differentiate(g, false, n_y, y, seed, count, wrt, out);
}

lm_status lm_grad(lm_graph *g, lm_node *y, lm_node *seed, int count, lm_node *const *wrt,
                  lm_node **out) {
    return differentiate(g, false, 1, &y, &seed, count, wrt, out);
}

lm_status lm_grad_partial(lm_graph *g, lm_node *y, lm_node *cotangent, int count,
                          lm_node *const *wrt, lm_node **out) {
    return differentiate(g, true, 1, &y, &cotangent, count, wrt, out);
}
