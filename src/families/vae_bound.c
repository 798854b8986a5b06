/* The evidence lower bound (Kingma, Welling 2014, eq. 3), with free bits (Kingma et al.
 * 2016, eq. 15), and its importance-weighted form (Burda, Grosse, Salakhutdinov 2016). */
#include "families/vae.h"

#include "graph/grad.h"

#include <math.h>

#define HALF_LOG_2PI 0.91893853320467274178

static const lm_vae *vae_of(const lm_model *model) {
    return model->state;
}

static lm_node *over_units(lm_graph *g, lm_node *each) {
    return each ? lm_sum(g, each, 1u << (each->shape.rank - 1), false) : NULL;
}

lm_node *lm_vae_divergence(lm_graph *g, lm_diagonal q, lm_diagonal p) {
    lm_node *ratio = lm_sub(g, q.log_variance, p.log_variance);
    lm_node *apart = lm_square(g, lm_sub(g, q.mean, p.mean));
    apart = lm_mul(g, apart, lm_exp(g, lm_neg(g, p.log_variance)));
    lm_node *sum = lm_sub(g, lm_add(g, lm_exp(g, ratio), apart), ratio);
    return lm_scale(g, lm_add_scalar(g, sum, -1), 0.5);
}

static lm_node *log_diagonal(lm_graph *g, lm_node *z, lm_diagonal p) {
    lm_node *apart = lm_square(g, lm_sub(g, z, p.mean));
    apart = lm_mul(g, apart, lm_exp(g, lm_neg(g, p.log_variance)));
    lm_node *each = lm_scale(g, lm_add(g, apart, p.log_variance), -0.5);
    return over_units(g, lm_add_scalar(g, each, -HALF_LOG_2PI));
}

static lm_node *sample(lm_graph *g, lm_diagonal q, lm_node *eps) {
    lm_node *sigma = lm_exp(g, lm_scale(g, q.log_variance, 0.5));
    return lm_add(g, q.mean, lm_mul(g, sigma, eps));
}

/* K copies of every row, copy by copy: [N,..] to [K N,..]. */
static lm_node *repeat(lm_graph *g, lm_node *x, int64_t copies) {
    if (!x || copies == 1) return x;
    lm_shape wide = {.rank = x->shape.rank + 1, .dim = {copies}}, flat = x->shape;
    for (int i = 0; i < x->shape.rank; i++) wide.dim[i + 1] = x->shape.dim[i];
    flat.dim[0] *= copies;
    return lm_reshape(g, lm_broadcast(g, x, wide), flat);
}

/* z[K,N,latent] -> [K,N] */
static lm_node *log_prob_of(const lm_model *model, lm_nn *nn, lm_node *z, lm_node *target,
                            lm_node *labels) {
    lm_graph *g = nn->graph;
    if (!z) return NULL;
    int64_t copies = z->shape.dim[0], count = z->shape.dim[1];
    lm_node *rows = lm_reshape(g, z, LM_SHAPE(copies * count, z->shape.dim[2]));
    lm_node *many = model->conditional ? repeat(g, labels, copies) : NULL;
    lm_node *params = lm_vae_decode(model, nn, rows, many);
    lm_node *log_prob = lm_likelihood_log_prob(nn, &vae_of(model)->likelihood, params,
                                               repeat(g, target, copies));
    return lm_reshape(g, log_prob, LM_SHAPE(copies, count));
}

/* With `cut`, log_prob and log_ratio are of the posterior's values, without a way back to
 * its parameters; *cut is where their way back ends, which is `codes` by value. */
static lm_vae_parts parts_cut(const lm_model *model, lm_nn *nn, lm_node *images,
                              lm_node *labels, const lm_vae_noise *noise, lm_node **cut) {
    lm_graph *g = nn->graph;
    lm_diagonal q = lm_vae_encode(model, nn, images, labels), seen = q;
    lm_diagonal p = lm_vae_prior(model, nn, labels);
    lm_node *target =
        lm_likelihood_target(nn, &vae_of(model)->likelihood, images, noise->pixels);
    lm_node *codes = sample(g, q, noise->eps), *z = codes;
    if (cut) {
        seen = (lm_diagonal){lm_stop_grad(g, q.mean), lm_stop_grad(g, q.log_variance)};
        *cut = z = lm_stop_grad(g, codes);
    }
    return (lm_vae_parts){.posterior = q,
                          .codes = codes,
                          .log_prob = log_prob_of(model, nn, z, target, labels),
                          .log_ratio =
                              lm_sub(g, log_diagonal(g, z, p), log_diagonal(g, z, seen)),
                          .unit_kl = lm_vae_divergence(g, q, p)};
}

