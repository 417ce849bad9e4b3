#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# ctr update: what the files say, outside and inside, and what it does to the container's processes. What is refused
# leaves everything as it was.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
}

teardown() {
    local dev
    for dev in $(losetup -nO NAME,BACK-FILE | awk -v t="$BATS_TEST_TMPDIR" 'index($2, t) == 1 { print $1 }'); do
        losetup -d "$dev"
    done
    common_teardown
}

# value ID CONTROLLER V1FILE V2FILE; of a micro-VM what its guest says, which has cgroup v2
value() {
    if [ -n "$E2E_VM" ]; then
        "$CTR" --root "$ROOT" exec "$1" cat "/sys/fs/cgroup/$4" </dev/null
    else
        cat "$(cgroup_file "$@")"
    fi
}
is_v1() { [ -z "$E2E_VM" ] && grep -qE ":([^:]*,)?$1(,[^:]*)?:" /proc/self/cgroup; }

# assert_value WANT CONTROLLER V1FILE V2FILE
assert_value() {
    local got
    got=$(value "$ID" "$2" "$3" "$4")
    [ "$got" = "$1" ] || fail "$2: \"$got\", not \"$1\""
}

kept() { jq -c ".linux.resources.$1" "$ROOT/$ID/config.json"; }

start_sleep() {
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
}

@test "update: memory, quota and pids, live, inside and outside, and kept for later" {
    edit_config '.linux.resources.memory = {limit: 67108864} | .linux.resources.cpu = {shares: 2048}'
    start_sleep
    ok update --memory 32m --cpu-period 50000 --cpu-quota 20000 --pids-limit 40 "$ID"
    assert_value 33554432 memory memory.limit_in_bytes memory.max
    assert_value 40 pids pids.max pids.max
    if is_v1 cpu; then
        assert_value 20000 cpu cpu.cfs_quota_us ''
        assert_value 50000 cpu cpu.cfs_period_us ''
        assert_value 2048 cpu cpu.shares ''
    else
        assert_value '20000 50000' cpu '' cpu.max
    fi
    ok exec "$ID" cat "/sys/fs/cgroup$(is_v1 pids && echo /pids)/pids.max"
    [ "$output" = 40 ]
    [ "$(kept memory)" = '{"limit":33554432}' ]
    [ "$(kept cpu)" = '{"shares":2048,"period":50000,"quota":20000}' ]
    [ "$(kept pids.limit)" = 40 ]
    # the quota alone now: the period is the one of before
    ok update --cpu-quota 10000 "$ID"
    if is_v1 cpu; then
        assert_value 50000 cpu cpu.cfs_period_us ''
    else
        assert_value '10000 50000' cpu '' cpu.max
    fi
    [ "$(stat -c %a "$ROOT/$ID/config.json")" = 600 ]
}

@test "update: memory and swap grow and shrink in one go" {
    start_sleep
    ok update --memory 64m "$ID"
    ctr update --memory-swap 100m "$ID"
    [ "$status" -eq 0 ] || [[ $stderr != *swap* ]] || skip "this kernel does not limit swap"
    ok update --memory 200m --memory-swap 300m "$ID"
    ok update --memory 20m --memory-swap 20m "$ID"
    assert_value 20971520 memory memory.limit_in_bytes memory.max
    if is_v1 memory; then
        assert_value 20971520 memory memory.memsw.limit_in_bytes ''
    else
        assert_value 0 memory '' memory.swap.max
    fi
    fails 1 'linux.resources.memory.swap' update --memory 40m "$ID"
    assert_value 20971520 memory memory.limit_in_bytes memory.max
    # no limit on memory is none on the sum
    ok update --memory -1 "$ID"
    [ "$(kept memory)" = '{"limit":-1,"swap":-1}' ]
    is_v1 memory || assert_value max memory '' memory.max
}

