#!/bin/sh
# States as a user meets them: a small autoencoder interpolated, reconstructed, traversed;
# a diffusion model interpolated by its noise. Speaks TAP. $1: the program.
. "$(dirname "$0")/lib.sh"

# Each makes a run of a few steps.
small() { # FOLDER FAMILY ARGS..., of which the last --steps counts
    out=$1 family=$2
    shift 2
    "$limn" train "$family" --data builtin:digits --out "$out" --quiet --steps 3 --set batch=8 "$@"
}
vae="--set net=mlp --set hidden=32 --set latent=6"
check "train an autoencoder" small plain vae $vae --snapshot-every 3
check "its samples are drawn without steps" test -s plain/samples/step-00000003.png
check "the log has the parts of its loss" \
    grep -q '"kl": [0-9.]*, "active_units": [0-9.]*, "unit_kl": \[' plain/log.jsonl
check "train a conditional one" small classes vae $vae --set conditional=true

mkdir "$(printf 'im\351')"
refuses 2 "not in UTF-8" "a name that is not UTF-8" \
    train vae --data "$(printf 'im\351')" --out nowhere
check "train on images of another size" small sized vae $vae --size 14
check "resume with the same words" small sized vae $vae --size 14 --steps 5 --resume
refuses 1 "size=16: the run in sized was started with .*size=14" "but not with another" \
    train vae --data builtin:digits --size 16 --out sized --resume --steps 7

gan="--preset hinge --set base=4"
check "train an adversarial pair" small pair gan $gan
works "sample it" "normal z" sample pair -n 4 --out pair.png
works "sample it within bounds" "normal z truncation=0.7" \
    sample pair -n 4 --truncation 0.7 --out truncated.png
check "these are others" test "$(cmp pair.png truncated.png >diff 2>&1; echo $?)" = 1
works "interpolate between its draws" "walks" interpolate pair --truncation 1
refuses 2 "truncation: family vae" "bounds where they have no meaning" \
    sample plain -n 4 --truncation 0.7

refuses 2 "steps: family gan draws in one pass" "steps where there are none" \
    sample pair -n 4 --steps 7
refuses 2 "guidance: family vae" "guidance where there is none" \
    sample classes -n 4 --guidance 4

works "interpolate between draws" "^8 walks of 10 images" interpolate plain
check "a sheet in the run" test -s plain/samples/interpolate-step3.png
cp plain/samples/interpolate-step3.png first.png
works "the same again" "walks" interpolate plain
check "has the same bytes" cmp first.png plain/samples/interpolate-step3.png
works "another seed" "walks" interpolate plain --seed 1 --out other.png
check "has others" test "$(cmp first.png other.png >diff 2>&1; echo $?)" = 1
works "between images" '"pairs": 2, "frames": 3' interpolate plain --between images \
    --pairs 2 --frames 3 --mode lerp --out pairs.png --json
works "of a conditional model" "walks" interpolate classes --between images --out c.png
works "draw from a mixture" "mixture components=3 covariance=diagonal fitted to 10000 codes" \
    sample plain -n 4 --sampler mixture --components 3 --covariance diagonal --out mixture.png
check "it is kept" test -s plain/mixtures/step-00000003-3-diagonal.safetensors
works "draw from it again" "fitted to 10000 codes" sample plain -n 4 --sampler mixture \
    --components 3 --covariance diagonal --out again.png
check "has the same bytes" cmp mixture.png again.png
check "train with another seed" small other vae $vae --seed 5
works "another checkpoint of that step" "fitted to 10000 codes" sample plain -n 4 \
    --checkpoint other/checkpoints/step-00000003.safetensors --sampler mixture \
    --components 3 --covariance diagonal --out foreign.png
check "has another mixture" test "$(cmp again.png foreign.png >diff 2>&1; echo $?)" = 1
works "the run's own once more" "fitted to 10000 codes" sample plain -n 4 \
    --sampler mixture --components 3 --covariance diagonal --out own.png
check "has its own" cmp again.png own.png
works "a mixture for each class" "covariance=full for each class" \
    sample classes -n 4 --sampler mixture --components 2 --class 3 --out mixture.png
works "walk between its draws" "walks" interpolate classes --sampler mixture --components 2
refuses 2 "sampler: posterior is not one of prior and mixture" "another sampler" \
    sample plain -n 4 --sampler posterior
printf broken >plain/mixtures/step-00000003-3-diagonal.safetensors
refuses 1 "step-00000003-3-diagonal" "a mixture that is none" sample plain -n 4 \
    --sampler mixture --components 3 --covariance diagonal
