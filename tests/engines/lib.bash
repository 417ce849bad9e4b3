# SPDX-License-Identifier: Apache-2.0
#
# Helpers of the tests with real engines. A test file starts its engine in setup_file on a private directory, with
# private sockets and in a network namespace of its own, and stops it in teardown_file by pid.
#
#     $RUNTIME   the runtime under test: ctr, or runc as the control
#     $E         the private directory of the engine (short: sockets are in it)
#     $CGPARENT  the cgroup that the engine's containers are below
#     $C         a container name that no other test has
#
# eng ARGS... calls the engine's client (the test file says how: client_cmd), and sets $status, $output, $stderr.

# The distribution's engines, whatever else there is on this machine.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
CTR=${CTR:-$BATS_TEST_DIRNAME/../../build/ctr}
case $CTR in /*) ;; *) CTR=$PWD/$CTR ;; esac
RUNTIME=${RUNTIME:-ctr}
DEADLINE=${DEADLINE:-90}
CONSOLE=$BATS_TEST_DIRNAME/../e2e/console.py
# Go's programs take a moment each: fewer collections are a noticeable part of the time.
export LC_ALL=C.UTF-8 GOGC=400 CTR RUNTIME

# The program of the runtime under test.
runtime_path() {
    case $RUNTIME in
    ctr) echo "$CTR" ;;
    *) command -v "$RUNTIME" ;;
    esac
}

fail() {
    echo "$*" >&2
    return 1
}

# ---- the engine ----

engine_setup() {
    [ "$(id -u)" -eq 0 ] || engine_skip "needs root"
    E=$(mktemp -d "${ENGINES_DIR:-/tmp}/e.XXXXXX")
    CGPARENT=ctr-engines-${E##*.}
    export E CGPARENT
    # The holder of the network namespace: bridges, rules and addresses of the engine end with it.
    unshare -n sh -c 'ip link set lo up; : >"$1/net.ready"; exec sleep 100000' sh "$E" >/dev/null 2>&1 3>&- &
    NET_PID=$!
    export NET_PID
    wait_for 20 test -e "$E/net.ready"
}

# A file of tests that cannot run here: each of them is skipped, with the reason.
engine_skip() { export ENGINE_SKIP=$1; }

in_net() { nsenter --net="/proc/$NET_PID/ns/net" -- "$@"; }

# spawn LOG COMMAND...: in the background, in the engine's network namespace; the pid is in $!.
spawn() {
    local log=$1
    shift
    setsid nsenter --net="/proc/$NET_PID/ns/net" -- "$@" </dev/null >>"$log" 2>&1 3>&- &
}

# stop_pid PID [SECONDS]: tells it to end, and ends it when it does not.
stop_pid() {
    local end=$((SECONDS + ${2:-40}))
    kill "$1" 2>/dev/null || return 0
    while [ -e "/proc/$1/exe" ] && [ "$SECONDS" -lt "$end" ]; do sleep 0.05; done
    kill -9 "$1" 2>/dev/null || true
}

# What names the private directory on its command line is the engine's, and started by this file.
engine_pids() { grep -lsF -- "$E/" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | grep -vx "$$" || true; }

engine_teardown() {
    local pid mnt dir
    [ -n "${E:-}" ] || return 0
    for pid in $(engine_pids); do
        # not the tests themselves, which may be called with a file in it
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        containerd* | dockerd | conmon | podman | buildah | runc* | crun | ctr* | docker*) kill -9 "$pid" 2>/dev/null ;;
        esac
    done
    [ -z "${NET_PID:-}" ] || kill "$NET_PID" 2>/dev/null
    awk -v t="$E/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mnt; do
        umount -l "$mnt" 2>/dev/null
    done
    find /sys/fs/cgroup -depth -type d -path "*/$CGPARENT*" 2>/dev/null | while read -r dir; do
        rmdir "$dir" 2>/dev/null
    done
    [ -n "${KEEP_TMP:-}" ] || rm -rf --one-file-system "$E"
    return 0
}

# ---- images ----

# The busybox root file system that images are made of, as a tar file.
image_tar() {
    local r=$E/rootfs name
    if [ ! -e "$E/image.tar" ]; then
        mkdir -p "$r"/{bin,dev,etc,proc,root,sys,tmp,usr,var,run,mnt,home/user,www}
        chmod 1777 "$r/tmp"
        cp "$(command -v busybox)" "$r/bin/busybox"
        for name in $(busybox --list); do
            [ -e "$r/bin/$name" ] || ln -s busybox "$r/bin/$name"
        done
        printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'daemon:x:1:1:daemon:/:/bin/false' \
            'user:x:1000:1000:user:/home/user:/bin/sh' >"$r/etc/passwd"
        printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'tty:x:5:' 'extra:x:50:user' 'user:x:1000:' >"$r/etc/group"
        chown 1000:1000 "$r/home/user"
        echo one >"$r/www/version"
        tar -C "$r" -cf "$E/image.tar" .
    fi
    echo "$E/image.tar"
}

# A Debian tree with nginx and redis, from Debian's packages; kept in $ENGINES_CACHE when that is set.
services_tar() {
    local tar=${ENGINES_CACHE:-$E}/services.tar
    mkdir -p "${tar%/*}"
    if [ ! -s "$tar" ]; then
        timeout -k 10 400 mmdebstrap --mode=root --variant=extract \
            --include=nginx-light,redis-server,dash,coreutils,grep,sed,base-files,hostname \
            "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "${tar%.tar}.new.tar" >"$E/mmdebstrap.log" 2>&1 3>&- || return 1
        mv "${tar%.tar}.new.tar" "$tar"
    fi
    echo "$tar"
}

