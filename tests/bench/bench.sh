#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# bench.sh: ctr beside crun, runc and the bare system calls (floor.c), in one run on one machine, as ratios.
#
# Environment: BUILD (build), N (100 runs of each command), WARMUP (10), CTR, CRUN, RUNC (programs).
# What hyperfine measured is kept in $BUILD/bench/*.json.
#
# crun refuses a hybrid cgroup host (v1 controllers beside a unified hierarchy). There everything is measured twice: side
# by side in a mount namespace of its own without the unified hierarchy, where all four work, and once more on the host
# as it is, without crun.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
export BUILD N=${N:-100} WARMUP=${WARMUP:-10} LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
OUT=$BUILD/bench
CTR=${CTR:-$BUILD/ctr}
CRUN=${CRUN-$(command -v crun || true)}
RUNC=${RUNC-$(command -v runc || true)}
declare -A program=([ctr]=$CTR [crun]=$CRUN [runc]=$RUNC)
FLOOR=$OUT/floor
PEAK=$OUT/peak
UNIFIED=/sys/fs/cgroup/unified

is_hybrid() { awk -v u="$UNIFIED" '$5 == u { found = 1 } END { exit !found }' /proc/self/mountinfo; }

# ---- what is run ----
# One bundle for all: the configuration of `runc spec` (of ctr where there is no runc), without a terminal.
make_bundle() {
    local name
    mkdir -p "$BUNDLE/rootfs"/{bin,dev,proc,sys,etc,tmp}
    cp "$(command -v busybox)" "$BUNDLE/rootfs/bin/busybox"
    for name in sh true sleep cat; do ln -s busybox "$BUNDLE/rootfs/bin/$name"; done
    (cd "$BUNDLE" && "${RUNC:-$CTR}" spec)
    write_config true /bin/true
    mkdir "$WORK/long"
    ln -s "$BUNDLE/rootfs" "$WORK/long/rootfs"
    jq --arg root "$BUNDLE/rootfs" '.root.path = $root | .process.args = ["/bin/sleep", "100000"]' \
        "$BUNDLE/config.json" >"$WORK/long/config.json"
}

