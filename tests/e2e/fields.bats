#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Fields of the configuration that have no file of their own: memory policy, scheduling, terminal size, labels,
# cache allocation, and the annotations that change what ctr does.

load helpers

# says TEXT SCRIPT: the script in the container prints exactly that.
says() {
    local want=$1
    run_sh "$2"
    [ "$status" -eq 0 ] && [ "$output" = "$want" ] || fail "$2: \"$output\" (status $status), not \"$want\""
}

node() { sed -n 's/^\([0-9]*\).*/\1/p' /sys/devices/system/node/online; }
numa() { [ -e /proc/self/numa_maps ] || skip "this kernel knows no memory nodes"; }

# ---- linux.memoryPolicy ----

@test "memoryPolicy: each mode is the one of the process, and of what exec adds" {
    numa
    make_bundle
    local row n
    n=$(node)
    for row in "MPOL_BIND bind:$n" "MPOL_INTERLEAVE interleave:$n" "MPOL_PREFERRED prefer:$n" \
        "MPOL_PREFERRED_MANY prefer (many):$n" "MPOL_WEIGHTED_INTERLEAVE weighted interleave:$n"; do
        edit_config '.linux.memoryPolicy = {mode: $m, nodes: $n}' --arg m "${row%% *}" --arg n "$n"
        says "${row#* }" 'while read -r a p; do echo "${p%% [fhsa]*}"; break; done </proc/self/numa_maps'
    done
    edit_config '.linux.memoryPolicy = {mode: "MPOL_LOCAL"}'
    says local 'while read -r a p r; do echo "$p"; break; done </proc/self/numa_maps'
    edit_config '.linux.memoryPolicy = {mode: "MPOL_DEFAULT"}'
    says default 'while read -r a p r; do echo "$p"; break; done </proc/self/numa_maps'
    edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: $n, flags: ["MPOL_F_STATIC_NODES"]}' --arg n "$n"
    says "bind=static:$n" 'while read -r a p r; do echo "$p"; break; done </proc/self/numa_maps'
    set_args sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    ok exec "$ID" sh -c 'while read -r a p r; do echo "$p"; break; done </proc/self/numa_maps'
    [ "$output" = "bind=static:$n" ]
}

@test "memoryPolicy: what the kernel cannot is refused by name" {
    numa
    make_bundle
    set_args true
    edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "999"}'
    fails 1 'linux.memoryPolicy: set MPOL_BIND, nodes 999: Invalid argument' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "99999"}'
    fails 1 'linux.memoryPolicy.nodes' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.memoryPolicy = {mode: "MPOL_LOCAL", nodes: "0"}'
    fails 1 'linux.memoryPolicy: set MPOL_LOCAL' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}'
    fails 1 'linux.memoryPolicy: set MPOL_BIND with flags' run --bundle "$BUNDLE" "$ID"
}

# ---- process.scheduler ----

@test "scheduler: DEADLINE with its three times and RESET_ON_FORK, BATCH, IDLE" {
    require_program chrt
    make_bundle
    edit_config '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 10000000, deadline: 30000000, period: 30000000,
        flags: ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM"]}'
    set_args sleep 1000
    ctr run -d --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || { [[ $stderr == *"process.scheduler: set SCHED_DEADLINE"* ]] && skip "not given here: $stderr"; }
    [[ $(chrt -p "$(state_of "$ID" pid)") == *SCHED_DEADLINE*10000000/30000000/30000000* ]]
    ok delete --force "$ID"
    local policy
    for policy in SCHED_BATCH SCHED_IDLE; do
        edit_config '.process.scheduler = {policy: $p}' --arg p $policy
        ok run -d --bundle "$BUNDLE" "$ID"
        [[ $(chrt -p "$(state_of "$ID" pid)") == *"$policy"* ]]
        ok delete --force "$ID"
    done
}

@test "scheduler: what no kernel has is refused by name, flags without a value keep the system's" {
    make_bundle
    set_args true
    edit_config '.process.scheduler = {policy: "SCHED_ISO"}'
    fails 1 'process.scheduler: set SCHED_ISO: Invalid argument' run --bundle "$BUNDLE" "$ID"
    edit_config '.process.scheduler = {policy: "SCHED_OTHER", nice: 5, flags: ["SCHED_FLAG_UTIL_CLAMP_MIN"]}'
    ctr run --bundle "$BUNDLE" "$ID"
    # a kernel without utilisation clamps says so
    [ "$status" -eq 0 ] || [[ $stderr == *"process.scheduler: set SCHED_OTHER"* ]]
    edit_config '.process.scheduler = {policy: "SCHED_OTHER", nice: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'
    says 5 'cut -d" " -f19 </proc/1/stat'
}

@test "consoleSize: the terminal has it, without a terminal it is ignored" {
    make_bundle
    edit_config '.process.terminal = true | .process.consoleSize = {height: 33, width: 111} | .process.args = ["stty", "size"]'
    ctr_tty run --bundle "$BUNDLE" "$ID"
    [[ $output == *"33 111"* ]]
    edit_config '.process.terminal = false | .process.args = ["true"]'
    ok run --bundle "$BUNDLE" "$ID"
}
