# SPDX-License-Identifier: Apache-2.0
#
# Helpers of the end-to-end tests. A test file starts with
#
#     load helpers
#
# and gets setup/teardown from here (a file with its own calls common_setup and common_teardown). Each
# test has for itself:
#
#     $ROOT      a state root (ctr is always called with it)
#     $TESTID    a word no other test has; container IDs start with it: $ID, or $ID-b, $ID-c ...
#     $BUNDLE    a busybox bundle, made by make_bundle
#
# and teardown fails when the test leaves anything behind: containers, state, cgroups, mounts, processes.
#
# What every test goes through starts as few programs as it can: in the test machine, whose processor is emulated, one
# costs 20 to 40 ms, and they were most of the time.

CTR=${CTR:-$BATS_TEST_DIRNAME/../../build/ctr}
case $CTR in /*) ;; *) CTR=$PWD/$CTR ;; esac
# Options that every command gets: the cgroup driver, in the test machine; with E2E_VM, the words that make every
# container a micro-VM ("--vm --accel tcg"), which boots before it does anything.
CTR_GLOBALS=${CTR_GLOBALS:-}
E2E_VM=${E2E_VM:-}
[ -z "$E2E_VM" ] || CTR_GLOBALS="$E2E_VM $CTR_GLOBALS"
DEADLINE=${DEADLINE:-$([ -z "$E2E_VM" ] && echo 20 || echo 120)}

setup() { common_setup; }
teardown() { common_teardown; }

common_setup() {
    [ -z "$E2E_VM" ] || skip_in_vm
    ROOT=$BATS_TEST_TMPDIR/root
    BUNDLE=$BATS_TEST_TMPDIR/bundle
    # ends in a letter: the name of one test must not be the start of another's
    TESTID="t$$n${BATS_TEST_NUMBER}x"
    ID=$TESTID
    RUNS=0
    mounts
    MOUNTS_BEFORE=("${MOUNTS[@]}")
    # script(1) gives its command to $SHELL, and what is quoted for it here is quoted for bash.
    export SHELL=/bin/bash
    # Marks every program that the test starts: the leftovers are found by it.
    export CTR_TEST_ID=$TESTID
}

# A test that failed is cleaned up after, and only then: what a passing test leaves is a failure of its own.
common_teardown() {
    # A setup that skipped before common_setup has made nothing; and without the mark, everything on the machine would
    # look like a leftover of the test.
    [ -n "${TESTID:-}" ] || return 0
    if [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -z "${BATS_TEST_SKIPPED:-}" ]; then
        show_logs
        delete_all
        end_leftovers
        return 0
    fi
    local rc=0
    delete_all
    assert_leak_free || rc=1
    assert_no_sanitizer_report || rc=1
    [ "$rc" -eq 0 ] || end_leftovers
    return "$rc"
}

# What cannot apply to a micro-VM is listed, each with its reason: FILE | TITLE PATTERN | REASON.
skip_in_vm() {
    local file title reason
    while IFS='|' read -r file title reason; do
        file=${file%% *} title=${title# } title=${title% }
        # shellcheck disable=SC2053 # a pattern
        if [[ ${BATS_TEST_FILENAME##*/} == "$file.bats" && $BATS_TEST_DESCRIPTION == $title ]]; then
            skip "not in a micro-VM:$reason"
        fi
    done < <(grep -v '^#' "$BATS_TEST_DIRNAME/../vm/not-in-vm.txt")
}

# ---- running ctr ----

# ctr ARGS...: runs it with the test's root and a deadline. Sets $status, $output (stdout), $stderr, and
# $OUT, $ERR, the files that keep them: what a detached container prints later is appended there.
# No pipe is used: a container that lives on would hold it open.
ctr() {
    RUNS=$((RUNS + 1))
    OUT=$BATS_TEST_TMPDIR/out.$RUNS
    ERR=$BATS_TEST_TMPDIR/err.$RUNS
    status=0
    timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" $CTR_GLOBALS "$@" <"${STDIN:-/dev/null}" \
        >>"$OUT" 2>>"$ERR" 3>&- || status=$?
    slurp output "$OUT"
    slurp stderr "$ERR"
    echo "# ctr $* -> $status" >>"$BATS_TEST_TMPDIR/calls"
    return 0
}

