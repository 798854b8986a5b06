#include "base/mem.h"
#include "nn/nn.h"
#include <math.h>

lm_node *lm_nn_embedding(lm_nn *nn, const char *name, lm_node *index, int64_t rows,
                         int64_t width, lm_init init) {
    lm_scope_push(nn->graph, "%s", name);
    lm_node *table = lm_nn_weight(nn, LM_SHAPE(rows, width), 0, init);
    lm_node *y = lm_gather(nn->graph, table, index);
    lm_scope_pop(nn->graph);
    return y;
}

/* 1, ..., 1/max_period in `count` geometric steps. */
static lm_node *frequencies(lm_graph *g, int64_t count, double max_period) {
    float *table = lm_alloc((size_t)count * sizeof *table);
    if (!table) return lm_graph_fail(g, LM_NOMEM, "time embedding: out of memory");
    double step = count > 1 ? log(max_period) / (double)(count - 1) : 0;
    for (int64_t i = 0; i < count; i++) table[i] = (float)exp(-step * (double)i);
    lm_node *node = lm_const_data(g, LM_F32, LM_SHAPE(1, count), table);
    lm_free(table);
    return node;
}

lm_node *lm_nn_time_embedding(lm_nn *nn, lm_node *t, int64_t width, double max_period) {
    if (!t) return NULL;
    lm_graph *g = nn->graph;
    if (t->shape.rank != 1 || width < 2 || width % 2)
        return lm_graph_fail(g, LM_ARG, "time embedding: needs t[N] and an even width");
    lm_node *column = lm_reshape(g, t, LM_SHAPE(t->shape.dim[0], 1));
    lm_node *angle = lm_mul(g, column, frequencies(g, width / 2, max_period));
    lm_node *parts[] = {lm_ew1(g, LM_EW_SIN, angle), lm_ew1(g, LM_EW_COS, angle)};
    return lm_concat(g, parts, 2, 1);
}
