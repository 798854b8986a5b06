/* The phases of a GAN's training: what each network sees, and what it minimises. */
#include "families/gan.h"
#include "families/gan_diversity.h"
#include "nn/diffaugment.h"

/* ---- what D sees ------------------------------------------------------------- */

/* Instance noise (Sonderby et al. 2017) that fades with the step, the third word of the
 * key. */
static lm_node *add_noise(const lm_gan *gan, lm_nn *nn, lm_node *images) {
    lm_graph *g = nn->graph;
    uint32_t stream = lm_nn_stream(nn);
    lm_nn_stream(nn); /* a normal takes two */
    lm_node *noise = lm_normal(g, nn->key, stream, images->shape);
    lm_node *sigma = lm_const(g, gan->noise);
    if (gan->noise_steps > 0) {
        lm_node *step = lm_cast(g, lm_slice_axis(g, nn->key, 0, 2, 3), LM_F32);
        lm_node *slope = lm_scale(g, step, -gan->noise / (double)gan->noise_steps);
        sigma = lm_relu(g, lm_add(g, sigma, lm_sum_all(g, slope)));
    }
    return lm_add(g, images, lm_mul(g, noise, sigma));
}

/* Images as D sees them, and its logits. */
typedef struct judged {
    lm_node *seen, *logits;
} judged;

/* Real and generated images are changed alike, each by numbers of its own. */
static judged judge(const lm_model *model, lm_nn *nn, lm_node *images, lm_node *labels) {
    const lm_gan *gan = model->state;
    if (gan->augment) images = lm_nn_diffaugment(nn, images, gan->augment);
    if (images && gan->noise > 0) images = add_noise(gan, nn, images);
    return (judged){images, lm_gan_discriminate(model, nn, images, labels)};
}

/* Both batches of a step of D. */
typedef struct contest {
    lm_node *fake_images;
    judged real, fake;
} contest;

static contest stage(const lm_model *model, lm_nn *nn, const lm_gan_batch *batch) {
    contest c = {.fake_images = lm_gan_generate(model, nn, batch->z, batch->labels)};
    c.real = judge(model, nn, batch->real, batch->labels);
    c.fake = judge(model, nn, c.fake_images, batch->labels);
    return c;
}

/* ---- what is logged ---------------------------------------------------------- */

static lm_node *share_of(lm_graph *g, lm_node *mask) {
    return lm_mean_all(g, lm_cast(g, mask, LM_F32));
}

/* r_t (Karras et al. 2020a, equation 1) is the mean sign on real images, as a heuristic
 * of overfitting: 0 where D cannot tell, 1 where it knows them all. */
static void describe_logits(const lm_gan *gan, lm_graph *g, lm_node *real,
                            lm_node *fake) {
    lm_graph_output(g, "d_real", lm_mean_all(g, real));
    lm_graph_output(g, "d_fake", lm_mean_all(g, fake));
    if (!gan->loss->has_middle) return;
    lm_node *middle = lm_const(g, gan->loss->middle);
    lm_node *sign = lm_ew1(g, LM_EW_SIGN, lm_sub(g, real, middle));
    lm_graph_output(g, "r_t", lm_mean_all(g, sign));
    lm_node *right = lm_add(g, share_of(g, lm_lt(g, middle, real)),
                            share_of(g, lm_le(g, fake, middle)));
    lm_graph_output(g, "accuracy", lm_scale(g, right, 0.5));
}

/* ---- the losses -------------------------------------------------------------- */

static lm_node *zero_centred(lm_graph *g, const judged *of, double gamma) {
    return lm_gan_zero_centred(g, lm_gan_gradient_squares(g, of->logits, of->seen),
                               gamma);
}

static lm_node *one_centred(const lm_model *model, lm_nn *nn, const contest *c,
                            const lm_gan_batch *batch) {
    const lm_gan *gan = model->state;
    lm_graph *g = nn->graph;
    lm_node *images = lm_gan_between(g, c->real.seen, c->fake.seen, batch->share);
    lm_node *logits = lm_gan_discriminate(model, nn, images, batch->labels);
    return lm_gan_one_centred(g, lm_gan_gradient_squares(g, logits, images),
                              gan->penalty.gp, gan->penalty.one_sided);
}

