#!/bin/sh
# Searches for inputs that break a promise: builds the fuzz targets and runs each for a time, as many at once as there
# are processors. What is found is kept in fuzz/found; what leads to new code, in fuzz/corpus, where the next run goes on.
#
#     fuzz/run.sh [SECONDS] [TARGET...]      10 seconds, all targets
#     FUZZ_SEED=1 fuzz/run.sh                the same inputs each time
#
# This needs no nightly toolchain: the compiler's own coverage instrumentation is switched on by flags that are stable. With
# one, `cargo +nightly fuzz run TARGET` works too, and finds what only a sanitizer sees.
set -eu
cd "$(dirname "$0")"

fail() {
    echo "fuzz/run.sh: $1" >&2
    exit 2
}

seconds=${1:-10}
[ $# = 0 ] || shift
case $seconds in
'' | *[!0-9]*) fail "$seconds is no number of seconds: run.sh [SECONDS] [TARGET...]" ;;
esac
targets=$(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -v '^tcplab-fuzz$')
for target in "$@"; do
    echo "$targets" | grep -qx "$target" || fail "no target $target: there are" $targets
done
[ $# = 0 ] || targets=$*
command -v c++ >/dev/null || fail "a C++ compiler is missing, which builds libFuzzer: apt-get install g++"

host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS='--cfg fuzzing
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares' cargo build --quiet --target "$host"
programs=${CARGO_TARGET_DIR:-target}/$host/debug

# One target; fails where something is found.
search() {
    mkdir -p "corpus/$1" "found/$1"
    code=0
    # Scenarios are the examples too: nothing else is as good a beginning.
    more=
    [ "$1" != scenario ] || more=$(find ../examples/scenarios -mindepth 1 -type d)
    "$programs/$1" ${FUZZ_SEED:+-seed=$FUZZ_SEED} -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -max_len=4096 \
        -artifact_prefix="found/$1/" -print_final_stats=1 \
        "corpus/$1" "seeds/$1" $more >"found/$1.log" 2>&1 || code=$?
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "found/$1.log")
    if [ "$code" != 0 ]; then
        grep -v '^#[0-9]' "found/$1.log" | tail -n 60
        echo "$1: found something, see above; $programs/$1 FILE runs it again. Mend it, and keep FILE in fuzz/seeds/$1."
        return 1
    fi
    [ "${count:-0}" -gt 0 ] || fail "$1 has tried nothing: see fuzz/found/$1.log"
    echo "$1: tried $count inputs, found nothing"
}

running=
failed=0
await() {
    for process in $running; do
        wait "$process" || failed=1
    done
    running=
}
most=$(nproc)
started=0
for target in $targets; do
    search "$target" &
    running="$running $!"
    started=$((started + 1))
    [ $((started % most)) != 0 ] || await
done
await
exit $failed
