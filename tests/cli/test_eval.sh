#!/bin/sh
# `limn eval` and `limn compare` as a user meets them. Speaks TAP. $1: the program.
. "$(dirname "$0")/lib.sh"
LIMN_CACHE=$work/cache
export LIMN_CACHE
set8='builtin:digits?size=8'
test8='builtin:digits:test?size=8'
eval8="--data $set8 --extractor pixels --reference 400 --quiet"

# value FILE METRIC [FIELD]: a number of a report.
value() {
    sed -n "/\"metric\": \"$2\"/,/\"protocol\"/s/^ *\"${3:-value}\": \(.*\),\$/\1/p" "$1" | head -1
}
# holds EXPRESSION: of awk.
holds() { awk "BEGIN { exit !($1) }"; }

# ---- usage
works "eval --help" "^  fid " eval --help
refuses 2 "expected 'limn eval RUN" "without images" eval
refuses 2 "data: not given" "without a set" eval "$test8"
refuses 1 "nowhere" "images that are not there" eval nowhere $eval8
refuses 1 "nowhere" "a set that is not there" eval "$test8" --data nowhere
refuses 2 "did you mean fid" "an unknown metric" eval "$test8" $eval8 -n 100 --metrics fidd
refuses 2 "fid: named twice" "a metric twice" eval "$test8" $eval8 -n 100 --metrics fid,fid
refuses 1 "did you mean pixels" "an unknown extractor" eval "$test8" --data "$set8" -n 100 --extractor pixel
refuses 2 "has 50 images" "more images than there are" eval "$test8&limit=50" $eval8 -n 100
refuses 2 "expected one of le" "an unknown tie rule" eval "$test8" $eval8 --tie gt
mkdir empty
refuses 1 "empty" "a folder without images" eval empty $eval8
refuses 1 "8x8 with 1; --resize" "images of another size" eval builtin:digits:test $eval8 -n 100
refuses 1 "8x8 with 1; --resize" "images in colour" eval 'builtin:digits-m:test?size=8' $eval8 -n 100
refuses 2 "labels\|classes" "a metric that does not apply" eval "$test8" $eval8 -n 100 --metrics conditional_accuracy

# ---- numbers
works "images of the set" "^fid " eval "$test8" $eval8 -n 300 --out same.json
check "are near their floor" holds "$(value same.json fid) < 2 * $(value same.json fid floor)"
grep -v json out >table
works "again" "^fid " eval "$test8" $eval8 -n 300 --out again.json
check "the same table, from the cache" sh -c "grep -v json out | cmp table"
works "without a cache" "^fid " eval "$test8" $eval8 -n 300 --no-cache --threads 1
check "and with one thread" sh -c "grep -v json out | cmp table"
works "other images" "^fid " eval builtin:digits-m:test $eval8 -n 300 --resize bicubic --out other.json
check "are far away" holds "$(value other.json fid) > 5 * $(value same.json fid)"
check "say how they came to their size" grep -q '"resize": "size=8&filter=bicubic&grey"' other.json
works "JSON" '"reference_n": 400' eval "$test8" $eval8 -n 300 --json
works "against test" '"reference_split": "test"' eval "$test8" $eval8 -n 300 --json --against test
works "and in words" "^reference  builtin:digits?size=8, test: 400 " eval "$test8" $eval8 -n 300 \
    --against test --out test.json
check "what the training images are" grep -q '^training   builtin:digits?size=8, train: 400 ' out
check "and of which images floors are" grep -q '^real images: the same of 300 training ones' out
check "where they have one" test "$(value test.json neighbours floor)" = null
check "others do" holds "$(value test.json fid floor) > 0"
works "no floor" '"floor": null' eval "$test8" $eval8 -n 300 --json --no-floor
refuses 1 "cannot write" "a report in no folder" eval "$test8" $eval8 -n 100 --out none/a.json