# slurp VARIABLE FILE: as VARIABLE=$(cat FILE), without a process: no NULs, no newlines at the end.
slurp() {
    local -a slurp_parts
    local slurp_text
    mapfile -d '' -t slurp_parts <"$2"
    printf -v slurp_text %s "${slurp_parts[@]}"
    while [[ $slurp_text == *$'\n' ]]; do slurp_text=${slurp_text%$'\n'}; done
    printf -v "$1" %s "$slurp_text"
}

# ok ARGS...: ctr must succeed. fails STATUS TEXT ARGS...: must end so, with TEXT in its one error line.
ok() {
    ctr "$@"
    [ "$status" -eq 0 ] || fail "ctr $*: status $status"
}

fails() {
    local want=$1 text=$2
    shift 2
    ctr "$@"
    # To ask for a micro-VM on the command line is a person's use, which has codes of its own for what failed.
    if [ -n "$E2E_VM" ] && [ "$1 $want" = "run 1" ] && [[ $status == 12[567] ]]; then
        want=$status
    fi
    [ "$status" -eq "$want" ] || fail "ctr $*: status $status, not $want"
    [[ $stderr == *"$text"* ]] || fail "ctr $*: stderr does not say \"$text\""
}

# ctr with the terminal, in the foreground of a pty: keeps what it printed in $output.
ctr_tty() {
    status=0
    output=$(set -o pipefail && timeout --foreground -k 5 "$DEADLINE" script -qefc \
        "$(printf '%q ' "$CTR" --root "$ROOT" $CTR_GLOBALS "$@")" /dev/null </dev/null 2>&1 3>&- | tr -d '\r') || status=$?
    return 0
}

# ---- bundles ----

# The root file system every bundle is copied from, made once, also when several files need it at the same time.
base_rootfs() {
    base_bundle
    echo "$BASE/rootfs"
}

# The bundle that make_bundle copies; sets $BASE.
base_bundle() {
    BASE=${CTR_TEST_CACHE:-$BATS_RUN_TMPDIR}/base
    [ -e "$BASE.ready" ] || (flock 9 && make_base) 9>"$BASE.lock"
}

make_base() {
    local root=$BASE/rootfs
    if [ ! -e "$BASE.ready" ]; then
        mkdir -p "$root"/{bin,dev,etc,proc,root,sys,tmp,usr,var,run,mnt,home}
        chmod 1777 "$root/tmp"
        cp "$(command -v busybox)" "$root/bin/busybox"
        busybox --list | python3 -c '
import os, sys
for name in sys.stdin.read().split():
    path = os.path.join(sys.argv[1], "bin", name)
    if not os.path.lexists(path):
        os.symlink("busybox", path)' "$root"
        ln -s bin "$root/sbin"
        ln -s ../bin "$root/usr/bin"
        printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'daemon:x:1:1:daemon:/:/bin/false' \
            'user:x:1000:1000:user:/home:/bin/sh' >"$root/etc/passwd"
        printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'tty:x:5:' 'extra:x:50:user' 'user:x:1000:' >"$root/etc/group"
        BUNDLE=$BASE
        write_config
        : >"$BASE.ready"
    fi
}

# The configuration that `ctr spec` writes, without a terminal and with a writable root.
write_config() {
    ok spec --bundle "$BUNDLE" "$@" && edit_config '.process.terminal = false | .root.readonly = false'
}

