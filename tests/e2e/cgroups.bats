#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Control groups: limits hold, inside and outside show the same, nothing stays. The files have their v1
# or their v2 names, whichever the host has.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
}

# value ID CONTROLLER V1FILE V2FILE
value() { cat "$(cgroup_file "$@")"; }

# remove_dirs NAME: of cgroups that the test made, or that the runtime had to make above the container's.
remove_dirs() { find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null || [ -z "$(cgroup_dirs "$1")" ]; }

progress() { cat "$BUNDLE/rootfs/tmp/count" 2>/dev/null || echo 0; }
moved_on() { [ "$(progress)" != "$1" ]; }

# A container that counts in a file.
counter() {
    set_args /bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 moved_on 0
}

# A device of this machine that no default rule names and that can be opened here, as TYPE MAJOR MINOR: a disk where
# that works.
host_device() {
    local dev
    for dev in /dev/loop0 /dev/ram0 /dev/vda /dev/sda /dev/nvme0n1 /dev/kmsg /dev/loop-control; do
        if [ -e "$dev" ] && (: <"$dev") 2>/dev/null; then
            echo "$([ -b "$dev" ] && echo b || echo c) $((0x$(stat -c %t "$dev"))) $((0x$(stat -c %T "$dev")))"
            return
        fi
    done
    return 1
}

# ---- limits ----

@test "memory: a hog is killed, exit 137; a second container and the host live on" {
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID-b"
    edit_config '.linux.resources.memory = {limit: 33554432, swap: 33554432}'
    set_args /bin/tail /dev/zero
    ctr run --bundle "$BUNDLE" "$ID"
    if [[ $stderr == *swap* ]]; then # a kernel that does not count swap
        edit_config 'del(.linux.resources.memory.swap)'
        ctr run --bundle "$BUNDLE" "$ID"
    fi
    [ "$status" -eq 137 ]
    [ "$(state_of "$ID-b")" = running ]
    kill -0 "$(state_of "$ID-b" pid)"
    ok delete --force "$ID-b"
}

@test "memory: a hog that is not the first process dies alone" {
    edit_config '.linux.resources.memory.limit = 33554432'
    run_sh 'tail /dev/zero & wait $!; echo "hog: $?"'
    [ "$status" -eq 0 ]
    [ "$output" = "hog: 137" ]
}

@test "memory: limit, reservation and swap are the container's, inside and outside" {
    edit_config '.linux.resources.memory = {limit: 67108864, reservation: 33554432}'
    set_args /bin/sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(value "$ID" memory memory.limit_in_bytes memory.max)" = 67108864 ]
    [ "$(value "$ID" memory memory.soft_limit_in_bytes memory.low)" = 33554432 ]
    wait_for 10 grep -qx 67108864 "$OUT"
    ok delete --force "$ID"
}

@test "memory: a limit too low to start is a clear error and leaves nothing" {
    local limit
    set_args /bin/sleep 1000
    for limit in 4096 65536 200000; do
        edit_config ".linux.resources.memory.limit = $limit"
        ctr run --detach --bundle "$BUNDLE" "$ID"
        if [ "$status" -ne 0 ]; then
            [ "$(wc -l <"$ERR")" -eq 1 ]
            [[ $stderr == *linux.resources.memory.limit*"$limit"* ]] || fail "not a clear error: $stderr"
        fi
        ok delete --force "$ID"
        assert_leak_free
    done
    edit_config '.linux.resources.memory.limit = -2'
    fails 1 'linux.resources.memory.limit' run --detach --bundle "$BUNDLE" "$ID"
}

@test "pids: the limit holds against a fork bomb" {
    edit_config '.linux.resources.pids.limit = 20'
    # bounded to 127 all the same, in case that it does not
    set_args /bin/sh -c 'bomb() { [ $1 -eq 0 ] || { bomb $(($1 - 1)) & bomb $(($1 - 1)) & sleep 1000; }; }
        bomb 6 2>/dev/null & exec sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    refused() { grep -q '^max [1-9]' "$(cgroup_file "$ID" pids pids.events pids.events)"; }
    wait_for 15 refused
    [ "$(value "$ID" pids pids.current pids.current)" -le 20 ]
    [ "$(state_of "$ID")" = running ]
    # the host is not at its limit
    /bin/true
    ok delete --force "$ID"
}

