#!/bin/sh
# The verbs of `limn data` as a user meets them. Speaks TAP. $1: the program.
. "$(dirname "$0")/lib.sh"

# idx N [LABEL]: a set of N grey images of 4 x 4 pixels in digits/, image i all i; labels
# i mod 3, or LABEL.
idx() {
    mkdir -p digits
    { printf '\0\0\010\003\0\0\0'"\\$(printf %o "$1")"'\0\0\0\004\0\0\0\004'
    i=0
    while [ $i -lt "$1" ]; do
        octal=$(printf '\\%o' $i)
        printf "$octal$octal$octal$octal$octal$octal$octal$octal"
        printf "$octal$octal$octal$octal$octal$octal$octal$octal"
        i=$((i + 1))
    done; } >digits/train-images-idx3-ubyte
    { printf '\0\0\010\001\0\0\0'"\\$(printf %o "$1")"
    i=0
    while [ $i -lt "$1" ]; do
        printf "\\$(printf %o $((i % 3)))"
        i=$((i + 1))
    done; } >digits/train-labels-idx1-ubyte
}

# ---- help and usage
works "data --help" "info " data --help
check "data alone" sh -c '"$1" data 2>&1 >/dev/null | grep -q "usage: limn data VERB"' - "$limn"
refuses 2 "did you mean info" "unknown verb" data inof digits
for verb in info show prepare; do
    out=
    [ $verb = info ] || out="--out made.png"
    works "data $verb --help" "usage: limn data $verb SPEC" data $verb --help
    refuses 2 "expected 'limn data $verb SPEC" "$verb without a set" data $verb
    refuses 1 "nowhere" "$verb of what is not there" data $verb nowhere $out
    refuses 2 "expected one of train" "$verb of an unknown split" data $verb nowhere --split tset $out
done

# ---- info
idx 10
works "info" "images  *10" data info digits
check "the size" grep -q 'size  *4 x 4' out
check "the mean of 0 .. 9 / 255" grep -q 'mean  *0.0176' out
check "the deviation" grep -q 'deviation  *0.0113' out
check "the classes" grep -q ' 0 .* 4  40.0 %' out
check "no duplicates" grep -q 'duplicates  *none' out
works "info as JSON" '"duplicates": 0' data info digits --json
works "of an endless set" "of the first 20" data info builtin:digits --limit 20
printf '\0\0\0\0' >>digits/train-images-idx3-ubyte
refuses 1 "more data than its header" "too long a file" data info digits

# ---- show
idx 10
works "show" "10 images" data show digits --out sheet.png
check "a sheet" sh -c 'head -c 8 sheet.png | tail -c 7 | grep -q "^PNG"'
works "by class" "9 images" data show digits --by-class -n 9 --out rows.png
works "fewer" "3 images" data show digits -n 3 --out three.png
works "as JSON" '"columns": 2' data show digits -n 3 --out three.png --json
cp three.png first.png
works "again" "3 images" data show digits -n 3 --out three.png
check "the same" cmp three.png first.png
works "another seed" "3 images" data show digits -n 3 --seed 1 --out three.png
check "other images" sh -c '! cmp -s three.png first.png'
works "of an endless set" "16 images" data show builtin:digits:test -n 16 --out digits.png
refuses 2 "expected a file to write as sheet.png" "a folder to show into" data show digits --out .
refuses 1 "cannot write" "a sheet in no folder" data show digits --out none/sheet.png

# ---- images that cannot be read
# ppm NAME WIDTH HEIGHT [LETTER]: a picture with all samples LETTER.
ppm() {
    { printf 'P6 %d %d 255\n' "$2" "$3"
    head -c $((3 * $2 * $3)) /dev/zero | tr '\0' "${4:-a}"; } >"$1"
}
mkdir -p bad/cats bad/dogs
ppm bad/cats/1.ppm 9 8
ppm bad/cats/2.ppm 9 8 b
ppm bad/dogs/1.ppm 9 8 c
ppm bad/dogs/2.ppm 9 8 c
works "a folder of images" "images  *4" data info bad
check "its classes" grep -q ' cats .* 2  50.0 %' out
check "its duplicates" grep -q 'dogs/2.ppm is dogs/1.ppm' out
head -c 100 bad/cats/2.ppm >cut && mv cut bad/cats/2.ppm
works "with one that is cut" "unreadable  *1" data info bad
check "which is named" grep -q 'cats/2.ppm: ' out
works "show leaves it out" "3 images, some" data show bad --out bad.png
check "and says so in a line" test "$(grep -c 'cats/2.ppm' err)" = 1
refuses 1 "cats/2.ppm: .*; --skip-bad" "prepare stops at it" data prepare bad --size 8 --out bad8
works "or leaves it out" "3 images .* 1 could not be read" data prepare bad --size 8 --out bad8 --skip-bad
check "and lists it" grep -q '"why": ".*cats/2.ppm: ' bad8/manifest.json
check "labels follow" sh -c 'tail -c 12 bad8/labels.npy | od -An -td4 | grep -q "0  *1  *1"'
ppm bad/dogs/3.ppm 8 9
rm bad/cats/2.ppm
works "mixed sizes" "2 different" data info bad
refuses 1 "images differ in size; say one" "without size=" data prepare bad --out mixed
works "with --size" "4 images of 6 x 6" data prepare bad --size 6 --out mixed
printf 'P6 60000 60000 255\nabc' >bad/dogs/3.ppm
works "an image of 60000 x 60000" "unreadable  *1" data info bad
check "is too large" grep -q 'dogs/3.ppm: .*60000' out
mv bad/dogs/3.ppm "$(printf 'bad/dogs/na\357ve.ppm')"
works "a name that is not UTF-8" 'dogs/na?ve.ppm: ' data info bad --json
mkdir empty
refuses 1 "empty" "a folder without images" data info empty

