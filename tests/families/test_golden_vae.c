/* Small variational autoencoders against PyTorch: loss, its parts, every gradient, and
 * the image that a code is decoded to, for every likelihood. */
#include "golden_model.h"

#include "families/vae.h"

#define DENSE "net=mlp hidden=4 latent=2 mixtures=2 sigma=0.3 "
#define ROWS  "net=mlp hidden=5,4 latent=2 likelihood=bernoulli "
#define MAPS                                                                             \
    "net=conv base=2 mult=1,2,3 blocks=1 latent=3 likelihood=logistic scale=shared "

static const golden_case cases[] = {
#define COLOUR(AT, SETTINGS)                                                             \
    {                                                                                    \
        &lm_family_vae, "vae.safetensors", AT "/", DENSE SETTINGS, {                     \
            4, 3, 3, 4                                                                   \
        }                                                                                \
    }
    COLOUR("bernoulli.fixed.unit", "likelihood=bernoulli"),
    COLOUR("continuous-bernoulli.fixed.unit", "likelihood=continuous-bernoulli"),
    COLOUR("gaussian.fixed.unit", "likelihood=gaussian scale=fixed range=unit"),
    COLOUR("gaussian.shared.signed", "likelihood=gaussian scale=shared"),
    COLOUR("gaussian.pixel.signed", "likelihood=gaussian scale=pixel"),
    COLOUR("gaussian.optimal.unit", "likelihood=gaussian scale=optimal range=unit"),
    COLOUR("laplace.pixel.unit", "likelihood=laplace scale=pixel range=unit"),
    COLOUR("laplace.optimal.signed", "likelihood=laplace scale=optimal"),
    COLOUR("logistic.shared.signed", "likelihood=logistic scale=shared"),
    COLOUR("logistic.pixel.signed", "likelihood=logistic scale=pixel"),
    COLOUR("logistic-mixture.fixed.signed", "likelihood=logistic-mixture"),
#undef COLOUR
    {&lm_family_vae, "vae.safetensors", "conv/", MAPS, {7, 5, 1, 4}},
    {&lm_family_vae,
     "vae.safetensors",
     "conv.conditional/",
     MAPS "conditional=true prior=learned free-bits=0.2",
     {7, 5, 1, 4}},
    {&lm_family_vae,
     "vae.safetensors",
     "mlp.importance/",
     ROWS "samples=4 prior=learned",
     {3, 4, 1, 4}},
    {&lm_family_vae,
     "vae.safetensors",
     "mlp.conditional/",
     ROWS "samples=3 conditional=true",
     {3, 4, 1, 4}},
    {&lm_family_vae,
     "vae.safetensors",
     "mlp.dreg/",
     ROWS "samples=4 prior=learned dreg=on",
     {3, 4, 1, 4}},
    {&lm_family_vae,
     "vae.safetensors",
     "mlp.dreg.single/",
     ROWS "samples=1 dreg=on",
     {3, 4, 1, 4}},
};
enum { CASES = sizeof cases / sizeof *cases };

static void check_case(const golden_backend *backend, const golden_case *which) {
    golden_model b;
    golden_model_init(&b, backend, which);
    const lm_vae *vae = b.model->state;
    lm_node *images = golden_input(&b, "images", LM_U8);
    lm_node *labels = golden_input(&b, "labels", LM_I32);
    lm_node *beta = lm_reshape(b.graph, golden_input(&b, "beta", LM_F32), LM_SCALAR);
    const lm_vae_noise noise = {golden_input(&b, "eps", LM_F32),
                                golden_input(&b, "pixels", LM_F32)};
    lm_node *loss = lm_vae_loss_at(b.model, &b.nn, images, labels, &noise, beta);
    lm_graph_output(b.graph, "loss", loss);
    golden_add_gradients(&b, 0, loss);
    lm_node *code = lm_slice_axis(b.graph, noise.eps, 0, 0, 1);
    code = lm_reshape(b.graph, code, LM_SHAPE(images->shape.dim[0], vae->latent));
    lm_node *params = lm_vae_decode(b.model, &b.nn, code, labels);
    lm_graph_output(b.graph, "mean", lm_likelihood_mean(&b.nn, &vae->likelihood, params));
    golden_compile(&b);
    CHECK_OK(lm_program_run(b.program));
    golden_check_output(&b, "loss", golden_tensor(&b, "loss"));
    golden_check_output(&b, "reconstruction", golden_tensor(&b, "reconstruction"));
    golden_check_output(&b, "unit_kl", golden_tensor(&b, "unit_kl"));
    golden_check_output(&b, "mean", golden_tensor(&b, "mean"));
    golden_check_gradients(&b, 0);
    golden_model_release(&b);
}

static void test_all(void **state) {
    for (int i = 0; i < CASES; i++) check_case(*state, &cases[i]);
}

static void test_every_golden_case_is_compared(void **state) {
    assert_int_equal(golden_count("vae.safetensors", "/loss"), CASES);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        {"ref", test_all, NULL, NULL, ref},
        {"cpu", test_all, NULL, NULL, cpu},
        cmocka_unit_test(test_every_golden_case_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
