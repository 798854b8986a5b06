#!/bin/sh
# Pixels from 0 to 1 against pixels from -1 to 1, for a Gaussian whose scale is trained. The
# likelihood of an image is the same function of its bytes either way; how well and how
# fast it is learned need not be.
set -e
. "$(dirname "$0")/experiment.sh"
for range in unit signed; do
    train vae-$range vae --data mnist --preset small --set likelihood=gaussian \
        --set range=$range
done
table fid,reconstruction_mse,kl,active_units,likelihood --samples 20
