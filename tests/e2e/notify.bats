#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# sd_notify(3): what the program says reaches the service manager that ctr was told of. With a real systemd:
# tests/vm/jobs/systemd-driver.

load helpers

setup_file() {
    command -v gcc >/dev/null || skip "gcc is not installed"
    gcc -D_GNU_SOURCE -O1 -static -o "$BATS_FILE_TMPDIR/notify" "$BATS_TEST_DIRNAME/helpers_src/notify.c"
}

setup() {
    common_setup
    make_bundle
    cp "$BATS_FILE_TMPDIR/notify" "$BUNDLE/rootfs/bin/notify"
    manager "$BATS_TEST_TMPDIR/manager.sock"
    export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/manager.sock
}

teardown() {
    kill "$MANAGER" || true
    wait "$MANAGER" || true
    unset NOTIFY_SOCKET
    common_teardown
}

# A line of $HEARD for each message, | for a newline in it; +N: with N descriptors. It is slow, so that who does not
# wait for it is seen.
manager() {
    HEARD=$BATS_TEST_TMPDIR/heard
    : >"$HEARD"
    CTR_TEST_ID='' python3 -u - "$1" >>"$HEARD" 3>&- <<'PY' &
import array, os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(sys.argv[1].replace("@", "\0"))
while True:
    text, extra, flags, sender = s.recvmsg(65536, 1024)
    time.sleep(0.002)
    fds = array.array("i")
    for level, kind, data in extra:
        if kind == socket.SCM_RIGHTS:
            fds.frombytes(data)
        else:
            pid = array.array("i", data)[0]
    there = os.path.exists("/proc/%d" % pid)
    print(text.decode().replace("\n", "|") + ("" if not fds else " +%d" % len(fds)) + ("" if there else " GONE"))
    for f in fds:
        os.close(f)
PY
    MANAGER=$!
    [[ $1 == @* ]] || wait_for 10 test -S "$1"
}
heard() {
    local text
    slurp text "$HEARD"
    [ "$text" = "$1" ] || fail "heard: $text"
}
lines() { [ "$(wc -l <"$HEARD")" -eq "$1" ]; }

@test "notify: run in the foreground passes on what the program says, to its last word, and nothing that is not its own to say" {
    set_args /bin/sh -c 'echo $NOTIFY_SOCKET; notify "READY=1\nSTATUS=up"; notify "MAINPID=1\nFDSTORE=1"
        notify "STATUS=still up\nMAINPID=1\nNOTIFYACCESS=all\nFDNAME=x\nX_OWN=1\nSTATUSX=1"; touch /run/notify/x 2>&1 | grep -o Read-only
        notify STOPPING=1; exit 3'
    fails 3 '' run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'/run/notify/notify.sock\nRead-only' ] || fail "$output"
    heard $'READY=1|STATUS=up\nSTATUS=still up|X_OWN=1\nSTOPPING=1\nBARRIER=1 +1'
}

