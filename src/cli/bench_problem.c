#include "cli/bench_problem.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/options.h"
#include "graph/grad.h"

#include <math.h>
#include <string.h>

enum { MAX_FILE = 1 << 20, MAX_SOURCES = 4 };

/* ---- operators --------------------------------------------------------------- */

#define SIZE(name, standard, help)                                                       \
    { name, LM_OPT_INT, standard, 1, 1 << 24, NULL, "N", help }
#define PASS(choices)                                                                    \
    { "pass", LM_OPT_CHOICE, "forward", 0, 0, choices, NULL, "what is computed" }

static const lm_option conv_options[] = {
    SIZE("n", "1", "images"),
    SIZE("h", "1", "height of the input"),
    SIZE("w", "1", "width of the input"),
    SIZE("c", "1", "channels of the input"),
    SIZE("k", "1", "channels of the output"),
    SIZE("kernel", "3", "height and width of the kernel"),
    SIZE("stride", "1", "stride"),
    {"pad", LM_OPT_INT, "0", 0, 1 << 10, NULL, "N", "zeros on each side"},
    {"bias", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "add a bias, forward only"},
    PASS("forward|dgrad|wgrad"),
    {0}};

static const lm_option matmul_options[] = {
    SIZE("batch", "1", "products"),
    SIZE("m", "1", "rows of the result"),
    SIZE("n", "1", "columns of the result"),
    SIZE("k", "1", "terms of a sum"),
    {"ta", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "the left one lies as [k,m]"},
    {"tb", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "the right one lies as [n,k]"},
    {0}};

static const lm_option norm_options[] = {
    SIZE("n", "1", "images"),
    SIZE("h", "1", "height"),
    SIZE("w", "1", "width"),
    SIZE("c", "32", "channels"),
    SIZE("groups", "32", "groups of channels"),
    {"silu", LM_OPT_FLAG, "true", 0, 0, NULL, NULL, "SiLU after the norm"},
    PASS("forward|gradient"),
    {0}};

static const lm_option attention_options[] = {
    SIZE("n", "1", "sequences"), SIZE("t", "1", "positions"),
    SIZE("heads", "1", "heads"), SIZE("d", "64", "channels of a head"),
    PASS("forward|gradient"),    {0}};

static const lm_option ew_options[] = {SIZE("n", "1", "images"),
                                       SIZE("h", "1", "height"),
                                       SIZE("w", "1", "width"),
                                       SIZE("c", "1", "channels"),
                                       {0}};

static int64_t size_of(const lm_settings *s, const char *name) {
    return lm_setting_int(s, name);
}

static bool is_pass(const lm_settings *s, const char *pass) {
    return strcmp(lm_setting_text(s, "pass"), pass) == 0;
}

/* Several results of one problem. */
static void add_outputs(lm_graph *g, lm_node *const *nodes, int count) {
    static const char *const names[MAX_SOURCES] = {"y0", "y1", "y2", "y3"};
    for (int i = 0; i < count; i++) lm_graph_output(g, names[i], nodes[i]);
}

/* dy/dsource of all sources, or y itself. */
static void add_pass(lm_graph *g, const lm_settings *s, lm_node *y,
                     lm_node *const *sources, int count) {
    lm_node *grads[MAX_SOURCES];
    if (is_pass(s, "forward") || !y) {
        add_outputs(g, &y, 1);
        return;
    }
    lm_node *seed = lm_input(g, "dy", LM_F32, y->shape);
    if (lm_grad(g, y, seed, count, sources, grads) == LM_OK) add_outputs(g, grads, count);
}

