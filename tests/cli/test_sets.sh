#!/bin/sh
# Known sets as a user meets them: limn data list and fetch. Speaks TAP. $1: the program.
. "$(dirname "$0")/lib.sh"

LIMN_DATA=$work/data
export LIMN_DATA

works "list" "^mnist  *70,000  28 x 28 grey  *10  *11.6 MB  no$" data list
check "built-in sets" grep -q '^builtin:digits  *any  28 to 128, grey  *10' out
check "licence and home page" grep -q 'licence: CC BY-SA 3.0; http://yann' out
check "within 100 columns" test "$(awk 'length($0) > 100' out | wc -l)" = 0
mkdir -p data/mnist data/kmnist
: >data/mnist/train-images-idx3-ubyte.gz.part
: >data/kmnist/own.gz
works "what is half here" "^mnist .* part$" data list
check "what has other names" grep -q '^kmnist .* other$' out
works "list as JSON" '"sha256": "440fcabf73cc5' data list --json
refuses 2 "0 arguments\|1 arguments" "list of something" data list mnist

# ---- fetch; what needs a server is tested below the commands
refuses 2 "mnits: no known set, did you mean mnist" "fetch what nobody knows" data fetch mnits
refuses 1 "mmlab.ie.cuhk.edu.hk.*agree" "fetch what is to be had by hand" data fetch celeba --quiet
check "its digests are told" grep -q 'SHA-256 46fb89443c57' out
check "nothing is made for it" test ! -e data/celeba
refuses 1 "http://nowhere.invalid/train-images-idx3-ubyte.gz" "fetch from nowhere" \
    data fetch fashion-mnist --base-url http://nowhere.invalid --out here --quiet
check "nothing is left of it" test -z "$(ls here)"
mkdir -p data/stl10/stl10_binary
works "what is unpacked already" "^stl10: 1 file in $work/data/stl10" data fetch stl10
check "the licence is told first" grep -q '^licence: none stated, for research' err
works "fetch as JSON" '"set": "stl10", "folder":' data fetch stl10 --json --quiet

echo 1..$n
