#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Fields of the specification that no other file of tests is about, each by its effect inside the container, or
# refused by name where this host cannot. docs/spec-support.md names the test of every field.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
}

run_it() { ctr run --bundle "$BUNDLE" "$ID"; }

# says TEXT SCRIPT: the script in the container prints exactly that.
says() {
    run_sh "$2"
    [ "$status" -eq 0 ] && [ "$output" = "$1" ] || fail "$2: \"$output\" (status $status), not \"$1\""
}

# The text of a cgroup file as the container finds it, with the v1 or the v2 name.
inside_cat() { echo "cat /sys/fs/cgroup/*/$1 /sys/fs/cgroup/$2 /sys/fs/cgroup/unified/$2 2>/dev/null | head -n 1"; }

# resource FIELD RESOURCES V1FILE V1TEXT V2FILE V2TEXT: the file inside says so; or, where the host has none of
# the two, create and check refuse the field by its name. Empty names: that version has no such file.
resource() {
    edit_config ".linux.resources = $2"
    run_sh "$(inside_cat "${3:-none}" "${5:-none}")"
    if [ "$status" -ne 0 ]; then
        [[ $stderr == *"linux.resources.$1"* ]] || fail "$1: not refused by its name: $stderr"
        ctr check --bundle "$BUNDLE"
        # what the kernel says no to when it is asked, no look from outside can tell
        [ "$status" -eq 1 ] || [[ $ERR != *"not available"* ]] || fail "$1: check does not know"
        echo "# $1 is refused here"
        return 0
    fi
    # without a word about the file the controller has none of this name: that must have been a refusal
    [ "$output" = "$4" ] || [ "$output" = "$6" ] || fail "$1: \"$output\", not \"$4\" nor \"$6\""
}

# ---- the configuration as a whole ----

@test "ociVersion: versions of the specification up to the newest are accepted, no version is not" {
    local v
    set_args true
    for v in 1.0.0 1.0.2-dev 1.2.1 1.3.0; do
        edit_config '.ociVersion = $v' --arg v "$v"
        run_it
        [ "$status" -eq 0 ]
    done
    edit_config '.ociVersion = "1"'
    fails 1 'ociVersion' run --bundle "$BUNDLE" "$ID"
}

@test "annotations: are in the state, unknown fields are ignored" {
    edit_config '.annotations = {"org.example.a": "b c", "x": ""} | .nosuch = {a: 1} | .linux.nosuch = [1]'
    set_args sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    [ "$(state_of "$ID" 'annotations["org.example.a"]')" = 'b c' ]
    ok delete --force "$ID"
}

@test "user.username and commandLine belong to Windows: accepted and without effect" {
    edit_config '.process.user = {uid: 1000, gid: 1000, username: "root"} | .process.commandLine = "dir"'
    says '1000 1000' 'echo "$(id -u) $(id -g)"'
}

@test "sysctl: of network, ipc and uts, in both spellings; not for others" {
    edit_config '.linux.sysctl = {"net.ipv4.ip_forward": "1", "net/ipv4/ip_default_ttl": "77",
        "kernel.shmmni": "123", "fs.mqueue.msg_max": "17", "kernel.domainname": "example.org"}'
    says $'1\n77\n123\n17\nexample.org' 'cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/ip_default_ttl kernel/shmmni \
        fs/mqueue/msg_max kernel/domainname'
    [ "$(cat /proc/sys/kernel/shmmni)" != 123 ]
    edit_config '.linux.sysctl = {"vm.swappiness": "1"}'
    fails 1 'linux.sysctl["vm.swappiness"]' run --bundle "$BUNDLE" "$ID"
    edit_config '.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .linux.namespaces |= map(select(.type != "network"))'
    fails 1 'linux.sysctl["net.ipv4.ip_forward"]: needs the namespace "network"' run --bundle "$BUNDLE" "$ID"
}

