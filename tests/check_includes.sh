#!/bin/sh
# Checks that every #include "room/..." under SOURCE/src keeps to the arrows between the
# rooms, and that no room reads another's *_internal.h. Speaks TAP.
# Usage: check_includes.sh SOURCE
set -eu
source=${1:?usage: check_includes.sh SOURCE}

# Prints one line per violation in the tree $1.
list_violations() {
    (cd "$1" && find src -name '*.[ch]' -o -name '*.def' | sort | xargs awk '
    # What a room may include; also all that those may.
    function allow(room, rooms) { arrows[room] = rooms }
    function reaches(from, to,    rooms, n, i) {
        if (from == to) return 1
        n = split(arrows[from], rooms, " ")
        for (i = 1; i <= n; i++) if (reaches(rooms[i], to)) return 1
        return 0
    }
    # "src/backend/cpu/x.c" and "backend/cpu/x.h" are of the room "backend/cpu".
    function room_of(path) {
        sub(/^src\//, "", path)
        return sub(/\/[^\/]*$/, "", path) ? path : ""
    }
    BEGIN {
        allow("tensor", "base")
        allow("graph", "tensor")
        allow("passes", "graph")
        allow("backend", "graph")
        allow("backend/ref", "backend")
        allow("backend/null", "backend")
        allow("backend/cpu", "backend")
        allow("exec", "passes backend")
        allow("nn", "graph")
        allow("image", "tensor")
        allow("data", "image")
        allow("families", "nn")
        allow("metrics", "tensor")
        allow("eval", "metrics families exec data")
        allow("train", "eval families exec data")
        allow("api", "train limn") # limn: the public header
        allow("cli", "api")
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\"")
        from = room_of(FILENAME)
        to = room_of(quoted[2])
        where = FILENAME ":" FNR ": " quoted[2] ": "
        if (to == "" || to ~ /^\./)
            print where "spell the path from src/"
        else if (!reaches(from, to))
            print where from " may not include " to
        else if (from != to && quoted[2] ~ /_internal\.h$/)
            print where "private to " to
    }')
}

report() { # NUMBER NAME VIOLATIONS
    if [ -z "$3" ]; then
        echo "ok $1 - $2"
    else
        echo "$3" | sed 's/^/# /'
        echo "not ok $1 - $2"
    fi
}

echo 1..2
report 1 'rooms include only what they may' "$(list_violations "$source")"

# The check itself, on a tree where four of six includes are wrong.
example=$(mktemp -d)
trap 'rm -rf "$example"' EXIT
mkdir -p "$example/src/graph" "$example/src/backend/cpu"
printf '#include "base/mem.h"\n#include "nn/nn.h"\n#  include "../base/mem.h"\n' \
    >"$example/src/graph/a.h"
printf '#include "tensor/shape.h"\n#include "backend/ref/r.h"\n%s\n' \
    '#include "graph/graph_internal.h"' >"$example/src/backend/cpu/b.c"
found=$(list_violations "$example" | cut -d: -f1,2 | tr '\n' ' ')
wanted='src/backend/cpu/b.c:2 src/backend/cpu/b.c:3 src/graph/a.h:2 src/graph/a.h:3 '
[ "$found" = "$wanted" ] && report 2 'violations are seen' '' ||
    report 2 'violations are seen' "found $found"
