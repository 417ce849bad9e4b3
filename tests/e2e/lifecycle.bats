#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: own network
#
# Every command in every state of a container: what it does, its exit code, and the words that callers match on.

load helpers

# in_state STATE: $ID is then in that state.
in_state() {
    make_bundle
    set_args /bin/sleep 1000
    case $1 in
    created) ok create --bundle "$BUNDLE" "$ID" ;;
    running) ok run --detach --bundle "$BUNDLE" "$ID" ;;
    paused)
        ok run --detach --bundle "$BUNDLE" "$ID"
        ok pause "$ID"
        ;;
    stopped)
        ok run --detach --bundle "$BUNDLE" "$ID"
        ok kill "$ID" KILL
        wait_state "$ID" stopped
        ;;
    esac
    is_state "$ID" "$1"
}

# one_line STATUS TEXT ARGS...: fails so, with one line that ends with TEXT, and changes no state.
one_line() {
    local want=$1 text=$2 before
    before=$(state_of "$ID")
    shift 2
    ctr "$@"
    [ -z "$E2E_VM" ] || [ "$1 $want $status" != "run 1 125" ] || want=125
    [ "$status" -eq "$want" ] || fail "ctr $*: status $status, not $want: $stderr"
    [ "$(wc -l <"$ERR")" -eq 1 ] || fail "ctr $*: not one line: $stderr"
    [[ $stderr == "ctr: "*"$text" ]] || fail "ctr $*: stderr does not end with \"$text\": $stderr"
    [ "$(state_of "$ID")" = "$before" ] || fail "ctr $*: the state was $before, now $(state_of "$ID")"
}

# ---- which command is allowed in which state ----

@test "no such container: every command says so" {
    local cmd
    for cmd in start kill delete state pause resume ps; do
        one_line 1 "$ID: container does not exist" "$cmd" "$ID"
    done
    one_line 255 "$ID: container does not exist" exec "$ID" /bin/true
    one_line 1 "$ID: container does not exist" kill --all "$ID" KILL
    ok delete --force "$ID"
    [ -z "$stderr" ]
}

@test "created: start, kill, exec, pause, ps and delete are allowed" {
    in_state created
    one_line 1 'container with given ID already exists' create --bundle "$BUNDLE" "$ID"
    one_line 1 'container with given ID already exists' run --bundle "$BUNDLE" "$ID"
    one_line 1 'container not paused' resume "$ID"
    ok ps "$ID"
    [ "$(wc -l <"$OUT")" -eq 2 ]
    ok exec "$ID" /bin/sh -c 'echo in-created; cat /proc/1/comm'
    [ "$output" = $'in-created\nctr' ]
    ok delete "$ID"
    assert_leak_free
}

@test "created: a signal ends it" {
    in_state created
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    one_line 1 'cannot start a container that has stopped' start "$ID"
    ok delete "$ID"
}

@test "created: can be paused; it is created again after resume, and starts" {
    in_state created
    ok pause "$ID"
    is_state "$ID" paused
    ok resume "$ID"
    is_state "$ID" created
    ok start "$ID"
    is_state "$ID" running
    ok delete --force "$ID"
}

@test "running: a second create, start or delete is refused" {
    in_state running
    one_line 1 'container with given ID already exists' create --bundle "$BUNDLE" "$ID"
    one_line 1 'cannot start an already running container' start "$ID"
    one_line 1 "cannot delete container $ID that is not stopped: running" delete "$ID"
    one_line 1 'container not paused' resume "$ID"
    ok delete --force "$ID"
}

