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
for verb in info; do
    works "data $verb --help" "usage: limn data $verb SPEC" data $verb --help
    refuses 2 "expected 'limn data $verb SPEC" "$verb without a set" data $verb
    refuses 1 "nowhere" "$verb of what is not there" data $verb nowhere
    refuses 2 "expected one of train" "$verb of an unknown split" data $verb nowhere --split tset
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

echo 1..$n
