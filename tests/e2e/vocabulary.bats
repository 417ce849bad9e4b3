#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Every word of the specification's vocabularies, written down here a second time: it is known, it is in `features`
# where it belongs, and it has its effect or is refused by its name. A word that is none is refused by name, too.

load helpers

setup() {
    common_setup
    require_root
    make_bundle
    set_args true
}

NAMESPACES="pid network mount ipc uts user cgroup time"
HOOKS="prestart createRuntime createContainer startContainer poststart poststop"
CAPABILITIES="CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
RLIMITS="AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK"
# As config.md lists them; the recursive ones follow, and crun's.
MOUNT_OPTIONS="async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime
    noexec noiversion nolazytime nomand norelatime nostrictatime nosuid private ratime rbind rdev rdiratime relatime
    remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid ro rprivate rrelatime rro rrw rshared
    rslave rstrictatime rsuid runbindable rw shared silent slave strictatime suid sync tmpcopyup unbindable rnodev
    idmap ridmap symfollow nosymfollow rsymfollow rnosymfollow copy-symlink src-nofollow dest-nofollow"
ACTIONS="KILL KILL_PROCESS KILL_THREAD TRAP ERRNO TRACE ALLOW LOG NOTIFY"
OPERATORS="NE LT LE EQ GE GT MASKED_EQ"
ARCHS="X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC
    PARISC64 RISCV64"
FLAGS="TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV"
POLICIES="OTHER FIFO RR BATCH ISO IDLE DEADLINE"
SCHED_FLAGS="RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX"
MEMORY_MODES="DEFAULT BIND INTERLEAVE WEIGHTED_INTERLEAVE PREFERRED PREFERRED_MANY LOCAL"
MEMORY_FLAGS="NUMA_BALANCING RELATIVE_NODES STATIC_NODES"
SIGNALS="HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG
    XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"

# in_features FILTER PREFIX WORD...: the list that the filter gives is exactly that.
in_features() {
    local filter=$1 prefix=$2
    shift 2
    ok features
    diff <(jq -r "$filter | .[]" "$OUT" | sort) <(printf "$prefix%s\n" "$@" | sort)
}

# accepted: check finds no mistake in the configuration.
accepted() {
    ctr check --bundle "$BUNDLE" --format json
    [ "$(jq '.problems | length' "$OUT")" -eq 0 ] || fail "$1: $output"
}

# honoured WORD PATH...: the container runs; or it does not, and the error has the word or one of the paths.
honoured() {
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ] || return 0
    local word
    for word; do
        [[ $stderr != *"$word"* ]] || { echo "# refused here: $stderr"; return 0; }
    done
    fail "$1: status $status, not refused by name"
}

# unknown FILTER PATH: with it the configuration has one mistake, there.
unknown() {
    cp "$BUNDLE/config.json" "$BUNDLE/good.json"
    edit_config "$1"
    ctr check --bundle "$BUNDLE"
    [ "$status" -eq 1 ] && [[ $output == "$2"* ]] || fail "$2: $output"
    fails 1 "$2" run --bundle "$BUNDLE" "$ID"
    mv "$BUNDLE/good.json" "$BUNDLE/config.json"
}

@test "vocabulary: namespaces" {
    # shellcheck disable=SC2086
    in_features .linux.namespaces '' $NAMESPACES
    local n
    for n in $NAMESPACES; do
        edit_config '.linux.namespaces = ([{type: "mount"}, {type: "pid"}, {type: $n}] | unique) | del(.hostname)
            | if $n == "user" then .linux.namespaces += [{type: "ipc"}, {type: "network"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}]
                | .linux.gidMappings = .linux.uidMappings else del(.linux.uidMappings, .linux.gidMappings) end' --arg n "$n"
        accepted "$n"
        honoured "$n" "$n"
    done
    edit_config 'del(.linux.uidMappings, .linux.gidMappings)'
    unknown '.linux.namespaces = [{type: "mount"}, {type: "PID"}]' 'linux.namespaces[1].type'
}

@test "vocabulary: hooks" {
    # shellcheck disable=SC2086
    in_features .hooks '' $HOOKS
    # An unknown member is ignored, as the specification says.
    edit_config '.hooks = {nosuch: [{path: "/nonexistent"}]}'
    honoured nosuch
}

@test "vocabulary: capabilities" {
    local c last n=0
    last=$(cat /proc/sys/kernel/cap_last_cap)
    # shellcheck disable=SC2086
    [ "$last" -ne 40 ] || in_features .linux.capabilities CAP_ $CAPABILITIES
    for c in $CAPABILITIES; do
        edit_config '.process.capabilities = {bounding: [$c], permitted: [$c], effective: [$c]}' --arg c "CAP_$c"
        run_sh 'while read -r k v; do case $k in CapBnd:) echo "$v"; esac; done </proc/self/status'
        [ "$status" -eq 0 ] || fail "CAP_$c"
        if [ "$output" = 0000000000000000 ]; then
            [[ ${stderr^^} == *"CAP_$c"* ]] || fail "CAP_$c: missing without a word"
        else
            [ "$((16#$output))" -eq $((1 << n)) ] || fail "CAP_$c: $output"
        fi
        n=$((n + 1))
    done
    unknown '.process.capabilities.bounding = ["CHOWN"]' 'process.capabilities.bounding[0]'
}

