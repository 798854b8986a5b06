# What the experiments share; sourced by them. Each trains runs that differ in one thing,
# measures them alike and prints a table. An experiment that was interrupted goes on where
# it was when its script is run again.
#
#   LIMN    the program             [limn]
#   RUNS    where the runs go       [runs]
#   STEPS   of each run             [1000: three minutes on one core]
#   SEED    of everything random    [0]
LIMN=${LIMN:-limn}
RUNS=${RUNS:-runs}
STEPS=${STEPS:-1000}
SEED=${SEED:-0}
trained=

# train NAME FAMILY OPTIONS..: a run of that name, new or continued.
train() {
    run=$RUNS/$1
    shift
    trained="$trained $run"
    resume=
    if [ -e "$run/run.json" ]; then resume=--resume; fi
    "$LIMN" train "$@" $resume --out "$run" --steps "$STEPS" --seed "$SEED" >/dev/null
}

# table METRICS [OPTIONS..]: measures all that were trained and prints a row for each.
table() {
    metrics=$1
    shift
    for run in $trained; do
        "$LIMN" eval "$run" --metrics "$metrics" "$@" >/dev/null
    done
    # Words are separate arguments here.
    "$LIMN" compare $trained --markdown
}
