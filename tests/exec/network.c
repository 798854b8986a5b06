#include "network.h"
#include "base/mem.h"
#include "graph/grad.h"
#include <math.h>

enum { CLASSES = 5 };

/* Hands out slices of the flat variable; with no graph it only counts. */
typedef struct taker {
    lm_graph *graph;
    int64_t used;
} taker;

static lm_node *take(taker *t, lm_shape shape) {
    lm_node *node = t->graph ? lm_param(t->graph, "params", t->used, shape) : NULL;
    t->used += lm_shape_count(shape);
    return node;
}

static const lm_conv_attr same = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 1};

/* Two paths joined by a concat, normalised, then brought back to the width. */
static lm_node *block(taker *t, lm_node *x, int64_t c) {
    lm_graph *g = t->graph;
    lm_node *gamma = take(t, LM_SHAPE(c)), *beta = take(t, LM_SHAPE(c));
    lm_node *w = take(t, LM_SHAPE(c, 3, 3, c)), *bias = take(t, LM_SHAPE(c));
    lm_node *mix = take(t, LM_SHAPE(c, 1, 1, 2 * c));
    if (!g) return NULL;
    lm_node *h = lm_group_norm(g, x, gamma, beta, 2, 1e-5, true);
    h = lm_conv(g, h, w, bias, &same);
    lm_node *both = lm_concat(g, (lm_node *[]){h, lm_tanh(g, x)}, 2, 3);
    const lm_conv_attr point = {.groups = 1};
    return lm_add(g, x, lm_conv(g, both, mix, NULL, &point));
}

static lm_node *logits(taker *t, const network *net, lm_node *x) {
    lm_graph *g = t->graph;
    int64_t c = net->channels;
    lm_node *w = take(t, LM_SHAPE(c, 3, 3, 3)), *bias = take(t, LM_SHAPE(c));
    lm_node *h = g ? lm_conv(g, x, w, bias, &same) : NULL;
    for (int i = 0; i < net->blocks; i++) h = block(t, h, c);
    lm_node *head = take(t, LM_SHAPE(c, CLASSES)), *last = take(t, LM_SHAPE(CLASSES));
    if (!g) return NULL;
    lm_pool_attr pool = {{2, 2}, {2, 2}, {0, 0}, {0, 0}, {0, 0}};
    h = lm_mean(g, lm_maxpool(g, h, &pool), 6, false);
    return lm_matmul_bias(g, h, head, last, false, false);
}

int64_t network_params(const network *net) {
    taker counter = {NULL, 0};
    logits(&counter, net, NULL);
    return counter.used;
}

void network_build(const network *net, lm_graph *g) {
    taker t = {g, 0};
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(net->batch, net->size, net->size, 3));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(net->batch));
    int first = lm_graph_size(g);
    lm_node *scores = logits(&t, net, x);
    int last = lm_graph_size(g);
    lm_node *loss = lm_mean_all(g, lm_softmax_xent(g, scores, labels));
    lm_graph_output(g, "loss", loss);
    lm_graph_output(g, "logits", scores);
    lm_node *total = lm_const(g, 0);
    for (int id = first; id < last && lm_graph_status(g) == LM_OK; id++) {
        lm_node *p = lm_graph_node(g, id), *d;
        if (p->kind != LM_KIND_PARAM || lm_grad(g, loss, NULL, 1, &p, &d) != LM_OK)
            continue;
        lm_node *m = lm_param(g, "momentum", p->attr.param.offset, p->shape);
        lm_node *step = lm_add(g, lm_scale(g, m, 0.9), d);
        total = lm_add(g, total, lm_sum_all(g, lm_square(g, d)));
        lm_assign(g, m, step);
        lm_assign(g, p, lm_sub(g, p, lm_scale(g, step, 0.05)));
    }
    lm_graph_output(g, "norm", lm_sqrt(g, total));
}

lm_status network_add_vars(const network *net, lm_engine *engine) {
    int64_t count = network_params(net);
    LM_TRY(lm_engine_add_var(engine, "params", count));
    LM_TRY(lm_engine_add_var(engine, "momentum", count));
    for (int64_t i = 0; i < count; i++) {
        double value = 0.2 * sin(1.7 * (double)i + 0.3);
        LM_TRY(lm_engine_write_var(engine, "params", i, 1, LM_F64, &value));
    }
    return LM_OK;
}

lm_status network_set_inputs(const network *net, lm_program *program) {
    int64_t count = (int64_t)net->batch * net->size * net->size * 3;
    double *x = lm_alloc(((size_t)count + (size_t)net->batch) * sizeof *x);
    if (!x) return LM_NOMEM;
    double *labels = x + count;
    for (int64_t i = 0; i < count; i++) x[i] = cos(0.9 * (double)i);
    for (int i = 0; i < net->batch; i++) labels[i] = i % CLASSES;
    lm_status status = lm_program_set(program, "x", LM_F64, x, count);
    if (status == LM_OK)
        status = lm_program_set(program, "labels", LM_F64, labels, net->batch);
    lm_free(x);
    return status;
}