static void build_conv(lm_graph *g, const lm_settings *s, const char *word) {
    int32_t stride = (int32_t)size_of(s, "stride"), pad = (int32_t)size_of(s, "pad");
    lm_conv_attr attr = {
        .stride = {stride, stride}, .pad_lo = {pad, pad}, .pad_hi = {pad, pad}};
    int64_t n = size_of(s, "n"), h = size_of(s, "h"), w = size_of(s, "w"),
            c = size_of(s, "c"), k = size_of(s, "k"), kernel = size_of(s, "kernel");
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(n, h, w, c));
    lm_node *weight = lm_input(g, "weight", LM_F32, LM_SHAPE(k, kernel, kernel, c));
    lm_node *bias =
        lm_setting_flag(s, "bias") ? lm_input(g, "bias", LM_F32, LM_SHAPE(k)) : NULL;
    lm_node *y = lm_conv(g, x, weight, bias, &attr);
    if (y && !is_pass(s, "forward")) {
        bool by_data = is_pass(s, "dgrad");
        lm_node *dy = lm_input(g, "dy", LM_F32, y->shape);
        attr.size[0] = (int32_t)(by_data ? h : kernel);
        attr.size[1] = (int32_t)(by_data ? w : kernel);
        y = by_data ? lm_conv_dgrad(g, dy, weight, &attr)
                    : lm_conv_wgrad(g, x, dy, &attr);
    }
    add_outputs(g, &y, 1);
}

static void build_matmul(lm_graph *g, const lm_settings *s, const char *word) {
    int64_t batch = size_of(s, "batch"), m = size_of(s, "m"), n = size_of(s, "n"),
            k = size_of(s, "k");
    bool ta = lm_setting_flag(s, "ta"), tb = lm_setting_flag(s, "tb");
    lm_shape left = ta ? LM_SHAPE(batch, k, m) : LM_SHAPE(batch, m, k),
             right = tb ? LM_SHAPE(batch, n, k) : LM_SHAPE(batch, k, n);
    lm_node *y = lm_matmul(g, lm_input(g, "a", LM_F32, left),
                           lm_input(g, "b", LM_F32, right), ta, tb);
    add_outputs(g, &y, 1);
}

static lm_shape map_shape(const lm_settings *s) {
    return LM_SHAPE(size_of(s, "n"), size_of(s, "h"), size_of(s, "w"), size_of(s, "c"));
}

static void build_norm(lm_graph *g, const lm_settings *s, const char *word) {
    lm_shape row = LM_SHAPE(size_of(s, "c"));
    lm_node *src[] = {lm_input(g, "x", LM_F32, map_shape(s)),
                      lm_input(g, "gamma", LM_F32, row),
                      lm_input(g, "beta", LM_F32, row)};
    lm_node *y = lm_group_norm(g, src[0], src[1], src[2], (int)size_of(s, "groups"), 1e-5,
                               lm_setting_flag(s, "silu"));
    add_pass(g, s, y, src, 3);
}

static void build_attention(lm_graph *g, const lm_settings *s, const char *word) {
    int64_t heads = size_of(s, "heads"), d = size_of(s, "d");
    lm_shape shape = LM_SHAPE(size_of(s, "n"), size_of(s, "t"), heads * d);
    lm_node *src[] = {lm_input(g, "q", LM_F32, shape), lm_input(g, "k", LM_F32, shape),
                      lm_input(g, "v", LM_F32, shape)};
    lm_node *y = lm_attention(g, src[0], src[1], src[2], (int)heads, 1 / sqrt((double)d));
    add_pass(g, s, y, src, 3);
}

static void build_ew(lm_graph *g, const lm_settings *s, const char *word) {
    static const char *const names[] = {"a", "b", "c"};
    lm_node *src[3], *y = NULL;
    int code = 0;
    while (code < LM_EW_COUNT && strcmp(lm_ew_get((lm_ew)code)->text, word) != 0) code++;
    if (code == LM_EW_COUNT) {
        lm_graph_fail(g, LM_ARG, "ew: no function '%s'", word);
        return;
    }
    int arity = lm_ew_get((lm_ew)code)->arity;
    for (int i = 0; i < arity; i++) src[i] = lm_input(g, names[i], LM_F32, map_shape(s));
    if (arity == 1) y = lm_ew1(g, (lm_ew)code, src[0]);
    if (arity == 2) y = lm_ew2(g, (lm_ew)code, src[0], src[1]);
    if (arity == 3) y = lm_ew3(g, (lm_ew)code, src[0], src[1], src[2]);
    add_outputs(g, &y, 1);
}

