/* Recipes of the family `gan`. docs/gan.md says where their numbers come from. Rates fall
 * to 0, so that in the end the running statistics of the generator's norms are those of
 * its averaged weights. */
#include "families/gan.h"

#define CALM "warmup=0 clip=0 decay=0 lr-schedule=linear ema=20000 ema-ramp=0.1 "
/* Radford, Metz, Chintala 2016. */
#define DCGAN_ADAM "batch=128 lr=2e-4 beta1=0.5 beta2=0.999 "
/* Miyato et al. 2018, with DCGAN's Adam (setting C of their table 1). */
#define SPECTRAL "loss=hinge spectral=on d-norm=none "
/* The same with residual networks (their setting of CIFAR-10; channels of tables 4 to 6,
 * and of mimicry, Lee, Town 2020, where these leave them open). */
#define SNGAN                                                                            \
    "net=resnet batch=64 lr=2e-4 beta1=0 beta2=0.9 z=128 g-act=relu d-act=relu "         \
    "d-steps=5 flip=on " SPECTRAL

const lm_preset lm_gan_presets[] = {
    {"mnist",
     CALM DCGAN_ADAM "z=100 base=32",
     "28 pixels, grey: DCGAN; minutes on two cores",
     {28, 28, 1, 10},
     6000},
    {"wgan-gp",
     CALM "batch=64 lr=2e-4 beta1=0 beta2=0.9 z=128 base=32 loss=wasserstein gp=10 "
          "d-norm=none d-steps=3",
     "28 pixels, grey: a critic with gradient penalty; minutes",
     {28, 28, 1, 10},
     6000},
    {"hinge",
     CALM DCGAN_ADAM SPECTRAL "z=128 base=32",
     "28 pixels, grey: spectral norm and the hinge loss; minutes",
     {28, 28, 1, 10},
     6000},
    {"r1",
     CALM DCGAN_ADAM "z=128 base=32 d-norm=layer r1=0.5 penalty-every=8",
     "28 pixels, grey: R1 now and then; minutes",
     {28, 28, 1, 10},
     6000},
    {"conditional",
     CALM DCGAN_ADAM SPECTRAL "z=128 base=32 conditional=on g-labels=norm",
     "28 pixels, grey, each class when asked for",
     {28, 28, 1, 10},
     10000},
    {"cifar10",
     CALM DCGAN_ADAM "z=128 base=64 flip=on",
     "32 pixels in colour; an hour on two cores",
     {32, 32, 3, 10},
     20000},
    {"dcgan64",
     CALM DCGAN_ADAM "z=128 base=32 flip=on",
     "faces and the like, 64 pixels in colour; an hour on two cores",
     {64, 64, 3, 0},
     14000},
    {"sngan32",
     CALM SNGAN "base=256 most=256 d-base=128",
     "32 pixels in colour: the residual pair at its full size; days on two cores",
     {32, 32, 3, 10},
     100000},
    {"sngan48",
     CALM SNGAN "base=64 most=1024",
     "48 pixels in colour, as sngan32",
     {48, 48, 3, 0},
     100000},
    {"sngan64",
     CALM SNGAN "base=64 most=1024",
     "64 pixels in colour, as sngan32",
     {64, 64, 3, 0},
     100000},
    /* An average of decay 0.999 a step has a half-life of 88 677 images at batch 128. */
    {"bench32",
     "warmup=0 clip=0 decay=0 ema=88677 ema-ramp=0 " DCGAN_ADAM "z=128 base=64",
     "32 pixels in colour: what benchmarks time (bench/peers/README.md)",
     {32, 32, 3, 0},
     0},
    {0}};
