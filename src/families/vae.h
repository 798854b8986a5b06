/* Variational autoencoders (Kingma, Welling 2014; Rezende, Mohamed, Wierstra 2014):
 * encoders and decoders, dense or convolutional, any likelihood of nn/likelihood.h, the
 * bounds that train them and the importance weights that judge them. */
#ifndef LIMN_FAMILIES_VAE_H
#define LIMN_FAMILIES_VAE_H

#include "families/family.h"
#include "families/maps.h"
#include "nn/likelihood.h"

extern const lm_family lm_family_vae;

typedef enum lm_anneal_kind {
    LM_ANNEAL_NONE,
    LM_ANNEAL_WARMUP,
    LM_ANNEAL_CYCLIC
} lm_anneal_kind;

/* model->state: the settings, parsed. */
typedef struct lm_vae {
    bool convolutional;
    int hidden[LM_OPT_MAX_INTS], n_hidden; /* widths of dense layers, encoder's order */
    lm_maps_spec maps;
    int latent; /* units */
    lm_likelihood likelihood;
    bool dequantise;
    double beta;           /* weight of the KL divergence */
    lm_anneal_kind anneal; /* how beta comes to its value */
    int64_t beta_steps;    /* of the warm-up, or of a cycle */
    double free_bits;      /* nats a unit */
    int samples;           /* of the importance-weighted bound; 1: the ELBO */
    bool dreg;             /* doubly reparameterised gradients */
    bool learned_prior;
} lm_vae;

/* A diagonal Gaussian over latent units: [N, latent] or broadcast against it. */
typedef struct lm_diagonal {
    lm_node *mean, *log_variance;
} lm_diagonal;

/* ---- networks (vae_nets.c) --------------------------------------------------- */

/* Images u8[N,H,W,C], labels i32[N] (read if the model is conditional) to q(z|x). */
lm_diagonal lm_vae_encode(const lm_model *model, lm_nn *nn, lm_node *images,
                          lm_node *labels);
/* z[N, latent] to the parameters of the likelihood, [N,H,W,P]. */
lm_node *lm_vae_decode(const lm_model *model, lm_nn *nn, lm_node *z, lm_node *labels);
/* p(z), of each label where the model is conditional and its prior learned. */
lm_diagonal lm_vae_prior(const lm_model *model, lm_nn *nn, lm_node *labels);

/* KL(q || p) of each unit, [N, latent]. */
lm_node *lm_vae_divergence(lm_graph *g, lm_diagonal q, lm_diagonal p);

/* ---- bounds (vae_bound.c) ---------------------------------------------------- */

/* What the bounds need beside the images: eps[K,N,latent] of normal numbers, and
 * pixels[N,H,W,C] of [0,1) to dequantise with (NULL: none). */
typedef struct lm_vae_noise {
    lm_node *eps, *pixels;
} lm_vae_noise;

/* In nats. K samples z of the posterior for each of N images. */
typedef struct lm_vae_parts {
    lm_diagonal posterior;
    lm_node *codes;     /* z[K,N,latent] */
    lm_node *log_prob;  /* [K,N]: log p(x|z), without lm_likelihood_offset */
    lm_node *log_ratio; /* [K,N]: log p(z) - log q(z|x) */
    lm_node *unit_kl;   /* [N,latent]: KL divergence of posterior from prior */
} lm_vae_parts;
lm_vae_parts lm_vae_parts_of(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *labels, const lm_vae_noise *noise);

/* Whether the loss is by importance weights; else the divergence has a formula. */
bool lm_vae_is_weighted(const lm_vae *vae);

/* The loss of these numbers, and what is logged. beta: a scalar node. */
lm_node *lm_vae_loss_at(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels, const lm_vae_noise *noise, lm_node *beta);

/* ---- what is noticed while it trains (vae_watch.c) --------------------------- */

/* Of posterior collapse: that fewer than a quarter of the units are active. */
extern const lm_family_watch lm_vae_watch;

/* Random streams; a normal takes two. */
enum { LM_VAE_STREAM_EPS = 1, LM_VAE_STREAM_PIXELS = 3, LM_VAE_STREAM_PRIOR = 4 };

#endif
