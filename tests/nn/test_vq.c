/* Vector quantisation against plain loops: which codes are nearest, what gradients go
 * through, how the table follows, and when codes begin anew. */
#include "testing.h"

#include "exec/exec.h"
#include "graph/grad.h"
#include "nn/vq.h"
#include "tensor/philox.h"

#include <math.h>
#include <string.h>

enum { M = 24, D = 3, CODES = 5 };

typedef struct rig {
    lm_params *params, *buffers;
    lm_engine *engine;
    lm_program *program;
    double z[M][D], codes[CODES][D], counts[CODES], sums[CODES][D];
} rig;

static void write_buffer(rig *r, const char *name, const double *values) {
    const lm_param_slice *slice = lm_params_find(r->buffers, name);
    assert_non_null(slice);
    CHECK_OK(lm_engine_write_var(r->engine, "buffers", slice->offset, slice->count,
                                 LM_F64, values));
}

static void read_buffer(rig *r, const char *name, double *values) {
    const lm_param_slice *slice = lm_params_find(r->buffers, name);
    CHECK_OK(lm_engine_read_var(r->engine, "buffers", slice->offset, slice->count, LM_F64,
                                values));
}

static void add_outputs(lm_graph *g, const lm_vq *vq, lm_node *z) {
    lm_node *seed = lm_input(g, "seed", LM_F32, LM_SHAPE(M, D)), *slopes[2];
    CHECK_OK(lm_grad(g, vq->through, seed, 1, &z, &slopes[0]));
    CHECK_OK(lm_grad(g, vq->commitment, NULL, 1, &z, &slopes[1]));
    lm_graph_output(g, "index", vq->index);
    lm_graph_output(g, "through", vq->through);
    lm_graph_output(g, "commitment", vq->commitment);
    lm_graph_output(g, "perplexity", vq->perplexity);
    lm_graph_output(g, "used", vq->used);
    lm_graph_output(g, "dthrough", slopes[0]);
    lm_graph_output(g, "dcommitment", slopes[1]);
}

static void rig_open(rig *r, bool train, double restart) {
    lm_graph *g;
    const lm_vq_spec spec = {CODES, 0.9, restart};
    const uint32_t key[4] = {3, 0, 8, 0};
    lm_rng rng = {.seed = 12};
    CHECK_OK(lm_graph_new(&g));
    CHECK_OK(lm_params_new("model", &r->params));
    CHECK_OK(lm_params_new("buffers", &r->buffers));
    lm_nn nn = {.graph = g,
                .params = r->params,
                .buffers = r->buffers,
                .var = "model",
                .train = train,
                .key = lm_input(g, "key", LM_U32, LM_SHAPE(4))};
    lm_node *z = lm_input(g, "z", LM_F32, LM_SHAPE(M, D));
    lm_vq vq = lm_nn_vq(&nn, "vq", z, &spec);
    add_outputs(g, &vq, z);
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_engine_new("ref", &r->engine));
    CHECK_OK(lm_engine_add_var(r->engine, "buffers", r->buffers->count));
    CHECK_OK(lm_compile(r->engine, g, NULL, &r->program));
    lm_graph_free(g);
    double seed[M][D];
    for (int i = 0; i < M; i++)
        for (int d = 0; d < D; d++) {
            r->z[i][d] = lm_rng_normal(&rng);
            seed[i][d] = i + 10 * d;
        }
    for (int k = 0; k < CODES; k++) {
        r->counts[k] = k; /* the first has no past */
        for (int d = 0; d < D; d++) {
            r->codes[k][d] = k == 4 ? 100 : lm_rng_normal(&rng);
            r->sums[k][d] = r->counts[k] * r->codes[k][d];
        }
    }
    write_buffer(r, "vq.codes", r->codes[0]);
    write_buffer(r, "vq.counts", r->counts);
    write_buffer(r, "vq.sums", r->sums[0]);
    if (lm_program_has_input(r->program, "key"))
        CHECK_OK(lm_program_set(r->program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_set(r->program, "z", LM_F64, r->z[0], M * D));
    CHECK_OK(lm_program_set(r->program, "seed", LM_F64, seed[0], M * D));
    CHECK_OK(lm_program_run(r->program));
}

static void rig_close(rig *r) {
    lm_program_free(r->program);
    lm_engine_free(r->engine);
    lm_params_free(r->params);
    lm_params_free(r->buffers);
}