@test "notify: any user of the container can, in a user namespace too" {
    edit_config '.process.user = {uid: 1000, gid: 1000}'
    set_args /bin/notify READY=1
    ok run --bundle "$BUNDLE" "$ID"
    [ "$(id -u)" -eq 0 ] || return 0
    chmod o+x "$BATS_TEST_TMPDIR"
    edit_config '.linux.namespaces += [{type: "user"}] |
        .linux.uidMappings = [{containerID: 0, hostID: 400000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
    set_args /bin/notify STATUS=mapped
    ok run --bundle "$BUNDLE" "$ID"
    heard $'READY=1\nBARRIER=1 +1\nSTATUS=mapped\nBARRIER=1 +1'
}

@test "notify: start returns when the program is ready, and tells who it is; others can work with the container meanwhile" {
    set_args /bin/sh -c 'notify STATUS=begins; until [ -e /go ]; do sleep 0.02; done; notify READY=1; exec sleep 1000'
    ok create --bundle "$BUNDLE" "$ID"
    heard ''
    "$CTR" --root "$ROOT" start "$ID" 3>&- &
    local start=$! pid
    wait_for 10 lines 1
    wait_state "$ID" running
    ok exec "$ID" /bin/sh -c 'echo "$NOTIFY_SOCKET"'
    [ -z "$output" ]
    kill -0 "$start" || fail 'start did not wait'
    touch "$BUNDLE/rootfs/go"
    wait "$start"
    pid=$("$CTR" --root "$ROOT" state "$ID" | jq .pid)
    # the manager has read it when start ends
    heard "STATUS=begins"$'\n'"READY=1|MAINPID=$pid"$'\nBARRIER=1 +1'
    ok delete --force "$ID"
}

@test "notify: run --detach returns when the program is ready; what it says afterwards nobody hears" {
    # what is there already when it is ready is not the manager's either: another process is the service's main one by then
    set_args /bin/sh -c 'sleep 0.3; notify -q READY=1; notify -q STATUS=x; until [ -e /go ]; do sleep 0.02; done
        notify STATUS=y 2>/dev/null; echo $? >/told; exec sleep 1000'
    ok run --detach --bundle "$BUNDLE" "$ID"
    heard "READY=1|MAINPID=$("$CTR" --root "$ROOT" state "$ID" | jq .pid)"$'\nBARRIER=1 +1'
    touch "$BUNDLE/rootfs/go"
    wait_for 10 test -s "$BUNDLE/rootfs/told"
    lines 2
    ok delete --force "$ID"
    # the longest message that a manager takes has no room for more
    local long
    printf -v long '%04081d' 0
    set_args /bin/sh -c "notify 'READY=1\nSTATUS=$long'; exec sleep 1000"
    : >"$HEARD"
    ok run --detach --bundle "$BUNDLE" "$ID"
    heard "READY=1|STATUS=$long"$'\n'"MAINPID=$("$CTR" --root "$ROOT" state "$ID" | jq .pid)"$'\nBARRIER=1 +1'
    ok delete --force "$ID"
}

@test "notify: a program that ends without being ready ends the waiting" {
    set_args /bin/sh -c 'sleep 0.2; notify STATUS=bad; exit 5'
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    heard $'STATUS=bad\nBARRIER=1 +1'
    wait_state "$ID" stopped
    ok delete "$ID"
    ok run --detach --bundle "$BUNDLE" "$ID"
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "notify: start that is killed while it waits: the container runs, and goes without a trace" {
    set_args /bin/sh -c 'notify STATUS=on; exec sleep 1000'
    ok create --bundle "$BUNDLE" "$ID"
    "$CTR" --root "$ROOT" start "$ID" 3>&- &
    local start=$!
    wait_for 10 lines 1
    kill -9 "$start"
    wait "$start" || true
    wait_state "$ID" running
    ok delete --force "$ID"
    [ ! -e "$ROOT/$ID" ]
}

@test "notify: a configuration with one of its own is left as it is; so is one whose start knows of none" {
    set_args /bin/sh -c 'echo $NOTIFY_SOCKET; ls /run/notify 2>/dev/null | wc -l'
    edit_config '.process.env += ["NOTIFY_SOCKET=/elsewhere"]'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'/elsewhere\n0' ]
    edit_config '.process.env = ["PATH=/bin"]'
    NOTIFY_SOCKET='' ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = $'\n0' ]
    ok create --bundle "$BUNDLE" "$ID"
    local out=$OUT
    NOTIFY_SOCKET='' ok start "$ID"
    wait_state "$ID" stopped
    [ "$(cat "$out")" = $'/run/notify/notify.sock\n0' ]
    ok delete "$ID"
    heard ''
}

@test "notify: a thousand messages cost neither the signals nor the end" {
    set_args /bin/sh -c 'trap "exit 7" TERM; notify -n 1500 STATUS=x; echo told; while :; do notify -n 10 STATUS=y; done'
    "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/told" 3>&- &
    local run=$! rc=0
    wait_for 20 grep -q told "$BATS_TEST_TMPDIR/told"
    kill "$run"
    wait "$run" || rc=$?
    [ "$rc" -eq 7 ]
    [ "$(grep -c STATUS=x "$HEARD")" -eq 1500 ]
}

@test "notify: abstract names; what is no name is refused; where nobody listens is a warning" {
    set_args /bin/sh -c 'notify READY=1; echo $?'
    kill "$MANAGER"
    wait "$MANAGER" || true
    fails 0 '' run --bundle "$BUNDLE" "$ID"
    [[ $stderr == *"NOTIFY_SOCKET $NOTIFY_SOCKET: connect: Connection refused"* ]] || fail "$stderr"
    manager "@$TESTID"
    wait_for 10 grep -q "@$TESTID" /proc/net/unix
    NOTIFY_SOCKET=@$TESTID ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = 0 ]
    heard $'READY=1\nBARRIER=1 +1'
    local long
    printf -v long '/%0107d' 0
    NOTIFY_SOCKET=a/b fails 1 'NOTIFY_SOCKET: "a/b": neither an absolute path nor an abstract name' run --bundle "$BUNDLE" "$ID"
    NOTIFY_SOCKET=$long fails 1 'longer than 107 bytes' run --bundle "$BUNDLE" "$ID"
}

@test "notify: a manager that does not read holds up neither the signals nor the end" {
    set_args /bin/sh -c 'trap "exit 7" TERM; echo told; while :; do notify -n 10 STATUS=y; done'
    kill -STOP "$MANAGER"
    "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$BATS_TEST_TMPDIR/told" 3>&- &
    local run=$! rc=0 begin=$SECONDS
    wait_for 20 grep -q told "$BATS_TEST_TMPDIR/told"
    # its queue is full
    sleep 3
    kill "$run"
    wait "$run" || rc=$?
    kill -CONT "$MANAGER"
    [ "$rc" -eq 7 ]
    # once 2 s for a message, and what the end waits for
    [ $((SECONDS - begin)) -lt 15 ] || fail "$((SECONDS - begin)) s"
}

