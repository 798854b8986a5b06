/* What the tests of this room share. */
#ifndef LIMN_TESTS_GRAPH_TOOLS_H
#define LIMN_TESTS_GRAPH_TOOLS_H

#include "graph/graph.h"
#include "testing.h"

/* "f32[2,3]" as an element type and a shape; "" is an f32 scalar. */
void parse_type(const char *text, lm_dtype *dtype, lm_shape *shape);
/* The other way round, "f32[2,3]", into a buffer of 128 bytes. */
const char *type_text(const lm_node *node, char *buffer);

lm_graph *new_graph(void);
lm_node *input(lm_graph *g, const char *name, const char *type);

/* A small network with most features: convolution, normalisation, attention, resampling,
 * noise, a table, a loss, an assign, an output. */
void build_net(lm_graph *g);

/* The graph must have failed with this status and exactly this message; frees it. */
#define CHECK_MESSAGE(g, expected, text)                                                 \
    do {                                                                                 \
        CHECK_FAILS(lm_graph_status(g), expected);                                       \
        assert_string_equal(lm_message(), text);                                         \
        lm_graph_free(g);                                                                \
    } while (0)

#endif