@test "pids: -1 is no limit, 0 is refused or a limit of its own, a number is that number" {
    set_args /bin/sleep 1000
    edit_config '.linux.resources.pids.limit = -1'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(value "$ID" pids pids.max pids.max)" = max ]
    ok delete --force "$ID"
    edit_config '.linux.resources.pids.limit = 7'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(value "$ID" pids pids.max pids.max)" = 7 ]
    ok delete --force "$ID"
}

@test "cpu: quota, period and shares, inside and outside" {
    edit_config '.linux.resources.cpu = {quota: 50000, period: 200000, shares: 512}'
    set_args /bin/sh -c 'cd /sys/fs/cgroup; for f in cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares cpu.max cpu.weight; do
        [ ! -e $f ] || cat $f; done; echo said; sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    local said=$OUT
    wait_for 10 grep -q said "$said"
    if [[ $(cgroup_file "$ID" cpu v1 v2) == */v1 ]]; then
        [ "$(value "$ID" cpu cpu.cfs_quota_us -)" = 50000 ]
        [ "$(value "$ID" cpu cpu.cfs_period_us -)" = 200000 ]
        [ "$(value "$ID" cpu cpu.shares -)" = 512 ]
        [ "$(head -n 3 "$said")" = $'50000\n200000\n512' ]
    else
        [ "$(value "$ID" cpu - cpu.max)" = "50000 200000" ]
        [ "$(value "$ID" cpu - cpu.weight)" = 59 ]
        [ "$(head -n 2 "$said")" = $'50000 200000\n59' ]
    fi
    ok delete --force "$ID"
}

@test "cpu: what the kernel refuses names the field" {
    set_args /bin/true
    edit_config '.linux.resources.cpu = {quota: 1, period: 100000}'
    fails 1 'linux.resources.cpu' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.resources.cpu = {cpus: "4000-4001"}'
    fails 1 'linux.resources.cpu.cpus' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.resources.cpu = {cpus: "zero"}'
    fails 1 'linux.resources.cpu.cpus' run --bundle "$BUNDLE" "$ID"
}

@test "cpuset: the process may use those processors only" {
    [ "$(nproc)" -ge 2 ] || skip "one processor"
    edit_config '.linux.resources.cpu = {cpus: "1", mems: "0"}'
    set_args /bin/sh -c 'grep Cpus_allowed_list /proc/self/status; sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -qx $'Cpus_allowed_list:\t1' "$OUT"
    [ "$(value "$ID" cpuset cpuset.cpus cpuset.cpus)" = 1 ]
    ok exec "$ID" /bin/grep Cpus_allowed_list /proc/self/status
    [ "$output" = $'Cpus_allowed_list:\t1' ]
    ok delete --force "$ID"
}

@test "unified: values go to the v2 files; a file that is not there is an error with its name" {
    set_args /bin/sleep 1000
    edit_config '.linux.resources.unified = {"cgroup.max.descendants": "7"}'
    if ! has_v2; then
        fails 1 'linux.resources.unified["cgroup.max.descendants"]: this host has no cgroup v2' run --detach --bundle "$BUNDLE" "$ID"
        return
    fi
    ok run --detach --bundle "$BUNDLE" "$ID"
    local dir
    dir=/sys/fs/cgroup$(is_cgroup2 || echo /unified)$(sed -n 's/^0:://p' "/proc/$(state_of "$ID" pid)/cgroup")
    [ "$(cat "$dir/cgroup.max.descendants")" = 7 ]
    ok delete --force "$ID"
    edit_config '.linux.resources.unified = {"pids.fun": "7"}'
    fails 1 'pids.fun' run --detach --bundle "$BUNDLE" "$ID"
    edit_config '.linux.resources.unified = {"../escape": "7"}'
    fails 1 'escape' run --detach --bundle "$BUNDLE" "$ID"
    is_cgroup2 || return 0
    edit_config '.linux.resources.unified = {"memory.high": "50331648", "pids.max": "33"}'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(cat "$dir/memory.high")" = 50331648 ]
    [ "$(cat "$dir/pids.max")" = 33 ]
    ok delete --force "$ID"
}

