/* What codes keep and cost, of a model whose weights are zero but for two biases: all
 * images have one code and one reconstruction, so that every number is known. */
#include "testing.h"

#include "families/opening.h"
#include "families/vae.h"
#include "train/coding.h"

#include <math.h>
#include <string.h>

enum { SIDE = 3, PIXELS = SIDE * SIDE, IMAGES = 70 }; /* more than a batch */
#define LOGIT 0.7
#define MEAN  1.5

/* Three of nine pixels are white: in every image the first, fourth and seventh, or,
 * `turned`, in every second image others. */
static lm_status read_stripes(const lm_image_source *source, int64_t first, int64_t count,
                              uint8_t *pixels, int32_t *labels) {
    bool turned = source->state != NULL;
    for (int64_t i = 0; i < count * PIXELS; i++)
        pixels[i] = (i + (turned ? first + i / PIXELS : 0) % 2) % 3 ? 0 : 255;
    for (int64_t i = 0; labels && i < count; i++) labels[i] = -1;
    return LM_OK;
}

static lm_image_source make_source(int side, void *turned) {
    return (lm_image_source){.name = "stripes",
                             .count = IMAGES,
                             .height = side,
                             .width = side,
                             .channels = 1,
                             .read = read_stripes,
                             .state = turned};
}

static void write_bias(const lm_opened_run *opened, const char *name, int count,
                       double value) {
    const lm_params *group = opened->model->groups[0];
    const lm_param_slice *slice = lm_params_find(group, name);
    float values[PIXELS];
    for (int i = 0; i < count; i++) values[i] = (float)value;
    CHECK_OK(lm_engine_write_var(opened->engine, group->name, slice->offset, count,
                                 LM_F32, values));
}

typedef struct rig {
    lm_opened_run opened;
    lm_drawer *drawer;
    lm_coding_meter *meter;
    lm_eval_coding coding;
} rig;

static void rig_open(rig *r) {
    const lm_image_info info = {SIDE, SIDE, 1, 0};
    *r = (rig){.opened = {.raw = true}};
    CHECK_OK(open_model(&lm_family_vae, "net=mlp hidden=4 latent=2 likelihood=bernoulli",
                        "", info, &r->opened.model));
    const lm_params *group = r->opened.model->groups[0];
    CHECK_OK(lm_engine_new("cpu", &r->opened.engine));
    CHECK_OK(lm_engine_add_var(r->opened.engine, group->name, group->count));
    write_bias(&r->opened, "encoder.posterior.bias", 1, MEAN); /* of the first unit */
    write_bias(&r->opened, "decoder.out.bias", PIXELS, LOGIT);
    const lm_drawer_spec how = {
        .request = {.eta = -1, .label = -1}, .batch = 16, .raw = true};
    CHECK_OK(lm_drawer_new(r->opened.engine, r->opened.model, &how, &r->drawer));
    CHECK_OK(lm_coding_meter_new(&r->opened, r->drawer, &r->meter));
    r->coding = lm_coding_meter_coding(r->meter);
}

static void rig_close(rig *r) {
    lm_coding_meter_free(r->meter);
    lm_drawer_free(r->drawer);
    lm_engine_free(r->opened.engine);
    lm_model_close(r->opened.model);
}

static void check_near(double value, double want, double within) {
    if (!(fabs(value - want) <= within)) fail_msg("%.9g, expected %.9g", value, want);
}

static void numbers_are_those_of_the_model(void **state) {
    rig r;
    lm_eval_coding_numbers numbers;
    rig_open(&r);
    assert_true(r.coding.has_posterior);
    lm_image_source source = make_source(SIDE, NULL);
    CHECK_OK(r.coding.measure(r.coding.user, &source, NULL, &numbers));
    double byte = round(255 / (1 + exp(-LOGIT)));
    double mse = ((255 - byte) * (255 - byte) + 2 * byte * byte) / 3;
    assert_int_equal(numbers.pixels.count, IMAGES);
    check_near(numbers.pixels.mse.value, mse, 1e-9 * mse);
    check_near(numbers.pixels.psnr.value, 10 * log10(255 * 255 / mse), 1e-9);
    check_near(numbers.kl.value, MEAN * MEAN / 2,
               1e-6); /* variances are those of N(0,1) */
    check_near(numbers.kl.error, 0, 1e-9);
    assert_int_equal(numbers.units, 2);
    assert_int_equal(numbers.active, 0);
    rig_close(&r);
}

/* A unit is active when its mean follows the images. */
static void a_unit_that_varies_is_active(void **state) {
    rig r;
    lm_eval_coding_numbers numbers;
    rig_open(&r);
    const lm_params *group = r.opened.model->groups[0];
    const lm_param_slice *first = lm_params_find(group, "encoder.0.dense.weight");
    const lm_param_slice *posterior = lm_params_find(group, "encoder.posterior.weight");
    const float one = 1;
    /* The first hidden number is the first pixel (1 or, by ReLU, 0), and the second
     * unit's mean is that. */
    CHECK_OK(lm_engine_write_var(r.opened.engine, group->name, first->offset, 1, LM_F32,
                                 &one));
    CHECK_OK(lm_engine_write_var(r.opened.engine, group->name, posterior->offset + 4, 1,
                                 LM_F32, &one));
    lm_image_source same = make_source(SIDE, NULL), turned = make_source(SIDE, &r);
    CHECK_OK(r.coding.measure(r.coding.user, &same, NULL, &numbers));
    assert_int_equal(numbers.active, 0); /* the first pixel is white in every image */
    CHECK_OK(r.coding.measure(r.coding.user, &turned, NULL, &numbers)); /* not cached */
    assert_int_equal(numbers.active, 1);
    check_near(numbers.kl.value, MEAN * MEAN / 2 + 0.25, 1e-6); /* 1/2 in half of them */
    rig_close(&r);
}

static void images_must_fit(void **state) {
    rig r;
    lm_eval_coding_numbers numbers;
    rig_open(&r);
    lm_image_source large = make_source(SIDE + 1, NULL);
    CHECK_FAILS(r.coding.measure(r.coding.user, &large, NULL, &numbers), LM_MISMATCH);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_model),
        cmocka_unit_test(a_unit_that_varies_is_active),
        cmocka_unit_test(images_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