@test "update: a limit below what is in use is refused when the configuration asks for that" {
    edit_config '.linux.resources.memory = {limit: 67108864, checkBeforeUpdate: true}'
    # 20 MB that cannot be dropped
    set_args /bin/sh -c 'head -c 20000000 /dev/zero >/dev/shm/file && touch /tmp/ready && sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 test -e "$BUNDLE/rootfs/tmp/ready"
    fails 1 'linux.resources.memory.limit: 1048576 is less than the container uses now' update --memory 1m "$ID"
    assert_value 67108864 memory memory.limit_in_bytes memory.max
    [ "$(state_of "$ID")" = running ]
    [ "$(kept memory.limit)" = 67108864 ]
    # what a machine's guest refuses is taken back around the machine as well
    local file before
    file=$(cgroup_file "$ID" cpu cpu.cfs_quota_us cpu.max)
    before=$(cat "$file")
    fails 1 'less than the container uses now' update --memory 1m --cpu-quota 7000 "$ID"
    [ "$(cat "$file")" = "$before" ]
}

@test "update: a lower quota throttles" {
    set_args /bin/sh -c 'while :; do :; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    throttled() { [ "$(sed -n 's/^nr_throttled //p' "$(cgroup_file "$ID" cpu cpu.stat cpu.stat)")" -gt 2 ]; }
    ! throttled || fail "throttled without a quota"
    ok update --cpu-quota 2000 --cpu-period 20000 "$ID"
    wait_for 10 throttled
    ok update --cpu-quota -1 "$ID"
    if is_v1 cpu; then assert_value -1 cpu cpu.cfs_quota_us ''; else assert_value 'max 20000' cpu '' cpu.max; fi
}

@test "update: a lower limit on processes holds at once" {
    start_sleep
    ok exec "$ID" sh -c 'sleep 0 & sleep 0 & sleep 0 & wait; echo fine'
    [ "$output" = fine ]
    ok update --pids-limit 2 "$ID"
    # exec itself is the second process
    ctr exec "$ID" sh -c 'sleep 0; echo forked'
    [ "$output" != forked ]
    [[ $stderr == *"can't fork"* ]]
    ok update --pids-limit -1 "$ID"
    assert_value max pids pids.max pids.max
    ok exec "$ID" sh -c '/bin/true; echo fine'
}

@test "update: a lower memory limit kills a hog" {
    set_args /bin/sh -c 'while ! [ -e /tmp/go ]; do sleep 0.02; done; exec tail /dev/zero'
    edit_config '.linux.resources.memory = {limit: 1073741824}'
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok update --memory 16m "$ID"
    ctr update --memory 16m --memory-swap 16m "$ID"
    touch "$BUNDLE/rootfs/tmp/go"
    wait_state "$ID" stopped 20
    ok delete "$ID"
}

@test "update: --resources from a file and from standard input; options go before" {
    start_sleep
    echo '{"memory": {"limit": 50331648}, "pids": {"limit": 77}, "cpu": {"shares": 0, "cpus": ""}}' \
        >"$BATS_TEST_TMPDIR/r.json"
    ok update --resources "$BATS_TEST_TMPDIR/r.json" "$ID"
    assert_value 50331648 memory memory.limit_in_bytes memory.max
    assert_value 77 pids pids.max pids.max
    STDIN=$BATS_TEST_TMPDIR/r.json
    ok update -r - --pids-limit 78 "$ID"
    assert_value 78 pids pids.max pids.max
    fails 1 'no-such-file: No such file' update -r "$BATS_TEST_TMPDIR/no-such-file" "$ID"
    echo '{"pids": {"limit": "many"}}' >"$BATS_TEST_TMPDIR/r.json"
    fails 1 'pids.limit' update -r "$BATS_TEST_TMPDIR/r.json" "$ID"
    echo 'nonsense' >"$BATS_TEST_TMPDIR/r.json"
    fails 1 'resources' update -r "$BATS_TEST_TMPDIR/r.json" "$ID"
    assert_value 78 pids pids.max pids.max
}

