/* The phases of adversarial training: whose weights and buffers each of them moves, which
 * of them a model has, how noise fades, and that no two draw the same. */
#include "testing.h"

#include "exec/exec.h"
#include "families/gan.h"
#include "nn/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 4, SIDE = 8, CLASSES = 3 };
enum { PHASE_D, PHASE_PENALTY, PHASE_G };

/* A model with its variables as training has them, and the program of one phase. */
typedef struct rig {
    lm_model *model;
    lm_engine *engine;
    lm_program *program;
    int group;
} rig;

static void write_initial(rig *r, const lm_params *group, const char *var) {
    float *values = malloc(sizeof *values * (size_t)group->count);
    assert_non_null(values);
    CHECK_OK(lm_params_init(group, 3, values));
    CHECK_OK(lm_engine_add_var(r->engine, var, group->count));
    CHECK_OK(lm_engine_write_var(r->engine, var, 0, group->count, LM_F32, values));
    free(values);
}

static void add_group(rig *r, const lm_params *group) {
    static const char *const moments[] = {".m", ".v"};
    char name[64];
    write_initial(r, group, group->name);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", group->name, moments[i]);
        CHECK_OK(lm_engine_add_var(r->engine, name, group->count));
    }
    snprintf(name, sizeof name, "%s.ema", group->name);
    if (!group->no_average) write_initial(r, group, name);
}

static void set_inputs(rig *r) {
    const lm_optim_spec spec = {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8};
    uint8_t pixels[N * SIDE * SIDE];
    int32_t labels[N] = {2, -1, 0, 1};
    float scalars[LM_OPTIM_SCALARS];
    char name[64];
    for (int i = 0; i < N * SIDE * SIDE; i++) pixels[i] = (uint8_t)(i * 37 % 256);
    if (lm_program_has_input(r->program, "images"))
        CHECK_OK(lm_program_set(r->program, "images", LM_U8, pixels, sizeof pixels));
    if (lm_program_has_input(r->program, "labels"))
        CHECK_OK(lm_program_set(r->program, "labels", LM_I32, labels, N));
    lm_optim_scalars(&spec, 1, 0.01, 0.5, scalars);
    snprintf(name, sizeof name, "%s.step", r->model->groups[r->group]->name);
    CHECK_OK(lm_program_set(r->program, name, LM_F32, scalars, LM_OPTIM_SCALARS));
}

static void rig_open(rig *r, const char *settings, int phase) {
    const lm_optim_spec spec = {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8};
    const lm_image_info info = {SIDE, SIDE, 1, CLASSES};
    lm_settings values;
    lm_graph *g;
    CHECK_OK(lm_settings_init(&values, lm_family_gan.options));
    CHECK_OK(lm_settings_apply(&values, "z=3 base=2"));
    CHECK_OK(lm_settings_apply(&values, settings));
    CHECK_OK(lm_model_open(&lm_family_gan, &values, &info, &r->model));
    CHECK_OK(lm_engine_new("ref", &r->engine));
    for (int i = 0; i < r->model->n_groups; i++) add_group(r, r->model->groups[i]);
    if (r->model->buffers) write_initial(r, r->model->buffers, r->model->buffers->name);
    r->group = lm_family_gan.phases[phase].group;
    lm_params *group = r->model->groups[r->group];
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g,
                .params = group,
                .var = group->name,
                .buffers = r->model->buffers,
                .train = true,
                .key = lm_input(g, "key", LM_U32, LM_SHAPE(4))};
    lm_node *images = lm_input(g, "images", LM_U8, LM_SHAPE(N, SIDE, SIDE, 1));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(N));
    lm_node *loss = lm_family_gan.phases[phase].loss(r->model, &nn, images, labels);
    lm_graph_output(g, "loss", loss);
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_optim_adamw(&nn, loss, &spec));
    CHECK_OK(lm_compile(r->engine, g, NULL, &r->program));
    lm_graph_free(g);
    set_inputs(r);
}