@test "paused: exec, start, pause and delete are refused; exec goes with --ignore-paused" {
    in_state paused
    one_line 255 'cannot exec in a paused container (use --ignore-paused to override)' exec "$ID" /bin/true
    one_line 1 'cannot start an already running container (it is paused)' start "$ID"
    one_line 1 "cannot delete container $ID that is not stopped: paused" delete "$ID"
    one_line 1 'container paused: container not running' pause "$ID"
    ok ps --format json "$ID"
    [ "$(jq -r '.[0]' "$OUT")" -eq "$(state_of "$ID" pid)" ]
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "paused: delete --force ends it at once" {
    in_state paused
    local start=$SECONDS
    ok delete --force "$ID"
    [ $((SECONDS - start)) -lt 15 ]
    assert_leak_free
}

@test "paused: the processes really stand still" {
    make_bundle
    set_args /bin/sh -c 'while :; do date +%s%N >/tmp/now; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 test -s "$BUNDLE/rootfs/tmp/now"
    ok pause "$ID"
    local before
    before=$(cat "$BUNDLE/rootfs/tmp/now")
    sleep 0.1
    [ "$(cat "$BUNDLE/rootfs/tmp/now")" = "$before" ]
    ok resume "$ID"
    changed() { [ "$(cat "$BUNDLE/rootfs/tmp/now")" != "$before" ]; }
    wait_for 10 changed
    ok delete --force "$ID"
}

@test "stopped: nothing but delete, state and kill --all" {
    in_state stopped
    one_line 1 'cannot start a container that has stopped' start "$ID"
    one_line 1 'container not running' kill "$ID"
    one_line 1 'container not running' kill "$ID" KILL
    one_line 1 'container not running' pause "$ID"
    one_line 1 'container not paused' resume "$ID"
    one_line 255 'cannot exec in a stopped container' exec "$ID" /bin/true
    one_line 1 'container with given ID already exists' create --bundle "$BUNDLE" "$ID"
    ok kill --all "$ID" KILL
    ok ps --format json "$ID"
    [ "$output" = "[]" ]
    ok delete "$ID"
    one_line 1 "$ID: container does not exist" delete "$ID"
}

@test "start twice at the same time: exactly one wins" {
    in_state created
    set_args /bin/sleep 1000
    local i wins=0
    for i in 1 2 3 4; do
        "$CTR" --root "$ROOT" start "$ID" >"$BATS_TEST_TMPDIR/s$i" 2>&1 </dev/null 3>&- &&
            echo won >>"$BATS_TEST_TMPDIR/won" &
    done
    wait
    [ "$(wc -l <"$BATS_TEST_TMPDIR/won")" -eq 1 ]
    is_state "$ID" running
    for i in 1 2 3 4; do
        [ ! -s "$BATS_TEST_TMPDIR/s$i" ] || grep -q 'cannot start an already running container' "$BATS_TEST_TMPDIR/s$i"
    done
    ok delete --force "$ID"
}

@test "a container that init's death stopped keeps its other processes out of the way" {
    make_bundle
    # without a pid namespace init's children live on
    edit_config '.linux.namespaces |= map(select(.type != "pid"))'
    set_args /bin/sh -c 'sleep 1000 & sleep 1001 & echo ready; exec sleep 1002'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q ready "$OUT"
    ok ps --format json "$ID"
    [ "$(jq length "$OUT")" -eq 3 ]
    ok kill "$ID" TERM
    wait_state "$ID" stopped
    ok ps --format json "$ID"
    [ "$(jq length "$OUT")" -eq 2 ]
    ok kill --all "$ID" KILL
    ok delete "$ID"
    assert_leak_free
}

@test "SIGKILL to init means all processes when the pid namespace is shared" {
    make_bundle
    edit_config '.linux.namespaces |= map(select(.type != "pid"))'
    set_args /bin/sh -c 'sleep 1000 & sleep 1001 & echo ready; exec sleep 1002'
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q ready "$OUT"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    none_left() {
        ok ps --format json "$ID"
        [ "$output" = "[]" ]
    }
    wait_for 10 none_left
    ok delete "$ID"
}

# ---- state, list, ps ----

@test "state: exactly these keys in this order" {
    make_bundle
    edit_config '.annotations = {"b": "2", "a": "1"}'
    set_args /bin/sleep 1000
    ok create --bundle "$BUNDLE" "$ID"
    ok state "$ID"
    [ "$(jq -r 'keys_unsorted | join(" ")' "$OUT")" = \
        "ociVersion id pid status bundle rootfs created annotations owner" ]
    jq -e --arg id "$ID" --arg b "$BUNDLE" '.id == $id and .status == "created" and .bundle == $b
        and .rootfs == $b + "/rootfs" and (.pid | type) == "number" and .pid > 0 and .owner == "root"
        and .annotations == {"b": "2", "a": "1"}
        and (.ociVersion | test("^1\\.[0-9]+\\.[0-9]+"))
        and (.created | test("^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{9}Z$"))' "$OUT"
    # pretty printed: a key a line
    [ "$(grep -c '^  "' "$OUT")" -eq 9 ]
    ok start "$ID"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok state "$ID"
    jq -e '.pid == 0 and .status == "stopped"' "$OUT"
    ok delete "$ID"
}

@test "state: without annotations there is no such key" {
    in_state created
    ok state "$ID"
    [ "$(jq -r 'keys_unsorted | join(" ")' "$OUT")" = "ociVersion id pid status bundle rootfs created owner" ]
    ok delete --force "$ID"
}

@test "list --format json: an array on one line, exact bytes" {
    in_state created
    ok list --format json
    local pid created version
    pid=$(state_of "$ID" pid)
    created=$(state_of "$ID" created)
    version=$(state_of "$ID" ociVersion)
    [ "$output" = "[{\"ociVersion\":\"$version\",\"id\":\"$ID\",\"pid\":$pid,\"status\":\"created\",\"bundle\":\"$BUNDLE\",\"rootfs\":\"$BUNDLE/rootfs\",\"created\":\"$created\",\"owner\":\"root\"}]" ]
    [ "$(wc -l <"$OUT")" -eq 1 ]
    ok delete --force "$ID"
}

@test "list: empty in its three forms" {
    mkdir "$ROOT"
    ok list
    [ "$(wc -l <"$OUT")" -eq 1 ]
    [[ $output =~ ^ID\ +PID\ +STATUS\ +BUNDLE\ +CREATED\ +OWNER$ ]]
    ok list --format json
    [ "$output" = "[]" ]
    ok list --quiet
    [ ! -s "$OUT" ]
}

@test "list: the table's columns, containers by name, -q only names" {
    in_state running
    ok create --bundle "$BUNDLE" "$ID-b"
    ok create --bundle "$BUNDLE" "$ID-a"
    ok list
    [ "$(wc -l <"$OUT")" -eq 4 ]
    [ "$(awk '{ print $1, $3, $4, $6 }' "$OUT")" = "ID STATUS BUNDLE OWNER
$ID running $BUNDLE root
$ID-a created $BUNDLE root
$ID-b created $BUNDLE root" ]
    [ "$(awk 'NR == 2 { print $2 }' "$OUT")" -eq "$(state_of "$ID" pid)" ]
    [ "$(awk 'NR == 2 { print $5 }' "$OUT")" = "$(state_of "$ID" created)" ]
    # columns are aligned
    local at
    at=$(head -1 "$OUT" | grep -bo STATUS | cut -d: -f1)
    [ "$(sed -n 4p "$OUT" | cut -c$((at + 1))-$((at + 7)))" = created ]
    ok list -q
    [ "$output" = "$ID
$ID-a
$ID-b" ]
    ok delete --force "$ID"
    ok delete "$ID-a"
    ok delete "$ID-b"
}

@test "ps: table with the header and only the container's lines, options go to ps, json is an array" {
    in_state running
    ok exec --detach "$ID" /bin/sleep 2000
    ok ps "$ID"
    [ "$(wc -l <"$OUT")" -eq 3 ]
    [[ $output == UID*PID*CMD*"sleep 1000"*"sleep 2000" ]]
    ok ps "$ID" -e -o pid,comm
    [ "$(awk '{ print $2 }' "$OUT" | sort -u)" = "$(printf 'COMMAND\nsleep\n' | sort -u)" ] ||
        [ "$(sed 1d "$OUT" | awk '{ print $2 }' | sort -u)" = sleep ]
    ok ps --format json "$ID"
    [ "$(wc -l <"$OUT")" -eq 1 ]
    jq -e --argjson p "$(state_of "$ID" pid)" 'length == 2 and index($p) != null' "$OUT"
    ok ps -f json "$ID"
    fails 1 'unknown format: xml' ps --format xml "$ID"
    fails 1 'no PID column' ps "$ID" -e -o comm
    ok delete --force "$ID"
}

# ---- kill ----

@test "kill: signals by number, name, SIGname, lower case, and real-time ones" {
    make_bundle
    # shells cannot trap all of them by name; the mask of caught signals would not tell which arrived
    set_args /bin/sh -c 'for s in 1 10 12 34 37 64; do trap "echo got-$s" $s; done
        echo ready; while :; do sleep 0.02; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    local said=$OUT
    wait_for 10 grep -q ready "$said"
    local pair
    for pair in 10:10 HUP:1 SIGUSR2:12 SIGRTMIN+3:37 RTMAX:64 sigrtmin:34; do
        : >"$said"
        ok kill "$ID" "${pair%:*}"
        wait_for 10 grep -qx "got-${pair#*:}" "$said"
    done
    ok kill "$ID" 0
    local bad
    for bad in FOO SIGFOO 65 -1 999999999999 RTMAX+1 RTMIN-1 '' 9x 'TERM '; do
        fails 1 'unknown signal' kill "$ID" -- "$bad" || return 1
    done
    is_state "$ID" running
    ok delete --force "$ID"
}

@test "kill --all reaches every process" {
    make_bundle
    set_args /bin/sh -c 'sh -c "trap \"echo child; exit\" USR1; echo up; while :; do sleep 0.02; done" &
        trap "echo init" USR1; echo up; while :; do sleep 0.02; done'
    ok run --detach --bundle "$BUNDLE" "$ID"
    local said=$OUT
    two_up() { [ "$(grep -c up "$said")" -eq 2 ]; }
    wait_for 10 two_up
    ok kill --all "$ID" USR1
    wait_for 10 grep -qx child "$said"
    wait_for 10 grep -qx init "$said"
    ok kill -a "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "kill --regex and delete --regex work on all that match, and on none" {
    in_state running
    ok run --detach --bundle "$BUNDLE" "$ID-b1"
    ok run --detach --bundle "$BUNDLE" "$ID-b2"
    ok kill --regex "^$ID-b[12]$" KILL
    wait_state "$ID-b1" stopped
    wait_state "$ID-b2" stopped
    is_state "$ID" running
    ok delete --regex "^$ID-b"
    [ "$(containers)" = "$ID" ]
    ok delete --regex '^no-such-'
    ok kill --regex '^no-such-' KILL
    fails 1 'not a regular expression' delete --regex '('
    fails 1 'not stopped: running' delete --regex "^$ID"
    ok delete --force --regex "^$ID"
    [ -z "$(containers)" ]
}

# ---- options of create and run ----

@test "--pid-file: written only on success, in one piece, no newline" {
    in_state created
    local pids=$BATS_TEST_TMPDIR/pids
    mkdir "$pids"
    ok create --bundle "$BUNDLE" --pid-file "$pids/p" "$ID-b"
    [ "$(state_of "$ID-b" pid)" = "$(cat "$pids/p")" ]
    [ "$(stat -c %s "$pids/p")" -eq "$(state_of "$ID-b" pid | tr -d '\n' | wc -c)" ]
    # nothing temporary beside it
    [ "$(ls -A "$pids")" = p ]
    set_args /no-such-program
    fails 1 no-such-program create --bundle "$BUNDLE" --pid-file "$pids/q" "$ID-c"
    [ ! -e "$pids/q" ]
    ok exec --pid-file "$pids/e" --detach "$ID" /bin/sleep 2000
    grep -q "2000" "/proc/$(cat "$pids/e")/cmdline"
    fails 255 no-such-program exec --pid-file "$pids/f" --detach "$ID" /no-such-program
    [ ! -e "$pids/f" ]
    [ "$(ls -A "$pids" | sort | paste -sd' ')" = "e p" ]
    ok delete --force "$ID"
    ok delete --force "$ID-b"
}

@test "--pid-file: relative to where ctr runs, and over an old one" {
    in_state stopped
    ok delete "$ID"
    set_args /bin/true
    cd "$BATS_TEST_TMPDIR"
    echo 99999999 >old.pid
    ok run --bundle "$BUNDLE" --pid-file old.pid "$ID"
    [ "$(cat old.pid)" != 99999999 ]
}

@test "--preserve-fds passes exactly so many on" {
    make_bundle
    set_args /bin/sh -c 'cat <&3; cat <&4; ls /proc/self/fd'
    echo three >"$BATS_TEST_TMPDIR/3"
    echo four >"$BATS_TEST_TMPDIR/4"
    echo five >"$BATS_TEST_TMPDIR/5"
    status=0
    output=$(exec 3<"$BATS_TEST_TMPDIR/3" 4<"$BATS_TEST_TMPDIR/4" 5<"$BATS_TEST_TMPDIR/5"
        "$CTR" --root "$ROOT" run --preserve-fds 2 --bundle "$BUNDLE" "$ID" </dev/null 2>&1) || status=$?
    [ "$status" -eq 0 ]
    # ls has one of its own, the first free one
    [ "$output" = $'three\nfour\n0\n1\n2\n3\n4\n5' ]
}

# opens PID: what it has open beyond its standard descriptors.
opens() {
    local fd
    for fd in "/proc/$1/fd/"*; do
        [ "${fd##*/}" -le 2 ] || readlink "$fd"
    done
}

@test "created: init keeps nothing that the caller of create had open" {
    make_bundle
    set_args /bin/sleep 1000
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    timeout 60 cat "$BATS_TEST_TMPDIR/fifo" >"$BATS_TEST_TMPDIR/read" 3>&- &
    local reader=$!
    exec 7>"$BATS_TEST_TMPDIR/fifo" 9>"$BATS_TEST_TMPDIR/lock" 200<"$BATS_TEST_TMPDIR/fifo"
    flock 9
    ok create --bundle "$BUNDLE" "$ID"
    echo said >&7
    exec 7>&- 9>&- 200<&-
    [[ $(opens "$(state_of "$ID" pid)") != *"$BATS_TEST_TMPDIR/"@(fifo|lock)* ]] || fail "$(opens "$(state_of "$ID" pid)")"
    flock -n "$BATS_TEST_TMPDIR/lock" true || fail "the lock is still held"
    wait "$reader"
    [ "$(cat "$BATS_TEST_TMPDIR/read")" = said ]
    ok start "$ID"
    ok delete --force "$ID"
}

@test "created: of what ctr opened init keeps the start socket alone; of what is passed on, all" {
    make_bundle
    set_args /bin/sh -c 'cat <&4'
    edit_config '.hooks.createContainer = [{path: "/bin/true"}]'
    ok create --bundle "$BUNDLE" "$ID"
    [[ $(opens "$(state_of "$ID" pid)") =~ ^socket:[^$'\n']*$ ]] || fail "$(opens "$(state_of "$ID" pid)")"
    ok delete --force "$ID"
    # the caller has no 3 and no 5 to pass
    echo four >"$BATS_TEST_TMPDIR/4"
    "$CTR" --root "$ROOT" create --preserve-fds 3 --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/said" 2>&1 \
        3>&- 4<"$BATS_TEST_TMPDIR/4" 5>&- 6>&-
    [[ $(opens "$(state_of "$ID" pid)" | sort) =~ ^"$BATS_TEST_TMPDIR/4"$'\n'socket:[^$'\n']*$ ]] \
        || fail "$(opens "$(state_of "$ID" pid)")"
    ok start "$ID"
    wait_state "$ID" stopped
    [ "$(cat "$BATS_TEST_TMPDIR/said")" = four ]
    # a startContainer hook still has the files of its output
    edit_config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "echo hooked"]}]
        | .annotations["run.oci.hooks.stdout"] = $out' --arg out "$BATS_TEST_TMPDIR/hooked"
    ok delete "$ID"
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    [ "$(cat "$BATS_TEST_TMPDIR/hooked")" = hooked ]
    ok delete --force "$ID"
}

@test "no descriptor of the caller or of ctr reaches the process" {
    make_bundle
    set_args /bin/sh -c 'ls /proc/self/fd; for f in /proc/1/fd/*; do readlink $f; done; true'
    status=0
    output=$(exec 7</etc/passwd 9</etc
        "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 2>/dev/null) || status=$?
    [ "$status" -eq 0 ]
    [ "$(head -4 <<<"$output" | paste -sd' ')" = "0 1 2 3" ]
    [[ $output != *passwd* ]]
    [[ $output != */etc* ]]
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    status=0
    output=$(exec 7</etc/passwd
        "$CTR" --root "$ROOT" exec "$ID" /bin/ls /proc/self/fd </dev/null 2>/dev/null) || status=$?
    [ "$(paste -sd' ' <<<"$output")" = "0 1 2 3" ]
    ok delete --force "$ID"
}

@test "run --keep leaves a stopped container to look at" {
    make_bundle
    set_args /bin/sh -c 'exit 5'
    ctr run --keep --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 5 ]
    is_state "$ID" stopped
    one_line 1 'cannot start a container that has stopped' start "$ID"
    ok delete "$ID"
    assert_leak_free
}

@test "run --detach returns at once, the container goes on as nobody's child" {
    make_bundle
    set_args /bin/sh -c 'while [ ! -e /tmp/go ]; do sleep 0.02; done; echo done >/tmp/done'
    ok run --detach --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    is_state "$ID" running
    [ -z "$(pgrep -f -- "--root $ROOT" || true)" ]
    : >"$BUNDLE/rootfs/tmp/go"
    wait_state "$ID" stopped
    [ "$(cat "$BUNDLE/rootfs/tmp/done")" = done ]
    ok delete "$ID"
}

# ---- exit codes ----

@test "exit codes: of the process, for run and exec" {
    make_bundle
    local code
    for code in 0 1 7 125 126 127 255; do
        run_sh "exit $code"
        [ "$status" -eq "$code" ] || fail "run: $status, not $code"
        [ -z "$stderr" ]
    done
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    for code in 0 1 7 125 126 127 255; do
        ctr exec "$ID" /bin/sh -c "exit $code"
        [ "$status" -eq "$code" ] || fail "exec: $status, not $code"
        [ -z "$stderr" ]
    done
    ctr exec "$ID" /bin/sh -c 'kill -TERM $$'
    [ "$status" -eq 143 ]
    ctr exec "$ID" /bin/sh -c 'kill -KILL $$'
    [ "$status" -eq 137 ]
    ok delete --force "$ID"
}

@test "exit codes: what cannot be removed is said, and the program's exit status stays" {
    make_bundle
    set_args /bin/sh -c 'sleep 1; exit 7'
    edit_config '.hooks.poststart = [{path: "/bin/sh", args: ["sh", "-c", "mkdir \($d)/stays"]}]' --arg d "$ROOT/$ID"
    ctr run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 7 ] || fail "$status: $stderr"
    [[ $stderr == *"remove state of container $ID: stays"* ]] || fail "$stderr"
    rmdir "$ROOT/$ID/stays"
    ok delete --force "$ID"
}