write_config() {
    jq '.process.terminal = false | .process.args = $ARGS.positional[1:]' "$BUNDLE/config.json" --args -- "$@" \
        >"$BUNDLE/config.json.new"
    mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

# call RUNTIME ARGS...: the command line, with a state root for this run only.
call() {
    local name=$1
    shift
    echo "${program[$name]} --root $WORK/state-$name $*"
}

# Says why a runtime cannot take part, by trying once.
works() {
    local said
    [ -x "${program[$1]}" ] || return 1
    # shellcheck disable=SC2046 # words
    said=$($(call "$1" run --bundle "$BUNDLE" "bench-try-$1") 2>&1 </dev/null) && return
    echo "  $1: cannot run here: ${said##*$'\n'}" >&2
    # shellcheck disable=SC2046
    $(call "$1" delete --force "bench-try-$1") >/dev/null 2>&1 || true
    return 1
}

# measure TABLE NAME=COMMAND...: one hyperfine over all of them.
measure() {
    local table=$1 arg args=()
    shift
    for arg; do args+=(-n "${arg%%=*}" "${arg#*=}"); done
    hyperfine -N --warmup "$WARMUP" --runs "$N" --style none --export-json "$OUT/$WHERE-$table.json" \
        "${args[@]}" >"$OUT/$WHERE-$table.log" 2>&1 </dev/null || {
        echo "  $table failed:"
        tail -n 5 "$OUT/$WHERE-$table.log"
        return 1
    }
    show "$table"
}

# A row for each command: median and mean, and the median's ratio to each of the yardsticks. The floor is the one
# with cgroups, since every runtime makes them.
show() {
    printf '\n%s: %s (%s runs, ms)\n' "$WHERE" "$1" "$N"
    printf '  %-16s %8s %8s %8s %9s %9s %9s\n' '' median mean min '/crun' '/runc' '/floor'
    jq -r '
    def r: . * 1000000 | round / 1000;
    (.results | map({(.command): .median}) | add) as $m
    | def over($x): if $m[$x] then (.median / $m[$x] * 100 | round / 100 | tostring) else "-" end;
    .results[] | [.command, (.median | r), (.mean | r), (.min | r), over("crun"), over("runc"),
        over(if $m["floor --cgroups"] then "floor --cgroups" else "floor" end)] | @tsv' "$OUT/$WHERE-$1.json" |
        while IFS=$'\t' read -r name median mean min crun runc floor; do
            printf '  %-16s %8.2f %8.2f %8.2f %9s %9s %9s\n' "$name" "$median" "$mean" "$min" "$crun" "$runc" "$floor"
        done
}

# Largest resident set of `run`, of 10 runs the median.
peak_memory() {
    local name line
    printf '\n%s: peak memory of run /bin/true (10 runs, median)\n' "$WHERE"
    for name; do
        if [ "$name" = floor ]; then
            line="$FLOOR --cgroups $BUNDLE/rootfs /bin/true"
        else
            line=$(call "$name" run --bundle "$BUNDLE" "bench-peak-$name")
        fi
        rm -f "$WORK/peak.$name"
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            # shellcheck disable=SC2086
            "$PEAK" "$WORK/peak.$name" $line </dev/null >/dev/null 2>&1 || { echo "  $name failed"; break; }
        done
        sort -n "$WORK/peak.$name" | sed -n 5p >"$WORK/peak"
        printf '%s %s\n' "$name" "$(cat "$WORK/peak")"
    done | awk '{ name[NR] = $1; kib[$1] = $2 }
        END { for (i = 1; i <= NR; i++) { n = name[i]
            printf "  %-16s %6d KiB", n, kib[n]
            if (kib["crun"]) printf "  %.2f x crun", kib[n] / kib["crun"]
            if (kib["runc"]) printf "  %.2f x runc", kib[n] / kib["runc"]
            print "" } }' | tee "$OUT/$WHERE-peak.txt"
}

# ---- one environment ----
bench_here() {
    local name run=() exec=() cycle=() names=()
    run=("floor=$FLOOR $BUNDLE/rootfs /bin/true" "floor --cgroups=$FLOOR --cgroups $BUNDLE/rootfs /bin/true")
    echo "== $WHERE"
    for name in ctr crun runc; do
        works "$name" || continue
        names+=("$name")
        run+=("$name=$(call "$name" run --bundle "$BUNDLE" "bench-run-$name")")
        # shellcheck disable=SC2046
        $(call "$name" run --detach --bundle "$WORK/long" "bench-exec-$name") </dev/null >/dev/null 2>&1
        exec+=("$name=$(call "$name" exec "bench-exec-$name" /bin/true)")
        # a static shell, the same for all, adds its own half millisecond to each
        printf '%s && %s && %s\n' "$(call "$name" create --bundle "$BUNDLE" "bench-cycle-$name")" \
            "$(call "$name" start "bench-cycle-$name")" \
            "$(call "$name" delete -f "bench-cycle-$name")" >"$WORK/cycle-$name"
        cycle+=("$name=busybox sh $WORK/cycle-$name")
    done
    [ "${#names[@]}" -gt 0 ] || return 1
    measure run "${run[@]}" || true
    measure exec "${exec[@]}" || true
    measure create+start+delete "${cycle[@]}" || true
    peak_memory floor "${names[@]}"
    for name in "${names[@]}"; do
        # shellcheck disable=SC2046
        $(call "$name" delete --force "bench-exec-$name") </dev/null >/dev/null 2>&1 || true
    done
}

# ---- main ----
if [ "${1:-}" = --here ]; then
    bench_here
    exit
fi

[ "$(id -u)" -eq 0 ] || { echo "bench: needs root" >&2; exit 1; }
mkdir -p "$OUT"
for name in "$FLOOR" "$PEAK"; do
    [ -x "$name" ] || { echo "bench: not built: $name (make bench)" >&2; exit 1; }
done
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ctr-bench.XXXXXX")
trap 'rm -rf --one-file-system "$WORK"' EXIT
trap 'exit 130' INT TERM
export WORK CTR CRUN RUNC BUNDLE=$WORK/bundle
make_bundle

echo "$(nproc) CPUs, Linux $(uname -r)"
for name in ctr crun runc; do
    if [ -x "${program[$name]}" ]; then
        "${program[$name]}" --version | head -n 1
    else
        echo "$name: not installed"
    fi
done
if is_hybrid; then
    WHERE=v1-only unshare -m --propagation private sh -c "umount $UNIFIED && exec bash tests/bench/bench.sh --here"
    CRUN='' WHERE=hybrid bash tests/bench/bench.sh --here
else
    WHERE=host bash tests/bench/bench.sh --here
fi
bash tests/bench/vm.sh
