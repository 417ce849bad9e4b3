#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# ctr events: the numbers are those of the cgroup files, memory shortage is told, and the stream ends with the
# container.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
}

value() { cat "$(cgroup_file "$@")"; }
is_v1() { grep -qE ":([^:]*,)?$1(,[^:]*)?:" /proc/self/cgroup; }

start_sleep() {
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
}

# stream ARGS...: ctr events in the background, its output in $EVENTS. Its exit status is for end_of_stream.
stream() {
    EVENTS=$BATS_TEST_TMPDIR/events
    timeout -k 5 300 "$CTR" --root "$ROOT" events "$@" "$ID" >"$EVENTS" 2>"$BATS_TEST_TMPDIR/err.stream" \
        </dev/null 3>&- &
    STREAM=$!
}
end_of_stream() {
    local rc=0
    wait "$STREAM" || rc=$?
    [ "$rc" -eq 0 ] || fail "events: status $rc: $(cat "$BATS_TEST_TMPDIR/err.stream")"
}
# The stream has registered for everything and sleeps.
watching() { grep -qsE "poll" "/proc/$(pgrep -P "$STREAM")/wchan"; }
count() { grep -c "\"type\":\"$1\"" "$EVENTS" || true; }
at_least() { [ "$(count "$1")" -ge "$2" ]; }

# A container that takes more memory than it may have once there is /tmp/go, and a stream that watches it.
watch_a_hog() {
    edit_config '.linux.resources.memory = {limit: 16777216, swap: 16777216}'
    set_args /bin/sh -c 'while ! [ -e /tmp/go ]; do sleep 0.02; done; exec tail /dev/zero'
    ctr run --detach --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || skip "$stderr"
    stream --interval 1h
    wait_for 10 watching
}

@test "events --stats: every key, one line, and the numbers of the files" {
    edit_config '.linux.resources.memory = {limit: 67108864} | .linux.resources.pids = {limit: 44}'
    set_args /bin/sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; touch /tmp/ready; sleep 1000 & wait'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 20 test -e "$BUNDLE/rootfs/tmp/ready"
    both() { [ "$(value "$ID" pids pids.current pids.current)" = 2 ]; }
    wait_for 10 both
    ok events --stats "$ID"
    [ "$(wc -l <"$OUT")" -eq 1 ]
    [ "$(jq -c 'keys_unsorted' "$OUT")" = '["type","id","data"]' ]
    [ "$(jq -r '.type + " " + .id' "$OUT")" = "stats $ID" ]
    [ "$(jq -c '.data | keys_unsorted' "$OUT")" = \
        '["cpu","cpuset","memory","pids","blkio","hugetlb","intel_rdt","network_interfaces"]' ]
    [ "$(jq -c '.data.memory | keys_unsorted - ["psi"]' "$OUT")" = \
        '["cache","usage","swap","kernel","kernelTCP","raw"]' ]
    [ "$(jq -c '.data.memory.usage | keys_unsorted' "$OUT")" = '["limit","usage","max","failcnt"]' ]
    [ "$(jq -c '.data.cpu.throttling | keys_unsorted' "$OUT")" = '["periods","throttledPeriods","throttledTime"]' ]
    [ "$(jq '.data.memory.usage.limit' "$OUT")" = 67108864 ]
    [ "$(jq '.data.memory.usage.usage' "$OUT")" -gt 4096 ]
    [ "$(jq '.data.memory.usage.usage' "$OUT")" -lt 67108864 ]
    [ "$(jq '.data.memory.raw | length' "$OUT")" -eq "$(value "$ID" memory memory.stat memory.stat | wc -l)" ]
    [ "$(jq '.data.pids.limit' "$OUT")" = 44 ]
    [ "$(jq '.data.pids.current' "$OUT")" -eq 2 ]
    [ "$(jq '.data.cpu.usage | .total > 1000000 and .user > 0 and .total >= .kernel' "$OUT")" = true ]
    if is_v1 cpuacct; then
        [ "$(jq '.data.cpu.usage | (.percpu | add) == .total' "$OUT")" = true ]
        [ "$(jq '.data.cpu.usage | (.percpu_user | length) == (.percpu | length)' "$OUT")" = true ]
    fi
    if is_v1 cpuset; then
        [ "$(jq '.data.cpuset.cpus | length' "$OUT")" -eq "$(nproc)" ]
        [ "$(jq '.data.cpuset.sched_load_balance' "$OUT")" = 1 ]
    fi
}

