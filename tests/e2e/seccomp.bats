#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# linux.seccomp: what a system call inside the container gives, action by action and operator by operator.
# The probe is getpriority(which, who): harmless, and EINVAL (22) tells that the kernel itself has answered.

load helpers

setup_file() {
    command -v gcc >/dev/null || skip "gcc is not installed"
    gcc -static -O1 -o "$BATS_FILE_TMPDIR/sc" "$BATS_TEST_DIRNAME/sc.c"
}

setup() {
    common_setup
    [ "$(uname -m)" = x86_64 ] || skip "knows the system call numbers of x86_64 only"
    make_bundle
    cp "$BATS_FILE_TMPDIR/sc" "$BUNDLE/rootfs/bin/sc"
}

GETPRIORITY=140
GETPRIORITY_32=96

# filter FILTER: linux.seccomp, as jq writes it.
filter() { edit_config ".linux.seccomp = $1"; }

# one_rule REST: getpriority with that action, all else allowed.
one_rule() { filter "{defaultAction: \"SCMP_ACT_ALLOW\", syscalls: [{names: [\"getpriority\"], $1}]}"; }

# sc ARGS...: what the call said.
sc() {
    set_args /bin/sc "$@"
    ctr run --bundle "$BUNDLE" "$ID"
}

# says TEXT ARGS...
says() {
    local want=$1
    shift
    sc "$@"
    [ "$status" -eq 0 ] && [ "$output" = "$want" ] || fail "sc $*: \"$output\" (status $status), not \"$want\""
}

cache_entry() { find "$ROOT" -mindepth 2 -path '*/.*/*' -type f | head -n 1; }

@test "seccomp: without a filter none is there" {
    says "errno 22" $GETPRIORITY 99
    says ok $GETPRIORITY 0
    set_args /bin/grep '^Seccomp:' /proc/self/status
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'Seccomp:\t0' ]
}

@test "seccomp: ERRNO gives EPERM, or the number asked for" {
    one_rule 'action: "SCMP_ACT_ERRNO"'
    says "errno 1" $GETPRIORITY 0
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    says "errno 77" $GETPRIORITY 0
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 4096'
    fails 1 errnoRet run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: KILL, KILL_THREAD and KILL_PROCESS end the process with SIGSYS" {
    local action
    for action in SCMP_ACT_KILL SCMP_ACT_KILL_THREAD SCMP_ACT_KILL_PROCESS; do
        one_rule "action: \"$action\""
        sc $GETPRIORITY 0
        [ "$status" -eq 159 ] || fail "$action: $status"
        [ -z "$output" ]
    done
    # a handler does not save from it
    sc -t $GETPRIORITY 0
    [ "$status" -eq 159 ]
}

@test "seccomp: TRAP raises a SIGSYS that can be handled" {
    one_rule 'action: "SCMP_ACT_TRAP"'
    says "trap $GETPRIORITY" -t $GETPRIORITY 0
    sc $GETPRIORITY 0
    [ "$status" -eq 159 ]
}

@test "seccomp: LOG allows, TRACE without a tracer is ENOSYS" {
    one_rule 'action: "SCMP_ACT_LOG"'
    says ok $GETPRIORITY 0
    one_rule 'action: "SCMP_ACT_TRACE", errnoRet: 5'
    says "errno 38" $GETPRIORITY 0
}

@test "seccomp: LOG and ALLOW as default action" {
    filter '{defaultAction: "SCMP_ACT_LOG", syscalls: [{names: ["getpriority"], action: "SCMP_ACT_ERRNO", errnoRet: 3}]}'
    says "errno 3" $GETPRIORITY 0
    says "errno 9" 3 9999
}

# op_case OP VALUE TWO HIT MISS
op_case() {
    local rule="index: 0, value: $(($2)), op: \"SCMP_CMP_$1\"" arg
    [ "$3" = - ] || rule+=", valueTwo: $(($3))"
    one_rule "action: \"SCMP_ACT_ERRNO\", errnoRet: 77, args: [{$rule}]"
    set_args /bin/sh -c "for a in $4; do echo \"hit \$a: \$(sc $GETPRIORITY \$a)\"; done
        for a in $5; do echo \"miss \$a: \$(sc $GETPRIORITY \$a)\"; done"
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    ! grep '^hit' "$OUT" | grep -v 'errno 77$' || fail "$1 does not match what it should"
    ! grep '^miss' "$OUT" | grep 'errno 77$' || fail "$1 matches what it should not"
}

@test "seccomp: the seven operators, on all 64 bits of an argument" {
    op_case NE 7 - "0 8 0x100000007" "7"
    op_case EQ 7 - "7" "0 8 0x100000007"
    op_case LT 0x100000005 - "0 5 0x100000004" "0x100000005 0x200000000"
    op_case LE 0x100000005 - "0 0xffffffff 0x100000005" "0x100000006 0xffffffffffffffff"
    op_case GT 0x100000005 - "0x100000006 0xffffffffffffffff" "0 0xffffffff 0x100000005"
    op_case GE 0x100000005 - "0x100000005 0x200000000" "0 6 0x100000004"
    op_case MASKED_EQ 0xf0 0x30 "0x30 0x3f 0xf30 0x100000030" "0x40 0 0x70"
}

