#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BINDIR SECONDS [NAME...]: runs every fuzzer of BINDIR (or those named) for SECONDS seconds each, as many at a time as there
# are processors, from the corpus in tests/data and what earlier runs have found (BINDIR/corpus). A finding is kept in
# BINDIR/findings and is the exit status.
set -eu
cd "$(dirname "$0")/../.."
bin=$(cd "$1" && pwd)
seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(for f in tests/fuzz/fuzz_*.c; do basename "$f" .c; done)
mkdir -p "$bin/findings"

# fuzzer_seeds NAME: the folders that are its start.
fuzzer_seeds() {
    case $1 in
    fuzz_config) echo tests/data/good tests/data/bad ;;
    fuzz_state) echo tests/data/state tests/data/good ;;
    *) [ ! -d "tests/data/${1#fuzz_}" ] || echo "tests/data/${1#fuzz_}" ;;
    esac
}

fuzz_one() {
    rc=0
    mkdir -p "$bin/corpus/$1"
    # shellcheck disable=SC2046 # folders
    "$bin/$1" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -verbosity=0 -use_value_profile=1 -dict=tests/fuzz/config.dict -artifact_prefix="$bin/findings/$1-" \
        "$bin/corpus/$1" $(fuzzer_seeds "$1") >"$bin/$1.log" 2>&1 || rc=1
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$bin/$1.log")
    if [ "$rc" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
        echo "$1: $runs inputs, nothing found"
    else
        echo "$1: FOUND something:"
        tail -n 60 "$bin/$1.log"
        : >"$bin/failed.$1"
    fi
}

# Of N rows of fuzzers each is worked off by a process of its own.
rm -f "$bin"/failed.*
jobs=$(nproc)
row=0
while [ "$row" -lt "$jobs" ]; do
    i=0
    for name; do
        [ $((i % jobs)) -ne "$row" ] || fuzz_one "$name"
        i=$((i + 1))
    done &
    row=$((row + 1))
done
wait
for name; do
    [ ! -e "$bin/failed.$name" ] || exit 1
done