works "pairs" "^mse .* 0.000" eval "$test8" $eval8 -n 100 --pairs "$test8" --metrics mse,ssim
refuses 1 "pairs .*: 50 images" "fewer pairs" eval "$test8&limit=60" $eval8 --pairs "$test8&limit=50"
works "a sheet of neighbours" "^neighbours " eval "$test8" $eval8 -n 20 --k 3 --neighbours sheet.png
check "is a PNG" sh -c 'head -c 8 sheet.png | tail -c 7 | grep -q "^PNG"'
works "statistics" "not measured" eval "$set8" -n 400 --extractor pixels --save-stats set.npz --quiet
works "in place of a set" '"fid"' eval "$test8" -n 300 --extractor pixels --stats set.npz --metrics fid --quiet --json --out stats.json
check "say the same as the set" holds \
    "($(value stats.json fid) - $(value same.json fid))^2 < 1e-12 * $(value same.json fid)^2"
works "and beside one" "^reference  set.npz$" eval "$test8" -n 300 --extractor pixels --stats set.npz \
    --data "$set8" --reference 200 --metrics fid,neighbours --quiet
check "which says what it is" grep -q '^training   builtin:digits?size=8, train: 200 ' out
check "and of which images floors are, too" grep -q '^real images: the same of 300 held-out ones' out
refuses 1 "statistics of 64 features" "of another size" eval builtin:digits:test -n 50 --extractor pixels --stats set.npz
refuses 1 "set.png" "statistics that are not there" eval "$test8" -n 50 --extractor pixels --stats set.png
"$limn" data prepare 'builtin:digits?limit=900' --size 28 --out few/train --quiet >log 2>&1
"$limn" data prepare 'builtin:digits:test?limit=400' --size 28 --out few/test --quiet >log 2>&1
works "classes by labels and by the judge" "^class  *images  *expected" eval 'few:test?classes=3,5' \
    --data 'few?classes=3,5' --extractor judge:digits -n 40 --metrics class_fid,class_histogram
check "have a table each" test "$(grep -c '^class  ' out)" = 2
works "the same classes" "^class  *fid  *images" eval 'builtin:digits:test?limit=100' \
    --data 'builtin:digits?limit=200' -n 100 --metrics class_fid,class_histogram
check "share one" test "$(grep -c '^class  ' out)" = 1
shapes='builtin:shapes:test?size=32&grey&limit=40'
works "images without a judge" "see little" eval "$shapes" --data 'builtin:shapes?size=32&grey' \
    -n 40 --reference 40 --metrics kid
works "what needs no features" "^mse" eval "$shapes" --data 'builtin:shapes?size=32&grey' \
    -n 40 --reference 40 --metrics mse --pairs "$shapes"
check "says nothing of them" sh -c '! grep -q "see little" out'
works "the digits' own judge" "judge:digits" eval builtin:digits:test --data builtin:digits -n 60 \
    --reference 60 --metrics conditional_accuracy,missing_classes --quiet

# ---- a folder, and one with a digit missing
"$limn" data prepare 'builtin:digits:test?limit=300' --out real --quiet >/dev/null
"$limn" data prepare 'real:test?classes=0,1,2,3,4,5,6,7,9' --out nine --quiet >/dev/null
works "a folder" "of 10 classes\|classes are as" eval real:test --data builtin:digits --reference 600 --quiet --out ten.json
check "has all digits" holds "$(value ten.json missing_classes) == 0"
works "nine digits" "missing: 8" eval nine:test --data builtin:digits --reference 600 --quiet --out nine.json
check "are not as the data" holds "$(value nine.json class_histogram) < 0.001"

# ---- a run
"$limn" train ddpm --data builtin:digits --preset tiny --set base=8 --set mult=1,2 --set blocks=1 \
    --set batch=8 --set groups=4 --steps 2 --quiet --out run >/dev/null
works "a run" "ema weights of step 2" eval run -n 20 --k 3 --reference 50 --steps 2 --quiet
check "is written into it" sh -c 'ls run/eval/step-00000002-*.json'
works "and compared" "nothing\|^fid " compare run run
for option in steps=2 sampler=ddim components=3 covariance=full eta=0 guidance=2 truncation=1 \
    checkpoint=best weights=ema samples=10 terms=3 set=base=8; do
    refuses 2 "^limn eval: --${option%%=*}.*$test8 is no run" "${option%%=*} of what is no run" \
        eval "$test8" $eval8 -n 100 "--${option%%=*}" "${option#*=}"
