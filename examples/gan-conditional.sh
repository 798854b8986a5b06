#!/bin/sh
# A pair that draws the class it is asked for: the share of its samples that the judge takes
# for that class.
set -e
STEPS=${STEPS:-10000}
. "$(dirname "$0")/experiment.sh"
train gan-conditional gan --data mnist --preset conditional --eval-every 500 --eval-n 2000 \
    --eval-metrics fid,conditional_accuracy
"$LIMN" eval "$RUNS/gan-conditional" --metrics fid,conditional_accuracy,precision,recall
