#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# process.*: what the program finds about itself when it starts.

load helpers

# status_line NAME: a line of the /proc/self/status that the container printed, without its name.
status_line() { sed -n "s/^$1:[[:space:]]*//p" "$OUT" | tr -s '\t ' ' ' | sed 's/ $//'; }

# cap_mask NAME...: the capability set as /proc shows it.
cap_mask() {
    python3 - "$@" <<'PY'
import sys
names = """chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace
sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control
setfcap""".split()
print("%016x" % sum(1 << names.index(n) for n in sys.argv[1:]))
PY
}

own_status() {
    set_args /bin/cat /proc/self/status
    ok run --bundle "$BUNDLE" "$ID"
}

# Caps of the test's own bounding set: what this host cannot give cannot be tested.
have_cap() { (($((0x$(sed -n 's/^CapBnd:\t//p' /proc/self/status))) >> $1 & 1)); }

# ---- user ----

@test "user: uid and gid are real, effective, saved and file system ids" {
    make_bundle
    edit_config '.process.user = {uid: 1234, gid: 4321}'
    own_status
    [ "$(status_line Uid)" = "1234 1234 1234 1234" ]
    [ "$(status_line Gid)" = "4321 4321 4321 4321" ]
    [ -z "$(status_line Groups)" ]
}

@test "user: additionalGids are exactly the supplementary groups, also for root" {
    make_bundle
    edit_config '.process.user = {uid: 1000, gid: 1000, additionalGids: [50, 5, 70000]}'
    own_status
    [ "$(status_line Groups)" = "5 50 70000" ]
    edit_config '.process.user = {uid: 0, gid: 0, additionalGids: [7]}'
    own_status
    [ "$(status_line Groups)" = "7" ]
}

@test "user: umask as set, 0022 by default whatever ctr's own is" {
    make_bundle
    umask 077
    own_status
    [ "$(status_line Umask)" = 0022 ]
    edit_config '.process.user.umask = 7'
    own_status
    [ "$(status_line Umask)" = 0007 ]
    edit_config '.process.user.umask = 63'
    run_sh 'touch /tmp/f; stat -c %a /tmp/f'
    [ "$output" = 600 ]
    edit_config '.process.user.umask = 512'
    fails 1 process.user.umask run --bundle "$BUNDLE" "$ID"
}

# ---- cwd ----

@test "cwd: a missing directory is made, and the process is in it" {
    make_bundle
    edit_config '.process.cwd = "/var/new/place"'
    set_args /bin/pwd
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = /var/new/place ]
    [ "$(stat -c %a "$BUNDLE/rootfs/var/new/place")" = 755 ]
}

@test "cwd: a missing one is made before what it lies in becomes read-only" {
    make_bundle
    mkdir "$BUNDLE/rootfs/scratch"
    edit_config '.root.readonly = true | .mounts += [{destination: "/scratch", type: "tmpfs", options: ["ro"]}]'
    set_args /bin/sh -c 'pwd; stat -c %a:%u .; touch x || echo read-only'
    for d in /not/there /scratch/not/there; do
        edit_config '.process.cwd = $d' --arg d "$d"
        ctr run --bundle "$BUNDLE" "$ID"
        [ "$output" = "$d"$'\n755:0\nread-only' ] || fail "$d: $output"
    done
}

@test "cwd: is entered with the rights of root; the process has its own there" {
    make_bundle
    mkdir -m 700 "$BUNDLE/rootfs/secret"
    edit_config '.process.cwd = "/secret" | .process.user = {uid: 1000, gid: 1000} | del(.process.capabilities)'
    set_args /bin/sh -c 'pwd; ls >/dev/null 2>&1 || echo unreadable; : 2>/dev/null >x || echo never'
    ctr run --bundle "$BUNDLE" "$ID"
    [[ $output == $'/secret\nunreadable'* ]]
    [ ! -e "$BUNDLE/rootfs/secret/x" ]
}

