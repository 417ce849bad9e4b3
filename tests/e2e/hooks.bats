#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The six hooks: when, where, with what, and what their failure means.

load helpers

ALL="prestart createRuntime createContainer startContainer poststart poststop"

setup() {
    common_setup
    make_bundle
    # Every hook writes down what it finds; the directory is seen from the container too.
    LOG=$BATS_TEST_TMPDIR/log
    mkdir -m 777 "$LOG"
    cat >"$BATS_TEST_TMPDIR/record" <<'SH'
#!/bin/sh
# record DIR NAME
exec >"$1/$2.tmp" 2>&1
echo "$2" >>"$1/order"
echo "cwd $(pwd)"
for n in cgroup ipc mnt net pid uts; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
echo "root $(ls -d /bin/busybox-of-the-test 2>/dev/null)"
env | sed 's/^/env /'
cat >"$1/$2.state"
mv "$1/$2.tmp" "$1/$2"
SH
    chmod 755 "$BATS_TEST_TMPDIR/record"
    cp "$BATS_TEST_TMPDIR/record" "$BUNDLE/rootfs/bin/record"
    touch "$BUNDLE/rootfs/bin/busybox-of-the-test"
    mkdir -p "$BUNDLE/rootfs/log"
    edit_config '.mounts += [{destination: "/log", type: "bind", source: $d, options: ["rbind", "rw"]}]' --arg d "$LOG"
}

# add_hook KIND PATH [ARG...]: one more hook.
add_hook() {
    local kind=$1
    shift
    jq --arg k "$kind" '.hooks[$k] += [{path: $ARGS.positional[0], args: $ARGS.positional}]' \
        "$BUNDLE/config.json" --args -- "$@" >"$BUNDLE/config.json.new"
    mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
}

# hook KIND JQ: changes the last hook of that kind.
hook() { edit_config ".hooks.$1[-1] |= ($2)"; }

record() {
    if [ "$1" = startContainer ]; then
        add_hook "$1" /bin/record /log "${2:-$1}"
    else
        add_hook "$1" "$BATS_TEST_TMPDIR/record" "$LOG" "${2:-$1}"
    fi
}

record_all() {
    local kind
    for kind in $ALL; do
        record "$kind"
    done
}

# script_hook KIND SCRIPT: a hook that does that.
script_hook() {
    local sh=/bin/sh
    add_hook "$1" "$sh" -c "$2"
}

found() { sed -n "s/^$2 //p" "$LOG/$1"; }
state_said() { jq -r "$2" "$LOG/$1.state"; }

@test "hooks: the order over create, start and delete" {
    record_all
    set_args /bin/sh -c 'echo process >>/log/order; sleep 1000'
    ok create --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/order")" = $'prestart\ncreateRuntime\ncreateContainer' ]
    ok start "$ID"
    wait_for 10 grep -q process "$LOG/order"
    # the process and poststart may overtake each other
    [ "$(head -n 4 "$LOG/order" | tail -n 1)" = startContainer ]
    grep -q poststart "$LOG/order"
    ! grep -q poststop "$LOG/order" || fail "found what must not be there"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ! grep -q poststop "$LOG/order" || fail "found what must not be there"
    ok delete "$ID"
    [ "$(tail -n 1 "$LOG/order")" = poststop ]
    [ "$(wc -l <"$LOG/order")" -eq 7 ]
}

@test "hooks: the same order in one run" {
    record_all
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/order")" = $'prestart\ncreateRuntime\ncreateContainer\nstartContainer\npoststart\npoststop' ]
}

@test "hooks: several of a kind run in the order of the list" {
    record createRuntime one
    record createRuntime two
    record createRuntime three
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/order")" = $'one\ntwo\nthree' ]
}