@test "sysctl: refused in a namespace joined by path that is the host's, written in another one" {
    local row kind type value
    cp "$BUNDLE/config.json" "$BUNDLE/clean.json"
    for row in net/ipv4/ip_forward:net:network kernel/msgmax:ipc:ipc kernel/domainname:uts:uts \
        user/max_user_namespaces:user:user; do
        IFS=: read -r row kind type <<<"$row"
        # as it is now: should it be written after all, nothing changes
        read -r value <"/proc/sys/$row"
        cp "$BUNDLE/clean.json" "$BUNDLE/config.json"
        edit_config 'del(.hostname) | .linux.sysctl = {($k): $v}
            | .linux.namespaces |= map(select(.type != $t)) + [{type: $t, path: $p}]' \
            --arg k "$row" --arg v "$value" --arg t "$type" --arg p "/proc/self/ns/$kind"
        set_args true
        fails 1 "linux.sysctl[\"$row\"]: the $type namespace" run --bundle "$BUNDLE" "$ID"
        [[ $stderr == *"is the host's"* ]]
    done
    # the same name, should it be set after all
    for kind in hostname domainname; do
        cp "$BUNDLE/clean.json" "$BUNDLE/config.json"
        edit_config 'del(.hostname, .domainname) | .[$k] = $v | .linux.namespaces |= map(select(.type != "uts")) +
            [{type: "uts", path: "/proc/self/ns/uts"}]' --arg k "$kind" --arg v "$(cat "/proc/sys/kernel/$kind")"
        set_args true
        fails 1 "$kind: the uts namespace" run --bundle "$BUNDLE" "$ID"
        [[ $stderr == *"is the host's"* ]]
    done
    cp "$BUNDLE/clean.json" "$BUNDLE/config.json"
    set_args sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID-b"
    edit_config '.linux.sysctl = {"net.ipv4.ip_default_ttl": "77"}
        | .linux.namespaces |= map(if .type == "network" then .path = $p else . end)' \
        --arg p "/proc/$(state_of "$ID-b" pid)/ns/net"
    says 77 'cat /proc/sys/net/ipv4/ip_default_ttl'
    [ "$(cat /proc/sys/net/ipv4/ip_default_ttl)" != 77 ]
    ok delete --force "$ID-b"
}

@test "timeOffsets: all four numbers are in /proc/self/timens_offsets" {
    [ -e /proc/self/timens_offsets ] || skip 'no time namespaces'
    edit_config '.linux.namespaces += [{type: "time"}]
        | .linux.timeOffsets = {monotonic: {secs: 11, nanosecs: 22}, boottime: {secs: 33, nanosecs: 44}}'
    says $'monotonic 11 22\nboottime 33 44' 'while read -r a b c; do echo "$a $b $c"; done </proc/self/timens_offsets'
}

@test "user namespace: containerID, hostID and size of every range are in the maps" {
    edit_config '.linux.namespaces += [{type: "user"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 200000, size: 10}, {containerID: 10, hostID: 300000, size: 5}]
        | .linux.gidMappings = [{containerID: 0, hostID: 400000, size: 7}]'
    chmod 755 "$BATS_TEST_TMPDIR" "$BUNDLE"
    says $'0 200000 10\n10 300000 5\n0 400000 7' \
        'cat /proc/self/uid_map /proc/self/gid_map | while read -r a b c; do echo "$a $b $c"; done'
}

# ---- hooks ----

@test "hooks: path, args, env and timeout of each kind" {
    local kind log=$BATS_TEST_TMPDIR/log
    mkdir "$log" "$BUNDLE/rootfs/log"
    printf '%s\n' '#!/bin/sh' 'echo "$0 $1 $2 $WORD" >"$1/$2"' >"$BATS_TEST_TMPDIR/hook"
    printf '%s\n' '#!/bin/sh' 'exec sleep 1000' >"$BATS_TEST_TMPDIR/slow"
    chmod 755 "$BATS_TEST_TMPDIR/hook" "$BATS_TEST_TMPDIR/slow"
    cp "$BATS_TEST_TMPDIR/hook" "$BATS_TEST_TMPDIR/slow" "$BUNDLE/rootfs/bin"
    edit_config '.mounts += [{destination: "/log", type: "bind", source: $d, options: ["bind"]}]' --arg d "$log"
    for kind in prestart createRuntime createContainer startContainer poststart poststop; do
        local path=$BATS_TEST_TMPDIR dir=$log
        [ $kind != startContainer ] || path=/bin dir=/log
        edit_config '.hooks[$k] = [{path: ($p + "/hook"), args: ["me", $d, $k], env: ["WORD=" + $k]}]' \
            --arg k $kind --arg p "$path" --arg d "$dir"
    done
    set_args true
    run_it
    [ "$status" -eq 0 ]
    for kind in prestart createRuntime createContainer startContainer poststart poststop; do
        [[ $(cat "$log/$kind") == *" $kind $kind" ]]
    done
    edit_config '.hooks = {}'
    for kind in prestart createRuntime createContainer startContainer; do
        local path=$BATS_TEST_TMPDIR
        [ $kind != startContainer ] || path=/bin
        edit_config '.hooks = {($k): [{path: ($p + "/slow"), args: ["slow"], env: ["PATH=/bin:/usr/bin"], timeout: 1}]}' \
            --arg k $kind --arg p "$path"
        fails 1 'hook' run --bundle "$BUNDLE" "$ID"
    done
}

