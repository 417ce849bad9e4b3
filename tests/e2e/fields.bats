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

@test "fields: a configuration as deep as can be read can be changed; an optional name may be empty" {
    local deep
    make_bundle
    deep=$(printf '{"x":%.0s' $(seq 55))1$(printf '}%.0s' $(seq 55))
    edit_config '.unknown = $d | .linux.rootfsPropagation = ""' --argjson d "$deep"
    set_args /bin/sleep 1000
    ok run --detach -e A=b --bundle "$BUNDLE" "$ID"
    ok update --pids-limit 10 "$ID"
    [ "$(jq -c .unknown "$ROOT/$ID/config.json")" = "$deep" ]
    ok delete --force "$ID"
}

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

# ---- annotations that change what ctr does ----

@test "annotations: hooks' output is kept where run.oci.hooks.stdout and .stderr say, of every kind of hook" {
    make_bundle
    local kind
    for kind in createRuntime createContainer startContainer poststart poststop; do
        edit_config '.hooks[$k] = [{path: "/bin/sh", args: ["sh", "-c", "echo \($k); echo \($k) >&2"]}]' --arg k $kind
    done
    edit_config '.annotations = {"run.oci.hooks.stdout": $o, "run.oci.hooks.stderr": $e}' \
        --arg o "$BATS_TEST_TMPDIR/hooks.out" --arg e "$BATS_TEST_TMPDIR/hooks.err"
    set_args true
    ok run --bundle "$BUNDLE" "$ID"
    local want=$'createRuntime\ncreateContainer\nstartContainer\npoststart\npoststop'
    [ "$(cat "$BATS_TEST_TMPDIR/hooks.out")" = "$want" ] || fail "$(cat "$BATS_TEST_TMPDIR/hooks.out")"
    [ "$(cat "$BATS_TEST_TMPDIR/hooks.err")" = "$want" ]
    edit_config '.annotations["run.oci.hooks.stdout"] = "/no/such/dir/file"'
    fails 1 'annotations["run.oci.hooks.stdout"]: open /no/such/dir/file: No such file' run --bundle "$BUNDLE" "$ID"
}

@test "annotations: run.oci.keep_original_groups leaves the caller's groups, in run and exec" {
    require_program setpriv
    make_bundle
    edit_config '.annotations["run.oci.keep_original_groups"] = "1" | .process.user = {uid: 1000, gid: 1000}'
    printf '#!/bin/sh\nexec setpriv --groups 0,4711,4712 "%s" "$@"\n' "$CTR" >"$BATS_TEST_TMPDIR/grouped"
    chmod 755 "$BATS_TEST_TMPDIR/grouped"
    local real=$CTR
    CTR=$BATS_TEST_TMPDIR/grouped
    run_sh 'grep ^Groups: /proc/self/status'
    [ "$(echo $output)" = "Groups: 0 4711 4712" ] || fail "$output"
    set_args sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    ok exec "$ID" grep ^Groups: /proc/self/status
    [ "$(echo $output)" = "Groups: 0 4711 4712" ]
    ok delete --force "$ID"
    edit_config '.annotations["run.oci.keep_original_groups"] = "0"'
    run_sh 'grep ^Groups: /proc/self/status'
    [ "$(echo $output)" = "Groups:" ]
    CTR=$real
    edit_config '.annotations["run.oci.keep_original_groups"] = "1" | .process.user.additionalGids = [50]'
    fails 1 'process.user.additionalGids' run --bundle "$BUNDLE" "$ID"
}

# pidfd_of COMMAND...: which process the pidfd that is sent to $SOCKET stands for.
receive_pidfd() {
    SOCKET=$BATS_TEST_TMPDIR/pidfd.sock
    rm -f "$SOCKET"
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
_, fds, _, _ = socket.recv_fds(s.accept()[0], 64, 1)
print([l.split()[1] for l in open(f"/proc/self/fdinfo/{fds[0]}") if l.startswith("Pid:")][0])' "$SOCKET" \
        >"$BATS_TEST_TMPDIR/pidfd" 3>&- &
    RECEIVER=$!
    wait_for 10 test -S "$SOCKET"
}

@test "annotations: run.oci.pidfd_receiver gets init's pidfd; exec --pidfd-socket that of its process" {
    make_bundle
    set_args sleep 1000
    receive_pidfd
    edit_config '.annotations["run.oci.pidfd_receiver"] = $p' --arg p "$SOCKET"
    ok create --bundle "$BUNDLE" "$ID"
    wait "$RECEIVER"
    [ "$(cat "$BATS_TEST_TMPDIR/pidfd")" = "$(state_of "$ID" pid)" ]
    ok start "$ID"
    receive_pidfd
    ok exec -d --pidfd-socket "$SOCKET" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" sleep 1000
    wait "$RECEIVER"
    [ "$(cat "$BATS_TEST_TMPDIR/pidfd")" = "$(cat "$BATS_TEST_TMPDIR/pid")" ]
}