@test "hooks: prestart, createRuntime, poststart and poststop are in ctr's namespaces, the others in the container's" {
    record_all
    set_args /bin/sh -c 'for n in cgroup ipc mnt net pid uts; do echo "$n $(readlink /proc/self/ns/$n)"; done >/log/process'
    ok run --bundle "$BUNDLE" "$ID"
    local kind ours
    ours=$(for n in cgroup ipc mnt net pid uts; do echo "$n $(readlink /proc/self/ns/$n)"; done)
    for kind in prestart createRuntime poststart poststop; do
        [ "$(found $kind ns)" = "$ours" ] || fail "$kind: not in the namespaces of ctr"
        [ -z "$(found $kind root)" ]
    done
    [ "$(found startContainer ns)" = "$(cat "$LOG/process")" ]
    [ "$(found startContainer root)" = /bin/busybox-of-the-test ]
    # createContainer: the container's namespaces, but not yet its root
    [ "$(found createContainer ns | grep mnt)" = "$(grep mnt "$LOG/process")" ]
    [ "$(found createContainer ns | grep net)" = "$(grep net "$LOG/process")" ]
    [ -z "$(found createContainer root)" ]
}

@test "hooks: createContainer sees the mounts that the container will have, below the root" {
    script_hook createContainer "grep -c ' $BUNDLE/rootfs/proc ' /proc/self/mountinfo >$LOG/mounts || true; hostname >$LOG/name"
    edit_config '.hostname = "inside"'
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/mounts")" -eq 1 ]
    [ "$(cat "$LOG/name")" = inside ]
}

@test "hooks: the state on stdin has id, status, pid, bundle, version and annotations" {
    edit_config '.annotations = {"com.example.key": "value with \"quotes\""}'
    record_all
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    local pid kind
    pid=$(state_of "$ID" pid)
    ok start "$ID"
    ok delete --force "$ID"
    for kind in $ALL; do
        [ "$(state_said $kind .id)" = "$ID" ] || fail "$kind: id"
        [ "$(state_said $kind .bundle)" = "$BUNDLE" ] || fail "$kind: bundle"
        [ "$(state_said $kind '.annotations["com.example.key"]')" = 'value with "quotes"' ] || fail "$kind: annotations"
        state_said $kind .ociVersion | grep -q '^1\.'
    done
    for kind in prestart createRuntime createContainer; do
        [ "$(state_said $kind .status)" = creating ] || fail "$kind: status"
    done
    [ "$(state_said startContainer .status)" = created ]
    [ "$(state_said poststart .status)" = running ]
    [ "$(state_said poststop .status)" = stopped ]
    # the pid as the hook's own namespace counts
    for kind in prestart createRuntime poststart; do
        [ "$(state_said $kind .pid)" -eq "$pid" ] || fail "$kind: pid"
    done
    [ "$(state_said startContainer .pid)" -eq 1 ]
}