# ---- security modules ----

@test "apparmorProfile: the profile is that of the process, or refused where there is no AppArmor" {
    edit_config '.process.apparmorProfile = "unconfined"'
    set_args true
    run_it
    [ "$status" -eq 0 ]
    edit_config '.process.apparmorProfile = "no-such-profile-of-ctr"'
    fails 1 'process.apparmorProfile' run --bundle "$BUNDLE" "$ID"
    [ -e /sys/module/apparmor ] || [[ $stderr == *'without AppArmor'* ]]
}

@test "selinuxLabel and mountLabel: set, or refused where there is no SELinux" {
    [ ! -e /sys/fs/selinux/enforce ] || skip 'a label that this policy knows would be needed'
    set_args true
    edit_config '.process.selinuxLabel = "system_u:system_r:container_t:s0"'
    fails 1 'process.selinuxLabel' run --bundle "$BUNDLE" "$ID"
    edit_config 'del(.process.selinuxLabel) | .linux.mountLabel = "system_u:object_r:container_file_t:s0"'
    fails 1 'linux.mountLabel' run --bundle "$BUNDLE" "$ID"
}

# ---- what comes from outside ----

@test "netDevices: the interface is inside, under its new name and with its address" {
    require_program ip
    local a=ctr$$a b=ctr$$b
    ip link add "$a" type dummy 2>/dev/null || ip link add "$a" type veth peer name "$b" 2>/dev/null ||
        skip 'no interface can be made here'
    ip addr add 198.51.100.7/24 dev "$a"
    edit_config '.linux.netDevices = {($n): {name: "inside0"}}' --arg n "$a"
    run_sh 'ip -o addr show dev inside0'
    ip link del "$a" 2>/dev/null || ip link del "$b" 2>/dev/null || true
    [ "$status" -eq 0 ]
    [[ $output == *inside0*198.51.100.7/24* ]]
    edit_config '.linux.netDevices = {ctrnone0: {}}'
    fails 1 linux.netDevices run --bundle "$BUNDLE" "$ID"
}

@test "intelRdt: refused by name where there is no resctrl, in check and in create" {
    ! grep -q resctrl /proc/filesystems || skip 'this machine has resctrl'
    set_args true
    edit_config '.linux.intelRdt = {closID: "ctr-x", schemata: ["L3:0=f"], enableMonitoring: true}'
    fails 1 linux.intelRdt run --bundle "$BUNDLE" "$ID"
    ctr check --bundle "$BUNDLE"
    [ "$status" -eq 1 ]
    grep -qE '^linux\.intelRdt\.schemata +cannot: ' "$OUT"
    edit_config '.linux.intelRdt = {l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=20"}'
    fails 1 linux.intelRdt run --bundle "$BUNDLE" "$ID"
}

