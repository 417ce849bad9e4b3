#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# A bundle and the OS clone as a micro-VM in the foreground: what it prints, how it ends, what it is given.

load helpers
load rootless
load vm

setup() {
    common_setup
    vm_setup
    make_bundle
}

@test "vm: the program runs under a kernel of its own, and its exit status is the exit status" {
    set_args /bin/sh -c 'cat /proc/sys/kernel/random/boot_id; uname -r; exit 33'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 33 ]
    [ "${output%%$'\n'*}" != "$(cat /proc/sys/kernel/random/boot_id)" ]
    [ -z "$(containers)" ]
    assert_leak_free
}

@test "vm: every kernel that is there boots" {
    local k
    for k in $(kernels); do
        set_args /bin/uname -r
        ok run --kernel "$k" --bundle "$BUNDLE" "$ID"
        [ -n "$output" ]
    done
}

@test "vm: a program that is not there, or cannot be executed, has the codes of a container" {
    fails 127 'exec: "/nowhere"' run --vm --bundle "$BUNDLE" "$ID" /nowhere
    fails 126 'permission denied' run --bundle "$BUNDLE" "$ID" /etc/passwd
}

@test "vm: --clone is a copy-on-write machine of this host" {
    : >"$BATS_TEST_TMPDIR/mine"
    ok run --vm --clone "$ID" -- sh -c "rm '$BATS_TEST_TMPDIR/mine'; ls '$BATS_TEST_TMPDIR'; uname -r"
    [ -e "$BATS_TEST_TMPDIR/mine" ]
    [[ $output != *mine* ]]
}

@test "vm: 10 MiB through stdin and stdout arrive as they were, and stderr is apart" {
    head -c 10485760 /dev/urandom >"$BATS_TEST_TMPDIR/in"
    set_args /bin/sh -c 'echo apart >&2; cat'
    STDIN=$BATS_TEST_TMPDIR/in
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    cmp "$OUT" "$BATS_TEST_TMPDIR/in"
    [ "$(grep -v '^ctr: warning: no KVM' "$ERR")" = apart ]
}

@test "vm: user, working directory, environment, capabilities, limits and sysctl are those of the configuration" {
    edit_config '.process.user = {uid: 1000, gid: 1000, additionalGids: [50]} | .process.cwd = "/tmp" |
        .process.env += ["A=b c"] | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 77, hard: 99}] |
        .linux.sysctl = {"net.ipv4.ip_forward": "1"} | .hostname = "inside" | .process.noNewPrivileges = true'
    set_args /bin/sh -c 'id; pwd; echo "$A"; ulimit -n; cat /proc/sys/net/ipv4/ip_forward; hostname
        grep -E "^(CapEff|NoNewPrivs)" /proc/self/status'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = "uid=1000(user) gid=1000(user) groups=50(extra)
/tmp
b c
77
1
inside
CapEff:	0000000000000000
NoNewPrivs:	1" ] || [ "$output" = "uid=1000(user) gid=1000(user) groups=50(extra),1000(user)
/tmp
b c
77
1
inside
CapEff:	0000000000000000
NoNewPrivs:	1" ]
}

@test "vm: without limits of its own a program may have as many files as on a host" {
    edit_config 'del(.process.rlimits)'
    set_args /bin/sh -c 'ulimit -Sn; ulimit -Hn'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'1024\n1048576' ] || fail "$output"
}

@test "vm: bind mounts are shared both ways; a read-only one is so on the host's side" {
    local v=$BATS_TEST_TMPDIR/v
    mkdir "$v" "$v.ro"
    echo host >"$v/from-host"
    echo secret >"$v.ro/kept"
    echo one >"$BATS_TEST_TMPDIR/single"
    edit_config '.mounts += [
        {destination: "/v", type: "bind", source: $v, options: ["rbind", "rw"]},
        {destination: "/ro", type: "bind", source: ($v + ".ro"), options: ["bind", "ro"]},
        {destination: "/etc/single", type: "none", source: $single, options: ["bind"]}]' \
        --arg v "$v" --arg single "$BATS_TEST_TMPDIR/single"
    set_args /bin/sh -c 'cat /v/from-host /ro/kept /etc/single; echo guest >/v/from-guest
        echo two >>/etc/single; mount -o remount,rw,bind /ro 2>/dev/null
        (echo x >/ro/kept) && echo written; touch /ro/new && echo made; exit 0'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = "host
secret
one" ]
    [ "$(cat "$v/from-guest")" = guest ]
    [ "$(cat "$BATS_TEST_TMPDIR/single")" = "one
two" ]
    [ "$(cat "$v.ro/kept")" = secret ]
    [ ! -e "$v.ro/new" ]
}

