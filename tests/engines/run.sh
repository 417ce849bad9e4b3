#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [SUITE...]: runs the tests with real engines, all of them or those named: docker swarm containerd podman buildah.
# Installs what is missing (tests/deps.sh engines). The Docker files run with runc first, as the control; a table shows both.
# Suites run side by side where they wait more than they work; what is timed runs alone, at the end.
# The last line is "N passed, N failed, N skipped"; the exit status is 1 when anything failed.
#
# Environment: BUILD (build), ENGINES_DEADLINE (seconds a file, 900), ENGINES_BASE (/tmp; sockets are below it: keep
# it short), ENGINES_CACHE ($BUILD/engines: the Debian tree that images are made of), ENGINES_REPORT: a file that
# gets a line "pass|fail|skip TEXT" a test, KEEP_TMP=1.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
ENGINES_DEADLINE=${ENGINES_DEADLINE:-900}
export CTR=${CTR:-$BUILD/ctr} ENGINES_CACHE=${ENGINES_CACHE:-$BUILD/engines}
LOGS=$BUILD/test-logs
export LC_ALL=C.UTF-8
passed=0 failed=0 skipped=0
skips=() failures=() summary=()
declare -A table=()

report() { [ -z "${ENGINES_REPORT:-}" ] || echo "$1 $2" >>"$ENGINES_REPORT"; }

