/* Autoencoders with quantised codes (van den Oord, Vinyals, Kavukcuoglu 2017): a map of
 * vectors from a table. What draws new images is a model of the maps of indices; without
 * one, codes are drawn alike. */
#ifndef LIMN_FAMILIES_VQVAE_H
#define LIMN_FAMILIES_VQVAE_H

#include "families/family.h"
#include "families/maps.h"
#include "nn/likelihood.h"
#include "nn/vq.h"

extern const lm_family lm_family_vqvae;

/* model->state: the settings, parsed. */
typedef struct lm_vqvae {
    lm_maps_spec maps;
    int width; /* of a code */
    lm_vq_spec vq;
    double commitment; /* weight of its mean square */
    lm_likelihood likelihood;
} lm_vqvae;

/* Images u8[N,H,W,C] to vectors [N,h,w,width]. */
lm_node *lm_vqvae_encode(const lm_model *model, lm_nn *nn, lm_node *images);
/* Vectors [N,h,w,width] to the nearest codes; `through` and `code` are [N h w,width]. */
lm_vq lm_vqvae_quantise(const lm_model *model, lm_nn *nn, lm_node *z);
/* Codes [N,h,w,width] to the parameters of the likelihood, [N,H,W,P]. */
lm_node *lm_vqvae_decode(const lm_model *model, lm_nn *nn, lm_node *codes);

#endif