@test "vm: processors and memory are those that are asked for" {
    edit_config '.linux.resources.cpu = {quota: 150000, period: 100000}'
    set_args /bin/sh -c 'grep -c ^processor /proc/cpuinfo; awk "/MemTotal/ { print int(\$2 / 1024) }" /proc/meminfo'
    ok run --vm-memory 400m --bundle "$BUNDLE" "$ID"
    [ "${output%%$'\n'*}" -eq 2 ]
    [ "${output##*$'\n'}" -le 400 ]
    [ "${output##*$'\n'}" -ge 300 ]
}

@test "vm: a memory limit is the container's: its OOM kill leaves the machine alive to tell" {
    edit_config '.linux.resources.memory = {limit: 33554432}'
    set_args /bin/sh -c 'cat /sys/fs/cgroup/memory.max; (tail /dev/zero); echo "child $?"'
    edit_config '.mounts |= map(select(.destination != "/sys/fs/cgroup")) + [{destination: "/sys/fs/cgroup",
        type: "cgroup", source: "cgroup", options: ["ro"]}] | .linux.namespaces += [{type: "cgroup"}] |
        .linux.namespaces |= unique_by(.type)'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = "33554432
child 137" ]
}

@test "vm: a vm object in the configuration, an annotation and the name ctr-vm choose it too" {
    local k
    k=$(kernels | head -n 1)
    CTR_GLOBALS=${CTR_GLOBALS#--vm }
    set_args /bin/cat /proc/sys/kernel/random/boot_id
    edit_config '.annotations["org.ctr.isolation"] = "vm"'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" != "$(cat /proc/sys/kernel/random/boot_id)" ]
    edit_config 'del(.annotations) | .vm = {kernel: {path: $k, parameters: ["ctr.test=1"]},
        hwConfig: {vcpus: 1, memory: 301989888}}' --arg k "$k"
    set_args /bin/cat /proc/cmdline
    ok run --bundle "$BUNDLE" "$ID"
    [[ $output == *ctr.test=1* ]]
    ln -s "$CTR" "$BATS_TEST_TMPDIR/ctr-vm"
    edit_config 'del(.vm)'
    set_args /bin/cat /proc/sys/kernel/random/boot_id
    CTR=$BATS_TEST_TMPDIR/ctr-vm ok run --bundle "$BUNDLE" "$ID"
    [ "$output" != "$(cat /proc/sys/kernel/random/boot_id)" ]
}

@test "vm: an initrd of the user's is there beside that of ctr" {
    local k d=$BATS_TEST_TMPDIR/initrd
    require_program cpio
    k=$(kernels | head -n 1)
    mkdir -p "$d/etc"
    echo mine >"$d/etc/mine"
    (cd "$d" && find . | cpio -o -H newc 2>/dev/null) >"$d.cpio"
    edit_config '.vm = {kernel: {path: $k, initrd: $i}}' --arg k "$k" --arg i "$d.cpio"
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    rm "$d.cpio"
    fails 125 "$d.cpio" run --vm --bundle "$BUNDLE" "$ID"
}

@test "vm: QEMU by the configuration, with parameters" {
    edit_config '.vm = {kernel: {path: $k}, hypervisor: {path: "/usr/bin/qemu-system-x86_64",
        parameters: ["-cpu", "max,-la57"]}}' --arg k "$(kernels | head -n 1)"
    set_args /bin/sh -c 'grep -c la57 /proc/cpuinfo'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$output" = 0 ]
}

@test "vm: a user without rights runs one, and its files are that user's" {
    local u=$BATS_TEST_TMPDIR/user
    getent passwd 1000 >/dev/null || skip "no user 1000"
    reachable "$BATS_TEST_TMPDIR"
    mkdir -p "$u/run"
    make_bundle "$u/b" --rootless
    set_args /bin/sh -c 'id -u; echo mine >/tmp/mine; exit 9'
    copy_ctr "$u"
    chown -R 1000:1000 "$u"
    edit_config '.linux.uidMappings[0].hostID = 1000 | .linux.gidMappings[0].hostID = 1000'
    status=0
    XDG_RUNTIME_DIR=$u/run HOME=$u timeout "$DEADLINE" setpriv --reuid 1000 --regid 1000 --clear-groups \
        "$u/ctr" --vm --accel tcg run --bundle "$u/b" "$ID" >"$u/out" 2>"$u/err" </dev/null 3>&- || status=$?
    cat "$u/err"
    [ "$status" -eq 9 ]
    [ "$(cat "$u/out")" = 0 ]
    [ ! -s "$u/err" ]
    [ "$(stat -c %u "$u/b/rootfs/tmp/mine")" = 1000 ]
}

