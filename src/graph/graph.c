/* Life of a graph: failures, scopes, hash-consed nodes, roots. */
#include "base/mem.h"
#include "graph/graph_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

lm_status lm_graph_new(lm_graph **graph) {
    lm_graph *g = lm_calloc(1, sizeof *g);
    *graph = g;
    if (!g) return LM_NOMEM;
    g->outside.label = "";
    g->scope = &g->outside;
    return LM_OK;
}

void lm_graph_free(lm_graph *g) {
    if (!g) return;
    lm_free(g->nodes);
    lm_free(g->inputs);
    lm_free(g->vars);
    lm_free(g->matrices);
    lm_free(g->roots);
    lm_hash_release(&g->by_value);
    lm_hash_release(&g->bytes);
    lm_arena_release(&g->arena);
    lm_free(g);
}

/* ---- failures ---------------------------------------------------------------- */

lm_status lm_graph_status(lm_graph *g) {
    return g->status == LM_OK ? LM_OK : lm_fail(g->status, "%s", g->message);
}

void *lm_graph_record(lm_graph *g, lm_status status) {
    if (g->status != LM_OK) return NULL;
    g->status = status;
    snprintf(g->message, sizeof g->message, "%s", lm_message());
    return NULL;
}

lm_node *lm_graph_fail(lm_graph *g, lm_status status, const char *format, ...) {
    if (g->status != LM_OK) return NULL;
    va_list args;
    va_start(args, format);
    lm_vfail(status, format, args);
    va_end(args);
    if (g->scope->label[0] != '\0') lm_fail_context(status, "%s", g->scope->label);
    return lm_graph_record(g, status);
}

bool lm_graph_grow(lm_graph *g, void *array, int count, int *capacity, size_t item) {
    if (count < *capacity) return true;
    int wanted = *capacity ? 2 * *capacity : 16;
    void **where = array;
    void *grown = lm_realloc(*where, (size_t)wanted * item);
    if (!grown) {
        lm_graph_record(g, LM_NOMEM);
        return false;
    }
    *where = grown;
    *capacity = wanted;
    return true;
}

const char *lm_intern_text(lm_graph *g, const char *text) {
    const char *kept = lm_intern_bytes(&g->bytes, &g->arena, text, strlen(text) + 1);
    return kept ? kept : lm_graph_record(g, LM_NOMEM);
}

/* ---- scopes ------------------------------------------------------------------ */

static const char *join_scope(lm_graph *g, const char *format, va_list args) {
    char text[256];
    const char *path = g->scope->label;
    size_t used = (size_t)snprintf(text, sizeof text, "%s%s", path, *path ? "." : "");
    if (used >= sizeof text) return path;
    vsnprintf(text + used, sizeof text - used, format, args);
    return text[used] == '\0' ? path : lm_intern_text(g, text);
}

void lm_scope_push(lm_graph *g, const char *format, ...) {
    lm_scope *scope = NULL;
    if (g->status == LM_OK) {
        scope = lm_arena_alloc(&g->arena, sizeof *scope);
        if (!scope) lm_graph_record(g, LM_NOMEM);
    }
    if (scope) {
        va_list args;
        va_start(args, format);
        scope->label = join_scope(g, format, args);
        va_end(args);
    }
    if (g->status != LM_OK) {
        g->lost_scopes++;
        return;
    }
    scope->parent = g->scope;
    g->scope = scope;
}

void lm_scope_pop(lm_graph *g) {
    if (g->lost_scopes > 0) {
        g->lost_scopes--;
        return;
    }
    assert(g->scope->parent && "more pops than pushes");
    g->scope = g->scope->parent;
}

const char *lm_scope_path(const lm_graph *g) {
    return g->scope->label;
}

void lm_label_begin(lm_graph *g, lm_scope *scope, const char *label) {
    *scope = (lm_scope){g->scope, label};
    g->scope = scope;
}

void lm_label_end(lm_graph *g, lm_scope *scope) {
    g->scope = scope->parent;
}

/* ---- nodes ------------------------------------------------------------------- */

int lm_graph_size(const lm_graph *g) {
    return g->n_nodes;
}

lm_node *lm_graph_node(const lm_graph *g, int id) {
    assert(id >= 0 && id < g->n_nodes);
    return g->nodes[id];
}

