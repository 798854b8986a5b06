/* Own matrix products against the reference backend: both shapes, every edge. */
#include "backend/cpu/gemm.h"
#include "base/mem.h"
#include "base/threads.h"
#include "rig.h"

#include <math.h>
#include <string.h>

typedef struct size {
    int64_t m, n, k;
} size;

static lm_node *build(rig *r, const size *s, bool ta, bool tb, bool bias) {
    lm_node *a =
        rig_input(r, LM_F32, ta ? LM_SHAPE(s->k, s->m) : LM_SHAPE(s->m, s->k), 0);
    lm_node *b =
        rig_input(r, LM_F32, tb ? LM_SHAPE(s->n, s->k) : LM_SHAPE(s->k, s->n), 0);
    lm_node *add = bias ? rig_input(r, LM_F32, LM_SHAPE(s->n), 0) : NULL;
    return lm_matmul_bias(r->graph, a, b, add, ta, tb);
}

/* With and without bias, all transposes, one to three threads. */
static void check(const size *s) {
    for (int i = 0; i < 8; i++) {
        rig r;
        rig_start(&r);
        r.threads = 3;
        r.options = (lm_backend_options){.matmul = "own"};
        r.scale = sqrt((double)s->k);
        r.tolerance = 1e-5;
        rig_output(&r, build(&r, s, i & 1, i & 2, i & 4));
        rig_check(&r);
    }
}

static void check_all(const size *sizes, size_t count) {
    for (size_t i = 0; i < count; i++) check(&sizes[i]);
}
#define CHECK_ALL(sizes) check_all(sizes, sizeof(sizes) / sizeof *(sizes))

/* Each height of a register tile, and one row more than whole tiles. */
static void test_rows(void **state) {
    for (int64_t m = 1; m <= 14; m++) {
        check(&(size){m, 16, 3});
        check(&(size){m, 32, 3});
        check(&(size){m, 64, 3});
    }
    static const size sizes[] = {{127, 64, 9},
                                 {241, 32, 5},
                                 {1000, 16, 7},
                                 {49161, 64, 2}}; /* too large for the cache */
    CHECK_ALL(sizes);
}

/* Panels of every width side by side, and ones that reach over the edge. */
static void test_columns(void **state) {
    static const size sizes[] = {{40, 1, 7},   {40, 3, 1},   {40, 4, 2},   {40, 15, 5},
                                 {40, 17, 11}, {40, 48, 6},  {40, 63, 4},  {40, 65, 4},
                                 {40, 96, 3},  {40, 112, 2}, {40, 129, 5}, {40, 200, 3}};
    CHECK_ALL(sizes);
}

/* Blocks of rows, and few of them. */
static void test_tall(void **state) {
    static const size sizes[] = {{2003, 33, 40}, {1201, 80, 19}, {777, 24, 129},
                                 {530, 17, 520}, {301, 5, 300},  {25, 7, 25}};
    CHECK_ALL(sizes);
}

/* Slices of the terms and blocks of them; shares of the rows where slices are few. */
static void test_deep(void **state) {
    static const size sizes[] = {{1, 1, 2},      {1, 1, 5003},  {5, 7, 11},
                                 {32, 48, 3001}, {6, 65, 1031}, {31, 17, 2048},
                                 {250, 600, 300}};
    CHECK_ALL(sizes);
}

/* ---- packing ----------------------------------------------------------------- */

/* Many rows with one B: packed when it is first seen, and when it changes. */
static void test_packs_when_written(void **state) {
    enum { M = 64, N = 20, K = 3 };
    static const struct {
        float b;
        uint64_t version;
        float seen;
    } runs[] = {{1, 7, 1}, {1, 7, 1}, {2, 7, 1}, {2, 8, 2},
                {3, 7, 3}, {4, 0, 4}, {5, 0, 5}, {6, 7, 6}};
    rig r;
    rig_start(&r);
    size s = {M, N, K};
    lm_node *node = build(&r, &s, false, true, false);
    lm_step step = {&node, 1, node->src, 2, &node, 1, false, {0, {0}}};
    lm_kernel kernel;
    lm_dnnl_matmul mm = {.batch = 1, .m = M, .n = N, .k = K, .tb = true};
    int64_t blocks = lm_mem_get_stats().blocks;
    CHECK_OK(lm_gemm_lower(&step, &mm, &kernel));
    float a[M * K], b[N * K], c[M * N];
    for (int i = 0; i < M * K; i++) a[i] = 1;
    void *workspace = lm_alloc_aligned(kernel.workspace), *out[] = {c};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        for (int j = 0; j < N * K; j++) b[j] = runs[i].b;
        const void *in[] = {a, b};
        lm_kernel_args args = {in, (uint64_t[]){0, runs[i].version}, out, workspace};
        memset(workspace, 0xff, kernel.workspace);
        CHECK_OK(kernel.run(&kernel, &args));
        for (int j = 0; j < M * N; j++) assert_true(c[j] == K * runs[i].seen);
    }
    lm_free_aligned(workspace);
    kernel.release(&kernel);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
    for (int i = 0; i < r.n_in; i++) free(r.data[i]);
    lm_graph_free(r.graph);
}

/* ---- the choice -------------------------------------------------------------- */

static void test_choice(void **state) {
    static const struct {
        const char *choice;
        bool own;
    } cases[] = {{"own", true}, {"onednn", false}, {"auto", false}, {NULL, false}};
    rig r;
    rig_start(&r);
    size s = {5, 7, 3}; /* small: not the own kernel's by rule */
    lm_node *node = build(&r, &s, false, false, false);
    lm_step step = {&node, 1, node->src, 2, &node, 1, false, {0, {0}}};
    lm_backend *backend;
    CHECK_OK(lm_backend_cpu_new(&backend));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_kernel kernel;
        lm_backend_options options = {.matmul = cases[i].choice};
        CHECK_OK(backend->configure(backend, &options));
        CHECK_OK(backend->lower(backend, &step, &kernel));
        assert_int_equal(strcmp(kernel.group, "onednn") != 0, cases[i].own);
        kernel.release(&kernel);
    }
    lm_backend_options options = {.matmul = "fast"};
    CHECK_FAILS(backend->configure(backend, &options), LM_NOT_FOUND);
    backend->release(backend);
    for (int i = 0; i < r.n_in; i++) free(r.data[i]);
    lm_graph_free(r.graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),   cmocka_unit_test(test_columns),
        cmocka_unit_test(test_tall),   cmocka_unit_test(test_deep),
        cmocka_unit_test(test_choice), cmocka_unit_test(test_packs_when_written),
    };
    return rig_main(tests, sizeof tests / sizeof *tests, "gemm");
}
