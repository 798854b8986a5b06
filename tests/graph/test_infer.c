/* Inference: for each kind and composite good and bad sources and attributes, in a table.
 * A refusal must name the layer, the kind and the shapes. */
#include "base/mem.h"
#include "graph/graph_internal.h"
#include "graph_tools.h"
#include <stdio.h>
#include <string.h>

#define MAX_SRC 9

typedef struct infer_case {
    lm_kind kind;
    lm_status status;
    const char *src[MAX_SRC]; /* types of inputs; "param T", "assign T": such a node */
    lm_attr attr;
    const char *like; /* the type asked for, where the kind is free */
    const char *want; /* the type, or the message after "net.layer: " */
} infer_case;

static const int32_t map_start[] = {0, 1, 2, 2}, map_col[] = {0, 1};
static const float map_value[] = {1, 1}, table[6] = {1, 2, 3, 4, 5, 6};
static const lm_sparse map = {3, 2, 2, map_start, map_col, map_value, NULL};

#define LIST(...)                                                                        \
    { __VA_ARGS__ }
#define NO_SRC                                                                           \
    { NULL }
#define NO_ATTR                                                                          \
    { .rows = 0 }
#define EW(NAME)                                                                         \
    {                                                                                    \
        .ew = { LM_EW_##NAME, 0 }                                                        \
    }
#define AXIS(n)                                                                          \
    {                                                                                    \
        .axis = { n, 0, NULL }                                                           \
    }
#define MAP(n)                                                                           \
    {                                                                                    \
        .axis = { n, 0, &map }                                                           \
    }
#define GEOM .stride = {1, 1}, .dilation = {1, 1}, .groups = 1
#define CONV(...)                                                                        \
    {                                                                                    \
        .conv = { __VA_ARGS__ }                                                          \
    }
#define POOL(...)                                                                        \
    {                                                                                    \
        .pool = { __VA_ARGS__ }                                                          \
    }
#define CALL(NAME, ...)                                                                  \
    {                                                                                    \
        .call = {.composite = LM_COMP_##NAME, __VA_ARGS__ }                              \
    }
#define GOOD(kind, src, attr, like, want) {LM_KIND_##kind, LM_OK, src, attr, like, want},
#define BAD(kind, status, src, attr, like, want)                                         \
    {LM_KIND_##kind, status, src, attr, like, want},

/* clang-format off */
static const infer_case leaves[] = {
    GOOD(PARAM, NO_SRC, LIST(.param = {.offset = 5}), "f32[2,3]", "f32[2,3]")
    BAD(PARAM, LM_ARG, NO_SRC, LIST(.param = {.offset = -1}), "f32[2]",
        "param: offset -1 is negative")
    BAD(PARAM, LM_ARG, NO_SRC, LIST(.param = {.var = 1}), "f32[2]",
        "param: no variable has number 1")
    BAD(PARAM, LM_SHAPE, NO_SRC, NO_ATTR, "f32[2,0]",
        "param: axis 1 would have 0 elements")
    BAD(PARAM, LM_SHAPE, NO_SRC, NO_ATTR, "f32[2000000000,2000000000]",
        "param: more than 2^44 elements")
    BAD(PARAM, LM_SHAPE, NO_SRC, NO_ATTR, "f32[5000000000]",
        "param: axis 0 would have 5000000000 elements")
    GOOD(INPUT, NO_SRC, LIST(.name = "y"), "u8[3,1]", "u8[3,1]")
    BAD(INPUT, LM_ARG, NO_SRC, LIST(.name = ""), "f32[]", "input: the name is empty")
    BAD(INPUT, LM_DTYPE, NO_SRC, LIST(.name = "y"), "f64[2]",
        "input: f64 is not a type of graphs")
    BAD(INPUT, LM_ARG, LIST("f32[2]"), LIST(.name = "y"), "f32[2]",
        "input: 1 sources, expected 0 to 0 (f32[2])")
    GOOD(CONST, NO_SRC, LIST(.constant = {1.5, NULL}), "f32[]", "f32[]")
    GOOD(CONST, NO_SRC, LIST(.constant = {0, table}), "f32[2,3]", "f32[2,3]")
    BAD(CONST, LM_DTYPE, NO_SRC, NO_ATTR, "i64[2]", "const: i64 is not a type of graphs")
    GOOD(IOTA, NO_SRC, AXIS(1), "i32[2,3]", "i32[2,3]")
    BAD(IOTA, LM_SHAPE, NO_SRC, AXIS(2), "f32[2,3]",
        "iota: axis 2 of rank 2 does not exist")
    BAD(IOTA, LM_DTYPE, NO_SRC, AXIS(0), "u8[2]", "iota: u8, expected f32 or i32")
    GOOD(PHILOX, LIST("u32[4]"), LIST(.stream = 9), "f32[2,3]", "u32[2,3]")
    BAD(PHILOX, LM_SHAPE, LIST("u32[2]"), NO_ATTR, "u32[2]",
        "philox: the key must have 4 words (key u32[2])")
    BAD(PHILOX, LM_DTYPE, LIST("i32[4]"), NO_ATTR, "u32[2]",
        "philox: key is i32, expected u32 (key i32[4])")
    BAD(PHILOX, LM_SHAPE, LIST("u32[4]"), NO_ATTR, "u32[]",
        "philox: needs a sample axis (axis 0) (key u32[4])")
    BAD(PHILOX, LM_SHAPE, LIST("u32[4]"), NO_ATTR, "u32[2,65536,65537]",
        "philox: more than 2^32 elements a sample (key u32[4])")
};

static const infer_case shapes[] = {
    GOOD(EW, LIST("f32[2]", "f32[2]"), EW(DIV), "", "f32[2]")
    GOOD(EW, LIST("u8[2]", "i32[2]", "i32[2]"), EW(WHERE), "", "i32[2]")
    GOOD(EW, LIST("u32[2,3]"), EW(CAST), "f32[]", "f32[2,3]")
    BAD(EW, LM_SHAPE, LIST("f32[2]", "f32[2,1]"), EW(ADD), "",
        "add: operands of different shapes (a f32[2], b f32[2,1])")
    BAD(EW, LM_DTYPE, LIST("f32[2]", "i32[2]"), EW(ADD), "",
        "add: operands of different types (a f32[2], b i32[2])")
    BAD(EW, LM_DTYPE, LIST("f32[2]", "f32[2]", "f32[2]"), EW(WHERE), "",
        "where: a is f32, expected u8 (a f32[2], b f32[2], c f32[2])")
    BAD(EW, LM_ARG, LIST("f32[2]"), EW(MUL), "",
        "mul: 1 operands, expected 2 (a f32[2])")
    BAD(EW, LM_ARG, LIST("f32[2]"), LIST(.ew = {99, 0}), "", "ew: no code 99 (a f32[2])")
    BAD(EW, LM_DTYPE, LIST("f32[2]"), EW(CAST), "f16[]",
        "cast: f16 is not a type of graphs (a f32[2])")
    BAD(EW, LM_ARG, LIST("assign f32[2]"), EW(EXP), "",
        "exp: source 0 is an effect and has no value (a f32[2])")
    GOOD(BROADCAST, LIST("u8[3,1]"), NO_ATTR, "f32[2,3,5]", "u8[2,3,5]")
    BAD(BROADCAST, LM_SHAPE, LIST("f32[3]"), NO_ATTR, "f32[3,2]",
        "broadcast: does not broadcast to [3,2] (a f32[3])")
    BAD(BROADCAST, LM_SHAPE, LIST("f32[1,3]"), NO_ATTR, "f32[3]",
        "broadcast: does not broadcast to [3] (a f32[1,3])")
    GOOD(RESHAPE, LIST("i32[2,3]"), NO_ATTR, "f32[3,1,2]", "i32[3,1,2]")
    BAD(RESHAPE, LM_SHAPE, LIST("f32[2,3]"), NO_ATTR, "f32[5]",
        "reshape: does not have the 5 elements of [5] (a f32[2,3])")
    GOOD(PERMUTE, LIST("f32[2,3,5]"), LIST(.perm = {2, 0, 1}), "", "f32[5,2,3]")
    BAD(PERMUTE, LM_ARG, LIST("f32[2,3]"), LIST(.perm = {0, 0}), "",
        "permute: the axes are not a permutation of 0 to 1 (a f32[2,3])")
    BAD(PERMUTE, LM_ARG, LIST("f32[2,3]"), LIST(.perm = {0, 2}), "",
        "permute: the axes are not a permutation of 0 to 1 (a f32[2,3])")
    GOOD(SLICE, LIST("f32[7,5]"), LIST(.slice = {{1, 0}, {7, 4}, {2, 3}}), "", "f32[3,2]")
    BAD(SLICE, LM_SHAPE, LIST("f32[7]"), LIST(.slice = {{1}, {8}, {1}}), "",
        "slice: axis 0 has no range 1:8:1 (a f32[7])")
    BAD(SLICE, LM_SHAPE, LIST("f32[7]"), LIST(.slice = {{3}, {3}, {1}}), "",
        "slice: axis 0 has no range 3:3:1 (a f32[7])")
    BAD(SLICE, LM_SHAPE, LIST("f32[7]"), LIST(.slice = {{0}, {3}, {0}}), "",
        "slice: axis 0 has no range 0:3:0 (a f32[7])")
    BAD(SLICE, LM_SHAPE, LIST("f32[7]"), LIST(.slice = {{-1}, {3}, {1}}), "",
        "slice: axis 0 has no range -1:3:1 (a f32[7])")
    GOOD(PAD, LIST("f32[3,1]"), LIST(.pad = {{1, 0}, {2, 4}, {2, 3}}), "", "f32[10,5]")
    BAD(PAD, LM_ARG, LIST("f32[3]"), LIST(.pad = {{-1}, {0}, {0}}), "",
        "pad: axis 0 has negative padding (a f32[3])")
    GOOD(CONCAT, LIST("f32[2,3]", "f32[2,1]", "f32[2,4]"), AXIS(1), "", "f32[2,8]")
    BAD(CONCAT, LM_SHAPE, LIST("f32[2,3]", "f32[3,3]"), AXIS(1), "",
        "concat: part 1 differs off axis 1 (f32[2,3], f32[3,3])")
    BAD(CONCAT, LM_SHAPE, LIST("f32[2,3]", "f32[2]"), AXIS(1), "",
        "concat: part 1 differs off axis 1 (f32[2,3], f32[2])")
    BAD(CONCAT, LM_DTYPE, LIST("f32[2]", "i32[2]"), AXIS(0), "",
        "concat: part 1 is i32 (f32[2], i32[2])")
    BAD(CONCAT, LM_SHAPE, LIST("f32[2]", "f32[2]"), AXIS(1), "",
        "concat: axis 1 of rank 1 does not exist (f32[2], f32[2])")
    GOOD(REVERSE, LIST("u8[2,3]"), LIST(.axes = 3), "", "u8[2,3]")
    BAD(REVERSE, LM_SHAPE, LIST("f32[2,3]"), LIST(.axes = 4), "",
        "reverse: axes 0x4 of rank 2 do not exist (a f32[2,3])")
};

static const infer_case reductions[] = {
    GOOD(REDUCE_SUM, LIST("f32[2,3,5,7]"), LIST(.axes = 6), "", "f32[2,1,1,7]")
    BAD(REDUCE_SUM, LM_ARG, LIST("f32[2,3,5]"), LIST(.axes = 5), "",
        "reduce_sum: axes 0x5 are not adjacent (a f32[2,3,5])")
    BAD(REDUCE_SUM, LM_SHAPE, LIST("f32[2]"), LIST(.axes = 0), "",
        "reduce_sum: axes 0x0 of rank 1 do not exist (a f32[2])")
    BAD(REDUCE_SUM, LM_DTYPE, LIST("i32[2]"), LIST(.axes = 1), "",
        "reduce_sum: a is i32, expected f32 (a i32[2])")
    GOOD(REDUCE_MAX, LIST("f32[2,3,5]"), LIST(.axes = 5), "", "f32[1,3,1]")
    BAD(REDUCE_MAX, LM_SHAPE, LIST("f32[2]"), LIST(.axes = 2), "",
        "reduce_max: axes 0x2 of rank 1 do not exist (a f32[2])")
    GOOD(ARGMAX, LIST("f32[2,3]"), AXIS(0), "", "i32[1,3]")
    BAD(ARGMAX, LM_SHAPE, LIST("f32[2,3]"), AXIS(-1), "",
        "argmax: axis -1 of rank 2 does not exist (a f32[2,3])")
    GOOD(CUMSUM, LIST("f32[2,3]"), LIST(.axis = {1, 1, NULL}), "", "f32[2,3]")
    BAD(CUMSUM, LM_SHAPE, LIST("f32[]"), AXIS(0), "",
        "cumsum: axis 0 of rank 0 does not exist (a f32[])")
    GOOD(TOPK, LIST("f32[2,5]"), LIST(.k = 3), "", "i32[2,3]")
    BAD(TOPK, LM_ARG, LIST("f32[2,5]"), LIST(.k = 6), "",
        "topk: k is 6, the last axis has 5 (a f32[2,5])")
    BAD(TOPK, LM_SHAPE, LIST("f32[]"), LIST(.k = 1), "", "topk: needs an axis (a f32[])")
    GOOD(ALLREDUCE_SUM, LIST("f32[2,3]"), NO_ATTR, "", "f32[2,3]")
    BAD(ALLREDUCE_SUM, LM_DTYPE, LIST("u8[2]"), NO_ATTR, "",
        "allreduce_sum: a is u8, expected f32 (a u8[2])")
    GOOD(ASSIGN, LIST("param f32[2]", "f32[2]"), NO_ATTR, "", "f32[2]")
    BAD(ASSIGN, LM_ARG, LIST("f32[2]", "f32[2]"), NO_ATTR, "",
        "assign: the target is no param (param f32[2], value f32[2])")
    BAD(ASSIGN, LM_SHAPE, LIST("param f32[2]", "f32[3]"), NO_ATTR, "",
        "assign: target and value differ in shape (param f32[2], value f32[3])")
    GOOD(GATHER, LIST("u8[9,5,7]", "i32[2,3]"), NO_ATTR, "", "u8[2,3,5,7]")
    GOOD(GATHER, LIST("f32[9]", "i32[]"), NO_ATTR, "", "f32[]")
    BAD(GATHER, LM_DTYPE, LIST("f32[9]", "f32[2]"), NO_ATTR, "",
        "gather: index is f32, expected i32 (a f32[9], index f32[2])")
    BAD(GATHER, LM_SHAPE, LIST("f32[]", "i32[2]"), NO_ATTR, "",
        "gather: a has no rows (a f32[], index i32[2])")
    BAD(GATHER, LM_SHAPE, LIST("f32[2,2,2,2]", "i32[1,1,1,1]"), NO_ATTR, "",
        "gather: the result would have rank 7, at most 6 is possible "
        "(a f32[2,2,2,2], index i32[1,1,1,1])")
    GOOD(SCATTER_ADD, LIST("f32[2,3,5]", "i32[2,3]"), LIST(.rows = 9), "", "f32[9,5]")
    BAD(SCATTER_ADD, LM_SHAPE, LIST("f32[2,3,5]", "i32[3]"), LIST(.rows = 9), "",
        "scatter_add: the first axes of a are not those of index "
        "(a f32[2,3,5], index i32[3])")
    BAD(SCATTER_ADD, LM_ARG, LIST("f32[2]", "i32[2]"), LIST(.rows = 0), "",
        "scatter_add: 0 rows (a f32[2], index i32[2])")
    GOOD(AXISMAP, LIST("f32[5,2,7]"), MAP(1), "", "f32[5,3,7]")
    BAD(AXISMAP, LM_SHAPE, LIST("f32[5,2]"), MAP(0), "",
        "axismap: axis 0 has 5 elements, the matrix 2 columns (a f32[5,2])")
    BAD(AXISMAP, LM_ARG, LIST("f32[5,2]"), AXIS(1), "",
        "axismap: the matrix is missing (a f32[5,2])")
};

static const infer_case products[] = {
    GOOD(MATMUL, LIST("f32[5,2,3]", "f32[5,3,7]"), NO_ATTR, "", "f32[5,2,7]")
    GOOD(MATMUL, LIST("f32[3,2]", "f32[7,3]", "f32[7]"), LIST(.matmul = {1, 1}), "",
        "f32[2,7]")
    BAD(MATMUL, LM_SHAPE, LIST("f32[2,3]", "f32[7,3]"), NO_ATTR, "",
        "matmul: a has inner size 3, b has 7 (a f32[2,3], b f32[7,3])")
    BAD(MATMUL, LM_SHAPE, LIST("f32[2,3]", "f32[3,7]"), LIST(.matmul = {1, 0}), "",
        "matmul: a transposed has inner size 2, b has 3 (a f32[2,3], b f32[3,7])")
    BAD(MATMUL, LM_SHAPE, LIST("f32[5,2,3]", "f32[3,7]"), NO_ATTR, "",
        "matmul: ranks must be equal and at least 2 (a f32[5,2,3], b f32[3,7])")
    BAD(MATMUL, LM_SHAPE, LIST("f32[5,2,3]", "f32[4,3,7]"), NO_ATTR, "",
        "matmul: batch axis 0 differs (a f32[5,2,3], b f32[4,3,7])")
    BAD(MATMUL, LM_SHAPE, LIST("f32[2,3]", "f32[3,7]", "f32[1,7]"), NO_ATTR, "",
        "matmul: bias must be [7] (a f32[2,3], b f32[3,7], bias f32[1,7])")
    GOOD(INV, LIST("f32[2,3,3]"), NO_ATTR, "", "f32[2,3,3]")
    BAD(INV, LM_SHAPE, LIST("f32[2,3]"), NO_ATTR, "",
        "inv: the last two axes must be equal (a f32[2,3])")
    GOOD(LOGABSDET, LIST("f32[2,3,3]"), NO_ATTR, "", "f32[2,1,1]")
    BAD(LOGABSDET, LM_SHAPE, LIST("f32[3]"), NO_ATTR, "",
        "logabsdet: the last two axes must be equal (a f32[3])")
    GOOD(CONV, LIST("f32[2,9,8,3]", "f32[4,3,2,3]", "f32[4]"),
         CONV(GEOM, .pad_lo = {1, 0}, .pad_hi = {0, 2}), "", "f32[2,8,9,4]")
    GOOD(CONV, LIST("f32[2,9,8,6]", "f32[4,3,2,3]"),
         CONV(.stride = {2, 3}, .dilation = {2, 4}, .groups = 2), "", "f32[2,3,2,4]")
    BAD(CONV, LM_SHAPE, LIST("f32[8,28,28,3]", "f32[64,3,3,4]"), CONV(GEOM), "",
        "conv: x has 3 channels, w expects 4 (x f32[8,28,28,3], w f32[64,3,3,4])")
    BAD(CONV, LM_SHAPE, LIST("f32[1,5,5,6]", "f32[3,3,3,3]"),
        CONV(.stride = {1, 1}, .dilation = {1, 1}, .groups = 2), "",
        "conv: 2 groups do not divide 6 and 3 channels (x f32[1,5,5,6], w f32[3,3,3,3])")
    BAD(CONV, LM_SHAPE, LIST("f32[1,2,5,3]", "f32[4,3,3,3]"), CONV(GEOM), "",
        "conv: w is larger than the padded x (x f32[1,2,5,3], w f32[4,3,3,3])")
    BAD(CONV, LM_SHAPE, LIST("f32[1,5,5,3]", "f32[4,3,3,3]", "f32[3]"), CONV(GEOM), "",
        "conv: bias must be [4] (x f32[1,5,5,3], w f32[4,3,3,3], bias f32[3])")
    BAD(CONV, LM_SHAPE, LIST("f32[5,5,3]", "f32[4,3,3,3]"), CONV(GEOM), "",
        "conv: ranks must be 4 (x f32[5,5,3], w f32[4,3,3,3])")
    BAD(CONV, LM_ARG, LIST("f32[1,5,5,3]", "f32[4,3,3,3]"), CONV(.groups = 1), "",
        "conv: stride and dilation must be at least 1 (x f32[1,5,5,3], w f32[4,3,3,3])")
    BAD(CONV, LM_ARG, LIST("f32[1,5,5,3]", "f32[4,3,3,3]"), CONV(GEOM, .pad_hi = {0, -1}),
        "",
        "conv: negative padding (x f32[1,5,5,3], w f32[4,3,3,3])")
    GOOD(CONV_DGRAD, LIST("f32[2,4,4,4]", "f32[4,3,2,3]"),
         CONV(.stride = {2, 2}, .dilation = {1, 1}, .groups = 2, .size = {10, 8}), "",
         "f32[2,10,8,6]")
    BAD(CONV_DGRAD, LM_SHAPE, LIST("f32[2,4,4,4]", "f32[4,3,3,3]"),
        CONV(GEOM, .size = {6, 7}),
        "", "conv_dgrad: y has 4 on axis 2, a conv of 7 by 3 would give 5 "
        "(y f32[2,4,4,4], w f32[4,3,3,3])")
    BAD(CONV_DGRAD, LM_SHAPE, LIST("f32[2,4,4,5]", "f32[4,3,3,3]"),
        CONV(GEOM, .size = {6, 6}),
        "", "conv_dgrad: y has 5 channels, w gives 4 (y f32[2,4,4,5], w f32[4,3,3,3])")
    BAD(CONV_DGRAD, LM_ARG, LIST("f32[2,4,4,4]", "f32[4,3,3,3]"), CONV(GEOM), "",
        "conv_dgrad: size is 0 (y f32[2,4,4,4], w f32[4,3,3,3])")
    GOOD(CONV_WGRAD, LIST("f32[2,9,8,6]", "f32[2,3,2,4]"),
         CONV(.stride = {2, 3}, .dilation = {2, 4}, .groups = 2, .size = {3, 2}), "",
         "f32[4,3,2,3]")
    BAD(CONV_WGRAD, LM_SHAPE, LIST("f32[2,9,8,6]", "f32[3,7,6,4]"),
        CONV(GEOM, .size = {3, 3}),
        "", "conv_wgrad: x and y differ in batch size (x f32[2,9,8,6], y f32[3,7,6,4])")
    BAD(CONV_WGRAD, LM_SHAPE, LIST("f32[2,9,8,6]", "f32[2,7,6,4]"),
        CONV(GEOM, .size = {2, 3}),
        "", "conv_wgrad: y has 7 on axis 1, a conv of 9 by 2 would give 8 "
        "(x f32[2,9,8,6], y f32[2,7,6,4])")
    GOOD(POOL_ARGMAX, LIST("f32[2,7,5,3]"),
         POOL(.window = {3, 2}, .stride = {2, 1}, .pad_lo = {1, 0}, .pad_hi = {1, 1}), "",
         "u8[2,4,5,3]")
    GOOD(POOL_ARGMAX, LIST("f32[1,15,17,1]"), POOL(.window = {15, 17}, .stride = {1, 1}),
        "",
         "u8[1,1,1,1]")
    BAD(POOL_ARGMAX, LM_ARG, LIST("f32[1,16,16,1]"),
        POOL(.window = {16, 16}, .stride = {1, 1}),
        "", "pool_argmax: a window of 16 by 16 has more than 255 positions "
        "(x f32[1,16,16,1])")
    BAD(POOL_ARGMAX, LM_ARG, LIST("f32[1,4,4,1]"),
        POOL(.window = {2, 2}, .stride = {2, 2}, .pad_lo = {2, 0}), "",
        "pool_argmax: padding must be smaller than the window (x f32[1,4,4,1])")
    BAD(POOL_ARGMAX, LM_SHAPE, LIST("f32[1,4,1,1]"),
        POOL(.window = {2, 2}, .stride = {2, 2}),
        "", "pool_argmax: the window is larger than the padded x (x f32[1,4,1,1])")
    GOOD(POOL_GATHER, LIST("f32[2,4,6,3]", "u8[2,2,3,3]"),
         POOL(.window = {2, 2}, .stride = {2, 2}), "", "f32[2,2,3,3]")
    BAD(POOL_GATHER, LM_SHAPE, LIST("f32[2,4,6,3]", "u8[2,2,2,3]"),
        POOL(.window = {2, 2}, .stride = {2, 2}), "",
        "pool_gather: index must be [2,2,3,3] (x f32[2,4,6,3], index u8[2,2,2,3])")
    GOOD(POOL_SCATTER, LIST("f32[2,2,3,3]", "u8[2,2,3,3]"),
         POOL(.window = {2, 2}, .stride = {2, 2}, .size = {5, 6}), "", "f32[2,5,6,3]")
    BAD(POOL_SCATTER, LM_SHAPE, LIST("f32[2,2,3,3]", "u8[2,2,3,3]"),
        POOL(.window = {2, 2}, .stride = {2, 2}, .size = {6, 6}), "",
        "pool_scatter: y must be [2,3,3,3] (y f32[2,2,3,3], index u8[2,2,3,3])")
    BAD(POOL_SCATTER, LM_DTYPE, LIST("f32[1,1,1,1]", "i32[1,1,1,1]"),
        POOL(.window = {1, 1}, .stride = {1, 1}, .size = {1, 1}), "",
        "pool_scatter: index is i32, expected u8 (y f32[1,1,1,1], index i32[1,1,1,1])")
};

static const infer_case calls[] = {
    GOOD(CALL, LIST("f32[2,5,7,6]"), CALL(GROUP_STATS, .i = {3}), "", "f32[2,3,2]")
    GOOD(CALL, LIST("f32[2,6]"), CALL(GROUP_STATS, .i = {6}), "", "f32[2,6,2]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,7,6]"), CALL(GROUP_STATS, .i = {4}), "",
        "group_stats: 4 groups do not divide 6 channels (x f32[2,5,7,6])")
    BAD(CALL, LM_ARG, LIST("f32[2,6]"), CALL(GROUP_STATS, .i = {2}, .f = {-1}), "",
        "group_stats: eps -1 is negative (x f32[2,6])")
    BAD(CALL, LM_ARG, LIST("f32[2,6]", "f32[2,6]"), CALL(GROUP_STATS, .i = {2}), "",
        "group_stats: 2 sources, expected 1 (x f32[2,6], f32[2,6])")
    BAD(CALL, LM_ARG, LIST("f32[2]"), LIST(.call = {.composite = 99}), "",
        "call: no composite 99 (f32[2])")
    GOOD(CALL, LIST("f32[2,5,6]", "f32[2,3,2]", "f32[6]", "f32[2,6]"),
        CALL(NORM_ACT, .i = {1}),
         "", "f32[2,5,6]")
    GOOD(CALL, LIST("f32[2,6]", "f32[2,1,2]", "f32[2,6]", "f32[6]"),
        CALL(NORM_ACT, .i = {0}), "",
         "f32[2,6]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,6]", "f32[2,4,2]", "f32[6]", "f32[6]"),
        CALL(NORM_ACT, .i = {0}), "",
        "norm_act: stats must be [2,G,2], G dividing 6 channels "
        "(x f32[2,5,6], stats f32[2,4,2], gamma f32[6], beta f32[6])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,6]", "f32[2,3,2]", "f32[6]", "f32[5]"),
        CALL(NORM_ACT, .i = {0}), "",
        "norm_act: beta must be [6] or [2,6] "
        "(x f32[2,5,6], stats f32[2,3,2], gamma f32[6], beta f32[5])")
    BAD(CALL, LM_ARG, LIST("f32[2,6]", "f32[2,3,2]", "f32[6]", "f32[6]"),
        CALL(NORM_ACT, .i = {2}), "", "norm_act: no activation 2 "
        "(x f32[2,6], stats f32[2,3,2], gamma f32[6], beta f32[6])")
    GOOD(CALL, LIST("f32[2,5,7,6]", "f32[2,3,2]", "f32[2,6]", "f32[6]", "f32[2,5,7,6]"),
         CALL(NORM_SUMS, .i = {1}), "", "f32[2,2,6]")
    GOOD(CALL, LIST("f32[2,6]", "f32[2,3,2]", "f32[6]", "f32[6]", "f32[2,6]"),
         CALL(NORM_SUMS, .i = {0}), "", "f32[2,2,6]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,6]", "f32[2,3,2]", "f32[6]", "f32[6]", "f32[2,5]"),
        CALL(NORM_SUMS, .i = {0}), "", "norm_sums: g differs from x in shape "
        "(x f32[2,6], stats f32[2,3,2], gamma f32[6], beta f32[6], g f32[2,5])")
    GOOD(CALL, LIST("f32[2,6]", "f32[2,3,2]", "f32[6]", "f32[6]", "f32[2,6]"),
         CALL(NORM_GRAD, .i = {1}), "", "f32[2,6]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,6]", "f32[2,3,2]", "f32[6]", "f32[6]", "f32[2,6]",
                             "f32[2,3,1]"),
        CALL(NORM_GRAD, .i = {0}), "", "norm_grad: d differs from stats in shape "
        "(x f32[2,6], stats f32[2,3,2], gamma f32[6], beta f32[6], g f32[2,6], "
        "d f32[2,3,1])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,6]", "f32[2,3,2]", "f32[6]", "f32[6]", "f32[2,6]",
                             "f32[2,3,2]", "f32[6]"),
        CALL(NORM_GRAD, .i = {0}), "", "norm_grad: r differs from x in shape "
        "(x f32[2,6], stats f32[2,3,2], gamma f32[6], beta f32[6], g f32[2,6], "
        "d f32[2,3,2], r f32[6])")
    GOOD(CALL, LIST("f32[2,3,2]", "f32[2,6]", "f32[2,2,6]"),
         CALL(NORM_DSTATS, .i = {0}), "", "f32[2,3,2]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,3,2]", "f32[6]", "f32[2,6]"),
        CALL(NORM_DSTATS, .i = {0}), "", "norm_dstats: sums must be [N,2,C] "
        "(stats f32[2,3,2], gamma f32[6], sums f32[2,6])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,4,2]", "f32[6]", "f32[2,2,6]"),
        CALL(NORM_DSTATS, .i = {0}), "",
        "norm_dstats: stats must be [2,G,2], G dividing 6 channels "
        "(stats f32[2,4,2], gamma f32[6], sums f32[2,2,6])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,3,2]", "f32[5]", "f32[2,2,6]"),
        CALL(NORM_DSTATS, .i = {0}), "", "norm_dstats: gamma must be [6] or [2,6] "
        "(stats f32[2,3,2], gamma f32[5], sums f32[2,2,6])")
    GOOD(CALL, LIST("f32[2,5,6]", "f32[2,3,2]", "f32[2,3,2]"),
         CALL(STATS_GRAD, .i = {0}), "", "f32[2,5,6]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,6]", "f32[2,3,2]", "f32[2,6,2]"),
        CALL(STATS_GRAD, .i = {0}), "", "stats_grad: d differs from stats in shape "
        "(x f32[2,5,6], stats f32[2,3,2], d f32[2,6,2])")
    GOOD(CALL, LIST("f32[2,5,4,6]", "f32[8,3,3,6]"), CALL(CONV_BLOCK, .i = {0}), "",
         "f32[2,5,4,8]")
    GOOD(CALL,
         LIST("f32[2,5,4,6]", "f32[8,3,3,6]", "f32[8]", "f32[2,3,2]", "f32[6]",
              "f32[2,6]", "f32[2,8]", "f32[2,5,4,8]"),
         CALL(CONV_BLOCK, .i = {15, 1}), "", "f32[2,5,4,8]")
    BAD(CALL, LM_ARG, LIST("f32[2,5,4,6]", "f32[8,3,3,6]"), CALL(CONV_BLOCK, .i = {1}),
        "", "conv_block: 2 sources, the parts need 3 "
        "(x f32[2,5,4,6], w f32[8,3,3,6])")
    BAD(CALL, LM_ARG, LIST("f32[2,5,4,6]", "f32[8,3,3,6]"), CALL(CONV_BLOCK, .i = {16}),
        "", "conv_block: no parts 16 (x f32[2,5,4,6], w f32[8,3,3,6])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,4,6]", "f32[8,3,3,5]"), CALL(CONV_BLOCK, .i = {0}),
        "", "conv_block: w does not fit (x f32[2,5,4,6], w f32[8,3,3,5])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,4,6]", "f32[8,3,3,6]", "f32[2,5,4,6]"),
        CALL(CONV_BLOCK, .i = {8}), "", "conv_block: residual does not fit "
        "(x f32[2,5,4,6], w f32[8,3,3,6], part f32[2,5,4,6])")
    BAD(CALL, LM_SHAPE,
        LIST("f32[2,5,4,6]", "f32[8,3,3,6]", "f32[2,4,2]", "f32[6]", "f32[6]"),
        CALL(CONV_BLOCK, .i = {2}), "",
        "conv_block: stats must be [2,G,2], G dividing 6 channels "
        "(x f32[2,5,4,6], w f32[8,3,3,6], part f32[2,4,2], f32[6], f32[6])")
    GOOD(CALL, LIST("f32[2,5,4,6]", "f32[2,5,4,8]", "f32[2,3,2]", "f32[6]", "f32[6]"),
         CALL(CONV_BLOCK_WGRAD, .i = {1}), "", "f32[8,3,3,6]")
    GOOD(CALL, LIST("f32[2,5,4,6]", "f32[2,5,4,8]"), CALL(CONV_BLOCK_WGRAD, .i = {2}), "",
         "f32[8,3,3,6]")
    BAD(CALL, LM_ARG, LIST("f32[2,5,4,6]", "f32[2,5,4,8]", "f32[2,3,2]"),
        CALL(CONV_BLOCK_WGRAD, .i = {0}), "",
        "conv_block_wgrad: 3 sources, expected 2 or 5 (x f32[2,5,4,6], y f32[2,5,4,8], "
        "stats f32[2,3,2])")
    BAD(CALL, LM_ARG, LIST("f32[2,5,4,6]", "f32[8,3,3,6]"), CALL(CONV_BLOCK, .i = {0, 0, 3}),
        "", "conv_block: no activation 3 (x f32[2,5,4,6], w f32[8,3,3,6])")
    BAD(CALL, LM_SHAPE,
        LIST("f32[2,5,4,6]", "f32[2,4,4,8]", "f32[2,3,2]", "f32[6]", "f32[6]"),
        CALL(CONV_BLOCK_WGRAD, .i = {1}), "", "conv_block_wgrad: y does not fit (x f32[2,5,4,6], y f32[2,4,4,8], "
        "stats f32[2,3,2], gamma f32[6], beta f32[6])")
    BAD(CALL, LM_ARG,
        LIST("f32[2,5,4,6]", "f32[2,5,4,8]", "f32[2,3,2]", "f32[6]", "f32[6]"),
        CALL(CONV_BLOCK_WGRAD, .i = {3}), "", "conv_block_wgrad: no activation 3 (x f32[2,5,4,6], y f32[2,5,4,8], "
        "stats f32[2,3,2], gamma f32[6], beta f32[6])")
    GOOD(CALL, LIST("f32[2,5]"), CALL(SOFTMAX, .i = {0}), "", "f32[2,5]")
    BAD(CALL, LM_SHAPE, LIST("f32[]"), CALL(SOFTMAX, .i = {0}), "",
        "softmax: needs an axis (x f32[])")
    GOOD(CALL, LIST("f32[2,5]", "f32[2,5]"), CALL(SOFTMAX_GRAD, .i = {0}), "", "f32[2,5]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5]", "f32[2,1]"), CALL(SOFTMAX_GRAD, .i = {0}), "",
        "softmax_grad: y and g differ in shape (y f32[2,5], g f32[2,1])")
    GOOD(CALL, LIST("f32[3,2,5]"), CALL(LOGSUMEXP, .i = {0}), "", "f32[3,2,1]")
    BAD(CALL, LM_DTYPE, LIST("i32[2]"), CALL(LOGSUMEXP, .i = {0}), "",
        "logsumexp: x is i32, expected f32 (x i32[2])")
    GOOD(CALL, LIST("f32[2,5,3]", "f32[2,7,3]", "f32[2,7,4]"), CALL(ATTENTION, .i = {1}),
        "",
         "f32[2,5,4]")
    GOOD(CALL, LIST("f32[2,5,12]"), CALL(ATTENTION, .i = {2}), "", "f32[2,5,4]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,9]"), CALL(ATTENTION, .i = {2}), "",
        "attention: q has 9 columns, not a multiple of 6 (q f32[2,5,9])")
    BAD(CALL, LM_ARG, LIST("f32[2,5,9]"), CALL(ATTENTION, .i = {0}), "",
        "attention: 0 heads, at least 1 is needed (q f32[2,5,9])")
    BAD(CALL, LM_ARG, LIST("f32[2,5,9]", "f32[2,5,9]"), CALL(ATTENTION, .i = {1}), "",
        "attention: 2 sources, expected q, k and v or all in one "
        "(q f32[2,5,9], k f32[2,5,9])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,4]", "f32[2,7,4]", "f32[2,7,3]"),
        CALL(ATTENTION, .i = {2}), "",
        "attention: v has 3 columns, not a multiple of 2 "
        "(q f32[2,5,4], k f32[2,7,4], v f32[2,7,3])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,3]", "f32[2,7,4]", "f32[2,7,4]"),
        CALL(ATTENTION, .i = {0}), "",
        "attention: k must be [2,S,3] (q f32[2,5,3], k f32[2,7,4], v f32[2,7,4])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,3]", "f32[2,7,3]", "f32[2,5,3]"),
        CALL(ATTENTION, .i = {0}), "",
        "attention: v must be [2,7,E] (q f32[2,5,3], k f32[2,7,3], v f32[2,5,3])")
    GOOD(CALL, LIST("f32[2,5,3]", "f32[2,5,3]", "f32[2,5,3]", "f32[2,5,3]", "f32[2,5,3]"),
         CALL(ATTENTION_GRAD, .i = {1}), "", "f32[3,2,5,3]")
    GOOD(CALL, LIST("f32[2,5,12]", "f32[2,5,4]", "f32[2,5,4]"),
         CALL(ATTENTION_GRAD, .i = {2}), "", "f32[2,5,12]")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,12]", "f32[2,5,4]", "f32[2,5,3]"),
        CALL(ATTENTION_GRAD, .i = {2}), "", "attention_grad: y and g must be [2,5,4] "
        "(q f32[2,5,12], k f32[2,5,4], v f32[2,5,3])")
    BAD(CALL, LM_SHAPE, LIST("f32[2,5,3]", "f32[2,7,3]", "f32[2,7,3]", "f32[2,5,3]",
        "f32[2,5,3]"), CALL(ATTENTION_GRAD, .i = {0}), "",
        "attention_grad: all shapes must be equal "
        "(q f32[2,5,3], k f32[2,7,3], v f32[2,7,3], y f32[2,5,3], g f32[2,5,3])")
    GOOD(CALL, LIST("f32[5,3]", "i32[5]"), CALL(SOFTMAX_XENT, .i = {0}), "", "f32[5,1]")
    BAD(CALL, LM_SHAPE, LIST("f32[5,3]", "i32[3]"), CALL(SOFTMAX_XENT, .i = {0}), "",
        "softmax_xent: labels must be [5] (logits f32[5,3], labels i32[3])")
    BAD(CALL, LM_DTYPE, LIST("f32[5,3]", "f32[5]"), CALL(SOFTMAX_XENT, .i = {0}), "",
        "softmax_xent: labels is f32, expected i32 (logits f32[5,3], labels f32[5])")
    GOOD(CALL, LIST("f32[5,3]", "i32[5]", "f32[5,1]"), CALL(SOFTMAX_XENT_GRAD, .i = {0}),
        "", "f32[5,3]")
    BAD(CALL, LM_SHAPE, LIST("f32[5,3]", "i32[5]", "f32[5]"),
        CALL(SOFTMAX_XENT_GRAD, .i = {0}), "",
        "softmax_xent_grad: g must be [5,1] (logits f32[5,3], labels i32[5], g f32[5])")
};
/* clang-format on */

