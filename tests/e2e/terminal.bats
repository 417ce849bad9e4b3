#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# process.terminal: in the foreground the user's own terminal is passed on, otherwise the new one is handed
# to a console socket.

load helpers

setup() {
    common_setup
    make_bundle
    edit_config '.process.terminal = true'
    PTY=$BATS_TEST_TMPDIR/pty
}

# drive COMMANDS ARGS...: ctr ARGS... in a terminal, led by the commands (see console.py). Sets $status and
# $output, what the terminal showed.
drive() {
    local commands=$1
    shift
    status=$(printf '%s\n' "$commands" | DEADLINE=$DEADLINE python3 "$BATS_TEST_DIRNAME/console.py" drive "$PTY" \
        "$CTR" --root "$ROOT" "$@" 2>"$PTY.error" 3>&-) || fail "$(cat "$PTY.error")"
    output=$(tr -d '\r' <"$PTY")
}

# receive [TEXT]: a console socket in the background, $SOCKET; then $NAME and $TTY are what came.
receive() {
    SOCKET=$BATS_TEST_TMPDIR/console.sock NAME=$BATS_TEST_TMPDIR/name TTY=$BATS_TEST_TMPDIR/tty
    rm -f "$SOCKET" "$NAME" "$NAME.ready" "$TTY"
    DEADLINE=$DEADLINE python3 "$BATS_TEST_DIRNAME/console.py" recv "$SOCKET" "$NAME" "$TTY" "${1:-}" 3>&- &
    RECEIVER=$!
    wait_for 10 test -e "$NAME.ready"
}

# ---- the foreground ----

@test "run: stdin, stdout and stderr are one terminal, the controlling one, /dev/console is it too" {
    set_args /bin/sh -c 'test -t 0 && test -t 1 && test -t 2 && echo three; tty; readlink /proc/self/fd/0; readlink /proc/self/fd/2
        echo by console >/dev/console; echo by tty >/dev/tty; stat -c %t:%T /dev/console "$(tty)"; ps -o pid,pgid,tty,comm | grep -c "136,"'
    drive wait run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    [[ $output == three$'\n'/dev/pts/0$'\n'/dev/pts/0$'\n'/dev/pts/0$'\n'"by console"$'\n'"by tty"$'\n'* ]]
    [ "$(grep -c '^88:0$' <<<"$output")" -eq 2 ]
}