@test "cwd: one that nobody may enter is a clear error and leaves nothing" {
    require_root
    make_bundle
    mkdir -m 700 "$BUNDLE/rootfs/secret"
    # root of a user namespace that has no right to a directory of the host's root
    edit_config '.linux.namespaces += [{type: "user"}] | .process.cwd = "/secret" |
        .linux.uidMappings = [{containerID: 0, hostID: 300000, size: 65536}] |
        .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]'
    chmod 711 "$BATS_TEST_TMPDIR" "$BUNDLE"
    chown 300000:300000 "$BUNDLE/rootfs"
    set_args /bin/pwd
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    [[ $stderr == *process.cwd*/secret*"ermission denied"* ]]
    [ "$(wc -l <"$ERR")" -eq 1 ]
}

@test "cwd: a file and a link through /proc are refused" {
    make_bundle
    edit_config '.process.cwd = "/etc/passwd"'
    set_args /bin/pwd
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    [[ $stderr == *process.cwd*/etc/passwd*"ot a directory"* ]]
    local fd
    for fd in 3 5 7 8 9 10 12; do
        edit_config ".process.cwd = \"/proc/self/fd/$fd\""
        ctr run --bundle "$BUNDLE" "$ID"
        [ "$status" -ne 0 ] || fail "cwd by fd $fd: $output"
        [[ $stderr == *process.cwd* ]]
    done
}

@test "cwd: a link inside the root file system is followed inside of it" {
    make_bundle
    ln -s /var "$BUNDLE/rootfs/tmp/way"
    edit_config '.process.cwd = "/tmp/way"'
    set_args /bin/sh -c 'pwd -P'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = /var ]
}

# ---- environment ----

@test "env: exactly the configured one; of duplicates the last, in its first place" {
    make_bundle
    edit_config '.process.env = ["PATH=/bin", "A=1", "HOME=/x", "A=2", "B=", "A=3=4"]'
    set_args /bin/env
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'PATH=/bin\nA=3=4\nHOME=/x\nB=' ]
}

@test "env: HOME comes from the container's passwd when it is missing or empty" {
    make_bundle
    edit_config '.process.env = ["PATH=/bin"] | .process.user = {uid: 1000, gid: 1000}'
    set_args /bin/env
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'PATH=/bin\nHOME=/home' ]
    edit_config '.process.env = ["PATH=/bin", "HOME="] | .process.user = {uid: 0, gid: 0}'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'PATH=/bin\nHOME=/root' ]
    edit_config '.process.env = ["PATH=/bin"] | .process.user = {uid: 4444, gid: 0}'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'PATH=/bin\nHOME=/' ]
    rm "$BUNDLE/rootfs/etc/passwd"
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'PATH=/bin\nHOME=/' ]
}

@test "env: the program is searched in the container's PATH, not in ctr's" {
    make_bundle
    mkdir "$BUNDLE/rootfs/mytools"
    printf '#!/bin/sh\necho mine "$@"\n' >"$BUNDLE/rootfs/mytools/tool"
    chmod 755 "$BUNDLE/rootfs/mytools/tool"
    edit_config '.process.env = ["PATH=/nowhere:/mytools"]'
    set_args tool a b
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = "mine a b" ]
    edit_config '.process.env = ["PATH=/nowhere"]'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    [[ $stderr == *'exec: "tool": executable file not found in $PATH' ]]
}

@test "create refuses a missing program, with its name" {
    make_bundle
    set_args no-such-program
    fails 1 'exec: "no-such-program": executable file not found in $PATH' create --bundle "$BUNDLE" "$ID"
    set_args /no/such
    fails 1 '/no/such' create --bundle "$BUNDLE" "$ID"
    [[ $stderr == *"no such file or directory"* ]]
    assert_leak_free
}

# ---- limits ----