# ---- prepare
idx 10
works "prepare" "10 images of 8 x 8 x 1" data prepare digits --size 8 --filter box --out made
check "says how" grep -q '"options": "size=8&filter=box"' made/manifest.json
check "and from what" sha256sum -c --status made/sources.sha256
check "with a line a file" test "$(wc -l <made/sources.sha256)" = 2
check "leaves nothing else" test "$(ls made | tr '\n' ' ')" = \
    "images.npy labels.npy manifest.json sources.sha256 "
works "the arrays" "u8 \[10,8,8,1\]" info made/images.npy
works "the labels" "i32 \[10\]" info made/labels.npy
works "the set" "size  *8 x 8" data info made
works "with its classes" ' 0 .* 4  40.0 %' data info made
cp made/manifest.json before
works "prepare again" "complete already, left as it is" data prepare digits --size 8 --filter box --out made
check "changes nothing" cmp before made/manifest.json
refuses 2 "was made from .*with height 8, not 16" "another size" data prepare digits --size 16 --out made
refuses 1 "holds the train images, not test" "another split" data info made:test
works "in the size of MNIST" "10 images" data prepare digits --size 28 --out made28
works "train on it" "2 steps" train ddpm --data made28 --preset tiny --set base=8 --set mult=1,2 \
    --set blocks=1 --set batch=2 --set groups=4 --steps 2 --quiet --out run
refuses 2 "--out: not given" "no folder" data prepare digits
refuses 2 "endless; say how many" "an endless set" data prepare builtin:digits --out endless
refuses 2 "given twice" "two sizes" data prepare 'digits?size=8' --size 8 --out twice
refuses 1 "/proc/x" "folder that cannot be made" data prepare digits --out /proc/x
mkdir mine && echo mine >mine/images.npy
refuses 2 "not of a preparation" "somebody's folder" data prepare digits --out mine
check "is left alone" grep -q mine mine/images.npy
mkdir -p many/train many/test
works "a folder of splits" "9 images" data prepare 'builtin:digits:test?limit=9' --out many/test
works "is a set" "images  *9" data info many:test

# ---- prepare, stopped
digits="builtin:digits?limit=250000&size=8"
works "whole" "250000 images" data prepare "$digits" --out whole --quiet
"$limn" data prepare "$digits" --out parts --threads 1 --quiet >log 2>&1 &
pid=$!
wait_for sh -c 'test -e parts/manifest.json || tail -n +2 parts/journal.jsonl | grep done'
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
# On a machine where that took less than a second, the rest of it has no object.
if [ ! -e parts/manifest.json ]; then
    refuses 1 "was not finished; 'limn data prepare'" "an unfinished folder" data info parts
    "$limn" data prepare "$digits" --out parts --threads 1 --quiet >log 2>err &
    pid=$!
    sleep 0.5
    kill -INT $pid 2>/dev/null
    wait $pid
    code=$?
    check "ctrl-c ends with 130, or it was done" test $code = 130 -o $code = 0
fi
refuses 2 "was made from .*count 250000, not 9" "goes on with another count" \
    data prepare 'builtin:digits?limit=9&size=8' --out parts
works "goes on" "250000 images .* from before\|complete already" \
    data prepare "$digits" --out parts --threads 3 --quiet
check "the same bytes" diff -r whole parts
few="builtin:digits?limit=2000&size=20"
works "few" "2000 images" data prepare "$few" --out few --quiet
(ulimit -f 64 && exec "$limn" data prepare "$few" --out full --quiet) >out 2>err
check "a full disk" test $? = 1 -a "$(grep -c . err)" = 1
check "says where" grep -q "full/images.npy: cannot write" err
works "and goes on later" "2000 images" data prepare "$few" --out full --quiet
check "to the same bytes" diff -r few full

echo 1..$n
