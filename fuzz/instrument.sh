#!/bin/sh
# What cargo runs in the place of rustc, see run.sh: what is searched tells where it has been, and nothing else does, so that
# the search is quick.
for crate in tcplab smoltcp; do
    case " $* " in
    *" --crate-name $crate "*)
        exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
        ;;
    esac
done
exec "$@"