# ---- devices ----

@test "cgroup v2: every controller of the host is there inside, without any limit" {
    local inside wanted c
    is_cgroup2 || skip "not a pure cgroup v2 host"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok exec "$ID" cat /sys/fs/cgroup/cgroup.controllers
    inside=" $(cat "$OUT") "
    wanted=$(grep -Eow 'cpuset|cpu|io|memory|hugetlb|pids|rdma|misc' /sys/fs/cgroup/cgroup.controllers)
    for c in $wanted; do
        [[ $inside == *" $c "* ]] || fail "no $c in \"$inside\""
    done
    ok delete --force "$ID"
}

@test "network: the class and the priorities of packets (cgroup v1); an error without the controllers" {
    set_args /bin/sleep 1000
    edit_config '.linux.resources.network = {classID: 1048577, priorities: [{name: "lo", priority: 7}]}'
    if grep -qE ':([^:]*,)?net_cls(,[^:]*)?:' /proc/self/cgroup; then
        ok run --detach --bundle "$BUNDLE" "$ID"
        [ "$(value "$ID" net_cls net_cls.classid '')" = 1048577 ]
        value "$ID" net_prio net_prio.ifpriomap '' | grep -qx 'lo 7'
        ok exec "$ID" cat /sys/fs/cgroup/net_cls/net_cls.classid
        [ "$output" = 1048577 ]
        ok delete --force "$ID"
        edit_config '.linux.resources.network.priorities[0].name = "nosuch0"'
        fails 1 'linux.resources.network.priorities' run --detach --bundle "$BUNDLE" "$ID"
    else
        fails 1 'linux.resources.network.classID: the net_cls controller is not available' run --detach --bundle "$BUNDLE" "$ID"
        edit_config 'del(.linux.resources.network.classID)'
        fails 1 'net_prio controller is not available' run --detach --bundle "$BUNDLE" "$ID"
    fi
}

@test "rdma: a device that is not there is refused with its name, and everything without the controller" {
    set_args /bin/sleep 1000
    edit_config '.linux.resources.rdma = {nosuch0: {hcaHandles: 3}}'
    fails 1 'linux.resources.rdma' run --detach --bundle "$BUNDLE" "$ID"
    [[ $stderr == *nosuch0* || $stderr == *"the rdma controller is not available"* ]]
}

@test "devices: by default one of the host can be made but not opened; null, zero, urandom and the like can" {
    local dev
    dev=$(host_device) || skip "no device to try"
    edit_config '.process.capabilities |= with_entries(.value += ["CAP_MKNOD", "CAP_SYSLOG", "CAP_SYS_ADMIN"])'
    run_sh "mknod /dev/host $dev && echo made; (: </dev/host) 2>/dev/null || echo closed
        mknod /dev/mem c 1 1; (: </dev/mem) 2>/dev/null || echo no mem
        head -c 3 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; mknod /dev/null2 c 1 3 && echo y >/dev/null2 && echo null2"
    [ "$status" -eq 0 ]
    [ "$output" = $'made\nclosed\nno mem\n3\n4\nnull2' ]
}

@test "devices: a rule allows what it names, for that access only; the last one that matches decides" {
    local dev
    dev=$(host_device) || skip "no device to try"
    set -- $dev
    edit_config '.process.capabilities |= with_entries(.value += ["CAP_MKNOD", "CAP_SYSLOG", "CAP_SYS_ADMIN"]) |
        .linux.resources.devices += [{allow: true, type: $t, major: $m, minor: $n, access: "r"}]' \
        --arg t "$1" --argjson m "$2" --argjson n "$3"
    run_sh "mknod /dev/host $dev; (: </dev/host) && echo open; (: >>/dev/host) 2>/dev/null || echo read only"
    [ "$status" -eq 0 ]
    [ "$output" = $'open\nread only' ]
    edit_config '.linux.resources.devices += [{allow: false, type: $t, major: $m, minor: $n, access: "rwm"}]' \
        --arg t "$1" --argjson m "$2" --argjson n "$3"
    run_sh "mknod /dev/host $dev; (: </dev/host) 2>/dev/null || echo closed"
    [ "$output" = closed ]
}