# judge LABEL LOG RC FILE: counts a TAP log.
judge() {
    local label=$1 log=$2 rc=$3 file=$4 line title plan=0 seen=0 bad=0
    while IFS= read -r line; do
        case $line in
        1..[0-9]*) plan=${line#1..} ;;
        "ok "* | "not ok "*)
            seen=$((seen + 1))
            title=${line#not }
            title=${title#ok }
            title=${title#* }
            if [[ $title == *" # skip"* ]]; then
                skipped=$((skipped + 1))
                skips+=("$label: ${title/ # skip/:}")
                report skip "$label: ${title/ # skip/:}"
                table["$file/${title%% # skip*}/$RUNTIME"]=skipped
            elif [[ $line == "not ok "* && $RUNTIME != ctr ]]; then
                # nothing of ours: the table shows it, and whether ctr does better
                skipped=$((skipped + 1))
                bad=1
                skips+=("$label: the control failed: $title")
                report skip "$label: the control failed: $title"
                table["$file/$title/$RUNTIME"]=FAILED
            elif [[ $line == "not ok "* ]]; then
                failed=$((failed + 1))
                bad=1
                failures+=("$label: $title")
                report fail "$label: $title"
                table["$file/$title/$RUNTIME"]=FAILED
            else
                passed=$((passed + 1))
                report pass "$label: $title"
                table["$file/$title/$RUNTIME"]=ok
            fi
            ;;
        esac
    done <"$log"
    if [ "$seen" -ne "$plan" ] || [ "$plan" -eq 0 ]; then
        failed=$((failed + 1))
        failures+=("$label: $seen of $plan tests reported, exit status $rc")
        report fail "$label: $seen of $plan tests reported, exit status $rc"
    elif [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then
        failed=$((failed + 1))
        failures+=("$label: exit status $rc although no test failed")
        report fail "$label: exit status $rc although no test failed"
    fi
}

stream() {
    sed -u -E -e '/^1\.\./d' -e "s/^ok [0-9]+ (.*) # skip/skip   $1: \\1:/;t" -e "s/^ok [0-9]+ /ok     $1: /;t" \
        -e "s/^not ok [0-9]+ /FAILED $1: /;t" -e 's/^/    /'
}

# What a file left that was ended by its deadline: only what carries its own directory, or sits in its cgroups.
sweep() {
    local pid dir mnt
    for dir in "$1"/e.*; do
        [ -d "$dir" ] || continue
        {
            grep -lszF "E=$dir" /proc/[0-9]*/environ
            grep -lsF -- "$dir/" /proc/[0-9]*/cmdline
        } 2>/dev/null | cut -d/ -f3 | sort -u | while read -r pid; do
            [ "$pid" = "$$" ] || ! kill -9 "$pid" 2>/dev/null || echo "left behind: process $pid"
        done
        find /sys/fs/cgroup -depth -type d -path "*/ctr-engines-${dir##*e.}*" 2>/dev/null | while read -r mnt; do
            while read -r pid; do kill -9 "$pid" 2>/dev/null; done <"$mnt/cgroup.procs"
            rmdir "$mnt" 2>/dev/null || { sleep 0.2; rmdir "$mnt" 2>/dev/null; }
        done
        awk -v t="$dir/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mnt; do
            umount -l "$mnt" 2>/dev/null
        done
    done
    [ -n "${KEEP_TMP:-}" ] || rm -rf --one-file-system "$1"
}

# run_file FILE RUNTIME: a file of tests with a runtime. What is left in $LOGS is counted by count_file, later.
run_file() {
    local label log from=$SECONDS
    label=$(label_of "$1" "$2")
    log=$LOGS/engines-${label// /-}.log
    export RUNTIME=$2
    ENGINES_DIR=$(mktemp -d "${ENGINES_BASE:-/tmp}/ce.XXXX") || return
    export ENGINES_DIR
    timeout -k 20 "$ENGINES_DEADLINE" bats --tap --print-output-on-failure "tests/engines/$1.bats" </dev/null 2>&1 |
        tee "$log" | stream "$label"
    echo "${PIPESTATUS[0]} $((SECONDS - from))" >"$log.rc"
    sweep "$ENGINES_DIR" | tee -a "$log"
}

label_of() { [ "$2" = ctr ] && echo "$1" || echo "$1 with $2"; }

count_file() {
    local label log rc=1 took=0 p=$passed f=$failed s=$skipped
    label=$(label_of "$1" "$2")
    log=$LOGS/engines-${label// /-}.log
    RUNTIME=$2
    read -r rc took <"$log.rc"
    rm -f "$log.rc"
    judge "$label" "$log" "$rc" "$1"
    summary+=("$(printf '%-28s %3d passed, %d failed, %d skipped %5d s' "$label" $((passed - p)) $((failed - f)) $((skipped - s)) "$took")")
}

# lane WORD...: of the files FILE:RUNTIME, those that were asked for, one after the other.
lane() {
    local word
    for word; do
        [[ " ${files[*]} " != *" $word "* ]] || run_file "${word%:*}" "${word#*:}"
    done
}

# Both runtimes' results of the Docker files, case by case.
print_table() {
    local key seen=
    [[ " ${files[*]}" == *" docker:"* ]] || return 0
    printf '\n%-90s %-8s %s\n' "Docker" runc ctr
    for key in "${!table[@]}"; do echo "${key%/*}"; done | sort -u | while IFS= read -r key; do
        case $key in docker/* | docker_opts/*) ;; *) continue ;; esac
        printf '%-90s %-8s %s\n' "${key:0:88}" "${table["$key/runc"]:--}" "${table["$key/ctr"]:--}"
    done
}

suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=(docker swarm containerd podman buildah)
mkdir -p "$LOGS" "$ENGINES_CACHE" || exit 1
CONTROL_DIR=$(mktemp -d) || exit 1
export CONTROL_DIR RESULTS=$CONTROL_DIR/results
# shellcheck disable=SC2046 # a list of numbers
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$CONTROL_DIR"' EXIT
trap 'exit 130' INT TERM HUP
[ -x "$CTR" ] || { echo "not built: $CTR"; exit 1; }
# A suite whose engine cannot be installed here is skipped, test by test, with the reason.
sh tests/deps.sh engines || echo "engines: not everything could be installed"

files=()
for suite in "${suites[@]}"; do
    case $suite in
    docker) files+=(docker:runc docker:ctr docker_opts:runc docker_opts:ctr docker_speed:ctr) ;;
    swarm | containerd | podman | buildah) files+=("$suite:ctr") ;;
    *) echo "run.sh: unknown suite: $suite (docker swarm containerd podman buildah)" >&2; exit 2 ;;
    esac
done
for word in "${files[@]}"; do
    log=$(label_of "${word%:*}" "${word#*:}")
    rm -f "$LOGS/engines-${log// /-}.log"*
done
from=$SECONDS
lane docker:runc docker:ctr swarm:ctr buildah:ctr &
lane docker_opts:runc docker_opts:ctr containerd:ctr podman:ctr &
wait
lane docker_speed:ctr
for word in "${files[@]}"; do count_file "${word%:*}" "${word#*:}"; done

print_table
echo
[ ! -s "$RESULTS" ] || cat "$RESULTS"
echo
printf '%s\n' "${summary[@]}"
echo "engines: $((SECONDS - from)) s"
# the caller of the report says the rest
[ -z "${ENGINES_REPORT:-}" ] || exit "$((failed > 0))"
for text in "${skips[@]}"; do echo "skipped: $text"; done
for text in "${failures[@]}"; do echo "failed: $text"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
