#!/bin/sh
# One model a set: 64 samples, reconstructions, 8 interpolations between encoded images, and
# the table. Takes names of sets as arguments.
set -e
. "$(dirname "$0")/experiment.sh"
for set in ${*:-mnist fashion-mnist cifar10}; do
    case $set in
    cifar10) latent=128 ;;
    *) latent=16 ;;
    esac
    train vae-$set vae --data $set --preset small --set latent=$latent
    run=$RUNS/vae-$set
    "$LIMN" sample "$run" -n 64 --out "$run/samples.png" >/dev/null
    "$LIMN" reconstruct "$run" --show 32 --out "$run/reconstructions.png" >/dev/null
    "$LIMN" interpolate "$run" --between images --out "$run/walks.png" >/dev/null
    # Numbers of different sets are not to be compared: a table for each.
    "$LIMN" eval "$run" --samples 20
done