@test "devices: exec is under the same rules" {
    local dev
    dev=$(host_device) || skip "no device to try"
    edit_config '.process.capabilities |= with_entries(.value += ["CAP_MKNOD", "CAP_SYSLOG", "CAP_SYS_ADMIN"])'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok exec "$ID" /bin/sh -c "mknod /dev/host $dev; (: </dev/host) 2>/dev/null || echo closed; echo >/dev/null && echo open"
    [ "$output" = $'closed\nopen' ]
    ok delete --force "$ID"
}

# ---- freezing ----

@test "pause: nothing moves until resume, then it goes on" {
    counter
    ok pause "$ID"
    [ "$(state_of "$ID")" = paused ]
    local at
    at=$(progress)
    sleep 0.3
    [ "$(progress)" = "$at" ]
    fails 1 'paused' pause "$ID"
    ok resume "$ID"
    [ "$(state_of "$ID")" = running ]
    wait_for 10 moved_on "$at"
    ok delete --force "$ID"
}

@test "pause: a paused container can be killed and deleted" {
    counter
    ok pause "$ID"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
    counter
    ok pause "$ID"
    ok delete --force "$ID"
    assert_leak_free
}

# ---- place ----

# Without the hierarchies of controllers that are not mounted everything must be below PATH.
all_below() {
    ! grep -vE "^[0-9]+:[^:]*:$2\$" "/proc/$(state_of "$1" pid)/cgroup" || fail "found what must not be there"
}

@test "cgroupsPath: absolute, relative, and the default; in every hierarchy" {
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    all_below "$ID" ".*$(leaf "$ID")"
    ok delete --force "$ID"
    edit_config '.linux.cgroupsPath = $p' --arg p "/$TESTID-abs/deep/one"
    if is_systemd; then
        fails 1 'linux.cgroupsPath' run --detach --bundle "$BUNDLE" "$ID"
        return
    fi
    ok run --detach --bundle "$BUNDLE" "$ID"
    all_below "$ID" "/$TESTID-abs/deep/one"
    ok delete --force "$ID"
    remove_dirs "$TESTID-abs"
    edit_config '.linux.cgroupsPath = $p' --arg p "$TESTID-rel/one"
    ok run --detach --bundle "$BUNDLE" "$ID"
    all_below "$ID" "/.*/$TESTID-rel/one"
    ok delete --force "$ID"
    remove_dirs "$TESTID-rel"
    edit_config '.linux.cgroupsPath = "/a/../../b"'
    fails 1 'linux.cgroupsPath' run --detach --bundle "$BUNDLE" "$ID"
}

@test "cgroupsPath: of an existing cgroup only the container's own is removed" {
    require_paths
    local dir
    while read -r dir; do
        mkdir "$dir/$TESTID-mine"
    done < <(awk '$(NF-2) == "cgroup" || $(NF-2) == "cgroup2" { print $5 }' \
        /proc/self/mountinfo | grep '^/sys/fs/cgroup')
    edit_config '.linux.cgroupsPath = $p' --arg p "/$TESTID-mine/one"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok delete --force "$ID"
    [ -z "$(cgroup_dirs one | grep "$TESTID")" ]
    [ -n "$(cgroup_dirs "$TESTID-mine")" ]
    remove_dirs "$TESTID-mine"
}

@test "an existing cgroup with processes is refused; they stay" {
    require_paths
    local dir
    dir=/sys/fs/cgroup$(is_cgroup2 || echo /pids)/$TESTID-full
    mkdir "$dir"
    sleep 1000 3>&- &
    local pid=$!
    echo $pid >"$dir/cgroup.procs"
    edit_config '.linux.cgroupsPath = $p' --arg p "/$TESTID-full"
    set_args /bin/true
    fails 1 "container's cgroup is not empty" run --bundle "$BUNDLE" "$ID"
    kill -0 $pid
    grep -qx $pid "$dir/cgroup.procs"
    kill $pid
    wait $pid || true
    remove_dirs "$TESTID-full"
}

