#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The life cycle of a micro-VM: the same commands as for a container, with the same meaning.

load helpers
load vm

setup() {
    common_setup
    vm_setup
    make_bundle
}

@test "vm: create waits in the guest, start runs the program, kill ends it, delete takes all away" {
    set_args /bin/sh -c 'trap "exit 5" TERM; echo started; while :; do sleep 1; done'
    ok create --pid-file "$BATS_TEST_TMPDIR/pid" --bundle "$BUNDLE" "$ID"
    local out=$OUT
    [ "$(state_of "$ID")" = created ]
    [ "$(state_of "$ID" pid)" = "$(cat "$BATS_TEST_TMPDIR/pid")" ]
    [ ! -s "$out" ]
    ok start "$ID"
    wait_for 10 grep -q started "$out"
    [ "$(state_of "$ID")" = running ]
    fails 1 "" start "$ID"
    fails 1 "" delete "$ID"
    ok kill "$ID" TERM
    wait_state "$ID" stopped 30
    fails 255 "stopped" exec "$ID" /bin/true
    ok delete "$ID"
    assert_leak_free
}

@test "vm: exec in a running one: status, user, directory, environment, files, 20 at once" {
    vm_boot
    ctr exec "$ID" /bin/sh -c 'exit 7'
    [ "$status" -eq 7 ]
    ok exec --user 1000:1000 --cwd /tmp --env A=b "$ID" /bin/sh -c 'id -u; pwd; echo $A'
    [ "$output" = "1000
/tmp
b" ]
    fails 255 'exec: "/nowhere"' exec "$ID" /nowhere
    echo through >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in ok exec "$ID" /bin/cat
    [ "$output" = through ]
    ok exec -d --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /bin/sleep 1000
    [ -d "/proc/$(cat "$BATS_TEST_TMPDIR/pid")" ]
    kill -TERM "$(cat "$BATS_TEST_TMPDIR/pid")"
    wait_for 10 test ! -e "/proc/$(cat "$BATS_TEST_TMPDIR/pid")"
    local i pids=()
    for i in $(seq 20); do
        "$CTR" --root "$ROOT" exec "$ID" /bin/sh -c "exit $i" </dev/null 3>&- &
        pids+=($!)
    done
    for i in $(seq 20); do
        local rc=0
        wait "${pids[i - 1]}" || rc=$?
        [ "$rc" -eq "$i" ] || fail "exec $i: $rc"
    done
}

@test "vm: ps, list, state, pause, resume, update and events speak of the guest" {
    vm_boot
    ok ps "$ID"
    [[ $output == *"PID"*"CMD"* ]]
    [[ $output == *"trap"* ]]
    fails 1 "a micro-VM has no ps of the host's: -ef" ps "$ID" -ef
    ok list
    [[ $output == *"$ID"*running* ]]
    ok pause "$ID"
    [ "$(state_of "$ID")" = paused ]
    fails 255 "" exec "$ID" /bin/true
    # at once, and not after a deadline
    local begin=$SECONDS
    fails 255 "exec $ID: the micro-VM is paused" exec --ignore-paused "$ID" /bin/true
    fails 1 "ps $ID: the micro-VM is paused" ps "$ID"
    fails 1 "events $ID: the micro-VM is paused" events --stats "$ID"
    fails 1 "update $ID: the micro-VM is paused" update --pids-limit 29 "$ID"
    fails 1 "kill $ID: the micro-VM is paused" kill --all "$ID" TERM
    [ $((SECONDS - begin)) -lt 10 ]
    # they begin, and wait for what there will be to tell
    "$CTR" --root "$ROOT" events --interval 1s "$ID" >"$BATS_TEST_TMPDIR/events" 2>&1 </dev/null 3>&- &
    local events=$!
    sleep 3
    [ ! -s "$BATS_TEST_TMPDIR/events" ]
    ok resume "$ID"
    wait_for 20 grep -q '"type":"stats"' "$BATS_TEST_TMPDIR/events"
    kill "$events"
    wait "$events" || true
    ok exec "$ID" /bin/true
    ok update --pids-limit 30 --cpu-quota 50000 "$ID"
    ok exec "$ID" cat /sys/fs/cgroup/cpu.max
    [ "$output" = '50000 100000' ]
    fails 1 'linux.resources.memory.limit' update --memory 900g "$ID"
    ok events --stats "$ID"
    [ "$(jq -r .data.pids.limit <<<"$output")" = 30 ]
    [ "$(jq -r .type <<<"$output")" = stats ]
}

# ps in JSON is of processes of this host, all in this machine's cgroup, and the state's is one of them.
pids_are_hosts() {
    local pid
    ok ps --format json "$ID"
    for pid in $(jq -r '.[]' "$OUT"); do
        grep -q -- "$ID" "/proc/$pid/cgroup" || fail "$pid is no process of $ID: $output"
    done
    jq -e --argjson p "$(state_of "$ID" pid)" 'index($p) != null' "$OUT" || fail "the state's pid is not in $output"
}

@test "vm: ps in JSON, which engines read, has the pids of the host" {
    vm_boot
    pids_are_hosts
    # it asks nobody in the guest
    ok pause "$ID"
    pids_are_hosts
    kill -KILL "$(state_of "$ID" pid)"
    wait_state "$ID" stopped
    ok ps --format json "$ID"
    [ "$output" = "[]" ]
}

@test "vm: signals reach the program by their number; SIGKILL ends the machine" {
    set_args /bin/sh -c 'trap "echo usr1" USR1; trap "echo hup" HUP; echo ready; while :; do sleep 0.1; done'
    ok run -d --bundle "$BUNDLE" "$ID"
    local out=$OUT
    wait_for 10 grep -q ready "$out"
    ok kill "$ID" USR1
    wait_for 10 grep -q usr1 "$out"
    # As an engine does it: to the pid of the state.
    kill -HUP "$(state_of "$ID" pid)"
    wait_for 10 grep -q hup "$out"
    # The guest's program stops, not the machine.
    ok kill "$ID" STOP
    ok exec "$ID" /bin/true
    ok kill "$ID" CONT
    ok kill "$ID" USR1
    wait_for 10 bash -c '[ "$(grep -c usr1 "$1")" -ge 2 ]' _ "$out"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "vm: a foreground run passes signals on and ends as its program does" {
    set_args /bin/sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    "$CTR" --root "$ROOT" --vm run --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
    local runner=$! rc=0
    wait_for 60 grep -q ready "$BATS_TEST_TMPDIR/out"
    kill -TERM "$runner"
    wait "$runner" || rc=$?
    [ "$rc" -eq 9 ]
    assert_leak_free
}

@test "vm: a terminal in the foreground, with its size" {
    edit_config '.process.terminal = true'
    set_args /bin/sh -c 'test -t 0 && test -t 1 && tty; stty size; exit 3'
    ctr_tty --vm run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 3 ]
    [[ $output == */dev/pts/0* ]] || [[ $output == */dev/console* ]]
}

@test "vm: a terminal that nobody has open for a while is not at its end" {
    edit_config '.process.terminal = true'
    set_args /bin/sh -c 'exec </dev/null >/dev/null 2>&1; sleep 0.5; echo back >/dev/console; exit 3'
    ctr_tty --vm run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 3 ]
    [[ $output == *back* ]] || fail "$output"
}