@test "hooks: env is exactly the configured one, startContainer without one has the process's" {
    record createRuntime
    hook createRuntime '.env = ["PATH=/usr/bin:/bin", "HOOK=1"]'
    record poststart
    record startContainer
    edit_config '.process.env += ["OF_PROCESS=yes"]'
    export OF_CALLER=yes
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(found createRuntime env | grep -vE '^(PWD|SHLVL|_|OLDPWD)=' | sort)" = $'HOOK=1\nPATH=/usr/bin:/bin' ]
    ! grep -q OF_CALLER "$LOG"/* || fail "found what must not be there"
    found startContainer env | grep -qx OF_PROCESS=yes
    ! found poststart env | grep -q OF_PROCESS || fail "found what must not be there"
}

@test "hooks: args[0] is passed on, without args it is the path; no descriptors but three" {
    cat >"$BATS_TEST_TMPDIR/name.py" <<PY
#!$(python3 -c 'import sys; print(sys.executable)')
open("$LOG/words", "w").write(repr(open("/proc/self/cmdline").read().split("\0")[1:-1]))
PY
    chmod 755 "$BATS_TEST_TMPDIR/name.py"
    add_hook createRuntime "$BATS_TEST_TMPDIR/name.py"
    hook createRuntime 'del(.args)'
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/words")" = "['$BATS_TEST_TMPDIR/name.py']" ]
    edit_config 'del(.hooks)'
    script_hook createRuntime "exec ls /proc/self/fd >$LOG/fds"
    exec 7</dev/null
    ok run --bundle "$BUNDLE" "$ID"
    exec 7<&-
    # ls has the directory open as 3
    [ "$(cat "$LOG/fds")" = $'0\n1\n2\n3' ]
    edit_config 'del(.hooks)'
    add_hook createRuntime /bin/sh -c 'echo "$0,$1" >'"$LOG/words" zero 'one two'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/words")" = 'zero,one two' ]
}

@test "hooks: run in the bundle, startContainer in the process's directory" {
    record_all
    edit_config '.process.cwd = "/var"'
    set_args /bin/true
    cd /
    ok run --bundle "$BUNDLE" "$ID"
    local kind
    for kind in prestart createRuntime createContainer poststart poststop; do
        [ "$(found $kind cwd)" = "$BUNDLE" ] || fail "$kind: in $(found $kind cwd)"
    done
    [ "$(found startContainer cwd)" = /var ]
}

@test "hooks: poststop runs although the bundle is gone" {
    record poststop
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    mv "$BUNDLE" "$BUNDLE.moved"
    ok delete --force "$ID"
    [ "$(state_said poststop .id)" = "$ID" ]
}

# ---- failures ----

@test "hooks: a failing one stops create with its number, status and last words; poststop runs; nothing stays" {
    local kind
    record poststop
    set_args /bin/sh -c 'echo started >/log/started'
    for kind in prestart createRuntime createContainer; do
        edit_config 'del(.hooks.prestart, .hooks.createRuntime, .hooks.createContainer)'
        rm -f "$LOG/order"
        script_hook $kind 'exit 0'
        script_hook $kind 'echo first; echo "no such device" >&2; exit 3'
        fails 1 "error running $kind hook #1: /bin/sh: exit status 3: no such device" create --bundle "$BUNDLE" "$ID"
        [ "$(wc -l <"$ERR")" -eq 1 ]
        [ "$(cat "$LOG/order")" = poststop ] || fail "$kind: poststop did not run"
        [ "$(state_said poststop .status)" = stopped ]
        fails 1 'does not exist' state "$ID"
        rm -f "$LOG/order"
        fails 1 "error running $kind hook #1: /bin/sh: exit status 3: no such device" run --bundle "$BUNDLE" "$ID"
        [ "$(cat "$LOG/order")" = poststop ]
        assert_leak_free
    done
    [ ! -e "$LOG/started" ]
}

@test "hooks: stdout is quoted when stderr is silent, a signal is named" {
    set_args /bin/true
    script_hook createRuntime 'echo said to stdout; exit 1'
    fails 1 'error running createRuntime hook #0: /bin/sh: exit status 1: said to stdout' create --bundle "$BUNDLE" "$ID"
    edit_config 'del(.hooks)'
    script_hook createRuntime 'kill -9 $$'
    fails 1 'error running createRuntime hook #0: /bin/sh: killed by signal 9 (KILL)' create --bundle "$BUNDLE" "$ID"
    edit_config 'del(.hooks)'
    add_hook createRuntime /no/such/hook
    fails 1 'error running createRuntime hook #0: /no/such/hook: No such file or directory' create --bundle "$BUNDLE" "$ID"
}

@test "hooks: a failing startContainer hook fails start, the process does not run" {
    record poststop
    add_hook startContainer /bin/sh -c 'echo not today >&2; exit 4'
    set_args /bin/sh -c 'echo started >/log/started'
    ok create --bundle "$BUNDLE" "$ID"
    fails 1 'error running startContainer hook #0: /bin/sh: exit status 4: not today' start "$ID"
    wait_state "$ID" stopped
    [ ! -e "$LOG/started" ]
    ok delete "$ID"
    [ "$(cat "$LOG/order")" = poststop ]
    rm "$LOG/order"
    fails 1 'error running startContainer hook #0' run --bundle "$BUNDLE" "$ID"
    [ ! -e "$LOG/started" ]
    [ "$(cat "$LOG/order")" = poststop ]
    assert_leak_free
}

@test "hooks: a failing poststart hook fails start and stops the container" {
    record poststop
    script_hook poststart 'echo no >&2; exit 5'
    set_args /bin/sh -c 'sleep 1000 & sleep 1001'
    ok create --bundle "$BUNDLE" "$ID"
    fails 1 'error running poststart hook #0: /bin/sh: exit status 5: no' start "$ID"
    wait_state "$ID" stopped
    ok delete "$ID"
    [ "$(cat "$LOG/order")" = poststop ]
    rm "$LOG/order"
    fails 1 'error running poststart hook #0' run --detach --bundle "$BUNDLE" "$ID"
    [ "$(cat "$LOG/order")" = poststop ]
    assert_leak_free
}

@test "hooks: a failing poststop hook warns, the others run and delete succeeds" {
    script_hook poststop 'echo broken >&2; exit 6'
    record poststop
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    ok delete --force "$ID"
    [[ $stderr == *'error running poststop hook #0: /bin/sh: exit status 6: broken'* ]]
    [ "$(cat "$LOG/order")" = poststop ]
    assert_leak_free
    set_args /bin/sh -c 'exit 7'
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 7 ]
    [[ $stderr == *'poststop hook #0'* ]]
}

@test "hooks: one that outlives its timeout is killed with what it has started" {
    set_args /bin/true
    script_hook createRuntime 'echo waiting >&2; sleep 1234 & sleep 1235'
    hook createRuntime '.timeout = 3'
    fails 1 'error running createRuntime hook #0: /bin/sh: timed out after 3 s: waiting' create --bundle "$BUNDLE" "$ID"
    # the second one has the signal, and is nobody's to wait for
    none() { ! pgrep -x -f 'sleep 123[45]'; }
    wait_for 5 none
    hook createRuntime '.timeout = 60 | .args = ["/bin/sh", "-c", "exit 0"]'
    ok run --bundle "$BUNDLE" "$ID"
    hook createRuntime '.timeout = 0'
    fails 1 'timeout' create --bundle "$BUNDLE" "$ID"
}

@test "hooks: what one leaves running and a flood of output do not hold ctr up" {
    set_args /bin/true
    script_hook createRuntime 'head -c 300000 /dev/zero | tr "\0" x; head -c 300000 /dev/zero | tr "\0" y >&2'
    ok run --bundle "$BUNDLE" "$ID"
    script_hook createRuntime "sleep 1236 & echo \$! >$LOG/daemon"
    ok run --bundle "$BUNDLE" "$ID"
    kill "$(cat "$LOG/daemon")"
    edit_config 'del(.hooks)'
    script_hook createRuntime 'head -c 300000 /dev/zero | tr "\0" y >&2; echo the end >&2; exit 1'
    fails 1 'the end' create --bundle "$BUNDLE" "$ID"
    [ "$(wc -c <"$ERR")" -lt 4096 ]
}

@test "hooks: a relative path is refused when the configuration is read" {
    set_args /bin/true
    add_hook createRuntime bin/true
    fails 1 'hooks.createRuntime[0].path' create --bundle "$BUNDLE" "$ID"
}

# hang KIND: a hook that says where it is and then hangs, with the mark by which the leak check finds it.
hang() {
    local log=$LOG
    [ "$1" != startContainer ] || log=/log
    script_hook "$1" "echo \$\$ >$log/hook; cat >$log/state; mv $log/hook $log/hangs; exec sleep 1000"
    hook "$1" ".env = [\"PATH=/bin:/usr/bin\", \"CTR_TEST_ID=$TESTID\"]"
}

# started ARGS...: ctr in the background, to $PID; here as soon as its hook hangs.
started() {
    ERR=$BATS_TEST_TMPDIR/err.hang
    rm -f "$LOG/hangs"
    "$CTR" --root "$ROOT" $CTR_GLOBALS "$@" </dev/null >/dev/null 2>"$ERR" 3>&- &
    PID=$!
    wait_for 10 [ -e "$LOG/hangs" ]
}

# Nobody may be there to reap who has lost its parent.
is_over() { [ ! -e "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"; }

# ends WHAT: what was started does so, to $status. A hook that counts by its own pid namespace went with that.
ends() {
    wait_for 5 is_over "$PID"
    status=0
    wait "$PID" || status=$?
    [[ $1 == *Container ]] || is_over "$(cat "$LOG/hangs")" || fail "$1: the hook goes on"
}

is_failure() { [ "$status" -eq 1 ] || { [ -n "$E2E_VM" ] && [[ $status == 12[567] ]]; }; }

@test "hooks: a signal ends run and create while one hangs: it is killed, all is undone" {
    record poststop
    set_args /bin/sleep 1000
    local kind how before
    for kind in prestart createRuntime createContainer startContainer poststart; do
        edit_config '.hooks |= {poststop}'
        hang "$kind"
        for how in "run" "run -d" "create"; do
            case $how/$kind in create/*start | create/startContainer) continue ;; esac
            started $how --bundle "$BUNDLE" "$ID"
            kill -TERM "$PID"
            ends "$kind"
            is_failure || fail "$how $kind: status $status"
            case $kind in
            createContainer) before='ended by signal 15 before the container was made' ;;
            startContainer) before='ended by signal 15 before the container was started' ;;
            *) before="error running $kind hook #0: /bin/sh: interrupted by signal 15 (TERM)" ;;
            esac
            grep -q "$before" "$ERR" || fail "$how $kind: $(cat "$ERR")"
            [ "$(wc -l <"$ERR")" -eq 1 ]
            [ "$(cat "$LOG/order")" = poststop ] || fail "$how $kind: poststop did not run"
            rm "$LOG/order"
            assert_leak_free
        done
    done
}

@test "hooks: ^C, and not what the caller wants to be ignored, ends run while one hangs" {
    set_args /bin/sleep 1000
    hang createRuntime
    # (in the background of a shell that has no job control it is ignored)
    started run --bundle "$BUNDLE" "$ID"
    kill -INT "$PID"
    sleep 0.3
    kill -0 "$PID"
    kill -HUP "$PID"
    ends createRuntime
    is_failure
    grep -q 'interrupted by signal 1 (HUP)' "$ERR"
    rm -f "$LOG/hangs"
    env --default-signal=INT "$CTR" --root "$ROOT" $CTR_GLOBALS run --bundle "$BUNDLE" "$ID" \
        </dev/null >/dev/null 2>"$ERR" 3>&- &
    PID=$!
    wait_for 10 [ -e "$LOG/hangs" ]
    kill -INT "$PID"
    ends createRuntime
    is_failure
    grep -q 'interrupted by signal 2 (INT)' "$ERR"
}

@test "hooks: a signal ends start while a poststart hook hangs, and the container" {
    set_args /bin/sleep 1000
    hang poststart
    ok create --bundle "$BUNDLE" "$ID"
    started start "$ID"
    kill -TERM "$PID"
    ends poststart
    [ "$status" -eq 1 ]
    grep -q 'error running poststart hook #0: /bin/sh: interrupted by signal 15' "$ERR"
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "hooks: a signal ends a poststop hook that hangs, but not the rest of the end" {
    hang poststop
    record poststop
    set_args /bin/sh -c 'exit 42'
    started run --bundle "$BUNDLE" "$ID"
    kill -TERM "$PID"
    ends poststop
    [ "$status" -eq 42 ] || fail "status $status: $(cat "$ERR")"
    grep -q 'error running poststop hook #0: /bin/sh: interrupted by signal 15' "$ERR"
    [ "$(cat "$LOG/order")" = poststop ]
    assert_leak_free
    rm "$LOG/order"
    set_args /bin/sleep 1000
    ok run -d --bundle "$BUNDLE" "$ID"
    started delete --force "$ID"
    kill -TERM "$PID"
    ends poststop
    [ "$status" -eq 0 ] || fail "status $status: $(cat "$ERR")"
    [ "$(cat "$LOG/order")" = poststop ]
    assert_leak_free
}

@test "hooks: a second signal ends a poststop hook that hangs in the undoing" {
    hang poststop
    hang createRuntime
    set_args /bin/true
    started run --bundle "$BUNDLE" "$ID"
    rm "$LOG/hangs"
    kill -TERM "$PID"
    wait_for 10 [ -e "$LOG/hangs" ]
    kill -TERM "$PID"
    ends poststop
    is_failure
    grep -q 'error running createRuntime hook #0: /bin/sh: interrupted by signal 15' "$ERR"
    grep -q 'error running poststop hook #0: /bin/sh: interrupted by signal 15' "$ERR"
    assert_leak_free
}

@test "hooks: one ends with the ctr that runs it, what it has left in the background stays" {
    set_args /bin/sleep 1000
    local kind
    for kind in createRuntime poststart poststop; do
        edit_config 'del(.hooks)'
        hang "$kind"
        hook "$kind" ".args[2] = \"sleep 1237 & echo \$! >$LOG/daemon; \" + .args[2]"
        case $kind in
        poststop)
            ok run -d --bundle "$BUNDLE" "$ID"
            started delete --force "$ID"
            ;;
        *) started run --bundle "$BUNDLE" "$ID" ;;
        esac
        kill -KILL "$PID"
        wait "$PID" || true
        wait_for 5 is_over "$(cat "$LOG/hangs")"
        kill "$(cat "$LOG/daemon")" || fail "$kind: what it left in the background is gone"
        if [ "$kind" = poststop ]; then
            jq 'del(.hooks)' "$BUNDLE/config.json" >"$ROOT/$ID/config.json"
        fi
        ok delete --force "$ID"
        assert_leak_free
    done
}

@test "hooks: one in the host's pid namespace ends with its container's init" {
    set_args /bin/sleep 1000
    hang createContainer
    edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
    started run --bundle "$BUNDLE" "$ID"
    kill -KILL "$PID"
    wait "$PID" || true
    wait_for 5 is_over "$(cat "$LOG/hangs")"
    ok delete --force "$ID"
}

@test "hooks: the creation ends at once when its init is killed while a runtime hook hangs" {
    record poststop
    set_args /bin/sleep 1000
    local kind how
    for kind in prestart createRuntime; do
        edit_config '.hooks |= {poststop}'
        hang "$kind"
        for how in create run; do
            started "$how" --bundle "$BUNDLE" "$ID"
            kill -KILL "$(jq .pid "$LOG/state")"
            ends "$kind"
            is_failure || fail "$how $kind: status $status"
            grep -q "error running $kind hook #0: /bin/sh: container init was killed while it ran" "$ERR" ||
                fail "$how $kind: $(cat "$ERR")"
            [ "$(wc -l <"$ERR")" -eq 1 ]
            [ "$(cat "$LOG/order")" = poststop ]
            rm "$LOG/order"
            assert_leak_free
        done
    done
}

@test "hooks: delete --force does not wait for poststart hooks, whose failure then harms nobody" {
    set_args /bin/sleep 1000
    local rc way pid
    for rc in 0 4; do
        for way in start run; do
            edit_config 'del(.hooks.poststart)'
            script_hook poststart "touch $LOG/now; until [ -e $LOG/go ]; do sleep 0.02; done; exit $rc"
            rm -f "$LOG/now" "$LOG/go"
            if [ "$way" = start ]; then
                ok create --bundle "$BUNDLE" "$ID"
                "$CTR" --root "$ROOT" start "$ID" </dev/null >/dev/null 2>"$BATS_TEST_TMPDIR/e" 3>&- &
            else
                "$CTR" --root "$ROOT" run -d --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>"$BATS_TEST_TMPDIR/e" 3>&- &
            fi
            pid=$!
            wait_for 10 [ -e "$LOG/now" ]
            ok delete --force "$ID"
            kill -0 "$pid" || fail "$way: delete waited for the hook"
            # another of the same name is not the one that failed
            edit_config 'del(.hooks.poststart)'
            ok run -d --bundle "$BUNDLE" "$ID"
            touch "$LOG/go"
            status=0
            wait "$pid" || status=$?
            [ "$status" -eq "$((rc ? 1 : 0))" ] || fail "$way $rc: status $status: $(cat "$BATS_TEST_TMPDIR/e")"
            is_state "$ID" running
            ok delete --force "$ID"
        done
    done
}
