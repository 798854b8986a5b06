/* Adversarial networks: which settings fit which images, and what the networks' shapes
 * are. */
#include "testing.h"

#include "families/gan.h"

#include <stdio.h>
#include <string.h>

static lm_status open_gan(const char *text, lm_image_info info, lm_model **model) {
    lm_settings settings;
    CHECK_OK(lm_settings_init(&settings, lm_family_gan.options));
    CHECK_OK(lm_settings_apply(&settings, text));
    return lm_model_open(&lm_family_gan, &settings, &info, model);
}

/* Builds both networks on a batch of two and looks at what comes out. */
static void check_shapes(const char *settings, lm_image_info info) {
    lm_model *model;
    CHECK_OK(open_gan(settings, info, &model));
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
    static const struct {
        const char *settings, *named;
        lm_image_info info;
    } wrong[] = {
        {"conditional=true", "conditional", {28, 28, 1, 0}},
        {"conditional=true g-labels=norm g-norm=layer", "g-labels", {28, 28, 1, 10}},
        {"gp=10", "d-norm: batch", {28, 28, 1, 10}},
        {"r1=1", "d-norm: batch", {28, 28, 1, 10}},
        {"loss=hinge smoothing=0.1", "smoothing", {28, 28, 1, 10}},
        {"augment=rotation", "rotation", {28, 28, 1, 10}},
        {"", "net: dcgan", {4, 28, 1, 10}},
        {"net=resnet", "net: resnet", {28, 28, 1, 10}},
        {"net=resnet", "32x64", {32, 64, 3, 10}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lm_model *model;
        CHECK_FAILS(open_gan(wrong[i].settings, wrong[i].info, &model), LM_ARG);
        assert_non_null(strstr(lm_message(), wrong[i].named));
    }
}

static const lm_param_slice *find(const lm_model *model, int group, const char *name) {
    const lm_param_slice *slice = lm_params_find(model->groups[group], name);
    if (!slice) fail_msg("no parameter %s", name);
    return slice;
}

/* 28, 14, 7, and 4 or, for D, 3. */
static void test_start_of_mnist(void **state) {
    lm_model *model;
    CHECK_OK(open_gan("z=100 base=64", (lm_image_info){28, 28, 1, 10}, &model));
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

/* A preset's keys that are not the family's are the trainer's. */
static void apply_own_keys(lm_settings *settings, const char *text) {
    char copy[512], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        for (const lm_option *o = lm_family_gan.options; o->name; o++)
            if (strcmp(o->name, word) == 0)
                CHECK_OK(lm_settings_set(settings, "", word, value));
    }
}

static void open_preset(const lm_preset *preset, const char *more, lm_model **model) {
    lm_settings settings;
    CHECK_OK(lm_settings_init(&settings, lm_family_gan.options));
    apply_own_keys(&settings, preset->settings);
    CHECK_OK(lm_settings_apply(&settings, more));
    CHECK_OK(lm_model_open(&lm_family_gan, &settings, &preset->info, model));
}

static void test_presets(void **state) {
    for (const lm_preset *preset = lm_gan_presets; preset->name; preset++) {
        lm_model *model;
        open_preset(preset, "", &model);
        if (strcmp(preset->name, "bench32") == 0)
            assert_int_equal(lm_model_parameters(model), 1183619 + 663361);
        lm_model_close(model);
    }
}

/* Parameters of the shapes of Miyato et al. 2018, tables 4 to 6, as mimicry has them
 * (Lee, Town 2020); its pair with projection has tables of scales in G. */
static void test_sizes_of_resnet(void **state) {
    static const struct {
        const char *preset, *settings;
        int64_t g, d;
    } rows[] = {
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
        open_preset(preset, rows[i].settings, &model);
        assert_int_equal(model->groups[LM_GAN_GENERATOR]->count, rows[i].g);
        assert_int_equal(model->groups[LM_GAN_DISCRIMINATOR]->count, rows[i].d);
        lm_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_size),        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_wrong_settings),  cmocka_unit_test(test_start_of_mnist),
        cmocka_unit_test(test_sizes_of_resnet), cmocka_unit_test(test_presets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