@test "vm: exec -t has a terminal of the guest's" {
    vm_boot
    ctr_tty exec -t "$ID" /bin/sh -c 'tty; exit 4'
    [ "$status" -eq 4 ]
    [[ $output == */dev/pts/* ]]
}

@test "vm: a terminal is not read for a machine in the background" {
    set_args /bin/sh -c 'while :; do sleep 1; done'
    run bash -c 'printf "typed\n" | script -qec "$1" /dev/null' - "
        $CTR --root $ROOT --vm run -d --bundle $BUNDLE $ID &&
        $CTR --root $ROOT exec -d $ID /bin/cat && $CTR --root $ROOT exec $ID /bin/true </dev/null &&
        read line && echo shell-got-\$line"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *shell-got-typed* ]]
    ok kill "$ID" KILL
    wait_state "$ID" stopped 20
    ok delete "$ID"
}

@test "vm: the console socket gets the terminal of a detached one" {
    edit_config '.process.terminal = true'
    set_args /bin/sh -c 'read line; echo "got $line"; exit 6'
    local t=$BATS_TEST_TMPDIR
    DEADLINE=$DEADLINE python3 "$BATS_TEST_DIRNAME/console.py" recv "$t/sock" "$t/name" "$t/tty" $'hello\n' 3>&- &
    wait_for 10 test -e "$t/name.ready"
    ok run -d --console-socket "$t/sock" --bundle "$BUNDLE" "$ID"
    wait_for 20 grep -q 'got hello' "$t/tty"
    wait_state "$ID" stopped 20
    ok delete "$ID"
}

@test "vm: delete --force after the VMM was killed" {
    vm_boot
    kill -9 "$(state_of "$ID" pid)"
    wait_state "$ID" stopped
    ok delete "$ID"
    vm_boot
    ok delete --force "$ID"
    assert_leak_free
}

@test "vm: the VMM is jailed: no capability of the host's, no new privileges, a root of its own" {
    vm_boot
    local pid
    pid=$(state_of "$ID" pid)
    grep -qx 'NoNewPrivs:	1' "/proc/$pid/status"
    [ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]
    local k
    for k in mnt pid net ipc uts; do
        [ "$(readlink "/proc/$pid/ns/$k")" != "$(readlink "/proc/self/ns/$k")" ] || fail "shares $k"
    done
    [ "$(ls "/proc/$pid/root/share")" = "rootfs
volumes" ] || [ "$(ls "/proc/$pid/root/share")" = rootfs ]
    [ ! -e "/proc/$pid/root/etc/passwd" ]
    [ ! -e "/proc/$pid/root/root" ]
}

# A container's init loses them when it executes its program; a machine never does.
@test "vm: the machine and QEMU have nothing open that is the caller's or the host's" {
    local pid fd target p
    set_args /bin/sleep 1000
    exec 7</etc 8<"$BATS_TEST_DIRNAME/vm_life.bats"
    ok run -d --bundle "$BUNDLE" "$ID"
    exec 7<&- 8<&-
    pid=$(state_of "$ID" pid)
    for p in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
        for fd in "/proc/$p/fd"/*; do
            target=$(readlink "$fd") || continue
            case $target in
            /sys/* | /proc/*/ns/* | anon_inode:\[pidfd\]) [ "$p" != "$pid" ] || [[ $target == *pidfd* ]] || fail "$p has $target open" ;;
            /etc | *vm_life.bats | "$ROOT"*) fail "$p has $target open" ;;
            esac
        done
        ! ls -l "/proc/$p/fd" | grep -F cgroup || fail "a cgroup is open in $p"
    done
    ok delete --force "$ID"
}

@test "vm: what the program closes is closed for those at the other end too" {
    set_args /bin/sh -c 'echo word; exec >/dev/null 2>&1 </dev/null; sleep 1000'
    mkfifo "$BATS_TEST_TMPDIR/out"
    timeout -k 5 60 "$CTR" --root "$ROOT" --vm ${VM_ACCEL:+--accel "$VM_ACCEL"} run -d --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
    # to its end, which comes while the machine runs
    run timeout 60 cat "$BATS_TEST_TMPDIR/out"
    [ "$status" -eq 0 ]
    [[ $output == *word* ]]
    [ "$(state_of "$ID" status)" = running ]
    ok delete --force "$ID"
}

@test "vm: a reader of exec who takes nothing does not keep the machine alive" {
    set_args /bin/sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    ok run -d --bundle "$BUNDLE" "$ID"
    wait_for 20 grep -q ready "$OUT"
    mkfifo "$BATS_TEST_TMPDIR/out"
    exec 9<>"$BATS_TEST_TMPDIR/out"
    "$CTR" --root "$ROOT" exec "$ID" /bin/sh -c 'yes' >"$BATS_TEST_TMPDIR/out" 2>/dev/null </dev/null 3>&- &
    local reader=$! line
    read -r -t 60 line <&9
    [ "$line" = y ]
    ok kill "$ID" TERM
    wait_state "$ID" stopped 20
    exec 9>&-
    wait "$reader" || true
    ok delete "$ID"
}

@test "vm: with --debug the guest's console is in the log, as records" {
    set_args /bin/true
    ctr --debug --log "$BATS_TEST_TMPDIR/log" --log-format json run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ] || fail "$output"
    grep -q 'guest: .*Linux version' "$BATS_TEST_TMPDIR/log"
    jq -e .msg "$BATS_TEST_TMPDIR/log" >/dev/null || fail "$(cat "$BATS_TEST_TMPDIR/log")"
}

@test "vm: all processes of the machine on the host are under a filter, and can get no rights" {
    local pid p
    vm_boot
    pid=$(state_of "$ID" pid)
    for p in "$pid" $(pgrep -P "$pid"); do
        grep -qx $'Seccomp:\t2' "/proc/$p/status" || fail "$(cat "/proc/$p/status")"
        grep -qx $'NoNewPrivs:\t1' "/proc/$p/status" || fail "$(cat "/proc/$p/status")"
    done
    ok delete --force "$ID"
}