@test "vocabulary: resource limits" {
    local r
    for r in $RLIMITS; do
        edit_config '.process.rlimits = [{type: $r, soft: 0, hard: 0}]' --arg r "RLIMIT_$r"
        accepted "RLIMIT_$r"
    done
    # A limit of one that does not stop the shell itself has its effect.
    edit_config '.process.rlimits = [$ARGS.positional[] | {type: ("RLIMIT_" + .), soft: 0, hard: 0}]' \
        --args CORE LOCKS MEMLOCK MSGQUEUE NICE RTPRIO SIGPENDING
    run_sh 'cat /proc/self/limits'
    [ "$status" -eq 0 ]
    [ "$(grep -cE '^Max (core file size|file locks|locked memory|msgqueue size|nice priority|realtime priority|pending signals) +0 +0 ' "$OUT")" -eq 7 ]
    unknown '.process.rlimits = [{type: "RLIMIT_NOPE", soft: 0, hard: 0}]' 'process.rlimits[0].type'
}

@test "vocabulary: mount options" {
    # shellcheck disable=SC2086
    in_features .mountOptions '' $MOUNT_OPTIONS
    local o
    mkdir "$BATS_TEST_TMPDIR/src" "$BUNDLE/rootfs/opt"
    for o in $MOUNT_OPTIONS; do
        case $o in
        idmap | ridmap)
            edit_config '.mounts[7] = {destination: "/opt", type: "bind", source: $s, options: ["rbind", $o],
                uidMappings: [{containerID: 0, hostID: 0, size: 1}], gidMappings: [{containerID: 0, hostID: 0, size: 1}]}' \
                --arg o "$o" --arg s "$BATS_TEST_TMPDIR/src" ;;
        remount) edit_config '.mounts[7] = {destination: "/dev", options: ["remount", "nosuid"]}' ;;
        *-symlink | *-nofollow) edit_config '.mounts[7] = {destination: "/opt", type: "bind", source: $s, options: [$o]}' \
            --arg o "$o" --arg s "$BATS_TEST_TMPDIR/src" ;;
        *bind) edit_config '.mounts[7] = {destination: "/opt", source: $s, options: [$o]}' \
            --arg o "$o" --arg s "$BATS_TEST_TMPDIR/src" ;;
        *) edit_config '.mounts[7] = {destination: "/opt", type: "tmpfs", source: "tmpfs", options: [$o]}' --arg o "$o" ;;
        esac
        accepted "$o"
        honoured "$o" "options[0]: $o" "mounts[7]" "mount /opt"
    done
    edit_config '.mounts[7] = {destination: "/opt", type: "tmpfs", source: "tmpfs", options: ["nosuchoption"]}'
    fails 1 nosuchoption run --bundle "$BUNDLE" "$ID"
}

@test "vocabulary: seccomp actions, operators, architectures and flags" {
    # shellcheck disable=SC2086
    {
        in_features .linux.seccomp.actions SCMP_ACT_ $ACTIONS
        in_features .linux.seccomp.operators SCMP_CMP_ $OPERATORS
        in_features .linux.seccomp.knownFlags SECCOMP_FILTER_FLAG_ $FLAGS
    }
    local w
    for w in $ACTIONS; do
        edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapoff"], action: $w}]}
            | if $w == "SCMP_ACT_NOTIFY" then .linux.seccomp.listenerPath = "/nonexistent/socket" else . end' --arg w "SCMP_ACT_$w"
        accepted "$w"
        honoured "$w" "SCMP_ACT_$w" listenerPath /nonexistent/socket
    done
    for w in $OPERATORS; do
        edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapoff"],
            action: "SCMP_ACT_ERRNO", args: [{index: 0, value: 1, valueTwo: 1, op: $w}]}]}' --arg w "SCMP_CMP_$w"
        honoured "$w"
    done
    for w in $ARCHS; do
        edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: [$w]}' --arg w "SCMP_ARCH_$w"
        honoured "$w" "SCMP_ARCH_$w" linux.seccomp.architectures
    done
    for w in $FLAGS; do
        edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: [$w],
            syscalls: [{names: ["swapoff"], action: "SCMP_ACT_ERRNO"}]}' --arg w "SECCOMP_FILTER_FLAG_$w"
        accepted "$w"
        honoured "$w" "SECCOMP_FILTER_FLAG_$w"
    done
    edit_config 'del(.linux.seccomp)'
    unknown '.linux.seccomp = {defaultAction: "SCMP_ACT_NOPE"}' linux.seccomp.defaultAction
    unknown '.linux.seccomp = {defaultAction: "SCMP_ACT_LOG", architectures: ["SCMP_ARCH_NOPE"]}' 'linux.seccomp.architectures[0]'
    unknown '.linux.seccomp = {defaultAction: "SCMP_ACT_LOG", flags: ["SECCOMP_FILTER_FLAG_NOPE"]}' 'linux.seccomp.flags[0]'
}