@test "seccomp: conditions on two arguments must both hold; on one argument either" {
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77, args: [
        {index: 0, value: 9, op: "SCMP_CMP_EQ"}, {index: 1, value: 3, op: "SCMP_CMP_EQ"}]'
    says "errno 77" $GETPRIORITY 9 3
    says "errno 22" $GETPRIORITY 9 4
    says "errno 22" $GETPRIORITY 8 3
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77, args: [
        {index: 0, value: 9, op: "SCMP_CMP_EQ"}, {index: 0, value: 11, op: "SCMP_CMP_EQ"}]'
    says "errno 77" $GETPRIORITY 9
    says "errno 77" $GETPRIORITY 11
    says "errno 22" $GETPRIORITY 10
}

@test "seccomp: the sixth argument is reached, a seventh is refused" {
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77, args: [{index: 5, value: 6, op: "SCMP_CMP_EQ"}]'
    says "errno 77" $GETPRIORITY 99 2 3 4 5 6
    says "errno 22" $GETPRIORITY 99 2 3 4 5 7
    one_rule 'action: "SCMP_ACT_ERRNO", args: [{index: 6, value: 6, op: "SCMP_CMP_EQ"}]'
    fails 1 'index' run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: a call by the 32-bit entry is killed unless its architecture is listed, then filtered" {
    [ "$("$BATS_FILE_TMPDIR/sc" -32 $GETPRIORITY_32 99)" = "errno 22" ] || skip "this kernel has no 32-bit entry"
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    edit_config '.linux.seccomp.architectures = ["SCMP_ARCH_X86_64"]'
    says "errno 77" $GETPRIORITY 0
    sc -32 $GETPRIORITY_32 0
    [ "$status" -eq 159 ]
    edit_config '.linux.seccomp.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]'
    says "errno 77" -32 $GETPRIORITY_32 0
    says "errno 77" $GETPRIORITY 0
    edit_config '.linux.seccomp.architectures = ["SCMP_ARCH_PDP11"]'
    fails 1 'linux.seccomp.architectures' run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: flags reach the kernel, unknown ones are refused" {
    require_program strace
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    edit_config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]'
    printf '#!/bin/sh\nexec strace -f -qq -s 0 -e trace=seccomp -o "%s" "%s" "$@"\n' "$BATS_TEST_TMPDIR/trace" "$CTR" \
        >"$BATS_TEST_TMPDIR/traced"
    chmod 755 "$BATS_TEST_TMPDIR/traced"
    # the sanitizer of leaks does not work below ptrace
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 CTR=$BATS_TEST_TMPDIR/traced says "errno 77" $GETPRIORITY 0
    grep SECCOMP_SET_MODE_FILTER "$BATS_TEST_TMPDIR/trace" | grep '= 0$' |
        grep SECCOMP_FILTER_FLAG_LOG | grep SECCOMP_FILTER_FLAG_SPEC_ALLOW | grep SECCOMP_FILTER_FLAG_TSYNC
    # said nothing, and said that there are none
    local flags
    for flags in null '[]'; do
        : >"$BATS_TEST_TMPDIR/trace"
        edit_config '.linux.seccomp.flags = $f | if $f == null then del(.linux.seccomp.flags) else . end' --argjson f "$flags"
        ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 CTR=$BATS_TEST_TMPDIR/traced says "errno 77" $GETPRIORITY 0
        if [ "$flags" = null ]; then
            grep 'SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, .* = 0$' "$BATS_TEST_TMPDIR/trace"
        else
            grep 'SECCOMP_SET_MODE_FILTER, 0, .* = 0$' "$BATS_TEST_TMPDIR/trace"
        fi
    done
    edit_config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_FUN"]'
    fails 1 'linux.seccomp.flags' run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: works with and without noNewPrivileges, for root and a user without capabilities" {
    local nnp
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    for nnp in true false; do
        edit_config ".process.noNewPrivileges = $nnp | .process.user = {uid: 0, gid: 0}"
        says "errno 77" $GETPRIORITY 0
        edit_config '.process.user = {uid: 1000, gid: 1000}'
        says "errno 77" $GETPRIORITY 0
        set_args /bin/grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status
        ok run --bundle "$BUNDLE" "$ID"
        [ "$output" = $'NoNewPrivs:\t'"$([ $nnp = true ] && echo 1 || echo 0)"$'\nSeccomp:\t2' ]
    done
}

@test "seccomp: with noNewPrivileges the filter comes last: it may forbid what setting up needs" {
    edit_config '.process.noNewPrivileges = true'
    filter '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["setresuid", "setresgid", "setgroups", "capset",
        "chdir", "fchdir", "mount", "prctl", "openat2", "write"], action: "SCMP_ACT_ERRNO", errnoRet: 77}]}'
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
}

