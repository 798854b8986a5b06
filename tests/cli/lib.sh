# What the scripts share; sourced after "$1" is the program. Works in a folder of its own.
limn=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
n=0

report() { # ok|not ok, name, detail...
    n=$((n + 1))
    printf '%s %d - %s\n' "$1" "$n" "$2"
    shift 2
    for line in "$@"; do printf '# %s\n' "$line"; done
}

# refuses CODE PATTERN NAME ARGS...: exits with CODE and one line that has PATTERN.
refuses() {
    code=$1 pattern=$2 name=$3
    shift 3
    "$limn" "$@" >out 2>err
    got=$?
    lines=$(grep -c . err)
    if [ "$got" = "$code" ] && grep -q -- "$pattern" err && [ "$lines" = 1 ]; then
        report ok "$name"
    else
        report "not ok" "$name" "exit $got, wanted $code; stderr:" "$(head -3 err)"
    fi
}

# works NAME PATTERN ARGS...: exits with 0 and prints PATTERN.
works() {
    name=$1 pattern=$2
    shift 2
    if "$limn" "$@" >out 2>err && grep -q -- "$pattern" out; then
        report ok "$name"
    else
        report "not ok" "$name" "exit $?; output:" "$(head -3 out)" "$(head -3 err)"
    fi
}

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >log 2>&1; then report ok "$name"; else report "not ok" "$name" "$(head -5 log)"; fi
}

# Until the command succeeds, at most a minute: machines differ.
wait_for() {
    tries=240
    while [ $tries -gt 0 ] && ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        sleep 0.25
    done
}