int32_t lm_graph_var(lm_graph *g, const char *name) {
    for (int i = 0; i < g->n_vars; i++)
        if (strcmp(g->vars[i], name) == 0) return i;
    const char *kept = lm_intern_text(g, name);
    if (!kept || !lm_graph_grow(g, &g->vars, g->n_vars, &g->vars_capacity, sizeof kept))
        return -1;
    g->vars[g->n_vars] = kept;
    return g->n_vars++;
}

const char *lm_graph_var_name(const lm_graph *g, int32_t var) {
    assert(var >= 0 && var < g->n_vars);
    return g->vars[var];
}

int lm_graph_var_count(const lm_graph *g) {
    return g->n_vars;
}

lm_attr lm_attr_clean(lm_kind kind, const lm_attr *attr) {
    lm_attr clean;
    memset(&clean, 0, sizeof clean);
    if (!attr) return clean;
    if (kind == LM_KIND_PARAM) { /* the one struct with padding inside */
        clean.param.var = attr->param.var;
        clean.param.offset = attr->param.offset;
        return clean;
    }
    memcpy(&clean, attr, lm_kind_rules[kind].attr_size);
    if (kind == LM_KIND_EW && !lm_ew_takes_value((lm_ew)clean.ew.code))
        clean.ew.value = 0;
    if (kind == LM_KIND_CONST && clean.constant.data) clean.constant.value = 0;
    return clean;
}

static uint64_t hash_node(const lm_node *node) {
    uint64_t hash = lm_hash_word(LM_HASH_SEED, (uint64_t)node->kind);
    hash = lm_hash_word(hash, (uint64_t)node->dtype);
    hash = lm_hash_word(hash, node->copy);
    hash = lm_hash_bytes(hash, node->shape.dim,
                         (size_t)node->shape.rank * sizeof *node->shape.dim);
    hash = lm_hash_bytes(hash, &node->attr, sizeof node->attr);
    for (int i = 0; i < node->n_src; i++) hash = lm_hash_word(hash, node->src[i]->id);
    return hash;
}

static bool equal_nodes(const void *key, const void *item) {
    const lm_node *a = key, *b = item;
    if (a->kind != b->kind || a->dtype != b->dtype || a->n_src != b->n_src ||
        a->copy != b->copy)
        return false;
    if (!lm_shape_equal(a->shape, b->shape)) return false;
    if (memcmp(&a->attr, &b->attr, sizeof a->attr) != 0) return false;
    for (int i = 0; i < a->n_src; i++)
        if (a->src[i] != b->src[i]) return false;
    return true;
}

static lm_node *insert_node(lm_graph *g, const lm_node *key, uint64_t hash) {
    lm_node *node = lm_arena_copy(&g->arena, key, sizeof *key);
    size_t bytes = (size_t)key->n_src * sizeof *key->src;
    lm_node **src = bytes ? lm_arena_copy(&g->arena, key->src, bytes) : NULL;
    if (!node || (bytes && !src)) return lm_graph_record(g, LM_NOMEM);
    node->src = src;
    node->label = g->scope->label;
    node->id = (uint32_t)g->n_nodes;
    if (!lm_graph_grow(g, &g->nodes, g->n_nodes, &g->nodes_capacity, sizeof node) ||
        (node->kind == LM_KIND_INPUT &&
         !lm_graph_grow(g, &g->inputs, g->n_inputs, &g->inputs_capacity, sizeof node)))
        return NULL;
    if (lm_hash_add(&g->by_value, hash, node) != LM_OK)
        return lm_graph_record(g, LM_NOMEM);
    g->nodes[g->n_nodes++] = node;
    if (node->kind == LM_KIND_INPUT) g->inputs[g->n_inputs++] = node;
    return node;
}

