#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: own network
#
# ctr is killed in the middle of its work, at one system call after the other (strace's fault injection: no
# timing is involved). Afterwards `delete --force` must find everything that it had made.

load helpers

setup() {
    common_setup
    require_root
    require_program strace
    # The leak check needs ptrace for itself.
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
    killed=0
    STEP=1
    # A sanitizer makes every start slow: fewer of the same places then.
    ! grep -qa __asan_init "$CTR" || STEP=7
}

# Calls that change nothing outside of the process: a kill there is a kill at the next call that does.
quiet='^(close|read|pread64|newfstatat|fstat|statfs|fcntl|geteuid|getuid|getpid|gettid|brk|mmap|munmap|mprotect|'
quiet+='access|readlink|lseek|prlimit64|getrandom|rt_sigaction|madvise|futex|sched_.*|exit_group|execve.*)$'

# places FIRST ARGS...: "CALL N" for each system call of `ctr ARGS` from the first line that matches FIRST on,
# in their order; N counts the calls of that name.
places() {
    local first=$1 trace=$BATS_TEST_TMPDIR/trace
    shift
    timeout -k 5 "$DEADLINE" strace -o "$trace" "$CTR" --root "$ROOT" "$@" </dev/null >/dev/null 2>&1 3>&- ||
        fail "ctr $* under strace: $?"
    awk -F'(' -v first="$first" -v quiet="$quiet" -v step="$STEP" '
        !/^[a-z_0-9]+\(/ { next }
        { n[$1]++ }
        $0 ~ first { on = 1 }
        on && $1 !~ quiet && count++ % step == 0 { print $1, n[$1] }' "$trace"
}

# killed_at CALL N ARGS...: runs ctr and kills it when it is about to do so. Counts in $killed.
killed_at() {
    local call=$1 n=$2
    shift 2
    timeout -k 5 "$DEADLINE" strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=SIGKILL:when=$n" \
        "$CTR" --root "$ROOT" "$@" </dev/null >/dev/null 2>&1 3>&- || [ $? -ne 137 ] || killed=$((killed + 1))
}

nothing_left() {
    local left
    left=$(find "$ROOT" -mindepth 1 -maxdepth 1 ! -name '.*')
    [ -z "$left" ] || fail "$1: state left: $left: $(ls -A "$left")"
    left=$(cgroup_dirs "$TESTID")
    [ -z "$left" ] || fail "$1: cgroups left: $left"
}

# kill_everywhere FIRST ARGS...: at each place, and `delete --force` after it.
kill_everywhere() {
    local first=$1 call n list=$BATS_TEST_TMPDIR/places
    shift
    # Once before: the first run makes what all later ones find (the root, a cache).
    ok "$@"
    ok delete --force "$ID"
    places "$first" "$@" >"$list"
    ok delete --force "$ID"
    while read -r call n <&4; do
        killed_at "$call" "$n" "$@"
        ok delete --force "$ID"
        nothing_left "$call $n"
    done 4<"$list"
    # The last few of a call may not be reached: what is there already is not made again.
    [ "$killed" -gt $(($(wc -l <"$list") * 2 / 3)) ] || fail "only $killed of $(wc -l <"$list") were killed"
}

@test "create killed at every system call: delete --force leaves nothing" {
    make_bundle
    set_args /bin/sleep 1000
    kill_everywhere '^mkdirat.*"'"$ID"'"' create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
}

@test "run killed at every system call: delete --force leaves nothing" {
    make_bundle
    set_args /bin/true
    # create's part has been seen to: from the child's start on
    kill_everywhere '^clone3' run --bundle "$BUNDLE" "$ID"
}

@test "run --detach with a user namespace and hooks, killed at every system call: delete --force leaves nothing" {
    make_bundle
    edit_config '.linux.namespaces += [{type: "user"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
        | .hooks.createRuntime = [{path: "/bin/true"}] | .hooks.poststart = [{path: "/bin/true"}]'
    chown -R 100000:100000 "$BUNDLE/rootfs"
    chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" 2>/dev/null || true
    set_args /bin/sleep 1000
    kill_everywhere '^clone3' run --detach --bundle "$BUNDLE" "$ID"
}

@test "an OS clone killed at every system call: delete --force leaves nothing" {
    kill_everywhere '^clone3' run --clone --detach "$ID" sleep 1000
}

@test "delete killed at every system call: a second one finishes" {
    make_bundle
    set_args /bin/sleep 1000
    local call n list=$BATS_TEST_TMPDIR/places
    ok run --detach --bundle "$BUNDLE" "$ID"
    places '^flock' delete --force "$ID" >"$list"
    while read -r call n <&4; do
        ok run --detach --bundle "$BUNDLE" "$ID"
        killed_at "$call" "$n" delete --force "$ID"
        ok delete --force "$ID"
        nothing_left "$call $n"
    done 4<"$list"
}

@test "delete killed at every system call: what is left of a stopped container goes with a plain delete" {
    make_bundle
    set_args /bin/true
    local call n list=$BATS_TEST_TMPDIR/places
    ok run --keep --bundle "$BUNDLE" "$ID"
    places '^flock' delete "$ID" >"$list"
    while read -r call n <&4; do
        ok run --keep --bundle "$BUNDLE" "$ID"
        killed_at "$call" "$n" delete "$ID"
        # at its very end it is no container any more, or there is nothing but the directory
        if [ -e "$ROOT/$ID/state.json" ]; then
            is_state "$ID" stopped
            ok list -q
            [ "$output" = "$ID" ] || fail "$call $n: list: $output"
            ok delete "$ID"
        fi
        [ "$(ls "$ROOT/$ID" 2>/dev/null)" = "" ] || fail "$call $n: left without a state: $(ls "$ROOT/$ID")"
        ok delete --force "$ID"
        nothing_left "$call $n"
    done 4<"$list"
}

@test "state and kill while a delete goes on: the container does not exist" {
    make_bundle
    set_args /bin/sleep 1000
    local cmd pid
    for cmd in state kill; do
        ok run --detach --bundle "$BUNDLE" "$ID"
        # It has the directory open, and waits before it reads the state.
        timeout -k 5 "$DEADLINE" strace -qq -o "$BATS_TEST_TMPDIR/trace" -P state.json -e inject=openat:delay_enter=5000000 \
            "$CTR" --root "$ROOT" "$cmd" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
        pid=$!
        wait_for 10 has_open "$ROOT/$ID"
        ok delete --force "$ID"
        status=0
        wait "$pid" || status=$?
        [ "$status" -eq 1 ] || fail "$cmd: $status"
        grep -q 'container does not exist' "$BATS_TEST_TMPDIR/out" || fail "$cmd: $(cat "$BATS_TEST_TMPDIR/out")"
    done
}
# Whether a ctr under strace has that directory open.
has_open() {
    local p
    for p in $(pgrep -P "$(pgrep -P "$pid" strace || echo "$pid")" ctr); do
        ! find "/proc/$p/fd" -lname "$1" 2>/dev/null | grep -q . || return 0
    done
    return 1
}

@test "a creation that was killed: state says stopped, and a plain delete removes it" {
    make_bundle
    set_args /bin/sleep 1000
    mkfifo "$BATS_TEST_TMPDIR/never"
    edit_config '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "read x <\($f)"]}]' --arg f "$BATS_TEST_TMPDIR/never"
    "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- &
    wait_for 10 is_state "$ID" creating
    kill -KILL $!
    wait $! || true
    wait_state "$ID" stopped
    fails 1 'stopped' start "$ID"
    ok delete "$ID"
    : <>"$BATS_TEST_TMPDIR/never"
    assert_leak_free
}

@test "delete --force ends a command that waits for the container" {
    make_bundle
    set_args /bin/sleep 1000
    edit_config '.mounts += [{destination: "/mnt", type: "bind", source: $d, options: ["rbind", "rw"]}]
        | .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "touch /mnt/now; exec sleep 1000"]}]' \
        --arg d "$BATS_TEST_TMPDIR"
    ok create --bundle "$BUNDLE" "$ID"
    "$CTR" --root "$ROOT" start "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    local pid=$!
    wait_for 10 [ -e "$BATS_TEST_TMPDIR/now" ]
    # in less time than it would wait for the lock
    DEADLINE=20 ok delete --force "$ID"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 1 ]
    grep -q '^ctr: start' "$BATS_TEST_TMPDIR/out" || fail "$(cat "$BATS_TEST_TMPDIR/out")"
    assert_leak_free
}