#define TABLE(cases)                                                                     \
    { cases, sizeof(cases) / sizeof *(cases) }
static const struct {
    const infer_case *cases;
    size_t count;
} tables[] = {TABLE(leaves), TABLE(shapes), TABLE(reductions), TABLE(products),
              TABLE(calls)};

/* ---- running them ------------------------------------------------------------ */

static lm_node *make_source(lm_graph *g, int index, const char *type) {
    lm_dtype dtype;
    lm_shape shape;
    char name[16];
    const char *bare = strchr(type, ' ') ? strchr(type, ' ') + 1 : type;
    parse_type(bare, &dtype, &shape);
    snprintf(name, sizeof name, "x%d", index);
    if (bare == type) return lm_input(g, name, dtype, shape);
    lm_node *param = lm_param(g, "w", 0, shape);
    if (type[0] == 'p') return param;
    return lm_make(g, LM_KIND_ASSIGN, (lm_node *[]){param, param}, 2, NULL);
}

/* Builds the case's node in a graph whose variable 0 exists. */
static lm_node *build_case(lm_graph *g, const infer_case *c) {
    lm_node *src[MAX_SRC];
    int n_src = 0;
    lm_param(g, "w", 0, LM_SHAPE(1));
    while (n_src < MAX_SRC && c->src[n_src]) {
        src[n_src] = make_source(g, n_src, c->src[n_src]);
        n_src++;
    }
    lm_dtype dtype;
    lm_shape shape;
    parse_type(c->like, &dtype, &shape);
    CHECK_OK(lm_graph_status(g));
    lm_scope_push(g, "net");
    lm_scope_push(g, "layer");
    return lm_build(g, c->kind, src, n_src, &c->attr, dtype, shape);
}