@test "seccomp listener: gets the descriptor, the metadata and the state of the process" {
    local socket=$BATS_TEST_TMPDIR/listener got=$BATS_TEST_TMPDIR/got
    python3 -c '
import array, json, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); s.settimeout(20)
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(16))
fds = array.array("i", anc[0][2][:len(anc[0][2]) // 4 * 4])
state = json.loads(data)
print(len(fds), state["fds"][0], state["metadata"], state["state"]["id"], state["pid"] > 0)' "$socket" >"$got" 2>&1 3>&- &
    local listener=$!
    wait_for 10 [ -S "$socket" ]
    edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $p, listenerMetadata: "words",
        syscalls: [{names: ["swapoff"], action: "SCMP_ACT_NOTIFY"}]}' --arg p "$socket"
    run_sh 'echo ran'
    local rc=$status
    [ "$rc" -eq 0 ] || kill "$listener" 2>/dev/null
    wait "$listener" || true
    [ "$rc" -eq 0 ] && [ "$output" = ran ]
    [ "$(cat "$got")" = "1 seccompFd words $ID True" ] || fail "$(cat "$got")"
}

# ---- a field of another kind of container ----

@test "vm: what describes a virtual machine is refused by name, not ignored" {
    set_args true
    edit_config '.vm = {kernel: {path: "/vmlinux", parameters: ["quiet"], initrd: "/initrd"},
        hypervisor: {path: "/vmm", parameters: ["x"]}, image: {path: "/image", format: "raw"},
        hwConfig: {deviceTree: "/dt", vcpus: 1, memory: 1048576, dtdevs: ["d"], irqs: [1],
            iomems: [{firstGFN: 1, firstMFN: 2, nrMFNs: 3}]}}'
    run_it
    [ "$status" -eq 0 ] || [[ $stderr == *vm* ]]
    edit_config '.vm.hwConfig.vcpus = 0'
    fails 1 'vm.hwConfig.vcpus' run --bundle "$BUNDLE" "$ID"
    edit_config '.vm.image.format = "x"'
    fails 1 'vm.' run --bundle "$BUNDLE" "$ID"
}

# ---- linux.resources, as read inside ----

@test "resources: cpu" {
    resource cpu.shares '{cpu: {shares: 512}}' cpu.shares 512 cpu.weight 59
    resource cpu.quota '{cpu: {quota: 50000, period: 200000}}' cpu.cfs_quota_us 50000 cpu.max '50000 200000'
    resource cpu.period '{cpu: {quota: 50000, period: 200000}}' cpu.cfs_period_us 200000 cpu.max '50000 200000'
    resource cpu.burst '{cpu: {quota: 50000, period: 100000, burst: 20000}}' \
        cpu.cfs_burst_us 20000 cpu.max.burst 20000
    resource cpu.idle '{cpu: {idle: 1}}' cpu.idle 1 cpu.idle 1
    resource cpu.cpus '{cpu: {cpus: "0"}}' cpuset.cpus 0 cpuset.cpus 0
    resource cpu.mems '{cpu: {mems: "0"}}' cpuset.mems 0 cpuset.mems 0
    resource cpu.realtimeRuntime '{cpu: {realtimeRuntime: 0}}' cpu.rt_runtime_us 0 '' ''
    resource cpu.realtimePeriod '{cpu: {realtimePeriod: 900000}}' cpu.rt_period_us 900000 '' ''
}

@test "resources: memory and pids" {
    resource memory.limit '{memory: {limit: 67108864}}' memory.limit_in_bytes 67108864 memory.max 67108864
    resource memory.reservation '{memory: {reservation: 33554432}}' \
        memory.soft_limit_in_bytes 33554432 memory.low 33554432
    resource memory.swap '{memory: {limit: 67108864, swap: 100663296}}' \
        memory.memsw.limit_in_bytes 100663296 memory.swap.max 33554432
    resource memory.kernel '{memory: {kernel: 67108864}}' memory.kmem.limit_in_bytes 67108864 '' ''
    resource memory.kernelTCP '{memory: {kernelTCP: 67108864}}' memory.kmem.tcp.limit_in_bytes 67108864 '' ''
    resource memory.swappiness '{memory: {swappiness: 17}}' memory.swappiness 17 '' ''
    resource memory.disableOOMKiller '{memory: {limit: 67108864, disableOOMKiller: true}}' \
        memory.oom_control 'oom_kill_disable 1' '' ''
    resource memory.useHierarchy '{memory: {useHierarchy: true}}' memory.use_hierarchy 1 '' ''
    resource memory.checkBeforeUpdate '{memory: {limit: 67108864, checkBeforeUpdate: true}}' \
        memory.limit_in_bytes 67108864 memory.max 67108864
    resource pids.limit '{pids: {limit: 33}}' pids.max 33 pids.max 33
}