@test "vocabulary: scheduling policies, their flags, I/O priority classes" {
    local w
    for w in $POLICIES; do
        edit_config '.process.scheduler = ({policy: $w} + (if $w == "SCHED_FIFO" or $w == "SCHED_RR" then {priority: 1}
            elif $w == "SCHED_DEADLINE" then {runtime: 1000000, deadline: 10000000, period: 10000000} else {} end))' \
            --arg w "SCHED_$w"
        accepted "$w"
        honoured "$w" "SCHED_$w" process.scheduler
    done
    for w in $SCHED_FLAGS; do
        edit_config '.process.scheduler = {policy: "SCHED_OTHER", flags: [$w]}' --arg w "SCHED_FLAG_$w"
        accepted "$w"
        honoured "$w" "SCHED_FLAG_$w" process.scheduler
    done
    edit_config 'del(.process.scheduler)'
    for w in RT BE IDLE; do
        edit_config '.process.ioPriority = {class: $w, priority: 3}' --arg w "IOPRIO_CLASS_$w"
        accepted "$w"
        honoured "$w" "IOPRIO_CLASS_$w" process.ioPriority
    done
    edit_config 'del(.process.ioPriority)'
    unknown '.process.scheduler = {policy: "SCHED_NOPE"}' process.scheduler.policy
    unknown '.process.scheduler = {policy: "SCHED_OTHER", flags: ["SCHED_FLAG_NOPE"]}' 'process.scheduler.flags[0]'
    unknown '.process.ioPriority = {class: "IOPRIO_CLASS_NONE"}' process.ioPriority.class
}

@test "vocabulary: memory policies" {
    [ -e /proc/self/numa_maps ] || skip 'this kernel knows no memory nodes'
    local w
    # shellcheck disable=SC2086
    {
        in_features .linux.memoryPolicy.modes MPOL_ $MEMORY_MODES
        in_features .linux.memoryPolicy.flags MPOL_F_ $MEMORY_FLAGS
    }
    for w in $MEMORY_MODES; do
        edit_config '.linux.memoryPolicy = ({mode: $w} + (if $w == "MPOL_DEFAULT" or $w == "MPOL_LOCAL" then {}
            else {nodes: "0"} end))' --arg w "MPOL_$w"
        accepted "$w"
        honoured "$w" "MPOL_$w"
    done
    for w in $MEMORY_FLAGS; do
        edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: [$w]}' --arg w "MPOL_F_$w"
        accepted "$w"
        honoured "$w" linux.memoryPolicy
    done
    edit_config 'del(.linux.memoryPolicy)'
    unknown '.linux.memoryPolicy = {mode: "MPOL_NOPE"}' linux.memoryPolicy.mode
}

@test "vocabulary: personalities and propagation" {
    local w
    for w in LINUX LINUX32; do
        edit_config '.linux.personality = {domain: $w}' --arg w "$w"
        accepted "$w"
        honoured "$w"
    done
    unknown '.linux.personality = {domain: "SVR4"}' linux.personality.domain
    unknown '.linux.personality = {domain: "LINUX", flags: ["X"]}' 'linux.personality.flags[0]'
    edit_config 'del(.linux.personality)'
    for w in private shared slave unbindable rprivate rshared rslave runbindable; do
        edit_config '.linux.rootfsPropagation = $w' --arg w "$w"
        accepted "$w"
        honoured "$w"
    done
    unknown '.linux.rootfsPropagation = "nope"' linux.rootfsPropagation
}

@test "vocabulary: signals, with and without SIG, in any case, by number, real-time ones" {
    local s
    for s in $SIGNALS RTMIN RTMIN+3 RTMAX-1 RTMAX; do
        fails 1 'container does not exist' kill "$ID" "$s"
        fails 1 'container does not exist' kill "$ID" "SIG$s"
    done
    fails 1 'container does not exist' kill "$ID" sigterm
    fails 1 'container does not exist' kill "$ID" 64
    for s in NOPE 65 -1 RTMAX+1 SIGSIGTERM; do
        ctr kill "$ID" "$s"
        [ "$status" -eq 1 ] && [[ $stderr != *'does not exist'* ]] || fail "$s was taken for a signal"
    done
}
