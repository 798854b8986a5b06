/* Profiles: what steps are called, and that sums are sums. */
#include "base/mem.h"
#include "exec/exec.h"
#include "graph/grad.h"
#include "testing.h"
#include <math.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------- */

enum { COUNT = 4096 };

/* y = sum(f(x)) as one step on the CPU. */
typedef lm_node *build_function(lm_graph *g, lm_node *x);

static lm_node *swish(lm_graph *g, lm_node *x) {
    lm_scope_push(g, "first");
    x = lm_mul(g, x, lm_sigmoid(g, x));
    lm_scope_pop(g);
    lm_scope_push(g, "second");
    x = lm_sum_all(g, x);
    lm_scope_pop(g);
    return x;
}

static lm_node *many(lm_graph *g, lm_node *x) {
    x = lm_exp(g, lm_mul(g, x, x));
    x = lm_tanh(g, x);
    x = lm_ew1(g, LM_EW_ABS, x);
    return lm_sqrt(g, x);
}

static lm_node *repeat(lm_graph *g, lm_node *x) {
    return lm_broadcast(g, x, LM_SHAPE(3, COUNT));
}

static lm_node *norm(lm_graph *g, lm_node *x) {
    return lm_softmax(g, lm_reshape(g, x, LM_SHAPE(COUNT / 8, 8)));
}

static void check_name(build_function *build, const char *kind, const char *label) {
    static float values[COUNT];
    lm_engine *engine;
    lm_graph *g;
    lm_program *program;
    lm_profile_row *rows;
    int count;
    CHECK_OK(lm_engine_new("cpu", &engine));
    CHECK_OK(lm_graph_new(&g));
    lm_graph_output(g, "y", build(g, lm_input(g, "x", LM_F32, LM_SHAPE(COUNT))));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    CHECK_OK(lm_program_set(program, "x", LM_F32, values, COUNT));
    lm_program_profile(program, true);
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get_profile(program, &rows, &count));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].kind, kind);
    assert_string_equal(rows[0].label, label);
    lm_free(rows);
    lm_program_free(program);
    lm_graph_free(g);
    lm_engine_free(engine);
}

static void test_names(void **state) {
    check_name(swish, "fused sigmoid mul sum", "first");
    check_name(many, "fused exp tanh abs ..", "");
    check_name(repeat, "fused broadcast", "");
    check_name(norm, "softmax", "");
}

/* ---- sums -------------------------------------------------------------------- */

/* Two convolutions with labels, a loss, gradients of the weights. */
static void build_network(lm_graph *g) {
    const lm_conv_attr same = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(2, 12, 12, 8)), *grads[2];
    lm_node *w[] = {lm_param(g, "w", 0, LM_SHAPE(8, 3, 3, 8)),
                    lm_param(g, "w", 576, LM_SHAPE(8, 3, 3, 8))};
    for (int i = 0; i < 2; i++) {
        lm_scope_push(g, "layer%d", i);
        x = lm_silu(g, lm_conv(g, x, w[i], NULL, &same));
        lm_scope_pop(g);
    }
    CHECK_OK(lm_grad(g, lm_sum_all(g, x), NULL, 2, w, grads));
    lm_graph_output(g, "d0", grads[0]);
    lm_graph_output(g, "d1", grads[1]);
}

static lm_program *run_network(lm_engine *engine, int runs) {
    static float x[2 * 12 * 12 * 8];
    lm_graph *graph;
    lm_program *program;
    CHECK_OK(lm_graph_new(&graph));
    build_network(graph);
    CHECK_OK(lm_engine_add_var(engine, "w", 2 * 576));
    CHECK_OK(lm_compile(engine, graph, NULL, &program));
    lm_graph_free(graph);
    CHECK_OK(lm_program_set(program, "x", LM_F32, x, 2 * 12 * 12 * 8));
    CHECK_OK(lm_program_run(program)); /* not in the profile */
    lm_program_profile(program, true);
    for (int i = 0; i < runs; i++) CHECK_OK(lm_program_run(program));
    lm_program_profile(program, false);
    CHECK_OK(lm_program_run(program)); /* nor this */
    return program;
}