@test "events --stats: pressure only where the kernel measures it" {
    start_sleep
    ok events --stats "$ID"
    v2=$(sed -n 's/^0:://p' "/proc/$(state_of "$ID" pid)/cgroup")
    for what in cpu memory io; do
        key=${what/io/blkio}
        file=$(ls /sys/fs/cgroup{,/unified}"$v2/$what.pressure" 2>/dev/null | head -n 1)
        if [ -n "$file" ] && cat "$file" >/dev/null 2>&1; then
            [ "$(jq ".data.$key.psi | .some.total >= 0 and .full.avg300 >= 0" "$OUT")" = true ]
        else
            [ "$(jq ".data.$key.psi" "$OUT")" = null ]
        fi
    done
}

@test "events --stats: throttling" {
    edit_config '.linux.resources.cpu = {quota: 2000, period: 20000}'
    set_args /bin/sh -c 'while :; do :; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    throttled() {
        ok events --stats "$ID"
        [ "$(jq '.data.cpu.throttling | .throttledPeriods > 1 and .throttledTime > 1000000 and
            .periods >= .throttledPeriods' "$OUT")" = true ]
    }
    wait_for 10 throttled
}

@test "events --stats: the interfaces of the container's own network" {
    require_program ip
    start_sleep
    ok events --stats "$ID"
    [ "$(jq -c .data.network_interfaces "$OUT")" = '[]' ]
    local pid
    pid=$(state_of "$ID" pid)
    ip link add "x$$" type dummy 2>/dev/null && ip link set "x$$" netns "$pid" name eth7 ||
        ip link add "x$$" type veth peer name eth7 netns "$pid" 2>/dev/null || skip "no dummy and no veth interfaces"
    ok events --stats "$ID"
    [ "$(jq -c '.data.network_interfaces[0] | [.Name, .RxBytes, .TxDropped]' "$OUT")" = '["eth7",0,0]' ]
}

@test "events: a line each interval, until the container ends" {
    start_sleep
    stream --interval 100ms
    wait_for 10 at_least stats 3
    ok kill "$ID" KILL
    end_of_stream
    jq -es 'all(.type == "stats" and .data.pids.current >= 0)' "$EVENTS" >/dev/null
    [ ! -s "$BATS_TEST_TMPDIR/err.stream" ]
}

@test "events: memory shortage is told, once each time" {
    edit_config '.linux.resources.memory = {limit: 16777216}'
    start_sleep
    stream --interval 1h
    wait_for 10 watching
    [ "$(count oom)" -eq 0 ]
    ctr update --memory 16m --memory-swap 16m "$ID"
    ctr exec "$ID" tail /dev/zero
    [ "$status" -eq 137 ]
    wait_for 10 at_least oom 1
    [ "$(grep oom "$EVENTS" | head -n 1)" = "{\"type\":\"oom\",\"id\":\"$ID\"}" ]
    [ "$(count stats)" -eq 0 ]
    ok kill "$ID" KILL
    end_of_stream
}

@test "events: the shortage that ends the container is told, too" {
    watch_a_hog
    touch "$BUNDLE/rootfs/tmp/go"
    end_of_stream
    [ "$(count oom)" -ge 1 ]
    [ "$(state_of "$ID")" = stopped ]
}