@test "delete --force ends a creation that waits for a hook" {
    make_bundle
    set_args /bin/sleep 1000
    edit_config '.hooks.createRuntime = [{path: "/bin/sleep", args: ["sleep", "1000"]}]'
    "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    local pid=$!
    wait_for 10 is_state "$ID" creating
    wait_for 10 eval 'pgrep -P $pid sleep >/dev/null'
    DEADLINE=20 ok delete --force "$ID"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 1 ]
    grep -q 'createRuntime hook #0: /bin/sleep: container init was killed' "$BATS_TEST_TMPDIR/out" ||
        fail "$(cat "$BATS_TEST_TMPDIR/out")"
    assert_leak_free
}

# The child's calls, that the parent does not make: the parent must clean up by itself.
@test "the container's init killed while it is set up: create says so and leaves nothing" {
    make_bundle
    set_args /bin/sleep 1000
    local call
    for call in setsid sethostname fsopen fsmount open_tree move_mount pivot_root mknodat symlinkat capset setgroups \
        setresuid; do
        status=0
        timeout -k 5 "$DEADLINE" strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:signal=SIGKILL:when=1" \
            "$CTR" --root "$ROOT" create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" \
            </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
        if [ "$status" -eq 0 ]; then
            # not a call that the set-up makes on this kernel
            ok delete --force "$ID"
            continue
        fi
        echo "$call" >>"$BATS_TEST_TMPDIR/hit"
        [ "$status" -eq 1 ] || fail "$call: status $status: $(cat "$BATS_TEST_TMPDIR/out")"
        grep -qx 'ctr: container init was killed by signal 9 while it was set up.*' "$BATS_TEST_TMPDIR/out" ||
            fail "$call: $(cat "$BATS_TEST_TMPDIR/out")"
        [ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -eq 1 ]
        [ ! -e "$BATS_TEST_TMPDIR/pid" ]
        nothing_left "$call"
    done
    [ "$(wc -l <"$BATS_TEST_TMPDIR/hit")" -ge 6 ]
}