static double run_at(rig *r, uint32_t step) {
    const uint32_t key[4] = {5, 0, step, 0};
    CHECK_OK(lm_program_set(r->program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_run(r->program));
    return lm_program_scalar(r->program, "loss");
}

static void rig_close(rig *r) {
    lm_program_free(r->program);
    lm_engine_free(r->engine);
    lm_model_close(r->model);
}

/* ---- whose weights move ------------------------------------------------------ */

/* Values of `var`, to be freed. */
static double *read_var(rig *r, const char *var, int64_t count) {
    double *values = malloc(sizeof *values * (size_t)count);
    assert_non_null(values);
    CHECK_OK(lm_engine_read_var(r->engine, var, 0, count, LM_F64, values));
    return values;
}

static int count_moved(const double *before, const double *after,
                       const lm_param_slice *slice) {
    int moved = 0;
    for (int64_t i = slice->offset; i < slice->offset + slice->count; i++)
        moved += before[i] != after[i];
    return moved;
}

/* One run of the phase: every slice of the group that it trains moves, and no value of
 * any other group or its moments. */
static void check_moves(const char *settings, int phase) {
    rig r;
    rig_open(&r, settings, phase);
    double *before[LM_MAX_GROUPS];
    for (int i = 0; i < r.model->n_groups; i++)
        before[i] = read_var(&r, r.model->groups[i]->name, r.model->groups[i]->count);
    run_at(&r, 1);
    for (int i = 0; i < r.model->n_groups; i++) {
        const lm_params *group = r.model->groups[i];
        double *after = read_var(&r, group->name, group->count);
        for (int s = 0; s < group->n_slices; s++) {
            int moved = count_moved(before[i], after, &group->slices[s]);
            if ((moved > 0) != (i == r.group))
                fail_msg("%s: %d values moved in phase %s, %s", group->slices[s].name,
                         moved, lm_family_gan.phases[phase].name, settings);
        }
        free(after);
        free(before[i]);
    }
    rig_close(&r);
}

static void test_phases_leave_each_other_alone(void **state) {
    static const char *const settings[] = {
        "", "d-norm=layer spectral=on conditional=true g-labels=norm",
        "d-norm=none conditional=true d-labels=map augment=color,cutout noise=0.1"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        check_moves(settings[i], PHASE_D);
        check_moves(settings[i], PHASE_G);
    }
}

/* Running statistics follow the phase that trains the generator, singular vectors that
 * which trains the discriminator. */
static void check_buffers(int phase, const char *moves) {
    rig r;
    rig_open(&r, "d-norm=none spectral=on", phase);
    const lm_params *buffers = r.model->buffers;
    double *before = read_var(&r, buffers->name, buffers->count);
    run_at(&r, 1);
    double *after = read_var(&r, buffers->name, buffers->count);
    for (int s = 0; s < buffers->n_slices; s++) {
        const lm_param_slice *slice = &buffers->slices[s];
        bool ours = strncmp(slice->name, moves, strlen(moves)) == 0;
        int moved = count_moved(before, after, slice);
        bool one = slice->count == 1; /* a unit vector of one number stays */
        if (!one && (moved > 0) != ours) fail_msg("%s: %d moved", slice->name, moved);
    }
    free(before);
    free(after);
    rig_close(&r);
}

static void test_buffers_follow_their_own_network(void **state) {
    check_buffers(PHASE_D, "discriminator.");
    check_buffers(PHASE_G, "generator.");
}

static void test_weight_clipping(void **state) {
    rig r;
    rig_open(&r, "loss=wasserstein d-norm=none weight-clip=0.0625", PHASE_D);
    const lm_params *group = r.model->groups[r.group];
    run_at(&r, 1);
    double *values = read_var(&r, group->name, group->count);
    int at_bound = 0;
    for (int64_t i = 0; i < group->count; i++) {
        assert_true(fabs(values[i]) <= 0.0625);
        at_bound += fabs(values[i]) == 0.0625;
    }
    assert_true(at_bound < group->count);
    free(values);
    rig_close(&r);
}

/* ---- which phases there are -------------------------------------------------- */

static lm_model *open_model(const char *settings) {
    lm_settings values;
    lm_model *model;
    CHECK_OK(lm_settings_init(&values, lm_family_gan.options));
    CHECK_OK(lm_settings_apply(&values, settings));
    CHECK_OK(lm_model_open(&lm_family_gan, &values, &(lm_image_info){SIDE, SIDE, 1, 3},
                           &model));
    return model;
}

static void test_rules(void **state) {
    lm_phase_rule d, p, g;
    lm_model *model = open_model("d-norm=none d-steps=5 d-rate=4 r1=1 penalty-every=16");
    assert_true(lm_family_gan.phases[PHASE_D].rule(model, &d));
    assert_true(lm_family_gan.phases[PHASE_PENALTY].rule(model, &p));
    assert_true(lm_family_gan.phases[PHASE_G].rule(model, &g));
    assert_true(d.every == 1 && d.runs == 5 && d.rate == 4);
    assert_true(p.every == 16 && p.runs == 1 && p.rate == 4);
    assert_true(g.every == 1 && g.runs == 1 && g.rate == 1);
    assert_true(model->groups[LM_GAN_DISCRIMINATOR]->no_average);
    assert_false(model->groups[LM_GAN_GENERATOR]->no_average);
    lm_model_close(model);
    model = open_model("d-norm=none r1=1");
    assert_false(lm_family_gan.phases[PHASE_PENALTY].rule(model, &p));
    lm_model_close(model);
    model = open_model("penalty-every=4");
    assert_false(lm_family_gan.phases[PHASE_PENALTY].rule(model, &p));
    lm_model_close(model);
}

/* A lazy penalty is as much stronger as it is rarer: each phase's is what all would be.
 */
static void test_lazy_penalty(void **state) {
    rig lazy, single;
    rig_open(&lazy, "d-norm=none r1=1 penalty-every=8", PHASE_PENALTY);
    double loss = run_at(&lazy, 0);
    double penalty = lm_program_scalar(lazy.program, "penalty");
    assert_true(penalty > 0 && fabs(loss - 8 * penalty) < 1e-9 * loss);
    rig_close(&lazy);
    rig_open(&single, "d-norm=none r1=1", PHASE_D);
    run_at(&single, 0);
    double same = lm_program_scalar(single.program, "penalty");
    assert_true(fabs(same - penalty) < 1e-9 * penalty);
    rig_close(&single);
}

/* ---- noise ------------------------------------------------------------------- */

/* Without noise the mean logit on real images is the same at every step. */
static double mean_on_real(rig *r, uint32_t step) {
    run_at(r, step);
    return lm_program_scalar(r->program, "d_real");
}

static void test_instance_noise_fades(void **state) {
    double clean, noisy, later;
    rig r;
    rig_open(&r, "d-norm=none", PHASE_D);
    clean = mean_on_real(&r, 0);
    rig_close(&r);
    rig_open(&r, "d-norm=none noise=0.5 noise-steps=10", PHASE_D);
    noisy = mean_on_real(&r, 0);
    rig_close(&r);
    rig_open(&r, "d-norm=none noise=0.5 noise-steps=10", PHASE_D);
    later = mean_on_real(&r, 10);
    rig_close(&r);
    assert_true(noisy != clean);
    assert_true(later == clean);
}

/* Every random stream of a phase's program. */
static int list_streams(int phase, uint32_t streams[64]) {
    lm_model *model =
        open_model("d-norm=none gp=1 penalty-every=2 noise=1 augment=color,translation");
    lm_params *group = model->groups[lm_family_gan.phases[phase].group];
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g,
                .params = group,
                .var = group->name,
                .buffers = model->buffers,
                .train = true,
                .key = lm_input(g, "key", LM_U32, LM_SHAPE(4))};
    lm_family_gan.phases[phase].loss(
        model, &nn, lm_input(g, "images", LM_U8, LM_SHAPE(N, SIDE, SIDE, 1)),
        lm_input(g, "labels", LM_I32, LM_SHAPE(N)));
    CHECK_OK(lm_graph_status(g));
    int count = 0;
    for (int i = 0; i < lm_graph_size(g); i++) {
        const lm_node *node = lm_graph_node(g, i);
        if (node->kind == LM_KIND_PHILOX && count < 64)
            streams[count++] = node->attr.stream;
    }
    lm_graph_free(g);
    lm_model_close(model);
    return count;
}

static void test_no_two_draw_the_same(void **state) {
    uint32_t streams[3 * 64];
    int count = 0;
    for (int phase = PHASE_D; phase <= PHASE_G; phase++)
        count += list_streams(phase, streams + count);
    assert_true(count > 12);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (streams[i] == streams[j]) fail_msg("stream %u twice", streams[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_leave_each_other_alone),
        cmocka_unit_test(test_buffers_follow_their_own_network),
        cmocka_unit_test(test_weight_clipping),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_lazy_penalty),
        cmocka_unit_test(test_instance_noise_fades),
        cmocka_unit_test(test_no_two_draw_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
