/* Augmentation in the graph: values and gradients against PyTorch given the same numbers;
 * how often each choice is drawn; what is drawn for whom. */
#include "golden/program.h"

#include "graph/grad.h"
#include "nn/diffaugment.h"

/* ---- PyTorch ----------------------------------------------------------------- */

static void check_policy(const lm_safetensors *file, const golden_backend *backend,
                         const char *name, const char *policy) {
    char prefix[128];
    unsigned parts;
    lm_graph *g;
    lm_engine *engine;
    lm_program *program;
    const lm_st_entry *x = golden_find(file, name, "/x");
    const lm_st_entry *numbers = golden_find(file, name, "/numbers");
    snprintf(prefix, sizeof prefix, "%s/%s", name, policy);
    CHECK_OK(lm_diffaugment_parse(policy, &parts));
    CHECK_OK(lm_graph_new(&g));
    lm_node *images = lm_input(g, "x", LM_F32, x->shape), *slope;
    lm_node *seed = lm_input(g, "g", LM_F32, x->shape);
    lm_node *y =
        lm_diffaugment(g, images, parts, lm_input(g, "numbers", LM_F32, numbers->shape));
    CHECK_OK(lm_grad(g, y, seed, 1, &images, &slope));
    lm_graph_output(g, "y", y);
    lm_graph_output(g, "dx", slope);
    CHECK_OK(lm_engine_new(backend->name, &engine));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    lm_graph_free(g);
    golden_set(program, "x", x);
    golden_set(program, "numbers", numbers);
    golden_set(program, "g", golden_find(file, name, "/g"));
    CHECK_OK(lm_program_run(program));
    golden_check_output(program, backend, "y", golden_find(file, prefix, "/y"));
    golden_check_output(program, backend, "dx", golden_find(file, prefix, "/dx"));
    lm_program_free(program);
    lm_engine_free(engine);
}

static void agrees_with_pytorch(void **state) {
    static const char *const policies[] = {"color", "translation", "cutout",
                                           "color,translation,cutout"};
    lm_safetensors file;
    golden_open(&file, "diffaugment.safetensors");
    for (int b = 0; b < GOLDEN_BACKENDS; b++)
        for (size_t p = 0; p < sizeof policies / sizeof *policies; p++) {
            check_policy(&file, &golden_backends[b], "wide", policies[p]);
            check_policy(&file, &golden_backends[b], "grey", policies[p]);
        }
    lm_safetensors_release(&file);
}

/* ---- drawn ------------------------------------------------------------------- */

enum { IMAGES = 1800, SIDE = 8, PIXELS = SIDE * SIDE };

typedef lm_node *layer(lm_nn *nn, lm_node *x, unsigned parts);

/* The same images, augmented twice in one program, and by the key of a step. */
static void draw(layer *build, unsigned parts, uint32_t step, const float *x,
                 float *first, float *second) {
    lm_graph *g;
    lm_engine *engine;
    lm_program *program;
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g, .key = lm_input(g, "key", LM_U32, LM_SHAPE(4))};
    lm_node *images = lm_input(g, "x", LM_F32, LM_SHAPE(IMAGES, SIDE, SIDE, 1));
    lm_graph_output(g, "first", build(&nn, images, parts));
    lm_graph_output(g, "second", build(&nn, images, parts));
    CHECK_OK(lm_engine_new("cpu", &engine));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    lm_graph_free(g);
    const uint32_t key[4] = {42, 0, step, 0};
    CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_set(program, "x", LM_F32, x, IMAGES * PIXELS));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "first", LM_F32, first, IMAGES * PIXELS));
    CHECK_OK(lm_program_get(program, "second", LM_F32, second, IMAGES * PIXELS));
    lm_program_free(program);
    lm_engine_free(engine);
}

static lm_node *build_flip(lm_nn *nn, lm_node *x, unsigned parts) {
    return lm_nn_flip(nn, x);
}

static float x[IMAGES * PIXELS], first[IMAGES * PIXELS], second[IMAGES * PIXELS];