@test "a directory without a state is no container; delete --force removes it" {
    make_bundle
    set_args /bin/true
    mkdir -p "$ROOT/$ID"
    fails 1 'delete --force removes what is left' state "$ID"
    fails 1 'delete --force removes what is left' delete "$ID"
    fails 1 'already exists' create --bundle "$BUNDLE" "$ID"
    ok list
    [ "$(wc -l <"$OUT")" -eq 1 ]
    ok delete --force "$ID"
    [ ! -e "$ROOT/$ID" ]
    ok run --bundle "$BUNDLE" "$ID"
}

@test "a broken state.json: list goes on with the others, delete --force removes it" {
    make_bundle
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    ok create --bundle "$BUNDLE" "$ID-b"
    cp "$ROOT/$ID-b/state.json" "$BATS_TEST_TMPDIR/whole"
    head -c 40 "$BATS_TEST_TMPDIR/whole" >"$ROOT/$ID-b/state.json"
    ok list -q
    [ "$output" = "$ID" ]
    [[ $stderr == *"$ID-b"* ]]
    fails 1 state.json state "$ID-b"
    cp "$BATS_TEST_TMPDIR/whole" "$ROOT/$ID-b/state.json"
    ok delete --force "$ID-b"
    ok delete --force "$ID"
    mkdir -p "$ROOT/$ID"
    echo '{' >"$ROOT/$ID/state.json"
    ok delete --force "$ID"
    [ ! -e "$ROOT/$ID" ]
}