@test "run: a /dev that is bound from the host stays as it is; its console, when it has one, is the terminal" {
    local host=$BATS_TEST_TMPDIR/dev
    mkdir -p "$host/pts"
    mknod -m 666 "$host/ptmx" c 5 2
    mknod -m 666 "$host/tty" c 5 0
    mknod -m 666 "$host/null" c 1 3
    ln -s /etc/target "$host/console"
    edit_config '.mounts |= map(select(.destination | startswith("/dev") | not))
        | .mounts += [{destination: "/dev", type: "bind", source: $d, options: ["bind"]},
            {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666"]}]' \
        --arg d "$host"
    set_args /bin/sh -c 'test -t 0 && echo terminal; tty'
    drive wait run --bundle "$BUNDLE" "$ID"
    [[ $output == *terminal$'\n'/dev/pts/0* ]] || fail "$output"
    [ "$(readlink "$host/console")" = /etc/target ]
    rm "$host/console"
    drive wait run --bundle "$BUNDLE" "$ID"
    [[ $output == *terminal* ]]
    [ ! -e "$host/console" ]
    : >"$host/console"
    set_args /bin/sh -c 'echo by console >/dev/console'
    drive wait run --bundle "$BUNDLE" "$ID"
    [[ $output == *"by console"* ]]
    [ -f "$host/console" ] && [ ! -s "$host/console" ]
}

@test "run: without a mount namespace nothing is mounted for the terminal" {
    local dev=$BUNDLE/rootfs/dev rc=0
    edit_config '.linux.namespaces |= map(select(.type != "mount")) | .mounts = []
        | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
    mkdir "$dev/pts"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$dev/pts"
    set_args /bin/sh -c 'test -t 0 && tty'
    ctr_tty run --bundle "$BUNDLE" "$ID"
    ! umount "$dev/console" 2>/dev/null || rc=1
    umount "$dev/pts"
    [ "$rc" -eq 0 ] || fail 'the console is still mounted on the host'
    [ ! -e "$dev/console" ]
    [[ $output == *dev/pts/0* ]] || fail "$output"
}

@test "run: the size is passed on, and its changes arrive with SIGWINCH" {
    set_args /bin/sh -c 'stty size; trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.05; done'
    drive $'expect 25 91\nexpect ready\nsize 40 123\nexpect 40 123\nwait' run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 3 ]
}

@test "run: consoleSize is the size when there is no other" {
    edit_config '.process.consoleSize = {height: 33, width: 44}'
    receive
    set_args /bin/sh -c 'stty size'
    ok run --detach --console-socket "$SOCKET" --bundle "$BUNDLE" "$ID"
    wait "$RECEIVER"
    [ "$(tr -d '\r' <"$TTY")" = "33 44" ]
    ok delete --force "$ID"
    # without a terminal it means nothing
    edit_config '.process.terminal = false'
    set_args /bin/true
    ok run --bundle "$BUNDLE" "$ID"
}

@test "run: the user's terminal is as before: after a normal end, after death by a signal, after a signal to ctr" {
    local end
    for end in 'type exit 4\n' "shell '$CTR' --root '$ROOT' kill $ID KILL" 'signal TERM' 'signal HUP'; do
        set_args /bin/sh -c 'trap "exit 9" TERM HUP; stty -echo; echo ready; read -r line; $line'
        drive $'expect ready\nsettings during\n'"$end"$'\nwait' run --bundle "$BUNDLE" "$ID"
        case $end in
        type*) [ "$status" -eq 4 ] ;;
        shell*) [ "$status" -eq 137 ] ;;
        signal*) [ "$status" -eq 9 ] ;;
        esac
        [ "$(cat "$PTY.start")" != "$(cat "$PTY.during")" ] || fail "$end: was never raw"
        [ "$(cat "$PTY.start")" = "$(cat "$PTY.after")" ] || fail "$end: not restored"
    done
}

@test "run: the user's terminal is as before when the container does not come to be" {
    set_args /bin/no-such-program
    drive wait run --bundle "$BUNDLE" "$ID"
    [ "$status" -ne 0 ]
    [ "$(cat "$PTY.start")" = "$(cat "$PTY.after")" ]
}

@test "run: Ctrl-C and Ctrl-\\ and Ctrl-Z are characters for the container" {
    set_args /bin/sh -c 'trap "echo got int; exit 6" INT; echo ready; while :; do sleep 0.05; done'
    drive $'expect ready\ntype \\x03\nexpect got int\nwait' run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 6 ]
    set_args /bin/sh -c 'trap "echo got quit; exit 7" QUIT; echo ready; while :; do sleep 0.05; done'
    drive $'expect ready\ntype \\x1c\nexpect got quit\nwait' run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 7 ]
}

# drive_shell COMMANDS SCRIPT ARGS...: as drive, but of a shell with job control, whose "$@" is ctr.
drive_shell() {
    local commands=$1 script=$2
    shift 2
    status=$(printf '%s\n' "$commands" | DEADLINE=$DEADLINE python3 "$BATS_TEST_DIRNAME/console.py" drive "$PTY" \
        bash -mc "$script" shell "$CTR" --root "$ROOT" $CTR_GLOBALS "$@" 2>"$PTY.error" 3>&-) || fail "$(cat "$PTY.error")"
    output=$(tr -d '\r' <"$PTY")
}

# For `shell` of console.py: the process of ctr run.
self_of() { echo "\$(sed -n 's/^PPid:.//p' /proc/\$('$CTR' --root '$ROOT' state $1 | jq .pid)/status)"; }

@test "run: as a job in the background it leaves the terminal to the shell, in the foreground it is raw" {
    set_args /bin/sh -c 'stty -echo; echo ready; while read -r line; do echo "<$line>"; [ "$line" != end ] || exit 5; done'
    drive_shell "expect ready
settings behind
type mine\\n
expect [mine]
shell until awk '{ exit \$5 != \$8 }' /proc/$(self_of "$ID")/stat; do sleep 0.02; done
type first\\n
expect <first>
settings front
type end\\n
expect over 5
settings over
type x\\n
wait" '"$@" & read -r word; echo "[$word]"; fg; echo over $?; read -r word' run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$PTY.start")" = "$(cat "$PTY.behind")" ] || fail "raw in the background"
    [ "$(cat "$PTY.start")" != "$(cat "$PTY.front")" ] || fail "not raw in the foreground"
    [ "$(cat "$PTY.start")" = "$(cat "$PTY.over")" ] || fail "not restored"
}

