/* Small residual pairs against PyTorch: what the discriminator says of the generator's
 * images, and every gradient of both. */
#include "golden_model.h"

#include "families/gan.h"

#define PAIR "net=resnet z=3 d-act=relu d-norm=none "

static const golden_case cases[] = {
    {&lm_family_gan,
     "gan_resnet.safetensors",
     "32/",
     PAIR "base=4 most=4 d-base=2 spectral=on",
     {32, 32, 3, 4}},
    {&lm_family_gan,
     "gan_resnet.safetensors",
     "48/",
     PAIR "base=1 most=4 spectral=on conditional=on g-labels=norm embed=3",
     {48, 48, 1, 4}},
    {&lm_family_gan,
     "gan_resnet.safetensors",
     "64/",
     PAIR "base=1 most=2 d-base=2 g-norm=instance d-norm=layer d-act=leaky",
     {64, 64, 1, 4}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Those of a spectral norm are the file's. */
static void write_buffers(golden_model *b) {
    const lm_params *buffers = b->model->buffers;
    for (int i = 0; buffers && i < buffers->n_slices; i++) {
        const lm_param_slice *slice = &buffers->slices[i];
        char name[128];
        snprintf(name, sizeof name, "%sbuffer/%s", b->at, slice->name);
        const lm_st_entry *entry = lm_safetensors_find(&b->file, name);
        if (!entry) continue;
        double *values = golden_values(entry);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        CHECK_OK(lm_engine_write_var(b->engine, buffers->name, slice->offset,
                                     slice->count, LM_F64, values));
        free(values);
    }
}

static void check_case(const golden_backend *backend, const golden_case *which) {
    golden_model b;
    golden_model_init(&b, backend, which);
    write_buffers(&b);
    b.nn.buffers = b.model->buffers;
    lm_node *labels = golden_input(&b, "labels", LM_I32);
    lm_node *images =
        lm_gan_generate(b.model, &b.nn, golden_input(&b, "z", LM_F32), labels);
    lm_node *y = lm_gan_discriminate(b.model, &b.nn, images, labels);
    lm_node *sum = lm_sum_all(b.graph, lm_mul(b.graph, y, golden_input(&b, "g", LM_F32)));
    lm_graph_output(b.graph, "y", y);
    golden_add_gradients(&b, LM_GAN_GENERATOR, sum);
    golden_add_gradients(&b, LM_GAN_DISCRIMINATOR, sum);
    golden_compile(&b);
    CHECK_OK(lm_program_run(b.program));
    golden_check_output(&b, "y", golden_tensor(&b, "y"));
    golden_check_gradients(&b, LM_GAN_GENERATOR);
    golden_check_gradients(&b, LM_GAN_DISCRIMINATOR);
    golden_model_release(&b);
}

static void test_all(void **state) {
    for (int i = 0; i < CASES; i++) check_case(*state, &cases[i]);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        {"ref", test_all, NULL, NULL, ref},
        {"cpu", test_all, NULL, NULL, cpu},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