/* Every pixel of an image is another number, and no image has a 0. */
static int fill_images(void **state) {
    for (int i = 0; i < IMAGES * PIXELS; i++) x[i] = 0.5f + (float)(i % PIXELS) / PIXELS;
    return 0;
}

/* Five deviations of a chi square from its mean: less than once in a million. */
static void check_even(const char *what, const int *found, int choices) {
    double expected = (double)IMAGES / choices, sum = 0;
    for (int i = 0; i < choices; i++)
        sum += (found[i] - expected) * (found[i] - expected) / expected;
    if (fabs(sum - (choices - 1)) > 5 * sqrt(2.0 * (choices - 1)))
        fail_msg("%s: chi square %g of %d choices", what, sum, choices);
}

static void expect_moved(const float *image, int down, int right) {
    for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++) {
            int y = r + down, z = c + right;
            bool inside = y >= 0 && y < SIDE && z >= 0 && z < SIDE;
            float want = inside ? x[y * SIDE + z] : 0;
            assert_true(image[r * SIDE + c] == want);
        }
}

/* 8 pixels: by one at most; nine shifts, which the middle pixel tells apart. */
static void shifts_are_even(void **state) {
    int found[9] = {0}, middle = 4 * SIDE + 4;
    draw(lm_nn_diffaugment, LM_DIFFAUGMENT_TRANSLATION, 0, x, first, second);
    for (int i = 0; i < IMAGES; i++) {
        const float *image = first + i * PIXELS;
        int at = (int)((image[middle] - 0.5f) * PIXELS);
        int down = at / SIDE - 4, right = at % SIDE - 4;
        assert_true(down >= -1 && down <= 1 && right >= -1 && right <= 1);
        expect_moved(image, down, right);
        found[(down + 1) * 3 + right + 1]++;
    }
    check_even("shifts", found, 9);
}

/* Rows and columns of a square of 4 whose middle is one of 9 by 9 corners of pixels. */
static void cutouts_are_even(void **state) {
    int found[2][9] = {{0}};
    draw(lm_nn_diffaugment, LM_DIFFAUGMENT_CUTOUT, 0, x, first, second);
    for (int i = 0; i < IMAGES; i++) {
        const float *image = first + i * PIXELS;
        int low[2] = {SIDE, SIDE}, high[2] = {-1, -1}, cut = 0;
        for (int p = 0; p < PIXELS; p++) {
            int at[2] = {p / SIDE, p % SIDE};
            if (image[p] == x[p]) continue;
            assert_true(image[p] == 0);
            cut++;
            for (int a = 0; a < 2; a++) {
                if (at[a] < low[a]) low[a] = at[a];
                if (at[a] > high[a]) high[a] = at[a];
            }
        }
        assert_int_equal(cut, (high[0] - low[0] + 1) * (high[1] - low[1] + 1));
        for (int a = 0; a < 2; a++) /* the middle from the end that is inside */
            found[a][low[a] > 0 ? low[a] + 2 : high[a] - 1]++;
    }
    check_even("rows of cutouts", found[0], 9);
    check_even("columns of cutouts", found[1], 9);
}

/* Of grey images only brightness b and contrast c are seen: x to c (x - mean) + mean + b.
 */
static void colors_are_even(void **state) {
    enum { BINS = 10 };
    int bright[BINS] = {0}, contrast[BINS] = {0};
    draw(lm_nn_diffaugment, LM_DIFFAUGMENT_COLOR, 0, x, first, second);
    for (int i = 0; i < IMAGES; i++) {
        const float *image = first + i * PIXELS;
        double mean = 0, before = 0;
        for (int p = 0; p < PIXELS; p++) mean += image[p], before += x[p];
        double b = (mean - before) / PIXELS + 0.5;
        double c = (image[PIXELS - 1] - image[0]) / (x[PIXELS - 1] - x[0]) - 0.5;
        assert_true(b > -1e-5 && b < 1 + 1e-5 && c > -1e-5 && c < 1 + 1e-5);
        bright[(int)fmin(fmax(b, 0) * BINS, BINS - 1)]++;
        contrast[(int)fmin(fmax(c, 0) * BINS, BINS - 1)]++;
    }
    check_even("brightness", bright, BINS);
    check_even("contrast", contrast, BINS);
}