@test "run: stopped and sent to the background, it leaves the terminal to the shell, also at its end" {
    set_args /bin/sh -c 'trap "echo went on" CONT; echo ready; while :; do sleep 0.05; done'
    drive_shell "expect ready
settings raw
shell kill -STOP $(self_of "$ID")
expect stopped
settings before
type x\\n
expect went on
settings behind
shell '$CTR' --root '$ROOT' kill $ID KILL
expect over
settings over
type x\\n
wait" '"$@"; stty sane -echo; echo stopped; read -r word; bg; wait; echo over; read -r word' run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$PTY.raw")" != "$(cat "$PTY.before")" ]
    [ "$(cat "$PTY.behind")" = "$(cat "$PTY.before")" ] || fail "raw in the background"
    [ "$(cat "$PTY.over")" = "$(cat "$PTY.before")" ] || fail "the settings of the shell were overwritten"
}

@test "run: what is typed arrives, end of file too" {
    set_args /bin/sh -c 'stty -echo; echo ready; while read -r line; do echo "<$line>"; done; echo eof; exit 8'
    drive $'expect ready\ntype one\\ntwo\\n\nexpect <one>\nexpect <two>\neof\nexpect eof\nwait' run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 8 ]
}

@test "run: stdin at its end is the end for the container, with or without a last newline" {
    set_args /bin/sh -c 'stty -echo; cat; echo eof'
    printf 'no newline' >"$BATS_TEST_TMPDIR/in"
    STDIN=$BATS_TEST_TMPDIR/in ok run --bundle "$BUNDLE" "$ID"
    [[ $output == *"no newline"*eof* ]]
    STDIN=/dev/null ok run --bundle "$BUNDLE" "$ID"
    [[ $output == *eof* ]]
}

@test "run: 1 MB through the terminal is complete" {
    set_args /bin/sh -c 'stty -onlcr; seq 1 170000; echo the end'
    drive $'wait' run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 0 ]
    [ "$(wc -c <"$PTY")" -gt 1000000 ]
    [ "$(md5sum <"$PTY")" = "$({ seq 1 170000; echo the end; } | md5sum)" ] ||
        [ "$(tr -d '\r' <"$PTY" | md5sum)" = "$({ seq 1 170000; echo the end; } | md5sum)" ]
}

@test "run: 1 MB through pipes is complete, in and out" {
    edit_config '.process.terminal = false'
    set_args /bin/sh -c 'cat; seq 1 170000'
    head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
    [ "$("$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- <"$BATS_TEST_TMPDIR/in" | cat | md5sum)" = \
        "$({ cat "$BATS_TEST_TMPDIR/in"; seq 1 170000; } | md5sum)" ]
}

@test "run: a terminal in the background without console socket is refused" {
    set_args /bin/true
    fails 1 'cannot allocate tty if ctr will detach without setting console socket' run --detach --bundle "$BUNDLE" "$ID"
    fails 1 'cannot allocate tty if ctr will detach without setting console socket' create --bundle "$BUNDLE" "$ID"
    edit_config '.process.terminal = false'
    fails 1 'cannot use console socket if ctr will not detach or allocate tty' \
        create --console-socket "$BATS_TEST_TMPDIR/x" --bundle "$BUNDLE" "$ID"
}

# ---- the console socket ----

@test "create: the console socket gets the terminal in one message, its name as payload" {
    local kind
    for kind in stream seqpacket; do
        export TYPE=$kind
        receive $'typed\n'
        set_args /bin/sh -c 'stty -echo; tty; read -r line; echo "<$line>"; readlink /proc/self/fd/1'
        ok create --console-socket "$SOCKET" --bundle "$BUNDLE" "$ID"
        wait_for 10 test -e "$NAME"
        [ "$(cat "$NAME")" = /dev/pts/0 ]
        ok start "$ID"
        wait "$RECEIVER"
        grep -q '/dev/pts/0' "$TTY"
        grep -q '<typed>' "$TTY"
        [ -z "$output" ]
        wait_state "$ID" stopped
        ok delete "$ID"
    done
}