@test "a killed creation does not take the cgroup of another container along" {
    make_bundle
    edit_config '.linux.cgroupsPath = $p' --arg p "/$TESTID-shared"
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    # the cgroup is in use: the creation fails there, and is killed in the middle of it
    fails 1 "container's cgroup is not empty" create --bundle "$BUNDLE" "$ID-b"
    local call n
    for call in mkdir renameat; do
        for n in 1 2 3; do
            killed_at "$call" "$n" create --bundle "$BUNDLE" "$ID-b"
            ok delete --force "$ID-b"
            is_state "$ID" running
        done
    done
    killed_at mkdirat 1 create --bundle "$BUNDLE" "$ID-b"
    killed_at openat 40 create --bundle "$BUNDLE" "$ID-b"
    ok delete --force "$ID-b"
    is_state "$ID" running
    ok delete --force "$ID"
}

@test "parallel creates of one ID: exactly one wins, the others leave it alone" {
    make_bundle
    set_args /bin/sleep 1000
    local round i
    for round in 1 2 3 4 5; do
        : >"$BATS_TEST_TMPDIR/won"
        for i in 1 2 3 4; do
            {
                if timeout "$DEADLINE" "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" 2>"$BATS_TEST_TMPDIR/e$i"; then
                    echo "$i" >>"$BATS_TEST_TMPDIR/won"
                fi
            } </dev/null >/dev/null 3>&- &
        done
        wait
        [ "$(wc -l <"$BATS_TEST_TMPDIR/won")" -eq 1 ] || fail "winners: $(cat "$BATS_TEST_TMPDIR"/won "$BATS_TEST_TMPDIR"/e?)"
        for i in 1 2 3 4; do
            [ "$i" = "$(cat "$BATS_TEST_TMPDIR/won")" ] || grep -q 'already exists' "$BATS_TEST_TMPDIR/e$i" ||
                fail "$(cat "$BATS_TEST_TMPDIR/e$i")"
        done
        is_state "$ID" created
        ok start "$ID"
        is_state "$ID" running
        ok delete --force "$ID"
    done
}

@test "a create that opens the directory of a later one leaves the other's container alone" {
    make_bundle
    set_args /bin/sleep 1000
    # slow MICROSECONDS NAME: a create that stands still for so long when it has made its directory
    slow() {
        local rc=0
        timeout "$DEADLINE" strace -qq -o /dev/null -e trace=mkdirat -e "inject=mkdirat:delay_exit=$1:when=1" \
            "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" 2>"$BATS_TEST_TMPDIR/$2" \
            </dev/null >/dev/null 3>&- || rc=$?
        echo "$rc" >"$BATS_TEST_TMPDIR/$2.status"
    }
    there() { [ -d "$ROOT/$ID" ]; }
    mkdir -p "$ROOT"
    slow 5000000 first &
    local first=$!
    wait_for 10 there
    ok delete --force "$ID"
    slow 9000000 second &
    local second=$!
    wait_for 10 there
    wait "$first" "$second"
    # The first went on in the second's directory; the second finds it in use.
    [ "$(cat "$BATS_TEST_TMPDIR"/first.status)" -eq 0 ] || fail "first: $(cat "$BATS_TEST_TMPDIR/first")"
    [ "$(cat "$BATS_TEST_TMPDIR"/second.status)" -eq 1 ] || fail "second: $(cat "$BATS_TEST_TMPDIR/second")"
    grep -q 'already exists' "$BATS_TEST_TMPDIR/second" || fail "second: $(cat "$BATS_TEST_TMPDIR/second")"
    is_state "$ID" created
    ok delete --force "$ID"
    nothing_left end
}