static void flips_are_even(void **state) {
    int found[2] = {0};
    draw(build_flip, 0, 0, x, first, second);
    for (int i = 0; i < IMAGES; i++) {
        const float *image = first + i * PIXELS;
        int flipped = image[0] != x[0];
        for (int p = 0; p < PIXELS; p++) {
            int from = flipped ? p / SIDE * SIDE + SIDE - 1 - p % SIDE : p;
            assert_true(image[p] == x[from]);
        }
        found[flipped]++;
    }
    check_even("flips", found, 2);
}

static int count_equal(const float *a, const float *b) {
    int equal = 0;
    for (int i = 0; i < IMAGES; i++)
        equal += memcmp(a + i * PIXELS, b + i * PIXELS, PIXELS * sizeof *a) == 0;
    return equal;
}

/* Real and generated images are augmented apart, each step anew, and again alike. */
static void each_call_and_step_draws_its_own(void **state) {
    static float next[IMAGES * PIXELS], again[IMAGES * PIXELS];
    draw(lm_nn_diffaugment, 7, 0, x, first, second);
    assert_int_equal(count_equal(first, second), 0);
    draw(lm_nn_diffaugment, 7, 1, x, next, second);
    assert_int_equal(count_equal(first, next), 0);
    draw(lm_nn_diffaugment, 7, 0, x, again, second);
    assert_int_equal(count_equal(first, again), IMAGES);
    draw(lm_nn_diffaugment, 0, 0, x, again, second);
    assert_int_equal(count_equal(x, again), IMAGES);
}

/* ---- wrong use --------------------------------------------------------------- */

static void parses_policies(void **state) {
    static const char *const bad[] = {
        "colour",      "color,",        ",color",
        "color,color", "color, cutout", "translation cutout",
        "cut",         "cutout,,color", ","};
    unsigned parts = 9;
    CHECK_OK(lm_diffaugment_parse("", &parts));
    assert_int_equal(parts, 0);
    CHECK_OK(lm_diffaugment_parse("cutout,color", &parts));
    assert_int_equal(parts, LM_DIFFAUGMENT_CUTOUT | LM_DIFFAUGMENT_COLOR);
    CHECK_OK(lm_diffaugment_parse("color,translation,cutout", &parts));
    assert_int_equal(parts, 7);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_diffaugment_parse(bad[i], &parts), LM_ARG);
}

static void expect_failure(lm_node *(*build)(lm_graph *g)) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    assert_null(build(g));
    CHECK_FAILS(lm_graph_status(g), LM_SHAPE);
    lm_graph_free(g);
}

static lm_node *augment_rows(lm_graph *g) {
    return lm_diffaugment(g, lm_input(g, "x", LM_F32, LM_SHAPE(3, 4)), 7,
                          lm_input(g, "u", LM_F32, LM_SHAPE(3, 7)));
}

static lm_node *augment_by_few(lm_graph *g) {
    return lm_diffaugment(g, lm_input(g, "x", LM_F32, LM_SHAPE(3, 4, 4, 1)), 7,
                          lm_input(g, "u", LM_F32, LM_SHAPE(3, 6)));
}

static lm_node *flip_by_few(lm_graph *g) {
    return lm_flip(g, lm_input(g, "x", LM_F32, LM_SHAPE(3, 4, 4, 1)),
                   lm_input(g, "u", LM_F32, LM_SHAPE(2)));
}

static void refuses_other_shapes(void **state) {
    expect_failure(augment_rows);
    expect_failure(augment_by_few);
    expect_failure(flip_by_few);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_pytorch),
        cmocka_unit_test(shifts_are_even),
        cmocka_unit_test(cutouts_are_even),
        cmocka_unit_test(colors_are_even),
        cmocka_unit_test(flips_are_even),
        cmocka_unit_test(each_call_and_step_draws_its_own),
        cmocka_unit_test(parses_policies),
        cmocka_unit_test(refuses_other_shapes),
    };
    return cmocka_run_group_tests(tests, fill_images, NULL);
}
