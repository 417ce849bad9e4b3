#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Docker: many containers in a row and at the same time, with ctr and with runc under one daemon, by turns: what they cost
# is compared. Runs alone. No time is demanded here: only that nothing fails.

load lib
load docker

setup_file() {
    engine_setup
    docker_start
    docker_image
}
teardown_file() {
    docker_stop
    engine_teardown
}
setup() { engine_test_setup; }
teardown() { docker_teardown; }

now() { echo $(($(date +%s%N) / 1000000)); }

@test "fifty runs in a row" {
    local i r from
    local -A took=([ctr]=0 [runc]=0)
    for i in 1 2 3 4 5; do
        for r in runc ctr; do
            from=$(now)
            for _ in 1 2 3 4 5 6 7 8 9 10; do ok run --rm --runtime "$r" --network none bb true; done
            took[$r]=$((took[$r] + $(now) - from))
        done
    done
    result "50 docker run --rm in a row: ${took[ctr]} ms; with runc: ${took[runc]} ms"
}

@test "ten at the same time" {
    local i r from pids rc
    local -A took=()
    for r in runc ctr; do
        pids=()
        from=$(now)
        for i in 1 2 3 4 5 6 7 8 9 10; do
            quiet run --rm --runtime "$r" --network none bb sh -c "exit $i" >/dev/null &
            pids+=($!)
        done
        for i in 1 2 3 4 5 6 7 8 9 10; do
            rc=0
            wait "${pids[i - 1]}" || rc=$?
            [ "$rc" -eq "$i" ] || fail "$r: run $i: status $rc"
        done
        took[$r]=$(($(now) - from))
    done
    result "10 docker run --rm at the same time: ${took[ctr]} ms; with runc: ${took[runc]} ms"
}
