#!/bin/sh
# The program as a user meets it: exit codes, one clear line for wrong input, interruption
# and resume. Speaks TAP. $1: the program.
problems=$(cd "$(dirname "$0")/../../bench/problems" && pwd)
. "$(dirname "$0")/lib.sh"

small='--set base=8 --set mult=1,2 --set blocks=1 --set batch=2 --set groups=4
--set lr-schedule=constant --quiet'

# ---- help and usage
works "help" "limn COMMAND" --help
works "version" "^limn [0-9]" --version
for command in demo train sample info doctor bench 'bench model' 'bench ops' 'bench data'; do
    works "$command --help" "usage: limn $command" $command --help
done
works "family help" "half-life" train ddpm --help
works "doctor" "oneDNN" doctor
works "doctor --json" '"sets"' doctor --json
refuses 2 "did you mean train" "unknown command" tarin
refuses 2 "did you mean --steps" "unknown option" train ddpm --stesp 3
refuses 2 "did you mean ddpm" "unknown family" train ddmp --data builtin:digits
refuses 2 "steps -3" "negative steps" train ddpm --data builtin:digits --steps -3
refuses 2 "size 0" "zero size" train ddpm --data builtin:digits --size 0
refuses 2 "size.*number" "size of a spec" train ddpm --data 'builtin:digits?size=big' --steps 1
refuses 2 "given twice" "two sizes" train ddpm --data 'builtin:digits?size=16' --size 16 --steps 1
refuses 2 "minutes" "minutes not a number" train ddpm --data builtin:digits --minutes soon
refuses 2 "seed" "negative seed" train ddpm --data builtin:digits --seed -1
refuses 2 "steps" "missing value" train ddpm --data builtin:digits --steps
refuses 2 "--data" "no data" train ddpm
refuses 2 "epochs" "epochs of an endless set" train ddpm --data builtin:digits --epochs 1
refuses 2 "bsae" "unknown setting" train ddpm --data builtin:digits --set bsae=3 --steps 1
refuses 2 "expected 'limn sample RUN" "missing argument" sample
refuses 2 "did you mean tiny" "unknown preset" train ddpm --data builtin:digits --preset tinny
found=${LIMN_DATA-}
export LIMN_DATA="$work/no-sets"
refuses 1 "mnist" "set that is not there" train ddpm --data mnist --steps 1
if [ "$found" ]; then LIMN_DATA=$found; else unset LIMN_DATA; fi
refuses 1 "nowhere" "run that is not there" sample nowhere
refuses 1 "nowhere" "file that is not there" info nowhere.safetensors
refuses 1 "/proc/x" "folder that cannot be made" \
    train ddpm --data builtin:digits --preset tiny --steps 1 $small --out /proc/x

# ---- data files
printf '\0\0\010\003\0\0\0\012\0\0\0\034\0\0\0\034abc' >short-idx3-ubyte
refuses 1 "short-idx3-ubyte: truncated" "truncated IDX" train ddpm --data short-idx3-ubyte --steps 1
printf 'PK\003\004 not an IDX file at all' >wrong-idx3-ubyte
refuses 1 "wrong-idx3-ubyte: wrong magic" "wrong magic" train ddpm --data wrong-idx3-ubyte --steps 1

# ---- train, sample, info
works "train" "3 steps" train ddpm --data builtin:digits --preset tiny --steps 3 $small --out run
works "train with a profile" "%  *outside of programs" \
    train ddpm --data builtin:digits --preset tiny --steps 2 $small --profile --out profiled
check "no warning of a size that fits" test ! -s err
works "train on larger images" "1 steps" train ddpm --data 'builtin:digits?size=40' \
    --preset tiny --steps 1 $small --set attention=0 --out large
check "a preset for smaller ones" grep -q 'made for 28 x 28.*have 40 x 40' err
check "run.json" grep -q '"family": "ddpm"' run/run.json
check "log.jsonl" grep -q '"step": 3' run/log.jsonl
check "time before the first step" grep -q '"startup_seconds": [0-9.]*, "first_step' run/log.jsonl
check "snapshot" test -s run/samples/step-00000003.png
refuses 2 "holds a run already" "second run in one folder" \
    train ddpm --data builtin:digits --preset tiny --steps 3 $small --out run