@test "annotations: a raw BPF program in place of the profile, and names that must be known" {
    make_bundle
    # mkdir (83): errno 87; all else allowed
    edit_config '.annotations["run.oci.seccomp_bpf_data"] = $b' \
        --arg b "$(python3 -c 'import struct, base64
print(base64.b64encode(b"".join(struct.pack("HBBI", *i) for i in [(0x20, 0, 0, 0), (0x15, 0, 1, 83), (6, 0, 0, 0x50000 | 87), (6, 0, 0, 0x7fff0000)])).decode())')"
    run_sh 'mkdir /tmp/x 2>&1 | sed "s/.*: //"; grep ^Seccomp: /proc/self/status'
    [ "$(uname -m)" != x86_64 ] || [ "$output" = $'Too many users\nSeccomp:\t2' ] || fail "$output $stderr"
    edit_config 'del(.annotations) | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["no_such_call"], action: "SCMP_ACT_ERRNO"}]}'
    set_args true
    ok run --bundle "$BUNDLE" "$ID"
    edit_config '.annotations["run.oci.seccomp_fail_unknown_syscall"] = "1"'
    fails 1 'linux.seccomp.syscalls[0].names[0]: no_such_call: unknown system call' run --bundle "$BUNDLE" "$ID"
}

@test "annotations: what ctr cannot honour is refused by name, what is others' is theirs" {
    make_bundle
    set_args true
    local key
    for key in run.oci.seccomp.plugins run.oci.delegate-cgroup run.oci.systemd.force_cgroup_v1 org.ctr.no-such-thing; do
        edit_config '.annotations = {($k): "x"}' --arg k "$key"
        fails 1 "annotations[\"$key\"]: not supported by ctr" create --bundle "$BUNDLE" "$ID"
    done
    edit_config '.annotations = {"run.oci.handler": "krun"}'
    fails 1 'annotations["run.oci.handler"]' create --bundle "$BUNDLE" "$ID"
    edit_config '.annotations = {"krun.cpus": "2", "module.wasm.image/variant": "compat", "run.oci.systemd.subgroup": ""}'
    ok run --bundle "$BUNDLE" "$ID"
}

# ---- linux.intelRdt ----

@test "intelRdt: refused with the reason where resctrl is not mounted" {
    ! grep -q ' - resctrl ' /proc/self/mountinfo || skip "resctrl is mounted here"
    make_bundle
    set_args true
    local rdt
    for rdt in '{closID: "x"}' '{l3CacheSchema: "L3:0=f"}' '{memBwSchema: "MB:0=20"}' '{schemata: ["L3:0=f"]}' '{enableMonitoring: true}'; do
        edit_config ".linux.intelRdt = $rdt"
        fails 1 'linux.intelRdt: resctrl is not mounted' run --bundle "$BUNDLE" "$ID"
    done
    [ -z "$(containers)" ]
}

# ---- labels ----

selinux() { grep -q selinuxfs /proc/filesystems; }

@test "mountLabel: the context of new file systems, or refused where there is no SELinux" {
    make_bundle
    edit_config '.linux.mountLabel = "system_u:object_r:container_file_t:s0:c1,c2"'
    if selinux; then
        run_sh 'grep " /dev/shm " /proc/self/mountinfo'
        [[ $output == *container_file_t* ]]
    else
        set_args true
        fails 1 'linux.mountLabel: system_u:object_r:container_file_t:s0:c1,c2: this kernel runs without SELinux' run --bundle "$BUNDLE" "$ID"
    fi
    edit_config '.annotations["run.oci.mount_context_type"] = "size"'
    fails 1 'annotations["run.oci.mount_context_type"]' create --bundle "$BUNDLE" "$ID"
}

@test "labels: apparmorProfile and selinuxLabel are refused by name where their module is not on" {
    make_bundle
    set_args true
    if [ ! -e /sys/kernel/security/apparmor ] && [ ! -e /proc/self/attr/apparmor ]; then
        edit_config '.process.apparmorProfile = "some-profile"'
        fails 1 'process.apparmorProfile: some-profile: this kernel runs without AppArmor' run --bundle "$BUNDLE" "$ID"
        edit_config '.process.apparmorProfile = "unconfined"'
        ok run --bundle "$BUNDLE" "$ID"
        edit_config 'del(.process.apparmorProfile)'
    fi
    if ! selinux; then
        edit_config '.process.selinuxLabel = "a:b:c:s0"'
        fails 1 'process.selinuxLabel: a:b:c:s0: this kernel runs without SELinux' run --bundle "$BUNDLE" "$ID"
    fi
}

# ---- id-mapped new file systems ----

@test "idmap: a new tmpfs with maps of its own shows mapped owners" {
    make_bundle
    edit_config '.mounts += [{destination: "/mapped", type: "tmpfs", source: "tmpfs",
        options: ["uid=7", "gid=7", "mode=755"],
        uidMappings: [{containerID: 0, hostID: 1000, size: 100}], gidMappings: [{containerID: 0, hostID: 1000, size: 100}]}]'
    set_args stat -c '%u %g' /mapped
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || { [[ $stderr == *"mounts["*"id-map tmpfs"* ]] && skip "no id-mapped tmpfs here"; }
    [ "$output" = "1007 1007" ] || fail "$output"
    edit_config '.mounts[-1] |= (del(.uidMappings, .gidMappings) | .options += ["idmap"])'
    fails 1 'mounts[' run --bundle "$BUNDLE" "$ID"
}