@test "resources: blockIO" {
    local dev name
    for name in vda sda nvme0n1 loop0; do
        [ ! -e "/sys/block/$name/dev" ] || { dev=$(cat "/sys/block/$name/dev"); break; }
    done
    [ -n "${dev:-}" ] || skip 'no block device here'
    local d='major: '${dev%:*}', minor: '${dev#*:}
    resource blockIO.weight '{blockIO: {weight: 500}}' 'blkio*.weight' 500 io.weight 'default 4950'
    resource blockIO.leafWeight '{blockIO: {leafWeight: 500}}' blkio.leaf_weight 500 '' ''
    resource blockIO.weightDevice "{blockIO: {weightDevice: [{$d, weight: 500}]}}" \
        'blkio*.weight_device' "$dev 500" io.weight 'default 100'
    resource blockIO.weightDevice "{blockIO: {weightDevice: [{$d, weight: 500, leafWeight: 500}]}}" \
        blkio.leaf_weight_device "$dev 500" '' ''
    resource blockIO.throttleReadBpsDevice "{blockIO: {throttleReadBpsDevice: [{$d, rate: 1048576}]}}" \
        blkio.throttle.read_bps_device "$dev 1048576" io.max "$dev rbps=1048576 wbps=max riops=max wiops=max"
    resource blockIO.throttleWriteBpsDevice "{blockIO: {throttleWriteBpsDevice: [{$d, rate: 1048576}]}}" \
        blkio.throttle.write_bps_device "$dev 1048576" io.max "$dev rbps=max wbps=1048576 riops=max wiops=max"
    resource blockIO.throttleReadIOPSDevice "{blockIO: {throttleReadIOPSDevice: [{$d, rate: 100}]}}" \
        blkio.throttle.read_iops_device "$dev 100" io.max "$dev rbps=max wbps=max riops=100 wiops=max"
    resource blockIO.throttleWriteIOPSDevice "{blockIO: {throttleWriteIOPSDevice: [{$d, rate: 100}]}}" \
        blkio.throttle.write_iops_device "$dev 100" io.max "$dev rbps=max wbps=max riops=max wiops=100"
}

@test "resources: hugepageLimits, network, rdma and unified" {
    resource hugepageLimits '{hugepageLimits: [{pageSize: "2MB", limit: 4194304}]}' \
        hugetlb.2MB.limit_in_bytes 4194304 hugetlb.2MB.max 4194304
    resource network.classID '{network: {classID: 1048577}}' net_cls.classid 1048577 '' ''
    resource network.priorities '{network: {priorities: [{name: "lo", priority: 5}]}}' net_prio.ifpriomap 'lo 5' '' ''
    resource rdma '{rdma: {mlx5_0: {hcaHandles: 3, hcaObjects: 4}}}' \
        rdma.max 'mlx5_0 hca_handle=3 hca_object=4' rdma.max 'mlx5_0 hca_handle=3 hca_object=4'
    resource unified '{unified: {"pids.max": "44"}}' '' '' pids.max 44
    resource unified '{unified: {"hugetlb.2MB.max": "2097152"}}' '' '' hugetlb.2MB.max 2097152
}

# ---- check ----

@test "check: six mistakes are six lines with six paths, and nothing is made" {
    edit_config '.process.cwd = "tmp" | .process.capabilities.bounding += ["CAP_NOPE"]
        | .process.rlimits = [{type: "RLIMIT_CPU", soft: 2, hard: 1}] | .linux.sysctl = {"vm.swappiness": "1"}
        | .mounts += [{destination: "/x", type: "bind", source: "/nonexistent/of/ctr", options: ["bind"]}]
        | .root.path = "no-such-root"'
    ctr check --bundle "$BUNDLE"
    [ "$status" -eq 1 ]
    [ -z "$stderr" ]
    [ "$(grep -c . "$OUT")" -eq 6 ]
    local path
    for path in process.cwd 'process.capabilities.bounding[' 'process.rlimits[0].soft' 'linux.sysctl["vm.swappiness"]' \
        'mounts[7].source' root.path; do
        [ "$(grep -cF "$path" "$OUT")" -eq 1 ] || fail "not told once: $path"
    done
    [ ! -e "$ROOT" ] || [ -z "$(ls -A "$ROOT")" ]
    ctr check --bundle "$BUNDLE" --format json
    [ "$status" -eq 1 ]
    [ "$(jq '.problems | length' "$OUT")" -eq 6 ]
    [ "$(jq -r '.problems | map(.path) | unique | length' "$OUT")" -eq 6 ]
}

@test "check: a good bundle is told field by field, what this host lacks with the reason" {
    ok check --bundle "$BUNDLE"
    grep -qE '^process\.cwd +honoured$' "$OUT"
    grep -qE '^linux\.namespaces\[\]\.type +honoured$' "$OUT"
    edit_config '.linux.netDevices = {ctrnone0: {}} | .process.scheduler = {policy: "SCHED_ISO"}'
    ctr check --bundle "$BUNDLE"
    [ "$status" -eq 1 ]
    grep -qE '^process\.scheduler\.policy +cannot: .' "$OUT"
    ctr check --bundle "$BUNDLE" --format json
    [ "$(jq -r '.problems | length' "$OUT")" -eq 0 ]
    [ "$(jq -r '.fields[] | select(.field == "process.cwd").honoured' "$OUT")" = true ]
    [ "$(jq -r '.fields[] | select(.field == "process.scheduler.policy").honoured' "$OUT")" = false ]
    edit_config '.linux.netDevices = {} | .process.scheduler = null | .annotations = {"run.oci.nope": "1", "x.y": "z"}'
    ctr check --bundle "$BUNDLE"
    [ "$status" -eq 1 ]
    grep -qE '^annotations +cannot: annotations\["run.oci.nope"\]: .' "$OUT"
    edit_config '.annotations = {"org.ctr.isolation": "x", "org.ctr.landlock": "[]"}'
    ctr check --bundle "$BUNDLE"
    [ "$(grep -c . "$OUT")" -eq 2 ]
    grep -qF 'annotations["org.ctr.isolation"]: ' "$OUT"
    grep -qF 'annotations["org.ctr.landlock"]: ' "$OUT"
    fails 1 'nosuch.json' check --bundle "$BUNDLE" --config nosuch.json
    echo '{"a":' >"$BUNDLE/half.json"
    ctr check --bundle "$BUNDLE" --config half.json
    [ "$status" -eq 1 ]
    [[ $output == config.json:*: ]] || [[ $output == config.json:* ]]
}

# ---- the schema ----

valid() { # SCHEMA FILE
    python3 -W ignore "$BATS_TEST_DIRNAME/../tools/validate.py" "$CTR_OCI_SCHEMA/$1" "$2"
}

need_schema() {
    [ -n "${CTR_OCI_SCHEMA:-}" ] || skip 'CTR_OCI_SCHEMA does not name the schema folder of the specification'
    python3 -c 'import jsonschema' 2>/dev/null || skip 'python3-jsonschema is not installed'
}

@test "schema: features, spec, spec --rootless and state are valid" {
    need_schema
    ok features
    valid features-schema.json "$OUT"
    ok spec --file -
    valid config-schema.json "$OUT"
    ok spec --rootless --file -
    valid config-schema.json "$OUT"
    set_args sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    ok state "$ID"
    valid state-schema.json "$OUT"
    ok delete --force "$ID"
}

@test "schema: check accepts its good examples and refuses its bad ones" {
    need_schema
    local f
    for f in "$CTR_OCI_SCHEMA"/test/config/good/*.json; do
        ctr check --bundle "${f%/*}" --config "${f##*/}" --format json
        # files and interfaces that an example names are not here: only what the text itself gets wrong counts
        [ "$(jq '[.problems[] | select(.reason | test("No such file|missing: ") | not)] | length' "$OUT")" -eq 0 ] ||
            fail "$f: $output"
    done
    for f in "$CTR_OCI_SCHEMA"/test/config/bad/*.json; do
        ctr check --bundle "${f%/*}" --config "${f##*/}"
        [ "$status" -eq 1 ] || fail "$f"
    done
}