static void check_case(const infer_case *c) {
    lm_graph *g = new_graph();
    lm_node *node = build_case(g, c);
    if (c->status == LM_OK) {
        char text[128];
        CHECK_OK(lm_graph_status(g));
        assert_string_equal(type_text(node, text), c->want);
        if (node->kind == LM_KIND_ASSIGN)
            lm_graph_set_roots(g, &(lm_named_node){"", node}, 1);
        else
            lm_graph_output(g, "y", node);
        CHECK_OK(lm_verify(g)); /* constructor and verifier agree */
        lm_graph_free(g);
    } else {
        char message[512];
        snprintf(message, sizeof message, "net.layer: %s", c->want);
        assert_null(node);
        CHECK_MESSAGE(g, c->status, message);
    }
}

static void every_case_is_as_the_table_says(void **state) {
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; i < tables[t].count; i++) check_case(&tables[t].cases[i]);
}

/* Nothing is missing: each kind and composite has a rule, a printer, a description, and
 * at least one good and one bad case. */
static void every_kind_is_covered(void **state) {
    int good[LM_KIND_COUNT + LM_COMP_COUNT] = {0},
                             bad[LM_KIND_COUNT + LM_COMP_COUNT] = {0};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            const infer_case *c = &tables[t].cases[i];
            int slot = (int)c->kind;
            int which = c->attr.call.composite;
            if (c->kind == LM_KIND_CALL && which < LM_COMP_COUNT)
                slot = LM_KIND_COUNT + which;
            (c->status == LM_OK ? good : bad)[slot]++;
        }
    for (int k = 0; k < LM_KIND_COUNT; k++) {
        const lm_kind_info *info = lm_kind_get((lm_kind)k);
        if (!lm_kind_rules[k].infer) fail_msg("%s: no inference", info->text);
        if (!lm_attr_printers[k]) fail_msg("%s: no printer", info->text);
        if (strlen(info->doc) < 8) fail_msg("%s: no description", info->text);
        if (k != LM_KIND_CALL && !good[k]) fail_msg("%s: no good case", info->text);
        if (!bad[k]) fail_msg("%s: no bad case", info->text);
    }
    for (int c = 0; c < LM_COMP_COUNT; c++)
        if (!good[LM_KIND_COUNT + c] || !bad[LM_KIND_COUNT + c])
            fail_msg("%s: no good or no bad case", lm_composite_text((lm_composite)c));
}

