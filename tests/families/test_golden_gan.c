/* Small pairs of adversarial networks against PyTorch: both losses, every gradient,
 * penalties with theirs, what is logged, and three steps of each phase with Adam. */
#include "golden_model.h"

#include "families/gan.h"
#include "nn/optim.h"

#define PAIR "z=2 base=2 embed=3 "

static const golden_case cases[] = {
#define CASE(AT, H, W, C, SETTINGS)                                                      \
    {                                                                                    \
        &lm_family_gan, "gan.safetensors", AT "/", PAIR SETTINGS, {                      \
            H, W, C, 4                                                                   \
        }                                                                                \
    }
    CASE("minimax", 10, 9, 1, "loss=minimax"),
    CASE("non-saturating", 10, 9, 1, "loss=non-saturating"),
    CASE("least-squares", 10, 9, 1, "loss=least-squares"),
    CASE("hinge", 10, 9, 1, "loss=hinge"),
    CASE("wasserstein", 10, 9, 1, "loss=wasserstein"),
    CASE("minimax.smooth", 10, 9, 1, "loss=minimax smoothing=0.25"),
    CASE("non-saturating.smooth", 10, 9, 1, "smoothing=0.25"),
    CASE("least-squares.smooth", 10, 9, 1, "loss=least-squares smoothing=0.25"),
    CASE("deep", 16, 15, 1, ""),
    CASE("plain", 9, 16, 2, "g-norm=none d-norm=none g-act=silu d-act=relu loss=hinge"),
    CASE("gp.two", 16, 15, 1, "g-norm=instance d-norm=layer loss=wasserstein gp=10"),
    CASE("gp.one", 16, 15, 1,
         "g-norm=layer d-norm=none d-act=silu loss=wasserstein gp=5 gp-sided=one"),
    CASE("r1", 16, 15, 1, "d-norm=instance r1=2.5"),
    CASE("r2", 16, 15, 1, "d-norm=none loss=least-squares r2=0.5"),
    CASE("projection", 16, 15, 1,
         "d-norm=layer loss=hinge gp=2 r1=0.5 r2=1 conditional=on"),
    CASE("map", 10, 9, 1, "d-norm=none r1=1 conditional=on d-labels=map"),
};
enum { CASES = sizeof cases / sizeof *cases };

static const golden_case steps =
    CASE("steps", 10, 9, 1,
         "d-norm=none d-act=silu conditional=on gp=4 r1=1 r2=0.5 "
         "penalty-every=2");
#undef CASE

/* ---- losses and gradients ---------------------------------------------------- */

/* Whatever the graph declares and the file knows. */
static void check_outputs(golden_model *b) {
    const char *name;
    for (int i = 0; (name = lm_program_output_name(b->program, i)) != NULL; i++) {
        char full[128];
        snprintf(full, sizeof full, "%s%s", b->at, name);
        const lm_st_entry *entry = lm_safetensors_find(&b->file, full);
        if (entry) golden_check_output(b, name, entry);
    }
}

/* What the file has a number of is an output. */
static void check_that_all_is_logged(golden_model *b) {
    static const char *const names[] = {
        "d_real", "d_fake", "r_t", "accuracy", "diversity", "real_diversity", "penalty"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char full[128];
        lm_shape shape;
        snprintf(full, sizeof full, "%s%s", b->at, names[i]);
        bool golden = lm_safetensors_find(&b->file, full) != NULL;
        bool made = lm_program_output_shape(b->program, names[i], &shape) == LM_OK;
        if (golden != made) fail_msg("%s: golden %d, output %d", full, golden, made);
    }
}

static void check_case(const golden_backend *backend, const golden_case *which) {
    golden_model b;
    golden_model_init(&b, backend, which);
    const lm_gan_batch batch = {
        golden_input(&b, "images", LM_F32), golden_input(&b, "z", LM_F32),
        golden_input(&b, "labels", LM_I32), golden_input(&b, "share", LM_F32)};
    lm_node *loss_d = lm_gan_loss_d(b.model, &b.nn, &batch);
    lm_node *loss_g = lm_gan_loss_g(b.model, &b.nn, &batch);
    lm_graph_output(b.graph, "loss_d", loss_d);
    lm_graph_output(b.graph, "loss_g", loss_g);
    golden_add_gradients(&b, LM_GAN_DISCRIMINATOR, loss_d);
    golden_add_gradients(&b, LM_GAN_GENERATOR, loss_g);
    golden_compile(&b);
    CHECK_OK(lm_program_run(b.program));
    check_outputs(&b);
    check_that_all_is_logged(&b);
    golden_check_gradients(&b, LM_GAN_DISCRIMINATOR);
    golden_check_gradients(&b, LM_GAN_GENERATOR);
    golden_model_release(&b);
}

static void test_losses(void **state) {
    for (int i = 0; i < CASES; i++) check_case(*state, &cases[i]);
}

static void test_every_golden_case_is_compared(void **state) {
    assert_int_equal(golden_count("gan.safetensors", "/loss_d"), CASES);
}

/* ---- three steps of each phase ----------------------------------------------- */

typedef lm_node *(*phase_loss)(const lm_model *model, lm_nn *nn,
                               const lm_gan_batch *batch);

/* An input of this round: "images.0", "z.penalty.2". */
static lm_node *input_of(golden_model *b, const char *name, int round) {
    char full[64];
    snprintf(full, sizeof full, "%s.%d", name, round);
    return golden_input(b, full, LM_F32);
}

static void update(golden_model *b, int group, phase_loss loss_of, const char *z,
                   int round, int count) {
    const lm_optim_spec spec = {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-5};
    golden_next_graph(b, group);
    const lm_gan_batch batch = {input_of(b, "images", round), input_of(b, z, round),
                                golden_input(b, "labels", LM_I32),
                                input_of(b, "share", round)};
    CHECK_OK(lm_optim_adamw(&b->nn, loss_of(b->model, &b->nn, &batch), &spec));
    golden_compile(b);
    float scalars[LM_OPTIM_SCALARS];
    char name[64];
    lm_optim_scalars(&spec, count, 0x1p-10, 0, scalars);
    snprintf(name, sizeof name, "%s.step", b->nn.params->name);
    CHECK_OK(lm_program_set(b->program, name, LM_F32, scalars, LM_OPTIM_SCALARS));
    CHECK_OK(lm_program_run(b->program));
}

/* Adam counts the discriminator's updates, whichever phase makes them. */
static void test_three_steps(void **state) {
    golden_model b;
    golden_model_init(&b, *state, &steps);
    for (int i = 0; i < 3; i++) {
        update(&b, LM_GAN_DISCRIMINATOR, lm_gan_loss_d, "z.discriminator", i, 2 * i + 1);
        update(&b, LM_GAN_DISCRIMINATOR, lm_gan_loss_penalty, "z.penalty", i, 2 * i + 2);
        update(&b, LM_GAN_GENERATOR, lm_gan_loss_g, "z.generator", i, i + 1);
    }
    golden_check_weights(&b, "", "final/");
    golden_model_release(&b);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        {"ref losses", test_losses, NULL, NULL, ref},
        {"cpu losses", test_losses, NULL, NULL, cpu},
        cmocka_unit_test(test_every_golden_case_is_compared),
        {"ref three steps", test_three_steps, NULL, NULL, ref},
        {"cpu three steps", test_three_steps, NULL, NULL, cpu},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
