/* A small DDPM against PyTorch: prediction, loss, every gradient, and five AdamW steps
 * with clipping, weight decay and the running average. */
#include "golden_model.h"

#include "families/ddpm.h"
#include "nn/optim.h"

static const golden_case small = {
    &lm_family_ddpm,
    "unet.safetensors",
    "",
    "base=4 mult=1,2 blocks=1 attention=4 heads=2 groups=2 timesteps=50 schedule=cosine",
    {8, 8, 3, 0}};

static void begin(golden_model *b, const golden_backend *backend) {
    golden_model_init(b, backend, &small);
}

static lm_node *build_loss(golden_model *b) {
    lm_node *loss = lm_ddpm_loss_at(b->model, &b->nn, golden_input(b, "x", LM_F32),
                                    golden_input(b, "t", LM_I32),
                                    golden_input(b, "noise", LM_F32), NULL);
    lm_graph_output(b->graph, "loss", loss);
    return loss;
}

static void test_names(void **state) {
    golden_model b;
    begin(&b, &golden_backends[0]);
    int golden = 0;
    for (int i = 0; i < b.file.n_entries; i++)
        golden += strncmp(b.file.entries[i].name, "w/", 2) == 0;
    assert_int_equal(golden, b.params->n_slices);
    golden_model_release(&b);
}

static void test_prediction(void **state) {
    golden_model b;
    begin(&b, *state);
    lm_node *t = lm_cast(b.graph, golden_input(&b, "t", LM_I32), LM_F32);
    lm_node *x = golden_input(&b, "noisy", LM_F32);
    lm_graph_output(b.graph, "epsilon", lm_ddpm_predict(b.model, &b.nn, x, t, NULL));
    golden_compile(&b);
    CHECK_OK(lm_program_run(b.program));
    golden_check_output(&b, "epsilon", golden_tensor(&b, "epsilon"));
    golden_model_release(&b);
}

static void test_gradients(void **state) {
    golden_model b;
    begin(&b, *state);
    golden_add_gradients(&b, 0, build_loss(&b));
    golden_compile(&b);
    CHECK_OK(lm_program_run(b.program));
    golden_check_output(&b, "loss", golden_tensor(&b, "loss"));
    golden_check_gradients(&b, 0);
    golden_model_release(&b);
}

static void test_training(void **state) {
    const lm_optim_spec spec = {
        .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-5, .weight_decay = 0.02, .clip = 1};
    enum { STEPS = 5 };
    double losses[STEPS], norms[STEPS];
    golden_model b;
    begin(&b, *state);
    CHECK_OK(lm_optim_adamw(&b.nn, build_loss(&b), &spec));
    golden_compile(&b);
    for (int i = 0; i < STEPS; i++) {
        float scalars[LM_OPTIM_SCALARS];
        lm_optim_scalars(&spec, i + 1, 3e-3, 0.75, scalars);
        CHECK_OK(
            lm_program_set(b.program, "model.step", LM_F32, scalars, LM_OPTIM_SCALARS));
        CHECK_OK(lm_program_run(b.program));
        losses[i] = lm_program_scalar(b.program, "loss");
        norms[i] = lm_program_scalar(b.program, "model.grad_norm");
    }
    golden_check(b.backend->name, losses, golden_tensor(&b, "losses"),
                 b.backend->tolerance);
    golden_check(b.backend->name, norms, golden_tensor(&b, "norms"),
                 b.backend->tolerance);
    golden_check_weights(&b, "", "final/");
    golden_check_weights(&b, ".ema", "ema/");
    golden_model_release(&b);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        {"ref prediction", test_prediction, NULL, NULL, ref},
        {"cpu prediction", test_prediction, NULL, NULL, cpu},
        {"ref gradients", test_gradients, NULL, NULL, ref},
        {"cpu gradients", test_gradients, NULL, NULL, cpu},
        {"ref training", test_training, NULL, NULL, ref},
        {"cpu training", test_training, NULL, NULL, cpu},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