works "train at a rate of many digits" "1 steps" train ddpm --data builtin:digits \
    --preset tiny --steps 1 $small --set lr=0.00012345678901234567 --out rate
works "digits are kept" "lr  *0.00012345678901234567" info rate
works "and no more than were given" "ema-ramp  *0.1$" info rate
works "sample to a sheet" "sheet.png" sample run -n 3 --steps 2 --out sheet.png --quiet
check "the engine's settings are recorded" grep -q '"engine.conv": "auto"' run/run.json
works "sample by other kernels" "other.png" \
    sample run -n 3 --steps 2 --out other.png --quiet --set engine.conv=onednn --set engine.winograd=off
refuses 2 "engine.winograd" "sample from another model" sample run -n 1 --quiet --set base=16
refuses 2 "expected one of auto" "unknown kernel" \
    train ddpm --data builtin:digits --preset tiny --steps 1 --set engine.conv=slow
refuses 2 "did you mean engine.tune" "unknown setting of the engine" sample run --set engine.tuen=on
export XDG_CACHE_HOME="$work/cache"
works "train with measured kernels" "1 steps" \
    train ddpm --data builtin:digits --preset tiny --steps 1 $small --out tuned --set engine.tune=on
check "what was measured is kept" grep -q '^forward 2 .* = ' cache/limn/conv-*.txt
unset XDG_CACHE_HOME
works "sample to an array" "x.npy" sample run --n=3 --steps=2 --out=x.npy --quiet
works "info of the array" "u8 \[3,28,28,1\]" info x.npy
works "sample to a folder" "many" sample run -n 3 --steps 2 --out many --quiet
check "a file an image" test -s many/000002.png -a ! -e many/000003.png
works "sample as JSON" '"nfe"' sample run -n 1 --steps 2 --json --quiet
cp sheet.png first.png
works "sample again" "sheet.png" sample run -n 3 --steps 2 --out sheet.png --quiet
check "the same seed draws the same bytes" cmp sheet.png first.png
works "another seed" "sheet.png" sample run -n 3 --steps 2 --seed 5 --out sheet.png --quiet
check "draws others" sh -c '! cmp -s sheet.png first.png'
refuses 2 "steps" "more steps than the model has" sample run -n 1 --steps 5000 --quiet
refuses 1 "unwritable\|cannot\|No such" "sheet in no folder" sample run -n 1 --steps 2 --quiet --out none/at/all.png
works "sample with the weights as they are" '"weights": "raw"' \
    sample run -n 1 --steps 2 --quiet --json --weights raw --out raw.png
refuses 2 "not trained with classes" "a class of a model without" sample run --class 3 --quiet
refuses 2 "not trained with classes" "guidance without classes" sample run --guidance 2 --quiet
refuses 1 "eval-every" "a best checkpoint that was not kept" sample run --checkpoint best --quiet
works "train with classes" "1 steps" train ddpm --data builtin:digits --preset tiny --steps 1 \
    $small --set conditional=true --out classes --quiet
works "sample of all classes" "guidance=1 (w=0) labels=balanced" \
    sample classes -n 12 --steps 2 --quiet --out classes.png
works "sample of one class, guided" "(4 network evaluations each.*guidance=3 (w=2) class=7" \
    sample classes -n 2 --steps 2 --quiet --class 7 --guidance 3 --out seven
check "in the class's folder" test -s seven/7/000001.png
refuses 2 "class: 10 is not within 0 and 9" "a class that there is not" \
    sample classes --class 10 --quiet
export LIMN_CACHE="$work/eval-cache"
works "train with evaluations" "^evaluation fid [0-9.]* (floor [0-9.]*)" \
    train ddpm --data 'builtin:digits?limit=40' --preset tiny --steps 3 $small --out judged \
    --eval-every 2 --eval-n 8 --eval-metrics fid,kid
check "which are in the log" grep -q '"step": 2.*"eval": {"fid": {"value": [0-9.]*, .*"floor"' \
    judged/log.jsonl
