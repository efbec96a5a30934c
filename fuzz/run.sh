#!/bin/sh
# Searches for inputs that break a promise: builds the fuzz targets, tries again what is kept, and goes on from there for a
# time. What is found is kept in fuzz/found; what leads to new code, in fuzz/corpus, where the next run goes on.
#
#     fuzz/run.sh [SECONDS] [TARGET...]          10 seconds, all targets, as many at once as there are processors
#     fuzz/run.sh replay [TARGET...]             only tries again what is kept in fuzz/seeds and fuzz/corpus
#     fuzz/run.sh keep [TARGET...]               takes the fewest inputs that reach all that is reached to fuzz/seeds
#
#     FUZZ_JOBS=2 fuzz/run.sh 3600 engine        two processes search for the same
#     FUZZ_SEED=1 fuzz/run.sh                    the same inputs each time
#     FUZZ_SKIP=edge fuzz/run.sh 60 engine       leaves out a check that fails already, so that others are reached
#     FUZZ_SHOW=1 PROGRAM FILE                   shows what an input does: setup, steps, packets, events
#
# fuzz/seeds is part of the project and is what every test run tries too: inputs with a name were written by hand or were
# found once; the rest, in files named by their hash, are the fewest that reach all the code that a long search has reached,
# see keep. At most 300 of them for a target, and some 300 kilobytes.
#
# Programs are optimised, and check assertions and overflows all the same. This needs no nightly toolchain: the compiler's own
# coverage instrumentation is switched on by flags that are stable, see instrument.sh. With one, `cargo +nightly fuzz run TARGET`
# works too, and finds what only a sanitizer sees.
set -eu
cd "$(dirname "$0")"

fail() {
    echo "fuzz/run.sh: $1" >&2
    exit 2
}

what=${1:-10}
[ $# = 0 ] || shift
case $what in
replay | keep) seconds=0 ;;
'' | *[!0-9]*) fail "$what is no number of seconds: run.sh [SECONDS|replay|keep] [TARGET...]" ;;
*) seconds=$what ;;
esac
targets=$(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -v '^tcplab-fuzz$')
for target in "$@"; do
    echo "$targets" | grep -qx "$target" || fail "no target $target: there are" $targets
done
[ $# = 0 ] || targets=$*
command -v c++ >/dev/null || fail "a C++ compiler is missing, which builds libFuzzer: apt-get install g++"

host=$(rustc -vV | sed -n 's/^host: //p')
RUSTC_WRAPPER=$PWD/instrument.sh cargo build --quiet --target "$host"
programs=${CARGO_TARGET_DIR:-target}/$host/debug
jobs=${FUZZ_JOBS:-1}
most=$(nproc)

# The size of an input: that of 80 steps, or enough for a capture of a connection. Where inputs reach thousands of features each,
# to weigh those takes longer than to try one more.
manner() {
    case $1 in
    engine) echo -max_len=648 -entropic=0 ;;
    *) echo -max_len=4096 ;;
    esac
}

# What there is to begin with. Scenarios are the examples too: nothing else is as good a beginning.
kept() {
    echo "seeds/$1"
    [ "$1" != scenario ] || find ../examples/scenarios -mindepth 1 -type d
}

figure() {
    sed -n "s/^stat::$2: *//p" "$1" | tail -n 1
}

# What a process has found, and how to see it again.
found() {
    grep -v '^#[0-9]' "$2" | tail -n 60
    echo "$1: found something, see above; $programs/$1 FILE runs it again. Mend it, and keep FILE in fuzz/seeds/$1."
}

# Tries all that is kept, which takes no chance.
replay() {
    mkdir -p "corpus/$1" "found/$1"
    log=found/$1.replay.log
    if ! "$programs/$1" -runs=0 -timeout=60 -rss_limit_mb=2048 $(manner "$1") -artifact_prefix="found/$1/" \
        $(kept "$1") "corpus/$1" >"$log" 2>&1; then
        found "$1" "$log"
        return 1
    fi
    files=$(find $(kept "$1") "corpus/$1" -type f | wc -l)
    edges=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log")
    echo "$1: tried $files inputs again, which reach ${edges:-0} edges"
}

# One process; fails if something is found.
search() {
    log=found/$1.$2.log
    code=0
    "$programs/$1" ${FUZZ_SEED:+-seed=$((FUZZ_SEED + $2))} -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        $(manner "$1") -len_control=0 -reload=5 -artifact_prefix="found/$1/" -print_final_stats=1 \
        "corpus/$1" $(kept "$1") >"$log" 2>&1 || code=$?
    count=$(figure "$log" number_of_executed_units)
    if [ "$code" != 0 ]; then
        found "$1" "$log"
        return 1
    fi
    [ "${count:-0}" -gt 0 ] || fail "$1 has tried nothing: see fuzz/$log"
    rate=$(figure "$log" average_exec_per_sec)
    edges=$(sed -n 's/^#.*\(DONE\|NEW\|INITED\|REDUCE\|RELOAD\) *cov: \([0-9]*\).*/\2/p' "$log" | tail -n 1)
    inputs=$(sed -n 's/^#.* corp: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    echo "$1: tried $count inputs, $rate a second, reached ${edges:-0} edges with ${inputs:-0} inputs, found nothing"
}

# Keeps the fewest inputs that reach everything, and those that have a name.
keep() {
    mkdir -p "corpus/$1" "found/$1"
    new=$(mktemp -d)
    named=$(find "seeds/$1" -type f | grep -Ev '/[0-9a-f]{40}$' || true)
    mkdir "$new/named"
    [ -z "$named" ] || cp $named "$new/named"
    mkdir "$new/all"
    # The named ones count as kept already: only what reaches more joins them.
    cp "$new/named"/* "$new/all" 2>/dev/null || true
    "$programs/$1" -merge=1 -timeout=60 $(manner "$1") "$new/all" "seeds/$1" "corpus/$1" >"found/$1.keep.log" 2>&1 ||
        fail "can't merge: see fuzz/found/$1.keep.log"
    find "seeds/$1" -type f | grep -E '/[0-9a-f]{40}$' | xargs -r rm -f
    find "$new/all" -type f | grep -E '/[0-9a-f]{40}$' | xargs -r cp -t "seeds/$1"
    rm -r "$new"
    echo "$1: keeps $(find "seeds/$1" -type f | wc -l) inputs, $(du -b -s "seeds/$1" | cut -f 1) bytes"
}

running=
failed=0
started=0
await() {
    for process in $running; do
        wait "$process" || failed=1
    done
    running=
}
begin() {
    "$@" &
    running="$running $!"
    started=$((started + 1))
    [ $((started % most)) != 0 ] || await
}
if [ "$what" = keep ]; then
    for target in $targets; do
        begin keep "$target"
    done
    await
    exit $failed
fi
for target in $targets; do
    begin replay "$target"
done
await
[ $failed = 0 ] && [ "$seconds" != 0 ] || exit $failed
started=0
for target in $targets; do
    job=0
    while [ $job -lt "$jobs" ]; do
        begin search "$target" $job
        job=$((job + 1))
    done
done
await
exit $failed
