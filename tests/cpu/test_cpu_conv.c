/* Every candidate of the convolutions, against the reference backend; and the choice
 * among them. */
#include "backend/cpu/conv.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "rig.h"
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

typedef struct conv_case {
    int64_t n, h, w, in, out, kernel[2];
    int stride[2], dilation, lo[2], hi[2], groups;
} conv_case;

/* clang-format off */
static const conv_case convs[] = {
    /* n   h   w  in out  kernel  stride  dil  lo      hi     groups */
    {1,  1,  1,  1,  1, {1, 1}, {1, 1}, 1, {0, 0}, {0, 0}, 1},
    {2,  5,  7,  1, 16, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 1},
    {2,  5,  7, 16,  1, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 1},
    {3, 11,  6,  3, 33, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 1},
    {2,  9,  9, 33,  3, {3, 3}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
    {2,  8,  8, 64, 64, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 1},
    {1,  8,  8, 64, 33, {1, 1}, {1, 1}, 1, {0, 0}, {0, 0}, 1},
    {2,  7,  5, 16, 64, {1, 1}, {2, 2}, 1, {0, 0}, {0, 0}, 1},
    {2,  8, 12, 16, 33, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
    {1, 13, 11,  3, 16, {3, 3}, {1, 1}, 2, {2, 2}, {2, 2}, 1},
    {1, 13, 11, 16, 16, {3, 3}, {1, 1}, 2, {1, 0}, {2, 1}, 1},
    {2,  9,  8, 33, 16, {3, 3}, {2, 2}, 1, {0, 0}, {1, 1}, 1},
    {2,  7,  7, 16, 64, {3, 3}, {1, 1}, 1, {0, 2}, {1, 0}, 1},
    {2, 10,  9, 16, 33, {5, 3}, {2, 1}, 1, {2, 0}, {1, 2}, 1},
    {2,  6,  6,  6, 10, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 2},
    {2,  6,  7, 33, 33, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 33},
    {1,  6,  7, 16, 32, {3, 3}, {2, 2}, 1, {1, 1}, {1, 1}, 16},
    {1,  8,  8, 16, 16, {3, 3}, {1, 1}, 2, {2, 2}, {2, 2}, 4},
    {1,  4,  4,  3,  3, {3, 3}, {1, 1}, 1, {3, 3}, {3, 3}, 1}, /* more than the kernel */
    {2,  7,  7,128,128, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 1},
    {2, 16, 16, 32, 64, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
    {3, 13, 18, 70,  5, {4, 4}, {2, 2}, 1, {1, 0}, {0, 1}, 1},
    {2, 21, 11,  5, 33, {4, 4}, {2, 2}, 1, {2, 3}, {1, 2}, 1},
    {65, 7,  9, 16, 17, {4, 3}, {2, 2}, 1, {3, 1}, {3, 0}, 1},
    {1,  9, 10, 12, 20, {2, 4}, {2, 2}, 1, {0, 2}, {1, 0}, 1},
    {2,  8,  7,  2, 40, {1, 3}, {2, 2}, 1, {0, 0}, {0, 1}, 1},
    {2, 17, 14,  2, 37, {3, 3}, {3, 3}, 1, {1, 2}, {0, 1}, 1},
    {2, 10, 19, 47,  4, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
    {2, 12,  9,  4, 19, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
    {3,  4,  4, 65,  1, {4, 4}, {1, 1}, 1, {0, 0}, {0, 0}, 1},
    {2, 12, 33, 49,  3, {3, 5}, {1, 1}, 1, {1, 2}, {1, 2}, 1},
    {2, 33, 12,  3, 49, {5, 3}, {1, 2}, 1, {0, 1}, {2, 0}, 1},
    {1, 31,  5,  7, 16, {3, 2}, {4, 3}, 1, {5, 3}, {4, 5}, 1}, /* zeros alone, gaps */
    {9, 14, 15, 32, 48, {3, 3}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
    {1, 29, 30, 10, 80, {2, 3}, {1, 2}, 1, {0, 1}, {1, 0}, 1},
    {14,28, 27,  5,129, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1}, /* tiles of all edges */
    {2,  3, 12, 33, 16, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
};
/* clang-format on */
enum { N_CONVS = sizeof convs / sizeof *convs };

static lm_conv_attr attr_of(const conv_case *c) {
    lm_conv_attr attr = {.groups = c->groups};
    for (int i = 0; i < 2; i++) {
        attr.stride[i] = c->stride[i];
        attr.dilation[i] = c->dilation;
        attr.pad_lo[i] = c->lo[i];
        attr.pad_hi[i] = c->hi[i];
    }
    return attr;
}

static int64_t extent(const conv_case *c, int axis, int64_t size) {
    int64_t span = (c->kernel[axis] - 1) * c->dilation + 1;
    return (size + c->lo[axis] + c->hi[axis] - span) / c->stride[axis] + 1;
}

static lm_shape shape_of(const conv_case *c, char what) {
    if (what == 'x') return LM_SHAPE(c->n, c->h, c->w, c->in);
    if (what == 'w')
        return LM_SHAPE(c->out, c->kernel[0], c->kernel[1], c->in / c->groups);
    return LM_SHAPE(c->n, extent(c, 0, c->h), extent(c, 1, c->w), c->out);
}

/* ---- candidates -------------------------------------------------------------- */

static lm_node *make_node(rig *r, const conv_case *c, lm_dnnl_pass pass, bool bias) {
    lm_conv_attr attr = attr_of(c);
    if (pass == LM_DNNL_FORWARD) {
        lm_node *x = rig_input(r, shape_of(c, 'x')), *w = rig_input(r, shape_of(c, 'w'));
        lm_node *b = bias ? rig_input(r, LM_SHAPE(c->out)) : NULL;
        return lm_conv(r->graph, x, w, b, &attr);
    }
    lm_node *y = rig_input(r, shape_of(c, 'y'));
    bool back_data = pass == LM_DNNL_BACK_DATA;
    attr.size[0] = (int32_t)(back_data ? c->h : c->kernel[0]);
    attr.size[1] = (int32_t)(back_data ? c->w : c->kernel[1]);
    if (back_data)
        return lm_conv_dgrad(r->graph, y, rig_input(r, shape_of(c, 'w')), &attr);
    return lm_conv_wgrad(r->graph, rig_input(r, shape_of(c, 'x')), y, &attr);
}

static bool fits(const lm_node *node, const char *candidate) {
    if (node->kind == LM_KIND_INPUT) return false; /* nothing to compute */
    lm_dnnl_conv conv = lm_conv_describe(node);
    return lm_conv_find(candidate)->fits(&conv);
}

/* How many of the cases it fits. */
static int check_candidate(rig *r, const char *name, double tolerance) {
    int count = 0;
    CHECK_OK(r->cpu->configure(r->cpu, &(lm_backend_options){.conv = name}));
    for (int i = 0; i < 4 * N_CONVS; i++) {
        lm_dnnl_pass pass = (lm_dnnl_pass)(i % 4 % 3);
        lm_node *node = make_node(r, &convs[i / 4], pass, i % 4 == 3);
        CHECK_OK(lm_graph_status(r->graph));
        if (fits(node, name)) {
            rig_check(r, node, tolerance);
            count++;
        }
        rig_clear(r);
    }
    return count;
}

static void test_onednn(void **state) {
    assert_true(check_candidate(*state, "onednn", 1e-12) > 100);
}

static void test_flipped(void **state) {
    assert_true(check_candidate(*state, "flipped", 1e-12) > 10);
}

static void test_narrow(void **state) {
    assert_true(check_candidate(*state, "narrow", 1e-12) > 12);
}

static void test_direct(void **state) {
    assert_true(check_candidate(*state, "direct", 1e-12) > 18);
}

static void test_winograd(void **state) {
    assert_true(check_candidate(*state, "winograd", 2e-11) > 20);
}

static void test_phases(void **state) {
    assert_true(check_candidate(*state, "phases", 1e-11) > 40);
}

/* Results of 12 MB, which are written past the cache: pixels side by side (forward, with
 * bias) and every other one, with odd edges. */
static void test_large_phases(void **state) {
    static const conv_case large[] = {
        {13, 122, 124, 2, 64, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1},
        {13, 61, 62, 64, 2, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1}};
    rig *r = *state;
    CHECK_OK(r->cpu->configure(r->cpu, &(lm_backend_options){.conv = "phases"}));
    for (int i = 0; i < 2; i++) {
        lm_node *node =
            make_node(r, &large[i], i ? LM_DNNL_BACK_DATA : LM_DNNL_FORWARD, true);
        assert_true(lm_shape_count(node->shape) * 4 >= LM_STREAM_BYTES);
        rig_check(r, node, 1e-11);
        rig_clear(r);
    }
}

/* ---- the choice -------------------------------------------------------------- */

/* 64 channels 8x8, 3x3 taps; and 4x4 taps with stride 2. */
static const conv_case plain = {2, 8, 8, 64, 64, {3, 3}, {1, 1}, 1, {1, 1}, {1, 1}, 1};
static const conv_case halved = {2, 8, 8, 64, 64, {4, 4}, {2, 2}, 1, {1, 1}, {1, 1}, 1};
/* 3x3 taps with stride 2 over more than the caches hold, and less. */
static const conv_case large = {64, 28, 28, 32, 32, {3, 3}, {2, 2}, 1, {1, 1}, {1, 1}, 1};
static const conv_case small = {8, 28, 28, 32, 32, {3, 3}, {2, 2}, 1, {1, 1}, {1, 1}, 1};

/* The name of the kernel that the backend makes for a case. */
static const char *kernel_of(rig *r, const conv_case *c, lm_dnnl_pass pass) {
    static char name[100];
    lm_kernel kernel;
    lm_node *node = make_node(r, c, pass, false);
    lm_step step = {&node, 1, node->src, 2, &node, 1, false, {0, {0}}};
    CHECK_OK(r->cpu->lower(r->cpu, &step, &kernel));
    snprintf(name, sizeof name, "%s", kernel.name);
    kernel.release(&kernel);
    rig_clear(r);
    return name;
}

static void configure(rig *r, lm_backend_options options) {
    CHECK_OK(r->cpu->configure(r->cpu, &options));
}

static void check_kernel(rig *r, const conv_case *c, lm_dnnl_pass pass,
                         const char *part) {
    const char *name = kernel_of(r, c, pass);
    if (!strstr(name, part)) fail_msg("kernel '%s', expected '%s'", name, part);
}

static void test_options_choose(void **state) {
    rig *r = *state;
    for (lm_dnnl_pass pass = 0; pass <= LM_DNNL_BACK_WEIGHTS; pass++) {
        configure(r, (lm_backend_options){0});
        check_kernel(r, &halved, pass, "winograd");
        configure(r, (lm_backend_options){.no_winograd = true});
        check_kernel(r, &plain, pass, "onednn");
        check_kernel(r, &halved, pass, "onednn");
        configure(r, (lm_backend_options){.no_winograd = true, .conv = "phases"});
        check_kernel(r, &halved, pass, "onednn");
        configure(r, (lm_backend_options){.conv = "onednn"});
        check_kernel(r, &halved, pass, "onednn");
        configure(r, (lm_backend_options){.conv = "phases"}); /* where it fits */
        check_kernel(r, &halved, pass, "phases");
        configure(r, (lm_backend_options){.conv = "auto"});
        check_kernel(r, &halved, pass, "phases");
    }
    configure(r, (lm_backend_options){0});
    check_kernel(r, &large, LM_DNNL_FORWARD, "direct");
    check_kernel(r, &large, LM_DNNL_BACK_DATA, "onednn");
    check_kernel(r, &small, LM_DNNL_FORWARD, "onednn");
    configure(r, (lm_backend_options){.conv = "flipped"});
    check_kernel(r, &plain, LM_DNNL_BACK_DATA, "flipped");
    lm_backend_options unknown = {.conv = "fliped"};
    CHECK_FAILS(r->cpu->configure(r->cpu, &unknown), LM_NOT_FOUND);
    assert_string_equal(lm_message(), "no convolution kernel 'fliped'");
    check_kernel(r, &plain, LM_DNNL_BACK_DATA, "flipped"); /* as before */
}

/* ---- measured choices -------------------------------------------------------- */

static int warnings;

static void count_warning(void *user, lm_log_level level, const char *line) {
    warnings += level == LM_LOG_WARNING;
}

/* The one file in the tuner's folder; lm_free'd by the caller. */
static char *tune_path(void) {
    char **names, *path;
    size_t count;
    CHECK_OK(lm_list_folder(scratch_folder, NULL, &names, &count));
    assert_int_equal(count, 1);
    path = lm_path_join(scratch_folder, names[0]);
    lm_names_free(names, count);
    assert_non_null(path);
    return path;
}

/* Everything is short here. */
static char text[4000];

static void read_text(const char *path) {
    void *data;
    size_t size;
    CHECK_OK(lm_file_read(path, sizeof text - 1, &data, &size));
    memcpy(text, data, size + 1);
    lm_free(data);
}

static void write_text(const char *path, const char *data, size_t size) {
    lm_writer writer;
    CHECK_OK(lm_writer_open(&writer, path));
    lm_writer_put(&writer, data, size);
    CHECK_OK(lm_writer_commit(&writer));
}

static const lm_backend_options tuned = {.tune = true, .tune_folder = scratch_folder};

/* Replaces the winner of the file's only problem. */
static void fake_winner(const char *path, const char *winner) {
    read_text(path);
    char *cut = strstr(text, " = ");
    assert_non_null(cut);
    sprintf(cut, " = %s\n", winner);
    write_text(path, text, strlen(text));
}

static void test_winners_are_remembered(void **state) {
    rig *r = *state;
    configure(r, tuned);
    char measured[100];
    snprintf(measured, sizeof measured, "%s", kernel_of(r, &halved, LM_DNNL_FORWARD));
    char *path = tune_path();
    configure(r, tuned); /* read again */
    assert_string_equal(kernel_of(r, &halved, LM_DNNL_FORWARD), measured);
    fake_winner(path, "onednn");
    configure(r, tuned);
    check_kernel(r, &halved, LM_DNNL_FORWARD, "onednn");
    fake_winner(path, "phases");
    configure(r, tuned);
    check_kernel(r, &halved, LM_DNNL_FORWARD, "phases");
    /* Without tune the file counts for nothing. */
    fake_winner(path, "onednn");
    configure(r, (lm_backend_options){.tune_folder = scratch_folder});
    check_kernel(r, &halved, LM_DNNL_FORWARD, "phases");
    assert_int_equal(warnings, 0);
    assert_int_equal(remove(path), 0);
    lm_free(path);
}

static void test_damaged_files_are_measured_again(void **state) {
    static const char *const damaged[] = {"", "\n", "limn",
                                          "limn 0, other key\nx = onednn\n"};
    rig *r = *state;
    configure(r, tuned);
    kernel_of(r, &halved, LM_DNNL_FORWARD);
    char *path = tune_path();
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged + 3; i++) {
        size_t n = sizeof damaged / sizeof *damaged;
        read_text(path);
        if (i < n)
            write_text(path, damaged[i], strlen(damaged[i]));
        else if (i == n)
            write_text(path, text, strlen(text) - 2); /* cut short */
        else if (i == n + 1)
            write_text(path, text, strlen(text) + 1); /* a NUL */
        else
            fake_winner(path, "nobody");
        warnings = 0;
        configure(r, tuned);
        assert_int_equal(warnings, 1);
        kernel_of(r, &halved, LM_DNNL_FORWARD);
        warnings = 0;
        configure(r, tuned);
        assert_int_equal(warnings, 0);
    }
    assert_int_equal(remove(path), 0);
    lm_free(path);
}

static void test_a_folder_that_cannot_be_written(void **state) {
    rig *r = *state;
    warnings = 0;
    configure(r, (lm_backend_options){.tune = true, .tune_folder = "/dev/null/x"});
    kernel_of(r, &halved, LM_DNNL_FORWARD);
    kernel_of(r, &halved, LM_DNNL_BACK_DATA);
    assert_int_equal(warnings, 1);
}

/* ---- instruction sets -------------------------------------------------------- */

static int begin(void **state) {
    lm_log_set(count_warning, NULL);
    return scratch_begin(state);
}

static const struct CMUnitTest own[] = {
    RIG_TEST(test_narrow), RIG_TEST(test_direct),       RIG_TEST(test_winograd),
    RIG_TEST(test_phases), RIG_TEST(test_large_phases),
};

/* Own kernels in another process, since the instruction set is decided once. */
static bool passes_with(const char *isa) {
    int status = 1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("LIMN_ISA", isa, 1);
        dup2(STDERR_FILENO, STDOUT_FILENO); /* the parent speaks TAP */
        _exit(cmocka_run_group_tests(own, NULL, NULL) != 0);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static bool base_passes, avx2_passes;

static void test_lower_instruction_sets(void **state) {
    assert_true(base_passes); /* else see standard error */
    assert_true(avx2_passes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower_instruction_sets),
        RIG_TEST(test_onednn),
        RIG_TEST(test_flipped),
        RIG_TEST(test_narrow),
        RIG_TEST(test_direct),
        RIG_TEST(test_winograd),
        RIG_TEST(test_phases),
        RIG_TEST(test_large_phases),
        RIG_TEST(test_options_choose),
        RIG_TEST(test_winners_are_remembered),
        RIG_TEST(test_damaged_files_are_measured_again),
        RIG_TEST(test_a_folder_that_cannot_be_written),
    };
    bool lowered = getenv("LIMN_ISA") != NULL;
    base_passes = lowered || passes_with("base");
    avx2_passes = lowered || passes_with("avx2");
    return cmocka_run_group_tests(tests, begin, scratch_end);
}