@test "exit codes: an engine's run fails with 1, a person's with 127, 126 and 125" {
    make_bundle
    set_args /no-such-program
    fails 1 'exec: "/no-such-program"' run --bundle "$BUNDLE" "$ID"
    fails 127 'exec: "/no-such-thing"' run --bundle "$BUNDLE" "$ID" /no-such-thing
    fails 127 'executable file not found in $PATH' run --bundle "$BUNDLE" "$ID" no-such-thing
    fails 127 'exec: "/no-such-program"' run --env A=b --bundle "$BUNDLE" "$ID"
    set_args /etc/passwd
    fails 1 'permission denied' run --bundle "$BUNDLE" "$ID"
    fails 126 'permission denied' run --bundle "$BUNDLE" "$ID" /etc/group
    fails 126 '/etc' run --bundle "$BUNDLE" "$ID" /etc
    fails 125 'no-such-user' run --user no-such-user --bundle "$BUNDLE" "$ID"
    fails 1 'no-such-bundle' run --bundle "$BATS_TEST_TMPDIR/no-such-bundle" "$ID"
    fails 125 'no-such-bundle' run --bundle "$BATS_TEST_TMPDIR/no-such-bundle" "$ID" /bin/true
    assert_leak_free
}

@test "exit codes: a clone's missing program is 127, a directory 126" {
    require_root
    fails 127 'no-such-program' run --clone "$ID" /no-such-program
    fails 126 '/etc' run --clone "$ID" /etc
    ctr run --clone "$ID" sh -c 'exit 3'
    [ "$status" -eq 3 ]
    assert_leak_free
}

