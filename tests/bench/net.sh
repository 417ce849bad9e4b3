#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# net.sh: what a container's network costs, and how much goes through it; on a host and with a remote machine that are
# network namespaces of its own. Part of `make bench`.
#
# Environment: BUILD (build), N (30 containers), SECONDS_EACH (3 of iperf3), CTR.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
BUILD=${BUILD:-build}
CTR=${CTR:-$BUILD/ctr}
N=${N:-30}
[ "$N" -le 30 ] || N=30
LC_ALL=C.UTF-8
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
NS=ctr-bench-$$ REMOTE=ctr-bench-r-$$
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ctr-bench.XXXXXX")

[ "$(id -u)" -eq 0 ] || { echo "bench: needs root" >&2; exit 1; }
cleanup() {
    local id
    for id in $(ctr list -q 2>/dev/null); do ctr delete --force "$id" >/dev/null 2>&1 || true; done
    ctr network remove bench 2>/dev/null || true
    ip netns del "$NS" 2>/dev/null || true
    ip netns del "$REMOTE" 2>/dev/null || true
    rm -rf --one-file-system "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

host() { nsenter --net="/run/netns/$NS" "$@"; }
remote() { nsenter --net="/run/netns/$REMOTE" "$@"; }
ctr() { host "$CTR" --root "$WORK/root" "$@"; }

ip netns add "$NS"
ip netns add "$REMOTE"
host ip link set lo up
remote ip link set lo up
ip link add name up0 netns "$NS" type veth peer name up0 netns "$REMOTE"
host ip addr add 192.0.2.1/24 dev up0
host ip link set up0 up
remote ip addr add 192.0.2.2/24 dev up0
remote ip link set up0 up
host ip route add default via 192.0.2.2

# ---- time ----
# Milliseconds of a command, median of N. The clock is read by bash itself: no program is started for it.
median() {
    local i from
    for ((i = 0; i < N; i++)); do
        from=${EPOCHREALTIME/./}
        "$@" "$i" >/dev/null 2>&1 </dev/null
        echo $((${EPOCHREALTIME/./} - from))
    done | sort -n | sed -n "$((N / 2 + 1))p" | awk '{ printf "%.1f", $1 / 1000 }'
}
start_in() { ctr run -d --clone --network "$1" "b$2" sleep 1000; }
stop_one() { ctr delete --force "b$1"; }
run_in() { ctr run --clone --network "$1" "r$2" true; }

# The stages of one container as ctr itself times them: microseconds, median of N.
stages() {
    local i
    for ((i = 0; i < N; i++)); do
        ctr --debug run --clone --network bench -p "$((20000 + i)):80" "s$i" true 2>&1 </dev/null |
            awk '/create: network:/ { a = $5 } /create: network links:/ { b = $6 } END { print a, b, a + b }'
    done >"$WORK/stages"
    for i in 1 2 3; do awk -v c="$i" '{ print $c }' "$WORK/stages" | sort -n | sed -n "$((N / 2 + 1))p"; done | paste -sd' '
}

ctr network create bench
echo "== network"
printf '\nset-up and tear-down of a clone, %s of them beside each other (ms, median)\n' "$N"
none_start=$(median start_in none)
none_stop=$(median stop_one)
bench_start=$(median start_in bench)
bench_stop=$(median stop_one)
printf '  %-28s %8s %8s\n' '' start delete
printf '  %-28s %8s %8s\n' '--network none' "$none_start" "$none_stop" '--network NAME' "$bench_start" "$bench_stop"
printf '\nrun and gone again (ms, median)\n'
printf '  %-28s %8s\n' '--network none' "$(median run_in none)" '--network NAME' "$(median run_in bench)" \
    'the default, made each time' "$(median run_in bridge)"
read -r take links both < <(stages)
printf '\nof which: address, name, files %s us; links, routes, rules %s us; together %s us\n' "$take" "$links" "$both"

# ---- throughput ----
command -v iperf3 >/dev/null || { echo "  iperf3 is not installed"; exit 0; }
gbits() {
    local from=$1
    shift
    "$from" timeout 60 iperf3 -J -t "${SECONDS_EACH:-3}" "$@" 2>/dev/null |
        jq -r '.end.sum_received.bits_per_second / 1e9 | . * 10 | round / 10'
}
ctr run -d --clone --network bench -p 5201:5201 iperf iperf3 -s >/dev/null 2>&1 </dev/null
nsenter --net="/run/netns/$NS" iperf3 -s -p 5202 >/dev/null 2>&1 </dev/null &
SERVER=$!
sleep 1
address=$(ctr network inspect bench | jq -r '.containers[] | select(.id == "iperf").ip')
printf '\nthroughput of one TCP stream (Gbit/s)\n'
printf '  %-44s %6s\n' \
    "host's loopback" "$(gbits host -c 127.0.0.1 -p 5202)" \
    'a cable (veth) from the remote machine' "$(gbits remote -c 192.0.2.1 -p 5202)" \
    'host to container, through the bridge' "$(gbits host -c "$address")" \
    'remote machine, through a published port' "$(gbits remote -c 192.0.2.1)" \
    "host's 127.0.0.1, through a published port" "$(gbits host -c 127.0.0.1)"
kill "$SERVER"
