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

CTR=${CTR:-$BATS_TEST_DIRNAME/../../build/ctr}
case $CTR in /*) ;; *) CTR=$PWD/$CTR ;; esac
DEADLINE=${DEADLINE:-20}
# Options that every command gets: the cgroup driver, in the test machine.
CTR_GLOBALS=${CTR_GLOBALS:-}

setup() { common_setup; }
teardown() { common_teardown; }

common_setup() {
    ROOT=$BATS_TEST_TMPDIR/root
    BUNDLE=$BATS_TEST_TMPDIR/bundle
    # ends in a letter: the name of one test must not be the start of another's
    TESTID="t$$n${BATS_TEST_NUMBER}x"
    ID=$TESTID
    RUNS=0
    mounts >"$BATS_TEST_TMPDIR/mounts.before"
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
    end_leftovers
    return "$rc"
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
    output=$(cat "$OUT")
    stderr=$(cat "$ERR")
    echo "# ctr $* -> $status" >>"$BATS_TEST_TMPDIR/calls"
    return 0
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
    [ "$status" -eq "$want" ] || fail "ctr $*: status $status, not $want"
    [[ $stderr == *"$text"* ]] || fail "ctr $*: stderr does not say \"$text\""
}

# ctr with the terminal, in the foreground of a pty: keeps what it printed in $output.
ctr_tty() {
    status=0
    output=$(set -o pipefail && timeout --foreground -k 5 "$DEADLINE" script -qefc \
        "$(printf '%q ' "$CTR" --root "$ROOT" "$@")" /dev/null </dev/null 2>&1 3>&- | tr -d '\r') || status=$?
    return 0
}

# ---- bundles ----

# The root file system every bundle is copied from, made once, also when several files need it at the same time.
base_rootfs() {
    local base=${CTR_TEST_CACHE:-$BATS_RUN_TMPDIR}/rootfs
    [ -e "$base.ready" ] || (flock 9 && make_base_rootfs "$base") 9>"$base.lock"
    echo "$base"
}

make_base_rootfs() {
    local base=$1
    if [ ! -e "$base.ready" ]; then
        mkdir -p "$base"/{bin,dev,etc,proc,root,sys,tmp,usr,var,run,mnt,home}
        chmod 1777 "$base/tmp"
        cp "$(command -v busybox)" "$base/bin/busybox"
        busybox --list | python3 -c '
import os, sys
for name in sys.stdin.read().split():
    path = os.path.join(sys.argv[1], "bin", name)
    if not os.path.lexists(path):
        os.symlink("busybox", path)' "$base"
        ln -s bin "$base/sbin"
        ln -s ../bin "$base/usr/bin"
        printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'daemon:x:1:1:daemon:/:/bin/false' \
            'user:x:1000:1000:user:/home:/bin/sh' >"$base/etc/passwd"
        printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'tty:x:5:' 'extra:x:50:user' 'user:x:1000:' >"$base/etc/group"
        : >"$base.ready"
    fi
}

# make_bundle [DIR [SPEC OPTIONS...]]: a busybox bundle with the configuration that `ctr spec` writes, without a
# terminal and with a writable root. $BUNDLE is the default, and is what edit_config changes.
make_bundle() {
    BUNDLE=${1:-$BUNDLE}
    [ $# -eq 0 ] || shift
    mkdir -p "$BUNDLE"
    cp -a "$(base_rootfs)" "$BUNDLE/rootfs"
    ok spec --bundle "$BUNDLE" "$@"
    edit_config '.process.terminal = false | .root.readonly = false'
}

# edit_config FILTER [JQ OPTIONS...], e.g. edit_config '.process.args = ["/bin/true"]'
edit_config() {
    local filter=$1
    shift
    # from stdin: after --args every word is an argument of the filter
    jq "$filter" "$@" <"$BUNDLE/config.json" >"$BUNDLE/config.json.new" &&
        mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

# run_sh SCRIPT: runs the bundle in the foreground with a shell script as its process.
run_sh() {
    set_args /bin/sh -c "$1"
    ctr run --bundle "$BUNDLE" "$ID"
}

# set_args WORD...: what the container runs.
set_args() {
    jq '.process.args = $ARGS.positional' "$BUNDLE/config.json" --args -- "$@" >"$BUNDLE/config.json.new" &&
        mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

# ---- questions ----

# state_of ID [FIELD]: a field of `ctr state`, the status by default. Does not touch $output.
state_of() {
    timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" state "$1" 2>/dev/null | jq -r ".${2:-status}"
}

# wait_for SECONDS COMMAND...: until it succeeds. For what has no event that a shell could wait for.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "timed out: $*"
        sleep 0.02
    done
}

is_state() { [ "$(state_of "$1")" = "$2" ]; }
wait_state() { wait_for "${3:-10}" is_state "$1" "$2"; }

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

# Mount points of the host below the tests' directory; other people's come and go and are not our leaks.
mounts() {
    awk -v t="$BATS_RUN_TMPDIR" -v i="${TESTID:-none}" 'index($0, t) || index($0, i) { print $5 }' \
        /proc/self/mountinfo | sort
}

# Processes that this test's programs started, or that sit in a cgroup of this test's containers. Bats itself
# is not among them: it was started before the mark was set. Zombies have no exe.
leftover_pids() (
    : "${TESTID:?no mark}"
    export -n CTR_TEST_ID # or the programs of this pipe would find each other
    {
        grep -lsz "^CTR_TEST_ID=$TESTID\$" /proc/[0-9]*/environ
        grep -ls "/[^/]*$TESTID" /proc/[0-9]*/cgroup
    } 2>/dev/null | cut -d/ -f3 | sort -un | while read -r pid; do
        [ ! -e "/proc/$pid/exe" ] || echo "$pid"
    done
)

containers() {
    [ -d "$ROOT" ] || return 0
    timeout -k 5 "$DEADLINE" "$CTR" --root "$ROOT" list -q 2>/dev/null </dev/null 3>&-
}

delete_all() {
    local id
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
    mounts | sort -r | comm -13 "$BATS_TEST_TMPDIR/mounts.before" - 2>/dev/null | while read -r mnt; do
        umount -l "$mnt" 2>/dev/null || true
    done
    cgroup_dirs "$TESTID" | sort -r | while read -r dir; do
        rmdir "$dir" 2>/dev/null || true
    done
    return 0
}

# Every container has been deleted: nothing that ctr made may be left.
assert_leak_free() {
    local left bad=0
    left=$(containers)
    [ -z "$left" ] || { echo "containers left: $left"; bad=1; }
    # Names that start with a dot are ctr's own (locks, caches), not a container's.
    left=$([ ! -d "$ROOT" ] || find "$ROOT" -mindepth 1 -maxdepth 1 ! -name '.*')
    [ -z "$left" ] || { echo "state left: $left"; bad=1; }
    left=$(cgroup_dirs "$TESTID")
    [ -z "$left" ] || { echo "cgroups left: $left"; bad=1; }
    left=$(mounts | comm -13 "$BATS_TEST_TMPDIR/mounts.before" -)
    [ -z "$left" ] || { echo "mounts left: $left"; bad=1; }
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
