#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# --net-rate, measured with iperf3 between a container and the remote machine.

load network

setup() {
    network_setup
    require_program iperf3
}

# rate ID [-R]: Mbit/s that arrive at the other side, from the container or to it.
rate() {
    local id=$1
    shift
    in_ctr "$id" iperf3 -c 192.0.2.2 -t 2 -J "$@" | jq '.end.sum_received.bits_per_second / 1e6 | floor'
}

# rate_between LOW HIGH ID [-R]: the same in $rate, as soon as it is not below LOW: sender and receiver may not get a processor.
rate_between() {
    local low=$1 high=$2
    shift 2
    for _ in 1 2 3; do
        rate=$(rate "$@")
        rate=${rate:-0}
        [ "$rate" -lt "$low" ] || break
    done
    between "$rate" "$low" "$high"
}

between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || fail "$1 Mbit/s, not $2 to $3"; }

@test "net-rate: what a container sends and receives is limited, both at once, and no other's" {
    local rate up down
    in_background remote iperf3 -s >/dev/null 2>&1 &
    local server=$!
    ok run -d --clone --net-rate 40mbit:100mbit "$ID" sleep 1000
    ok run -d --clone "$ID-b" sleep 1000
    rate_between 25 42 "$ID"
    up=$rate
    rate_between 60 105 "$ID" -R
    down=$rate
    rate_between 150 1000000 "$ID-b"
    echo "# 40mbit:100mbit: $up and $down Mbit/s arrive; without a limit $rate" >&3
    kill "$server"
    # the container has no hand on it
    [ -z "$(in_ctr "$ID" tc qdisc show dev eth0 | grep -E 'tbf|ingress')" ]
}

@test "net-rate: one side alone; text that is no rate; nothing is left of it" {
    ok run -d --clone --net-rate :8mbit "$ID" sleep 1000
    host tc qdisc show | grep -q 'tbf .* rate 8Mbit'
    [ -z "$(host ip -o link show type ifb)" ]
    ok delete --force "$ID"
    ok run -d --clone --net-rate 8mbit: "$ID" sleep 1000
    [ -n "$(host ip -o link show type ifb)" ]
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
    [ -z "$(host ip -o link show type ifb)" ]
    for text in '' : x 1:2 -1 5 1mbit:2mbit:3mbit 99999tbit; do
        fails 125 --net-rate run --clone --net-rate "$text" "$ID" true
    done
}
