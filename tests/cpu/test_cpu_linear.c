/* Matrix products, and the weights that convolutions keep. */
#include "base/mem.h"
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- packed weights ---------------------------------------------------------- */

/* y for constant weights over an input of ones, through one kernel that is kept. */
typedef struct packed {
    lm_kernel kernel;
    float x[8 * 8 * 16], w[16 * 3 * 3 * 16], y[8 * 8 * 16];
    void *workspace;
} packed;

static void run_packed(packed *p, float weight, uint64_t version) {
    for (size_t i = 0; i < sizeof p->w / sizeof *p->w; i++) p->w[i] = weight;
    const void *in[] = {p->x, p->w};
    void *out[] = {p->y};
    uint64_t versions[] = {0, version};
    lm_kernel_args args = {in, versions, out, p->workspace};
    CHECK_OK(p->kernel.run(&p->kernel, &args));
}

static void check_packed(rig *r, lm_node *node) {
    packed *p = lm_alloc_aligned(sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < sizeof p->x / sizeof *p->x; i++) p->x[i] = 1;
    lm_step step = {&node, 1, node->src, 2, &node, 1, false, {0, {0}}};
    CHECK_OK(lm_graph_status(r->graph));
    CHECK_OK(r->cpu->lower(r->cpu, &step, &p->kernel));
    p->workspace = lm_alloc_aligned(p->kernel.workspace);
    assert_non_null(p->workspace);
    static const struct {
        float weight;
        uint64_t version;
        float seen;
    } runs[] = {
        {1, 7, 1},            /* first sight */
        {2, 7, 1},            /* same version: the copy counts */
        {2, 8, 2},            /* written since */
        {3, 7, 3},            /* any other version will do */
        {4, 0, 4},            /* changes at every run */
        {5, 0, 5}, {6, 7, 6}, /* and a version seen before that is seen anew */
    };
    bool packs = false;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        run_packed(p, runs[i].weight, runs[i].version);
        float y = p->y[(3 * 8 + 3) * 16 + 5] / (9 * 16);
        packs |= i == 1 && y == runs[i].seen;
        assert_true(y == runs[i].seen || (!packs && y == runs[i].weight));
    }
    p->kernel.release(&p->kernel);
    lm_free_aligned(p->workspace);
    lm_free_aligned(p);
}

static void test_weights_are_packed_when_written(void **state) {
    rig *r = *state;
    lm_conv_attr attr = {.pad_lo = {1, 1}, .pad_hi = {1, 1}, .size = {0, 0}};
    lm_node *x = lm_input(r->graph, "x", LM_F32, LM_SHAPE(1, 8, 8, 16));
    lm_node *w = lm_input(r->graph, "w", LM_F32, LM_SHAPE(16, 3, 3, 16));
    check_packed(r, lm_conv(r->graph, x, w, NULL, &attr));
    attr.size[0] = attr.size[1] = 8;
    check_packed(r, lm_conv_dgrad(r->graph, x, w, &attr));
}

/* ---- matrix products --------------------------------------------------------- */

static void test_matmul(void **state) {
    static const int64_t shapes[][4] = {/* batch, m, n, k */
                                        {1, 1, 1, 1},    {1, 1, 7, 5},    {1, 7, 1, 5},
                                        {1, 5, 7, 1},    {1, 64, 33, 17}, {3, 5, 7, 11},
                                        {2, 1, 1, 13},   {4, 16, 16, 16}, {2, 49, 64, 49},
                                        {1, 3, 128, 65}, {5, 1, 9, 1}};
    rig *r = *state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes * 8; i++) {
        const int64_t *s = shapes[i / 8];
        bool ta = i & 1, tb = i & 2;
        lm_shape a = LM_SHAPE(s[0], ta ? s[3] : s[1], ta ? s[1] : s[3]);
        lm_shape b = LM_SHAPE(s[0], tb ? s[2] : s[3], tb ? s[3] : s[2]);
        if (s[0] == 1) { /* plain matrices */
            a = LM_SHAPE(a.dim[1], a.dim[2]);
            b = LM_SHAPE(b.dim[1], b.dim[2]);
        }
        lm_node *bias = i & 4 ? rig_input(r, LM_SHAPE(s[2])) : NULL;
        lm_node *na = rig_input(r, a), *nb = rig_input(r, b);
        rig_check(r, lm_matmul_bias(r->graph, na, nb, bias, ta, tb), 1e-12);
        rig_clear(r);
    }
}

static void test_matmul_of_two_batch_axes(void **state) {
    rig *r = *state;
    lm_node *a = rig_input(r, LM_SHAPE(2, 3, 5, 7)),
            *b = rig_input(r, LM_SHAPE(2, 3, 7, 4));
    rig_check(r, lm_matmul(r->graph, a, b, false, false), 1e-12);
}

static void test_lowering_without_memory(void **state) {
    rig *r = *state;
    lm_conv_attr attr = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_node *x = rig_input(r, LM_SHAPE(2, 8, 8, 16)), *a = rig_input(r, LM_SHAPE(5, 5));
    lm_node *w = rig_input(r, LM_SHAPE(16, 3, 3, 16));
    rig_check_faults(r, lm_matmul(r->graph, a, a, false, true));
    rig_check_faults(r, lm_conv(r->graph, x, w, NULL, &attr));
    attr.size[0] = attr.size[1] = 8;
    rig_check_faults(r, lm_conv_dgrad(r->graph, x, w, &attr));
    attr.size[0] = attr.size[1] = 3;
    rig_check_faults(r, lm_conv_wgrad(r->graph, x, x, &attr));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_weights_are_packed_when_written),
        RIG_TEST(test_matmul),
        RIG_TEST(test_matmul_of_two_batch_axes),
        RIG_TEST(test_lowering_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
