/* Class conditioning against PyTorch: the table of classes in prediction, loss and
 * gradients, and guidance in one batch of twice the size. */
#include "golden_model.h"

#include "families/ddpm.h"

static const golden_case conditional = {
    &lm_family_ddpm,
    "conditional.safetensors",
    "",
    "base=4 mult=1 blocks=1 attention=0 groups=2 timesteps=50 schedule=cosine "
    "conditional=true clip-x0=false",
    {8, 8, 3, 3}};

static void begin(golden_model *b, const golden_backend *backend) {
    golden_model_init(b, backend, &conditional);
    assert_true(b->model->conditional);
}

static void test_loss_and_gradients(void **state) {
    golden_model b;
    begin(&b, *state);
    lm_node *labels = golden_input(&b, "labels", LM_I32), *t;
    t = golden_input(&b, "t", LM_I32);
    lm_node *loss = lm_ddpm_loss_at(b.model, &b.nn, golden_input(&b, "x", LM_F32), t,
                                    golden_input(&b, "noise", LM_F32), labels);
    lm_graph_output(b.graph, "loss", loss);
    lm_node *x = golden_input(&b, "noisy", LM_F32);
    lm_graph_output(
        b.graph, "epsilon",
        lm_ddpm_predict(b.model, &b.nn, x, lm_cast(b.graph, t, LM_F32), labels));
    golden_add_gradients(&b, 0, loss);
    golden_compile(&b);
    CHECK_OK(lm_program_run(b.program));
    golden_check_output(&b, "loss", golden_tensor(&b, "loss"));
    golden_check_output(&b, "epsilon", golden_tensor(&b, "epsilon"));
    golden_check_gradients(&b, 0);
    golden_model_release(&b);
}

/* A step whose numbers make the next state the prediction. */
static void test_guidance(void **state) {
    const float scalars[LM_DDPM_SCALARS + 1] = {[LM_DDPM_T] = 7,
                                                [LM_DDPM_X0_FROM_PREDICTION] = -1,
                                                [LM_DDPM_NEXT_FROM_X0] = 1,
                                                [LM_DDPM_GUIDANCE] = 2.5f};
    golden_model b;
    begin(&b, *state);
    b.nn.train = false;
    b.nn.key = lm_input(b.graph, "key", LM_U32, LM_SHAPE(4));
    lm_node *numbers =
        lm_input(b.graph, "numbers", LM_F32, LM_SHAPE(LM_DDPM_SCALARS + 1));
    lm_node *x = golden_input(&b, "noisy", LM_F32);
    lm_graph_output(b.graph, "guided",
                    lm_ddpm_sample_step(b.model, &b.nn, x, numbers,
                                        golden_input(&b, "labels", LM_I32)));
    golden_compile(&b);
    CHECK_OK(lm_program_set(b.program, "numbers", LM_F32, scalars, LM_DDPM_SCALARS + 1));
    CHECK_OK(lm_program_set(b.program, "key", LM_U32, (uint32_t[4]){0}, 4));
    CHECK_OK(lm_program_run(b.program));
    golden_check_output(&b, "guided", golden_tensor(&b, "guided"));
    golden_model_release(&b);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        {"ref loss and gradients", test_loss_and_gradients, NULL, NULL, ref},
        {"cpu loss and gradients", test_loss_and_gradients, NULL, NULL, cpu},
        {"ref guidance", test_guidance, NULL, NULL, ref},
        {"cpu guidance", test_guidance, NULL, NULL, cpu},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
