/* Adversarial networks: which settings fit which images, and what the networks' shapes
 * are. */
#include "opening.h"

#include "families/gan.h"

#include <stdio.h>
#include <string.h>

/* Builds both networks on a batch of two and looks at what comes out. */
static void check_shapes(const char *settings, lm_image_info info) {
    lm_model *model;
    CHECK_OK(open_model(&lm_family_gan, settings, "", info, &model));
    const lm_gan *gan = model->state;
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g, .buffers = model->buffers};
    lm_node *z = lm_input(g, "z", LM_F32, LM_SHAPE(2, gan->pair.z));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(2));
    lm_node *images = lm_gan_generate(model, &nn, z, labels);
    lm_node *logits = lm_gan_discriminate(model, &nn, images, labels);
    CHECK_OK(lm_graph_status(g));
    assert_true(lm_shape_equal(images->shape,
                               LM_SHAPE(2, info.height, info.width, info.channels)));
    assert_true(lm_shape_equal(logits->shape, LM_SHAPE(2)));
    lm_graph_free(g);
    lm_model_close(model);
}

static void test_any_size(void **state) {
    for (int side = 28; side <= 128; side += 2)
        check_shapes("base=2 z=3", (lm_image_info){side, side, 3, 0});
    check_shapes("base=2", (lm_image_info){178, 218, 3, 0});
    check_shapes("base=2", (lm_image_info){45, 8, 1, 0});
}

static void test_settings(void **state) {
    static const char *const settings[] = {
        "g-norm=none d-norm=none",
        "g-norm=instance d-norm=layer",
        "g-act=silu d-act=relu",
        "conditional=true",
        "conditional=true d-labels=map embed=3",
        "conditional=true g-labels=norm d-base=3",
        "conditional=true spectral=on d-norm=none",
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        check_shapes(settings[i], (lm_image_info){28, 28, 1, 10});
    for (int side = 32; side <= 64; side += 16)
        check_shapes("net=resnet base=2 z=3 spectral=on",
                     (lm_image_info){side, side, 3, 0});
}

static void test_wrong_settings(void **state) {
    static const refusal rows[] = {
        {"conditional=true", {28, 28, 1, 0}, "conditional"},
        {"conditional=true g-labels=norm g-norm=layer", {28, 28, 1, 10}, "g-labels"},
        {"gp=10", {28, 28, 1, 10}, "d-norm: batch"},
        {"r1=1", {28, 28, 1, 10}, "d-norm: batch"},
        {"loss=hinge smoothing=0.1", {28, 28, 1, 10}, "smoothing"},
        {"augment=rotation", {28, 28, 1, 10}, "rotation"},
        {"", {4, 28, 1, 10}, "net: dcgan"},
        {"net=resnet", {28, 28, 1, 10}, "net: resnet"},
        {"net=resnet", {32, 64, 3, 10}, "32x64"},
    };
    check_refusals(&lm_family_gan, NULL, rows, sizeof rows / sizeof *rows);
}

static const lm_param_slice *find(const lm_model *model, int group, const char *name) {
    const lm_param_slice *slice = lm_params_find(model->groups[group], name);
    if (!slice) fail_msg("no parameter %s", name);
    return slice;
}

/* 28, 14, 7, and 4 or, for D, 3. */
static void test_start_of_mnist(void **state) {
    lm_model *model;
    CHECK_OK(open_model(&lm_family_gan, "z=100 base=64", "",
                        (lm_image_info){28, 28, 1, 10}, &model));
    static const struct {
        int group;
        const char *name;
        lm_shape shape;
    } expected[] = {
        {0, "generator.in.weight", {.rank = 2, .dim = {4 * 4 * 256, 100}}},
        {0, "generator.up1.weight", {.rank = 4, .dim = {256, 4, 4, 128}}},
        {0, "generator.up3.weight", {.rank = 4, .dim = {64, 4, 4, 1}}},
        {1, "discriminator.down3.weight", {.rank = 4, .dim = {256, 4, 4, 128}}},
        {1, "discriminator.out.weight", {.rank = 2, .dim = {1, 3 * 3 * 256}}},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_true(lm_shape_equal(
            find(model, expected[i].group, expected[i].name)->shape, expected[i].shape));
    lm_model_close(model);
}

/* Parameters of the shapes of Miyato et al. 2018, tables 4 to 6, as mimicry has them
 * (Lee, Town 2020); its pair with projection has tables of scales in G. */
static void test_sizes_of_resnet(void **state) {
    static const struct {
        const char *preset, *settings;
        int64_t g, d;
    } rows[] = {
        {"bench32", "", 1183619, 663361},
        {"sngan32", "", 4276739, 1053825},
        {"sngan48", "", 4878083, 10141441},
        {"sngan64", "", 12220675, 10141441},
        {"sngan32", "conditional=on g-labels=norm embed=32",
         4276739 + 10 * 32 + 6 * 2 * 256 * (32 - 1), 1053825 + 10 * 128},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_model *model;
        const lm_preset *preset;
        CHECK_OK(lm_preset_find(&lm_family_gan, rows[i].preset, &preset));
        CHECK_OK(open_preset(&lm_family_gan, preset->name, rows[i].settings, preset->info,
                             &model));
        assert_int_equal(model->groups[LM_GAN_GENERATOR]->count, rows[i].g);
        assert_int_equal(model->groups[LM_GAN_DISCRIMINATOR]->count, rows[i].d);
        lm_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_size),        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_wrong_settings),  cmocka_unit_test(test_start_of_mnist),
        cmocka_unit_test(test_sizes_of_resnet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
