#!/bin/sh
# Known sets as a user meets them: limn data list. Speaks TAP. $1: the program.
. "$(dirname "$0")/lib.sh"

LIMN_DATA=$work/data
export LIMN_DATA

works "list" "^mnist  *70,000  28 x 28 grey  *10  *11.6 MB  no " data list
check "licence and home page" grep -q 'CC BY-SA 3.0; http://yann' out
check "within 100 columns" test "$(awk 'length($0) > 100' out | wc -l)" = 0
mkdir -p data/mnist data/kmnist
: >data/mnist/train-images-idx3-ubyte.gz.part
: >data/kmnist/own.gz
works "what is half here" "^mnist .* part " data list
check "what has other names" grep -q '^kmnist .* other ' out
works "list as JSON" '"sha256": "440fcabf73cc5' data list --json
refuses 2 "0 arguments\|1 arguments" "list of something" data list mnist

echo 1..$n
