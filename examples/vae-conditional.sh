#!/bin/sh
# A model that is told the class of an image against one that is not, all else equal: with
# labels, the code need not say which digit it is.
set -e
. "$(dirname "$0")/experiment.sh"
train vae-unconditional vae --data mnist --preset small
train vae-conditional vae --data mnist --preset small --set conditional=true
table fid,class_histogram,reconstruction_mse,kl,active_units,likelihood --samples 20
# How many of its samples the judge takes for the class they were asked to be: drawn from the
# prior, and from a mixture fitted to the codes of each class.
for sampler in prior mixture; do
    "$LIMN" eval "$RUNS/vae-conditional" --sampler $sampler \
        --metrics fid,conditional_accuracy,copying
done
