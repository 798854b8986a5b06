#!/bin/sh
# Judges as a user meets them: limn classify. Speaks TAP. $1: the program.
. "$(dirname "$0")/lib.sh"

LIMN_DATA=$work/data
XDG_DATA_HOME=$work/xdg
export LIMN_DATA XDG_DATA_HOME

# ---- the judge within the program
works "eval" "^accuracy  *100.00 % of 200 images" classify eval builtin:digits --limit 200
check "it says which" grep -q '^hash  *[0-9a-f]\{64\}$' out
check "by class" grep -q '^7  *[0-9]*  *100.00 %$' out
check "and by class taken for" grep -q '^  9      0 .* [1-9][0-9]*$' out
works "eval as JSON" '"accuracy": 1.0, "interval": \[0.98' \
    classify eval builtin:digits --limit 200 --json
check "JSON has the matrix" grep -q '"confusion": \[\[[1-9]' out
check "and the data's hash" grep -q '"data": {"set": "builtin:digits", "split": "test", "hash"' out
refuses 1 "no judge for builtin:shapes.*classify train.*digits" "a set without a judge" \
    classify eval builtin:shapes --quiet
refuses 1 "digit: no such judge; there are: digits" "a name that nobody has" \
    classify eval builtin:digits --judge digit
refuses 2 "unknown verb, did you mean train" "a verb that there is not" classify tain

# ---- predict
works "predict a set" "^builtin:digits: image 0  *[0-9]  *[0-9.]* %$" \
    classify predict builtin:digits --limit 3
check "as many as asked for" test "$(wc -l <out)" = 3
works "predict as CSV" "^image,class,probability$" \
    classify predict builtin:digits --limit 150 --csv
check "a line an image" test "$(grep -c '^builtin:digits: image [0-9]*,[0-9],0\.9' out)" -ge 140
works "predict as JSON" '^\[{"image": "builtin:digits: image 0", "class": "[0-9]"' \
    classify predict builtin:digits --limit 2 --json
"$limn" data show builtin:digits --n 1 --out 'one,1.png' --quiet >log 2>&1
if [ -e 'one,1.png' ]; then
    works "predict a picture" '^"one,1.png",[0-9],' \
        classify predict 'one,1.png' --judge digits --csv
    cp 'one,1.png' two.PNG
    works "predict a picture in capitals" '^two.PNG,[0-9],' \
        classify predict two.PNG --judge digits --csv
    mkdir scans
    for i in 1 2 3; do cp 'one,1.png' scans/$i.png; done
    works "predict a folder that has no splits" '^scans: [0-9].png,[0-9],0' \
        classify predict scans --judge digits --csv
    check "all of it" test "$(grep -c ^scans out)" = 3
    refuses 1 "no test images" "a split that it has not" \
        classify predict scans --judge digits --split test
    refuses 1 "nowhere" "a folder that is not there" \
        classify predict scans nowhere --judge digits --csv
    check "after one that is" test "$(grep -c ^scans out)" = 3
    refuses 2 "does not say which judge" "a picture without a judge" \
        classify predict 'one,1.png'
fi
refuses 1 "nothing.png: cannot" "a picture that is not there" \
    classify predict nothing.png --judge digits

# ---- train
small='--set batch=4 --set patch=4 --set channels=4 --set features=6 --quiet'
set='builtin:shapes?limit=40&size=32'
works "train" "^installed  *judge:shapes, $work/data/judges/shapes.safetensors" \
    classify train "$set" --steps 2 $small
check "a run of its own" test -e runs/judge-shapes/judge.safetensors
check "by the recipe of its kind" grep -q '"preset": "faces"' runs/judge-shapes/run.json
works "its judge is found by the set" "^judge  *of builtin:shapes.*: 10 classes, 6 features" \
    classify eval "$set"
works "or by the run" "^accuracy" classify eval "$set" --judge runs/judge-shapes
works "the next run has the next name" '"run": "runs/judge-shapes-2"' \
    classify train "$set" --steps 1 --no-install --json $small
check "JSON says how it did" grep -q '"test": {"images": 40, "correct"' out
check "not installed is not in it" sh -c '! grep -q installed out'
works "go on" "^5 steps" classify train "$set" --steps 5 --resume --out runs/judge-shapes-2 \
    --no-install --quiet
works "under another name" "^installed  *judge:mine, " \
    classify train "$set" --out r3 --steps 1 --name mine $small
check "the one within the program is not replaced" sh -c \
    '"$0" classify train builtin:digits --out r4 --steps 1 --set batch=4 2>&1 >log |
     grep -q "not installed: judge:digits is the one within"' "$limn"
"$limn" data prepare "$set" --out own --quiet >log 2>&1
refuses 1 "has 2 classes, the judge 10" "a judge of another number of classes" \
    classify eval 'own:train?classes=0,1' --judge digits --quiet
works "a folder of images has no test split" "^installed  *judge:own" \
    classify train own --out r8 --steps 1 --set batch=4 --set channels=4 --set patch=4
check "which is said" grep -q 'not tested: own has no test split' err
works "but may be tested on others" "of 40 images" \
    classify train own --held-out "builtin:shapes:test?limit=40&size=32" --steps 1 $small
refuses 1 "shpaes" "images to test on that are not there" \
    classify train "$set" --out r9 --held-out builtin:shpaes --steps 1 $small
refuses 1 "2 classes to test with" "or that have other classes" \
    classify train own --out r9 --held-out 'own:train?classes=0,1' --steps 1 $small
check "are refused before training" test ! -e r9
cp -r own größe
works "a set whose name is not ASCII" "^installed  *judge:" \
    classify train größe --out r10 --steps 1 --name dim --set batch=4 --set channels=4 --set patch=4
works "has statistics" "not measured" eval größe -n 30 --extractor judge:dim --save-stats own.npz \
    --no-cache --quiet
works "that are read again" "^fid" eval own -n 30 --extractor judge:dim --stats own.npz --metrics fid \
    --no-cache --quiet
refuses 2 "no labels to learn" "images without labels" \
    classify train builtin:faces --out r5 --quiet
refuses 2 "name for a judge" "a name that is a path" \
    classify train "$set" --out r6 --steps 1 --name ../up $small
refuses 2 "did you mean mnist" "a recipe that there is not" \
    classify train "$set" --out r7 --preset mnits --quiet

# ---- files that are no judges
head -c 1000 runs/judge-shapes/judge.safetensors >cut.safetensors
refuses 1 "cut.safetensors" "a file that was cut" \
    classify eval builtin:digits --judge cut.safetensors
refuses 1 "not a judge" "a checkpoint" classify eval builtin:digits \
    --judge "$(ls runs/judge-shapes/checkpoints/*.safetensors)"

echo 1..$n