static double distance(const double *a, const double *b) {
    double sum = 0;
    for (int d = 0; d < D; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

static int nearest(const rig *r, int i) {
    int best = 0;
    for (int k = 1; k < CODES; k++)
        if (distance(r->z[i], r->codes[k]) < distance(r->z[i], r->codes[best])) best = k;
    return best;
}

static void assert_near(double a, double b) {
    if (!(fabs(a - b) <= 1e-9 * (1 + fabs(b)))) fail_msg("%.15g, expected %.15g", a, b);
}

static void the_nearest_code_is_taken(void **state) {
    rig r;
    rig_open(&r, false, 0);
    int32_t index[M];
    double through[M][D], slope[M][D], pull[M][D], uses[CODES] = {0}, mean = 0;
    CHECK_OK(lm_program_get(r.program, "index", LM_I32, index, M));
    CHECK_OK(lm_program_get(r.program, "through", LM_F64, through[0], M * D));
    CHECK_OK(lm_program_get(r.program, "dthrough", LM_F64, slope[0], M * D));
    CHECK_OK(lm_program_get(r.program, "dcommitment", LM_F64, pull[0], M * D));
    for (int i = 0; i < M; i++) {
        int k = nearest(&r, i);
        assert_int_equal(index[i], k);
        uses[k]++;
        mean += distance(r.z[i], r.codes[k]) / (M * D);
        for (int d = 0; d < D; d++) {
            assert_near(through[i][d], r.codes[k][d]);
            assert_near(slope[i][d], i + 10 * d);
            assert_near(pull[i][d], 2 * (r.z[i][d] - r.codes[k][d]) / (M * D));
        }
    }
    double entropy = 0, used = 0;
    for (int k = 0; k < CODES; k++) {
        if (uses[k] > 0) entropy -= uses[k] / M * log(uses[k] / M);
        used += uses[k] > 0;
    }
    assert_near(lm_program_scalar(r.program, "commitment"), mean);
    assert_true(fabs(lm_program_scalar(r.program, "perplexity") - exp(entropy)) < 1e-6);
    assert_near(lm_program_scalar(r.program, "used"), used);
    double codes[CODES][D];
    read_buffer(&r, "vq.codes", codes[0]);
    assert_memory_equal(codes, r.codes, sizeof codes); /* only training changes it */
    rig_close(&r);
}

static void the_table_follows(void **state) {
    rig r;
    rig_open(&r, true, 0);
    double codes[CODES][D], counts[CODES], want_counts[CODES], want[CODES][D];
    for (int k = 0; k < CODES; k++) {
        want_counts[k] = 0.9 * r.counts[k];
        for (int d = 0; d < D; d++) want[k][d] = 0.9 * r.sums[k][d];
    }
    for (int i = 0; i < M; i++) {
        int k = nearest(&r, i);
        want_counts[k] += 0.1;
        for (int d = 0; d < D; d++) want[k][d] += 0.1 * r.z[i][d];
    }
    read_buffer(&r, "vq.codes", codes[0]);
    read_buffer(&r, "vq.counts", counts);
    for (int k = 0; k < CODES; k++) {
        assert_near(counts[k], want_counts[k]);
        for (int d = 0; d < D; d++)
            assert_near(codes[k][d], want[k][d] / fmax(want_counts[k], 1e-5));
    }
    rig_close(&r);
}

static void unused_codes_begin_anew(void **state) {
    rig r;
    rig_open(&r, true, 0.9);
    double codes[CODES][D], counts[CODES], even = (double)M / CODES;
    read_buffer(&r, "vq.codes", codes[0]);
    read_buffer(&r, "vq.counts", counts);
    int fresh = 0;
    for (int k = 0; k < CODES; k++) {
        double count = 0.9 * r.counts[k];
        for (int i = 0; i < M; i++) count += nearest(&r, i) == k ? 0.1 : 0;
        if (count >= 0.9 * even) continue;
        int found = 0;
        for (int i = 0; i < M; i++) found += distance(codes[k], r.z[i]) < 1e-12;
        assert_int_equal(found, 1);
        assert_near(counts[k], even);
        fresh++;
    }
    assert_true(fresh >= 2);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_code_is_taken),
        cmocka_unit_test(the_table_follows),
        cmocka_unit_test(unused_codes_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
