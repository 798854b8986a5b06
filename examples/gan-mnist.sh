#!/bin/sh
# Four ways to keep an adversarial pair stable, on MNIST: norms in D (DCGAN), the hinge loss
# with spectral norm, R1, and WGAN-GP. When each came to an FID, and how good it is at the
# end; FID by the judge of MNIST, of 2,048 samples.
set -e
STEPS=${STEPS:-6000}
. "$(dirname "$0")/experiment.sh"
for preset in mnist hinge r1 wgan-gp; do
    train gan-$preset gan --data mnist --preset $preset --eval-every 500 --eval-n 2000 \
        --eval-metrics fid,missing_classes
done
# Words are separate arguments here.
"$LIMN" compare $trained --reach fid=${REACH:-2}
table fid,precision,recall,missing_classes,is
