#include "nn/vq.h"

#define LEAST_COUNT 1e-5

typedef struct table {
    lm_node *codes, *counts, *sums;
} table;

static table find_table(lm_nn *nn, int64_t codes, int64_t width) {
    return (table){lm_nn_buffer(nn, "codes", LM_SHAPE(codes, width), LM_INIT(NORMAL, 1)),
                   lm_nn_buffer(nn, "counts", LM_SHAPE(codes, 1), LM_INIT(ZEROS, 0)),
                   lm_nn_buffer(nn, "sums", LM_SHAPE(codes, width), LM_INIT(ZEROS, 0))};
}

/* The least |z - e|^2 is the largest z e - |e|^2 / 2. */
static lm_node *find_nearest(lm_graph *g, lm_node *z, lm_node *codes) {
    if (!z || !codes) return NULL;
    lm_node *norms = lm_sum(g, lm_square(g, codes), 1u << 1, false);
    lm_node *scores = lm_matmul(g, z, codes, false, true);
    scores = lm_sub(g, scores, lm_scale(g, norms, 0.5));
    return lm_reshape(g, lm_argmax(g, scores, 1), LM_SHAPE(z->shape.dim[0]));
}

/* [codes,1]: how many vectors have each. */
static lm_node *count_uses(lm_graph *g, lm_node *index, int64_t codes) {
    lm_node *ones = lm_const_full(g, LM_F32, LM_SHAPE(index->shape.dim[0], 1), 1);
    return lm_scatter_add(g, ones, index, codes);
}

static lm_node *follow(lm_graph *g, lm_node *average, lm_node *value, double decay) {
    return lm_add(g, lm_scale(g, average, decay), lm_scale(g, value, 1 - decay));
}

/* For each code a vector of the batch. */
static lm_node *draw_vectors(lm_nn *nn, lm_node *z, int64_t codes) {
    lm_graph *g = nn->graph;
    int64_t count = z->shape.dim[0];
    lm_node *u = lm_uniform(g, nn->key, lm_nn_stream(nn), LM_SHAPE(codes));
    lm_node *row =
        lm_min2(g, lm_scale(g, u, (double)count), lm_const(g, (double)(count - 1)));
    return lm_gather(g, z, lm_cast(g, row, LM_I32));
}

/* Appendix A.1 of the paper, eq. 6 to 8; codes that are hardly used begin anew. */
static void update_table(lm_nn *nn, const lm_vq_spec *spec, const table *t, lm_node *z,
                         lm_node *index, lm_node *uses) {
    lm_graph *g = nn->graph;
    z = lm_stop_grad(g, z);
    double even = (double)z->shape.dim[0] / (double)spec->codes;
    lm_node *counts = follow(g, t->counts, uses, spec->decay);
    lm_node *sums =
        follow(g, t->sums, lm_scatter_add(g, z, index, spec->codes), spec->decay);
    if (spec->restart > 0) {
        lm_node *fresh = draw_vectors(nn, z, spec->codes);
        lm_node *dead = lm_lt(g, counts, lm_const(g, spec->restart * even));
        counts = lm_where(g, dead, lm_const(g, even), counts);
        sums = lm_where(g, dead, lm_scale(g, fresh, even), sums);
    }
    lm_node *least = lm_max2(g, counts, lm_const(g, LEAST_COUNT));
    lm_nn_update(nn, t->counts, counts);
    lm_nn_update(nn, t->sums, sums);
    lm_nn_update(nn, t->codes, lm_div(g, sums, least));
}

static lm_node *measure_perplexity(lm_graph *g, lm_node *uses, int64_t count) {
    lm_node *share = lm_scale(g, uses, 1 / (double)count);
    lm_node *log_share = lm_log(g, lm_add_scalar(g, share, 1e-10));
    return lm_exp(g, lm_neg(g, lm_sum_all(g, lm_mul(g, share, log_share))));
}

lm_vq lm_nn_vq(lm_nn *nn, const char *name, lm_node *z, const lm_vq_spec *spec) {
    lm_graph *g = nn->graph;
    lm_vq vq = {0};
    if (!z) return vq;
    if (z->shape.rank != 2) {
        lm_graph_fail(g, LM_SHAPE, "%s: quantisation needs vectors [M,D]", name);
        return vq;
    }
    lm_scope_push(g, "%s", name);
    const table t = find_table(nn, spec->codes, z->shape.dim[1]);
    vq.index = find_nearest(g, lm_stop_grad(g, z), t.codes);
    if (vq.index) {
        vq.code = lm_stop_grad(g, lm_gather(g, t.codes, vq.index));
        vq.through = lm_add(g, z, lm_stop_grad(g, lm_sub(g, vq.code, z)));
        vq.commitment = lm_mean_all(g, lm_square(g, lm_sub(g, z, vq.code)));
        lm_node *uses = count_uses(g, vq.index, spec->codes);
        vq.perplexity = measure_perplexity(g, uses, z->shape.dim[0]);
        lm_node *used = lm_lt(g, lm_const(g, 0), uses);
        vq.used = lm_sum_all(g, lm_cast(g, used, LM_F32));
        if (nn->train) update_table(nn, spec, &t, z, vq.index, uses);
    }
    lm_scope_pop(g);
    return vq;
}