@test "an existing frozen cgroup is refused" {
    require_paths
    local dir
    dir=/sys/fs/cgroup$(is_cgroup2 || echo /unified)/$TESTID-frozen
    [ -d "${dir%/*}" ] || skip "no v2 hierarchy"
    mkdir "$dir"
    echo 1 >"$dir/cgroup.freeze"
    edit_config '.linux.cgroupsPath = $p' --arg p "/$TESTID-frozen"
    set_args /bin/true
    fails 1 "container's cgroup unexpectedly frozen" run --bundle "$BUNDLE" "$ID"
    echo 0 >"$dir/cgroup.freeze"
    remove_dirs "$TESTID-frozen"
}

@test "two containers in one cgroup: the second is refused" {
    require_paths
    edit_config '.linux.cgroupsPath = $p' --arg p "/ctr/$TESTID-shared"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    fails 1 "container's cgroup is not empty" run --detach --bundle "$BUNDLE" "$ID-b"
    [ "$(state_of "$ID")" = running ]
    ok delete --force "$ID"
}

# ---- the end ----

@test "delete removes the cgroups in all hierarchies, with those that the container has made" {
    edit_config '(.mounts[] | select(.destination == "/sys/fs/cgroup")).options -= ["ro"]'
    set_args /bin/sh -c 'for d in /sys/fs/cgroup /sys/fs/cgroup/*; do
            [ ! -e $d/cgroup.procs ] || mkdir -p $d/inner/most 2>/dev/null; done; echo made; sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q made "$OUT"
    [ -n "$(find /sys/fs/cgroup -path "*$ID*/inner/most")" ]
    ok delete --force "$ID"
    [ -z "$(cgroup_dirs "$ID")" ]
}

@test "kill --all reaches processes that left the session, with every signal" {
    edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
    set_args /bin/sh -c 'setsid sh -c "trap \"echo daemon-got >/tmp/daemon; exit\" USR1; echo up >/tmp/daemon; while :; do sleep 0.05; done" &
        trap "echo first-got >/tmp/first" USR1; echo up >/tmp/first; while :; do sleep 0.05; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q up "$BUNDLE/rootfs/tmp/daemon"
    wait_for 10 grep -q up "$BUNDLE/rootfs/tmp/first"
    ok kill --all "$ID" USR1
    wait_for 10 grep -q first-got "$BUNDLE/rootfs/tmp/first"
    wait_for 10 grep -q daemon-got "$BUNDLE/rootfs/tmp/daemon"
    ok kill --all "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "kill KILL of a container without its own pid namespace takes its children along" {
    edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
    set_args /bin/sh -c 'setsid sleep 1717$0 & sleep 1000' $$
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 pgrep -xf "sleep 1717$$"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    gone() { ! pgrep -xf "sleep 1717$$"; }
    wait_for 10 gone
    ok delete "$ID"
    # also when init is gone already
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 pgrep -xf "sleep 1717$$"
    kill -KILL "$(state_of "$ID" pid)"
    wait_state "$ID" stopped
    pgrep -xf "sleep 1717$$"
    fails 1 'container not running' kill "$ID" TERM
    ok kill "$ID" KILL
    wait_for 10 gone
    fails 1 'container not running' kill "$ID" KILL
    ok delete "$ID"
}

@test "disabled: --cgroup-manager disabled makes none, and refuses limits" {
    local CTR_GLOBALS=
    set_args /bin/cat /proc/self/cgroup
    ok --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
    ! grep -q "$ID" "$OUT" || fail "found what must not be there"
    edit_config '.linux.resources.memory.limit = 67108864'
    fails 1 'linux.resources.memory.limit' --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
}

@test "a container sees its own cgroup as the root, read only" {
    set_args /bin/sh -c 'cat /proc/self/cgroup | grep -v ":/$"; find /sys/fs/cgroup -name cgroup.procs | head -n 40 | xargs cat | grep -c "^1$"
        mkdir /sys/fs/cgroup/x /sys/fs/cgroup/pids/x 2>/dev/null || echo read only'
    ok run --bundle "$BUNDLE" "$ID"
    [[ $output == *"read only" ]]
    [ "$(head -n 1 "$OUT")" -ge 1 ]
}