@test "rlimits: each type is in /proc/self/limits, soft and hard" {
    make_bundle
    edit_config '.process.rlimits = [
        {type: "RLIMIT_AS", soft: 2000003072, hard: 3000004608}, {type: "RLIMIT_CORE", soft: 0, hard: 1},
        {type: "RLIMIT_CPU", soft: 100, hard: 200}, {type: "RLIMIT_DATA", soft: 100000000, hard: 200000000},
        {type: "RLIMIT_FSIZE", soft: 300000, hard: 400000}, {type: "RLIMIT_LOCKS", soft: 5, hard: 6},
        {type: "RLIMIT_MEMLOCK", soft: 4096, hard: 8192}, {type: "RLIMIT_MSGQUEUE", soft: 7, hard: 8},
        {type: "RLIMIT_NICE", soft: 0, hard: 0}, {type: "RLIMIT_NOFILE", soft: 64, hard: 128},
        {type: "RLIMIT_NPROC", soft: 90, hard: 91}, {type: "RLIMIT_RSS", soft: 10, hard: 11},
        {type: "RLIMIT_RTPRIO", soft: 0, hard: 0}, {type: "RLIMIT_RTTIME", soft: 1000, hard: 2000},
        {type: "RLIMIT_SIGPENDING", soft: 12, hard: 13}, {type: "RLIMIT_STACK", soft: 1048576, hard: 2097152}]'
    set_args /bin/cat /proc/self/limits
    ok run --bundle "$BUNDLE" "$ID"
    local line
    while read -r line; do
        tr -s ' ' <"$OUT" | grep -q "^$line " || fail "not in limits: $line"
    done <<'LIMITS'
Max address space 2000003072 3000004608
Max core file size 0 1
Max cpu time 100 200
Max data size 100000000 200000000
Max file size 300000 400000
Max file locks 5 6
Max locked memory 4096 8192
Max msgqueue size 7 8
Max nice priority 0 0
Max open files 64 128
Max processes 90 91
Max resident set 10 11
Max realtime priority 0 0
Max realtime timeout 1000 2000
Max pending signals 12 13
Max stack size 1048576 2097152
LIMITS
}

# One case: the limits reach the program and do not hinder what is done before it, by create and start, run and exec.
few_limits() {
    local what=$1
    set_args /bin/sh -c 'ulimit -n; ulimit -f; while [ ! -e /end ]; do sleep 0.05; done; exit 7'
    ok create --bundle "$BUNDLE" "$ID"
    local out=$OUT
    ok start "$ID"
    wait_for 10 grep -qx 1 "$out"
    [ "$(cat "$out")" = $'4\n1' ] || fail "$what: create: $(cat "$out")"
    ok exec "$ID" /bin/sh -c 'ulimit -n; ulimit -f'
    [ "$output" = $'4\n1' ] || fail "$what: exec: $output"
    ok delete --force "$ID"
    set_args /bin/sh -c 'ulimit -n; ulimit -f'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'4\n1' ] || fail "$what: run: $output"
}

@test "rlimits: 4 files and 512 bytes are enough, with and without a user namespace" {
    make_bundle
    edit_config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 4, hard: 4}, {type: "RLIMIT_FSIZE", soft: 512, hard: 512}]
        | .process.cwd = "/made/for/it"'
    few_limits host
    edit_config '.linux.uidMappings = [{containerID: 0, hostID: 200000, size: 65536}]
        | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]
        | .linux.namespaces += [{type: "user"}]'
    rm -rf "$BUNDLE/rootfs/made"
    chown -R 200000:300000 "$BUNDLE/rootfs"
    few_limits userns
}

@test "rlimits: one that may not be raised is an error with its place in the configuration" {
    ! have_cap 24 || skip "this host has CAP_SYS_RESOURCE"
    make_bundle
    edit_config '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0},
        {type: "RLIMIT_NOFILE", soft: 64, hard: 900000}]'
    set_args /bin/true
    fails 1 'process.rlimits[1]' run --bundle "$BUNDLE" "$ID"
    [[ $stderr == *RLIMIT_NOFILE*900000*"ot permitted"* ]]
}

@test "rlimits: the same type twice is refused" {
    make_bundle
    edit_config '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_CORE", soft: 1, hard: 1}]'
    set_args /bin/true
    fails 1 'process.rlimits' run --bundle "$BUNDLE" "$ID"
    edit_config '.process.rlimits = [{type: "RLIMIT_CORE", soft: 2, hard: 1}]'
    fails 1 'process.rlimits' run --bundle "$BUNDLE" "$ID"
}

