#!/bin/sh
# Pairs in colour, as far as 25 to 40 minutes of one core go: CIFAR-10 at 32 pixels, drawn
# faces and CelebA ($CELEBA: where it is) at 64. Takes their names as arguments. All are
# measured by the judge of CIFAR-10 (limn classify train cifar10), which knows nothing of
# faces but sees more than pixels.
set -e
given=$STEPS
. "$(dirname "$0")/experiment.sh"
for set in ${*:-cifar10 faces celeba}; do
    case $set in
    cifar10) spec='cifar10' preset=cifar10 STEPS=${given:-7200} ;;
    faces) spec='builtin:faces' preset=dcgan64 STEPS=${given:-4500} ;;
    celeba) spec="${CELEBA:-celeba}?size=64" preset=dcgan64 STEPS=${given:-3000} ;;
    *) echo "gan-colour.sh: $set: not one of cifar10, faces, celeba" >&2 && exit 2 ;;
    esac
    train gan-$set gan --data "$spec" --preset $preset
    run=$RUNS/gan-$set
    "$LIMN" sample "$run" -n 64 --out "$run/samples.png" >/dev/null
    # Numbers of different sets are not to be compared: a table for each.
    "$LIMN" eval "$run" --extractor judge:cifar10
done
