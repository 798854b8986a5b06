/* The verifier catches what a faulty pass could do to a graph: every way of tampering
 * with a good one is found, and undoing it makes the graph good again. */
#include "graph/graph_internal.h"
#include "graph_tools.h"
#include <stdio.h>
#include <string.h>

/* The last node of this kind. */
static lm_node *find(lm_graph *g, lm_kind kind) {
    for (int id = lm_graph_size(g) - 1; id >= 0; id--)
        if (lm_graph_node(g, id)->kind == kind) return lm_graph_node(g, id);
    return NULL;
}

/* Fails with a message that has this part; the message names the node. */
static void check_caught(lm_graph *g, const lm_node *node, const char *part) {
    char id[16];
    lm_status status = lm_verify(g);
    if (status == LM_OK) fail_msg("not caught: %s", part);
    if (!strstr(lm_message(), part)) fail_msg("'%s' lacks '%s'", lm_message(), part);
    snprintf(id, sizeof id, "%%%u", (unsigned)node->id);
    if (!strstr(lm_message(), id)) fail_msg("'%s' lacks '%s'", lm_message(), id);
}

/* Changes a field, expects a failure, puts the field back. */
#define TAMPER(g, node, field, value, part)                                              \
    do {                                                                                 \
        lm_node kept_ = *(node);                                                         \
        (node)->field = (value);                                                         \
        check_caught(g, node, part);                                                     \
        *(node) = kept_;                                                                 \
        CHECK_OK(lm_verify(g));                                                          \
    } while (0)

static void a_built_graph_is_good(void **state) {
    lm_graph *g = new_graph();
    CHECK_OK(lm_verify(g)); /* even an empty one */
    build_net(g);
    CHECK_OK(lm_verify(g));
    lm_graph_free(g);
}

static void tampered_nodes_are_caught(void **state) {
    lm_graph *g = new_graph();
    build_net(g);
    lm_node *conv = find(g, LM_KIND_CONV), *ew = find(g, LM_KIND_EW);
    lm_node *call = find(g, LM_KIND_CALL), *map = find(g, LM_KIND_AXISMAP);
    TAMPER(g, conv, shape.dim[1], 5, "net.block.conv1: %");
    TAMPER(g, conv, shape.dim[1], 5, "is f32[2,5,4,4], its sources make it f32[2,4,4,4]");
    TAMPER(g, conv, dtype, LM_I32, "i32[2,4,4,4]");
    TAMPER(g, conv, attr.conv.groups, 2, "conv: x has 3 channels, w expects 6");
    TAMPER(g, conv, attr.conv.pad_lo[0], 0, "its sources make it f32[2,3,4,4]");
    TAMPER(g, conv, n_src, 1, "conv: 1 sources, expected 2 to 3");
    TAMPER(g, conv, kind, LM_KIND_COUNT, "kind ");
    TAMPER(g, conv, kind, LM_KIND_MATMUL, "attributes of other kinds are not zero");
    TAMPER(g, conv, label, NULL, "the label is missing");
    TAMPER(g, ew, attr.ew.code, LM_EW_WHERE, "where: 2 operands, expected 3");
    TAMPER(g, ew, attr.ew.value, 1.0f, "attributes of other kinds are not zero");
    TAMPER(g, ew, attr.slice.step[5], 1, "attributes of other kinds are not zero");
    TAMPER(g, ew, attr.ew.code, LM_EW_COUNT, "no code");
    TAMPER(g, call, attr.call.composite, LM_COMP_COUNT, "no composite");
    TAMPER(g, call, attr.call.composite, LM_COMP_SOFTMAX, "3 sources, expected 1");
    TAMPER(g, map, attr.axis.matrix, NULL, "the matrix is missing");
    TAMPER(g, map, attr.axis.axis, 3, "axis 3 has 4 elements, the matrix 2 columns");
    lm_graph_free(g);
}

static void wrong_links_are_caught(void **state) {
    lm_graph *g = new_graph(), *other = new_graph();
    build_net(g);
    build_net(other);
    lm_node *conv = find(g, LM_KIND_CONV), *call = find(g, LM_KIND_CALL);
    const char *part = "source 0 is not an earlier node of the graph";
    TAMPER(g, conv, src, ((lm_node *[]){call, conv->src[1], conv->src[2]}), part);
    TAMPER(g, conv, src, ((lm_node *[]){conv, conv->src[1], conv->src[2]}), part);
    lm_node *foreign = find(other, LM_KIND_EW);
    TAMPER(g, call, src, ((lm_node *[]){foreign, call->src[1], call->src[2]}), part);
    lm_graph_free(g);
    lm_graph_free(other);
}

static void overlapping_assigns_are_caught(void **state) {
    lm_graph *g = new_graph();
    lm_node *a = lm_param(g, "w", 0, LM_SHAPE(3)), *b = lm_param(g, "w", 3, LM_SHAPE(2));
    lm_node *c = lm_param(g, "w", 4, LM_SHAPE(2)), *v = lm_param(g, "v", 0, LM_SHAPE(3));
    lm_assign(g, a, lm_neg(g, a));
    lm_assign(g, b, lm_neg(g, b));
    lm_assign(g, v, a);
    CHECK_OK(lm_verify(g));
    lm_assign(g, c, lm_neg(g, c));
    CHECK_FAILS(lm_verify(g), LM_ARG);
    assert_string_equal(lm_message(), "assign: two values for elements of 'w' at 4");
    lm_graph_free(g);
}

static void the_later_assign_counts(void **state) {
    lm_graph *g = new_graph();
    lm_node *a = lm_param(g, "w", 0, LM_SHAPE(3)), *b = lm_param(g, "w", 3, LM_SHAPE(2));
    lm_node *first = lm_neg(g, a), *second = lm_square(g, a);
    assert_null(lm_assigned(g, a));
    lm_reassign(g, a, first);
    lm_assign(g, b, b);
    assert_ptr_equal(lm_assigned(g, a), first);
    lm_reassign(g, a, second);
    assert_ptr_equal(lm_assigned(g, a), second);
    assert_ptr_equal(lm_assigned(g, b), b);
    CHECK_OK(lm_verify(g));
    lm_graph_free(g);
}

/* A graph that failed to build does not verify, and says what failed. */
static void a_failed_graph_does_not_verify(void **state) {
    lm_graph *g = new_graph();
    lm_graph_fail(g, LM_MISMATCH, "no good");
    CHECK_FAILS(lm_verify(g), LM_MISMATCH);
    assert_string_equal(lm_message(), "no good");
    lm_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_built_graph_is_good),
        cmocka_unit_test(tampered_nodes_are_caught),
        cmocka_unit_test(wrong_links_are_caught),
        cmocka_unit_test(overlapping_assigns_are_caught),
        cmocka_unit_test(the_later_assign_counts),
        cmocka_unit_test(a_failed_graph_does_not_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