@test "exit codes: a failed exec is 255" {
    in_state running
    one_line 255 'exec: "/no-such-program": stat /no-such-program: no such file or directory' exec "$ID" /no-such-program
    one_line 255 'exec: "no-such-program": executable file not found in $PATH' exec "$ID" no-such-program
    one_line 255 'exec: "/etc/passwd": permission denied' exec "$ID" /etc/passwd
    fails 255 no-such-dir exec --pid-file "$BATS_TEST_TMPDIR/no-such-dir/pid" "$ID" /bin/true
    fails 255 /no-such-cwd exec --cwd /no-such-cwd "$ID" /bin/true
    fails 255 process.json exec --process "$BATS_TEST_TMPDIR/process.json" "$ID"
    ok delete --force "$ID"
}

# ---- the copy of the configuration ----

@test "changes of the bundle after create have no effect; exec works without the bundle" {
    make_bundle
    edit_config '.process.env += ["WHICH=first"] | .process.cwd = "/tmp"'
    set_args /bin/sh -c 'echo $WHICH; sleep 1000'
    ok create --bundle "$BUNDLE" "$ID"
    edit_config '.process.env += ["WHICH=second"] | .process.args = ["/bin/false"] | .hostname = "other"'
    ok start "$ID"
    is_state "$ID" running
    ok exec "$ID" /bin/sh -c 'echo $WHICH; pwd'
    [ "$output" = $'first\n/tmp' ]
    rm "$BUNDLE/config.json"
    ok exec "$ID" /bin/sh -c 'echo $WHICH'
    [ "$output" = first ]
    ok pause "$ID"
    ok resume "$ID"
    mv "$BUNDLE" "$BUNDLE.gone"
    ok kill "$ID" KILL
    wait_state "$ID" stopped
    ok delete "$ID"
}