typedef struct op_row {
    const char *name, *word; /* word: what must follow the name, NULL: nothing */
    const lm_option *options;
    void (*build)(lm_graph *g, const lm_settings *settings, const char *word);
} op_row;

static const op_row operators[] = {
    {"conv", NULL, conv_options, build_conv},
    {"matmul", NULL, matmul_options, build_matmul},
    {"norm_act", NULL, norm_options, build_norm},
    {"attention", NULL, attention_options, build_attention},
    {"ew", "FUNCTION", ew_options, build_ew},
};
enum { N_OPERATORS = sizeof operators / sizeof *operators };

void bench_problem_help(lm_str *out) {
    for (int i = 0; i < N_OPERATORS; i++) {
        const op_row *op = &operators[i];
        lm_str_printf(out, "\n%s%s%s\n", op->name, op->word ? " " : "",
                      op->word ? op->word : "");
        lm_options_help(op->options, "", out);
    }
}

/* ---- lines ------------------------------------------------------------------- */

static lm_status find_operator(const char *name, const op_row **found) {
    const char *names[N_OPERATORS + 1] = {NULL};
    for (int i = 0; i < N_OPERATORS; i++) {
        names[i] = operators[i].name;
        if (strcmp(names[i], name) == 0) {
            *found = &operators[i];
            return LM_OK;
        }
    }
    const char *near = lm_nearest(name, names);
    return lm_fail(LM_ARG, "%s: no such operator%s%s", name,
                   near ? ", did you mean " : "", near ? near : "");
}

/* Cuts the first word off. */
static char *take_word(char **rest) {
    char *word = *rest + strspn(*rest, " \t");
    char *end = word + strcspn(word, " \t");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static lm_status build_with(const op_row *op, const char *word, const char *keys,
                            lm_graph *g) {
    lm_settings settings;
    LM_TRY(lm_settings_init(&settings, op->options));
    lm_status status = lm_settings_apply(&settings, keys);
    if (status == LM_OK) {
        op->build(g, &settings, word);
        status = lm_graph_status(g);
    }
    lm_settings_release(&settings);
    return status;
}

/* `text` is cut up. */
static lm_status build_line(char *text, lm_graph *g) {
    const op_row *op = NULL;
    LM_TRY(find_operator(take_word(&text), &op));
    const char *word = op->word ? take_word(&text) : NULL;
    LM_RETURN_IF(word && !*word, LM_ARG, "%s: expected '%s %s key=value ..'", op->name,
                 op->name, op->word);
    return build_with(op, word, text, g);
}

lm_status bench_problem_build(const char *line, lm_graph **graph) {
    char *text = lm_strdup(line);
    if (!text) return LM_NOMEM;
    lm_graph *g = NULL;
    lm_status status = lm_graph_new(&g);
    if (status == LM_OK) status = build_line(text, g);
    lm_free(text);
    if (status == LM_OK)
        *graph = g;
    else
        lm_graph_free(g);
    return status;
}

/* ---- files ------------------------------------------------------------------- */

/* Without comment, and spaces at both ends. */
static char *trim(char *line) {
    line[strcspn(line, "#")] = '\0';
    line += strspn(line, " \t\r");
    size_t length = strlen(line);
    while (length && strchr(" \t\r", line[length - 1])) length--;
    line[length] = '\0';
    return line;
}

lm_status bench_problem_read(const char *path, bench_problem_use *use, void *user) {
    void *data;
    size_t size;
    LM_TRY(lm_file_read(path, MAX_FILE, &data, &size));
    lm_status status = LM_OK;
    int number = 0;
    for (char *line = data, *next; line && status == LM_OK; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        number++;
        line = trim(line);
        if (*line) status = use(user, line);
        if (status != LM_OK) lm_fail_context(status, "%s:%d", path, number);
    }
    lm_free(data);
    return status;
}