# make_bundle [DIR [SPEC OPTIONS...]]: a busybox bundle with write_config's configuration. $BUNDLE is the default, and is
# what edit_config changes.
make_bundle() {
    BUNDLE=${1:-$BUNDLE}
    [ $# -eq 0 ] || shift
    base_bundle
    if [ $# -eq 0 ]; then
        cp -aT "$BASE" "$BUNDLE"
    else
        mkdir -p "$BUNDLE"
        cp -a "$BASE/rootfs" "$BUNDLE/rootfs"
        write_config "$@"
    fi
}

# edit_config FILTER [JQ OPTIONS...], e.g. edit_config '.process.args = ["/bin/true"]'
edit_config() {
    local filter=$1 config
    shift
    # from stdin: after --args every word is an argument of the filter
    config=$(jq "$filter" "$@" <"$BUNDLE/config.json") && printf '%s\n' "$config" >"$BUNDLE/config.json"
}

# run_sh SCRIPT: runs the bundle in the foreground with a shell script as its process.
run_sh() {
    set_args /bin/sh -c "$1"
    ctr run --bundle "$BUNDLE" "$ID"
}

# set_args WORD...: what the container runs. As edit_config '.process.args = $ARGS.positional', and so done where the
# configuration does not look as jq writes it, or a word is no plain text.
set_args() {
    local text head tail word args=
    local start=$'\n    "args": [\n' end=$'\n    ]'
    slurp text "$BUNDLE/config.json"
    head=${text%%"$start"*}
    tail=${text:${#head}}
    for word; do
        word=${word//\\/\\\\}
        word=${word//\"/\\\"}
        word=${word//$'\n'/\\n}
        word=${word//$'\t'/\\t}
        args+=${args:+$',\n'}"      \"$word\""
        [[ $word != *[[:cntrl:]]* ]] || args=odd
        [ "$args" != odd ] || break
    done
    case $tail/$args in
    /* | */ | */odd) edit_config '.process.args = $ARGS.positional' --args -- "$@" ;;
    *) printf '%s\n' "$head$start$args$end${tail#*"$end"}" >"$BUNDLE/config.json" ;;
    esac
}

# ---- questions ----

# state_of ID [FIELD]: a field of `ctr state`, the status by default. Does not touch $output.
state_of() {
    local text field=${2:-status}
    text=$(timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" state "$1" 2>/dev/null)
    if [[ $text =~ $'\n  "'"$field"'": '(([0-9]+)|\"([A-Za-z0-9_/.:+-]*)\"),?$'\n' ]]; then
        echo "${BASH_REMATCH[2]}${BASH_REMATCH[3]}"
    else
        jq -r ".$field" <<<"$text"
    fi
}

# wait_for SECONDS COMMAND...: until it succeeds. For what has no event that a shell could wait for. The seconds are those
# of a machine that has nothing else to do: on a busy or an emulated one the same takes a multiple.
wait_for() {
    local end=$((SECONDS + $1 * ${WAIT_FACTOR:-4}))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { fail "timed out: $*"; return 1; }
        sleep 0.02
    done
}

is_state() { [ "$(state_of "$1")" = "$2" ]; }
wait_state() { wait_for "${3:-10}" is_state "$1" "$2"; }

# Whether the systemd driver is used, and what it calls the cgroup of a container with this ID then.
is_systemd() { [[ " $CTR_GLOBALS " == *" --systemd-cgroup "* ]]; }
leaf() { if is_systemd; then echo "ctr-$1.scope"; else echo "$1"; fi; }
# For tests that name the cgroup by a path. Names of units are tested by tests/vm/jobs/systemd-driver.
require_paths() { ! is_systemd || skip "the systemd driver takes SLICE:PREFIX:NAME, no path"; }
# A host of v2 alone; one that has it, alone or beside v1.
has_v2() { grep -q ' - cgroup2 ' /proc/self/mountinfo; }
is_cgroup2() { [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; }
# The directories that hold a cgroup of this name, in any hierarchy.
# Other tests' cgroups go away while find walks: that it says so is no failure.
cgroup_dirs() { find /sys/fs/cgroup -type d -name "*${1:?no mark}*" 2>/dev/null || true; }
# cgroup_file ID CONTROLLER V1FILE V2FILE: the path of a limit's file in the cgroup of a container.
cgroup_file() {
    local pid path
    pid=$(state_of "$1" pid)
    path=$(awk -F: -v c="$2" '{ n = split($2, a, ","); for (i = 1; i <= n; i++) if (a[i] == c) print $3 }' \
        "/proc/$pid/cgroup")
    if [ -n "$path" ]; then
        echo "/sys/fs/cgroup/$2$path/$3"
    else
        echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/$4"
    fi
}

require_root() { [ "$(id -u)" -eq 0 ] || skip "needs root"; }
require_program() { command -v "$1" >/dev/null || skip "$1 is not installed"; }

fail() {
    echo "$*" >&2
    return 1
}

# Text of the last call, for a failed test.
show_logs() {
    local f
    [ ! -e "$BATS_TEST_TMPDIR/calls" ] || cat "$BATS_TEST_TMPDIR/calls"
    for f in "${OUT:-}" "${ERR:-}"; do
        [ -z "$f" ] || [ ! -s "$f" ] || { echo "-- ${f##*/}:"; tail -n 40 "$f"; }
    done
}

# ---- what is left ----

# Mount points of the host below the tests' directory, to $MOUNTS; other people's come and go and are not our leaks.
mounts() {
    local line words lines
    MOUNTS=()
    mapfile -t lines </proc/self/mountinfo
    for line in "${lines[@]}"; do
        [[ $line == *"$BATS_RUN_TMPDIR"* || $line == *"${TESTID:-none}"* ]] || continue
        read -ra words <<<"$line"
        MOUNTS+=("${words[4]}")
    done
}

# The mount points that were not there before the test, to $LEFT; the newest first.
mounts_left() {
    local mnt
    local -A before=()
    for mnt in "${MOUNTS_BEFORE[@]}"; do before[$mnt]+=x; done
    mounts
    LEFT=()
    for mnt in "${MOUNTS[@]}"; do
        if [ -n "${before[$mnt]:-}" ]; then
            before[$mnt]=${before[$mnt]#x}
        else
            LEFT=("$mnt" "${LEFT[@]}")
        fi
    done
}

# Processes that this test's programs started, or that sit in a cgroup of this test's containers. Bats itself
# is not among them: it was started before the mark was set. Zombies have no exe.
leftover_pids() (
    : "${TESTID:?no mark}"
    export -n CTR_TEST_ID # or the programs of this pipe would find each other
    grep -lsz -e "^CTR_TEST_ID=$TESTID\$" -e "/[^/]*$TESTID" /proc/[0-9]*/environ /proc/[0-9]*/cgroup | while read -r file; do
        file=${file#/proc/}
        [ ! -e "/proc/${file%/*}/exe" ] || echo "${file%/*}"
    done
)

containers() {
    [ -d "$ROOT" ] || return 0
    timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" list -q 2>/dev/null </dev/null 3>&-
}

# What the state root holds, to $STATES. Names that start with a dot are ctr's own (locks, caches), not a container's.
states() {
    shopt -s nullglob
    STATES=("$ROOT"/*)
    shopt -u nullglob
}

delete_all() {
    local id
    states
    [ "${#STATES[@]}" -gt 0 ] || return 0
    for id in $(containers); do
        timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" delete --force "$id" </dev/null >/dev/null 2>&1 3>&- || true
    done
}

# After a failure only: nothing of this test may disturb the next one.
end_leftovers() {
    local pid dir mnt
    for pid in $(leftover_pids); do
        echo "ending leftover process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        kill -9 "$pid" 2>/dev/null || true
    done
    mounts_left
    for mnt in "${LEFT[@]}"; do umount -l "$mnt" 2>/dev/null || true; done
    cgroup_dirs "$TESTID" | sort -r | while read -r dir; do
        rmdir "$dir" 2>/dev/null || true
    done
    return 0
}

# Every container has been deleted: nothing that ctr made may be left.
assert_leak_free() {
    local left bad=0
    states
    [ "${#STATES[@]}" -eq 0 ] || { echo "state left: ${STATES[*]}; containers: $(containers)"; bad=1; }
    left=$(cgroup_dirs "$TESTID")
    [ -z "$left" ] || { echo "cgroups left: $left"; bad=1; }
    mounts_left
    [ "${#LEFT[@]}" -eq 0 ] || { echo "mounts left: ${LEFT[*]}"; bad=1; }
    left=$(leftover_pids)
    if [ -n "$left" ]; then
        # A process that was just told to end may need a moment to be gone.
        sleep 0.2
        left=$(leftover_pids)
    fi
    [ -z "$left" ] || { echo "processes left:"; ps -o pid,ppid,stat,args -p "$(echo "$left" | paste -sd,)"; bad=1; }
    return "$bad"
}

# A sanitizer's report in a child's stderr does not always reach the exit status.
assert_no_sanitizer_report() {
    local found
    found=$(grep -lsE 'ERROR: (Address|Leak)Sanitizer|: runtime error: ' "$BATS_TEST_TMPDIR"/err.* || true)
    [ -z "$found" ] || { echo "sanitizer report:"; cat "$found"; return 1; }
}