static void check_table(const lm_profile_table *table, const lm_profile_sum *total) {
    lm_profile_sum all = {0};
    for (int i = 0; i < table->count; i++) {
        const lm_profile_sum *sum = &table->sums[i];
        assert_true(sum->kernels > 0);
        assert_true(sum->backward >= 0 && sum->backward <= sum->seconds);
        if (i) assert_true(sum->seconds <= table->sums[i - 1].seconds);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(sum->name, table->sums[j].name);
        all.kernels += sum->kernels;
        all.seconds += sum->seconds;
        all.backward += sum->backward;
        all.flops += sum->flops;
        all.bytes += sum->bytes;
    }
    assert_int_equal(all.kernels, total->kernels);
    assert_true(fabs(all.seconds - total->seconds) <= 1e-9 * total->seconds);
    assert_true(fabs(all.backward - total->backward) <= 1e-9 * total->seconds);
    assert_true(fabs(all.flops - total->flops) <= 1e-9 * total->flops);
    assert_true(fabs(all.bytes - total->bytes) <= 1e-9 * total->bytes);
}

static void test_sums(void **state) {
    lm_engine *engine;
    int64_t blocks = lm_mem_get_stats().blocks;
    CHECK_OK(lm_engine_new("cpu", &engine));
    lm_program *program = run_network(engine, 3);
    lm_profile_row *rows;
    int count;
    CHECK_OK(lm_program_get_profile(program, &rows, &count));
    lm_program_stats stats = lm_program_get_stats(program);
    lm_profile profile = {0};
    CHECK_OK(lm_profile_add(&profile, program));
    assert_int_equal(profile.total.kernels, count);
    assert_true(profile.total.seconds > 0);
    assert_true(profile.program_seconds >= profile.total.seconds);
    assert_true(fabs(profile.total.flops - 3 * stats.flops) <= 1e-9 * stats.flops);
    assert_true(fabs(profile.total.bytes - 3 * stats.bytes) <= 1e-9 * stats.bytes);
    check_table(&profile.kinds, &profile.total);
    check_table(&profile.layers, &profile.total);
    check_table(&profile.groups, &profile.total);
    for (int i = 0; i < profile.layers.count; i++) {
        const char *name = profile.layers.sums[i].name;
        assert_true(!strcmp(name, "layer0") || !strcmp(name, "layer1") ||
                    !strcmp(name, "-"));
    }
    assert_true(profile.total.backward > 0);
    assert_true(profile.total.backward < profile.total.seconds);
    CHECK_OK(lm_profile_add(&profile, program)); /* as another program would */
    assert_int_equal(profile.total.kernels, 2 * count);
    check_table(&profile.layers, &profile.total);
    lm_profile_release(&profile);
    lm_free(rows);
    lm_program_free(program);
    lm_engine_free(engine);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
}

/* Without memory a profile fails, and nothing leaks. */
static void test_faults(void **state) {
    lm_engine *engine;
    CHECK_OK(lm_engine_new("cpu", &engine));
    lm_program *program = run_network(engine, 1);
    int64_t blocks = lm_mem_get_stats().blocks;
    for (int64_t n = 1;; n++) {
        lm_profile profile = {0};
        lm_mem_fail_at(n, 0);
        lm_status status = lm_profile_add(&profile, program);
        int64_t made = lm_mem_fail_at(0, 0);
        lm_profile_release(&profile);
        if (made < n) {
            CHECK_OK(status);
            break;
        }
        CHECK_FAILS(status, LM_NOMEM);
        /* Names of steps stay with the program. */
        assert_true(lm_mem_get_stats().blocks - blocks <= 64);
    }
    lm_program_free(program);
    lm_engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