check "and whole in the run" sh -c 'test $(ls judged/eval/step-*.json | wc -l) = 2'
works "sample from the best" "judged/samples" sample judged -n 1 --steps 2 --checkpoint best --quiet
works "info of an evaluated run" "evaluated  step 3, fid [0-9.]*, kid" info judged
works "info of the best" "best_metric  *fid" info judged/checkpoints/best.safetensors
refuses 2 "did you mean fid" "an unknown metric" train ddpm --data builtin:digits --steps 1 $small \
    --eval-every 1 --eval-metrics fidd --out judged-not
refuses 2 "not one of --eval-metrics fid" "a best by what is not measured" \
    train ddpm --data builtin:digits --steps 1 $small --eval-every 1 --keep-best kid --out judged-not
check "neither made a folder" test ! -e judged-not
unset LIMN_CACHE
works "info of a run" "parameters" info run
works "info as JSON" '"parameters"' info run --json
works "info of a checkpoint" "step  *3" info run/checkpoints/step-00000003.safetensors
head -c 3000 run/checkpoints/step-00000003.safetensors >cut.safetensors
refuses 1 "cut.safetensors" "truncated checkpoint" info cut.safetensors
refuses 1 "cut.safetensors" "sample from a truncated one" sample run --checkpoint cut.safetensors --quiet

# ---- benchmarks
works "bench" "images/s" bench ddpm --preset tiny --batch 2 --steps 1
works "bench as JSON" '"step_seconds": \[[0-9.e-]*, [0-9.e-]*\], "images_per_second"' \
    bench model ddpm --preset tiny --batch 2 --steps 2 --json
works "of sampling alone" '"sample_peak_bytes": [1-9]' \
    bench model ddpm --preset tiny --steps 0 --sample 1 --json
"$limn" bench model ddpm --preset tiny --batch 2 --steps 1 --profile >profile
check "with a profile" grep -q "unet.down.0.0.block.conv1$" profile
# The last rows: all kernels, between, outside, and the step that they add up to.
check "whose rows add up to the step" sh -c 'tail -4 profile | awk "
    NR < 4 { sum += \$1 } NR == 4 { step = \$1 }
    END { exit !(step > 0 && sum > step - 0.02 && sum < step + 0.02) }"'
works "as JSON" '"layers": \[{"name"' \
    bench model gan --preset bench32 --batch 2 --steps 1 --profile --json
works "slowest kernels" "discriminator" bench model gan --preset bench32 --batch 2 --steps 1 --top 400
works "a profile of sampling" '"steps": 1' \
    bench model ddpm --preset tiny --steps 0 --sample 1 --profile --json
refuses 2 "nothing to time" "of nothing" bench model ddpm --steps 0
works "of a pair" "1.85 M parameters, batch 4" bench model gan --preset bench32 --batch 4 --steps 1
works "memory at the peak" "MB of an arena of .* in use at step" \
    bench model gan --preset bench32 --batch 4 --memory
works "both phases" "^phase generator" bench model gan --preset bench32 --batch 4 --dump
"$limn" bench model gan --preset bench32 --batch 4 --dump >dump
check "D's update leaves G alone" \
    sh -c 'sed /^phase.generator/,\$d dump | grep -q "at discriminator.*'"'"'" &&
           ! sed /^phase.generator/,\$d dump | grep "at generator.*'"'"'"'
check "G's update leaves D's weights alone" \
    sh -c 'sed 1,/^phase.generator/d dump | grep -q "conv_wgrad.*at generator" &&
           ! sed 1,/^phase.generator/d dump | grep "conv_wgrad.*at discriminator"'
works "export of a loss" "one.safetensors: loss [0-9.]*$" bench model ddpm --preset tiny --batch 2 --export one.safetensors
works "has what it took" "input.noise f32 \[2,28,28,1\]" info one.safetensors --tensors
works "export of a bound" "bound.safetensors: loss [0-9.]*$" bench model vae --preset conv --batch 2 --export bound.safetensors
works "export of a pair" '"loss.d": [0-9.]*, "loss.g": [0-9.]*}' bench model gan --preset bench32 --batch 2 --json \
    --export two.safetensors
works "has both losses" "loss.g f32 \[\]" info two.safetensors --tensors
refuses 1 "nowhere" "export to no folder" bench model gan --preset bench32 --batch 2 --export nowhere/x

