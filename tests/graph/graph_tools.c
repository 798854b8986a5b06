#include "graph_tools.h"
#include <stdio.h>
#include <string.h>

void parse_type(const char *text, lm_dtype *dtype, lm_shape *shape) {
    *dtype = LM_F32;
    *shape = LM_SCALAR;
    size_t letters = strcspn(text, "[");
    for (int i = 0; i < LM_DTYPE_COUNT && letters; i++) {
        const char *name = lm_dtype_name((lm_dtype)i);
        if (strlen(name) == letters && strncmp(name, text, letters) == 0)
            *dtype = (lm_dtype)i;
    }
    for (const char *at = text + letters; *at && at[1] && *at != ']';) {
        char *end;
        if (at[1] == ']') break;
        shape->dim[shape->rank++] = strtoll(at + 1, &end, 10);
        at = end;
    }
}

const char *type_text(const lm_node *node, char *buffer) {
    char shape[LM_SHAPE_TEXT];
    snprintf(buffer, 128, "%s%s", lm_dtype_name(node->dtype),
             lm_shape_text(node->shape, shape));
    return buffer;
}

lm_graph *new_graph(void) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    return g;
}

lm_node *input(lm_graph *g, const char *name, const char *type) {
    lm_dtype dtype;
    lm_shape shape;
    parse_type(type, &dtype, &shape);
    return lm_input(g, name, dtype, shape);
}

static lm_node *block(lm_graph *g, lm_node *x) {
    lm_scope_push(g, "block");
    lm_node *w = lm_param(g, "weights", 0, LM_SHAPE(4, 3, 3, 3));
    lm_node *bias = lm_param(g, "weights", 108, LM_SHAPE(4));
    lm_scope_push(g, "conv%d", 1);
    lm_node *y =
        lm_conv(g, x, w, bias, &(lm_conv_attr){.pad_lo = {1, 1}, .pad_hi = {1, 1}});
    lm_scope_pop(g);
    lm_node *gamma = lm_param(g, "weights", 112, LM_SHAPE(4));
    lm_node *beta = lm_param(g, "weights", 116, LM_SHAPE(4));
    y = lm_group_norm(g, y, gamma, beta, 2, 1e-5, true);
    lm_scope_pop(g);
    return y;
}

void build_net(lm_graph *g) {
    static const int32_t start[] = {0, 1, 2, 3}, col[] = {0, 1, 1};
    static const float value[] = {1, 0.5f, 0.5f}, table[] = {1, 2, 3, 4};
    const lm_sparse resize = {3, 2, 3, start, col, value, NULL};
    lm_scope_push(g, "net");
    lm_node *x = input(g, "x", "f32[2,4,4,3]");
    lm_node *noise = lm_normal(g, input(g, "key", "u32[4]"), 7, LM_SHAPE(2, 4, 4, 3));
    lm_node *y = block(g, lm_add(g, x, noise));
    y = lm_add(g, y, lm_const_data(g, LM_F32, LM_SHAPE(4), table));
    y = lm_maxpool(g, y, &(lm_pool_attr){.window = {2, 2}, .stride = {2, 2}});
    y = lm_axismap(g, y, 1, lm_sparse_intern(g, &resize));
    y = lm_axismap(g, y, 1, lm_sparse_transpose(g, &resize));
    y = lm_axismap(g, y, 1, lm_sparse_intern(g, &resize));
    y = lm_reshape(g, y, LM_SHAPE(2, 6, 4));
    y = lm_attention(g, y, y, y, 1, 0.5);
    lm_scope_pop(g);
    lm_node *loss = lm_mean_all(g, lm_square(g, y));
    lm_graph_output(g, "loss", loss);
    lm_node *weights = lm_param(g, "weights", 0, LM_SHAPE(120));
    lm_assign(g, weights, lm_scale(g, weights, 0.99));
}