works "reconstruct" "SSIM" reconstruct plain -n 20 --out rows.png
works "a single image has no error" '"mse_error": null' reconstruct plain -n 1 --json
works "reconstruct by class" '"images": 20' reconstruct classes -n 20 --json
works "traverse" "of 6 units are active" traverse plain --out units.png
works "by few images" "units are active" traverse plain --data 'builtin:digits:test?limit=40' \
    --out few-units.png
works "around a late one" "units are active" traverse plain --image 600 --out late.png
refuses 2 "41 images are needed; it has 40" "around none" \
    traverse plain --data 'builtin:digits:test?limit=40' --image 40
works "traverse around an image" '"units": 6' traverse classes --image 3 --json

works "map a plane of codes" "codes of 50 images" map plain -n 50 --grid 4
check "decoded images in the run" test -s plain/samples/map-step3.png
check "and where images lie" test -s plain/samples/codes-step3.png
works "a plane of one's choice" '"units": \[4, 1\]' map classes -n 20 --grid 2 --units 4,1 \
    --class 3 --json
refuses 2 "units 0 to 5" "a unit that is not there" map plain -n 5 --units 0,6

# Codes of a table, which lies in buffers: these are saved, and a resumed run has the same.
vq="--set lr-schedule=constant --set base=4 --set mult=1,1 --set codes=8 --set width=4"
check "train with quantised codes" small whole vqvae $vq --steps 4
check "the log says how many are used" grep -q '"codes_used": ' whole/log.jsonl
check "train a part" small part vqvae $vq --steps 2
check "continue it" "$limn" train --resume --out part --steps 4 --quiet
check "has the same bytes" cmp part/checkpoints/step-00000004.safetensors \
    whole/checkpoints/step-00000004.safetensors
works "reconstruct by codes" "SSIM" reconstruct whole -n 10
works "draw codes" "uniform over codes" sample whole -n 4 --out codes.png

# Without an encoder states are found by descending to them.
invert="--invert-steps 3 --starts 2"
check "train a generator" small game gan --preset mnist --set base=4 --set z=5
works "reconstruct by descent" "SSIM" reconstruct game -n 40 $invert --out found.png
works "the same again" "SSIM" reconstruct game -n 40 $invert --out again.png
check "has the same bytes" cmp found.png again.png
works "walk between such states" "2 walks of 3" interpolate game --between images \
    --pairs 2 --frames 3 $invert --out walk.png
refuses 1 "family gan has no encoder" "units of no encoder" traverse game
works "a few of them by default" "^64 images of" reconstruct game --invert-steps 1 --starts 1
works "a map of found codes" "codes of 64 images" map game --grid 2 --invert-steps 1 --starts 1
refuses 2 "starts" "too many starts" reconstruct game --starts 65

check "train a diffusion model" small noise ddpm --preset tiny --set base=8
check "one of few noise levels" small few ddpm --preset tiny --set base=8 --set timesteps=10
works "sample it" "steps=10" sample few -n 2 --out few.png
refuses 2 "sample-steps: 11" "more steps than it has" sample few -n 2 --steps 11
works "interpolate its noise" "2 walks of 3" interpolate noise --pairs 2 --frames 3 --steps 2
refuses 1 "family ddpm has no encoder" "encode by a family that cannot" reconstruct noise
refuses 1 "28x28x3, but the model is of 28x28x1" "images of another shape" \
    reconstruct plain --data "builtin:digits?rgb"
works "reconstruct all there are" "^5 images of" reconstruct plain \
    --data "builtin:digits?limit=5" --out few.png
refuses 2 "1000 images are needed; it has 5" "too few images" \
    reconstruct plain --data "builtin:digits?limit=5" -n 1000
coded="reconstruction_mse,reconstruction_psnr,reconstruction_ssim,kl,active_units"
works "judge codes" "active_units.* of 6 units" eval plain -n 40 --metrics $coded --no-cache
works "of a conditional model" '"metric": "kl"' eval classes -n 40 --metrics kl --no-cache --json
refuses 2 "frames" "a walk of one frame" interpolate plain --frames 1
refuses 1 "nowhere" "a run that is not there" interpolate nowhere

works "codes without a posterior" "reconstruction_ssim" eval whole -n 20 --no-cache \
    --metrics reconstruction_mse,reconstruction_ssim
refuses 2 "kl: codes have no posterior" "a divergence that is not there" \
    eval whole -n 20 --metrics kl --no-cache
refuses 2 "kl: there is no encoder" "codes that are not there" \
    eval noise -n 4 --steps 1 --metrics kl --no-cache

echo 1..$n