/* ---- elementwise codes ------------------------------------------------------- */

/* The element types that a code accepts, written down once more. */
static bool accepts(lm_ew code, lm_dtype dtype) {
    switch (code) {
    case LM_EW_LT:
    case LM_EW_LE:
    case LM_EW_EQ:
    case LM_EW_CAST:
    case LM_EW_STOP:
        return true;
    case LM_EW_AND:
    case LM_EW_OR:
    case LM_EW_NOT:
        return dtype == LM_U8;
    case LM_EW_ADD:
    case LM_EW_SUB:
    case LM_EW_MUL:
    case LM_EW_MAX:
    case LM_EW_MIN:
        return dtype == LM_F32 || dtype == LM_I32;
    default:
        return dtype == LM_F32;
    }
}

static void elementwise_codes_accept_their_types(void **state) {
    static const lm_dtype dtypes[] = {LM_F32, LM_I32, LM_U32, LM_U8};
    for (int code = 0; code < LM_EW_COUNT; code++)
        for (int d = 0; d < 4; d++) {
            if (code == LM_EW_WHERE) continue; /* mixed types: in the table */
            const lm_ew_info *info = lm_ew_get((lm_ew)code);
            lm_graph *g = new_graph();
            lm_node *x = lm_input(g, "x", dtypes[d], LM_SHAPE(3, 2));
            lm_attr attr = {.ew = {code, 0}};
            lm_node *y = lm_build(g, LM_KIND_EW, (lm_node *[]){x, x, x}, info->arity,
                                  &attr, LM_F32, LM_SCALAR);
            if (!!y != accepts((lm_ew)code, dtypes[d]))
                fail_msg("%s of %s", info->text, lm_dtype_name(dtypes[d]));
            lm_dtype want = info->mask ? LM_U8 : code == LM_EW_CAST ? LM_F32 : dtypes[d];
            if (y) {
                assert_int_equal(y->dtype, want);
                assert_true(lm_shape_equal(y->shape, x->shape));
            } else {
                CHECK_FAILS(lm_graph_status(g), LM_DTYPE);
            }
            lm_graph_free(g);
        }
}

