/* The pair of networks of a GAN: what all architectures have in common, and the table of
 * them. Labels enter here, so that an architecture need not know of them. */
#ifndef LIMN_FAMILIES_GAN_NETS_H
#define LIMN_FAMILIES_GAN_NETS_H

#include "families/family.h"

/* The parameter groups, by these names. */
enum { LM_GAN_GENERATOR, LM_GAN_DISCRIMINATOR };

typedef enum lm_gan_norm {
    LM_GAN_NORM_NONE,
    LM_GAN_NORM_BATCH,
    LM_GAN_NORM_LAYER,   /* each image over all channels and positions */
    LM_GAN_NORM_INSTANCE /* each channel of each image over its positions */
} lm_gan_norm;

typedef enum lm_gan_act { LM_GAN_ACT_RELU, LM_GAN_ACT_LEAKY, LM_GAN_ACT_SILU } lm_gan_act;
#define LM_GAN_SLOPE 0.2 /* of the leaky one, as in DCGAN */

typedef struct lm_gan_net lm_gan_net;

typedef struct lm_gan_judged {
    lm_node *logits;   /* f32[N,1] */
    lm_node *features; /* f32[N,F]: what classes are projected on */
} lm_gan_judged;

/* An architecture: a row of the table in gan_nets.c. Networks are built in the scope
 * "generator" or "discriminator". */
typedef struct lm_gan_architecture {
    const char *name;
    /* LM_ARG for images that it has no shape for. */
    lm_status (*check)(const lm_image_info *info);
    lm_node *(*generate)(lm_gan_net *net, lm_node *z); /* [N,Z] to [N,H,W,C], no tanh */
    lm_gan_judged (*discriminate)(lm_gan_net *net, lm_node *images);
} lm_gan_architecture;

/* Settings of the pair. */
typedef struct lm_gan_pair {
    const lm_gan_architecture *architecture;
    int z; /* width */
    /* Channels of each network: of the largest maps, twice as many a level, at most. */
    int base[2], most[2];
    lm_gan_norm norm[2];
    lm_gan_act act[2];
    bool spectral;   /* D's weights by their spectral norm */
    bool label_norm; /* classes scale and shift G's batch norms, else they join z, */
    int embed;       /* so wide */
    bool label_map;  /* D sees classes as a further channel, not by projection */
} lm_gan_pair;

#define LM_GAN_NETS  "dcgan|resnet"
#define LM_GAN_NORMS "none|batch|layer|instance"
#define LM_GAN_ACTS  "relu|leaky|silu"

/* By the settings of the family's options, and the names above. */
void lm_gan_pair_read(const lm_settings *settings, lm_gan_pair *pair);

/* Each makes a builder of its own for its parameter group: by the weights that nn->var
 * names where nn is of this group, else by those that are trained, with buffers that stay
 * as they are. Labels i32[N], -1 for none, are read where the model is conditional. */

/* z f32[N,Z] to images f32[N,H,W,C] in [-1,1]. */
lm_node *lm_gan_generate(const lm_model *model, lm_nn *nn, lm_node *z, lm_node *labels);
/* Images f32[N,H,W,C] in [-1,1] to logits f32[N]; large: real. */
lm_node *lm_gan_discriminate(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *labels);

/* ---- for architectures ------------------------------------------------------- */

/* One network that is being built. */
struct lm_gan_net {
    const lm_image_info *info;
    const lm_gan_pair *pair;
    lm_nn nn; /* of its own group */
    lm_gan_norm norm;
    lm_gan_act act;
    lm_node *class; /* f32[N,embed] by which batch norms scale and shift; NULL: by none */
    int base, most;
};

/* Weights as DCGAN and many after it begin: N(0, 0.02^2). */
#define LM_GAN_INIT LM_INIT(NORMAL, 0.02)
#define LM_GAN_EPS  1e-5 /* of norms */

lm_node *lm_gan_activate(lm_gan_net *net, lm_node *x);
/* The network's norm of x[N,H,W,C], named so, and its nonlinearity. */
lm_node *lm_gan_norm_act(lm_gan_net *net, const char *name, lm_node *x);
/* Channels `level` halvings below the image's own size. */
int lm_gan_channels(const lm_gan_net *net, int level);

extern const lm_gan_architecture lm_gan_dcgan, lm_gan_resnet;

#endif
