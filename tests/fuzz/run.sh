#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BINDIR SECONDS: runs every fuzzer of BINDIR, all together for SECONDS seconds, from the corpus in tests/data
# and what earlier runs have found (BINDIR/corpus). A finding is kept in BINDIR/findings and is the exit status.
set -eu
cd "$(dirname "$0")/../.."
bin=$(cd "$1" && pwd)
seconds=$2
names=$(for f in tests/fuzz/fuzz_*.c; do basename "$f" .c; done)
n=$(echo "$names" | wc -w)
mkdir -p "$bin/findings"

# fuzzer_seeds NAME: the folders that are its start.
fuzzer_seeds() {
    case $1 in
    fuzz_config) echo tests/data/good tests/data/bad ;;
    fuzz_state) echo tests/data/state tests/data/good ;;
    fuzz_cni) echo tests/data/cni ;;
    fuzz_virtq | fuzz_loader | fuzz_fuse | fuzz_agent) ;;
    fuzz_kernel) echo tests/data/kernel ;;
    *) echo tests/data/good ;;
    esac
}

status=0
for name in $names; do
    mkdir -p "$bin/corpus/$name"
    # shellcheck disable=SC2046 # folders
    "$bin/$name" -max_total_time=$((seconds / n)) -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -verbosity=0 -use_value_profile=1 -dict=tests/fuzz/config.dict -artifact_prefix="$bin/findings/$name-" \
        "$bin/corpus/$name" $(fuzzer_seeds "$name") >"$bin/$name.log" 2>&1 || status=1
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$bin/$name.log")
    if [ "$status" -eq 0 ]; then
        echo "$name: ${runs:-?} inputs, nothing found"
    else
        echo "$name: FOUND something:"
        tail -n 60 "$bin/$name.log"
        exit 1
    fi
done