# ---- capabilities ----

@test "capabilities: the five sets of root are the configured ones" {
    make_bundle
    edit_config '.process.capabilities = {
        bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
        permitted: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], effective: ["CAP_CHOWN", "CAP_KILL"],
        inheritable: ["CAP_CHOWN", "CAP_KILL"], ambient: ["CAP_KILL"]}'
    own_status
    # with no_new_privs root's execve gives no more than there was
    [ "$(status_line CapPrm)" = "$(cap_mask chown kill net_raw)" ]
    edit_config '.process.noNewPrivileges = false'
    own_status
    [ "$(status_line CapBnd)" = "$(cap_mask chown kill net_raw setuid)" ]
    [ "$(status_line CapInh)" = "$(cap_mask chown kill)" ]
    [ "$(status_line CapAmb)" = "$(cap_mask kill)" ]
    # without it the whole bounding set
    [ "$(status_line CapPrm)" = "$(cap_mask chown kill net_raw setuid)" ]
    [ "$(status_line CapEff)" = "$(cap_mask chown kill net_raw setuid)" ]
}

@test "capabilities: a user has after execve what is ambient, and the bounding set stays" {
    make_bundle
    edit_config '.process.user = {uid: 1000, gid: 1000} | .process.capabilities = {
        bounding: ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"], permitted: ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
        effective: ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"], inheritable: ["CAP_NET_BIND_SERVICE"],
        ambient: ["CAP_NET_BIND_SERVICE"]}'
    own_status
    [ "$(status_line CapBnd)" = "$(cap_mask chown net_bind_service)" ]
    [ "$(status_line CapAmb)" = "$(cap_mask net_bind_service)" ]
    [ "$(status_line CapPrm)" = "$(cap_mask net_bind_service)" ]
    [ "$(status_line CapEff)" = "$(cap_mask net_bind_service)" ]
    # and it is a power, not only a number
    run_sh 'nc -l -p 80 </dev/null & sleep 0.01; n=0
        until grep -q ":0050 " /proc/net/tcp /proc/net/tcp6 2>/dev/null; do n=$((n+1)); [ $n -lt 500 ] || exit 1; sleep 0.02; done
        echo bound; kill $!'
    [ "$output" = bound ]
}

@test "capabilities: without the object there is none, not even in the bounding set" {
    make_bundle
    edit_config 'del(.process.capabilities)'
    own_status
    local set
    for set in CapBnd CapPrm CapEff CapInh CapAmb; do
        [ "$(status_line $set)" = 0000000000000000 ] || fail "$set is not empty"
    done
    run_sh 'chown 1:1 /tmp'
    [ "$status" -ne 0 ]
}

@test "capabilities: what this host cannot give is a warning, the rest is given" {
    ! have_cap 24 || skip "this host has CAP_SYS_RESOURCE"
    make_bundle
    edit_config '.process.capabilities = {bounding: ["CAP_CHOWN", "CAP_SYS_RESOURCE"],
        permitted: ["CAP_CHOWN", "CAP_SYS_RESOURCE"], effective: ["CAP_CHOWN", "CAP_SYS_RESOURCE"]}'
    own_status
    [ "$(status_line CapBnd)" = "$(cap_mask chown)" ]
    [[ ${stderr,,} == *cap_sys_resource* ]]
    [ "$(wc -l <"$ERR")" -eq 1 ]
}

@test "capabilities: an unknown name is refused with its path" {
    make_bundle
    edit_config '.process.capabilities.bounding += ["CAP_FLY"]'
    set_args /bin/true
    fails 1 CAP_FLY run --bundle "$BUNDLE" "$ID"
    [[ $stderr == *process.capabilities.bounding* ]]
}

