#!/bin/sh
# Likelihoods of the pixels, all else equal. All are normalised, so that bits/dim compare;
# densities are dequantised with uniform noise, and what they reach is a lower bound.
set -e
. "$(dirname "$0")/experiment.sh"
while read -r name settings; do
    # Words are separate arguments here.
    train vae-$name vae --data mnist --preset small $settings </dev/null
done <<RUNS
continuous-bernoulli --set likelihood=continuous-bernoulli
gaussian-optimal --set likelihood=gaussian --set scale=optimal
gaussian-pixel --set likelihood=gaussian --set scale=pixel
laplace --set likelihood=laplace --set scale=shared
logistic --set likelihood=logistic --set scale=shared
logistic-mixture --set likelihood=logistic-mixture
RUNS
table fid,reconstruction_mse,kl,active_units,likelihood --samples 20