# ---- single operators
problem() { printf '# a comment\n\n%s # another\n' "$1" >problem.txt; }
problem 'conv n=2 h=9 w=7 c=8 k=16 pad=1 pass=wgrad'
works "batches" "2 workers  [0-9]* images/s" bench data 'builtin:digits?flip&pad-crop=2' --seconds 0.01
works "batches as JSON" '"workers": 1, "images_per_second": [1-9]' \
    bench data builtin:digits --workers 1 --batch 7 --seconds 0.001 --json
refuses 1 "no such set" "batches of nothing" bench data nothing
works "operators" "default  *[a-z0-9]" bench ops problem.txt --seconds 0.001
"$limn" bench ops problem.txt --seconds 0.001 --json >ops.json
check "as JSON" grep -q '"flops": 290304.0, "bytes": 16704.0, "candidates": \[{"choice"' ops.json
check "every kernel once" sh -c 'tr , "\n" <ops.json | sed -n "s/.*\"kernel\": //p" |
    sort | uniq -d | wc -l | grep -qx 0'
works "a kernel that is asked for" '"candidates": \[{[^}]*"kernel": "onednn[^}]*}\]' \
    bench ops problem.txt --seconds 0.001 --json --set engine.conv=onednn
# All that bench/problems has, with one image each.
for file in "$problems"/*.txt; do
    sed 's/ n=[0-9]*/ n=1/; s/=50176/=49/; s/=8192/=64/' "$file" >small.txt
    works "problems of $(basename "$file")" "default" bench ops small.txt --seconds 0.001
done
problem 'cnov n=1'
refuses 2 "problem.txt:3: cnov.*did you mean conv" "unknown operator" bench ops problem.txt
problem 'conv n=0'
refuses 2 "problem.txt:3: n 0" "no image" bench ops problem.txt
problem 'ew'
refuses 2 "ew FUNCTION" "no function" bench ops problem.txt
problem 'ew shake n=2'
refuses 2 "shake" "unknown function" bench ops problem.txt
problem 'attention n=2 pass=sideways'
refuses 2 "forward, gradient" "unknown pass" bench ops problem.txt
problem 'conv h=2 w=2 kernel=5'
refuses 1 "problem.txt:3: conv: w is larger" "kernel that does not fit" bench ops problem.txt
refuses 1 "nowhere" "problems that are not there" bench ops nowhere.txt
refuses 2 "engine" "setting of no engine" bench ops problem.txt --set base=3

# ---- interruption and resume
"$limn" train ddpm --data builtin:digits --preset tiny --steps 100000 $small --out long \
    >out 2>err &
pid=$!
wait_for test -s long/log.jsonl
refuses 2 "in progress there: long/lock: held by process $pid" "two processes in one run" \
    train --resume --out long
kill -TERM $pid
wait $pid
code=$?
if [ $code = 130 ]; then report ok "SIGTERM exits with 130"; else report "not ok" "SIGTERM exits with 130" "got $code"; fi
check "and has saved" sh -c 'ls long/checkpoints/step-*.safetensors'
check "no temporary file is left" sh -c '! ls long/checkpoints/*tmp*'
step=$(ls long/checkpoints | sed 's/step-0*//;s/.safetensors//' | tail -1)
more=$((step + 2))
works "resume" "$more steps" train --resume --out long --steps $more --quiet
works "straight" "$more steps" train ddpm --data builtin:digits --preset tiny --steps $more $small --out straight --workers 0
works "nothing left to do" "at its limit already: $more steps" train --resume --out long --quiet
check "stopping changed nothing" sh -c 'cmp long/checkpoints/step-*'$more'.safetensors straight/checkpoints/step-*'$more'.safetensors'
refuses 1 "base" "resume with another model" train --resume --out long --set base=16 --steps 9
refuses 2 "which run" "resume of nothing" train --resume --steps 9

# ---- killed outright: the last checkpoint still works
"$limn" train ddpm --data builtin:digits --preset tiny --steps 100000 --save-every 5 $small --out killed >out 2>err &
pid=$!
wait_for sh -c 'ls killed/checkpoints/step-*0.safetensors'
kill -KILL $pid
wait $pid 2>/dev/null
works "resume after a kill" "checkpoint" train --resume --out killed --steps 40 --quiet

printf '1..%d\n' "$n"