@test "notify: what has ended before start listens for it is heard all the same" {
    edit_config '.hooks.poststart = [{path: "/bin/sleep", args: ["sleep", "0.7"]}]'
    set_args /bin/sh -c 'notify -q READY=1'
    ok create --bundle "$BUNDLE" "$ID"
    ok start "$ID"
    heard $'READY=1\nBARRIER=1 +1'
    wait_state "$ID" stopped
    ok delete "$ID"
}

@test "notify: last words are heard when many come before them" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    set_args /bin/sh -c 'until [ -e /go ]; do sleep 0.02; done; notify -N 200 STATUS=x; notify -q STOPPING=1; exit 4'
    # with the queue that systemd gives a host; held up until all is said
    unshare --net sh -c 'echo 512 >/proc/sys/net/unix/max_dgram_qlen; exec "$@"' sh \
        "$CTR" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- &
    local run=$! rc=0
    wait_for 20 is_state "$ID" running
    kill -STOP "$run"
    touch "$BUNDLE/rootfs/go"
    sleep 2
    kill -CONT "$run"
    wait "$run" || rc=$?
    [ "$rc" -eq 4 ]
    [ "$(grep -c STATUS=x "$HEARD")" -eq 200 ]
    grep -q STOPPING=1 "$HEARD"
}

@test "notify: a container that makes the directory writable and fills it is deleted like any other" {
    # the bundle's own mounts, and what a privileged container may
    edit_config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"] | unique)'
    set_args /bin/sh -c 'mount -o remount,rw,bind /run/notify && cd /run/notify && rm -f notify.sock && mkdir notify.sock a &&
        d=a; for i in $(seq 60); do d=$d/deep; done; mkdir -p $d a/0 a/1 && touch $d/x a/y a/0/z && ln -s /etc l && ln -s .. a/l &&
        mkfifo f && chmod 0 a/0 && echo filled; [ -z "$STAY" ] || exec sleep 1000'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = filled ]
    [ ! -e "$ROOT/$ID" ]
    ok create --bundle "$BUNDLE" "$ID"
    ok exec "$ID" /bin/sh -c 'mount -o remount,rw,bind /run/notify && mkdir -p /run/notify/notify.sock/x'
    ok start "$ID"
    wait_state "$ID" stopped
    ok delete "$ID"
    [ ! -e "$ROOT/$ID" ]
}

@test "notify: a descriptor that takes for ever to close holds nothing up" {
    cat >"$BATS_TEST_TMPDIR/linger.py" <<'PY'
import array, os, signal, socket, struct, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
peer = l.accept()[0]
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 100000))
c.setblocking(False)
try:
    while True:
        c.send(b"x" * 65536)
except BlockingIOError:
    pass
time.sleep(0.5)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.sendmsg([b"STATUS=fd"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [c.fileno()]))])
c.close()
s.send(b"STATUS=closed")
time.sleep(1000)
PY
    # It is held up, so that the last close is not the program's.
    "$CTR" --root "$ROOT" run --clone --network none -v "$BATS_TEST_TMPDIR/linger.py:/linger.py:ro" "$ID" -- \
        python3 /linger.py 3>&- &
    local run=$! rc=0 begin
    wait_for 20 is_state "$ID" running
    kill -STOP "$run"
    sleep 2
    kill -CONT "$run"
    wait_for 10 grep -qx 'STATUS=closed' "$HEARD"
    begin=$SECONDS
    kill "$run"
    wait "$run" || rc=$?
    [ "$rc" -eq 5 ]
    [ $((SECONDS - begin)) -lt 20 ]
}

@test "notify: without a mount namespace there is a warning" {
    edit_config '.linux.namespaces |= map(select(.type != "mount")) | .mounts = [] | .linux.maskedPaths = [] |
        .linux.readonlyPaths = [] | .root.readonly = false'
    set_args /bin/sh -c 'echo "[$NOTIFY_SOCKET]"'
    ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = '[]' ]
    [[ $stderr == *'NOTIFY_SOCKET: the program in a container without a mount namespace cannot reach it'* ]]
    # and one that nobody will use may be what it likes
    edit_config '.process.env += ["NOTIFY_SOCKET=/mine"]'
    NOTIFY_SOCKET=vsock:2:1 ok run --bundle "$BUNDLE" "$ID"
    [ "$output" = '[/mine]' ]
}

@test "notify: an OS clone" {
    ok run --clone -v "$BATS_FILE_TMPDIR/notify:/usr/local/bin/tell:ro" "$ID" -- tell READY=1
    heard $'READY=1\nBARRIER=1 +1'
}