/* Attributes that point somewhere must point into this graph. */
static bool adopt_attr(lm_graph *g, lm_node *key) {
    if (key->kind == LM_KIND_INPUT) {
        key->attr.name = lm_intern_text(g, key->attr.name);
        return key->attr.name;
    }
    if (key->kind == LM_KIND_CONST && key->attr.constant.data) {
        size_t bytes = (size_t)lm_shape_count(key->shape) * lm_dtype_size(key->dtype);
        key->attr.constant.data =
            lm_intern_bytes(&g->bytes, &g->arena, key->attr.constant.data, bytes);
        if (!key->attr.constant.data) lm_graph_record(g, LM_NOMEM);
        return key->attr.constant.data;
    }
    if (key->kind == LM_KIND_AXISMAP) {
        key->attr.axis.matrix = lm_sparse_intern(g, key->attr.axis.matrix);
        return key->attr.axis.matrix;
    }
    return true;
}

/* One name, one type: what is fed under a name must be clear. */
static bool input_is_unique(lm_graph *g, const lm_node *key) {
    for (int i = 0; key->kind == LM_KIND_INPUT && i < g->n_inputs; i++) {
        const lm_node *have = g->inputs[i];
        if (have->attr.name != key->attr.name) continue;
        if (have->dtype == key->dtype && lm_shape_equal(have->shape, key->shape)) break;
        char old[LM_SHAPE_TEXT], new[LM_SHAPE_TEXT];
        lm_graph_fail(g, LM_SHAPE, "input: '%s' is %s%s and cannot be %s%s as well",
                      key->attr.name, lm_dtype_name(have->dtype),
                      lm_shape_text(have->shape, old), lm_dtype_name(key->dtype),
                      lm_shape_text(key->shape, new));
        return false;
    }
    return true;
}

static lm_node *build_copy(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                           const lm_attr *attr, lm_dtype like_dtype, lm_shape like_shape,
                           uint32_t copy) {
    if (g->status != LM_OK) return NULL;
    assert((unsigned)kind < LM_KIND_COUNT);
    for (int i = 0; i < n_src; i++)
        if (!src[i]) return NULL;
    for (int i = 0; i < n_src; i++)
        if (src[i]->id >= (uint32_t)g->n_nodes || g->nodes[src[i]->id] != src[i])
            return lm_graph_fail(g, LM_ARG, "%s: source %d belongs to another graph",
                                 lm_kind_get(kind)->text, i);
    lm_attr clean = lm_attr_clean(kind, attr);
    lm_typing t = {g, kind, src, n_src, &clean, like_dtype, like_shape};
    lm_status status = lm_infer(&t);
    if (status != LM_OK) {
        if (*g->scope->label) lm_fail_context(status, "%s", g->scope->label);
        return lm_graph_record(g, status);
    }
    lm_node key = {.kind = kind,
                   .dtype = t.dtype,
                   .shape = t.shape,
                   .attr = clean,
                   .copy = copy,
                   .n_src = n_src,
                   .src = src};
    if (!adopt_attr(g, &key) || !input_is_unique(g, &key)) return NULL;
    uint64_t hash = hash_node(&key);
    lm_node *node = lm_hash_find(&g->by_value, hash, equal_nodes, &key);
    return node ? node : insert_node(g, &key, hash);
}

lm_node *lm_build(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                  const lm_attr *attr, lm_dtype like_dtype, lm_shape like_shape) {
    return build_copy(g, kind, src, n_src, attr, like_dtype, like_shape, 0);
}

lm_node *lm_again(lm_graph *g, const lm_graph *from, const lm_node *node,
                  lm_node *const *src, uint32_t copy) {
    if (g->status != LM_OK) return NULL;
    lm_attr attr = node->attr;
    if (node->kind == LM_KIND_PARAM && g != from) {
        attr.param.var = lm_graph_var(g, lm_graph_var_name(from, attr.param.var));
        if (attr.param.var < 0) return NULL;
    }
    const char *label = lm_intern_text(g, node->label);
    if (!label) return NULL;
    lm_scope scope;
    lm_label_begin(g, &scope, label);
    lm_node *made = build_copy(g, node->kind, src, node->n_src, &attr, node->dtype,
                               node->shape, copy);
    lm_label_end(g, &scope);
    return made;
}

lm_node *lm_rebuild(lm_graph *g, const lm_graph *from, const lm_node *node,
                    lm_node *const *src) {
    return lm_again(g, from, node, src, node->copy);
}

/* ---- roots ------------------------------------------------------------------- */