@test "noNewPrivileges: is what it was set to, and a set-uid program gains nothing" {
    make_bundle
    edit_config '.process.noNewPrivileges = true'
    own_status
    [ "$(status_line NoNewPrivs)" = 1 ]
    edit_config '.process.noNewPrivileges = false'
    own_status
    [ "$(status_line NoNewPrivs)" = 0 ]

    cp "$BUNDLE/rootfs/bin/busybox" "$BUNDLE/rootfs/bin/grep-suid"
    rm -f "$BUNDLE/rootfs/bin/grep"
    mv "$BUNDLE/rootfs/bin/grep-suid" "$BUNDLE/rootfs/bin/grep"
    chmod 4755 "$BUNDLE/rootfs/bin/grep"
    edit_config '.process.user = {uid: 1000, gid: 1000}'
    set_args /bin/grep Uid: /proc/self/status
    # busybox gives rights back that its applet does not need: the saved uid tells
    ok run --bundle "$BUNDLE" "$ID"
    local free=$output
    edit_config '.process.noNewPrivileges = true'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(status_line Uid)" = "1000 1000 1000 1000" ]
    echo "without: $free"
}

# ---- how it is scheduled ----

@test "oomScoreAdj: set when configured, ctr's own when not" {
    make_bundle
    edit_config '.process.oomScoreAdj = 321'
    set_args /bin/cat /proc/self/oom_score_adj
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = 321 ]
    edit_config 'del(.process.oomScoreAdj)'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = "$(cat /proc/self/oom_score_adj)" ]
    edit_config '.process.oomScoreAdj = 1001'
    fails 1 process.oomScoreAdj run --bundle "$BUNDLE" "$ID"
}

# policy_of PID: scheduling policy and nice value from /proc/PID/stat.
policy_of() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $39, $17 }'; }

@test "scheduler: policy, nice value and priority reach the process" {
    make_bundle
    set_args /bin/sleep 1000
    edit_config '.process.scheduler = {policy: "SCHED_BATCH", nice: 7}'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(policy_of "$(state_of "$ID" pid)")" = "3 7" ]
    ok delete --force "$ID"
    edit_config '.process.scheduler = {policy: "SCHED_IDLE"}'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(policy_of "$(state_of "$ID" pid)")" = "5 0" ]
    ok delete --force "$ID"
    edit_config '.process.scheduler = {policy: "SCHED_RR", priority: 3}'
    ctr run --detach --bundle "$BUNDLE" "$ID"
    if [ "$status" -eq 0 ]; then
        sed 's/.*) //' "/proc/$(state_of "$ID" pid)/stat" | awk '{ exit !($39 == 2 && $38 == 3) }'
        ok delete --force "$ID"
    else
        # a v1 cpu cgroup without real-time budget, or no right to it
        [[ $stderr == *process.scheduler* ]]
    fi
}

@test "scheduler: values that make no sense are refused with their path" {
    make_bundle
    set_args /bin/true
    edit_config '.process.scheduler = {policy: "SCHED_FUNNY"}'
    fails 1 process.scheduler.policy run --bundle "$BUNDLE" "$ID"
    edit_config '.process.scheduler = {policy: "SCHED_OTHER", nice: 40}'
    fails 1 process.scheduler run --bundle "$BUNDLE" "$ID"
    edit_config '.process.scheduler = {policy: "SCHED_OTHER", flags: ["SCHED_FLAG_FUNNY"]}'
    fails 1 process.scheduler.flags run --bundle "$BUNDLE" "$ID"
}

@test "ioPriority: class and priority as ionice sees them" {
    require_program ionice
    make_bundle
    set_args /bin/sleep 1000
    edit_config '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(ionice -p "$(state_of "$ID" pid)")" = "best-effort: prio 6" ]
    ok delete --force "$ID"
    edit_config '.process.ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 0}'
    ok run --detach --bundle "$BUNDLE" "$ID"
    [ "$(ionice -p "$(state_of "$ID" pid)")" = idle ]
    ok delete --force "$ID"
    edit_config '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 8}'
    fails 1 process.ioPriority run --bundle "$BUNDLE" "$ID"
}