@test "seccomp: a name that no library knows is passed over, an unknown action or operator refused" {
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    edit_config '.linux.seccomp.syscalls[0].names += ["call_of_next_year"]'
    says "errno 77" $GETPRIORITY 0
    one_rule 'action: "SCMP_ACT_FUN"'
    fails 1 'linux.seccomp.syscalls[0].action' run --bundle "$BUNDLE" "$ID"
    one_rule 'action: "SCMP_ACT_ERRNO", args: [{index: 0, value: 1, op: "SCMP_CMP_FUN"}]'
    fails 1 'linux.seccomp.syscalls[0].args[0].op' run --bundle "$BUNDLE" "$ID"
    filter '{syscalls: []}'
    fails 1 'linux.seccomp.defaultAction' run --bundle "$BUNDLE" "$ID"
}

# ---- a real profile ----

default_profile() {
    edit_config '.linux.seccomp = $p[0]' --slurpfile p "$BATS_TEST_DIRNAME/../data/seccomp-default.json"
}

@test "default profile: busybox works, what is not listed is refused, what is newer is ENOSYS" {
    default_profile
    set_args /bin/sh -c 'mkdir /tmp/d && cd /tmp/d && seq 1 1000 | sort -n | tail -n 1 >f && cat f && ls -l / >/dev/null &&
        (sleep 0.01 & wait) && date >/dev/null && id -u && ps >/dev/null && rm -r /tmp/d'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'1000\n0' ]
    says "errno 1" 165                # mount
    says "errno 1" 250                # keyctl
    says "errno 1" 321                # bpf
    says "errno 1" 323                # userfaultfd
    says "errno 1" 41 40 1 0          # socket: vsock
    says "errno 1" 56 0x10000000      # clone: a user namespace
    says "errno 38" 435 0 0           # clone3
    says ok 135 0xffffffff            # personality: asked for
    says "errno 1" 135 0x400000       # personality: READ_IMPLIES_EXEC
    says "errno 38" 1900              # of a kernel to come
}

@test "default profile: the host's own shell and programs run, with threads and sockets" {
    [ -x /bin/bash ] && [ -e /lib64/ld-linux-x86-64.so.2 ] || skip "needs a glibc host with bash"
    default_profile
    local dir
    for dir in usr bin lib lib64; do
        rm -rf "${BUNDLE:?}/rootfs/$dir"
        mkdir "$BUNDLE/rootfs/$dir"
        edit_config '.mounts += [{destination: ("/" + $d), type: "bind", source: $s, options: ["rbind", "ro"]}]' \
            --arg d "$dir" --arg s "$(readlink -f "/$dir")"
    done
    set_args /bin/bash -c 'set -e; a=(1 2 3); echo "${#a[@]}"; sort -R --parallel=2 <(seq 1 50000) | wc -l
        ls -lR /etc >/dev/null; grep -c root /etc/passwd; exec 3<>/dev/null; tar c /etc | tar t | grep -c passwd'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'3\n50000\n1\n1' ]
}

# ---- the cache of compiled programs ----

@test "cache: the second run uses what the first has compiled" {
    default_profile
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    local entry before
    entry=$(cache_entry)
    [ -s "$entry" ]
    [ "$(stat -c %a "$entry")" = 600 ]
    [ "$(stat -c %a "$(dirname "$entry")")" = 700 ]
    before=$(stat -c '%i %Y %Z %s' "$entry")
    says "errno 1" 165
    [ "$(stat -c '%i %Y %Z %s' "$entry")" = "$before" ]
    [ "$(find "$(dirname "$entry")" -type f | wc -l)" -eq 1 ]
    # another filter is another entry
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    says "errno 77" $GETPRIORITY 0
    [ "$(find "$(dirname "$entry")" -type f | wc -l)" -eq 2 ]
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 78'
    says "errno 78" $GETPRIORITY 0
}

@test "cache: a damaged entry is ignored and replaced" {
    one_rule 'action: "SCMP_ACT_ERRNO", errnoRet: 77'
    says "errno 77" $GETPRIORITY 0
    local entry good size
    entry=$(cache_entry)
    good=$(md5sum <"$entry")
    size=$(stat -c %s "$entry")
    damage() {
        case $1 in
        empty) : >"$entry" ;;
        short) truncate -s $((size - 8)) "$entry" ;;
        long) head -c 64 /dev/zero >>"$entry" ;;
        flipped) printf '\377' | dd of="$entry" bs=1 seek=$((size - 3)) conv=notrunc 2>/dev/null ;;
        head) printf 'XXXXXXXX' | dd of="$entry" bs=1 conv=notrunc 2>/dev/null ;;
        noise) head -c "$size" /dev/urandom >"$entry" ;;
        link) rm "$entry" && ln -s /etc/passwd "$entry" ;;
        esac
    }
    local how
    for how in empty short long flipped head noise link; do
        damage "$how"
        says "errno 77" $GETPRIORITY 0
        [ -z "$stderr" ]
        [ "$(md5sum <"$entry")" = "$good" ] || fail "$how: not replaced"
    done
    [ ! -L "$entry" ]
    # no cache at all is no failure
    rm -rf "$(dirname "$entry")"
    says "errno 77" $GETPRIORITY 0
}