@test "update: all or nothing" {
    edit_config '.linux.resources.memory = {limit: 67108864} | .linux.resources.pids = {limit: 50}'
    local files
    start_sleep
    files=$(ls -A "$ROOT/$ID")
    cp "$ROOT/$ID/config.json" "$BATS_TEST_TMPDIR/before"
    # memory and quota are written before the processors, which do not exist
    fails 1 'linux.resources.cpu.cpus: write "4096"' update --memory 32m --cpu-quota 10000 --pids-limit 20 \
        --cpuset-cpus 4096 "$ID"
    assert_value 67108864 memory memory.limit_in_bytes memory.max
    assert_value 50 pids pids.max pids.max
    if is_v1 cpu; then assert_value -1 cpu cpu.cfs_quota_us ''; else assert_value 'max 100000' cpu '' cpu.max; fi
    # no such device: the rule before it goes back, too
    echo '{"pids": {"limit": 21}, "blockIO": {"throttleReadBpsDevice": [{"major": 250, "minor": 77, "rate": 9}]}}' \
        >"$BATS_TEST_TMPDIR/r.json"
    fails 1 'linux.resources.blockIO.throttleReadBpsDevice' update -r "$BATS_TEST_TMPDIR/r.json" "$ID"
    assert_value 50 pids pids.max pids.max
    cmp "$ROOT/$ID/config.json" "$BATS_TEST_TMPDIR/before"
    [ "$(ls -A "$ROOT/$ID")" = "$files" ]
}

@test "update: values out of range are named" {
    start_sleep
    fails 1 'blockIO.weight' update --blkio-weight 5 "$ID"
    fails 1 'cpu.idle' update --cpu-idle 2 "$ID"
    fails 1 'out of range' update --pids-limit -5 "$ID"
    fails 1 'not a size' update --memory lots "$ID"
    fails 1 'linux.resources.cpu.quota' update --cpu-quota 10 "$ID"
    fails 1 'linux.resources.cpu.mems' update --cpuset-mems 700 "$ID"
    fails 1 'resctrl' update --l3-cache-schema 'L3:0=f' "$ID"
    fails 1 'resctrl' update --mem-bw-schema 'MB:0=20' "$ID"
    ok update --kernel-memory 64m --kernel-memory-tcp 64m "$ID"
    [[ $stderr == *'obsolete'* ]]
    fails 1 'resources:1:1' update -r - "$ID" # nothing on standard input
    STDIN=$BATS_TEST_TMPDIR/r.json
    echo '{"memory": {"kernel": 1048576}}' >"$STDIN"
    fails 1 'linux.resources.memory.kernel' update -r - "$ID"
}

@test "update: not for a stopped container, nor for one that is not there; a paused and a created one take it" {
    fails 1 'container does not exist' update --memory 32m "$ID"
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    ok update --pids-limit 33 "$ID"
    assert_value 33 pids pids.max pids.max
    ok start "$ID"
    ok pause "$ID"
    ok update --pids-limit 34 "$ID"
    assert_value 34 pids pids.max pids.max
    [ "$(state_of "$ID")" = paused ]
    ok resume "$ID"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    fails 1 "update $ID: container not running" update --memory 32m "$ID"
}