lm_vae_parts lm_vae_parts_of(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *labels, const lm_vae_noise *noise) {
    return parts_cut(model, nn, images, labels, noise, NULL);
}

bool lm_vae_is_weighted(const lm_vae *vae) {
    return vae->samples > 1 || vae->dreg;
}

/* ---- losses ------------------------------------------------------------------ */

/* Units whose divergence is on average below `free` nats cost that much, whatever they
 * say, so that they are not driven to say nothing. */
static lm_node *kl_cost(const lm_vae *vae, lm_graph *g, lm_node *unit_kl) {
    lm_node *each = lm_mean(g, unit_kl, 1u << 0, false);
    if (vae->free_bits > 0) each = lm_max2(g, each, lm_const(g, vae->free_bits));
    return lm_sum_all(g, each);
}

static lm_node *elbo_loss(const lm_vae *vae, lm_graph *g, const lm_vae_parts *parts,
                          lm_node *beta) {
    lm_node *cost = lm_mul(g, beta, kl_cost(vae, g, parts->unit_kl));
    return lm_sub(g, cost, lm_mean_all(g, parts->log_prob));
}

/* Doubly reparameterised gradients (Tucker, Lawson, Gu, Maddison 2019): the encoder's are
 * those by way of the codes alone, each sample's weighted once more by its share. All
 * other parameters' are the loss's own. */
static lm_node *reparameterise_doubly(lm_graph *g, lm_node *loss, lm_node *shares,
                                      lm_node *codes, lm_node *cut) {
    lm_node *slope = NULL;
    if (!loss || !shares || lm_grad(g, loss, NULL, 1, &cut, &slope) != LM_OK) return NULL;
    lm_shape each = shares->shape;
    each.dim[each.rank++] = 1;
    slope = lm_stop_grad(g, lm_mul(g, slope, lm_reshape(g, shares, each)));
    lm_node *way = lm_sum_all(g, lm_mul(g, slope, codes));
    return lm_add(g, loss, lm_sub(g, way, lm_stop_grad(g, way)));
}

/* cut: as parts_cut has it, NULL for the loss's own gradients. */
static lm_node *importance_loss(const lm_vae *vae, lm_graph *g, const lm_vae_parts *parts,
                                lm_node *beta, lm_node *cut) {
    lm_node *weights = lm_add(g, parts->log_prob, lm_mul(g, beta, parts->log_ratio));
    weights = lm_transpose(g, weights);
    lm_node *bound = lm_mean_all(g, lm_logsumexp(g, weights));
    lm_node *loss = lm_add_scalar(g, lm_neg(g, bound), log(vae->samples));
    if (!cut) return loss;
    lm_node *shares = lm_transpose(g, lm_softmax(g, weights));
    return reparameterise_doubly(g, loss, shares, parts->codes, cut);
}

static lm_node *count_active(lm_graph *g, lm_node *mean) {
    lm_node *centred = lm_sub(g, mean, lm_mean(g, mean, 1u << 0, true));
    lm_node *variance = lm_mean(g, lm_square(g, centred), 1u << 0, false);
    lm_node *active = lm_lt(g, lm_const(g, LM_ACTIVE_VARIANCE), variance);
    return lm_sum_all(g, lm_cast(g, active, LM_F32));
}

static void log_parts(lm_graph *g, const lm_vae_parts *parts) {
    lm_node *units = lm_mean(g, parts->unit_kl, 1u << 0, false);
    lm_graph_output(g, "reconstruction", lm_neg(g, lm_mean_all(g, parts->log_prob)));
    lm_graph_output(g, "kl", lm_sum_all(g, units));
    lm_graph_output(g, "active_units", count_active(g, parts->posterior.mean));
    lm_graph_output(g, "unit_kl", units);
}

lm_node *lm_vae_loss_at(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels, const lm_vae_noise *noise, lm_node *beta) {
    const lm_vae *vae = model->state;
    lm_node *cut = NULL;
    lm_vae_parts parts =
        parts_cut(model, nn, images, labels, noise, vae->dreg ? &cut : NULL);
    if (!parts.log_prob || !parts.unit_kl) return NULL;
    log_parts(nn->graph, &parts);
    return lm_vae_is_weighted(vae) ? importance_loss(vae, nn->graph, &parts, beta, cut)
                                   : elbo_loss(vae, nn->graph, &parts, beta);
}