/* ---- composites -------------------------------------------------------------- */

/* The body of each good call has the call's type, is made of plain kinds, carries its
 * label, and passes the verifier. */
static void bodies_have_the_type_of_their_call(void **state) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (calls[i].status != LM_OK) continue;
        lm_graph *g = new_graph();
        lm_node *call = build_case(g, &calls[i]);
        lm_scope_pop(g);
        lm_scope_pop(g);
        int before = lm_graph_size(g), count;
        lm_node *body = lm_call_body(g, call), **nodes;
        CHECK_OK(lm_graph_status(g));
        char want[128], have[128];
        assert_string_equal(type_text(body, have), type_text(call, want));
        lm_graph_output(g, "y", body);
        CHECK_OK(lm_verify(g));
        CHECK_OK(lm_topological(g, &nodes, &count));
        for (int n = 0; n < count; n++) {
            assert_int_not_equal(nodes[n]->kind, LM_KIND_CALL);
            if ((int)nodes[n]->id >= before)
                assert_string_equal(nodes[n]->label, "net.layer");
        }
        lm_free(nodes);
        lm_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_as_the_table_says),
        cmocka_unit_test(every_kind_is_covered),
        cmocka_unit_test(elementwise_codes_accept_their_types),
        cmocka_unit_test(bodies_have_the_type_of_their_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