@test "create and delete --force of one ID against each other: no loser breaks anything" {
    make_bundle
    set_args /bin/sleep 1000
    local i
    for i in 1 2; do
        {
            for _ in 1 2 3 4 5 6 7 8 9 10; do
                timeout "$DEADLINE" "$CTR" --root "$ROOT" create --bundle "$BUNDLE" "$ID" 2>>"$BATS_TEST_TMPDIR/create" || true
            done
        } </dev/null >/dev/null 3>&- &
        {
            for _ in 1 2 3 4 5 6 7 8 9 10; do
                timeout "$DEADLINE" "$CTR" --root "$ROOT" delete --force "$ID" 2>>"$BATS_TEST_TMPDIR/delete" ||
                    echo "delete: $?" >>"$BATS_TEST_TMPDIR/delete"
            done
        } </dev/null >/dev/null 3>&- &
    done
    wait
    ok delete --force "$ID"
    nothing_left end
    ! grep -v ': removed$' "$BATS_TEST_TMPDIR/delete" || fail "a delete --force failed"
    ! grep -vE 'already exists|deleted while it was created|container init was killed by signal 9' "$BATS_TEST_TMPDIR/create" || fail "a create failed"
}

@test "exec killed at every system call: the container goes on, and has no half-made process" {
    make_bundle
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    local call n pid list=$BATS_TEST_TMPDIR/places
    places '^clone3' exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /bin/sleep 2000 >"$list"
    only_programs() {
        ok ps "$ID" -e -o pid,args
        ! sed 1d "$OUT" | grep -v '/bin/sleep [12]000$'
    }
    while read -r call n <&4; do
        killed_at "$call" "$n" exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /bin/sleep 2000
        # who has lost its parent in the middle ends by itself
        wait_for 10 only_programs
        is_state "$ID" running
    done 4<"$list"
    [ "$killed" -gt 0 ]
    ok delete --force "$ID"
    nothing_left exec
}

@test "run that cannot watch its container: one error, and nothing left" {
    make_bundle
    set_args /bin/sleep 1000
    status=0
    timeout -k 5 "$DEADLINE" strace -qq -o /dev/null -e trace=epoll_create1 -e inject=epoll_create1:error=EMFILE:when=1 \
        "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
    [ "$status" -eq 1 ]
    grep -qx 'ctr: watch process [0-9]*: Too many open files' "$BATS_TEST_TMPDIR/out" ||
        fail "$(cat "$BATS_TEST_TMPDIR/out")"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -eq 1 ]
    nothing_left run
}

@test "start killed at every system call: the container can be started, or runs, or has ended" {
    make_bundle
    edit_config '.hooks.startContainer = [{path: "/bin/true"}]'
    set_args /bin/sleep 1000
    local call n list=$BATS_TEST_TMPDIR/places
    settled() {
        case $(state_of "$ID") in
        created) "$CTR" --root "$ROOT" start "$ID" 2>>"$BATS_TEST_TMPDIR/again" </dev/null 3>&- ;;
        running) [ "$(tr '\0' ' ' <"/proc/$(state_of "$ID" pid)/cmdline")" = '/bin/sleep 1000 ' ] ;;
        stopped) ;;
        *) return 1 ;;
        esac
    }
    ok create --bundle "$BUNDLE" "$ID"
    STEP=1 places '^connect' start "$ID" >"$list"
    ok delete --force "$ID"
    while read -r call n <&4; do
        ok create --bundle "$BUNDLE" "$ID"
        killed_at "$call" "$n" start "$ID"
        wait_for 2 settled
        ok delete --force "$ID"
        nothing_left "$call $n"
    done 4<"$list"
    [ "$killed" -gt 2 ]
}

@test "a container is created while startContainer hooks run, and running when start returns" {
    make_bundle
    mkdir -m 777 "$BATS_TEST_TMPDIR/shared"
    edit_config '.mounts += [{destination: "/mnt", type: "bind", source: $d, options: ["rbind", "rw"]}]
        | .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "touch /mnt/now; until [ -e /mnt/go ]; do sleep 0.02; done"]}]' \
        --arg d "$BATS_TEST_TMPDIR/shared"
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    "$CTR" --root "$ROOT" start "$ID" </dev/null 3>&- &
    wait_for 5 [ -e "$BATS_TEST_TMPDIR/shared/now" ]
    is_state "$ID" created
    touch "$BATS_TEST_TMPDIR/shared/go"
    wait $!
    is_state "$ID" running
    ok delete --force "$ID"
}