static void add_root(lm_graph *g, int position, const char *name, lm_node *node) {
    if (!lm_graph_grow(g, &g->roots, g->n_roots, &g->roots_capacity, sizeof *g->roots))
        return;
    memmove(&g->roots[position + 1], &g->roots[position],
            (size_t)(g->n_roots - position) * sizeof *g->roots);
    g->roots[position] = (lm_named_node){name, node};
    g->n_roots++;
}

void lm_graph_output(lm_graph *g, const char *name, lm_node *node) {
    if (g->status != LM_OK) return;
    if (!node || !name || !*name) {
        lm_graph_fail(g, LM_ARG, "output '%s': %s is missing", name ? name : "",
                      node ? "the name" : "the node");
        return;
    }
    for (int i = 0; i < g->n_outputs; i++)
        if (strcmp(g->roots[i].name, name) == 0) {
            lm_graph_fail(g, LM_ARG, "output '%s' is declared twice", name);
            return;
        }
    const char *kept = lm_intern_text(g, name);
    if (!kept) return;
    add_root(g, g->n_outputs, kept, node);
    if (g->status == LM_OK) g->n_outputs++;
}

void lm_assign(lm_graph *g, lm_node *param, lm_node *value) {
    lm_node *src[] = {param, value};
    lm_node *node = lm_make(g, LM_KIND_ASSIGN, src, 2, NULL);
    if (!node) return;
    for (int i = g->n_outputs; i < g->n_roots; i++)
        if (g->roots[i].node == node) return;
    add_root(g, g->n_roots, "", node);
}

static int find_assign(const lm_graph *g, const lm_node *param) {
    for (int i = g->n_outputs; i < g->n_roots; i++)
        if (g->roots[i].node->src[0] == param) return i;
    return -1;
}

lm_node *lm_assigned(const lm_graph *g, const lm_node *param) {
    int at = find_assign(g, param);
    return at < 0 ? NULL : g->roots[at].node->src[1];
}

void lm_reassign(lm_graph *g, lm_node *param, lm_node *value) {
    int at = find_assign(g, param);
    if (at < 0) {
        lm_assign(g, param, value);
        return;
    }
    lm_node *node = lm_make(g, LM_KIND_ASSIGN, (lm_node *[]){param, value}, 2, NULL);
    if (node) g->roots[at].node = node;
}

const lm_named_node *lm_graph_roots(const lm_graph *g, int *count) {
    *count = g->n_roots;
    return g->roots;
}

lm_status lm_graph_set_roots(lm_graph *g, const lm_named_node *roots, int count) {
    LM_TRY(lm_graph_status(g));
    lm_named_node *old = lm_alloc((size_t)(count + 1) * sizeof *old);
    if (!old) return LM_NOMEM;
    /* A copy first: `roots` may be the graph's own list. */
    if (count > 0) memcpy(old, roots, (size_t)count * sizeof *old);
    g->n_roots = g->n_outputs = 0;
    for (int i = 0; i < count; i++) {
        const lm_named_node *root = &old[i];
        if (root->node && root->node->kind == LM_KIND_ASSIGN)
            add_root(g, g->n_roots, "", root->node);
        else
            lm_graph_output(g, root->name, root->node);
    }
    lm_free(old);
    return lm_graph_status(g);
}

lm_status lm_topological(const lm_graph *g, lm_node ***nodes, int *count) {
    *nodes = NULL;
    *count = 0;
    bool *needed = lm_calloc((size_t)g->n_nodes + 1, sizeof *needed);
    lm_node **list = lm_alloc(((size_t)g->n_nodes + 1) * sizeof *list);
    if (!needed || !list) {
        lm_free(needed);
        lm_free(list);
        return LM_NOMEM;
    }
    for (int i = 0; i < g->n_roots; i++) needed[g->roots[i].node->id] = true;
    /* Ids ascend from sources to users, so one sweep from the end finds everything. */
    for (int id = g->n_nodes - 1; id >= 0; id--)
        for (int i = 0; needed[id] && i < g->nodes[id]->n_src; i++)
            needed[g->nodes[id]->src[i]->id] = true;
    for (int id = 0; id < g->n_nodes; id++)
        if (needed[id]) list[(*count)++] = g->nodes[id];
    lm_free(needed);
    *nodes = list;
    return LM_OK;
}