@test "events: the shortage that ended the container is told although its cgroup is gone" {
    local pid dir
    watch_a_hog
    pid=$(pgrep -P "$STREAM")
    dir=$(dirname "$(cgroup_file "$ID" memory memory.oom_control memory.events)")
    # who puts containers there removes their cgroups himself, after the end was told
    if [ ! -e "$dir/memory.oom_control" ] && [ ! -e "$dir/../memory.events" ]; then
        ok delete --force "$ID"
        end_of_stream
        skip "the cgroup above is the root of cgroup v2, which counts nothing"
    fi
    kill -STOP "$pid"
    touch "$BUNDLE/rootfs/tmp/go"
    wait_state "$ID" stopped
    # with systemd as the driver it has done so already
    [ ! -d "$dir" ] || rmdir "$dir"
    # the kernel tells of the removal some time after it
    sleep 1
    kill -CONT "$pid"
    end_of_stream
    [ "$(count oom)" -ge 1 ]
}

@test "events: a neighbour's shortage is not told, nor when the container's cgroup is gone afterwards" {
    local pid dir slept neighbours=
    edit_config '.linux.resources.memory = {limit: 16777216, swap: 16777216}'
    if ! is_systemd; then # a slice counts anyway
        neighbours=/$TESTID-neighbours
        edit_config ".linux.cgroupsPath = \"$neighbours/a\""
    fi
    set_args /bin/sleep 1000
    ctr run --detach --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || skip "$stderr"
    stream --interval 1h
    wait_for 10 watching
    pid=$(pgrep -P "$STREAM")
    dir=$(dirname "$(cgroup_file "$ID" memory memory.oom_control memory.events)")
    times_slept() { grep voluntary_ctxt "/proc/$pid/status"; }
    woken() { [ "$(times_slept)" != "$slept" ]; }
    slept=$(times_slept)
    [ -z "$neighbours" ] || edit_config ".linux.cgroupsPath = \"$neighbours/b\""
    set_args /bin/tail /dev/zero
    ctr run --bundle "$BUNDLE" "$ID-b"
    [ "$status" -eq 137 ]
    [ ! -e "$dir/../memory.events" ] || wait_for 10 woken
    wait_for 10 watching
    kill -STOP "$pid"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    rmdir "$dir" 2>/dev/null || [ ! -d "$dir" ]
    kill -CONT "$pid"
    end_of_stream
    [ "$(count oom)" -eq 0 ]
    ok delete "$ID"
    # other tests' cgroups go away while find walks
    [ -z "$neighbours" ] || find /sys/fs/cgroup -depth -type d -path "*$neighbours*" -exec rmdir {} + 2>/dev/null ||
        [ -z "$(cgroup_dirs "$neighbours")" ]
}

@test "events: a deleted container's stream ends without a shortage" {
    start_sleep
    stream --interval 50ms
    wait_for 10 at_least stats 1
    ok delete --force "$ID"
    end_of_stream
    [ "$(count oom)" -eq 0 ]
}

@test "events: a paused and a created container have numbers; a stopped one and an unknown one do not" {
    fails 1 'container does not exist' events --stats "$ID"
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    ok events --stats "$ID"
    ok start "$ID"
    ok pause "$ID"
    ok events --stats "$ID"
    [ "$(jq .data.pids.current "$OUT")" -ge 1 ]
    ok resume "$ID"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    fails 1 "events $ID: container not running" events --stats "$ID"
    fails 1 "events $ID: container not running" events "$ID"
}

@test "events: an interval that is none is refused" {
    start_sleep
    fails 1 '--interval: not a length of time: soon' events --interval soon "$ID"
    fails 1 '--interval: not a length of time: 5' events --interval 5 "$ID"
    fails 1 '--interval: must be greater than 0: 0s' events --interval=0s "$ID"
    fails 1 '--interval: not a length of time: -1s' events --interval=-1s "$ID"
}

@test "events: nobody who listens any more ends it" {
    start_sleep
    # the pipe's reader takes one line and goes
    timeout -k 5 20 "$CTR" --root "$ROOT" events --interval 20ms "$ID" 2>/dev/null 3>&- | head -n 1 >"$BATS_TEST_TMPDIR/one"
    [ "$(jq -r .type "$BATS_TEST_TMPDIR/one")" = stats ]
    [ "$(state_of "$ID")" = running ]
}