done
refuses 2 "resize: samples of a run" "a size for samples of a run" eval run --resize box
for option in against=test held-out=builtin:digits reference=50; do
    refuses 2 "^limn eval: --${option%%=*}: there is no set" "${option%%=*} without a set" \
        eval "$test8" --extractor pixels --stats set.npz "--${option%%=*}" "${option#*=}"
done
refuses 2 "a run have none" "pairs of a run" eval run --pairs "$set8"
"$limn" eval run -n 5000 >out 2>err &
pid=$!
sleep 1
kill -INT $pid
wait $pid
check "ctrl-c" test $? = 130
check "in one line" grep -q interrupted err

# ---- compare
works "compare" "^fid " compare same.json again.json
check "equal numbers are not told apart" sh -c '! grep -q "[*]" out'
works "compare names" "same.json" compare same.json again.json --csv
works "compare as a table" "^| again | " compare same.json again.json --markdown
works "compare as JSON" '"comparable": [1-9]' compare same.json again.json --json
"$limn" eval "$test8" $eval8 -n 200 --out fewer.json >/dev/null
"$limn" compare same.json fewer.json >out 2>err
check "other numbers of images are refused" test $? = 1
check "and the field named" grep -q "B, n: 200, not 300" out
check "in a line of error" grep -q "no number of two evaluations" err
refuses 2 "expected 'limn compare" "compare with nothing" compare same.json
echo "{}" >none.json
refuses 1 "not an evaluation" "something else" compare same.json none.json
echo '{"format": 1, "date": "x", "results": [{"metric": 3}]}' >bad.json
refuses 1 "bad.json: result 0 is incomplete" "a damaged report" compare same.json bad.json
echo '{"format": 99, "date": "x", "results": []}' >new.json
refuses 1 "new.json: format 99" "a report of the future" compare same.json new.json
refuses 1 "empty: not evaluated yet" "a run without an evaluation" compare same.json empty

works "nothing that takes hours unasked" "not measured: fid, fid_infinity: takes long" eval builtin:faces \
    --data builtin:faces -n 20 --reference 30 --extractor pixels --no-cache
works "what takes long when asked" "fid_infinity" eval 'builtin:digits?size=24' --metrics fid_infinity \
    --data 'builtin:digits?size=24' -n 20 --reference 30 --extractor pixels --no-cache --no-floor
check "and told so" grep -q "fid_infinity takes long with the 576 features" err
check "once" test "$(grep -c long err)" = 1

refuses 1 "run: nothing in its log measures fid" "a course without evaluations" compare run run --reach fid=3
cat >>run/log.jsonl <<ROWS
{"step": 1, "images": 8, "seconds": 30, "eval": {"fid": {"value": 5}, "recall": {"value": 0.25}}}
{"step": 2, "images": 16, "seconds": 60, "eval": {"fid": {"value": 2}, "recall": {"value": 0.5}}}
{"step": 3, "images": 24, "seconds": 90, "eval": {"fid": {"value": 3}, "recall": {"value": 0.75}}}
ROWS
works "when low values were reached" "^| run | 2 | 16 | 1.0 | 2.0* | 2 | 1.5 |" compare run run --reach fid=3
works "when high ones were" "^| run | 2 | 16 | 1.0 | 0.750* | 3 | 1.5 |" compare run run --reach recall=0.5
works "when they were not" "^| run | not reached | | | 2.0* | 2 |" compare run run --reach fid=1
works "the same as JSON" '"reached": {"step": 2' compare run run --reach fid=3 --json
refuses 2 "expected METRIC=VALUE" "a metric without a value" compare run run --reach fid
refuses 2 "no such metric" "a metric that there is not" compare run run --reach fix=1
refuses 2 "neither high nor low" "a metric without a better" compare run run --reach class_histogram=1

echo 1..$n