@test "personality: LINUX32 changes the machine name" {
    make_bundle
    set_args /bin/uname -m
    edit_config '.linux.personality = {domain: "LINUX"}'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = "$(uname -m)" ]
    [ "$output" = x86_64 ] || skip "knows the 32-bit name of x86_64 only"
    edit_config '.linux.personality = {domain: "LINUX32"}'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = i686 ]
    edit_config '.linux.personality = {domain: "VMS"}'
    fails 1 linux.personality.domain run --bundle "$BUNDLE" "$ID"
}

@test "CPU affinity: what ctr was bound to is not passed on" {
    require_program taskset
    [ "$(nproc)" -ge 2 ] || skip "one processor"
    make_bundle
    set_args /bin/grep Cpus_allowed_list /proc/self/status
    ok run --bundle "$BUNDLE" "$ID"
    local all=$output
    local plain=$CTR
    printf '#!/bin/sh\nexec taskset -c 0 "%s" "$@"\n' "$plain" >"$BATS_TEST_TMPDIR/bound"
    chmod 755 "$BATS_TEST_TMPDIR/bound"
    CTR=$BATS_TEST_TMPDIR/bound ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    [ "$output" = "$all" ]
}

# ---- signals ----

@test "signals: ignored and blocked ones of ctr are not the program's" {
    make_bundle
    cat >"$BATS_TEST_TMPDIR/odd" <<PY
#!$(python3 -c 'import sys; print(sys.executable)')
import os, signal, sys
for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGTSTP):
    signal.signal(s, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM, signal.SIGUSR2, signal.SIGRTMIN, signal.SIGALRM})
os.execv("$CTR", ["$CTR"] + sys.argv[1:])
PY
    chmod 755 "$BATS_TEST_TMPDIR/odd"
    set_args /bin/cat /proc/self/status
    CTR=$BATS_TEST_TMPDIR/odd ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    [ "$(status_line SigBlk)" = 0000000000000000 ]
    [ "$(status_line SigIgn)" = 0000000000000000 ]
    # the same on the other way in
    set_args /bin/sleep 1000
    CTR=$BATS_TEST_TMPDIR/odd ctr run --detach --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    CTR=$BATS_TEST_TMPDIR/odd ctr exec "$ID" /bin/cat /proc/self/status
    [ "$status" -eq 0 ]
    [ "$(status_line SigBlk)" = 0000000000000000 ]
    [ "$(status_line SigIgn)" = 0000000000000000 ]
    ok kill "$ID" TERM
    ok delete --force "$ID"
}

