#include "families/symptom.h"

#include <math.h>
#include <stddef.h>

/* A tenfold rise, far outside of all scatter, of the loss: what follows a step that was
 * too long. Norms of gradients alone may jump, and be clipped; the losses of games are of
 * the order of 1, and rise from nearly nothing when the generator catches up. */
#define BLOW_UP_PATIENCE 12
#define BLOWN_UP(phase)                                                                  \
    {                                                                                    \
        "blow-up",                                                                       \
            {{phase "loss", NULL, LM_ABOVE, 10, 10, 0},                                  \
             {phase "grad_norm", NULL, LM_ABOVE, -INFINITY, 10, 0}},                     \
            BLOW_UP_PATIENCE, "loss and gradients have grown far beyond their past",     \
            "lower the learning rate, or clip gradients (clip=1)"                        \
    }

/* Of the only loss. */
#define LOSS_BLOWN_UP                                                                    \
    {                                                                                    \
        "blow-up", {{"loss", NULL, LM_ABOVE, -INFINITY, 10, 0}}, BLOW_UP_PATIENCE,       \
            "the loss has grown far beyond its past",                                    \
            "lower the learning rate, warm up for longer, or clip gradients (clip=1)"    \
    }

const lm_symptom lm_plain_symptoms[] = {LOSS_BLOWN_UP, {0}};

/* A batch's diversity scatters by a few per cent. The sign of D on real images is r_t of
 * Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data": near
 * 1 where D knows all images by heart. Early in training it is 1 in any run, but then
 * the generator's gradients are large. */
const lm_symptom lm_adversarial_symptoms[] = {
    {"collapse",
     {{"diversity", "real_diversity", LM_BELOW, 0.85, 0.85, 0.6}},
     12,
     "generated images have become alike",
     "lower the generator's learning rate, give the discriminator more steps, or use a "
     "penalty (r1=1)"},
    {"collapse",
     {{"diversity", "real_diversity", LM_BELOW, 0.35, 0, 0}},
     500,
     "generated images are alike, and have not become different",
     "lower the generator's learning rate, or give the discriminator more steps"},
    {"collapse",
     {{"missing_classes", NULL, LM_ABOVE, 0.5, 0, 0}},
     4,
     "classes of the data are missing in evaluation after evaluation",
     "use a penalty (r1=1), augmentation, or labels"},
    {"discriminator-lost",
     {{"accuracy", NULL, LM_BELOW, 0.4, 0, 0}},
     16,
     "the discriminator is worse than a guess, so the generator follows nothing",
     "lower the generator's learning rate, or give the discriminator more steps"},
    {"discriminator-won",
     {{"r_t", NULL, LM_ABOVE, 0.95, 0, 0},
      {"generator_grad_norm", NULL, LM_BELOW, INFINITY, 0.1, 0}},
     24,
     "the discriminator knows all images, and the generator's gradients vanish",
     "lower the discriminator's learning rate, use augmentation or a penalty (r1=1), or "
     "a loss that does not saturate"},
    {"discriminator-won",
     {{"r_t", NULL, LM_ABOVE, 0.95, 0, 0},
      {"discriminator_loss", NULL, LM_BELOW, 0.01, 0, 0}},
     500,
     "the discriminator has nothing left to learn from what the generator makes",
     "lower the discriminator's learning rate, use augmentation or a penalty (r1=1)"},
    BLOWN_UP("discriminator_"),
    BLOWN_UP("generator_"),
    {0}};