@test "update: a denied device opens, and is denied again; a refused rule leaves the old ones" {
    local dev=/dev/loop-control major minor
    [ -e "$dev" ] || dev=/dev/fuse
    (: <"$dev") 2>/dev/null || skip "no device here that no default rule names"
    major=$((0x$(stat -c %t "$dev"))) minor=$((0x$(stat -c %T "$dev")))
    mknod "$BUNDLE/rootfs/tmp/dev" c "$major" "$minor"
    edit_config '.linux.resources.devices = [{allow: false, access: "rwm"}]'
    set_args /bin/sh -c ': >/dev/null; sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    opens() { ctr exec "$ID" sh -c ': </tmp/dev'; [ "$status" -eq 0 ]; }
    denied() { ! opens || fail "the device opens"; }
    denied
    STDIN=$BATS_TEST_TMPDIR/r.json
    echo '{"devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": '$major', "minor": '$minor', "access": "rw"}]}' >"$STDIN"
    ok update -r - "$ID"
    opens
    ok exec "$ID" sh -c ': >/dev/null'
    if is_v1 devices; then
        # v1 cannot take a part out of a rule; the limit goes back with it
        echo '{"devices": [{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": '$major', "access": "rwm"},
            {"allow": false, "type": "c", "major": '$major', "minor": '$minor', "access": "rwm"}]}' >"$STDIN"
        fails 1 'linux.resources.devices[2]' update --pids-limit 55 -r - "$ID"
        opens
        assert_value max pids pids.max ''
    fi
    echo '{"devices": [{"allow": false, "access": "rwm"}]}' >"$STDIN"
    ok update -r - "$ID"
    denied
    ok exec "$ID" sh -c ': >/dev/null'
    # engines send all resources every time, without what a wrapper of ctr has added to the bundle
    echo '{"devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": '$major', "minor": '$minor', "access": "rw"}]}' >"$STDIN"
    ok update -r - "$ID"
    opens
    echo '{"pids": {"limit": 57}, "devices": [{"allow": false, "access": "rwm"}]}' >"$STDIN"
    ok update -r - "$ID"
    [[ $stderr == *"linux.resources.devices: the rules stay as they are"* ]] || fail "$stderr"
    opens
    assert_value 57 pids pids.max pids.max
    echo '{"devices": [{"allow": false, "access": "rwm"}]}' >"$STDIN"
    ok update -r - "$ID"
    denied
    # nor what a hook has opened by itself (systemd writes its own list again, whatever else it is told)
    if is_v1 devices && ! is_systemd; then
        echo "c $major:$minor rw" >"$(cgroup_file "$ID" devices devices.allow '')"
        echo '{"pids": {"limit": 56}, "devices": [{"allow": false, "access": "rwm"}]}' >"$STDIN"
        ok update -r - "$ID"
        opens
        assert_value 56 pids pids.max ''
    fi
    echo '{"devices": [{"allow": true, "access": "rwm"}]}' >"$STDIN"
    ok update -r - "$ID"
    opens
    echo '{"devices": [{"allow": false, "access": "rwm"}]}' >"$STDIN"
    ok update -r - "$ID"
    denied
}