# ---- calling the client ----

# eng ARGS...: calls the client. Never through a pipe: what lives on would hold it open.
eng() {
    CALLS=$((${CALLS:-0} + 1))
    OUT=$BATS_TEST_TMPDIR/out.$CALLS
    ERR=$BATS_TEST_TMPDIR/err.$CALLS
    status=0
    client_cmd "$@" <"${STDIN:-/dev/null}" >"$OUT" 2>"$ERR" 3>&- || status=$?
    output=$(tr -d '\0' <"$OUT")
    stderr=$(tr -d '\0' <"$ERR")
    echo "# $* -> $status" >>"$BATS_TEST_TMPDIR/calls"
    return 0
}

# ok ARGS...: it must succeed. fails STATUS TEXT ARGS...: it must end so, with TEXT in stderr.
ok() {
    eng "$@"
    [ "$status" -eq 0 ] || fail "$*: status $status: $stderr"
}

fails() {
    local want=$1 text=$2
    shift 2
    eng "$@"
    [ "$status" -eq "$want" ] || fail "$*: status $status, not $want: $stderr"
    [[ $stderr == *"$text"* ]] || fail "$*: stderr does not say \"$text\": $stderr"
}

# says TEXT: the last call printed exactly that. has TEXT: it is a part of it.
says() { [ "$output" = "$1" ] || fail "printed \"$output\", not \"$1\" ($stderr)"; }
has() { [[ $output == *"$1"* ]] || fail "\"$1\" is not in \"$output\" ($stderr)"; }
lacks() { [[ $output != *"$1"* ]] || fail "\"$1\" is in \"$output\""; }

# quiet ARGS...: the client's output alone, for use in $( ) and in conditions.
quiet() { client_cmd "$@" </dev/null 2>/dev/null 3>&-; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        # not only fail: where the caller handles the failure, the shell does not end here by itself
        [ "$SECONDS" -lt "$end" ] || { fail "timed out: $*"; return 1; }
        sleep 0.05
    done
}

# field NAME TEMPLATE VALUE: the engine's inspect says that.
field_is() { [ "$(quiet inspect -f "$2" "$1")" = "$3" ]; }
wait_field() { wait_for "${4:-60}" field_is "$1" "$2" "$3"; }

# logs_have NAME TEXT
logs_have() { [[ $(quiet logs "$1" 2>&1) == *"$2"* ]]; }
wait_logs() { wait_for "${3:-60}" logs_have "$1" "$2"; }

# tty_script LINE...: drives the client under a terminal: `tty CLIENT ARGS...` before it says what is called.
# The lines are those of console.py; the exit status of the client is in $output.
tty() {
    TTY_CALL=("$@")
}
tty_script() {
    TTY_LOG=$BATS_TEST_TMPDIR/tty.$RANDOM
    status=0
    output=$(printf '%s\n' "$@" | DEADLINE=60 python3 "$CONSOLE" drive "$TTY_LOG" "${TTY_CALL[@]}" 2>&1 3>&-) || status=$?
    [ "$status" -eq 0 ] || fail "terminal: $output; log: $(cat -v "$TTY_LOG")"
}

# ---- limits inside, for both versions of cgroups ----

is_cgroup2() { [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; }
# cg CONTROLLER V1FILE V2FILE: where a container sees its limit.
cg() { if is_cgroup2; then echo "/sys/fs/cgroup/$3"; else echo "/sys/fs/cgroup/$1/$2"; fi; }

# ---- the control ----

# same_as_control NAME: what is on stdin is the same with the runtime under test as with the control.
same_as_control() {
    local dir=${CONTROL_DIR:-}
    [ -n "$dir" ] || { cat >/dev/null; return 0; }
    cat >"$dir/$1.$RUNTIME"
    [ "$RUNTIME" = runc ] || [ ! -e "$dir/$1.runc" ] || diff "$dir/$1.runc" "$dir/$1.$RUNTIME"
}

# result TEXT: a number for the summary of the run.
result() {
    echo "# $*" >&3
    [ -z "${RESULTS:-}" ] || echo "$RUNTIME: $*" >>"$RESULTS"
}

# ---- each test ----

engine_test_setup() {
    [ -z "${ENGINE_SKIP:-}" ] || skip "$ENGINE_SKIP"
    C=c$BATS_TEST_NUMBER
    CALLS=0
    # conmon leaves a file where it was started
    cd "$E" || return 1
}

# After a failure: what was called, and the last words of the engine.
show_calls() {
    [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -z "${BATS_TEST_SKIPPED:-}" ] || return 0
    cat "$BATS_TEST_TMPDIR/calls" 2>/dev/null || true
    [ ! -e "$E/log" ] || { echo "-- the engine's log:"; grep -v 'level=\(info\|debug\)' "$E/log" | tail -n 3; }
}

# With no container left, nothing of one is left: cgroups, states of the runtime.
assert_nothing_left() {
    local left
    wait_for 20 no_cgroups_left || { fail "cgroups left: $(cgroups_left)"; return 1; }
    [ -n "${1:-}" ] && [ -d "$1" ] || return 0
    left=$(find "$1" -mindepth 1 -maxdepth 1 ! -name '.*')
    [ -z "$left" ] || fail "state left: $left"
}
# Podman keeps a cgroup for its own conmon.
cgroups_left() { find /sys/fs/cgroup -mindepth 2 -type d -path "*/$CGPARENT/*" ! -name conmon 2>/dev/null; }
no_cgroups_left() { [ -z "$(cgroups_left)" ]; }
