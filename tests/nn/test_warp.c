/* Affine maps of images: against PyTorch's grid_sample, and how random ones are drawn. */
#include "golden/program.h"

#include "graph/grad.h"
#include "nn/warp.h"

static void agrees_with_pytorch(void **state) {
    const golden_backend *backend = *state;
    lm_safetensors file;
    lm_graph *g;
    lm_engine *engine;
    lm_program *program;
    golden_open(&file, "classifier.safetensors");
    const lm_st_entry *x = golden_find(&file, "warp/", "x");
    const lm_st_entry *maps = golden_find(&file, "warp/", "maps");
    CHECK_OK(lm_graph_new(&g));
    lm_node *images = lm_input(g, "x", LM_F32, x->shape), *slope;
    lm_node *y = lm_warp(g, images, lm_input(g, "maps", LM_F32, maps->shape));
    CHECK_OK(lm_grad(g, y, lm_input(g, "g", LM_F32, x->shape), 1, &images, &slope));
    lm_graph_output(g, "y", y);
    lm_graph_output(g, "dx", slope);
    CHECK_OK(lm_engine_new(backend->name, &engine));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    lm_graph_free(g);
    golden_set(program, "x", x);
    golden_set(program, "maps", maps);
    golden_set(program, "g", golden_find(&file, "warp/", "g"));
    CHECK_OK(lm_program_run(program));
    golden_check_output(program, backend, "y", golden_find(&file, "warp/", "y"));
    golden_check_output(program, backend, "dx", golden_find(&file, "warp/", "dx"));
    lm_program_free(program);
    lm_engine_free(engine);
    lm_safetensors_release(&file);
}

enum { IMAGES = 400, SIDE = 9 };

/* Images whose value is the row, or the column, through random maps. */
static void draw(const lm_warp_spec *spec, bool rows, uint32_t step, float *seen) {
    const uint32_t key[4] = {3, 0, step, 0};
    lm_graph *g;
    lm_engine *engine;
    lm_program *program;
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g, .key = lm_input(g, "key", LM_U32, LM_SHAPE(4))};
    lm_node *x = lm_iota(g, LM_F32, LM_SHAPE(IMAGES, SIDE, SIDE, 1), rows ? 1 : 2);
    lm_graph_output(g, "y", lm_nn_warp(&nn, x, spec));
    CHECK_OK(lm_engine_new("cpu", &engine));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    lm_graph_free(g);
    if (lm_program_has_input(program, "key"))
        CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "y", LM_F32, seen, IMAGES * SIDE * SIDE));
    lm_program_free(program);
    lm_engine_free(engine);
}

static float at(const float *images, int i, int row, int col) {
    return images[(i * SIDE + row) * SIDE + col];
}

/* Only the middle's place tells a shift; it goes as far as was asked, in both
 * directions, and is an own one for each image and step. */
static void shifts_are_within_their_range(void **state) {
    static float seen[IMAGES * SIDE * SIDE], later[IMAGES * SIDE * SIDE];
    const lm_warp_spec spec = {.shift = 1.5};
    float least = 0, most = 0;
    draw(&spec, true, 0, seen);
    for (int i = 0; i < IMAGES; i++) {
        float moved = at(seen, i, 4, 4) - 4;
        assert_true(fabsf(moved) <= 1.5F + 1e-5F);
        assert_true(fabsf(at(seen, i, 5, 0) - at(seen, i, 4, 8) - 1) < 1e-4F);
        least = fminf(least, moved);
        most = fmaxf(most, moved);
    }
    assert_true(least < -1.4F && most > 1.4F);
    draw(&spec, true, 1, later);
    assert_memory_not_equal(seen, later, sizeof seen);
    draw(&spec, true, 0, later);
    assert_memory_equal(seen, later, sizeof seen);
}

/* Turning by 90 degrees at most; lengths stay. */
static void turns_keep_lengths(void **state) {
    static float rows[IMAGES * SIDE * SIDE], cols[IMAGES * SIDE * SIDE];
    const lm_warp_spec spec = {.rotate = 90};
    bool left = false, right = false;
    draw(&spec, true, 0, rows);
    draw(&spec, false, 0, cols);
    for (int i = 0; i < IMAGES; i++) {
        float dy = at(rows, i, 4, 5) - 4, dx = at(cols, i, 4, 5) - 4;
        assert_true(fabsf(dy * dy + dx * dx - 1) < 1e-4F);
        assert_true(fabsf(at(rows, i, 4, 4) - 4) < 1e-4F && dx > -1e-4F);
        left = left || dy < -0.9F;
        right = right || dy > 0.9F;
    }
    assert_true(left && right);
}

static void nothing_to_do_is_nothing(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g};
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(1, 2, 2, 1));
    assert_ptr_equal(lm_nn_warp(&nn, x, &(lm_warp_spec){0}), x);
    assert_null(lm_warp(g, x, lm_input(g, "maps", LM_F32, LM_SHAPE(2, 6))));
    CHECK_FAILS(lm_graph_status(g), LM_SHAPE);
    assert_non_null(strstr(lm_message(), "maps[N,6]"));
    lm_graph_free(g);
    CHECK_OK(lm_graph_new(&g));
    x = lm_input(g, "x", LM_F32, LM_SHAPE(1 << 15, 32, 32, 1));
    assert_null(lm_warp(g, x, lm_input(g, "maps", LM_F32, LM_SHAPE(1 << 15, 6))));
    CHECK_FAILS(lm_graph_status(g), LM_SHAPE);
    lm_graph_free(g);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        {"ref agrees with pytorch", agrees_with_pytorch, NULL, NULL, ref},
        {"cpu agrees with pytorch", agrees_with_pytorch, NULL, NULL, cpu},
        cmocka_unit_test(shifts_are_within_their_range),
        cmocka_unit_test(turns_keep_lengths),
        cmocka_unit_test(nothing_to_do_is_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
