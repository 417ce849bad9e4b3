#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [SUITE...]: runs the tests with real engines, all of them or those named: docker swarm containerd podman buildah.
# Installs what is missing with apt-get. The Docker files run with runc first, as the control; a table shows both.
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

# How each suite's program is called in Debian, and what it is recognised by.
packages="docker.io=dockerd containerd=containerd podman=podman buildah=buildah conmon=conmon umoci=umoci skopeo=skopeo
iptables=iptables curl=curl jq=jq bats=bats busybox-static=busybox mmdebstrap=mmdebstrap util-linux=nsenter
python3=python3 runc=runc iproute2=ip"

install_missing() {
    local p missing=()
    for p in $packages; do
        PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "${p#*=}" >/dev/null || missing+=("${p%%=*}")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || { echo "missing: ${missing[*]}"; return 0; }
    echo "installing ${missing[*]}"
    # Daemons that the packages would start are none of ours: the tests start their own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get -q -o DPkg::Lock::Timeout=120 update >"$LOGS/engines-apt.log" 2>&1
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "${missing[@]}" >>"$LOGS/engines-apt.log" 2>&1 ||
        tail -n 5 "$LOGS/engines-apt.log"
}

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

# one FILE RUNTIME: a file of tests with a runtime.
one() {
    local file=$1 label=$1 log rc p f s
    export RUNTIME=$2
    [ "$RUNTIME" = ctr ] || label="$file with $RUNTIME"
    log=$LOGS/engines-${label// /-}.log
    p=$passed f=$failed s=$skipped
    ENGINES_DIR=$(mktemp -d "${ENGINES_BASE:-/tmp}/ce.XXXX") || return
    export ENGINES_DIR
    timeout -k 20 "$ENGINES_DEADLINE" bats --tap --print-output-on-failure "tests/engines/$file.bats" </dev/null 2>&1 |
        tee "$log" | stream "$label"
    rc=${PIPESTATUS[0]}
    sweep "$ENGINES_DIR" | tee -a "$log"
    judge "$label" "$log" "$rc" "$file"
    summary+=("$(printf '%-28s %3d passed, %d failed, %d skipped' "$label" $((passed - p)) $((failed - f)) $((skipped - s)))")
}

# Both runtimes' results of the Docker files, case by case.
print_table() {
    local key seen=
    [ "${#table[@]}" -gt 0 ] || return 0
    printf '\n%-90s %-8s %s\n' "Docker" runc ctr
    for key in "${!table[@]}"; do echo "${key%/*}"; done | sort -u | while IFS= read -r key; do
        case $key in docker*) ;; *) continue ;; esac
        printf '%-90s %-8s %s\n' "${key:0:88}" "${table["$key/runc"]:--}" "${table["$key/ctr"]:--}"
    done
}

suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=(docker swarm containerd podman buildah)
mkdir -p "$LOGS" "$ENGINES_CACHE" || exit 1
CONTROL_DIR=$(mktemp -d) || exit 1
export CONTROL_DIR RESULTS=$CONTROL_DIR/results
trap 'rm -rf "$CONTROL_DIR"' EXIT
[ -x "$CTR" ] || { echo "not built: $CTR"; exit 1; }
install_missing

for suite in "${suites[@]}"; do
    case $suite in
    docker)
        for file in docker docker_opts; do
            one "$file" runc
            one "$file" ctr
        done
        ;;
    swarm | containerd | podman | buildah) one "$suite" ctr ;;
    *) echo "run.sh: unknown suite: $suite (docker swarm containerd podman buildah)" >&2; exit 2 ;;
    esac
done

print_table
echo
[ ! -s "$RESULTS" ] || cat "$RESULTS"
echo
printf '%s\n' "${summary[@]}"
for text in "${skips[@]}"; do echo "skipped: $text"; done
for text in "${failures[@]}"; do echo "failed: $text"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