@test "vm: --debug tells the times of the boot" {
    set_args /bin/true
    ok --debug run --bundle "$BUNDLE" "$ID"
    [[ $stderr == *"micro-VM: start to agent: "* ]]
    [[ $stderr == *"micro-VM: agent to created: "* ]]
}

@test "vm: a network namespace that is joined is the VMM's, and that the guest has nothing of it is said" {
    edit_config '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)'
    set_args /bin/sh -c 'ls /sys/class/net'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = lo ]
    [[ $stderr == *"linux.namespaces: the guest has a loopback only, nothing of /proc/self/ns/net"* ]]
}

@test "vm: a sysctl is the guest's, also where the network that is joined by path is the host's" {
    local now
    now=$(cat /proc/sys/net/ipv4/ip_default_ttl)
    edit_config '.linux.sysctl = {"net.ipv4.ip_default_ttl": "78"}
        | .linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)'
    set_args cat /proc/sys/net/ipv4/ip_default_ttl
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = 78 ]
    [ "$(cat /proc/sys/net/ipv4/ip_default_ttl)" = "$now" ]
}

@test "vm: that nobody hears the program's notifications is said" {
    set_args /bin/sh -c 'echo "[$NOTIFY_SOCKET]"; ls /run/notify 2>/dev/null | wc -l'
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/none ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'[]\n0' ]
    [[ $stderr == *"NOTIFY_SOCKET: the program in a micro-VM cannot reach it"* ]]
}

# guests_own GUEST-VALUE...: a machine of the bundle, without any namespace, has what would be the host's without one.
guests_own() {
    ok "$@" run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'inside\nexample.org\n7\n1\n4097\nlater' ] || fail "$*: $output"
    [ "$(uname -n; cat /proc/sys/kernel/domainname /proc/sys/vm/swappiness)" = "$before" ]
}

@test "vm: what would change the host without a namespace changes the guest, however the machine is chosen" {
    local before
    before=$(uname -n; cat /proc/sys/kernel/domainname /proc/sys/vm/swappiness)
    CTR_GLOBALS=${CTR_GLOBALS#--vm }
    edit_config '.linux.namespaces = [] | .hostname = "inside" | .domainname = "example.org" |
        .linux.sysctl = {"vm.swappiness": "7", "net.ipv4.ip_forward": "1", "kernel.msgmax": "4097"} |
        .linux.timeOffsets = {boottime: {secs: 900000}} | .root.readonly = true'
    set_args /bin/sh -c 'cd /proc/sys; cat kernel/hostname kernel/domainname vm/swappiness net/ipv4/ip_forward \
        kernel/msgmax; read -r up _ </proc/uptime; [ "${up%.*}" -lt 900000 ] || echo later; echo x 2>/dev/null >/new && echo written; :'
    guests_own --vm
    ln -s "$CTR" "$BATS_TEST_TMPDIR/ctr-vm"
    CTR=$BATS_TEST_TMPDIR/ctr-vm guests_own
    edit_config '.annotations["org.ctr.isolation"] = "vm"'
    guests_own
    edit_config 'del(.annotations) | .vm = {kernel: {path: $k}}' --arg k "$(kernels | head -n 1)"
    guests_own
    # as a container it is still refused, and nothing of it done
    edit_config 'del(.vm)'
    fails 1 'hostname: needs the namespace' create --bundle "$BUNDLE" "$ID"
    [ "$(uname -n; cat /proc/sys/kernel/domainname /proc/sys/vm/swappiness)" = "$before" ]
}

@test "vm: a machine without namespaces by --vm takes later commands; check knows it by the same option" {
    edit_config '.linux.namespaces = [] | .hostname = "inside" | .linux.sysctl = {"vm.swappiness": "7"}'
    vm_boot
    ok exec "$ID" cat /proc/sys/kernel/hostname
    [ "$output" = inside ]
    ok update --pids-limit 30 "$ID"
    ok events --stats "$ID"
    [ "$(jq -r .data.pids.limit <<<"$output")" = 30 ]
    ok delete --force "$ID"
    ok check --bundle "$BUNDLE"
    ok run --user 1000 --bundle "$BUNDLE" "$ID" /bin/cat /proc/sys/vm/swappiness
    [ "$output" = 7 ]
    CTR_GLOBALS=${CTR_GLOBALS#--vm }
    fails 1 '' check --bundle "$BUNDLE"
    [[ $output == *'hostname: needs the namespace "uts"'* ]]
    # the ids of files are the host's
    edit_config 'del(.hostname, .linux.sysctl) | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 9}]'
    fails 1 'linux.uidMappings: needs the namespace "user"' --vm create --bundle "$BUNDLE" "$ID"
}