@test "create: a console socket that is not there fails, and nothing stays" {
    set_args /bin/true
    fails 1 "$BATS_TEST_TMPDIR/none.sock" create --console-socket "$BATS_TEST_TMPDIR/none.sock" --bundle "$BUNDLE" "$ID"
    assert_leak_free
}

@test "create: the terminal belongs to the process's user" {
    edit_config '.process.user = {uid: 1000, gid: 1000}'
    receive
    set_args /bin/sh -c 'stat -c %u:%g:%a "$(tty)"; echo x >/dev/tty && echo writable'
    ok run --detach --console-socket "$SOCKET" --bundle "$BUNDLE" "$ID"
    wait "$RECEIVER"
    [[ $(tr -d '\r' <"$TTY") == 1000:5:620$'\n'x$'\n'writable ]]
    ok delete --force "$ID"
}

# ---- exec ----

up() {
    edit_config '.process.terminal = false'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
}

@test "exec -t: a terminal with the user's size; resize, status and settings as with run" {
    up
    drive $'expect 25 91\nexpect ready\nsize 30 70\nexpect 30 70\nwait' \
        exec -t "$ID" /bin/sh -c 'stty size; tty; trap "stty size; exit 5" WINCH; echo ready; while :; do sleep 0.05; done'
    [ "$status" -eq 5 ]
    [[ $output == *$'\n'/dev/pts/0$'\n'* ]]
    drive $'expect ready\ntype \\x03\nwait' exec -t "$ID" /bin/sh -c 'trap "echo got int; exit 6" INT; echo ready; while :; do sleep 0.05; done'
    [ "$status" -eq 6 ]
    ok exec "$ID" /bin/sh -c 'test -t 1 || echo none'
    [ "$output" = none ]
    ok delete --force "$ID"
}

@test "exec -t: as a job in the background it leaves the terminal to the shell" {
    edit_config '.process.terminal = false'
    set_args /bin/sleep 1000
    ok run --detach --bundle "$BUNDLE" "$ID"
    drive_shell 'expect ready
settings behind
type mine\n
expect [mine]
expect over 6
settings over
type x\n
wait' '"$@" & read -r word; echo "[$word]"; kill %1; wait %1; echo over $?; read -r word' exec -t "$ID" \
        /bin/sh -c 'trap "exit 6" TERM; echo ready; while :; do sleep 0.05; done'
    [ "$(cat "$PTY.start")" = "$(cat "$PTY.behind")" ] || fail "raw in the background"
    [ "$(cat "$PTY.start")" = "$(cat "$PTY.over")" ]
    ok delete --force "$ID"
}

@test "exec -t -d: the terminal goes to the console socket" {
    up
    receive $'hello\n'
    ok exec -t -d --console-socket "$SOCKET" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" \
        /bin/sh -c 'stty -echo; tty; read -r line; echo "<$line>"'
    wait "$RECEIVER"
    [ "$(cat "$NAME")" = /dev/pts/0 ]
    grep -q '<hello>' "$TTY"
    [ -s "$BATS_TEST_TMPDIR/pid" ]
    fails 255 'cannot allocate tty if ctr will detach without setting console socket' exec -t -d "$ID" /bin/true
    fails 255 'console socket' exec --console-socket "$BATS_TEST_TMPDIR/x" "$ID" /bin/true
    ok delete --force "$ID"
}

@test "exec --process with terminal and consoleSize" {
    up
    receive
    echo '{"terminal": true, "consoleSize": {"height": 12, "width": 34}, "cwd": "/", "args": ["/bin/stty", "size"],
        "env": ["PATH=/bin"]}' >"$BATS_TEST_TMPDIR/process.json"
    ok exec --process "$BATS_TEST_TMPDIR/process.json" --detach --console-socket "$SOCKET" "$ID"
    wait "$RECEIVER"
    [ "$(tr -d '\r' <"$TTY")" = "12 34" ]
    ok delete --force "$ID"
}