@test "LISTEN_FDS: what a service manager passed to ctr reaches the program, before those of --preserve-fds" {
    make_bundle
    echo three >"$BATS_TEST_TMPDIR/3"
    echo four >"$BATS_TEST_TMPDIR/4"
    printf '%s\n' '#!/bin/bash' 'pid=${PID:-$$}' "exec env LISTEN_PID=\$pid \"$CTR\" \"\$@\" 3<'$BATS_TEST_TMPDIR/3' 4<'$BATS_TEST_TMPDIR/4'" \
        >"$BATS_TEST_TMPDIR/manager"
    chmod 755 "$BATS_TEST_TMPDIR/manager"
    local show='echo "$LISTEN_FDS $((LISTEN_PID == $$)) [$LISTEN_FDNAMES]"; for f in /proc/self/fd/*; do echo ${f##*/}; done | wc -l'
    CTR=$BATS_TEST_TMPDIR/manager
    edit_config '.process.env += ["LISTEN_FDS=9", "LISTEN_PID=77"]'
    set_args /bin/sh -c "$show; cat <&3; cat <&4"
    # the shell's loop has one descriptor of its own
    LISTEN_FDS=2 LISTEN_FDNAMES=web:log ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'2 1 [web:log]\n6\nthree\nfour' ]
    LISTEN_FDS=1 ok run --preserve-fds 1 --bundle "$BUNDLE" "$ID"
    [ "$output" = $'1 1 []\n6\nthree\nfour' ]
    # by create, without a pid namespace: still its own pid
    edit_config '.linux.namespaces |= map(select(.type != "pid"))'
    LISTEN_FDS=2 ok create --bundle "$BUNDLE" "$ID"
    local out=$OUT
    ok start "$ID"
    wait_state "$ID" stopped
    [ "$(cat "$out")" = $'2 1 []\n6\nthree\nfour' ] || fail "$(cat "$out")"
    ok delete "$ID"
    edit_config '.linux.namespaces += [{type: "pid"}]'
    # for somebody else, or none
    set_args /bin/sh -c 'echo $LISTEN_FDS; ls /proc/self/fd | wc -l'
    PID=1 LISTEN_FDS=2 ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'9\n4' ]
    LISTEN_FDS=0 ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'9\n4' ]
    # exec
    set_args /bin/sleep 100
    ok run --detach --bundle "$BUNDLE" "$ID"
    LISTEN_FDS=2 LISTEN_FDNAMES=a:b ok exec "$ID" /bin/sh -c "$show; cat <&4"
    [ "$output" = $'2 1 [a:b]\n6\nfour' ]
    LISTEN_FDS=3 fails 255 'LISTEN_FDS: "3": only 2 descriptors' exec "$ID" /bin/true
    ok delete --force "$ID"
    # nonsense
    local bad
    for bad in x -1 1x 99999999999 3; do
        LISTEN_FDS=$bad fails 1 "LISTEN_FDS: \"$bad\"" run --bundle "$BUNDLE" "$ID"
    done
    PID=x LISTEN_FDS=1 fails 1 'LISTEN_PID: "x"' run --bundle "$BUNDLE" "$ID"
}

@test "descriptors: nothing but stdin, stdout, stderr and what --preserve-fds names" {
    make_bundle
    edit_config '.process.cwd = "/"'
    set_args /bin/ls /proc/self/fd
    exec 7<"$BUNDLE/config.json" 8</etc/passwd
    ok run --bundle "$BUNDLE" "$ID"
    # ls has the directory open as 3
    [ "$output" = $'0\n1\n2\n3' ]
    echo third >"$BATS_TEST_TMPDIR/third"
    set_args /bin/sh -c 'cat <&4; ls /proc/self/fd | wc -l'
    printf '#!/bin/sh\nexec "%s" "$@" 3</dev/null 4<"%s" 5</dev/null\n' "$CTR" "$BATS_TEST_TMPDIR/third" \
        >"$BATS_TEST_TMPDIR/fds"
    chmod 755 "$BATS_TEST_TMPDIR/fds"
    CTR=$BATS_TEST_TMPDIR/fds ctr run --preserve-fds 2 --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    [ "$output" = $'third\n6' ]
    exec 7<&- 8<&-
}

@test "a process whose first thread has ended runs: kill, kill --all and delete --force end it" {
    local how pid
    make_bundle
    require_program gcc
    gcc -O1 -static -pthread -o "$BUNDLE/rootfs/leaderless" "$BATS_TEST_DIRNAME/helpers_src/leaderless.c"
    edit_config '.linux.namespaces |= map(select(.type != "pid"))'
    for how in "kill $ID KILL" "kill --all $ID KILL" "delete --force $ID" member; do
        set_args /leaderless
        [ "$how" != member ] || set_args /bin/sh -c '/leaderless & exec sleep 1000'
        ok run --detach --bundle "$BUNDLE" "$ID"
        wait_for 10 grep -q ready "$OUT"
        pid=$(state_of "$ID" pid)
        is_state "$ID" running
        [ "$how" = member ] || [ -n "${E2E_VM:-}" ] || grep -q '^State:.Z' "/proc/$pid/status" || fail "its first thread lives"
        # shellcheck disable=SC2086
        [ "$how" = member ] || ok $how
        if [[ $how == kill* ]]; then
            wait_state "$ID" stopped
            ok delete "$ID"
        elif [ "$how" = member ]; then
            ok delete --force "$ID"
        fi
        wait_for 5 [ ! -e "/proc/$pid" ] # once it is reaped
    done
    assert_leak_free
}
