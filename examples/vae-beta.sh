#!/bin/sh
# Beta, the weight of the KL divergence (Higgins et al. 2017), against the quality of
# samples, of reconstructions, and what the code tells of an image. Below 1 images come
# back sharper and the prior fits the codes less; above, the reverse.
set -e
. "$(dirname "$0")/experiment.sh"
for beta in 0.25 0.5 1 2 4 8; do
    train vae-beta-$beta vae --data mnist --preset small --set beta=$beta
done
table fid,reconstruction_mse,kl,active_units,likelihood --samples 20