@test "update: block I/O is throttled on a device, and let go again" {
    require_program losetup
    truncate -s 16M "$BATS_TEST_TMPDIR/disk"
    dev=$(losetup --show -f "$BATS_TEST_TMPDIR/disk") || skip "no loop device"
    major=$((0x$(stat -c %t "$dev"))) minor=$((0x$(stat -c %T "$dev")))
    edit_config ".linux.devices = [{path: \"/dev/disk\", type: \"b\", major: $major, minor: $minor}] |
        .linux.resources.devices += [{allow: true, type: \"b\", major: $major, minor: $minor, access: \"rwm\"}]"
    start_sleep
    STDIN=$BATS_TEST_TMPDIR/r.json
    rates() {
        echo "{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": $major, \"minor\": $minor, \"rate\": $1}],
            \"throttleWriteIOPSDevice\": [{\"major\": $major, \"minor\": $minor, \"rate\": $2}]}}" >"$STDIN"
    }
    # milliseconds that a direct read of 1 MB takes
    reading() {
        local from
        from=$(date +%s%3N)
        ok exec "$ID" dd if=/dev/disk of=/dev/null bs=65536 count=16 iflag=direct
        echo $(($(date +%s%3N) - from))
    }
    rates 1048576 100
    ctr update -r - "$ID"
    [ "$status" -eq 0 ] || skip "$stderr"
    if is_v1 blkio; then
        assert_value "$major:$minor 1048576" blkio blkio.throttle.read_bps_device ''
        assert_value "$major:$minor 100" blkio blkio.throttle.write_iops_device ''
    else
        assert_value "$major:$minor rbps=1048576 wbps=max riops=max wiops=100" io '' io.max
    fi
    slow=$(reading)
    # a refused update puts this device's line back
    rates 2097152 200
    sed -i 's/^{/{"hugepageLimits": [{"pageSize": "3MB", "limit": 0}], /' "$STDIN"
    fails 1 hugepage update -r - "$ID"
    is_v1 blkio && assert_value "$major:$minor 1048576" blkio blkio.throttle.read_bps_device ''
    rates 0 0
    ok update -r - "$ID"
    if is_v1 blkio; then
        assert_value '' blkio blkio.throttle.read_bps_device ''
    else
        assert_value '' io '' io.max
    fi
    # the best of three: beside whatever else runs here
    local again
    fast=$(reading)
    for again in $(reading) $(reading); do [ "$again" -ge "$fast" ] || fast=$again; done
    echo "# slow $slow ms, fast $fast ms"
    [ "$slow" -ge 800 ]
    [ "$fast" -lt "$slow" ]
}

@test "update: shares, idle and what they do to each other" {
    edit_config '.linux.resources.cpu = {shares: 512}'
    start_sleep
    [ -e "$(cgroup_file "$ID" cpu cpu.idle cpu.idle)" ] || skip "this kernel has no cpu.idle"
    ok update --cpu-idle 1 "$ID"
    assert_value 1 cpu cpu.idle cpu.idle
    # kept, but without effect while idle
    ok update --cpu-share 4096 "$ID"
    assert_value 1 cpu cpu.idle cpu.idle
    ok update --cpu-idle 0 "$ID"
    assert_value 0 cpu cpu.idle cpu.idle
    if is_v1 cpu; then assert_value 4096 cpu cpu.shares ''; fi
    [ "$(kept cpu)" = '{"shares":4096,"idle":0}' ]
}

@test "update: what is refused gives an idle group its weight back" {
    edit_config '.linux.resources.cpu = {shares: 300}'
    start_sleep
    [ -e "$(cgroup_file "$ID" cpu cpu.idle cpu.idle)" ] || skip "this kernel has no cpu.idle"
    local before
    before=$(value "$ID" cpu cpu.shares cpu.weight)
    fails 1 'linux.resources.cpu.cpus' update --cpu-idle 1 --cpuset-cpus 4096 "$ID"
    assert_value 0 cpu cpu.idle cpu.idle
    assert_value "$before" cpu cpu.shares cpu.weight
    [[ $stderr != *"put back"* ]]
    ok update --cpu-idle 1 "$ID"
    fails 1 'linux.resources.cpu.cpus' update --cpu-idle 0 --cpuset-cpus 4096 "$ID"
    assert_value 1 cpu cpu.idle cpu.idle
}

@test "update: device rules of a container that has cgroups below its own" {
    is_v1 devices || skip "no v1 devices controller"
    local dev=/dev/loop-control major minor rule all='{"allow": true, "access": "rwm"}'
    [ -e "$dev" ] || dev=/dev/fuse
    (: <"$dev") 2>/dev/null || skip "no device here that no default rule names"
    major=$((0x$(stat -c %t "$dev"))) minor=$((0x$(stat -c %T "$dev")))
    rule='{"allow": false, "type": "c", "major": '$major', "minor": '$minor', "access": "rw"}'
    mknod "$BUNDLE/rootfs/tmp/dev" c "$major" "$minor"
    edit_config '.linux.resources.devices = [{allow: true, access: "rwm"}]'
    start_sleep
    mkdir "$(cgroup_file "$ID" devices sub '')"
    opens() { ctr exec "$ID" sh -c ': </tmp/dev'; [ "$status" -eq 0 ]; }
    denied() { ! opens || fail "the device opens"; }
    opens
    STDIN=$BATS_TEST_TMPDIR/r.json
    # the same rules, as an engine sends them with every update
    echo "{\"devices\": [$all], \"pids\": {\"limit\": 44}}" >"$STDIN"
    ok update -r - "$ID"
    opens
    echo "{\"devices\": [$all, $rule]}" >"$STDIN"
    ok update -r - "$ID"
    denied
    ok update -r - "$ID"
    denied
    echo "{\"devices\": [$all]}" >"$STDIN"
    ok update -r - "$ID"
    opens
    # another default is what the kernel refuses then; nothing changes
    echo '{"devices": [{"allow": false, "access": "rwm"}]}' >"$STDIN"
    fails 1 'linux.resources.devices' update -r - "$ID"
    opens
    ok delete --force "$ID"
}

@test "update: burst, cpus, mems and the weight of block I/O" {
    start_sleep
    ok update --cpuset-cpus 0 --cpuset-mems 0 "$ID"
    assert_value 0 cpuset cpuset.cpus cpuset.cpus
    ok exec "$ID" sh -c 'sed -n "s/^Cpus_allowed_list:[[:space:]]*//p" /proc/self/status'
    [ "$output" = 0 ]
    ok update --cpu-quota 50000 --cpu-period 100000 --cpu-burst 20000 "$ID"
    assert_value 20000 cpu cpu.cfs_burst_us cpu.max.burst
    # a burst cannot be more than the quota: both stay
    fails 1 'linux.resources.cpu' update --cpu-quota 10000 "$ID"
    assert_value 20000 cpu cpu.cfs_burst_us cpu.max.burst
    ok update --cpu-quota 10000 --cpu-burst 0 "$ID"
    ctr update --blkio-weight 300 "$ID"
    if [ "$status" -eq 0 ]; then
        value "$ID" blkio blkio.bfq.weight io.bfq.weight | grep -q 300 ||
            value "$ID" blkio blkio.weight io.weight | grep -qE '300|2930'
    else
        [[ $stderr == *'linux.resources.blockIO.weight'* ]]
    fi
}

@test "update: a disabled OOM killer is enabled again; swappiness (cgroup v1)" {
    is_v1 memory || skip "cgroup v2 has neither"
    edit_config '.linux.resources.memory = {limit: 67108864, disableOOMKiller: true, swappiness: 10}'
    start_sleep
    value "$ID" memory memory.oom_control '' | grep -qx 'oom_kill_disable 1'
    assert_value 10 memory memory.swappiness ''
    STDIN=$BATS_TEST_TMPDIR/r.json
    echo '{"memory": {"disableOOMKiller": false, "swappiness": 20}}' >"$STDIN"
    ok update -r - "$ID"
    value "$ID" memory memory.oom_control '' | grep -qx 'oom_kill_disable 0'
    assert_value 20 memory memory.swappiness ''
}

@test "real-time budgets: given to the cgroups above as well, and refused when there is none left (cgroup v1)" {
    is_v1 cpu && [ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ] || skip "no real-time groups here"
    require_paths
    edit_config ".linux.cgroupsPath = \"/$TESTID-rt/middle/$ID\" |
        .linux.resources.cpu = {realtimeRuntime: 20000, realtimePeriod: 500000}"
    start_sleep
    assert_value 20000 cpu cpu.rt_runtime_us ''
    assert_value 500000 cpu cpu.rt_period_us ''
    # a period of a second above
    [ "$(cat "/sys/fs/cgroup/cpu/$TESTID-rt/cpu.rt_runtime_us")" = 40000 ]
    ok update --cpu-rt-runtime 30000 "$ID"
    assert_value 30000 cpu cpu.rt_runtime_us ''
    [ "$(cat "/sys/fs/cgroup/cpu/$TESTID-rt/middle/cpu.rt_runtime_us")" = 60000 ]
    fails 1 'linux.resources.cpu.realtimeRuntime' update --cpu-rt-runtime 499999 "$ID"
    assert_value 30000 cpu cpu.rt_runtime_us ''
    [ "$(cat "/sys/fs/cgroup/cpu/$TESTID-rt/cpu.rt_runtime_us")" = 60000 ]
    fails 1 'linux.resources.cpu.realtimeRuntime' update --cpu-rt-runtime 600000 "$ID"
    # what it is for: SCHED_FIFO is possible inside
    require_program chrt
    chrt -f -p 1 "$(state_of "$ID" pid)"
    ok delete --force "$ID"
    find /sys/fs/cgroup -depth -type d -path "*/$TESTID-rt*" -exec rmdir {} + 2>/dev/null || true
}

@test "huge pages: what is used and what is reserved" {
    local file
    edit_config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
    set_args /bin/sleep 1000
    ctr run --detach --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || skip "$stderr"
    if is_v1 hugetlb; then
        assert_value 4194304 hugetlb hugetlb.2MB.limit_in_bytes ''
    else
        # other tests' cgroups go away while find walks
        file=$(find /sys/fs/cgroup -path "*$ID*" -name hugetlb.2MB.max 2>/dev/null || true)
        [ "$(cat "$file")" = 4194304 ]
        [ "$(cat "${file%.max}.rsvd.max")" = 4194304 ]
        ok update --resources <(echo '{"hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}]}') "$ID"
        [ "$(cat "$file")" = 2097152 ]
        [ "$(kept hugepageLimits)" = '[{"pageSize":"2MB","limit":2097152}]' ]
    fi
    fails 1 hugepage update --resources <(echo '{"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}') "$ID"
}

@test "delegation: the v2 cgroup is the container root's, and only what is safe" {
    local dir base=100000
    is_cgroup2 || [ -d /sys/fs/cgroup/unified ] || skip "no cgroup v2"
    edit_config ".linux.namespaces += [{type: \"user\"}] |
        .linux.namespaces |= (map(select(.type != \"cgroup\")) + [{type: \"cgroup\"}]) |
        .linux.uidMappings = [{containerID: 0, hostID: $base, size: 1000}] |
        .linux.gidMappings = [{containerID: 0, hostID: $base, size: 1000}] |
        .mounts |= (map(select(.destination != \"/sys/fs/cgroup\")) +
            [{destination: \"/sys/fs/cgroup\", type: \"cgroup\", source: \"cgroup\", options: [\"nosuid\", \"noexec\", \"nodev\"]}])"
    chmod 755 "$BATS_TEST_TMPDIR" "$BUNDLE"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    dir=/sys/fs/cgroup$(is_cgroup2 || echo /unified)$(sed -n 's/^0:://p' "/proc/$(state_of "$ID" pid)/cgroup")
    [ "$(stat -c %u "$dir")" = "$base" ]
    [ "$(stat -c %u "$dir/cgroup.procs")" = "$base" ]
    [ "$(stat -c %u "$dir/cgroup.freeze")" = 0 ]
    [ ! -e "$dir/pids.max" ] || [ "$(stat -c %u "$dir/pids.max")" = 0 ]
    # v1 directories stay root's
    [ "$(find /sys/fs/cgroup -maxdepth 2 -name "*$ID*" ! -path "$dir" -uid "$base" | wc -l)" -eq 0 ]
    # what it is for
    ok exec "$ID" sh -c "cd /sys/fs/cgroup$(is_cgroup2 || echo /unified) && mkdir sub && echo \$\$ >sub/cgroup.procs &&
        sed -n 's/^0:://p' /proc/self/cgroup"
    [ "$output" = /sub ]
    ok delete --force "$ID"
    # without a cgroup namespace, or read only, nothing is given away
    edit_config '.mounts |= map(if .destination == "/sys/fs/cgroup" then .options += ["ro"] else . end)'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(stat -c %u "$dir")" = 0 ]
}

@test "update: what unified has said of a file stays, whatever else of its controller is changed" {
    ! is_v1 memory || skip "no cgroup v2 with memory"
    edit_config '.linux.resources = {memory: {limit: 104857600}, cpu: {shares: 512},
        unified: {"memory.high": "33554432", "memory.max": "94371840", "cpu.weight": "500"}}'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok update --memory-reservation 10m --cpu-quota 50000 "$ID"
    assert_value 500 cpu - cpu.weight
    assert_value 33554432 memory - memory.high
    assert_value 94371840 memory - memory.max
    assert_value 10485760 memory - memory.low
}