/* There is at least one. They concern D's own input, behind augmentation and noise. */
static lm_node *penalties(const lm_model *model, lm_nn *nn, const contest *c,
                          const lm_gan_batch *batch) {
    const lm_gan_penalty *penalty = &((const lm_gan *)model->state)->penalty;
    lm_graph *g = nn->graph;
    lm_node *sum = lm_const(g, 0);
    if (penalty->gp > 0) sum = lm_add(g, sum, one_centred(model, nn, c, batch));
    if (penalty->r1 > 0) sum = lm_add(g, sum, zero_centred(g, &c->real, penalty->r1));
    if (penalty->r2 > 0) sum = lm_add(g, sum, zero_centred(g, &c->fake, penalty->r2));
    lm_graph_output(g, "penalty", sum);
    return sum;
}

lm_node *lm_gan_loss_d(const lm_model *model, lm_nn *nn, const lm_gan_batch *batch) {
    const lm_gan *gan = model->state;
    lm_graph *g = nn->graph;
    const contest c = stage(model, nn, batch);
    describe_logits(gan, g, c.real.logits, c.fake.logits);
    lm_node *classes = model->conditional ? batch->labels : NULL;
    lm_graph_output(g, "diversity", lm_gan_diversity(g, c.fake_images, classes));
    lm_graph_output(g, "real_diversity", lm_gan_diversity(g, batch->real, classes));
    lm_node *loss = lm_add(g, gan->loss->real(g, c.real.logits, gan->smoothing),
                           gan->loss->fake(g, c.fake.logits));
    if (lm_gan_penalty_any(&gan->penalty) && gan->penalty.every == 1)
        loss = lm_add(g, loss, penalties(model, nn, &c, batch));
    return loss;
}

lm_node *lm_gan_loss_penalty(const lm_model *model, lm_nn *nn,
                             const lm_gan_batch *batch) {
    const lm_gan *gan = model->state;
    const contest c = stage(model, nn, batch);
    return lm_scale(nn->graph, penalties(model, nn, &c, batch), gan->penalty.every);
}

lm_node *lm_gan_loss_g(const lm_model *model, lm_nn *nn, const lm_gan_batch *batch) {
    const lm_gan *gan = model->state;
    lm_node *fake = lm_gan_generate(model, nn, batch->z, batch->labels);
    return gan->loss->generator(nn->graph, judge(model, nn, fake, batch->labels).logits);
}

/* ---- the phases -------------------------------------------------------------- */

static lm_node *draw_z(const lm_model *model, lm_nn *nn, const lm_node *images,
                       uint32_t stream) {
    const lm_gan *gan = model->state;
    return lm_normal(nn->graph, nn->key, stream,
                     LM_SHAPE(images->shape.dim[0], gan->pair.z));
}

static lm_node *draw_share(const lm_model *model, lm_nn *nn, const lm_node *images,
                           uint32_t stream) {
    const lm_gan *gan = model->state;
    if (gan->penalty.gp <= 0) return NULL;
    return lm_uniform(nn->graph, nn->key, stream, LM_SHAPE(images->shape.dim[0]));
}

lm_node *lm_gan_train_d(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels) {
    if (!images) return NULL;
    nn->next_stream = LM_GAN_STREAM_LAYERS_D;
    const lm_gan_batch batch = {lm_nn_signed(nn->graph, images),
                                draw_z(model, nn, images, LM_GAN_STREAM_Z_D), labels,
                                draw_share(model, nn, images, LM_GAN_STREAM_SHARE_D)};
    return lm_gan_loss_d(model, nn, &batch);
}

lm_node *lm_gan_train_penalty(const lm_model *model, lm_nn *nn, lm_node *images,
                              lm_node *labels) {
    if (!images) return NULL;
    nn->next_stream = LM_GAN_STREAM_LAYERS_PENALTY;
    const lm_gan_batch batch = {
        lm_nn_signed(nn->graph, images),
        draw_z(model, nn, images, LM_GAN_STREAM_Z_PENALTY), labels,
        draw_share(model, nn, images, LM_GAN_STREAM_SHARE_PENALTY)};
    return lm_gan_loss_penalty(model, nn, &batch);
}

lm_node *lm_gan_train_g(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels) {
    if (!images) return NULL;
    nn->next_stream = LM_GAN_STREAM_LAYERS_G;
    const lm_gan_batch batch = {.z = draw_z(model, nn, images, LM_GAN_STREAM_Z_G),
                                .labels = labels};
    return lm_gan_loss_g(model, nn, &batch);
}
